//! Redaction of secrets in URLs.

use std::borrow::Cow;
use std::fmt::{self, Write};

use http::Uri;
use percent_encoding::percent_decode_str;

/// Prints a URI with `***` in place of access tokens and connection tokens.
///
/// A connection token grants control of its connection, so `id` is as secret as `access_token`.
///
/// ```
/// # use signalr::auth::RedactedUri;
/// let uri = "/hubs/clinical?id=kX2v&access%5Ftoken=eyJhbGci&x=1".parse()?;
/// assert_eq!(RedactedUri::new(&uri).to_string(), "/hubs/clinical?id=***&access%5Ftoken=***&x=1");
/// # Ok::<(), http::uri::InvalidUri>(())
/// ```
///
/// In the span of `TraceLayer`, which prints the URIs of requests:
///
/// ```
/// use http::Request;
/// use signalr::auth::RedactedUri;
/// use tower_http::trace::TraceLayer;
///
/// let trace = TraceLayer::new_for_http().make_span_with(|request: &Request<axum::body::Body>| {
///     tracing::debug_span!("request", method = %request.method(), uri = %RedactedUri::new(request.uri()))
/// });
/// # let _: axum::Router = axum::Router::new().layer(trace);
/// ```
#[derive(Clone, Copy)]
pub struct RedactedUri<'a>(&'a Uri);

impl<'a> RedactedUri<'a> {
    /// Wraps a URI for printing.
    pub fn new(uri: &'a Uri) -> Self {
        Self(uri)
    }
}

impl fmt::Display for RedactedUri<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(scheme) = self.0.scheme() {
            write!(f, "{scheme}://")?;
        }
        if let Some(authority) = self.0.authority() {
            // A password may stand before `@`.
            let host = authority.as_str();
            f.write_str(host.rsplit_once('@').map_or(host, |(_, host)| host))?;
        }
        f.write_str(self.0.path())?;
        match self.0.query() {
            Some(query) => write!(f, "?{}", redact_query(query)),
            None => Ok(()),
        }
    }
}

/// Prints the same as `Display`.
impl fmt::Debug for RedactedUri<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Prints a query string with `***` in place of the values of `access_token` and `id`, whatever the
/// encoding of their names.
///
/// A secret ends at the next `&` only, as for the server. It may also begin after `;`, `?` or `#`: the
/// server reads no parameter there, but a log would print it.
///
/// ```
/// let query = signalr::auth::redact_query("id=kX2v&x=1;access_token=eyJh.bGci");
/// assert_eq!(query.to_string(), "id=***&x=1;access_token=***");
/// ```
pub fn redact_query(query: &str) -> impl fmt::Display + fmt::Debug + Copy {
    RedactedQuery(query)
}

#[derive(Clone, Copy)]
struct RedactedQuery<'a>(&'a str);

impl fmt::Display for RedactedQuery<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, parameter) in self.0.split('&').enumerate() {
            if index > 0 {
                f.write_char('&')?;
            }
            match secret_in(parameter, &SECRET_PARAMETERS) {
                Some(at) => write!(f, "{}***", &parameter[..at])?,
                None => f.write_str(parameter)?,
            }
        }
        Ok(())
    }
}

impl fmt::Debug for RedactedQuery<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Start of the secret in a parameter (`name=value`) with one of these names.
fn secret_in(parameter: &str, names: &[&str]) -> Option<usize> {
    let mut start = 0;
    for part in parameter.split_inclusive([';', '?', '#']) {
        if let Some((name, _)) = part.split_once('=')
            && is_any_of(name, names)
        {
            return Some(start + name.len() + 1);
        }
        start += part.len();
    }
    None
}

/// Names of parameters with secret values.
pub(crate) const SECRET_PARAMETERS: [&str; 2] = ["access_token", "id"];

/// Splits a query into the parameters with these names and the others, both in order.
#[cfg(feature = "tower")]
pub(crate) fn split_secrets(query: &str, names: &[&str]) -> (String, String) {
    let (secret, rest): (Vec<&str>, Vec<&str>) = query.split('&').partition(|pair| secret_in(pair, names).is_some());
    (secret.join("&"), rest.join("&"))
}

/// Query string without `access_token`; `None` if it is empty then.
pub(crate) fn strip_access_token(query: &str) -> Option<Cow<'_, str>> {
    let is_token = |pair: &str| is_access_token(name(pair));
    if !query.split('&').any(is_token) {
        return (!query.is_empty()).then_some(Cow::Borrowed(query));
    }
    let rest: Vec<&str> = query.split('&').filter(|pair| !is_token(pair)).collect();
    (!rest.is_empty()).then(|| Cow::Owned(rest.join("&")))
}

/// Whether the encoded name of a parameter is `access_token`.
pub(super) fn is_access_token(name: &str) -> bool {
    is_any_of(name, &SECRET_PARAMETERS[..1])
}

fn is_any_of(name: &str, names: &[&str]) -> bool {
    let name = decode_query(name);
    names.iter().any(|other| name.eq_ignore_ascii_case(other))
}

fn name(pair: &str) -> &str {
    pair.split_once('=').map_or(pair, |(name, _)| name)
}

/// Decodes a name or value of a query string: `+` is a space, `%` starts a byte in hexadecimal.
pub(super) fn decode_query(text: &str) -> Cow<'_, str> {
    if text.contains('+') {
        Cow::Owned(percent_decode_str(&text.replace('+', " ")).decode_utf8_lossy().into_owned())
    } else {
        percent_decode_str(text).decode_utf8_lossy()
    }
}
