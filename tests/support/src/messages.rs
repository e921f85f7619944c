//! Messages of both hub protocols, as clients write and read them.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use signalr::HubProtocolKind;

const RECORD_SEPARATOR: u8 = 0x1e;

/// Encodes an invocation.
pub fn invocation(protocol: HubProtocolKind, id: Option<&str>, method: &str, arguments: &[Value]) -> Vec<u8> {
    if protocol.is_binary() {
        let headers = BTreeMap::<(), ()>::new();
        return prefixed(&rmp_serde::to_vec(&(1, headers, id, method, arguments, [(); 0])).unwrap());
    }
    let mut message = json!({ "type": 1, "target": method, "arguments": arguments });
    if let Some(id) = id {
        message["invocationId"] = id.into();
    }
    separated(&message)
}

/// Encodes a Close message.
pub fn close_message(protocol: HubProtocolKind) -> Vec<u8> {
    if protocol.is_binary() {
        prefixed(&rmp_serde::to_vec(&(7, ())).unwrap())
    } else {
        separated(&json!({ "type": 7 }))
    }
}

/// Puts the length before a message: the framing of MessagePack.
pub fn prefixed(body: &[u8]) -> Vec<u8> {
    let mut framed = Vec::new();
    let mut length = body.len();
    while length >= 0x80 {
        framed.push(u8::try_from(length & 0x7f).unwrap() | 0x80);
        length >>= 7;
    }
    framed.push(u8::try_from(length).unwrap());
    framed.extend_from_slice(body);
    framed
}

fn separated(message: &Value) -> Vec<u8> {
    let mut bytes = serde_json::to_vec(message).unwrap();
    bytes.push(RECORD_SEPARATOR);
    bytes
}

/// Decodes the messages of one payload. Payloads of a server have whole messages only.
pub fn split(protocol: HubProtocolKind, mut bytes: &[u8]) -> Vec<Value> {
    let mut messages = Vec::new();
    while !bytes.is_empty() {
        if protocol.is_binary() {
            let end = bytes.iter().position(|byte| byte & 0x80 == 0).unwrap();
            let length = bytes[..=end].iter().rev().fold(0, |length, byte| length << 7 | usize::from(byte & 0x7f));
            messages.push(to_json(&rmp_serde::from_slice(&bytes[end + 1..][..length]).unwrap()));
            bytes = &bytes[end + 1 + length..];
        } else {
            let end = bytes.iter().position(|byte| *byte == RECORD_SEPARATOR).unwrap();
            messages.push(serde_json::from_slice(&bytes[..end]).unwrap());
            bytes = &bytes[end + 1..];
        }
    }
    messages
}

/// Converts a MessagePack message to the JSON of the same message.
fn to_json(message: &Value) -> Value {
    match message[0].as_u64() {
        Some(1) => {
            let mut call = json!({ "type": 1, "target": message[3], "arguments": message[4] });
            if !message[2].is_null() {
                call["invocationId"] = message[2].clone();
            }
            call
        }
        Some(2) => json!({ "type": 2, "invocationId": message[2], "item": message[3] }),
        Some(3) => match message[3].as_u64() {
            Some(1) => json!({ "type": 3, "invocationId": message[2], "error": message[4] }),
            _ => json!({ "type": 3, "invocationId": message[2], "result": message[4] }),
        },
        Some(7) => {
            let mut close = json!({ "type": 7 });
            if !message[1].is_null() {
                close["error"] = message[1].clone();
            }
            if message[2] == true {
                close["allowReconnect"] = true.into();
            }
            close
        }
        Some(kind @ (8 | 9)) => json!({ "type": kind, "sequenceId": message[1] }),
        _ => json!({ "type": message[0] }),
    }
}
