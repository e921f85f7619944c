//! Authentication refresh: new credentials for open connections.

mod calls;
mod expiration;
mod http;
mod long_polling;
mod ordering;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use serde_json::{Value, json};
use signalr::auth::JwtBearer;
use signalr::hosting::EndpointBuilder;
use signalr::{Caller, HubError, HubResult, SignalR, hub};
use signalr_test_support::{Client, ClientKind, http, serve, within};
use tokio::sync::{Semaphore, mpsc};

/// Records events, and has calls wait at its gate.
struct Ward {
    tells: mpsc::UnboundedSender<String>,
    ends: mpsc::UnboundedSender<String>,
    gate: Arc<Semaphore>,
}

#[hub]
#[authorize]
impl Ward {
    async fn on_authentication_refreshed(&self, caller: &Caller<Self>) -> HubResult {
        let extra = extra_of(caller);
        self.tells.send(format!("refreshed: {extra}")).unwrap();
        match extra.as_str() {
            "bad" => Err(HubError::new("not this one")),
            "worse" => panic!("not this one"),
            _ => Ok(()),
        }
    }

    fn on_disconnected(&self, caller: &Caller<Self>) {
        self.ends.send(extra_of(caller)).unwrap();
    }

    fn extra(&self, caller: &Caller<Self>) -> String {
        extra_of(caller)
    }

    fn user_id(&self, caller: &Caller<Self>) -> Option<String> {
        caller.user_id().map(str::to_owned)
    }

    #[authorize(roles = "Doctor")]
    fn order(&self) -> &'static str {
        "ordered"
    }

    async fn join(&self, caller: &Caller<Self>) -> HubResult {
        Ok(caller.join("ward").await?)
    }

    async fn tell(&self, caller: &Caller<Self>, user: String) -> HubResult {
        caller.clients().group("ward").send("Group", ()).await?;
        caller.clients().user(user).send("User", ()).await?;
        Ok(())
    }

    /// Returns the claims before and after the gate.
    async fn wait(&self, caller: &Caller<Self>) -> (String, String) {
        let before = extra_of(caller);
        self.tells.send("waits".to_owned()).unwrap();
        self.gate.acquire().await.unwrap().forget();
        (before, extra_of(caller))
    }
}

fn extra_of(caller: &Caller<Ward>) -> String {
    caller.user().claim("extra").unwrap_or("nothing").to_owned()
}

/// A server with one hub, and the events of that hub.
struct Host {
    _signalr: SignalR,
    addr: SocketAddr,
    heard: mpsc::UnboundedReceiver<String>,
    /// The claims of connections that have ended.
    ended: mpsc::UnboundedReceiver<String>,
    gate: Arc<Semaphore>,
}

impl Host {
    /// Starts a server with refresh enabled and with these options.
    async fn new(options: impl FnOnce(EndpointBuilder<Ward>) -> EndpointBuilder<Ward>) -> Self {
        let (gate, (tells, heard), (ends, ended)) =
            (Arc::new(Semaphore::new(0)), mpsc::unbounded_channel(), mpsc::unbounded_channel());
        let bearer = JwtBearer::hmac(KEY).allow_any_issuer().allow_any_audience().require_expiration(false);
        let ward = Ward { tells, ends, gate: Arc::clone(&gate) };
        let endpoint = SignalR::builder().authentication(bearer).hub("/ward", ward);
        let signalr = options(endpoint.enable_authentication_refresh(true)).build().unwrap();
        let addr = serve(&signalr).await;
        Self { _signalr: signalr, addr, heard, ended, gate }
    }

    async fn heard(&mut self) -> String {
        within(self.heard.recv()).await.unwrap()
    }

    /// Returns the claims of the next connection that ends.
    async fn ended(&mut self) -> String {
        within(self.ended.recv()).await.unwrap()
    }

    /// Returns the negotiate response.
    async fn negotiate(&self, token: &str) -> Value {
        let (status, body) =
            http(self.addr, "POST", "/ward/negotiate?negotiateVersion=1", &[("authorization", &bearer(token))]).await;
        assert_eq!(status, 200, "{body}");
        serde_json::from_str(&body).unwrap()
    }

    async fn connect(&self, kind: ClientKind, token: &str) -> Connection {
        let id = self.negotiate(token).await["connectionToken"].as_str().unwrap().to_owned();
        let mut client = kind.open(self.addr, &target(&id, token)).await;
        client.handshake().await;
        Connection { id, client }
    }

    /// Refreshes a connection as the .NET client does.
    async fn refresh(&self, id: &str, token: &str) -> (u16, Value) {
        post_refresh(self.addr, id, token).await
    }
}

async fn post_refresh(addr: SocketAddr, id: &str, token: &str) -> (u16, Value) {
    let headers = [("authorization", &*bearer(token)), ("x-signalr-connection-token", id)];
    let (status, body) = http(addr, "POST", "/ward/refresh", &headers).await;
    (status, serde_json::from_str(&body).unwrap_or(Value::String(body)))
}

/// A connection that was opened with a token.
struct Connection {
    /// The connection token.
    id: String,
    client: Client,
}

impl Connection {
    /// Uses this token for later polls and sends.
    fn use_token(&mut self, token: &str) {
        self.client.set_target(target(&self.id, token));
    }

    async fn call(&mut self, id: &str, method: &str, arguments: &[Value]) {
        self.client.call(Some(id), method, arguments).await;
    }

    /// Invokes a method and returns its result or its error. The completion must be the next message.
    async fn invoke(&mut self, method: &str) -> Value {
        self.call("1", method, &[]).await;
        let mut answer = self.next().await.unwrap();
        assert_eq!((&answer["type"], &answer["invocationId"]), (&json!(3), &json!("1")), "{answer}");
        let outcome = if answer.get("error").is_some() { "error" } else { "result" };
        answer[outcome].take()
    }

    async fn next(&mut self) -> Option<Value> {
        self.client.next().await
    }
}

const SOCKET: ClientKind = ClientKind::WEB_SOCKETS;
const POLLS: ClientKind = ClientKind::LONG_POLLING;

const KEY: &[u8; 32] = b"a-key-of-thirty-two-bytes-length";

/// Returns a token of `ann` with a claim `extra`, valid for this number of seconds.
fn ann(seconds: u64, extra: &str) -> String {
    token(&json!({ "sub": "ann", "role": "Nurse", "extra": extra, "exp": now() + seconds }))
}

fn token(claims: &Value) -> String {
    let key = jsonwebtoken::EncodingKey::from_secret(KEY);
    jsonwebtoken::encode(&jsonwebtoken::Header::default(), claims, &key).unwrap()
}

fn now() -> u64 {
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or(Duration::ZERO).as_secs()
}

fn bearer(token: &str) -> String {
    format!("Bearer {token}")
}

fn target(id: &str, token: &str) -> String {
    format!("/ward?id={id}&access_token={token}")
}

fn error(code: &str) -> Value {
    json!({ "error": code })
}

/// Checks that a response has a token lifetime of about this number of seconds.
#[track_caller]
fn assert_lifetime((status, body): &(u16, Value), seconds: u64) {
    assert_eq!(*status, 200, "{body}");
    let lifetime = body["tokenLifetimeSeconds"].as_u64().unwrap();
    assert!((seconds - 11..=seconds).contains(&lifetime), "{body}");
}
