//! Handling of MessagePack messages as observed on an ASP.NET Core server.

use super::{MESSAGEPACK, WRONG_TYPE, bind, call, fatal, malformed, mismatch};
use crate::protocol::{HubMessage, ReadError};

/// Returns an invocation of `Add` with these arguments and the bytes after them.
fn add(arguments: &[u8], behind: &[u8]) -> Vec<u8> {
    let items = if behind.is_empty() { 0x95 } else { 0x96 };
    [&[items, 1, 0x80, 0xa1, b'1', 0xa3][..], b"Add", arguments, behind].concat()
}

fn sum(frame: &[u8]) -> Result<i32, ReadError> {
    bind::<(i32, i32)>(&call(MESSAGEPACK, frame).arguments, 2).map(|(a, b)| a + b)
}

#[test]
fn malformed_messagepack_messages_have_the_texts_of_aspnet() {
    let code = |code: &str| format!("MessagePackSerializationException: Unexpected msgpack code {code} encountered.");
    let reading = |what: &str| format!("InvalidDataException: Reading {what} failed.");
    let end = "EndOfStreamException: Attempted to read past the end of the stream.";
    for (frame, expected) in [
        (&b""[..], end.to_owned()),
        (b"\xa4text", code("164 (fixstr)")),
        (b"\xc1", code("193 ((never used))")),
        (b"\x80", code("128 (fixmap)")),
        (b"\x01", code("1 (positive fixint)")),
        (b"\x90", reading("'messageType' as Int32")),
        (b"\x91\xc0", reading("'messageType' as Int32")),
        (b"\x91\xcf\xff\xff\xff\xff\xff\xff\xff\xff", reading("'messageType' as Int32")),
        (b"\x96\x01\x80", end.to_owned()),
        (b"\x91\x01", reading("map length for 'headers'")),
        (b"\x94\x03\x80\xa11\x03", end.to_owned()),
        (b"\x95\x03\x80\xa11\x03\xc1", code("193 ((never used))")),
        (b"\x91\x07", reading("'error' as String")),
        (b"\x93\x07\xc0\xc0", reading("'allowReconnect' as Boolean")),
        (b"\x94\x03\x80\xa1x\x04", "InvalidDataException: Invalid invocation result kind.".to_owned()),
        (
            b"\x96\x01\x82\xa1a\xa1b\xa1a\xa1c\xa11\xa1A\x90\x90",
            "ArgumentException: An item with the same key has already been added. Key: a".to_owned(),
        ),
        (b"\x96\x01\x81\xa1a\xc0\xa11\xa1A\x90\x90", "InvalidDataException: Null or empty value in header.".to_owned()),
        (b"\x96\x01\x81\xa0\xa1a\xa11\xa1A\x90\x90", "InvalidDataException: Null or empty key in header.".to_owned()),
    ] {
        assert_eq!(fatal(MESSAGEPACK, frame, true), expected, "{}", frame.escape_ascii());
    }
}

#[test]
fn faults_after_unbindable_arguments_are_not_reported() {
    let behind = b"\x91\x05";
    let malformed =
        malformed("MessagePackSerializationException", "Unexpected msgpack code 5 (positive fixint) encountered.");
    assert_eq!(sum(&add(b"\x92\x01\x02", behind)), Err(malformed));
    assert_eq!(sum(&add(b"\x92\x01\xa1x", behind)), Err(mismatch("InvalidDataException", WRONG_TYPE)));
    let provides = "Invocation provides 1 argument(s) but target expects 2.";
    assert_eq!(sum(&add(b"\x91\x01", behind)), Err(mismatch("InvalidDataException", provides)));
    let no_list = mismatch("InvalidDataException", "Reading array length for 'arguments' failed.");
    assert_eq!(sum(&add(b"\x2a", behind)), Err(no_list.clone()));
    assert_eq!(sum(&add(b"\x92\x01", b"")), Err(no_list));
    let unknown = add(b"\x92\x01\x02", behind);
    assert!(matches!(MESSAGEPACK.parse(&unknown, |_| false), Ok(Some(HubMessage::Invocation(_)))));
}

#[test]
fn truncated_arguments_do_not_bind() {
    for arguments in [&b"\x92\x01\xa5x"[..], b"\x92\x01\xdd\xff\xff\xff\xff", b"\x92\x01\xc1", b"\x92\x01\xcd\x00"] {
        let bound = sum(&add(arguments, b""));
        assert_eq!(bound, Err(mismatch("InvalidDataException", WRONG_TYPE)), "{}", arguments.escape_ascii());
    }
}

