//! The connection that a handler receives, and its writers.

use std::fmt;
use std::future::poll_fn;
use std::sync::Arc;

use bytes::Bytes;

use super::error::RawWriteError;
use super::handle::Handle;
use super::input_pipe::RawEnd;
use crate::auth::User;
use crate::connection_info::{ConnectionId, RequestInfo, TransportType};

/// A connection without a hub: bytes in, bytes out, over any transport (C#: `ConnectionContext`).
///
/// [`Builder::connection_handler`](crate::hosting::Builder::connection_handler) maps a handler of
/// such connections to a path. A connection lives as long as its handler runs. When the handler
/// returns, written bytes are sent and the transport is closed. The connection also ends when it
/// and all its [writers](Self::writer) are dropped.
///
/// ```no_run
/// # async fn run() -> Result<(), Box<dyn std::error::Error>> {
/// use signalr::SignalR;
///
/// let signalr = SignalR::builder()
///     .connection_handler("/echo", |mut connection| async move {
///         while let Some(bytes) = connection.read().await {
///             connection.write(bytes).await?;
///         }
///         Ok(())
///     })
///     .build()?;
/// # Ok(())
/// # }
/// ```
pub struct RawConnection {
    writer: RawWriter,
}

/// The writing half of a [`RawConnection`], cheap to clone, for other tasks.
///
/// ```
/// use std::time::Duration;
///
/// use signalr::raw::RawConnection;
///
/// /// Writes once a second until the connection ends.
/// async fn clock(connection: RawConnection) {
///     let writer = connection.writer();
///     while writer.write("tick").await.is_ok() {
///         tokio::time::sleep(Duration::from_secs(1)).await;
///     }
/// }
/// ```
#[derive(Clone)]
pub struct RawWriter {
    release: Arc<ReleaseOnDrop>,
}

/// Ends the connection when the last clone is dropped.
struct ReleaseOnDrop(Arc<Handle>);

impl RawConnection {
    pub(super) fn new(handle: &Arc<Handle>) -> Self {
        Self { writer: RawWriter { release: Arc::new(ReleaseOnDrop(Arc::clone(handle))) } }
    }

    /// Waits for bytes and returns all that have arrived; `None` at the end of the input, whose
    /// reason [`end`](Self::end) returns.
    ///
    /// The bytes are a stream: one read may return a part of a message of the client, or several
    /// messages. Text is not split within a character. At most `application_max_buffer_size` bytes
    /// are read ahead; then the client has to wait.
    ///
    /// # Cancel safety
    ///
    /// If the future is dropped before it completes, no bytes are lost.
    pub async fn read(&mut self) -> Option<Bytes> {
        let input = &self.handle().input;
        poll_fn(|cx| input.poll_read(cx)).await
    }

    /// Reason why the input has ended; `None` while more bytes may arrive. Bytes that arrived
    /// before the end can still be read.
    pub fn end(&self) -> Option<RawEnd> {
        self.handle().input.end()
    }

    /// Sends bytes: as one WebSocket message, or together with all other queued bytes as part of a
    /// server-sent event or of the response to a poll. Empty `bytes` send nothing.
    ///
    /// Waits while `transport_max_buffer_size` bytes are queued for the client. Completion means
    /// that the bytes are queued, not that the client has received them.
    ///
    /// # Errors
    ///
    /// Returns [`RawWriteError::Ended`] if the connection has ended, and [`RawWriteError::NotText`]
    /// if the connection carries text (the default, see [`set_binary`](Self::set_binary)) and the
    /// bytes are not valid UTF-8.
    ///
    /// # Cancel safety
    ///
    /// If the future is dropped before it completes, nothing is sent.
    pub async fn write(&self, bytes: impl AsRef<[u8]>) -> Result<(), RawWriteError> {
        self.writer.write(bytes).await
    }

    /// Returns a writer for other tasks.
    pub fn writer(&self) -> RawWriter {
        self.writer.clone()
    }

    /// Switches the connection from text to binary for all later writes (C#:
    /// `ITransferFormatFeature.ActiveFormat`).
    ///
    /// WebSocket messages are binary from then on. Server-sent events always carry text, so offer
    /// other [`transports`](crate::hosting::EndpointBuilder::transports) to clients that need
    /// binary.
    pub fn set_binary(&self) {
        self.handle().set_binary();
    }

    /// Public id of the connection (not its secret token).
    pub fn connection_id(&self) -> ConnectionId {
        self.handle().id
    }

    /// User of the connection; anonymous without authentication.
    pub fn user(&self) -> &User {
        &self.handle().user
    }

    /// The HTTP request that opened the connection, without its access token, and the peer's
    /// address.
    pub fn request(&self) -> &RequestInfo {
        &self.handle().request
    }

    /// Transport of the connection.
    pub fn transport(&self) -> TransportType {
        self.handle().transport
    }

    /// Aborts the connection (C#: `Abort()`): drops queued bytes and sends no close frame.
    ///
    /// To close the connection in order, return from the handler.
    pub fn abort(&self) {
        self.writer.abort();
    }

    /// Completes when the connection has ended or is asked to end; [`end`](Self::end) returns the
    /// reason (C#: `ConnectionClosed`).
    ///
    /// # Cancel safety
    ///
    /// This method is cancel safe.
    pub async fn aborted(&self) {
        self.writer.aborted().await;
    }

    fn handle(&self) -> &Handle {
        self.writer.handle()
    }
}

impl RawWriter {
    /// Sends bytes; see [`RawConnection::write`].
    ///
    /// # Errors
    ///
    /// The same as those of [`RawConnection::write`].
    ///
    /// # Cancel safety
    ///
    /// If the future is dropped before it completes, nothing is sent.
    pub async fn write(&self, bytes: impl AsRef<[u8]>) -> Result<(), RawWriteError> {
        let bytes = bytes.as_ref();
        if bytes.is_empty() {
            return Ok(());
        }
        let frame = self.handle().frame(bytes)?;
        self.handle().write(&frame).await
    }

    /// Public id of the connection (not its secret token).
    pub fn connection_id(&self) -> ConnectionId {
        self.handle().id
    }

    /// Aborts the connection; see [`RawConnection::abort`].
    pub fn abort(&self) {
        self.handle().abort();
    }

    /// Completes when the connection has ended or is asked to end; see [`RawConnection::aborted`].
    ///
    /// # Cancel safety
    ///
    /// This method is cancel safe.
    pub async fn aborted(&self) {
        self.handle().aborted().await;
    }

    fn handle(&self) -> &Handle {
        &self.release.0
    }
}

impl Drop for RawConnection {
    fn drop(&mut self) {
        self.handle().input.discard();
    }
}

impl Drop for ReleaseOnDrop {
    fn drop(&mut self) {
        self.0.release();
    }
}

impl fmt::Debug for RawConnection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RawConnection")
            .field("id", &self.connection_id())
            .field("transport", &self.transport())
            .field("end", &self.end())
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for RawWriter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RawWriter").field("id", &self.connection_id()).finish_non_exhaustive()
    }
}
