//! A model of stateful reconnect: for any sequence of actions of the client and the network, no
//! message is lost or duplicated, and no wait is endless.

mod client;
mod socket;

use std::sync::Mutex;

use futures_util::stream;
use proptest::prelude::*;
use proptest::test_runner::{Config, TestCaseError};

use self::client::ModelClient;
use self::socket::{ClientIo, Socket};
use super::*;

/// The default; the variable `PROPTEST_CASES` overrides it.
const CASES: u32 = 2000;

/// One action of the client, the network or another sender.
#[derive(Clone, Debug)]
enum Step {
    Echo(usize),
    /// A call that requests a client result.
    Ask,
    /// The method sends a message of this size before it reads the stream; none of size 0.
    OpenUpload(usize),
    Item(usize),
    CompleteUpload,
    OpenStream(usize),
    CancelStream,
    Broadcast(usize),
    Acknowledge,
    /// Delivers this number of written bytes to the server, in one WebSocket message.
    Deliver(usize),
    DeliverAll,
    /// The client reads all available bytes.
    Read,
    /// Loses the socket within a WebSocket frame, after this number of bytes.
    Cut(usize),
    Pause(u64),
}

fn step() -> impl Strategy<Value = Step> {
    let size = || prop_oneof![3 => 0..20_usize, 2 => 100..700_usize];
    prop_oneof![
        4 => size().prop_map(Step::Echo),
        1 => Just(Step::Ask),
        1 => prop_oneof![Just(0), 100..1500_usize].prop_map(Step::OpenUpload),
        4 => size().prop_map(Step::Item),
        1 => Just(Step::CompleteUpload),
        1 => (0..8_usize).prop_map(Step::OpenStream),
        1 => Just(Step::CancelStream),
        2 => size().prop_map(Step::Broadcast),
        3 => Just(Step::Acknowledge),
        4 => (1..200_usize).prop_map(Step::Deliver),
        2 => Just(Step::DeliverAll),
        3 => Just(Step::Read),
        1 => (0..60_usize).prop_map(Step::Cut),
        1 => (1..700_u64).prop_map(Step::Pause),
    ]
}

#[derive(Clone, Debug)]
struct Case {
    format: HubProtocolKind,
    /// Over a pipe in memory, each write of the server wakes the task of the connection. Over TCP,
    /// other tasks write without waking it.
    over_tcp: bool,
    parallel: usize,
    /// Bytes that the server reads ahead. With a small value, the server may not find an Ack behind
    /// a held call.
    read_ahead: usize,
    /// Whether the client acknowledges all messages in the end.
    acknowledges: bool,
    steps: Vec<Step>,
}

fn case() -> impl Strategy<Value = Case> {
    let format = prop_oneof![Just(HubProtocolKind::Json), Just(HubProtocolKind::MessagePack)];
    let parallel = prop_oneof![3 => Just(1_usize), 1 => Just(3)];
    let read_ahead = prop_oneof![3 => Just(1 << 20), 1 => 1..2000_usize];
    let flags = (prop::bool::weighted(0.3), prop::bool::weighted(0.9));
    (format, flags, parallel, read_ahead, prop::collection::vec(step(), 1..60)).prop_map(
        |(format, (over_tcp, acknowledges), parallel, read_ahead, steps)| Case {
            format,
            over_tcp,
            parallel,
            read_ahead,
            acknowledges,
            steps,
        },
    )
}

/// The hub, which records its echoes.
struct Model {
    echoed: Arc<Mutex<Vec<usize>>>,
}

#[hub]
impl Model {
    fn echo(&self, number: usize, text: String) -> (usize, usize) {
        self.echoed.lock().unwrap().push(number);
        (number, text.len())
    }

    async fn ask(&self, caller: &Caller<Self>, number: usize) -> HubResult<usize> {
        Ok(caller.client().invoke("Question", (number,)).await?)
    }

    async fn numbers(
        &self,
        caller: &Caller<Self>,
        announced: usize,
        mut items: UploadStream<(usize, String)>,
    ) -> HubResult<Vec<usize>> {
        if announced > 0 {
            caller.client().send("Announced", ("x".repeat(announced),)).await?;
        }
        let mut numbers = Vec::new();
        while let Some(item) = items.next().await {
            numbers.push(item?.0);
        }
        Ok(numbers)
    }

    fn count(&self, to: usize) -> impl futures_util::Stream<Item = (usize, String)> + use<> {
        stream::iter((0..to).map(|n| (n, "x".repeat(n * 50))))
    }
}

/// The server of one case.
struct Server {
    signalr: SignalR,
    echoed: Arc<Mutex<Vec<usize>>>,
    /// `None` for pipes in memory.
    addr: Option<SocketAddr>,
}

