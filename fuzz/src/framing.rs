//! The framers and the parsers of both formats.

use std::borrow::Cow;
use std::collections::BTreeMap;

use serde::de::{SeqAccess, Visitor};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use signalr::HubProtocolKind;
use signalr::dotnet::{Binary, DateTime, DateTimeOffset, Decimal, Guid, Naming, TimeSpan};
use signalr::protocol::{Framer, HubMessage, HubProtocol, RawArguments};

use crate::input::{Input, framed};

/// The stream of an `Input` are messages in JSON; see [`check`].
pub fn json(bytes: &[u8]) {
    let input = Input::new(bytes);
    check(HubProtocolKind::Json, &input, input.stream);
}

/// The same in MessagePack, behind their lengths or separated by 0xC1.
pub fn messagepack(bytes: &[u8]) {
    let input = Input::new(bytes);
    match input.has(SEPARATED) {
        true => check(HubProtocolKind::MessagePack, &input, &framed(input.stream)),
        false => check(HubProtocolKind::MessagePack, &input, input.stream),
    }
}

/// Messages do not depend on how the stream is cut. A message that is parsed, written and parsed
/// again stays the same.
fn check(format: HubProtocolKind, input: &Input<'_>, stream: &[u8]) {
    let limit = (!input.has(UNLIMITED)).then_some(LIMIT);
    let naming = if input.has(DOT_NET) { Naming::DotNet } else { Naming::Serde };
    let protocol = HubProtocol::new(format, naming);
    let whole = frames(format, limit, &[stream]);
    assert_eq!(
        whole,
        frames(format, limit, &input.pieces(stream, usize::MAX)),
        "left: in one piece, right: in several"
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
        assert_eq!(self::parts(&again).map(normal), Some(normal(parts)));
    }
}

/// The messages in these pieces; at their end an error, or whether there is no unfinished message.
fn frames(format: HubProtocolKind, limit: Option<usize>, pieces: &[&[u8]]) -> (Vec<Vec<u8>>, Result<bool, String>) {
    let mut framer = Framer::new(format, limit);
    let mut frames = Vec::new();
    for mut piece in pieces.iter().copied() {
        loop {
            match framer.next(&mut piece) {
                Ok(Some(frame)) => frames.push(frame.to_vec()),
                Ok(None) => break,
                Err(error) => return (frames, Err(error.to_string())),
            }
        }
        assert!(piece.is_empty());
    }
    (frames, Ok(framer.is_empty()))
}

/// The parts of a message, for comparison; `None` if one of its values has no form in JSON.
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
            json!({ "kind": 3, "id": id, "result": result, "error": given(error) })
        }
        HubMessage::CancelInvocation { id } => json!({ "kind": 5, "id": id }),
        HubMessage::Ping => json!({ "kind": 6 }),
        HubMessage::Close { error, allow_reconnect } => {
            json!({ "kind": 7, "error": given(error), "allow": allow_reconnect })
        }
        HubMessage::Ack { sequence_id } => json!({ "kind": 8, "sequence": sequence_id }),
        HubMessage::Sequence { sequence_id } => json!({ "kind": 9, "sequence": sequence_id }),
        _ => return None,
    })
}

/// An error, unless it is empty: most writers write none then.
fn given<'a>(error: &'a Option<Cow<'_, str>>) -> Option<&'a str> {
    error.as_deref().filter(|error| !error.is_empty())
}

/// Writes a message from its parts; `None` if there is no writer for it.
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

/// Makes integers of whole numbers: in JSON they are written alike, as .NET writes them.
fn normal(value: Value) -> Value {
    match value {
        Value::Number(number) => match number.as_f64() {
            Some(float) if number.is_f64() && float.fract() == 0.0 && float.abs() < 1e17 => json!(float as i64),
            _ => Value::Number(number),
        },
        Value::Array(list) => list.into_iter().map(normal).collect(),
        Value::Object(members) => members.into_iter().map(|(name, member)| (name, normal(member))).collect(),
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

/// A field of every type for which the crate has its own wire format.
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

/// Reads an item or a result as a [`Sample`]: written, read and written again, its bytes stay the
/// same.
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
    // Not every `char` has a form in .NET's names.
    let Ok(written) = write(&sample) else { return };
    let again = protocol.read_value(&written).expect("a written value can be read");
    assert_eq!(write(&again), Ok(written));
}

const WRITABLE: &str = "a message that was read can be written";

const UNLIMITED: u8 = 1;

const DOT_NET: u8 = 2;

/// Messages of MessagePack are separated, and not behind their lengths.
const SEPARATED: u8 = 4;

/// The largest message; small, so that inputs reach it.
const LIMIT: usize = 1024;
