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
    arrived: Arc<ClientInbox>,
}

enum Command {
    Send(Message),
    /// Drops the socket without a word.
    Cut,
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
    awaited: HashMap<String, mpsc::UnboundedSender<Vec<u8>>>,
    /// By the name of a method of the client's, in lower case.
    responders: HashMap<String, Responder>,
    next_id: u64,
    probes: u64,
    answered: u64,
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
        let (commands, inbox) = mpsc::unbounded_channel();
        let arrived = Arc::new(ClientInbox { state: Mutex::default(), changed: Notify::new() });
        let line = Self { protocol, deadline: DEFAULT_DEADLINE, commands, arrived };
        tokio::spawn(run(ws, inbox, line.clone()));
        line
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, ClientState> {
        self.arrived.state.lock().unwrap_or_else(PoisonError::into_inner)
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
        self.command(Command::Cut);
    }

    /// An id for a call or a stream of the client's, counted as the JavaScript client counts.
    pub(super) fn next_id(&self) -> String {
        let mut state = self.lock();
        state.next_id += 1;
        (state.next_id - 1).to_string()
    }

    /// The messages that answer a call, from now on; they end with the connection.
    pub(super) fn answers(&self, id: &str) -> mpsc::UnboundedReceiver<Vec<u8>> {
        let (tx, rx) = mpsc::unbounded_channel();
        let mut state = self.lock();
        if state.closed.is_none() {
            state.awaited.insert(id.to_owned(), tx);
        }
        rx
    }

    /// Nobody waits for the answers to a call any more.
    pub(super) fn forget(&self, id: &str) {
        self.lock().awaited.remove(id);
    }

    pub(super) fn respond(&self, method: &str, responder: Responder) {
        self.lock().responders.insert(method.to_lowercase(), responder);
    }

    /// How it ended. To be asked once it has.
    pub(super) fn closed(&self) -> ConnectionClosed {
        self.lock().closed.clone().unwrap_or(ABORTED)
    }

    /// Waits until `look` finds something in what has arrived; `None` when the time is up.
    pub(super) async fn until<T>(&self, look: impl FnMut(&mut ClientState) -> Option<T>) -> Option<T> {
        tokio::time::timeout(self.deadline, self.find(look)).await.ok()
    }

