//! Broadcasts: encoded once for each hub protocol, in order, and not delayed by slow receivers.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use serde::{Serialize, Serializer};
use serde_json::json;
use signalr::{Caller, HubContext, HubProtocolKind, SignalR, hub};
use signalr_test_support::{Client, serve, until, within};
use tokio::net::TcpSocket;

struct Board;

#[hub]
impl Board {
    async fn echo(&self, text: String) -> String {
        text
    }

    fn id(&self, caller: &Caller<Self>) -> String {
        caller.connection_id().to_string()
    }
}

/// Counts how often it is encoded.
#[derive(Clone, Default)]
struct Counted(Arc<AtomicUsize>);

impl Serialize for Counted {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.fetch_add(1, Ordering::SeqCst);
        serializer.serialize_str("counted")
    }
}

impl Counted {
    fn count(&self) -> usize {
        self.0.load(Ordering::SeqCst)
    }
}

async fn connect(
    addr: SocketAddr,
    board: &HubContext<Board>,
    formats: impl IntoIterator<Item = HubProtocolKind>,
) -> Vec<Client> {
    let mut clients = Vec::new();
    for format in formats {
        clients.push(Client::connect(addr, "/board", format).await);
    }
    until(|| board.connection_count() == clients.len()).await;
    clients
}

#[tokio::test]
async fn broadcast_is_encoded_once_for_each_hub_protocol_in_use() {
    let signalr = SignalR::builder().hub("/board", Board).build().unwrap();
    let addr = serve(&signalr).await;
    let board: HubContext<Board> = signalr.context();

    let nobody = Counted::default();
    board.clients().all().send("Posted", (nobody.clone(),)).await.unwrap();
    assert_eq!(nobody.count(), 0);

    for (formats, expected) in
        [(vec![HubProtocolKind::Json], 1), (vec![HubProtocolKind::MessagePack], 1), (HubProtocolKind::ALL.to_vec(), 2)]
    {
        let mut clients = connect(addr, &board, formats.iter().cycle().copied().take(40)).await;
        let counted = Counted::default();
        within(board.clients().all().send("Posted", (counted.clone(), 7))).await.unwrap();
        for client in &mut clients {
            let message = client.next().await.unwrap();
            assert_eq!(message, json!({ "type": 1, "target": "Posted", "arguments": ["counted", 7] }));
        }
        assert_eq!(counted.count(), expected, "{formats:?}");
        join_all(clients.into_iter().map(Client::close)).await;
        until(|| signalr.connection_count() == 0).await;
    }
}

#[tokio::test]
async fn send_is_encoded_for_the_hub_protocols_of_its_receivers_only() {
    let signalr = SignalR::builder().hub("/board", Board).build().unwrap();
    let addr = serve(&signalr).await;
    let board: HubContext<Board> = signalr.context();
    let mut clients = connect(addr, &board, HubProtocolKind::ALL.iter().copied()).await;
    let ids = join_all(clients.iter_mut().map(async |client| {
        client.call(Some("1"), "Id", &[]).await;
        client.next().await.unwrap()["result"].as_str().unwrap().to_owned()
    }))
    .await;
    board.groups().add(&ids[1], "of one").await.unwrap();
    for (proxy, expected) in [
        (board.clients().group("empty"), 0),
        (board.clients().group("of one"), 1),
        (board.clients().all_except(&ids[..1]), 1),
        (board.clients().clients(&ids), 2),
    ] {
        let counted = Counted::default();
        within(proxy.send("Posted", (counted.clone(),))).await.unwrap();
        assert_eq!(counted.count(), expected, "{proxy:?}");
    }
}

#[tokio::test]
async fn message_that_one_hub_protocol_cannot_encode_reaches_clients_of_the_other() {
    let signalr = SignalR::builder().hub("/board", Board).build().unwrap();
    let addr = serve(&signalr).await;
    let board: HubContext<Board> = signalr.context();
    let mut clients = connect(addr, &board, [HubProtocolKind::Json, HubProtocolKind::MessagePack]).await;
    within(board.clients().all().send("Posted", (f64::NAN,))).await.unwrap_err();
    within(board.clients().all().send("Posted", ("then",))).await.unwrap();
    assert_eq!(clients[0].next().await.unwrap()["arguments"], json!(["then"]));
    assert_eq!(clients[1].next().await.unwrap()["target"], "Posted");
    assert_eq!(clients[1].next().await.unwrap()["arguments"], json!(["then"]));
}

