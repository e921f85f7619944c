//! Streams, uploads and client results in unusual situations: limits, cancellation and cleanup.

mod client_results;
mod limits;
mod server_streams;
mod uploads;

use std::future::pending;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use futures_util::{Stream, StreamExt, stream};
use hyper::server::conn::http1;
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use signalr::hosting::EndpointBuilder;
use signalr::hub::InvokeError;
use signalr::{Caller, ConnectionId, HubProtocolKind, HubResult, SignalR, UploadStream, hub};
use signalr_test_support::{Client, serve, until, within};
use tokio::io::{AsyncRead, AsyncWrite, DuplexStream};
use tokio::sync::{Semaphore, mpsc};

/// A hub that records its streams and calls.
struct Ward {
    gate: Semaphore,
    events_tx: mpsc::UnboundedSender<String>,
    begun: AtomicUsize,
    ended: Arc<AtomicUsize>,
    running: AtomicUsize,
    max_running: AtomicUsize,
}

/// Part of a stream or call; counts its drop.
struct Guard(Arc<AtomicUsize>);

impl Drop for Guard {
    fn drop(&mut self) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

#[hub]
impl Ward {
    fn echo(&self, text: String) -> String {
        text
    }

    fn id(&self, caller: &Caller<Self>) -> ConnectionId {
        caller.connection_id()
    }

    /// Yields one item and never ends.
    fn forever(&self) -> impl Stream<Item = i32> {
        stream::unfold((0, self.guard()), |(n, guard)| async move {
            if n > 0 {
                pending::<()>().await;
            }
            Some((n, (n + 1, guard)))
        })
    }

    /// Always has an item.
    fn endless(&self) -> impl Stream<Item = i32> {
        let guard = self.guard();
        stream::repeat(7).inspect(move |_| _ = &guard)
    }

    fn large(&self, count: usize) -> impl Stream<Item = String> {
        stream::iter((0..count).map(large))
    }

    fn breaks(&self) -> impl Stream<Item = i32> {
        let guard = self.guard();
        stream::iter(0..5).inspect(move |n| {
            let _ = &guard;
            assert_ne!(*n, 1, "on purpose");
        })
    }

    /// Returns the total length of the items.
    async fn collect(&self, mut items: UploadStream<String>) -> HubResult<usize> {
        let _guard = self.guard();
        let mut bytes = 0;
        while let Some(item) = items.next().await {
            bytes += item.inspect_err(|error| self.tell(format!("{}: {error}", error.type_name())))?.len();
        }
        Ok(bytes)
    }

    async fn collect_later(&self, items: UploadStream<String>) -> HubResult<usize> {
        self.wait().await;
        self.collect(items).await
    }

    async fn first(&self, mut items: UploadStream<String>) -> HubResult<Option<String>> {
        let first = items.next().await.transpose()?;
        self.wait().await;
        Ok(first)
    }

    async fn ignore_until_cancelled(&self, caller: &Caller<Self>, _items: UploadStream<String>) -> &'static str {
        self.wait_for_cancel(caller).await
    }

    async fn wait_for_cancel(&self, caller: &Caller<Self>) -> &'static str {
        let _guard = self.guard();
        self.tell("waits");
        caller.cancelled().await;
        "cancelled"
    }

    async fn wait(&self) {
        self.max_running.fetch_max(self.running.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
        self.tell("waits");
        self.gate.acquire().await.unwrap().forget();
        self.running.fetch_sub(1, Ordering::SeqCst);
    }

    async fn ask(&self, caller: &Caller<Self>, id: String, next_invocation_id: String) -> String {
        result_or_error(caller.clients().client(id).invoke("Answer", (next_invocation_id,)).await)
    }

    /// Requests client results from two tasks at once.
    async fn ask_twice(&self, caller: &Caller<Self>, id: String) -> (String, String) {
        let clients = caller.clients();
        let (here, there) = (clients.client(&id), clients.client(&id));
        let task = tokio::spawn(async move { result_or_error(there.invoke("Answer", ("in a task",)).await) });
        let own = result_or_error(here.invoke("Answer", ("in the call",)).await);
        (own, task.await.unwrap())
    }

    async fn ask_in_a_task(&self, caller: &Caller<Self>, id: String) -> String {
        let client = caller.clients().client(id);
        tokio::spawn(async move { result_or_error(client.invoke("Answer", ("?",)).await) }).await.unwrap()
    }

    async fn ask_until_the_gate_opens(&self, caller: &Caller<Self>, id: String) -> String {
        let client = caller.clients().client(id);
        tokio::select! {
            answer = client.invoke("Answer", ("?",)) => result_or_error(answer),
            () = self.wait() => "no answer".to_owned(),
        }
    }
}

