//! C#'s `TimeSpan`.

use std::fmt;
use std::str::FromStr;

use serde::de::{self, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::format_dependent::{self, ReadForms, WriteForms};
use super::{TICKS_PER_DAY, TICKS_PER_MINUTE, TICKS_PER_SECOND, ValueError, raw_json};

/// Time interval of up to some 29,000 years in either direction, with a resolution of 100 ns: C#'s
/// `TimeSpan`.
///
/// In JSON it is a string such as `1.02:03:04.0050000`: days, hours, minutes, seconds and seven
/// digits of a fraction. Zero days and a zero fraction are omitted. Strings of only days, and of
/// only hours and minutes, are read as well. In MessagePack it is the number of ticks.
///
/// ```
/// use std::time::Duration;
/// use signalr::dotnet::TimeSpan;
///
/// let span = TimeSpan::try_from(Duration::from_millis(90_500))?;
/// assert_eq!(span.to_string(), "00:01:30.5000000");
/// assert_eq!("-1.00:00".parse::<TimeSpan>()?.ticks(), -864_000_000_000);
/// assert!(Duration::try_from("-00:00:01".parse::<TimeSpan>()?).is_err());
/// # Ok::<(), signalr::dotnet::ValueError>(())
/// ```
#[derive(Clone, Copy, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TimeSpan {
    ticks: i64,
}

impl TimeSpan {
    /// Interval of zero length.
    pub const ZERO: Self = Self { ticks: 0 };

    /// Longest negative interval, C#'s `TimeSpan.MinValue`.
    pub const MIN: Self = Self { ticks: i64::MIN };

    /// Longest interval, C#'s `TimeSpan.MaxValue`.
    pub const MAX: Self = Self { ticks: i64::MAX };

    /// Creates an interval from a number of ticks of 100 ns: C#'s `new TimeSpan(ticks)`.
    pub const fn from_ticks(ticks: i64) -> Self {
        Self { ticks }
    }

    /// Returns the number of ticks of 100 ns.
    pub const fn ticks(self) -> i64 {
        self.ticks
    }
}

impl TimeSpan {
    /// Creates an interval from seconds and nanoseconds of the same sign, truncated to 100 ns.
    pub(super) fn from_parts(seconds: i64, nanoseconds: i32) -> Result<Self, ValueError> {
        let ticks = seconds.checked_mul(TICKS_PER_SECOND).ok_or(ValueError::Range(NAME))?;
        let ticks = ticks.checked_add((nanoseconds / NANOSECONDS_PER_TICK).into()).ok_or(ValueError::Range(NAME))?;
        Ok(Self { ticks })
    }

    /// Returns seconds and nanoseconds of the same sign.
    pub(super) fn to_parts(self) -> (i64, i32) {
        let fraction = i32::try_from(self.ticks % TICKS_PER_SECOND).expect("the fraction is less than a second");
        (self.ticks / TICKS_PER_SECOND, fraction * NANOSECONDS_PER_TICK)
    }
}

const NAME: &str = "TimeSpan";
const NANOSECONDS_PER_TICK: i32 = 100;

/// Shows the interval in .NET's format `c`.
impl fmt::Display for TimeSpan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ticks = self.ticks.unsigned_abs();
        let [per_second, per_minute, per_day] =
            [TICKS_PER_SECOND, TICKS_PER_MINUTE, TICKS_PER_DAY].map(i64::unsigned_abs);
        if self.ticks < 0 {
            f.write_str("-")?;
        }
        if ticks >= per_day {
            write!(f, "{}.", ticks / per_day)?;
        }
        let minutes = ticks % per_day / per_minute;
        write!(f, "{:02}:{:02}:{:02}", minutes / 60, minutes % 60, ticks % per_minute / per_second)?;
        match ticks % per_second {
            0 => Ok(()),
            fraction => write!(f, ".{fraction:07}"),
        }
    }
}

impl fmt::Debug for TimeSpan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TimeSpan({self})")
    }
}

