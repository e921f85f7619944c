//! Tests of authentication and authorization, and their helpers: tokens, a fixed clock, requests.

mod challenges;
mod claims;
mod hostile;
mod jwks;
mod keys;
mod options;
mod pems;
mod query;
mod rules;
mod schemes;
mod transcripts;

use std::sync::{Arc, LazyLock};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use futures_util::FutureExt as _;
use http::header::AUTHORIZATION;
use http::{Extensions, HeaderMap, Method};
use jsonwebtoken::crypto::rust_crypto::DEFAULT_PROVIDER;
use jsonwebtoken::{Algorithm, EncodingKey};

use super::{AuthRequest, Authentication, JwtBearer, RequestKind, User};

/// Long enough for HS384, too short for HS512.
const SECRET: &str = "a-32-byte-or-longer-key-for-tests-only-0123456789";
const OTHER_SECRET: &str = "another-32-byte-or-longer-key-000000000000000000";

/// 01/15/2027 08:00:00 in seconds. The clock of [`bearer`] returns half a second later, because a
/// real clock is practically never at a whole second.
const NOW: i64 = 1_800_000_000;

fn bearer() -> JwtBearer {
    JwtBearer::hmac(SECRET).issuer("https://issuer.test").audience("signalr-tests").clock(now)
}

fn now() -> SystemTime {
    UNIX_EPOCH + Duration::from_millis(NOW.unsigned_abs() * 1000 + 500)
}

/// Payload of a valid token, with additional members.
fn payload(more: &str) -> String {
    let comma = if more.is_empty() { "" } else { "," };
    let expires = NOW + 3600;
    format!(r#"{{"iss":"https://issuer.test","aud":"signalr-tests","exp":{expires}{comma}{more}}}"#)
}

/// Payload of a valid token with claims replaced or added; an empty value removes a claim.
fn payload_with(changes: &[(&str, &str)]) -> String {
    let expires = (NOW + 3600).to_string();
    let good = [("iss", r#""https://issuer.test""#), ("aud", r#""signalr-tests""#), ("exp", expires.as_str())];
    let kept = good.iter().filter(|(name, _)| changes.iter().all(|(changed, _)| changed != name));
    let members = kept.chain(changes).filter(|(_, value)| !value.is_empty());
    let members: Vec<String> = members.map(|(name, value)| format!("{name:?}:{value}")).collect();
    format!("{{{}}}", members.join(","))
}

fn token(payload: &str) -> String {
    signed(r#"{"alg":"HS256","typ":"JWT"}"#, payload, Algorithm::HS256, &EncodingKey::from_secret(SECRET.as_bytes()))
}

fn signed(header: &str, payload: &str, algorithm: Algorithm, key: &EncodingKey) -> String {
    let message = format!("{}.{}", URL_SAFE_NO_PAD.encode(header), URL_SAFE_NO_PAD.encode(payload));
    let signer = (DEFAULT_PROVIDER.signer_factory)(&algorithm, key).unwrap();
    let signature = signer.try_sign(message.as_bytes()).unwrap();
    format!("{message}.{}", URL_SAFE_NO_PAD.encode(signature))
}

fn headers(lines: &[&str]) -> HeaderMap {
    lines.iter().map(|line| (AUTHORIZATION, line.parse().unwrap())).collect()
}

/// A request. Its query may contain characters that no URI allows.
fn request<'a>(path: &'a str, query: Option<&'a str>, headers: &'a HeaderMap, kind: RequestKind) -> AuthRequest<'a> {
    static NO_EXTENSIONS: LazyLock<Extensions> = LazyLock::new(Extensions::new);
    AuthRequest { method: &Method::GET, path, query, headers, extensions: &NO_EXTENSIONS, peer_addr: None, kind }
}

/// Authenticates a request with a token in its header.
fn authenticate(jwt: &JwtBearer, token: &str) -> Authentication {
    let headers = headers(&[&format!("Bearer {token}")]);
    authenticate_request(jwt, &request("/hubs/clinical", None, &headers, RequestKind::Negotiate))
}

/// Authenticates a request; panics if the future is pending.
fn authenticate_request(jwt: &JwtBearer, request: &AuthRequest<'_>) -> Authentication {
    jwt.authenticate(request).now_or_never().unwrap()
}

fn user(jwt: &JwtBearer, token: &str) -> User {
    match authenticate(jwt, token) {
        Authentication::Authenticated(user) => user,
        rejected => panic!("{rejected:?}"),
    }
}

/// Returns `ok` or the challenge.
fn outcome(jwt: &JwtBearer, authentication: &Authentication) -> String {
    match authentication {
        Authentication::Authenticated(_) => "ok".into(),
        rejected => jwt.www_authenticate_for(rejected.failure()).to_str().unwrap().into(),
    }
}
