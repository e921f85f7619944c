//! Memory of a connection whose client does not read or acknowledge: live bytes on the heap, within
//! a fifth of the figures in SECURITY.md.
//!
//! Clients are plain sockets without heap memory. The allocator counts for the whole process, so
//! this is a separate binary, and its tests run one after another.

#![cfg(feature = "messagepack")]
#![expect(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

use std::alloc::System;
use std::net::SocketAddr;

use futures_util::{Stream, stream};
use signalr::{Caller, SignalR, hub};
use signalr_test_support::{ClientKind, http, serve_with_small_buffers, until, within};
use stats_alloc::{INSTRUMENTED_SYSTEM, StatsAlloc};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};
use tokio::sync::Mutex;

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

static TURN: Mutex<()> = Mutex::const_new(());

/// Number of clients that are measured at once.
const CLIENTS: usize = 40;

/// The defaults of `transport_max_buffer_size` and `stateful_reconnect_buffer_size`.
const BUFFER: usize = 64 * 1024;
const KEPT: usize = 100_000;

const JSON: &[u8] = b"{\"protocol\":\"json\",\"version\":1}\x1e";
const MESSAGEPACK: &[u8] = b"{\"protocol\":\"messagepack\",\"version\":2}\x1e";

struct Numbers;

#[hub]
impl Numbers {
    async fn wait(&self) {
        std::future::pending().await
    }

    /// Endless short messages of a stream.
    fn ones(&self) -> impl Stream<Item = u8> {
        stream::repeat(1)
    }

    /// Endless short messages of another sender.
    fn notes(&self, caller: &Caller<Self>) -> impl Stream<Item = u8> + use<> {
        let caller = caller.clone();
        stream::once(async move {
            loop {
                caller.client().send("Note", ()).await.unwrap();
                tokio::task::consume_budget().await;
            }
        })
    }

    /// A long message before each short one.
    fn mixed(&self, caller: &Caller<Self>) -> impl Stream<Item = u8> + use<> {
        stream::unfold(caller.clone(), |caller| async {
            caller.client().send("Long", ("x".repeat(550),)).await.unwrap();
            Some((1, caller))
        })
    }
}

struct Server {
    signalr: SignalR,
    addr: SocketAddr,
}

/// Starts a server whose sockets have small kernel buffers.
fn serve() -> Server {
    let signalr = SignalR::builder().allow_stateful_reconnects(true).hub("/numbers", Numbers).build().unwrap();
    let addr = serve_with_small_buffers(&signalr);
    Server { signalr, addr }
}

/// Opens a WebSocket without a handshake.
async fn open(addr: SocketAddr, query: &str) -> TcpStream {
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(16 * 1024).unwrap();
    let mut socket = socket.connect(addr).await.unwrap();
    let request = format!(
        "GET /numbers{query} HTTP/1.1\r\nhost: test\r\nconnection: upgrade\r\nupgrade: websocket\r\n\
        sec-websocket-version: 13\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
    );
    socket.write_all(request.as_bytes()).await.unwrap();
    read_until(&mut socket, b"\r\n\r\n").await;
    socket
}

async fn connect(addr: SocketAddr, query: &str, handshake: &[u8]) -> TcpStream {
    let mut socket = open(addr, query).await;
    send(&mut socket, 0x81, handshake).await;
    read_until(&mut socket, b"{}\x1e").await;
    socket
}

/// Sends one frame; a mask of zeros leaves the payload unchanged.
async fn send(socket: &mut TcpStream, opcode: u8, payload: &[u8]) {
    let head = [opcode, 0x80 | u8::try_from(payload.len()).unwrap(), 0, 0, 0, 0];
    socket.write_all(&[&head, payload].concat()).await.unwrap();
}

async fn read_until(socket: &mut TcpStream, end: &[u8]) {
    let mut arrived = Vec::new();
    while !arrived.ends_with(end) {
        arrived.push(within(socket.read_u8()).await.unwrap());
    }
}

/// Lets `stall` fill each client's connection, and compares the memory of one with the figure in
/// SECURITY.md. The kernel takes bytes from full queues: `stall` returns how many are missing.
async fn measure<C>(figure: &str, mut clients: Vec<C>, stall: impl AsyncFnOnce(&mut Vec<C>) -> usize) {
    let before = live_bytes();
    let missing = stall(&mut clients).await;
    let held = (live_bytes() - before + missing) / clients.len();
    let security = include_str!("../SECURITY.md");
    let line = security.lines().find(|line| line.starts_with(&format!("| {figure} |"))).unwrap();
    let stated = line.split(" | ").nth(1).unwrap().replace(',', "").parse::<usize>().unwrap();
    assert!(held.abs_diff(stated) <= stated / 5, "{figure}: {held} bytes, and {stated} in SECURITY.md");
}

/// Waits until all tasks of this thread are blocked. Returns how many bytes the queues are below
/// their limit.
async fn settled(signalr: &SignalR, limit: usize) -> usize {
    within(async {
        let (mut same, mut before) = (0, 0);
        while same < 1000 {
            tokio::task::yield_now().await;
            let now = signalr.stats().queued_bytes;
            same = if now >= CLIENTS * limit / 2 && now == before { same + 1 } else { 0 };
            before = now;
        }
        (CLIENTS * limit).saturating_sub(before)
    })
    .await
}

