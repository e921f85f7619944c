//! Requests as authentication sees them, and the place of the token.

use std::borrow::Cow;
use std::fmt;
use std::net::SocketAddr;

use http::header::{AUTHORIZATION, COOKIE};
use http::request::Parts;
use http::{Extensions, HeaderMap, Method};
use percent_encoding::percent_decode_str;

use super::redact::{decode_query, is_access_token};
use crate::connection_info::query;
use crate::ordinal;

/// Request to an endpoint before it is authenticated, for an [`Authenticator`](super::Authenticator)
/// (C#: `HttpContext` of an `AuthenticationHandler`).
///
/// ```
/// use signalr::auth::AuthRequest;
///
/// fn tenant<'a>(request: &'a AuthRequest<'_>) -> Option<&'a str> {
///     request.headers().get("x-tenant")?.to_str().ok()
/// }
/// ```
#[derive(Clone, Copy)]
pub struct AuthRequest<'a> {
    pub(super) method: &'a Method,
    pub(super) path: &'a str,
    pub(super) query: Option<&'a str>,
    pub(super) headers: &'a HeaderMap,
    pub(super) extensions: &'a Extensions,
    pub(super) peer_addr: Option<SocketAddr>,
    pub(super) kind: RequestKind,
}

/// Purpose of a request to an endpoint.
///
/// ```
/// use signalr::auth::{AuthRequest, RequestKind};
///
/// /// Browsers cannot set headers on these requests.
/// fn has_no_headers(request: &AuthRequest<'_>) -> bool {
///     matches!(request.kind(), RequestKind::WebSocket | RequestKind::ServerSentEvents)
/// }
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum RequestKind {
    /// `POST {path}/negotiate`.
    Negotiate,
    /// Opens a WebSocket.
    WebSocket,
    /// Opens a stream of server-sent events.
    ServerSentEvents,
    /// Polls for messages.
    Poll,
    /// Posts messages.
    Send,
    /// Closes a long-polling connection.
    Delete,
    /// `POST {path}/refresh`: new credentials for an open connection.
    Refresh,
    /// Another HTTP method, which is rejected after authorization.
    Other,
}

impl RequestKind {
    /// Whether it opens a WebSocket or an event stream, on which browsers cannot set headers.
    pub(crate) fn is_stream(self) -> bool {
        matches!(self, Self::WebSocket | Self::ServerSentEvents)
    }
}

