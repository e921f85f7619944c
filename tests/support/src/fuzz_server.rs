//! A server for arbitrary requests, with the properties that random tests and fuzzers share.
//!
//! A request is text: the first line has the method and the target, the next lines are headers, and the body follows an
//! empty line. `{token}` stands for a valid token of `ann`, `{other}` for one of `bob`, and `{id}` for the connection token
//! of a connection of `ann`.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, UNIX_EPOCH};

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bytes::Bytes;
use http::header::{AUTHORIZATION, WWW_AUTHENTICATE};
use http::{Method, Request, Response, StatusCode};
use http_body_util::{BodyExt, Full};
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header};
use percent_encoding::percent_decode_str;
use serde_json::{Value, json};
use signalr::auth::JwtBearer;
use signalr::{Caller, SignalR, hub};
use tokio::runtime::Runtime;
use tower_service::Service;

const KEY: &[u8] = b"a-32-byte-or-longer-key-for-tests-only-0123456789";

/// The Unix time of the server and of its tokens, in seconds.
const NOW: u64 = 1_800_000_000;

/// Connections of unknown users that reached the hub.
static UNKNOWN_CALLERS: AtomicUsize = AtomicUsize::new(0);

struct Open;

#[hub]
impl Open {}

struct Closed;

#[hub]
#[authorize]
impl Closed {
    fn on_connected(&self, caller: &Caller<Self>) {
        if !matches!(caller.user_id(), Some("ann" | "bob")) {
            UNKNOWN_CALLERS.fetch_add(1, Ordering::Relaxed);
        }
    }
}

/// A server with paused time, which advances when too many connections have accumulated.
#[derive(Debug)]
pub struct FuzzServer {
    runtime: Runtime,
    signalr: SignalR,
    token: String,
    other: String,
    /// The connection token of a connection at `/closed`, replaced after the old connection expired.
    id: String,
    requests: usize,
}

/// A request and its response.
struct Exchange {
    method: Method,
    path: String,
    /// The users of the valid tokens in the request.
    signed: Vec<String>,
    response: Response<()>,
    body: Bytes,
}

impl Default for FuzzServer {
    fn default() -> Self {
        Self::new()
    }
}

impl FuzzServer {
    /// Starts the server.
    pub fn new() -> Self {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build().unwrap();
        let bearer = JwtBearer::hmac(KEY).issuer("clinic").audience("wards");
        let bearer = bearer.clock(|| UNIX_EPOCH + Duration::from_secs(NOW));
        let builder = SignalR::builder().authentication(bearer).enable_authentication_refresh(true);
        // Paused time advances while a request waits. The timeout keeps that from ending connections.
        let builder = builder.long_polling_poll_timeout(Duration::from_millis(1));
        let signalr = builder.hub("/open", Open).hub("/closed", Closed).build().unwrap();
        let mut world =
            Self { runtime, signalr, token: token("ann"), other: token("bob"), id: String::new(), requests: 0 };
        world.open_connection();
        world
    }

    /// Checks that requests without a valid token are rejected where one is required.
    pub fn token(&mut self, input: &[u8]) {
        let Some(exchange) = self.exchange(input) else { return };
        if exchange.path == "/closed" || exchange.path == "/closed/negotiate" {
            let status = exchange.response.status();
            if status != StatusCode::UNAUTHORIZED {
                assert!(!exchange.signed.is_empty(), "{status} without a valid token");
            } else {
                assert!(exchange.body.is_empty());
                let challenge = exchange.response.headers()[WWW_AUTHENTICATE].to_str().unwrap();
                assert!(challenge.starts_with("Bearer"), "{challenge}");
            }
        }
        assert_eq!(UNKNOWN_CALLERS.load(Ordering::Relaxed), 0, "an unknown user is connected");
    }

    /// Checks that negotiate responses have the fields that clients read, and that other methods are rejected.
    pub fn negotiate(&mut self, input: &[u8]) {
        let Some(exchange) = self.exchange(input) else { return };
        if exchange.path != "/open/negotiate" {
            return;
        }
        if exchange.method != Method::POST {
            assert_eq!(exchange.response.status(), StatusCode::METHOD_NOT_ALLOWED);
            return;
        }
        assert_eq!(exchange.response.status(), StatusCode::OK);
        let body: Value = serde_json::from_slice(&exchange.body).unwrap();
        if body["error"].is_string() {
            assert_eq!(body.as_object().unwrap().len(), 1);
        } else {
            let length = |name: &str| body[name].as_str().map(str::len);
            assert_eq!(length("connectionId"), Some(22));
            assert_eq!(length("connectionToken"), (body["negotiateVersion"] == 1).then_some(22));
            assert!(body["availableTransports"].is_array());
        }
    }

    /// Checks that responses to an authentication refresh have the fields that clients read, and that it succeeds only for
    /// the user of the connection.
    pub fn refresh(&mut self, input: &[u8]) {
        let Some(exchange) = self.exchange(input) else { return };
        if exchange.path != "/closed/refresh" {
            return;
        }
        let status = exchange.response.status();
        let body: Option<Value> = serde_json::from_slice(&exchange.body).ok();
        match (status.as_u16(), body) {
            (200, Some(body)) => {
                assert!(exchange.signed.iter().any(|user| user == "ann"), "the connection is ann's");
                assert!(body["tokenLifetimeSeconds"].is_u64(), "{body}");
            }
            (401 | 405, None) => assert!(exchange.body.is_empty()),
            (400 | 401 | 403 | 404, Some(body)) => assert!(body["error"].is_string(), "{body}"),
            (_, body) => panic!("{status} {body:?}"),
        }
    }

