//! Server shutdown, and notification of the hub at every end of a connection.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use signalr::hosting::ResponseBody;
use signalr::{Caller, DisconnectReason, HubProtocolKind, SignalR, hub};
use signalr_test_support::{Client, End, negotiate, serve, until, within};
use tokio::io::AsyncWriteExt;
use tokio::sync::Semaphore;
use tower::ServiceExt;

/// Records connects, disconnects and calls.
struct ConnectionCounter {
    connected: AtomicUsize,
    /// Type names of the disconnect reasons.
    disconnected: Mutex<Vec<Option<String>>>,
    waiting: AtomicUsize,
    gate: Semaphore,
    finished: AtomicUsize,
    dropped: AtomicUsize,
}

impl ConnectionCounter {
    fn new() -> Arc<Self> {
        Arc::new(Self {
            connected: AtomicUsize::new(0),
            disconnected: Mutex::default(),
            waiting: AtomicUsize::new(0),
            gate: Semaphore::new(0),
            finished: AtomicUsize::new(0),
            dropped: AtomicUsize::new(0),
        })
    }

    fn disconnected(&self) -> Vec<Option<String>> {
        self.disconnected.lock().unwrap().clone()
    }

    async fn until_called(&self) {
        until(|| self.waiting.load(Ordering::SeqCst) == 1).await;
    }
}

#[hub]
impl ConnectionCounter {
    fn on_connected(&self) {
        self.connected.fetch_add(1, Ordering::SeqCst);
    }

    fn on_disconnected(&self, _caller: &Caller<Self>, reason: Option<&DisconnectReason>) {
        self.disconnected.lock().unwrap().push(reason.map(|reason| reason.type_name().to_owned()));
    }

    async fn echo(&self, text: String) -> String {
        text
    }

    fn abort(&self, caller: &Caller<Self>) {
        caller.abort();
    }

    /// Returns when the gate opens.
    async fn wait(&self) {
        let _guard = CountDrop(&self.dropped);
        self.waiting.fetch_add(1, Ordering::SeqCst);
        self.gate.acquire().await.unwrap().forget();
        self.finished.fetch_add(1, Ordering::SeqCst);
    }
}

struct CountDrop<'a>(&'a AtomicUsize);

impl Drop for CountDrop<'_> {
    fn drop(&mut self) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

async fn server(counter: &Arc<ConnectionCounter>) -> (SignalR, SocketAddr) {
    let signalr = SignalR::builder().hub("/counter", Arc::clone(counter)).build().unwrap();
    let addr = serve(&signalr).await;
    (signalr, addr)
}

fn begin_shutdown(signalr: &SignalR, grace: Duration) -> tokio::task::JoinHandle<Duration> {
    let signalr = signalr.clone();
    tokio::spawn(async move {
        let began = Instant::now();
        signalr.shutdown(grace).await;
        began.elapsed()
    })
}

/// The Close message and the close frame of a shutdown.
fn reconnect_close() -> (Value, End) {
    (json!({ "type": 7, "allowReconnect": true }), End::Closed(1000))
}

const LONG: Duration = Duration::from_secs(60);

#[tokio::test]
async fn shutdown_asks_clients_to_reconnect_and_rejects_new_connections() {
    let counter = ConnectionCounter::new();
    let (signalr, addr) = server(&counter).await;
    let mut clients = Vec::new();
    for format in HubProtocolKind::ALL.iter().cycle().copied().take(10) {
        let mut client = Client::connect(addr, "/counter", format).await;
        client.echo("here").await;
        clients.push(client);
    }

    let shutdown = begin_shutdown(&signalr, LONG);
    for client in &mut clients {
        assert_eq!(client.last().await, reconnect_close());
    }
    within(shutdown).await.unwrap();
    assert_eq!(counter.disconnected(), vec![None; 10]);
    assert_eq!(signalr.connection_count(), 0);

    let negotiate = http::Request::post("/counter/negotiate?negotiateVersion=1");
    let websocket = http::Request::get("/counter")
        .header("connection", "upgrade")
        .header("upgrade", "websocket")
        .header("sec-websocket-version", "13")
        .header("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ==");
    for request in [negotiate, websocket] {
        let response = signalr.service().oneshot(request.body(ResponseBody::default()).unwrap()).await.unwrap();
        assert_eq!(response.status(), 503);
    }
    within(tokio::net::TcpStream::connect(addr)).await.unwrap_err();
}

