//! A backplane that is interrupted, slow clients, and payloads that no server of this crate sends.

use super::*;
use bytes::Bytes;
use futures_util::FutureExt;
use signalr::backplane::{Backplane, BackplaneReceiver};
use signalr::testing::ConnectError;
use tokio::time::timeout;

#[tokio::test]
async fn sends_fail_and_local_calls_continue_without_the_backplane() {
    let fleet = Fleet::new().await;
    let (hub, ids) = (fleet.context(), fleet.ids());
    assert!(fleet.north.signalr().is_ready());
    fleet.bus.set_interrupted(true);
    assert!(!fleet.north.signalr().is_ready());

    // The text is hidden from clients, as that of an exception in C#.
    let error = fleet.clients[0].invoke::<()>("TellAll", ("lost",)).await.unwrap_err();
    assert_eq!(error.to_string(), "An unexpected error occurred invoking 'TellAll' on the server.");
    assert!(matches!(hub.clients().client(ids[2]).send("Told", ("far",)).await, Err(SendError::Backplane(_))));
    hub.clients().client(ids[0]).send("Told", ("near",)).await.unwrap();
    fleet.assert_received_by(&[0], "near").await;
    assert!(fleet.clients[1].invoke::<()>("Join", ("g",)).await.is_err());
    assert_eq!(hub.groups().member_count("g"), 0, "a failed join leaves no member");
    fleet.clients[1].invoke::<()>("Leave", ("g",)).await.unwrap();
    let result = hub.clients().client(ids[3]).invoke::<String>("Name", ()).await;
    assert!(matches!(result, Err(InvokeError::Send(SendError::Backplane(_)))), "{result:?}");
    assert_eq!(fleet.north.signalr().stats().backplane.unwrap().failed_publishes, 3);

    fleet.bus.set_interrupted(false);
    fleet.clients[1].invoke::<()>("Join", ("g",)).await.unwrap();
    fleet.south.context().clients().group("g").send("Told", ("back",)).await.unwrap();
    fleet.assert_received_by(&[1], "back").await;
}

#[tokio::test]
async fn connections_are_rejected_without_the_backplane() {
    let bus = MemoryBus::new();
    let host = server(&bus);
    bus.set_interrupted(true);
    let client = host.open(JSON, User::anonymous()).await.unwrap();
    // The handshake succeeds, and the connection ends without a Close message.
    let handshake = client.handshake().await;
    assert!(matches!(handshake, Ok(()) | Err(ConnectError::Closed(_))), "{handshake:?}");
    let closed = client.closed().await;
    assert_eq!(closed.error, None, "{closed:?}");
    signalr_test_support::until(|| host.signalr().connection_count() == 0).await;
    bus.set_interrupted(false);
    host.connect(JSON, User::anonymous()).await.ping().await;
}

