//! Serialized forms of values.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use uuid::Uuid;

use super::{HubProtocol, JSON, each_protocol, written};
use crate::protocol::Naming;
use crate::protocol::values::Binary;

fn json<T: Serialize + ?Sized>(value: &T) -> String {
    String::from_utf8(written(|out| JSON.write_value(out, value).unwrap())).unwrap()
}

#[test]
fn numbers_are_written_as_in_dotnet() {
    assert_eq!(json(&2.0_f32), "2");
    assert_eq!(json(&2.0_f64), "2");
    assert_eq!(json(&-0.0_f64), "-0");
    assert_eq!(json(&0.1_f32), "0.1");
    assert_eq!(json(&123.456_789_1), "123.4567891");
    assert_eq!(json(&[1.5, 100_000.0]), "[1.5,100000]");
    let read_back: f64 = json(&1e308).parse().unwrap();
    assert_eq!(read_back, 1e308);
    assert_eq!(json(&(i64::MIN, u64::MAX)), "[-9223372036854775808,18446744073709551615]");
}

#[test]
fn nan_and_infinity_cannot_be_written_in_json() {
    #[derive(Serialize)]
    struct Point {
        x: Option<f32>,
        y: BTreeMap<&'static str, Vec<f64>>,
    }
    for naming in [Naming::Serde, Naming::DotNet] {
        let protocol = HubProtocol::new(super::HubProtocolKind::Json, naming);
        for bad in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
            let mut out = b"before".to_vec();
            let error = protocol.write_result(&mut out, "1", &bad).unwrap_err();
            assert_eq!(error.type_name(), "ArgumentException");
            assert!(error.to_string().starts_with(".NET number values such as positive and negative infinity"));
            let nested = Point { x: None, y: BTreeMap::from([("a", vec![1.0, bad])]) };
            assert!(protocol.write_invocation(&mut out, None, "A", &(1, nested)).is_err());
            let point = Point { x: Some(f32::NAN), y: BTreeMap::new() };
            assert!(protocol.write_stream_item(&mut out, "1", &point).is_err());
            assert_eq!(out, b"before");
        }
    }
}

#[cfg(feature = "messagepack")]
#[test]
fn nan_and_infinity_round_trip_in_messagepack() {
    let nan = written(|out| super::MESSAGEPACK.write_value(out, &f64::NAN).unwrap());
    assert!(super::MESSAGEPACK.read_value::<f64>(&nan).unwrap().is_nan());
}

