//! From which pages WebSockets are taken: browsers ask nobody before they open one to another origin.

use http::request::Parts;

use super::handshake::is_websocket_request;
use crate::connection_info::{is_origin, origin};

/// The origins whose pages may open WebSockets; an empty list, or `*` in it: all (C#: `WebSocketOptions.AllowedOrigins`).
#[derive(Clone, Debug, Default)]
pub(crate) struct AllowedOrigins(Vec<String>);

impl AllowedOrigins {
    pub(crate) fn new(origins: impl IntoIterator<Item = impl Into<String>>) -> Self {
        Self(origins.into_iter().map(|origin| origin.into().to_ascii_lowercase()).collect())
    }

    /// The first entry that no browser could tell.
    pub(crate) fn first_invalid(&self) -> Option<&str> {
        self.0.iter().map(String::as_str).find(|origin| *origin != "*" && !is_origin(origin))
    }

    /// Whether a request is refused: it asks for a WebSocket, and its page is not on the list. Requests that tell no
    /// origin come from no browser (`aspnet: WebSocketMiddleware`).
    pub(crate) fn refuse(&self, request: &Parts) -> bool {
        let allowed = |told: &str| self.0.iter().any(|origin| origin == "*" || origin == told);
        !self.0.is_empty()
            && origin(&request.headers).is_some_and(|told| !allowed(&told))
            && is_websocket_request(request)
    }
}

#[cfg(test)]
mod tests {
    use http::Request;

    use super::*;

    fn refused(allowed: &[&str], headers: &[(&str, &str)]) -> bool {
        let request = headers.iter().fold(Request::get("/"), |request, (name, value)| request.header(*name, *value));
        AllowedOrigins::new(allowed.iter().copied()).refuse(&request.body(()).unwrap().into_parts().0)
    }

    /// A valid upgrade from a page.
    fn socket_from(allowed: &[&str], origin: &str) -> bool {
        let mut headers = vec![
            ("connection", "Upgrade"),
            ("upgrade", "websocket"),
            ("sec-websocket-version", "13"),
            ("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ=="),
        ];
        if origin != "-" {
            headers.push(("origin", origin));
        }
        refused(allowed, &headers)
    }

    #[test]
    fn pages_that_are_not_listed_open_no_websocket() {
        let listed = ["http://app.test", "https://Other.test:8443"];
        for allowed in ["http://app.test", "https://other.test:8443", "", "-"] {
            assert!(!socket_from(&listed, allowed), "{allowed}");
        }
        for refused in ["http://evil.test", "http://APP.test", "http://app.test:80", "https://app.test", "null"] {
            assert!(socket_from(&listed, refused), "{refused}");
        }
    }

    #[test]
    fn without_a_list_and_with_a_star_in_it_all_pages_may() {
        assert!(!socket_from(&[], "http://evil.test"));
        assert!(!socket_from(&["http://app.test", "*"], "http://evil.test"));
    }

    #[test]
    fn only_websockets_are_refused() {
        assert!(!refused(&["http://app.test"], &[("origin", "http://evil.test")]));
    }

    #[test]
    fn entries_that_no_browser_tells_are_found() {
        assert_eq!(AllowedOrigins::new(["*", "null", "http://app.test"]).first_invalid(), None);
        assert_eq!(AllowedOrigins::new(["http://a.test", "b.test"]).first_invalid(), Some("b.test"));
    }
}
