//! What a connection keeps of the HTTP request that opened it.

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
/// Access tokens are not in it: neither the `Authorization` header nor `access_token` in the query is kept. With long
/// polling it is the first poll, after a stateful reconnect the request of the newest WebSocket.
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
    /// Method, path, query and headers, copied once to their exact size: the request itself would keep the read buffer
    /// of its HTTP connection alive. They are taken apart when somebody asks.
    block: Box<[u8]>,
    /// Where in the block the path begins, the query and the headers.
    path: u32,
    query: u32,
    headers: u32,
    peer_addr: Option<SocketAddr>,
    /// Those that the host asked to be kept: without any, a null pointer.
    extensions: Extensions,
}

impl RequestInfo {
    /// `query` is the request's without its access token, `extensions` are those that are kept.
    pub(crate) fn new(
        parts: &Parts,
        query: Option<&str>,
        peer_addr: Option<SocketAddr>,
        extensions: Extensions,
    ) -> Self {
        let (method, path, query) = (parts.method.as_str(), parts.uri.path(), query.unwrap_or_default());
        let kept = || parts.headers.iter().filter(|(name, _)| **name != AUTHORIZATION);
        // A colon and a line feed go with each header; neither can be part of what stands before it.
        let headers: usize = kept().map(|(name, value)| name.as_str().len() + value.len() + 2).sum();
        let mut block = Vec::with_capacity(method.len() + path.len() + query.len() + headers);
        let mut append = |text: &str| {
            block.extend_from_slice(text.as_bytes());
            u32::try_from(block.len()).expect("HTTP servers end requests long before 4 GiB")
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

    /// The method: `GET`, but for an HTTP/2 WebSocket.
    pub fn method(&self) -> &str {
        self.text(0, self.path)
    }

    /// The path as it was sent, percent-encoding included.
    pub fn path(&self) -> &str {
        self.text(self.path, self.query)
    }

    /// The query as it was sent, without `?` and access token; empty if there is none.
    pub fn query_string(&self) -> &str {
        self.text(self.query, self.headers)
    }

    /// The value of a query parameter, decoded. The name ignores case; several values are joined with `,`.
    ///
    /// (C#: `Request.Query[name].ToString()`)
    pub fn query(&self, name: &str) -> Option<Cow<'_, str>> {
        query::value(Some(self.query_string()), name)
    }

    /// The value of a header. The name ignores case; the values of several lines are joined with `,`.
    ///
    /// (C#: `Request.Headers[name].ToString()`)
    pub fn header(&self, name: &str) -> Option<Cow<'_, str>> {
        query::join(self.headers().filter(|(other, _)| other.eq_ignore_ascii_case(name)).map(|(_, value)| value))
    }

    /// All header lines but `Authorization`, their names in lower case. What is no UTF-8 in a value is replaced by `�`.
    pub fn headers(&self) -> impl Iterator<Item = (&str, Cow<'_, str>)> {
        let mut remaining = &self.block[self.headers as usize..];
        std::iter::from_fn(move || {
            let (name, after) = split(remaining, b':')?;
            let (value, after) = split(after, b'\n')?;
            remaining = after;
            Some((as_text(name), String::from_utf8_lossy(value)))
        })
    }

    /// The value of a cookie, decoded. The name ignores case; of several cookies with one name the last one counts.
    ///
    /// (C#: `Request.Cookies[name]`)
    pub fn cookie(&self, name: &str) -> Option<Cow<'_, str>> {
        let lines = self.headers().filter(|(header, _)| *header == "cookie").map(|(_, value)| value);
        query::cookie(lines, name)
    }

    /// The other end of the HTTP connection: the client, or the proxy in front of this server.
    ///
    /// `None` where the host does not tell.
    pub fn peer_addr(&self) -> Option<SocketAddr> {
        self.peer_addr
    }

    /// A value that the host put into the extensions of the request, such as a layer of axum does. Only values of types that
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

/// What stands before `end`, and what after it.
fn split(text: &[u8], end: u8) -> Option<(&[u8], &[u8])> {
    let at = memchr(end, text)?;
    Some((&text[..at], &text[at + 1..]))
}

/// Methods, URIs and header names are text, by their types.
fn as_text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).unwrap_or_default()
}

/// Names only: values and queries may be secret.
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
    fn the_request_is_read_as_it_was() {
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
    fn lines_of_one_header_are_joined_without_the_empty_ones() {
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
    fn what_is_no_utf8_is_replaced() {
        let info = info(&[("x", b"a\xe9b"), ("y", "é".as_bytes())], None);
        assert_eq!(info.header("x").as_deref(), Some("a�b"));
        assert_eq!(info.header("y").as_deref(), Some("é"));
    }

    #[test]
    fn it_is_one_block_of_the_exact_size() {
        assert!(size_of::<RequestInfo>() <= 72, "{}", size_of::<RequestInfo>());
        let info = info(&[("host", b"x"), ("authorization", b"Bearer secret")], Some("id=1"));
        assert_eq!(&*info.block, b"GET/hubs/chat%20roomid=1host:x\n");
    }

    #[test]
    fn the_peer_is_told() {
        let peer = SocketAddr::from(([127, 0, 0, 1], 80));
        let parts = Request::new(()).into_parts().0;
        assert_eq!(RequestInfo::new(&parts, None, Some(peer), Extensions::new()).peer_addr(), Some(peer));
    }

    #[test]
    fn extensions_are_found_by_their_type() {
        let parts = Request::new(()).into_parts().0;
        let mut extensions = Extensions::new();
        extensions.insert("green");
        let info = RequestInfo::new(&parts, None, None, extensions);
        assert_eq!(info.extension(), Some(&"green"));
        assert_eq!(info.extension::<u8>(), None);
    }
}
