//! Raw connections, over every transport.

/// Makes a test of each function for each transport.
macro_rules! on_every_transport {
    ($($body:ident)*) => {
        on_every_transport!(@ web_sockets, WEB_SOCKETS, $($body)*);
        on_every_transport!(@ server_sent_events, SERVER_SENT_EVENTS, $($body)*);
        on_every_transport!(@ long_polling, LONG_POLLING, $($body)*);
    };
    (@ $transport:ident, $kind:ident, $($body:ident)*) => {
        mod $transport {
            $(#[tokio::test]
            async fn $body() {
                super::$body(signalr_test_support::ClientKind::$kind).await;
            })*
        }
    };
}

mod backpressure;
mod close;

use std::error::Error;
use std::net::SocketAddr;

use jsonwebtoken::{EncodingKey, Header};
use serde_json::{Value, json};
use signalr::auth::{Authorize, JwtBearer, Policy};
use signalr::hosting::{BuildError, TransportType, Transports};
use signalr::raw::{RawConnection, RawWriteError};
use signalr::{HubProtocolKind, SignalR, hub};
use signalr_test_support::{Client, ClientKind, End, http, serve, until, within};
use tokio::sync::mpsc;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;

type Outcome = Result<(), Box<dyn Error + Send + Sync>>;

/// Echoes all bytes.
async fn echo(mut connection: RawConnection) -> Outcome {
    while let Some(bytes) = connection.read().await {
        connection.write(bytes).await?;
    }
    Ok(())
}

/// Starts a server with one handler at `/raw`.
async fn server<F, R>(handler: F) -> (SignalR, SocketAddr)
where
    F: Fn(RawConnection) -> R + Send + Sync + 'static,
    R: Future<Output = Outcome> + Send + 'static,
{
    let signalr = SignalR::builder().connection_handler("/raw", handler).build().unwrap();
    let addr = serve(&signalr).await;
    (signalr, addr)
}

on_every_transport! {
    bytes_are_echoed
    writes_arrive_in_order
    handler_sees_connection_user_and_request
    writer_can_be_used_from_another_task
}

async fn bytes_are_echoed(kind: ClientKind) {
    let (signalr, addr) = server(echo).await;
    let mut client = kind.negotiate_and_open(addr, "/raw").await;
    for text in ["hello", "日本語", &"aé€😀".repeat(10_000)] {
        client.send(text).await;
        assert_eq!(client.receive(text.len()).await, text.as_bytes());
    }
    client.close_with(CloseCode::Away).await;
    until(|| signalr.connection_count() == 0).await;
}

async fn writes_arrive_in_order(kind: ClientKind) {
    let (_signalr, addr) = server(|connection| async move {
        for text in ["one", "", "two", "three"] {
            connection.write(text).await?;
        }
        Ok(())
    })
    .await;
    let mut client = kind.negotiate_and_open(addr, "/raw").await;
    let mut received = Vec::new();
    while let Some(message) = client.next_bytes().await {
        received.push(String::from_utf8(message).unwrap());
    }
    assert_eq!(received.concat(), "onetwothree");
    if kind.transport == TransportType::WebSockets {
        assert_eq!(received, ["one", "two", "three"]);
    }
}

async fn handler_sees_connection_user_and_request(kind: ClientKind) {
    let (_signalr, addr) = server(|connection| async move {
        let (id, request) = (connection.connection_id(), connection.request());
        let known = json!({
            "id": id.as_str().len(),
            "user": connection.user().is_authenticated(),
            "colour": request.query("colour"),
            "peer": request.peer_addr().map(|peer| peer.ip().to_string()),
            "transport": connection.transport().as_str(),
            "end": connection.end().is_some(),
        });
        connection.write(known.to_string()).await?;
        Ok(())
    })
    .await;
    let token = signalr_test_support::negotiate(addr, "/raw").await;
    let mut client = kind.open(addr, &format!("/raw?id={token}&colour=blue")).await;
    let known: Value = serde_json::from_slice(&client.next_bytes().await.unwrap()).unwrap();
    let expected = json!({
        "id": 22, "user": false, "colour": "blue", "peer": "127.0.0.1", "transport": kind.transport.as_str(), "end": false,
    });
    assert_eq!(known, expected);
}

async fn writer_can_be_used_from_another_task(kind: ClientKind) {
    let (tx, mut rx) = mpsc::unbounded_channel();
    let (_signalr, addr) = server(move |mut connection| {
        let tx = tx.clone();
        async move {
            tx.send(connection.writer())?;
            while connection.read().await.is_some() {}
            Ok(())
        }
    })
    .await;
    let mut client = kind.negotiate_and_open(addr, "/raw").await;
    let writer = within(rx.recv()).await.unwrap();
    within(writer.write("from outside")).await.unwrap();
    assert_eq!(client.next_bytes().await.unwrap(), b"from outside");
    client.close_with(CloseCode::Away).await;
    within(writer.aborted()).await;
    assert_eq!(within(writer.write("too late")).await, Err(RawWriteError::Ended));
}

#[tokio::test]
async fn websocket_connects_without_negotiation() {
    let (_signalr, addr) = server(echo).await;
    let mut client = Client::open(addr, "/raw", HubProtocolKind::Json).await;
    client.send("hello").await;
    assert_eq!(client.next_bytes().await.unwrap(), b"hello");
}

