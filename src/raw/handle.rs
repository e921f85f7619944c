//! The shared half of a connection without a hub.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::error::RawWriteError;
use super::input_pipe::{InputPipe, RawEnd};
use crate::auth::User;
use crate::connection_info::{ConnectionId, RequestInfo, TransportType};
use crate::connections::SessionMonitor;
use crate::outbound::{EncodedMessage, Outbound};

/// State shared by the connection task, the handler and all `RawWriter`s.
pub(super) struct Handle {
    pub(super) id: ConnectionId,
    pub(super) transport: TransportType,
    pub(super) user: User,
    pub(super) request: Arc<RequestInfo>,
    pub(super) outbound: Arc<Outbound>,
    pub(super) input: InputPipe,
    binary: AtomicBool,
    /// The `RawConnection` and all its writers are dropped.
    released: AtomicBool,
    aborted: CancellationToken,
}

impl Handle {
    pub(super) fn new(
        id: ConnectionId,
        transport: TransportType,
        user: User,
        request: Arc<RequestInfo>,
        outbound: Arc<Outbound>,
        read_ahead: usize,
    ) -> Arc<Self> {
        Arc::new(Self {
            id,
            transport,
            user,
            request,
            outbound,
            input: InputPipe::new(read_ahead),
            binary: AtomicBool::new(false),
            released: AtomicBool::new(false),
            aborted: CancellationToken::new(),
        })
    }

    /// Ends the input and completes [`aborted`](Self::aborted). Unless the end is only requested,
    /// no more can be written either; bytes in the outbound queue are still sent.
    pub(super) fn close(&self, end: RawEnd) {
        if self.input.close(end) {
            self.aborted.cancel();
        }
        if end != RawEnd::Requested && self.outbound.is_open() {
            self.outbound.stop_accepting();
        }
    }

    /// Ends the connection at once (`aspnet: HttpConnectionContext.Abort`).
    pub(super) fn abort(&self) {
        self.close(RawEnd::Aborted);
        self.outbound.abort_transport();
    }

    pub(super) async fn aborted(&self) {
        self.aborted.cancelled().await;
    }

    pub(super) fn release(&self) {
        self.released.store(true, Ordering::Release);
        self.outbound.wake_owner();
    }

    pub(super) fn is_released(&self) -> bool {
        self.released.load(Ordering::Acquire)
    }

    pub(super) fn set_binary(&self) {
        self.binary.store(true, Ordering::Release);
    }

    pub(super) async fn write(&self, frame: &EncodedMessage) -> Result<(), RawWriteError> {
        // A writer that never waits for capacity still yields to other tasks.
        tokio::task::coop::consume_budget().await;
        self.outbound.push(frame).await;
        if self.outbound.is_open() { Ok(()) } else { Err(RawWriteError::Ended) }
    }

    /// Encodes one message of the transport.
    pub(super) fn frame(&self, bytes: &[u8]) -> Result<EncodedMessage, RawWriteError> {
        // Server-sent events are text, also after `set_binary`.
        let binary = self.binary.load(Ordering::Acquire) && self.transport != TransportType::ServerSentEvents;
        if !binary && std::str::from_utf8(bytes).is_err() {
            return Err(RawWriteError::NotText);
        }
        Ok(EncodedMessage::from_payload(bytes, binary))
    }
}

impl SessionMonitor for Handle {
    /// There are no pings and no client timeout without a hub protocol.
    fn on_tick(&self, _: Instant) {}

    /// The user of a connection handler does not change.
    fn on_credentials_refreshed(&self) {}

    fn request_close(&self) {
        self.close(RawEnd::Requested);
    }
}
