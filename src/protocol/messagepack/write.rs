//! Serialization of MessagePack messages. Only the values in them go through serde.

use serde::Serialize;

use crate::protocol::arguments::{ArgumentList, Arguments};
use crate::protocol::error::{ProtocolError, WriteError};
use crate::protocol::format::{HubProtocol, HubProtocolKind, Naming};
use crate::protocol::naming;
use crate::protocol::writer::InvocationFields;

pub(in crate::protocol) fn invocation<A: Arguments + ?Sized>(
    out: &mut Vec<u8>,
    naming: Naming,
    headers: &[(&str, &str)],
    invocation: &InvocationFields<'_>,
    arguments: &A,
) -> Result<(), WriteError> {
    let frame = start(out, 6, invocation.kind);
    push_headers(out, headers);
    push_string_or_nil(out, invocation.id);
    push_string(out, invocation.target);
    value(out, naming, &ArgumentList(arguments))?;
    let ids = invocation.stream_ids.unwrap_or_default();
    push_length(out, ids.len(), [ARRAY, 0x0f], [None, Some(0xdc), Some(0xdd)]);
    for id in ids {
        push_string(out, id);
    }
    end(out, frame);
    Ok(())
}

pub(in crate::protocol) fn item<T: Serialize + ?Sized>(
    out: &mut Vec<u8>,
    naming: Naming,
    headers: &[(&str, &str)],
    id: &str,
    item: &T,
) -> Result<(), WriteError> {
    let frame = start(out, 4, 2);
    push_headers(out, headers);
    push_string(out, id);
    value(out, naming, item)?;
    end(out, frame);
    Ok(())
}

pub(in crate::protocol) fn result<T: Serialize + ?Sized>(
    out: &mut Vec<u8>,
    naming: Naming,
    headers: &[(&str, &str)],
    id: &str,
    result: &T,
) -> Result<(), WriteError> {
    let frame = start(out, 5, 3);
    push_headers(out, headers);
    push_string(out, id);
    push_int(out, RESULT);
    value(out, naming, result)?;
    end(out, frame);
    Ok(())
}

pub(in crate::protocol) fn raw_result(out: &mut Vec<u8>, id: &str, result: &[u8]) {
    let frame = start(out, 5, 3);
    push_headers(out, &[]);
    push_string(out, id);
    push_int(out, RESULT);
    out.extend_from_slice(result);
    end(out, frame);
}

pub(in crate::protocol) fn completion(out: &mut Vec<u8>, headers: &[(&str, &str)], id: &str, error: Option<&str>) {
    let frame = start(out, if error.is_some() { 5 } else { 4 }, 3);
    push_headers(out, headers);
    push_string(out, id);
    match error {
        Some(error) => {
            push_int(out, ERROR);
            push_string(out, error);
        }
        None => push_int(out, VOID),
    }
    end(out, frame);
}

pub(in crate::protocol) fn cancel(out: &mut Vec<u8>, headers: &[(&str, &str)], id: &str) {
    let frame = start(out, 3, 5);
    push_headers(out, headers);
    push_string(out, id);
    end(out, frame);
}

pub(in crate::protocol) fn ping(out: &mut Vec<u8>) {
    let frame = start(out, 1, 6);
    end(out, frame);
}

/// Appends a Close message. An empty error is written as nil
/// (`aspnet: MessagePackHubProtocolWorker.WriteCloseMessage`).
pub(in crate::protocol) fn close(out: &mut Vec<u8>, error: Option<&str>, allow_reconnect: bool) {
    let frame = start(out, 3, 7);
    push_string_or_nil(out, error.filter(|error| !error.is_empty()));
    out.push(if allow_reconnect { 0xc3 } else { 0xc2 });
    end(out, frame);
}

pub(in crate::protocol) fn sequence(out: &mut Vec<u8>, kind: u8, sequence_id: i64) {
    let frame = start(out, 2, kind);
    push_int(out, sequence_id);
    end(out, frame);
}

