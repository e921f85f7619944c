//! Clients that do not read and negotiations that are never used: their memory is bounded, and they
//! do not affect others.
//!
//! The allocator counts for the whole process, so this is a separate binary, and its tests run one
//! after another.

#![cfg(feature = "messagepack")]
#![expect(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

use std::alloc::System;
use std::any::Any;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use futures_util::{Stream, StreamExt, stream};
use signalr::hosting::{ResponseBody, TransportType};
use signalr::{HubContext, HubProtocolKind, SignalR, hub};
use signalr_test_support::{Client, ClientKind, serve_with_small_buffers, until, within};
use stats_alloc::{INSTRUMENTED_SYSTEM, StatsAlloc};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::Mutex;
use tower::ServiceExt;

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

static TURN: Mutex<()> = Mutex::const_new(());

/// Number of stalled clients of each transport.
const STALLED: usize = 10;

/// Default of `transport_max_buffer_size`, in bytes.
const BUFFER: usize = 64 * 1024;

const MESSAGE: usize = 16 * 1024;

/// Memory besides the buffer: the message that crosses its limit, and the connection with its HTTP
/// buffers.
const BESIDE: usize = 2 * MESSAGE + 16 * 1024;

#[derive(Default)]
struct Ward {
    /// Open streams, each with a reference to this.
    streams: Arc<()>,
}

#[hub]
impl Ward {
    async fn echo(&self, text: String) -> String {
        text
    }

    /// Yields no item and never ends.
    fn forever(&self) -> impl Stream<Item = i32> {
        let open = Arc::clone(&self.streams);
        stream::pending().inspect(move |_| _ = &open)
    }
}

