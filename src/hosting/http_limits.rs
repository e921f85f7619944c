//! What one HTTP connection of [`SignalR::serve`](crate::SignalR::serve) may ask for: Kestrel's limits, and its answers to
//! who goes beyond them.

use std::time::Duration;

use http::header::{CONNECTION, HOST, HeaderValue};
use http::uri::{Authority, PathAndQuery};
use http::{Request, Response, StatusCode, Version};
use hyper_util::rt::{TokioExecutor, TokioTimer};
use hyper_util::server::conn::auto;

use super::router::status;
use crate::connections::ResponseBody;
use crate::socket::Phase;

/// The longest request line, line end included (Kestrel: `MaxRequestLineSize`).
const MAX_REQUEST_LINE_BYTES: usize = 8 * 1024;

/// All header lines together (Kestrel: `MaxRequestHeadersTotalSize`).
const MAX_HEADER_LIST_BYTES: u32 = 32 * 1024;

/// How many header lines there may be, as in hyper over HTTP/1.1 (Kestrel: `MaxRequestHeaderCount`).
const MAX_HEADER_COUNT: usize = 100;

/// Requests at once on one connection of HTTP/2, WebSockets among them (Kestrel: `Http2Limits.MaxStreamsPerConnection`).
const MAX_CONCURRENT_STREAMS: u32 = 100;

/// What one of them may send before it is read, out of hyper's 1 MiB for all: one that is not read must not hold up the
/// others (Kestrel: `Http2Limits.InitialStreamWindowSize`).
const STREAM_WINDOW_BYTES: u32 = 768 * 1024;

/// What waits in hyper to be sent on one of them (Kestrel: `MaxResponseBufferSize`).
const SEND_BUFFER_BYTES: usize = 64 * 1024;

/// How long a connection may wait for a request (Kestrel: `KeepAliveTimeout`).
const KEEP_ALIVE_TIMEOUT: Duration = Duration::from_secs(130);

/// How long a request head may take from its first byte (Kestrel: `RequestHeadersTimeout`). Over HTTP/2 a peer within a head
/// answers no pings.
const REQUEST_HEADERS_TIMEOUT: Duration = Duration::from_secs(30);

/// How long a connection that is closing may wait for its peer.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(5);

/// How often peers of HTTP/2 are asked whether they are still there (Kestrel asks nobody unless told to).
const HTTP2_PING_INTERVAL: Duration = Duration::from_secs(30);

/// hyper with these limits, and with WebSockets over HTTP/2.
pub(super) fn builder() -> auto::Builder<TokioExecutor> {
    let mut builder = auto::Builder::new(TokioExecutor::new());
    // hyper's timeout for heads runs between requests, too.
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

/// How long a connection may be in a phase without a request.
pub(super) fn idle_timeout(phase: Phase, is_closing: bool) -> Duration {
    match phase {
        Phase::Idle if is_closing => CLOSE_TIMEOUT,
        Phase::Idle => KEEP_ALIVE_TIMEOUT,
        Phase::Head => REQUEST_HEADERS_TIMEOUT,
    }
}

/// The answer to a request that hyper lets pass and Kestrel does not; it is the last one over HTTP/1.1.
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

/// The host of an absolute target left out.
fn request_line_bytes<B>(request: &Request<B>) -> usize {
    let target = request.uri().path_and_query().map_or("", PathAndQuery::as_str);
    request.method().as_str().len() + target.len() + "  HTTP/1.1\r\n".len()
}

fn header_bytes<B>(request: &Request<B>) -> usize {
    request.headers().iter().map(|(name, value)| name.as_str().len() + value.len() + ": \r\n".len()).sum()
}

/// Over HTTP/1.1 one `Host` must be there (RFC 9112 § 3.2); HTTP/2 has another place for it.
fn has_valid_host<B>(request: &Request<B>) -> bool {
    let mut hosts = request.headers().get_all(HOST).iter();
    match (hosts.next(), hosts.next()) {
        (Some(host), None) => host.is_empty() || Authority::try_from(host.as_bytes()).is_ok(),
        (None, _) => request.version() != Version::HTTP_11,
        (Some(_), Some(_)) => false,
    }
}