    async fn find<T>(&self, mut look: impl FnMut(&mut ClientState) -> Option<T>) -> T {
        loop {
            let mut changed = pin!(self.arrived.changed.notified());
            changed.as_mut().enable();
            let found = look(&mut self.lock());
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
        let probe = {
            let mut state = self.lock();
            state.probes += 1;
            state.probes
        };
        let settled = async {
            let answered = |state: &mut ClientState| (state.answered >= probe || state.closed.is_some()).then_some(());
            // Where much waits to be sent, pings stay unanswered.
            loop {
                self.command(Command::Send(Message::Ping(probe.to_be_bytes().to_vec().into())));
                if tokio::time::timeout(PROBE_INTERVAL, self.find(answered)).await.is_ok() {
                    break;
                }
            }
        };
        tokio::time::timeout(self.deadline, settled).await.is_ok()
    }

    /// Whoever it is for is gone where this goes nowhere.
    fn command(&self, command: Command) {
        let _ = self.commands.send(command);
    }

    fn update(&self, change: impl FnOnce(&mut ClientState)) {
        change(&mut self.lock());
        self.arrived.changed.notify_waiters();
    }

    fn called(&self, call: InvocationMessage<'_>, frame: &[u8]) {
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

    fn answered(&self, id: &str, frame: &[u8], last: bool) {
        let mut state = self.lock();
        let awaited = if last { state.awaited.remove(id) } else { state.awaited.get(id).cloned() };
        drop(state);
        if let Some(awaited) = awaited {
            let _ = awaited.send(frame.to_vec());
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
    pub(super) fn waiting(&self) -> String {
        let methods: Vec<_> = self.calls.iter().map(|call| format!("`{}`", call.method)).collect();
        if methods.is_empty() { "nothing".to_owned() } else { methods.join(", ") }
    }
}

/// Reads and writes side by side, so that neither can hold the other up, until the connection ends or is cut.
async fn run(ws: WebSocketStream<DuplexStream>, commands: mpsc::UnboundedReceiver<Command>, line: TestConnection) {
    let (sink, source) = ws.split();
    let mut reader = ClientReader::new(line.clone());
    tokio::select! {
        () = reader.read(source) => {}
        () = write(sink, commands) => {}
    }
    let closed = reader.closed();
    let mut awaited = HashMap::new();
    line.update(|state| {
        state.closed = Some(closed);
        awaited = mem::take(&mut state.awaited);
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
    line: TestConnection,
    /// The beginning of the answer to the handshake; `None` once it was read.
    handshake: Option<Vec<u8>>,
    framer: Framer,
    end: ConnectionClosed,
}

impl ClientReader {
    fn new(line: TestConnection) -> Self {
        let framer = Framer::new(line.protocol.kind(), None);
        Self { line, handshake: Some(Vec::new()), framer, end: ABORTED }
    }

    async fn read(&mut self, mut source: SplitStream<WebSocketStream<DuplexStream>>) {
        while let Some(Ok(message)) = source.next().await {
            let taken = match message {
                Message::Text(text) => self.take(text.as_bytes()),
                Message::Binary(bytes) => self.take(&bytes),
                Message::Pong(payload) => {
                    if let Ok(probe) = <[u8; 8]>::try_from(&payload[..]) {
                        let probe = u64::from_be_bytes(probe);
                        self.line.update(|state| state.answered = state.answered.max(probe));
                    }
                    Ok(())
                }
                Message::Close(frame) => {
                    self.end.code = Some(frame.map_or(CloseCode::Status, |frame| frame.code).into());
                    Ok(())
                }
                Message::Ping(_) | Message::Frame(_) => Ok(()),
            };
            if let Err(error) = taken {
                self.end.error = Some(format!("what the server sent cannot be read: {error}"));
                return;
            }
        }
    }

    fn closed(self) -> ConnectionClosed {
        self.end
    }

    fn take(&mut self, bytes: &[u8]) -> Result<(), ProtocolError> {
        let Self { line, handshake, framer, end } = self;
        let mut input = bytes;
        let behind: Vec<u8>;
        if let Some(begun) = handshake {
            begun.extend_from_slice(bytes);
            let Progress::Whole { message, rest } = handshake::find(begun, None) else { return Ok(()) };
            let error = handshake::parse_response(message)?.map(|error| error.into_owned());
            behind = rest.to_vec();
            input = &behind;
            *handshake = None;
            end.error.clone_from(&error);
            line.update(|state| state.handshake = Some(error.map_or(Ok(()), Err)));
        }
        while let Some(frame) = framer.next(&mut input)? {
            receive(line, end, frame)?;
        }
        Ok(())
    }
}

fn receive(line: &TestConnection, end: &mut ConnectionClosed, frame: &[u8]) -> Result<(), ProtocolError> {
    match line.protocol.parse(frame, |_| true)? {
        Some(HubMessage::Invocation(call)) => line.called(call, frame),
        Some(HubMessage::StreamItem { id, .. }) => line.answered(&id, frame, false),
        Some(HubMessage::Completion { id, .. }) => line.answered(&id, frame, true),
        Some(HubMessage::Ping) => line.update(|state| state.pings += 1),
        Some(HubMessage::Close { error, allow_reconnect }) => {
            end.error = error.map(|error| error.into_owned());
            end.allow_reconnect = allow_reconnect;
        }
        // Not for a client that acknowledges nothing.
        _ => {}
    }
    Ok(())
}

/// So long a test waits for what does not come: far longer than anything takes in memory.
const DEFAULT_DEADLINE: Duration = Duration::from_secs(5);

/// After so long another ping is sent.
const PROBE_INTERVAL: Duration = Duration::from_millis(100);

/// The end that nobody told of.
const ABORTED: ConnectionClosed = ConnectionClosed { error: None, allow_reconnect: false, code: None };
