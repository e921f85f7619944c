//! What stands before a hub: pages of other origins, sub-protocols, and the way to other servers.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use http::header::{ACCESS_CONTROL_ALLOW_ORIGIN, SEC_WEBSOCKET_PROTOCOL};
use http::{Request, Response};
use serde_json::{Value, json};
use signalr::auth::JwtBearer;
use signalr::{Body, Builder, Caller, Cors, Format, Redirect, SignalR, hub};
use signalr_test_support::{Client, http, serve, within};
use tokio::net::TcpStream;
use tokio_tungstenite::client_async;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tower::ServiceExt;

struct Echo;

#[hub]
impl Echo {
    async fn echo(&self, text: String) -> String {
        text
    }
}

struct Secret;

#[hub]
#[authorize]
impl Secret {
    fn who(&self, caller: &Caller<Self>) -> Option<String> {
        caller.user().id().map(str::to_owned)
    }
}

const KEY: &str = "a-32-byte-or-longer-key-for-tests-only-0123456789";

const UPGRADE: [(&str, &str); 4] = [
    ("connection", "Upgrade"),
    ("upgrade", "websocket"),
    ("sec-websocket-version", "13"),
    ("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ=="),
];

fn authenticated() -> Builder {
    SignalR::builder().authentication(JwtBearer::hmac(KEY).issuer("front").audience("front"))
}

async fn ask(signalr: &SignalR, method: &str, path: &str, headers: &[(&str, &str)]) -> Response<Body> {
    let request = Request::builder().method(method).uri(path);
    let request = headers.iter().fold(request, |request, (name, value)| request.header(*name, *value));
    within(signalr.service().oneshot(request.body(Body::default()).unwrap())).await.unwrap()
}

/// The origin that an answer lets in.
fn allowed(response: &Response<Body>) -> Option<&str> {
    response.headers().get(ACCESS_CONTROL_ALLOW_ORIGIN).map(|origin| origin.to_str().unwrap())
}

#[tokio::test]
async fn a_policy_of_the_server_holds_for_every_answer() {
    let signalr = authenticated().cors(Cors::origins(["http://app.test"])).hub("/echo", Echo).hub("/secret", Secret);
    let signalr = signalr.transports(signalr::Transports::WEB_SOCKETS).build().unwrap();
    for (method, path, status) in [
        ("POST", "/echo/negotiate", 200),
        ("OPTIONS", "/echo/negotiate", 405),
        ("GET", "/echo", 400),
        ("GET", "/echo?id=nobody", 404),
        ("POST", "/echo?id=nobody", 404),
        ("DELETE", "/echo?id=nobody", 404),
        ("POST", "/secret/negotiate", 401),
        ("GET", "/nowhere", 404),
    ] {
        let response = ask(&signalr, method, path, &[("origin", "http://app.test")]).await;
        assert_eq!((response.status().as_u16(), allowed(&response)), (status, Some("http://app.test")), "{path}");
        for headers in [&[("origin", "http://evil.test")][..], &[]] {
            let response = ask(&signalr, method, path, headers).await;
            assert_eq!((response.status().as_u16(), allowed(&response)), (status, None), "{path}");
        }
        let asks = [("origin", "http://app.test"), ("access-control-request-method", "POST")];
        let preflight = ask(&signalr, "OPTIONS", path, &asks).await;
        assert_eq!((preflight.status().as_u16(), allowed(&preflight)), (204, Some("http://app.test")), "{path}");
        assert_eq!(preflight.headers()["access-control-allow-methods"], "GET,POST,DELETE");
    }
}

/// Answers that take their time carry it, too.
#[tokio::test]
async fn polls_sends_and_upgrades_are_told_as_well() {
    let signalr = SignalR::builder().cors(Cors::origins(["http://app.test"])).hub("/echo", Echo).build().unwrap();
    let addr = serve(&signalr).await;
    let target = format!("/echo?id={}", signalr_test_support::negotiate(addr, "/echo").await);
    for method in ["GET", "POST", "DELETE"] {
        let response = ask(&signalr, method, &target, &[("origin", "http://app.test")]).await;
        assert!(response.status().is_success(), "{method}");
        assert_eq!(allowed(&response), Some("http://app.test"), "{method}");
    }
    let upgraded = open(addr, &[("origin", "http://app.test")]).await;
    assert_eq!(upgraded["access-control-allow-origin"], "http://app.test");
}

