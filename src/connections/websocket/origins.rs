//! Allowed origins of WebSockets. Browsers open WebSockets to other origins without a CORS
//! preflight.

use http::request::Parts;

use super::handshake::is_websocket_request;
use crate::connection_info::{is_origin, origin};

/// Origins whose pages may open WebSockets. An empty list, or `*`, allows all origins (C#:
/// `WebSocketOptions.AllowedOrigins`).
#[derive(Clone, Debug, Default)]
pub(crate) struct AllowedOrigins(Vec<String>);

impl AllowedOrigins {
    pub(crate) fn new(origins: impl IntoIterator<Item = impl Into<String>>) -> Self {
        Self(origins.into_iter().map(|origin| origin.into().to_ascii_lowercase()).collect())
    }

    /// Returns the first entry that is not a valid origin.
    pub(crate) fn first_invalid(&self) -> Option<&str> {
        self.0.iter().map(String::as_str).find(|origin| *origin != "*" && !is_origin(origin))
    }

    /// Whether this is a WebSocket request from an origin that is not allowed. Requests without an
    /// `Origin` header are allowed, because browsers always send it
    /// (`aspnet: WebSocketMiddleware`).
    pub(crate) fn refuse(&self, request: &Parts) -> bool {
        let is_allowed = |sent: &str| self.0.iter().any(|origin| origin == "*" || origin == sent);
        !self.0.is_empty()
            && origin(&request.headers).is_some_and(|sent| !is_allowed(&sent))
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

    /// Whether a valid upgrade from a page of `origin` is rejected; `-` stands for no `Origin`
    /// header.
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
    fn websockets_from_unlisted_origins_are_rejected() {
        let listed = ["http://app.test", "https://Other.test:8443"];
        for allowed in ["http://app.test", "https://other.test:8443", "", "-"] {
            assert!(!socket_from(&listed, allowed), "{allowed}");
        }
        for refused in ["http://evil.test", "http://APP.test", "http://app.test:80", "https://app.test", "null"] {
            assert!(socket_from(&listed, refused), "{refused}");
        }
    }

    #[test]
    fn empty_lists_and_wildcards_allow_all_origins() {
        assert!(!socket_from(&[], "http://evil.test"));
        assert!(!socket_from(&["http://app.test", "*"], "http://evil.test"));
    }

    #[test]
    fn requests_without_upgrade_are_not_checked() {
        assert!(!refused(&["http://app.test"], &[("origin", "http://evil.test")]));
    }

    #[test]
    fn entries_that_are_not_origins_are_found() {
        assert_eq!(AllowedOrigins::new(["*", "null", "http://app.test"]).first_invalid(), None);
        assert_eq!(AllowedOrigins::new(["http://a.test", "b.test"]).first_invalid(), Some("b.test"));
    }
}