/// Requests whose query parameter `access_token` is read.
///
/// Browsers cannot set headers on WebSockets and server-sent events, so SignalR's clients put the token there. In C#
/// every application writes the rule itself, in `OnMessageReceived`.
///
/// ```
/// use signalr::auth::{JwtBearer, QueryToken};
///
/// let bearer = JwtBearer::hmac("a secret of at least thirty-two bytes").query_token(QueryToken::under("/hubs"));
/// # let _ = bearer;
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum QueryToken {
    /// Every request to an endpoint.
    #[default]
    HubPaths,
    /// Requests under this path, compared by whole segments and without case (C#:
    /// `StartsWithSegments("/hubs")`).
    Under(Cow<'static, str>),
    /// WebSockets and server-sent events, on which browsers cannot set headers.
    UpgradesOnly,
    /// No request. Browsers then authenticate over long polling only.
    Never,
}

impl QueryToken {
    /// Requests under this path; see [`QueryToken::Under`].
    pub fn under(path: impl Into<Cow<'static, str>>) -> Self {
        Self::Under(path.into())
    }

    fn allows(&self, request: &AuthRequest<'_>) -> bool {
        match self {
            Self::HubPaths => true,
            Self::Under(prefix) => starts_with_segments(request.path, prefix),
            Self::UpgradesOnly => request.kind.is_stream(),
            Self::Never => false,
        }
    }
}

impl<'a> AuthRequest<'a> {
    /// Creates a request from the head of an HTTP request, for tests of an authenticator and for other
    /// routes of the application. It has no peer address; see [`with_peer_addr`](Self::with_peer_addr).
    pub fn new(request: &'a Parts, kind: RequestKind) -> Self {
        Self {
            method: &request.method,
            path: request.uri.path(),
            query: request.uri.query(),
            headers: &request.headers,
            extensions: &request.extensions,
            peer_addr: None,
            kind,
        }
    }

    /// Sets the address of the peer.
    pub fn with_peer_addr(self, peer_addr: Option<SocketAddr>) -> Self {
        Self { peer_addr, ..self }
    }

    /// Purpose of the request.
    pub fn kind(&self) -> RequestKind {
        self.kind
    }

    /// HTTP method.
    pub fn method(&self) -> &'a Method {
        self.method
    }

    /// Path as it was sent, with percent-encoding.
    pub fn path(&self) -> &'a str {
        self.path
    }

    /// Decoded value of a query parameter, also of secrets such as `access_token` (C#:
    /// `Request.Query[name].ToString()`). The name ignores case; several values are joined with `,`.
    pub fn query(&self, name: &str) -> Option<Cow<'a, str>> {
        query::value(self.query, name)
    }

    /// All headers.
    pub fn headers(&self) -> &'a HeaderMap {
        self.headers
    }

    /// Decoded value of a cookie (C#: `Request.Cookies[name]`). The name ignores case; the last of several
    /// cookies with one name is returned.
    pub fn cookie(&self, name: &str) -> Option<Cow<'a, str>> {
        let lines = self.headers.get_all(COOKIE).iter().map(|line| String::from_utf8_lossy(line.as_bytes()));
        query::cookie(lines, name)
    }

    /// Address of the client, or of the proxy in front of the server. `None` if the host does not set it;
    /// see [`Builder::peer_addr`](crate::hosting::Builder::peer_addr).
    pub fn peer_addr(&self) -> Option<SocketAddr> {
        self.peer_addr
    }

    /// Extension of the request that the host has set, such as the user of a middleware or the certificate
    /// of the client (C#: `HttpContext.Features`, `HttpContext.Items`).
    pub fn extension<T: Send + Sync + 'static>(&self) -> Option<&'a T> {
        self.extensions.get()
    }

    /// Token of the request, from the query or else the header; the other way round if `header_first`.
    pub(super) fn token(&self, query_token: &QueryToken, header_first: bool) -> Option<Cow<'a, str>> {
        let query = || {
            if query_token.allows(self) { self.query_token() } else { None }
        };
        if header_first { self.header_token().or_else(query) } else { query().or_else(|| self.header_token()) }
    }

    /// Several values are joined with commas, so that two tokens are no valid token. Empty values are
    /// ignored.
    fn query_token(&self) -> Option<Cow<'a, str>> {
        let pairs = self.query?.split('&').map(|pair| pair.split_once('=').unwrap_or((pair, "")));
        join(pairs.filter(|(name, _)| is_access_token(name)).map(|(_, value)| decode_query(value)))
    }

    /// aspnet: JwtBearerHandler.cs, `HandleAuthenticateAsync`.
    fn header_token(&self) -> Option<Cow<'a, str>> {
        let lines = self.headers.get_all(AUTHORIZATION).iter().map(|line| String::from_utf8_lossy(line.as_bytes()));
        match join(lines)? {
            Cow::Borrowed(line) => bearer(line).map(Cow::Borrowed),
            Cow::Owned(line) => bearer(&line).map(|token| Cow::Owned(token.to_owned())),
        }
    }
}

fn bearer(header: &str) -> Option<&str> {
    let (scheme, rest) = header.split_at_checked(SCHEME.len())?;
    let token = rest.trim();
    (scheme.eq_ignore_ascii_case(SCHEME) && !token.is_empty()).then_some(token)
}

/// .NET's `StringValues.ToString()`.
fn join<'a>(values: impl Iterator<Item = Cow<'a, str>>) -> Option<Cow<'a, str>> {
    values.filter(|value| !value.is_empty()).reduce(|mut joined, value| {
        let text = joined.to_mut();
        text.push(',');
        text.push_str(&value);
        joined
    })
}

/// aspnet: PathString.cs, `StartsWithSegments`.
fn starts_with_segments(path: &str, prefix: &str) -> bool {
    let path = percent_decode_str(path).decode_utf8_lossy();
    let prefix = prefix.trim_end_matches('/');
    let path = path.strip_prefix('/').unwrap_or(&path);
    let prefix = prefix.strip_prefix('/').unwrap_or(prefix);
    if prefix.is_empty() {
        return true;
    }
    let mut rest = path.split('/');
    prefix.split('/').all(|segment| rest.next().is_some_and(|found| ordinal::eq(found, segment)))
}

/// Prints neither query nor headers, which hold secrets.
impl fmt::Debug for AuthRequest<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AuthRequest")
            .field("kind", &self.kind)
            .field("method", &self.method)
            .field("path", &self.path)
            .finish_non_exhaustive()
    }
}

/// The scheme ends with a space; a tab does not end it.
const SCHEME: &str = "Bearer ";