    /// Returns the status of the response, or 0 if `input` is no HTTP request.
    pub fn status(&mut self, input: &str) -> u16 {
        self.exchange(input.as_bytes()).map_or(0, |exchange| exchange.response.status().as_u16())
    }

    /// Sends a request and checks that the response is no server error. Returns `None` if `input` is no HTTP request.
    fn exchange(&mut self, input: &[u8]) -> Option<Exchange> {
        self.expire_connections();
        self.send(input)
    }

    fn send(&mut self, input: &[u8]) -> Option<Exchange> {
        let text = String::from_utf8_lossy(input).into_owned();
        let text = text.replace("{token}", &self.token).replace("{other}", &self.other).replace("{id}", &self.id);
        let (head, body) = text.split_once("\n\n").unwrap_or((&text, ""));
        let mut lines = head.split('\n');
        let (method, target) = lines.next()?.split_once(' ')?;
        let mut request = Request::builder().method(method).uri(target);
        for line in lines {
            let (name, value) = line.split_once(':')?;
            request = request.header(name, value.trim());
        }
        let request = request.body(Full::new(Bytes::copy_from_slice(body.as_bytes()))).ok()?;
        let (method, path) = (request.method().clone(), request.uri().path().to_owned());
        let signed = candidates(&request).iter().filter(|token| is_signed(token)).map(|token| subject(token)).collect();
        let mut service = self.signalr.service();
        let exchange = self.runtime.block_on(async move {
            let (head, body) = service.call(request).await.unwrap().into_parts();
            // Event streams have no end.
            let body = tokio::time::timeout(Duration::from_millis(1), body.collect()).await;
            let body = body.map(|body| body.map(|body| body.to_bytes()).unwrap_or_default()).unwrap_or_default();
            Exchange { method, path, signed, response: Response::from_parts(head, ()), body }
        });
        let status = exchange.response.status();
        assert!(!status.is_server_error(), "{status}");
        Some(exchange)
    }

    /// Every 1000 requests, lets more than `disconnect_timeout` pass, which is 15 s, and replaces the connection.
    fn expire_connections(&mut self) {
        self.requests += 1;
        if self.requests.is_multiple_of(1000) {
            self.runtime.block_on(async { tokio::time::sleep(Duration::from_secs(20)).await });
            assert_eq!(self.signalr.connection_count(), 0, "a connection is left");
            self.open_connection();
        }
    }

    /// Negotiates a connection of `ann` and polls it once.
    fn open_connection(&mut self) {
        let body = self.send_ok("POST /closed/negotiate?negotiateVersion=1&access_token={token}");
        let body: Value = serde_json::from_slice(&body).unwrap();
        body["connectionToken"].as_str().unwrap().clone_into(&mut self.id);
        self.send_ok("GET /closed?id={id}&access_token={token}");
    }

    fn send_ok(&mut self, request: &str) -> Bytes {
        let exchange = self.send(request.as_bytes()).unwrap();
        assert_eq!(exchange.response.status(), StatusCode::OK);
        exchange.body
    }
}

/// Returns a valid token of a user.
pub fn token(user: &str) -> String {
    let claims = json!({ "sub": user, "iss": "clinic", "aud": "wards", "exp": NOW + 3600 });
    jsonwebtoken::encode(&Header::default(), &claims, &EncodingKey::from_secret(KEY)).unwrap()
}

/// Returns every text at a place where a token may be.
fn candidates<B>(request: &Request<B>) -> Vec<String> {
    let lines = request.headers().get_all(AUTHORIZATION).iter().map(|line| String::from_utf8_lossy(line.as_bytes()));
    let headers = lines.filter_map(|line| line.split_once(' ').map(|(_, token)| token.trim().to_owned()));
    let parameters = request.uri().query().unwrap_or_default().split('&').filter_map(|pair| pair.split_once('='));
    let parameters = parameters.map(|(_, value)| percent_decode_str(value).decode_utf8_lossy().into_owned());
    headers.chain(parameters).collect()
}

/// Returns the `sub` of a token.
fn subject(token: &str) -> String {
    let claims = token.split('.').nth(1).and_then(|payload| URL_SAFE_NO_PAD.decode(payload).ok()).unwrap_or_default();
    let claims: Value = serde_json::from_slice(&claims).unwrap_or_default();
    claims["sub"].as_str().unwrap_or_default().to_owned()
}

/// Whether a token is signed with the key, according to `jsonwebtoken`.
fn is_signed(token: &str) -> bool {
    let Some((message, signature)) = token.rsplit_once('.') else { return false };
    let signature = signature.trim_end_matches('=');
    let key = DecodingKey::from_secret(KEY);
    let verifies = |algorithm| jsonwebtoken::crypto::verify(signature, message.as_bytes(), &key, algorithm);
    [Algorithm::HS256, Algorithm::HS384].into_iter().any(|algorithm| verifies(algorithm).unwrap_or(false))
}