/// Parses the JSON form.
impl FromStr for TimeSpan {
    type Err = ValueError;

    fn from_str(text: &str) -> Result<Self, ValueError> {
        let (sign, rest) = text.strip_prefix('-').map_or((1, text), |rest| (-1, rest));
        let ticks = parse(rest).ok_or(ValueError::Text(NAME))?;
        Ok(Self { ticks: i64::try_from(sign * ticks).map_err(|_| ValueError::Range(NAME))? })
    }
}

/// Parses `days`, `days.hours:minutes` or `hours:minutes`, the last two with optional seconds and
/// their fraction.
fn parse(text: &str) -> Option<i128> {
    let (first, mut rest) = number(text)?;
    let day = i128::from(TICKS_PER_DAY);
    if rest.is_empty() {
        return Some(i128::from(first) * day);
    }
    let (days, hours) = match rest.strip_prefix('.') {
        Some(behind) => {
            let (hours, behind) = number(behind)?;
            rest = behind;
            (first, hours)
        }
        None => (0, first),
    };
    let (minutes, mut rest) = number(rest.strip_prefix(':')?)?;
    let (mut seconds, mut fraction) = (0, 0);
    if let Some(behind) = rest.strip_prefix(':') {
        (seconds, rest) = number(behind)?;
        if let Some(digits) = rest.strip_prefix('.') {
            (fraction, rest) = (ticks_of_fraction(digits)?, "");
        }
    }
    if !rest.is_empty() || hours > 23 || minutes > 59 || seconds > 59 {
        return None;
    }
    let of_day = ((i64::from(hours) * 60 + i64::from(minutes)) * 60 + i64::from(seconds)) * TICKS_PER_SECOND + fraction;
    Some(i128::from(days) * day + i128::from(of_day))
}

/// Returns the number at the start of a string, and the string after it.
fn number(text: &str) -> Option<(u32, &str)> {
    let end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (digits, rest) = text.split_at(end);
    Some((digits.parse().ok()?, rest))
}

/// Returns the ticks of a fraction of one to seven digits.
fn ticks_of_fraction(digits: &str) -> Option<i64> {
    let (number, rest) = number(digits)?;
    let missing = 7_usize.checked_sub(digits.len())?;
    rest.is_empty().then(|| (0..missing).fold(number.into(), |ticks: i64, _| ticks * 10))
}

impl Serialize for TimeSpan {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        format_dependent::serialize(self, serializer)
    }
}

impl<'de> Deserialize<'de> for TimeSpan {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        format_dependent::deserialize(deserializer)
    }
}

impl WriteForms for TimeSpan {
    fn write_text<S: Serializer>(self, serializer: S) -> Result<S::Ok, S::Error> {
        format_dependent::write_text(&self, serializer)
    }

    fn write_binary<S: Serializer>(self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_i64(self.ticks)
    }
}

impl ReadForms for TimeSpan {
    fn read_text<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let from_json = |json: &str| raw_json::unquoted(json).ok_or(ValueError::Text(NAME))?.parse();
        raw_json::read(deserializer, from_json, TextOrTicks)
    }

    fn read_binary<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        i64::deserialize(deserializer).map(Self::from_ticks)
    }
}

/// Visits a value that is not available as JSON text: serde has buffered it, or the format is
/// another one.
struct TextOrTicks;

impl Visitor<'_> for TextOrTicks {
    type Value = TimeSpan;

    fn visit_i64<E: de::Error>(self, ticks: i64) -> Result<TimeSpan, E> {
        Ok(TimeSpan { ticks })
    }

    fn visit_u64<E: de::Error>(self, ticks: u64) -> Result<TimeSpan, E> {
        i64::try_from(ticks).map(TimeSpan::from_ticks).map_err(E::custom)
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<TimeSpan, E> {
        text.parse().map_err(E::custom)
    }

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a time span such as 1.02:03:04")
    }
}
