//! Malformed input, which must not cause a panic nor exhaust stack or memory.

use proptest::prelude::*;
use rmp::Marker;

use super::*;

/// Reads a payload as each kind, and checks the memory that its lists need.
pub(super) fn read_all(payload: &[u8]) {
    for kind in Kind::ALL {
        if let Ok(written) = kind.rewrite(payload) {
            assert_eq!(kind.rewrite(&written), Ok(written.clone()), "{kind:?}");
        }
    }
    let limit = 16 * payload.len();
    if let Ok(Invocation { excluded, messages, .. }) = Invocation::parse(payload) {
        let bytes = excluded.capacity() * size_of::<&str>() + messages.capacity() * size_of::<(&str, &[u8])>();
        assert!(bytes <= limit, "{bytes} bytes");
        let start = payload.as_ptr_range();
        for text in excluded {
            assert!(start.contains(&text.as_ptr()) || text.is_empty());
        }
        for (name, message) in messages {
            assert!(start.contains(&name.as_ptr()) || name.is_empty());
            assert!(start.contains(&message.as_ptr()) || message.is_empty());
        }
    }
    if let Ok(ClusterReply::Connections(texts)) = ClusterReply::parse(payload) {
        assert!(texts.capacity() * size_of::<&str>() <= limit);
    }
    if let Ok(ClusterQuery { kind: ClusterQueryKind::Disconnect { excluded, .. }, .. }) = ClusterQuery::parse(payload) {
        assert!(excluded.capacity() * size_of::<&str>() <= limit);
    }
}

/// Returns the error of a payload.
fn error(kind: Kind, payload: &[u8]) -> PayloadError {
    match kind.rewrite(payload) {
        Err(error) => error,
        Ok(_) => panic!("{} is a valid {kind:?}", payload.escape_ascii()),
    }
}

#[test]
fn too_few_items_have_the_error_of_aspnet() {
    for (kind, payload, text) in [
        (Kind::Invocation, &b"\x91\x90"[..], "Insufficient items in Invocation array."),
        (Kind::GroupCommand, b"\x94\x2a\xa1S\x01\xa1G", "Insufficient items in GroupCommand array."),
        (Kind::Ack, b"\x90", "Insufficient items in Ack array."),
        (Kind::Completion, b"\x91\xa4json", "Insufficient items in CompletionMessage array."),
        (Kind::Query, b"\x92\x01\xa1S", "Insufficient items in ClusterQuery array."),
        (Kind::Query, b"\x93\x01\xa1S\x01", "Insufficient items in ClusterQuery array."),
        (Kind::Query, b"\x97\x01\xa1S\x05\x00\xa0\x90\xc0", "Insufficient items in ClusterQuery array."),
        (Kind::Reply, b"\x91\x01", "Insufficient items in ClusterReply array."),
    ] {
        assert_eq!(error(kind, payload).to_string(), text);
    }
}

#[test]
fn further_items_are_ignored() {
    let further = |payload: &[u8]| {
        let mut longer = payload.to_vec();
        longer[0] += 2;
        longer.extend_from_slice(b"\x81\xa1x\x91\xc0\xca\x3f\x80\x00\x00");
        longer
    };
    let plain = [
        (Kind::GroupCommand, b"\x95\x2a\xa1S\x01\xa1G\xa1C".to_vec()),
        (Kind::Ack, b"\x91\x2a".to_vec()),
        (Kind::Completion, b"\x92\xa4json\xc4\x01\x1e".to_vec()),
    ];
    for (kind, payload) in plain.into_iter().chain(samples()) {
        assert_eq!(kind.rewrite(&further(&payload)), Ok(payload), "{kind:?}");
    }
    // A client result takes both further items.
    for payload in [&b"\x92\x90\x80"[..], b"\x93\x90\x80\xc0"] {
        assert_eq!(Invocation::parse(payload).unwrap().result, None);
    }
}

