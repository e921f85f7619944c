//! New credentials in polls and in stateful reconnects.

use serde_json::{Value, json};
use signalr::HubProtocolKind;
use signalr::hosting::{AuthenticationRefresh, EndpointBuilder};

use super::{Connection, Host, POLLS, Ward, ann, bearer, error, now, target, token};
use signalr_test_support::{Client, http};

/// Uses a new token. The completion arrives in the poll after the one that carries the token.
async fn invoke_with_token(connection: &mut Connection, token: &str) -> Value {
    connection.use_token(token);
    connection.invoke("Extra").await
}

#[tokio::test]
async fn poll_with_newer_credentials_refreshes_the_connection() {
    let mut host = Host::new(|ward| ward).await;
    let exp = now() + 600;
    let until_then = |extra: &str| token(&json!({ "sub": "ann", "extra": extra, "exp": exp }));
    let mut connection = host.connect(POLLS, &until_then("a")).await;
    // The same token is no refresh.
    assert_eq!(invoke_with_token(&mut connection, &until_then("a")).await, "a");
    assert!(host.heard.is_empty());
    // Other claims are newer even if the expiration is the same.
    invoke_with_token(&mut connection, &until_then("b")).await;
    assert_eq!(host.heard().await, "refreshed: b");
    assert_eq!(connection.invoke("Extra").await, "b");
    invoke_with_token(&mut connection, &ann(900, "c")).await;
    assert_eq!(host.heard().await, "refreshed: c");
    // A poll with an older token is answered, and its token is ignored.
    for old in ["a", "b"] {
        assert_eq!(invoke_with_token(&mut connection, &until_then(old)).await, "c");
    }
    assert!(host.heard.is_empty());
    // So is a token that is older than the last refresh.
    assert_eq!(host.refresh(&connection.id, &ann(1200, "d")).await.0, 200);
    assert_eq!(connection.invoke("Extra").await, "d");
    assert_eq!(host.heard().await, "refreshed: d");
}

fn refusing(ward: EndpointBuilder<Ward>) -> EndpointBuilder<Ward> {
    ward.on_authentication_refresh(async |refresh: AuthenticationRefresh| !refresh.new_user().has_claim("extra", "bad"))
}

#[tokio::test]
async fn poll_with_rejected_credentials_closes_the_connection() {
    let mut host = Host::new(refusing).await;
    let mut connection = host.connect(POLLS, &ann(600, "a")).await;
    invoke_with_token(&mut connection, &ann(700, "b")).await;
    assert_eq!(host.heard().await, "refreshed: b");
    connection.use_token(&ann(800, "bad"));
    let (status, body) = connection.client.poll().await;
    assert_eq!((status, serde_json::from_str(&body).unwrap()), (403, error("permission_change_rejected")));
    assert_eq!(host.ended().await, "b");
}

#[tokio::test]
async fn poll_of_another_user_is_rejected_and_the_connection_stays_open() {
    let host = Host::new(|ward| ward).await;
    let mut connection = host.connect(POLLS, &ann(600, "a")).await;
    connection.use_token(&token(&json!({ "sub": "bob", "exp": now() + 900 })));
    for method in ["GET", "POST", "DELETE"] {
        let answer = http(host.addr, method, connection.client.target(), &[]).await;
        assert_eq!(answer, (403, String::new()), "{method}");
    }
    assert_eq!(invoke_with_token(&mut connection, &ann(600, "a")).await, "a");
}

/// Negotiates and opens a connection with stateful reconnect.
async fn stateful(host: &Host, token: &str) -> (Client, String) {
    let path = "/ward/negotiate?negotiateVersion=1&useStatefulReconnect=true";
    let (_, body) = http(host.addr, "POST", path, &[("authorization", &bearer(token))]).await;
    let body: Value = serde_json::from_str(&body).unwrap();
    let id = body["connectionToken"].as_str().unwrap().to_owned();
    let mut client = Client::open(host.addr, &target(&id, token), HubProtocolKind::Json).await;
    client.handshake_version(2).await;
    (client, id)
}

/// Reconnects with a token. Returns the claims that the hub then sees.
async fn resume(host: &Host, id: &str, token: &str) -> (Client, Value) {
    let mut client = Client::open(host.addr, &target(id, token), HubProtocolKind::Json).await;
    client.send(b"{\"type\":9,\"sequenceId\":1}\x1e").await;
    assert_eq!(client.next().await.unwrap(), json!({ "type": 9, "sequenceId": 1 }));
    client.call(Some("1"), "Extra", &[]).await;
    let result = client.next().await.unwrap()["result"].take();
    (client, result)
}

#[tokio::test]
async fn reconnect_with_newer_credentials_refreshes_the_connection() {
    for (again, then, seen) in [("a", "a", false), ("b", "b", true)] {
        let mut host = Host::new(|ward| ward.allow_stateful_reconnects(true)).await;
        let (first, id) = stateful(&host, &ann(600, "a")).await;
        drop(first);
        let same = ann(600, "a");
        let token = if again == "a" { same } else { ann(900, again) };
        let (_second, extra) = resume(&host, &id, &token).await;
        assert_eq!(extra, then);
        if seen {
            assert_eq!(host.heard().await, "refreshed: b");
        }
    }
}

#[tokio::test]
async fn reconnect_with_rejected_credentials_is_rejected() {
    let mut host = Host::new(|ward| refusing(ward.allow_stateful_reconnects(true))).await;
    let (first, id) = stateful(&host, &ann(600, "a")).await;
    let upgrade = async |token: &str| {
        let headers = [
            ("connection", "upgrade"),
            ("upgrade", "websocket"),
            ("sec-websocket-version", "13"),
            ("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ=="),
        ];
        http(host.addr, "GET", &target(&id, token), &headers).await
    };
    // A reconnect of another user changes nothing.
    let bob = token(&json!({ "sub": "bob", "exp": now() + 900 }));
    assert_eq!(upgrade(&bob).await, (403, String::new()));
    let mut first = first;
    first.call(Some("1"), "Extra", &[]).await;
    assert_eq!(first.next().await.unwrap()["result"], "a");
    let (status, body) = upgrade(&ann(900, "bad")).await;
    assert_eq!((status, serde_json::from_str(&body).unwrap()), (403, error("permission_change_rejected")));
    assert_eq!(host.ended().await, "a");
}
