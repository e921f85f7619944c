//! A bare client for each transport, which knows of no hub.

use std::net::SocketAddr;

use futures_util::{SinkExt, StreamExt};
use signalr::{RawEnd, TransportType};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::CloseFrame;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::{WebSocketStream, client_async};

use signalr_test_support::http_client::Plain;
use signalr_test_support::{End, negotiate, within};

/// One end of a raw connection, as a client has it.
pub(crate) trait Wire: Sized {
    const TRANSPORT: TransportType;

    /// How the server sees [`close`](Self::close).
    const CLOSED: RawEnd;

    /// Opens a connection that was negotiated: `target` is its path and token.
    async fn open(addr: SocketAddr, target: &str) -> Self;

    async fn send(&mut self, text: &str);

    /// What arrives next, as the transport cuts it; `None` at the end.
    async fn next(&mut self) -> Option<Vec<u8>>;

    /// Says goodbye in the transport's own way.
    async fn close(self);

    /// Negotiates and opens.
    async fn connect(addr: SocketAddr, path: &str) -> Self {
        let token = negotiate(addr, path).await;
        Self::open(addr, &format!("{path}?id={token}")).await
    }

    /// What arrives until `length` bytes have.
    async fn receive(&mut self, length: usize) -> Vec<u8> {
        let mut received = Vec::new();
        while received.len() < length {
            received.extend(self.next().await.expect("more than that"));
        }
        received
    }
}

#[derive(Debug)]
pub(crate) struct WebSocket<S = TcpStream> {
    pub(crate) ws: WebSocketStream<S>,
}

impl Wire for WebSocket {
    const TRANSPORT: TransportType = TransportType::WebSockets;
    const CLOSED: RawEnd = RawEnd::Closed;

    async fn open(addr: SocketAddr, target: &str) -> Self {
        Self::over(within(TcpStream::connect(addr)).await.unwrap(), target).await
    }

    async fn send(&mut self, text: &str) {
        self.message(Message::text(text)).await;
    }

    async fn next(&mut self) -> Option<Vec<u8>> {
        let message = self.message_back().await?;
        Some(message.into_data().to_vec())
    }

    async fn close(mut self) {
        let frame = CloseFrame { code: CloseCode::Away, reason: "".into() };
        within(self.ws.close(Some(frame))).await.unwrap();
        assert_eq!(self.end().await, End::Closed(1000));
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> WebSocket<S> {
    pub(crate) async fn over(io: S, target: &str) -> Self {
        let (ws, _) = within(client_async(format!("ws://test{target}"), io)).await.unwrap();
        Self { ws }
    }

    pub(crate) async fn message(&mut self, message: Message) {
        within(self.ws.send(message)).await.unwrap();
    }

    /// The next text or binary message; `None` at the end.
    pub(crate) async fn message_back(&mut self) -> Option<Message> {
        match within(self.ws.next()).await {
            Some(Ok(message)) if message.is_text() || message.is_binary() => Some(message),
            Some(Ok(Message::Close(_)) | Err(_)) | None => None,
            other => panic!("{other:?}"),
        }
    }

    /// How the connection ends, which must be the next that happens to it.
    pub(crate) async fn end(&mut self) -> End {
        match within(self.ws.next()).await {
            Some(Ok(Message::Close(frame))) => {
                // The answer to it goes out with the end of the stream.
                while let Some(Ok(_)) = within(self.ws.next()).await {}
                End::Closed(frame.map_or(CloseCode::Status, |frame| frame.code).into())
            }
            Some(Err(_)) | None => End::Cut,
            other => panic!("{other:?}"),
        }
    }
}

/// A stream of events; it ends when it is dropped.
#[derive(Debug)]
pub(crate) struct ServerSentEvents(Plain);

impl Wire for ServerSentEvents {
    const TRANSPORT: TransportType = TransportType::ServerSentEvents;
    const CLOSED: RawEnd = RawEnd::Lost;

    async fn open(addr: SocketAddr, target: &str) -> Self {
        Self(Plain::open(addr, target.to_owned(), true).await)
    }

    async fn send(&mut self, text: &str) {
        self.0.post(text).await;
    }

    async fn next(&mut self) -> Option<Vec<u8>> {
        self.0.next_text().await.map(String::into_bytes)
    }

    async fn close(self) {}
}

#[derive(Debug)]
pub(crate) struct LongPolling(Plain);

impl Wire for LongPolling {
    const TRANSPORT: TransportType = TransportType::LongPolling;
    const CLOSED: RawEnd = RawEnd::Closed;

    async fn open(addr: SocketAddr, target: &str) -> Self {
        Self(Plain::open(addr, target.to_owned(), false).await)
    }

    async fn send(&mut self, text: &str) {
        self.0.post(text).await;
    }

    async fn next(&mut self) -> Option<Vec<u8>> {
        self.0.next_text().await.map(String::into_bytes)
    }

    async fn close(self) {
        assert_eq!(self.0.delete().await.0, 202);
    }
}

impl LongPolling {
    pub(crate) async fn poll(&self) -> (u16, String) {
        self.0.poll().await
    }
}

/// Makes a test of each body, for each transport.
macro_rules! on_every_transport {
    ($($body:ident)*) => {
        on_every_transport!(@ web_sockets, crate::raw::wire::WebSocket, $($body)*);
        on_every_transport!(@ server_sent_events, crate::raw::wire::ServerSentEvents, $($body)*);
        on_every_transport!(@ long_polling, crate::raw::wire::LongPolling, $($body)*);
    };
    (@ $transport:ident, $wire:ty, $($body:ident)*) => {
        mod $transport {
            $(#[tokio::test]
            async fn $body() {
                super::$body::<$wire>().await;
            })*
        }
    };
}

pub(crate) use on_every_transport;
