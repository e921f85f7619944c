//! Splits received bytes into hub messages.

use std::collections::VecDeque;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use serde_json::{Map, Value, json};

use crate::msgpack;
use crate::transcript::Mode;

/// One hub message, as a transcript shows it.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Message {
    /// One of `json`, `msgpack`, `text` and `base64`, and `binary` if it arrived in a binary
    /// WebSocket message.
    pub(crate) fields: Map<String, Value>,
    /// Whether the message is a ping.
    pub(crate) ping: bool,
}

/// Splits chunks of a byte stream into hub messages, wherever the chunk boundaries are.
///
/// Chunks are split when a message is requested, not when they arrive: a message that arrives right
/// after the handshake response is still split in the new mode if the mode changes between the two.
#[derive(Debug)]
pub(crate) struct Splitter {
    mode: Mode,
    chunks: VecDeque<Chunk>,
    buffer: Vec<u8>,
    /// Whether the last chunk in the buffer was a binary WebSocket message.
    binary: bool,
}

#[derive(Debug)]
struct Chunk {
    bytes: Bytes,
    binary: bool,
}

impl Splitter {
    pub(crate) fn new(mode: Mode) -> Self {
        Self { mode, chunks: VecDeque::new(), buffer: Vec::new(), binary: false }
    }

    /// Splits a complete body.
    pub(crate) fn split(mode: Mode, body: &Bytes) -> Vec<Message> {
        let mut splitter = Self::new(mode);
        splitter.push(body.clone(), false);
        std::iter::from_fn(|| splitter.next_message()).collect()
    }

    /// Sets the mode for all messages that are not returned yet.
    pub(crate) fn set_mode(&mut self, mode: Mode) {
        self.mode = mode;
    }

    pub(crate) fn push(&mut self, bytes: Bytes, binary: bool) {
        self.chunks.push_back(Chunk { bytes, binary });
    }

    /// Returns the next complete message.
    pub(crate) fn next_message(&mut self) -> Option<Message> {
        loop {
            if let Some((start, end, next)) = self.bounds() {
                let message = self.message(&self.buffer[start..end]);
                self.buffer.drain(..next);
                return Some(message);
            }
            let chunk = self.chunks.pop_front()?;
            self.buffer.extend_from_slice(&chunk.bytes);
            self.binary = chunk.binary;
        }
    }

    /// Returns the start and end of the first message in the buffer, and the start of the next one.
    fn bounds(&self) -> Option<(usize, usize, usize)> {
        match self.mode {
            Mode::Json => {
                let end = self.buffer.iter().position(|&byte| byte == RECORD_SEPARATOR)?;
                Some((0, end, end + 1))
            }
            Mode::Msgpack => {
                let prefix = self.buffer.iter().take(MAX_PREFIX_BYTES).position(|byte| byte & 0x80 == 0)? + 1;
                let seven_bits = |length, byte: &u8| length << 7 | usize::from(byte & 0x7f);
                let length = self.buffer[..prefix].iter().rev().fold(0, seven_bits);
                let end = prefix.checked_add(length)?;
                (end <= self.buffer.len()).then_some((prefix, end, end))
            }
        }
    }

    fn message(&self, bytes: &[u8]) -> Message {
        let (name, value) = match self.mode {
            Mode::Json => match serde_json::from_slice(bytes) {
                Ok(value) => ("json", value),
                Err(_) => ("text", json!(String::from_utf8_lossy(bytes))),
            },
            Mode::Msgpack => match msgpack::to_json(bytes) {
                Some(value) => ("msgpack", value),
                None => ("base64", json!(STANDARD.encode(bytes))),
            },
        };
        let ping = match self.mode {
            Mode::Json => value.get("type").and_then(Value::as_u64) == Some(PING),
            Mode::Msgpack => value == json!([PING]),
        };
        let mut fields = Map::from_iter([(name.to_owned(), value)]);
        if self.binary {
            fields.insert("binary".to_owned(), json!(true));
        }
        Message { fields, ping }
    }
}

