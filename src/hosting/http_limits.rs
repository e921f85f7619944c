//! Limits of the HTTP connections of [`SignalR::serve`](crate::SignalR::serve), and the responses
//! to requests that exceed them: those of Kestrel.

use std::time::Duration;

use http::header::{CONNECTION, HOST, HeaderValue};
use http::uri::{Authority, PathAndQuery};
use http::{Request, Response, StatusCode, Version};
use hyper_util::rt::{TokioExecutor, TokioTimer};
use hyper_util::server::conn::auto;

use super::router::status;
use crate::connections::ResponseBody;
use crate::socket::Phase;

/// Maximum length of a request line including its line end (Kestrel: `MaxRequestLineSize`).
const MAX_REQUEST_LINE_BYTES: usize = 8 * 1024;

/// Maximum length of all header lines together (Kestrel: `MaxRequestHeadersTotalSize`).
const MAX_HEADER_LIST_BYTES: u32 = 32 * 1024;

/// Maximum number of header lines (Kestrel: `MaxRequestHeaderCount`). hyper has the same limit for
/// HTTP/1.1.
const MAX_HEADER_COUNT: usize = 100;

/// Maximum number of concurrent requests of an HTTP/2 connection, including WebSockets (Kestrel:
/// `Http2Limits.MaxStreamsPerConnection`).
const MAX_CONCURRENT_STREAMS: u32 = 100;

/// Flow-control window of one HTTP/2 stream (Kestrel: `Http2Limits.InitialStreamWindowSize`). It is
/// smaller than hyper's 1 MiB for the connection, so that an unread stream does not block the
/// others.
const STREAM_WINDOW_BYTES: u32 = 768 * 1024;

/// Maximum number of bytes that hyper buffers for sending on one HTTP/2 stream (Kestrel:
/// `MaxResponseBufferSize`).
const SEND_BUFFER_BYTES: usize = 64 * 1024;

/// Maximum time that a connection waits for a request (Kestrel: `KeepAliveTimeout`).
const KEEP_ALIVE_TIMEOUT: Duration = Duration::from_secs(130);

/// Maximum time for a request head, from its first byte (Kestrel: `RequestHeadersTimeout`). HTTP/2
/// needs it too: a peer in the middle of a head cannot answer pings.
const REQUEST_HEADERS_TIMEOUT: Duration = Duration::from_secs(30);

/// Maximum time that a closing connection waits for its peer.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(5);

/// Interval of keep-alive pings to HTTP/2 peers (Kestrel sends none by default).
const HTTP2_PING_INTERVAL: Duration = Duration::from_secs(30);

/// Returns a hyper builder with these limits and with WebSockets over HTTP/2.
pub(super) fn builder() -> auto::Builder<TokioExecutor> {
    let mut builder = auto::Builder::new(TokioExecutor::new());
    // The head timeout of hyper also runs between requests.
    builder.http1().header_read_timeout(None).max_buf_size(MAX_REQUEST_LINE_BYTES + MAX_HEADER_LIST_BYTES as usize);
    builder
        .http2()
        .timer(TokioTimer::new())
        .keep_alive_interval(HTTP2_PING_INTERVAL)
        .enable_connect_protocol()
        .max_header_list_size(MAX_HEADER_LIST_BYTES)
        .max_concurrent_streams(MAX_CONCURRENT_STREAMS)
        .initial_stream_window_size(STREAM_WINDOW_BYTES)
        .max_send_buf_size(SEND_BUFFER_BYTES);
    builder
}

/// Returns the maximum time that a connection stays in a phase without a request.
pub(super) fn idle_timeout(phase: Phase, is_closing: bool) -> Duration {
    match phase {
        Phase::Idle if is_closing => CLOSE_TIMEOUT,
        Phase::Idle => KEEP_ALIVE_TIMEOUT,
        Phase::Head => REQUEST_HEADERS_TIMEOUT,
    }
}

/// Returns the error response to a request that hyper accepts and Kestrel rejects. Over HTTP/1.1 it
/// closes the connection.
pub(super) fn check<B>(request: &Request<B>) -> Option<Response<ResponseBody>> {
    let rejection = if request_line_bytes(request) > MAX_REQUEST_LINE_BYTES {
        StatusCode::URI_TOO_LONG
    } else if request.headers().len() > MAX_HEADER_COUNT || header_bytes(request) > MAX_HEADER_LIST_BYTES as usize {
        StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE
    } else if !has_valid_host(request) {
        StatusCode::BAD_REQUEST
    } else {
        return None;
    };
    let mut response = status(rejection);
    response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
    Some(response)
}

/// Length of the request line, without the host of an absolute target.
fn request_line_bytes<B>(request: &Request<B>) -> usize {
    let target = request.uri().path_and_query().map_or("", PathAndQuery::as_str);
    request.method().as_str().len() + target.len() + "  HTTP/1.1\r\n".len()
}

fn header_bytes<B>(request: &Request<B>) -> usize {
    request.headers().iter().map(|(name, value)| name.as_str().len() + value.len() + ": \r\n".len()).sum()
}

/// HTTP/1.1 requires exactly one `Host` (RFC 9112 § 3.2); HTTP/2 has `:authority` instead.
fn has_valid_host<B>(request: &Request<B>) -> bool {
    let mut hosts = request.headers().get_all(HOST).iter();
    match (hosts.next(), hosts.next()) {
        (Some(host), None) => host.is_empty() || Authority::try_from(host.as_bytes()).is_ok(),
        (None, _) => request.version() != Version::HTTP_11,
        (Some(_), Some(_)) => false,
    }
}
