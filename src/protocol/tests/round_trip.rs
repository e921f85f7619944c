//! Round trips of all messages in every hub protocol.

use proptest::prelude::*;

use super::{HubProtocol, bind, call, each_protocol, written};
use crate::protocol::{Framer, HubMessage, HubProtocolKind, Naming};

fn parsed(protocol: HubProtocol, framed: &[u8], test: impl FnOnce(HubMessage<'_>)) {
    let mut input = framed;
    let mut framer = Framer::new(protocol.kind(), Some(framed.len()));
    let frame = framer.next(&mut input).unwrap().expect("a complete message");
    test(protocol.parse(frame, |_| true).unwrap().expect("a message of a known type"));
    assert!(input.is_empty());
}

#[test]
fn messages_without_values_round_trip() {
    each_protocol(|protocol| {
        let came_back = |framed: Vec<u8>, expected: HubMessage<'_>| {
            parsed(protocol, &framed, |message| assert_eq!(message, expected))
        };
        came_back(written(|out| protocol.write_ping(out)), HubMessage::Ping);
        came_back(
            written(|out| protocol.write_cancel(out, "a\"1")),
            HubMessage::CancelInvocation { id: "a\"1".into() },
        );
        for (error, allow_reconnect) in [(None, false), (None, true), (Some("x\ny"), false), (Some("é"), true)] {
            came_back(
                written(|out| protocol.write_close(out, error, allow_reconnect)),
                HubMessage::Close { error: error.map(Into::into), allow_reconnect },
            );
        }
        came_back(
            written(|out| protocol.write_completion(out, "1")),
            HubMessage::Completion { id: "1".into(), result: None, error: None },
        );
        came_back(
            written(|out| protocol.write_error(out, "1", "no")),
            HubMessage::Completion { id: "1".into(), result: None, error: Some("no".into()) },
        );
        let numbers =
            [0, 1, 127, 128, 255, 256, 65_535, 65_536, i64::from(u32::MAX), i64::from(u32::MAX) + 1, i64::MAX];
        for sequence_id in numbers.into_iter().chain(numbers.map(|number| -number - 1)) {
            came_back(written(|out| protocol.write_ack(out, sequence_id)), HubMessage::Ack { sequence_id });
            came_back(written(|out| protocol.write_sequence(out, sequence_id)), HubMessage::Sequence { sequence_id });
        }
    });
}

#[test]
fn messages_with_long_length_prefixes_round_trip() {
    each_protocol(|protocol| {
        for length in [0, 31, 32, 100, 127, 128, 255, 256, 16_383, 16_384, 65_535, 65_536, 2_097_152] {
            let text = "x".repeat(length);
            let framed = written(|out| protocol.write_result(out, "1", &text).unwrap());
            parsed(protocol, &framed, |message| {
                let HubMessage::Completion { result: Some(result), .. } = message else {
                    panic!("no result in the completion")
                };
                assert_eq!(result.read(), Ok(text.clone()));
            });
            if length > 0 {
                let framed = written(|out| protocol.write_cancel(out, &text));
                let expected = HubMessage::CancelInvocation { id: (&*text).into() };
                parsed(protocol, &framed, |message| assert_eq!(message, expected));
            }
        }
    });
}

#[test]
fn many_headers_and_stream_ids_round_trip() {
    each_protocol(|protocol| {
        for count in [0, 1, 15, 16, 70_000] {
            let names: Vec<_> = (0..count).map(|index| index.to_string()).collect();
            let headers: Vec<_> = names.iter().map(|name| (&**name, "v")).collect();
            let ids: Vec<_> = names.iter().map(|name| &**name).collect();
            let framed = written(|out| {
                protocol.with_headers(&headers).write_stream_invocation(out, "1", "A", &(), Some(&ids)).unwrap();
            });
            parsed(protocol, &framed, |message| {
                let HubMessage::Invocation(call) = message else { panic!("not an invocation") };
                assert!(call.streaming);
                assert_eq!(call.stream_ids, ids);
                assert_eq!(call.headers.iter().count(), count);
            });
        }
    });
}

