//! Vectors of MessagePack and of its framing.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;

use super::{
    CustomObject, Timestamp, assert_parses, custom_object, list, relayed, text, unframed, unhex, vectors, write,
};
use crate::protocol::tests::{bind, call, mismatch};
use crate::protocol::values::Binary;
use crate::protocol::{Framer, HubMessage, HubProtocol, HubProtocolKind, Naming, ReadError};

const DOT_NET: HubProtocol = HubProtocol::new(HubProtocolKind::MessagePack, Naming::DotNet);

fn bytes(vector: &Value) -> Vec<u8> {
    match (&vector["hex"], &vector["base64"]) {
        (Value::String(hex), _) => unhex(hex),
        (_, base64) => STANDARD.decode(text(base64)).unwrap(),
    }
}

#[test]
fn messages_are_written_and_parsed_as_in_aspnet() {
    let vectors = vectors();
    for key in ["write_and_parse_base", "write_and_parse_objects"] {
        for vector in list(&vectors["messagepack"][key]) {
            let (name, body) = (text(&vector["name"]), bytes(vector));
            let framed = write(DOT_NET, &vector["message"]);
            assert_eq!(
                unframed(HubProtocolKind::MessagePack, &framed).escape_ascii().to_string(),
                body.escape_ascii().to_string(),
                "{name}"
            );
            assert_parses(DOT_NET, &body, &vector["message"], name);
        }
    }
}

#[test]
fn client_results_are_relayed_and_read() {
    let vectors = vectors();
    for vector in list(&vectors["messagepack"]["client_results"]) {
        let body = bytes(vector);
        match text(&vector["name"]) {
            "SimpleResult" => assert_eq!(relayed(DOT_NET, &body), Some(Ok(42))),
            "NullResult" => assert_eq!(relayed(DOT_NET, &body), Some(Ok(None::<CustomObject<Timestamp>>))),
            _ => {
                let date = Timestamp((-1, Binary::from(unhex("58ec1c80"))));
                assert_eq!(relayed(DOT_NET, &body), Some(Ok(custom_object(date))));
            }
        }
    }
    let unexpected = bytes(&vectors["messagepack"]["unexpected_client_result"]);
    assert!(relayed::<i32>(DOT_NET, &unexpected).unwrap().is_err());
    let wrong_type = bytes(&vectors["messagepack"]["wrong_type_client_result"]);
    assert!(relayed::<i32>(DOT_NET, &wrong_type).unwrap().is_err());
    let read_only = &vectors["messagepack"]["read_only_list_result"];
    assert_eq!(unframed(HubProtocolKind::MessagePack, &write(DOT_NET, &read_only["message"])), bytes(read_only));
}

#[test]
fn extra_array_items_are_ignored() {
    let vectors = vectors();
    let extra = &vectors["messagepack"]["parse_with_extra_items"];
    assert_parses(DOT_NET, &bytes(extra), &extra["expect"], "parse_with_extra_items");
    for vector in list(&vectors["messagepack"]["spec_examples"]) {
        assert!(matches!(DOT_NET.parse(&bytes(vector), |_| true), Ok(Some(_))), "{vector}");
    }
}

#[test]
fn invalid_messages_end_the_connection_with_the_texts_of_aspnet() {
    for case in list(&vectors()["messagepack"]["invalid"]["cases"]) {
        // Errors after the arguments are found during binding.
        let body = bytes(case);
        let error = match DOT_NET.parse(&body, |_| true) {
            Ok(Some(HubMessage::Invocation(call))) => match bind::<(String,)>(&call.arguments, 1) {
                Err(ReadError::Malformed(error)) => error,
                other => panic!("{case} is {other:?}"),
            },
            other => other.unwrap_err(),
        };
        assert_eq!((error.type_name(), error.message()), ("InvalidDataException", text(&case["error"])), "{case}");
    }
}

#[test]
fn messagepack_arguments_of_wrong_types_fail_only_the_invocation() {
    for case in list(&vectors()["messagepack"]["argument_binding_errors"]["cases"]) {
        let body = bytes(case);
        let call = call(DOT_NET, &body);
        assert_eq!((call.id.as_deref(), &*call.target), (Some("abc"), "xyz"), "{case}");
        let expected = mismatch("InvalidDataException", text(&case["error"]));
        assert_eq!(bind::<(String,)>(&call.arguments, 1), Err(expected), "{case}");
    }
}

#[test]
fn lengths_are_read_and_written_as_in_aspnet() {
    let vectors = vectors();
    let framing = &vectors["framing"];
    let payload = |vector: &Value| match (&vector["payload_hex"], &vector["payload_utf8"]) {
        (Value::String(hex), _) => unhex(hex),
        (_, utf8) => text(utf8).as_bytes().to_vec(),
    };
    for vector in list(&framing["binary_parse"]) {
        assert_eq!(unframed(HubProtocolKind::MessagePack, &unhex(text(&vector["framed_hex"]))), payload(vector));
    }
    for framed in list(&framing["binary_over_2gb"]["cases"]) {
        let error = Framer::new(HubProtocolKind::MessagePack, None).next(&mut &*unhex(text(framed))).unwrap_err();
        assert_eq!(error.type_name(), text(&framing["binary_over_2gb"]["exception"]));
        assert_eq!(error.message(), text(&framing["binary_over_2gb"]["error"]));
    }
    let partial = list(&framing["binary_partial_returns_false"]).iter();
    for framed in partial.chain(list(&vectors["messagepack"]["partial_frames_not_consumed"])) {
        let framed = unhex(text(framed));
        let mut framer = Framer::new(HubProtocolKind::MessagePack, None);
        assert_eq!(framer.next(&mut &*framed), Ok(None));
        assert_eq!(framer.is_empty(), framed.is_empty());
    }
    let multiple = &framing["binary_multiple"];
    let framed = unhex(text(&multiple["framed_hex"]));
    let (mut input, mut framer) = (&*framed, Framer::new(HubProtocolKind::MessagePack, None));
    for payload in list(&multiple["payloads_utf8"]) {
        assert_eq!(framer.next(&mut input).unwrap().unwrap(), text(payload).as_bytes());
    }
}

#[test]
fn deeply_nested_results_are_parsed_but_not_read() {
    let frame = [&unhex("950380a378797a03")[..], &[0x91; 100_000], &[0xc0]].concat();
    let Ok(Some(HubMessage::Completion { result, .. })) = DOT_NET.parse(&frame, |_| false) else {
        panic!("not a completion");
    };
    assert!(result.unwrap().read::<Value>().is_err());
}
