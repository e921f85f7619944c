//! Tokens of an identity provider: fetching, caching and rotating its keys.

mod failures;
mod provider;

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, UNIX_EPOCH};

use futures_util::future::join_all;
use provider::{Answer, Key, Provider};
use serde_json::json;
use signalr::auth::{IdentityProvider, JwtBearer};
use signalr::{SignalR, hub};
use signalr_test_support::{http, serve, until, within};

struct Closed;

#[hub]
#[signalr::authorize]
impl Closed {}

/// A server that accepts the tokens of a provider, and its clock.
struct Server {
    _signalr: SignalR,
    addr: SocketAddr,
    seconds: Arc<AtomicU64>,
}

impl Server {
    async fn of(provider: &Provider) -> Self {
        Self::with(trust(provider)).await
    }

    async fn with(provider: IdentityProvider) -> Self {
        Self::with_bearer(JwtBearer::identity_provider(provider)).await
    }

    async fn with_bearer(bearer: JwtBearer) -> Self {
        let seconds = Arc::new(AtomicU64::new(1_800_000_000));
        let clock = Arc::clone(&seconds);
        let bearer =
            bearer.audience("wards").clock(move || UNIX_EPOCH + Duration::from_secs(clock.load(Ordering::SeqCst)));
        let signalr = SignalR::builder().authentication(bearer).hub("/closed", Closed).build().unwrap();
        let addr = serve(&signalr).await;
        Self { _signalr: signalr, addr, seconds }
    }

    fn advance(&self, seconds: u64) {
        self.seconds.fetch_add(seconds, Ordering::SeqCst);
    }

    /// Returns the status of a negotiate request with this token.
    async fn request(&self, token: &str) -> u16 {
        let authorization = format!("Bearer {token}");
        let target = "/closed/negotiate?negotiateVersion=1";
        http(self.addr, "POST", target, &[("authorization", &authorization)]).await.0
    }

    /// Sends a negotiate request for each token at once. Returns their status, which must be the
    /// same.
    async fn request_all(&self, tokens: &[String]) -> u16 {
        let answers = join_all(tokens.iter().map(|token| self.request(token))).await;
        assert!(answers.iter().all(|status| *status == answers[0]), "{answers:?}");
        answers[0]
    }
}

fn trust(provider: &Provider) -> IdentityProvider {
    IdentityProvider::authority(provider.url()).root_certificates(&provider.certificate)
}

const HOUR: u64 = 3600;

#[tokio::test]
async fn first_requests_wait_for_the_keys_and_share_one_fetch() {
    let provider = Provider::start().await;
    let (key, forger) = (Key::new("a"), Key::new("a"));
    provider.publish(&[&key]);
    let server = Server::of(&provider).await;
    assert_eq!(provider.asked(), (0, 0), "nothing is fetched before there is a token");

    let tokens = vec![key.token(&provider, json!({})); 150];
    assert_eq!(server.request_all(&tokens).await, 200);
    assert_eq!(provider.asked(), (1, 1));
    // The issuer comes from the document. All other checks apply as usual.
    for (claims, expected) in [
        (json!({}), 200),
        (json!({ "iss": "https://other.test" }), 401),
        (json!({ "aud": "other" }), 401),
        (json!({ "exp": 5 }), 401),
    ] {
        assert_eq!(server.request(&key.token(&provider, claims.clone())).await, expected, "{claims}");
    }
    assert_eq!(server.request(&forger.token(&provider, json!({}))).await, 401);
    assert_eq!(provider.asked(), (1, 1));
}

#[tokio::test]
async fn key_rotation_costs_one_fetch_under_load() {
    let provider = Provider::start().await;
    let mut keys = vec![Key::new("0"), Key::new("1")];
    provider.publish(&[&keys[0], &keys[1]]);
    let server = Server::of(&provider).await;
    let token = |key: &Key| key.token(&provider, json!({}));
    assert_eq!(server.request(&token(&keys[0])).await, 200);

    for rotation in 1..=4 {
        // The oldest key is withdrawn and a new one is added.
        keys.push(Key::new(&(rotation + 1).to_string()));
        provider.publish(&[&keys[rotation], &keys[rotation + 1]]);
        server.advance(300);
        let both = [rotation, rotation + 1].map(|index| token(&keys[index]));
        let tokens: Vec<_> = both.iter().cycle().take(120).cloned().collect();
        assert_eq!(server.request_all(&tokens).await, 200);
        assert_eq!(provider.asked(), (1 + rotation, 1 + rotation), "one fetch for each rotation");
    }
    // The previous key would be accepted for an hour after its last use; older ones are not.
    assert_eq!(server.request(&token(&keys[0])).await, 401);
}

#[tokio::test]
async fn unknown_key_ids_trigger_fetches_at_a_bounded_rate() {
    let provider = Provider::start().await;
    let key = Key::new("a");
    provider.publish(&[&key]);
    let server = Server::of(&provider).await;
    assert_eq!(server.request(&key.token(&provider, json!({}))).await, 200);
    let flood: Vec<_> = (0..100).map(|n| Key::new(&format!("unknown-{n}")).token(&provider, json!({}))).collect();
    for (seconds, expected) in [(0, 2), (299, 2), (1, 3), (0, 3)] {
        server.advance(seconds);
        assert_eq!(server.request_all(&flood).await, 401);
        assert_eq!(provider.asked().1, expected, "{seconds}");
        assert_eq!(server.request(&key.token(&provider, json!({}))).await, 200);
    }
}

