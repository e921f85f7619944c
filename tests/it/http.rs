//! HTTP edge cases. The expected responses were recorded from an ASP.NET Core server.

use std::net::SocketAddr;
use std::time::Duration;

use signalr::auth::{Authorize, JwtBearer};
use signalr::{SignalR, hub};
use signalr_test_support::{negotiate, serve, within};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

struct Echo;

#[hub]
impl Echo {
    async fn echo(&self, text: String) -> String {
        text
    }
}

/// Requests and their responses: status, content type, `no-cache` and body, and the outcome of a
/// negotiate request on the same connection. A first line without a version stands for `HTTP/1.1`
/// with a `Host` header.
const SAME_AS_ASPNET: &[(&str, &str)] = &[
    // Methods.
    ("GET /hub", "400 text/plain no-cache 'Connection ID required', open"),
    ("POST /hub", "400 text/plain 'Connection ID required', open"),
    ("DELETE /hub", "400 text/plain 'Connection ID required', open"),
    ("GET /hub/negotiate", "405 text/plain, open"),
    ("DELETE /hub/negotiate", "405 text/plain, open"),
    ("CONNECT /hub/negotiate", "405 text/plain, open"),
    ("CONNECT test:80 HTTP/1.1\nhost: test:80", "404, open"),
    // Targets.
    ("POST http://test/hub/negotiate?negotiateVersion=1", "200 application/json negotiated, open"),
    ("POST https://test/hub/negotiate?negotiateVersion=1", "200 application/json negotiated, open"),
    ("GET http://test/hub?id=nobody", "404 text/plain no-cache 'No Connection with that ID', open"),
    ("GET http://test", "404, open"),
    ("OPTIONS *", "404, open"),
    ("POST //hub/negotiate", "404, open"),
    ("POST /hub%zz/negotiate", "404, open"),
    ("POST /hub/negotiate?negotiateVersion=1&a={}|^`", "200 application/json negotiated, open"),
    // Duplicates.
    ("POST /hub?id=a&id=b", "404 text/plain 'No Connection with that ID', open"),
    ("GET /hub?id=a\naccept: */*\naccept: text/event-stream", "404 text/plain 'No Connection with that ID', open"),
    ("POST /hub/negotiate HTTP/1.1\nhost: test\nhost: test", "400, closed"),
    ("POST /private/negotiate\nauthorization: Bearer a\nauthorization: Bearer b", "401, open"),
    ("POST /hub/negotiate\ncontent-length: 0\ncontent-length: 3\n\nabc", "400, closed"),
    // `Host`.
    ("POST /hub/negotiate HTTP/1.1", "400, closed"),
    ("POST /hub/negotiate?negotiateVersion=1 HTTP/1.1\nhost:", "200 application/json negotiated, open"),
    ("POST /hub/negotiate HTTP/1.1\nhost: a b", "400, closed"),
    ("POST /hub/negotiate HTTP/1.1\nhost: a/b", "400, closed"),
    // `Connection`.
    ("POST /hub/negotiate?negotiateVersion=1\nconnection: close", "200 application/json negotiated, closed"),
    ("POST /hub?id=nobody\nconnection: close", "404 text/plain 'No Connection with that ID', closed"),
    ("POST /hub/negotiate?negotiateVersion=1 HTTP/1.0\ncontent-length: 0", "200 application/json negotiated, closed"),
    (
        "POST /hub/negotiate?negotiateVersion=1 HTTP/1.0\nconnection: keep-alive\ncontent-length: 0",
        "200 application/json negotiated, open",
    ),
    (
        "POST /hub/negotiate?negotiateVersion=1\nconnection: upgrade, http2-settings\nupgrade: h2c\nhttp2-settings: AAMAAABk",
        "200 application/json negotiated, open",
    ),
    // Unexpected bodies.
    ("POST /hub/negotiate?negotiateVersion=1\ncontent-length: 3\n\nabc", "200 application/json negotiated, open"),
    ("GET /hub\ncontent-length: 3\n\nabc", "400 text/plain no-cache 'Connection ID required', open"),
    ("POST /elsewhere\ncontent-length: 3\n\nabc", "404, open"),
    (
        "POST /hub/negotiate?negotiateVersion=1\ntransfer-encoding: chunked\n\n3\nabc\n0\na: trailer\n\n",
        "200 application/json negotiated, open",
    ),
    (
        "POST /hub/negotiate?negotiateVersion=1\ntransfer-encoding: gzip, chunked\n\n3\nabc\n0\n\n",
        "200 application/json negotiated, open",
    ),
    (
        "POST /hub/negotiate?negotiateVersion=1\ntransfer-encoding: chunked\n\nzz\nabc\n0\n\n",
        "200 application/json negotiated, closed",
    ),
    ("POST /hub/negotiate\ntransfer-encoding: gzip", "400, closed"),
    (
        "POST /hub/negotiate?negotiateVersion=1\ncontent-length: 3\ntransfer-encoding: chunked\n\n3\nabc\n0\n\n",
        "200 application/json negotiated, closed",
    ),
    ("POST /hub/negotiate?negotiateVersion=1\ncontent-length: 31000000", "200 application/json negotiated, closed"),
    // No `100 Continue` is sent, but the body is awaited: `POS` of the next request is taken for
    // it.
    (
        "POST /hub/negotiate?negotiateVersion=1\nexpect: 100-continue\ncontent-length: 3",
        "200 application/json negotiated, then 405",
    ),
    // Malformed requests.
    ("POST /hub/negotiate\ncontent-length: -1", "400, closed"),
    ("POST /hub/negotiate\na: b\n c", "400, closed"),
    ("POST /hub/negotiate\na : b", "400, closed"),
    ("POST /hub/negotiate\na", "400, closed"),
    ("POST /hub/negotiate\n: a", "400, closed"),
    ("POST /hub/negotiate\na: \0", "400, closed"),
    ("POST  /hub/negotiate HTTP/1.1\nhost: test", "400, closed"),
    ("\nPOST /hub/negotiate?negotiateVersion=1 HTTP/1.1\nhost: test", "200 application/json negotiated, open"),
];

