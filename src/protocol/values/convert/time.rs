//! Conversions from and into the types of `time`.

use time::{Duration, OffsetDateTime, PrimitiveDateTime, UtcDateTime, UtcOffset};

use crate::protocol::values::{DateTime, DateTimeKind, DateTimeOffset, TimeSpan, ValueError};

/// Converts into UTC and truncates to 100 ns.
impl TryFrom<UtcDateTime> for DateTime {
    type Error = ValueError;

    fn try_from(time: UtcDateTime) -> Result<Self, ValueError> {
        Self::from_unix(time.unix_timestamp(), time.nanosecond())
    }
}

/// Interprets the date as UTC, regardless of its kind.
impl From<DateTime> for UtcDateTime {
    fn from(date: DateTime) -> Self {
        let (seconds, nanoseconds) = date.to_unix();
        let second = Self::from_unix_timestamp(seconds).expect("time's range includes the year 9999");
        second + Duration::nanoseconds(nanoseconds.into())
    }
}

/// Converts into an unspecified kind and truncates to 100 ns.
impl TryFrom<PrimitiveDateTime> for DateTime {
    type Error = ValueError;

    fn try_from(date: PrimitiveDateTime) -> Result<Self, ValueError> {
        Self::try_from(date.as_utc()).map(|date| date.with_kind(DateTimeKind::Unspecified))
    }
}

/// Converts the date and time of day and drops the kind.
impl From<DateTime> for PrimitiveDateTime {
    fn from(date: DateTime) -> Self {
        let utc = UtcDateTime::from(date);
        Self::new(utc.date(), utc.time())
    }
}

/// Truncates to 100 ns. An offset with seconds or beyond 14 hours is an error as well.
impl TryFrom<OffsetDateTime> for DateTimeOffset {
    type Error = ValueError;

    fn try_from(time: OffsetDateTime) -> Result<Self, ValueError> {
        let utc = DateTime::from_unix(time.unix_timestamp(), time.nanosecond())?;
        Self::with_offset_seconds(utc, time.offset().whole_seconds())
    }
}

impl From<DateTimeOffset> for OffsetDateTime {
    fn from(time: DateTimeOffset) -> Self {
        let offset =
            UtcOffset::from_whole_seconds(i32::from(time.offset_minutes()) * 60).expect("offsets are less than a day");
        PrimitiveDateTime::from(time.to_clock()).assume_offset(offset)
    }
}

/// Truncates to 100 ns.
impl TryFrom<Duration> for TimeSpan {
    type Error = ValueError;

    fn try_from(duration: Duration) -> Result<Self, ValueError> {
        Self::from_parts(duration.whole_seconds(), duration.subsec_nanoseconds())
    }
}

impl From<TimeSpan> for Duration {
    fn from(span: TimeSpan) -> Self {
        let (seconds, nanoseconds) = span.to_parts();
        Self::new(seconds, nanoseconds)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_convert_into_time_and_back() {
        for date in [DateTime::MIN, DateTime::MAX, DateTime::UNIX_EPOCH] {
            assert_eq!(
                DateTime::try_from(PrimitiveDateTime::from(date)),
                Ok(date.with_kind(DateTimeKind::Unspecified))
            );
            let utc = date.with_kind(DateTimeKind::Utc);
            assert_eq!(DateTime::try_from(UtcDateTime::from(utc)), Ok(utc));
        }
        for text in ["0001-01-01T00:00:00-14:00", "2024-02-29T12:34:56.1234567+05:45", "9999-12-31T23:59:59+14:00"] {
            let time: DateTimeOffset = text.parse().unwrap();
            let theirs = OffsetDateTime::from(time);
            assert_eq!(theirs.unix_timestamp(), time.to_utc().to_unix().0);
            assert_eq!(DateTimeOffset::try_from(theirs), Ok(time));
        }
        for span in [TimeSpan::MIN, TimeSpan::ZERO, TimeSpan::MAX, TimeSpan::from_ticks(-1)] {
            assert_eq!(TimeSpan::try_from(Duration::from(span)), Ok(span));
        }
    }

    #[test]
    fn times_beyond_the_range_of_dotnet_are_errors() {
        assert!(DateTime::try_from(UtcDateTime::MIN).is_err());
        assert!(DateTime::try_from(PrimitiveDateTime::MIN).is_err());
        let odd = OffsetDateTime::UNIX_EPOCH.to_offset(UtcOffset::from_whole_seconds(30).unwrap());
        assert!(DateTimeOffset::try_from(odd).is_err());
        assert!(TimeSpan::try_from(Duration::MAX).is_err());
        assert!(TimeSpan::try_from(Duration::MIN).is_err());
    }
}
