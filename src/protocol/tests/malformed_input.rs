//! Malformed input, which must not cause a panic nor exhaust stack or memory.

use std::cell::Cell;

use proptest::prelude::*;

use super::{HubProtocol, HubProtocolKind, Naming, Parameters, each_protocol, written};
use crate::protocol::handshake;
use crate::protocol::values::{Binary, Value};
use crate::protocol::{HubMessage, ReadError};

/// Parses a message like a connection, and reads its arguments, item or result.
fn parse_and_read_all(protocol: HubProtocol, frame: &[u8]) {
    for known in [true, false] {
        match protocol.parse(frame, |_| known) {
            Ok(Some(HubMessage::Invocation(call))) => {
                let _: Result<(Value, Binary), ReadError> =
                    call.arguments.bind_with(2, || Parameters(std::marker::PhantomData));
                let _: Result<(Vec<Option<i32>>,), ReadError> =
                    call.arguments.bind(1, Parameters(std::marker::PhantomData));
                let _ = (call.arguments.len(), call.headers.iter().count());
            }
            Ok(Some(HubMessage::StreamItem { item, .. })) => {
                let _ = (item.read::<Value>(), item.read::<Vec<String>>());
            }
            Ok(Some(HubMessage::Completion { result: Some(result), .. })) => {
                let _ = (result.read::<Value>(), result.read::<f64>());
            }
            Ok(_) => {}
            Err(error) => assert!(!error.message().is_empty()),
        }
    }
}

fn parse_with_all_protocols(frame: &[u8]) {
    for &format in HubProtocolKind::ALL {
        for naming in [Naming::Serde, Naming::DotNet] {
            parse_and_read_all(HubProtocol::new(format, naming), frame);
        }
    }
    let _ = (handshake::parse_request(frame), handshake::parse_response(frame));
}

/// Returns one message of each type, without framing.
fn messages(protocol: HubProtocol) -> Vec<Vec<u8>> {
    let headers = [("traceparent", "00-1"), ("b\n", "é")];
    let writer = protocol.with_headers(&headers);
    let framed = [
        written(|out| writer.write_invocation(out, Some("1"), "Echo", &("a\"é", -0.5, [1]), Some(&["u"])).unwrap()),
        written(|out| writer.write_stream_invocation(out, "2", "Counter", &(None::<i32>, true), None).unwrap()),
        written(|out| writer.write_stream_item(out, "u", &[[1, 2], [3, 4]]).unwrap()),
        written(|out| writer.write_result(out, "1", &Some(Binary::from(vec![1, 2]))).unwrap()),
        written(|out| writer.write_error(out, "1", "broken")),
        written(|out| writer.write_cancel(out, "1")),
        written(|out| protocol.write_ping(out)),
        written(|out| protocol.write_close(out, Some("bye"), true)),
        written(|out| protocol.write_ack(out, 70_000)),
        written(|out| protocol.write_sequence(out, -5)),
    ];
    let unframed = |framed: Vec<u8>| match protocol.kind() {
        HubProtocolKind::Json => framed[..framed.len() - 1].to_vec(),
        // Only the first message is long. It keeps one byte of its length prefix.
        #[cfg(feature = "messagepack")]
        HubProtocolKind::MessagePack => framed[1..].to_vec(),
    };
    framed.into_iter().map(unframed).collect()
}

#[test]
fn truncated_messages_cause_no_panic() {
    each_protocol(|protocol| {
        for message in messages(protocol) {
            for end in 0..=message.len() {
                parse_with_all_protocols(&message[..end]);
            }
        }
    });
}

#[test]
fn messages_with_one_changed_byte_cause_no_panic() {
    each_protocol(|protocol| {
        for mut message in messages(protocol) {
            for at in 0..message.len() {
                let original = message[at];
                for byte in
                    [0x00, 0x1f, 0x22, 0x2c, 0x30, 0x5b, 0x5c, 0x5d, 0x7b, 0x7d, 0x80, 0x9f, 0xc1, 0xdd, 0xdf, 0xff]
                {
                    message[at] = byte;
                    parse_and_read_all(protocol, &message);
                }
                message[at] = original;
            }
        }
    });
}