#[test]
fn json_strings_have_only_necessary_escapes() {
    assert_eq!(json("plain é 😀 <'&+> \u{7f}\u{2028}"), "\"plain é 😀 <'&+> \u{7f}\u{2028}\"");
    assert_eq!(json("a\"b\\c\n\t\r\u{8}\u{c}\u{0}\u{1f}"), r#""a\"b\\c\n\t\r\b\f\u0000\u001F""#);
    assert_eq!(json(&BTreeMap::from([("k\"", "v\"")])), r#"{"k\"":"v\""}"#);
    for length in 0..40 {
        for at in 0..length {
            for special in ['"', '\\', '\n', '\u{1f}', ' ', '!', '\u{7f}', 'é', '\u{ffff}'] {
                let text: String = (0..length).map(|index| if index == at { special } else { 'x' }).collect();
                assert_eq!(serde_json::from_str::<String>(&json(&text)).unwrap(), text);
            }
        }
    }
}

#[test]
fn bytes_are_base64_in_json_and_bin_in_messagepack() {
    let bytes = Binary::from(vec![1, 2, 255]);
    assert_eq!(json(&bytes), "\"AQL/\"");
    assert_eq!(json(&Binary::default()), "\"\"");
    each_protocol(|protocol| {
        let value = written(|out| protocol.write_value(out, &bytes).unwrap());
        assert_eq!(protocol.read_value(&value), Ok(bytes.clone()));
    });
}

#[test]
fn base64_is_read_as_in_dotnet() {
    let read = |text: &str| JSON.read_value::<Binary>(text.as_bytes()).ok();
    let bytes = Some(Binary::from(vec![1, 2, 255, 4]));
    assert_eq!(read("\"AQL/BA==\""), bytes);
    assert_eq!(read("\" AQL/\\nBA = =\\t\""), bytes);
    assert_eq!(read("\"AQL\\u002fBA==\""), bytes);
    for refused in ["\"AQL/BA\"", "\"AQL_BA==\"", "\"***\"", "[1,2]", "5", "null"] {
        assert_eq!(read(refused), None, "{refused}");
    }
}

#[cfg(feature = "messagepack")]
#[test]
fn messagepack_bytes_are_read_from_bin_strings_and_arrays() {
    #[derive(Debug, PartialEq, Deserialize)]
    struct Picture {
        bytes: Option<Binary>,
    }
    let bytes = Some(Binary::from(vec![1, 2, 0xff]));
    assert_eq!(written(|out| super::MESSAGEPACK.write_value(out, &bytes).unwrap()), b"\xc4\x03\x01\x02\xff");
    let cases: &[(&[u8], bool)] = &[
        (b"\xc4\x03\x01\x02\xff", true),
        (b"\xc5\x00\x03\x01\x02\xff", true),
        (b"\xc6\x00\x00\x00\x03\x01\x02\xff", true),
        (b"\xa3\x01\x02\xff", true),
        (b"\xda\x00\x03\x01\x02\xff", true),
        (b"\xdb\x00\x00\x00\x03\x01\x02\xff", true),
        (b"\x93\x01\xd0\x02\xcc\xff", true),
        // The old specification has no `str 8`.
        (b"\xd9\x03\x01\x02\xff", false),
        (b"\x93\x01\x02\xcd\x01\x00", false),
        (b"\x91\xff", false),
        (b"\x91\xc0", false),
        (b"\x05", false),
        (b"\xc0", false),
        (b"\xd6\xff\x00\x00\x00\x01", false),
    ];
    for naming in [Naming::Serde, Naming::DotNet] {
        let protocol = HubProtocol::new(super::HubProtocolKind::MessagePack, naming);
        let name: &[u8] = if naming == Naming::DotNet { b"\x81\xa5Bytes" } else { b"\x81\xa5bytes" };
        for &(value, taken) in cases {
            let expected = bytes.clone().filter(|_| taken);
            assert_eq!(protocol.read_value::<Binary>(value).ok(), expected, "{}", value.escape_ascii());
            let picture = protocol.read_value::<Picture>(&[name, value].concat()).ok();
            let none_is_fine = value == b"\xc0";
            assert_eq!(picture.is_some(), taken || none_is_fine, "{}", value.escape_ascii());
        }
    }
}

#[cfg(feature = "messagepack")]
#[test]
fn messagepack_strings_are_read_only_from_strings() {
    let read = |bytes: &[u8]| super::MESSAGEPACK.read_value::<String>(bytes).ok();
    for text in [&b"\xa1a"[..], b"\xd9\x01a", b"\xda\x00\x01a", b"\xdb\x00\x00\x00\x01a"] {
        assert_eq!(read(text).as_deref(), Some("a"));
    }
    for bytes in [&b"\xa2\xff\x80"[..], b"\xc4\x00", b"\xc4\x01a", b"\xc5\x00\x01a", b"\xc6\x00\x00\x00\x01a"] {
        assert_eq!(read(bytes), None, "{}", bytes.escape_ascii());
        let by_name = super::MESSAGEPACK.read_value::<BTreeMap<String, u8>>(&[b"\x81", bytes, b"\x01"].concat());
        assert!(by_name.is_err(), "{}", bytes.escape_ascii());
    }
}

#[cfg(feature = "messagepack")]
#[test]
fn bytes_and_strings_are_distinguished_in_buffered_values() {
    #[derive(Default, Deserialize)]
    #[serde(default)]
    struct Picture {
        size: u8,
        name: String,
        bytes: Binary,
    }
    let protocol = HubProtocol::new(super::HubProtocolKind::MessagePack, Naming::DotNet);
    let read = |rest: &[u8]| protocol.read_value::<Picture>(&[b"\x83\xa4Size\x01\xa4Size\x02", rest].concat()).ok();
    assert_eq!(
        read(b"\xa5Bytes\xa1a").map(|picture| (picture.size, picture.bytes)),
        Some((2, Binary::from(&b"a"[..])))
    );
    assert_eq!(read(b"\xa4Name\xa1a").map(|picture| picture.name).as_deref(), Some("a"));
    assert!(read(b"\xa4Name\xc4\x01a").is_none());
}

#[test]
fn uuids_are_strings_in_every_protocol() {
    let id = Uuid::from_u128(0x3f25_04e0_4f89_11d3_9a0c_0305_e82c_3301);
    each_protocol(|protocol| {
        let as_id = written(|out| protocol.write_value(out, &id).unwrap());
        let as_text = written(|out| protocol.write_value(out, "3f2504e0-4f89-11d3-9a0c-0305e82c3301").unwrap());
        assert_eq!(as_id, as_text);
        assert_eq!(protocol.read_value(&as_id), Ok(id));
    });
}

#[test]
fn raw_json_is_not_changed() {
    let raw: Box<RawValue> = JSON.read_value(br#"{"a": [1.0,"x"]}"#).unwrap();
    assert_eq!(json(&raw), r#"{"a": [1.0,"x"]}"#);
    assert_eq!(json(&[Some(&raw)]), r#"[{"a": [1.0,"x"]}]"#);
    let dot_net = HubProtocol::new(super::HubProtocolKind::Json, Naming::DotNet);
    assert_eq!(written(|out| dot_net.write_value(out, &raw).unwrap()), raw.get().as_bytes());
}

#[test]
fn structs_enums_and_options_keep_the_names_of_serde() {
    #[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
    struct Vitals {
        heart_rate: Option<u8>,
        unit: Unit,
        events: Vec<Event>,
        nothing: (),
    }
    #[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
    struct Unit;
    #[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
    enum Event {
        None,
        Fell(i32),
        Pair(i32, String),
        Moved { from: String, to: Option<String> },
    }
    let vitals = Vitals {
        heart_rate: None,
        unit: Unit,
        events: vec![
            Event::None,
            Event::Fell(1),
            Event::Pair(2, "x".to_owned()),
            Event::Moved { from: "a".to_owned(), to: Some("b".to_owned()) },
        ],
        nothing: (),
    };
    each_protocol(|protocol| {
        let value = written(|out| protocol.write_value(out, &vitals).unwrap());
        assert_eq!(protocol.read_value(&value), Ok(vitals.clone()));
    });
    let expected = r#"{"heart_rate":null,"unit":null,"events":["None",{"Fell":1},{"Pair":[2,"x"]},{"Moved":{"from":"a","to":"b"}}],"nothing":null}"#;
    assert_eq!(json(&vitals), expected);
}

#[test]
fn values_followed_by_other_bytes_are_rejected() {
    assert_eq!(JSON.read_value(b" 5\n"), Ok(5));
    for broken in ["5 6", "5,", "", " ", "[1", "\"a"] {
        assert!(JSON.read_value::<serde_json::Value>(broken.as_bytes()).is_err(), "{broken}");
    }
}
