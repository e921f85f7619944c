//! One HTTP/2 connection with requests, polls, event streams and WebSockets at once, and how it
//! ends.

use std::net::Shutdown;
use std::time::Duration;

use http_body_util::BodyExt;
use serde_json::json;
use signalr::auth::{Authorize, JwtBearer, QueryToken};
use signalr::hosting::{Builder, EndpointBuilder};
use signalr::{Caller, HubProtocolKind, SignalR, hub};
use signalr_test_support::http2::{Http2, build, text};
use signalr_test_support::{End, serve, until, within};
use tokio::net::TcpStream;
use tokio::sync::Semaphore;

/// Calls of `Wait` return when there is a permit.
struct Rooms(Semaphore);

#[hub]
impl Rooms {
    async fn echo(&self, text: String) -> String {
        text
    }

    async fn wait(&self) {
        self.0.acquire().await.unwrap().forget();
    }

    fn method(&self, caller: &Caller<Self>) -> String {
        caller.request().method().to_owned()
    }
}

fn rooms(builder: Builder) -> EndpointBuilder<Rooms> {
    builder.hub("/rooms", Rooms(Semaphore::new(0)))
}

async fn connect(rooms: EndpointBuilder<Rooms>) -> (SignalR, Http2) {
    let signalr = rooms.build().unwrap();
    let addr = serve(&signalr).await;
    (signalr, Http2::over(within(TcpStream::connect(addr)).await.unwrap()).await)
}

const HANDSHAKE: &str = "{\"protocol\":\"json\",\"version\":1}\u{1e}";

#[tokio::test]
async fn all_transports_share_one_http2_connection() {
    let (signalr, mut http2) = connect(rooms(SignalR::builder())).await;
    let mut sockets = Vec::new();
    for &format in HubProtocolKind::ALL {
        let target = format!("/rooms?id={}", http2.negotiate("/rooms").await);
        let mut socket = http2.open(&target, format).await;
        socket.handshake().await;
        sockets.push(socket);
    }

    let polled = format!("/rooms?id={}", http2.negotiate("/rooms").await);
    assert_eq!(http2.request("GET", &polled, &[], "").await, (200, String::new()));
    assert_eq!(http2.request("POST", &polled, &[], HANDSHAKE).await, (200, String::new()));
    assert_eq!(http2.request("GET", &polled, &[], "").await, (200, "{}\u{1e}".to_owned()));

    let streamed = format!("/rooms?id={}", http2.negotiate("/rooms").await);
    let request = build("GET", &streamed, &[("accept", "text/event-stream")], "");
    let mut events = http2.send(request).await.into_body();
    assert_eq!(http2.request("POST", &streamed, &[], HANDSHAKE).await, (200, String::new()));
    for expected in [":\r\n", "data: {}\u{1e}\r\n\r\n"] {
        let mut arrived = Vec::new();
        while arrived.len() < expected.len() {
            let frame = within(events.frame()).await.unwrap().unwrap();
            arrived.extend_from_slice(&frame.into_data().unwrap());
        }
        assert_eq!(arrived, expected.as_bytes());
    }

    for socket in &mut sockets {
        socket.echo("beside the others").await;
    }
    assert_eq!(signalr.connection_count(), 4);
    drop(events);
    assert_eq!(http2.request("DELETE", &polled, &[], "").await.0, 202);
    for mut socket in sockets {
        socket.echo("still here").await;
        socket.close().await;
    }
    until(|| signalr.connection_count() == 0).await;
}

#[tokio::test]
async fn websocket_upgrade_requires_extended_connect() {
    let (_signalr, mut http2) = connect(rooms(SignalR::builder())).await;
    // Clients may connect without negotiation.
    let mut socket = http2.open("/rooms", HubProtocolKind::Json).await;
    socket.handshake().await;
    socket.call(Some("1"), "Method", &[]).await;
    assert_eq!(socket.next().await, Some(json!({ "type": 3, "invocationId": "1", "result": "CONNECT" })));
}

/// The first three responses were recorded from an ASP.NET Core server.
#[tokio::test]
async fn invalid_extended_connect_is_rejected() {
    let (signalr, mut http2) = connect(rooms(SignalR::builder())).await;
    let version = ("sec-websocket-version", "13");
    for (target, protocol, headers, expected) in [
        ("/rooms?id=nobody", "websocket", &[version][..], (404, "No Connection with that ID")),
        ("/rooms/negotiate", "websocket", &[version], (405, "")),
        ("/elsewhere", "websocket", &[version], (404, "")),
        ("/rooms", "websocket", &[], (405, "")),
        ("/rooms", "websocket", &[("sec-websocket-version", "12")], (405, "")),
        ("/rooms", "connect-udp", &[version], (405, "")),
    ] {
        let (status, body) = text(http2.connect(target, protocol, headers).await).await;
        assert_eq!((status, body.as_str()), expected, "{target} {protocol} {headers:?}");
    }
    // Upgrade headers of HTTP/1.1 have no effect here.
    let headers = [version, ("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ==")];
    let answer = http2.request("GET", "/rooms", &headers, "").await;
    assert_eq!(answer, (400, "Connection ID required".to_owned()));
    assert_eq!(signalr.connection_count(), 0);
}

