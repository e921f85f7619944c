//! Framers and parsers of both hub protocols.

use std::borrow::Cow;
use std::collections::BTreeMap;

use serde::de::{SeqAccess, Visitor};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use signalr::HubProtocolKind;
use signalr::dotnet::{Binary, DateTime, DateTimeOffset, Decimal, Guid, Naming, TimeSpan};
use signalr::protocol::{Framer, HubMessage, HubProtocol, RawArguments};

use crate::input::{Input, framed};

/// Reads the stream of an `Input` as JSON messages; see [`check`].
pub fn json(bytes: &[u8]) {
    let input = Input::new(bytes);
    check(HubProtocolKind::Json, &input, input.stream);
}

/// Reads the stream of an `Input` as MessagePack messages, with length prefixes or separated by
/// 0xC1.
pub fn messagepack(bytes: &[u8]) {
    let input = Input::new(bytes);
    match input.has(SEPARATED) {
        true => check(HubProtocolKind::MessagePack, &input, &framed(input.stream)),
        false => check(HubProtocolKind::MessagePack, &input, input.stream),
    }
}

/// Checks that messages do not depend on the chunks of the stream, and that a message which is
/// parsed, written and parsed again stays the same.
fn check(format: HubProtocolKind, input: &Input<'_>, stream: &[u8]) {
    let limit = (!input.has(UNLIMITED)).then_some(MAX_MESSAGE_BYTES);
    let naming = if input.has(DOT_NET) { Naming::DotNet } else { Naming::Serde };
    let protocol = HubProtocol::new(format, naming);
    let whole = frames(format, limit, &[stream]);
    assert_eq!(
        whole,
        frames(format, limit, &input.chunks(stream, usize::MAX)),
        "left: in one chunk, right: in several"
    );
    for frame in &whole.0 {
        let _ = protocol.parse(frame, |_| false);
        let Ok(Some(message)) = protocol.parse(frame, |_| true) else { continue };
        read_sample(protocol, &message);
        let Some(parts) = parts(&message) else { continue };
        let Some(written) = write(protocol, &parts) else { continue };
        let again = frames(format, None, &[&written]).0;
        let [again] = &again[..] else { panic!("{} messages instead of one", again.len()) };
        let again = protocol.parse(again, |_| true).expect("a written message can be parsed").expect("a known type");
        assert_eq!(self::parts(&again).map(normalized), Some(normalized(parts)));
    }
}

/// Returns the messages in these chunks, and the error at their end, or whether the last message is
/// complete.
fn frames(format: HubProtocolKind, limit: Option<usize>, chunks: &[&[u8]]) -> (Vec<Vec<u8>>, Result<bool, String>) {
    let mut framer = Framer::new(format, limit);
    let mut frames = Vec::new();
    for mut chunk in chunks.iter().copied() {
        loop {
            match framer.next(&mut chunk) {
                Ok(Some(frame)) => frames.push(frame.to_vec()),
                Ok(None) => break,
                Err(error) => return (frames, Err(error.to_string())),
            }
        }
        assert!(chunk.is_empty());
    }
    (frames, Ok(framer.is_empty()))
}

/// Returns the parts of a message for comparison; `None` if JSON cannot represent one of its
/// values.
fn parts(message: &HubMessage<'_>) -> Option<Value> {
    Some(match message {
        HubMessage::Invocation(call) => json!({
            "kind": if call.streaming { 4 } else { 1 },
            "id": call.id,
            "target": call.target,
            "arguments": arguments(&call.arguments)?,
            "streams": call.stream_ids,
            "headers": call.headers.iter().collect::<Vec<_>>(),
        }),
        HubMessage::StreamItem { id, item, .. } => json!({ "kind": 2, "id": id, "value": item.read::<Value>().ok()? }),
        HubMessage::Completion { id, result, error } => {
            let result = match result {
                Some(result) => Some([result.read::<Value>().ok()?]),
                None => None,
            };
            json!({ "kind": 3, "id": id, "result": result, "error": nonempty(error) })
        }
        HubMessage::CancelInvocation { id } => json!({ "kind": 5, "id": id }),
        HubMessage::Ping => json!({ "kind": 6 }),
        HubMessage::Close { error, allow_reconnect } => {
            json!({ "kind": 7, "error": nonempty(error), "allow": allow_reconnect })
        }
        HubMessage::Ack { sequence_id } => json!({ "kind": 8, "sequence": sequence_id }),
        HubMessage::Sequence { sequence_id } => json!({ "kind": 9, "sequence": sequence_id }),
        _ => return None,
    })
}

/// Returns an error unless it is empty, since most writers omit empty errors.
fn nonempty<'a>(error: &'a Option<Cow<'_, str>>) -> Option<&'a str> {
    error.as_deref().filter(|error| !error.is_empty())
}

