//! A client without a WebSocket: polls or reads events, and sends by POST.

use std::net::SocketAddr;

use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::{http, http_bytes, negotiate, within};

/// A connection that gets its messages by HTTP responses.
#[derive(Debug)]
pub struct Plain {
    addr: SocketAddr,
    pub target: String,
    headers: Headers,
    /// `None`: it polls.
    pub events: Option<Events>,
}

/// What goes with the requests that get messages.
pub type Headers = &'static [(&'static str, &'static str)];

/// An open stream of events.
#[derive(Debug)]
pub struct Events {
    pub socket: TcpStream,
    arrived: Vec<u8>,
}

impl Plain {
    /// Negotiates, opens a stream of events or polls once, and shakes hands.
    pub async fn connect(addr: SocketAddr, path: &str, events: bool) -> Self {
        let target = format!("{path}?id={}", negotiate(addr, path).await);
        let mut client = Self::open(addr, target, events).await;
        client.post("{\"protocol\":\"json\",\"version\":1}\u{1e}").await;
        assert_eq!(client.next().await, Some(serde_json::json!({})));
        client
    }

    /// Opens a stream of events or polls once, without a handshake.
    pub async fn open(addr: SocketAddr, target: String, events: bool) -> Self {
        Self::open_with(addr, target, &[], events).await
    }

    /// The same with headers of its own.
    pub async fn open_with(addr: SocketAddr, target: String, headers: Headers, events: bool) -> Self {
        let mut client = Self { addr, events: None, target, headers };
        if events {
            client.events = Some(Events::open(addr, &client.target, headers).await);
        } else {
            assert_eq!(client.poll().await, (200, String::new()));
        }
        client
    }

    pub async fn poll(&self) -> (u16, String) {
        http(self.addr, "GET", &self.target, self.headers).await
    }

    pub async fn delete(&self) -> (u16, String) {
        http(self.addr, "DELETE", &self.target, &[]).await
    }

    pub async fn post(&self, text: &str) {
        let socket = self.begin_post(text.as_bytes()).await;
        assert_eq!(status(socket).await, 200);
    }

    /// Sends a body, and leaves the answer to be read.
    pub async fn begin_post(&self, body: &[u8]) -> TcpStream {
        begin_post(self.addr, &self.target, body.len(), body).await
    }

    /// The next hub message that is no ping, of one that comes alone; `None` at the end.
    pub async fn next(&mut self) -> Option<Value> {
        loop {
            let text = self.next_text().await?;
            let message = serde_json::from_str(text.strip_suffix('\u{1e}').unwrap()).unwrap();
            if message != serde_json::json!({ "type": 6 }) {
                return Some(message);
            }
        }
    }

    /// The next event or answer to a poll; `None` at the end.
    pub async fn next_text(&mut self) -> Option<String> {
        self.next_bytes().await.map(|bytes| String::from_utf8(bytes).unwrap())
    }

    /// The same of a client whose format may be binary.
    pub async fn next_bytes(&mut self) -> Option<Vec<u8>> {
        match &mut self.events {
            Some(events) => events.next().await.map(String::into_bytes),
            None => match http_bytes(self.addr, "GET", &self.target, self.headers).await {
                (200, bytes) => Some(bytes),
                (204, _) => None,
                other => panic!("{other:?}"),
            },
        }
    }
}

impl Events {
    pub async fn open(addr: SocketAddr, target: &str, headers: Headers) -> Self {
        let mut socket = within(TcpStream::connect(addr)).await.unwrap();
        let mut request = format!("GET {target} HTTP/1.1\r\nhost: test\r\naccept: text/event-stream\r\n");
        for (name, value) in headers {
            request.push_str(&format!("{name}: {value}\r\n"));
        }
        request.push_str("\r\n");
        within(socket.write_all(request.as_bytes())).await.unwrap();
        let mut events = Self { socket, arrived: Vec::new() };
        let head = events.until("\r\n\r\n").await.unwrap();
        assert!(head.starts_with("HTTP/1.1 200 OK\r\n"), "{head}");
        // The comment that opens it, a chunk of its own.
        assert_eq!(events.until("\r\n:\r\n\r\n").await.as_deref(), Some("3"));
        events
    }

    /// The data of the next event; `None` once the stream has ended in order.
    pub async fn next(&mut self) -> Option<String> {
        let mut event = Vec::new();
        loop {
            let length = self.until("\r\n").await?;
            let length = usize::from_str_radix(&length, 16).unwrap();
            if length == 0 {
                assert!(event.is_empty());
                return None;
            }
            while self.arrived.len() < length + 2 {
                assert!(self.read().await, "cut within a chunk");
            }
            event.extend(self.arrived.drain(..length));
            self.arrived.drain(..2);
            if let Some(data) = event.strip_suffix(b"\r\n\r\n") {
                let data = data.strip_prefix(b"data: ").unwrap();
                return Some(String::from_utf8(data.to_owned()).unwrap());
            }
        }
    }

    /// What comes before `end`, which is dropped; `None` if the socket is closed before that.
    async fn until(&mut self, end: &str) -> Option<String> {
        loop {
            if let Some(at) = self.arrived.windows(end.len()).position(|window| window == end.as_bytes()) {
                let before = self.arrived.drain(..at).collect();
                self.arrived.drain(..end.len());
                return Some(String::from_utf8(before).unwrap());
            }
            if !self.read().await {
                return None;
            }
        }
    }

    async fn read(&mut self) -> bool {
        within(self.socket.read_buf(&mut self.arrived)).await.unwrap_or(0) > 0
    }
}

/// Announces a body of `length` bytes and sends some of them, on a socket of its own.
pub async fn begin_post(addr: SocketAddr, target: &str, length: usize, sent: &[u8]) -> TcpStream {
    let mut socket = within(TcpStream::connect(addr)).await.unwrap();
    let head = format!("POST {target} HTTP/1.1\r\nhost: test\r\nconnection: close\r\ncontent-length: {length}\r\n\r\n");
    within(socket.write_all(&[head.as_bytes(), sent].concat())).await.unwrap();
    socket
}

/// The status of the answer that comes on a socket.
pub async fn status(mut socket: TcpStream) -> u16 {
    let mut answer = String::new();
    within(socket.read_to_string(&mut answer)).await.unwrap();
    answer.split(' ').nth(1).unwrap().parse().unwrap()
}

/// A socket that is kept open for several requests, one after another.
#[derive(Debug)]
pub struct Answers {
    socket: TcpStream,
    arrived: Vec<u8>,
}

impl Answers {
    pub fn new(socket: TcpStream) -> Self {
        Self { socket, arrived: Vec::new() }
    }

    pub async fn request(&mut self, text: &str) {
        within(self.socket.write_all(text.as_bytes())).await.unwrap();
    }

    /// Status and body of the next answer, which tells its length.
    pub async fn next(&mut self) -> (u16, String) {
        loop {
            let text = String::from_utf8_lossy(&self.arrived).into_owned();
            if let Some((head, body)) = text.split_once("\r\n\r\n") {
                let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")).unwrap_or("0");
                let length: usize = length.parse().unwrap();
                if body.len() >= length {
                    self.arrived.drain(..head.len() + 4 + length);
                    return (head.split(' ').nth(1).unwrap().parse().unwrap(), body[..length].to_owned());
                }
            }
            let mut buffer = vec![0; 16 * 1024];
            let read = within(self.socket.read(&mut buffer)).await.unwrap();
            assert_ne!(read, 0, "closed without an answer");
            self.arrived.extend_from_slice(&buffer[..read]);
        }
    }
}