#[tokio::test]
async fn queued_short_messages_use_the_documented_memory() {
    let _turn = TURN.lock().await;
    for method in ["Ones", "Notes"] {
        let Server { signalr, addr } = serve();
        let call = format!("{{\"type\":4,\"invocationId\":\"1\",\"target\":\"{method}\",\"arguments\":[]}}\u{1e}");
        let mut clients = Vec::new();
        for _ in 0..CLIENTS {
            clients.push(connect(addr, "", JSON).await);
        }
        measure("queued messages, short", clients, async |clients| {
            for client in clients {
                send(client, 0x81, call.as_bytes()).await;
            }
            settled(&signalr, BUFFER).await
        })
        .await;
        until(|| signalr.connection_count() == 0).await;

        let mut clients = Vec::new();
        for _ in 0..CLIENTS {
            clients.push(ClientKind::LONG_POLLING.connect(addr, "/numbers").await);
        }
        measure("queued messages, short", clients, async |clients| {
            for client in clients {
                client.post(&call).await;
            }
            settled(&signalr, BUFFER).await
        })
        .await;
    }
}

#[tokio::test]
async fn queued_mixed_messages_use_the_documented_memory() {
    let _turn = TURN.lock().await;
    let Server { signalr, addr } = serve();
    let mut clients = Vec::new();
    for _ in 0..CLIENTS {
        clients.push(connect(addr, "", MESSAGEPACK).await);
    }
    measure("queued messages, short ones between long ones", clients, async |clients| {
        for client in clients {
            send(client, 0x82, b"\x0d\x96\x04\x80\xa11\xa5Mixed\x90\x90").await;
        }
        settled(&signalr, BUFFER).await
    })
    .await;
}

#[tokio::test]
async fn queued_pongs_use_the_documented_memory() {
    const PINGS: usize = 2000;
    let _turn = TURN.lock().await;
    for shakes_hands in [false, true] {
        let Server { signalr, addr } = serve();
        let mut clients = Vec::new();
        for _ in 0..CLIENTS {
            clients.push(if shakes_hands { connect(addr, "", JSON).await } else { open(addr, "").await });
        }
        measure("pongs", clients, async |clients| {
            for client in clients {
                for _ in 0..PINGS {
                    within(send(client, 0x89, &[0; 125])).await;
                }
            }
            settled(&signalr, 128 * 127).await
        })
        .await;
    }
}

#[tokio::test]
async fn unacknowledged_messages_use_the_documented_memory() {
    let _turn = TURN.lock().await;
    // Messages of the connection itself, and messages that are shared with other connections.
    for call in [b"\x0c\x96\x04\x80\xa11\xa4Ones\x90\x90".as_slice(), b"\x0d\x96\x04\x80\xa11\xa5Notes\x90\x90"] {
        let Server { addr, .. } = serve();
        let mut clients = Vec::new();
        for _ in 0..CLIENTS {
            let path = "/numbers/negotiate?negotiateVersion=1&useStatefulReconnect=true";
            let (_, body) = http(addr, "POST", path, &[]).await;
            let body: serde_json::Value = serde_json::from_str(&body).unwrap();
            let query = format!("?id={}", body["connectionToken"].as_str().unwrap());
            clients.push(connect(addr, &query, MESSAGEPACK).await);
        }
        measure("messages kept until they are acknowledged, of 7 bytes", clients, async |clients| {
            for client in clients.iter_mut() {
                send(client, 0x82, call).await;
            }
            for client in clients {
                read_payload(client, KEPT).await;
            }
            0
        })
        .await;
    }
}

/// Reads WebSocket messages with more than `count` bytes.
async fn read_payload(client: &mut TcpStream, count: usize) {
    let mut arrived = 0;
    while arrived <= count {
        assert_eq!(within(client.read_u8()).await.unwrap(), 0x82);
        let mut len = u64::from(client.read_u8().await.unwrap());
        match len {
            126 => len = client.read_u16().await.unwrap().into(),
            127 => len = client.read_u64().await.unwrap(),
            _ => {}
        }
        let mut payload = client.take(len);
        tokio::io::copy(&mut payload, &mut tokio::io::sink()).await.unwrap();
        arrived += usize::try_from(len).unwrap();
    }
}

/// The first call does not complete, and the calls behind it wait.
#[tokio::test]
async fn waiting_calls_use_the_documented_memory() {
    let _turn = TURN.lock().await;
    let Server { addr, .. } = serve();
    let mut clients = Vec::new();
    for _ in 0..CLIENTS {
        clients.push(connect(addr, "", JSON).await);
    }
    measure("received calls that wait, of 42 bytes", clients, async |clients| {
        for client in clients {
            write_until_unread(client, b"{\"type\":1,\"target\":\"Wait\",\"arguments\":[]}\x1e").await;
        }
        0
    })
    .await;
}

/// Sends messages until the server does not read any more.
async fn write_until_unread(client: &mut TcpStream, message: &[u8]) {
    let frame = [&[0x81, 0x80 | u8::try_from(message.len()).unwrap(), 0, 0, 0, 0], message].concat();
    let block = frame.repeat(100);
    let (mut unwritten, mut refused) = (block.as_slice(), 0);
    while refused < 1000 {
        match client.try_write(unwritten) {
            Ok(written) => (unwritten, refused) = (&unwritten[written..], 0),
            Err(error) => {
                assert_eq!(error.kind(), std::io::ErrorKind::WouldBlock);
                refused += 1;
            }
        }
        if unwritten.is_empty() {
            unwritten = &block;
        }
        tokio::task::yield_now().await;
    }
}

fn live_bytes() -> usize {
    let stats = ALLOCATOR.stats();
    stats.bytes_allocated - stats.bytes_deallocated
}
