//! C#'s `DateTimeOffset`.

use std::fmt;
use std::str::FromStr;

use serde::de::{self, IgnoredAny, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::format_dependent::{self, ReadForms, WriteForms};
use super::iso::{self, MAX_OFFSET_MINUTES, Parsed, Zone};
use super::timestamp::Timestamp;
use super::{DateTime, DateTimeKind, LAST_TICK, TICKS_PER_MINUTE, ValueError};

/// Point in time with an offset from UTC: C#'s `DateTimeOffset`.
///
/// Both the UTC time and the local time are in the years 1 to 9999, with a resolution of 100 ns.
/// The offset is a number of minutes, at most 14 hours in either direction.
///
/// In JSON it is a string such as `2024-02-29T12:34:56+02:00`. A string without an offset is read
/// as UTC, because the server's time zone is assumed to be UTC. In MessagePack it is an array of
/// the local timestamp and the offset in minutes.
///
/// Two values are equal if their points in time and their offsets are equal. They are ordered by
/// time.
///
/// ```
/// use signalr::dotnet::{DateTime, DateTimeOffset};
///
/// let noon: DateTimeOffset = "2024-02-29T12:00:00+02:00".parse()?;
/// assert_eq!(noon.offset_minutes(), 120);
/// assert_eq!(noon.to_utc().to_string(), "2024-02-29T10:00:00Z");
/// assert_eq!(DateTimeOffset::new(noon.to_utc(), -330)?.to_string(), "2024-02-29T04:30:00-05:30");
/// # Ok::<(), signalr::dotnet::ValueError>(())
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct DateTimeOffset {
    /// In UTC.
    ticks: i64,
    minutes: i16,
}

impl DateTimeOffset {
    /// Creates a value from a date in UTC and an offset in minutes. The kind of `utc` is ignored.
    ///
    /// # Errors
    ///
    /// Returns [`ValueError::Range`] if the offset is beyond 14 hours, or if the local date is
    /// before the year 1 or after the year 9999.
    pub fn new(utc: DateTime, offset_minutes: i16) -> Result<Self, ValueError> {
        let clock = utc.ticks() + i64::from(offset_minutes) * TICKS_PER_MINUTE;
        Self::from_clock(clock, offset_minutes).ok_or(ValueError::Range(NAME))
    }

    /// Returns the date and time of day in UTC.
    pub fn to_utc(self) -> DateTime {
        DateTime::from_ticks(self.ticks, DateTimeKind::Utc).expect("the UTC time is within the range")
    }

    /// Returns the local date and time of day, with an unspecified kind: C#'s
    /// `DateTimeOffset.DateTime`.
    pub fn to_clock(self) -> DateTime {
        DateTime::from_ticks(self.clock(), DateTimeKind::Unspecified).expect("the local time is within the range")
    }

    /// Returns the offset from UTC in minutes, positive east of Greenwich.
    pub const fn offset_minutes(self) -> i16 {
        self.minutes
    }

    #[cfg(any(feature = "chrono", feature = "jiff", feature = "time"))]
    pub(super) fn with_offset_seconds(utc: DateTime, seconds: i32) -> Result<Self, ValueError> {
        match i16::try_from(seconds / 60) {
            Ok(minutes) if seconds % 60 == 0 => Self::new(utc, minutes),
            _ => Err(ValueError::Range(NAME)),
        }
    }

    /// Creates a value from local ticks.
    pub(super) fn from_clock(clock: i64, minutes: i16) -> Option<Self> {
        let ticks = clock.checked_sub(i64::from(minutes) * TICKS_PER_MINUTE)?;
        let valid = (-MAX_OFFSET_MINUTES..=MAX_OFFSET_MINUTES).contains(&minutes)
            && (0..=LAST_TICK).contains(&clock)
            && (0..=LAST_TICK).contains(&ticks);
        valid.then_some(Self { ticks, minutes })
    }

    fn clock(self) -> i64 {
        self.ticks + i64::from(self.minutes) * TICKS_PER_MINUTE
    }
}

const NAME: &str = "DateTimeOffset";

/// Start of the year 1 in UTC: C#'s `default(DateTimeOffset)`.
impl Default for DateTimeOffset {
    fn default() -> Self {
        Self { ticks: 0, minutes: 0 }
    }
}

impl fmt::Display for DateTimeOffset {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        iso::write(f, self.clock(), Zone::Offset(self.minutes))
    }
}

impl fmt::Debug for DateTimeOffset {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "DateTimeOffset({self})")
    }
}

/// Parses the JSON form.
impl FromStr for DateTimeOffset {
    type Err = ValueError;

    fn from_str(text: &str) -> Result<Self, ValueError> {
        let Parsed { ticks, zone } = iso::parse(text).ok_or(ValueError::Text(NAME))?;
        let minutes = match zone {
            Zone::Nothing | Zone::Utc => 0,
            Zone::Offset(minutes) => minutes,
        };
        Self::from_clock(ticks, minutes).ok_or(ValueError::Range(NAME))
    }
}

impl From<DateTimeOffset> for DateTime {
    fn from(time: DateTimeOffset) -> Self {
        time.to_utc()
    }
}

/// Interprets the date as UTC, regardless of its kind.
impl From<DateTime> for DateTimeOffset {
    fn from(utc: DateTime) -> Self {
        Self { ticks: utc.ticks(), minutes: 0 }
    }
}

impl Serialize for DateTimeOffset {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        format_dependent::serialize(self, serializer)
    }
}

impl<'de> Deserialize<'de> for DateTimeOffset {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        format_dependent::deserialize(deserializer)
    }
}

impl WriteForms for DateTimeOffset {
    fn write_text<S: Serializer>(self, serializer: S) -> Result<S::Ok, S::Error> {
        format_dependent::write_text(&self, serializer)
    }

    fn write_binary<S: Serializer>(self, serializer: S) -> Result<S::Ok, S::Error> {
        (Timestamp::of(self.clock()), self.minutes).serialize(serializer)
    }
}

impl ReadForms for DateTimeOffset {
    fn read_text<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(OffsetVisitor { texts: true })
    }

    fn read_binary<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_tuple(2, OffsetVisitor { texts: false })
    }
}

/// Visits an array of a timestamp and an offset, which JSON cannot contain, or a string.
struct OffsetVisitor {
    texts: bool,
}

impl<'de> Visitor<'de> for OffsetVisitor {
    type Value = DateTimeOffset;

    fn visit_str<E: de::Error>(self, text: &str) -> Result<DateTimeOffset, E> {
        if self.texts {
            text.parse().map_err(E::custom)
        } else {
            Err(E::invalid_type(de::Unexpected::Str(text), &self))
        }
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut parts: A) -> Result<DateTimeOffset, A::Error> {
        let clock: Timestamp = parts.next_element()?.ok_or_else(|| de::Error::invalid_length(0, &self))?;
        let minutes = parts.next_element()?.ok_or_else(|| de::Error::invalid_length(1, &self))?;
        if parts.next_element::<IgnoredAny>()?.is_some() {
            return Err(de::Error::invalid_length(3, &self));
        }
        let time = clock.ticks().and_then(|clock| DateTimeOffset::from_clock(clock, minutes));
        time.ok_or_else(|| de::Error::custom(ValueError::Range(NAME)))
    }

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a date with its offset")
    }
}
