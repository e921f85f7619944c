//! Sockets whose peer does not read, sends nothing or never completes its request head: the server
//! closes them.
//!
//! Time is paused once clients are connected. Paused time advances whenever no task can run, so a
//! test sleeps past a limit and checks the socket.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{Method, Request, Response};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::client::conn::http2;
use hyper::ext::Protocol;
use hyper::upgrade::Upgraded;
use hyper_util::rt::{TokioExecutor, TokioIo};
use signalr::{HubContext, HubProtocolKind, SignalR, hub};
use signalr_test_support::{Client, ClientKind, DEADLINE, begin_post, negotiate, response_status, tls};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::task::JoinHandle;
use tokio::time::sleep;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::protocol::Role;

use crate::tls_example;

/// Message sizes in bytes: several to a buffer, one to a buffer, one to a few kernel buffers.
const SIZES: [usize; 4] = [10, 100, 3 * 1024, 16 * 1024];

/// Half of the default of `transport_send_timeout`.
const EARLY: Duration = Duration::from_secs(5);

/// Far beyond the timeout: paused time runs ahead while the kernel still moves bytes.
const LATE: u64 = 60;

struct Ward;

#[hub]
impl Ward {
    async fn echo(&self, text: String) -> String {
        text
    }
}

/// The queue takes more than the kernel buffers.
fn server() -> SignalR {
    SignalR::builder().transport_max_buffer_size(1 << 20).hub("/ward", Ward).build().unwrap()
}

/// Listens on sockets with small kernel buffers.
fn listen() -> (TcpListener, SocketAddr) {
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_send_buffer_size(16 * 1024).unwrap();
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let listener = socket.listen(16).unwrap();
    let addr = listener.local_addr().unwrap();
    (listener, addr)
}

fn serve(signalr: &SignalR) -> SocketAddr {
    let (listener, addr) = listen();
    tokio::spawn(signalr.clone().serve(listener));
    addr
}

async fn connect(addr: SocketAddr) -> TcpStream {
    let socket = TcpStream::connect(addr).await.unwrap();
    // Paused time does not wait for a delayed acknowledgement of the kernel.
    socket.set_nodelay(true).unwrap();
    socket
}

/// Sends to all clients until none is left, and waits for those that do not read.
fn flood(signalr: &SignalR, size: usize) -> JoinHandle<()> {
    tokio::time::pause();
    let (signalr, text) = (signalr.clone(), "x".repeat(size));
    let ward: HubContext<Ward> = signalr.context();
    tokio::spawn(async move {
        while signalr.stats().hub_connections > 0 {
            ward.clients().all().send("Flood", (&text,)).await.unwrap();
            tokio::task::yield_now().await;
        }
    })
}

/// Advances time to the limit of a socket that takes no bytes, and checks that the server has
/// dropped the connection.
async fn assert_connection_dropped(signalr: &SignalR, what: &str) {
    assert_connection_dropped_within(signalr, LATE, what).await;
}

async fn assert_connection_dropped_within(signalr: &SignalR, seconds: u64, what: &str) {
    sleep(EARLY).await;
    assert_ne!(signalr.stats().tasks, 0, "{what}: ended too early");
    for _ in 0..seconds {
        sleep(Duration::from_secs(1)).await;
        if signalr.stats().tasks == 0 {
            break;
        }
    }
    let stats = signalr.stats();
    assert_eq!((stats.hub_connections, stats.tasks), (0, 0), "{what}: {stats:?}");
    tokio::time::resume();
}

/// Reads the rest from the kernel, up to the end of the socket.
async fn assert_socket_ended(mut socket: impl AsyncRead + Unpin, what: &str) {
    let mut rest = Vec::new();
    let ended = tokio::time::timeout(DEADLINE, socket.read_to_end(&mut rest)).await;
    // The socket ends in order, or is reset if it has unread input.
    assert!(ended.is_ok(), "{what}: the socket is open");
}

#[tokio::test]
async fn unread_websocket_is_closed() {
    for size in SIZES {
        let signalr = server();
        let mut client = Client::over(connect(serve(&signalr)).await, "/ward", HubProtocolKind::Json).await;
        client.handshake().await;
        let flood = flood(&signalr, size);
        assert_connection_dropped(&signalr, &format!("{size}")).await;
        assert_socket_ended(client.into_io(), &format!("{size}")).await;
        flood.await.unwrap();
    }
}

#[tokio::test]
async fn unread_event_stream_is_closed() {
    for size in SIZES {
        let signalr = server();
        let addr = serve(&signalr);
        let socket = open_events(addr, connect(addr).await).await;
        let flood = flood(&signalr, size);
        assert_connection_dropped(&signalr, &format!("{size}")).await;
        assert_socket_ended(socket, &format!("{size}")).await;
        flood.await.unwrap();
    }
}

