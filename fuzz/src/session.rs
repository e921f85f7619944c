//! A complete session of a hub: bytes of a client in, bytes of the server out.

use std::time::Duration;

use signalr::dotnet::Naming;
use signalr::protocol::handshake::{self, Progress};
use signalr::protocol::{Framer, HubMessage, HubProtocol};
use signalr::{HubProtocolKind, SignalR};

use crate::hub;
use crate::input::{Input, framed};
use crate::memory::{self, BINARY, CLOSE, Client, MAX_CHUNKS, TIMEOUT};

/// Sends the stream of an `Input` as the messages of a client after the handshake; each chunk is
/// one WebSocket message. Checks that the server sends complete messages that can be parsed, and
/// none after a Close message; that it reads all input and completes a last invocation, or closes
/// the connection; and that no connection and no task outlives the client.
pub fn run(bytes: &[u8]) {
    let input = Input::new(bytes);
    memory::block_on(async {
        let parallel = if input.has(PARALLEL) { 4 } else { 1 };
        let signalr =
            hub::server(|hub| hub.allow_stateful_reconnects(true).maximum_parallel_invocations_per_client(parallel));
        let stream = match input.has(MESSAGE_PACK) && input.has(SEPARATED) {
            true => &framed(input.stream),
            false => input.stream,
        };
        let chunks = input.chunks(stream, MAX_CHUNKS);
        let mut session = Session::open(&input, &signalr).await;
        for (at, chunk) in chunks.iter().enumerate() {
            if session.is_stateful && input.has(LOSES_SOCKET) && at == chunks.len().div_ceil(2) {
                session.resume(&signalr).await;
            }
            session.send(chunk).await;
        }
        session.end(input.has(LOSES_SOCKET)).await;
        memory::check_end(signalr).await;
    });
}

/// A client, after its handshake.
struct Session {
    protocol: HubProtocol,
    socket: Client,
    token: String,
    is_stateful: bool,
    /// Whether the client returns client results, and acknowledges messages as they arrive.
    responds: bool,
    sent: Sent,
    received: Received,
}

/// State of the sent messages.
struct Sent {
    framer: Framer,
    /// Number of messages with a sequence id for stateful reconnect.
    count: i64,
    /// Whether the server may ignore a last invocation: after an invalid message, or after a
    /// `Sequence` message.
    may_be_ignored: bool,
}

/// State of the received messages.
struct Received {
    framer: Framer,
    /// Beginning of an incomplete WebSocket frame.
    partial: Vec<u8>,
    /// Number of messages with a sequence id for stateful reconnect.
    count: i64,
    has_closed: bool,
    has_last: bool,
    /// Invocation ids of pending client results.
    pending: Vec<String>,
}

impl Session {
    async fn open(input: &Input<'_>, signalr: &SignalR) -> Self {
        let format = if input.has(MESSAGE_PACK) { HubProtocolKind::MessagePack } else { HubProtocolKind::Json };
        let is_stateful = input.has(STATEFUL);
        let token = memory::negotiate(signalr, "/hub", is_stateful).await;
        let target = format!("/hub?id={token}{}", if input.has(WELCOME) { "&welcome=1" } else { "" });
        let mut socket = Client::websocket(signalr, &target).await.expect("a new connection");
        let mut request = Vec::new();
        handshake::write_request(&mut request, format.name(), 1 + i32::from(is_stateful));
        socket.write(&memory::frame(BINARY, &request)).await;
        let response = socket.take();
        let response = memory::take_frame(&mut &response[..]).expect("a handshake response").1;
        assert!(matches!(handshake::find(response, None), Progress::Whole { message: b"{}", .. }), "{response:?}");
        Self {
            protocol: HubProtocol::new(format, Naming::Serde),
            socket,
            token,
            is_stateful,
            responds: input.has(RESPONDS),
            sent: Sent { framer: Framer::new(format, None), count: 0, may_be_ignored: false },
            received: Received::new(format),
        }
    }

    /// Sends a chunk of the stream and receives messages.
    async fn send(&mut self, chunk: &[u8]) {
        self.sent.record(self.protocol, chunk);
        self.socket.write(&memory::frame(BINARY, chunk)).await;
        self.receive();
        if self.responds {
            let responses = self.responses();
            self.send_own(&responses).await;
        }
    }

    /// Sends complete messages that are not part of the stream, unless the stream is within a
    /// message.
    async fn send_own(&mut self, messages: &[u8]) {
        if !messages.is_empty() && self.sent.framer.is_empty() {
            self.sent.record(self.protocol, messages);
            self.socket.write(&memory::frame(BINARY, messages)).await;
            self.receive();
        }
    }

    fn responses(&mut self) -> Vec<u8> {
        let mut responses = Vec::new();
        if self.is_stateful {
            self.protocol.write_ack(&mut responses, self.received.count);
        }
        for id in self.received.pending.drain(..) {
            self.protocol.write_result(&mut responses, &id, "answer").expect("a text can be written");
        }
        responses
    }

