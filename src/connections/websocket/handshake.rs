//! Detection of WebSocket requests.

use base64::Engine;
use base64::alphabet::STANDARD;
use base64::engine::{GeneralPurpose, GeneralPurposeConfig};
use http::header::{
    CONNECTION, CONTENT_LENGTH, HeaderMap, HeaderName, HeaderValue, SEC_WEBSOCKET_KEY, SEC_WEBSOCKET_VERSION,
    TRANSFER_ENCODING, UPGRADE,
};
use http::request::Parts;
use http::{Method, Version};
use hyper::ext::Protocol;

/// Number of bytes of a decoded key (RFC 6455 § 4.1).
const KEY_BYTES: usize = 16;

/// Number of base64 characters of a key, with padding.
const KEY_CHARS: usize = 24;

/// Ignores the bits after the last byte, as the decoder of .NET does.
const BASE64: GeneralPurpose =
    GeneralPurpose::new(&STANDARD, GeneralPurposeConfig::new().with_decode_allow_trailing_bits(true));

/// Whether this is a valid WebSocket request
/// (`aspnet: HandshakeHelpers.CheckSupportedWebSocketRequest`). An invalid one counts as a poll,
/// like any other `GET`.
pub(crate) fn is_websocket_request(request: &Parts) -> bool {
    let requests_upgrade = match request.method {
        Method::GET => is_http1_upgrade(request),
        Method::CONNECT => request.extensions.get().is_some_and(is_websocket),
        _ => false,
    };
    requests_upgrade && items(&request.headers, SEC_WEBSOCKET_VERSION).any(|version| unquote(version) == "13")
}

/// Upgrade over HTTP/1.1 (RFC 6455 § 4.1). ASP.NET Core also accepts HTTP/1.0, over which hyper
/// cannot upgrade.
fn is_http1_upgrade(request: &Parts) -> bool {
    let headers = &request.headers;
    request.version == Version::HTTP_11
        && items(headers, CONNECTION).any(|option| option.eq_ignore_ascii_case("upgrade"))
        && items(headers, UPGRADE).any(|protocol| unquote(protocol).eq_ignore_ascii_case("websocket"))
        && has_key(headers)
        && !has_body(headers)
}

/// Extended `CONNECT` over HTTP/2 (RFC 8441 § 5): checks `:protocol`; there is no key.
fn is_websocket(protocol: &Protocol) -> bool {
    protocol.as_str().eq_ignore_ascii_case("websocket")
}

/// Iterates over the items of a comma-separated header in all its lines.
pub(super) fn items(headers: &HeaderMap, name: HeaderName) -> impl Iterator<Item = &str> {
    let lines = headers.get_all(name).into_iter().filter_map(|line| line.to_str().ok());
    lines.flat_map(|line| line.split(',')).map(str::trim)
}

fn unquote(item: &str) -> &str {
    item.strip_prefix('"').and_then(|item| item.strip_suffix('"')).unwrap_or(item)
}

fn has_key(headers: &HeaderMap) -> bool {
    let mut lines = headers.get_all(SEC_WEBSOCKET_KEY).iter().filter(|line| !line.is_empty());
    // ASP.NET Core would join two keys with a comma, which is invalid base64.
    let (Some(line), None) = (lines.next(), lines.next()) else { return false };
    let mut letters = [0; KEY_CHARS];
    let mut length = 0;
    // White space is allowed anywhere (`Convert.TryFromBase64String`).
    for letter in line.as_bytes().iter().filter(|byte| !byte.is_ascii_whitespace()) {
        let Some(place) = letters.get_mut(length) else { return false };
        *place = *letter;
        length += 1;
    }
    BASE64.decode_slice(&letters[..length], &mut [0; KEY_CHARS]) == Ok(KEY_BYTES)
}

/// Kestrel does not upgrade requests with a body.
fn has_body(headers: &HeaderMap) -> bool {
    let is_long = |length: &HeaderValue| length.as_bytes().iter().any(|digit| *digit != b'0');
    headers.contains_key(TRANSFER_ENCODING) || headers.get(CONTENT_LENGTH).is_some_and(is_long)
}

#[cfg(test)]
mod tests {
    use http::Request;

    use super::*;

    const VALID: [(&str, &str); 4] = [
        ("connection", "Upgrade"),
        ("upgrade", "websocket"),
        ("sec-websocket-version", "13"),
        ("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ=="),
    ];

    fn parts(headers: &[(&str, &str)]) -> Parts {
        let request = headers.iter().fold(Request::get("/"), |request, (name, value)| request.header(*name, *value));
        request.body(()).unwrap().into_parts().0
    }

    /// Checks a valid request with the lines of one header replaced.
    fn with(name: &str, lines: &[&str]) -> bool {
        let others = VALID.into_iter().filter(|(other, _)| *other != name);
        let headers: Vec<_> = others.chain(lines.iter().map(|line| (name, *line))).collect();
        is_websocket_request(&parts(&headers))
    }

