//! Origins of web pages, as browsers send them (RFC 6454).

use std::borrow::Cow;

use http::HeaderMap;
use http::header::ORIGIN;

use super::query;

/// Returns the origin of the web page that sent a request; `None` without an `Origin` header.
/// Several header lines are joined with `,` (`aspnet: StringValues.ToString`); the result is not a
/// valid origin.
pub(crate) fn origin(headers: &HeaderMap) -> Option<Cow<'_, str>> {
    let lines = headers.get_all(ORIGIN).iter().map(|line| String::from_utf8_lossy(line.as_bytes()));
    query::join(lines).filter(|origin| !origin.is_empty())
}

/// Returns whether `text` is an origin that a browser can send: a scheme, a host and optionally a
/// port, or `null` for pages without an origin.
pub(crate) fn is_origin(text: &str) -> bool {
    let is_host = |host: &str| host.bytes().all(|byte| byte.is_ascii_graphic() && !b"/?#@*\\".contains(&byte));
    let parts = text.split_once("://");
    text == "null" || parts.is_some_and(|(scheme, host)| is_scheme(scheme) && !host.is_empty() && is_host(host))
}

fn is_scheme(text: &str) -> bool {
    let is_scheme_byte = |byte: u8| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte);
    text.starts_with(|first: char| first.is_ascii_alphabetic()) && text.bytes().all(is_scheme_byte)
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    #[test]
    fn origins_have_a_scheme_a_host_and_an_optional_port() {
        for text in [
            "https://app.test",
            "HTTP://App.test:8080",
            "http://[::1]:5000",
            "https://xn--bcher-kva.test",
            "moz-extension://a1-b2",
            "null",
        ] {
            assert!(is_origin(text), "{text}");
        }
        for text in [
            "",
            "*",
            "app.test",
            "//app.test",
            "://app.test",
            "https://",
            "https://app.test/",
            "https://app.test/page",
            "https://app.test?x",
            "https://*.app.test",
            "https://user@app.test",
            "https://app.test https://other.test",
            "https://bücher.test",
            "NULL",
        ] {
            assert!(!is_origin(text), "{text}");
        }
    }

    #[test]
    fn origin_header_lines_are_joined() {
        let origin_of = |lines: &[&'static str]| {
            let lines = lines.iter().map(|line| (ORIGIN, HeaderValue::from_static(line)));
            let mut headers = HeaderMap::new();
            for (name, value) in lines {
                headers.append(name, value);
            }
            origin(&headers).map(Cow::into_owned)
        };
        assert_eq!(origin_of(&["http://app.test"]).as_deref(), Some("http://app.test"));
        assert_eq!(origin_of(&["http://app.test", ""]).as_deref(), Some("http://app.test"));
        assert_eq!(origin_of(&["http://a.test", "http://b.test"]).as_deref(), Some("http://a.test,http://b.test"));
        assert_eq!(origin_of(&[""]), None);
        assert_eq!(origin_of(&[]), None);
    }
}
