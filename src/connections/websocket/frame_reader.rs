//! Reader of a WebSocket, with one read buffer per thread.

use std::cell::Cell;
use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, ReadBuf};
use tokio::net::tcp::OwnedReadHalf;

use super::super::transport_input::{Read, Take, TransportEnd};
use super::decoder::{Decoder, Event};
use super::reconnect::{NewSocket, ReconnectSlot};
use super::upgrade::attach;
use crate::connection_info::RequestInfo;
use crate::outbound::{EncodedMessage, Outbound};

/// Size of the read buffer of a thread. Idle connections hold no read buffer.
const READ_BUFFER_BYTES: usize = 64 * 1024;

thread_local! {
    static READ_BUFFER: Cell<Vec<u8>> = const { Cell::new(Vec::new()) };
}

/// Receiving half of a WebSocket.
///
/// The callback of [`poll_read`](Self::poll_read) borrows the read buffer, so messages are
/// processed, and hub methods polled, inside the read without a copy.
pub(crate) struct FrameReader {
    source: SocketSource,
    /// Bytes that hyper has read after the request.
    early: Vec<u8>,
    decoder: Decoder,
    outbound: Arc<Outbound>,
    ended: Option<TransportEnd>,
    /// Slot for the WebSocket of a reconnect, if stateful reconnect was negotiated.
    mailbox: Option<Arc<ReconnectSlot>>,
}

pub(super) enum SocketSource {
    /// The socket is lost; the connection waits for another one.
    None,
    Tcp(OwnedReadHalf),
    Other(Box<dyn AsyncRead + Send + Unpin>),
}

impl FrameReader {
    /// `early` contains bytes that were already read from the socket.
    pub(super) fn new((source, early): (SocketSource, Vec<u8>), outbound: Arc<Outbound>) -> Self {
        Self { source, early, decoder: Decoder::default(), outbound, ended: None, mailbox: None }
    }

    /// Allows the connection to resume on another socket. Returns `false` if stateful reconnect was
    /// not negotiated.
    pub(crate) fn allow_resume(&mut self, mailbox: Option<&Arc<ReconnectSlot>>) -> bool {
        if let Some(mailbox) = mailbox {
            mailbox.open();
            self.mailbox = Some(Arc::clone(mailbox));
        }
        self.mailbox.is_some()
    }

    /// Rejects further sockets.
    pub(crate) fn refuse_resume(&mut self) {
        if let Some(mailbox) = self.mailbox.take() {
            mailbox.close();
        }
    }

    /// Switches to a new socket, if one is waiting, and returns its request. Unread bytes of the
    /// old socket, including a partial message, are dropped. Called by the owner of the queue.
    pub(crate) fn resume(&mut self, cx: &mut Context<'_>) -> Option<Arc<RequestInfo>> {
        let NewSocket { io, request } = *self.mailbox.as_ref()?.take()?;
        if !self.outbound.can_resume() {
            return None;
        }
        self.outbound.close_superseded(&close(NORMAL_CLOSURE), cx);
        (self.source, self.early) = attach(io, &self.outbound);
        self.decoder = Decoder::default();
        self.ended = None;
        Some(request)
    }

    /// Reads once and passes payload to `take`. Responds to control frames.
    pub(crate) fn poll_read(&mut self, cx: &mut Context<'_>, take: Take<'_>) -> Poll<Read> {
        if let Some(end) = self.ended {
            return Poll::Ready(Read::End(end));
        }
        if !self.early.is_empty() {
            let mut early = std::mem::take(&mut self.early);
            return Poll::Ready(self.decode(cx, &mut early, take));
        }
        let mut buffer = READ_BUFFER.take();
        buffer.resize(READ_BUFFER_BYTES, 0);
        let read = self.poll_source(cx, &mut buffer, take);
        READ_BUFFER.set(buffer);
        read
    }

    /// Whether the reader is inside a text message.
    pub(crate) fn is_within_text(&self) -> bool {
        self.decoder.is_within_text()
    }

    fn poll_source(&mut self, cx: &mut Context<'_>, buffer: &mut [u8], take: Take<'_>) -> Poll<Read> {
        let mut space = ReadBuf::new(buffer);
        let read = match &mut self.source {
            SocketSource::Tcp(socket) => Pin::new(socket).poll_read(cx, &mut space),
            SocketSource::Other(io) => Pin::new(io).poll_read(cx, &mut space),
            SocketSource::None => return Poll::Pending,
        };
        match ready!(read) {
            Ok(()) if !space.filled().is_empty() => Poll::Ready(self.decode(cx, space.filled_mut(), take)),
            Ok(()) | Err(_) => self.on_socket_lost(),
        }
    }

    /// Handles the loss of the socket. A connection that can resume waits for a new socket, which
    /// wakes the task.
    fn on_socket_lost(&mut self) -> Poll<Read> {
        if self.mailbox.is_none() || !self.outbound.on_transport_lost() {
            return Poll::Ready(self.end(TransportEnd::Lost));
        }
        self.source = SocketSource::None;
        Poll::Pending
    }

    fn decode(&mut self, cx: &mut Context<'_>, mut input: &mut [u8], take: Take<'_>) -> Read {
        loop {
            match self.decoder.next(&mut input) {
                Ok(None) => return Read::Data,
                Ok(Some(Event::Data(bytes))) => take(cx, bytes),
                Ok(Some(Event::Ping(payload))) => self.outbound.enqueue_pong(&EncodedMessage::control(payload.pong())),
                Ok(Some(Event::Pong)) => {}
                // The response is 1000 for every code of the client
                // (`aspnet: WebSocketsServerTransport`).
                Ok(Some(Event::Close(_))) => {
                    self.outbound.finish(&close(NORMAL_CLOSURE));
                    return self.end(TransportEnd::Closed);
                }
                Err(code) => {
                    self.outbound.finish(&close(code.into()));
                    return self.end(TransportEnd::Broken);
                }
            }
        }
    }

    fn end(&mut self, end: TransportEnd) -> Read {
        self.ended = Some(end);
        Read::End(end)
    }
}

/// Close codes of this server (RFC 6455 § 7.4.1).
pub(super) const NORMAL_CLOSURE: u16 = 1000;
pub(super) const INTERNAL_ERROR: u16 = 1011;

/// Returns a close frame without a reason.
pub(super) fn close(code: u16) -> EncodedMessage {
    let [high, low] = code.to_be_bytes();
    EncodedMessage::control(vec![0x88, 2, high, low])
}

impl fmt::Debug for FrameReader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FrameReader").field("ended", &self.ended).finish_non_exhaustive()
    }
}
