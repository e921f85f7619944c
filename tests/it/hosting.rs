//! The server in every kind of host: standalone, under hyper, axum and TLS, and over streams that
//! are no TCP sockets.

use std::net::SocketAddr;
use std::time::Duration;

use axum::extract::ConnectInfo;
use hyper::rt::{Read, Write};
use hyper::server::conn::http1;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use serde_json::json;
use signalr::hosting::ResponseBody;
use signalr::{Caller, HubContext, HubProtocolKind, SignalR, hub};
use signalr_test_support::http2::Http2;
use signalr_test_support::{Client, http, negotiate, serve, tls, until, within};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, DuplexStream};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Mutex;
use tower::ServiceExt;

use crate::tls_example;

struct Echo;

#[hub]
impl Echo {
    async fn echo(&self, text: String) -> String {
        text
    }

    fn peer(&self, caller: &Caller<Self>) -> Option<String> {
        caller.request().peer_addr().map(|addr| addr.to_string())
    }
}

fn server() -> SignalR {
    SignalR::builder().hub("/echo", Echo).maximum_receive_message_size(Some(1 << 20)).build().unwrap()
}

/// Binds a free port and passes every connection to `host`.
async fn listen<F: Future<Output = ()> + Send + 'static>(host: impl Fn(TcpStream) -> F + Send + 'static) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addr = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((socket, _)) = listener.accept().await {
            tokio::spawn(host(socket));
        }
    });
    addr
}

async fn serve_http1(io: impl Read + Write + Unpin + Send + 'static, signalr: SignalR) {
    let _ = http1::Builder::new().serve_connection(io, signalr.service()).with_upgrades().await;
}

/// Performs every operation of a client on a WebSocket that `open` opens.
async fn assert_hub_works<S, F>(signalr: &SignalR, open: impl Fn(HubProtocolKind) -> F)
where
    S: AsyncRead + AsyncWrite + Unpin,
    F: Future<Output = Client<S>>,
{
    let hub: HubContext<Echo> = signalr.context();
    let all = hub.clients().all();
    for &format in HubProtocolKind::ALL {
        let mut client = open(format).await;
        client.handshake().await;
        client.echo("hello").await;
        client.echo(&"long ".repeat(50_000)).await;
        let text = "x".repeat(3000);
        for n in 0..100 {
            // More than the queue takes, so the client has to read meanwhile.
            let (sent, received) = tokio::join!(within(all.send("Told", (n, &text))), client.next());
            sent.unwrap();
            assert_eq!(received, Some(json!({ "type": 1, "target": "Told", "arguments": [n, text] })));
        }
        client.close().await;
        until(|| signalr.connection_count() == 0).await;
    }
}

/// Like [`assert_hub_works`], over TCP with negotiation.
async fn assert_hub_works_at(signalr: &SignalR, addr: SocketAddr) {
    assert_hub_works(signalr, async |format| {
        let token = negotiate(addr, "/echo").await;
        Client::open(addr, &format!("/echo?id={token}"), format).await
    })
    .await;
    assert_eq!(http(addr, "GET", "/elsewhere", &[]).await.0, 404);
}

/// Like [`assert_hub_works`], over HTTP/2.
async fn assert_hub_works_over_http2(signalr: &SignalR, io: impl AsyncRead + AsyncWrite + Unpin + Send + 'static) {
    let http2 = Mutex::new(Http2::over(io).await);
    assert_hub_works(signalr, async |format| {
        let mut http2 = http2.lock().await;
        let token = http2.negotiate("/echo").await;
        http2.open(&format!("/echo?id={token}"), format).await
    })
    .await;
}

#[tokio::test]
async fn standalone_server_accepts_http1_and_http2() {
    let signalr = server();
    let addr = serve(&signalr).await;
    assert_hub_works_at(&signalr, addr).await;
    assert_hub_works_over_http2(&signalr, within(TcpStream::connect(addr)).await.unwrap()).await;
}