/// Requests with other responses than from ASP.NET Core: request, response of ASP.NET Core,
/// response of this server.
const DIFFERENT_FROM_ASPNET: &[(&str, &str, &str)] = &[
    ("post /hub", "400 text/plain 'Connection ID required', open", "405 text/plain, open"),
    ("CONNECT /hub", "400 text/plain no-cache 'Connection ID required', open", "405 text/plain, open"),
    ("GET *", "405, closed", "404, open"),
    ("GET hub", "405, closed", "404, open"),
    ("POST http://elsewhere/hub/negotiate?negotiateVersion=1", "400, closed", "200 application/json negotiated, open"),
    ("POST /a/../hub/negotiate?negotiateVersion=1", "200 application/json negotiated, open", "404, open"),
    ("POST /hub%00", "400, closed", "404, open"),
    ("POST /hub/negotiate?negotiateVersion=1&a=\u{e9}", "400, closed", "200 application/json negotiated, open"),
    ("POST /hub/negotiate?negotiateVersion=1&a=\"", "200 application/json negotiated, open", "400, closed"),
    (
        "POST /hub?id=&id=",
        "404 text/plain 'No Connection with that ID', open",
        "400 text/plain 'Connection ID required', open",
    ),
    ("POST /hub/negotiate HTTP/1.2\nhost: test", "505, closed", "400, closed"),
    ("POST /hub/negotiate?negotiateVersion=1 HTTP/1.0", "400, closed", "200 application/json negotiated, closed"),
    (
        "POST /hub/negotiate?negotiateVersion=1\ncontent-length: 0\ncontent-length: 0",
        "400, closed",
        "200 application/json negotiated, open",
    ),
    (
        "POST /hub/negotiate?negotiateVersion=1\ncontent-length: +3\n\nabc",
        "200 application/json negotiated, open",
        "400, closed",
    ),
    ("POST /hub/negotiate?negotiateVersion=1\na: \u{1}", "200 application/json negotiated, open", "400, closed"),
    (
        "GET /hub HTTP/1.0\nconnection: upgrade\nupgrade: websocket\nsec-websocket-version: 13\n\
         sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==",
        "101, closed",
        "400 text/plain no-cache 'Connection ID required', closed",
    ),
];

async fn server() -> SocketAddr {
    let bearer = JwtBearer::hmac("a-key-of-thirty-two-bytes-length").allow_any_issuer().allow_any_audience();
    let builder = SignalR::builder().authentication(bearer).hub("/hub", Echo).hub("/private", Echo);
    serve(&builder.authorize(Authorize::user()).build().unwrap()).await
}

