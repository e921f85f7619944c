//! Connection of a test client: the task that reads and writes, and the received messages.

use std::collections::{HashMap, VecDeque};
use std::fmt;
use std::mem;
use std::pin::pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures_core::future::BoxFuture;
use futures_util::stream::{SplitSink, SplitStream};
use futures_util::{SinkExt, StreamExt};
use tokio::io::DuplexStream;
use tokio::sync::{Notify, mpsc};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::CloseFrame;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;

use crate::protocol::handshake::{self, Progress};
use crate::protocol::{Framer, HubMessage, HubProtocol, InvocationMessage, ProtocolError};

/// End of a connection as observed by the client.
///
/// ```
/// # async fn closes_without_error(client: signalr::testing::TestClient) -> Result<(), Box<dyn std::error::Error>> {
/// client.send("Leave", ()).await;
/// let closed = client.closed().await;
/// assert_eq!((closed.error, closed.allow_reconnect), (None, false));
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ConnectionClosed {
    /// Error of the Close message or of the handshake response.
    pub error: Option<String>,
    /// Whether the Close message allows automatic reconnects (`allowReconnect`).
    pub allow_reconnect: bool,
    /// Code of the close frame: 1000 for a normal closure, `None` if there was no close frame.
    pub code: Option<u16>,
}

impl fmt::Display for ConnectionClosed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.error {
            Some(error) => f.write_str(error)?,
            None => f.write_str("closed without an error")?,
        }
        match self.code {
            Some(code) => write!(f, " (code {code}"),
            None => f.write_str(" (no close frame"),
        }?;
        f.write_str(if self.allow_reconnect { ", may reconnect)" } else { ")" })
    }
}

/// Handle of a connection. Clones share it.
#[derive(Clone)]
pub(super) struct TestConnection {
    pub(super) protocol: HubProtocol,
    pub(super) deadline: Duration,
    /// Unbounded: the test decides how much it sends.
    commands: mpsc::UnboundedSender<Command>,
    inbox: Arc<ClientInbox>,
}

enum Command {
    Send(Message),
    /// Drops the socket without a close frame.
    Abort,
}

struct ClientInbox {
    state: Mutex<ClientState>,
    changed: Notify,
}

/// Received messages and pending invocations.
#[derive(Default)]
pub(super) struct ClientState {
    /// Handshake response.
    pub(super) handshake: Option<Result<(), String>>,
    /// Invocations that no test has received yet.
    pub(super) calls: VecDeque<ReceivedCall>,
    pub(super) pings: usize,
    pub(super) closed: Option<ConnectionClosed>,
    /// Channels for stream items and completions, by invocation id.
    pending_invocations: HashMap<String, mpsc::UnboundedSender<Vec<u8>>>,
    /// Handlers of client methods, by method name in lower case.
    responders: HashMap<String, Responder>,
    next_id: u64,
    last_ping: u64,
    last_pong: u64,
}

/// Invocation by the server.
pub(super) struct ReceivedCall {
    pub(super) method: String,
    pub(super) frame: Vec<u8>,
}

/// Completes an invocation by the server, given the connection, the invocation id and the message.
pub(super) type Responder = Arc<dyn Fn(TestConnection, String, Vec<u8>) -> BoxFuture<'static, ()> + Send + Sync>;

