//! Attempts to use connections of other users.

use std::net::SocketAddr;

use http::HeaderName;
use serde_json::Value;
use signalr::auth::{ApiKeys, User};
use signalr::{HubProtocolKind, SignalR, hub};
use signalr_test_support::{Client, ClientKind, bearer, http, serve, token_query, upgrade_status};

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

/// Negotiates as the user of this query. Returns the path with the connection token.
async fn negotiated(addr: SocketAddr, query: &str) -> String {
    let query = format!("negotiateVersion=1&useStatefulReconnect=true&{query}");
    let (status, body) = http(addr, "POST", &format!("/clinic/negotiate?{query}"), &[]).await;
    assert_eq!(status, 200);
    let body: Value = serde_json::from_str(&body).unwrap();
    format!("/clinic?id={}", body["connectionToken"].as_str().unwrap())
}

/// Checks that requests of other users with this connection token are rejected on every transport.
async fn assert_token_rejected(addr: SocketAddr, target: &str) {
    for query in [token_query("mallory"), String::new(), "access_token=garbage".to_owned()] {
        let target = format!("{target}&{query}");
        assert_eq!(upgrade_status(addr, &target).await, 403, "a WebSocket");
        for method in ["GET", "POST", "DELETE"] {
            assert_eq!(http(addr, method, &target, &[]).await.0, 403, "{method}");
        }
        assert_eq!(http(addr, "GET", &target, &[("accept", "text/event-stream")]).await.0, 403, "events");
    }
}

#[tokio::test]
async fn connection_token_is_useless_to_another_user() {
    let (_signalr, addr) = clinic().await;
    let ann = token_query("ann");

    let target = negotiated(addr, &ann).await;
    assert_token_rejected(addr, &target).await;
    let own = format!("{target}&{ann}");
    let mut client = Client::open(addr, &own, HubProtocolKind::Json).await;
    client.handshake().await;
    assert_token_rejected(addr, &target).await;
    client.echo("still hers").await;
    client.close().await;

    for kind in [ClientKind::SERVER_SENT_EVENTS, ClientKind::LONG_POLLING] {
        let target = negotiated(addr, &ann).await;
        assert_token_rejected(addr, &target).await;
        let mut client = kind.open(addr, &format!("{target}&{ann}")).await;
        assert_token_rejected(addr, &target).await;
        client.handshake().await;
        assert_token_rejected(addr, &target).await;
        client.echo("still hers").await;
    }
}

/// Without inbound claim mapping, only `sub` identifies a user.
#[tokio::test]
async fn connection_token_is_useless_to_others_without_inbound_claim_mapping() {
    let bearer = bearer().map_inbound_claims(false);
    let signalr = SignalR::builder().authentication(bearer).hub("/clinic", Clinic).build().unwrap();
    let addr = serve(&signalr).await;
    let ann = token_query("ann");
    let target = negotiated(addr, &ann).await;
    assert_token_rejected(addr, &target).await;
    assert_eq!(upgrade_status(addr, &format!("{target}&{ann}")).await, 101);
}

/// The application distinguishes users by tenant too, and some API keys have no user id.
#[tokio::test]
async fn connection_token_is_bound_to_the_custom_identity() {
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
async fn reconnect_of_another_user_is_rejected() {
    let (signalr, addr) = clinic().await;
    let ann = token_query("ann");
    let target = negotiated(addr, &ann).await;
    let own = format!("{target}&{ann}");
    let mut client = Client::open(addr, &own, HubProtocolKind::Json).await;
    client.handshake_version(2).await;
    drop(client);
    assert_token_rejected(addr, &target).await;
    assert_eq!(signalr.connection_count(), 1);
    assert_eq!(upgrade_status(addr, &own).await, 101);
}

#[tokio::test]
async fn rejected_requests_have_no_body_and_leave_no_connection() {
    let (signalr, addr) = clinic().await;
    for query in ["access_token=garbage".to_owned(), "id=AAAAAAAAAAAAAAAAAAAAAA".to_owned(), String::new()] {
        for method in ["POST", "GET", "DELETE", "PUT"] {
            for path in ["/closed", "/closed/negotiate"] {
                let refused = http(addr, method, &format!("{path}?{query}"), &[]).await;
                assert_eq!(refused, (401, String::new()), "{method} {path}?{query}");
            }
        }
        assert_eq!(upgrade_status(addr, &format!("/closed?{query}")).await, 401);
    }
    assert_eq!(signalr.connection_count(), 0);
}
