//! Errors of values.

/// Failure to create a value from a string, a number or another type.
///
/// ```
/// use signalr::dotnet::{DateTime, ValueError};
///
/// assert!(matches!("tomorrow".parse::<DateTime>(), Err(ValueError::Text(_))));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ValueError {
    /// The string is not one that .NET parses.
    #[error("invalid {0}")]
    Text(&'static str),
    /// The value is beyond the range of its type.
    #[error("beyond the range of a {0}")]
    Range(&'static str),
}