#[tokio::test]
async fn responses_match_aspnet_core() {
    let addr = server().await;
    for (request, expected) in SAME_AS_ASPNET {
        assert_eq!(outcome(addr, request).await, *expected, "{request:?}");
    }
}

#[tokio::test]
async fn listed_responses_differ_from_aspnet_core() {
    let addr = server().await;
    for (request, theirs, expected) in DIFFERENT_FROM_ASPNET {
        assert_ne!(theirs, expected);
        assert_eq!(outcome(addr, request).await, *expected, "{request:?}");
    }
}

#[tokio::test]
async fn unknown_methods_are_rejected_without_a_body() {
    let addr = server().await;
    let long = "X".repeat(40);
    for method in ["HEAD", "OPTIONS", "PUT", "PATCH", "TRACE", "PROPFIND", "M-SEARCH", &long] {
        for path in ["/hub", "/hub?id=nobody", "/hub/negotiate"] {
            assert_eq!(outcome(addr, &format!("{method} {path}")).await, "405 text/plain, open", "{method} {path}");
        }
    }
}

/// Each request ends within Kestrel's limit or one byte beyond it.
#[tokio::test]
async fn request_heads_are_limited() {
    let addr = server().await;
    let line = |length: usize| {
        let start = "POST /hub/negotiate?negotiateVersion=1&a=";
        format!("{start}{}", "a".repeat(length - start.len() - " HTTP/1.1\r\n".len()))
    };
    let headers = |length: usize| {
        let others = "host: test\r\na: \r\n".len();
        format!("POST /hub/negotiate?negotiateVersion=1\na: {}", "a".repeat(length - others))
    };
    let count = |count: usize| {
        let lines: String = (1..count).map(|n| format!("\na{n}: b")).collect();
        format!("POST /hub/negotiate?negotiateVersion=1{lines}")
    };
    for (request, expected) in [
        (line(8192), "200 application/json negotiated, open"),
        (line(8193), "414, closed"),
        (line(40_000), "414, closed"),
        // hyper rejects the request before the line ends; Kestrel responds with 414.
        (line(200_000), "431, closed"),
        (headers(32_768), "200 application/json negotiated, open"),
        (headers(32_769), "431, closed"),
        (headers(200_000), "431, closed"),
        (count(100), "200 application/json negotiated, open"),
        (count(101), "431, closed"),
    ] {
        assert_eq!(outcome(addr, &request).await, expected, "{} bytes", request.len());
    }
}

#[tokio::test]
async fn pipelined_requests_are_answered_in_order() {
    let mut connection = Connection::open(server().await).await;
    let requests = ["POST /hub/negotiate?negotiateVersion=1", "POST /hub?id=nobody", "PUT /hub"];
    connection.write(requests.map(bytes).concat().as_slice()).await;
    assert_eq!(connection.answer(false).await.unwrap(), "200 application/json negotiated");
    assert_eq!(connection.answer(false).await.unwrap(), "404 text/plain 'No Connection with that ID'");
    assert_eq!(connection.answer(false).await.unwrap(), "405 text/plain");
    assert_eq!(connection.next_request().await, "open");
}

#[tokio::test]
async fn post_with_expect_100_continue_is_accepted() {
    let addr = server().await;
    let target = format!("/hub?id={}", negotiate(addr, "/hub").await);
    let mut connection = Connection::open(addr).await;
    connection.write(&bytes(&format!("GET {target}"))).await;
    assert_eq!(connection.answer(false).await.unwrap(), "200 application/octet-stream no-cache");
    connection.write(&bytes(&format!("POST {target}\nexpect: 100-continue\ncontent-length: 3"))).await;
    assert_eq!(connection.answer(true).await.unwrap(), "100");
    connection.write(b"abc").await;
    assert_eq!(connection.answer(false).await.unwrap(), "200 text/plain");
    assert_eq!(connection.next_request().await, "open");
}

#[tokio::test]
async fn keep_alive_continues_after_a_late_request_body() {
    let mut connection = Connection::open(server().await).await;
    connection.write(&bytes("POST /hub/negotiate?negotiateVersion=1\ncontent-length: 1000000\n\nsome")).await;
    assert_eq!(connection.answer(false).await.unwrap(), "200 application/json negotiated");
    connection.write(&[b'a'; 1_000_000 - 4]).await;
    assert_eq!(connection.next_request().await, "open");
}

