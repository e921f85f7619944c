//! Arbitrary input of untrusted clients: it is rejected and causes no panic.

use proptest::prelude::*;

use super::*;
use crate::auth::SigningKey;

/// Valid or nearly valid JSON.
fn json() -> impl Strategy<Value = String> {
    let leaf = prop_oneof![
        Just("null".to_owned()),
        Just("true".to_owned()),
        any::<i64>().prop_map(|n| n.to_string()),
        any::<f64>().prop_map(|n| n.to_string()),
        "[0-9eE+.-]{1,30}",
        "\\PC{0,12}".prop_map(|text| format!("{text:?}")),
        "\\PC{0,6}",
    ];
    leaf.prop_recursive(4, 32, 6, |inner| {
        let name = prop_oneof![
            prop::sample::select(vec!["exp", "nbf", "iat", "iss", "aud", "sub", "jti", "alg", "kid", "crit", "role"])
                .prop_map(String::from),
            "[a-z]{0,4}",
        ];
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(|items| format!("[{}]", items.join(","))),
            prop::collection::vec((name, inner), 0..6).prop_map(|members| {
                let members: Vec<_> = members.iter().map(|(name, value)| format!("{name:?}:{value}")).collect();
                format!("{{{}}}", members.join(","))
            }),
        ]
    })
}

/// JSON that resembles a key.
fn jwk() -> impl Strategy<Value = String> {
    let number = prop_oneof![
        prop::collection::vec(any::<u8>(), 0..70).prop_map(|bytes| URL_SAFE_NO_PAD.encode(bytes)),
        prop::sample::select(vec![255, 256, 257, 512, 513])
            .prop_flat_map(|length| prop::collection::vec(any::<u8>(), length))
            .prop_map(|bytes| URL_SAFE_NO_PAD.encode(bytes)),
        prop::sample::select(vec!["AQAB", "Aw", "AA", "", "=", "a.b"]).prop_map(String::from),
        prop::collection::vec(any::<u8>(), 32).prop_map(|bytes| URL_SAFE_NO_PAD.encode(bytes)),
    ];
    let kinds = [
        ("RSA", ""),
        ("EC", "P-256"),
        ("EC", "P-384"),
        ("EC", "P-521"),
        ("OKP", "Ed25519"),
        ("oct", ""),
        ("OKP", "P-256"),
    ];
    let more = (prop::sample::select(vec!["kid", "alg", "use", "key_ops", "x5t", "x5c", "z"]), json());
    (prop::sample::select(kinds.to_vec()), prop::collection::vec(number, 5), more).prop_map(
        |((kind, curve), numbers, (name, value))| {
            let members =
                ["n", "e", "x", "y", "k"].iter().zip(numbers).map(|(name, number)| format!("{name:?}:{number:?}"));
            let members: Vec<_> = members.collect();
            format!(r#"{{"kty":"{kind}","crv":"{curve}",{},"{name}":{value}}}"#, members.join(","))
        },
    )
}

fn encoded(text: &str) -> String {
    URL_SAFE_NO_PAD.encode(text)
}

fn assert_rejected(jwt: &JwtBearer, query: Option<&str>, headers: &HeaderMap) {
    let authentication = authenticate_request(jwt, &request("/hubs/x", query, headers, RequestKind::WebSocket));
    assert!(!matches!(authentication, Authentication::Authenticated(_)));
    assert!(jwt.www_authenticate_for(authentication.failure()).to_str().is_ok());
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn arbitrary_strings_are_rejected(header in prop::collection::vec(any::<u8>(), 0..200), query in ".{0,200}") {
        let mut headers = HeaderMap::new();
        if let Ok(value) = http::HeaderValue::from_bytes(&[b"Bearer ".as_slice(), &header].concat()) {
            headers.insert(AUTHORIZATION, value);
        }
        assert_rejected(&bearer(), Some(&query), &headers);
        assert_rejected(&bearer(), Some(&format!("access_token={query}")), &HeaderMap::new());
    }

    #[test]
    fn arbitrary_unsigned_headers_and_payloads_are_rejected(header in json(), payload in json(), signature in prop::collection::vec(any::<u8>(), 0..80)) {
        let token = format!("{}.{}.{}", encoded(&header), encoded(&payload), URL_SAFE_NO_PAD.encode(signature));
        assert_rejected(&bearer(), Some(&format!("access_token={token}")), &HeaderMap::new());
    }

    #[test]
    fn signed_arbitrary_content_does_not_panic(members in json(), header in json()) {
        let any = bearer().allow_any_issuer().allow_any_audience().require_expiration(false);
        let _ = authenticate(&any, &token(&members));
        let _ = authenticate(&any, &token(&payload(&format!("\"a\":{members}"))));
        let _ = authenticate(&any, &signed(&header, &payload(""), Algorithm::HS256, &EncodingKey::from_secret(SECRET.as_bytes())));
    }

    #[test]
    fn arbitrary_keys_verify_no_arbitrary_signature(jwk in jwk(), signature in prop::collection::vec(any::<u8>(), 0..300)) {
        let set = format!(r#"{{"keys":[{jwk}]}}"#);
        let keys = SigningKey::jwk(&jwk).into_iter().chain(SigningKey::jwks(&set).into_iter().flatten());
        for key in keys {
            for algorithm in ["HS256", "HS512", "RS256", "PS384", "ES256", "ES384", "EdDSA", "none"] {
                prop_assert!(!key.verifies(algorithm, b"message", &signature), "{algorithm} {jwk}");
            }
        }
    }

    #[test]
    fn changing_any_byte_invalidates_a_token(at in any::<prop::sample::Index>(), byte in 0x21_u8..0x7f) {
        let good = token(&payload(r#""sub":"u""#));
        let mut changed = good.into_bytes();
        let at = at.index(changed.len());
        prop_assume!(changed[at] != byte);
        changed[at] = byte;
        assert_rejected(&bearer(), None, &headers(&[&format!("Bearer {}", String::from_utf8(changed).unwrap())]));
    }

    #[test]
    fn redacted_queries_contain_no_token(before in "[a-z=&%]{0,20}", token in "[A-Z]{8}", after in "[a-z=&%]{0,20}") {
        let query = format!("{before}&access_token={token}&{after}");
        prop_assert!(!super::super::redact_query(&query).to_string().contains(&token));
        let rest = super::super::strip_access_token(&query);
        prop_assert!(!rest.unwrap_or_default().contains(&token));
    }
}