/// Writes a message from its parts; `None` without a writer for it.
fn write(protocol: HubProtocol, parts: &Value) -> Option<Vec<u8>> {
    let mut out = Vec::new();
    let (id, error, sequence) = (parts["id"].as_str(), parts["error"].as_str(), parts["sequence"].as_i64());
    match parts["kind"].as_i64()? {
        kind @ (1 | 4) => {
            let (target, arguments) = (parts["target"].as_str()?, parts["arguments"].as_array()?);
            let headers: Vec<(String, String)> = Vec::deserialize(&parts["headers"]).ok()?;
            let headers: Vec<_> = headers.iter().map(|(name, value)| (&**name, &**value)).collect();
            let streams: Vec<&str> = Vec::deserialize(&parts["streams"]).ok()?;
            let streams = (!streams.is_empty()).then_some(&streams[..]);
            let writer = protocol.with_headers(&headers);
            match kind {
                1 => writer.write_invocation(&mut out, id, target, arguments, streams).expect(WRITABLE),
                _ => writer.write_stream_invocation(&mut out, id?, target, arguments, streams).expect(WRITABLE),
            }
        }
        2 => protocol.write_stream_item(&mut out, id?, &parts["value"]).expect(WRITABLE),
        3 => match (&parts["result"], error) {
            (Value::Array(result), _) => protocol.write_result(&mut out, id?, &result[0]).expect(WRITABLE),
            (_, Some(error)) => protocol.write_error(&mut out, id?, error),
            _ => protocol.write_completion(&mut out, id?),
        },
        5 => protocol.write_cancel(&mut out, id?),
        6 => protocol.write_ping(&mut out),
        7 => protocol.write_close(&mut out, error, parts["allow"].as_bool()?),
        8 => protocol.write_ack(&mut out, sequence?),
        _ => protocol.write_sequence(&mut out, sequence?),
    }
    Some(out)
}

/// Converts whole floating-point numbers to integers: JSON writes both alike, as .NET does.
fn normalized(value: Value) -> Value {
    match value {
        Value::Number(number) => match number.as_f64() {
            Some(float) if number.is_f64() && float.fract() == 0.0 && float.abs() < 1e17 => json!(float as i64),
            _ => Value::Number(number),
        },
        Value::Array(list) => list.into_iter().map(normalized).collect(),
        Value::Object(members) => members.into_iter().map(|(name, member)| (name, normalized(member))).collect(),
        other => other,
    }
}

fn arguments(arguments: &RawArguments<'_>) -> Option<Vec<Value>> {
    arguments.bind_with(arguments.len(), || List).ok()
}

struct List;

impl<'de> Visitor<'de> for List {
    type Value = Vec<Value>;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("a list")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Vec<Value>, A::Error> {
        let mut values = Vec::new();
        while let Some(value) = list.next_element()? {
            values.push(value);
        }
        Ok(values)
    }
}

/// Struct with a field of every type that the crate serializes in its own way.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Sample {
    name: Option<String>,
    age: i32,
    colour: Colour,
    letter: char,
    born: DateTime,
    seen: DateTimeOffset,
    stay: TimeSpan,
    price: Decimal,
    number: Guid,
    picture: Binary,
    tags: Option<Vec<Option<String>>>,
    by_name: BTreeMap<String, u64>,
    friend: Option<Box<Self>>,
}

#[derive(Debug, Default, Serialize, Deserialize)]
enum Colour {
    #[default]
    Red,
    Green,
    Other(u8),
}

/// Reads an item or a result as a [`Sample`], and checks that it has the same bytes after it is
/// written, read and written again.
fn read_sample(protocol: HubProtocol, message: &HubMessage<'_>) {
    let (HubMessage::StreamItem { item: value, .. } | HubMessage::Completion { result: Some(value), .. }) = message
    else {
        return;
    };
    let write = |sample: &Sample| {
        let mut out = Vec::new();
        protocol.write_value(&mut out, sample).map(|()| out)
    };
    let Ok(sample) = value.read::<Sample>() else { return };
    // Not every `char` can be written with .NET's naming.
    let Ok(written) = write(&sample) else { return };
    let again = protocol.read_value(&written).expect("a written value can be read");
    assert_eq!(write(&again), Ok(written));
}

const WRITABLE: &str = "a message that was read can be written";

/// Messages have no maximum size.
const UNLIMITED: u8 = 1;

/// Values use .NET's naming.
const DOT_NET: u8 = 2;

/// MessagePack messages are separated by 0xC1 instead of length-prefixed.
const SEPARATED: u8 = 4;

/// Maximum message size in bytes; small, so that inputs exceed it.
const MAX_MESSAGE_BYTES: usize = 1024;
