//! In-memory connections to a server, in a runtime with paused time, so that waiting costs no time.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use http::{Method, Request};
use http_body_util::{BodyExt, Full};
use hyper::server::conn::http1;
use hyper_util::rt::TokioIo;
use serde_json::Value;
use signalr::SignalR;
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, ReadHalf, WriteHalf};
use tokio::runtime::{Handle, Runtime};
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};
use tower_service::Service;

thread_local! {
    static RUNTIME: Runtime =
        tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().expect("no I/O driver");
}

/// Runs a future in the runtime of the thread.
pub(crate) fn block_on<T>(future: impl Future<Output = T>) -> T {
    RUNTIME.with(|runtime| runtime.block_on(future))
}

/// Waits until all tasks are idle, since paused time advances only then.
pub(crate) async fn settle() {
    sleep(Duration::from_millis(1)).await;
}

/// Negotiates a connection and returns its token.
pub(crate) async fn negotiate(signalr: &SignalR, path: &str, is_stateful: bool) -> String {
    let target = format!("{path}/negotiate?negotiateVersion=1&useStatefulReconnect={is_stateful}");
    let response: Value =
        serde_json::from_slice(&request(signalr, Method::POST, &target).await).expect("a negotiate response");
    response["connectionToken"].as_str().expect("a token").to_owned()
}

/// Sends a request without a body and returns the body of the response.
pub(crate) async fn request(signalr: &SignalR, method: Method, target: &str) -> Vec<u8> {
    let request = Request::builder().method(method).uri(target).body(Full::<&[u8]>::default()).expect("a request");
    let Ok(response) = signalr.service().call(request).await;
    response.into_body().collect().await.expect("a complete body").to_bytes().to_vec()
}

/// Client side of a connection, which is closed on drop.
pub(crate) struct Client {
    writer: WriteHalf<DuplexStream>,
    reader: JoinHandle<()>,
    received: Arc<Mutex<Received>>,
}

#[derive(Default)]
struct Received {
    bytes: Vec<u8>,
    ended: bool,
}

impl Client {
    /// Connects over HTTP/1.1.
    pub(crate) fn connect(signalr: &SignalR) -> Self {
        let (near, far) = tokio::io::duplex(PIPE_CAPACITY);
        let connection = http1::Builder::new().serve_connection(TokioIo::new(far), signalr.service()).with_upgrades();
        tokio::spawn(async { drop(connection.await) });
        let (reader, writer) = tokio::io::split(near);
        let received = Arc::default();
        let reader = tokio::spawn(read(reader, Arc::clone(&received)));
        Self { writer, reader, received }
    }

    /// Opens a WebSocket; `None` if the server rejects it.
    pub(crate) async fn websocket(signalr: &SignalR, target: &str) -> Option<Self> {
        let mut client = Self::connect(signalr);
        client.write(format!("GET {target} HTTP/1.1\r\nhost: a\r\n{UPGRADE}\r\n").as_bytes()).await;
        client.take().starts_with(b"HTTP/1.1 101").then_some(client)
    }

    /// Writes and waits until the server is idle. Bytes for a closed connection are dropped.
    ///
    /// # Panics
    ///
    /// Panics if the server neither reads nor closes the connection.
    pub(crate) async fn write(&mut self, bytes: &[u8]) {
        let written = timeout(TIMEOUT, self.writer.write_all(bytes)).await;
        assert!(written.is_ok(), "the server neither reads nor closes the connection");
        settle().await;
    }

    /// Takes all bytes received so far.
    pub(crate) fn take(&self) -> Vec<u8> {
        std::mem::take(&mut self.received.lock().expect("no panic under the lock").bytes)
    }

    /// Whether the server has closed the connection.
    pub(crate) fn has_ended(&self) -> bool {
        self.received.lock().expect("no panic under the lock").ended
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        self.reader.abort();
    }
}

async fn read(mut reader: ReadHalf<DuplexStream>, received: Arc<Mutex<Received>>) {
    let mut buffer = vec![0; PIPE_CAPACITY];
    loop {
        let read = reader.read(&mut buffer).await.unwrap_or_default();
        let mut received = received.lock().expect("no panic under the lock");
        received.bytes.extend_from_slice(&buffer[..read]);
        if read == 0 {
            received.ended = true;
            break;
        }
    }
}

/// Creates a WebSocket frame of a client, with a mask of zeros, which leaves the payload unchanged.
pub(crate) fn frame(opcode: u8, payload: &[u8]) -> Vec<u8> {
    let mut frame = vec![0x80 | opcode];
    match (u8::try_from(payload.len()), u16::try_from(payload.len())) {
        (Ok(length @ ..126), _) => frame.push(0x80 | length),
        (_, Ok(length)) => {
            frame.push(0x80 | 126);
            frame.extend(length.to_be_bytes());
        }
        _ => {
            frame.push(0x80 | 127);
            frame.extend((payload.len() as u64).to_be_bytes());
        }
    }
    frame.extend([0; 4]);
    frame.extend_from_slice(payload);
    frame
}

/// Takes the next frame of a server from `bytes` and returns its opcode and payload; `None` if it
/// is incomplete.
///
/// # Panics
///
/// Panics if a server must not send this frame.
pub(crate) fn take_frame<'a>(bytes: &mut &'a [u8]) -> Option<(u8, &'a [u8])> {
    let (&[first, second], rest) = bytes.split_first_chunk()?;
    assert!(first & 0xf0 == 0x80 && second < 0x80, "an unmasked frame without extensions: {first:x} {second:x}");
    let (length, rest) = match second {
        126 => rest.split_first_chunk().map(|(length, rest)| (u64::from(u16::from_be_bytes(*length)), rest))?,
        127 => rest.split_first_chunk().map(|(length, rest)| (u64::from_be_bytes(*length), rest))?,
        length => (length.into(), rest),
    };
    let (payload, rest) = rest.split_at_checked(length.try_into().ok()?)?;
    *bytes = rest;
    Some((first & 0x0f, payload))
}

/// Waits for the end of all connections and tasks, after all clients have disconnected.
///
/// # Panics
///
/// Panics if a connection or a task is left.
pub(crate) async fn check_end(signalr: SignalR) {
    for _ in 0..TIMEOUT.as_secs() {
        let stats = signalr.stats();
        if stats.connections + stats.tasks == 0 {
            break;
        }
        sleep(Duration::from_secs(1)).await;
    }
    let stats = signalr.stats();
    let left = [stats.connections, stats.hub_connections, stats.groups, stats.pending_client_results, stats.tasks];
    assert!(left == [0; 5] && stats.queued_bytes == 0, "left behind: {stats:?}");
    drop(signalr);
    settle().await;
    let tasks = Handle::current().metrics().num_alive_tasks();
    assert_eq!(tasks, 0, "tasks left behind by the server");
}

/// Longer than all timeouts of the server and all methods of the hub.
pub(crate) const TIMEOUT: Duration = Duration::from_secs(60);

/// Maximum number of chunks of an input. Each costs a few microseconds of the budget.
pub(crate) const MAX_CHUNKS: usize = 64;

/// Capacity of the pipe between client and server, in bytes.
const PIPE_CAPACITY: usize = 16 * 1024;

const UPGRADE: &str = "connection: Upgrade\r\nupgrade: websocket\r\nsec-websocket-version: 13\r\n\
                       sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n";

pub(crate) const BINARY: u8 = 2;
pub(crate) const CLOSE: u8 = 8;
pub(crate) const PONG: u8 = 10;
