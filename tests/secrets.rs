//! Secrets stay secret: in what is logged at the finest level, and in what a hub is shown of a request.
//!
//! It stands alone, since the subscriber is that of the whole process.

#![cfg(feature = "messagepack")]
#![expect(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

#[expect(dead_code, reason = "each suite needs a part of it")]
mod support;

use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use futures_util::SinkExt;
use jsonwebtoken::{EncodingKey, Header};
use serde_json::{Value, json};
use signalr::auth::{JwtBearer, QueryToken};
use signalr::{Caller, Format, HubResult, SignalR, hub};
use support::{Client, http, negotiate, serve, until, within};
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tracing_subscriber::fmt::MakeWriter;

const KEY: &str = "only-for-tests-and-long-enough-0123456789";

/// Everything that is logged.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Log {
    fn text(&self) -> String {
        String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
    }
}

impl io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'w> MakeWriter<'w> for Log {
    type Writer = Self;

    fn make_writer(&'w self) -> Self {
        self.clone()
    }
}

struct Open;

#[hub]
impl Open {
    /// All that a hub can find out about the request, and what it looks like in a log.
    fn request(&self, caller: &Caller<Self>) -> Vec<String> {
        let request = caller.request();
        let headers = request.headers().map(|(name, value)| format!("{name}: {value}"));
        let shown = [format!("{caller:?} {request:?}"), request.path().to_owned(), request.query_string().to_owned()];
        let asked = ["access_token", "ACCESS_TOKEN"].map(|name| format!("{:?}", request.query(name)));
        let header = format!("{:?}", request.header("authorization"));
        headers.chain(shown).chain(asked).chain([header]).collect()
    }

    async fn fail(&self, caller: &Caller<Self>) -> HubResult {
        Err(format!("{caller:?} {:?}", caller.user())).map_err(signalr::HubError::internal)
    }
}

/// The same for those who are signed in.
struct Closed;

#[hub(include = shared)]
#[signalr::authorize]
impl Closed {}

fn shared<H: signalr::Hub>(methods: &mut signalr::Methods<H>) {
    methods.method("Whoami", |_, caller: Caller<H>, (): ()| async move { Ok(caller.user_id().map(str::to_owned)) });
}

fn token(expires_in: i64, key: &str) -> String {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs();
    let claims =
        json!({ "sub": "ann", "exp": i64::try_from(now).unwrap() + expires_in, "secretclaim": "very-private" });
    jsonwebtoken::encode(&Header::default(), &claims, &EncodingKey::from_secret(key.as_bytes())).unwrap()
}

fn assert_silent(text: &str, secrets: &[String]) {
    for secret in secrets {
        assert!(!text.contains(secret.as_str()), "{secret} is in\n{text}");
    }
}

/// A WebSocket with these headers, or the status that was answered instead.
async fn open(addr: SocketAddr, target: &str, authorization: Option<&str>) -> Option<Client> {
    let mut request = format!("ws://{addr}{target}").into_client_request().unwrap();
    if let Some(authorization) = authorization {
        request.headers_mut().insert("authorization", authorization.parse().unwrap());
    }
    let socket = within(TcpStream::connect(addr)).await.unwrap();
    let (ws, _) = within(tokio_tungstenite::client_async(request, socket)).await.ok()?;
    Some(Client::of(ws, Format::Json))
}

