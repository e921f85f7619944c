//! The client for bytes on the wire.

use std::collections::VecDeque;
use std::future::Future;
use std::net::SocketAddr;

use futures_util::{SinkExt, StreamExt};
use http::HeaderMap;
use serde_json::{Value, json};
use signalr::HubProtocolKind;
use signalr::hosting::TransportType;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::tungstenite::protocol::{CloseFrame, Message};
use tokio_tungstenite::tungstenite::{Error, http};
use tokio_tungstenite::{WebSocketStream, client_async};

use crate::http_transport::HttpTransport;
use crate::{ClientKind, EventStream, close_message, invocation, negotiate, split, within};

/// A client of any transport, which shows what is on the wire. A WebSocket may be over any stream, such as TLS or a pipe
/// in memory.
///
/// It is a client of a hub after a [`handshake`](Self::handshake), and one of a raw connection without it.
#[derive(Debug)]
pub struct Client<S = TcpStream> {
    transport: Transport<S>,
    protocol: HubProtocolKind,
    /// Hub messages that arrived together with one that was returned.
    received: VecDeque<Value>,
}

#[derive(Debug)]
enum Transport<S> {
    WebSocket(Box<WebSocketStream<S>>),
    Http(HttpTransport),
}

/// How a WebSocket ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum End {
    /// With a close frame of this code.
    Closed(u16),
    /// Without a close frame.
    Cut,
}

/// Requests a WebSocket with these headers. Returns it with the headers of the response, or the status of a rejection.
pub async fn upgrade(
    addr: SocketAddr,
    target: &str,
    headers: &[(&str, &str)],
) -> Result<(WebSocketStream<TcpStream>, HeaderMap), u16> {
    let mut request = format!("ws://test{target}").into_client_request().unwrap();
    for (name, value) in headers {
        let name = http::HeaderName::try_from(*name).unwrap();
        request.headers_mut().insert(name, value.parse().unwrap());
    }
    let socket = within(TcpStream::connect(addr)).await.unwrap();
    match within(client_async(request, socket)).await {
        Ok((ws, response)) => Ok((ws, response.into_parts().0.headers)),
        Err(Error::Http(response)) => Err(response.status().as_u16()),
        Err(error) => panic!("{error}"),
    }
}

/// Returns the status of the response to a WebSocket upgrade.
pub async fn upgrade_status(addr: SocketAddr, target: &str) -> u16 {
    match upgrade(addr, target, &[]).await {
        Ok(_) => 101,
        Err(status) => status,
    }
}

impl Client {
    /// Negotiates, opens a WebSocket and performs the handshake.
    pub async fn connect(addr: SocketAddr, path: &str, protocol: HubProtocolKind) -> Self {
        let token = negotiate(addr, path).await;
        let mut client = Self::open(addr, &format!("{path}?id={token}"), protocol).await;
        client.handshake().await;
        client
    }

    /// Opens a WebSocket without a handshake.
    pub async fn open(addr: SocketAddr, target: &str, protocol: HubProtocolKind) -> Self {
        Self::over(within(TcpStream::connect(addr)).await.unwrap(), target, protocol).await
    }

    pub(crate) async fn open_kind(kind: ClientKind, addr: SocketAddr, target: &str, headers: &[(&str, &str)]) -> Self {
        let ClientKind { transport, protocol } = kind;
        let transport = if transport == TransportType::WebSockets {
            Transport::WebSocket(Box::new(upgrade(addr, target, headers).await.unwrap().0))
        } else {
            let events = transport == TransportType::ServerSentEvents;
            Transport::Http(HttpTransport::open(addr, target, headers, events).await)
        };
        Self { transport, protocol, received: VecDeque::new() }
    }

