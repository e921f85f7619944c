//! What goes wrong with values.

/// A value cannot be made of something else.
///
/// ```
/// use signalr::dotnet::{DateTime, ValueError};
///
/// assert!(matches!("tomorrow".parse::<DateTime>(), Err(ValueError::Text(_))));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ValueError {
    /// It is no text that .NET would read.
    #[error("not the text of a {0}")]
    Text(&'static str),
    /// It is beyond the first or the last that there is.
    #[error("beyond the range of a {0}")]
    Range(&'static str),
}
