//! A server, and whatever a stranger may send to it: random tests and fuzzers share what must hold.
//!
//! A request is text: its first line is the method and the target, those after it are headers, and what stands behind an
//! empty line is the body. In it `{token}` is a good token, `{other}` one of another user and `{id}` the connection token of a
//! connection of the first one.

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

/// The tokens' time, and the server's.
const NOW: u64 = 1_800_000_000;

/// How many got to the hub whom nobody knows.
static STRANGERS: AtomicUsize = AtomicUsize::new(0);

struct Open;

#[hub]
impl Open {}

struct Closed;

#[hub]
#[authorize]
impl Closed {
    fn on_connected(&self, caller: &Caller<Self>) {
        if !matches!(caller.user_id(), Some("ann" | "bob")) {
            STRANGERS.fetch_add(1, Ordering::Relaxed);
        }
    }
}

/// A server whose clock stands still, until too many connections wait.
pub struct World {
    runtime: Runtime,
    signalr: SignalR,
    token: String,
    other: String,
    /// The connection token of a connection at `/closed`, made anew when the old one is gone.
    id: String,
    asked: usize,
}

/// What came of a request.
struct Answer {
    method: Method,
    path: String,
    /// Whose good tokens stood in it, wherever.
    signed: Vec<String>,
    response: Response<()>,
    body: Bytes,
}

impl World {
    pub fn new() -> Self {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build().unwrap();
        let bearer = JwtBearer::hmac(KEY).issuer("clinic").audience("wards");
        let bearer = bearer.clock(|| UNIX_EPOCH + Duration::from_secs(NOW));
        let builder = SignalR::builder().authentication(bearer).enable_authentication_refresh(true);
        // Time goes on where something waits, and connections end by it.
        let builder = builder.long_polling_poll_timeout(Duration::from_millis(1));
        let signalr = builder.hub("/open", Open).hub("/closed", Closed).build().unwrap();
        let mut world =
            Self { runtime, signalr, token: token("ann"), other: token("bob"), id: String::new(), asked: 0 };
        world.negotiate_anew();
        world
    }

    /// Whoever is not signed in is refused by what asks for it, and whatever is sent is answered.
    pub fn token(&mut self, input: &[u8]) {
        let Some(answer) = self.ask(input) else { return };
        if answer.path == "/closed" || answer.path == "/closed/negotiate" {
            let status = answer.response.status();
            if status != StatusCode::UNAUTHORIZED {
                assert!(!answer.signed.is_empty(), "{status} without a good token");
            } else {
                assert!(answer.body.is_empty());
                let challenge = answer.response.headers()[WWW_AUTHENTICATE].to_str().unwrap();
                assert!(challenge.starts_with("Bearer"), "{challenge}");
            }
        }
        assert_eq!(STRANGERS.load(Ordering::Relaxed), 0, "a stranger is in");
    }

    /// Negotiations are answered with what clients can read, and other methods are refused.
    pub fn negotiate(&mut self, input: &[u8]) {
        let Some(answer) = self.ask(input) else { return };
        if answer.path != "/open/negotiate" {
            return;
        }
        if answer.method != Method::POST {
            assert_eq!(answer.response.status(), StatusCode::METHOD_NOT_ALLOWED);
            return;
        }
        assert_eq!(answer.response.status(), StatusCode::OK);
        let body: Value = serde_json::from_slice(&answer.body).unwrap();
        if body["error"].is_string() {
            assert_eq!(body.as_object().unwrap().len(), 1);
        } else {
            let length = |name: &str| body[name].as_str().map(str::len);
            assert_eq!(length("connectionId"), Some(22));
            assert_eq!(length("connectionToken"), (body["negotiateVersion"] == 1).then_some(22));
            assert!(body["availableTransports"].is_array());
        }
    }

    /// A refresh is answered as clients read it, and only of use to the user whose connection it is.
    pub fn refresh(&mut self, input: &[u8]) {
        let Some(answer) = self.ask(input) else { return };
        if answer.path != "/closed/refresh" {
            return;
        }
        let status = answer.response.status();
        let body: Option<Value> = serde_json::from_slice(&answer.body).ok();
        match (status.as_u16(), body) {
            (200, Some(body)) => {
                assert!(answer.signed.iter().any(|user| user == "ann"), "a connection of ann's");
                assert!(body["tokenLifetimeSeconds"].is_u64(), "{body}");
            }
            (401 | 405, None) => assert!(answer.body.is_empty()),
            (400 | 401 | 403 | 404, Some(body)) => assert!(body["error"].is_string(), "{body}"),
            (_, body) => panic!("{status} {body:?}"),
        }
    }