/// Terminator of each JSON message. HubProtocol.md § Text-based encoding.
const RECORD_SEPARATOR: u8 = 0x1e;

/// Type of a ping. HubProtocol.md § Ping Message Encoding.
const PING: u64 = 6;

/// Maximum size of the length prefix of a binary message, in bytes. HubProtocol.md § Binary
/// encoding.
const MAX_PREFIX_BYTES: usize = 5;

#[cfg(test)]
mod tests {
    use super::*;

    fn all(mode: Mode, chunks: &[&'static [u8]]) -> Vec<Value> {
        let mut splitter = Splitter::new(mode);
        for chunk in chunks {
            splitter.push(Bytes::from_static(chunk), false);
        }
        std::iter::from_fn(|| splitter.next_message()).map(|message| Value::Object(message.fields)).collect()
    }

    #[test]
    fn json_is_split_at_record_separators() {
        let messages = all(Mode::Json, &[b"{}\x1e{\"type\":1}\x1e{\"type\""]);
        assert_eq!(messages, [json!({ "json": {} }), json!({ "json": { "type": 1 } })]);
    }

    #[test]
    fn messages_may_span_chunks() {
        assert_eq!(all(Mode::Json, &[b"{\"a\"", b":", b"1}\x1e"]), [json!({ "json": { "a": 1 } })]);
        assert_eq!(all(Mode::Msgpack, &[b"\x02", b"\x91", b"\x06"]), [json!({ "msgpack": [6] })]);
    }

    #[test]
    fn invalid_json_is_shown_as_text() {
        assert_eq!(all(Mode::Json, &[b"no\xff\x1e"]), [json!({ "text": "no\u{fffd}" })]);
    }

    #[test]
    fn messagepack_is_split_by_length_prefixes() {
        let long = [&b"\x83\x01\xd9\x80"[..], &[b'x'; 128], b"\x01\xc0"].concat();
        let messages = Splitter::split(Mode::Msgpack, &Bytes::from(long));
        assert_eq!(messages[0].fields["base64"].as_str().unwrap().len(), 176);
        assert_eq!(messages.len(), 1);
        let exact = [&b"\x82\x01\xd9\x80"[..], &[b'x'; 128], b"\x01\xc0"].concat();
        let messages = Splitter::split(Mode::Msgpack, &Bytes::from(exact));
        assert_eq!(messages[0].fields["msgpack"], "x".repeat(128));
        assert_eq!(messages[1].fields["msgpack"], Value::Null);
    }

    #[test]
    fn overlong_length_prefixes_yield_no_message() {
        assert_eq!(all(Mode::Msgpack, &[b"\xff\xff\xff\xff\xff\x00"]), [json!(null); 0]);
    }

    #[test]
    fn pings_of_both_protocols_are_recognised() {
        let ping = |mode, bytes: &'static [u8]| Splitter::split(mode, &Bytes::from_static(bytes))[0].ping;
        assert!(ping(Mode::Json, b"{\"type\":6}\x1e"));
        assert!(!ping(Mode::Json, b"{\"type\":7}\x1e"));
        assert!(!ping(Mode::Json, b"6\x1e"));
        assert!(ping(Mode::Msgpack, b"\x02\x91\x06"));
        assert!(!ping(Mode::Msgpack, b"\x03\x92\x06\x06"));
    }

    #[test]
    fn mode_applies_to_messages_not_returned_yet() {
        let mut splitter = Splitter::new(Mode::Json);
        splitter.push(Bytes::from_static(b"{}\x1e"), true);
        splitter.push(Bytes::from_static(b"\x01\x07"), true);
        let answer = splitter.next_message().unwrap();
        splitter.set_mode(Mode::Msgpack);
        let message = splitter.next_message().unwrap();
        assert_eq!(Value::Object(answer.fields), json!({ "json": {}, "binary": true }));
        assert_eq!(Value::Object(message.fields), json!({ "msgpack": 7, "binary": true }));
    }
}
