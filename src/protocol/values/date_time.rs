//! C#'s `DateTime`.

use std::fmt;
use std::str::FromStr;

use serde::de::{self, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::format_dependent::{self, ReadForms, WriteForms};
use super::iso::{self, Parsed, Zone};
use super::timestamp::{self, Timestamp};
use super::{LAST_TICK, NANOSECONDS_PER_TICK, TICKS_PER_MINUTE, TICKS_PER_SECOND, UNIX_EPOCH, ValueError};

/// Date and time of day in the years 1 to 9999, with a resolution of 100 ns: C#'s `DateTime`.
///
/// In JSON it is a string such as `2024-02-29T12:34:56.789Z`, whose suffix determines its
/// [kind](DateTimeKind). In MessagePack it is a timestamp (extension -1), which is always read as
/// UTC and which clients receive as a JavaScript `Date`.
///
/// A date without a time is read as midnight, and seconds may be missing. A JSON string with an
/// offset (`+02:00`) is converted to UTC and has the kind [`Local`](DateTimeKind::Local): .NET
/// converts it to the server's local time, and this crate assumes that the server's time zone is
/// UTC. [`DateTimeOffset`](super::DateTimeOffset) keeps the offset.
///
/// Two dates are equal if their ticks and their kinds are equal.
///
/// ```
/// use std::time::{Duration, SystemTime};
/// use signalr::dotnet::{DateTime, DateTimeKind};
///
/// let leap: DateTime = "2024-02-29T12:34:56.789Z".parse()?;
/// assert_eq!(leap.kind(), DateTimeKind::Utc);
/// assert_eq!(leap.to_string(), "2024-02-29T12:34:56.789Z");
///
/// let time = SystemTime::UNIX_EPOCH + Duration::from_secs(1);
/// assert_eq!(DateTime::try_from(time)?.to_string(), "1970-01-01T00:00:01Z");
/// assert_eq!(DateTime::default().to_string(), "0001-01-01T00:00:00");
/// # Ok::<(), signalr::dotnet::ValueError>(())
/// ```
#[derive(Clone, Copy, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct DateTime {
    ticks: i64,
    kind: DateTimeKind,
}

/// Time zone of a [`DateTime`]: C#'s `DateTimeKind`.
///
/// ```
/// use signalr::dotnet::{DateTime, DateTimeKind, ValueError};
///
/// assert_eq!("2024-02-29T12:00:00".parse::<DateTime>()?.kind(), DateTimeKind::Unspecified);
/// # Ok::<_, ValueError>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum DateTimeKind {
    /// Unknown: a string without a suffix. Conversions into points in time interpret it as UTC.
    #[default]
    Unspecified,
    /// UTC: a string that ends with `Z`.
    Utc,
    /// Local time of the server, which is assumed to be UTC: a string that ends with an offset,
    /// written as `+00:00`.
    Local,
}

impl DateTime {
    /// Earliest date, C#'s `DateTime.MinValue`: 0001-01-01, unspecified. It is the default.
    pub const MIN: Self = Self { ticks: 0, kind: DateTimeKind::Unspecified };

    /// Latest date, C#'s `DateTime.MaxValue`: the last tick of the year 9999, unspecified.
    pub const MAX: Self = Self { ticks: LAST_TICK, kind: DateTimeKind::Unspecified };

    /// 1970-01-01T00:00:00 in UTC.
    pub const UNIX_EPOCH: Self = Self { ticks: UNIX_EPOCH, kind: DateTimeKind::Utc };

    /// Creates a date from the number of ticks of 100 ns since the start of the year 1: C#'s
    /// `new DateTime(ticks, kind)`.
    ///
    /// # Errors
    ///
    /// Returns [`ValueError::Range`] if the date is before the year 1 or after the year 9999.
    pub const fn from_ticks(ticks: i64, kind: DateTimeKind) -> Result<Self, ValueError> {
        if ticks < 0 || ticks > LAST_TICK {
            return Err(ValueError::Range(NAME));
        }
        Ok(Self { ticks, kind })
    }

    /// Returns the number of ticks of 100 ns since the start of the year 1.
    pub const fn ticks(self) -> i64 {
        self.ticks
    }

    /// Returns the kind.
    pub const fn kind(self) -> DateTimeKind {
        self.kind
    }

    /// Returns the same date and time of day with another kind: C#'s `DateTime.SpecifyKind`.
    #[must_use]
    pub const fn with_kind(self, kind: DateTimeKind) -> Self {
        Self { kind, ..self }
    }

