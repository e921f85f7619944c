//! One hub path: negotiate, and which request becomes which transport.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::{ACCEPT, CONTENT_TYPE, HeaderMap, HeaderValue};
use http::request::Parts;
use http::{Method, Response, StatusCode};

use super::negotiate::{Negotiation, Offer, negotiate};
use super::table::{Entry, Table};
use super::{Accept, Body, websocket};
use crate::auth::User;
use crate::origin::{ConnectionId, ConnectionToken};
use crate::origin::{TransportType, Transports, query};

/// What an endpoint lets its transports do.
#[derive(Clone, Debug)]
pub(crate) struct TransportOptions {
    pub(crate) transports: Transports,
    pub(crate) minimum_version: i32,
    pub(crate) max_buffer_size: usize,
    pub(crate) send_timeout: Duration,
    pub(crate) close_timeout: Duration,
}

/// One request to an endpoint, authenticated and authorized.
pub(crate) struct Exchange {
    pub(crate) parts: Parts,
    /// The query without its access token.
    pub(crate) query: Option<String>,
    pub(crate) user: User,
    pub(crate) peer_addr: Option<SocketAddr>,
}

/// The HTTP side of one hub path.
pub(crate) struct Endpoint {
    pub(super) index: usize,
    pub(super) options: TransportOptions,
    pub(super) table: Arc<Table>,
    pub(super) accept: Arc<dyn Accept>,
}

impl Endpoint {
    /// `index` tells the endpoints of one table apart.
    pub(crate) fn new(index: usize, options: TransportOptions, table: Arc<Table>, accept: Arc<dyn Accept>) -> Self {
        Self { index, options, table, accept }
    }

    /// `POST {path}/negotiate` (`aspnet: HttpConnectionDispatcher.ExecuteNegotiateAsync`).
    pub(crate) fn negotiate(&self, exchange: &Exchange) -> Response<Body> {
        if exchange.parts.method != Method::POST {
            return plain(StatusCode::METHOD_NOT_ALLOWED, "");
        }
        if self.table.is_refusing() {
            return plain(StatusCode::SERVICE_UNAVAILABLE, "");
        }
        let offer = Offer {
            transports: self.options.transports,
            minimum_version: self.options.minimum_version,
            // Taken up together with the replay that it promises.
            allow_stateful_reconnects: false,
        };
        let negotiation = negotiate(exchange.query.as_deref(), &offer);
        let ids = match &negotiation {
            Negotiation::Refused(_) => None,
            Negotiation::Accepted { version, .. } => {
                let id = ConnectionId::random();
                let token = if *version > 0 { ConnectionToken::random() } else { ConnectionToken::from_id(id) };
                self.reserve(id, token);
                Some((id, token))
            }
        };
        json(negotiation.response_body(ids, offer.transports))
    }

    /// Everything at the path itself (`aspnet: HttpConnectionDispatcher.ExecuteAsync`).
    pub(crate) fn execute(self: &Arc<Self>, exchange: Exchange) -> Response<Body> {
        match exchange.parts.method {
            Method::GET if accepts_event_stream(&exchange.parts.headers) => {
                self.open_http(&exchange, TransportType::ServerSentEvents)
            }
            Method::GET if websocket::is_websocket_request(&exchange.parts) => self.open_websocket(exchange),
            Method::GET => no_cache(self.open_http(&exchange, TransportType::LongPolling)),
            Method::POST => self.send(&exchange),
            Method::DELETE => self.terminate(&exchange),
            _ => plain(StatusCode::METHOD_NOT_ALLOWED, ""),
        }
    }

    fn open_websocket(self: &Arc<Self>, exchange: Exchange) -> Response<Body> {
        if self.table.is_refusing() {
            return plain(StatusCode::SERVICE_UNAVAILABLE, "");
        }
        let entry = match query::value(exchange.query.as_deref(), "id").filter(|id| !id.is_empty()) {
            Some(token) => match self.table.find(self.index, &token) {
                Some(entry) => entry,
                None => return untyped(StatusCode::NOT_FOUND, UNKNOWN_ID),
            },
            None => {
                let id = ConnectionId::random();
                self.reserve(id, ConnectionToken::from_id(id))
            }
        };
        match self.bind(&entry, TransportType::WebSockets) {
            Ok(()) => websocket::open(self, exchange, &entry),
            Err(refusal) => refusal.into(),
        }
    }

    /// Server-sent events and long polling: the checks that ASP.NET makes first, then what is not there yet.
    fn open_http(&self, exchange: &Exchange, transport: TransportType) -> Response<Body> {
        let entry = match self.lookup(exchange) {
            Ok(entry) => entry,
            Err(refusal) => return refusal.into(),
        };
        if !self.options.transports.contains(transport) {
            return not_offered(transport).into();
        }
        match entry.transport() {
            Some(bound) if bound != transport => CHANGED_TRANSPORT.into(),
            _ => not_there_yet(),
        }
    }

