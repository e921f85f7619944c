//! Errors of backplanes.

use std::sync::Arc;

/// A call of a [`Backplane`](super::Backplane) failed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum BackplaneError {
    /// The service cannot be reached.
    #[error("backplane is not connected: {0}")]
    Disconnected(Arc<str>),
    /// The service did not answer in time. Whether it did what was requested is unknown.
    #[error("backplane did not answer in time")]
    Timeout,
    /// The service answered with an error.
    #[error("backplane rejected the request: {0}")]
    Rejected(Arc<str>),
    /// Too many bytes wait to be published.
    #[error("backplane queue is full")]
    QueueFull,
    /// No server holds the connection whose groups were to be changed, or its server did not answer
    /// in time.
    #[error("no server has acknowledged the change of a group")]
    Unacknowledged,
    /// The server has shut down.
    #[error("backplane is closed")]
    Closed,
}