#[test]
fn deep_nesting_exhausts_no_stack() {
    const LEVELS: usize = 100_000;
    for open in ["[", "{\"a\":", "[{\"a\":["] {
        let deep = open.repeat(LEVELS);
        parse_with_all_protocols(deep.as_bytes());
        for name in ["arguments", "item", "result", "x", "streamIds", "headers", "type", "target", "error"] {
            for before in [
                "",
                "\"type\":1,\"target\":\"A\",",
                "\"type\":2,\"invocationId\":\"1\",",
                "\"type\":3,\"invocationId\":\"1\",",
            ] {
                parse_with_all_protocols(format!("{{{before}\"{name}\":{deep}").as_bytes());
                let closed =
                    format!("{{{before}\"{name}\":{}{},\"target\":\"A\"}}", "[".repeat(LEVELS), "]".repeat(LEVELS));
                parse_with_all_protocols(closed.as_bytes());
            }
        }
    }
    for code in [&[0x91][..], &[0x81, 0xa0], &[0xdd, 0, 0, 0, 1], &[0x81]] {
        let deep = code.repeat(LEVELS);
        for before in [
            &b""[..],
            b"\x95\x01\x80\xa11\xa1A",
            b"\x95\x01\x80\xa11\xa1A\x91",
            b"\x94\x02\x80\xa11",
            b"\x95\x03\x80\xa11\x03",
            b"\x95\x01",
        ] {
            parse_with_all_protocols(&[before, &deep, &[0xc0]].concat());
        }
    }
}

/// Checks that a variant with content counts as one level, like an array.
#[cfg(feature = "messagepack")]
#[test]
fn messagepack_enums_nest_no_deeper_than_arrays() {
    #[derive(Debug, serde::Deserialize)]
    enum Nested {
        Leaf,
        Node(Box<Self>),
    }
    let depth = |mut nested: Nested| {
        let mut depth = 0;
        while let Nested::Node(inner) = nested {
            (nested, depth) = (*inner, depth + 1);
        }
        depth
    };
    for naming in [Naming::Serde, Naming::DotNet] {
        let protocol = HubProtocol::new(HubProtocolKind::MessagePack, naming);
        let read =
            |levels: usize| protocol.read_value(&[b"\x81\xa4Node".repeat(levels), b"\xa4Leaf".to_vec()].concat());
        assert_eq!(read(60).map(depth), Ok(60));
        assert!(read(70).is_err(), "{naming:?}");
        assert!(read(100_000).is_err(), "{naming:?}");
    }
}

