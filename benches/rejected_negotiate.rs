//! Cost of negotiate requests that are rejected, compared with one that is accepted.

#![expect(clippy::unwrap_used, reason = "benchmarks may panic")]

use std::time::{Duration, SystemTime};

use criterion::{Criterion, criterion_group, criterion_main};
use http::Request;
use http::header::AUTHORIZATION;
use jsonwebtoken::{EncodingKey, Header};
use serde_json::json;
use signalr::auth::JwtBearer;
use signalr::{SignalR, hub};
use tokio::runtime::Runtime;
use tower::ServiceExt;

const KEY: &[u8] = b"a-32-byte-or-longer-key-for-benches-0123456789";

struct Clinic;

#[hub]
#[authorize]
impl Clinic {}

fn token(key: &[u8]) -> String {
    let expires_at = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs() + 86_400;
    let claims = json!({ "sub": "ann", "iss": "clinic", "aud": "wards", "exp": expires_at });
    jsonwebtoken::encode(&Header::default(), &claims, &EncodingKey::from_secret(key)).unwrap()
}

fn negotiate(runtime: &Runtime, signalr: &SignalR, token: &str, expected: u16) {
    let mut request = Request::post("/clinic/negotiate?negotiateVersion=1");
    if !token.is_empty() {
        request = request.header(AUTHORIZATION, format!("Bearer {token}"));
    }
    let response = signalr.service().oneshot(request.body(String::new()).unwrap());
    assert_eq!(runtime.block_on(response).unwrap().status(), expected);
}

fn rejected_negotiate(criterion: &mut Criterion) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let bearer = JwtBearer::hmac(KEY).issuer("clinic").audience("wards");
    let builder = SignalR::builder().authentication(bearer).disconnect_timeout(Duration::from_millis(1));
    let signalr = builder.hub("/clinic", Clinic).build().unwrap();
    let (valid, forged) = (token(KEY), token(b"another-32-byte-or-longer-key-for-benches-0123"));
    let mut group = criterion.benchmark_group("negotiate");
    for (name, token, expected) in [
        ("accepted", valid.as_str(), 200),
        ("without a token", "", 401),
        ("a malformed token", "garbage", 401),
        ("a forged signature", &forged, 401),
        ("a signature of 16 KiB", &format!("{valid}{}", "A".repeat(15 * 1024)), 401),
        ("a token above the size limit", &"A".repeat(17 * 1024), 401),
    ] {
        group.bench_function(name, |bencher| bencher.iter(|| negotiate(&runtime, &signalr, token, expected)));
    }
    group.finish();
}

criterion_group!(benches, rejected_negotiate);
criterion_main!(benches);
