//! Property tests.

use std::time::{Duration, SystemTime};

use proptest::prelude::*;
use serde::Serializer;

use super::*;
use crate::protocol::naming::FORMAT_DEPENDENT;

fn date() -> impl Strategy<Value = DateTime> {
    let kind = prop_oneof![Just(DateTimeKind::Unspecified), Just(DateTimeKind::Utc), Just(DateTimeKind::Local)];
    let ticks =
        prop_oneof![0..=LAST_TICK, (0..=LAST_TICK / TICKS_PER_SECOND).prop_map(|second| second * TICKS_PER_SECOND)];
    (ticks, kind).prop_map(|(ticks, kind)| DateTime::from_ticks(ticks, kind).unwrap())
}

fn date_with_offset() -> impl Strategy<Value = DateTimeOffset> {
    (date(), -840..=840_i16)
        .prop_filter_map("beyond the range", |(date, offset)| DateTimeOffset::new(date, offset).ok())
}

fn span() -> impl Strategy<Value = TimeSpan> {
    prop_oneof![any::<i64>(), -TICKS_PER_DAY..TICKS_PER_DAY].prop_map(TimeSpan::from_ticks)
}

fn decimal() -> impl Strategy<Value = Decimal> {
    (any::<i128>(), 0..96_u32, 0..=28_u8)
        .prop_map(|(bits, shift, scale)| Decimal::new((bits >> 32) >> shift, scale).unwrap())
}

type All = (DateTime, DateTimeOffset, TimeSpan, Decimal, Guid);

