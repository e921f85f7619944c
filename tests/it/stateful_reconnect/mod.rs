//! Stateful reconnect: connections that continue on another WebSocket.

mod acknowledgements;
mod held_calls;
mod model;

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use futures_util::FutureExt;
use hyper::server::conn::http1;
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use signalr::hosting::{Builder, EndpointBuilder};
use signalr::hub::Disconnect;
use signalr::{
    Caller, ConnectionId, DisconnectReason, HubContext, HubProtocolKind, HubResult, SignalR, UploadStream, hub,
};
use signalr_test_support::{Client, End, http, prefixed, serve, serve_with_small_buffers, until, within};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, DuplexStream};
use tokio::net::TcpSocket;
use tokio::sync::{Semaphore, mpsc};
use tokio::time::{Instant, timeout};

const NEGOTIATE: &str = "/ward/negotiate?negotiateVersion=1&useStatefulReconnect=true";

struct Ward {
    gate: Arc<Semaphore>,
    events_tx: mpsc::UnboundedSender<String>,
    echoes: AtomicUsize,
}

#[hub]
impl Ward {
    /// Sends the number of long messages that the request names.
    async fn on_connected(&self, caller: &Caller<Self>) -> HubResult {
        let count = caller.request().query("history").and_then(|count| count.parse().ok()).unwrap_or(0);
        for _ in 0..count {
            caller.client().send("History", ("x".repeat(60_000),)).await?;
        }
        Ok(())
    }

    fn on_disconnected(&self, caller: &Caller<Self>, reason: Option<&DisconnectReason>) {
        let reason = reason.map_or("no reason", DisconnectReason::message);
        let from = caller.request().query("from").unwrap_or_default();
        self.events_tx.send(format!("gone from {from}: {reason}")).unwrap();
    }

    fn echo(&self, text: String) -> String {
        self.echoes.fetch_add(1, Ordering::SeqCst);
        text
    }

    fn echoes(&self) -> usize {
        self.echoes.load(Ordering::SeqCst)
    }

    fn who(&self, caller: &Caller<Self>) -> (ConnectionId, String) {
        (caller.connection_id(), caller.request().query("from").unwrap_or_default().into_owned())
    }

    async fn wait(&self) {
        self.events_tx.send("waits".to_owned()).unwrap();
        self.gate.acquire().await.unwrap().forget();
    }

    async fn wait_and_repeat(&self, length: usize) -> String {
        self.wait().await;
        "x".repeat(length)
    }

    /// Returns the total length of the items.
    async fn total(&self, mut items: UploadStream<String>) -> HubResult<usize> {
        let mut total = 0;
        while let Some(item) = items.next().await {
            total += item?.len();
        }
        Ok(total)
    }

    /// Sends a message that exceeds the message buffer, then reads its stream.
    async fn announced_total(&self, caller: &Caller<Self>, mut items: UploadStream<String>) -> HubResult<usize> {
        caller.client().send("Told", ("x".repeat(2000),)).await?;
        let mut total = 0;
        while let Some(item) = items.next().await {
            total += item?.len();
        }
        Ok(total)
    }

    fn endless(&self) -> impl futures_util::Stream<Item = u32> + use<> {
        futures_util::stream::pending()
    }

    async fn wait_and_abort(&self, caller: &Caller<Self>) {
        self.wait().await;
        caller.abort();
    }
}

/// A server and the events of its hub.
struct Host {
    signalr: SignalR,
    gate: Arc<Semaphore>,
    events: mpsc::UnboundedReceiver<String>,
}

impl Host {
    fn new(options: impl FnOnce(EndpointBuilder<Ward>) -> EndpointBuilder<Ward>) -> Self {
        Self::with(SignalR::builder(), options)
    }

    fn with(builder: Builder, options: impl FnOnce(EndpointBuilder<Ward>) -> EndpointBuilder<Ward>) -> Self {
        let (gate, (events_tx, events)) = (Arc::new(Semaphore::new(0)), mpsc::unbounded_channel());
        let ward = Ward { gate: Arc::clone(&gate), events_tx, echoes: AtomicUsize::new(0) };
        let signalr = options(builder.hub("/ward", ward).allow_stateful_reconnects(true)).build().unwrap();
        Self { signalr, gate, events }
    }

    /// Returns the next event of the hub, with a long deadline for paused time.
    async fn next_event(&mut self) -> String {
        timeout(Duration::from_secs(120), self.events.recv()).await.unwrap().unwrap()
    }

    /// Opens a connection in memory, so that time can be paused.
    fn pipe(&self) -> DuplexStream {
        let (client, server) = tokio::io::duplex(1 << 20);
        let service = self.signalr.service();
        tokio::spawn(async move {
            let _ = http1::Builder::new().serve_connection(TokioIo::new(server), service).with_upgrades().await;
        });
        client
    }

