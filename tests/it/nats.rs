//! `NatsBackplane` with a real NATS server. Tests are skipped where `nats-server` is missing.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use bytes::Bytes;
use futures_util::future::join_all;
use signalr::backplane::{Backplane, BackplaneError, BackplaneReceiver, NatsBackplane, NatsConfigError};
use signalr::testing::backplane::{self as suite, BackplaneHarness};
use signalr::testing::{TestHost, user};
use signalr::{Caller, HubProtocolKind, HubResult, hub};
use signalr_test_support::log_capture::{Log, assert_no_secrets};
use signalr_test_support::{NatsServer, tls, until, within};
use tokio::io::{AsyncReadExt, AsyncWriteExt, copy};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

struct Ward;

#[hub]
impl Ward {
    async fn tell_all(&self, caller: &Caller<Self>, text: String) -> HubResult {
        Ok(caller.clients().all().send("Told", (text,)).await?)
    }
}

struct NatsHarness(NatsServer);

impl BackplaneHarness for NatsHarness {
    type Backplane = NatsBackplane;

    async fn connect(&self) -> NatsBackplane {
        nats(&self.0.address())
    }

    fn can_interrupt(&self) -> bool {
        true
    }

    async fn interrupt(&self) {
        self.0.kill();
    }

    async fn restore(&self) {
        self.0.restart();
    }
}

/// A backplane that is started, and what it has received.
struct Node {
    backplane: Arc<NatsBackplane>,
    received: Arc<Mutex<Vec<(String, Bytes)>>>,
}

impl Node {
    fn start(backplane: NatsBackplane) -> Self {
        let backplane = Arc::new(backplane);
        let received = Arc::new(Mutex::new(Vec::new()));
        let log = Arc::clone(&received);
        backplane.attach(BackplaneReceiver::new(move |channel, payload| {
            log.lock().unwrap().push((channel.to_owned(), payload));
        }));
        backplane.start();
        Self { backplane, received }
    }

    async fn connected(backplane: NatsBackplane) -> Self {
        let node = Self::start(backplane);
        node.ready(true).await;
        node
    }

    async fn ready(&self, ready: bool) {
        until(|| self.backplane.is_ready() == ready).await;
    }

    async fn publish(&self, channel: &str, payload: impl Into<Bytes>) -> Result<Option<u64>, BackplaneError> {
        within(self.backplane.publish(channel, payload.into())).await
    }

    async fn subscribe(&self, channel: &str) -> Result<(), BackplaneError> {
        within(self.backplane.subscribe(channel)).await
    }

    /// Publishes a payload and waits until it is received.
    async fn round_trip(&self, channel: &str, payload: &'static str) {
        assert_eq!(self.publish(channel, payload).await, Ok(None));
        let expected = (channel.to_owned(), Bytes::from(payload));
        until(|| self.received.lock().unwrap().contains(&expected)).await;
    }
}

/// Forwards connections to a server until they are cut.
struct Proxy {
    address: String,
    connections: Arc<Mutex<JoinSet<()>>>,
    /// Whether bytes of clients are discarded.
    discards: Arc<AtomicBool>,
    discarded: Arc<AtomicUsize>,
}

impl Proxy {
    async fn start(server: String) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let proxy = Self { address, connections: Arc::default(), discards: Arc::default(), discarded: Arc::default() };
        let (connections, discards) = (Arc::clone(&proxy.connections), Arc::clone(&proxy.discards));
        let discarded = Arc::clone(&proxy.discarded);
        tokio::spawn(async move {
            loop {
                let (client, _) = listener.accept().await.unwrap();
                let server = TcpStream::connect(&server).await.unwrap();
                let (discards, discarded) = (Arc::clone(&discards), Arc::clone(&discarded));
                connections.lock().unwrap().spawn(forward(client, server, discards, discarded));
            }
        });
        proxy
    }

    /// Closes all connections.
    fn cut(&self) {
        self.connections.lock().unwrap().abort_all();
    }
}

async fn forward(mut client: TcpStream, mut server: TcpStream, discards: Arc<AtomicBool>, discarded: Arc<AtomicUsize>) {
    let (mut from_client, mut to_client) = client.split();
    let (mut from_server, mut to_server) = server.split();
    let requests = async {
        let mut buffer = [0; 4096];
        while let Ok(read @ 1..) = from_client.read(&mut buffer).await {
            if discards.load(Ordering::Relaxed) {
                discarded.fetch_add(read, Ordering::Relaxed);
            } else if to_server.write_all(&buffer[..read]).await.is_err() {
                break;
            }
        }
    };
    tokio::select! {
        () = requests => (),
        _ = copy(&mut from_server, &mut to_client) => (),
    }
}

