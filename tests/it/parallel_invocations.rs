//! Connections with a held call: input that is processed meanwhile, and panics during binding.

use std::net::SocketAddr;
use std::sync::Arc;

use serde::{Deserialize, Deserializer};
use serde_json::json;
use signalr::{Caller, DisconnectReason, HubProtocolKind, SignalR, hub};
use signalr_test_support::{Client, serve, until, within};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::{Semaphore, mpsc};

struct GatedHub {
    gate: Arc<Semaphore>,
    events_tx: mpsc::UnboundedSender<&'static str>,
}

/// A number whose `Deserialize` panics when it is negative.
struct PanicsWhenNegative(i64);

impl<'de> Deserialize<'de> for PanicsWhenNegative {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let number = i64::deserialize(deserializer)?;
        assert!(number >= 0, "negative");
        Ok(Self(number))
    }
}

#[hub]
impl GatedHub {
    fn on_disconnected(&self, _: &Caller<Self>, _: Option<&DisconnectReason>) {
        self.events_tx.send("disconnected").unwrap();
    }

    async fn wait(&self) {
        self.events_tx.send("waits").unwrap();
        self.gate.acquire().await.unwrap().forget();
    }

    async fn wait_for_the_end(&self, caller: &Caller<Self>) {
        self.events_tx.send("waits").unwrap();
        caller.aborted().await;
        self.events_tx.send("aborted").unwrap();
    }

    async fn echo(&self, text: String) -> String {
        text
    }

    async fn take_number(&self, number: PanicsWhenNegative) -> i64 {
        number.0
    }
}

async fn serve_gated_hub() -> (SignalR, SocketAddr, Arc<Semaphore>, mpsc::UnboundedReceiver<&'static str>) {
    let (gate, (events_tx, events)) = (Arc::new(Semaphore::new(0)), mpsc::unbounded_channel());
    let hub = GatedHub { gate: Arc::clone(&gate), events_tx };
    let signalr = SignalR::builder().hub("/gated", hub).build().unwrap();
    let addr = serve(&signalr).await;
    (signalr, addr, gate, events)
}

/// Encodes a frame of a client with a mask of zeros.
fn frame(opcode: u8, payload: &[u8]) -> Vec<u8> {
    let head = [0x80 | opcode, 0x80 | u8::try_from(payload.len()).unwrap(), 0, 0, 0, 0];
    [&head[..], payload].concat()
}

#[tokio::test]
async fn pings_are_answered_while_a_call_is_held() {
    let (_signalr, addr, gate, mut events) = serve_gated_hub().await;
    let mut client = Client::connect(addr, "/gated", HubProtocolKind::Json).await;
    client.call(Some("1"), "Wait", &[]).await;
    client.call(Some("2"), "Echo", &["second".into()]).await;
    assert_eq!(within(events.recv()).await, Some("waits"));
    client.socket().write_all(&frame(9, b"there?")).await.unwrap();
    let mut pong = [0; 8];
    within(client.socket().read_exact(&mut pong)).await.unwrap();
    assert_eq!(&pong, b"\x8a\x06there?");
    gate.add_permits(1);
    assert_eq!(client.next().await.unwrap(), json!({ "type": 3, "invocationId": "1", "result": null }));
    assert_eq!(client.next().await.unwrap()["result"], "second");
}

#[tokio::test]
async fn close_frame_is_answered_and_aborts_the_running_call() {
    let (signalr, addr, _gate, mut events) = serve_gated_hub().await;
    let mut client = Client::connect(addr, "/gated", HubProtocolKind::Json).await;
    client.call(None, "WaitForTheEnd", &[]).await;
    client.call(None, "Echo", &["second".into()]).await;
    assert_eq!(within(events.recv()).await, Some("waits"));
    within(client.close()).await;
    assert_eq!(within(events.recv()).await, Some("aborted"));
    assert_eq!(within(events.recv()).await, Some("disconnected"));
    until(|| signalr.connection_count() == 0).await;
}

#[tokio::test]
async fn held_calls_all_run_in_order() {
    const CALLS: usize = 5000;
    let (_signalr, addr, gate, mut events) = serve_gated_hub().await;
    let mut client = Client::connect(addr, "/gated", HubProtocolKind::Json).await;
    client.call(Some("first"), "Wait", &[]).await;
    assert_eq!(within(events.recv()).await, Some("waits"));
    // More than is read ahead, so that some calls stay in the socket.
    let calls: String = (0..CALLS)
        .map(|n| format!("{{\"type\":1,\"invocationId\":\"{n}\",\"target\":\"Echo\",\"arguments\":[\"{n}\"]}}\u{1e}"))
        .collect();
    let (sent, ()) = tokio::join!(client.send(calls.as_bytes()), async { gate.add_permits(1) });
    let () = sent;
    assert_eq!(client.next().await.unwrap()["invocationId"], "first");
    for n in 0..CALLS {
        assert_eq!(client.next().await.unwrap()["result"], n.to_string());
    }
}

#[tokio::test]
async fn panic_during_argument_binding_fails_only_its_call() {
    let (signalr, addr, _gate, mut events) = serve_gated_hub().await;
    for format in [HubProtocolKind::Json, HubProtocolKind::MessagePack] {
        let mut client = Client::connect(addr, "/gated", format).await;
        client.call(Some("1"), "TakeNumber", &[(-1).into()]).await;
        let error = "An unexpected error occurred invoking 'TakeNumber' on the server.";
        assert_eq!(client.next().await.unwrap(), json!({ "type": 3, "invocationId": "1", "error": error }));
        client.call(Some("2"), "TakeNumber", &[1.into()]).await;
        assert_eq!(client.next().await.unwrap()["result"], 1);
        client.close().await;
        assert_eq!(within(events.recv()).await, Some("disconnected"));
    }
    until(|| signalr.connection_count() == 0).await;
}