#[tokio::test]
async fn hyper_serves_the_service() {
    let signalr = server();
    let host = signalr.clone();
    let addr = listen(move |socket| serve_http1(TokioIo::new(socket), host.clone())).await;
    assert_hub_works_at(&signalr, addr).await;
}

#[tokio::test]
async fn service_keeps_running_after_its_handle_is_dropped() {
    let service = server().service();
    let addr = listen(move |socket| {
        let service = service.clone();
        async move { drop(http1::Builder::new().serve_connection(TokioIo::new(socket), service).with_upgrades().await) }
    })
    .await;
    let mut client = Client::connect(addr, "/echo", HubProtocolKind::Json).await;
    client.echo("hello").await;
    // The connection sweep runs once a second. It would detect a dropped server and close the
    // socket.
    let closed = tokio::time::timeout(Duration::from_millis(1500), client.next()).await;
    assert!(closed.is_err(), "{closed:?}");
    client.echo("still here").await;
}

#[tokio::test]
async fn hyper_util_serves_the_service() {
    let signalr = server();
    let host = signalr.clone();
    let addr = listen(move |socket| {
        let service = host.service();
        async move {
            let builder = auto::Builder::new(TokioExecutor::new());
            let _ = builder.serve_connection_with_upgrades(TokioIo::new(socket), service).await;
        }
    })
    .await;
    assert_hub_works_at(&signalr, addr).await;
}

#[tokio::test]
async fn hyper_serves_the_service_over_timeout_streams() {
    let signalr = server();
    let host = signalr.clone();
    let addr = listen(move |socket| serve_http1(TokioIo::new(host.timeout_stream(socket)), host.clone())).await;
    assert_hub_works_at(&signalr, addr).await;
}

/// The example offers HTTP/1.1 and HTTP/2.
#[tokio::test]
async fn tls_example_serves_http1_and_http2() {
    let signalr = server();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addr = listener.local_addr().unwrap();
    let acceptor = tls_example::acceptor(&tls::file("certificate.pem"), &tls::file("key.pem")).unwrap();
    tokio::spawn(tls_example::serve(listener, acceptor, signalr.clone()));

    assert_hub_works(&signalr, async |format| {
        Client::over(tls::connect(addr, "http/1.1").await, "/echo", format).await
    })
    .await;
    assert_hub_works_over_http2(&signalr, tls::connect(addr, "h2").await).await;
}

#[tokio::test]
async fn axum_serves_the_service_as_fallback() {
    let signalr = server();
    let app = axum::Router::new()
        .route("/own", axum::routing::get(|| async { "axum's" }))
        .fallback_service(signalr.service());
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addr = listener.local_addr().unwrap();
    tokio::spawn(axum::serve(listener, app).into_future());
    assert_hub_works_at(&signalr, addr).await;
    assert_eq!(http(addr, "GET", "/own", &[]).await, (200, "axum's".to_owned()));
}

/// The type of this stream does not show that it is a TCP socket.
#[tokio::test]
async fn hyper_serves_the_service_over_any_async_read_write() {
    let signalr = server();
    let host = signalr.clone();
    let addr = listen(move |socket| {
        let (reader, writer) = socket.into_split();
        serve_http1(TokioIo::new(tokio::io::join(reader, writer)), host.clone())
    })
    .await;
    assert_hub_works_at(&signalr, addr).await;
}

/// With a capacity of a few bytes, every frame is written in pieces.
#[tokio::test]
async fn hyper_serves_the_service_over_a_pipe_in_memory() {
    let signalr = server();
    for capacity in [61, 64 * 1024] {
        assert_hub_works(&signalr, async |format| Client::over(pipe(&signalr, capacity), "/echo", format).await).await;
    }
}

fn pipe(signalr: &SignalR, capacity: usize) -> DuplexStream {
    let (client, server) = tokio::io::duplex(capacity);
    tokio::spawn(serve_http1(TokioIo::new(server), signalr.clone()));
    client
}

