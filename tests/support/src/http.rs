//! Single HTTP/1.1 requests.

use std::net::SocketAddr;

use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::within;

/// The headers of a WebSocket upgrade.
pub const UPGRADE_HEADERS: [(&str, &str); 4] = [
    ("connection", "Upgrade"),
    ("upgrade", "websocket"),
    ("sec-websocket-version", "13"),
    ("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ=="),
];

/// Sends a request on a new connection. Returns the status and the body, which must be text.
pub async fn http(addr: SocketAddr, method: &str, target: &str, headers: &[(&str, &str)]) -> (u16, String) {
    let (status, body) = http_bytes(addr, method, target, headers).await;
    (status, String::from_utf8(body).unwrap())
}

/// Like [`http()`], for a body of any bytes.
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

/// Negotiates a connection and returns its connection token.
pub async fn negotiate(addr: SocketAddr, path: &str) -> String {
    let (status, body) = http(addr, "POST", &format!("{path}/negotiate?negotiateVersion=1"), &[]).await;
    assert_eq!(status, 200, "{body}");
    let body: Value = serde_json::from_str(&body).unwrap();
    body["connectionToken"].as_str().unwrap().to_owned()
}

/// Announces a body of `length` bytes and sends `sent`, a part of it, on a new socket.
pub async fn begin_post(addr: SocketAddr, target: &str, length: usize, sent: &[u8]) -> TcpStream {
    let mut socket = within(TcpStream::connect(addr)).await.unwrap();
    let head = format!("POST {target} HTTP/1.1\r\nhost: test\r\nconnection: close\r\ncontent-length: {length}\r\n\r\n");
    within(socket.write_all(&[head.as_bytes(), sent].concat())).await.unwrap();
    socket
}

/// Reads a response up to the end of the socket and returns its status.
pub async fn response_status(mut socket: TcpStream) -> u16 {
    let mut response = String::new();
    within(socket.read_to_string(&mut response)).await.unwrap();
    response.split(' ').nth(1).unwrap().parse().unwrap()
}

/// A keep-alive connection, for several requests one after another.
#[derive(Debug)]
pub struct Http1Connection {
    socket: TcpStream,
    received: Vec<u8>,
}

impl Http1Connection {
    /// Sends requests on `socket`.
    pub fn new(socket: TcpStream) -> Self {
        Self { socket, received: Vec::new() }
    }

    /// Writes a whole request.
    pub async fn send(&mut self, request: &str) {
        within(self.socket.write_all(request.as_bytes())).await.unwrap();
    }

    /// Returns status and body of the next response, which has a `content-length` or no body.
    pub async fn next_response(&mut self) -> (u16, String) {
        loop {
            let text = String::from_utf8_lossy(&self.received).into_owned();
            if let Some((head, body)) = text.split_once("\r\n\r\n") {
                let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")).unwrap_or("0");
                let length: usize = length.parse().unwrap();
                if body.len() >= length {
                    self.received.drain(..head.len() + 4 + length);
                    return (head.split(' ').nth(1).unwrap().parse().unwrap(), body[..length].to_owned());
                }
            }
            let mut buffer = vec![0; 16 * 1024];
            let read = within(self.socket.read(&mut buffer)).await.unwrap();
            assert_ne!(read, 0, "closed without a response");
            self.received.extend_from_slice(&buffer[..read]);
        }
    }
}
