//! JSON web keys and key sets.

use jsonwebtoken::jwk::Jwk;
use serde_json::{Value, json};

use super::keys::{header_of, token_by, verifier};
use super::pems::*;
use super::*;
use crate::auth::{KeyError, SigningKey};

/// Public key of a private key, as a JSON web key.
fn public(algorithm: Algorithm) -> Value {
    let key = match algorithm {
        Algorithm::ES256 => EncodingKey::from_ec_pem(P256_PRIVATE.as_bytes()).unwrap(),
        Algorithm::ES384 => EncodingKey::from_ec_pem(P384_PRIVATE.as_bytes()).unwrap(),
        Algorithm::EdDSA => EncodingKey::from_ed_pem(ED_PRIVATE.as_bytes()).unwrap(),
        _ => EncodingKey::from_rsa_pem(RSA_PRIVATE.as_bytes()).unwrap(),
    };
    _ = DEFAULT_PROVIDER.install_default();
    let mut jwk = serde_json::to_value(Jwk::from_encoding_key(&key, algorithm).unwrap()).unwrap();
    jwk.as_object_mut().unwrap().remove("alg");
    jwk
}

fn with(mut jwk: Value, members: Value) -> Value {
    let Value::Object(members) = members else { panic!("{members}") };
    jwk.as_object_mut().unwrap().extend(members);
    jwk
}

fn key(jwk: &Value) -> Result<SigningKey, KeyError> {
    SigningKey::jwk(jwk.to_string())
}

#[test]
fn supported_key_types_are_read() {
    for algorithm in [Algorithm::RS256, Algorithm::PS512, Algorithm::ES256, Algorithm::ES384, Algorithm::EdDSA] {
        let token = token_by(algorithm, &header_of(algorithm));
        for more in [json!({}), json!({ "use": "sig", "key_ops": ["verify"], "alg": format!("{algorithm:?}"), "x": 5 })]
        {
            if more["x"] == 5 && algorithm != Algorithm::RS256 && algorithm != Algorithm::PS512 {
                continue; // `x` is a coordinate of these keys.
            }
            let jwt = verifier(key(&with(public(algorithm), more)).unwrap());
            assert_eq!(outcome(&jwt, &authenticate(&jwt, &token)), "ok", "{algorithm:?}");
        }
    }
    let secret = json!({ "kty": "oct", "k": URL_SAFE_NO_PAD.encode([7; 64]) });
    let jwt = verifier(key(&secret).unwrap());
    assert_eq!(outcome(&jwt, &authenticate(&jwt, &token_by(Algorithm::HS512, &header_of(Algorithm::HS512)))), "ok");
}

#[test]
fn alg_restricts_a_key_to_one_algorithm() {
    let jwt = verifier(key(&with(public(Algorithm::RS256), json!({ "alg": "PS256" }))).unwrap());
    for (algorithm, passes) in [(Algorithm::PS256, true), (Algorithm::RS256, false), (Algorithm::PS384, false)] {
        let outcome = outcome(&jwt, &authenticate(&jwt, &token_by(algorithm, &header_of(algorithm))));
        assert_eq!(outcome == "ok", passes, "{algorithm:?} {outcome}");
    }
}