#[tokio::test]
async fn tower_requests_are_routed() {
    let signalr = server();
    for (method, path, status) in [
        ("POST", "/echo/negotiate?negotiateVersion=1", 200),
        ("POST", "/ECHO/Negotiate/", 200),
        ("GET", "/echo/negotiate", 405),
        ("PUT", "/echo", 405),
        ("POST", "/echo", 400),
        ("GET", "/other", 404),
    ] {
        let request = http::Request::builder().method(method).uri(path).body(ResponseBody::default()).unwrap();
        let response = signalr.service().oneshot(request).await.unwrap();
        assert_eq!(response.status(), status, "{method} {path}");
    }
}

/// Clients may send before they receive the 101 response.
#[tokio::test]
async fn websocket_frames_sent_with_the_upgrade_request_are_processed() {
    let signalr = server();
    let addr = serve(&signalr).await;
    assert_early_frames_work(within(TcpStream::connect(addr)).await.unwrap()).await;
    assert_early_frames_work(pipe(&signalr, 4096)).await;
    until(|| signalr.connection_count() == 0).await;
}

async fn assert_early_frames_work(mut io: impl AsyncRead + AsyncWrite + Unpin) {
    let mut request = b"GET /echo HTTP/1.1\r\nhost: test\r\nconnection: upgrade\r\nupgrade: websocket\r\n\
        sec-websocket-version: 13\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
        .to_vec();
    let call = "{\"type\":1,\"invocationId\":\"1\",\"target\":\"Echo\",\"arguments\":[\"early\"]}\u{1e}";
    for payload in ["{\"protocol\":\"json\",\"version\":1}\u{1e}", call] {
        request.extend([0x81, 0x80 | u8::try_from(payload.len()).unwrap(), 0, 0, 0, 0]);
        request.extend(payload.as_bytes());
    }
    within(io.write_all(&request)).await.unwrap();

    let answer = "{\"type\":3,\"invocationId\":\"1\",\"result\":\"early\"}\u{1e}";
    let mut response = Vec::new();
    while !response.ends_with(answer.as_bytes()) {
        assert_ne!(within(io.read_buf(&mut response)).await.unwrap(), 0, "{}", response.escape_ascii());
    }
    let head = response.windows(4).position(|end| end == b"\r\n\r\n").unwrap() + 4;
    assert!(response.starts_with(b"HTTP/1.1 101 "));
    assert_eq!(response[head..][..5], *b"\x81\x03{}\x1e");

    within(io.write_all(&[0x88, 0x80, 0, 0, 0, 0])).await.unwrap();
    response.clear();
    within(io.read_to_end(&mut response)).await.unwrap();
    assert_eq!(response, [0x88, 2, 0x03, 0xe8]);
}

#[tokio::test]
async fn peer_address_is_provided_by_the_host() {
    let by_itself = server();
    let addr = serve(&by_itself).await;
    assert!(peer(addr).await.unwrap().starts_with("127.0.0.1:"));

    let axum = SignalR::builder()
        .peer_addr(|extensions| extensions.get().map(|ConnectInfo(addr): &ConnectInfo<SocketAddr>| *addr))
        .hub("/echo", Echo)
        .build()
        .unwrap();
    let app = axum::Router::new().fallback_service(axum.service());
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addr = listener.local_addr().unwrap();
    let app = app.into_make_service_with_connect_info::<SocketAddr>();
    tokio::spawn(axum::serve(listener, app).into_future());
    assert!(peer(addr).await.unwrap().starts_with("127.0.0.1:"));

    let hyper = server();
    let host = hyper.clone();
    let addr = listen(move |socket| serve_http1(TokioIo::new(socket), host.clone())).await;
    assert_eq!(peer(addr).await, None);
}

async fn peer(addr: SocketAddr) -> Option<String> {
    let mut client = Client::connect(addr, "/echo", HubProtocolKind::Json).await;
    client.call(Some("1"), "Peer", &[]).await;
    let answer = client.next().await.unwrap();
    assert_eq!(answer["type"], 3);
    answer["result"].as_str().map(str::to_owned)
}