#[tokio::test]
async fn broadcasts_arrive_in_the_order_of_their_sends() {
    const COUNT: usize = 1000;
    let signalr = SignalR::builder().hub("/board", Board).build().unwrap();
    let addr = serve(&signalr).await;
    let board: HubContext<Board> = signalr.context();
    let clients = connect(addr, &board, HubProtocolKind::ALL.iter().cycle().copied().take(6)).await;

    let readers = clients.into_iter().map(|mut client| {
        tokio::spawn(async move {
            for n in 0..COUNT {
                let message = client.next().await.unwrap();
                assert_eq!(message["arguments"][0], n);
            }
            client.echo("still here").await;
        })
    });
    let readers: Vec<_> = readers.collect();
    let padding = "x".repeat(200);
    for n in 0..COUNT {
        // Some messages share a frame, some have a separate frame, and some fill the queue.
        let padding = if n % 50 == 0 {
            padding.repeat(100)
        } else if n % 3 == 0 {
            String::new()
        } else {
            padding.clone()
        };
        within(board.clients().all().send("Posted", (n, padding))).await.unwrap();
    }
    for reader in readers {
        within(reader).await.unwrap();
    }
}

struct Counting(Arc<AtomicUsize>);

#[hub]
impl Counting {
    fn on_disconnected(&self) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

/// A client with a small socket buffer that stops reading after its handshake.
async fn connect_stalled(addr: SocketAddr) -> Client {
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(4096).unwrap();
    let mut stalled = Client::over(within(socket.connect(addr)).await.unwrap(), "/board", HubProtocolKind::Json).await;
    stalled.handshake().await;
    stalled
}

/// A sender waits for the slowest receiver, as in ASP.NET Core. Receivers do not wait for each
/// other.
#[tokio::test]
async fn unread_connection_is_aborted_and_delays_no_other_receiver() {
    const SEND_TIMEOUT: Duration = Duration::from_secs(1);
    let gone = Arc::new(AtomicUsize::new(0));
    let signalr = SignalR::builder()
        .hub("/board", Counting(Arc::clone(&gone)))
        .transport_send_timeout(SEND_TIMEOUT)
        .web_socket_close_timeout(SEND_TIMEOUT)
        .build()
        .unwrap();
    let addr = serve(&signalr).await;
    let board: HubContext<Counting> = signalr.context();

    let stalled = connect_stalled(addr).await;
    let mut healthy = Vec::new();
    for format in HubProtocolKind::ALL.iter().cycle().copied().take(4) {
        healthy.push(Client::connect(addr, "/board", format).await);
    }
    until(|| board.connection_count() == 5).await;

    let readers = healthy.into_iter().map(|mut client| {
        tokio::spawn(async move {
            let mut received = Vec::new();
            loop {
                let message = client.next().await.unwrap();
                assert_eq!(message["arguments"][0], received.len());
                received.push(Instant::now());
                if message["arguments"][1] == "last" {
                    return received;
                }
            }
        })
    });
    let readers: Vec<_> = readers.collect();
    let mut sent = Vec::new();
    let text = "x".repeat(60_000);
    while board.connection_count() == 5 {
        let began = Instant::now();
        within(board.clients().all().send("Posted", (sent.len(), &text))).await.unwrap();
        sent.push((began, began.elapsed()));
        assert!(sent.len() < 2000, "the stalled client took everything");
    }
    within(board.clients().all().send("Posted", (sent.len(), "last"))).await.unwrap();

    // The longest send waited for the timeout and at most one tick more. All other clients received
    // its message without delay.
    let (longest, (began, waited)) = sent.iter().copied().enumerate().max_by_key(|(_, (_, waited))| *waited).unwrap();
    assert!((SEND_TIMEOUT..SEND_TIMEOUT * 4).contains(&waited), "{waited:?}");
    for reader in readers {
        let received = within(reader).await.unwrap();
        let late = received[longest].saturating_duration_since(began);
        assert!(late < SEND_TIMEOUT / 2, "{late:?} late, while the send waited {waited:?}");
    }
    until(|| signalr.connection_count() == 0).await;
    assert_eq!(gone.load(Ordering::SeqCst), 5);
    drop(stalled);
}

#[tokio::test]
async fn aborted_connection_is_removed_without_a_closing_handshake() {
    let gone = Arc::new(AtomicUsize::new(0));
    let signalr = SignalR::builder()
        .hub("/board", Counting(Arc::clone(&gone)))
        .transport_send_timeout(Duration::from_secs(1))
        .web_socket_close_timeout(Duration::from_secs(3600))
        .build()
        .unwrap();
    let addr = serve(&signalr).await;
    let board: HubContext<Counting> = signalr.context();
    let stalled = connect_stalled(addr).await;
    until(|| board.connection_count() == 1).await;
    let text = "x".repeat(60_000);
    while board.connection_count() == 1 {
        within(board.clients().all().send("Posted", (&text,))).await.unwrap();
    }
    assert_eq!(gone.load(Ordering::SeqCst), 1);
    // The socket is closed as well: the client cannot answer a close frame that it never receives.
    until(|| signalr.connection_count() == 0).await;
    drop(stalled);
}
