//! Responses to `POST {path}/refresh`, and token lifetimes in negotiate responses.

use signalr::HubProtocolKind;
use signalr::hosting::TransportType;
use std::time::Duration;

use serde_json::{Value, json};
use signalr::auth::JwtBearer;
use signalr::hosting::Cors;
use signalr::hub::{AnyClient, Methods};
use signalr::{Hub, SignalR};

use super::{Host, KEY, SOCKET, ann, assert_lifetime, bearer, error, now, post_refresh, target, token};
use signalr_test_support::{Client, ClientKind, close_message, http, serve, within};

#[tokio::test]
async fn refresh_requires_post() {
    let host = Host::new(|ward| ward).await;
    let (token, header) = (ann(600, "a"), "authorization");
    for method in ["GET", "PUT", "DELETE"] {
        assert_eq!(http(host.addr, method, "/ward/refresh", &[(header, &bearer(&token))]).await.0, 405, "{method}");
    }
    // Authorization of the hub comes first.
    for method in ["GET", "POST"] {
        assert_eq!(http(host.addr, method, "/ward/refresh", &[]).await, (401, String::new()), "{method}");
    }
}

#[tokio::test]
async fn refresh_path_does_not_exist_unless_enabled() {
    let host = Host::new(|ward| ward.enable_authentication_refresh(false)).await;
    let token = ann(600, "a");
    assert_eq!(host.negotiate(&token).await.get("tokenLifetimeSeconds"), None);
    let connection = host.connect(SOCKET, &token).await;
    assert_eq!(host.refresh(&connection.id, &token).await.0, 404);
    // The path is available to another hub.
    let other = SignalR::builder().hub("/ward", Open).hub("/ward/refresh", Open).build().unwrap();
    let addr = serve(&other).await;
    assert_eq!(http(addr, "POST", "/ward/refresh/negotiate", &[]).await.0, 200);
    let taken = SignalR::builder().enable_authentication_refresh(true).hub("/ward", Open).hub("/ward/refresh", Open);
    assert!(taken.build().is_err());
}

#[tokio::test]
async fn refresh_requires_a_connection_token() {
    let host = Host::new(|ward| ward).await;
    let token = ann(600, "a");
    let auth = ("authorization", &*bearer(&token));
    let id = host.negotiate(&token).await["connectionToken"].as_str().unwrap().to_owned();
    let post = async |query: &str, headers: &[(&str, &str)]| {
        let (status, body) =
            http(host.addr, "POST", &format!("/ward/refresh{query}"), &[&[auth], headers].concat()).await;
        (status, serde_json::from_str::<Value>(&body).unwrap())
    };
    let header = "x-signalr-connection-token";
    for (query, headers) in [("", &[][..]), ("?id=", &[]), ("?other=1", &[(header, "")])] {
        assert_eq!(post(query, headers).await, (400, error("missing_connection_token")), "{query}");
    }
    for (query, headers) in [("?id=unknown", &[][..]), ("", &[(header, "AAAAAAAAAAAAAAAAAAAAAA")])] {
        assert_eq!(post(query, headers).await, (404, error("connection_not_found")), "{query}");
    }
    assert_lifetime(&post(&format!("?id={id}"), &[]).await, 600);
    // The header takes precedence over the query.
    assert_lifetime(&post("?id=unknown&tenant=north", &[(header, &id)]).await, 600);
    assert_eq!(post(&format!("?id={id}"), &[(header, "unknown")]).await.0, 404);
}

#[tokio::test]
async fn connections_of_negotiate_version_0_cannot_refresh() {
    let host = Host::new(|ward| ward).await;
    let token = ann(600, "a");
    let (_, body) = http(host.addr, "POST", "/ward/negotiate", &[("authorization", &bearer(&token))]).await;
    let body: Value = serde_json::from_str(&body).unwrap();
    let id = body["connectionId"].as_str().unwrap();
    assert_eq!(host.refresh(id, &token).await, (400, error("unsupported_negotiate_version")));
}

#[tokio::test]
async fn ended_connections_cannot_refresh() {
    let mut host = Host::new(|ward| ward).await;
    for kind in ClientKind::all() {
        let mut connection = host.connect(kind, &ann(600, "a")).await;
        connection.call("1", "NoSuchMethod", &[]).await;
        assert_eq!(connection.next().await.unwrap()["type"], 3, "{kind:?}");
        let message = close_message(kind.protocol);
        match kind.transport {
            TransportType::WebSockets => connection.client.send(&message).await,
            // The response may report that the connection has ended.
            _ => drop(connection.client.begin_post(&message).await),
        }
        while connection.next().await.is_some() {}
        assert_eq!(host.ended().await, "a", "{kind:?}");
        // Its end may still be pending.
        let refused = within(async {
            loop {
                match host.refresh(&connection.id, &ann(900, "b")).await {
                    (200, _) => tokio::task::yield_now().await,
                    refused => return refused,
                }
            }
        });
        assert_eq!(refused.await, (404, error("connection_not_found")), "{kind:?}");
    }
}

/// A hub without authorization.
struct Open;

impl Hub for Open {
    type Client = AnyClient;
    type Items = ();

    fn methods(_: &mut Methods<Self>) {}
}

