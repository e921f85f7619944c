//! What authentication looks at, and where in it a token stands.

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

/// A request to an endpoint, as an [`Authenticator`](super::Authenticator) sees it before anybody knows who sends it (C#:
/// `HttpContext` of an `AuthenticationHandler`).
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

/// What a request to an endpoint is for.
///
/// ```
/// use signalr::auth::{AuthRequest, RequestKind};
///
/// /// Browsers cannot set a header there.
/// fn is_of_a_browser(request: &AuthRequest<'_>) -> bool {
///     matches!(request.kind(), RequestKind::WebSocket | RequestKind::ServerSentEvents)
/// }
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum RequestKind {
    /// To `{path}/negotiate`.
    Negotiate,
    /// Opens a WebSocket.
    WebSocket,
    /// Opens a stream of server-sent events.
    ServerSentEvents,
    /// Polls for messages.
    Poll,
    /// Posts messages.
    Send,
    /// Ends a connection that is polled.
    Delete,
    /// To `{path}/refresh`: a new token for a connection that is open.
    Refresh,
    /// Of a method that is nothing for an endpoint, and will be told so if it is allowed here at all.
    Other,
}

impl RequestKind {
    /// Whether it opens a WebSocket or a stream of events, where browsers cannot set a header.
    pub(crate) fn is_stream(self) -> bool {
        matches!(self, Self::WebSocket | Self::ServerSentEvents)
    }
}

/// On which requests a token is read from `access_token` in the query.
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
    /// On every request to a hub, wherever it is mounted.
    #[default]
    HubPaths,
    /// On requests to hubs under this path, by whole segments and whatever their case: C#'s `StartsWithSegments("/hubs")`.
    Under(Cow<'static, str>),
    /// Only where a browser has no other way: WebSockets and server-sent events.
    UpgradesOnly,
    /// Nowhere: browsers get no further than long polling.
    Never,
}

impl QueryToken {
    /// On requests to hubs under this path; see [`QueryToken::Under`].
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
    /// A request of this kind, for tests of an authenticator. [`Builder::peer_addr`](crate::hosting::Builder::peer_addr) is what
    /// tells a server the address of the peer; here it is unknown.
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

    /// The same from this address.
    pub fn with_peer_addr(self, peer_addr: Option<SocketAddr>) -> Self {
        Self { peer_addr, ..self }
    }

    /// What it is for.
    pub fn kind(&self) -> RequestKind {
        self.kind
    }

    /// The method.
    pub fn method(&self) -> &'a Method {
        self.method
    }

    /// The path as it was sent, percent-encoding included.
    pub fn path(&self) -> &'a str {
        self.path
    }

    /// The value of a query parameter, decoded, secrets such as `access_token` included. The name ignores case; several
    /// values are joined with `,`.
    ///
    /// (C#: `Request.Query[name].ToString()`)
    pub fn query(&self, name: &str) -> Option<Cow<'a, str>> {
        query::value(self.query, name)
    }

    /// All headers.
    pub fn headers(&self) -> &'a HeaderMap {
        self.headers
    }

    /// The value of a cookie, decoded. The name ignores case; of several cookies with one name the last one counts.
    ///
    /// (C#: `Request.Cookies[name]`)
    pub fn cookie(&self, name: &str) -> Option<Cow<'a, str>> {
        let lines = self.headers.get_all(COOKIE).iter().map(|line| String::from_utf8_lossy(line.as_bytes()));
        query::cookie(lines, name)
    }

    /// The other end of the HTTP connection: the client, or the proxy in front of this server. `None` where the host does not
    /// tell; see [`Builder::peer_addr`](crate::hosting::Builder::peer_addr).
    pub fn peer_addr(&self) -> Option<SocketAddr> {
        self.peer_addr
    }

    /// What the host put into the extensions of the request: the user of a middleware, the certificate of a client.
    ///
    /// (C#: `HttpContext.Features`, `HttpContext.Items`)
    pub fn extension<T: Send + Sync + 'static>(&self) -> Option<&'a T> {
        self.extensions.get()
    }

    /// The token of the request. One in the query comes before one in the header, as in the usual C# code, or after it.
    pub(super) fn token(&self, query_token: &QueryToken, header_first: bool) -> Option<Cow<'a, str>> {
        let query = || {
            if query_token.allows(self) { self.query_token() } else { None }
        };
        if header_first { self.header_token().or_else(query) } else { query().or_else(|| self.header_token()) }
    }

    /// Values of one name are joined with commas, so that two tokens make none; empty ones do not count.
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

/// Without query and headers, which hold secrets.
impl fmt::Debug for AuthRequest<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AuthRequest")
            .field("kind", &self.kind)
            .field("method", &self.method)
            .field("path", &self.path)
            .finish_non_exhaustive()
    }
}

/// With the blank after it, which must be one: a tab does not end the scheme.
const SCHEME: &str = "Bearer ";
