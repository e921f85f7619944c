//! `Debug` and `Display` of values that may hold a secret.

use std::error::Error;
use std::fmt::Debug;
use std::time::SystemTime;

use http::header::{COOKIE, HeaderName, HeaderValue, SET_COOKIE};
use signalr::auth::{
    ApiKeys, AuthError, AuthRejection, Authentication, Authorize, Claim, JwtBearer, Policy, RedactedUri, SigningKey,
    User, redact_query,
};
use signalr::hosting::{Cors, Redirect};
use signalr::{SignalR, hub};

use super::forms;
use signalr_test_support::log_capture::assert_no_secrets;

struct Chat;

#[hub]
impl Chat {}

/// Returns both forms of `Debug`.
fn debug_text(value: &dyn Debug) -> String {
    format!("{value:?}\n{value:#?}\n")
}

/// Returns an error with all of its sources.
fn error_text<E: Error>(error: &E) -> String {
    let mut error_text = debug_text(&error);
    let mut source: Option<&dyn Error> = Some(error);
    while let Some(error) = source {
        error_text += &format!("{error}\n");
        source = error.source();
    }
    error_text
}

#[test]
fn debug_output_contains_no_key_material() {
    let key = "only-for-tests-and-long-enough-0123456789-0123456789-0123456789-01";
    let signing = SigningKey::hmac(key).with_kid("june");
    let bearer = JwtBearer::with_key(signing.clone()).key(SigningKey::hmac(key)).issuer("i").audience("a");
    let builder = SignalR::builder().authentication(bearer.clone()).cors(Cors::origins(["https://app.test"]));
    let mut text = debug_text(&signing) + &debug_text(&bearer) + &debug_text(&builder);
    let endpoint = builder.hub("/chat", Chat);
    text += &debug_text(&endpoint);
    let signalr = endpoint.build().unwrap();
    text += &(debug_text(&signalr) + &debug_text(&signalr.service()) + &debug_text(&signalr.context::<Chat>()));
    text +=
        &debug_text(&ApiKeys::in_header(HeaderName::from_static("x-api-key")).key(key, User::builder().id("gateway")));
    assert!(text.contains("june") && text.contains("HS512") && text.contains("x-api-key"), "{text}");
    assert_no_secrets(&text, &forms(key));
}

#[test]
fn errors_contain_no_key_material() {
    let short = "short-and-secret-key";
    let mut secrets = forms(short);
    let build = SignalR::builder().authentication(JwtBearer::hmac(short).issuer("i").audience("a")).build();
    let mut text = error_text(&build.unwrap_err());
    let body = "MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQg";
    secrets.push(body.to_owned());
    for pem in [
        short.to_owned(),
        format!("-----BEGIN PUBLIC KEY-----\n{body}\n-----END PUBLIC KEY-----"),
        format!("-----BEGIN PRIVATE KEY-----\n{body}\n-----END PRIVATE KEY-----"),
        format!("-----BEGIN {short}-----\n{body}\n-----END {short}-----"),
    ] {
        text += &error_text(&SigningKey::ed_pem(&pem).unwrap_err());
        text += &error_text(&SigningKey::jwk(&pem).unwrap_err());
        text += &error_text(&SigningKey::jwks(&pem).unwrap_err());
        text += &error_text(&SigningKey::rsa_pem(&pem).unwrap_err());
        text += &error_text(&SigningKey::ec_pem(&pem).unwrap_err());
        text += &error_text(&JwtBearer::rsa_pem(&pem).unwrap_err());
    }
    for jwk in [
        format!(r#"{{"kty":"oct","k":"{body}"#),
        format!(r#"{{"kty":"RSA","n":"{body}","e":"{body}"}}"#),
        format!(r#"{{"kty":"EC","crv":"P-256","x":"{body}","y":"{body}","d":"{body}"}}"#),
        format!(r#"{{"kty":"{body}","k":{{}}}}"#),
    ] {
        text += &error_text(&SigningKey::jwk(&jwk).unwrap_err());
        let all = SigningKey::jwks(format!(r#"{{"keys":[{jwk}]}}"#));
        text += &all.map_or_else(|error| error_text(&error), |keys| debug_text(&keys));
    }
    assert_no_secrets(&text, &secrets);
}

#[cfg(feature = "oidc")]
#[test]
fn debug_output_of_providers_contains_no_passwords() {
    let url = "https://user:s3cret@id.test/s3cret?key=s3cret";
    let provider = signalr::auth::IdentityProvider::authority(url);
    let mut text = debug_text(&provider) + &debug_text(&JwtBearer::authority(url).audience("a"));
    if let Err(error) = SignalR::builder().authentication(JwtBearer::authority(url).audience("a")).build() {
        text += &error_text(&error);
    }
    assert_no_secrets(&text, &["s3cret".to_owned()]);
}

#[test]
fn debug_output_of_users_contains_only_their_id() {
    let claim = Claim::new("ssn", "123-45-6789");
    let builder = User::builder().id("ann").role("s3cret-role").claim(claim.claim_type(), claim.value());
    let mut text = debug_text(&builder) + &debug_text(&claim);
    let user = builder.expires_at(SystemTime::now()).build();
    text += &(debug_text(&user) + &debug_text(&user.all_claims()) + &debug_text(&Authentication::Authenticated(user)));
    assert!(text.contains("ann"), "{text}");
    assert_no_secrets(&text, &["123-45-6789".to_owned(), "s3cret-role".to_owned()]);
}

#[test]
fn debug_output_of_responses_and_uris_contains_no_cookies_or_tokens() {
    let mut cookie = HeaderValue::from_static("session=s3cret");
    let refusal = AuthRejection::unauthorized().header(SET_COOKIE, cookie.clone()).header(COOKIE, cookie.clone());
    let mut text = debug_text(&refusal);
    cookie.set_sensitive(true);
    text += &debug_text(&cookie);
    for url in [
        "https://u:s3cret@away.test/hub?access_token=s3cret&id=s3cret#s3cret",
        "https://s3cret@away.test",
        "/hub?access%5Ftoken=s3cret;s3cret",
        "https://away.test/#access_token=s3cret",
        "no url, s3cret",
    ] {
        text += &debug_text(&Redirect::to(url).access_token("s3cret"));
        if let Ok(uri) = url.parse() {
            text += &format!("{} {:?}", RedactedUri::new(&uri), RedactedUri::new(&uri));
        }
    }
    text += &redact_query("ID=s3cret&Access_Token=s3cret").to_string();
    assert!(text.contains("away.test/hub?access_token=***&id=***"), "{text}");
    assert_no_secrets(&text, &["s3cret".to_owned()]);
}

#[test]
fn debug_output_of_rules_is_readable_and_of_failures_is_one_line() {
    let text = debug_text(&Policy::require_role("Doctor")) + &debug_text(&Authorize::roles("Doctor"));
    assert!(text.contains("Doctor"), "{text}");
    let failure = AuthError::new("no such session\nERROR forged");
    assert!(!format!("{failure} {failure:?}").contains('\n'), "{failure}");
}