    async fn negotiate_in_memory(&self) -> String {
        let mut io = self.pipe();
        let request = format!("POST {NEGOTIATE} HTTP/1.1\r\nhost: test\r\nconnection: close\r\n\r\n");
        io.write_all(request.as_bytes()).await.unwrap();
        let mut response = String::new();
        io.read_to_string(&mut response).await.unwrap();
        token(response.split_once("\r\n\r\n").unwrap().1)
    }

    async fn open_in_memory(&self, token: &str, from: &str) -> Client<DuplexStream> {
        self.open_in_memory_as(token, from, HubProtocolKind::Json).await
    }

    async fn open_in_memory_as(&self, token: &str, from: &str, format: HubProtocolKind) -> Client<DuplexStream> {
        Client::over(self.pipe(), &target(token, from), format).await
    }

    /// Connects in memory. Returns the client and the connection token.
    async fn connect_in_memory(&self) -> (Client<DuplexStream>, String) {
        self.connect_in_memory_as(HubProtocolKind::Json).await
    }

    async fn connect_in_memory_as(&self, format: HubProtocolKind) -> (Client<DuplexStream>, String) {
        let token = self.negotiate_in_memory().await;
        let mut client = self.open_in_memory_as(&token, "first", format).await;
        client.handshake_version(2).await;
        (client, token)
    }

    /// Returns the status of a WebSocket upgrade with this token.
    async fn upgrade_status_in_memory(&self, token: &str) -> u16 {
        let mut io = self.pipe();
        let request = format!(
            "GET {} HTTP/1.1\r\nhost: test\r\nconnection: upgrade\r\nupgrade: websocket\r\n\
            sec-websocket-version: 13\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n",
            target(token, "late")
        );
        io.write_all(request.as_bytes()).await.unwrap();
        let mut head = [0; 12];
        io.read_exact(&mut head).await.unwrap();
        std::str::from_utf8(&head[9..]).unwrap().parse().unwrap()
    }
}

fn token(body: &str) -> String {
    let body: Value = serde_json::from_str(body).unwrap();
    assert_eq!(body["useStatefulReconnect"], true);
    body["connectionToken"].as_str().unwrap().to_owned()
}

fn target(token: &str, from: &str) -> String {
    format!("/ward?id={token}&from={from}")
}

async fn connect(addr: SocketAddr, format: HubProtocolKind) -> (Client, String) {
    let token = token(&http(addr, "POST", NEGOTIATE, &[]).await.1);
    let mut client = Client::open(addr, &target(&token, "first"), format).await;
    client.handshake_version(2).await;
    (client, token)
}

/// Sends a Sequence message (type 9) or an Ack (type 8).
async fn send_sequence_id<S: AsyncRead + AsyncWrite + Unpin>(
    client: &mut Client<S>,
    format: HubProtocolKind,
    kind: u8,
    number: i64,
) {
    let message = match format.is_binary() {
        true => prefixed(&rmp_serde::to_vec(&(kind, number)).unwrap()),
        false => format!("{{\"type\":{kind},\"sequenceId\":{number}}}\u{1e}").into_bytes(),
    };
    client.send(&message).await;
}

fn answer(id: &str, result: impl Into<Value>) -> Value {
    json!({ "type": 3, "invocationId": id, "result": result.into() })
}

fn sequence(number: i64) -> Value {
    json!({ "type": 9, "sequenceId": number })
}

/// The first part of an invocation.
fn incomplete_call(format: HubProtocolKind) -> &'static [u8] {
    if format.is_binary() { b"\x40\x95\x01" } else { b"{\"type\":1,\"target" }
}