#[test]
fn invocations_without_arguments_have_an_empty_list() {
    each_protocol(|protocol| {
        let framed = written(|out| protocol.write_invocation(out, None, "A", &()).unwrap());
        parsed(protocol, &framed, |message| {
            let HubMessage::Invocation(call) = message else { panic!("not an invocation") };
            assert_eq!((call.id, call.arguments.len()), (None, 0));
            assert!(call.arguments.is_empty());
            assert_eq!(bind(&call.arguments, 0), Ok(()));
        });
        let empty_id = written(|out| protocol.write_invocation(out, Some(""), "A", &()).unwrap());
        assert_eq!(empty_id, framed);
    });
}

fn any_text() -> impl Strategy<Value = String> {
    prop_oneof!["[ -~]{1,12}", "\\PC{1,20}", Just("\"\\\u{0}\u{1e}\n é😀".to_owned())]
}

proptest! {
    #![proptest_config(super::cases())]

    #[test]
    fn invocations_round_trip(
        id in proptest::option::of(any_text()),
        target in any_text(),
        number in any::<i64>(),
        texts in proptest::collection::vec(any_text(), 0..5),
        ids in proptest::collection::vec(any_text(), 0..4),
        naming in prop_oneof![Just(Naming::Serde), Just(Naming::DotNet)],
    ) {
        for &format in HubProtocolKind::ALL {
            let protocol = HubProtocol::new(format, naming);
            let stream_ids: Vec<_> = ids.iter().map(|id| &**id).collect();
            let headers = [("a", "b")];
            let arguments = (number, texts.clone());
            let framed = written(|out| {
                let writer = protocol.with_headers(&headers);
                writer.write_invocation(out, id.as_deref(), &target, &arguments, Some(&stream_ids)).unwrap();
            });
            parsed(protocol, &framed, |message| {
                let HubMessage::Invocation(call) = message else { panic!("not an invocation") };
                assert_eq!(call.id.as_deref(), id.as_deref());
                assert_eq!(&*call.target, &*target);
                assert_eq!(call.stream_ids, stream_ids);
                assert_eq!(bind(&call.arguments, 2), Ok(arguments.clone()));
                assert!(bind::<(i64,)>(&call.arguments, 1).is_err());
                assert_eq!(call.headers.get("a").as_deref(), Some("b"));
            });
        }
    }

    #[test]
    fn results_and_items_round_trip(id in any_text(), value in any::<(f64, Option<bool>)>()) {
        prop_assume!(value.0.is_finite());
        for &format in HubProtocolKind::ALL {
            let protocol = HubProtocol::new(format, Naming::Serde);
            let framed = written(|out| protocol.write_result(out, &id, &value).unwrap());
            parsed(protocol, &framed, |message| match message {
                HubMessage::Completion { id: given, result: Some(result), error: None } => {
                    assert_eq!(&*given, &*id);
                    let (number, flag): (f64, Option<bool>) = result.read().unwrap();
                    assert_eq!((number.to_bits(), flag), (value.0.to_bits(), value.1));
                }
                other => panic!("{other:?}"),
            });
            let framed = written(|out| protocol.write_stream_item(out, &id, &value).unwrap());
            parsed(protocol, &framed, |message| match message {
                HubMessage::StreamItem { id: given, item, item_first: false } => {
                    assert_eq!(&*given, &*id);
                    assert_eq!(item.read(), Ok(value));
                }
                other => panic!("{other:?}"),
            });
        }
    }
}

#[test]
fn stream_invocations_round_trip() {
    each_protocol(|protocol| {
        let framed = written(|out| protocol.write_stream_invocation(out, "1", "Counter", &(1, "a")).unwrap());
        parsed(protocol, &framed, |message| {
            let HubMessage::Invocation(call) = message else { panic!("not an invocation") };
            assert!(call.streaming);
            assert_eq!(bind(&call.arguments, 2), Ok((1, "a".to_owned())));
        });
        let mut input = &*framed;
        let mut framer = Framer::new(protocol.kind(), None);
        let frame = framer.next(&mut input).unwrap().expect("a complete message");
        assert_eq!(call(protocol, frame).target, "Counter");
    });
}
