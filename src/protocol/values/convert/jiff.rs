//! Conversions from and into the types of `jiff`.

use jiff::civil;
use jiff::tz::{Offset, TimeZone};
use jiff::{SignedDuration, Timestamp, ZonedDateTime};

use crate::protocol::values::{DateTime, DateTimeKind, DateTimeOffset, TimeSpan, ValueError};

/// Converts into UTC and truncates to 100 ns.
impl TryFrom<Timestamp> for DateTime {
    type Error = ValueError;

    fn try_from(time: Timestamp) -> Result<Self, ValueError> {
        let nanoseconds = time.as_nanosecond();
        let seconds = i64::try_from(nanoseconds.div_euclid(NANOSECONDS_PER_SECOND));
        let nanoseconds = u32::try_from(nanoseconds.rem_euclid(NANOSECONDS_PER_SECOND));
        match (seconds, nanoseconds) {
            (Ok(seconds), Ok(nanoseconds)) => Self::from_unix(seconds, nanoseconds),
            _ => Err(ValueError::Range("DateTime")),
        }
    }
}

const NANOSECONDS_PER_SECOND: i128 = 1_000_000_000;

/// Interprets the date as UTC, regardless of its kind. The last day of the year 9999 is beyond
/// jiff's range.
impl TryFrom<DateTime> for Timestamp {
    type Error = ValueError;

    fn try_from(date: DateTime) -> Result<Self, ValueError> {
        let (seconds, nanoseconds) = date.to_unix();
        let nanoseconds = i128::from(seconds) * NANOSECONDS_PER_SECOND + i128::from(nanoseconds);
        Self::from_nanosecond(nanoseconds).map_err(|_| ValueError::Range("jiff::Timestamp"))
    }
}

/// Converts into an unspecified kind and truncates to 100 ns.
impl TryFrom<civil::DateTime> for DateTime {
    type Error = ValueError;

    fn try_from(date: civil::DateTime) -> Result<Self, ValueError> {
        let since = date.duration_since(EPOCH);
        let (seconds, nanoseconds) = (since.as_secs(), since.subsec_nanos());
        let (seconds, nanoseconds) =
            if nanoseconds < 0 { (seconds - 1, nanoseconds + 1_000_000_000) } else { (seconds, nanoseconds) };
        let date = Self::from_unix(seconds, nanoseconds.unsigned_abs())?;
        Ok(date.with_kind(DateTimeKind::Unspecified))
    }
}

const EPOCH: civil::DateTime = civil::DateTime::constant(1970, 1, 1, 0, 0, 0, 0);

/// Converts the date and time of day and drops the kind.
impl From<DateTime> for civil::DateTime {
    fn from(date: DateTime) -> Self {
        let (seconds, nanoseconds) = date.to_unix();
        let nanoseconds = i32::try_from(nanoseconds).expect("the fraction is less than a second");
        EPOCH + SignedDuration::new(seconds, nanoseconds)
    }
}

/// Truncates to 100 ns and drops the name of the time zone. An offset with seconds or beyond 14
/// hours is an error as well.
impl TryFrom<&ZonedDateTime> for DateTimeOffset {
    type Error = ValueError;

    fn try_from(time: &ZonedDateTime) -> Result<Self, ValueError> {
        Self::with_offset_seconds(time.timestamp().try_into()?, time.offset().seconds())
    }
}

/// Converts into a time zone with a fixed offset. The last day of the year 9999 is beyond jiff's
/// range.
impl TryFrom<DateTimeOffset> for ZonedDateTime {
    type Error = ValueError;

    fn try_from(time: DateTimeOffset) -> Result<Self, ValueError> {
        let offset = Offset::from_seconds(i32::from(time.offset_minutes()) * 60).expect("offsets are less than a day");
        Ok(Self::new(time.to_utc().try_into()?, TimeZone::fixed(offset)))
    }
}

/// Truncates to 100 ns.
impl TryFrom<SignedDuration> for TimeSpan {
    type Error = ValueError;

    fn try_from(duration: SignedDuration) -> Result<Self, ValueError> {
        Self::from_parts(duration.as_secs(), duration.subsec_nanos())
    }
}

impl From<TimeSpan> for SignedDuration {
    fn from(span: TimeSpan) -> Self {
        let (seconds, nanoseconds) = span.to_parts();
        Self::new(seconds, nanoseconds)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_convert_into_jiff_and_back() {
        for date in [DateTime::MIN, DateTime::MAX, DateTime::UNIX_EPOCH, "1969-12-31T23:59:59.5".parse().unwrap()] {
            assert_eq!(DateTime::try_from(civil::DateTime::from(date)), Ok(date.with_kind(DateTimeKind::Unspecified)));
        }
        for text in ["0001-01-01T00:00:00-14:00", "2024-02-29T12:34:56.1234567+05:45", "9999-12-29T23:59:59+14:00"] {
            let time: DateTimeOffset = text.parse().unwrap();
            let theirs = ZonedDateTime::try_from(time).unwrap();
            assert_eq!(theirs.timestamp(), text.parse().unwrap());
            assert_eq!(DateTimeOffset::try_from(&theirs), Ok(time));
            assert_eq!(DateTime::try_from(Timestamp::try_from(time.to_utc()).unwrap()), Ok(time.to_utc()));
        }
        for span in [TimeSpan::MIN, TimeSpan::ZERO, TimeSpan::MAX, TimeSpan::from_ticks(-1)] {
            assert_eq!(TimeSpan::try_from(SignedDuration::from(span)), Ok(span));
        }
    }

    #[test]
    fn times_beyond_the_range_of_either_side_are_errors() {
        assert!(Timestamp::try_from(DateTime::MAX).is_err());
        assert!(DateTime::try_from(Timestamp::MIN).is_err());
        assert!(DateTime::try_from(civil::DateTime::MIN).is_err());
        let odd = ZonedDateTime::new(Timestamp::UNIX_EPOCH, TimeZone::fixed(Offset::from_seconds(30).unwrap()));
        assert!(DateTimeOffset::try_from(&odd).is_err());
        assert!(TimeSpan::try_from(SignedDuration::MAX).is_err());
        assert!(TimeSpan::try_from(SignedDuration::MIN).is_err());
    }
}
