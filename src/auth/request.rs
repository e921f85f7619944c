//! Where in a request a token stands.

use std::borrow::Cow;

use http::HeaderMap;
use http::header::AUTHORIZATION;
use percent_encoding::percent_decode_str;

use super::policy::eq_ignore_case;
use super::redact::{decode_query, is_access_token};

/// What authentication looks at.
#[derive(Clone, Copy)]
pub(crate) struct AuthRequest<'a> {
    /// The path as it came, percent-encoded.
    pub(crate) path: &'a str,
    /// The query as it came, without `?`.
    pub(crate) query: Option<&'a str>,
    pub(crate) headers: &'a HeaderMap,
    /// Whether it opens a WebSocket or a stream of server-sent events, where browsers cannot set a header.
    pub(crate) is_upgrade_or_sse: bool,
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
            Self::UpgradesOnly => request.is_upgrade_or_sse,
            Self::Never => false,
        }
    }
}

impl<'a> AuthRequest<'a> {
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
    prefix.split('/').all(|segment| rest.next().is_some_and(|found| eq_ignore_case(found, segment)))
}

/// With the blank after it, which must be one: a tab does not end the scheme.
const SCHEME: &str = "Bearer ";