/// Strings that resemble values.
fn almost() -> impl Strategy<Value = String> {
    prop_oneof![
        "[0-9TZ:.+-]{0,34}",
        "[0-9]{4}-[0-9]{2}-[0-9]{2}(T[0-9]{2}:[0-9]{2}(:[0-9]{2}(\\.[0-9]{0,18})?)?([Z+-][0-9:]{0,6})?)?",
        "-?([0-9]{1,9}\\.)?[0-9]{1,3}(:[0-9]{1,3}){0,3}(\\.[0-9]{0,9})?",
        "[+-]?[0-9]{0,40}(\\.[0-9]{0,40})?([eE][+-]?[0-9]{0,20})?",
        "[0-9a-fA-F-]{36}",
        "\\PC{0,40}",
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn written_values_are_read_back(
        date in date(), offset in date_with_offset(), span in span(), decimal in decimal(), id in any::<u128>(),
    ) {
        for protocol in everywhere() {
            let all: All = (date, offset, span, decimal, Guid(id));
            let mut read: All = protocol.read_value(&written(protocol, &all)).unwrap();
            prop_assert_eq!(read.3.to_string(), decimal.to_string());
            if protocol.kind() != HubProtocolKind::Json {
                prop_assert_eq!(read.0.kind(), DateTimeKind::Utc);
                read.0 = read.0.with_kind(date.kind());
            }
            prop_assert_eq!(read, all);
        }
    }

    #[test]
    fn displayed_values_parse_back(date in date(), offset in date_with_offset(), span in span(), decimal in decimal()) {
        prop_assert_eq!(date.to_string().parse(), Ok(date));
        prop_assert_eq!(offset.to_string().parse(), Ok(offset));
        prop_assert_eq!(span.to_string().parse(), Ok(span));
        prop_assert_eq!(decimal.to_string().parse::<Decimal>().unwrap().to_string(), decimal.to_string());
    }

    #[test]
    fn parsed_values_can_be_written_and_read_again(text in almost(), bytes in prop::collection::vec(any::<u8>(), 0..24)) {
        // Asserts that a parsed value can be written in both hub protocols and read again.
        fn settles<T: Serialize + DeserializeOwned + Copy>(value: Option<T>) {
            let Some(value) = value else { return };
            for protocol in everywhere() {
                assert!(protocol.read_value::<T>(&written(protocol, &value)).is_ok());
            }
        }
        fn all<T: Serialize + DeserializeOwned + Copy>(protocol: HubProtocol, bytes: &[u8]) {
            settles(protocol.read_value::<T>(bytes).ok());
        }
        let quoted = serde_json::to_vec(&text).unwrap();
        for protocol in everywhere() {
            let text = written(protocol, &text);
            for wire in [&text, &quoted, &bytes, text.as_slice().split_last().map(|(_, rest)| rest.to_vec()).as_ref().unwrap_or(&text)] {
                all::<DateTime>(protocol, wire);
                all::<DateTimeOffset>(protocol, wire);
                all::<TimeSpan>(protocol, wire);
                all::<Decimal>(protocol, wire);
                all::<Guid>(protocol, wire);
            }
        }
        settles(text.parse::<DateTime>().ok());
        settles(text.parse::<DateTimeOffset>().ok());
        settles(text.parse::<TimeSpan>().ok());
        settles(text.parse::<Decimal>().ok());
        settles(text.parse::<Guid>().ok());
    }

    #[test]
    fn arbitrary_timestamps_cause_no_panic(bytes in prop::collection::vec(any::<u8>(), 0..18), kind in any::<i8>()) {
        #[cfg(feature = "messagepack")]
        for protocol in namings(HubProtocolKind::MessagePack) {
            let mut wire = vec![0xc7, u8::try_from(bytes.len()).unwrap(), kind.cast_unsigned()];
            wire.extend_from_slice(&bytes);
            let _ = protocol.read_value::<DateTime>(&wire);
            let _ = protocol.read_value::<(DateTimeOffset,)>(&wire);
            wire[2] = 0xff;
            let read = protocol.read_value::<DateTime>(&wire);
            prop_assert!(read.is_err() || matches!(bytes.len(), 4 | 8 | 12));
        }
        let _ = (bytes, kind);
    }

    #[test]
    fn system_times_convert_back(seconds in -62_135_596_800..=253_402_300_799_i64, ticks in 0..10_000_000_u32) {
        let second = Duration::from_secs(seconds.unsigned_abs());
        let time = if seconds < 0 { SystemTime::UNIX_EPOCH - second } else { SystemTime::UNIX_EPOCH + second };
        let time = time + Duration::from_nanos(u64::from(ticks) * 100);
        let date = DateTime::try_from(time).unwrap();
        prop_assert_eq!(date.kind(), DateTimeKind::Utc);
        prop_assert_eq!(date.ticks(), UNIX_EPOCH + seconds * TICKS_PER_SECOND + i64::from(ticks));
        prop_assert_eq!(SystemTime::try_from(date), Ok(time));
        prop_assert_eq!(SystemTime::try_from(DateTimeOffset::try_from(time).unwrap()), Ok(time));
    }

    #[test]
    fn durations_convert_back(ticks in 0..=i64::MAX) {
        let span = TimeSpan::from_ticks(ticks);
        let duration = Duration::try_from(span).unwrap();
        prop_assert_eq!(duration.as_nanos(), u128::from(ticks.unsigned_abs()) * 100);
        prop_assert_eq!(TimeSpan::try_from(duration), Ok(span));
        let negative = Duration::try_from(TimeSpan::from_ticks(-ticks));
        prop_assert_eq!(negative.is_err(), ticks > 0);
    }
}

#[test]
fn values_beyond_the_range_are_rejected() {
    assert!(DateTime::from_ticks(-1, DateTimeKind::Utc).is_err());
    assert!(DateTime::from_ticks(LAST_TICK + 1, DateTimeKind::Utc).is_err());
    assert!(DateTimeOffset::new(DateTime::UNIX_EPOCH, 841).is_err());
    assert!(DateTimeOffset::new(DateTime::UNIX_EPOCH, i16::MIN).is_err());
    assert!(DateTimeOffset::new(DateTime::MIN, -1).is_err());
    assert!(DateTimeOffset::new(DateTime::MAX, 1).is_err());
    assert!(TimeSpan::try_from(Duration::MAX).is_err());
    assert!(DateTime::try_from(SystemTime::UNIX_EPOCH + Duration::from_secs(253_402_300_800)).is_err());
    assert!(DateTime::try_from(SystemTime::UNIX_EPOCH - Duration::new(62_135_596_800, 1)).is_err());
}

#[test]
fn user_types_can_be_format_dependent() {
    struct Own;
    struct Form;

    impl Serialize for Own {
        fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
            (Form, Inside).serialize(serializer)
        }
    }

    struct Inside;

    impl Serialize for Inside {
        fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
            serializer.serialize_newtype_struct(FORMAT_DEPENDENT, &(Form, Form))
        }
    }

    impl Serialize for Form {
        fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
            let text = serializer.is_human_readable();
            serializer.serialize_bool(text)
        }
    }

    for protocol in everywhere() {
        let text = protocol.kind() == HubProtocolKind::Json;
        assert_eq!(protocol.read_value(&written(protocol, &Own)), Ok((true, (text, text))));
    }
}
