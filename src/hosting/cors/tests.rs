//! Tests of CORS response headers.

use http::Request;
use http::header::HeaderMap;
use http::request::Parts;

use super::*;

fn request(method: &str, headers: &[(&str, &str)]) -> Parts {
    let request = Request::builder().method(method);
    let request = headers.iter().fold(request, |request, (name, value)| request.header(*name, *value));
    request.body(()).unwrap().into_parts().0
}

/// Headers as lines, sorted by name, without the prefix `access-control-`.
fn lines(headers: &HeaderMap) -> String {
    let mut lines: Vec<_> =
        headers.iter().map(|(name, value)| format!("{name}: {}", value.to_str().unwrap())).collect();
    lines.sort();
    lines.join("\n").replace("access-control-", "")
}

/// CORS headers of the response to a preflight from `origin` for a POST with these headers.
fn preflight(cors: Cors, origin: &str, headers: &str) -> String {
    let request = request(
        "OPTIONS",
        &[("origin", origin), ("access-control-request-method", "POST"), ("access-control-request-headers", headers)],
    );
    let response = cors.into_policy().unwrap().preflight(&request).unwrap();
    assert_eq!(response.status(), 204);
    lines(response.headers())
}

/// CORS headers of the response to a POST from `origin`.
fn actual(cors: Cors, origin: &str) -> String {
    lines(&cors.into_policy().unwrap().headers(&request("POST", &[("origin", origin)]).headers))
}

const APP: &str = "http://app.test";

#[test]
fn default_policy_allows_requests_of_signalr_clients() {
    let expected = "allow-credentials: true\nallow-headers: x-requested-with,x-signalr-user-agent\n\
        allow-methods: GET,POST,DELETE\nallow-origin: http://app.test";
    assert_eq!(preflight(Cors::origins([APP]), APP, "x-requested-with, x-signalr-user-agent"), expected);
    assert_eq!(actual(Cors::origins([APP]), APP), "allow-credentials: true\nallow-origin: http://app.test");
}

#[test]
fn other_origins_get_no_cors_headers() {
    let cors = || Cors::origins(["HTTP://App.test", "https://app.test:8443"]).allow_any_method();
    assert_eq!(actual(cors(), APP), "allow-credentials: true\nallow-origin: http://app.test\nvary: Origin");
    for other in ["http://evil.test", "http://APP.test", "http://app.test:80", "http://app.test/", "null", ""] {
        assert_eq!(actual(cors(), other), "", "{other}");
        assert_eq!(preflight(cors(), other, "a"), "", "{other}");
    }
    let two = [("origin", APP), ("origin", APP)];
    assert_eq!(lines(&cors().into_policy().unwrap().headers(&request("POST", &two).headers)), "");
}

#[test]
fn any_origin_is_sent_as_a_star_without_credentials() {
    for cors in [Cors::any_origin(), Cors::origins(["*"]).disallow_credentials()] {
        assert_eq!(actual(cors.clone(), "http://evil.test"), "allow-origin: *");
        assert_eq!(preflight(cors, "null", ""), "allow-methods: GET,POST,DELETE\nallow-origin: *");
    }
    for cors in [Cors::any_origin().allow_credentials(), Cors::origins(["*"])] {
        assert!(matches!(cors.into_policy(), Err(BuildError::AnyOriginWithCredentials)));
    }
}

#[test]
fn predicate_selects_origins() {
    let cors = || Cors::origin_allowed(|origin| origin.starts_with("http://localhost:")).disallow_credentials();
    assert_eq!(actual(cors(), "http://localhost:5173"), "allow-origin: http://localhost:5173\nvary: Origin");
    assert_eq!(actual(cors(), "http://localhost.evil.test"), "");
}

#[test]
fn lists_are_sent_in_order_and_unchanged() {
    let cors = Cors::origins([APP])
        .with_headers(["X-One", "x-two"])
        .with_methods(["POST", "PATCH"])
        .with_exposed_headers(["X-Three", "X-Four"])
        .set_preflight_max_age(Duration::from_millis(600_500));
    let expected = "allow-credentials: true\nallow-headers: X-One,x-two\nallow-methods: POST,PATCH\n\
        allow-origin: http://app.test\nmax-age: 600";
    assert_eq!(preflight(cors.clone(), APP, "x-five"), expected);
    let expected = "allow-credentials: true\nallow-origin: http://app.test\nexpose-headers: X-Three,X-Four";
    assert_eq!(actual(cors, APP), expected);
    let none: [&str; 0] = [];
    let expected = "allow-credentials: true\nallow-origin: http://app.test";
    assert_eq!(preflight(Cors::origins([APP]).with_headers(none).with_methods(none), APP, "x"), expected);
}

/// Every case was checked against an ASP.NET Core server.
#[test]
fn wildcards_echo_the_requested_headers_and_method() {
    for (method, headers, expected) in [
        ("PATCH", "a, b ,,\"c,d\"", "allow-headers: a,b,\"c,d\"\nallow-methods: PATCH\n"),
        ("POST", "", "allow-methods: POST\n"),
        ("", "", ""),
    ] {
        let headers =
            [("origin", APP), ("access-control-request-method", method), ("access-control-request-headers", headers)];
        let policy = Cors::origins([APP]).with_headers(["*"]).with_methods(["*"]).into_policy().unwrap();
        let response = policy.preflight(&request("OPTIONS", &headers)).unwrap();
        let expected = format!("allow-credentials: true\n{expected}allow-origin: http://app.test");
        assert_eq!(lines(response.headers()), expected);
    }
}

#[test]
fn preflights_are_options_requests_with_an_origin_and_a_method() {
    let policy = Cors::origins([APP]).into_policy().unwrap();
    let both = [("origin", APP), ("access-control-request-method", "POST")];
    assert!(policy.preflight(&request("OPTIONS", &both)).is_some());
    assert!(policy.preflight(&request("OPTIONS", &both[..1])).is_none());
    assert!(policy.preflight(&request("OPTIONS", &both[1..])).is_none());
    assert!(policy.preflight(&request("POST", &both)).is_none());
}

#[test]
fn invalid_policies_are_errors() {
    for origin in ["app.test", "http://app.test/", "http://*.app.test"] {
        let error = Cors::origins([APP, origin]).into_policy().err().unwrap();
        assert!(matches!(&error, BuildError::InvalidOrigin(named) if named == origin), "{error}");
    }
    for cors in [
        Cors::origins([APP]).with_headers(["x y"]),
        Cors::origins([APP]).with_methods(["x y"]),
        Cors::origins([APP]).with_exposed_headers(["x y"]),
    ] {
        let error = cors.into_policy().err().unwrap();
        assert_eq!(error.to_string(), "invalid name `x y` of a method or header in a CORS policy");
    }
}
