//! Input bytes of a connection, independent of the transport.

use std::mem;
use std::sync::Arc;
use std::task::{Context, Poll};

use super::http_connection::HttpConnection;
use super::websocket::FrameReader;
use crate::connection_info::RequestInfo;

/// Receiving half of a connection.
#[derive(Debug)]
pub(crate) struct TransportInput {
    /// Bytes to read before those of the source.
    early: Vec<u8>,
    source: InputSource,
}

#[derive(Debug)]
enum InputSource {
    WebSocket(FrameReader),
    /// POST buffer of this connection.
    Posts(Arc<HttpConnection>),
}

/// Result of [`TransportInput::poll_read`].
#[derive(Debug)]
pub(crate) enum Read {
    /// Bytes were passed to the callback.
    Data,
    /// End of the input.
    End(TransportEnd),
}

/// Reason for the end of the input.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum TransportEnd {
    /// The client closed the transport cleanly.
    Closed,
    /// The transport was lost.
    Lost,
    /// The peer violated the protocol of the transport.
    Broken,
}

/// Callback for received bytes, called in the task that reads.
pub(crate) type Take<'a> = &'a mut dyn FnMut(&mut Context<'_>, &[u8]);

impl TransportInput {
    pub(super) fn websocket(reader: FrameReader, early: Vec<u8>) -> Self {
        Self { early, source: InputSource::WebSocket(reader) }
    }

    pub(super) fn posts(entry: Arc<HttpConnection>) -> Self {
        Self { early: Vec::new(), source: InputSource::Posts(entry) }
    }

    /// Puts bytes back in front of the input.
    pub(crate) fn unread(&mut self, bytes: &[u8]) {
        self.early.splice(..0, bytes.iter().copied());
    }

    /// Reads once and passes the bytes to `take` in one or more chunks. Chunk boundaries are
    /// unrelated to messages.
    pub(crate) fn poll_read(&mut self, cx: &mut Context<'_>, take: Take<'_>) -> Poll<Read> {
        if !self.early.is_empty() {
            take(cx, &mem::take(&mut self.early));
            return Poll::Ready(Read::Data);
        }
        match &mut self.source {
            InputSource::WebSocket(reader) => reader.poll_read(cx, take),
            InputSource::Posts(entry) => entry.inbox().poll_read(cx, take),
        }
    }

    /// Reads ahead while the connection processes no messages.
    ///
    /// Pings and close frames of a WebSocket follow messages, so its messages are read and passed
    /// to `take`. For POST requests only the end is reported; their bytes stay in the buffer.
    pub(crate) fn poll_ahead(&mut self, cx: &mut Context<'_>, take: Take<'_>) -> Poll<Read> {
        match &self.source {
            InputSource::WebSocket(_) => self.poll_read(cx, take),
            InputSource::Posts(entry) => entry.inbox().poll_closed(cx).map(|()| Read::End(TransportEnd::Lost)),
        }
    }

    /// Allows the connection to resume on another socket after losing its own. Returns `false` if
    /// stateful reconnect was not negotiated.
    pub(crate) fn allow_resume(&mut self, entry: &HttpConnection) -> bool {
        match &mut self.source {
            InputSource::WebSocket(reader) => reader.allow_resume(entry.mailbox()),
            InputSource::Posts(_) => false,
        }
    }

    /// Rejects further sockets: the connection is ending.
    pub(crate) fn refuse_resume(&mut self) {
        if let InputSource::WebSocket(reader) = &mut self.source {
            reader.refuse_resume();
        }
    }

    /// Switches to a new socket, if one is waiting, and returns its request. The next byte begins a
    /// message; a partial message of the old socket is dropped.
    pub(crate) fn resume(&mut self, cx: &mut Context<'_>) -> Option<Arc<RequestInfo>> {
        match &mut self.source {
            InputSource::WebSocket(reader) => reader.resume(cx),
            InputSource::Posts(_) => None,
        }
    }

    /// Whether the bytes read last can end within a UTF-8 character: in the middle of a text
    /// message or of a POST request. The task is woken when the request ends.
    pub(crate) fn is_within_text(&self) -> bool {
        match &self.source {
            InputSource::WebSocket(reader) => reader.is_within_text(),
            InputSource::Posts(entry) => entry.inbox().is_within_body(),
        }
    }
}