impl Ward {
    fn streams(&self) -> usize {
        Arc::strong_count(&self.streams) - 1
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn unread_connections_use_bounded_memory_and_are_aborted() {
    let _turn = TURN.lock().await;
    for transport in [TransportType::WebSockets, TransportType::ServerSentEvents, TransportType::LongPolling] {
        let signalr = SignalR::builder()
            .transport_send_timeout(Duration::from_secs(3))
            .disconnect_timeout(Duration::from_secs(3))
            .hub("/ward", Ward::default())
            .build()
            .unwrap();
        let addr = serve_with_small_buffers(&signalr);
        let mut other = Client::connect(addr, "/ward", HubProtocolKind::Json).await;
        let before = live_bytes();
        let mut stalled = Vec::new();
        for _ in 0..STALLED {
            stalled.push(connect(addr, transport).await);
        }
        let sent = Arc::new(AtomicUsize::new(0));
        let sender = tokio::spawn(flood(signalr.context(), Arc::clone(&sent)));

        // The client that reads receives messages until the stalled ones block the sender.
        let mut received = 0;
        within(async {
            while signalr.stats().queued_bytes < STALLED * BUFFER {
                received += usize::from(receives_flood(&mut other).await);
            }
            // It has received all sent messages and the one that is being sent.
            while received <= sent.load(Ordering::SeqCst) {
                received += usize::from(receives_flood(&mut other).await);
            }
        })
        .await;
        let (held, stats) = (live_bytes() - before, signalr.stats());
        println!("{transport}: {} bytes a client, {} of them queued", held / STALLED, stats.queued_bytes / STALLED);
        assert_eq!(stats.hub_connections, STALLED + 1);
        assert!(stats.queued_bytes <= STALLED * (BUFFER + 2 * MESSAGE), "{transport}: {stats:?}");
        assert!(held <= STALLED * (BUFFER + BESIDE), "{transport}: {held} bytes");
        other.call(Some("1"), "Echo", &["at once".into()]).await;
        while other.next().await.unwrap()["result"] != "at once" {}

        // Then the stalled clients are aborted, and the sender continues.
        let sent_before = sent.load(Ordering::SeqCst);
        within(async {
            while signalr.stats().hub_connections > 1 || sent.load(Ordering::SeqCst) == sent_before {
                receives_flood(&mut other).await;
            }
        })
        .await;
        sender.abort();
        drop(stalled);
        drop(other);
        signalr.shutdown(Duration::ZERO).await;
        assert_eq!(signalr.connection_count(), 0);
    }
}

/// Whether a message of the flood arrives within a moment.
async fn receives_flood(client: &mut Client) -> bool {
    let next = tokio::time::timeout(Duration::from_millis(20), client.next()).await;
    next.is_ok_and(|message| message.unwrap()["target"] == "Flood")
}

/// Connects a client that performs the handshake and stops reading.
async fn connect(addr: SocketAddr, transport: TransportType) -> Box<dyn Any> {
    match transport {
        TransportType::WebSockets => Box::new(websocket(addr).await),
        TransportType::ServerSentEvents => Box::new(ClientKind::SERVER_SENT_EVENTS.connect(addr, "/ward").await),
        _ => Box::new(ClientKind::LONG_POLLING.connect(addr, "/ward").await),
    }
}

/// Opens a plain socket: a client would have buffers.
async fn websocket(addr: SocketAddr) -> TcpStream {
    let mut socket = TcpStream::connect(addr).await.unwrap();
    let request = b"GET /ward HTTP/1.1\r\nhost: test\r\nconnection: upgrade\r\nupgrade: websocket\r\n\
        sec-websocket-version: 13\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
    let hello = b"{\"protocol\":\"json\",\"version\":1}\x1e";
    let head = [0x81, 0x80 | u8::try_from(hello.len()).unwrap(), 0, 0, 0, 0];
    socket.write_all(&[&request[..], &head, hello].concat()).await.unwrap();
    let mut arrived = Vec::new();
    while !arrived.ends_with(b"{}\x1e") {
        arrived.push(within(socket.read_u8()).await.unwrap());
    }
    socket
}

/// Broadcasts as fast as possible.
async fn flood(ward: HubContext<Ward>, sent: Arc<AtomicUsize>) {
    let text = "x".repeat(MESSAGE);
    loop {
        ward.clients().all().send("Flood", (&text,)).await.unwrap();
        sent.fetch_add(1, Ordering::SeqCst);
        tokio::task::yield_now().await;
    }
}

/// The default of `max_streams`.
const LIMIT: usize = 1000;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ten_thousand_streams_use_the_memory_of_max_streams() {
    let _turn = TURN.lock().await;
    let ward = Arc::new(Ward::default());
    let signalr = SignalR::builder().hub("/ward", Arc::clone(&ward)).build().unwrap();
    let addr = serve_with_small_buffers(&signalr);
    // Thread-local buffers and table capacity are allocated once and kept.
    for _ in 0..3 {
        open_ten_thousand(addr, &signalr, &ward).await;
    }
    let before = live_bytes();
    open_ten_thousand(addr, &signalr, &ward).await;
    let left = live_bytes().saturating_sub(before);
    assert!(left < LIMIT * 64, "{left} bytes are left");
}

/// Opens more streams than the limit and disconnects.
async fn open_ten_thousand(addr: SocketAddr, signalr: &SignalR, ward: &Ward) {
    const STREAMS: usize = 10_000;
    /// Memory of an open stream: its call, task, id and hub state.
    const EACH: usize = 2 * 1024;
    let before = live_bytes();
    let (mut incoming, mut outgoing) = websocket(addr).await.into_split();
    // The calls are in one WebSocket message.
    let sender = tokio::spawn(async move {
        let calls: Vec<_> = (0..STREAMS)
            .map(|id| format!("{{\"type\":4,\"invocationId\":\"{id}\",\"target\":\"Forever\",\"arguments\":[]}}\u{1e}"))
            .collect();
        let length: usize = calls.iter().map(String::len).sum();
        outgoing.write_all(&[0x81, 0xff]).await.unwrap();
        outgoing.write_all(&(length as u64).to_be_bytes()).await.unwrap();
        outgoing.write_all(&[0; 4]).await.unwrap();
        for call in calls {
            outgoing.write_all(call.as_bytes()).await.unwrap();
        }
        outgoing
    });

    // The unread rejections block the calls behind them.
    until(|| signalr.stats().queued_bytes >= BUFFER).await;
    assert_eq!(ward.streams(), LIMIT);
    let held = live_bytes() - before;
    assert!(held <= LIMIT * EACH + BUFFER + STREAMS * 128 + BESIDE, "{held} bytes");

    let refusal = b"HubException: The connection has 1000 streams open already.";
    let (mut seen, mut refusals) = (Vec::new(), 0);
    while refusals < STREAMS - LIMIT {
        assert_ne!(within(incoming.read_buf(&mut seen)).await.unwrap(), 0);
        while let Some(at) = seen.windows(refusal.len()).position(|window| window == refusal) {
            seen.drain(..at + refusal.len());
            refusals += 1;
        }
    }
    let outgoing = within(sender).await.unwrap();
    assert_eq!(ward.streams(), LIMIT);
    let held = live_bytes() - before;
    assert!(held <= LIMIT * EACH + BUFFER + BESIDE, "{held} bytes");

    drop((incoming, outgoing, seen));
    until(|| ward.streams() == 0 && signalr.stats().tasks == 0).await;
    assert_eq!(signalr.connection_count(), 0);
}

#[tokio::test]
async fn unused_negotiations_use_little_memory_and_expire() {
    const ORPHANS: usize = 100_000;
    let _turn = TURN.lock().await;
    let signalr =
        SignalR::builder().disconnect_timeout(Duration::from_secs(20)).hub("/ward", Ward::default()).build().unwrap();
    let before = live_bytes();
    for _ in 0..ORPHANS {
        let request = http::Request::post("/ward/negotiate?negotiateVersion=1").body(ResponseBody::default()).unwrap();
        let response = signalr.service().oneshot(request).await.unwrap();
        assert_eq!(response.status(), 200);
    }
    let held = live_bytes() - before;
    println!("{} bytes a negotiation", held / ORPHANS);
    assert!(held < ORPHANS * 1024, "{held} bytes");
    let early = signalr.connection_count();
    assert!(early > ORPHANS / 2, "{early}");
    // The test advances its own clock.
    tokio::time::pause();
    tokio::time::sleep(Duration::from_secs(25)).await;
    assert_eq!(signalr.connection_count(), 0);
    let left = live_bytes().saturating_sub(before);
    // The capacity of the table is kept.
    assert!(left < ORPHANS * 64, "{left} bytes are left");
}

fn live_bytes() -> usize {
    let stats = ALLOCATOR.stats();
    stats.bytes_allocated - stats.bytes_deallocated
}
