//! Authentication schemes: which one identifies the user, and how each rejects a request.

mod certificates;
mod host;
mod rules;

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use http::{HeaderName, HeaderValue};
use serde_json::{Value, json};
use signalr::auth::{
    ApiKeys, AuthError, AuthRejection, AuthRequest, Authentication, Authenticator, Authorize, JwtBearer, User,
};
use signalr::hosting::Builder;
use signalr::{Caller, SignalR, hub};
use signalr_test_support::{Client, ClientKind, serve, within};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::Semaphore;

const API_KEY: &str = "0123456789abcdef0123456789abcdef";

/// Returns the user of the caller.
#[derive(Clone, Copy)]
struct WhoAmI;

#[hub]
impl WhoAmI {
    async fn who(&self, caller: &Caller<Self>) -> (Option<String>, Vec<String>, Option<u64>) {
        describe(caller.user())
    }

    #[authorize(roles = "Device")]
    async fn measure(&self) -> u32 {
        37
    }
}

/// Returns name, roles and expiration.
fn describe(user: &User) -> (Option<String>, Vec<String>, Option<u64>) {
    let ends = user.expires_at().map(|at| at.duration_since(UNIX_EPOCH).unwrap().as_secs());
    (user.name().map(str::to_owned), user.roles().map(str::to_owned).collect(), ends)
}

/// A scheme of the application, by cookie, with its own challenge and its own response to forbidden
/// requests.
struct Cookies;

impl Authenticator for Cookies {
    async fn authenticate(&self, request: &AuthRequest<'_>) -> Authentication {
        tokio::task::yield_now().await;
        match request.cookie("session").as_deref() {
            Some("ann 1") => Authentication::Authenticated(ann()),
            Some(_) => Authentication::Failed(AuthError::new("no such session").with_description("It has ended")),
            None => Authentication::Anonymous,
        }
    }

    fn challenge(&self, request: &AuthRequest<'_>, failure: Option<&AuthError>) -> AuthRejection {
        let why = failure.and_then(AuthError::description).unwrap_or_else(|| "none".into());
        let cookie = format!("Cookie path=\"{}\", why=\"{why}\"", request.path());
        AuthRejection::unauthorized().www_authenticate(HeaderValue::try_from(cookie).unwrap())
    }

    fn forbid(&self, _: &AuthRequest<'_>) -> AuthRejection {
        AuthRejection::redirect(HeaderValue::from_static("/denied"))
    }
}

/// A user with other claim types for names and roles.
fn ann() -> User {
    let user = User::builder().name_claim("nick").role_claim("team").id("ann").name("Ann").role("Nurse");
    user.expires_at(at(2_000_000_000)).build()
}

fn device() -> User {
    User::builder().id("d1").name("Pump").role("Device").expires_at(at(1_900_000_000)).build()
}

fn at(seconds: u64) -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(seconds)
}

fn bearer() -> JwtBearer {
    JwtBearer::hmac("a secret of at least thirty-two bytes").issuer("clinic").audience("wards")
}

fn three_schemes() -> Builder {
    let keys = ApiKeys::in_header(HeaderName::from_static("x-api-key")).key(API_KEY, device());
    SignalR::builder().authentication(bearer()).scheme("ApiKey", keys).scheme("Cookies", Cookies)
}

/// Returns status and headers of a response. Header names are in lower case.
async fn request_head(addr: SocketAddr, method: &str, target: &str, headers: &[(&str, &str)]) -> (u16, Vec<String>) {
    let mut request = format!("{method} {target} HTTP/1.1\r\nhost: test\r\ncontent-length: 0\r\nconnection: close\r\n");
    headers.iter().for_each(|(name, value)| request.push_str(&format!("{name}: {value}\r\n")));
    let mut response = String::new();
    within(async {
        let mut socket = TcpStream::connect(addr).await.unwrap();
        socket.write_all(format!("{request}\r\n").as_bytes()).await.unwrap();
        socket.read_to_string(&mut response).await.unwrap();
    })
    .await;
    let head = response.split("\r\n\r\n").next().unwrap();
    let mut lines = head.lines().map(str::to_owned);
    (lines.next().unwrap().split(' ').nth(1).unwrap().parse().unwrap(), lines.collect())
}

/// Returns the status of a negotiate request and the challenges or redirects of the response.
async fn negotiate(addr: SocketAddr, path: &str, headers: &[(&str, &str)]) -> (u16, Vec<String>) {
    let (status, lines) = request_head(addr, "POST", &format!("{path}/negotiate?negotiateVersion=1"), headers).await;
    let challenge = |line: &String| {
        let value = line.strip_prefix("www-authenticate: ").or_else(|| line.strip_prefix("location: "));
        value.map(str::to_owned)
    };
    (status, lines.iter().filter_map(challenge).collect())
}

/// Connects without negotiation.
async fn connect(addr: SocketAddr, target: &str, headers: &[(&str, &str)]) -> Client {
    let mut client = ClientKind::WEB_SOCKETS.open_with(addr, target, headers).await;
    client.handshake().await;
    client
}

async fn invoke(client: &mut Client, method: &str) -> Value {
    client.call(Some("1"), method, &[]).await;
    let mut answer = client.next().await.unwrap();
    match answer.get("error") {
        Some(error) => error.clone(),
        None => answer["result"].take(),
    }
}

async fn who(addr: SocketAddr, path: &str, headers: &[(&str, &str)]) -> Value {
    invoke(&mut connect(addr, path, headers).await, "Who").await
}

