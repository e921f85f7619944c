//! Random requests: no panic, no unauthenticated access, and only responses that clients can read.
//!
//! The fuzz targets in `fuzz/` check the same properties with coverage guidance.

use std::cell::RefCell;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use proptest::prelude::*;
use signalr_test_support::fuzz_server::{FuzzServer, token};

thread_local! {
    static SERVER: RefCell<FuzzServer> = RefCell::new(FuzzServer::new());
}

fn server(test: impl FnOnce(&mut FuzzServer)) {
    SERVER.with_borrow_mut(test);
}

/// JSON like that of tokens.
fn json() -> impl Strategy<Value = String> {
    let names = ["alg", "kid", "typ", "crit", "jku", "jwk", "exp", "nbf", "iss", "aud", "sub", "role", "zip", "b64"];
    let values = prop_oneof![
        prop::sample::select(vec![
            r#""HS256""#,
            r#""none""#,
            r#""RS256""#,
            r#""clinic""#,
            r#"["wards"]"#,
            "1800003600",
            "1e400",
            "-1",
            "null",
            "{}",
            "[[[[]]]]",
            r#""\ud800""#,
        ])
        .prop_map(str::to_owned),
        "\\PC{0,12}",
    ];
    prop::collection::vec((prop::sample::select(names.to_vec()), values), 0..6).prop_map(|members| {
        let members: Vec<_> = members.iter().map(|(name, value)| format!("{name:?}:{value}")).collect();
        format!("{{{}}}", members.join(","))
    })
}

/// A valid or invalid credential.
fn credential() -> impl Strategy<Value = String> {
    prop_oneof![
        Just("{token}".to_owned()),
        Just("{other}".to_owned()),
        "[!-~]{0,60}",
        // A valid token with a byte changed, inserted or removed.
        (any::<prop::sample::Index>(), "[!-~]{0,2}", 0..2_usize).prop_map(|(at, put, cut)| {
            let mut token = token("ann");
            let at = at.index(token.len());
            token.replace_range(at..(at + cut).min(token.len()), &put);
            token
        }),
        // Other parts around a signature, which may be the valid one of another token.
        (json(), json(), prop::option::of(prop::collection::vec(any::<u8>(), 0..64))).prop_map(
            |(header, payload, signature)| {
                let good = token("ann");
                let signature = signature.map(|bytes| URL_SAFE_NO_PAD.encode(bytes));
                let signature = signature.as_deref().unwrap_or_else(|| good.rsplit_once('.').unwrap().1);
                format!("{}.{}.{signature}", URL_SAFE_NO_PAD.encode(header), URL_SAFE_NO_PAD.encode(payload))
            }
        ),
    ]
}

fn any_of(words: &'static [&'static str], else_like: &'static str) -> impl Strategy<Value = String> {
    prop_oneof![4 => prop::sample::select(words).prop_map(str::to_owned), 1 => else_like]
}

/// A request to the paths of hubs or to similar paths.
fn request() -> impl Strategy<Value = String> {
    let method = any_of(&["GET", "POST", "DELETE", "OPTIONS", "PUT", "CONNECT", "HEAD"], "[A-Z]{1,8}");
    let path = any_of(
        &["/open", "/open/negotiate", "/closed", "/closed/negotiate", "/closed/refresh", "/CLOSED/negotiate/"],
        "/[!-~&&[^?#{}]]{0,20}",
    );
    let name = any_of(
        &["access_token", "ACCESS_TOKEN", "access%5Ftoken", "id", "negotiateVersion", "useStatefulReconnect"],
        "[!-~&&[^#{}]]{0,12}",
    );
    let value = prop_oneof![
        credential(),
        any_of(&["{id}", "0", "1", "-1", "99999999999", "true", "%00", "%ff", ""], "[!-~&&[^#{}]]{0,20}"),
    ];
    let query = prop::collection::vec((name, value), 0..5)
        .prop_map(|pairs| pairs.iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join("&"));
    let header = prop_oneof![
        (any_of(&["Bearer ", "bearer ", "BEARER  ", "Basic ", "", "Bearer\t"], "[!-~]{0,9}"), credential())
            .prop_map(|(scheme, credential)| format!("authorization: {scheme}{credential}")),
        credential().prop_map(|token| format!("cookie: session={token}; access_token={token}")),
        any_of(
            &[
                "accept: text/event-stream",
                "connection: Upgrade\nupgrade: websocket\nsec-websocket-version: 13\nsec-websocket-key: \
                 dGhlIHNhbXBsZSBub25jZQ==",
                "origin: null",
                "origin: https://app.test",
                "x-signalr-connection-token: {id}",
                "x-signalr-connection-token: x",
                "content-length: 99",
                "host: a\u{e9}",
            ],
            "[a-z-]{1,12}: \\PC{0,30}",
        ),
    ];
    let headers = prop::collection::vec(header, 0..5);
    let body = prop_oneof![3 => Just(String::new()), 1 => json(), 1 => "\\PC{0,40}"];
    (method, path, query, headers, body).prop_map(|(method, path, query, headers, body)| {
        let headers: String = headers.iter().map(|header| format!("\n{header}")).collect();
        format!("{method} {path}?{query}{headers}\n\n{body}")
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn unsigned_tokens_are_rejected(request in request()) {
        server(|server| server.token(request.as_bytes()));
    }

    #[test]
    fn negotiate_responses_are_readable(request in request()) {
        server(|server| server.negotiate(request.as_bytes()));
    }

    #[test]
    fn refresh_responses_are_readable(request in request()) {
        server(|server| server.refresh(request.as_bytes()));
    }

    #[test]
    fn arbitrary_bytes_are_answered(start in any_of(&["GET /closed?", "POST /open/negotiate?", "POST /closed?id={id}\n"], ""), bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let input = [start.as_bytes(), &bytes].concat();
        server(|server| server.token(&input));
        server(|server| server.negotiate(&input));
        server(|server| server.refresh(&input));
    }
}

/// Without this, the properties above could hold because every request is rejected early.
#[test]
fn generator_reaches_every_status() {
    server(|server| {
        for (request, status) in [
            ("POST /closed/negotiate?access_token={token}", 200),
            ("POST /closed/negotiate\nauthorization: Bearer {other}", 200),
            ("POST /closed/negotiate\nauthorization: Bearer x", 401),
            ("GET /closed?id={id}\nauthorization: Bearer {other}", 403),
            ("GET /closed?id={id}&access_token={token}", 200),
            ("POST /open/negotiate?negotiateVersion=1", 200),
            ("POST /closed/refresh?id={id}\nauthorization: Bearer {token}", 200),
            ("POST /closed/refresh?access_token={token}\nx-signalr-connection-token: {id}", 200),
            ("POST /closed/refresh?id={id}\nauthorization: Bearer {other}", 403),
            ("POST /closed/refresh?id={id}", 401),
            ("nonsense", 0),
        ] {
            assert_eq!(server.status(request), status, "{request}");
        }
    });
}