impl Ward {
    fn guard(&self) -> Guard {
        self.begun.fetch_add(1, Ordering::SeqCst);
        Guard(Arc::clone(&self.ended))
    }

    fn tell(&self, text: impl Into<String>) {
        self.events_tx.send(text.into()).unwrap();
    }

    /// Number of streams and calls with a guard, and how many of them were dropped.
    fn counts(&self) -> (usize, usize) {
        (self.begun.load(Ordering::SeqCst), self.ended.load(Ordering::SeqCst))
    }
}

fn result_or_error(answer: Result<String, InvokeError>) -> String {
    answer.unwrap_or_else(|error| format!("{}: {error}", error.type_name()))
}

/// A text of at least 100 kB.
fn large(n: usize) -> String {
    n.to_string().repeat(100_000)
}

/// A server and the events of its hub.
struct Host {
    signalr: SignalR,
    ward: Arc<Ward>,
    events: mpsc::UnboundedReceiver<String>,
    addr: SocketAddr,
}

impl Host {
    async fn new(options: impl FnOnce(EndpointBuilder<Ward>) -> EndpointBuilder<Ward>) -> Self {
        let (events_tx, events) = mpsc::unbounded_channel();
        let (begun, running, max_running) = Default::default();
        let ward =
            Arc::new(Ward { gate: Semaphore::new(0), events_tx, begun, ended: Arc::default(), running, max_running });
        let builder = SignalR::builder().enable_detailed_errors(true);
        let signalr = options(builder.hub("/ward", Arc::clone(&ward))).build().unwrap();
        let addr = serve(&signalr).await;
        Self { signalr, ward, events, addr }
    }

    async fn connect(&self) -> Client {
        Client::connect(self.addr, "/ward", HubProtocolKind::Json).await
    }

    /// Connects in memory, so that time can be paused.
    async fn connect_in_memory(&self) -> Client<DuplexStream> {
        let (client, server) = tokio::io::duplex(64 * 1024);
        let service = self.signalr.service();
        tokio::spawn(async move {
            let _ = http1::Builder::new().serve_connection(TokioIo::new(server), service).with_upgrades().await;
        });
        let mut client = Client::over(client, "/ward", HubProtocolKind::Json).await;
        client.handshake().await;
        client
    }

    /// Connects and returns the connection id as well.
    async fn connect_with_id(&self) -> (Client, String) {
        let mut client = self.connect().await;
        client.call(Some("id"), "Id", &[]).await;
        let id = client.next().await.unwrap()["result"].as_str().unwrap().to_owned();
        (client, id)
    }

    async fn next_event(&mut self) -> String {
        within(self.events.recv()).await.unwrap()
    }

    /// Waits until the server holds no state of any connection.
    async fn assert_nothing_left(&self) {
        until(|| {
            let stats = self.signalr.stats();
            let held = [
                stats.connections,
                stats.hub_connections,
                stats.pending_client_results,
                stats.tasks,
                stats.queued_bytes,
            ];
            held == [0; 5]
        })
        .await;
    }
}

/// Sends all messages at once.
async fn send_all<S: AsyncRead + AsyncWrite + Unpin>(client: &mut Client<S>, messages: &[Value]) {
    let text: String = messages.iter().map(|message| format!("{message}\u{1e}")).collect();
    client.send(text.as_bytes()).await;
}

fn call(id: &str, method: &str, arguments: &Value) -> Value {
    json!({ "type": 1, "invocationId": id, "target": method, "arguments": arguments })
}

fn uploading(id: &str, method: &str, stream: &str) -> Value {
    json!({ "type": 1, "invocationId": id, "target": method, "arguments": [], "streamIds": [stream] })
}

fn streaming(id: &str, method: &str, arguments: &Value) -> Value {
    json!({ "type": 4, "invocationId": id, "target": method, "arguments": arguments })
}

fn item(id: &str, item: impl Into<Value>) -> Value {
    json!({ "type": 2, "invocationId": id, "item": item.into() })
}

fn end(id: &str) -> Value {
    json!({ "type": 3, "invocationId": id })
}

fn result(id: &str, value: impl Into<Value>) -> Value {
    json!({ "type": 3, "invocationId": id, "result": value.into() })
}

fn error(id: &str, text: &str) -> Value {
    json!({ "type": 3, "invocationId": id, "error": text })
}

/// The completion of a rejected or failed call with a detailed error.
fn failed(id: &str, method: &str, text: &str) -> Value {
    error(id, &format!("An unexpected error occurred invoking '{method}' on the server. {text}"))
}

fn cancel(id: &str) -> Value {
    json!({ "type": 5, "invocationId": id })
}
