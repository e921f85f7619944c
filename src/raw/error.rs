//! Why bytes could not be written.

/// A [`RawConnection`](crate::RawConnection) did not take what was to be written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RawWriteError {
    /// The connection has ended, or ended while there was no room.
    #[error("the connection has ended")]
    Ended,
    /// The connection carries text, and this is no UTF-8; see
    /// [`set_binary`](crate::RawConnection::set_binary).
    #[error("bytes that are no UTF-8 on a connection that carries text")]
    NotText,
}
