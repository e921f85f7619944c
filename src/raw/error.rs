//! Why bytes could not be written.

/// A [`RawConnection`](crate::raw::RawConnection) did not take what was to be written.
///
/// ```
/// use signalr::raw::{RawConnection, RawWriteError};
///
/// async fn send(connection: &RawConnection, bytes: &[u8]) -> Result<(), RawWriteError> {
///     match connection.write(bytes).await {
///         Err(RawWriteError::NotText) => connection.write("These are no letters.").await,
///         outcome => outcome,
///     }
/// }
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RawWriteError {
    /// The connection has ended, or ended while there was no room.
    #[error("the connection has ended")]
    Ended,
    /// The connection carries text, and this is no UTF-8; see
    /// [`set_binary`](crate::raw::RawConnection::set_binary).
    #[error("bytes that are no UTF-8 on a connection that carries text")]
    NotText,
}