#[test]
fn integers_may_have_any_width() {
    for (arguments, expected) in [
        (&b"\x92\xcc\xff\xcd\xff\xff"[..], 65_790),
        (b"\x92\xce\x00\x00\x00\x01\xcf\x00\x00\x00\x00\x00\x00\x00\x02", 3),
        (b"\x92\xd0\xff\xd1\xff\x00", -257),
        (b"\x92\xd2\x80\x00\x00\x00\xd3\x00\x00\x00\x00\x00\x00\x00\x01", -2_147_483_647),
        (b"\x92\xff\xe0", -33),
    ] {
        assert_eq!(sum(&add(arguments, b"\x90")), Ok(expected));
    }
    for number in [
        &b"\xca\x3f\x80\x00\x00"[..],
        b"\xa11",
        b"\xc3",
        b"\xc0",
        b"\xce\x80\x00\x00\x00",
        b"\xc4\x01\x01",
        b"\xd4\x01\x00",
    ] {
        let bound = sum(&add(&[b"\x92\x01", number].concat(), b""));
        assert_eq!(bound, Err(mismatch("InvalidDataException", WRONG_TYPE)), "{}", number.escape_ascii());
    }
}

#[test]
fn floats_are_read_from_integers() {
    let double = |value: &[u8]| MESSAGEPACK.read_value::<f64>(value).ok();
    let float = |value: &[u8]| MESSAGEPACK.read_value::<f32>(value).ok();
    assert_eq!(double(b"\xca\x3f\xc0\x00\x00"), Some(1.5));
    assert_eq!(double(b"\x07"), Some(7.0));
    assert_eq!(double(b"\xd0\x80"), Some(-128.0));
    assert_eq!(float(b"\xcb\x3f\xf8\x00\x00\x00\x00\x00\x00"), Some(1.5));
    assert_eq!(float(b"\xff"), Some(-1.0));
    for refused in [&b"\xa31.5"[..], b"\xc0", b"\xc3"] {
        assert_eq!((double(refused), float(refused)), (None, None));
    }
}

#[test]
fn message_fields_need_not_have_minimal_encodings() {
    let frame = b"\x96\xd1\x00\x01\xde\x00\x00\xd9\x011\xd9\x03Add\xdc\x00\x02\x01\x02\xdd\x00\x00\x00\x00";
    assert_eq!(sum(frame), Ok(3));
    let frame = b"\x95\x01\x80\xa11\xa3Add\x92\x01\x02\xc1\xc1";
    assert_eq!(sum(frame), Ok(3));
    let close = MESSAGEPACK.parse(b"\x92\xce\x00\x00\x00\x07\xc0", |_| true);
    assert_eq!(close, Ok(Some(HubMessage::Close { error: None, allow_reconnect: false })));
}

#[test]
fn messages_of_unknown_types_are_ignored() {
    assert_eq!(MESSAGEPACK.parse(b"\x91\x63", |_| true), Ok(None));
    assert_eq!(MESSAGEPACK.parse(b"\x91\xd3\xff\xff\xff\xff\xff\xff\xff\xff", |_| true), Ok(None));
}

#[test]
fn missing_or_wrong_items_end_only_the_stream() {
    for item in [&b""[..], b"\x92", b"\x05", b"\xc1"] {
        let frame = [b"\x94\x02\x80\xa1u", item].concat();
        let Ok(Some(HubMessage::StreamItem { item, .. })) = MESSAGEPACK.parse(&frame, |_| true) else {
            panic!("not a stream item")
        };
        let text = "Deserializing object of the `String` type for 'item' failed.";
        assert_eq!(item.read::<String>(), Err(mismatch("InvalidDataException", text)));
    }
    let Ok(Some(HubMessage::Completion { result, .. })) = MESSAGEPACK.parse(b"\x95\x03\x80\xa11\x03\x05", |_| true)
    else {
        panic!("not a completion")
    };
    let text = "Deserializing object of the `String` type for 'argument' failed.";
    assert_eq!(result.unwrap().read::<String>(), Err(mismatch("InvalidDataException", text)));
}

#[test]
fn invalid_utf8_in_message_fields_is_replaced() {
    let frame = b"\x95\x01\x80\xa11\xa2\xffd\x90";
    assert_eq!(call(MESSAGEPACK, frame).target, "\u{fffd}d");
}

#[test]
fn headers_are_decoded_on_demand() {
    let frame = b"\x96\x01\x82\xa1a\xa1b\xa1c\xa1d\xa11\xa1A\x90\x90";
    let headers = call(MESSAGEPACK, frame).headers;
    assert_eq!(headers.iter().map(|(key, value)| format!("{key}={value}")).collect::<Vec<_>>(), ["a=b", "c=d"]);
    assert_eq!(headers.get("c").as_deref(), Some("d"));
}

#[test]
fn values_nested_too_deeply_are_rejected() {
    let nested = |levels: usize| [vec![0x91; levels], vec![0xc0]].concat();
    assert!(MESSAGEPACK.read_value::<serde_json::Value>(&nested(60)).is_ok());
    assert!(MESSAGEPACK.read_value::<serde_json::Value>(&nested(70)).is_err());
}
