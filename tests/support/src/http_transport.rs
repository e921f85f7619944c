//! Transports without a WebSocket: a client receives from responses and sends by POST.

use std::net::SocketAddr;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::http::{begin_post, http, http_bytes, response_status};
use crate::within;

/// A connection by long polling or Server-Sent Events.
#[derive(Debug)]
pub(crate) struct HttpTransport {
    addr: SocketAddr,
    pub(crate) target: String,
    /// Sent with the requests that receive messages.
    headers: Vec<(String, String)>,
    /// `None`: long polling.
    pub(crate) events: Option<EventStream>,
}

/// The response of Server-Sent Events.
#[derive(Debug)]
pub struct EventStream {
    socket: TcpStream,
    received: Vec<u8>,
}

impl HttpTransport {
    /// Opens an event stream, or sends the first poll, which must be answered at once.
    pub(crate) async fn open(addr: SocketAddr, target: &str, headers: &[(&str, &str)], events: bool) -> Self {
        let owned = headers.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        let mut transport = Self { addr, events: None, target: target.to_owned(), headers: owned };
        if events {
            transport.events = Some(EventStream::open(addr, target, headers).await);
        } else {
            assert_eq!(transport.poll().await, (200, String::new()));
        }
        transport
    }

    fn headers(&self) -> Vec<(&str, &str)> {
        self.headers.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect()
    }

    pub(crate) async fn poll(&self) -> (u16, String) {
        http(self.addr, "GET", &self.target, &self.headers()).await
    }

    pub(crate) async fn delete(&self) -> (u16, String) {
        http(self.addr, "DELETE", &self.target, &[]).await
    }

    pub(crate) async fn post(&self, body: &[u8]) {
        assert_eq!(response_status(self.begin_post(body).await).await, 200);
    }

    pub(crate) async fn begin_post(&self, body: &[u8]) -> TcpStream {
        begin_post(self.addr, &self.target, body.len(), body).await
    }

    /// Returns the next event or response to a poll; `None` at the end.
    pub(crate) async fn next(&mut self) -> Option<Vec<u8>> {
        match &mut self.events {
            Some(events) => events.next().await.map(String::into_bytes),
            None => match http_bytes(self.addr, "GET", &self.target, &self.headers()).await {
                (200, bytes) => Some(bytes),
                (204, _) => None,
                other => panic!("{other:?}"),
            },
        }
    }
}

impl EventStream {
    async fn open(addr: SocketAddr, target: &str, headers: &[(&str, &str)]) -> Self {
        let mut socket = within(TcpStream::connect(addr)).await.unwrap();
        let mut request = format!("GET {target} HTTP/1.1\r\nhost: test\r\naccept: text/event-stream\r\n");
        for (name, value) in headers {
            request.push_str(&format!("{name}: {value}\r\n"));
        }
        request.push_str("\r\n");
        within(socket.write_all(request.as_bytes())).await.unwrap();
        let mut events = Self { socket, received: Vec::new() };
        let head = events.until("\r\n\r\n").await.unwrap();
        assert!(head.starts_with("HTTP/1.1 200 OK\r\n"), "{head}");
        // The stream begins with a comment, in a separate chunk.
        assert_eq!(events.until("\r\n:\r\n\r\n").await.as_deref(), Some("3"));
        events
    }

    /// The socket of the response.
    pub fn socket(&mut self) -> &mut TcpStream {
        &mut self.socket
    }

    /// Returns the data of the next event; `None` at the end.
    pub async fn next(&mut self) -> Option<String> {
        let mut event = Vec::new();
        loop {
            let length = self.until("\r\n").await?;
            let length = usize::from_str_radix(&length, 16).unwrap();
            if length == 0 {
                assert!(event.is_empty());
                return None;
            }
            while self.received.len() < length + 2 {
                assert!(self.read().await, "the socket ended within a chunk");
            }
            event.extend(self.received.drain(..length));
            self.received.drain(..2);
            if let Some(data) = event.strip_suffix(b"\r\n\r\n") {
                let data = data.strip_prefix(b"data: ").unwrap();
                return Some(String::from_utf8(data.to_owned()).unwrap());
            }
        }
    }

    /// Reads up to `end`, which is dropped; `None` if the socket ends before it.
    async fn until(&mut self, end: &str) -> Option<String> {
        loop {
            if let Some(at) = self.received.windows(end.len()).position(|window| window == end.as_bytes()) {
                let before = self.received.drain(..at).collect();
                self.received.drain(..end.len());
                return Some(String::from_utf8(before).unwrap());
            }
            if !self.read().await {
                return None;
            }
        }
    }

    async fn read(&mut self) -> bool {
        within(self.socket.read_buf(&mut self.received)).await.unwrap_or(0) > 0
    }
}
