//! Cost of messages over sockets: broadcasts to many WebSockets, invocations with results, and new
//! connections, all on the loopback interface, with the clients in the same process.
//!
//! `cargo bench --bench broadcast`; `-- broadcast` runs one group, `-- --quick` takes less time and
//! is less precise. To measure a server alone, load it from another machine.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use criterion::{BenchmarkId, Criterion, Throughput};
use futures_util::{SinkExt, StreamExt};
use signalr::protocol::{Framer, HubProtocol, HubProtocolKind, Naming, handshake};
use signalr::{HubContext, SignalR, hub};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Runtime;
use tokio::sync::Semaphore;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use tokio_tungstenite::{WebSocketStream, client_async_with_config};

/// Numbers of connections that receive a broadcast.
const RECEIVERS: [u32; 3] = [1, 100, 1000];

/// Number of invocations that are sent at once.
const BURST: usize = 100;

/// Longer than any run, since pings would be counted as messages.
const NEVER: Duration = Duration::from_secs(24 * 60 * 60);

struct Bench;

#[hub]
impl Bench {
    async fn echo(&self, text: String) -> String {
        text
    }
}

fn main() {
    let mut criterion = Criterion::default()
        .sample_size(20)
        .warm_up_time(Duration::from_millis(500))
        .measurement_time(Duration::from_secs(2))
        .configure_from_args();
    let runtime = Runtime::new().expect("threads can be started");
    let (addr, hub) = runtime.block_on(serve());
    broadcast(&mut criterion, &runtime, addr, &hub);
    echo(&mut criterion, &runtime, addr);
    connect(&mut criterion, &runtime, addr);
    criterion.final_summary();
}

async fn serve() -> (SocketAddr, HubContext<Bench>) {
    let signalr =
        SignalR::builder().keep_alive_interval(NEVER).hub("/bench", Bench).build().expect("the server has one hub");
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let addr = listener.local_addr().expect("the listener is bound");
    let hub = signalr.context();
    tokio::spawn(signalr.serve(listener));
    (addr, hub)
}

/// One `send` to all, until the last client has received it. Half of the clients use each hub
/// protocol.
fn broadcast(criterion: &mut Criterion, runtime: &Runtime, addr: SocketAddr, hub: &HubContext<Bench>) {
    let mut group = criterion.benchmark_group("broadcast");
    for receivers in RECEIVERS {
        let received = Arc::new(Semaphore::new(0));
        let clients: Vec<_> = runtime.block_on(async {
            let mut clients = Vec::new();
            for format in HubProtocolKind::ALL.iter().cycle().copied().take(receivers as usize) {
                let client = Client::connect(addr, format).await;
                clients.push(tokio::spawn(client.count(Arc::clone(&received))));
            }
            clients
        });
        group.throughput(Throughput::Elements(receivers.into()));
        group.bench_function(BenchmarkId::from_parameter(receivers), |bencher| {
            bencher.iter(|| {
                runtime.block_on(async {
                    hub.clients().all().send("Tick", ("a short text", 42)).await.expect("the arguments can be encoded");
                    received.acquire_many(receivers).await.expect("the semaphore is never closed").forget();
                });
            });
        });
        runtime.block_on(async {
            for client in clients {
                client.abort();
                // The socket is closed when the task has ended.
                let _ = client.await;
            }
            while hub.connection_count() > 0 {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        });
    }
    group.finish();
}

/// Invocations with results on one connection: one at a time, and many at once.
fn echo(criterion: &mut Criterion, runtime: &Runtime, addr: SocketAddr) {
    let mut group = criterion.benchmark_group("echo");
    for (format, calls) in HubProtocolKind::ALL.iter().flat_map(|format| [(*format, 1), (*format, BURST)]) {
        let mut client = runtime.block_on(Client::connect(addr, format));
        let mut messages = Vec::new();
        for _ in 0..calls {
            client.protocol.write_invocation(&mut messages, Some("1"), "Echo", &("a short text",)).expect("a text");
        }
        group.throughput(Throughput::Elements(calls as u64));
        group.bench_function(BenchmarkId::new(format.name(), calls), |bencher| {
            bencher.iter(|| {
                runtime.block_on(async {
                    client.send(&messages).await;
                    let mut completions = 0;
                    while completions < calls {
                        completions += client.receive().await.expect("the connection stays open");
                    }
                });
            });
        });
    }
    group.finish();
}

/// TCP connection, upgrade and handshake, without negotiate.
fn connect(criterion: &mut Criterion, runtime: &Runtime, addr: SocketAddr) {
    criterion.bench_function("connect", |bencher| {
        bencher.iter(|| runtime.block_on(Client::connect(addr, HubProtocolKind::Json)));
    });
}

/// Minimal client.
struct Client {
    socket: WebSocketStream<TcpStream>,
    protocol: HubProtocol,
    framer: Framer,
}

impl Client {
    /// Connects and waits for the handshake response.
    async fn connect(addr: SocketAddr, format: HubProtocolKind) -> Self {
        let stream = TcpStream::connect(addr).await.expect("the server listens");
        stream.set_nodelay(true).expect("a TCP socket");
        // Reset the connection on close, without TIME_WAIT: a run makes more connections than there
        // are ports.
        stream.set_zero_linger().expect("a TCP socket");
        // The default buffers of 128 KiB for each of a thousand clients would be measured, too.
        let config = WebSocketConfig::default().read_buffer_size(4096).write_buffer_size(0);
        let url = format!("ws://{addr}/bench");
        let (socket, _) =
            client_async_with_config(url, stream, Some(config)).await.expect("the server accepts WebSockets");
        let protocol = HubProtocol::new(format, Naming::Serde);
        let mut client = Self { socket, protocol, framer: Framer::new(HubProtocolKind::Json, None) };
        let mut request = Vec::new();
        handshake::write_request(&mut request, format.name(), 1);
        let request = String::from_utf8(request).expect("handshakes are text");
        client.socket.send(Message::text(request)).await.expect("the server reads");
        assert_eq!(client.receive().await, Some(1), "one handshake response");
        client.framer = Framer::new(format, None);
        client
    }

    async fn send(&mut self, messages: &[u8]) {
        let message = if self.protocol.kind().is_binary() {
            Message::binary(messages.to_vec())
        } else {
            Message::text(str::from_utf8(messages).expect("JSON is text"))
        };
        self.socket.send(message).await.expect("the server reads");
    }

    /// Receives a WebSocket message and returns the number of hub messages that it completes.
    async fn receive(&mut self) -> Option<usize> {
        let message = self.socket.next().await?.ok()?;
        let bytes = message.into_data();
        let mut input = &bytes[..];
        let mut count = 0;
        while self.framer.next(&mut input).ok()?.is_some() {
            count += 1;
        }
        Some(count)
    }

    /// Adds a permit for each received hub message.
    async fn count(mut self, received: Arc<Semaphore>) {
        while let Some(count) = self.receive().await {
            received.add_permits(count);
        }
    }
}
