//! Every kind of client.

use std::net::SocketAddr;

use serde_json::Value;
use signalr::HubProtocolKind;
use signalr::hosting::TransportType;

use crate::{Client, http, negotiate};

/// Transport and hub protocol of a client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ClientKind {
    /// How it sends and receives bytes.
    pub transport: TransportType,
    /// How its messages are encoded.
    pub protocol: HubProtocolKind,
}

impl ClientKind {
    /// WebSockets and `json`.
    pub const WEB_SOCKETS: Self = Self { transport: TransportType::WebSockets, protocol: HubProtocolKind::Json };
    /// Server-Sent Events and `json`.
    pub const SERVER_SENT_EVENTS: Self =
        Self { transport: TransportType::ServerSentEvents, protocol: HubProtocolKind::Json };
    /// Long polling and `json`.
    pub const LONG_POLLING: Self = Self { transport: TransportType::LongPolling, protocol: HubProtocolKind::Json };

    /// Returns all kinds. Events are text: `messagepack` is not available over Server-Sent Events.
    pub fn all() -> Vec<Self> {
        let mut kinds = Vec::new();
        for transport in [TransportType::WebSockets, TransportType::ServerSentEvents, TransportType::LongPolling] {
            for &protocol in HubProtocolKind::ALL {
                if transport != TransportType::ServerSentEvents || !protocol.is_binary() {
                    kinds.push(Self { transport, protocol });
                }
            }
        }
        kinds
    }

    /// Negotiates, opens the transport and performs the handshake.
    pub async fn connect(self, addr: SocketAddr, path: &str) -> Client {
        self.connect_with(addr, path, "", &[]).await
    }

    /// Like [`connect`](Self::connect). All requests have `query`, those that receive messages have `headers`.
    pub async fn connect_with(self, addr: SocketAddr, path: &str, query: &str, headers: &[(&str, &str)]) -> Client {
        let (status, body) = http(addr, "POST", &format!("{path}/negotiate?negotiateVersion=1&{query}"), &[]).await;
        assert_eq!(status, 200);
        let body: Value = serde_json::from_str(&body).unwrap();
        let target = format!("{path}?id={}&{query}", body["connectionToken"].as_str().unwrap());
        let mut client = self.open_with(addr, &target, headers).await;
        client.handshake().await;
        client
    }

    /// Negotiates and opens the transport, without a handshake.
    pub async fn negotiate_and_open(self, addr: SocketAddr, path: &str) -> Client {
        let token = negotiate(addr, path).await;
        self.open(addr, &format!("{path}?id={token}")).await
    }

    /// Opens the transport of a negotiated connection: `target` is its path and token. There is no handshake.
    pub async fn open(self, addr: SocketAddr, target: &str) -> Client {
        self.open_with(addr, target, &[]).await
    }

    /// Like [`open`](Self::open). Requests that receive messages have `headers`.
    pub async fn open_with(self, addr: SocketAddr, target: &str, headers: &[(&str, &str)]) -> Client {
        Client::open_kind(self, addr, target, headers).await
    }
}