#[tokio::test]
async fn reconnect_resumes_after_a_lost_socket() {
    for format in [HubProtocolKind::Json, HubProtocolKind::MessagePack] {
        let mut host = Host::new(|ward| ward);
        let addr = serve(&host.signalr).await;
        let (mut client, token) = connect(addr, format).await;
        client.call(Some("1"), "Who", &[]).await;
        let who = client.next().await.unwrap();
        client.echo("one").await;
        client.send(incomplete_call(format)).await;
        drop(client);
        let hub: HubContext<Ward> = host.signalr.context();
        for text in ["a", "b"] {
            within(hub.clients().all().send("Told", (text,))).await.unwrap();
        }

        // Neither side has acknowledged a message, so both resend from the first one.
        let mut client = Client::open(addr, &target(&token, "second"), format).await;
        send_sequence_id(&mut client, format, 9, 1).await;
        client.call(Some("1"), "Who", &[]).await;
        client.call(Some("echo"), "Echo", &["one".into()]).await;
        client.call(Some("2"), "Who", &[]).await;
        assert_eq!(client.next().await.unwrap(), sequence(1));
        assert_eq!(client.next().await.unwrap(), who);
        assert_eq!(client.next().await.unwrap(), answer("echo", "one"));
        for text in ["a", "b"] {
            assert_eq!(client.next().await.unwrap(), json!({ "type": 1, "target": "Told", "arguments": [text] }));
        }
        assert_eq!(client.next().await.unwrap(), answer("2", json!([who["result"][0], "second"])));

        // Acknowledged messages are not sent again, and calls do not run twice.
        send_sequence_id(&mut client, format, 8, 4).await;
        client.echo("two").await;
        drop(client);
        let mut client = Client::open(addr, &target(&token, "third"), format).await;
        send_sequence_id(&mut client, format, 9, 5).await;
        assert_eq!(client.next().await.unwrap(), sequence(5));
        assert_eq!(client.next().await.unwrap(), answer("2", json!([who["result"][0], "second"])));
        assert_eq!(client.next().await.unwrap(), answer("echo", "two"));
        client.call(Some("3"), "Echoes", &[]).await;
        assert_eq!(client.next().await.unwrap(), answer("3", 2));

        // A close frame ends the connection.
        assert_eq!(host.signalr.connection_count(), 1);
        client.close().await;
        assert_eq!(host.next_event().await, "gone from third: no reason");
        until(|| host.signalr.connection_count() == 0).await;
        assert!(host.events.try_recv().is_err());
    }
}

#[tokio::test]
async fn reconnect_replaces_a_socket_that_is_still_open() {
    for format in [HubProtocolKind::Json, HubProtocolKind::MessagePack] {
        let mut host = Host::new(|ward| ward);
        let addr = serve(&host.signalr).await;
        let (mut old, token) = connect(addr, format).await;
        old.echo("one").await;
        old.send(incomplete_call(format)).await;

        let mut new = Client::open(addr, &target(&token, "second"), format).await;
        assert_eq!(new.next().await.unwrap(), sequence(1));
        assert_eq!(new.next().await.unwrap(), answer("echo", "one"));
        send_sequence_id(&mut new, format, 9, 2).await;
        new.echo("two").await;
        assert_eq!(old.end().await, End::Closed(1000));
        new.close().await;
        assert_eq!(host.next_event().await, "gone from second: no reason");
    }
}

#[tokio::test]
async fn held_calls_survive_a_reconnect_and_incomplete_messages_do_not() {
    for format in [HubProtocolKind::Json, HubProtocolKind::MessagePack] {
        let mut host = Host::new(|ward| ward);
        let addr = serve(&host.signalr).await;
        let (mut old, token) = connect(addr, format).await;
        old.call(Some("1"), "Wait", &[]).await;
        old.call(Some("2"), "Echo", &["two".into()]).await;
        old.send(incomplete_call(format)).await;
        assert_eq!(host.next_event().await, "waits");
        // The pong shows that the server has read everything before the ping.
        within(old.socket().write_all(&[0x89, 0x80, 0, 0, 0, 0])).await.unwrap();
        let mut pong = [0; 2];
        within(old.socket().read_exact(&mut pong)).await.unwrap();
        assert_eq!(pong, [0x8a, 0]);
        drop(old);

        let mut new = Client::open(addr, &target(&token, "second"), format).await;
        assert_eq!(new.next().await.unwrap(), sequence(1));
        send_sequence_id(&mut new, format, 9, 2).await;
        new.call(Some("2"), "Echo", &["two".into()]).await;
        new.call(Some("3"), "Echoes", &[]).await;
        host.gate.add_permits(1);
        assert_eq!(new.next().await.unwrap(), answer("1", Value::Null));
        assert_eq!(new.next().await.unwrap(), answer("2", "two"));
        assert_eq!(new.next().await.unwrap(), answer("3", 1));
    }
}

#[tokio::test]
async fn resume_requires_a_negotiated_stateful_reconnect() {
    let mut host = Host::new(|ward| ward);
    let addr = serve(&host.signalr).await;
    let token = token(&http(addr, "POST", NEGOTIATE, &[]).await.1);
    let mut client = Client::open(addr, &target(&token, "first"), HubProtocolKind::Json).await;
    let upgrade = [
        ("upgrade", "websocket"),
        ("sec-websocket-version", "13"),
        ("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ=="),
        ("connection", "upgrade"),
    ];
    // Before the handshake, and after a handshake of version 1.
    assert_eq!(http(addr, "GET", &target(&token, "second"), &upgrade).await.0, 409);
    client.handshake().await;
    assert_eq!(http(addr, "GET", &target(&token, "second"), &upgrade).await.0, 409);
    client.echo("still here").await;
    drop(client);
    assert_eq!(host.next_event().await, "gone from first: no reason");
    until(|| host.signalr.connection_count() == 0).await;
    assert_eq!(http(addr, "GET", &target(&token, "second"), &upgrade).await.0, 404);
}

