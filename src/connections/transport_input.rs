//! The bytes that arrive on a connection, whatever carries them.

use std::mem;
use std::sync::Arc;
use std::task::{Context, Poll};

use super::http_connection::HttpConnection;
use super::websocket::FrameReader;
use crate::connection_info::RequestInfo;

/// The receiving half of a connection.
#[derive(Debug)]
pub(crate) struct TransportInput {
    /// Bytes that are read before those of the source.
    early: Vec<u8>,
    source: InputSource,
}

#[derive(Debug)]
enum InputSource {
    WebSocket(FrameReader),
    /// The inbox of this connection.
    Posts(Arc<HttpConnection>),
}

/// What one [`poll_read`](TransportInput::poll_read) came to.
#[derive(Debug)]
pub(crate) enum Read {
    /// Bytes were handed over.
    Data,
    /// The last of them were; nothing follows.
    End(TransportEnd),
}

/// How the receiving half ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum TransportEnd {
    /// The client said goodbye in the transport's own way.
    Closed,
    /// The peer vanished.
    Lost,
    /// The peer broke the transport's rules.
    Broken,
}

/// Takes a piece of what arrived, in the task that reads.
pub(crate) type Take<'a> = &'a mut dyn FnMut(&mut Context<'_>, &[u8]);

impl TransportInput {
    pub(super) fn websocket(reader: FrameReader, early: Vec<u8>) -> Self {
        Self { early, source: InputSource::WebSocket(reader) }
    }

    pub(super) fn posts(entry: Arc<HttpConnection>) -> Self {
        Self { early: Vec::new(), source: InputSource::Posts(entry) }
    }

    /// Puts bytes back, so that they are read next.
    pub(crate) fn unread(&mut self, bytes: &[u8]) {
        self.early.splice(..0, bytes.iter().copied());
    }

    /// Reads once and hands what there is to `take`, in one or more pieces. Cut anywhere: pieces are no messages.
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

    /// Reads what the transport itself must not wait for, while the connection takes nothing: the pings and the goodbye of
    /// a WebSocket are behind what was sent before them, so that is handed to `take`. Of what comes by POST only the end
    /// is told; the rest waits where it is.
    pub(crate) fn poll_ahead(&mut self, cx: &mut Context<'_>, take: Take<'_>) -> Poll<Read> {
        match &self.source {
            InputSource::WebSocket(_) => self.poll_read(cx, take),
            InputSource::Posts(entry) => entry.inbox().poll_closed(cx).map(|()| Read::End(TransportEnd::Lost)),
        }
    }

    /// Lets the connection go on with another socket when it loses its own. `false` if that was not agreed on.
    pub(crate) fn allow_resume(&mut self, entry: &HttpConnection) -> bool {
        match &mut self.source {
            InputSource::WebSocket(reader) => reader.allow_resume(entry.mailbox()),
            InputSource::Posts(_) => false,
        }
    }

    /// No other socket is taken any more: the connection has come to its end.
    pub(crate) fn refuse_resume(&mut self) {
        if let InputSource::WebSocket(reader) = &mut self.source {
            reader.refuse_resume();
        }
    }

    /// Goes over to a new socket, if one has come, and says which request brought it. What follows is the beginning of
    /// a message, whatever came before.
    pub(crate) fn resume(&mut self, cx: &mut Context<'_>) -> Option<Arc<RequestInfo>> {
        match &mut self.source {
            InputSource::WebSocket(reader) => reader.resume(cx),
            InputSource::Posts(_) => None,
        }
    }

    /// Whether what was handed over last may end within a character, the rest of which is on its way: in the middle of a
    /// text message or of a request. The task is woken when a request ends.
    pub(crate) fn is_within_text(&self) -> bool {
        match &self.source {
            InputSource::WebSocket(reader) => reader.is_within_text(),
            InputSource::Posts(entry) => entry.inbox().is_within_body(),
        }
    }
}
