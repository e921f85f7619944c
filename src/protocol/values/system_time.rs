//! Conversions from and into the types of `std`.

use std::time::{Duration, SystemTime};

use super::{DateTime, DateTimeOffset, TimeSpan, ValueError};

const DATE_TIME: ValueError = ValueError::Range("DateTime");

/// Converts into UTC and truncates to 100 ns.
impl TryFrom<SystemTime> for DateTime {
    type Error = ValueError;

    fn try_from(time: SystemTime) -> Result<Self, ValueError> {
        let (seconds, nanoseconds) = match time.duration_since(SystemTime::UNIX_EPOCH) {
            Ok(since) => (i64::try_from(since.as_secs()).map_err(|_| DATE_TIME)?, since.subsec_nanos()),
            Err(error) => {
                let before = error.duration();
                let seconds = -i64::try_from(before.as_secs()).map_err(|_| DATE_TIME)?;
                match before.subsec_nanos() {
                    0 => (seconds, 0),
                    nanoseconds => (seconds - 1, NANOSECONDS_PER_SECOND - nanoseconds),
                }
            }
        };
        Self::from_unix(seconds, nanoseconds)
    }
}

const NANOSECONDS_PER_SECOND: u32 = 1_000_000_000;

/// Interprets the date as UTC, regardless of its kind. A date beyond the platform's range is an
/// error.
impl TryFrom<DateTime> for SystemTime {
    type Error = ValueError;

    fn try_from(date: DateTime) -> Result<Self, ValueError> {
        let (seconds, nanoseconds) = date.to_unix();
        let whole = Duration::from_secs(seconds.unsigned_abs());
        let second =
            if seconds < 0 { Self::UNIX_EPOCH.checked_sub(whole) } else { Self::UNIX_EPOCH.checked_add(whole) };
        let time = second.and_then(|second| second.checked_add(Duration::from_nanos(nanoseconds.into())));
        time.ok_or(ValueError::Range("SystemTime"))
    }
}

/// Converts into an offset of zero and truncates to 100 ns.
impl TryFrom<SystemTime> for DateTimeOffset {
    type Error = ValueError;

    fn try_from(time: SystemTime) -> Result<Self, ValueError> {
        DateTime::try_from(time).map(Into::into)
    }
}

impl TryFrom<DateTimeOffset> for SystemTime {
    type Error = ValueError;

    fn try_from(time: DateTimeOffset) -> Result<Self, ValueError> {
        time.to_utc().try_into()
    }
}

/// Truncates to 100 ns.
impl TryFrom<Duration> for TimeSpan {
    type Error = ValueError;

    fn try_from(duration: Duration) -> Result<Self, ValueError> {
        match (i64::try_from(duration.as_secs()), i32::try_from(duration.subsec_nanos())) {
            (Ok(seconds), Ok(nanoseconds)) => Self::from_parts(seconds, nanoseconds),
            _ => Err(ValueError::Range("TimeSpan")),
        }
    }
}

/// A negative time span is an error.
impl TryFrom<TimeSpan> for Duration {
    type Error = ValueError;

    fn try_from(span: TimeSpan) -> Result<Self, ValueError> {
        let (seconds, nanoseconds) = span.to_parts();
        match (u64::try_from(seconds), u32::try_from(nanoseconds)) {
            (Ok(seconds), Ok(nanoseconds)) => Ok(Self::new(seconds, nanoseconds)),
            _ => Err(ValueError::Range("Duration")),
        }
    }
}