    /// The socket of a WebSocket, to send what tungstenite does not.
    pub fn socket(&mut self) -> &mut TcpStream {
        self.websocket().get_mut()
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> Client<S> {
    /// Opens a WebSocket over `io`, without a handshake.
    pub async fn over(io: S, target: &str, protocol: HubProtocolKind) -> Self {
        let (ws, _) = within(client_async(format!("ws://test{target}"), io)).await.unwrap();
        Self::from_websocket(ws, protocol)
    }

    /// Makes a client of an open WebSocket.
    pub fn from_websocket(ws: WebSocketStream<S>, protocol: HubProtocolKind) -> Self {
        Self { transport: Transport::WebSocket(Box::new(ws)), protocol, received: VecDeque::new() }
    }

    /// The WebSocket. Panics if there is none.
    pub fn websocket(&mut self) -> &mut WebSocketStream<S> {
        match &mut self.transport {
            Transport::WebSocket(ws) => ws,
            Transport::Http(transport) => panic!("{transport:?}"),
        }
    }

    /// The stream below the WebSocket. Panics if there is none.
    pub fn into_io(self) -> S {
        match self.transport {
            Transport::WebSocket(ws) => ws.into_inner(),
            Transport::Http(transport) => panic!("{transport:?}"),
        }
    }

    /// Performs the handshake of version 1 of the hub protocol.
    pub async fn handshake(&mut self) {
        self.handshake_version(1).await;
    }

    /// Performs the handshake; version 2 asks for stateful reconnect.
    pub async fn handshake_version(&mut self, version: u8) {
        let request = format!("{{\"protocol\":\"{}\",\"version\":{version}}}\u{1e}", self.protocol.name());
        self.send(request).await;
        assert_eq!(self.next_bytes().await.as_deref(), Some(&b"{}\x1e"[..]), "the response to the handshake");
    }

    /// Sends bytes: in one WebSocket message of the transfer format, or in one POST, which must succeed.
    pub async fn send(&mut self, payload: impl AsRef<[u8]>) {
        let payload = payload.as_ref();
        match &mut self.transport {
            Transport::WebSocket(ws) => {
                let message = match self.protocol.is_binary() {
                    true => Message::binary(payload.to_vec()),
                    false => Message::text(std::str::from_utf8(payload).unwrap()),
                };
                within(ws.send(message)).await.unwrap();
            }
            Transport::Http(transport) => transport.post(payload).await,
        }
    }

    /// Sends a WebSocket message.
    pub async fn send_message(&mut self, message: Message) {
        within(self.websocket().send(message)).await.unwrap();
    }

    /// Sends an invocation.
    pub async fn call(&mut self, id: Option<&str>, method: &str, arguments: &[Value]) {
        self.send(invocation(self.protocol, id, method, arguments)).await;
    }

    /// Sends several invocations at once: ids, methods and arguments.
    pub async fn call_all(&mut self, calls: &[(&str, &str, &[Value])]) {
        let calls =
            calls.iter().flat_map(|(id, method, arguments)| invocation(self.protocol, Some(id), method, arguments));
        self.send(calls.collect::<Vec<_>>()).await;
    }

    /// Sends a Close message.
    pub async fn send_close_message(&mut self) {
        self.send(close_message(self.protocol)).await;
    }

    /// Invokes a method and returns its result. The completion must be the next message.
    pub async fn invoke(&mut self, method: &str, arguments: &[Value]) -> Value {
        self.call(Some("1"), method, arguments).await;
        let mut completion = self.next().await.unwrap();
        assert_eq!((&completion["type"], &completion["invocationId"]), (&json!(3), &json!("1")), "{completion}");
        assert!(completion.get("error").is_none(), "{completion}");
        completion["result"].take()
    }

    /// Invokes `Echo` and checks the completion, which must be the next message.
    pub async fn echo(&mut self, text: &str) {
        self.call(Some("echo"), "Echo", &[text.into()]).await;
        let completion = self.next().await;
        let expected = json!({ "type": 3, "invocationId": "echo", "result": text });
        assert_eq!(completion, Some(expected), "{:?}", self.protocol);
    }

    /// Returns the next hub message but pings, as JSON whatever the hub protocol; `None` at the end.
    #[expect(clippy::should_implement_trait, reason = "it is asynchronous")]
    #[track_caller]
    pub fn next(&mut self) -> impl Future<Output = Option<Value>> {
        within(async {
            loop {
                match self.received.pop_front() {
                    Some(ping) if ping["type"] == 6 => {}
                    Some(message) => return Some(message),
                    None => {
                        let bytes = match &mut self.transport {
                            Transport::WebSocket(ws) => match ws.next().await {
                                Some(Ok(message)) if message.is_text() || message.is_binary() => {
                                    assert_eq!(message.is_binary(), self.protocol.is_binary());
                                    message.into_data().to_vec()
                                }
                                Some(Ok(Message::Ping(_) | Message::Pong(_))) => continue,
                                _ => return None,
                            },
                            Transport::Http(transport) => transport.next().await?,
                        };
                        self.received.extend(split(self.protocol, &bytes));
                    }
                }
            }
        })
    }

    /// Returns the next hub message with a sequence id: neither an Ack nor a Sequence.
    pub async fn next_numbered(&mut self) -> Value {
        loop {
            let message = self.next().await.unwrap();
            if !matches!(message["type"].as_u64(), Some(8 | 9)) {
                return message;
            }
        }
    }

    /// Returns the next text or binary WebSocket message; `None` at the end.
    pub async fn next_message(&mut self) -> Option<Message> {
        match within(self.websocket().next()).await {
            Some(Ok(message)) if message.is_text() || message.is_binary() => Some(message),
            Some(Ok(Message::Close(_)) | Err(_)) | None => None,
            other => panic!("{other:?}"),
        }
    }

    /// Returns the payload of the next WebSocket message, event or response to a poll; `None` at the end.
    pub async fn next_bytes(&mut self) -> Option<Vec<u8>> {
        match &mut self.transport {
            Transport::WebSocket(_) => self.next_message().await.map(|message| message.into_data().to_vec()),
            Transport::Http(transport) => transport.next().await,
        }
    }

    /// Like [`next_bytes`](Self::next_bytes), for text.
    pub async fn next_text(&mut self) -> Option<String> {
        self.next_bytes().await.map(|bytes| String::from_utf8(bytes).unwrap())
    }

    /// Returns payloads until they have at least `length` bytes.
    pub async fn receive(&mut self, length: usize) -> Vec<u8> {
        let mut received = Vec::new();
        while received.len() < length {
            received.extend(self.next_bytes().await.expect("more bytes before the end"));
        }
        received
    }

    /// Returns the next hub message, which must be the last one, and how the WebSocket ended.
    pub async fn last(&mut self) -> (Value, End) {
        let message = self.next().await.unwrap();
        (message, self.end().await)
    }

    /// Returns how the WebSocket ended. Nothing but pings may arrive before.
    pub async fn end(&mut self) -> End {
        assert_eq!(self.received.iter().find(|message| message["type"] != 6), None);
        let protocol = self.protocol;
        let ws = self.websocket();
        loop {
            match within(ws.next()).await {
                Some(Ok(Message::Close(frame))) => {
                    let code = frame.map_or(CloseCode::Status, |frame| frame.code);
                    // tungstenite writes its close frame while it reads up to the end of the stream.
                    while let Some(Ok(_)) = within(ws.next()).await {}
                    return End::Closed(code.into());
                }
                Some(Ok(message)) => {
                    let data = message.into_data();
                    assert!(split(protocol, &data).iter().all(|message| message["type"] == 6), "{data:?}");
                }
                Some(Err(_)) | None => return End::Cut,
            }
        }
    }

    /// Checks that the connection ends in order and that no message arrives before.
    pub async fn assert_closed(&mut self) {
        match &mut self.transport {
            Transport::WebSocket(_) => assert_eq!(self.end().await, End::Closed(1000)),
            Transport::Http(_) => assert_eq!(self.next().await, None),
        }
    }

    /// Closes the connection as its transport does: by a close frame, a DELETE, or the end of the event stream.
    pub async fn close(self) {
        self.close_with(CloseCode::Normal).await;
    }

    /// Like [`close`](Self::close), with this code in a close frame.
    pub async fn close_with(mut self, code: CloseCode) {
        match &mut self.transport {
            Transport::WebSocket(ws) => {
                within(ws.as_mut().close(Some(CloseFrame { code, reason: "".into() }))).await.unwrap();
                // TLS ends its stream with `close_notify` after the close frame.
                let mut response = None;
                while let Some(message) = within(ws.next()).await {
                    if let Message::Close(frame) = message.unwrap() {
                        response = frame.map(|frame| frame.code);
                    }
                }
                assert_eq!(response, Some(CloseCode::Normal));
            }
            Transport::Http(transport) if transport.events.is_none() => assert_eq!(transport.delete().await.0, 202),
            Transport::Http(_) => {}
        }
    }
}

/// Requests of long polling and Server-Sent Events. All of these panic for a WebSocket.
impl<S> Client<S> {
    fn http(&self) -> &HttpTransport {
        match &self.transport {
            Transport::Http(transport) => transport,
            Transport::WebSocket(_) => panic!("a WebSocket is open"),
        }
    }

    fn http_mut(&mut self) -> &mut HttpTransport {
        match &mut self.transport {
            Transport::Http(transport) => transport,
            Transport::WebSocket(_) => panic!("a WebSocket is open"),
        }
    }

    /// The target of all requests: path and query with the connection token.
    pub fn target(&self) -> &str {
        &self.http().target
    }

    /// Sends later requests to another target.
    pub fn set_target(&mut self, target: String) {
        self.http_mut().target = target;
    }

    /// The event stream; `None` for long polling.
    pub fn events(&mut self) -> Option<&mut EventStream> {
        self.http_mut().events.as_mut()
    }

    /// Takes the event stream away; `None` for long polling.
    pub fn take_events(&mut self) -> Option<EventStream> {
        self.http_mut().events.take()
    }

    /// Polls once. Returns status and body.
    pub async fn poll(&self) -> (u16, String) {
        self.http().poll().await
    }

    /// Sends a DELETE. Returns status and body.
    pub async fn delete(&self) -> (u16, String) {
        self.http().delete().await
    }

    /// Sends a POST, which must succeed.
    pub async fn post(&self, text: &str) {
        self.http().post(text.as_bytes()).await;
    }

    /// Sends a POST and returns its socket before the response.
    pub async fn begin_post(&self, body: &[u8]) -> TcpStream {
        self.http().begin_post(body).await
    }
}
