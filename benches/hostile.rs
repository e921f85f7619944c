//! Cost of hostile messages, as a ratio to an ordinary one of the same size and hub protocol.
//!
//! `cargo bench --bench hostile`; `-- headers` runs the shapes whose names contain `headers`. The
//! benchmark fails if a shape costs more than 3 times the ordinary message, which is the echo of a
//! list of small numbers. Each message passes HTTP, the WebSocket and the session, on an in-memory
//! stream. The fastest of several runs counts, so that other load on the machine has little effect.

#![expect(clippy::print_stdout, reason = "the benchmark prints its results")]

#[path = "hostile/json.rs"]
mod json;
#[path = "hostile/messagepack.rs"]
mod messagepack;

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use futures_util::{SinkExt, StreamExt};
use hyper_util::rt::TokioIo;
use serde::{Deserialize, Serialize};
// Parameter type for any value.
use signalr::dotnet::Value as Dynamic;
use signalr::dotnet::{DateTime, Decimal, Guid, Naming, TimeSpan};
use signalr::protocol::{Framer, HubMessage, HubProtocol, HubProtocolKind, handshake};
use signalr::{HubResult, SignalR, UploadStream, hub};
use tokio::io::DuplexStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::{WebSocketStream, client_async};

/// Size of a message in bytes, below the default of `maximum_receive_message_size`.
const SIZE: usize = 32_000;

/// Maximum ratio to the cost of the ordinary message.
const MAX_RATIO: f64 = 3.0;

/// Number of runs of each shape.
const RUNS: usize = 15;

struct Bench;

#[derive(Serialize, Deserialize)]
#[serde(default)]
#[derive(Default)]
struct Person {
    name: Option<String>,
    age: i32,
    home_address: Option<String>,
    favourite_colour: i32,
    tags: Vec<String>,
    friend: Option<Box<Self>>,
}

#[hub]
impl Bench {
    fn echo(&self, value: Dynamic) -> Dynamic {
        value
    }

    fn person(&self, value: Person) -> Person {
        value
    }

    fn doubles(&self, values: Vec<f64>) -> Vec<f64> {
        values
    }

    fn decimals(&self, values: Vec<Decimal>) -> Vec<Decimal> {
        values
    }

    fn guids(&self, values: Vec<Guid>) -> Vec<Guid> {
        values
    }

    fn dates(&self, values: Vec<DateTime>) -> Vec<DateTime> {
        values
    }

    fn spans(&self, values: Vec<TimeSpan>) -> Vec<TimeSpan> {
        values
    }

    fn map(&self, values: BTreeMap<String, i32>) -> BTreeMap<String, i32> {
        values
    }

    fn nothing(&self) {}

    async fn wait(&self, mut items: UploadStream<Dynamic>) -> HubResult {
        while items.next().await.transpose()?.is_some() {}
        Ok(())
    }
}

/// One WebSocket frame, which may contain many messages.
struct Shape {
    name: &'static str,
    /// Messages that are sent first and not measured.
    before: Vec<u8>,
    bytes: Vec<u8>,
}

fn main() {
    let filter = std::env::args().skip(1).find(|argument| !argument.starts_with('-')).unwrap_or_default();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime of one thread");
    let mut failures = 0;
    for naming in [Naming::Serde, Naming::DotNet] {
        for (format, shapes) in
            [(HubProtocolKind::Json, json::shapes()), (HubProtocolKind::MessagePack, messagepack::shapes())]
        {
            let protocol = HubProtocol::new(format, naming);
            let (ordinary, hostile) = shapes.split_first().expect("the ordinary message comes first");
            let unit = runtime.block_on(cost(protocol, ordinary)).as_secs_f64();
            println!("{} {naming:?}: {} takes {:.0} us", format.name(), ordinary.name, unit * 1e6);
            for shape in hostile.iter().filter(|shape| shape.name.contains(&filter)) {
                let ratio = runtime.block_on(cost(protocol, shape)).as_secs_f64() / unit;
                failures += u32::from(ratio > MAX_RATIO);
                println!("{ratio:8.2}{} {}", if ratio > MAX_RATIO { " !" } else { "  " }, shape.name);
            }
        }
    }
    assert_eq!(failures, 0, "shapes cost more than {MAX_RATIO} times the ordinary message");
}

/// Time from the first byte of a message until the server has processed all of it.
async fn cost(protocol: HubProtocol, shape: &Shape) -> Duration {
    let signalr =
        SignalR::builder().naming(protocol.naming()).hub("/bench", Bench).build().expect("the server has one hub");
    let mut fastest = Duration::MAX;
    for _ in 0..RUNS {
        let mut client = Client::connect(&signalr, protocol).await;
        client.send_and_wait(&shape.before).await;
        // The first pass warms up the connection.
        for _ in 0..3 {
            let began = Instant::now();
            let is_open = client.send_and_wait(&shape.bytes).await;
            fastest = fastest.min(began.elapsed());
            if !is_open {
                break;
            }
        }
    }
    fastest
}

struct Client {
    protocol: HubProtocol,
    ws: WebSocketStream<DuplexStream>,
    framer: Framer,
}

impl Client {
    async fn connect(signalr: &SignalR, protocol: HubProtocol) -> Self {
        let (client, server) = tokio::io::duplex(256 * 1024);
        let service = signalr.service();
        tokio::spawn(async move {
            let http = hyper::server::conn::http1::Builder::new();
            let _ = http.serve_connection(TokioIo::new(server), service).with_upgrades().await;
        });
        let (ws, _) = client_async("ws://test/bench", client).await.expect("the server accepts WebSockets");
        let mut client = Self { protocol, ws, framer: Framer::new(protocol.kind(), None) };
        let mut request = Vec::new();
        handshake::write_request(&mut request, protocol.kind().name(), 1);
        client.send(request).await;
        client.ws.next().await.expect("an open connection").expect("a handshake response");
        client
    }

    async fn send(&mut self, bytes: Vec<u8>) {
        let message = match self.protocol.kind().is_binary() {
            true => Message::binary(bytes),
            false => Message::text(String::from_utf8(bytes).expect("JSON is text")),
        };
        self.ws.send(message).await.expect("the stream is open");
    }

    /// Sends a frame with an invocation after its content, and waits for the completion, which
    /// shows that the frame has been processed. Returns `false` if the connection ended.
    async fn send_and_wait(&mut self, bytes: &[u8]) -> bool {
        let mut all = bytes.to_vec();
        self.protocol.write_invocation(&mut all, Some(LAST), "Nothing", &()).expect("there are no arguments");
        self.send(all).await;
        loop {
            let Some(Ok(received)) = self.ws.next().await else { return false };
            let received = received.into_data();
            let mut rest = &received[..];
            while let Some(frame) = self.framer.next(&mut rest).expect("the framing of the server is valid") {
                match self.protocol.parse(frame, |_| true) {
                    Ok(Some(HubMessage::Completion { id, .. })) if id == LAST => return true,
                    Ok(Some(HubMessage::Close { .. })) => return false,
                    _ => {}
                }
            }
        }
    }
}

/// Invocation id of the invocation after each frame.
const LAST: &str = "last";

/// Repeats complete items between two texts, up to `SIZE` bytes.
fn fill(before: &str, item: impl Fn(usize) -> String, after: &str) -> String {
    let mut text = before.to_owned();
    for at in 0.. {
        let next = item(at);
        if text.len() + next.len() + after.len() > SIZE {
            break;
        }
        text += &next;
    }
    text + after
}
