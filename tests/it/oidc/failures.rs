//! Providers that are unavailable, untrusted or invalid.

use serde_json::json;
use signalr::auth::{AuthConfigError, IdentityProvider, JwtBearer};

use super::provider::{Answer, Key, Provider, status};
use super::{HOUR, Server, trust};
use signalr_test_support::log_capture::Log;

#[tokio::test]
async fn last_known_keys_stay_valid_while_the_provider_is_down() {
    let provider = Provider::start().await;
    let (old, new) = (Key::new("old"), Key::new("new"));
    provider.publish(&[&old]);
    let server = Server::of(&provider).await;
    let (old, new_token) = (old.token(&provider, json!({})), new.token(&provider, json!({})));
    assert_eq!(server.request(&old).await, 200);

    provider.publish(&[&new]);
    provider.answer(Answer::Down);
    for _ in 0..5 {
        server.advance(12 * HOUR);
        assert_eq!(server.request_all(&vec![old.clone(); 20]).await, 200);
        assert_eq!(server.request(&new_token).await, 401);
    }
    provider.answer(Answer::Good);
    server.advance(300);
    assert_eq!(server.request(&new_token).await, 200);
}

/// Retries follow after 1 s, 2 s, 4 s and so on.
#[tokio::test]
async fn failed_first_fetch_is_retried_at_growing_intervals() {
    let provider = Provider::start().await;
    let key = Key::new("a");
    provider.publish(&[&key]);
    provider.answer(Answer::Discovery(status(503, "")));
    let server = Server::of(&provider).await;
    let tokens = vec![key.token(&provider, json!({})); 10];
    let growing = [(0, 1), (0, 1), (1, 2), (1, 2), (1, 3), (3, 3), (1, 4), (7, 4), (1, 5)];
    let grown = [(1 << 20, 6), (300, 7), (300, 8), (300, 9), (300, 10), (299, 10), (1, 11), (299, 11)];
    for (seconds, expected) in growing.into_iter().chain(grown) {
        server.advance(seconds);
        assert_eq!(server.request_all(&tokens).await, 401);
        assert_eq!(provider.asked(), (expected, 0), "{seconds}");
    }
    provider.answer(Answer::Good);
    server.advance(300);
    assert_eq!(server.request_all(&tokens).await, 200);
}

