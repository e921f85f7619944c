//! MessagePack forms of values.

use super::*;

/// Asserts for each pair of hexadecimal strings that the first is read and written as the second;
/// `None` means that the first is rejected.
#[track_caller]
pub(super) fn table<T: Serialize + DeserializeOwned>(table: &[(&str, Option<&str>)]) {
    for (wire, expected) in table {
        let expected = expected.map(hex);
        echoes::<T>(HubProtocolKind::MessagePack, &hex(wire), expected.as_deref());
    }
}

pub(super) fn hex(digits: &str) -> Vec<u8> {
    let digits: Vec<_> = digits.chars().filter_map(|digit| digit.to_digit(16)).collect();
    digits.chunks(2).map(|pair| u8::try_from(pair[0] * 16 + pair[1]).unwrap()).collect()
}

fn text(text: &str) -> Vec<u8> {
    written(HubProtocol::new(HubProtocolKind::MessagePack, Naming::Serde), text)
}

/// Values of types other than those of this module.
const OTHER_TYPES: &[&str] =
    &["c0", "c2", "c3", "cb 0000000000000000", "ca 42820000", "90", "80", "c4 04 00000000", "d4 05 00", "c7 00 ff"];

fn reject_other_types<T: Serialize + DeserializeOwned>() {
    for wire in OTHER_TYPES {
        table::<T>(&[(wire, None)]);
    }
}

#[test]
fn dates_are_timestamps() {
    reject_other_types::<DateTime>();
    table::<DateTime>(&[
        ("d6ff 00000000", Some("d6ff 00000000")),
        ("d6ff ffffffff", Some("d6ff ffffffff")),
        ("d7ff 0000000000000000", Some("d6ff 00000000")),
        ("d7ff ee6b27fc00000001", Some("d7ff ee6b267000000001")),
        // More nanoseconds than a second has.
        ("d7ff ee6b280000000001", Some("d6ff 00000002")),
        ("d7ff ffffffffffffffff", Some("c70cff 046535e8 0000000400000000")),
        ("c70cff ffffffff 0000000000000000", Some("d7ff 46535e8000000004")),
        // Fractions of a tick are truncated.
        ("d7ff 0000018c00000005", Some("d6ff 00000005")),
        ("d7ff 0000025800000005", Some("d7ff 0000019000000005")),
        ("c70cff 00000032 ffffffffffffffff", Some("c70cff 00000000 ffffffffffffffff")),
        // First and last date.
        ("c70cff 00000000 fffffff1886e0900", Some("c70cff 00000000 fffffff1886e0900")),
        ("c70cff 00000000 fffffff1886e08ff", None),
        ("c70cff 3b9ac9ff fffffff1886e08ff", None),
        ("c70cff 3b9ac9ff 0000003afff4417f", Some("c70cff 3b9ac99c 0000003afff4417f")),
        ("c70cff 3b9aca00 0000003afff4417f", None),
        ("c70cff 00000000 0000003afff44180", None),
        ("c70cff 00000000 7fffffffffffffff", None),
        ("c70cff 00000000 8000000000000000", None),
        // Other headers.
        ("c704ff 00000001", Some("d6ff 00000001")),
        ("c8000cff 00000000 0000000000000000", Some("d6ff 00000000")),
        ("c900000004ff 00000000", Some("d6ff 00000000")),
        // Other lengths, and other extensions.
        ("c705ff 0000000000", None),
        ("d8ff 00000000000000000000000000000000", None),
        ("d605 00000001", None),
        ("d6fe 00000001", None),
        // Content of an extension.
        ("92 ff c404 00000001", None),
        ("9101", None),
        ("05", None),
        ("cf 0000000000000000", None),
    ]);
    echoes::<DateTime>(HubProtocolKind::MessagePack, &text("2024-02-29T12:34:56Z"), None);
}

