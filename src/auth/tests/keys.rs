//! Verification of signatures by keys of every kind.

use super::pems::*;
use super::*;
use crate::auth::{KeyError, SigningKey};

const ALL: [Algorithm; 12] = [
    Algorithm::HS256,
    Algorithm::HS384,
    Algorithm::HS512,
    Algorithm::RS256,
    Algorithm::RS384,
    Algorithm::RS512,
    Algorithm::PS256,
    Algorithm::PS384,
    Algorithm::PS512,
    Algorithm::ES256,
    Algorithm::ES384,
    Algorithm::EdDSA,
];

/// Valid token signed with this algorithm; HMAC keys have 64 bytes.
pub(super) fn token_by(algorithm: Algorithm, header: &str) -> String {
    let key = match algorithm {
        Algorithm::HS256 | Algorithm::HS384 | Algorithm::HS512 => EncodingKey::from_secret(&[7; 64]),
        Algorithm::ES256 => EncodingKey::from_ec_pem(P256_PRIVATE.as_bytes()).unwrap(),
        Algorithm::ES384 => EncodingKey::from_ec_pem(P384_PRIVATE.as_bytes()).unwrap(),
        Algorithm::EdDSA => EncodingKey::from_ed_pem(ED_PRIVATE.as_bytes()).unwrap(),
        _ => EncodingKey::from_rsa_pem(RSA_PRIVATE.as_bytes()).unwrap(),
    };
    signed(header, &payload(""), algorithm, &key)
}