#[test]
fn methods_are_looked_up_once_for_each_target() {
    let lists = r#""arguments":[],"#.repeat(1000);
    for (targets, lookups) in [(r#""target":"x","#, 1), (r#""target":"x","target":"y","#, 1), (r#""target":"","#, 1)] {
        let frame = format!(r#"{{"type":1,{targets}{lists}"headers":{{}}}}"#);
        for known in [true, false] {
            let lookups_made = Cell::new(0);
            let method_exists = |_: &str| {
                lookups_made.set(lookups_made.get() + 1);
                known
            };
            let protocol = HubProtocol::new(HubProtocolKind::Json, Naming::Serde);
            assert!(protocol.parse(frame.as_bytes(), method_exists).is_ok());
            assert_eq!(lookups_made.get(), lookups, "{targets} {known}");
        }
    }
}

#[test]
fn false_lengths_exhaust_no_memory() {
    for code in [
        &b"\xdd\xff\xff\xff\xff"[..],
        b"\xdf\xff\xff\xff\xff",
        b"\xdb\xff\xff\xff\xff",
        b"\xc6\xff\xff\xff\xff",
        b"\xc9\xff\xff\xff\xff\x01",
    ] {
        for before in [
            &b""[..],
            b"\x95\x01",
            b"\x95\x01\x80",
            b"\x95\x01\x80\xa11",
            b"\x95\x01\x80\xa11\xa1A",
            b"\x95\x01\x80\xa11\xa1A\x91",
            b"\x96\x01\x80\xa11\xa1A\x90",
            b"\x94\x02\x80\xa11",
            b"\x95\x03\x80\xa11\x03",
        ] {
            parse_with_all_protocols(&[before, code].concat());
        }
    }
}

/// Concatenations of fragments of JSON messages.
fn almost_valid_json() -> impl Strategy<Value = Vec<u8>> {
    let piece = proptest::sample::select(vec![
        "{",
        "}",
        "[",
        "]",
        ",",
        ":",
        "\"",
        "\\",
        "\\u",
        "d800",
        "\"type\":",
        "1",
        "2",
        "3",
        "4",
        "-0",
        "1e9",
        "null",
        "true",
        "\"target\":\"A\"",
        "\"arguments\":[",
        "\"invocationId\":\"1\"",
        "\"item\":",
        "\"result\":",
        "\"headers\":{",
        "\"streamIds\":[",
        "\"a\"",
        " ",
        "\n",
        "é",
        "{\"type\":1,\"target\":\"A\",\"arguments\":[",
    ]);
    proptest::collection::vec(piece, 0..24).prop_map(|pieces| pieces.concat().into_bytes())
}

/// Concatenations of fragments of MessagePack messages.
fn almost_valid_messagepack() -> impl Strategy<Value = Vec<u8>> {
    let piece = proptest::sample::select(vec![
        &b"\x96\x01\x80\xa11\xa1A\x92"[..],
        b"\x94\x02\x80\xa11",
        b"\x95\x03\x80\xa11\x03",
        b"\x80",
        b"\x81\xa1a\xa1b",
        b"\x91",
        b"\x92",
        b"\xa1x",
        b"\xc0",
        b"\xc2",
        b"\xc4\x01a",
        b"\xca\x00\x00\x00\x00",
        b"\xcd\x01\x00",
        b"\xd9\x01x",
        b"\xdc\x00\x01",
        b"\xd6\xff\x00\x00\x00\x00",
        b"\xc7\x0c\xff",
        b"\xdf\x00\x00\x00\x01",
        b"\xff",
        b"\x07",
        b"\xc1",
    ]);
    proptest::collection::vec(piece, 0..16).prop_map(|pieces| pieces.concat())
}

proptest! {
    #![proptest_config(super::cases())]

    #[test]
    fn arbitrary_bytes_cause_no_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        parse_with_all_protocols(&bytes);
    }

    #[test]
    fn almost_valid_messages_cause_no_panic(json in almost_valid_json(), messagepack in almost_valid_messagepack()) {
        parse_with_all_protocols(&json);
        parse_with_all_protocols(&messagepack);
    }

    #[test]
    fn mutated_messages_cause_no_panic(
        which in 0_usize..10,
        changes in proptest::collection::vec((any::<proptest::sample::Index>(), any::<u8>(), any::<bool>()), 1..4),
    ) {
        for &format in HubProtocolKind::ALL {
            let protocol = HubProtocol::new(format, Naming::DotNet);
            let mut message = messages(protocol).swap_remove(which);
            for (at, byte, insert) in &changes {
                let at = at.index(message.len());
                if *insert {
                    message.insert(at, *byte);
                } else {
                    message[at] = *byte;
                }
            }
            parse_with_all_protocols(&message);
        }
    }

    /// Compares the parser's validation of JSON with that of `serde_json`.
    #[test]
    fn unknown_properties_are_validated_as_json(json in almost_valid_json()) {
        let text = String::from_utf8_lossy(&json);
        let frame = format!("{{\"type\":6,\"x\":{text}}}");
        if serde_json::from_str::<serde::de::IgnoredAny>(&frame).is_ok() {
            prop_assert!(super::JSON.parse(frame.as_bytes(), |_| true).is_ok() || text.contains("\"type\""));
        }
        let whole = serde_json::from_str::<serde::de::IgnoredAny>(&text).is_ok();
        prop_assert_eq!(super::JSON.read_value::<serde::de::IgnoredAny>(text.as_bytes()).is_ok(), whole);
    }
}
