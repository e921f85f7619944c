//! Options of bearer authentication.

use http::HeaderValue;

use super::*;
use crate::auth::{AuthConfigError, AuthError, SigningKey};

#[test]
fn clock_skew_and_expiration_are_options() {
    let expires = NOW + 10;
    let late = |skew| bearer().clock_skew(skew).clock(move || now() + Duration::from_secs(11));
    let short = token(&payload_with(&[("exp", &expires.to_string())]));
    assert_eq!(outcome(&late(Duration::from_secs(2)), &authenticate(&late(Duration::from_secs(2)), &short)), "ok");
    assert_ne!(outcome(&late(Duration::ZERO), &authenticate(&late(Duration::ZERO), &short)), "ok");
    assert_eq!(outcome(&late(Duration::MAX), &authenticate(&late(Duration::MAX), &short)), "ok");

    let jwt = bearer().require_expiration(false);
    assert_eq!(user(&jwt, &token(&payload_with(&[("exp", "")]))).expires_at(), None);
}

#[test]
fn extreme_clocks_do_not_overflow() {
    for clock in
        [UNIX_EPOCH, UNIX_EPOCH - Duration::from_secs(1), UNIX_EPOCH + Duration::from_secs(u64::from(u32::MAX) * 60)]
    {
        let jwt = bearer().clock(move || clock).clock_skew(Duration::MAX);
        assert_eq!(outcome(&jwt, &authenticate(&jwt, &token(&payload("")))), "ok");
    }
}

#[test]
fn several_or_all_issuers_and_audiences_can_be_accepted() {
    let several = bearer().issuers(["i2", "i3"]).audiences(["a2", "a3"]);
    let other = token(&payload_with(&[("iss", "\"i3\""), ("aud", "\"a2\"")]));
    assert_eq!(outcome(&several, &authenticate(&several, &other)), "ok");
    let any = bearer().allow_any_issuer().allow_any_audience();
    for payload in [payload_with(&[("iss", "\"x\""), ("aud", "\"y\"")]), payload_with(&[("iss", ""), ("aud", "")])] {
        assert_eq!(outcome(&any, &authenticate(&any, &token(&payload))), "ok");
    }
}

#[test]
fn error_details_can_be_omitted() {
    let jwt = bearer().include_error_details(false);
    assert_eq!(outcome(&jwt, &authenticate(&jwt, "nonsense")), "Bearer");
    assert_eq!(outcome(&jwt, &authenticate(&jwt, &token(&payload_with(&[("exp", "5")])))), "Bearer");
}