#[tokio::test]
async fn first_scheme_with_a_user_wins() {
    let signalr = three_schemes().hub("/who_am_i", WhoAmI).build().unwrap();
    let addr = serve(&signalr).await;
    let (key, cookie, bad) = (("x-api-key", API_KEY), ("cookie", "session=ann%201"), ("authorization", "Bearer x"));
    let (pump, ann) = (json!(["Pump", ["Device"], 1_900_000_000]), json!(["Ann", ["Nurse"], 2_000_000_000]));
    assert_eq!(who(addr, "/who_am_i", &[]).await, json!([null, [], null]));
    assert_eq!(who(addr, "/who_am_i", &[key]).await, pump);
    assert_eq!(who(addr, "/who_am_i", &[cookie]).await, ann);
    assert_eq!(who(addr, "/who_am_i", &[cookie, key]).await, pump);
    assert_eq!(who(addr, "/who_am_i", &[bad, key]).await, pump, "another scheme identifies the user");
    assert_eq!(who(addr, "/who_am_i", &[("x-api-key", "0123456789abcdef0123456789abcdeF"), cookie]).await, ann);
    assert_eq!(who(addr, "/who_am_i", &[bad]).await, json!([null, [], null]));
    assert_eq!(who(addr, "/who_am_i", &[("x-api-key", "")]).await, json!([null, [], null]));
}

#[tokio::test]
async fn default_scheme_writes_the_challenge() {
    let who_am_i = || three_schemes().hub("/who_am_i", WhoAmI).authorize(Authorize::roles("Nurse"));
    let addr = serve(&who_am_i().build().unwrap()).await;
    let challenge = |headers| negotiate(addr, "/who_am_i", headers);
    assert_eq!(challenge(&[]).await, (401, vec!["Bearer".into()]));
    assert_eq!(challenge(&[("x-api-key", "x")]).await, (401, vec!["Bearer".into()]));
    assert_eq!(challenge(&[("authorization", "Bearer x")]).await, (401, vec!["Bearer error=\"invalid_token\"".into()]));
    assert_eq!(challenge(&[("x-api-key", API_KEY)]).await, (403, Vec::new()));
    assert_eq!(challenge(&[("cookie", "session=ann 1")]).await.0, 200);
}

#[tokio::test]
async fn pending_authenticator_does_not_block_other_requests() {
    let gate = Arc::new(Semaphore::new(0));
    struct Gate(Arc<Semaphore>);
    impl Authenticator for Gate {
        async fn authenticate(&self, request: &AuthRequest<'_>) -> Authentication {
            if request.query("wait").is_some() {
                self.0.acquire().await.unwrap().forget();
            }
            Authentication::Authenticated(User::builder().id("u").build())
        }
    }
    let signalr = SignalR::builder()
        .scheme("Gate", Gate(gate.clone()))
        .hub("/who_am_i", WhoAmI)
        .authorize(Authorize::user())
        .build()
        .unwrap();
    let addr = serve(&signalr).await;
    let waiting = tokio::spawn(async move { request_head(addr, "POST", "/who_am_i/negotiate?wait", &[]).await.0 });
    assert_eq!(negotiate(addr, "/who_am_i", &[]).await.0, 200);
    assert!(!waiting.is_finished());
    gate.add_permits(1);
    assert_eq!(within(waiting).await.unwrap(), 200);
}

#[tokio::test]
async fn panic_in_an_authenticator_is_a_500_of_its_request() {
    async fn panics(request: &AuthRequest<'_>) -> Authentication {
        match request.query("panic").as_deref() {
            Some("at once") => panic!("the scheme"),
            Some(_) => {
                tokio::task::yield_now().await;
                panic!("the scheme, later");
            }
            None => Authentication::Authenticated(User::builder().build()),
        }
    }
    let signalr = SignalR::builder().scheme("Panics", panics).hub("/who_am_i", WhoAmI).build().unwrap();
    let addr = serve(&signalr).await;
    for target in ["/who_am_i/negotiate?panic=at+once", "/who_am_i/negotiate?panic=later", "/who_am_i?panic=later"] {
        assert_eq!(request_head(addr, "POST", target, &[]).await.0, 500, "{target}");
    }
    assert_eq!(negotiate(addr, "/who_am_i", &[]).await.0, 200);
}

#[tokio::test]
async fn authenticators_see_the_kind_of_request() {
    let seen = Arc::new(Mutex::new(Vec::new()));
    struct Kinds(Arc<Mutex<Vec<String>>>);
    impl Authenticator for Kinds {
        async fn authenticate(&self, request: &AuthRequest<'_>) -> Authentication {
            self.0.lock().unwrap().push(format!("{} {:?}", request.method(), request.kind()));
            Authentication::Anonymous
        }
    }
    let signalr = SignalR::builder().scheme("Kinds", Kinds(seen.clone())).hub("/who_am_i", WhoAmI).build().unwrap();
    let addr = serve(&signalr).await;
    for (method, target, accept) in [
        ("POST", "/who_am_i/negotiate", "*/*"),
        ("GET", "/who_am_i?id=x", "text/event-stream"),
        ("GET", "/who_am_i?id=x", "*/*"),
        ("POST", "/who_am_i?id=x", "*/*"),
        ("DELETE", "/who_am_i?id=x", "*/*"),
        ("PUT", "/who_am_i?id=x", "*/*"),
        ("POST", "/elsewhere", "*/*"),
    ] {
        request_head(addr, method, target, &[("accept", accept)]).await;
    }
    drop(connect(addr, "/who_am_i", &[]).await);
    let expected = [
        "POST Negotiate",
        "GET ServerSentEvents",
        "GET Poll",
        "POST Send",
        "DELETE Delete",
        "PUT Other",
        "GET WebSocket",
    ];
    assert_eq!(*seen.lock().unwrap(), expected);
}
