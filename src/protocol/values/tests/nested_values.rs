//! Values inside other types.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::*;
use crate::protocol::HubMessage;

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
struct Everything {
    taken_at: DateTime,
    sent_at: DateTimeOffset,
    took: TimeSpan,
    dose: Decimal,
    id: Guid,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
struct Places<T> {
    plain: T,
    missing: Option<T>,
    there: Option<T>,
    several: Vec<T>,
    pair: (T, i32),
    by_name: BTreeMap<String, T>,
    boxed: Option<Box<Self>>,
}

fn everything() -> Everything {
    Everything {
        taken_at: "2024-02-29T12:34:56.789Z".parse().unwrap(),
        sent_at: "2024-02-29T12:34:56+02:00".parse().unwrap(),
        took: "1.02:03:04.005".parse().unwrap(),
        dose: "79228162514264337593543950.335".parse().unwrap(),
        id: Guid(1),
    }
}

fn places<T: Clone>(value: T) -> Places<T> {
    let inner = Places {
        plain: value.clone(),
        missing: None,
        there: Some(value.clone()),
        several: vec![value.clone(); 2],
        pair: (value.clone(), 1),
        by_name: BTreeMap::from([("someKey".to_owned(), value)]),
        boxed: None,
    };
    Places { boxed: Some(Box::new(inner.clone())), ..inner }
}

#[test]
fn values_nest_in_other_types() {
    for protocol in everywhere() {
        comes_back(protocol, &places(everything()));
        comes_back(protocol, &places(places(Some(everything()))));
    }
}

#[test]
fn dotnet_naming_applies_to_structs_with_values() {
    let json = r#"{"takenAt":"2024-02-29T12:34:56.789Z","sentAt":"2024-02-29T12:34:56+02:00","took":"1.02:03:04.0050000","dose":79228162514264337593543950.335,"id":"00000000-0000-0000-0000-000000000001"}"#;
    let protocol = HubProtocol::new(HubProtocolKind::Json, Naming::DotNet);
    assert_eq!(String::from_utf8(written(protocol, &everything())).unwrap(), json);
    assert_eq!(protocol.read_value(json.to_uppercase().as_bytes()), Ok(everything()));
    #[cfg(feature = "messagepack")]
    {
        let protocol = HubProtocol::new(HubProtocolKind::MessagePack, Naming::DotNet);
        let bytes = written(protocol, &BTreeMap::from([("key", everything().taken_at)]));
        assert_eq!(bytes, b"\x81\xa3key\xd7\xff\xbc\x1c\xbd\x00\x65\xe0\x79\xf0");
    }
}

#[test]
fn values_are_bound_as_arguments() {
    for protocol in everywhere() {
        let mut out = Vec::new();
        protocol.write_invocation(&mut out, None, "Taken", &(everything(), everything().taken_at)).unwrap();
        let mut framer = crate::protocol::Framer::new(protocol.kind(), None);
        let mut input = &out[..];
        let frame = framer.next(&mut input).unwrap().unwrap();
        let Some(HubMessage::Invocation(call)) = protocol.parse(frame, |_| true).unwrap() else {
            panic!("not an invocation")
        };
        let bound = crate::protocol::tests::bind::<(Everything, DateTime)>(&call.arguments, 2);
        assert_eq!(bound, Ok((everything(), everything().taken_at)));
    }
}

#[test]
fn values_except_decimals_are_keys_of_json_objects() {
    let Everything { taken_at, sent_at, took, dose, id } = everything();
    for protocol in everywhere() {
        comes_back(protocol, &BTreeMap::from([(taken_at, took)]));
        comes_back(protocol, &BTreeMap::from([(sent_at, took)]));
        comes_back(protocol, &BTreeMap::from([(took, taken_at)]));
        comes_back(protocol, &BTreeMap::from([(id, took)]));
        let by_decimal = std::collections::HashMap::from([(dose, 1)]);
        if protocol.kind() == HubProtocolKind::Json {
            let error = protocol.write_value(&mut Vec::new(), &by_decimal).unwrap_err();
            assert_eq!(error.to_string(), "key must be a string");
        } else {
            comes_back(protocol, &by_decimal);
        }
    }
}

#[test]
fn values_survive_buffering_by_serde() {
    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    struct Flat {
        #[serde(flatten)]
        inner: Everything,
    }
    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    #[serde(tag = "kind")]
    enum Tagged {
        Dose(Everything),
    }
    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    #[serde(untagged)]
    enum Either {
        Number(i8),
        Everything(Everything),
    }
    // No more digits than an `f64` has.
    let inner = Everything { dose: "12.34".parse().unwrap(), ..everything() };
    for format in HubProtocolKind::ALL {
        let protocol = HubProtocol::new(*format, Naming::Serde);
        comes_back(protocol, &Flat { inner: inner.clone() });
        comes_back(protocol, &Tagged::Dose(inner.clone()));
        comes_back(protocol, &Either::Everything(inner.clone()));
        comes_back(protocol, &Either::Number(1));
    }
}

#[test]
fn last_of_duplicate_members_with_values_wins() {
    let json = br#"{"takenAt":"2024-02-29","TAKENAT":"2024-03-01Z","takenat":"2024-03-01T00:00Z","sentAt":"2024-02-29T12:34:56+02:00","took":"1.02:03:04.005","dose":1.5,"id":"00000000-0000-0000-0000-000000000001"}"#;
    let read = HubProtocol::new(HubProtocolKind::Json, Naming::DotNet).read_value::<Everything>(json).unwrap();
    assert_eq!(read.taken_at.to_string(), "2024-03-01T00:00:00Z");
    assert_eq!(read.took, everything().took);
    assert_eq!(read.dose, Decimal::new(15, 1).unwrap());
    #[cfg(feature = "messagepack")]
    {
        let protocol = HubProtocol::new(HubProtocolKind::MessagePack, Naming::DotNet);
        let mut bytes = written(protocol, &everything());
        let took = written(protocol, &BTreeMap::from([("Took", TimeSpan::ZERO)]));
        bytes[0] += 1;
        bytes.extend_from_slice(&took[1..]);
        let expected = Everything { took: TimeSpan::ZERO, ..everything() };
        assert_eq!(protocol.read_value(&bytes), Ok(expected));
    }
}

#[test]
fn other_formats_receive_strings() {
    let json = serde_json::to_string(&everything()).unwrap();
    assert!(json.contains(r#""taken_at":"2024-02-29T12:34:56.789Z""#), "{json}");
    assert_eq!(serde_json::from_str::<Everything>(&json).unwrap(), everything());
    assert_eq!(serde_json::from_reader::<_, Everything>(json.as_bytes()).unwrap(), everything());
    let value = serde_json::to_value(everything().took).unwrap();
    assert_eq!(value, "1.02:03:04.0050000");
    assert_eq!(serde_json::from_value::<TimeSpan>(value).unwrap(), everything().took);
}
