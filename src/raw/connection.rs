//! What a handler is given.

use std::fmt;
use std::future::poll_fn;
use std::sync::Arc;

use bytes::Bytes;

use super::error::RawWriteError;
use super::handle::Handle;
use super::input_pipe::RawEnd;
use crate::auth::User;
use crate::connection_info::{ConnectionId, RequestInfo, TransportType};

/// A connection without a hub: bytes in, bytes out, whatever carries them (C#: `ConnectionContext`).
///
/// [`Builder::connection_handler`](crate::hosting::Builder::connection_handler) maps a handler of such connections to a path. A connection
/// lives as long as its handler runs; when that returns, what was written is sent and the transport is closed. It also
/// ends when the connection and all its [writers](Self::writer) are dropped.
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

/// The writing half of a [`RawConnection`]: a cheap clone, for other tasks.
///
/// ```
/// use std::time::Duration;
///
/// use signalr::raw::RawConnection;
///
/// /// Says something every second, while the client is there.
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

/// The last one that is dropped ends the connection.
struct ReleaseOnDrop(Arc<Handle>);

impl RawConnection {
    pub(super) fn new(handle: &Arc<Handle>) -> Self {
        Self { writer: RawWriter { release: Arc::new(ReleaseOnDrop(Arc::clone(handle))) } }
    }

    /// What has arrived, as soon as there is something; `None` when nothing will any more, and [`end`](Self::end) tells
    /// why.
    ///
    /// The bytes are a stream: they may be part of what the client sent at once, or several of its messages. Text is
    /// not cut within a character. Up to `application_max_buffer_size` bytes are read ahead; then the client has to
    /// wait.
    ///
    /// # Cancel safety
    ///
    /// Dropped before it is ready, nothing is lost.
    pub async fn read(&mut self) -> Option<Bytes> {
        let input = &self.handle().input;
        poll_fn(|cx| input.poll_read(cx)).await
    }

    /// Why nothing more arrives; `None` while something may. What came before it is still there to be read.
    pub fn end(&self) -> Option<RawEnd> {
        self.handle().input.end()
    }

    /// Sends bytes: as one message of a WebSocket, or as part of a server-sent event or of the answer to a poll, which
    /// bring all that waits. No bytes are no message.
    ///
    /// It waits while `transport_max_buffer_size` bytes wait for the client already. When it is complete, the bytes are
    /// on their way; whether they arrive, only the client can tell.
    ///
    /// # Errors
    ///
    /// The connection has ended; or it carries text, as it does until [`set_binary`](Self::set_binary), and the bytes
    /// are no UTF-8.
    ///
    /// # Cancel safety
    ///
    /// Dropped before it is ready, nothing is sent.
    pub async fn write(&self, bytes: impl AsRef<[u8]>) -> Result<(), RawWriteError> {
        self.writer.write(bytes).await
    }

    /// A writer for other tasks.
    pub fn writer(&self) -> RawWriter {
        self.writer.clone()
    }

    /// What is written from now on is binary, not text (C#: `ITransferFormatFeature.ActiveFormat`). It makes binary
    /// messages of a WebSocket's; server-sent events carry text all the same, so offer other
    /// [`transports`](crate::hosting::EndpointBuilder::transports) to clients that need binary.
    pub fn set_binary(&self) {
        self.handle().set_binary();
    }

    /// The id of the connection; no secret.
    pub fn connection_id(&self) -> ConnectionId {
        self.handle().id
    }

    /// Who is at the other end; anonymous if nobody signed in.
    pub fn user(&self) -> &User {
        &self.handle().user
    }

    /// The HTTP request that opened the connection, without its access token. It knows the address of the peer, too.
    pub fn request(&self) -> &RequestInfo {
        &self.handle().request
    }

    /// What carries the connection.
    pub fn transport(&self) -> TransportType {
        self.handle().transport
    }

    /// Cuts the connection (C#: `Abort()`): what waits to be sent is dropped, and no goodbye is said. To end it in an
    /// orderly way, return from the handler.
    pub fn abort(&self) {
        self.writer.abort();
    }

    /// Ready when the connection has ended or has to: [`end`](Self::end) tells why. (C#: `ConnectionClosed`)
    ///
    /// # Cancel safety
    ///
    /// Safe.
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
    /// Those of [`RawConnection::write`].
    ///
    /// # Cancel safety
    ///
    /// Dropped before it is ready, nothing is sent.
    pub async fn write(&self, bytes: impl AsRef<[u8]>) -> Result<(), RawWriteError> {
        let bytes = bytes.as_ref();
        if bytes.is_empty() {
            return Ok(());
        }
        let frame = self.handle().frame(bytes)?;
        self.handle().write(&frame).await
    }

    /// The id of the connection; no secret.
    pub fn connection_id(&self) -> ConnectionId {
        self.handle().id
    }

    /// Cuts the connection; see [`RawConnection::abort`].
    pub fn abort(&self) {
        self.handle().abort();
    }

    /// Ready when the connection has ended or has to; see [`RawConnection::aborted`].
    ///
    /// # Cancel safety
    ///
    /// Safe.
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