#[test]
fn ids_are_read_in_every_form_of_an_integer() {
    for (bytes, id) in [
        (&b"\x2a"[..], 42),
        (b"\xcc\x2a", 42),
        (b"\xcd\x00\x2a", 42),
        (b"\xce\x00\x00\x00\x2a", 42),
        (b"\xcf\x00\x00\x00\x00\x00\x00\x00\x2a", 42),
        (b"\xd0\x2a", 42),
        (b"\xd1\x00\x2a", 42),
        (b"\xd2\x00\x00\x00\x2a", 42),
        (b"\xd3\x00\x00\x00\x00\x00\x00\x00\x2a", 42),
        (b"\xff", -1),
        (b"\xd0\xff", -1),
        (b"\xd3\xff\xff\xff\xff\xff\xff\xff\xff", -1),
        (b"\xce\x7f\xff\xff\xff", i32::MAX),
        (b"\xd2\x80\x00\x00\x00", i32::MIN),
    ] {
        assert_eq!(Ack::parse(&[b"\x91", bytes].concat()), Ok(Ack { id }));
    }
    for bytes in [
        &b"\xce\x80\x00\x00\x00"[..],
        b"\xcf\x00\x00\x00\x01\x00\x00\x00\x00",
        b"\xcf\xff\xff\xff\xff\xff\xff\xff\xff",
        b"\xd3\xff\xff\xff\xff\x7f\xff\xff\xff",
    ] {
        assert_eq!(error(Kind::Ack, &[b"\x91", bytes].concat()), PayloadError::OutOfRange);
    }
}

#[test]
fn wrong_types_are_errors() {
    for (kind, payload, marker) in [
        (Kind::Ack, &b"\x81\x01\x02"[..], Marker::FixMap(1)),
        (Kind::Ack, b"\x91\xc0", Marker::Null),
        (Kind::Ack, b"\x91\xca\x00\x00\x00\x00", Marker::F32),
        (Kind::Ack, b"\xc1", Marker::Reserved),
        (Kind::Invocation, b"\x92\xc0\x80", Marker::Null),
        (Kind::Invocation, b"\x92\x91\x01\x80", Marker::FixPos(1)),
        (Kind::Invocation, b"\x92\x91\xc4\x01a\x80", Marker::Bin8),
        (Kind::Invocation, b"\x92\x90\x90", Marker::FixArray(0)),
        (Kind::Invocation, b"\x92\x90\x81\xa1p\xa1x", Marker::FixStr(1)),
        (Kind::Invocation, b"\x92\x90\x81\xa1p\xc0\xc0\xc0", Marker::Null),
        (Kind::Invocation, b"\x94\x90\x80\xc0\xc0", Marker::Null),
        (Kind::GroupCommand, b"\x95\x2a\xc0\x01\xa1G\xa1C", Marker::Null),
        (Kind::Completion, b"\x92\xa1p\xc7\x01\x00\x00", Marker::Ext8),
        (Kind::Query, b"\x98\x01\xa1S\x05\x00\xa0\x90\x01\xc2", Marker::FixPos(1)),
        (Kind::Query, b"\x98\x01\xa1S\x05\x00\xa0\x90\xc0\x01", Marker::FixPos(1)),
        (Kind::Reply, b"\x92\x01\xa1x", Marker::FixStr(1)),
    ] {
        assert_eq!(error(kind, payload), PayloadError::WrongType(marker), "{}", payload.escape_ascii());
    }
    assert_eq!(error(Kind::Reply, b"\x92\x01\xff"), PayloadError::OutOfRange);
}

#[test]
fn texts_that_are_not_utf8_are_errors() {
    for (kind, payload) in [
        (Kind::Invocation, &b"\x92\x91\xa1\xff\x80"[..]),
        (Kind::Invocation, b"\x92\x90\x81\xa2\xc3(\xc4\x00"),
        (Kind::GroupCommand, b"\x95\x2a\xa1S\x01\xa3\xed\xa0\x80\xa1C"),
        (Kind::Completion, b"\x92\xa1\x80\xc4\x00"),
        (Kind::Reply, b"\x92\x01\x91\xa1\xff"),
    ] {
        assert_eq!(error(kind, payload), PayloadError::InvalidUtf8);
    }
}

