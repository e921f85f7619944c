//! What can be set on bearer authentication.

use super::*;
use crate::auth::{AuthConfigError, SigningKey};

#[test]
fn clock_skew_and_expiration_are_options() {
    let expires = NOW + 10;
    let late = |skew| bearer().clock_skew(skew).clock(move || now() + Duration::from_secs(11));
    let short = token(&payload_with(&[("exp", &expires.to_string())]));
    assert_eq!(answer(&late(Duration::from_secs(2)), &authenticate(&late(Duration::from_secs(2)), &short)), "ok");
    assert_ne!(answer(&late(Duration::ZERO), &authenticate(&late(Duration::ZERO), &short)), "ok");
    assert_eq!(answer(&late(Duration::MAX), &authenticate(&late(Duration::MAX), &short)), "ok");

    let jwt = bearer().require_expiration(false);
    assert_eq!(user(&jwt, &token(&payload_with(&[("exp", "")]))).expires_at(), None);
}

#[test]
fn the_clock_may_stand_anywhere() {
    for clock in
        [UNIX_EPOCH, UNIX_EPOCH - Duration::from_secs(1), UNIX_EPOCH + Duration::from_secs(u64::from(u32::MAX) * 60)]
    {
        let jwt = bearer().clock(move || clock).clock_skew(Duration::MAX);
        assert_eq!(answer(&jwt, &authenticate(&jwt, &token(&payload("")))), "ok");
    }
}

#[test]
fn several_issuers_and_audiences_may_be_valid_and_any_by_choice() {
    let several = bearer().issuers(["i2", "i3"]).audiences(["a2", "a3"]);
    let other = token(&payload_with(&[("iss", "\"i3\""), ("aud", "\"a2\"")]));
    assert_eq!(answer(&several, &authenticate(&several, &other)), "ok");
    let any = bearer().allow_any_issuer().allow_any_audience();
    for payload in [payload_with(&[("iss", "\"x\""), ("aud", "\"y\"")]), payload_with(&[("iss", ""), ("aud", "")])] {
        assert_eq!(answer(&any, &authenticate(&any, &token(&payload))), "ok");
    }
}

#[test]
fn details_can_be_left_out() {
    let jwt = bearer().include_error_details(false);
    assert_eq!(answer(&jwt, &authenticate(&jwt, "nonsense")), "Bearer");
    assert_eq!(answer(&jwt, &authenticate(&jwt, &token(&payload_with(&[("exp", "5")])))), "Bearer");
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