    /// The status that a request is answered with, or 0 if it is none.
    pub fn status(&mut self, input: &str) -> u16 {
        self.ask(input.as_bytes()).map_or(0, |answer| answer.response.status().as_u16())
    }

    /// Sends a request; nothing if it is none. The answer is no fault of the server's.
    fn ask(&mut self, input: &[u8]) -> Option<Answer> {
        self.make_room();
        self.send(input)
    }

    fn send(&mut self, input: &[u8]) -> Option<Answer> {
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
        let answer = self.runtime.block_on(async move {
            let (head, body) = service.call(request).await.unwrap().into_parts();
            // Events have no end.
            let body = tokio::time::timeout(Duration::from_millis(1), body.collect()).await;
            let body = body.map(|body| body.map(|body| body.to_bytes()).unwrap_or_default()).unwrap_or_default();
            Answer { method, path, signed, response: Response::from_parts(head, ()), body }
        });
        let status = answer.response.status();
        assert!(!status.is_server_error(), "{status}");
        Some(answer)
    }

    /// What nobody opens is swept away after 15 seconds.
    fn make_room(&mut self) {
        self.asked += 1;
        if self.asked.is_multiple_of(1000) {
            self.runtime.block_on(async { tokio::time::sleep(Duration::from_secs(20)).await });
            assert_eq!(self.signalr.connection_count(), 0, "something is left");
            self.negotiate_anew();
        }
    }

    /// A connection that polls.
    fn negotiate_anew(&mut self) {
        let body = self.get_in("POST /closed/negotiate?negotiateVersion=1&access_token={token}");
        let body: Value = serde_json::from_slice(&body).unwrap();
        body["connectionToken"].as_str().unwrap().clone_into(&mut self.id);
        self.get_in("GET /closed?id={id}&access_token={token}");
    }

    fn get_in(&mut self, request: &str) -> Bytes {
        let answer = self.send(request.as_bytes()).unwrap();
        assert_eq!(answer.response.status(), StatusCode::OK);
        answer.body
    }
}

/// A good token of a user.
pub fn token(user: &str) -> String {
    let claims = json!({ "sub": user, "iss": "clinic", "aud": "wards", "exp": NOW + 3600 });
    jsonwebtoken::encode(&Header::default(), &claims, &EncodingKey::from_secret(KEY)).unwrap()
}

/// Every text that could be meant as a token.
fn candidates<B>(request: &Request<B>) -> Vec<String> {
    let lines = request.headers().get_all(AUTHORIZATION).iter().map(|line| String::from_utf8_lossy(line.as_bytes()));
    let headers = lines.filter_map(|line| line.split_once(' ').map(|(_, token)| token.trim().to_owned()));
    let parameters = request.uri().query().unwrap_or_default().split('&').filter_map(|pair| pair.split_once('='));
    let parameters = parameters.map(|(_, value)| percent_decode_str(value).decode_utf8_lossy().into_owned());
    headers.chain(parameters).collect()
}

/// Whom a token names.
fn subject(token: &str) -> String {
    let claims = token.split('.').nth(1).and_then(|payload| URL_SAFE_NO_PAD.decode(payload).ok()).unwrap_or_default();
    let claims: Value = serde_json::from_slice(&claims).unwrap_or_default();
    claims["sub"].as_str().unwrap_or_default().to_owned()
}

/// The judgement of another library: whether a token is signed with the key.
fn is_signed(token: &str) -> bool {
    let Some((message, signature)) = token.rsplit_once('.') else { return false };
    let signature = signature.trim_end_matches('=');
    let key = DecodingKey::from_secret(KEY);
    let verifies = |algorithm| jsonwebtoken::crypto::verify(signature, message.as_bytes(), &key, algorithm);
    [Algorithm::HS256, Algorithm::HS384].into_iter().any(|algorithm| verifies(algorithm).unwrap_or(false))
}