    #[test]
    fn get_over_http1_with_all_headers_is_a_websocket_request() {
        assert!(is_websocket_request(&parts(&VALID)));
        for version in [Version::HTTP_10, Version::HTTP_2] {
            let mut request = parts(&VALID);
            request.version = version;
            assert!(!is_websocket_request(&request), "{version:?}");
        }
        let mut request = parts(&VALID);
        request.method = Method::POST;
        assert!(!is_websocket_request(&request));
    }

    /// Checked with an ASP.NET Core server, as in the next two tests.
    #[test]
    fn extended_connect_for_websocket_is_a_websocket_request() {
        let connect = |protocol: Option<&'static str>, versions: &[&str]| {
            let headers: Vec<_> = versions.iter().map(|version| ("sec-websocket-version", *version)).collect();
            let mut request = parts(&headers);
            request.method = Method::CONNECT;
            request.version = Version::HTTP_2;
            if let Some(protocol) = protocol {
                request.extensions.insert(Protocol::from_static(protocol));
            }
            is_websocket_request(&request)
        };
        for protocol in ["websocket", "WebSocket"] {
            assert!(connect(Some(protocol), &["13"]), "{protocol}");
        }
        for versions in [&["8, 13"][..], &["8", "13"], &["\"13\""]] {
            assert!(connect(Some("websocket"), versions), "{versions:?}");
        }
        for (protocol, version) in [(None, "13"), (Some("connect-udp"), "13"), (Some("websocket"), "12")] {
            assert!(!connect(protocol, &[version]), "{protocol:?} {version}");
        }
        assert!(!connect(Some("websocket"), &[]));
    }

    #[test]
    fn websocket_headers_may_be_lists() {
        for version in ["13", "8, 13", "13,8", ",13", "\"13\""] {
            assert!(with("sec-websocket-version", &[version]), "{version}");
        }
        assert!(with("sec-websocket-version", &["8", "13"]));
        for option in ["upgrade", "UPGRADE", "keep-alive, Upgrade", "Upgrade,close"] {
            assert!(with("connection", &[option]), "{option}");
        }
        assert!(with("connection", &["keep-alive", "Upgrade"]));
        for protocol in ["WebSocket", "h2c, websocket", "websocket, h2c", "\"websocket\""] {
            assert!(with("upgrade", &[protocol]), "{protocol}");
        }
        assert!(with("upgrade", &["h2c", "websocket"]));
    }

    #[test]
    fn wrong_or_missing_headers_make_a_request_no_websocket_request() {
        for (name, _) in VALID {
            assert!(!with(name, &[]), "{name}");
            assert!(!with(name, &[""]), "{name}");
        }
        for version in ["013", "12", "14", "1", "130"] {
            assert!(!with("sec-websocket-version", &[version]), "{version}");
        }
        for option in ["keep-alive", "upgrade2", "\"Upgrade\""] {
            assert!(!with("connection", &[option]), "{option}");
        }
        for protocol in ["h2c", "websocket/13", "web socket"] {
            assert!(!with("upgrade", &[protocol]), "{protocol}");
        }
    }

    #[test]
    fn websocket_keys_are_base64_of_16_bytes() {
        for key in [
            "AAAAAAAAAAAAAAAAAAAAAA==",
            "AAAAAAAAAAAAAAAAAAAAA/==",
            "dGhlIHNhbXBsZSBub25jZR==",
            "dGhl IHNhbXBsZSBub25jZQ==",
            "dGhl\tIHNhbXBsZSBub25jZQ==",
            "AAAAAAAAAAAAAAAAAAAAAA= =",
        ] {
            assert!(with("sec-websocket-key", &[key]), "{key}");
            assert!(with("sec-websocket-key", &["", key]), "{key}");
            assert!(!with("sec-websocket-key", &[key, key]), "{key}");
        }
        for key in [
            "short",
            "dGhlIHNhbXBsZSBub25jZQ=",
            "dGhlIHNhbXBsZSBub25jZQ",
            "dGhlIHNhbXBsZSBub25jZQ===",
            "dGhlIHNhbXBsZSBub25jZ-==",
            "AAAAAAAAAAAAAAAAAAAA",
            "AAAAAAAAAAAAAAAAAAAAAAAA",
            "AAAAAAAAAAAAAAAAAAAAAAA=",
            "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",
        ] {
            assert!(!with("sec-websocket-key", &[key]), "{key}");
        }
    }

    #[test]
    fn requests_with_a_body_are_no_websocket_requests() {
        for (name, value) in [("content-length", "3"), ("transfer-encoding", "chunked")] {
            assert!(!with(name, &[value]), "{name}");
        }
        for length in ["0", "00"] {
            assert!(with("content-length", &[length]), "{length}");
        }
    }
}
