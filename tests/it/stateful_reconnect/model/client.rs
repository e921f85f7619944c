//! The client of the model. It numbers, buffers and acknowledges messages as the JavaScript client
//! does.

use std::collections::{BTreeMap, HashMap, VecDeque};

use serde::Serialize;
use serde_json::{Value, json};
use signalr::HubProtocolKind;

use super::{Server, Socket, Step};
use signalr_test_support::{prefixed, split};

/// State of the client, as `HubProtocol.md § Stateful Reconnect` defines it.
pub(super) struct ModelClient {
    format: HubProtocolKind,
    token: String,
    pub(super) socket: Socket,
    /// Bytes that are written but not delivered to the socket.
    written: Vec<u8>,
    /// Numbered messages that the server has not acknowledged, and the sequence id of the first
    /// one.
    unacknowledged: VecDeque<Vec<u8>>,
    first: i64,
    /// Sequence id of the next numbered message, and of the latest new one.
    next: i64,
    latest: i64,
    acknowledged: i64,
    /// Whether the client waits for a Sequence message after a reconnect.
    awaits_sequence: bool,
    ids: usize,
    /// Missing results by invocation id.
    pub(super) expected: HashMap<String, Value>,
    pub(super) echoes: usize,
    pub(super) uploads: Vec<(String, Vec<usize>)>,
    items: usize,
    /// Server streams: number of items received, and the total.
    streams: HashMap<String, (usize, usize)>,
    open_streams: Vec<String>,
    pub(super) broadcasts: Vec<bool>,
    pub(super) close: Option<Value>,
}

impl ModelClient {
    pub(super) async fn connect(host: &Server, format: HubProtocolKind) -> Self {
        let token = host.negotiate().await;
        let mut socket = host.open(&token).await;
        socket.frame(format, b"", 0);
        let request = format!("{{\"protocol\":\"{}\",\"version\":2}}\u{1e}", format.name());
        socket.frame(format, request.as_bytes(), request.len());
        socket.pump(true).await;
        assert_eq!(socket.messages(), [b"{}\x1e".to_vec()]);
        Self {
            format,
            token,
            socket,
            written: Vec::new(),
            unacknowledged: VecDeque::new(),
            first: 1,
            next: 1,
            latest: 0,
            acknowledged: 0,
            awaits_sequence: false,
            ids: 0,
            expected: HashMap::new(),
            echoes: 0,
            uploads: Vec::new(),
            items: 0,
            streams: HashMap::new(),
            open_streams: Vec::new(),
            broadcasts: Vec::new(),
            close: None,
        }
    }

    pub(super) fn id(&mut self) -> String {
        self.ids += 1;
        self.ids.to_string()
    }

    /// Sends a numbered message, which is repeated until the server acknowledges it.
    pub(super) fn send(&mut self, json: &Value, message_pack: impl Serialize) {
        let message = match self.format.is_binary() {
            true => prefixed(&rmp_serde::to_vec(&message_pack).unwrap()),
            false => format!("{json}\u{1e}").into_bytes(),
        };
        self.written.extend_from_slice(&message);
        self.unacknowledged.push_back(message);
    }

    pub(super) fn numbered(&mut self, kind: u8, number: i64) {
        let message = match self.format.is_binary() {
            true => prefixed(&rmp_serde::to_vec(&(kind, number)).unwrap()),
            false => format!("{{\"type\":{kind},\"sequenceId\":{number}}}\u{1e}").into_bytes(),
        };
        self.written.extend_from_slice(&message);
    }

    pub(super) fn call(&mut self, kind: u8, id: &str, target: &str, arguments: &Value, streams: &[&str]) {
        let json = json!({
            "type": kind, "invocationId": id, "target": target, "arguments": arguments, "streamIds": streams
        });
        self.send(&json, (kind, NO_HEADERS, id, target, arguments, streams));
    }

