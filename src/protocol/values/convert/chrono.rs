//! Conversions from and into the types of `chrono`.

use chrono::{FixedOffset, NaiveDateTime, Offset as _, TimeDelta, TimeZone, Utc};

use crate::protocol::values::{DateTime, DateTimeKind, DateTimeOffset, TimeSpan, ValueError};

/// Converts into UTC and truncates to 100 ns.
impl TryFrom<chrono::DateTime<Utc>> for DateTime {
    type Error = ValueError;

    fn try_from(time: chrono::DateTime<Utc>) -> Result<Self, ValueError> {
        Self::from_unix(time.timestamp(), time.timestamp_subsec_nanos())
    }
}

/// Interprets the date as UTC, regardless of its kind.
impl From<DateTime> for chrono::DateTime<Utc> {
    fn from(date: DateTime) -> Self {
        let (seconds, nanoseconds) = date.to_unix();
        Self::from_timestamp(seconds, nanoseconds).expect("chrono's range is 260,000 years in either direction")
    }
}

/// Converts into an unspecified kind and truncates to 100 ns.
impl TryFrom<NaiveDateTime> for DateTime {
    type Error = ValueError;

    fn try_from(date: NaiveDateTime) -> Result<Self, ValueError> {
        Self::try_from(date.and_utc()).map(|date| date.with_kind(DateTimeKind::Unspecified))
    }
}

/// Converts the date and time of day and drops the kind.
impl From<DateTime> for NaiveDateTime {
    fn from(date: DateTime) -> Self {
        chrono::DateTime::<Utc>::from(date).naive_utc()
    }
}

/// Truncates to 100 ns. An offset with seconds or beyond 14 hours is an error as well.
impl<Z: TimeZone> TryFrom<chrono::DateTime<Z>> for DateTimeOffset {
    type Error = ValueError;

    fn try_from(time: chrono::DateTime<Z>) -> Result<Self, ValueError> {
        let offset = time.offset().fix().local_minus_utc();
        let utc = DateTime::try_from(time.with_timezone(&Utc))?;
        Self::with_offset_seconds(utc, offset)
    }
}

impl From<DateTimeOffset> for chrono::DateTime<FixedOffset> {
    fn from(time: DateTimeOffset) -> Self {
        let offset = FixedOffset::east_opt(i32::from(time.offset_minutes()) * 60).expect("offsets are less than a day");
        chrono::DateTime::<Utc>::from(time.to_utc()).with_timezone(&offset)
    }
}

/// Truncates to 100 ns.
impl TryFrom<TimeDelta> for TimeSpan {
    type Error = ValueError;

    fn try_from(delta: TimeDelta) -> Result<Self, ValueError> {
        Self::from_parts(delta.num_seconds(), delta.subsec_nanos())
    }
}

impl From<TimeSpan> for TimeDelta {
    fn from(span: TimeSpan) -> Self {
        let (seconds, nanoseconds) = span.to_parts();
        let seconds =
            Self::try_seconds(seconds).expect("chrono's range in milliseconds exceeds TimeSpan's range in ticks");
        seconds + Self::nanoseconds(nanoseconds.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_convert_into_chrono_and_back() {
        for date in [DateTime::MIN, DateTime::MAX, DateTime::UNIX_EPOCH] {
            assert_eq!(DateTime::try_from(NaiveDateTime::from(date)), Ok(date.with_kind(DateTimeKind::Unspecified)));
            let utc = date.with_kind(DateTimeKind::Utc);
            assert_eq!(DateTime::try_from(chrono::DateTime::<Utc>::from(utc)), Ok(utc));
        }
        for text in ["0001-01-01T00:00:00-14:00", "2024-02-29T12:34:56.1234567+05:45", "9999-12-31T23:59:59+14:00"] {
            let time: DateTimeOffset = text.parse().unwrap();
            let theirs = chrono::DateTime::<FixedOffset>::from(time);
            assert_eq!(theirs, chrono::DateTime::parse_from_rfc3339(text).unwrap());
            assert_eq!(DateTimeOffset::try_from(theirs), Ok(time));
        }
        for span in [TimeSpan::MIN, TimeSpan::ZERO, TimeSpan::MAX, TimeSpan::from_ticks(-1)] {
            assert_eq!(TimeSpan::try_from(TimeDelta::from(span)), Ok(span));
        }
    }

    #[test]
    fn times_beyond_the_range_of_dotnet_are_errors() {
        assert!(DateTime::try_from(chrono::DateTime::<Utc>::MAX_UTC).is_err());
        assert!(DateTime::try_from(NaiveDateTime::MIN).is_err());
        let odd = FixedOffset::east_opt(30).unwrap().from_utc_datetime(&NaiveDateTime::default());
        assert!(DateTimeOffset::try_from(odd).is_err());
        assert!(TimeSpan::try_from(TimeDelta::MAX).is_err());
        assert!(TimeSpan::try_from(TimeDelta::MIN).is_err());
    }
}
