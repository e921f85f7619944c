//! Negotiate responses that redirect to another server.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use serde_json::{Value, json};
use signalr::hosting::Redirect;
use signalr::{HubProtocolKind, SignalR};
use signalr_test_support::{Client, http, serve};

use crate::echo_hub::{Echo, KEY, Secret, authenticated};

#[tokio::test]
async fn negotiate_redirects_to_another_server() {
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

    // The client continues at the other server.
    let bearer = format!("Bearer {token}");
    let (status, body) = negotiate_at(behind, "/echo/negotiate?tenant=north&negotiateVersion=1", &bearer).await;
    assert_eq!(status, 200);
    let target = format!("/echo?tenant=north&id={}&access_token={token}", body["connectionToken"].as_str().unwrap());
    let mut client = Client::open(behind, &target, HubProtocolKind::MessagePack).await;
    client.handshake().await;
    client.call(Some("1"), "Who", &[]).await;
    assert_eq!(client.next().await.unwrap()["result"], "nurse");

    // Without a redirect, the client stays.
    let mut client = Client::connect(addr, "/echo", HubProtocolKind::Json).await;
    client.echo("here").await;
}

#[tokio::test]
async fn negotiate_is_authorized_and_validated_before_the_redirect() {
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

/// Returns a token of a user.
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