/// Appends an encoded value without framing.
pub(in crate::protocol) fn value<T: Serialize + ?Sized>(
    out: &mut Vec<u8>,
    naming: Naming,
    value: &T,
) -> Result<(), WriteError> {
    let mut serializer = rmp_serde::Serializer::new(out).with_struct_map().with_human_readable();
    naming::serialize(value, HubProtocol::new(HubProtocolKind::MessagePack, naming), &mut serializer)
        .map_err(|error| WriteError::new(ProtocolError::new("MessagePackSerializationException", error.to_string())))
}

/// Begins a message of at most 15 items and returns the position at which its frame starts.
fn start(out: &mut Vec<u8>, items: u8, kind: u8) -> usize {
    let frame = out.len();
    // Most messages need one byte for their length.
    out.extend_from_slice(&[0, ARRAY | items, kind]);
    frame
}

/// Ends a message and inserts its length before it, least significant bits first
/// (`aspnet: BinaryMessageFormatter.cs`).
fn end(out: &mut Vec<u8>, frame: usize) {
    let body = frame + 1;
    let length = out.len() - body;
    let mut prefix = [0; 10];
    let (mut size, mut left) = (0, length);
    loop {
        let low = u8::try_from(left & 0x7f).expect("seven bits fit into a byte");
        left >>= 7;
        prefix[size] = if left > 0 { low | 0x80 } else { low };
        size += 1;
        if left == 0 {
            break;
        }
    }
    if size > 1 {
        out.resize(out.len() + size - 1, 0);
        out.copy_within(body..body + length, frame + size);
    }
    out[frame..frame + size].copy_from_slice(&prefix[..size]);
}

fn push_headers(out: &mut Vec<u8>, entries: &[(&str, &str)]) {
    push_length(out, entries.len(), [0x80, 0x0f], [None, Some(0xde), Some(0xdf)]);
    for (key, value) in entries {
        push_string(out, key);
        push_string(out, value);
    }
}

fn push_string_or_nil(out: &mut Vec<u8>, value: Option<&str>) {
    match value {
        Some(value) => push_string(out, value),
        None => out.push(0xc0),
    }
}

fn push_string(out: &mut Vec<u8>, value: &str) {
    push_length(out, value.len(), [0xa0, 0x1f], [Some(0xd9), Some(0xda), Some(0xdb)]);
    out.extend_from_slice(value.as_bytes());
}

/// Writes a length in its shortest form: inside the format code, or in one, two or four bytes after
/// it.
fn push_length(out: &mut Vec<u8>, length: usize, [code, longest]: [u8; 2], [one, two, four]: [Option<u8>; 3]) {
    match (u8::try_from(length), u16::try_from(length)) {
        (Ok(short), _) if short <= longest => out.push(code | short),
        (Ok(short), _) if one.is_some() => out.extend(one.into_iter().chain([short])),
        (_, Ok(medium)) => out.extend(two.into_iter().chain(medium.to_be_bytes())),
        _ => {
            let long = u32::try_from(length).unwrap_or(u32::MAX);
            out.extend(four.into_iter().chain(long.to_be_bytes()));
        }
    }
}

/// Writes an integer in its shortest form.
fn push_int(out: &mut Vec<u8>, number: i64) {
    let bytes = number.to_be_bytes();
    let (code, width) = match number {
        -0x20..=0x7f => {
            out.push(bytes[7]);
            return;
        }
        0x80..=0xff => (0xcc, 1),
        0x100..=0xffff => (0xcd, 2),
        0x1_0000..=0xffff_ffff => (0xce, 4),
        0x1_0000_0000.. => (0xcf, 8),
        -0x80..=-0x21 => (0xd0, 1),
        -0x8000..=-0x81 => (0xd1, 2),
        -0x8000_0000..=-0x8001 => (0xd2, 4),
        _ => (0xd3, 8),
    };
    out.push(code);
    out.extend_from_slice(&bytes[8 - width..]);
}

const ARRAY: u8 = 0x90;

/// Result kinds of completions (`HubProtocol.md § Completion Message Encoding`).
const ERROR: i64 = 1;
const VOID: i64 = 2;
const RESULT: i64 = 3;