impl Server {
    fn new(case: &Case) -> Self {
        let echoed = Arc::default();
        let hub = Model { echoed: Arc::clone(&echoed) };
        let signalr = SignalR::builder()
            .hub("/model", hub)
            .allow_stateful_reconnects(true)
            .stateful_reconnect_buffer_size(1000)
            .transport_max_buffer_size(1500)
            .application_max_buffer_size(case.read_ahead)
            .stream_buffer_capacity(2)
            .maximum_parallel_invocations_per_client(case.parallel)
            .build()
            .unwrap();
        let addr = case.over_tcp.then(|| serve_with_small_buffers(&signalr));
        Self { signalr, echoed, addr }
    }

    async fn connect(&self) -> Box<dyn ClientIo> {
        if let Some(addr) = self.addr {
            let socket = TcpSocket::new_v4().unwrap();
            socket.set_recv_buffer_size(4096).unwrap();
            socket.set_nodelay(true).unwrap();
            return Box::new(socket.connect(addr).await.unwrap());
        }
        let (client, server) = tokio::io::duplex(3000);
        let service = self.signalr.service();
        tokio::spawn(async move {
            let _ = http1::Builder::new().serve_connection(TokioIo::new(server), service).with_upgrades().await;
        });
        Box::new(client)
    }

    async fn negotiate(&self) -> String {
        let mut io = self.connect().await;
        let target = "/model/negotiate?negotiateVersion=1&useStatefulReconnect=true";
        let request = format!("POST {target} HTTP/1.1\r\nhost: test\r\nconnection: close\r\n\r\n");
        io.write_all(request.as_bytes()).await.unwrap();
        let mut response = String::new();
        io.read_to_string(&mut response).await.unwrap();
        token(response.split_once("\r\n\r\n").unwrap().1)
    }

    async fn open(&self, token: &str) -> Socket {
        let mut socket = Socket { io: self.connect().await, to_write: Vec::new(), read: Vec::new() };
        let request = format!(
            "GET /model?id={token} HTTP/1.1\r\nhost: test\r\nconnection: upgrade\r\nupgrade: websocket\r\n\
            sec-websocket-version: 13\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
        );
        socket.to_write.extend_from_slice(request.as_bytes());
        for _ in 0..10 {
            socket.pump(true).await;
            if let Some(end) = socket.read.windows(4).position(|end| end == b"\r\n\r\n") {
                assert!(socket.read.starts_with(b"HTTP/1.1 101"));
                socket.read.drain(..end + 4);
                return socket;
            }
        }
        panic!("the connection cannot be resumed");
    }

    fn broadcast(&self, number: usize, size: usize) {
        let hub: HubContext<Model> = self.signalr.context();
        tokio::spawn(async move {
            let _ = hub.clients().all().send("Told", (number, "x".repeat(size))).await;
        });
    }
}

async fn run(case: &Case) -> Result<(), TestCaseError> {
    let server = Server::new(case);
    let mut client = ModelClient::connect(&server, case.format).await;
    // A client without acknowledgements for 5 s may be disconnected.
    let mut pauses = 0;
    for step in &case.steps {
        client.step(step, &server);
        match *step {
            Step::Deliver(count) => client.deliver(count),
            Step::DeliverAll => client.deliver(usize::MAX),
            Step::Cut(partial) => client.cut(partial, &server).await,
            Step::Pause(milliseconds) if pauses < 4 => {
                pauses += 1;
                tokio::time::sleep(Duration::from_millis(milliseconds)).await;
            }
            _ => {}
        }
        client.socket.pump(matches!(step, Step::Read)).await;
        client.receive();
    }
    while !client.uploads.is_empty() {
        client.step(&Step::CompleteUpload, &server);
    }
    for _ in 0..200 {
        if case.acknowledges {
            client.step(&Step::Acknowledge, &server);
        }
        client.deliver(usize::MAX);
        client.socket.pump(true).await;
        client.receive();
        if client.is_done() || client.close.is_some() {
            break;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    let echoed = server.echoed.lock().unwrap().clone();
    prop_assert!(echoed.iter().copied().eq(0..echoed.len()), "{:?}", echoed);
    match &client.close {
        Some(close) => {
            prop_assert!(!case.acknowledges || case.read_ahead < 2000, "{}", close);
            prop_assert_eq!(&close["error"], "Connection closed with an error.");
        }
        None => {
            prop_assert!(client.is_done(), "missing: {:?}, {:?}", client.expected, client.broadcasts);
            prop_assert_eq!(echoed.len(), client.echoes);
        }
    }
    Ok(())
}

#[test]
fn messages_are_neither_lost_nor_duplicated_nor_stuck() {
    let cases = std::env::var("PROPTEST_CASES").ok().and_then(|cases| cases.parse().ok()).unwrap_or(CASES);
    let config = Config { cases, failure_persistence: None, max_shrink_iters: 4000, ..Config::default() };
    proptest!(config, |(case in case())| {
        // Sockets are polled at each turn of the scheduler, before paused time advances.
        let mut runtime = tokio::runtime::Builder::new_current_thread();
        let runtime = runtime.enable_all().start_paused(true).event_interval(1).build().unwrap();
        runtime.block_on(run(&case))?;
    });
}