#[tokio::test]
async fn oversized_request_keeps_the_http2_connection_open() {
    let (_signalr, mut http2) = connect(rooms(SignalR::builder())).await;
    let path = |length: usize| format!("/rooms?a={}", "a".repeat(length));
    let long = "a".repeat(33_000);
    let names: Vec<_> = (0..100).map(|n| format!("a{n}")).collect();
    let many: Vec<_> = names.iter().map(|name| (name.as_str(), "b")).collect();
    for (target, headers, status) in [
        (path(8000), &[][..], 400),
        (path(9000), &[], 414),
        (path(33_000), &[], 431),
        (path(0), &[("a", &long[..30_000])], 400),
        (path(0), &[("a", &long)], 431),
        // The client adds one header.
        (path(0), &many[..99], 400),
        (path(0), &many, 431),
    ] {
        let answer = http2.request("POST", &target, headers, "").await;
        assert_eq!(answer.0, status, "{} {}", target.len(), headers.len());
    }
}

#[tokio::test]
async fn websocket_over_http2_accepts_a_token_in_the_query() {
    const KEY: &[u8; 32] = b"a-key-of-thirty-two-bytes-length";
    let bearer = JwtBearer::hmac(KEY).allow_any_issuer().allow_any_audience().query_token(QueryToken::UpgradesOnly);
    let (_signalr, mut http2) =
        connect(rooms(SignalR::builder().authentication(bearer)).authorize(Authorize::user())).await;
    let claims = json!({ "sub": "ann", "exp": 4_102_444_800u64 });
    let key = jsonwebtoken::EncodingKey::from_secret(KEY);
    let token = jsonwebtoken::encode(&jsonwebtoken::Header::default(), &claims, &key).unwrap();

    let target = format!("/rooms?access_token={token}");
    assert_eq!(http2.request("POST", &target, &[], "").await.0, 401);
    let version = ("sec-websocket-version", "13");
    assert_eq!(http2.connect("/rooms", "websocket", &[version]).await.status(), 401);
    let mut socket = http2.open(&target, HubProtocolKind::Json).await;
    socket.handshake().await;
    socket.echo("let in").await;
}

#[tokio::test]
async fn lost_http2_connection_ends_its_websockets() {
    let signalr = rooms(SignalR::builder()).build().unwrap();
    let socket = within(TcpStream::connect(serve(&signalr).await)).await.unwrap().into_std().unwrap();
    let second_handle = socket.try_clone().unwrap();
    let mut http2 = Http2::over(TcpStream::from_std(socket).unwrap()).await;
    let mut cut = Vec::new();
    for _ in 0..3 {
        let mut socket = http2.open("/rooms", HubProtocolKind::Json).await;
        socket.handshake().await;
        cut.push(socket);
    }
    // Resetting one stream ends only that WebSocket.
    drop(cut.pop());
    until(|| signalr.connection_count() == 2).await;
    cut[0].echo("untouched").await;
    second_handle.shutdown(Shutdown::Both).unwrap();
    until(|| signalr.connection_count() == 0).await;
}

#[tokio::test]
async fn shutdown_asks_websockets_to_reconnect_and_closes_the_http2_connection() {
    let (signalr, mut http2) = connect(rooms(SignalR::builder())).await;
    let mut sockets = Vec::new();
    for &format in HubProtocolKind::ALL {
        let mut socket = http2.open("/rooms", format).await;
        socket.handshake().await;
        sockets.push(socket);
    }
    let ends = async {
        for socket in &mut sockets {
            assert_eq!(socket.last().await, (json!({ "type": 7, "allowReconnect": true }), End::Closed(1000)));
        }
    };
    // Far more time than shutdown takes.
    tokio::join!(ends, within(signalr.shutdown(Duration::from_secs(60))));
    http2.closed().await;
}

/// A WebSocket may fill its own window, but not that of the connection.
#[tokio::test]
async fn unread_websocket_does_not_block_other_streams() {
    let (_signalr, mut http2) = connect(rooms(SignalR::builder())).await;
    let mut held = http2.open("/rooms", HubProtocolKind::Json).await;
    held.handshake().await;
    let mut other = http2.open("/rooms", HubProtocolKind::Json).await;
    other.handshake().await;

    let text = "x".repeat(20 * 1024);
    let call = format!("{{\"type\":1,\"target\":\"Echo\",\"arguments\":[\"{text}\"]}}\u{1e}");
    let flood = tokio::spawn(async move {
        held.call(Some("1"), "Wait", &[]).await;
        // 2 MiB at once; the flow-control window is 768 KiB.
        held.send(call.repeat(100).as_bytes()).await;
        std::future::pending::<()>().await;
    });
    for _ in 0..100 {
        other.echo(&"y".repeat(10 * 1024)).await;
    }
    flood.abort();
}