    fn receive(&mut self) {
        self.received.take(self.protocol, &self.socket.take());
    }

    /// Resumes the connection on another socket, unless the server rejects it.
    async fn resume(&mut self, signalr: &SignalR) {
        let resumed = Client::websocket(signalr, &format!("/hub?id={}", self.token)).await;
        self.receive();
        let Some(socket) = resumed else { return };
        self.socket = socket;
        self.sent.framer.clear();
        self.received.framer.clear();
        self.received.partial.clear();
        let mut sequence = Vec::new();
        self.protocol.write_sequence(&mut sequence, self.sent.count + 1);
        self.socket.write(&memory::frame(BINARY, &sequence)).await;
        self.receive();
    }

    /// Invokes a method once more and closes the socket, with or without a close frame.
    ///
    /// # Panics
    ///
    /// Panics if the server neither completes the invocation nor closes the connection.
    async fn end(mut self, is_lost: bool) {
        if self.sent.framer.is_empty() && !self.sent.may_be_ignored {
            let mut last = Vec::new();
            if self.is_stateful {
                self.protocol.write_ack(&mut last, self.received.count);
            }
            self.protocol.write_invocation(&mut last, Some(LAST), "Add", &(1, 2)).expect("numbers can be written");
            self.socket.write(&memory::frame(BINARY, &last)).await;
            for _ in 0..TIMEOUT.as_secs() {
                self.receive();
                if self.received.has_last || self.socket.has_ended() {
                    break;
                }
                let mut ack = Vec::new();
                if self.is_stateful {
                    self.protocol.write_ack(&mut ack, self.received.count);
                    self.socket.write(&memory::frame(BINARY, &ack)).await;
                }
                tokio::time::sleep(Duration::from_secs(1)).await;
            }
            assert!(self.received.has_last || self.socket.has_ended(), "the last invocation is not completed");
        }
        if !is_lost {
            self.socket.write(&memory::frame(CLOSE, b"")).await;
        }
    }
}

impl Sent {
    fn record(&mut self, protocol: HubProtocol, mut chunk: &[u8]) {
        loop {
            match self.framer.next(&mut chunk) {
                Ok(Some(frame)) => match protocol.parse(frame, |_| true) {
                    Ok(Some(message)) => {
                        self.count += i64::from(has_sequence_id(&message));
                        // The server may ignore later messages as duplicates.
                        self.may_be_ignored |= matches!(message, HubMessage::Sequence { .. });
                    }
                    Ok(None) => {}
                    Err(_) => self.may_be_ignored = true,
                },
                Ok(None) => break,
                Err(_) => {
                    self.may_be_ignored = true;
                    break;
                }
            }
        }
    }
}

impl Received {
    fn new(format: HubProtocolKind) -> Self {
        Self {
            framer: Framer::new(format, None),
            partial: Vec::new(),
            count: 0,
            has_closed: false,
            has_last: false,
            pending: Vec::new(),
        }
    }

    fn take(&mut self, protocol: HubProtocol, bytes: &[u8]) {
        let mut frames = std::mem::take(&mut self.partial);
        frames.extend_from_slice(bytes);
        let mut frames = &frames[..];
        while let Some((opcode, mut payload)) = memory::take_frame(&mut frames) {
            if opcode == CLOSE {
                continue;
            }
            while let Some(frame) = self.framer.next(&mut payload).expect("complete messages") {
                let message = protocol.parse(frame, |_| true).expect("a message").expect("of a known type");
                assert!(!self.has_closed, "{message:?} after a Close message");
                self.count += i64::from(has_sequence_id(&message));
                match message {
                    HubMessage::Close { .. } => self.has_closed = true,
                    HubMessage::Sequence { sequence_id } => self.count = sequence_id - 1,
                    HubMessage::Completion { id, .. } => self.has_last |= id == LAST,
                    HubMessage::Invocation(call) => self.pending.extend(call.id.map(|id| id.into_owned())),
                    _ => {}
                }
            }
            assert!(self.framer.is_empty(), "a WebSocket message ends within a hub message");
        }
        self.partial = frames.to_vec();
    }
}

/// Whether a message has a sequence id for stateful reconnect.
fn has_sequence_id(message: &HubMessage<'_>) -> bool {
    !matches!(
        message,
        HubMessage::Ping | HubMessage::Close { .. } | HubMessage::Ack { .. } | HubMessage::Sequence { .. }
    )
}

/// Invocation id of the last invocation.
const LAST: &str = "the last call";

const MESSAGE_PACK: u8 = 1;

/// MessagePack messages are separated by 0xC1 instead of length-prefixed.
const SEPARATED: u8 = 2;

const STATEFUL: u8 = 4;

const PARALLEL: u8 = 8;

/// The client returns client results and acknowledges messages.
const RESPONDS: u8 = 16;

/// `on_connected` sends messages.
const WELCOME: u8 = 64;

/// The client loses its socket: halfway, if stateful reconnect is enabled, and at the end.
const LOSES_SOCKET: u8 = 32;