    pub(super) fn step(&mut self, step: &Step, server: &Server) {
        match *step {
            Step::Echo(size) => {
                let (id, number) = (self.id(), self.echoes);
                self.echoes += 1;
                self.call(1, &id, "Echo", &json!([number, "x".repeat(size)]), &[]);
                self.expected.insert(id, json!([number, size]));
            }
            Step::Ask => {
                let id = self.id();
                let number = self.ids;
                self.call(1, &id, "Ask", &json!([number]), &[]);
                self.expected.insert(id, json!(number));
            }
            Step::OpenUpload(announced) => {
                let (id, stream) = (self.id(), self.id());
                self.call(1, &id, "Numbers", &json!([announced]), &[&stream]);
                self.uploads.push((stream, Vec::new()));
                self.expected.insert(id, Value::Null);
            }
            Step::Item(size) => {
                let Some((stream, numbers)) = self.uploads.last_mut() else { return };
                let (stream, number) = (stream.clone(), self.items);
                self.items += 1;
                numbers.push(number);
                let item = json!([number, "x".repeat(size)]);
                let json = json!({ "type": 2, "invocationId": stream, "item": item });
                self.send(&json, (2, NO_HEADERS, &stream, &item));
            }
            Step::CompleteUpload => {
                let Some((stream, numbers)) = self.uploads.pop() else { return };
                self.send(&json!({ "type": 3, "invocationId": stream }), (3, NO_HEADERS, &stream, 2));
                // The invocation id precedes the stream id.
                let id = (stream.parse::<usize>().unwrap() - 1).to_string();
                self.expected.insert(id, json!(numbers));
            }
            Step::OpenStream(to) => {
                let id = self.id();
                self.call(4, &id, "Count", &json!([to]), &[]);
                self.streams.insert(id.clone(), (0, to));
                self.open_streams.push(id.clone());
                self.expected.insert(id, Value::Null);
            }
            Step::CancelStream => {
                let Some(id) = self.open_streams.pop() else { return };
                self.send(&json!({ "type": 5, "invocationId": id }), (5, NO_HEADERS, &id));
            }
            Step::Broadcast(size) => {
                server.broadcast(self.broadcasts.len(), size);
                self.broadcasts.push(false);
            }
            Step::Acknowledge => {
                if self.latest > self.acknowledged && !self.awaits_sequence {
                    self.acknowledged = self.latest;
                    self.numbered(8, self.latest);
                }
            }
            Step::Deliver(_) | Step::DeliverAll | Step::Read | Step::Cut(_) | Step::Pause(_) => {}
        }
    }

    /// Sends the next bytes in one WebSocket message.
    pub(super) fn deliver(&mut self, count: usize) {
        let count = count.min(self.written.len()).min(60_000);
        let payload: Vec<_> = self.written.drain(..count).collect();
        if !payload.is_empty() {
            self.socket.frame(self.format, &payload, payload.len());
        }
    }

    /// Loses the socket and reconnects.
    pub(super) async fn cut(&mut self, partial: usize, server: &Server) {
        let partial = partial.min(self.written.len());
        let payload: Vec<_> = self.written.drain(..partial).collect();
        self.socket.frame(self.format, &payload, partial + 1);
        self.socket.pump(false).await;
        self.socket = server.open(&self.token).await;
        self.awaits_sequence = true;
        self.written.clear();
        self.numbered(9, self.first);
        for message in &self.unacknowledged {
            self.written.extend_from_slice(message);
        }
    }

    /// Processes received messages.
    pub(super) fn receive(&mut self) {
        for payload in self.socket.messages() {
            for message in split(self.format, &payload) {
                self.message(message);
            }
        }
    }

    pub(super) fn message(&mut self, message: Value) {
        let number = message["sequenceId"].as_i64().unwrap_or_default();
        match message["type"].as_u64().unwrap() {
            6 => {}
            7 => self.close = Some(message),
            9 => {
                assert!(self.awaits_sequence, "a Sequence message out of turn");
                assert!(number <= self.latest + 1, "{number} after {}", self.latest);
                (self.awaits_sequence, self.next, self.acknowledged) = (false, number, number - 1);
            }
            _ if self.awaits_sequence => panic!("{message} before the Sequence message"),
            8 => {
                assert!(number < self.first + i64::try_from(self.unacknowledged.len()).unwrap());
                while self.first <= number {
                    self.unacknowledged.pop_front();
                    self.first += 1;
                }
            }
            kind => {
                self.next += 1;
                if self.next - 1 > self.latest {
                    self.latest = self.next - 1;
                    self.counted(kind, &message);
                }
            }
        }
    }

    pub(super) fn counted(&mut self, kind: u64, message: &Value) {
        let id = message["invocationId"].as_str().map(str::to_owned);
        match (kind, message["target"].as_str()) {
            (1, Some("Told")) => {
                let number = usize::try_from(message["arguments"][0].as_u64().unwrap()).unwrap();
                assert!(!std::mem::replace(&mut self.broadcasts[number], true), "a broadcast came twice");
            }
            (1, Some("Announced")) => {}
            (1, Some("Question")) => {
                let (id, number) = (id.unwrap(), &message["arguments"][0]);
                self.send(&json!({ "type": 3, "invocationId": id, "result": number }), (3, NO_HEADERS, &id, 3, number));
            }
            (2, _) => {
                let (come, _) = self.streams.get_mut(&id.unwrap()).unwrap();
                assert_eq!(message["item"][0], *come, "items come in order");
                *come += 1;
            }
            (3, _) => {
                let id = id.unwrap();
                assert!(message["error"].is_null(), "{message}");
                let expected = self.expected.remove(&id).unwrap_or_else(|| panic!("answered twice: {message}"));
                match self.streams.get(&id) {
                    Some((come, to)) => assert!(come == to || !self.open_streams.contains(&id)),
                    None => assert_eq!(message["result"], expected),
                }
            }
            _ => panic!("{message}"),
        }
    }

    pub(super) fn is_done(&self) -> bool {
        self.expected.is_empty() && self.broadcasts.iter().all(|come| *come) && self.written.is_empty()
    }
}

const NO_HEADERS: BTreeMap<(), ()> = BTreeMap::new();