#[test]
fn kid_and_x5t_select_a_key() {
    let jwt = verifier(key(&with(public(Algorithm::ES256), json!({ "kid": "k", "x5t": "t" }))).unwrap());
    for name in [r#""kid":"k""#, r#""x5t":"t""#, r#""x5t":"k""#] {
        let header = format!(r#"{{"alg":"ES256",{name}}}"#);
        assert_eq!(outcome(&jwt, &authenticate(&jwt, &token_by(Algorithm::ES256, &header))), "ok");
        let forged = signed(&header, &payload(""), Algorithm::HS256, &EncodingKey::from_secret(&[1; 32]));
        assert_ne!(outcome(&jwt, &authenticate(&jwt, &forged)), "ok");
    }
}

/// Keys that cannot verify a signature, or that have another purpose.
fn unusable() -> Vec<Value> {
    let rsa = |more| with(public(Algorithm::RS256), more);
    let ec = |more| with(public(Algorithm::ES256), more);
    let ed = |more| with(public(Algorithm::EdDSA), more);
    vec![
        json!(null),
        json!({}),
        json!({ "kty": "new" }),
        json!({ "kty": "AKP", "alg": "ML-DSA-44", "pub": "AA" }),
        rsa(json!({ "use": "enc" })),
        rsa(json!({ "use": "other" })),
        rsa(json!({ "key_ops": ["encrypt"] })),
        rsa(json!({ "alg": "RSA-OAEP" })),
        rsa(json!({ "alg": "ES256" })),
        rsa(json!({ "alg": "HS256" })),
        rsa(json!({ "alg": "none" })),
        rsa(json!({ "kid": 5 })),
        rsa(json!({ "n": "AQAB" })),
        rsa(json!({ "n": "" })),
        rsa(json!({ "n": "!!" })),
        rsa(json!({ "n": URL_SAFE_NO_PAD.encode([255; 513]) })),
        ec(json!({ "crv": "P-384" })),
        ec(json!({ "crv": "secp256k1" })),
        ec(json!({ "crv": "P-521" })),
        ec(json!({ "x": "AA" })),
        ec(json!({ "y": URL_SAFE_NO_PAD.encode([1; 32]) })),
        ed(json!({ "crv": "X25519" })),
        ed(json!({ "crv": "P-256" })),
        ed(json!({ "x": "" })),
        ed(json!({ "x": "AA" })),
        ed(json!({ "x": URL_SAFE_NO_PAD.encode([1; 33]) })),
    ]
}

#[test]
fn unusable_json_keys_are_errors() {
    for jwk in unusable() {
        assert!(key(&jwk).is_err(), "{jwk}");
    }
    assert!(key(&json!({ "kty": "oct", "k": "no base64" })).is_err());
    assert!(SigningKey::jwk("").is_err());
    assert!(SigningKey::jwk("[".repeat(100_000)).is_err());
    // The error does not contain the key.
    let secret = "a-secret-that-is-no-base64-because-of-this-!";
    let error = key(&json!({ "kty": "oct", "k": secret })).unwrap_err();
    assert!(!format!("{error} {error:?}").contains("secret-that"), "{error:?}");
}

#[test]
fn unusable_keys_of_a_set_are_ignored() {
    let mut keys = unusable();
    keys.insert(3, with(public(Algorithm::RS256), json!({ "kid": "a" })));
    keys.insert(9, with(public(Algorithm::EdDSA), json!({ "kid": "b" })));
    // A secret in a published set is not secret, so it must be ignored.
    keys.push(json!({ "kty": "oct", "kid": "c", "k": URL_SAFE_NO_PAD.encode([7; 64]) }));
    let set = json!({ "keys": keys, "more": 1 }).to_string();
    assert_eq!(SigningKey::jwks(&set).unwrap().len(), 2);
    let jwt = JwtBearer::jwks(&set).unwrap().issuer("https://issuer.test").audience("signalr-tests").clock(now);
    for (algorithm, kid, passes) in
        [(Algorithm::RS256, "a", true), (Algorithm::EdDSA, "b", true), (Algorithm::HS256, "c", false)]
    {
        let header = format!(r#"{{"alg":"{algorithm:?}","kid":"{kid}"}}"#);
        let outcome = outcome(&jwt, &authenticate(&jwt, &token_by(algorithm, &header)));
        assert_eq!(outcome == "ok", passes, "{kid} {outcome}");
    }
    for none in ["", "{}", r#"{"keys":[]}"#, r#"{"keys":5}"#, r#"{"keys":[{"kty":"oct","k":"AAAA"}]}"#, "[]"] {
        assert_eq!(SigningKey::jwks(none).unwrap_err(), KeyError::NoKey, "{none}");
        assert!(JwtBearer::jwks(none).is_err());
    }
}
