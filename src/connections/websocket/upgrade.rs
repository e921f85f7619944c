//! Upgrade of a request to a WebSocket, and the task that serves it.

use std::future::poll_fn;
use std::sync::Arc;
use std::task::ready;

use http::header::{HeaderMap, HeaderValue, SEC_WEBSOCKET_KEY, SEC_WEBSOCKET_PROTOCOL, SEC_WEBSOCKET_VERSION};
use http::{Method, Request, Response, StatusCode};
use hyper::upgrade::{OnUpgrade, Upgraded};
use hyper_tungstenite::tungstenite::error::ProtocolError;
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

use super::super::connection_guard::ConnectionGuard;
use super::super::endpoint::{AuthenticatedRequest, Endpoint, untyped};
use super::super::http_connection::HttpConnection;
use super::super::transport_input::{Read, TransportInput};
use super::super::{Completed, Connection, ResponseBody};
use super::frame_reader::{FrameReader, INTERNAL_ERROR, NORMAL_CLOSURE, SocketSource, close};
use crate::connection_info::{RequestInfo, TransportType};
use crate::outbound::Outbound;
use crate::socket::{SocketHandle, TimeoutStream};

/// Accepts the upgrade and spawns the task of the connection.
pub(crate) fn open(
    endpoint: &Arc<Endpoint>,
    exchange: AuthenticatedRequest,
    entry: &Arc<HttpConnection>,
) -> Response<ResponseBody> {
    // Removes the connection from the table on every return path.
    let held = ConnectionGuard::new(endpoint, entry);
    match upgrade(endpoint, exchange) {
        Some(Upgrade { response, socket, request, carrier }) => {
            entry.set_socket(carrier);
            endpoint.table.spawn(serve(held, socket, request));
            response
        }
        None => bad_request(),
    }
}

/// Accepted upgrade; the socket resolves when the response is sent.
pub(super) struct Upgrade {
    pub(super) response: Response<ResponseBody>,
    pub(super) socket: OnUpgrade,
    pub(super) request: Arc<RequestInfo>,
    /// TCP socket under a stream of HTTP/2.
    pub(super) carrier: Option<SocketHandle>,
}

/// Accepts the upgrade. Returns `None` if the request cannot be upgraded.
pub(super) fn upgrade(endpoint: &Endpoint, exchange: AuthenticatedRequest) -> Option<Upgrade> {
    let protocol = endpoint.options.sub_protocol.as_ref().and_then(|selector| selector.select(&exchange.parts.headers));
    let info = Arc::new(exchange.info());
    let carrier = exchange.parts.extensions.get().filter(|_| exchange.parts.method == Method::CONNECT).cloned();
    match switch(Request::from_parts(exchange.parts, ())) {
        Ok((mut response, socket)) => {
            if let Some(protocol) = protocol {
                response.headers_mut().insert(SEC_WEBSOCKET_PROTOCOL, protocol);
            }
            Some(Upgrade { response, socket, request: info, carrier })
        }
        Err(error) => {
            tracing::debug!(target: "signalr::connection", %error, "WebSocket upgrade failed");
            None
        }
    }
}

pub(super) fn bad_request() -> Response<ResponseBody> {
    untyped(StatusCode::BAD_REQUEST, "")
}

/// Returns the response to a valid request, and the future of its socket. Over HTTP/2 the response
/// is 200 without an accept key, and the stream becomes the WebSocket (RFC 8441 § 5).
fn switch(mut request: Request<()>) -> Result<(Response<ResponseBody>, OnUpgrade), ProtocolError> {
    let socket = hyper::upgrade::on(&mut request);
    if request.method() == Method::CONNECT {
        return Ok((Response::new(ResponseBody::default()), socket));
    }
    collapse_header_lines(request.headers_mut());
    // The tungstenite stream is discarded: this module reads and writes the upgraded socket itself.
    let (response, _) = hyper_tungstenite::upgrade(&mut request, None)?;
    Ok((response.map(|_| ResponseBody::default()), socket))
}

/// Reduces headers to the line that was validated. `is_websocket_request` accepts lists, as ASP.NET
/// Core does; `hyper_tungstenite` reads only the first line.
fn collapse_header_lines(headers: &mut HeaderMap) {
    headers.insert(SEC_WEBSOCKET_VERSION, HeaderValue::from_static("13"));
    if let Some(key) = headers.get_all(SEC_WEBSOCKET_KEY).iter().find(|key| !key.is_empty()).cloned() {
        headers.insert(SEC_WEBSOCKET_KEY, key);
    }
}

