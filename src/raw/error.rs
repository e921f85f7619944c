//! Errors of writing to a connection.

/// Error of writing to a [`RawConnection`](crate::raw::RawConnection).
///
/// ```
/// use signalr::raw::{RawConnection, RawWriteError};
///
/// async fn send(connection: &RawConnection, bytes: &[u8]) -> Result<(), RawWriteError> {
///     match connection.write(bytes).await {
///         Err(RawWriteError::NotText) => connection.write("invalid text").await,
///         outcome => outcome,
///     }
/// }
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RawWriteError {
    /// The connection has ended, possibly while the write waited for capacity.
    #[error("connection closed")]
    Ended,
    /// The connection carries text, and the bytes are not valid UTF-8; see
    /// [`set_binary`](crate::raw::RawConnection::set_binary).
    #[error("invalid UTF-8 on a connection that carries text")]
    NotText,
}
