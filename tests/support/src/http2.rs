//! An HTTP/2 client, which opens WebSockets by extended CONNECT.

use bytes::Bytes;
use http::{Method, Request, Response};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::client::conn::http2::{SendRequest, handshake};
use hyper::ext::Protocol;
use hyper::upgrade::Upgraded;
use hyper_util::rt::{TokioExecutor, TokioIo};
use serde_json::Value;
use signalr::HubProtocolKind;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::task::JoinHandle;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::protocol::Role;

use crate::{Client, within};

/// An HTTP/2 connection.
#[derive(Debug)]
pub struct Http2 {
    requests: SendRequest<Full<Bytes>>,
    connection: JoinHandle<hyper::Result<()>>,
}

/// A stream that carries a WebSocket.
pub type Stream = TokioIo<Upgraded>;

impl Http2 {
    /// Performs the handshake of HTTP/2 over `io`.
    pub async fn over(io: impl AsyncRead + AsyncWrite + Unpin + Send + 'static) -> Self {
        let (requests, connection) = within(handshake(TokioExecutor::new(), TokioIo::new(io))).await.unwrap();
        let mut client = Self { requests, connection: tokio::spawn(connection) };
        // The settings of the server arrive before its first response. Without them, extended CONNECT is not available.
        assert_eq!(client.request("GET", "/", &[], "").await.0, 404);
        client
    }

    /// Sends a request and returns status and body of the response.
    pub async fn request(
        &mut self,
        method: &str,
        target: &str,
        headers: &[(&str, &str)],
        body: &'static str,
    ) -> (u16, String) {
        text(self.send(build(method, target, headers, body)).await).await
    }

    /// Sends a request and returns the head of the response.
    pub async fn send(&mut self, request: Request<Full<Bytes>>) -> Response<Incoming> {
        within(self.requests.send_request(request)).await.unwrap()
    }

    /// Negotiates a connection and returns its connection token.
    pub async fn negotiate(&mut self, path: &str) -> String {
        let target = format!("{path}/negotiate?negotiateVersion=1");
        let (status, body) = self.request("POST", &target, &[], "").await;
        assert_eq!(status, 200, "{body}");
        let body: Value = serde_json::from_str(&body).unwrap();
        body["connectionToken"].as_str().unwrap().to_owned()
    }

    /// Opens a WebSocket, without a handshake of the hub protocol.
    pub async fn open(&mut self, target: &str, protocol: HubProtocolKind) -> Client<Stream> {
        let response = self.connect(target, "websocket", &[("sec-websocket-version", "13")]).await;
        assert_eq!(response.status(), 200);
        // Over HTTP/2, upgrades have no key (RFC 8441 § 5).
        assert!(!response.headers().contains_key("sec-websocket-accept"));
        let stream = TokioIo::new(within(hyper::upgrade::on(response)).await.unwrap());
        Client::from_websocket(WebSocketStream::from_raw_socket(stream, Role::Client, None).await, protocol)
    }

    /// Sends an extended CONNECT for `protocol`.
    pub async fn connect(
        &mut self,
        target: &str,
        protocol: &'static str,
        headers: &[(&str, &str)],
    ) -> Response<Incoming> {
        let mut request = build("CONNECT", target, headers, "");
        request.extensions_mut().insert(Protocol::from_static(protocol));
        self.send(request).await
    }

    /// Waits until the server has closed the connection with GOAWAY and without an error.
    pub async fn closed(self) {
        within(self.connection).await.unwrap().unwrap();
    }
}

/// Builds a request.
pub fn build(method: &str, target: &str, headers: &[(&str, &str)], body: &'static str) -> Request<Full<Bytes>> {
    let request = Request::builder().method(Method::from_bytes(method.as_bytes()).unwrap());
    let request = request.uri(format!("http://test{target}"));
    let request = headers.iter().fold(request, |request, (name, value)| request.header(*name, *value));
    request.body(Full::from(body)).unwrap()
}

/// Returns status and body of a response.
pub async fn text(response: Response<Incoming>) -> (u16, String) {
    let status = response.status().as_u16();
    let body = within(response.into_body().collect()).await.unwrap().to_bytes();
    (status, String::from_utf8(body.to_vec()).unwrap())
}