#[tokio::test]
async fn only_otherwise_valid_tokens_trigger_a_key_fetch() {
    let provider = Provider::start().await;
    let (key, new) = (Key::new("a"), Key::new("b"));
    provider.publish(&[&key]);
    let server = Server::of(&provider).await;
    assert_eq!(server.request(&key.token(&provider, json!({}))).await, 200);
    provider.publish(&[&key, &new]);
    for claims in
        [json!({ "exp": 5 }), json!({ "nbf": 4_000_000_000_u64 }), json!({ "aud": "x" }), json!({ "iss": "x" })]
    {
        assert_eq!(server.request(&new.token(&provider, claims.clone())).await, 401, "{claims}");
        assert_eq!(provider.asked().1, 1, "{claims}");
    }
    let mut forged = key.token(&provider, json!({}));
    forged.truncate(forged.len() - 4);
    assert_eq!(server.request(&forged).await, 401);
    assert_eq!(server.request("nonsense").await, 401);
    assert_eq!(provider.asked().1, 1);
    assert_eq!(server.request(&new.token(&provider, json!({}))).await, 200);
    assert_eq!(provider.asked().1, 2);

    let without_refresh = Server::with(trust(&provider).refresh_on_issuer_key_not_found(false)).await;
    assert_eq!(without_refresh.request(&key.token(&provider, json!({}))).await, 200);
    assert_eq!(without_refresh.request(&Key::new("c").token(&provider, json!({}))).await, 401);
    assert_eq!(provider.asked().1, 3);
}

#[tokio::test]
async fn keys_are_refreshed_every_12_hours_without_delaying_requests() {
    let provider = Provider::start().await;
    let (old, new) = (Key::new("old"), Key::new("new"));
    provider.publish(&[&old]);
    let server = Server::of(&provider).await;
    let (old_token, new_token) = (old.token(&provider, json!({})), new.token(&provider, json!({})));
    assert_eq!(server.request(&old_token).await, 200);
    server.advance(12 * HOUR - 1);
    assert_eq!(server.request(&old_token).await, 200);
    assert_eq!(provider.asked().0, 1);

    provider.publish(&[&old, &new]);
    provider.answer(Answer::Delayed);
    server.advance(1);
    // A slow provider does not delay tokens of known keys.
    assert_eq!(server.request_all(&vec![old_token.clone(); 20]).await, 200);
    until(|| provider.asked().0 == 2).await;
    assert_eq!(server.request(&old_token).await, 200);
    // A token of an unknown key waits for the pending fetch.
    let mut waiting = Box::pin(server.request(&new_token));
    for _ in 0..20 {
        assert_eq!(server.request(&old_token).await, 200);
        assert!(futures_util::poll!(&mut waiting).is_pending());
    }
    provider.release(2);
    assert_eq!(waiting.await, 200);
    assert_eq!(provider.asked(), (2, 2));
}

#[tokio::test]
async fn key_fetch_continues_after_its_request_is_dropped() {
    let provider = Provider::start().await;
    let key = Key::new("a");
    provider.publish(&[&key]);
    provider.answer(Answer::Delayed);
    let server = Server::of(&provider).await;
    let token = key.token(&provider, json!({}));
    {
        let mut leaving = Box::pin(server.request(&token));
        until_asked(&provider, &mut leaving).await;
    }
    provider.release(2);
    assert_eq!(server.request(&token).await, 200);
    assert_eq!(provider.asked(), (1, 1));
}

/// Polls `request` until the server has sent a request to the provider.
async fn until_asked(provider: &Provider, request: &mut (impl Future<Output = u16> + Unpin)) {
    within(async {
        tokio::select! {
            status = request => panic!("{status}"),
            () = until(|| provider.asked().0 == 1) => {}
        }
    })
    .await;
}

#[tokio::test]
async fn withdrawn_keys_verify_for_the_configured_lifetime() {
    for (lifetime, expected) in [(None, [200, 200, 401]), (Some(Duration::ZERO), [401, 401, 401])] {
        let provider = Provider::start().await;
        let (old, new) = (Key::new("old"), Key::new("new"));
        provider.publish(&[&old]);
        let trusted = trust(&provider);
        let server = Server::with(match lifetime {
            None => trusted,
            Some(lifetime) => trusted.last_known_good_lifetime(lifetime),
        })
        .await;
        let (old, new) = (old.token(&provider, json!({})), (new.token(&provider, json!({})), new));
        assert_eq!(server.request(&old).await, 200);
        provider.publish(&[&new.1]);
        assert_eq!(server.request(&new.0).await, 200);
        for (seconds, expected) in [0, HOUR - 1, 1].into_iter().zip(expected) {
            server.advance(seconds);
            assert_eq!(server.request(&old).await, expected, "{lifetime:?} {seconds}");
        }
        assert_eq!(server.request(&new.0).await, 200);
    }
}

#[tokio::test]
async fn configured_keys_work_beside_those_of_the_provider() {
    let provider = Provider::start().await;
    let (key, own) = (Key::new("a"), Key::new("own"));
    provider.publish(&[&key]);
    let own_key = signalr::auth::SigningKey::jwk(own.public.to_string()).unwrap();
    let bearer = JwtBearer::identity_provider(trust(&provider)).key(own_key).issuer("https://own.test");
    let server = Server::with_bearer(bearer).await;
    let own_token = own.token(&provider, json!({ "iss": "https://own.test" }));
    provider.answer(Answer::Down);
    assert_eq!(server.request(&own_token).await, 200);
    provider.answer(Answer::Good);
    server.advance(1);
    assert_eq!(server.request(&key.token(&provider, json!({}))).await, 200);
    assert_eq!(server.request(&own_token).await, 200);
}