pub(super) fn header_of(algorithm: Algorithm) -> String {
    format!(r#"{{"alg":"{algorithm:?}"}}"#)
}

pub(super) fn verifier(key: SigningKey) -> JwtBearer {
    JwtBearer::with_key(key).issuer("https://issuer.test").audience("signalr-tests").clock(now)
}

#[test]
fn keys_accept_only_algorithms_of_their_kind() {
    let keys = [
        (SigningKey::hmac([7; 64]), &ALL[..3]),
        (SigningKey::rsa_pem(RSA_PUBLIC).unwrap(), &ALL[3..9]),
        (SigningKey::rsa_pem(RSA_PUBLIC_PKCS1).unwrap(), &ALL[3..9]),
        (SigningKey::ec_pem(P256_PUBLIC).unwrap(), &ALL[9..10]),
        (SigningKey::ec_pem(P384_PUBLIC).unwrap(), &ALL[10..11]),
        (SigningKey::ed_pem(ED_PUBLIC).unwrap(), &ALL[11..]),
    ];
    for (key, accepted) in keys {
        let jwt = verifier(key);
        for algorithm in ALL {
            let outcome = outcome(&jwt, &authenticate(&jwt, &token_by(algorithm, &header_of(algorithm))));
            assert_eq!(outcome == "ok", accepted.contains(&algorithm), "{algorithm:?} {jwt:?}");
        }
    }
}

#[test]
fn secrets_shorter_than_a_hash_reject_its_algorithm() {
    for (length, accepted) in [(31, 0), (32, 1), (47, 1), (48, 2), (63, 2), (64, 3)] {
        let secret = vec![9; length];
        let jwt = verifier(SigningKey::hmac(&secret));
        for (index, algorithm) in ALL[..3].iter().enumerate() {
            let token = signed(&header_of(*algorithm), &payload(""), *algorithm, &EncodingKey::from_secret(&secret));
            let outcome = outcome(&jwt, &authenticate(&jwt, &token));
            if index < accepted {
                assert_eq!(outcome, "ok");
            } else {
                assert!(outcome.contains("The signature key was not found"), "{length} {algorithm:?} {outcome}");
            }
        }
    }
}

#[test]
fn public_keys_are_not_accepted_as_hmac_secrets() {
    let jwt = verifier(SigningKey::rsa_pem(RSA_PUBLIC).unwrap());
    for secret in [RSA_PUBLIC.as_bytes(), RSA_PUBLIC_PKCS1.as_bytes(), RSA_PUBLIC.trim().as_bytes()] {
        let token =
            signed(&header_of(Algorithm::HS256), &payload(""), Algorithm::HS256, &EncodingKey::from_secret(secret));
        assert!(authenticate(&jwt, &token).failure().is_some());
    }
}

#[test]
fn each_of_several_keys_verifies_its_tokens() {
    let jwt = verifier(SigningKey::hmac([7; 64]))
        .key(SigningKey::rsa_pem(RSA_PUBLIC).unwrap())
        .key(SigningKey::ec_pem(P256_PUBLIC).unwrap())
        .key(SigningKey::ec_pem(P384_PUBLIC).unwrap())
        .key(SigningKey::ed_pem(ED_PUBLIC).unwrap());
    for algorithm in ALL {
        assert_eq!(outcome(&jwt, &authenticate(&jwt, &token_by(algorithm, &header_of(algorithm)))), "ok");
        let unknown = format!(r#"{{"alg":"{algorithm:?}","kid":"unknown"}}"#);
        assert_eq!(outcome(&jwt, &authenticate(&jwt, &token_by(algorithm, &unknown))), "ok");
    }
}

#[test]
fn kid_selects_the_key_exactly() {
    let jwt = verifier(SigningKey::hmac([7; 64]).with_kid("old")).key(SigningKey::hmac([8; 64]).with_kid("new"));
    let by = |kid: &str, secret: u8| {
        let header = format!(r#"{{"alg":"HS256","kid":"{kid}"}}"#);
        let token = signed(&header, &payload(""), Algorithm::HS256, &EncodingKey::from_secret(&[secret; 64]));
        outcome(&jwt, &authenticate(&jwt, &token))
    };
    assert_eq!(by("old", 7), "ok");
    assert_eq!(by("new", 8), "ok");
    assert!(by("new", 7).contains("The signature is invalid"));
    assert!(by("NEW", 9).contains("The signature key was not found"));
    assert_eq!(by("NEW", 8), "ok");
}

/// .NET selects a key by `x5t` as well as by `kid`.
#[test]
fn x5t_selects_a_key_like_kid() {
    let jwt = verifier(SigningKey::hmac([7; 64]).with_x5t("old")).key(SigningKey::hmac([8; 64]).with_kid("new"));
    let by = |header: &str, secret: u8| {
        let token = signed(header, &payload(""), Algorithm::HS256, &EncodingKey::from_secret(&[secret; 64]));
        outcome(&jwt, &authenticate(&jwt, &token))
    };
    for (header, secret, expected) in [
        (r#"{"alg":"HS256","x5t":"old"}"#, 7, "ok"),
        (r#"{"alg":"HS256","x5t":"new"}"#, 8, "ok"),
        (r#"{"alg":"HS256","x5t":"old"}"#, 8, "The signature key was not found"),
        (r#"{"alg":"HS256","kid":"strange","x5t":"old"}"#, 7, "ok"),
        (r#"{"alg":"HS256","kid":"strange","x5t":"old"}"#, 8, "The signature is invalid"),
        (r#"{"alg":"HS256","kid":"old"}"#, 8, "ok"),
        (r#"{"alg":"HS256","x5t":""}"#, 8, "ok"),
    ] {
        assert!(by(header, secret).contains(expected), "{header} {secret} {}", by(header, secret));
    }
}

/// The header of a token contains its own key, or a URL of a key.
#[test]
fn keys_inside_or_linked_from_tokens_are_ignored() {
    let jwt = verifier(SigningKey::rsa_pem(RSA_PUBLIC).unwrap());
    let foreign_secret = [9; 64];
    for own in [
        r#""jwk":{"kty":"oct","k":"CQkJCQkJCQkJCQkJCQkJCQkJCQkJCQkJCQkJCQkJCQk"}"#,
        r#""jku":"https://attacker.test/keys""#,
        r#""x5u":"https://attacker.test/certificate""#,
        r#""x5c":["CQkJ"]"#,
    ] {
        let header = format!(r#"{{"alg":"HS256",{own}}}"#);
        let token = signed(&header, &payload(""), Algorithm::HS256, &EncodingKey::from_secret(&foreign_secret));
        assert!(outcome(&jwt, &authenticate(&jwt, &token)).contains("The signature key was not found"), "{own}");
        // They do not invalidate a token that a configured key verifies.
        let header = format!(r#"{{"alg":"RS256",{own}}}"#);
        assert_eq!(outcome(&jwt, &authenticate(&jwt, &token_by(Algorithm::RS256, &header))), "ok", "{own}");
    }
}

#[test]
fn unusable_pem_keys_are_errors() {
    assert_eq!(SigningKey::rsa_pem(RSA_1024_PUBLIC).unwrap_err(), KeyError::TooSmall { bits: 1024 });
    assert_eq!(SigningKey::ec_pem(K256_PUBLIC).unwrap_err(), KeyError::UnsupportedCurve);
    assert_eq!(SigningKey::ec_pem(P521_PUBLIC).unwrap_err(), KeyError::UnsupportedCurve);
    for text in ["", "nonsense", P256_PUBLIC, RSA_PUBLIC, ED_PRIVATE, X25519_PUBLIC] {
        assert!(SigningKey::ed_pem(text).is_err(), "{text}");
        assert!(JwtBearer::ed_pem(text).is_err());
    }
    for text in ["", "nonsense", P256_PUBLIC, RSA_PRIVATE, RSA_4104_PUBLIC, &RSA_PUBLIC[..100]] {
        assert!(matches!(SigningKey::rsa_pem(text), Err(KeyError::Unreadable { .. })), "{text}");
        assert!(JwtBearer::rsa_pem(text).is_err());
    }
    for text in ["", "nonsense", RSA_PUBLIC, P256_PRIVATE] {
        assert!(matches!(SigningKey::ec_pem(text), Err(KeyError::Unreadable { .. })), "{text}");
        assert!(JwtBearer::ec_pem(text).is_err());
    }
}

#[test]
fn keys_are_not_printed() {
    let jwt = bearer().key(SigningKey::rsa_pem(RSA_PUBLIC).unwrap().with_kid("k1"));
    let printed = format!("{jwt:?} {jwt:#?}");
    assert!(!printed.contains(SECRET) && printed.contains("k1") && printed.contains("HS256"), "{printed}");
    let bytes = format!("{:?}", SECRET.as_bytes());
    assert!(!printed.contains(&bytes[1..40]), "{printed}");
}
