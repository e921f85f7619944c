//! Data of the HTTP request that opened a connection.

use std::borrow::Cow;
use std::fmt;
use std::net::SocketAddr;

use http::Extensions;
use http::header::AUTHORIZATION;
use http::request::Parts;
use memchr::memchr;

use super::query;

/// The HTTP request that opened a connection (C#: `Context.GetHttpContext().Request`).
///
/// Access tokens are removed: neither the `Authorization` header nor the query parameter
/// `access_token` is kept. For long polling this is the first poll; after a stateful reconnect it
/// is the request of the newest WebSocket.
///
/// ```
/// # use signalr::{Caller, Hub};
/// fn language<H: Hub>(caller: &Caller<H>) -> String {
///     let request = caller.request();
///     let language = request.query("lang").or_else(|| request.header("accept-language"));
///     language.map_or_else(|| "en".to_owned(), |language| language.into_owned())
/// }
/// ```
pub struct RequestInfo {
    /// Method, path, query and headers, copied once to their exact size, because the request itself
    /// would keep the read buffer of its HTTP connection alive. Headers are parsed on access.
    block: Box<[u8]>,
    /// Offsets in the block at which path, query and headers begin.
    path: u32,
    query: u32,
    headers: u32,
    peer_addr: Option<SocketAddr>,
    /// Extensions of the types that the host has chosen; if there are none, a null pointer.
    extensions: Extensions,
}

impl RequestInfo {
    /// `query` is the query without its access token, `extensions` are those to keep.
    pub(crate) fn new(
        parts: &Parts,
        query: Option<&str>,
        peer_addr: Option<SocketAddr>,
        extensions: Extensions,
    ) -> Self {
        let (method, path, query) = (parts.method.as_str(), parts.uri.path(), query.unwrap_or_default());
        let kept = || parts.headers.iter().filter(|(name, _)| **name != AUTHORIZATION);
        // Each header adds a colon and a line feed. A name contains no colon, and a value no line
        // feed.
        let headers: usize = kept().map(|(name, value)| name.as_str().len() + value.len() + 2).sum();
        let mut block = Vec::with_capacity(method.len() + path.len() + query.len() + headers);
        let mut append = |text: &str| {
            block.extend_from_slice(text.as_bytes());
            u32::try_from(block.len()).expect("HTTP servers limit request heads to far less than 4 GiB")
        };
        let (path, query, headers) = (append(method), append(path), append(query));
        for (name, value) in kept() {
            block.extend_from_slice(name.as_str().as_bytes());
            block.push(b':');
            block.extend_from_slice(value.as_bytes());
            block.push(b'\n');
        }
        Self { block: block.into_boxed_slice(), path, query, headers, peer_addr, extensions }
    }

    /// Returns the method: `GET`, or `CONNECT` for an HTTP/2 WebSocket.
    pub fn method(&self) -> &str {
        self.text(0, self.path)
    }

    /// Returns the path as it was sent, with percent-encoding.
    pub fn path(&self) -> &str {
        self.text(self.path, self.query)
    }

    /// Returns the query as it was sent, without `?` and without the access token; an empty text if
    /// there is none.
    pub fn query_string(&self) -> &str {
        self.text(self.query, self.headers)
    }

    /// Returns the decoded value of a query parameter. The name is compared without case; several
    /// values are joined with `,`.
    ///
    /// (C#: `Request.Query[name].ToString()`)
    pub fn query(&self, name: &str) -> Option<Cow<'_, str>> {
        query::value(Some(self.query_string()), name)
    }

    /// Returns the value of a header. The name is compared without case; the values of several
    /// header lines are joined with `,`.
    ///
    /// (C#: `Request.Headers[name].ToString()`)
    pub fn header(&self, name: &str) -> Option<Cow<'_, str>> {
        query::join(self.headers().filter(|(other, _)| other.eq_ignore_ascii_case(name)).map(|(_, value)| value))
    }

    /// Returns all header lines except `Authorization`, with names in lower case. Bytes of a value
    /// that are not UTF-8 are replaced by `�`.
    pub fn headers(&self) -> impl Iterator<Item = (&str, Cow<'_, str>)> {
        let mut remaining = &self.block[self.headers as usize..];
        std::iter::from_fn(move || {
            let (name, after) = split(remaining, b':')?;
            let (value, after) = split(after, b'\n')?;
            remaining = after;
            Some((as_text(name), String::from_utf8_lossy(value)))
        })
    }

    /// Returns the decoded value of a cookie. The name is compared without case; of several cookies
    /// with one name, the last one counts.
    ///
    /// (C#: `Request.Cookies[name]`)
    pub fn cookie(&self, name: &str) -> Option<Cow<'_, str>> {
        let lines = self.headers().filter(|(header, _)| *header == "cookie").map(|(_, value)| value);
        query::cookie(lines, name)
    }

    /// Returns the address of the peer of the HTTP connection: the client, or the proxy in front of
    /// this server.
    ///
    /// Returns `None` if the host does not provide the address.
    pub fn peer_addr(&self) -> Option<SocketAddr> {
        self.peer_addr
    }

    /// Returns a value that the host, such as an axum layer, put into the extensions of the
    /// request. Only types that
    /// [`Builder::keep_extension`](crate::hosting::Builder::keep_extension) names are kept.
    ///
    /// (C#: `Context.Features`, `HttpContext.Items`)
    pub fn extension<T: Send + Sync + 'static>(&self) -> Option<&T> {
        self.extensions.get()
    }

    fn text(&self, from: u32, to: u32) -> &str {
        as_text(&self.block[from as usize..to as usize])
    }
}

