//! Server-Sent Events: one response lasts as long as the connection; the client sends by POST.

use std::collections::VecDeque;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http::Response;
use http::header::{CACHE_CONTROL, CONTENT_ENCODING, CONTENT_TYPE, HeaderValue, PRAGMA};
use memchr::memchr;

use super::ResponseBody;
use super::connection_guard::ConnectionGuard;
use super::endpoint::{AuthenticatedRequest, Endpoint};
use super::http_connection::HttpConnection;
use super::transport_input::TransportEnd;
use crate::connection_info::TransportType;
use crate::outbound::{BodyAborted, BodyChunks, Dequeued};

/// Returns the stream as the response and spawns the task of the connection.
pub(super) fn open(
    endpoint: &Arc<Endpoint>,
    exchange: AuthenticatedRequest,
    entry: Arc<HttpConnection>,
) -> Response<ResponseBody> {
    entry.outbound.attach_bodies(true);
    let held = ConnectionGuard::new(endpoint, &entry);
    let connection = exchange.into_connection(TransportType::ServerSentEvents, &entry);
    endpoint.table.spawn(async move {
        held.endpoint().accept.accept(connection).await;
        held.drained().await;
    });
    let mut response = Response::new(ResponseBody::events(entry));
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/event-stream"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-cache,no-store"));
    headers.insert(PRAGMA, HeaderValue::from_static("no-cache"));
    // Prevents compression by the host, which would buffer events.
    headers.insert(CONTENT_ENCODING, HeaderValue::from_static("identity"));
    response
}

/// Body of the event stream of one connection.
#[derive(Debug)]
pub(super) struct Events {
    entry: Arc<HttpConnection>,
    /// Whether the opening comment was returned.
    opened: bool,
    event: Option<BodyChunks>,
}

/// SSE comment; browsers report the stream as open when they receive it.
const OPENING: &[u8] = b":\r\n";

impl Events {
    pub(super) fn new(entry: Arc<HttpConnection>) -> Self {
        Self { entry, opened: false, event: None }
    }

    pub(super) fn poll_chunk(&mut self, cx: &Context<'_>) -> Poll<Option<Result<Bytes, BodyAborted>>> {
        if !self.opened {
            self.opened = true;
            return Poll::Ready(Some(Ok(Bytes::from_static(OPENING))));
        }
        loop {
            if let Some(event) = &mut self.event {
                match ready!(event.poll_chunk(cx)) {
                    None => self.event = None,
                    piece => return Poll::Ready(piece),
                }
            }
            match ready!(self.entry.outbound.poll_dequeue(cx, wrap)) {
                Dequeued::Messages(event) => self.event = Some(event),
                Dequeued::End => return Poll::Ready(None),
                Dequeued::Broken => return Poll::Ready(Some(Err(BodyAborted))),
            }
        }
    }
}

impl Drop for Events {
    /// The HTTP server drops the body when the client disconnects or the stream ends.
    fn drop(&mut self) {
        self.entry.inbox().close(TransportEnd::Lost);
        self.entry.outbound.drop_queued();
    }
}

const DATA: &[u8] = b"data: ";
const LINE_END: &[u8] = b"\r\n";
const EVENT_END: &[u8] = b"\r\n\r\n";

/// Maximum size in bytes of an event that is copied into one buffer, because hyper does not poll a
/// body while it holds 16 buffers. The payload of a longer event stays shared with other receivers.
const COALESCE_LIMIT_BYTES: usize = 4096;

/// Wraps the messages of one write into one event (`aspnet: ServerSentEventsMessageFormatter`).
fn wrap(payload: &mut VecDeque<Bytes>) {
    if payload.iter().any(|piece| memchr(b'\n', piece).is_some()) {
        let lines = lines(&payload.iter().flatten().copied().collect::<Vec<_>>());
        *payload = VecDeque::from([lines.into()]);
    }
    let length = DATA.len() + payload.iter().map(Bytes::len).sum::<usize>() + EVENT_END.len();
    if length <= COALESCE_LIMIT_BYTES {
        let mut event = Vec::with_capacity(length);
        event.extend_from_slice(DATA);
        payload.drain(..).for_each(|piece| event.extend_from_slice(&piece));
        event.extend_from_slice(EVENT_END);
        payload.push_back(event.into());
    } else {
        payload.push_front(Bytes::from_static(DATA));
        payload.push_back(Bytes::from_static(EVENT_END));
    }
}

/// Replaces each line feed of the payload, and a carriage return before it, by the start of a new
/// `data` line. A carriage return that is the only character of its line is kept.
fn lines(payload: &[u8]) -> Vec<u8> {
    let mut lines = Vec::with_capacity(payload.len() + DATA.len());
    let mut rest = payload;
    while let Some(end) = memchr(b'\n', rest) {
        let line = &rest[..end];
        lines.extend_from_slice(line.strip_suffix(b"\r").filter(|line| !line.is_empty()).unwrap_or(line));
        lines.extend_from_slice(LINE_END);
        lines.extend_from_slice(DATA);
        rest = &rest[end + 1..];
    }
    lines.extend_from_slice(rest);
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    fn buffers(payload: &str) -> VecDeque<Bytes> {
        let mut pieces = VecDeque::from([Bytes::copy_from_slice(payload.as_bytes())]);
        wrap(&mut pieces);
        pieces
    }

    fn event(payload: &str) -> String {
        String::from_utf8(buffers(payload).iter().flatten().copied().collect()).unwrap()
    }

    #[test]
    fn short_events_are_copied_into_one_buffer() {
        for (payload, expected) in [(1, 1), (COALESCE_LIMIT_BYTES - 10, 1), (COALESCE_LIMIT_BYTES - 9, 3)] {
            let text = "x".repeat(payload);
            assert_eq!(buffers(&text).len(), expected, "{payload}");
            assert_eq!(event(&text), format!("data: {text}\r\n\r\n"));
        }
    }

    /// Test cases of ASP.NET Core's `ServerSentEventsMessageFormatter`.
    #[test]
    fn payload_lines_become_data_lines() {
        assert_eq!(event("{\"type\":6}\x1e"), "data: {\"type\":6}\x1e\r\n\r\n");
        assert_eq!(event("Hello\nWorld"), "data: Hello\r\ndata: World\r\n\r\n");
        assert_eq!(event("Hello\r\nWorld"), "data: Hello\r\ndata: World\r\n\r\n");
        assert_eq!(event("Hello\n"), "data: Hello\r\ndata: \r\n\r\n");
        assert_eq!(event("\r\n"), "data: \r\r\ndata: \r\n\r\n");
        assert_eq!(event("\n"), "data: \r\ndata: \r\n\r\n");
        assert_eq!(event("a\rb"), "data: a\rb\r\n\r\n");
    }
}
