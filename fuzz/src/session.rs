//! A whole session of a hub: the bytes of a client in, those of the server out.

use std::time::Duration;

use signalr::dotnet::Naming;
use signalr::protocol::handshake::{self, Progress};
use signalr::protocol::{Framer, HubMessage, HubProtocol};
use signalr::{HubProtocolKind, SignalR};

use crate::hub;
use crate::input::{Input, framed};
use crate::memory::{self, BINARY, CLOSE, Client, MAX_PIECES, PATIENCE};

/// The stream of an `Input` holds the messages of a client after the handshake; each piece is one
/// WebSocket message. The server sends whole messages that can be parsed, and none behind a Close
/// message; it reads all input and answers a last call, or it closes the connection; and no
/// connection and no task outlives the client.
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
        let pieces = input.pieces(stream, MAX_PIECES);
        let mut session = Session::open(&input, &signalr).await;
        for (at, piece) in pieces.iter().enumerate() {
            if session.is_stateful && input.has(LOSES) && at == pieces.len().div_ceil(2) {
                session.resume(&signalr).await;
            }
            session.send(piece).await;
        }
        session.end(input.has(LOSES)).await;
        memory::check_end(signalr).await;
    });
}

/// A client, after its handshake.
struct Session {
    protocol: HubProtocol,
    socket: Client,
    token: String,
    is_stateful: bool,
    /// Returns client results, and acknowledges messages as they arrive.
    is_attentive: bool,
    sent: Sent,
    received: Received,
}

/// The messages that were sent.
struct Sent {
    framer: Framer,
    /// The number of messages that count for a stateful reconnect.
    count: i64,
    /// Whether the server may ignore a last call: behind a broken message, or where messages are
    /// numbered anew.
    is_unclear: bool,
}

/// The messages that were received.
struct Received {
    framer: Framer,
    /// The beginning of a WebSocket frame.
    partial: Vec<u8>,
    /// The number of messages that count for a stateful reconnect.
    count: i64,
    has_closed: bool,
    has_last: bool,
    /// The ids of pending client results.
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
            is_attentive: input.has(ATTENTIVE),
            sent: Sent { framer: Framer::new(format, None), count: 0, is_unclear: false },
            received: Received::new(format),
        }
    }

    /// Sends a piece of the stream, and receives the answers.
    async fn send(&mut self, piece: &[u8]) {
        self.sent.note(self.protocol, piece);
        self.socket.write(&memory::frame(BINARY, piece)).await;
        self.receive();
        if self.is_attentive {
            let answers = self.answers();
            self.send_own(&answers).await;
        }
    }

    /// Sends whole messages that are not part of the stream, unless that is in the middle of a
    /// message.
    async fn send_own(&mut self, messages: &[u8]) {
        if !messages.is_empty() && self.sent.framer.is_empty() {
            self.sent.note(self.protocol, messages);
            self.socket.write(&memory::frame(BINARY, messages)).await;
            self.receive();
        }
    }

    fn answers(&mut self) -> Vec<u8> {
        let mut answers = Vec::new();
        if self.is_stateful {
            self.protocol.write_ack(&mut answers, self.received.count);
        }
        for id in self.received.pending.drain(..) {
            self.protocol.write_result(&mut answers, &id, "answer").expect("a text can be written");
        }
        answers
    }

    fn receive(&mut self) {
        self.received.take(self.protocol, &self.socket.take());
    }

    /// Resumes the connection with another socket, if the server still allows it.
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

    /// Calls a method once more, and closes the socket with or without a close frame.
    ///
    /// # Panics
    ///
    /// When the server neither answers nor closes the connection.
    async fn end(mut self, is_lost: bool) {
        if self.sent.framer.is_empty() && !self.sent.is_unclear {
            let mut last = Vec::new();
            if self.is_stateful {
                self.protocol.write_ack(&mut last, self.received.count);
            }
            self.protocol.write_invocation(&mut last, Some(LAST), "Add", &(1, 2)).expect("numbers can be written");
            self.socket.write(&memory::frame(BINARY, &last)).await;
            for _ in 0..PATIENCE.as_secs() {
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
            assert!(self.received.has_last || self.socket.has_ended(), "the last call is not answered");
        }
        if !is_lost {
            self.socket.write(&memory::frame(CLOSE, b"")).await;
        }
    }
}

impl Sent {
    fn note(&mut self, protocol: HubProtocol, mut piece: &[u8]) {
        loop {
            match self.framer.next(&mut piece) {
                Ok(Some(frame)) => match protocol.parse(frame, |_| true) {
                    Ok(Some(message)) => {
                        self.count += i64::from(counts(&message));
                        // Messages behind it may be taken for duplicates.
                        self.is_unclear |= matches!(message, HubMessage::Sequence { .. });
                    }
                    Ok(None) => {}
                    Err(_) => self.is_unclear = true,
                },
                Ok(None) => break,
                Err(_) => {
                    self.is_unclear = true;
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
            while let Some(frame) = self.framer.next(&mut payload).expect("whole messages") {
                let message = protocol.parse(frame, |_| true).expect("a message").expect("of a known type");
                assert!(!self.has_closed, "{message:?} behind a Close message");
                self.count += i64::from(counts(&message));
                match message {
                    HubMessage::Close { .. } => self.has_closed = true,
                    HubMessage::Sequence { sequence_id } => self.count = sequence_id - 1,
                    HubMessage::Completion { id, .. } => self.has_last |= id == LAST,
                    HubMessage::Invocation(call) => self.pending.extend(call.id.map(|id| id.into_owned())),
                    _ => {}
                }
            }
            assert!(self.framer.is_empty(), "a WebSocket message with half a message of the hub");
        }
        self.partial = frames.to_vec();
    }
}

/// Whether a message counts for a stateful reconnect.
fn counts(message: &HubMessage<'_>) -> bool {
    !matches!(
        message,
        HubMessage::Ping | HubMessage::Close { .. } | HubMessage::Ack { .. } | HubMessage::Sequence { .. }
    )
}

/// The id of the last call.
const LAST: &str = "the last call";

const MESSAGE_PACK: u8 = 1;

/// Messages of MessagePack are separated by 0xC1, and not behind their lengths.
const SEPARATED: u8 = 2;

const STATEFUL: u8 = 4;

const PARALLEL: u8 = 8;

const ATTENTIVE: u8 = 16;

/// The hub sends messages before it reads any.
const WELCOME: u8 = 64;

/// The client loses its socket: in the middle, where a stateful reconnect is possible, and at the
/// end.
const LOSES: u8 = 32;