#[tokio::test]
async fn refresh_requires_a_valid_token_of_the_same_user() {
    let bearer = JwtBearer::hmac(KEY).allow_any_issuer().allow_any_audience();
    let builder = SignalR::builder().authentication(bearer).enable_authentication_refresh(true);
    let signalr = builder.hub("/ward", Open).build().unwrap();
    let addr = serve(&signalr).await;
    let negotiate = async |headers: &[(&str, &str)]| {
        let (_, body) = http(addr, "POST", "/ward/negotiate?negotiateVersion=1", headers).await;
        let body: Value = serde_json::from_str(&body).unwrap();
        (body["connectionToken"].as_str().unwrap().to_owned(), body.get("tokenLifetimeSeconds").is_some())
    };
    let (id, known) = negotiate(&[("authorization", &super::bearer(&ann(600, "a")))]).await;
    assert!(known);
    for token in ["", "not.a.token", &ann(600, "a")[1..]] {
        assert_eq!(post_refresh(addr, &id, token).await, (401, error("invalid_token")), "{token}");
    }
    let bob = token(&json!({ "sub": "bob", "exp": now() + 600 }));
    let ann_elsewhere = token(&json!({ "sub": "ann", "iss": "elsewhere", "exp": now() + 600 }));
    for other in [&bob, &ann_elsewhere] {
        assert_eq!(post_refresh(addr, &id, other).await, (403, error("user_changed")));
    }
    assert_lifetime(&post_refresh(addr, &id, &ann(900, "b")).await, 900);
    // A connection of an anonymous user stays anonymous.
    let (id, known) = negotiate(&[]).await;
    assert!(!known);
    assert_eq!(post_refresh(addr, &id, "").await, (401, error("invalid_token")));
    assert_eq!(post_refresh(addr, &id, &bob).await, (403, error("user_changed")));
}

#[tokio::test]
async fn response_contains_the_token_lifetime_if_it_is_limited() {
    let host = Host::new(|ward| ward).await;
    let never = token(&json!({ "sub": "ann", "extra": "forever" }));
    let long = token(&json!({ "sub": "ann", "exp": now() + 100_000_000_000 }));
    let in_grace = token(&json!({ "sub": "ann", "exp": now() - 60 }));
    assert_lifetime(&(200, host.negotiate(&ann(600, "a")).await), 600);
    assert_eq!(host.negotiate(&long).await["tokenLifetimeSeconds"], i32::MAX);
    for token in [&never, &in_grace] {
        assert_eq!(host.negotiate(token).await.get("tokenLifetimeSeconds"), None);
    }
    let mut connection = host.connect(SOCKET, &ann(600, "a")).await;
    let answer = host.refresh(&connection.id, &long).await;
    assert_eq!(answer, (200, json!({ "tokenLifetimeSeconds": i32::MAX })));
    assert_eq!(host.refresh(&connection.id, &never).await, (200, json!({})));
    assert_eq!(connection.invoke("Extra").await, "forever");
}

#[tokio::test]
async fn token_lifetime_is_capped_at_the_configured_maximum() {
    let host = Host::new(|ward| ward.maximum_authentication_expiration(Some(Duration::from_secs(300)))).await;
    let never = token(&json!({ "sub": "ann" }));
    for token in [&never, &ann(3600, "a")] {
        assert_lifetime(&(200, host.negotiate(token).await), 300);
    }
    assert_lifetime(&(200, host.negotiate(&ann(100, "a")).await), 100);
    let connection = host.connect(SOCKET, &never).await;
    assert_lifetime(&host.refresh(&connection.id, &never).await, 300);
    assert_lifetime(&host.refresh(&connection.id, &ann(3600, "b")).await, 300);
    let none = SignalR::builder().hub("/ward", Open).maximum_authentication_expiration(Some(Duration::ZERO));
    assert!(none.build().is_err());
}

#[tokio::test]
async fn allowed_origins_can_read_refresh_responses() {
    let host = Host::new(|ward| ward.cors(Cors::origins(["https://app.test"]))).await;
    let mut socket = tokio::net::TcpStream::connect(host.addr).await.unwrap();
    for (request, status) in [
        (
            "OPTIONS /ward/refresh HTTP/1.1\r\naccess-control-request-method: POST\r\naccess-control-request-headers: x-signalr-connection-token",
            204,
        ),
        ("POST /ward/refresh HTTP/1.1\r\ncontent-length: 0", 401),
    ] {
        let request = format!("{request}\r\nhost: test\r\norigin: https://app.test\r\n\r\n");
        tokio::io::AsyncWriteExt::write_all(&mut socket, request.as_bytes()).await.unwrap();
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            head.push(within(tokio::io::AsyncReadExt::read_u8(&mut socket)).await.unwrap());
        }
        let head = String::from_utf8(head).unwrap();
        assert!(head.starts_with(&format!("HTTP/1.1 {status}")), "{head}");
        assert!(head.contains("access-control-allow-origin: https://app.test\r\n"), "{head}");
    }
}

#[tokio::test]
async fn refresh_before_the_handshake_applies_to_the_first_call() {
    let mut host = Host::new(|ward| ward).await;
    let (first, second) = (ann(600, "a"), ann(900, "b"));
    let id = host.negotiate(&first).await["connectionToken"].as_str().unwrap().to_owned();
    assert_lifetime(&host.refresh(&id, &second).await, 900);
    let mut client = Client::open(host.addr, &target(&id, &first), HubProtocolKind::Json).await;
    client.handshake().await;
    client.call(Some("1"), "Extra", &[]).await;
    assert_eq!(client.next().await.unwrap()["result"], "b");
    client.close().await;
    assert_eq!(host.ended().await, "b");
    assert!(host.heard.is_empty());
}