    fn send(&self, exchange: &Exchange) -> Response<Body> {
        match self.lookup(exchange) {
            Ok(entry) if entry.transport() == Some(TransportType::WebSockets) => {
                plain(StatusCode::METHOD_NOT_ALLOWED, "POST requests are not allowed for WebSocket connections.")
            }
            Ok(_) => not_there_yet(),
            Err(refusal) => refusal.into(),
        }
    }

    fn terminate(&self, exchange: &Exchange) -> Response<Body> {
        match self.lookup(exchange) {
            Ok(_) => plain(StatusCode::BAD_REQUEST, "Cannot terminate this connection using the DELETE endpoint."),
            Err(refusal) => refusal.into(),
        }
    }

    fn lookup(&self, exchange: &Exchange) -> Result<Arc<Entry>, Refusal> {
        let Some(token) = query::value(exchange.query.as_deref(), "id").filter(|id| !id.is_empty()) else {
            return Err(Refusal(StatusCode::BAD_REQUEST, "Connection ID required"));
        };
        self.table.find(self.index, &token).ok_or(Refusal(StatusCode::NOT_FOUND, UNKNOWN_ID))
    }

    /// `aspnet: HttpConnectionDispatcher.EnsureConnectionState`.
    fn bind(&self, entry: &Entry, transport: TransportType) -> Result<(), Refusal> {
        if !self.options.transports.contains(transport) {
            return Err(not_offered(transport));
        }
        entry.bind(transport).map_err(|bound| match bound == transport {
            true => Refusal(StatusCode::CONFLICT, ""),
            false => CHANGED_TRANSPORT,
        })
    }

    fn reserve(&self, id: ConnectionId, token: ConnectionToken) -> Arc<Entry> {
        self.table.reserve(self.index, id, token, (self.options.max_buffer_size, self.options.send_timeout))
    }
}

/// Why a request gets no further, as plain text.
#[derive(Clone, Copy, Debug)]
struct Refusal(StatusCode, &'static str);

impl From<Refusal> for Response<Body> {
    fn from(Refusal(status, text): Refusal) -> Self {
        plain(status, text)
    }
}

const UNKNOWN_ID: &str = "No Connection with that ID";
const CHANGED_TRANSPORT: Refusal = Refusal(StatusCode::BAD_REQUEST, "Cannot change transports mid-connection");

/// Whether a request opens a WebSocket or a stream of events, where browsers cannot set a header.
pub(crate) fn is_stream(parts: &Parts) -> bool {
    parts.method == Method::GET && (accepts_event_stream(&parts.headers) || websocket::is_websocket_request(parts))
}

/// Only `text/event-stream` without parameters asks for events (`aspnet: MediaTypeHeaderValue.Equals`).
fn accepts_event_stream(headers: &HeaderMap) -> bool {
    let values = headers.get_all(ACCEPT).iter().filter_map(|value| value.to_str().ok());
    values.flat_map(|value| value.split(',')).any(|range| range.trim().eq_ignore_ascii_case("text/event-stream"))
}

fn plain(status: StatusCode, text: &'static str) -> Response<Body> {
    let mut response = untyped(status, text);
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("text/plain"));
    response
}

fn untyped(status: StatusCode, text: &'static str) -> Response<Body> {
    let mut response = Response::new(Body::from(text));
    *response.status_mut() = status;
    response
}

fn json(body: Bytes) -> Response<Body> {
    let mut response = Response::new(Body::from(body));
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

fn not_offered(transport: TransportType) -> Refusal {
    let text = match transport {
        TransportType::WebSockets => "WebSockets transport not supported by this end point type",
        TransportType::ServerSentEvents => "ServerSentEvents transport not supported by this end point type",
        TransportType::LongPolling => "LongPolling transport not supported by this end point type",
    };
    Refusal(StatusCode::NOT_FOUND, text)
}

fn not_there_yet() -> Response<Body> {
    plain(StatusCode::NOT_IMPLEMENTED, "This server carries hubs over WebSockets only.")
}

/// Every answer to a poll forbids caching.
fn no_cache(mut response: Response<Body>) -> Response<Body> {
    let headers = response.headers_mut();
    headers.insert(http::header::CACHE_CONTROL, HeaderValue::from_static("no-cache, no-store"));
    headers.insert(http::header::PRAGMA, HeaderValue::from_static("no-cache"));
    headers.insert(http::header::EXPIRES, HeaderValue::from_static("Thu, 01 Jan 1970 00:00:00 GMT"));
    response
}