#[test]
fn lengths_beyond_the_payload_are_errors() {
    for (kind, payload) in [
        (Kind::Ack, &b"\xdd\xff\xff\xff\xff\x01"[..]),
        (Kind::Invocation, b"\x92\xdd\xff\xff\xff\xff\x80"),
        (Kind::Invocation, b"\x92\x90\xdf\xff\xff\xff\xff"),
        (Kind::Invocation, b"\x92\x91\xdb\xff\xff\xff\xff\x80"),
        (Kind::Invocation, b"\x92\x90\x81\xa1p\xc6\xff\xff\xff\xff"),
        (Kind::Invocation, b"\x92\x90\x81\xa1p\xc4\x02\x00"),
        (Kind::Reply, b"\x92\x01\xdd\xff\xff\xff\xff\xa0"),
    ] {
        assert_eq!(error(kind, payload), PayloadError::Truncated, "{}", payload.escape_ascii());
    }
}

#[test]
fn unknown_kinds_are_distinguished_from_malformed_payloads() {
    for (kind, payload, text) in [
        (Kind::GroupCommand, &b"\x95\x2a\xa1S\x03\xa1G\xa1C"[..], "unknown group action: 3"),
        (Kind::Query, b"\x93\x01\xa1S\x06", "unknown kind of query: 6"),
        (Kind::Query, b"\x94\x01\xa1S\x00\x80", "unknown kind of query: 0"),
        (Kind::Query, b"\x98\x01\xa1S\x05\x04\xa0\x90\xc0\xc2", "unknown kind of audience: 4"),
    ] {
        let error = error(kind, payload);
        assert!(matches!(error, PayloadError::Unknown { .. }), "{error:?}");
        assert_eq!(error.to_string(), text);
    }
}

#[test]
fn the_first_of_several_messages_for_a_hub_protocol_counts() {
    let invocation = Invocation::parse(b"\x92\x90\x83\xa1p\xc4\x01\x01\xa1q\xc4\x01\x02\xa1p\xc4\x01\x03").unwrap();
    assert_eq!(invocation.message("p"), Some(&[1][..]));
    assert_eq!((invocation.message("P"), invocation.message("")), (None, None));
    assert_eq!(invocation.messages.len(), 3);
}

#[test]
fn truncated_payloads_are_errors() {
    for (kind, payload) in samples() {
        for end in 0..payload.len() {
            assert!(kind.rewrite(&payload[..end]).is_err(), "{end} of {} bytes", payload.len());
        }
    }
}

#[test]
fn deep_nesting_exhausts_no_stack() {
    for code in [&b"\x92"[..], b"\x91", b"\x81\xa0", b"\xdd\x00\x00\x00\x01"] {
        let deep = code.repeat(100_000);
        for start in [&b""[..], b"\x92", b"\x92\x90", b"\x92\x01", b"\x93\x01\xa1S"] {
            read_all(&[start, &deep].concat());
        }
    }
}

proptest! {
    #![proptest_config(cases())]

    #[test]
    fn arbitrary_bytes_cause_no_panic_and_need_linear_memory(payload: Vec<u8>) {
        read_all(&payload);
    }

    #[test]
    fn arbitrary_items_cause_no_panic_and_need_linear_memory(
        items in prop::collection::vec(prop::sample::select(ITEMS), 0..40),
    ) {
        read_all(&items.concat());
    }
}

/// Headers of arrays and maps, and short items.
const ITEMS: &[&[u8]] = &[
    b"\x90",
    b"\x91",
    b"\x92",
    b"\x94",
    b"\x98",
    b"\xdc\x00\x04",
    b"\xdd\x00\x00\x00\x02",
    b"\x80",
    b"\x82",
    b"\xde\x00\x01",
    b"\xa0",
    b"\xa1x",
    b"\xd9\x01x",
    b"\xa1\xff",
    b"\xc4\x00",
    b"\xc4\x01x",
    b"\xc5\x00\x01x",
    b"\xc0",
    b"\xc3",
    b"\x01",
    b"\x05",
    b"\xff",
];
