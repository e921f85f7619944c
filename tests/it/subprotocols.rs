//! WebSocket sub-protocols.

use http::header::SEC_WEBSOCKET_PROTOCOL;
use signalr::SignalR;
use signalr_test_support::{UPGRADE_HEADERS, http, serve};

use crate::echo_hub::{Echo, open};

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
