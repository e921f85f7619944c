//! Public URL of this server, to which negotiate redirects the clients of a load balancer.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Once;

use http::Uri;
use percent_encoding::{AsciiSet, CONTROLS, utf8_percent_encode};

use super::negotiate_redirect::Redirect;
use crate::connection_info::query;

/// Validated value of [`Builder::server_url`](crate::hosting::Builder::server_url).
#[derive(Clone, Debug)]
pub(crate) struct ServerUrl {
    /// URL without a slash at its end.
    base: String,
    /// Query parameter that names this server.
    mark: String,
}

impl ServerUrl {
    /// Parses an absolute URL. The error does not contain the text, which may have a password.
    pub(crate) fn parse(text: &str) -> Result<Self, &'static str> {
        let uri: Uri = text.parse().map_err(|_| "not a URI")?;
        let (Some(scheme @ ("http" | "https")), Some(authority)) = (uri.scheme_str(), uri.authority()) else {
            return Err("expected `http://` or `https://` and a host");
        };
        if authority.as_str().contains('@') {
            return Err("contains credentials, which every client would receive");
        }
        let (host, port) = authority.as_str().split_at(authority.host().len());
        if host.is_empty() || !(port.is_empty() || port[1..].parse::<u16>().is_ok()) {
            return Err("invalid host or port");
        }
        if uri.query().is_some() || text.contains('#') {
            return Err("contains a query or a fragment");
        }
        let path = uri.path();
        let base = format!("{scheme}://{authority}{}", path.strip_suffix('/').unwrap_or(path));
        let mut hasher = DefaultHasher::new();
        base.hash(&mut hasher);
        let mark = format!("{MARK}{:0MARK_DIGITS$x}", hasher.finish());
        Ok(Self { base, mark })
    }

    /// Returns the URL of the endpoint at a mapped path.
    pub(crate) fn endpoint(&self, path: &str) -> EndpointUrl {
        EndpointUrl {
            url: format!("{}{}", self.base, utf8_percent_encode(path, NOT_IN_PATHS)),
            mark: self.mark.clone(),
            other_server_warning: Once::new(),
        }
    }
}

/// URL of one endpoint on this server.
#[derive(Debug)]
pub(crate) struct EndpointUrl {
    url: String,
    mark: String,
    /// Limits the warning to one per endpoint: clients can send any mark.
    other_server_warning: Once,
}

impl EndpointUrl {
    /// Returns the redirect of a negotiate request to this server, or `None` if the request already
    /// follows one. `query` contains no access token.
    ///
    /// A request with the mark of another server gets no second redirect. Behind a load balancer at
    /// this URL, redirects would lead from server to server.
    pub(super) fn redirect(&self, query: Option<&str>) -> Option<Redirect> {
        let query = query.unwrap_or_default();
        match query.split('&').find(|pair| is_mark(pair)) {
            None => Some(self.redirect_with(query)),
            Some(mark) if mark == self.mark => None,
            Some(_) => {
                self.other_server_warning.call_once(|| {
                    tracing::warn!(
                        target: "signalr::connection",
                        url = self.url,
                        "redirected negotiate reached another server; logged once per endpoint. Check that the \
                         `server_url` of each server leads to that server alone"
                    );
                });
                None
            }
        }
    }

    fn redirect_with(&self, query: &str) -> Redirect {
        let mut url = format!("{}?", self.url);
        for pair in query.split('&').filter(|pair| !pair.is_empty() && !query::is_any_of(pair, &ADDED_BY_CLIENTS)) {
            url.push_str(pair);
            url.push('&');
        }
        Redirect::to(url + &self.mark)
    }
}

/// Returns a query without the mark; `None` if it is empty then.
pub(super) fn strip_mark(query: &str) -> Option<String> {
    let rest: Vec<&str> = query.split('&').filter(|pair| !is_mark(pair)).collect();
    (!rest.is_empty()).then(|| rest.join("&"))
}

/// Whether a query parameter is the mark of a server. An application parameter of this name whose
/// value has another form is none.
fn is_mark(pair: &str) -> bool {
    pair.strip_prefix(MARK).is_some_and(|value| {
        value.len() == MARK_DIGITS && value.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
    })
}

/// Start of the mark. Clients decode and encode queries, which must not change it.
const MARK: &str = "signalr_server=";
const MARK_DIGITS: usize = 16;

/// Parameters that clients append to the URL of each negotiate request. The .NET client would append
/// `useStatefulReconnect` a second time, and `true,true` is not `true`.
const ADDED_BY_CLIENTS: [&str; 2] = ["negotiateVersion", "useStatefulReconnect"];