/// C#: `AddJwtBearer(options => options.Challenge = ..)`.
#[test]
fn custom_challenge_can_contain_a_realm() {
    let jwt = bearer().challenge(HeaderValue::from_static("Bearer realm=\"wards\""));
    assert_eq!(outcome(&jwt, &Authentication::Anonymous), r#"Bearer realm="wards""#);
    let malformed = r#"Bearer realm="wards", error="invalid_token""#;
    assert_eq!(outcome(&jwt, &authenticate(&jwt, "nonsense")), malformed);
    let expired = outcome(&jwt, &authenticate(&jwt, &token(&payload_with(&[("exp", "5")]))));
    assert!(expired.starts_with(&format!("{malformed}, error_description=\"The token expired at '")), "{expired}");
}

#[test]
fn options_that_accept_nothing_or_everything_are_reported() {
    assert_eq!(bearer().validate(), Ok(()));
    assert_eq!(JwtBearer::hmac(SECRET).audience("a").validate(), Err(AuthConfigError::NoIssuer));
    assert_eq!(JwtBearer::hmac(SECRET).issuer("").audience("a").validate(), Err(AuthConfigError::NoIssuer));
    assert_eq!(JwtBearer::hmac(SECRET).issuer("i").validate(), Err(AuthConfigError::NoAudience));
    assert_eq!(JwtBearer::hmac(SECRET).issuer("i").audience(" ").validate(), Err(AuthConfigError::NoAudience));
    assert_eq!(JwtBearer::hmac(SECRET).allow_any_issuer().allow_any_audience().validate(), Ok(()));
    assert_eq!(bearer().key(SigningKey::hmac(&SECRET[..31])).validate(), Err(AuthConfigError::ShortSecret));
    assert_eq!(bearer().key(SigningKey::hmac(&SECRET[..32])).validate(), Ok(()));
}

#[test]
fn algorithms_can_be_restricted() {
    let strong = bearer().algorithms(["HS384", "RS256"]);
    assert_eq!(strong.validate(), Ok(()));
    let by =
        |header: &str, algorithm| signed(header, &payload(""), algorithm, &EncodingKey::from_secret(SECRET.as_bytes()));
    let token = by(r#"{"alg":"HS384"}"#, Algorithm::HS384);
    assert_eq!(outcome(&strong, &authenticate(&strong, &token)), "ok");
    let token = by(r#"{"alg":"HS256"}"#, Algorithm::HS256);
    assert!(outcome(&strong, &authenticate(&strong, &token)).contains("The signature key was not found"));
    // A list of algorithms does not extend those that a key supports.
    let none = bearer().algorithms(["RS256"]);
    assert_ne!(outcome(&none, &authenticate(&none, &token)), "ok");
    for unknown in ["none", "hs256", ""] {
        assert_eq!(bearer().algorithms([unknown]).validate(), Err(AuthConfigError::UnknownAlgorithm), "{unknown}");
    }
}

const REJECTED: &str = r#"Bearer error="invalid_token""#;

#[test]
fn token_types_can_be_required() {
    let jwt = bearer().token_types(["at+jwt"]).token_types(["other"]);
    for (kind, expected) in [
        (r#","typ":"at+jwt""#, "ok"),
        (r#","typ":"other""#, "ok"),
        (r#","typ":"AT+JWT""#, REJECTED),
        (r#","typ":"JWT""#, REJECTED),
        (r#","typ":null"#, REJECTED),
        ("", REJECTED),
    ] {
        let header = format!(r#"{{"alg":"HS256"{kind}}}"#);
        let token = signed(&header, &payload(""), Algorithm::HS256, &EncodingKey::from_secret(SECRET.as_bytes()));
        assert_eq!(outcome(&jwt, &authenticate(&jwt, &token)), expected, "{kind}");
    }
}

#[test]
fn claims_can_be_required() {
    let jwt = bearer().require_claim("sub").require_claim("jti");
    for (claims, expected) in [
        (r#""sub":"u","jti":"1""#, "ok"),
        (r#""sub":"","jti":"""#, "ok"),
        (r#""sub":"u""#, REJECTED),
        (r#""sub":"u","jti":null"#, REJECTED),
        (r#""sub":"u","JTI":"1""#, REJECTED),
    ] {
        assert_eq!(outcome(&jwt, &authenticate(&jwt, &token(&payload(claims)))), expected, "{claims}");
    }
    // Other errors of the token take precedence.
    let expired = token(&payload_with(&[("exp", "5")]));
    assert!(outcome(&jwt, &authenticate(&jwt, &expired)).contains("expired"));
}

#[test]
fn on_token_validated_can_reject_or_extend_the_user() {
    let jwt = bearer().on_token_validated(|user: User| async move {
        match user.claim("jti") {
            Some("good") => Ok(user.to_builder().claim("shift", "night").build()),
            _ => Err(AuthError::new("revoked")),
        }
    });
    let good = user(&jwt, &token(&payload(r#""sub":"u","jti":"good""#)));
    assert_eq!((good.id(), good.claim("shift")), (Some("u"), Some("night")));
    assert_eq!(good.expires_at(), Some(UNIX_EPOCH + Duration::from_secs(NOW.unsigned_abs() + 3600)));
    assert_eq!(outcome(&jwt, &authenticate(&jwt, &token(&payload(r#""sub":"u","jti":"bad""#)))), REJECTED);
    // It is called for valid tokens only.
    let never = bearer().on_token_validated(|_| async { panic!("called for an invalid token") });
    assert_ne!(outcome(&never, &authenticate(&never, &token(&payload_with(&[("exp", "5")])))), "ok");
}

#[test]
fn token_from_overrides_header_and_query() {
    let jwt = bearer().token_from(|request| request.cookie("token").map(Into::into));
    let (good, bad) = (token(&payload("")), token(&payload_with(&[("exp", "5")])));
    let outcome_of = |cookie: &str, header: &str, query: &str| {
        let mut headers = headers(&[&format!("Bearer {header}")]);
        headers.insert("cookie", format!("token={cookie}").parse().unwrap());
        outcome(
            &jwt,
            &authenticate_request(
                &jwt,
                &request("/hubs", Some(&format!("access_token={query}")), &headers, RequestKind::Poll),
            ),
        )
    };
    assert_eq!(outcome_of(&good, &bad, &bad), "ok");
    assert_ne!(outcome_of(&bad, &good, &good), "ok");
    // Without a token from the function, query and header are used.
    assert_eq!(outcome_of("", &bad, &good), "ok");
    assert_eq!(outcome_of("", &good, ""), "ok");
}