/// Returns a backplane whose calls time out soon.
fn nats(address: &str) -> NatsBackplane {
    NatsBackplane::new(format!("nats://{address}")).unwrap().request_timeout(Duration::from_millis(300))
}

#[tokio::test]
async fn nats_backplane_passes_the_suite() {
    let Some(server) = NatsServer::start(&[]) else { return };
    let report = suite::check(&NatsHarness(server)).await;
    assert_eq!(report.skipped(), ["receivers_are_counted"], "{report}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn nats_backplane_keeps_orders_on_several_threads() {
    let Some(server) = NatsServer::start(&[]) else { return };
    let harness = NatsHarness(server);
    suite::concurrent_tasks_keep_their_orders(&harness).await;
    suite::payloads_are_passed_one_at_a_time(&harness).await;
    suite::last_subscribe_wins(&harness).await;
    suite::last_unsubscribe_wins(&harness).await;
}

#[tokio::test]
async fn backplane_connects_when_the_server_appears() {
    let Some(server) = NatsServer::start(&[]) else { return };
    server.kill();
    let node = Node::start(nats(&server.address()));
    let began = Instant::now();
    let (published, subscribed) = tokio::join!(node.publish("a", "lost"), node.subscribe("a"));
    assert!(matches!(published, Err(BackplaneError::Disconnected(_))), "{published:?}");
    assert!(matches!(subscribed, Err(BackplaneError::Disconnected(_))), "{subscribed:?}");
    assert!(began.elapsed() < Duration::from_secs(5));
    let stats = node.backplane.stats();
    assert_eq!((stats.subscriptions, stats.failed_publishes, stats.interruptions), (0, 1, 0));
    // Waits for a connection.
    let subscribed = node.backplane.subscribe("b");
    drop(subscribed);
    server.restart();
    node.ready(true).await;
    node.round_trip("b", "hello").await;
    assert_eq!(node.received.lock().unwrap().len(), 1);
}

#[tokio::test]
async fn subscriptions_outlive_a_connection_that_is_cut() {
    let Some(server) = NatsServer::start(&[]) else { return };
    let proxy = Proxy::start(server.address()).await;
    let node = Node::connected(nats(&proxy.address)).await;
    let rooms: Vec<String> = (0..50).map(|room| format!("room {room}")).collect();
    for result in join_all(rooms.iter().map(|room| node.subscribe(room))).await {
        result.unwrap();
    }
    for round in 1..=3 {
        proxy.cut();
        until(|| node.backplane.stats().interruptions == round).await;
        node.ready(true).await;
        for room in &rooms {
            node.round_trip(room, "hello").await;
        }
        node.received.lock().unwrap().clear();
    }
    assert_eq!(node.backplane.stats().subscriptions, 50);
}

#[tokio::test]
async fn payloads_that_are_lost_with_a_connection_fail() {
    let Some(server) = NatsServer::start(&[]) else { return };
    let proxy = Proxy::start(server.address()).await;
    let patient = NatsBackplane::new(format!("nats://{}", proxy.address)).unwrap();
    let node = Node::connected(patient).await;
    node.subscribe("room").await.unwrap();
    proxy.discards.store(true, Ordering::Relaxed);
    let lost = node.backplane.publish("room", "lost".into());
    until(|| proxy.discarded.load(Ordering::Relaxed) > 0).await;
    proxy.discards.store(false, Ordering::Relaxed);
    proxy.cut();
    node.ready(false).await;
    // The client sends it on the next connection, which confirms it, but not the one before.
    let late = node.backplane.publish("room", "late".into());
    let (lost, late) = within(async { tokio::join!(lost, late) }).await;
    assert_eq!(lost, Err(BackplaneError::Disconnected("the connection was lost".into())));
    node.ready(true).await;
    node.round_trip("room", "hello").await;
    let received: Vec<_> = node.received.lock().unwrap().iter().map(|(_, payload)| payload.clone()).collect();
    assert!(!received.contains(&"lost".into()) && (late.is_err() || received.contains(&"late".into())));
}

#[tokio::test]
async fn calls_time_out_while_the_server_does_not_answer() {
    let Some(server) = NatsServer::start(&[]) else { return };
    let node = Node::connected(nats(&server.address())).await;
    node.subscribe("room").await.unwrap();
    server.pause();
    let began = Instant::now();
    let (published, subscribed) = tokio::join!(node.publish("room", "late"), node.subscribe("new"));
    assert!(matches!(published, Err(BackplaneError::Timeout | BackplaneError::Disconnected(_))), "{published:?}");
    assert!(matches!(subscribed, Err(BackplaneError::Timeout | BackplaneError::Disconnected(_))), "{subscribed:?}");
    assert!(began.elapsed() < Duration::from_secs(5));
    node.ready(false).await;
    server.resume();
    node.ready(true).await;
    node.round_trip("room", "hello").await;
}

#[tokio::test]
async fn wrong_credentials_fail_without_being_shown() {
    let args = ["--user", "al:ice", "--pass", "p@ss/word"];
    let Some(server) = NatsServer::start(&args) else { return };
    let (log, _guard) = Log::of_thread();
    let refused = format!("nats://al%3Aice:wr0ng-secret@{}", server.address());
    let refused = NatsBackplane::new(refused).unwrap().request_timeout(Duration::from_millis(300));
    let mut shown = format!("{refused:?}");
    let refused = Node::start(refused);
    let error = refused.publish("a", "lost").await.unwrap_err();
    assert!(error.to_string().contains("authorization violation"), "{error}");
    shown += &format!("{error} {error:?} {:?}", refused.backplane);
    let accepted = format!("nats://al%3Aice:p%40ss%2Fword@{}", server.address());
    let accepted = Node::connected(NatsBackplane::new(accepted).unwrap()).await;
    shown += &format!("{:?}", accepted.backplane);
    shown += &log.text();
    assert!(log.text().contains("backplane connection failed"));
    assert_no_secrets(&shown, &["wr0ng-secret".into(), "p@ss/word".into(), "p%40ss%2Fword".into()]);
}

#[tokio::test]
async fn user_of_a_url_without_a_password_is_a_token() {
    let Some(server) = NatsServer::start(&["--auth", "t0ken"]) else { return };
    let node = Node::connected(nats(&format!("t0ken@{}", server.address()))).await;
    node.subscribe("room").await.unwrap();
    node.round_trip("room", "hello").await;
}

#[tokio::test]
async fn certificates_of_both_sides_are_verified() {
    let (certificate, key) = (tls::file("certificate.pem"), tls::file("key.pem"));
    let (certificate_path, key_path) = (certificate.to_str().unwrap(), key.to_str().unwrap());
    let files = ["--tlscert", certificate_path, "--tlskey", key_path, "--tlscacert", certificate_path];
    let Some(server) = NatsServer::start(&[&["--tlsverify"], &files[..]].concat()) else { return };
    let (certificate, key) = (std::fs::read(&certificate).unwrap(), std::fs::read(&key).unwrap());
    let backplane = || {
        let url = format!("tls://localhost:{}", server.port());
        NatsBackplane::new(url).unwrap().request_timeout(Duration::from_secs(1))
    };
    let untrusting = backplane().client_certificate(&certificate, &key).unwrap();
    let error = Node::start(untrusting).publish("a", "lost").await.unwrap_err();
    assert!(error.to_string().contains("invalid peer certificate"), "{error}");
    let anonymous = backplane().root_certificates(&certificate).unwrap();
    let error = Node::start(anonymous).publish("a", "lost").await.unwrap_err();
    assert!(matches!(error, BackplaneError::Disconnected(_)), "{error}");
    let trusted = backplane().root_certificates(&certificate).unwrap().client_certificate(&certificate, &key).unwrap();
    let node = Node::connected(trusted).await;
    node.subscribe("room").await.unwrap();
    node.round_trip("room", "hello").await;
}

#[tokio::test]
async fn payloads_above_the_limit_of_the_server_are_rejected() {
    let Some(server) = NatsServer::start(&[]) else { return };
    let node = Node::connected(nats(&server.address())).await;
    node.subscribe("room").await.unwrap();
    let error = node.publish("room", vec![0; 1024 * 1024 + 1]).await.unwrap_err();
    let text = "backplane rejected the request: payload of 1048577 bytes is longer than max_payload of the NATS \
                server, 1048576 bytes";
    assert_eq!(error.to_string(), text);
    node.round_trip("room", "hello").await;
    assert_eq!(node.received.lock().unwrap().len(), 1);
}

#[tokio::test]
async fn queue_is_bounded_while_the_server_is_missing() {
    let Some(server) = NatsServer::start(&[]) else { return };
    server.kill();
    let node = Node::start(nats(&server.address()).max_queued_bytes(10_000));
    for _ in 0..2 {
        let calls: Vec<_> = (0..20).map(|_| node.backplane.publish("room", vec![0; 1000].into())).collect();
        let results = within(join_all(calls)).await;
        let full = results.iter().filter(|result| **result == Err(BackplaneError::QueueFull)).count();
        let failed = results.iter().filter(|result| matches!(result, Err(BackplaneError::Disconnected(_)))).count();
        // 1,000 bytes, 4 of the name and 256 of the entry.
        assert_eq!((full, failed), (12, 8));
        // Calls that have timed out do not count any more.
    }
}

#[tokio::test]
async fn bursts_on_one_thread_are_received_completely() {
    const PAYLOADS: usize = 100_000;
    let Some(server) = NatsServer::start(&[]) else { return };
    let url = format!("nats://{}", server.address());
    let backplane = NatsBackplane::new(url).unwrap().max_queued_bytes(usize::MAX);
    let node = Node::connected(backplane.request_timeout(Duration::from_secs(30))).await;
    node.subscribe("room").await.unwrap();
    let calls = (0..PAYLOADS).map(|number| node.backplane.publish("room", number.to_string().into()));
    for result in within(join_all(calls)).await {
        result.unwrap();
    }
    until(|| node.received.lock().unwrap().len() == PAYLOADS).await;
    let received = node.received.lock().unwrap();
    assert!(received.iter().enumerate().all(|(number, (_, payload))| *payload == number.to_string()));
}

#[tokio::test]
async fn channels_of_any_length_are_subscribed() {
    let Some(server) = NatsServer::start(&[]) else { return };
    let node = Node::connected(nats(&server.address())).await;
    for channel in ["", "a", &"x".repeat(512), &"x".repeat(513), &"x".repeat(100_000)] {
        node.subscribe(channel).await.unwrap();
        node.round_trip(channel, "hello").await;
    }
    assert_eq!(node.received.lock().unwrap().len(), 5);
    assert_eq!(node.backplane.stats().interruptions, 0);
}

#[tokio::test]
async fn hub_on_two_servers_reaches_the_clients_of_both() {
    let Some(server) = NatsServer::start(&[]) else { return };
    let host = || {
        let backplane = NatsBackplane::new(format!("nats://{}", server.address())).unwrap();
        TestHost::builder(Ward).with(|builder| builder.backplane(backplane)).build()
    };
    let (north, south) = (host(), host());
    let nurse = north.connect(HubProtocolKind::Json, user("nurse")).await;
    let doctor = south.connect(HubProtocolKind::Json, user("doctor")).await;
    nurse.invoke::<()>("TellAll", ("hello",)).await.unwrap();
    for client in [&nurse, &doctor] {
        assert_eq!(client.receive::<(String,)>("Told").await, ("hello".to_owned(),));
    }
    north.context().clients().user("doctor").send("Told", ("only you",)).await.unwrap();
    assert_eq!(doctor.receive::<(String,)>("Told").await, ("only you".to_owned(),));
    assert_eq!(nurse.try_receive::<(String,)>("Told").await, None);
}

#[tokio::test]
async fn prefixes_separate_applications() {
    let Some(server) = NatsServer::start(&[]) else { return };
    let chat = Node::connected(nats(&server.address()).subject_prefix("chat").unwrap()).await;
    let games = Node::connected(nats(&server.address()).subject_prefix("games").unwrap()).await;
    chat.subscribe("room").await.unwrap();
    games.subscribe("room").await.unwrap();
    chat.round_trip("room", "hello").await;
    games.round_trip("room", "hi").await;
    let received = [&chat, &games].map(|node| node.received.lock().unwrap().len());
    assert_eq!(received, [1, 1]);
}

#[tokio::test]
async fn closed_backplanes_disconnect_while_the_server_is_missing() {
    let Some(server) = NatsServer::start(&[]) else { return };
    let node = Node::connected(nats(&server.address())).await;
    server.kill();
    node.ready(false).await;
    let published = node.backplane.publish("room", "lost".into());
    node.backplane.close();
    assert_eq!(within(published).await, Err(BackplaneError::Closed));
    let metrics = tokio::runtime::Handle::current().metrics();
    until(|| metrics.num_alive_tasks() == 0).await;
}

#[test]
fn wrong_options_are_errors() {
    let build = |url: &str| NatsBackplane::new(url).unwrap_err();
    for url in ["", "nats://", "nats://host:port", "nats://a,", "nats://[::1", "ws://host", "nats://a,redis://b"] {
        assert!(matches!(build(url), NatsConfigError::Url(_)), "{url:?}");
    }
    let host = || NatsBackplane::new("nats://host").unwrap();
    assert!(matches!(host().subject_prefix("a b"), Err(NatsConfigError::Prefix)));
    let certificate = std::fs::read(tls::file("certificate.pem")).unwrap();
    let key = std::fs::read(tls::file("key.pem")).unwrap();
    assert!(matches!(host().root_certificates("none"), Err(NatsConfigError::RootCertificates)));
    assert!(matches!(host().client_certificate("none", &key), Err(NatsConfigError::ClientCertificate)));
    assert!(matches!(host().client_certificate(&certificate, "none"), Err(NatsConfigError::ClientCertificate)));
    let backplane = host().root_certificates(&certificate).unwrap().client_certificate(certificate, key).unwrap();
    assert!(format!("{backplane:?}").contains(r#"servers: [("host", 4222)], prefix: "signalr""#), "{backplane:?}");
}