#[tokio::test(start_paused = true)]
async fn accepted_connections_are_subscribed_once_the_backplane_is_back() {
    let bus = MemoryBus::new();
    bus.set_interrupted(true);
    let tolerant = TestHost::builder(Ward)
        .with(|builder| builder.backplane(bus.connect()).dotnet_namespace("Test").accept_without_backplane(true))
        .build();
    let client = tolerant.connect(JSON, user("ada")).await;
    client.invoke::<()>("Join", ("g",)).await.unwrap();
    let left = tolerant.connect(JSON, user("ben")).await;
    left.invoke::<()>("Join", ("h",)).await.unwrap();
    left.close().await;
    bus.set_interrupted(false);
    while !bus.channels().iter().any(|name| name == "Test.Ward:group:g") {
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
    let sender = server(&bus);
    let _other = sender.connect(JSON, User::anonymous()).await;
    for clients in [sender.context().clients().group("g"), sender.context().clients().user("ada")] {
        clients.send("Told", ("both",)).await.unwrap();
        assert_eq!(client.receive::<(String,)>("Told").await, ("both".to_owned(),));
    }
    let channels = bus.channels();
    assert!(!channels.iter().any(|name| name.ends_with(":h") || name.ends_with("ben")), "{channels:?}");
}

/// A client that does not read delays the messages behind it on its own channel, on its own server.
#[tokio::test]
async fn slow_clients_delay_their_own_channel_alone() {
    let bus = MemoryBus::new();
    let builder = signalr::SignalR::builder().backplane(bus.connect()).dotnet_namespace("Test");
    let builder = builder.transport_max_buffer_size(1024).transport_send_timeout(Duration::from_secs(2));
    let slow_server = TestHost::from_builder(builder.hub("/ward", Ward));
    let reader = slow_server.connect(JSON, user("reader")).await;
    let addr = signalr_test_support::serve_with_small_buffers(slow_server.signalr());
    let mut slow = signalr_test_support::ClientKind::WEB_SOCKETS.connect(addr, "/ward").await;
    slow.invoke("Join", &["both".into()]).await;
    reader.invoke::<()>("Join", ("both",)).await.unwrap();
    reader.invoke::<()>("Join", ("fast",)).await.unwrap();

    let sender = server(&bus);
    let hub = sender.context();
    let text = "x".repeat(20_000);
    for number in 0..100 {
        // Sending never waits for a client of another server.
        let both = hub.clients().group("both");
        let sent = both.send("Number", (number, &text));
        timeout(Duration::from_secs(1), sent).await.unwrap().unwrap();
    }
    hub.clients().group("fast").send("Told", ("another channel",)).await.unwrap();
    assert_eq!(reader.receive::<(String,)>("Told").await, ("another channel".to_owned(),));
    // After the timeout of the slow client, the others receive everything in order.
    for number in 0..100 {
        assert_eq!(reader.receive::<(i32, String)>("Number").await.0, number);
    }
    drop(slow);
}

/// A backplane whose payloads the test sends.
#[derive(Default)]
struct Manual {
    receiver: std::sync::OnceLock<BackplaneReceiver>,
}

impl Backplane for Manual {
    fn attach(&self, receiver: BackplaneReceiver) {
        self.receiver.get_or_init(|| receiver);
    }

    fn start(&self) {}

    fn publish(&self, _: &str, _: Bytes) -> signalr::backplane::BackplaneFuture<Option<u64>> {
        async { Ok(None) }.boxed()
    }

    fn subscribe(&self, _: &str) -> signalr::backplane::BackplaneFuture<()> {
        async { Ok(()) }.boxed()
    }

    fn unsubscribe(&self, _: &str) {}

    fn is_ready(&self) -> bool {
        true
    }

    fn stats(&self) -> signalr::backplane::BackplaneStats {
        signalr::backplane::BackplaneStats::default()
    }

    fn close(&self) {}
}

fn manual_server() -> (Arc<Manual>, TestHost<Ward>) {
    let manual = Arc::new(Manual::default());
    let backplane = Arc::clone(&manual);
    let host = TestHost::builder(Ward).with(|builder| builder.backplane(backplane).dotnet_namespace("Test")).build();
    (manual, host)
}

#[tokio::test]
async fn invalid_payloads_are_dropped() {
    let (manual, host) = manual_server();
    let client = host.connect(JSON, user("ada")).await;
    let id = client.connection_id();
    let receiver = manual.receiver.get().unwrap();
    let channels = ["all", "group:g", "user:ada", "internal:groups", "internal:cluster", "other", "", "internal:ack:x"];
    for channel in channels.iter().map(|name| format!("Test.Ward:{name}")).chain([format!("Test.Ward:connection:{id}")])
    {
        for payload in
            [&b""[..], b"\x92", b"\xdf\xff\xff\xff\xff", b"\x92\x90\x81\xa4json\xc4\xff", b"\xc1", &[0x93; 1000]]
        {
            receiver.receive(&channel, Bytes::from_static(b"\x90"));
            receiver.receive(&channel, Bytes::copy_from_slice(payload));
        }
    }
    receiver.receive("no hub", Bytes::new());
    receiver.receive("Other:all", Bytes::new());
    client.ping().await;
    assert_eq!(client.try_receive::<(String,)>("Told").await, None);
}

#[tokio::test]
async fn clients_whose_protocol_a_message_lacks_are_disconnected() {
    let (manual, host) = manual_server();
    let json = host.connect(JSON, User::anonymous()).await;
    let messagepack = host.connect(MESSAGEPACK, User::anonymous()).await;
    let message = b"{\"type\":1,\"target\":\"Told\",\"arguments\":[\"a\"]}\x1e";
    let payload = [b"\x92\x90\x81\xa4json\xc4", &[u8::try_from(message.len()).unwrap()][..], message].concat();
    manual.receiver.get().unwrap().receive("Test.Ward:all", payload.into());
    assert_eq!(json.receive::<(String,)>("Told").await, ("a".to_owned(),));
    messagepack.closed().await;
}
