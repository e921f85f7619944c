//! Cost of a broadcast to clients that read slowly: 100 broadcasts wait at once for capacity in the
//! queues of 100 to 10,000 connections, and each client in turn reads one message. The cost per
//! delivery must not grow with the number of receivers.
//!
//! Every run has 10,000 connections, on 100 servers, on 10 or on one, so that all runs use the same
//! amount of memory and the ratio shows the cost of a larger broadcast, not that of CPU cache
//! misses.
//!
//! `cargo bench --bench slow_receivers`. The clients take their server-sent events straight from
//! the service, so that neither sockets nor another process are measured. Each run ends after 20
//! seconds, finished or not.

#![expect(clippy::print_stdout, reason = "the benchmark prints its results")]

use std::pin::Pin;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use http::{Request, header};
use http_body::Body as _;
use http_body_util::BodyExt;
use signalr::hosting::{ResponseBody, Service};
use signalr::{SignalR, hub};
use tower::ServiceExt;

/// Numbers of connections that receive one broadcast.
const RECEIVERS: [usize; 3] = [100, 1000, 10_000];

/// Number of connections of a run, on all its servers.
const CONNECTIONS: usize = 10_000;

/// Number of broadcasts that wait at the same time.
const BROADCASTS: usize = 100;

/// Maximum time of a run.
const MAX_RUN: Duration = Duration::from_secs(20);

/// Longer than any run.
const NEVER: Duration = Duration::from_secs(24 * 60 * 60);

struct Bench;

#[hub]
impl Bench {}

fn main() {
    let mut first = None;
    for receivers in RECEIVERS {
        // Dropping the runtime also drops the broadcasts that still wait.
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        let (deliveries, elapsed) = runtime.block_on(run(receivers));
        let each = elapsed.as_secs_f64() / deliveries as f64;
        let ratio = each / *first.get_or_insert(each);
        let all = if deliveries == BROADCASTS * CONNECTIONS { "all" } else { "out of time with" };
        println!("{receivers:6} receivers: {:8.2} us a delivery, ratio {ratio:6.2} ({all} {deliveries})", each * 1e6);
        assert!(ratio < 3.0, "the cost of a delivery grows with the number of receivers");
    }
}

/// Number of messages that were read, and the time for them.
async fn run(receivers: usize) -> (usize, Duration) {
    let mut servers = Vec::new();
    let mut clients = Vec::with_capacity(CONNECTIONS);
    for _ in 0..CONNECTIONS / receivers {
        let signalr = SignalR::builder()
            .transport_max_buffer_size(1)
            .transport_send_timeout(NEVER)
            .keep_alive_interval(NEVER)
            .hub("/bench", Bench)
            .build()
            .expect("the server has one hub");
        for _ in 0..receivers {
            clients.push(connect(signalr.service()).await);
        }
        // The first broadcast fills the queues.
        for _ in 0..=BROADCASTS {
            let all = signalr.context::<Bench>().clients().all();
            tokio::spawn(async move { all.send("Tick", (42,)).await });
            tokio::task::yield_now().await;
        }
        servers.push(signalr);
    }
    let begun = Instant::now();
    let mut deliveries = 0;
    for _ in 0..BROADCASTS {
        for client in &mut clients {
            deliveries += read(client);
            tokio::task::yield_now().await;
            if begun.elapsed() > MAX_RUN {
                return (deliveries, begun.elapsed());
            }
        }
    }
    (deliveries, begun.elapsed())
}

/// Negotiates, opens an event stream and performs the handshake.
async fn connect(service: Service) -> ResponseBody {
    let send = |request: http::request::Builder, body: &'static str| {
        let request = request.body(ResponseBody::from(body)).expect("a request");
        let service = service.clone();
        async move { service.oneshot(request).await.expect("the service cannot fail").into_body() }
    };
    let negotiated = send(Request::post("/bench/negotiate?negotiateVersion=1"), "").await;
    let negotiated = negotiated.collect().await.expect("a complete body").to_bytes();
    let negotiated: serde_json::Value = serde_json::from_slice(&negotiated).expect("JSON");
    let target = format!("/bench?id={}", negotiated["connectionToken"].as_str().expect("a token"));
    let mut events = send(Request::get(&target).header(header::ACCEPT, "text/event-stream"), "").await;
    send(Request::post(&target), "{\"protocol\":\"json\",\"version\":1}\u{1e}").await;
    while read(&mut events) == 0 {
        tokio::task::yield_now().await;
    }
    events
}

/// Reads all available data and returns the number of messages in it.
fn read(events: &mut ResponseBody) -> usize {
    let mut messages = 0;
    let mut cx = Context::from_waker(Waker::noop());
    while let Poll::Ready(frame) = Pin::new(&mut *events).poll_frame(&mut cx) {
        let bytes = frame.expect("the stream stays open").expect("the client reads in time").into_data();
        messages += bytes.expect("there are no trailers").iter().filter(|byte| **byte == 0x1e).count();
    }
    messages
}