/// Splits `text` at the first `end`.
fn split(text: &[u8], end: u8) -> Option<(&[u8], &[u8])> {
    let at = memchr(end, text)?;
    Some((&text[..at], &text[at + 1..]))
}

/// Methods, paths, queries and header names are ASCII by their types.
fn as_text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).unwrap_or_default()
}

/// Prints names of headers only, because values and queries can contain secrets.
impl fmt::Debug for RequestInfo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let headers: Vec<_> = self.headers().map(|(name, _)| name).collect();
        f.debug_struct("RequestInfo")
            .field("method", &self.method())
            .field("path", &self.path())
            .field("headers", &headers)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use http::{HeaderValue, Request};

    use super::*;

    fn info(headers: &[(&str, &[u8])], query: Option<&str>) -> RequestInfo {
        let mut request = Request::get("/hubs/chat%20room?access_token=secret&id=1").body(()).unwrap();
        for (name, value) in headers {
            let name = http::HeaderName::try_from(*name).unwrap();
            request.headers_mut().append(name, HeaderValue::from_bytes(value).unwrap());
        }
        RequestInfo::new(&request.into_parts().0, query, None, Extensions::new())
    }

    #[test]
    fn request_parts_are_returned_unchanged() {
        let info = info(&[("X-Tenant", b"green"), ("x-empty", b"")], Some("id=1&Tenant=blue+sky&tenant=%C3%A9"));
        assert_eq!(info.method(), "GET");
        assert_eq!(info.path(), "/hubs/chat%20room");
        assert_eq!(info.query_string(), "id=1&Tenant=blue+sky&tenant=%C3%A9");
        assert_eq!(info.query("TENANT").as_deref(), Some("blue sky,é"));
        assert_eq!(info.query("access_token"), None);
        assert!(matches!(info.header("X-TENANT"), Some(Cow::Borrowed("green"))));
        assert_eq!(info.header("x-empty").as_deref(), Some(""));
        assert_eq!(info.header("x-other"), None);
        assert_eq!(info.peer_addr(), None);
    }

    #[test]
    fn header_lines_of_one_name_are_joined_without_empty_values() {
        let info = info(&[("a", b"1"), ("b", b"x:y"), ("a", b""), ("A", b"3"), ("c", b""), ("c", b"2")], None);
        assert_eq!(info.header("a").as_deref(), Some("1,3"));
        assert_eq!(info.header("b").as_deref(), Some("x:y"));
        assert_eq!(info.header("c").as_deref(), Some("2"));
        let mut lines: Vec<_> = info.headers().map(|(name, value)| format!("{name}={value}")).collect();
        lines.sort();
        assert_eq!(lines, ["a=", "a=1", "a=3", "b=x:y", "c=", "c=2"]);
        assert_eq!(info.query_string(), "");
        assert_eq!(info.query(""), None);
    }

    #[test]
    fn secrets_are_neither_kept_nor_printed() {
        let info = info(&[("authorization", b"Bearer secret"), ("x-key", b"secret")], Some("id=secret"));
        assert_eq!(info.header("Authorization"), None);
        let printed = format!("{info:?}");
        assert_eq!(printed, r#"RequestInfo { method: "GET", path: "/hubs/chat%20room", headers: ["x-key"], .. }"#);
    }

    #[test]
    fn cookies_are_found_in_any_line() {
        let info =
            info(&[("cookie", b"a=1; B=x%20y+z;c"), ("cookie", b"a=2;e==;f=\"q\""), ("cookie", b" d = \xff ")], None);
        assert_eq!(info.cookie("a").as_deref(), Some("2"));
        assert_eq!(info.cookie("b").as_deref(), Some("x y+z"));
        assert_eq!(info.cookie("c"), None);
        assert_eq!(info.cookie("d").as_deref(), Some("�"));
        assert_eq!(info.cookie("e").as_deref(), Some("="));
        assert_eq!(info.cookie("f").as_deref(), Some("\"q\""));
    }

    #[test]
    fn header_bytes_that_are_not_utf8_are_replaced() {
        let info = info(&[("x", b"a\xe9b"), ("y", "é".as_bytes())], None);
        assert_eq!(info.header("x").as_deref(), Some("a�b"));
        assert_eq!(info.header("y").as_deref(), Some("é"));
    }

    #[test]
    fn request_is_stored_in_one_block_of_exact_size() {
        assert!(size_of::<RequestInfo>() <= 72, "{}", size_of::<RequestInfo>());
        let info = info(&[("host", b"x"), ("authorization", b"Bearer secret")], Some("id=1"));
        assert_eq!(&*info.block, b"GET/hubs/chat%20roomid=1host:x\n");
    }

    #[test]
    fn peer_address_is_returned() {
        let peer = SocketAddr::from(([127, 0, 0, 1], 80));
        let parts = Request::new(()).into_parts().0;
        assert_eq!(RequestInfo::new(&parts, None, Some(peer), Extensions::new()).peer_addr(), Some(peer));
    }

    #[test]
    fn extensions_are_found_by_type() {
        let parts = Request::new(()).into_parts().0;
        let mut extensions = Extensions::new();
        extensions.insert("green");
        let info = RequestInfo::new(&parts, None, None, extensions);
        assert_eq!(info.extension(), Some(&"green"));
        assert_eq!(info.extension::<u8>(), None);
    }
}