#[tokio::test]
async fn a_hub_has_its_own_policy_or_that_of_the_server() {
    let signalr = SignalR::builder()
        .cors(Cors::any_origin())
        .hub("/own", Echo)
        .cors(Cors::origins(["http://app.test"]))
        .hub("/other", Echo)
        .build()
        .unwrap();
    let from = |origin: &'static str| [("origin", origin)];
    let answer = ask(&signalr, "POST", "/own/negotiate", &from("http://app.test")).await;
    assert_eq!(allowed(&answer), Some("http://app.test"));
    assert_eq!(allowed(&ask(&signalr, "POST", "/own/negotiate", &from("http://evil.test")).await), None);
    assert_eq!(allowed(&ask(&signalr, "POST", "/other/negotiate", &from("http://evil.test")).await), Some("*"));

    let signalr = SignalR::builder().hub("/own", Echo).cors(Cors::any_origin()).hub("/other", Echo).build().unwrap();
    let asks = [("origin", "http://app.test"), ("access-control-request-method", "POST")];
    assert_eq!(ask(&signalr, "OPTIONS", "/own/negotiate", &asks).await.status(), 204);
    assert_eq!(ask(&signalr, "OPTIONS", "/other/negotiate", &asks).await.status(), 405);
    assert_eq!(ask(&signalr, "OPTIONS", "/nowhere", &asks).await.status(), 404);
}

#[tokio::test]
async fn websockets_of_other_pages_are_refused() {
    let signalr = authenticated().allowed_origins(["https://App.test"]).hub("/echo", Echo).hub("/secret", Secret);
    let signalr = signalr.hub("/open", Echo).allowed_origins(["*"]).build().unwrap();
    let addr = serve(&signalr).await;
    let with = |origin: &'static str| [&UPGRADE[..], &[("origin", origin)]].concat();
    for path in ["/echo", "/echo?id=nobody", "/echo/negotiate"] {
        assert_eq!(http(addr, "GET", path, &with("https://evil.test")).await, (403, String::new()), "{path}");
    }
    // Who the user is comes first, as in ASP.NET.
    assert_eq!(http(addr, "GET", "/secret", &with("https://evil.test")).await.0, 401);
    assert_eq!(signalr.connection_count(), 0);

    assert_eq!(http(addr, "GET", "/echo?id=nobody", &with("https://app.test")).await.0, 404);
    assert_eq!(http(addr, "GET", "/open?id=nobody", &with("https://evil.test")).await.0, 404);
    assert_eq!(http(addr, "GET", "/echo?id=nobody", &UPGRADE).await.0, 404);
    for method in ["GET", "POST"] {
        assert_eq!(http(addr, method, "/echo?id=nobody", &[("origin", "https://evil.test")]).await.0, 404);
    }
    assert_eq!(http(addr, "POST", "/echo/negotiate", &[("origin", "https://evil.test")]).await.0, 200);
    open(addr, &[("origin", "https://app.test")]).await;
    open(addr, &[]).await;
}