/// Characters of mapped paths that a URL must not contain. Mapped paths contain no `%`, `?` or `#`.
const NOT_IN_PATHS: &AsciiSet =
    &CONTROLS.add(b' ').add(b'"').add(b'<').add(b'>').add(b'\\').add(b'^').add(b'`').add(b'{').add(b'|').add(b'}');

#[cfg(test)]
mod tests {
    use super::*;

    fn server(text: &str) -> ServerUrl {
        ServerUrl::parse(text).unwrap()
    }

    /// URL of the redirect of a request to `/chat`, without the mark.
    fn redirected(server: &ServerUrl, path: &str, query: Option<&str>) -> String {
        let redirect = server.endpoint(path).redirect(query).unwrap();
        let body: serde_json::Value = serde_json::from_slice(&redirect.response_body(1)).unwrap();
        assert_eq!(body.get("accessToken"), None);
        body["url"].as_str().unwrap().strip_suffix(&server.mark).unwrap().to_owned()
    }

    #[test]
    fn redirects_lead_to_the_mapped_path_behind_the_prefix_of_the_url() {
        for (url, path, expected) in [
            ("https://node-3.example", "/chat", "https://node-3.example/chat?"),
            ("https://node-3.example/", "/hubs/Chat/", "https://node-3.example/hubs/Chat/?"),
            ("http://10.0.0.3:5000/node-3", "/chat", "http://10.0.0.3:5000/node-3/chat?"),
            ("http://[::1]:5000/node-3/", "/", "http://[::1]:5000/node-3/?"),
            ("HTTPS://Node.example", "/chat room/é{", "https://Node.example/chat%20room/%C3%A9%7B?"),
        ] {
            assert_eq!(redirected(&server(url), path, None), expected, "{url}");
        }
    }

    #[test]
    fn redirects_keep_the_query_without_the_parameters_of_the_client() {
        let server = server("https://node.example");
        for (query, expected) in [
            ("", ""),
            ("tenant=north", "tenant=north&"),
            ("a=1&negotiateVersion=1&b=x%20y+z&useStatefulReconnect=true", "a=1&b=x%20y+z&"),
            ("NEGOTIATEVERSION=1&negotiate%56ersion=1&negotiateVersions=2", "negotiateVersions=2&"),
            ("&&flag&a=1&a=2&", "flag&a=1&a=2&"),
            ("signalr_server=blue&signalr_server=0123", "signalr_server=blue&signalr_server=0123&"),
        ] {
            assert_eq!(redirected(&server, "/chat", Some(query)), format!("https://node.example/chat?{expected}"));
        }
    }

    #[test]
    fn marked_requests_are_not_redirected() {
        let [own, other] = [server("https://node-1.example"), server("https://node-2.example")];
        assert_ne!(own.mark, other.mark);
        assert_eq!(own.mark, server("https://node-1.example/").mark);
        for mark in [&own.mark, &other.mark] {
            for query in [mark.clone(), format!("a=1&{mark}&negotiateVersion=1")] {
                assert_eq!(own.endpoint("/chat").redirect(Some(&query)), None, "{query}");
            }
        }
    }

    #[test]
    fn applications_do_not_see_the_mark() {
        let mark = server("https://node.example").mark;
        assert_eq!(strip_mark(&mark), None);
        assert_eq!(strip_mark(&format!("a=1&{mark}&b=2")).as_deref(), Some("a=1&b=2"));
        for query in ["signalr_server=blue", "signalr_server=0123456789ABCDEF", "x_signalr_server=0123456789abcdef"] {
            assert_eq!(strip_mark(query).as_deref(), Some(query));
        }
    }

    #[test]
    fn urls_that_clients_cannot_use_are_rejected() {
        for text in [
            "",
            "node.example",
            "/chat",
            "//node.example",
            "ftp://node.example",
            "ws://node.example",
            "https://",
            "https:///chat",
            "https://:443",
            "https://node.example:",
            "https://node.example:99999",
            "https://node.example:x",
            "https://user:secret@node.example",
            "https://node.example?a=1",
            "https://node.example/?",
            "https://node.example/#top",
            "https://node example",
            "https://bücher.example",
            " https://node.example",
        ] {
            let error = ServerUrl::parse(text).err().unwrap_or_else(|| panic!("{text} was accepted"));
            assert!(!error.contains("secret"));
        }
    }
}