#[tokio::test]
async fn no_token_is_logged_or_shown() {
    let log = Log::default();
    tracing_subscriber::fmt().with_max_level(tracing::Level::TRACE).with_ansi(false).with_writer(log.clone()).init();

    let bearer = JwtBearer::hmac(KEY)
        .allow_any_issuer()
        .allow_any_audience()
        .clock_skew(Duration::ZERO)
        .query_token(QueryToken::under("/"));
    let signalr = SignalR::builder()
        .authentication(bearer)
        .enable_detailed_errors(true)
        .hub("/open", Open)
        .hub("/closed", Closed)
        .build()
        .unwrap();
    let addr = serve(&signalr).await;

    let good = token(3600, KEY);
    let tokens = [
        good.clone(),
        token(-3600, KEY),
        token(3600, "another-key-that-is-long-enough-0123456789"),
        "garbage-token".into(),
    ];
    let mut secrets: Vec<String> = vec!["very-private".into(), KEY.into()];
    for token in &tokens {
        // Whole or in parts: the header of a token is no secret, its claims and signature are.
        secrets.extend(token.split('.').skip(if token.contains('.') { 1 } else { 0 }).map(str::to_owned));
    }

    for token in &tokens {
        let bearer = format!("Bearer {token}");
        let headers = [("authorization", bearer.as_str()), ("cookie", "session=hidden")];
        let query = format!("access_token={token}");
        for path in ["/open", "/closed", "/elsewhere"] {
            for part in ["/negotiate?negotiateVersion=1&", "?"] {
                let target = format!("{path}{part}");
                for (target, headers) in [(target.clone(), headers.as_slice()), (format!("{target}{query}"), &[])] {
                    http(addr, "POST", &target, headers).await;
                    http(addr, "GET", &target, headers).await;
                }
            }
            for id in ["", "id=unknown&"] {
                open(addr, &format!("{path}?{id}"), Some(&bearer)).await;
                open(addr, &format!("{path}?{id}{query}&tenant=green"), None).await;
            }
        }
        let connection = negotiate(addr, "/open").await;
        secrets.push(connection.clone());
        let target = format!("/open?id={connection}&tenant=green&{query}&ACCESS_TOKEN={token}");
        let mut client = open(addr, &target, Some(&bearer)).await.unwrap();
        client.shake_hands().await;
        client.call(Some("1"), "Request", &[]).await;
        let shown = client.next().await.unwrap()["result"].to_string();
        assert!(shown.contains("tenant=green") && shown.contains("None"), "{shown}");
        // The hub is shown what it was asked by, the id of the connection included; its `Debug` is for logs.
        let debug: Vec<String> = serde_json::from_str(&shown).unwrap();
        let debug = debug.iter().find(|text| text.starts_with("Caller")).unwrap();
        assert_silent(debug, &secrets);
        assert_silent(&shown, &secrets.iter().filter(|secret| **secret != connection).cloned().collect::<Vec<_>>());

        client.call(Some("2"), "Fail", &[]).await;
        let failed: Value = client.next().await.unwrap();
        assert_silent(&failed.to_string(), &secrets);
        client.call(Some("3"), "Nowhere", &[good.as_str().into()]).await;
        client.next().await.unwrap();
        client.call(Some("4"), "Request", &[good.as_str().into()]).await;
        client.next().await.unwrap();
        within(client.ws.send(Message::text(format!("{{\"type\":1,\"target\":\"{good}\u{1e}")))).await.unwrap();
        client.last().await;
    }
    // Without a WebSocket, of the one who negotiated and of another.
    for token in ["", good.as_str()] {
        let query = format!("access_token={token}");
        let (status, negotiated) =
            http(addr, "POST", &format!("/open/negotiate?negotiateVersion=1&{query}"), &[]).await;
        assert_eq!(status, 200);
        let negotiated: Value = serde_json::from_str(&negotiated).unwrap();
        let connection = negotiated["connectionToken"].as_str().unwrap();
        secrets.push(connection.to_owned());
        let target = format!("/open?id={connection}&access_token=");
        for (method, token, expected) in [
            ("GET", if token.is_empty() { &good } else { "" }, 403),
            ("GET", token, 200),
            ("POST", token, 200),
            ("DELETE", token, 202),
        ] {
            assert_eq!(http(addr, method, &format!("{target}{token}"), &[]).await.0, expected, "{method}");
        }
        http(addr, "GET", &format!("{target}{token}"), &[("accept", "text/event-stream")]).await;
    }
    let mut client = open(addr, &format!("/closed?access_token={good}"), None).await.unwrap();
    client.shake_hands().await;
    client.call(Some("1"), "Whoami", &[]).await;
    assert_eq!(client.next().await.unwrap()["result"], "ann");
    client.close().await;
    assert!(open(addr, &format!("/closed?access_token={}", tokens[1]), None).await.is_none());
    until(|| signalr.context::<Closed>().connection_count() + signalr.context::<Open>().connection_count() == 0).await;

    let text = log.text();
    assert!(text.contains("disconnected") && text.contains("call failed") && text.contains("unknown method"), "{text}");
    assert!(text.contains("a request of another user"), "{text}");
    secrets.push("session=hidden".into());
    assert_silent(&text, &secrets);
}
