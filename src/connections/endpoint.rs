//! HTTP side of an endpoint: dispatches requests to negotiate and the transports.

use std::borrow::Cow;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_core::future::BoxFuture;
use http::header::{ACCEPT, CONTENT_TYPE, HeaderMap, HeaderValue};
use http::request::Parts;
use http::{Extensions, Method, Response, StatusCode};

use super::connection_table::ConnectionTable;
use super::http_connection::{HttpConnection, Limits, Unavailable};
use super::negotiate::{Negotiation, Offer, negotiate};
use super::negotiate_redirect::Redirector;
use super::refresh::{self, RefreshOptions};
use super::server_url::{EndpointUrl, strip_mark};
use super::transport_input::TransportInput;
use super::websocket::{AllowedOrigins, SubProtocolSelector};
use super::{Accept, Connection, ResponseBody, long_polling, post, sse, websocket};
use crate::auth::{self, IdentityBinding, RequestKind, User, UserIdProvider};
use crate::connection_info::{ConnectionId, ConnectionToken, RequestInfo};
use crate::connection_info::{TransportType, Transports, query};

/// Transport options of an endpoint.
#[derive(Clone, Debug)]
pub(crate) struct TransportOptions {
    pub(crate) transports: Transports,
    pub(crate) minimum_version: i32,
    pub(crate) allow_stateful_reconnects: bool,
    pub(crate) limits: Limits,
    pub(crate) poll_timeout: Duration,
    pub(crate) close_timeout: Duration,
    pub(crate) identity_binding: IdentityBinding,
    pub(crate) allowed_origins: AllowedOrigins,
    pub(crate) sub_protocol: Option<SubProtocolSelector>,
    pub(crate) redirector: Option<Redirector>,
    /// URL to which negotiate redirects, so that a connection stays with this server.
    pub(crate) url: Option<Arc<EndpointUrl>>,
    pub(crate) refresh: RefreshOptions,
}

/// Authenticated and authorized request to an endpoint.
pub(crate) struct AuthenticatedRequest {
    pub(crate) parts: Parts,
    /// Query without its access token and without the mark of a redirect to this server.
    pub(crate) query: Option<String>,
    pub(crate) user: User,
    pub(crate) peer_addr: Option<SocketAddr>,
    /// Request extensions of the host that are visible to the application.
    pub(crate) extensions: Extensions,
}

/// Response to a request: most are ready at once.
pub(crate) enum EndpointResponse {
    Ready(Response<ResponseBody>),
    Pending(BoxFuture<'static, Response<ResponseBody>>),
}

/// HTTP side of one endpoint.
pub(crate) struct Endpoint {
    pub(super) index: usize,
    pub(super) options: TransportOptions,
    user_id: UserIdProvider,
    pub(super) table: Arc<ConnectionTable>,
    pub(super) accept: Arc<dyn Accept>,
}

impl Endpoint {
    /// `index` identifies the endpoint in the connection table.
    pub(crate) fn new(
        index: usize,
        options: TransportOptions,
        user_id: UserIdProvider,
        table: Arc<ConnectionTable>,
        accept: Arc<dyn Accept>,
    ) -> Self {
        Self { index, options, user_id, table, accept }
    }

    /// Returns the longest duration of one write to a client.
    pub(crate) fn send_timeout(&self) -> Duration {
        self.options.limits.send_timeout
    }

    /// Whether this is a WebSocket request, to any path, from an origin that is not allowed.
    pub(crate) fn refuses_origin(&self, request: &Parts) -> bool {
        self.options.allowed_origins.refuse(request)
    }

    /// `POST {path}/negotiate` (`aspnet: HttpConnectionDispatcher.ExecuteNegotiateAsync`).
    pub(crate) fn negotiate(&self, exchange: &AuthenticatedRequest) -> Response<ResponseBody> {
        if exchange.parts.method != Method::POST {
            return plain(StatusCode::METHOD_NOT_ALLOWED, "");
        }
        if self.table.is_shutting_down() {
            return plain(StatusCode::SERVICE_UNAVAILABLE, "");
        }
        let offer = Offer {
            transports: self.options.transports,
            minimum_version: self.options.minimum_version,
            allow_stateful_reconnects: self.options.allow_stateful_reconnects,
        };
        let negotiation = negotiate(exchange.query.as_deref(), &offer);
        let ids = match &negotiation {
            Negotiation::Refused(_) => None,
            Negotiation::Accepted { version, stateful_reconnect } => {
                if let Some(body) = self.redirect(exchange, *version) {
                    return json(body);
                }
                let id = ConnectionId::random();
                let token = if *version > 0 { ConnectionToken::random() } else { ConnectionToken::from_id(id) };
                self.reserve((id, token), exchange, *stateful_reconnect);
                Some((id, token))
            }
        };
        let lifetime = self.credential(&exchange.user).lifetime().filter(|_| self.options.refresh.is_enabled);
        json(negotiation.response_body(ids, offer.transports, lifetime))
    }