#[tokio::test]
async fn unread_poll_is_closed() {
    for size in SIZES {
        let signalr = server();
        let addr = serve(&signalr);
        let (target, mut socket) = (negotiated(addr).await, connect(addr).await);
        assert_eq!(signalr_test_support::http(addr, "GET", &target, &[]).await, (200, String::new()));
        post_handshake(addr, &target).await;
        assert_eq!(signalr_test_support::http(addr, "GET", &target, &[]).await, (200, "{}\u{1e}".to_owned()));
        let flood = flood(&signalr, size);
        // All messages that fit are queued before the poll.
        sleep(Duration::from_millis(1)).await;
        socket.write_all(format!("GET {target} HTTP/1.1\r\nhost: test\r\n\r\n").as_bytes()).await.unwrap();
        assert_connection_dropped(&signalr, &format!("{size}")).await;
        assert_socket_ended(socket, &format!("{size}")).await;
        flood.await.unwrap();
    }
}

#[tokio::test]
async fn connection_with_unread_pipelined_responses_is_closed() {
    let signalr = server();
    let mut socket = connect(serve(&signalr)).await;
    tokio::time::pause();
    let requests = "GET /x HTTP/1.1\r\nhost: a\r\n\r\n".repeat(20_000);
    let asking = async {
        let _ = socket.write_all(requests.as_bytes()).await;
        std::future::pending::<()>().await
    };
    tokio::select! {
        () = asking => {}
        // Before the 30 s for a request head end, which may stand incomplete in the buffer.
        () = assert_connection_dropped_within(&signalr, 20, "pipelined") => {}
    }
    assert_socket_ended(socket, "pipelined").await;
}

async fn negotiated(addr: SocketAddr) -> String {
    format!("/ward?id={}", negotiate(addr, "/ward").await)
}

/// Opens an event stream on `socket`. Other requests go to `addr`.
async fn open_events<S: AsyncWrite + Unpin>(addr: SocketAddr, mut socket: S) -> S {
    let target = negotiated(addr).await;
    let request = format!("GET {target} HTTP/1.1\r\nhost: test\r\naccept: text/event-stream\r\n\r\n");
    socket.write_all(request.as_bytes()).await.unwrap();
    post_handshake(addr, &target).await;
    socket
}

async fn post_handshake(addr: SocketAddr, target: &str) {
    let hello = b"{\"protocol\":\"json\",\"version\":1}\x1e";
    assert_eq!(response_status(begin_post(addr, target, hello.len(), hello).await).await, 200);
}

/// An HTTP/2 connection that answers pings and gives streams a window of `window` bytes. Its
/// requests have no deadline, since time may be paused.
struct WindowedHttp2 {
    requests: http2::SendRequest<Full<Bytes>>,
    connection: JoinHandle<hyper::Result<()>>,
}

impl WindowedHttp2 {
    async fn connect(addr: SocketAddr, window: u32) -> Self {
        Self::over(connect(addr).await, window).await
    }

    async fn over(io: impl AsyncRead + AsyncWrite + Unpin + Send + 'static, window: u32) -> Self {
        let mut builder = http2::Builder::new(TokioExecutor::new());
        builder.initial_stream_window_size(window);
        let (requests, connection) = builder.handshake(TokioIo::new(io)).await.unwrap();
        let mut client = Self { requests, connection: tokio::spawn(connection) };
        // The server's settings arrive before its first response.
        assert_eq!(client.send("GET", "/", &[]).await.status(), 404);
        client
    }

    async fn send(&mut self, method: &str, target: &str, headers: &[(&str, &str)]) -> Response<Incoming> {
        let request = Request::builder().method(Method::from_bytes(method.as_bytes()).unwrap());
        let request = request.uri(format!("http://test{target}"));
        let request = headers.iter().fold(request, |request, (name, value)| request.header(*name, *value));
        let mut request = request.body(Full::default()).unwrap();
        if method == "CONNECT" {
            request.extensions_mut().insert(Protocol::from_static("websocket"));
        }
        self.requests.send_request(request).await.unwrap()
    }

    async fn open_events(&mut self, addr: SocketAddr) -> Response<Incoming> {
        let target = negotiated(addr).await;
        let events = self.send("GET", &target, &[("accept", "text/event-stream")]).await;
        post_handshake(addr, &target).await;
        events
    }

    /// Opens a WebSocket and performs the handshake.
    async fn websocket(&mut self) -> Client<TokioIo<Upgraded>> {
        let response = self.send("CONNECT", "/ward", &[("sec-websocket-version", "13")]).await;
        let stream = TokioIo::new(hyper::upgrade::on(response).await.unwrap());
        let mut client = Client::from_websocket(
            WebSocketStream::from_raw_socket(stream, Role::Client, None).await,
            HubProtocolKind::Json,
        );
        client.handshake().await;
        client
    }