#[tokio::test]
async fn shutdown_removes_negotiated_connections() {
    let (signalr, addr) = server(&ConnectionCounter::new()).await;
    negotiate(addr, "/counter").await;
    assert_eq!(signalr.connection_count(), 1);
    within(signalr.shutdown(LONG)).await;
    assert_eq!(signalr.connection_count(), 0);
}

#[tokio::test]
async fn shutdown_waits_for_running_calls() {
    let counter = ConnectionCounter::new();
    let (signalr, addr) = server(&counter).await;
    let mut client = Client::connect(addr, "/counter", HubProtocolKind::Json).await;
    client.call(Some("1"), "Wait", &[]).await;
    counter.until_called().await;

    let shutdown = begin_shutdown(&signalr, LONG);
    assert_eq!(client.next().await, Some(reconnect_close().0));
    assert!(!shutdown.is_finished());
    assert_eq!(counter.finished.load(Ordering::SeqCst), 0);
    counter.gate.add_permits(1);
    assert_eq!(client.end().await, reconnect_close().1);
    within(shutdown).await.unwrap();
    assert_eq!((counter.finished.load(Ordering::SeqCst), counter.disconnected()), (1, vec![None]));
}

#[tokio::test]
async fn shutdown_drops_running_calls_after_the_grace_period() {
    const GRACE: Duration = Duration::from_millis(300);
    let counter = ConnectionCounter::new();
    let (signalr, addr) = server(&counter).await;
    let mut client = Client::connect(addr, "/counter", HubProtocolKind::Json).await;
    client.call(Some("1"), "Wait", &[]).await;
    counter.until_called().await;

    let took = within(begin_shutdown(&signalr, GRACE)).await.unwrap();
    assert!((GRACE..GRACE * 5).contains(&took), "{took:?}");
    assert_eq!((counter.finished.load(Ordering::SeqCst), counter.dropped.load(Ordering::SeqCst)), (0, 1));
    assert_eq!(client.next().await, Some(reconnect_close().0));
    client.end().await;
    assert_eq!(signalr.connection_count(), 0);
}

#[tokio::test]
async fn hub_is_notified_of_a_shutdown_during_a_running_call() {
    let counter = ConnectionCounter::new();
    let (signalr, addr) = server(&counter).await;
    let mut client = Client::connect(addr, "/counter", HubProtocolKind::Json).await;
    client.call(Some("1"), "Wait", &[]).await;
    counter.until_called().await;
    within(signalr.shutdown(Duration::from_millis(300))).await;
    assert_eq!(counter.disconnected(), [None]);
}

#[tokio::test]
async fn unresponsive_client_delays_shutdown_by_the_grace_period_at_most() {
    const GRACE: Duration = Duration::from_millis(300);
    let counter = ConnectionCounter::new();
    let (signalr, addr) = server(&counter).await;
    let silent = Client::connect(addr, "/counter", HubProtocolKind::Json).await;
    until(|| counter.connected.load(Ordering::SeqCst) == 1).await;
    let took = within(begin_shutdown(&signalr, GRACE)).await.unwrap();
    assert!((GRACE..GRACE * 5).contains(&took), "{took:?}");
    assert_eq!(counter.disconnected(), [None]);
    drop(silent);
}

#[tokio::test]
async fn connection_before_its_handshake_does_not_delay_shutdown() {
    let counter = ConnectionCounter::new();
    let (signalr, addr) = server(&counter).await;
    let mut half_open = Client::open(addr, "/counter", HubProtocolKind::Json).await;
    let took = within(begin_shutdown(&signalr, LONG)).await.unwrap();
    assert!(took < Duration::from_secs(5), "{took:?}");
    half_open.end().await;
    assert_eq!((counter.connected.load(Ordering::SeqCst), counter.disconnected()), (0, vec![]));
}

