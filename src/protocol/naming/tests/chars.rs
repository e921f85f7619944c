//! C#'s `char`, and integers beyond the range of .NET's MessagePack types.

use std::collections::BTreeMap;

use serde_json::json;

use super::*;

#[test]
fn chars_are_strings_of_one_utf16_unit_in_json() {
    for letter in ['x', 'é', '€', '\0', '\n', '\u{ffff}', '\u{e000}', '\u{d7ff}'] {
        there_and_back(HubProtocolKind::Json, &letter, &json!(letter));
        there_and_back(
            HubProtocolKind::Json,
            &BTreeMap::from([(letter, letter)]),
            &json!({ letter.to_string(): letter }),
        );
    }
    for wire in
        ["\"\"", "\"xy\"", "\"e\u{301}\"", "\"😀\"", "\"\\ud83d\"", "\"\\ud83d\\ude00\"", "120", "null", "[\"x\"]"]
    {
        assert!(read_bytes::<char>(HubProtocolKind::Json, wire.as_bytes()).is_err(), "{wire}");
        assert!(read_buffered::<char>(HubProtocolKind::Json, wire.as_bytes()).is_err(), "{wire}, buffered");
    }
}

#[cfg(feature = "messagepack")]
#[test]
fn chars_are_numbers_in_messagepack() {
    for letter in ['x', 'é', '€', '\0', '\u{ffff}'] {
        there_and_back(HubProtocolKind::MessagePack, &letter, &json!(u32::from(letter)));
        assert_eq!(bytes(HubProtocolKind::MessagePack, &BTreeMap::from([(letter, 1)]))[1..].last(), Some(&1));
    }
    for wire in
        [&b"\x41"[..], b"\xcd\x00\x41", b"\xce\x00\x00\x00\x41", b"\xcf\x00\x00\x00\x00\x00\x00\x00\x41", b"\xd0\x41"]
    {
        assert_eq!(read_bytes(HubProtocolKind::MessagePack, wire), Ok('A'), "{}", wire.escape_ascii());
    }
    let refused = [
        &b"\xa1A"[..],
        b"\xff",
        b"\xd1\xff\xff",
        b"\xce\x00\x01\x00\x00",
        b"\xce\x00\x01\xf6\x00",
        b"\xca\x42\x82\x00\x00",
        b"\xc0",
        b"\xc3",
        b"\x91\x41",
        // An unpaired surrogate, which is a `char` in .NET.
        b"\xcd\xd8\x00",
    ];
    for wire in refused {
        assert!(read_bytes::<char>(HubProtocolKind::MessagePack, wire).is_err(), "{}", wire.escape_ascii());
        assert!(
            read_buffered::<char>(HubProtocolKind::MessagePack, wire).is_err(),
            "{}, buffered",
            wire.escape_ascii()
        );
    }
}

#[test]
fn chars_of_two_utf16_units_cannot_be_written() {
    for &format in FORMATS {
        let mut out = b"before".to_vec();
        let error = dot_net(format).write_value(&mut out, &[Named { letter: '😀' }]).unwrap_err();
        assert_eq!(error.to_string(), "a character beyond U+FFFF is two in UTF-16, and has no form as one");
        assert_eq!(out, b"before");
        // With serde's naming, it is a string.
        let mut out = Vec::new();
        let serde = HubProtocol::new(format, Naming::Serde);
        serde.write_value(&mut out, &'😀').unwrap();
        assert_eq!(serde.read_value(&out), Ok('😀'));
    }
}

#[derive(Serialize)]
struct Named {
    letter: char,
}

#[cfg(feature = "messagepack")]
#[test]
fn integers_beyond_64_bits_cannot_be_written_in_messagepack() {
    for value in [i128::from(i64::MIN), -1, 0, i128::from(u64::MAX)] {
        let mut expected = Vec::new();
        let plain = HubProtocol::new(HubProtocolKind::MessagePack, Naming::Serde);
        match u64::try_from(value) {
            Ok(value) => plain.write_value(&mut expected, &value).unwrap(),
            Err(_) => plain.write_value(&mut expected, &i64::try_from(value).unwrap()).unwrap(),
        }
        assert_eq!(bytes(HubProtocolKind::MessagePack, &value), expected);
        assert_eq!(read_bytes(HubProtocolKind::MessagePack, &expected), Ok(value));
    }
    let protocol = dot_net(HubProtocolKind::MessagePack);
    for value in [i128::from(i64::MIN) - 1, i128::from(u64::MAX) + 1] {
        let error = protocol.write_value(&mut Vec::new(), &value).unwrap_err();
        assert_eq!(error.to_string(), "an integer beyond 64 bits has no form in MessagePack");
    }
    assert!(protocol.write_value(&mut Vec::new(), &u128::MAX).is_err());
    assert!(protocol.write_value(&mut Vec::new(), &u128::from(u64::MAX)).is_ok());
}