    /// Returns the date in UTC from seconds and nanoseconds since 1970, truncated to 100 ns.
    pub(super) fn from_unix(seconds: i64, nanoseconds: u32) -> Result<Self, ValueError> {
        let ticks = ticks_from_unix(seconds, nanoseconds).ok_or(ValueError::Range(NAME))?;
        Self::from_ticks(ticks, DateTimeKind::Utc)
    }

    /// Returns seconds and nanoseconds since 1970.
    pub(super) fn to_unix(self) -> (i64, u32) {
        ticks_to_unix(self.ticks)
    }
}

/// Returns the ticks since the year 1, which may be beyond the range of dates.
pub(super) fn ticks_from_unix(seconds: i64, nanoseconds: u32) -> Option<i64> {
    let ticks = seconds.checked_mul(TICKS_PER_SECOND)?.checked_add(UNIX_EPOCH)?;
    ticks.checked_add((nanoseconds / NANOSECONDS_PER_TICK).into())
}

pub(super) fn ticks_to_unix(ticks: i64) -> (i64, u32) {
    let since = ticks - UNIX_EPOCH;
    let fraction = u32::try_from(since.rem_euclid(TICKS_PER_SECOND)).expect("the fraction is less than a second");
    (since.div_euclid(TICKS_PER_SECOND), fraction * NANOSECONDS_PER_TICK)
}

const NAME: &str = "DateTime";

impl fmt::Display for DateTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let zone = match self.kind {
            DateTimeKind::Unspecified => Zone::Nothing,
            DateTimeKind::Utc => Zone::Utc,
            DateTimeKind::Local => Zone::Offset(0),
        };
        iso::write(f, self.ticks, zone)
    }
}

impl fmt::Debug for DateTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "DateTime({self})")
    }
}

/// Parses the JSON form.
impl FromStr for DateTime {
    type Err = ValueError;

    fn from_str(text: &str) -> Result<Self, ValueError> {
        let Parsed { ticks, zone } = iso::parse(text).ok_or(ValueError::Text(NAME))?;
        match zone {
            Zone::Nothing => Self::from_ticks(ticks, DateTimeKind::Unspecified),
            Zone::Utc => Self::from_ticks(ticks, DateTimeKind::Utc),
            Zone::Offset(minutes) => {
                Self::from_ticks(ticks - i64::from(minutes) * TICKS_PER_MINUTE, DateTimeKind::Local)
            }
        }
    }
}

impl Serialize for DateTime {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        format_dependent::serialize(self, serializer)
    }
}

impl<'de> Deserialize<'de> for DateTime {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        format_dependent::deserialize(deserializer)
    }
}

impl WriteForms for DateTime {
    fn write_text<S: Serializer>(self, serializer: S) -> Result<S::Ok, S::Error> {
        format_dependent::write_text(&self, serializer)
    }

    fn write_binary<S: Serializer>(self, serializer: S) -> Result<S::Ok, S::Error> {
        Timestamp::of(self.ticks).serialize(serializer)
    }
}

impl ReadForms for DateTime {
    fn read_text<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(TextOrTimestamp)
    }

    fn read_binary<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::from_timestamp(Timestamp::deserialize(deserializer)?).map_err(de::Error::custom)
    }
}

impl DateTime {
    pub(super) fn from_timestamp(timestamp: Timestamp) -> Result<Self, ValueError> {
        Self::from_ticks(timestamp.ticks().ok_or(ValueError::Range(NAME))?, DateTimeKind::Utc)
    }
}

/// Visits a string, or a timestamp, which JSON cannot contain.
struct TextOrTimestamp;

impl<'de> Visitor<'de> for TextOrTimestamp {
    type Value = DateTime;

    fn visit_str<E: de::Error>(self, text: &str) -> Result<DateTime, E> {
        text.parse().map_err(E::custom)
    }

    fn visit_newtype_struct<D: Deserializer<'de>>(self, deserializer: D) -> Result<DateTime, D::Error> {
        let timestamp = deserializer.deserialize_any(timestamp::Content)?;
        DateTime::from_timestamp(timestamp).map_err(de::Error::custom)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, parts: A) -> Result<DateTime, A::Error> {
        DateTime::from_timestamp(timestamp::Content.visit_seq(parts)?).map_err(de::Error::custom)
    }

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a date in ISO 8601")
    }
}