    /// Waits until the server has closed the connection.
    async fn assert_socket_ended(self, what: &str) {
        let Self { requests: _requests, connection } = self;
        let ended = tokio::time::timeout(DEADLINE, connection).await;
        assert!(ended.is_ok(), "{what}: the socket is open");
    }
}

#[tokio::test]
async fn http2_event_stream_without_a_window_is_closed() {
    for size in SIZES {
        let signalr = server();
        let addr = serve(&signalr);
        let mut http2 = WindowedHttp2::connect(addr, 1024).await;
        let events = http2.open_events(addr).await;
        let flood = flood(&signalr, size);
        assert_connection_dropped(&signalr, &format!("{size}")).await;
        http2.assert_socket_ended(&format!("{size}")).await;
        flood.await.unwrap();
        drop(events);
    }
}

#[tokio::test]
async fn http2_poll_without_a_window_is_closed() {
    for size in SIZES {
        let signalr = server();
        let addr = serve(&signalr);
        let mut http2 = WindowedHttp2::connect(addr, 1024).await;
        let target = negotiated(addr).await;
        assert_eq!(signalr_test_support::http(addr, "GET", &target, &[]).await, (200, String::new()));
        post_handshake(addr, &target).await;
        assert_eq!(signalr_test_support::http(addr, "GET", &target, &[]).await, (200, "{}\u{1e}".to_owned()));
        let flood = flood(&signalr, size);
        sleep(Duration::from_millis(1)).await;
        let poll = http2.send("GET", &target, &[]).await;
        assert_connection_dropped(&signalr, &format!("{size}")).await;
        http2.assert_socket_ended(&format!("{size}")).await;
        flood.await.unwrap();
        drop(poll);
    }
}

#[tokio::test]
async fn http2_websocket_without_a_window_is_closed() {
    for size in SIZES {
        let signalr = server();
        let mut http2 = WindowedHttp2::connect(serve(&signalr), 1024).await;
        let client = http2.websocket().await;
        let flood = flood(&signalr, size);
        assert_connection_dropped(&signalr, &format!("{size}")).await;
        http2.assert_socket_ended(&format!("{size}")).await;
        flood.await.unwrap();
        drop(client);
    }
}

/// The handshake timeout ends the connection, and the client does not take the close frame.
#[tokio::test]
async fn http2_websocket_without_a_close_frame_is_closed() {
    let signalr = server();
    let mut http2 = WindowedHttp2::connect(serve(&signalr), 0).await;
    let response = http2.send("CONNECT", "/ward", &[("sec-websocket-version", "13")]).await;
    tokio::time::pause();
    assert_connection_dropped(&signalr, "closing").await;
    http2.assert_socket_ended("closing").await;
    drop(response);
}

#[tokio::test]
async fn http2_response_without_a_window_is_closed() {
    let signalr = server();
    let mut http2 = WindowedHttp2::connect(serve(&signalr), 0).await;
    let answer = http2.send("POST", "/ward/negotiate?negotiateVersion=1", &[]).await;
    tokio::time::pause();
    assert_connection_dropped(&signalr, "negotiate").await;
    http2.assert_socket_ended("negotiate").await;
    assert!(answer.into_body().collect().await.is_err());
}

/// The example puts the timeout under TLS.
#[tokio::test]
async fn unread_connections_over_tls_are_closed() {
    for size in SIZES {
        let signalr = server();
        let (addr, (listener, tls_addr)) = (serve(&signalr), listen());
        let acceptor = tls_example::acceptor(&tls::file("certificate.pem"), &tls::file("key.pem")).unwrap();
        // Each connection holds a reference to it.
        let config = Arc::downgrade(acceptor.config());
        tokio::spawn(tls_example::serve(listener, acceptor, signalr.clone()));

        let mut websocket =
            Client::over(tls::connect(tls_addr, "http/1.1").await, "/ward", HubProtocolKind::Json).await;
        websocket.handshake().await;
        let events = open_events(addr, tls::connect(tls_addr, "http/1.1").await).await;
        let mut http2 = WindowedHttp2::over(tls::connect(tls_addr, "h2").await, 1024).await;
        let http2_events = http2.open_events(addr).await;
        let mut pipelined = tls::connect(tls_addr, "http/1.1").await;
        let asking = tokio::spawn(async move {
            let _ = pipelined.write_all(&b"GET /x HTTP/1.1\r\nhost: a\r\n\r\n".repeat(20_000)).await;
            pipelined
        });
        assert!(config.strong_count() > 4, "{size}");
        let flood = flood(&signalr, size);
        assert_connection_dropped(&signalr, &format!("{size}")).await;
        // The connections of the example are no tasks of the server.
        tokio::time::pause();
        sleep(Duration::from_secs(LATE)).await;
        tokio::time::resume();
        assert_eq!(config.strong_count(), 1, "{size}");
        assert_socket_ended(websocket.into_io(), &format!("{size}, WebSocket")).await;
        assert_socket_ended(events, &format!("{size}, events")).await;
        http2.assert_socket_ended(&format!("{size}, HTTP/2")).await;
        assert_socket_ended(asking.await.unwrap(), &format!("{size}, pipelined")).await;
        flood.await.unwrap();
        drop(http2_events);
    }
}

