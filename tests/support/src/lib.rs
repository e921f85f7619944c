//! A server on a free port, and a client that shows what is on the wire.
//!
//! Nothing here waits without an end: what does not come fails the test.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

pub mod any_transport;
pub mod fuzz_server;
pub mod http2;
pub mod http_client;
pub mod log_capture;
pub mod tls;

use std::collections::{BTreeMap, VecDeque};
use std::future::Future;
use std::net::SocketAddr;
use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use signalr::{Format, SignalR};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::tungstenite::protocol::{CloseFrame, Message};
use tokio_tungstenite::{WebSocketStream, client_async};

/// Far longer than anything takes, on a machine that is busy with other things.
pub const PATIENCE: Duration = Duration::from_secs(10);

const RECORD_SEPARATOR: u8 = 0x1e;

/// What comes of a future that does not take long.
#[track_caller]
pub fn within<F: Future>(future: F) -> impl Future<Output = F::Output> {
    let caller = std::panic::Location::caller();
    async move {
        let Ok(output) = tokio::time::timeout(PATIENCE, future).await else { panic!("not in time: {caller}") };
        output
    }
}

/// Waits until something holds that nobody tells.
#[track_caller]
pub fn until(condition: impl Fn() -> bool) -> impl Future<Output = ()> {
    within(async move {
        while !condition() {
            tokio::task::yield_now().await;
        }
    })
}

/// Serves on a free port.
pub async fn serve(signalr: &SignalR) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addr = listener.local_addr().unwrap();
    tokio::spawn(signalr.clone().serve(listener));
    addr
}

/// One HTTP request on a connection of its own: the status and the body, which is text.
pub async fn http(addr: SocketAddr, method: &str, target: &str, headers: &[(&str, &str)]) -> (u16, String) {
    let (status, body) = http_bytes(addr, method, target, headers).await;
    (status, String::from_utf8(body).unwrap())
}

/// The same with any body.
pub async fn http_bytes(addr: SocketAddr, method: &str, target: &str, headers: &[(&str, &str)]) -> (u16, Vec<u8>) {
    let mut request = format!("{method} {target} HTTP/1.1\r\nhost: test\r\ncontent-length: 0\r\nconnection: close\r\n");
    for (name, value) in headers {
        request.push_str(&format!("{name}: {value}\r\n"));
    }
    request.push_str("\r\n");
    let mut response = Vec::new();
    within(async {
        let mut socket = TcpStream::connect(addr).await.unwrap();
        socket.write_all(request.as_bytes()).await.unwrap();
        socket.read_to_end(&mut response).await.unwrap();
    })
    .await;
    let end = response.windows(4).position(|end| end == b"\r\n\r\n").unwrap();
    let body = response.split_off(end + 4);
    let head = String::from_utf8(response).unwrap();
    (head.split(' ').nth(1).unwrap().parse().unwrap(), body)
}

/// Negotiates a connection and returns its secret token.
pub async fn negotiate(addr: SocketAddr, path: &str) -> String {
    let (status, body) = http(addr, "POST", &format!("{path}/negotiate?negotiateVersion=1"), &[]).await;
    assert_eq!(status, 200, "{body}");
    let body: Value = serde_json::from_str(&body).unwrap();
    body["connectionToken"].as_str().unwrap().to_owned()
}

/// A client of a hub, on a WebSocket over anything.
#[derive(Debug)]
pub struct Client<S = TcpStream> {
    pub ws: WebSocketStream<S>,
    format: Format,
    arrived: VecDeque<Value>,
}

/// What came last on a connection: the code of its Close frame, or none if it was cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    Closed(u16),
    Cut,
}

impl Client {
    /// Negotiates, connects and shakes hands.
    pub async fn connect(addr: SocketAddr, path: &str, format: Format) -> Self {
        let token = negotiate(addr, path).await;
        let mut client = Self::open(addr, &format!("{path}?id={token}"), format).await;
        client.shake_hands().await;
        client
    }