#[tokio::test]
async fn endless_request_body_closes_the_connection() {
    let mut connection = Connection::open(server().await).await;
    connection.write(&bytes("POST /hub/negotiate?negotiateVersion=1\ntransfer-encoding: chunked\n\n")).await;
    assert_eq!(connection.answer(false).await.unwrap(), "200 application/json negotiated");
    let chunk = [b"100000\r\n", &[b'a'; 0x10_0000][..], b"\r\n"].concat();
    for sent in 0.. {
        // 30,000,000 bytes and the socket buffers.
        assert!(sent < 50, "the server reads without a limit");
        if within(connection.socket.write_all(&chunk)).await.is_err() {
            break;
        }
    }
}

#[tokio::test(start_paused = true)]
async fn missing_request_body_closes_the_connection() {
    let mut connection = Connection::open(server().await).await;
    connection.write(&bytes("POST /hub/negotiate?negotiateVersion=1\ncontent-length: 4\n\nabc")).await;
    assert_eq!(connection.answer(false).await.unwrap(), "200 application/json negotiated");
    let mut rest = Vec::new();
    let closed = tokio::time::timeout(Duration::from_secs(6), connection.socket.read_to_end(&mut rest)).await;
    assert_eq!(closed.unwrap().unwrap(), 0);
}

async fn outcome(addr: SocketAddr, request: &str) -> String {
    let mut connection = Connection::open(addr).await;
    connection.write(&bytes(request)).await;
    let answer = connection.answer(request.starts_with("HEAD ")).await.unwrap();
    format!("{answer}, {}", connection.next_request().await)
}

/// Encodes a request.
fn bytes(request: &str) -> Vec<u8> {
    let (head, body) = request.split_once("\n\n").unwrap_or((request, ""));
    let head = match head.split_once('\n') {
        _ if head.contains(" HTTP/1.") => head.to_owned(),
        Some((first, others)) => format!("{first} HTTP/1.1\nhost: test\n{others}"),
        None => format!("{head} HTTP/1.1\nhost: test"),
    };
    format!("{head}\n\n{body}").replace('\n', "\r\n").into_bytes()
}

/// A client that summarizes responses.
struct Connection {
    socket: TcpStream,
    arrived: Vec<u8>,
}

impl Connection {
    async fn open(addr: SocketAddr) -> Self {
        Self { socket: within(TcpStream::connect(addr)).await.unwrap(), arrived: Vec::new() }
    }

    /// Sends the bytes that the server accepts; a rejected request ends the socket early.
    async fn write(&mut self, bytes: &[u8]) {
        let _ = within(self.socket.write_all(bytes)).await;
    }

    /// Returns a summary of the next response; `None` if the connection is closed.
    async fn answer(&mut self, is_bare: bool) -> Option<String> {
        let end = loop {
            match self.arrived.windows(4).position(|end| end == b"\r\n\r\n") {
                Some(end) => break end + 4,
                None => self.read().await?,
            }
        };
        let head = String::from_utf8(self.arrived.drain(..end).collect()).unwrap();
        let header = |name: &str| head.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "));
        assert_eq!(header("allow"), None);
        let length = if is_bare { 0 } else { header("content-length").map_or(0, |length| length.parse().unwrap()) };
        while self.arrived.len() < length {
            self.read().await.expect("the whole body");
        }
        let body = String::from_utf8(self.arrived.drain(..length).collect()).unwrap();
        let mut answer = head.split(' ').nth(1).unwrap().trim_end().to_owned();
        for word in [header("content-type"), header("pragma")].into_iter().flatten() {
            answer = format!("{answer} {word}");
        }
        match body.as_str() {
            "" => {}
            body if body.starts_with("{\"negotiateVersion\":1,") => answer.push_str(" negotiated"),
            body => answer = format!("{answer} '{body}'"),
        }
        Some(answer)
    }

    /// Sends a further request and summarizes its outcome.
    async fn next_request(&mut self) -> String {
        self.write(&bytes("POST /hub/negotiate?negotiateVersion=1\ncontent-length: 0")).await;
        match self.answer(false).await {
            None => "closed".to_owned(),
            Some(answer) if answer == "200 application/json negotiated" => "open".to_owned(),
            Some(answer) => format!("then {}", &answer[..3]),
        }
    }

    async fn read(&mut self) -> Option<()> {
        within(self.socket.read_buf(&mut self.arrived)).await.ok().filter(|read| *read > 0).map(drop)
    }
}