    /// Returns the body of the redirect by the application, or else of that to this server; `None`
    /// without either.
    fn redirect(&self, exchange: &AuthenticatedRequest, version: i32) -> Option<Bytes> {
        let TransportOptions { redirector, url, .. } = &self.options;
        let by_application = redirector.as_ref().and_then(|to| to.redirect(&exchange.info(), &exchange.user));
        let redirect = by_application.or_else(|| {
            let url = url.as_ref()?;
            url.redirect(exchange.parts.uri.query().and_then(auth::strip_access_token).as_deref())
        })?;
        tracing::debug!(target: "signalr::connection", ?redirect, "negotiate redirected");
        Some(redirect.response_body(version))
    }

    /// Returns the part of a query that applications can read.
    pub(crate) fn application_query(&self, query: &str) -> Option<String> {
        let query = auth::strip_access_token(query)?;
        if self.options.url.is_some() { strip_mark(&query) } else { Some(query.into_owned()) }
    }

    /// Serves requests to the path itself (`aspnet: HttpConnectionDispatcher.ExecuteAsync`).
    pub(crate) fn execute<B>(self: &Arc<Self>, exchange: AuthenticatedRequest, body: B) -> EndpointResponse
    where
        B: http_body::Body + Send + 'static,
        B::Data: Send,
    {
        match classify_request(&exchange.parts) {
            RequestKind::ServerSentEvents => EndpointResponse::Ready(self.open_events(exchange)),
            RequestKind::WebSocket => self.open_websocket(exchange),
            RequestKind::Poll => self.poll(exchange),
            RequestKind::Send => self.send(&exchange, body),
            RequestKind::Delete => EndpointResponse::Ready(self.terminate(&exchange)),
            _ => EndpointResponse::Ready(plain(StatusCode::METHOD_NOT_ALLOWED, "")),
        }
    }

    fn open_websocket(self: &Arc<Self>, exchange: AuthenticatedRequest) -> EndpointResponse {
        if self.table.is_shutting_down() {
            return EndpointResponse::Ready(plain(StatusCode::SERVICE_UNAVAILABLE, ""));
        }
        let entry = match self.find(&exchange) {
            Ok(Some(entry)) => entry,
            Ok(None) => {
                let id = ConnectionId::random();
                self.reserve((id, ConnectionToken::from_id(id)), &exchange, false)
            }
            // ASP.NET Core sends this text without a content type.
            Err(UNKNOWN_ID) => return EndpointResponse::Ready(untyped(UNKNOWN_ID.0, UNKNOWN_ID.1)),
            Err(refusal) => return EndpointResponse::Ready(refusal.into()),
        };
        match self.bind(&entry, TransportType::WebSockets, &exchange.user) {
            Ok(()) => EndpointResponse::Ready(websocket::open(self, exchange, &entry)),
            Err(_) if entry.can_resume() => self.resume(exchange, entry),
            Err(refusal) => EndpointResponse::Ready(refusal.into()),
        }
    }

    fn resume(self: &Arc<Self>, exchange: AuthenticatedRequest, entry: Arc<HttpConnection>) -> EndpointResponse {
        let endpoint = Arc::clone(self);
        EndpointResponse::Pending(Box::pin(async move {
            match endpoint.renew(&entry, endpoint.credential(&exchange.user), &exchange, false).await {
                Ok(()) => websocket::resume(&endpoint, exchange, &entry),
                Err(refused) => {
                    // The application rejected the new credentials of the client.
                    entry.outbound.abort_transport();
                    refused.into()
                }
            }
        }))
    }

    fn open_events(self: &Arc<Self>, exchange: AuthenticatedRequest) -> Response<ResponseBody> {
        let opened = self.lookup(&exchange).and_then(|entry| {
            self.bind(&entry, TransportType::ServerSentEvents, &exchange.user)?;
            Ok(sse::open(self, exchange, entry))
        });
        opened.unwrap_or_else(Into::into)
    }

