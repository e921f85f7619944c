//! Hubs and a client for tests of the headers of a connection.

use std::net::SocketAddr;

use http::HeaderMap;
use signalr::auth::JwtBearer;
use signalr::hosting::Builder;
use signalr::{Caller, HubProtocolKind, SignalR, hub};
use signalr_test_support::{Client, upgrade};

/// Signs the tokens that [`authenticated`] accepts; issuer and audience are `front`.
pub(crate) const KEY: &str = "a-32-byte-or-longer-key-for-tests-only-0123456789";

pub(crate) struct Echo;

#[hub]
impl Echo {
    async fn echo(&self, text: String) -> String {
        text
    }
}

pub(crate) struct Secret;

#[hub]
#[authorize]
impl Secret {
    fn who(&self, caller: &Caller<Self>) -> Option<String> {
        caller.user().id().map(str::to_owned)
    }
}

pub(crate) fn authenticated() -> Builder {
    SignalR::builder().authentication(JwtBearer::hmac(KEY).issuer("front").audience("front"))
}

/// Opens a WebSocket to [`Echo`] at `/echo`, uses it, and returns the headers of its response.
pub(crate) async fn open(addr: SocketAddr, headers: &[(&str, &str)]) -> HeaderMap {
    let (ws, response) = upgrade(addr, "/echo", headers).await.unwrap();
    let mut client = Client::from_websocket(ws, HubProtocolKind::Json);
    client.handshake().await;
    client.echo("hello").await;
    response
}