#[test]
fn dates_of_any_kind_are_read_as_utc() {
    for kind in [DateTimeKind::Unspecified, DateTimeKind::Utc, DateTimeKind::Local] {
        let date = DateTime::UNIX_EPOCH.with_kind(kind);
        for protocol in namings(HubProtocolKind::MessagePack) {
            assert_eq!(protocol.read_value(&written(protocol, &date)), Ok(DateTime::UNIX_EPOCH));
        }
    }
}

#[test]
fn dates_with_an_offset_are_local_timestamp_and_minutes() {
    reject_other_types::<DateTimeOffset>();
    table::<DateTimeOffset>(&[
        ("92 d6ff00000000 00", Some("92 d6ff00000000 00")),
        ("92 d6ff00000000 3c", Some("92 d6ff00000000 3c")),
        ("92 d6ff00000000 ce0000003c", Some("92 d6ff00000000 3c")),
        ("92 d6ff00000000 d10348", Some("92 d6ff00000000 cd0348")),
        ("92 d6ff00000000 d1fcb8", Some("92 d6ff00000000 d1fcb8")),
        ("92 d7ff0000025800000005 1e", Some("92 d7ff0000019000000005 1e")),
        ("92 c70cff00000000fffffff1886e0900 ff", Some("92 c70cff00000000fffffff1886e0900 ff")),
        ("92 c70cff000000000000003afff4417f 01", Some("92 c70cff000000000000003afff4417f 01")),
        ("92 d6ff00000000 d10349", None),
        ("92 d6ff00000000 d1fcb7", None),
        ("92 d6ff00000000 ce00010000", None),
        ("92 c70cff00000000fffffff1886e0900 01", None),
        ("92 c70cff000000000000003afff4417f ff", None),
        ("91 d6ff00000000", None),
        ("93 d6ff00000000 00 00", None),
        ("d6ff00000000", None),
        ("92 d6ff00000000 c0", None),
        ("92 d6ff00000000 cb0000000000000000", None),
        ("92 05 00", None),
        ("82 d6ff00000000 00 d6ff00000001 00", None),
    ]);
    echoes::<DateTimeOffset>(HubProtocolKind::MessagePack, &text("2024-02-29T12:34:56Z"), None);
}

#[test]
fn time_spans_are_ticks() {
    reject_other_types::<TimeSpan>();
    table::<TimeSpan>(&[
        ("00", Some("00")),
        ("ff", Some("ff")),
        ("d0 05", Some("05")),
        ("cf 7fffffffffffffff", Some("cf 7fffffffffffffff")),
        ("d3 8000000000000000", Some("d3 8000000000000000")),
        ("cf 8000000000000000", None),
        ("cf ffffffffffffffff", None),
        ("d6ff 00000001", None),
        ("91 01", None),
    ]);
    echoes::<TimeSpan>(HubProtocolKind::MessagePack, &text("00:00:01"), None);
}

#[test]
fn decimals_and_guids_are_strings() {
    reject_other_types::<Decimal>();
    reject_other_types::<Guid>();
    for (wire, expected) in [("1.10", "1.10"), ("-0.10", "-0.10"), ("1e5", "100000"), ("+1", "1"), ("-0.0", "0.0")] {
        echoes::<Decimal>(HubProtocolKind::MessagePack, &text(wire), Some(&text(expected)));
    }
    for refused in ["x", "", "1 ", "1,000", "79228162514264337593543950336"] {
        echoes::<Decimal>(HubProtocolKind::MessagePack, &text(refused), None);
    }
    table::<Decimal>(&[("0c", None), ("c4 01 31", None)]);
    let id = "3f2504e0-4f89-11d3-9a0c-0305e82c3301";
    echoes::<Guid>(HubProtocolKind::MessagePack, &text(&id.to_uppercase()), Some(&text(id)));
    echoes::<Guid>(HubProtocolKind::MessagePack, &text(&id.replace('-', "")), None);
    table::<Guid>(&[("05", None), ("c4 10 3f2504e04f8911d39a0c0305e82c3301", None)]);
}