#[tokio::test(start_paused = true)]
async fn connection_is_removed_after_the_reconnect_window() {
    let mut host = Host::new(|ward| ward);
    let (client, token) = host.connect_in_memory().await;
    let lost = Instant::now();
    drop(client);
    assert_eq!(host.next_event().await, "gone from first: no reason");
    let after = lost.elapsed();
    assert!((Duration::from_secs(15)..Duration::from_secs(17)).contains(&after), "{after:?}");
    until(|| host.signalr.connection_count() == 0).await;
    assert_eq!(host.upgrade_status_in_memory(&token).await, 404);
    assert!(host.events.try_recv().is_err());
}

#[tokio::test(start_paused = true)]
async fn disconnect_while_detached_wakes_senders_and_rejects_reconnects() {
    let mut host = Host::new(|ward| ward.stateful_reconnect_buffer_size(1000));
    let hub: HubContext<Ward> = host.signalr.context();
    for away in [true, false] {
        let (client, token) = host.connect_in_memory().await;
        drop(client);
        // The message buffer is full, so senders wait.
        let text = "x".repeat(2000);
        within(hub.clients().all().send("Told", (&text,))).await.unwrap();
        let (waiting, all) = (hub.clone(), hub.clients().all());
        let waits = tokio::spawn(async move { waiting.clients().all().send("Told", ("late",)).await });
        tokio::time::sleep(Duration::from_secs(1)).await;
        assert!(!waits.is_finished());
        let go = Disconnect::new().reason("Go.").allow_reconnect();
        if away {
            all.disconnect(go).await.unwrap();
        } else {
            let mut client = host.open_in_memory(&token, "second").await;
            assert_eq!(client.next().await.unwrap(), sequence(1));
            assert_eq!(client.next().await.unwrap()["arguments"], json!([text]));
            all.disconnect(go).await.unwrap();
            let close = json!({ "type": 7, "error": "Go.", "allowReconnect": true });
            assert_eq!(client.last().await, (close, End::Closed(1000)));
        }
        within(waits).await.unwrap().unwrap();
        assert_eq!(host.next_event().await, format!("gone from {}: Go.", if away { "first" } else { "second" }));
        until(|| host.signalr.connection_count() == 0).await;
        assert_eq!(host.upgrade_status_in_memory(&token).await, 404);
    }
}

#[tokio::test(start_paused = true)]
async fn reconnect_window_restarts_with_each_lost_socket() {
    let mut host = Host::new(|ward| ward);
    let (mut client, token) = host.connect_in_memory().await;
    for _ in 0..5 {
        drop(client);
        tokio::time::sleep(Duration::from_secs(14)).await;
        client = host.open_in_memory(&token, "again").await;
        assert_eq!(client.next().await.unwrap(), sequence(1));
    }
    assert_eq!(host.signalr.connection_count(), 1);
    assert!(host.events.try_recv().is_err());
}

#[tokio::test(start_paused = true)]
async fn abort_ends_a_detached_connection_at_once() {
    let mut host = Host::new(|ward| ward);
    let (mut client, token) = host.connect_in_memory().await;
    client.call(None, "WaitAndAbort", &[]).await;
    assert_eq!(host.next_event().await, "waits");
    drop(client);
    tokio::time::sleep(Duration::from_secs(3)).await;
    host.gate.add_permits(1);
    let aborted = Instant::now();
    assert_eq!(host.next_event().await, "gone from first: no reason");
    until(|| host.signalr.connection_count() == 0).await;
    assert!(aborted.elapsed() < Duration::from_secs(1));
    assert_eq!(host.upgrade_status_in_memory(&token).await, 404);
}

#[tokio::test(start_paused = true)]
async fn shutdown_does_not_wait_for_detached_connections() {
    let mut host = Host::new(|ward| ward);
    let (client, _) = host.connect_in_memory().await;
    drop(client);
    tokio::time::sleep(Duration::from_secs(3)).await;
    let began = Instant::now();
    host.signalr.shutdown(Duration::from_secs(60)).await;
    assert!(began.elapsed() < Duration::from_secs(1), "{:?}", began.elapsed());
    assert_eq!(host.next_event().await, "gone from first: no reason");
}

#[tokio::test(start_paused = true)]
async fn client_timeout_applies_to_detached_connections() {
    let mut host = Host::new(|ward| ward.client_timeout_interval(Duration::from_secs(5)));
    let (mut client, _) = host.connect_in_memory().await;
    client.send(b"{\"type\":6}\x1e").await;
    client.echo("next_event").await;
    let lost = Instant::now();
    drop(client);
    let gone = host.next_event().await;
    assert!(gone.contains("ClientTimeoutInterval"), "{gone}");
    assert!(lost.elapsed() < Duration::from_secs(8));
}