    /// Connects without a handshake.
    pub async fn open(addr: SocketAddr, target: &str, format: Format) -> Self {
        Self::over(within(TcpStream::connect(addr)).await.unwrap(), target, format).await
    }

    /// The socket itself, to do with what no client does.
    pub fn socket(&mut self) -> &mut TcpStream {
        self.ws.get_mut()
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> Client<S> {
    /// Makes a WebSocket of `io`, without a handshake of the hub's.
    pub async fn over(io: S, target: &str, format: Format) -> Self {
        let (ws, _) = within(client_async(format!("ws://test{target}"), io)).await.unwrap();
        Self::of(ws, format)
    }

    pub fn of(ws: WebSocketStream<S>, format: Format) -> Self {
        Self { ws, format, arrived: VecDeque::new() }
    }

    pub async fn shake_hands(&mut self) {
        let name = self.format.name();
        let request = format!("{{\"protocol\":\"{name}\",\"version\":1}}\u{1e}");
        self.send_frame(request.as_bytes()).await;
        let answer = within(self.ws.next()).await.unwrap().unwrap().into_data();
        assert_eq!(&answer[..], b"{}\x1e", "the handshake");
    }

    /// Sends bytes in one message of the kind that fits the format.
    pub async fn send_frame(&mut self, payload: &[u8]) {
        let message = match self.format.is_binary() {
            true => Message::binary(payload.to_vec()),
            false => Message::text(std::str::from_utf8(payload).unwrap()),
        };
        within(self.ws.send(message)).await.unwrap();
    }

    /// Sends a call.
    pub async fn call(&mut self, id: Option<&str>, method: &str, arguments: &[Value]) {
        self.send_frame(&invocation(self.format, id, method, arguments)).await;
    }

    /// Sends a Close message.
    pub async fn close_message(&mut self) {
        self.send_frame(&goodbye(self.format)).await;
    }

    /// Calls `Echo` and checks what comes back, which must come next.
    pub async fn echo(&mut self, text: &str) {
        self.call(Some("echo"), "Echo", &[text.into()]).await;
        let answer = self.next().await;
        assert_eq!(answer, Some(json!({ "type": 3, "invocationId": "echo", "result": text })), "{:?}", self.format);
    }

    /// The next hub message in the words of JSON, whatever the format; pings are left out. `None` at the end.
    #[track_caller]
    pub fn next(&mut self) -> impl Future<Output = Option<Value>> {
        within(async {
            loop {
                match self.arrived.pop_front() {
                    Some(ping) if ping["type"] == 6 => {}
                    Some(message) => return Some(message),
                    None => match self.ws.next().await {
                        Some(Ok(message)) if message.is_text() || message.is_binary() => {
                            assert_eq!(message.is_binary(), self.format.is_binary());
                            self.arrived.extend(split(self.format, &message.into_data()));
                        }
                        Some(Ok(Message::Ping(_) | Message::Pong(_))) => {}
                        _ => return None,
                    },
                }
            }
        })
    }

    /// The next hub message with a sequence id: neither an Ack nor a Sequence.
    pub async fn next_numbered(&mut self) -> Value {
        loop {
            let message = self.next().await.unwrap();
            if !matches!(message["type"].as_u64(), Some(8 | 9)) {
                return message;
            }
        }
    }

    /// The next hub message, which must be the last one, and how the connection ended.
    pub async fn last(&mut self) -> (Value, End) {
        let message = self.next().await.unwrap();
        (message, self.end().await)
    }

    /// How the connection ends, which must be the next that happens to it.
    pub async fn end(&mut self) -> End {
        assert_eq!(self.arrived.iter().find(|message| message["type"] != 6), None);
        loop {
            match within(self.ws.next()).await {
                Some(Ok(Message::Close(frame))) => {
                    let code = frame.map_or(CloseCode::Status, |frame| frame.code);
                    // The answer to it goes out with the end of the stream.
                    while let Some(Ok(_)) = within(self.ws.next()).await {}
                    return End::Closed(code.into());
                }
                Some(Ok(message)) => {
                    let data = message.into_data();
                    assert!(split(self.format, &data).iter().all(|message| message["type"] == 6), "{data:?}");
                }
                Some(Err(_)) | None => return End::Cut,
            }
        }
    }

    /// Closes the WebSocket and waits for the server's answer.
    pub async fn close(mut self) {
        let frame = CloseFrame { code: CloseCode::Normal, reason: "".into() };
        within(self.ws.close(Some(frame))).await.unwrap();
        // The stream ends in its own way, too: TLS says so.
        while let Some(message) = within(self.ws.next()).await {
            message.unwrap();
        }
    }
}

/// A call as clients write it.
pub fn invocation(format: Format, id: Option<&str>, method: &str, arguments: &[Value]) -> Vec<u8> {
    if format.is_binary() {
        let headers = BTreeMap::<(), ()>::new();
        return prefixed(&rmp_serde::to_vec(&(1, headers, id, method, arguments, [(); 0])).unwrap());
    }
    let mut message = json!({ "type": 1, "target": method, "arguments": arguments });
    if let Some(id) = id {
        message["invocationId"] = id.into();
    }
    separated(&message)
}

/// A client's Close message.
pub fn goodbye(format: Format) -> Vec<u8> {
    if format.is_binary() { prefixed(&rmp_serde::to_vec(&(7, ())).unwrap()) } else { separated(&json!({ "type": 7 })) }
}

/// A message with its length in front, as MessagePack's are framed.
pub fn prefixed(body: &[u8]) -> Vec<u8> {
    let mut framed = Vec::new();
    let mut length = body.len();
    while length >= 0x80 {
        framed.push(u8::try_from(length & 0x7f).unwrap() | 0x80);
        length >>= 7;
    }
    framed.push(u8::try_from(length).unwrap());
    framed.extend_from_slice(body);
    framed
}

fn separated(message: &Value) -> Vec<u8> {
    let mut bytes = serde_json::to_vec(message).unwrap();
    bytes.push(RECORD_SEPARATOR);
    bytes
}

/// The messages in one WebSocket message, event or answer to a poll; a server's are whole.
pub fn split(format: Format, mut bytes: &[u8]) -> Vec<Value> {
    let mut messages = Vec::new();
    while !bytes.is_empty() {
        if format.is_binary() {
            let end = bytes.iter().position(|byte| byte & 0x80 == 0).unwrap();
            let length = bytes[..=end].iter().rev().fold(0, |length, byte| length << 7 | usize::from(byte & 0x7f));
            messages.push(in_json(&rmp_serde::from_slice(&bytes[end + 1..][..length]).unwrap()));
            bytes = &bytes[end + 1 + length..];
        } else {
            let end = bytes.iter().position(|byte| *byte == RECORD_SEPARATOR).unwrap();
            messages.push(serde_json::from_slice(&bytes[..end]).unwrap());
            bytes = &bytes[end + 1..];
        }
    }
    messages
}

/// A MessagePack message as JSON has it.
fn in_json(message: &Value) -> Value {
    match message[0].as_u64() {
        Some(1) => {
            let mut call = json!({ "type": 1, "target": message[3], "arguments": message[4] });
            if !message[2].is_null() {
                call["invocationId"] = message[2].clone();
            }
            call
        }
        Some(2) => json!({ "type": 2, "invocationId": message[2], "item": message[3] }),
        Some(3) => match message[3].as_u64() {
            Some(1) => json!({ "type": 3, "invocationId": message[2], "error": message[4] }),
            _ => json!({ "type": 3, "invocationId": message[2], "result": message[4] }),
        },
        Some(7) => {
            let mut close = json!({ "type": 7 });
            if !message[1].is_null() {
                close["error"] = message[1].clone();
            }
            if message[2] == true {
                close["allowReconnect"] = true.into();
            }
            close
        }
        Some(kind @ (8 | 9)) => json!({ "type": kind, "sequenceId": message[1] }),
        _ => json!({ "type": message[0] }),
    }
}
