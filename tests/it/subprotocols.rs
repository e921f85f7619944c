//! WebSocket sub-protocols.

use std::net::SocketAddr;

use http::HeaderMap;
use http::header::SEC_WEBSOCKET_PROTOCOL;
use signalr::{HubProtocolKind, SignalR, hub};
use signalr_test_support::{Client, UPGRADE_HEADERS, http, serve, upgrade};

struct Echo;

#[hub]
impl Echo {
    async fn echo(&self, text: String) -> String {
        text
    }
}

#[tokio::test]
async fn selector_chooses_the_sub_protocol() {
    let signalr = SignalR::builder().web_socket_sub_protocol(|asked| {
        let known = asked.iter().find(|protocol| protocol.starts_with("v2."));
        known.map(|protocol| (*protocol).to_owned())
    });
    let addr = serve(&signalr.hub("/echo", Echo).build().unwrap()).await;
    let headers = open(addr, &[("sec-websocket-protocol", "v1.echo, v2.echo, v2.other")]).await;
    assert_eq!(headers[SEC_WEBSOCKET_PROTOCOL], "v2.echo");
    assert!(!open(addr, &[]).await.contains_key(SEC_WEBSOCKET_PROTOCOL));
    let (status, _) = http(addr, "GET", "/echo?id=nobody", &UPGRADE_HEADERS).await;
    assert_eq!(status, 404);
}

/// Opens a WebSocket to `/echo`, uses it, and returns the headers of its response.
async fn open(addr: SocketAddr, headers: &[(&str, &str)]) -> HeaderMap {
    let (ws, response) = upgrade(addr, "/echo", headers).await.unwrap();
    let mut client = Client::from_websocket(ws, HubProtocolKind::Json);
    client.handshake().await;
    client.echo("hello").await;
    response
}