/// Checks that a connection is open after `open` seconds and closed after `closed` seconds.
async fn assert_closed_between(open: u64, closed: u64, has_ended: impl Fn() -> bool, what: &str) {
    sleep(Duration::from_secs(open)).await;
    assert!(!has_ended(), "{what}: closed before {open} s");
    sleep(Duration::from_secs(closed - open)).await;
    assert!(has_ended(), "{what}: open after {closed} s");
    tokio::time::resume();
}

/// The limits are those of Kestrel.
#[tokio::test]
async fn idle_sockets_close_after_130s_and_incomplete_heads_after_30s() {
    const ANSWERED: &str = "GET /x HTTP/1.1\r\nhost: a\r\n\r\n";
    const POST: &str = "POST /x HTTP/1.1\r\nhost: a\r\ncontent-length: 3\r\n\r\nabc";
    for (sent, limit) in [
        (&[""][..], 130),
        (&["\r\n"], 130),
        (&[ANSWERED], 130),
        (&[ANSWERED, ANSWERED], 130),
        (&[&ANSWERED[..ANSWERED.len() - 1], "\n"], 130),
        (&[POST], 130),
        (&["GET / HT"], 30),
        (&["PRI * H"], 30),
        (&[ANSWERED, "GET / HT"], 30),
        (&[&format!("{ANSWERED}GET / HT")], 30),
        (&[POST, "GET / HT"], 30),
    ] {
        let signalr = server();
        let mut socket = connect(serve(&signalr)).await;
        tokio::time::pause();
        for part in sent {
            socket.write_all(part.as_bytes()).await.unwrap();
            sleep(Duration::from_millis(1)).await;
        }
        let what = format!("{sent:?}");
        assert_closed_between(limit - 1, limit + 1, || signalr.stats().tasks == 0, &what).await;
        assert_socket_ended(socket, &what).await;
    }
}

#[tokio::test(start_paused = true)]
async fn slow_request_head_closes_after_30s() {
    let signalr = server();
    let mut socket = connect(serve(&signalr)).await;
    sleep(Duration::from_secs(60)).await;
    socket.write_all(b"GET / HTTP/1.1\r\n").await.unwrap();
    for _ in 0..29 {
        sleep(Duration::from_secs(1)).await;
        socket.write_all(b"a: b\r\n").await.unwrap();
    }
    assert_closed_between(0, 2, || signalr.stats().tasks == 0, "trickle").await;
    assert_socket_ended(socket, "trickle").await;
}

/// Within a header block no ping is answered (RFC 9113 § 6.10), so hyper closes the connection.
#[tokio::test(start_paused = true)]
async fn http2_connection_with_an_endless_head_is_closed() {
    let signalr = server();
    let mut socket = connect(serve(&signalr)).await;
    let settings = [0, 0, 0, 4, 0, 0, 0, 0, 0];
    // A header block of stream 1 without its end.
    let headers = [0, 0, 1, 1, 0, 0, 0, 0, 1, 0x82];
    let sent = [&b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"[..], &settings, &headers].concat();
    socket.write_all(&sent).await.unwrap();
    assert_closed_between(29, 52, || signalr.stats().tasks == 0, "head").await;
    assert_socket_ended(socket, "head").await;
}

#[tokio::test(start_paused = true)]
async fn idle_http2_connection_closes_after_130s_despite_answered_pings() {
    let signalr = server();
    let mut http2 = WindowedHttp2::connect(serve(&signalr), 65_535).await;
    sleep(Duration::from_secs(100)).await;
    assert_eq!(http2.send("GET", "/", &[]).await.status(), 404);
    assert_closed_between(129, 136, || signalr.stats().tasks == 0, "HTTP/2").await;
    http2.assert_socket_ended("HTTP/2").await;
}

#[tokio::test]
async fn connections_with_event_streams_or_websockets_are_not_idle() {
    let signalr = server();
    let addr = serve(&signalr);
    let events = ClientKind::SERVER_SENT_EVENTS.connect(addr, "/ward").await;
    let mut http2 = WindowedHttp2::connect(addr, 65_535).await;
    let mut client = http2.websocket().await;
    tokio::time::pause();
    sleep(Duration::from_secs(600)).await;
    client.echo("still here").await;
    assert_eq!(signalr.stats().hub_connections, 2);
    drop(events);
}
