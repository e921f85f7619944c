//! What strangers try: connections of others, more connections than are their due, and tokens by the thousand.

use std::net::SocketAddr;

use http::HeaderName;
use serde_json::Value;
use signalr::auth::{ApiKeys, User};
use signalr::{Format, SignalR, hub};
use signalr_test_support::any_transport::{bearer, token_of};
use signalr_test_support::http_client::Plain;
use signalr_test_support::{Client, http, serve, within};
use tokio::net::TcpStream;

struct Clinic;

#[hub]
impl Clinic {
    async fn echo(&self, text: String) -> String {
        text
    }
}

#[derive(Debug)]
struct Closed;

#[hub]
#[authorize]
impl Closed {}

async fn clinic() -> (SignalR, SocketAddr) {
    let signalr = SignalR::builder()
        .authentication(bearer())
        .hub("/clinic", Clinic)
        .allow_stateful_reconnects(true)
        .hub("/closed", Closed)
        .build()
        .unwrap();
    let addr = serve(&signalr).await;
    (signalr, addr)
}

/// Negotiates as the user of this query; the path with the connection's token.
async fn negotiated(addr: SocketAddr, query: &str) -> String {
    let query = format!("negotiateVersion=1&useStatefulReconnect=true&{query}");
    let (status, body) = http(addr, "POST", &format!("/clinic/negotiate?{query}"), &[]).await;
    assert_eq!(status, 200);
    let body: Value = serde_json::from_str(&body).unwrap();
    format!("/clinic?id={}", body["connectionToken"].as_str().unwrap())
}

/// The status that a WebSocket gets.
async fn knock(addr: SocketAddr, target: &str) -> u16 {
    let socket = within(TcpStream::connect(addr)).await.unwrap();
    match within(tokio_tungstenite::client_async(format!("ws://test{target}"), socket)).await {
        Ok(_) => 101,
        Err(tokio_tungstenite::tungstenite::Error::Http(response)) => response.status().as_u16(),
        Err(error) => panic!("{error}"),
    }
}

/// What somebody else can do with a connection's token: nothing, on any transport and at any time.
async fn assert_useless(addr: SocketAddr, target: &str) {
    for query in [token_of("mallory"), String::new(), "access_token=garbage".to_owned()] {
        let target = format!("{target}&{query}");
        assert_eq!(knock(addr, &target).await, 403, "a WebSocket");
        for method in ["GET", "POST", "DELETE"] {
            assert_eq!(http(addr, method, &target, &[]).await.0, 403, "{method}");
        }
        assert_eq!(http(addr, "GET", &target, &[("accept", "text/event-stream")]).await.0, 403, "events");
    }
}

#[tokio::test]
async fn the_token_of_a_connection_is_of_no_use_to_another_user() {
    let (_signalr, addr) = clinic().await;
    let ann = token_of("ann");

    let target = negotiated(addr, &ann).await;
    assert_useless(addr, &target).await;
    let own = format!("{target}&{ann}");
    let mut client = Client::open(addr, &own, Format::Json).await;
    client.shake_hands().await;
    assert_useless(addr, &target).await;
    client.echo("still hers").await;
    client.close().await;

    for events in [true, false] {
        let target = negotiated(addr, &ann).await;
        assert_useless(addr, &target).await;
        let mut client = Plain::open(addr, format!("{target}&{ann}"), events).await;
        assert_useless(addr, &target).await;
        client.post("{\"protocol\":\"json\",\"version\":1}\u{1e}").await;
        assert_eq!(client.next().await, Some(serde_json::json!({})));
        assert_useless(addr, &target).await;
        let call = r#"{"type":1,"invocationId":"1","target":"Echo","arguments":["still hers"]}"#;
        client.post(&format!("{call}\u{1e}")).await;
        assert_eq!(client.next().await.unwrap()["result"], "still hers");
    }
}

/// Where claims keep the token's names, no user has an id but by `sub`.
#[tokio::test]
async fn nor_is_it_where_claims_keep_their_names() {
    let bearer = bearer().map_inbound_claims(false);
    let signalr = SignalR::builder().authentication(bearer).hub("/clinic", Clinic).build().unwrap();
    let addr = serve(&signalr).await;
    let ann = token_of("ann");
    let target = negotiated(addr, &ann).await;
    assert_useless(addr, &target).await;
    assert_eq!(knock(addr, &format!("{target}&{ann}")).await, 101);
}

/// The application tells users apart by tenant as well, whose keys have no id of their own.
#[tokio::test]
async fn nor_is_it_where_the_application_says_who_is_who() {
    let keys = || {
        let key = |tenant: &str| User::builder().id("ann").claim("tenant", tenant).build();
        let device = |role: &str| User::builder().role(role).build();
        ApiKeys::in_header(HeaderName::from_static("x-api-key"))
            .key("the key of ann in the north", key("north"))
            .key("the key of ann in the south", key("south"))
            .key("the key of all the pumps", device("Pump"))
            .key("the key of all the lamps", device("Lamp"))
    };
    let signalr = SignalR::builder()
        .scheme("Keys", keys())
        .user_id(|user| Some(format!("{}|{}", user.claim("tenant")?, user.id()?)))
        .hub("/clinic", Clinic)
        .enable_authentication_refresh(true)
        .build()
        .unwrap();
    let addr = serve(&signalr).await;
    for (own, other) in [
        ("the key of ann in the north", "the key of ann in the south"),
        ("the key of all the pumps", "the key of all the lamps"),
    ] {
        let negotiate = "/clinic/negotiate?negotiateVersion=1";
        let (_, body) = http(addr, "POST", negotiate, &[("x-api-key", own)]).await;
        let body: Value = serde_json::from_str(&body).unwrap();
        let id = body["connectionToken"].as_str().unwrap();
        for (method, path) in
            [("GET", "/clinic"), ("POST", "/clinic"), ("DELETE", "/clinic"), ("POST", "/clinic/refresh")]
        {
            let target = format!("{path}?id={id}");
            assert_eq!(http(addr, method, &target, &[("x-api-key", other)]).await.0, 403, "{method} {path} by {other}");
        }
        let refreshed = http(addr, "POST", &format!("/clinic/refresh?id={id}"), &[("x-api-key", own)]).await;
        assert_eq!(refreshed, (200, "{}".to_owned()));
        assert_eq!(http(addr, "GET", &format!("/clinic?id={id}"), &[("x-api-key", own)]).await.0, 200);
    }
}