async fn serve(held: ConnectionGuard, socket: OnUpgrade, request: Arc<RequestInfo>) {
    let (endpoint, entry) = (held.endpoint(), held.entry());
    let outbound = Arc::clone(&entry.outbound);
    let upgraded = match socket.await {
        Ok(upgraded) => upgraded,
        Err(error) => {
            tracing::debug!(target: "signalr::connection", connection = %entry.id, %error, "WebSocket upgrade failed");
            return;
        }
    };
    let connection = Connection {
        id: entry.id,
        transport: TransportType::WebSockets,
        request,
        incoming: TransportInput::websocket(
            FrameReader::new(attach(upgraded, &outbound), Arc::clone(&outbound)),
            entry.take_early(),
        ),
        outbound: Arc::clone(&outbound),
        entry: Arc::clone(entry),
    };
    let served = endpoint.accept.accept(connection).await;
    // On the heap: the future would otherwise enlarge the task for the lifetime of the connection.
    Box::pin(close_socket(endpoint, entry, served)).await;
    outbound.abort_transport();
}

/// Sends the close frame and waits for that of the client, for at most `close_timeout`.
async fn close_socket(endpoint: &Endpoint, entry: &HttpConnection, mut served: Completed) {
    let (outbound, close_timeout) = (&entry.outbound, endpoint.options.close_timeout);
    outbound.finish(&close(if served.failed { INTERNAL_ERROR } else { NORMAL_CLOSURE }));
    let closed = poll_fn(|cx| {
        ready!(outbound.poll_drained(cx));
        // Bytes in front of the client's close frame are dropped. A client that was aborted sends
        // none.
        while !outbound.is_broken() {
            if let Read::End(_) = ready!(served.incoming.poll_read(cx, &mut |_, _| {})) {
                break;
            }
        }
        outbound.poll_shutdown(cx)
    });
    let is_late = tokio::time::timeout(close_timeout, closed).await.is_err();
    // A stream of HTTP/2 closes when its last bytes are sent.
    if is_late && entry.has_socket() {
        let closed = tokio::time::timeout(close_timeout, poll_fn(|cx| outbound.poll_shutdown(cx))).await;
        if closed.is_err() {
            entry.abort_socket();
        }
    }
}

/// Splits the upgraded connection and attaches its writing half to the queue. A plain TCP socket is
/// unwrapped, so that broadcasts write to it directly.
pub(super) fn attach(upgraded: Upgraded, outbound: &Outbound) -> (SocketSource, Vec<u8>) {
    match into_tcp(upgraded) {
        Ok((socket, early)) => {
            // The queue merges small writes, so Nagle's algorithm would only add latency.
            if let Err(error) = socket.set_nodelay(true) {
                tracing::debug!(target: "signalr::connection", %error, "setting TCP_NODELAY failed");
            }
            let (reader, writer) = socket.into_split();
            outbound.attach_tcp(writer);
            (SocketSource::Tcp(reader), early)
        }
        Err(upgraded) => {
            let (reader, writer) = tokio::io::split(TokioIo::new(upgraded));
            outbound.attach(Box::new(writer));
            (SocketSource::Other(Box::new(reader)), Vec::new())
        }
    }
}

/// Returns the TCP socket of a connection of `hyper` or of the `auto` builder of `hyper-util`
/// (which axum uses), and the bytes that hyper has read ahead. The bytes are copied, because they
/// would keep the 8 KiB read buffer of hyper alive.
fn into_tcp(upgraded: Upgraded) -> Result<(TcpStream, Vec<u8>), Upgraded> {
    let upgraded = match into_io::<TcpStream>(upgraded) {
        Ok(found) => return Ok(found),
        Err(upgraded) => upgraded,
    };
    into_io::<TimeoutStream<TcpStream>>(upgraded).map(|(io, early)| (io.into_inner(), early))
}

fn into_io<T: 'static>(upgraded: Upgraded) -> Result<(T, Vec<u8>), Upgraded>
where
    TokioIo<T>: hyper::rt::Read + hyper::rt::Write + Unpin,
{
    let upgraded = match upgraded.downcast::<TokioIo<T>>() {
        Ok(parts) => return Ok((parts.io.into_inner(), parts.read_buf.to_vec())),
        Err(upgraded) => upgraded,
    };
    let parts = hyper_util::server::conn::auto::upgrade::downcast::<TokioIo<T>>(upgraded)?;
    Ok((parts.io.into_inner(), parts.read_buf.to_vec()))
}