#[tokio::test]
async fn set_binary_switches_from_text_to_binary_messages() {
    let (_signalr, addr) = server(|mut connection| async move {
        let bytes = connection.read().await.unwrap_or_default();
        assert_eq!(connection.write(&bytes).await, Err(RawWriteError::NotText));
        connection.write("text").await?;
        connection.set_binary();
        connection.write(&bytes).await?;
        connection.write("text").await?;
        Ok(())
    })
    .await;
    let mut client = Client::open(addr, "/raw", HubProtocolKind::Json).await;
    let bytes = [0, 0xff, 0xc3];
    client.send_message(Message::binary(bytes.to_vec())).await;
    assert_eq!(client.next_message().await, Some(Message::text("text")));
    assert_eq!(client.next_message().await, Some(Message::binary(bytes.to_vec())));
    assert_eq!(client.next_message().await, Some(Message::binary("text")));
    assert_eq!(client.end().await, End::Closed(1000));
}

/// Wherever the message is split, each piece is valid text.
#[tokio::test]
async fn text_messages_are_split_at_character_boundaries() {
    let (signalr, _addr) = server(echo).await;
    let text = "aé€😀".repeat(500);
    for room in [61, 1009] {
        let mut client = Client::over(backpressure::pipe(&signalr, room), "/raw", HubProtocolKind::Json).await;
        client.send_message(Message::text(text.clone())).await;
        let mut received = String::new();
        while received.len() < text.len() {
            received += client.next_message().await.unwrap().to_text().unwrap();
        }
        assert_eq!(received, text);
    }
}

struct Hub;

#[hub]
impl Hub {}

#[tokio::test]
async fn raw_endpoints_use_the_options_of_their_path() {
    let signalr = SignalR::builder()
        .minimum_protocol_version(1)
        .connection_handler("/raw", echo)
        .transports(Transports::LONG_POLLING)
        .connection_handler("/other", echo)
        .minimum_protocol_version(0)
        .hub("/hub", Hub)
        .enable_detailed_errors(true)
        .build()
        .unwrap();
    let addr = serve(&signalr).await;
    let negotiate = async |target: &str| -> Value {
        let (status, body) = http(addr, "POST", target, &[]).await;
        assert_eq!(status, 200, "{body}");
        serde_json::from_str(&body).unwrap()
    };
    let body = negotiate("/raw/negotiate?negotiateVersion=1").await;
    let offered = json!([{ "transport": "LongPolling", "transferFormats": ["Text", "Binary"] }]);
    assert_eq!(body["availableTransports"], offered);
    assert!(negotiate("/RAW/negotiate").await["error"].is_string());
    let body = negotiate("/other/negotiate").await;
    assert_eq!(body["availableTransports"].as_array().unwrap().len(), 3);

    let token = signalr_test_support::negotiate(addr, "/other").await;
    assert_eq!(http(addr, "POST", &format!("/raw?id={token}"), &[]).await.0, 404, "a token of another path");
}

#[test]
fn raw_endpoints_share_path_and_rule_checks_with_hubs() {
    let twice = SignalR::builder().hub("/same", Hub).connection_handler("/Same", echo).build();
    assert!(matches!(twice, Err(BuildError::DuplicatePath(path)) if path == "/Same"));
    let zero =
        SignalR::builder().connection_handler("/raw", echo).transport_send_timeout(std::time::Duration::ZERO).build();
    assert!(matches!(zero, Err(BuildError::Zero { option: "transport_send_timeout", .. })));
    let nobody = SignalR::builder().connection_handler("/raw", echo).authorize(Authorize::user()).build();
    assert!(matches!(nobody, Err(BuildError::NoAuthentication(path)) if path == "/raw"));
    let unknown = SignalR::builder().connection_handler("/raw", echo).require_authorization("Nobody").build();
    assert!(matches!(unknown, Err(BuildError::Rule { .. })));
}

const KEY: &str = "only-for-tests-and-long-enough-0123456789";

fn bearer(role: &str) -> String {
    let claims = json!({ "sub": "ann", "role": role, "exp": 4_102_444_800_u64 });
    let token = jsonwebtoken::encode(&Header::default(), &claims, &EncodingKey::from_secret(KEY.as_bytes())).unwrap();
    format!("Bearer {token}")
}

#[tokio::test]
async fn authorization_guards_raw_connections() {
    let signalr = SignalR::builder()
        .authentication(JwtBearer::hmac(KEY).allow_any_issuer().allow_any_audience())
        .policy("Doctors", Policy::require_role("Doctor"))
        .connection_handler("/raw", |connection| async move {
            let name = connection.user().id().unwrap_or_default().to_owned();
            connection.write(name).await?;
            Ok(())
        })
        .require_authorization("Doctors")
        .build()
        .unwrap();
    let addr = serve(&signalr).await;
    let upgrade = [
        ("connection", "upgrade"),
        ("upgrade", "websocket"),
        ("sec-websocket-version", "13"),
        ("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ=="),
    ];
    let (nurse, doctor) = (bearer("Nurse"), bearer("Doctor"));
    for (authorization, status) in [(None, 401), (Some(&nurse), 403)] {
        let headers: Vec<_> = authorization.map(|token| ("authorization", token.as_str())).into_iter().collect();
        assert_eq!(http(addr, "POST", "/raw/negotiate?negotiateVersion=1", &headers).await.0, status);
        let headers: Vec<_> = headers.into_iter().chain(upgrade).collect();
        assert_eq!(http(addr, "GET", "/raw", &headers).await.0, status);
    }
    let token = doctor.trim_start_matches("Bearer ");
    let mut client = Client::open(addr, &format!("/raw?access_token={token}"), HubProtocolKind::Json).await;
    assert_eq!(client.next_bytes().await.unwrap(), b"ann");
}