/// Opens a WebSocket to `/echo` that works, and returns the headers of its answer.
async fn open(addr: SocketAddr, headers: &[(&'static str, &str)]) -> http::HeaderMap {
    let mut request = "ws://test/echo".into_client_request().unwrap();
    for (name, value) in headers {
        request.headers_mut().insert(*name, value.parse().unwrap());
    }
    let socket = within(TcpStream::connect(addr)).await.unwrap();
    let (ws, response) = within(client_async(request, socket)).await.unwrap();
    let mut client = Client::of(ws, Format::Json);
    client.shake_hands().await;
    client.echo("hello").await;
    response.into_parts().0.headers
}

#[tokio::test]
async fn the_sub_protocol_is_what_the_selector_says() {
    let signalr = SignalR::builder().web_socket_sub_protocol(|asked| {
        let known = asked.iter().find(|protocol| protocol.starts_with("v2."));
        known.map(|protocol| (*protocol).to_owned())
    });
    let addr = serve(&signalr.hub("/echo", Echo).build().unwrap()).await;
    let headers = open(addr, &[("sec-websocket-protocol", "v1.echo, v2.echo, v2.other")]).await;
    assert_eq!(headers[SEC_WEBSOCKET_PROTOCOL], "v2.echo");
    assert!(!open(addr, &[]).await.contains_key(SEC_WEBSOCKET_PROTOCOL));
    let (status, _) = http(addr, "GET", "/echo?id=nobody", &UPGRADE).await;
    assert_eq!(status, 404);
}

/// None of its connections stays behind.
#[tokio::test]
async fn code_that_panics_before_a_hub_is_an_error_of_its_request() {
    let signalr = SignalR::builder()
        .web_socket_sub_protocol(|asked| panic!("asked for {asked:?}"))
        .redirect_negotiate(|_, _| panic!("sent nowhere"))
        .cors(Cors::origin_allowed(|origin| panic!("{origin}")))
        .hub("/echo", Echo)
        .build()
        .unwrap();
    let addr = serve(&signalr).await;
    assert_eq!(http(addr, "GET", "/echo", &UPGRADE).await, (500, String::new()));
    assert_eq!(http(addr, "POST", "/echo/negotiate", &[]).await, (500, String::new()));
    assert_eq!(http(addr, "GET", "/echo", &[("origin", "http://app.test")]).await, (500, String::new()));
    assert_eq!(signalr.connection_count(), 0);
}

#[tokio::test]
async fn a_client_is_sent_to_another_server() {
    let service = authenticated().hub("/echo", Secret).build().unwrap();
    let behind = serve(&service).await;
    let token = token("nurse");
    let given = token.clone();
    let front = SignalR::builder().hub("/echo", Echo).redirect_negotiate(move |request, user| {
        assert!(!user.is_authenticated());
        let tenant = request.query("tenant")?;
        let url = format!("http://{behind}/echo?tenant={tenant}");
        Some(Redirect::to(url).access_token(&given))
    });
    let front = front.build().unwrap();
    let addr = serve(&front).await;

    let (status, body) = http(addr, "POST", "/echo/negotiate?tenant=north&negotiateVersion=1", &[]).await;
    let url = format!("http://{behind}/echo?tenant=north");
    let expected =
        format!(r#"{{"negotiateVersion":1,"url":"{url}","accessToken":"{token}","availableTransports":[]}}"#);
    assert_eq!((status, body), (200, expected));
    assert_eq!(front.connection_count(), 0);

    // There, as clients go on.
    let bearer = format!("Bearer {token}");
    let (status, body) = negotiate_at(behind, "/echo/negotiate?tenant=north&negotiateVersion=1", &bearer).await;
    assert_eq!(status, 200);
    let target = format!("/echo?tenant=north&id={}&access_token={token}", body["connectionToken"].as_str().unwrap());
    let mut client = Client::open(behind, &target, Format::MessagePack).await;
    client.shake_hands().await;
    client.call(Some("1"), "Who", &[]).await;
    assert_eq!(client.next().await.unwrap()["result"], "nurse");

    // Who is not sent away stays.
    let mut client = Client::connect(addr, "/echo", Format::Json).await;
    client.echo("here").await;
}

#[tokio::test]
async fn the_checks_of_a_negotiation_come_before_it_is_sent_elsewhere() {
    let asked = Arc::new(Mutex::new(Vec::new()));
    let heard = Arc::clone(&asked);
    let signalr =
        authenticated().hub("/secret", Secret).minimum_protocol_version(1).redirect_negotiate(move |_, user| {
            heard.lock().unwrap().push(user.id().map(str::to_owned));
            Some(Redirect::to("https://other.test/secret"))
        });
    let signalr = signalr.build().unwrap();
    let addr = serve(&signalr).await;
    let bearer = format!("Bearer {}", token("nurse"));
    assert_eq!(http(addr, "POST", "/secret/negotiate?negotiateVersion=1", &[]).await.0, 401);
    assert_eq!(http(addr, "GET", "/secret/negotiate?negotiateVersion=1", &[("authorization", &bearer)]).await.0, 405);
    for query in ["", "?negotiateVersion=0", "?negotiateVersion=x"] {
        let (_, body) = negotiate_at(addr, &format!("/secret/negotiate{query}"), &bearer).await;
        assert!(body["error"].is_string(), "{body}");
    }
    assert!(asked.lock().unwrap().is_empty());

    let (_, body) = negotiate_at(addr, "/secret/negotiate?negotiateVersion=7", &bearer).await;
    let expected = json!({ "negotiateVersion": 1, "url": "https://other.test/secret", "availableTransports": [] });
    assert_eq!(body, expected);
    assert_eq!(*asked.lock().unwrap(), [Some("nurse".to_owned())]);
}

async fn negotiate_at(addr: SocketAddr, target: &str, bearer: &str) -> (u16, Value) {
    let (status, body) = http(addr, "POST", target, &[("authorization", bearer)]).await;
    (status, serde_json::from_str(&body).unwrap())
}

/// A token for a user.
fn token(user: &str) -> String {
    let claims = BTreeMap::from([
        ("sub", json!(user)),
        ("iss", json!("front")),
        ("aud", json!("front")),
        ("exp", json!(4_000_000_000_u64)),
    ]);
    jsonwebtoken::encode(
        &jsonwebtoken::Header::default(),
        &claims,
        &jsonwebtoken::EncodingKey::from_secret(KEY.as_bytes()),
    )
    .unwrap()
}
