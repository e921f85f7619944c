//! Vectors, except those that need Redis, Newtonsoft's serializer or options that only .NET has.

mod handshake;
mod json;
#[cfg(feature = "messagepack")]
mod messagepack;

use std::borrow::Cow;
use std::fs;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize, Serializer};
use serde_json::Value;

use super::{HubMessage, HubProtocol, HubProtocolKind, Naming, ReadError, written};
use crate::protocol::Framer;
use crate::protocol::values::Binary;

fn vectors() -> Value {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/fixtures/vectors.json");
    serde_json::from_str(&fs::read_to_string(path).unwrap()).unwrap()
}

fn list(value: &Value) -> &[Value] {
    value.as_array().unwrap()
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap()
}

fn unhex(hex: &str) -> Vec<u8> {
    hex.as_bytes().chunks(2).map(|digits| u8::from_str_radix(str::from_utf8(digits).unwrap(), 16).unwrap()).collect()
}

/// `CustomObject` of the vectors.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct CustomObject<D> {
    string_prop: String,
    double_prop: f64,
    int_prop: i32,
    date_time_prop: D,
    null_prop: Option<()>,
    byte_arr_prop: Binary,
}

/// Date in MessagePack, an extension.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename = "_ExtStruct")]
struct Timestamp((i8, Binary));

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
enum TestEnum {
    Zero,
    One,
}

fn custom_object<D>(date_time_prop: D) -> CustomObject<D> {
    CustomObject {
        string_prop: "SignalR!".to_owned(),
        double_prop: "6.2831853071".parse().unwrap(),
        int_prop: 42,
        date_time_prop,
        null_prop: None,
        byte_arr_prop: Binary::from(vec![1, 2, 3]),
    }
}

/// Value as the vectors describe it.
#[derive(Clone, Copy)]
struct Described<'v>(&'v Value, HubProtocolKind);

impl Serialize for Described<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Self(value, format) = *self;
        match (value["$"].as_str(), value) {
            (Some("float32"), _) => value["value"].to_string().parse::<f32>().unwrap().serialize(serializer),
            (Some("enum"), _) => TestEnum::One.serialize(serializer),
            (Some("DateTimeOffset"), _) => value["value"].serialize(serializer),
            (Some("CustomObject"), _) if format == HubProtocolKind::Json => {
                custom_object("2017-04-11T00:00:00Z").serialize(serializer)
            }
            (Some("CustomObject"), _) => {
                custom_object(Timestamp((-1, Binary::from(unhex("58ec1c80"))))).serialize(serializer)
            }
            (Some(other), _) => panic!("unsupported vector: {other}"),
            (None, Value::Array(values)) => serializer.collect_seq(values.iter().map(|value| Described(value, format))),
            (None, value) => value.serialize(serializer),
        }
    }
}

fn described(values: &Value, format: HubProtocolKind) -> Vec<Described<'_>> {
    list(values).iter().map(|value| Described(value, format)).collect()
}

/// Writes a message that the vectors describe, with its framing.
fn write(protocol: HubProtocol, message: &Value) -> Vec<u8> {
    let headers: Vec<_> = message["headers"]
        .as_object()
        .map(|headers| headers.iter().map(|(key, value)| (&**key, text(value))).collect())
        .unwrap_or_default();
    let writer = protocol.with_headers(&headers);
    let id = message["invocationId"].as_str();
    let needed = id.unwrap_or_default();
    let ids: Option<Vec<_>> = message["streamIds"].as_array().map(|ids| ids.iter().map(text).collect());
    let sequence_id = message["sequenceId"].as_i64();
    let target = message["target"].as_str().unwrap_or_default();
    let format = protocol.kind();
    written(|out| match text(&message["type"]) {
        "Invocation" => {
            let arguments = described(&message["arguments"], format);
            writer.write_invocation(out, id, target, &arguments, ids.as_deref()).unwrap();
        }
        "StreamInvocation" => {
            let arguments = described(&message["arguments"], format);
            writer.write_stream_invocation(out, needed, target, &arguments, ids.as_deref()).unwrap();
        }
        "StreamItem" => writer.write_stream_item(out, needed, &Described(&message["item"], format)).unwrap(),
        "Completion" => match (message["error"].as_str(), message["hasResult"].as_bool()) {
            (Some(error), _) => writer.write_error(out, needed, error),
            (None, Some(true)) => writer.write_result(out, needed, &Described(&message["result"], format)).unwrap(),
            (None, _) => writer.write_completion(out, needed),
        },
        "CancelInvocation" => writer.write_cancel(out, needed),
        "Ping" => protocol.write_ping(out),
        "Close" => {
            let allow_reconnect = message["allowReconnect"].as_bool().unwrap();
            protocol.write_close(out, message["error"].as_str(), allow_reconnect);
        }
        "Ack" => protocol.write_ack(out, sequence_id.unwrap()),
        "Sequence" => protocol.write_sequence(out, sequence_id.unwrap()),
        other => panic!("unsupported vector: {other}"),
    })
}

