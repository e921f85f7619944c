//! The connection of a client: a task that reads and writes, and what has arrived so far.

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

/// How a connection ended, as its client saw it.
///
/// ```
/// # async fn leaves(client: signalr::testing::TestClient) -> Result<(), Box<dyn std::error::Error>> {
/// client.send("Leave", ()).await;
/// let closed = client.closed().await;
/// assert_eq!((closed.error, closed.allow_reconnect), (None, false));
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ConnectionClosed {
    /// What the server says went wrong, in its Close message or in its answer to the handshake.
    pub error: Option<String>,
    /// Whether the Close message lets the client connect again by itself.
    pub allow_reconnect: bool,
    /// The code of the WebSocket's own Close frame: 1000 when all went well. `None`: it was cut.
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
            None => f.write_str(" (cut"),
        }?;
        f.write_str(if self.allow_reconnect { ", may reconnect)" } else { ")" })
    }
}

/// One end of a connection. Its clones are the same.
#[derive(Clone)]
pub(super) struct TestConnection {
    pub(super) protocol: HubProtocol,
    pub(super) deadline: Duration,
    /// Without a bound: what a test sends is the test's own.
    commands: mpsc::UnboundedSender<Command>,
    inbox: Arc<ClientInbox>,
}

enum Command {
    Send(Message),
    /// Drops the socket without a word.
    Abort,
}

struct ClientInbox {
    state: Mutex<ClientState>,
    changed: Notify,
}

/// What has arrived, and who waits for what.
#[derive(Default)]
pub(super) struct ClientState {
    /// The answer to it.
    pub(super) handshake: Option<Result<(), String>>,
    /// Calls that were not received yet.
    pub(super) calls: VecDeque<ReceivedCall>,
    pub(super) pings: usize,
    pub(super) closed: Option<ConnectionClosed>,
    /// By the id of a call of the client's: where the messages go that answer it.
    pending_invocations: HashMap<String, mpsc::UnboundedSender<Vec<u8>>>,
    /// By the name of a method of the client's, in lower case.
    responders: HashMap<String, Responder>,
    next_id: u64,
    last_ping: u64,
    last_pong: u64,
}

/// A call of the server's.
pub(super) struct ReceivedCall {
    pub(super) method: String,
    pub(super) frame: Vec<u8>,
}

/// Answers a call of the server's: the line, the id and the message.
pub(super) type Responder = Arc<dyn Fn(TestConnection, String, Vec<u8>) -> BoxFuture<'static, ()> + Send + Sync>;

impl TestConnection {
    /// Starts the task of a connection, which ends with it.
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

    /// Sends what `write` writes.
    pub(super) fn write(&self, write: impl FnOnce(HubProtocol, &mut Vec<u8>)) {
        let mut bytes = Vec::new();
        write(self.protocol, &mut bytes);
        let message = match self.protocol.kind().is_binary() {
            true => Message::binary(bytes),
            false => Message::text(String::from_utf8(bytes).expect("what is written as JSON is UTF-8")),
        };
        self.command(Command::Send(message));
    }

    /// Says the WebSocket's own goodbye.
    pub(super) fn close(&self) {
        let frame = CloseFrame { code: CloseCode::Normal, reason: "".into() };
        self.command(Command::Send(Message::Close(Some(frame))));
    }

    pub(super) fn abort(&self) {
        self.command(Command::Abort);
    }

    /// An id for a call or a stream of the client's, counted as the JavaScript client counts.
    pub(super) fn next_id(&self) -> String {
        let mut state = self.lock();
        state.next_id += 1;
        (state.next_id - 1).to_string()
    }

    /// The messages that answer a call, from now on; they end with the connection.
    pub(super) fn register_invocation(&self, id: &str) -> mpsc::UnboundedReceiver<Vec<u8>> {
        let (tx, rx) = mpsc::unbounded_channel();
        let mut state = self.lock();
        if state.closed.is_none() {
            state.pending_invocations.insert(id.to_owned(), tx);
        }
        rx
    }

    /// Nobody waits for the answers to a call any more.
    pub(super) fn deregister_invocation(&self, id: &str) {
        self.lock().pending_invocations.remove(id);
    }

    pub(super) fn set_responder(&self, method: &str, responder: Responder) {
        self.lock().responders.insert(method.to_lowercase(), responder);
    }

    /// How it ended. To be asked once it has.
    pub(super) fn closed(&self) -> ConnectionClosed {
        self.lock().closed.clone().unwrap_or(ABORTED)
    }

    /// Waits until `look` finds something in what has arrived; `None` when the time is up.
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

    /// Ready when everything has arrived that the server has queued for this connection, and the server has read what was
    /// sent to it; or when the connection has ended. `false`: it took too long.
    ///
    /// The server answers the pings of a WebSocket in their place: behind what waits to be sent.
    pub(super) async fn wait_until_read(&self) -> bool {
        let ping = {
            let mut state = self.lock();
            state.last_ping += 1;
            state.last_ping
        };
        let answered = async {
            let is_answered =
                |state: &mut ClientState| (state.last_pong >= ping || state.closed.is_some()).then_some(());
            // Where much waits to be sent, pings stay unanswered.
            loop {
                self.command(Command::Send(Message::Ping(ping.to_be_bytes().to_vec().into())));
                if tokio::time::timeout(PING_INTERVAL, self.wait_without_deadline(is_answered)).await.is_ok() {
                    break;
                }
            }
        };
        tokio::time::timeout(self.deadline, answered).await.is_ok()
    }

    /// Whoever it is for is gone where this goes nowhere.
    fn command(&self, command: Command) {
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
            // In the words of Microsoft's clients.
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
    /// Takes the first call of a method, whose name ignores case.
    pub(super) fn take_call(&mut self, method: &str) -> Option<ReceivedCall> {
        let at = self.calls.iter().position(|call| call.method.eq_ignore_ascii_case(method))?;
        self.calls.remove(at)
    }

    /// The methods that were called and not received, for the text of a failure.
    pub(super) fn describe_calls(&self) -> String {
        let methods: Vec<_> = self.calls.iter().map(|call| format!("`{}`", call.method)).collect();
        if methods.is_empty() { "nothing".to_owned() } else { methods.join(", ") }
    }
}

/// Reads and writes side by side, so that neither can hold the other up, until the connection ends or is cut.
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

/// Ends when the connection is cut. That it has ended otherwise is for the reader to say.
async fn write(
    mut sink: SplitSink<WebSocketStream<DuplexStream>, Message>,
    mut commands: mpsc::UnboundedReceiver<Command>,
) {
    while let Some(Command::Send(message)) = commands.recv().await {
        let _ = sink.send(message).await;
    }
}

/// What arrives, message after message.
struct ClientReader {
    connection: TestConnection,
    /// The beginning of the answer to the handshake; `None` once it was read.
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
                self.closed.error = Some(format!("what the server sent cannot be read: {error}"));
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
        // Not for a client that acknowledges nothing.
        _ => {}
    }
    Ok(())
}

/// So long a test waits for what does not come: far longer than anything takes in memory.
const DEFAULT_DEADLINE: Duration = Duration::from_secs(5);

/// After so long another ping is sent.
const PING_INTERVAL: Duration = Duration::from_millis(100);

/// The end that nobody told of.
const ABORTED: ConnectionClosed = ConnectionClosed { error: None, allow_reconnect: false, code: None };
