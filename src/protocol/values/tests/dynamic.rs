//! Values of any type. The tables record the answers of ASP.NET Core 10.0.12 for a parameter of
//! type `object`.

use std::collections::BTreeMap;

use proptest::prelude::*;
use serde::Deserialize;

use super::*;

const JSON: HubProtocol = HubProtocol::new(HubProtocolKind::Json, Naming::Serde);

#[test]
fn json_values_keep_digits_order_and_duplicates() {
    for json in [
        "null",
        "true",
        "1.50",
        "1e2",
        "1E+2",
        "-0",
        "0.0",
        "-0.0",
        "123456789012345678901234567890",
        "0.1234567890123456789",
        "1e400",
        "1e-400",
        "18446744073709551615",
        "18446744073709551616",
        "9223372036854775808",
        "-9223372036854775809",
        "[1.50,1e400]",
        r#"{"a":1,"a":2}"#,
        r#"{"b":1,"a":{"z":1,"B":2},"B":3,"":{}}"#,
        r#"[[],[{}],[[[null]]]]"#,
        r#""AQID""#,
        r#""2024-02-29T12:34:56Z""#,
        r#""é<>&'+""#,
        r#""\u0000""#,
    ] {
        echoes::<Value>(HubProtocolKind::Json, json.as_bytes(), Some(json.as_bytes()));
    }
    echoes::<Value>(HubProtocolKind::Json, br#""\u0041\u00e9\n\/""#, Some("\"Aé\\n/\"".as_bytes()));
    echoes::<Value>(HubProtocolKind::Json, br#""\ud83d\ude00""#, Some("\"😀\"".as_bytes()));
    echoes::<Value>(HubProtocolKind::Json, b" [ 1 , { \"\\u0061\" : [ ] } ]\n", Some(b"[1,{\"a\":[]}]"));
    for refused in
        [r#""\ud800""#, r#"{"\ud800":1}"#, "[1,]", "{\"a\":1,}", "[1 2]", "{1:2}", "01", "1.", "tru", "\"\\x\""]
    {
        echoes::<Value>(HubProtocolKind::Json, refused.as_bytes(), None);
    }
}

#[test]
fn numbers_convert_only_into_types_that_can_hold_them() {
    let read = |json: &str| JSON.read_value::<Value>(json.as_bytes()).unwrap();
    let seen = |json: &str| (read(json).as_i64(), read(json).as_u64(), read(json).as_f64());
    assert_eq!(seen("7"), (Some(7), Some(7), Some(7.0)));
    assert_eq!(seen("-7"), (Some(-7), None, Some(-7.0)));
    assert_eq!(seen("18446744073709551615"), (None, Some(u64::MAX), Some(18_446_744_073_709_551_615.0)));
    assert_eq!(seen("-0"), (None, None, Some(-0.0)));
    assert_eq!(seen("1.0"), (None, None, Some(1.0)));
    assert_eq!(seen("1e400"), (None, None, Some(f64::INFINITY)));
    assert_eq!(seen("\"7\""), (None, None, None));
    assert_eq!(read("0.1"), Value::from(0.1));
    assert_eq!(read("9223372036854775807"), Value::from(i64::MAX as u64));
    assert_eq!(Value::from(f64::NAN), Value::from(f64::NAN));
    assert_ne!(Value::from(1), Value::from(1.0));
    assert_eq!(read("1.50").as_number().map(Number::to_string).as_deref(), Some("1.50"));
}

proptest! {
    #[test]
    fn json_numbers_keep_their_digits(json in "-?(0|[1-9][0-9]{0,20})([.][0-9]{1,20})?([eE][-+]?[0-9]{1,3})?") {
        echoes::<Value>(HubProtocolKind::Json, json.as_bytes(), Some(json.as_bytes()));
    }

    #[test]
    fn doubles_keep_their_value(number: f64) {
        for protocol in everywhere().filter(|protocol| number.is_finite() || protocol.kind() != HubProtocolKind::Json) {
            let value: Value = protocol.read_value(&written(protocol, &number)).unwrap();
            let whole = number.fract() == 0.0;
            prop_assert!(value.as_f64() == Some(number) || number.is_nan(), "{number} {value:?}");
            prop_assert!(whole || number.is_nan() || value.as_i64().is_none());
        }
    }
}

#[test]
fn nesting_is_limited_for_reading_and_writing() {
    let lists = |levels: usize| [b"[".repeat(levels), b"]".repeat(levels)].concat();
    let objects = |levels: usize| [b"{\"\":".repeat(levels), b"1".to_vec(), b"}".repeat(levels)].concat();
    for json in [lists, objects] {
        assert!(JSON.read_value::<Value>(&json(60)).is_ok());
        assert!(serde_json::from_slice::<Value>(&json(64)).is_ok());
        for levels in [65, 100_000] {
            assert!(JSON.read_value::<Value>(&json(levels)).is_err());
            assert!(serde_json::from_slice::<Value>(&json(levels)).is_err());
        }
    }
    let mut value = Value::Null;
    for level in 1..=70 {
        value = if level % 2 == 0 { vec![value].into() } else { Value::Map(vec![("a".into(), value)]) };
        for protocol in everywhere() {
            assert_eq!(protocol.write_value(&mut Vec::new(), &value).is_ok(), level <= 64, "{level} {protocol:?}");
        }
    }
}

/// Limits the memory of messages with many small elements.
#[test]
fn value_memory_is_proportional_to_the_message() {
    fn heap(value: &Value) -> usize {
        match value {
            Value::String(text) => text.capacity(),
            Value::List(list) => list.capacity() * size_of::<Value>() + list.iter().map(heap).sum::<usize>(),
            Value::Map(map) => {
                let entries = map.iter().map(|(key, value)| heap(key) + heap(value)).sum::<usize>();
                map.capacity() * size_of::<(Value, Value)>() + entries
            }
            _ => 0,
        }
    }
    assert_eq!(size_of::<Value>(), 32);
    for json in ["0,", "[0],", "[[]],", "{\"\":0},", "\"\","] {
        let json = format!("[{}0]", json.repeat(10_000));
        let value: Value = JSON.read_value(json.as_bytes()).unwrap();
        assert!(heap(&value) <= 17 * json.len(), "{} of {}", heap(&value), json.len());
    }
    #[cfg(feature = "messagepack")]
    for element in [&b"\x00"[..], b"\x91\x00", b"\x91\x91\x90", b"\x81\x00\x00", b"\xa1a"] {
        let bytes = [&b"\xdc\x27\x10"[..], &element.repeat(10_000)].concat();
        let value: Value = HubProtocol::new(HubProtocolKind::MessagePack, Naming::DotNet).read_value(&bytes).unwrap();
        assert!(heap(&value) <= 33 * bytes.len(), "{} of {}", heap(&value), bytes.len());
    }
}

#[test]
fn dynamic_values_nest_in_other_types() {
    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    struct Chart {
        first_entry: Value,
        #[serde(default)]
        entries: Vec<Option<Value>>,
        by_name: BTreeMap<String, Value>,
    }
    let someone = Value::Map(vec![("firstName".into(), "Ann".into()), ("last_name".into(), Value::Null)]);
    for protocol in everywhere() {
        let chart = Chart {
            first_entry: someone.clone(),
            entries: vec![Some(1.into()), None, Some(vec![2.5].into())],
            by_name: BTreeMap::from([("some_key".to_owned(), true.into())]),
        };
        comes_back(protocol, &chart);
        comes_back(protocol, &(someone.clone(), Value::Null));
    }
    // Next to a duplicate member.
    let json = br#"{"firstEntry":1,"FirstEntry":{"b":1,"a":1.5},"byName":{}}"#;
    let chart: Chart = HubProtocol::new(HubProtocolKind::Json, Naming::DotNet).read_value(json).unwrap();
    assert_eq!(chart.first_entry, Value::Map(vec![("b".into(), 1.into()), ("a".into(), 1.5.into())]));
}

#[test]
fn dynamic_values_survive_buffering_by_serde() {
    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    struct Open {
        name: String,
        #[serde(flatten)]
        rest: BTreeMap<String, Value>,
    }
    let json = r#"{"name":"Ann","a":{"x":1,"x":2.5},"b":[null,"t"]}"#;
    let open: Open = JSON.read_value(json.as_bytes()).unwrap();
    assert_eq!(written(JSON, &open), json.as_bytes());
    let pairs =
        [("name", "Ann".into()), ("at", Value::DateTime(DateTime::UNIX_EPOCH)), ("b", Binary::from(vec![1]).into())];
    let everything = Value::Map(pairs.map(|(name, value)| (name.into(), value)).to_vec());
    #[cfg(feature = "messagepack")]
    {
        let protocol = HubProtocol::new(HubProtocolKind::MessagePack, Naming::Serde);
        let open: Open = protocol.read_value(&written(protocol, &everything)).unwrap();
        assert_eq!(open.rest["at"], Value::DateTime(DateTime::UNIX_EPOCH));
        assert_eq!(open.rest["b"].as_bytes(), Some(&[1][..]));
    }
    assert_eq!(
        serde_json::to_value(&everything).unwrap(),
        serde_json::json!({"name":"Ann","at":"1970-01-01T00:00:00Z","b":[1]})
    );
    assert_eq!(
        serde_json::from_value::<Value>(serde_json::json!({"a":[1.5]})).unwrap().as_map().unwrap()[0].0,
        "a".into()
    );
}

#[test]
fn bytes_and_dates_are_strings_in_json() {
    let list = Value::List(vec![Binary::from(vec![1, 2, 3]).into(), DateTime::UNIX_EPOCH.into(), None::<bool>.into()]);
    for protocol in namings(HubProtocolKind::Json) {
        assert_eq!(written(protocol, &list), br#"["AQID","1970-01-01T00:00:00Z",null]"#);
        let keys =
            [true.into(), (-1).into(), 1.5.into(), DateTime::UNIX_EPOCH.into()].map(|key: Value| (key, 1.into()));
        let map = Value::Map(keys.to_vec());
        assert_eq!(written(protocol, &map), br#"{"true":1,"-1":1,"1.5":1,"1970-01-01T00:00:00Z":1}"#);
        for key in [Value::Null, Value::Bytes(vec![1]), Value::List(Vec::new())] {
            let map = Value::Map(vec![(key, 1.into())]);
            assert!(protocol.write_value(&mut Vec::new(), &map).is_err(), "{map:?}");
        }
        assert!(protocol.write_value(&mut Vec::new(), &Value::from(f64::NAN)).is_err());
    }
}

#[cfg(feature = "messagepack")]
mod messagepack {
    use super::super::messagepack::{hex, table};
    use super::*;

    #[test]
    fn messagepack_values_keep_their_encoding() {
        for wire in [
            "c0",
            "c2",
            "c3",
            "05",
            "ff",
            "ccc8",
            "cd03e8",
            "ceffffffff",
            "cfffffffffffffffff",
            "fb",
            "d080",
            "d1fc18",
            "d280000000",
            "d38000000000000000",
            "cf7fffffffffffffff",
            "ca3f800000",
            "ca7fc00000",
            "ca3dcccccd",
            "cb3ff0000000000000",
            "cb7ff8000000000000",
            "cb8000000000000000",
            "a0",
            "a3616263",
            "c400",
            "c403616263",
            "90",
            "80",
            "9180",
            "91c40161",
            "83a162c2a161c3a163c0",
            "d6ff00000001",
            "d7ff0000019000000001",
            "c70cff00000000ffffffffffffffff",
            "81d6ff00000001c0",
            "81c3c0",
            "81cb3ff0000000000000c0",
        ] {
            table::<Value>(&[(wire, Some(wire))]);
        }
        table::<Value>(&[
            ("cc05", Some("05")),
            ("cf0000000000000005", Some("05")),
            ("d005", Some("05")),
            ("d3fffffffffffffffb", Some("fb")),
            ("db00000003616263", Some("a3616263")),
            ("c600000003616263", Some("c403616263")),
            ("a2ff80", None),
            ("dc0001c0", Some("91c0")),
            ("de0001c2c0", Some("81c2c0")),
            ("d7ff0000000000000001", Some("d6ff00000001")),
            ("c704ff00000001", Some("d6ff00000001")),
            // Fractions of a tick are truncated.
            ("c70cff3b9ac9ff0000003afff4417f", Some("c70cff3b9ac99c0000003afff4417f")),
        ]);
    }

    #[test]
    fn unknown_extensions_and_incomparable_keys_are_rejected() {
        for wire in [
            "d40501",
            "c70005",
            "d46401",
            "d4fe01",
            "c7036401a161",
            "91d40501",
            "c705ff0000000000",
            "c700ff",
            "c70cff00000000fffffff1886e08ff",
            "c70cff000000000000003afff44180",
            "81c001",
            "81c4016101",
            "81910101",
            "818001",
            "82a16101a16102",
            "8201020103",
            "82cb7ff800000000000001cb7ff800000000000002",
            "82d6ff0000000101d6ff0000000102",
            "c1",
        ] {
            table::<Value>(&[(wire, None)]);
        }
    }

    #[test]
    fn messagepack_nesting_is_limited() {
        let protocol = HubProtocol::new(HubProtocolKind::MessagePack, Naming::DotNet);
        for (open, close) in [("91", "c0"), ("81a0", "c0")] {
            let nested = |levels: usize| hex(&(open.repeat(levels) + close));
            comes_back(protocol, &protocol.read_value::<Value>(&nested(60)).unwrap());
            assert!(protocol.read_value::<Value>(&nested(65)).is_err());
            assert!(protocol.read_value::<Value>(&nested(100_000)).is_err());
        }
    }

    #[test]
    fn json_digits_become_the_nearest_double_in_messagepack() {
        let value: Value = JSON.read_value(b"[1.50,1e400,12345678901234567890123]").unwrap();
        for protocol in namings(HubProtocolKind::MessagePack) {
            let expected = (1.5, f64::INFINITY, 12_345_678_901_234_567_890_123.0);
            assert_eq!(protocol.read_value::<(f64, f64, f64)>(&written(protocol, &value)), Ok(expected));
        }
    }
}