impl TestConnection {
    /// Spawns the task of the connection.
    pub(super) fn start(ws: WebSocketStream<DuplexStream>, protocol: HubProtocol) -> Self {
        let (commands, command_rx) = mpsc::unbounded_channel();
        let inbox = Arc::new(ClientInbox { state: Mutex::default(), changed: Notify::new() });
        let connection = Self { protocol, deadline: DEFAULT_DEADLINE, commands, inbox };
        tokio::spawn(run(ws, command_rx, connection.clone()));
        connection
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, ClientState> {
        self.inbox.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Sends the message that `write` encodes.
    pub(super) fn write(&self, write: impl FnOnce(HubProtocol, &mut Vec<u8>)) {
        let mut bytes = Vec::new();
        write(self.protocol, &mut bytes);
        let message = match self.protocol.kind().is_binary() {
            true => Message::binary(bytes),
            false => Message::text(String::from_utf8(bytes).expect("JSON is UTF-8")),
        };
        self.command(Command::Send(message));
    }

    /// Sends a close frame.
    pub(super) fn close(&self) {
        let frame = CloseFrame { code: CloseCode::Normal, reason: "".into() };
        self.command(Command::Send(Message::Close(Some(frame))));
    }

    pub(super) fn abort(&self) {
        self.command(Command::Abort);
    }

    /// Returns the next invocation or stream id, in the sequence of the JavaScript client.
    pub(super) fn next_id(&self) -> String {
        let mut state = self.lock();
        state.next_id += 1;
        (state.next_id - 1).to_string()
    }

    /// Returns the channel of the stream items and the completion of an invocation. It closes with
    /// the connection.
    pub(super) fn register_invocation(&self, id: &str) -> mpsc::UnboundedReceiver<Vec<u8>> {
        let (tx, rx) = mpsc::unbounded_channel();
        let mut state = self.lock();
        if state.closed.is_none() {
            state.pending_invocations.insert(id.to_owned(), tx);
        }
        rx
    }

    pub(super) fn deregister_invocation(&self, id: &str) {
        self.lock().pending_invocations.remove(id);
    }

    pub(super) fn set_responder(&self, method: &str, responder: Responder) {
        self.lock().responders.insert(method.to_lowercase(), responder);
    }

    /// Returns how the connection ended. Call it after the end.
    pub(super) fn closed(&self) -> ConnectionClosed {
        self.lock().closed.clone().unwrap_or(ABORTED)
    }

    /// Waits until `find` returns a value. Returns `None` after the deadline.
    pub(super) async fn wait_for<T>(&self, find: impl FnMut(&mut ClientState) -> Option<T>) -> Option<T> {
        tokio::time::timeout(self.deadline, self.wait_without_deadline(find)).await.ok()
    }

    async fn wait_without_deadline<T>(&self, mut find: impl FnMut(&mut ClientState) -> Option<T>) -> T {
        loop {
            let mut changed = pin!(self.inbox.changed.notified());
            changed.as_mut().enable();
            let found = find(&mut self.lock());
            match found {
                Some(found) => return found,
                None => changed.await,
            }
        }
    }

    /// Waits until the server has read all messages of the client and the client has received all
    /// messages that the server had queued, or until the connection ends. Returns `false` after the
    /// deadline.
    ///
    /// The server answers a WebSocket ping with a pong behind its queued messages.
    pub(super) async fn wait_until_read(&self) -> bool {
        let ping = {
            let mut state = self.lock();
            state.last_ping += 1;
            state.last_ping
        };
        let answered = async {
            let is_answered =
                |state: &mut ClientState| (state.last_pong >= ping || state.closed.is_some()).then_some(());
            // A server with many queued pongs drops further ones.
            loop {
                self.command(Command::Send(Message::Ping(ping.to_be_bytes().to_vec().into())));
                if tokio::time::timeout(PING_INTERVAL, self.wait_without_deadline(is_answered)).await.is_ok() {
                    break;
                }
            }
        };
        tokio::time::timeout(self.deadline, answered).await.is_ok()
    }

    fn command(&self, command: Command) {
        // The receiver is dropped when the connection has ended.
        let _ = self.commands.send(command);
    }

    fn update(&self, change: impl FnOnce(&mut ClientState)) {
        change(&mut self.lock());
        self.inbox.changed.notify_waiters();
    }

    fn on_invocation(&self, call: InvocationMessage<'_>, frame: &[u8]) {
        if let Some(id) = call.id {
            let responder = self.lock().responders.get(&call.target.to_lowercase()).cloned();
            if let Some(responder) = responder {
                tokio::spawn(responder(self.clone(), id.into_owned(), frame.to_vec()));
                return;
            }
            // Error text of Microsoft's clients.
            self.write(|protocol, out| protocol.write_error(out, &id, "Client didn't provide a result."));
        }
        let call = ReceivedCall { method: call.target.into_owned(), frame: frame.to_vec() };
        self.update(|state| state.calls.push_back(call));
    }

    fn on_response(&self, id: &str, frame: &[u8], last: bool) {
        let mut state = self.lock();
        let pending =
            if last { state.pending_invocations.remove(id) } else { state.pending_invocations.get(id).cloned() };
        drop(state);
        if let Some(pending) = pending {
            let _ = pending.send(frame.to_vec());
        }
    }
}

impl ClientState {
    /// Removes the first invocation of a method, whose name is compared without case.
    pub(super) fn take_call(&mut self, method: &str) -> Option<ReceivedCall> {
        let at = self.calls.iter().position(|call| call.method.eq_ignore_ascii_case(method))?;
        self.calls.remove(at)
    }

    /// Lists the methods of invocations that were not received, for a panic message.
    pub(super) fn describe_calls(&self) -> String {
        let methods: Vec<_> = self.calls.iter().map(|call| format!("`{}`", call.method)).collect();
        if methods.is_empty() { "none".to_owned() } else { methods.join(", ") }
    }
}

/// Reads and writes concurrently, so that neither blocks the other, until the connection ends or is
/// aborted.
async fn run(
    ws: WebSocketStream<DuplexStream>,
    commands: mpsc::UnboundedReceiver<Command>,
    connection: TestConnection,
) {
    let (sink, source) = ws.split();
    let mut reader = ClientReader::new(connection.clone());
    tokio::select! {
        () = reader.read(source) => {}
        () = write(sink, commands) => {}
    }
    let closed = reader.into_closed();
    let mut pending = HashMap::new();
    connection.update(|state| {
        state.closed = Some(closed);
        pending = mem::take(&mut state.pending_invocations);
    });
}

/// Returns when the connection is aborted. The reader detects any other end.
async fn write(
    mut sink: SplitSink<WebSocketStream<DuplexStream>, Message>,
    mut commands: mpsc::UnboundedReceiver<Command>,
) {
    while let Some(Command::Send(message)) = commands.recv().await {
        let _ = sink.send(message).await;
    }
}

/// Parses received messages.
struct ClientReader {
    connection: TestConnection,
    /// Received part of the handshake response; `None` after the handshake.
    handshake: Option<Vec<u8>>,
    framer: Framer,
    closed: ConnectionClosed,
}

impl ClientReader {
    fn new(connection: TestConnection) -> Self {
        let framer = Framer::new(connection.protocol.kind(), None);
        Self { connection, handshake: Some(Vec::new()), framer, closed: ABORTED }
    }

    async fn read(&mut self, mut source: SplitStream<WebSocketStream<DuplexStream>>) {
        while let Some(Ok(message)) = source.next().await {
            let parsed = match message {
                Message::Text(text) => self.on_data(text.as_bytes()),
                Message::Binary(bytes) => self.on_data(&bytes),
                Message::Pong(payload) => {
                    if let Ok(ping) = <[u8; 8]>::try_from(&payload[..]) {
                        let ping = u64::from_be_bytes(ping);
                        self.connection.update(|state| state.last_pong = state.last_pong.max(ping));
                    }
                    Ok(())
                }
                Message::Close(frame) => {
                    self.closed.code = Some(frame.map_or(CloseCode::Status, |frame| frame.code).into());
                    Ok(())
                }
                Message::Ping(_) | Message::Frame(_) => Ok(()),
            };
            if let Err(error) = parsed {
                self.closed.error = Some(format!("invalid message from the server: {error}"));
                return;
            }
        }
    }

    fn into_closed(self) -> ConnectionClosed {
        self.closed
    }

    fn on_data(&mut self, bytes: &[u8]) -> Result<(), ProtocolError> {
        let Self { connection, handshake, framer, closed } = self;
        let mut input = bytes;
        let remaining: Vec<u8>;
        if let Some(partial) = handshake {
            partial.extend_from_slice(bytes);
            let Progress::Whole { message, rest } = handshake::find(partial, None) else { return Ok(()) };
            let error = handshake::parse_response(message)?.map(|error| error.into_owned());
            remaining = rest.to_vec();
            input = &remaining;
            *handshake = None;
            closed.error.clone_from(&error);
            connection.update(|state| state.handshake = Some(error.map_or(Ok(()), Err)));
        }
        while let Some(frame) = framer.next(&mut input)? {
            on_message(connection, closed, frame)?;
        }
        Ok(())
    }
}

fn on_message(connection: &TestConnection, closed: &mut ConnectionClosed, frame: &[u8]) -> Result<(), ProtocolError> {
    match connection.protocol.parse(frame, |_| true)? {
        Some(HubMessage::Invocation(call)) => connection.on_invocation(call, frame),
        Some(HubMessage::StreamItem { id, .. }) => connection.on_response(&id, frame, false),
        Some(HubMessage::Completion { id, .. }) => connection.on_response(&id, frame, true),
        Some(HubMessage::Ping) => connection.update(|state| state.pings += 1),
        Some(HubMessage::Close { error, allow_reconnect }) => {
            closed.error = error.map(|error| error.into_owned());
            closed.allow_reconnect = allow_reconnect;
        }
        // `Ack` and `Sequence`: this client does not use stateful reconnect.
        _ => {}
    }
    Ok(())
}

/// Default of [`TestClient::with_deadline`](super::TestClient::with_deadline), far above the
/// duration of any in-memory operation.
const DEFAULT_DEADLINE: Duration = Duration::from_secs(5);

/// Interval of the pings in [`TestConnection::wait_until_read`].
const PING_INTERVAL: Duration = Duration::from_millis(100);

/// End without a Close message and a close frame.
const ABORTED: ConnectionClosed = ConnectionClosed { error: None, allow_reconnect: false, code: None };