    fn poll(self: &Arc<Self>, exchange: AuthenticatedRequest) -> EndpointResponse {
        let found = self.lookup(&exchange).and_then(|entry| {
            match self.bind(&entry, TransportType::LongPolling, &exchange.user) {
                Ok(()) | Err(ACTIVE) => Ok(entry),
                Err(refusal) => Err(refusal),
            }
        });
        match found {
            Ok(entry) => {
                let endpoint = Arc::clone(self);
                EndpointResponse::Pending(Box::pin(
                    async move { no_cache(endpoint.answer_poll(exchange, entry).await) },
                ))
            }
            Err(refusal) => EndpointResponse::Ready(no_cache(refusal.into())),
        }
    }

    async fn answer_poll(
        self: Arc<Self>,
        exchange: AuthenticatedRequest,
        entry: Arc<HttpConnection>,
    ) -> Response<ResponseBody> {
        if let Err(refused) = self.renew(&entry, self.credential(&exchange.user), &exchange, false).await {
            // The application rejected the new credentials of the client.
            self.end(&entry);
            return refused.into();
        }
        if self.options.refresh.is_enabled && entry.is_running() && entry.is_expired() {
            return refresh::REQUIRED.into();
        }
        long_polling::poll(self, exchange, entry).await
    }

    fn send<B>(&self, exchange: &AuthenticatedRequest, body: B) -> EndpointResponse
    where
        B: http_body::Body + Send + 'static,
        B::Data: Send,
    {
        match self.lookup(exchange) {
            Ok(entry) if entry.transport() == Some(TransportType::WebSockets) => EndpointResponse::Ready(plain(
                StatusCode::METHOD_NOT_ALLOWED,
                "POST requests are not allowed for WebSocket connections.",
            )),
            Ok(entry) => EndpointResponse::Pending(Box::pin(post::send(entry, body))),
            Err(refusal) => EndpointResponse::Ready(refusal.into()),
        }
    }

    fn terminate(&self, exchange: &AuthenticatedRequest) -> Response<ResponseBody> {
        match self.lookup(exchange) {
            Ok(entry) if entry.transport() == Some(TransportType::LongPolling) => {
                self.end(&entry);
                plain(StatusCode::ACCEPTED, "")
            }
            Ok(_) => plain(StatusCode::BAD_REQUEST, "Cannot terminate this connection using the DELETE endpoint."),
            Err(refusal) => refusal.into(),
        }
    }

    /// Ends a long-polling connection.
    fn end(&self, entry: &HttpConnection) {
        if entry.terminate() {
            self.table.release(entry);
        }
    }

    fn lookup(&self, exchange: &AuthenticatedRequest) -> Result<Arc<HttpConnection>, HttpRejection> {
        self.find(exchange)?.ok_or(HttpRejection(StatusCode::BAD_REQUEST, "Connection ID required"))
    }

    /// Finds the connection whose token the request carries. Returns `None` without a token.
    fn find(&self, exchange: &AuthenticatedRequest) -> Result<Option<Arc<HttpConnection>>, HttpRejection> {
        let Some(token) = connection_token(exchange.query.as_deref()) else { return Ok(None) };
        let entry = self.table.find(self.index, &token).ok_or(UNKNOWN_ID)?;
        if !self.is_owner(&entry, &exchange.user) {
            tracing::warn!(target: "signalr::connection", connection = %entry.id, "request user does not match connection user");
            if self.options.identity_binding == IdentityBinding::Strict {
                return Err(HttpRejection(StatusCode::FORBIDDEN, ""));
            }
        }
        Ok(Some(entry))
    }

    /// Whether the connection belongs to the user. The caller holds no lock, because the user id
    /// provider is code of the application.
    pub(super) fn is_owner(&self, entry: &HttpConnection, user: &User) -> bool {
        self.user_id.is_same(&entry.owner(), user)
    }

    /// `aspnet: HttpConnectionDispatcher.EnsureConnectionState`.
    fn bind(&self, entry: &HttpConnection, transport: TransportType, user: &User) -> Result<(), HttpRejection> {
        if !self.options.transports.contains(transport) {
            return Err(not_offered(transport));
        }
        entry.bind(transport, self.credential(user)).map_err(|unavailable| match unavailable {
            Unavailable::Bound(bound) if bound == transport => ACTIVE,
            Unavailable::Bound(_) => CHANGED_TRANSPORT,
            Unavailable::Gone => UNKNOWN_ID,
        })
    }