#[tokio::test]
async fn invalid_provider_responses_are_ignored_and_not_logged() {
    let log = Log::default();
    let subscriber = tracing_subscriber::fmt().with_max_level(tracing::Level::TRACE).with_ansi(false);
    let _guard = tracing::subscriber::set_default(subscriber.with_writer(log.clone()).finish());

    let provider = Provider::start().await;
    let (key, new) = (Key::new("a"), Key::new("b"));
    provider.publish(&[&key]);
    let server = Server::of(&provider).await;
    assert_eq!(server.request(&key.token(&provider, json!({}))).await, 200);
    provider.publish(&[&key, &new]);

    let discovery = |issuer: &str, keys: &str| {
        Answer::Discovery(status(200, json!({ "issuer": issuer, "jwks_uri": keys, "SECRET": "SECRET" }).to_string()))
    };
    let url = provider.url();
    let keys = |body: String| Answer::Keys(status(200, body));
    let mut moved = status(302, "SECRET");
    moved.headers_mut().insert("location", format!("{url}/keys?SECRET").parse().unwrap());
    let good = json!({ "keys": [new.public] });
    let answers = [
        discovery("https://SECRET.test", &format!("{url}/keys")),
        discovery("", &format!("{url}/keys")),
        discovery(&url, &format!("{}/keys", url.replace("https", "http"))),
        discovery(&url, "SECRET"),
        discovery(&url, "file:///etc/SECRET"),
        Answer::Discovery(status(200, r#"{"issuer":"SECRET"}"#)),
        Answer::Discovery(status(200, "SECRET")),
        Answer::Discovery(status(404, "SECRET")),
        Answer::Discovery(moved.clone()),
        Answer::Keys(moved),
        Answer::Keys(status(500, good.to_string())),
        Answer::Keys(status(204, "")),
        keys("SECRET".into()),
        keys(json!({ "keys": [] }).to_string()),
        keys(json!({ "keys": "SECRET" }).to_string()),
        keys(
            json!({ "keys": [{ "kty": "oct", "kid": "b", "k": "SECRETSECRETSECRETSECRETSECRETSECRETSECRETSE" }] })
                .to_string(),
        ),
        keys(format!("{good}{}", " ".repeat(1024 * 1024))),
    ];
    let count = answers.len();
    for (number, answer) in answers.into_iter().enumerate() {
        provider.answer(answer);
        server.advance(300);
        assert_eq!(server.request(&new.token(&provider, json!({}))).await, 401, "answer {number}");
        assert_eq!(server.request(&key.token(&provider, json!({}))).await, 200, "answer {number}");
    }
    // A key set of 1 MiB is accepted.
    provider.answer(keys(format!("{good}{}", " ".repeat(1_000_000))));
    server.advance(300);
    assert_eq!(server.request(&new.token(&provider, json!({}))).await, 200);

    let log = log.text();
    let of_ours: Vec<_> = log.lines().filter(|line| line.contains("signalr::auth")).collect();
    assert!(
        of_ours.iter().filter(|line| line.contains("failed to fetch signing keys")).count() >= count,
        "{of_ours:?}"
    );
    assert!(of_ours.iter().all(|line| line.contains("127.0.0.1") && !line.contains("SECRET")), "{of_ours:?}");
    for secret in [new.public["x"].as_str().unwrap(), &key.token(&provider, json!({}))] {
        assert!(!log.contains(secret));
    }
}

#[tokio::test]
async fn provider_certificate_is_verified() {
    let (provider, other) = (Provider::start().await, Provider::start().await);
    let key = Key::new("a");
    provider.publish(&[&key]);
    let token = key.token(&provider, json!({}));
    for untrusted in [
        IdentityProvider::authority(provider.url()),
        IdentityProvider::authority(provider.url()).root_certificates(&other.certificate),
    ] {
        assert_eq!(Server::with(untrusted).await.request(&token).await, 401);
    }
    assert_eq!(provider.asked(), (0, 0));
    assert_eq!(Server::of(&provider).await.request(&token).await, 200);
}

#[tokio::test]
async fn plain_http_provider_must_be_allowed_explicitly() {
    let provider = Provider::start_without_tls().await;
    let key = Key::new("a");
    provider.publish(&[&key]);
    let insecure = IdentityProvider::authority(provider.url());
    let refused = JwtBearer::identity_provider(insecure.clone()).audience("wards");
    assert_eq!(refused.validate(), Err(AuthConfigError::InsecureMetadata));
    let server = Server::with(insecure.require_https_metadata(false)).await;
    assert_eq!(server.request(&key.token(&provider, json!({}))).await, 200);
}

#[tokio::test]
async fn metadata_address_accepts_any_issuer() {
    let provider = Provider::start().await;
    let key = Key::new("a");
    provider.publish(&[&key]);
    let keys = format!("{}/keys", provider.url());
    let document = json!({ "issuer": "https://another.test/tenant", "jwks_uri": keys }).to_string();
    provider.answer(Answer::Discovery(status(200, document)));
    let address = format!("{}/.well-known/openid-configuration", provider.url());
    let by_address = IdentityProvider::metadata_address(address).root_certificates(&provider.certificate);
    let server = Server::with(by_address).await;
    let token = key.token(&provider, json!({ "iss": "https://another.test/tenant" }));
    assert_eq!(server.request(&token).await, 200);
    assert_eq!(server.request(&key.token(&provider, json!({}))).await, 401);
    assert_eq!(Server::with(trust(&provider)).await.request(&token).await, 401);
}

#[test]
fn invalid_provider_options_are_rejected() {
    use std::time::Duration;

    let good = || IdentityProvider::authority("https://id.example/realm/");
    for (provider, expected) in [
        (good(), Ok(())),
        (IdentityProvider::metadata_address("https://id.example/x"), Ok(())),
        (IdentityProvider::authority("http://id.example"), Err(AuthConfigError::InsecureMetadata)),
        (IdentityProvider::authority("http://id.example").require_https_metadata(false), Ok(())),
        (IdentityProvider::authority("id.example"), Err(AuthConfigError::MetadataAddress)),
        (IdentityProvider::authority("ftp://id.example"), Err(AuthConfigError::MetadataAddress)),
        (IdentityProvider::authority(""), Err(AuthConfigError::MetadataAddress)),
        (good().refresh_interval(Duration::from_millis(999)), Err(AuthConfigError::ShortInterval)),
        (good().refresh_interval(Duration::from_secs(1)), Ok(())),
        (good().automatic_refresh_interval(Duration::from_secs(299)), Err(AuthConfigError::ShortInterval)),
        (good().automatic_refresh_interval(Duration::from_secs(300)), Ok(())),
        (good().root_certificates("no certificate"), Err(AuthConfigError::NoRootCertificate)),
    ] {
        assert_eq!(JwtBearer::identity_provider(provider.clone()).audience("a").validate(), expected, "{provider:?}");
        assert_eq!(JwtBearer::identity_provider(provider).validate(), expected.and(Err(AuthConfigError::NoAudience)),);
    }
    // Only the host of an address is printed.
    let printed = format!("{:?}", IdentityProvider::authority("https://user:hidden@id.example/hidden?hidden"));
    assert!(printed.contains("id.example") && !printed.contains("hidden"), "{printed}");
}