/// A connection that lost its socket waits for its own user.
#[tokio::test]
async fn nobody_else_resumes_a_connection() {
    let (signalr, addr) = clinic().await;
    let ann = token_of("ann");
    let target = negotiated(addr, &ann).await;
    let own = format!("{target}&{ann}");
    let mut client = Client::open(addr, &own, Format::Json).await;
    client.send_frame("{\"protocol\":\"json\",\"version\":2}\u{1e}".as_bytes()).await;
    assert_eq!(client.next().await, Some(serde_json::json!({})));
    drop(client);
    assert_useless(addr, &target).await;
    assert_eq!(signalr.connection_count(), 1);
    assert_eq!(knock(addr, &own).await, 101);
}

#[tokio::test]
async fn refused_requests_leave_nothing_behind_and_say_little() {
    let (signalr, addr) = clinic().await;
    for query in ["access_token=garbage".to_owned(), "id=AAAAAAAAAAAAAAAAAAAAAA".to_owned(), String::new()] {
        for method in ["POST", "GET", "DELETE", "PUT"] {
            for path in ["/closed", "/closed/negotiate"] {
                let refused = http(addr, method, &format!("{path}?{query}"), &[]).await;
                assert_eq!(refused, (401, String::new()), "{method} {path}?{query}");
            }
        }
        assert_eq!(knock(addr, &format!("/closed?{query}")).await, 401);
    }
    assert_eq!(signalr.connection_count(), 0);
}

#[cfg(feature = "rate-limit")]
mod limited {
    use http::header::{ACCESS_CONTROL_ALLOW_ORIGIN, RETRY_AFTER};
    use http::{Request, Response};
    use signalr::{Body, Cors, NegotiateLimit, PeerAddr};
    use tower::ServiceExt;

    use super::*;

    const LIMIT: u32 = 3;

    fn limited() -> SignalR {
        SignalR::builder()
            .authentication(bearer())
            .cors(Cors::origins(["https://app.test"]).allow_any_method())
            .negotiate_limit(NegotiateLimit::per_minute(1).burst(LIMIT))
            .hub("/clinic", Clinic)
            .hub("/closed", Closed)
            .build()
            .unwrap()
    }

    async fn ask(signalr: &SignalR, method: &str, path: &str, from: Option<&str>) -> Response<Body> {
        let mut request = Request::builder().method(method).uri(path).header("origin", "https://app.test");
        if method == "OPTIONS" {
            request = request.header("access-control-request-method", "POST");
        }
        let mut request = request.body(Body::default()).unwrap();
        if let Some(from) = from {
            request.extensions_mut().insert(PeerAddr(from.parse().unwrap()));
        }
        within(signalr.service().oneshot(request)).await.unwrap()
    }

    #[tokio::test]
    async fn negotiates_beyond_the_limit_are_refused_before_anything_else() {
        let signalr = limited();
        let here = Some("192.0.2.1:1000");
        // All paths together, refused ones as well.
        for (path, status) in [("/clinic/negotiate", 200), ("/closed/negotiate", 401), ("/Clinic/Negotiate/", 200)] {
            assert_eq!(ask(&signalr, "POST", path, here).await.status(), status, "{path}");
        }
        for path in ["/clinic/negotiate", "/closed/negotiate", &format!("/closed/negotiate?{}", token_of("ann"))] {
            let refused = ask(&signalr, "POST", path, Some("192.0.2.1:1001")).await;
            assert_eq!(refused.status(), 429);
            assert_eq!(refused.headers()[RETRY_AFTER], "60");
            assert_eq!(refused.headers()[ACCESS_CONTROL_ALLOW_ORIGIN], "https://app.test");
        }
        assert_eq!(ask(&signalr, "OPTIONS", "/clinic/negotiate", here).await.status(), 204);
        // What is no negotiation counts nothing, and is not counted.
        for path in ["/clinic", "/clinic?id=unknown", "/nowhere"] {
            assert_ne!(ask(&signalr, "GET", path, here).await.status(), 429, "{path}");
        }
        assert_eq!(ask(&signalr, "POST", "/clinic/negotiate", Some("192.0.2.2:1000")).await.status(), 200);
        for _ in 0..=LIMIT {
            assert_eq!(ask(&signalr, "POST", "/clinic/negotiate", None).await.status(), 200);
        }
    }

    #[tokio::test]
    async fn websockets_count_where_nobody_negotiated_and_open_ones_go_on() {
        let signalr = limited();
        let addr = serve(&signalr).await;
        let mut first = Client::connect(addr, "/clinic", Format::Json).await;
        for expected in [101, 101, 429] {
            assert_eq!(knock(addr, "/clinic").await, expected);
        }
        assert_eq!(knock(addr, "/clinic?id=").await, 429);
        assert_eq!(knock(addr, "/clinic?id=AAAAAAAAAAAAAAAAAAAAAA").await, 404);
        assert_eq!(http(addr, "POST", "/clinic/negotiate", &[]).await.0, 429);
        first.echo("still here").await;
    }
}