    fn reserve(
        &self,
        ids: (ConnectionId, ConnectionToken),
        exchange: &AuthenticatedRequest,
        stateful: bool,
    ) -> Arc<HttpConnection> {
        let credential = self.credential(&exchange.user);
        self.table.reserve(self.index, ids, credential, self.options.limits, stateful)
    }
}

impl AuthenticatedRequest {
    /// Returns the part of the request that applications can read.
    pub(super) fn info(&self) -> RequestInfo {
        RequestInfo::new(&self.parts, self.query.as_deref(), self.peer_addr, self.extensions.clone())
    }

    /// Returns the connection that this request opens, whose input is sent by POST.
    pub(super) fn into_connection(self, transport: TransportType, entry: &Arc<HttpConnection>) -> Connection {
        Connection {
            id: entry.id,
            transport,
            request: Arc::new(self.info()),
            incoming: TransportInput::posts(Arc::clone(entry)),
            outbound: Arc::clone(&entry.outbound),
            entry: Arc::clone(entry),
        }
    }
}

/// Rejection of a request, with a plain text body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct HttpRejection(StatusCode, &'static str);

impl From<HttpRejection> for Response<ResponseBody> {
    fn from(HttpRejection(status, text): HttpRejection) -> Self {
        plain(status, text)
    }
}

const UNKNOWN_ID: HttpRejection = HttpRejection(StatusCode::NOT_FOUND, "No Connection with that ID");
const ACTIVE: HttpRejection = HttpRejection(StatusCode::CONFLICT, "");
const CHANGED_TRANSPORT: HttpRejection =
    HttpRejection(StatusCode::BAD_REQUEST, "Cannot change transports mid-connection");

/// Returns the connection token of a query.
pub(super) fn connection_token(query: Option<&str>) -> Option<Cow<'_, str>> {
    query::value(query, "id").filter(|id| !id.is_empty())
}

/// Classifies a request to the path itself.
pub(crate) fn classify_request(request: &Parts) -> RequestKind {
    match request.method {
        Method::GET if accepts_event_stream(&request.headers) => RequestKind::ServerSentEvents,
        Method::GET | Method::CONNECT if websocket::is_websocket_request(request) => RequestKind::WebSocket,
        Method::GET => RequestKind::Poll,
        Method::POST => RequestKind::Send,
        Method::DELETE => RequestKind::Delete,
        _ => RequestKind::Other,
    }
}

/// Whether a request opens a connection without negotiate.
#[cfg(feature = "rate-limit")]
pub(crate) fn is_unnegotiated(parts: &Parts) -> bool {
    connection_token(parts.uri.query()).is_none() && websocket::is_websocket_request(parts)
}

/// Only `text/event-stream` without parameters requests Server-Sent Events
/// (`aspnet: MediaTypeHeaderValue.Equals`).
fn accepts_event_stream(headers: &HeaderMap) -> bool {
    let values = headers.get_all(ACCEPT).iter().filter_map(|value| value.to_str().ok());
    values.flat_map(|value| value.split(',')).any(|range| range.trim().eq_ignore_ascii_case("text/event-stream"))
}

pub(super) fn plain(status: StatusCode, text: &'static str) -> Response<ResponseBody> {
    let mut response = untyped(status, text);
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("text/plain"));
    response
}

pub(super) fn untyped(status: StatusCode, text: &'static str) -> Response<ResponseBody> {
    let mut response = Response::new(ResponseBody::from(text));
    *response.status_mut() = status;
    response
}

pub(super) fn json(body: Bytes) -> Response<ResponseBody> {
    let mut response = Response::new(ResponseBody::from(body));
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

fn not_offered(transport: TransportType) -> HttpRejection {
    let text = match transport {
        TransportType::WebSockets => "WebSockets transport not supported by this end point type",
        TransportType::ServerSentEvents => "ServerSentEvents transport not supported by this end point type",
        TransportType::LongPolling => "LongPolling transport not supported by this end point type",
    };
    HttpRejection(StatusCode::NOT_FOUND, text)
}

/// Disables caching of the response to a poll.
fn no_cache(mut response: Response<ResponseBody>) -> Response<ResponseBody> {
    let headers = response.headers_mut();
    headers.insert(http::header::CACHE_CONTROL, HeaderValue::from_static("no-cache, no-store"));
    headers.insert(http::header::PRAGMA, HeaderValue::from_static("no-cache"));
    headers.insert(http::header::EXPIRES, HeaderValue::from_static("Thu, 01 Jan 1970 00:00:00 GMT"));
    response
}
