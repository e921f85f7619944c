//! Origins of pages, as browsers tell them (RFC 6454).

use std::borrow::Cow;

use http::HeaderMap;
use http::header::ORIGIN;

use super::query;

/// The origin of the page that a request comes from; `None` if it does not tell. Several lines are joined with `,`
/// (`aspnet: StringValues.ToString`), which is no origin.
pub(crate) fn origin(headers: &HeaderMap) -> Option<Cow<'_, str>> {
    let lines = headers.get_all(ORIGIN).iter().map(|line| String::from_utf8_lossy(line.as_bytes()));
    query::join(lines).filter(|origin| !origin.is_empty())
}

/// Whether a browser could tell this origin: a scheme, a host and perhaps a port, or `null` for pages that have none.
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
    fn an_origin_is_a_scheme_a_host_and_perhaps_a_port() {
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
    fn a_request_tells_one_origin_or_none() {
        let told = |lines: &[&'static str]| {
            let lines = lines.iter().map(|line| (ORIGIN, HeaderValue::from_static(line)));
            let mut headers = HeaderMap::new();
            for (name, value) in lines {
                headers.append(name, value);
            }
            origin(&headers).map(Cow::into_owned)
        };
        assert_eq!(told(&["http://app.test"]).as_deref(), Some("http://app.test"));
        assert_eq!(told(&["http://app.test", ""]).as_deref(), Some("http://app.test"));
        assert_eq!(told(&["http://a.test", "http://b.test"]).as_deref(), Some("http://a.test,http://b.test"));
        assert_eq!(told(&[""]), None);
        assert_eq!(told(&[]), None);
    }
}