fn unframed(format: HubProtocolKind, framed: &[u8]) -> Vec<u8> {
    let mut input = framed;
    let body = Framer::new(format, None).next(&mut input).unwrap().unwrap().to_vec();
    assert!(input.is_empty());
    body
}

/// Compares MessagePack values by their bytes and JSON values after parsing.
fn assert_value(protocol: HubProtocol, given: &[u8], expected: &impl Serialize, name: &str) {
    let expected = written(|out| protocol.write_value(out, expected).unwrap());
    match protocol.kind() {
        HubProtocolKind::Json => {
            let json = |bytes| serde_json::from_slice::<Value>(bytes).unwrap();
            assert_eq!(json(given), json(&expected), "{name}");
        }
        #[cfg(feature = "messagepack")]
        HubProtocolKind::MessagePack => assert_eq!(given, expected, "{name}"),
    }
}

/// Parses a message and compares it with its description.
fn assert_parses(protocol: HubProtocol, frame: &[u8], expected: &Value, name: &str) {
    let format = protocol.kind();
    let expected_id = expected["invocationId"].as_str();
    let result = |value| Described(value, format);
    match protocol.parse(frame, |_| true).unwrap().unwrap() {
        HubMessage::Invocation(call) => {
            assert_eq!(if call.streaming { "StreamInvocation" } else { "Invocation" }, expected["type"], "{name}");
            assert_eq!(call.id.as_deref(), expected_id, "{name}");
            assert_eq!(call.target, text(&expected["target"]), "{name}");
            let arguments = described(&expected["arguments"], format);
            assert_eq!(call.arguments.len(), arguments.len(), "{name}");
            assert_value(protocol, call.arguments.as_bytes(), &arguments, name);
            let ids = expected["streamIds"].as_array().map(Vec::as_slice).unwrap_or_default();
            assert_eq!(call.stream_ids, ids.iter().map(text).collect::<Vec<_>>(), "{name}");
            let headers: Vec<_> = call.headers.iter().collect();
            let expected = expected["headers"].as_object();
            let expected =
                expected.map(|all| all.iter().map(|(key, value)| (key.into(), text(value).into())).collect());
            let expected: Vec<(Cow<'_, str>, Cow<'_, str>)> = expected.unwrap_or_default();
            assert_eq!(headers, expected, "{name}");
        }
        HubMessage::StreamItem { id, item, .. } => {
            assert_eq!(("StreamItem", Some(&*id)), (text(&expected["type"]), expected_id), "{name}");
            assert_value(protocol, item.as_bytes(), &result(&expected["item"]), name);
        }
        HubMessage::Completion { id, result: given, error } => {
            assert_eq!(("Completion", Some(&*id)), (text(&expected["type"]), expected_id), "{name}");
            assert_eq!(error.as_deref(), expected["error"].as_str(), "{name}");
            assert_eq!(given.is_some(), expected["hasResult"].as_bool().unwrap(), "{name}");
            if let Some(given) = given {
                assert_value(protocol, given.as_bytes(), &result(&expected["result"]), name);
            }
        }
        HubMessage::CancelInvocation { id } => {
            assert_eq!(("CancelInvocation", Some(&*id)), (text(&expected["type"]), expected_id), "{name}");
        }
        HubMessage::Ping => assert_eq!(expected["type"], "Ping", "{name}"),
        HubMessage::Close { error, allow_reconnect } => {
            assert_eq!(expected["type"], "Close", "{name}");
            assert_eq!(error.as_deref(), expected["error"].as_str(), "{name}");
            assert_eq!(Some(allow_reconnect), expected["allowReconnect"].as_bool(), "{name}");
        }
        HubMessage::Ack { sequence_id } => {
            assert_eq!(
                ("Ack", Some(sequence_id)),
                (text(&expected["type"]), expected["sequenceId"].as_i64()),
                "{name}"
            );
        }
        HubMessage::Sequence { sequence_id } => {
            let expected_id = expected["sequenceId"].as_i64();
            assert_eq!(("Sequence", Some(sequence_id)), (text(&expected["type"]), expected_id), "{name}");
        }
    }
}

/// Parses a result, relays it without decoding, and deserializes it.
fn relayed<T: DeserializeOwned>(protocol: HubProtocol, frame: &[u8]) -> Option<Result<T, ReadError>> {
    let parse = |frame: &[u8]| {
        let Ok(Some(HubMessage::Completion { id, result, error: None })) = protocol.parse(frame, |_| false) else {
            panic!("{} is not a completion without error", frame.escape_ascii());
        };
        result.map(|result| (written(|out| protocol.write_raw_result(out, &id, result.as_bytes())), result.read::<T>()))
    };
    let (framed, _) = parse(frame)?;
    parse(&unframed(protocol.kind(), &framed)).map(|(_, result)| result)
}

#[test]
fn message_sizes_are_those_of_aspnet() {
    let vectors = vectors();
    for &format in HubProtocolKind::ALL {
        let protocol = HubProtocol::new(format, Naming::DotNet);
        for vector in list(&vectors[format.name()]["message_sizes"]) {
            let size = write(protocol, &vector["message"]).len();
            assert_eq!(Some(size as u64), vector["framed_size"].as_u64(), "{}", vector["name"]);
        }
    }
}
