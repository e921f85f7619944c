//! Serialization of JSON messages. Only the values in them go through serde.

use std::io::{self, Write as _};

use serde::Serialize;

use super::scanner::plain_len;
use crate::protocol::arguments::{ArgumentList, Arguments};
use crate::protocol::error::{ProtocolError, WriteError};
use crate::protocol::format::{HubProtocol, HubProtocolKind, Naming};
use crate::protocol::frame::RECORD_SEPARATOR;
use crate::protocol::naming;
use crate::protocol::writer::InvocationFields;

use super::serializer::{JsonFormatter, JsonSerializer, NOT_FINITE};

pub(in crate::protocol) fn invocation<A: Arguments + ?Sized>(
    out: &mut Vec<u8>,
    naming: Naming,
    headers: &[(&str, &str)],
    invocation: &InvocationFields<'_>,
    arguments: &A,
) -> Result<(), WriteError> {
    start(out, invocation.kind, headers);
    if let Some(id) = invocation.id {
        push_string(out, b",\"invocationId\":", id);
    }
    push_string(out, b",\"target\":", invocation.target);
    out.extend_from_slice(b",\"arguments\":");
    value(out, naming, &ArgumentList(arguments))?;
    if let Some(ids) = invocation.stream_ids {
        out.extend_from_slice(b",\"streamIds\":[");
        for (index, id) in ids.iter().enumerate() {
            push_string(out, if index == 0 { b"" } else { b"," }, id);
        }
        out.push(b']');
    }
    end(out);
    Ok(())
}

pub(in crate::protocol) fn item<T: Serialize + ?Sized>(
    out: &mut Vec<u8>,
    naming: Naming,
    headers: &[(&str, &str)],
    id: &str,
    item: &T,
) -> Result<(), WriteError> {
    start(out, 2, headers);
    push_string(out, b",\"invocationId\":", id);
    out.extend_from_slice(b",\"item\":");
    value(out, naming, item)?;
    end(out);
    Ok(())
}

pub(in crate::protocol) fn result<T: Serialize + ?Sized>(
    out: &mut Vec<u8>,
    naming: Naming,
    headers: &[(&str, &str)],
    id: &str,
    result: &T,
) -> Result<(), WriteError> {
    start(out, 3, headers);
    push_string(out, b",\"invocationId\":", id);
    out.extend_from_slice(b",\"result\":");
    value(out, naming, result)?;
    end(out);
    Ok(())
}

pub(in crate::protocol) fn raw_result(out: &mut Vec<u8>, id: &str, result: &[u8]) {
    start(out, 3, &[]);
    push_string(out, b",\"invocationId\":", id);
    out.extend_from_slice(b",\"result\":");
    out.extend_from_slice(result);
    end(out);
}

/// Appends a completion without a result. An empty error is omitted
/// (`aspnet: JsonHubProtocol.WriteCompletionMessage`).
pub(in crate::protocol) fn completion(out: &mut Vec<u8>, headers: &[(&str, &str)], id: &str, error: Option<&str>) {
    start(out, 3, headers);
    push_string(out, b",\"invocationId\":", id);
    if let Some(error) = error.filter(|error| !error.is_empty()) {
        push_string(out, b",\"error\":", error);
    }
    end(out);
}

pub(in crate::protocol) fn cancel(out: &mut Vec<u8>, headers: &[(&str, &str)], id: &str) {
    start(out, 5, headers);
    push_string(out, b",\"invocationId\":", id);
    end(out);
}

pub(in crate::protocol) fn ping(out: &mut Vec<u8>) {
    start(out, 6, &[]);
    end(out);
}

pub(in crate::protocol) fn close(out: &mut Vec<u8>, error: Option<&str>, allow_reconnect: bool) {
    start(out, 7, &[]);
    if let Some(error) = error {
        push_string(out, b",\"error\":", error);
    }
    if allow_reconnect {
        out.extend_from_slice(b",\"allowReconnect\":true");
    }
    end(out);
}

pub(in crate::protocol) fn sequence(out: &mut Vec<u8>, kind: u8, sequence_id: i64) {
    start(out, kind, &[]);
    write!(out, ",\"sequenceId\":{sequence_id}").expect("writing to a Vec does not fail");
    end(out);
}

/// Appends an encoded value without framing.
pub(in crate::protocol) fn value<T: Serialize + ?Sized>(
    out: &mut Vec<u8>,
    naming: Naming,
    value: &T,
) -> Result<(), WriteError> {
    let mut inner = serde_json::Serializer::with_formatter(out, JsonFormatter);
    let serializer = JsonSerializer(&mut inner);
    match naming {
        Naming::Serde => value.serialize(serializer),
        Naming::DotNet => naming::serialize(value, HubProtocol::new(HubProtocolKind::Json, naming), serializer),
    }
    .map_err(|error| serialize_error(&error))
}

#[cold]
fn serialize_error(error: &serde_json::Error) -> WriteError {
    let text = error.to_string();
    let kind = if text == NOT_FINITE { "ArgumentException" } else { "JsonException" };
    WriteError::new(ProtocolError::new(kind, text))
}

/// Appends the message type, which has one digit, and the headers.
fn start(out: &mut Vec<u8>, kind: u8, headers: &[(&str, &str)]) {
    out.extend_from_slice(b"{\"type\":");
    out.push(b'0' + kind);
    if headers.is_empty() {
        return;
    }
    out.extend_from_slice(b",\"headers\":{");
    for (index, (name, value)) in headers.iter().enumerate() {
        push_string(out, if index == 0 { b"" } else { b"," }, name);
        push_string(out, b":", value);
    }
    out.push(b'}');
}

fn end(out: &mut Vec<u8>) {
    out.extend_from_slice(&[b'}', RECORD_SEPARATOR]);
}

fn push_string(out: &mut Vec<u8>, prefix: &[u8], value: &str) {
    out.extend_from_slice(prefix);
    push_json_string(out, value.as_bytes()).expect("writing to a Vec does not fail");
}

/// Writes a string with its quotes and escapes only the characters that JSON requires to be
/// escaped.
pub(in crate::protocol) fn push_json_string<W: ?Sized + io::Write>(out: &mut W, string: &[u8]) -> io::Result<()> {
    out.write_all(b"\"")?;
    let mut rest = string;
    loop {
        let (run, behind) = rest.split_at(plain_len(rest));
        out.write_all(run)?;
        let Some((&byte, behind)) = behind.split_first() else {
            return out.write_all(b"\"");
        };
        match byte {
            b'"' => out.write_all(b"\\\"")?,
            b'\\' => out.write_all(b"\\\\")?,
            b'\n' => out.write_all(b"\\n")?,
            b'\r' => out.write_all(b"\\r")?,
            b'\t' => out.write_all(b"\\t")?,
            0x08 => out.write_all(b"\\b")?,
            0x0c => out.write_all(b"\\f")?,
            control => write!(out, "\\u{control:04X}")?,
        }
        rest = behind;
    }
}
