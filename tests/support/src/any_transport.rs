//! A client on any transport, in any format.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::time::{Duration, SystemTime};

use serde_json::{Value, json};
use signalr::auth::JwtBearer;
use signalr::{Format, TransportType};
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::{WebSocketStream, client_async};

use crate::http_client::{Headers, Plain, status};
use crate::{Client, End, goodbye, http, invocation, split, within};

/// A transport, and a format on it.
#[derive(Clone, Copy, Debug)]
pub struct Way(pub TransportType, pub Format);

/// All that there are: events are text.
pub fn ways() -> Vec<Way> {
    let transports = [TransportType::WebSockets, TransportType::ServerSentEvents, TransportType::LongPolling];
    let ways =
        transports.into_iter().flat_map(|transport| Format::ALL.iter().map(move |&format| Way(transport, format)));
    ways.filter(|Way(transport, format)| *transport != TransportType::ServerSentEvents || !format.is_binary()).collect()
}

/// A client that went one of these ways.
#[derive(Debug)]
pub struct Any {
    pipe: Pipe,
    format: Format,
    arrived: VecDeque<Value>,
}

#[derive(Debug)]
enum Pipe {
    WebSocket(Box<Client>),
    Plain(Plain),
}

impl Way {
    pub async fn connect(self, addr: SocketAddr, path: &str) -> Any {
        self.connect_with(addr, path, "", &[]).await
    }

    /// Negotiates, connects and shakes hands. `query` goes with all requests, `headers` with those that get messages.
    pub async fn connect_with(self, addr: SocketAddr, path: &str, query: &str, headers: Headers) -> Any {
        let negotiated = http(addr, "POST", &format!("{path}/negotiate?negotiateVersion=1&{query}"), &[]).await;
        assert_eq!(negotiated.0, 200);
        let negotiated: Value = serde_json::from_str(&negotiated.1).unwrap();
        let target = format!("{path}?id={}&{query}", negotiated["connectionToken"].as_str().unwrap());
        let Self(transport, format) = self;
        let pipe = if transport == TransportType::WebSockets {
            let mut client = Client::of(open(addr, &target, headers).await, format);
            client.shake_hands().await;
            Pipe::WebSocket(Box::new(client))
        } else {
            let events = transport == TransportType::ServerSentEvents;
            let mut client = Plain::open_with(addr, target, headers, events).await;
            client.post(&format!("{{\"protocol\":\"{}\",\"version\":1}}\u{1e}", format.name())).await;
            assert_eq!(client.next().await, Some(json!({})));
            Pipe::Plain(client)
        };
        Any { pipe, format, arrived: VecDeque::new() }
    }
}

async fn open(addr: SocketAddr, target: &str, headers: Headers) -> WebSocketStream<TcpStream> {
    let mut request = format!("ws://test{target}").into_client_request().unwrap();
    for (name, value) in headers {
        request.headers_mut().insert(*name, value.parse().unwrap());
    }
    let socket = within(TcpStream::connect(addr)).await.unwrap();
    within(client_async(request, socket)).await.unwrap().0
}

impl Any {
    /// Sends a call, or several of them at once.
    pub async fn call(&mut self, calls: &[(&str, &str, &[Value])]) {
        let calls =
            calls.iter().flat_map(|(id, method, arguments)| invocation(self.format, Some(id), method, arguments));
        self.send(&calls.collect::<Vec<_>>()).await;
    }

    /// Says goodbye, and waits for nothing.
    pub async fn leave(&mut self) {
        self.send(&goodbye(self.format)).await;
    }

    async fn send(&mut self, messages: &[u8]) {
        match &mut self.pipe {
            Pipe::WebSocket(client) => client.send_frame(messages).await,
            Pipe::Plain(client) => assert_eq!(status(client.begin_post(messages).await).await, 200),
        }
    }

    /// Calls a method, and what comes next is its answer.
    pub async fn invoke(&mut self, method: &str, arguments: &[Value]) -> Value {
        self.call(&[("1", method, arguments)]).await;
        let mut answer = self.next().await.unwrap();
        assert_eq!((&answer["type"], &answer["invocationId"]), (&json!(3), &json!("1")), "{answer}");
        assert!(answer.get("error").is_none(), "{answer}");
        answer["result"].take()
    }

    /// The next hub message in the words of JSON; pings are left out. `None` at the end.
    pub async fn next(&mut self) -> Option<Value> {
        loop {
            match self.arrived.pop_front() {
                Some(ping) if ping["type"] == 6 => {}
                Some(message) => return Some(message),
                None => match &mut self.pipe {
                    Pipe::WebSocket(client) => return client.next().await,
                    Pipe::Plain(client) => self.arrived.extend(split(self.format, &client.next_bytes().await?)),
                },
            }
        }
    }

    /// Checks that the connection ends now, and in order.
    pub async fn end(&mut self) {
        match &mut self.pipe {
            Pipe::WebSocket(client) => assert_eq!(client.end().await, End::Closed(1000)),
            Pipe::Plain(_) => assert_eq!(self.next().await, None),
        }
    }
}

const KEY: &[u8; 32] = b"a-key-of-thirty-two-bytes-length";

/// What takes the tokens that are made here.
pub fn bearer() -> JwtBearer {
    JwtBearer::hmac(KEY).allow_any_issuer().allow_any_audience()
}

/// A query with a token of this user, good for an hour.
pub fn token_of(user: &str) -> String {
    let expires_at = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap() + Duration::from_secs(3600);
    let claims = json!({ "sub": user, "unique_name": user, "role": "Doctor", "exp": expires_at.as_secs() });
    let key = jsonwebtoken::EncodingKey::from_secret(KEY);
    format!("access_token={}", jsonwebtoken::encode(&jsonwebtoken::Header::default(), &claims, &key).unwrap())
}