/// Ends one connection by `end`, and checks that the hub is notified once, with this reason.
async fn assert_reported_once(format: HubProtocolKind, reason: Option<&str>, end: impl AsyncFnOnce(Client, &SignalR)) {
    let counter = ConnectionCounter::new();
    let signalr = SignalR::builder()
        .client_timeout_interval(Duration::from_secs(1))
        .web_socket_close_timeout(Duration::from_millis(200))
        .hub("/counter", Arc::clone(&counter))
        .build()
        .unwrap();
    let addr = serve(&signalr).await;
    let mut client = Client::connect(addr, "/counter", format).await;
    client.echo("here").await;
    end(client, &signalr).await;
    until(|| signalr.connection_count() == 0 && !counter.disconnected().is_empty()).await;
    // After a shutdown, no task is left that could notify the hub again.
    within(signalr.shutdown(Duration::from_secs(1))).await;
    assert_eq!(
        (counter.connected.load(Ordering::SeqCst), counter.disconnected()),
        (1, vec![reason.map(str::to_owned)]),
        "{format:?}"
    );
}

#[tokio::test]
async fn client_close_is_reported_to_the_hub_once() {
    for &format in HubProtocolKind::ALL {
        assert_reported_once(format, None, async |client, _| client.close().await).await;
        assert_reported_once(format, None, async |mut client, _| {
            client.send_close_message().await;
            assert_eq!(client.last().await, (json!({ "type": 7 }), End::Closed(1000)));
        })
        .await;
    }
}

#[tokio::test]
async fn lost_connection_is_reported_to_the_hub_once() {
    for &format in HubProtocolKind::ALL {
        assert_reported_once(format, None, async |client, _| drop(client)).await;
        // The socket is reset.
        assert_reported_once(format, None, async |mut client, _| client.socket().set_zero_linger().unwrap()).await;
        assert_reported_once(format, Some("InvalidDataException"), async |mut client, _| {
            let half = if format.is_binary() { vec![9, 1] } else { b"{\"type\"".to_vec() };
            client.send(&half).await;
        })
        .await;
    }
}

#[tokio::test]
async fn abort_is_reported_to_the_hub_once() {
    for &format in HubProtocolKind::ALL {
        assert_reported_once(format, None, async |mut client, _| {
            client.call(Some("1"), "Abort", &[]).await;
            assert_eq!(client.last().await, (json!({ "type": 7 }), End::Closed(1000)));
        })
        .await;
    }
}

#[tokio::test]
async fn client_timeout_is_reported_to_the_hub_once() {
    assert_reported_once(HubProtocolKind::Json, Some("OperationCanceledException"), async |mut client, _| {
        client.send(b"{\"type\":6}\x1e").await;
        let expected = json!({ "type": 7, "error": "Connection closed with an error.", "allowReconnect": true });
        assert_eq!(client.last().await, (expected, End::Closed(1000)));
    })
    .await;
}

#[tokio::test]
async fn protocol_error_is_reported_to_the_hub_once() {
    for &format in HubProtocolKind::ALL {
        let (bad, reason) = match format.is_binary() {
            true => ([0xff; 5].as_slice(), "FormatException"),
            false => (b"[]\x1e".as_slice(), "InvalidDataException"),
        };
        assert_reported_once(format, Some(reason), async |mut client, _| {
            client.send(bad).await;
            let expected = json!({ "type": 7, "error": "Connection closed with an error.", "allowReconnect": true });
            assert_eq!(client.last().await, (expected, End::Closed(1000)));
        })
        .await;
        assert_reported_once(format, Some("WebSocketException"), async |mut client, _| {
            within(client.socket().write_all(&[0xff; 20])).await.unwrap();
            assert_eq!(client.end().await, End::Closed(1002));
        })
        .await;
    }
}

#[tokio::test]
async fn shutdown_is_reported_to_the_hub_once() {
    for &format in HubProtocolKind::ALL {
        assert_reported_once(format, None, async |mut client, signalr| {
            let shutdown = begin_shutdown(signalr, LONG);
            assert_eq!(client.last().await, reconnect_close());
            within(shutdown).await.unwrap();
        })
        .await;
    }
}
