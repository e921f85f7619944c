//! ISO 8601 dates as `System.Text.Json` writes and reads them.

use std::fmt;

use super::calendar::Date;
use super::{TICKS_PER_DAY, TICKS_PER_MINUTE, TICKS_PER_SECOND};

/// Parts of a date string.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Parsed {
    /// Local date and time of day.
    pub(super) ticks: i64,
    pub(super) zone: Zone,
}

/// Suffix after the time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Zone {
    Nothing,
    /// `Z`.
    Utc,
    /// Minutes ahead of UTC.
    Offset(i16),
}

/// Maximum offset in minutes.
pub(super) const MAX_OFFSET_MINUTES: i16 = 14 * 60;

/// Parses a date, an optional time with optional seconds and fraction, and an optional zone after
/// the time.
pub(super) fn parse(text: &str) -> Option<Parsed> {
    let mut rest = text.as_bytes();
    let (century, year) = (digits(&mut rest)?, digits(&mut rest)?);
    literal(&mut rest, b'-')?;
    let month = digits(&mut rest)?;
    literal(&mut rest, b'-')?;
    let date = Date::new(u16::from(century) * 100 + u16::from(year), month, digits(&mut rest)?)?;
    let midnight = date.days() * TICKS_PER_DAY;
    if rest.is_empty() {
        return Some(Parsed { ticks: midnight, zone: Zone::Nothing });
    }
    literal(&mut rest, b'T')?;
    let time = time_of_day(&mut rest)?;
    Some(Parsed { ticks: midnight + time, zone: zone(rest)? })
}

fn time_of_day(rest: &mut &[u8]) -> Option<i64> {
    let hour = digits(rest).filter(|&hour| hour < 24)?;
    literal(rest, b':')?;
    let minute = digits(rest).filter(|&minute| minute < 60)?;
    let minutes = (i64::from(hour) * 60 + i64::from(minute)) * TICKS_PER_MINUTE;
    if literal(rest, b':').is_none() {
        return Some(minutes);
    }
    let second = digits(rest).filter(|&second| second < 60)?;
    let seconds = minutes + i64::from(second) * TICKS_PER_SECOND;
    if literal(rest, b'.').is_none() {
        return Some(seconds);
    }
    // The string may not end after the point, but a zone may follow it.
    rest.first()?;
    let mut fraction = 0;
    let mut unit = TICKS_PER_SECOND;
    for _ in 0..MAX_FRACTION_DIGITS {
        let Some((&digit @ b'0'..=b'9', behind)) = rest.split_first() else { break };
        unit /= 10;
        fraction += i64::from(digit - b'0') * unit;
        *rest = behind;
    }
    Some(seconds + fraction)
}

/// Maximum number of digits of a fraction. Digits after the seventh are ignored.
const MAX_FRACTION_DIGITS: usize = 16;

fn zone(mut rest: &[u8]) -> Option<Zone> {
    let Some((&sign, behind)) = rest.split_first() else { return Some(Zone::Nothing) };
    rest = behind;
    let zone = match sign {
        b'Z' => Zone::Utc,
        b'+' | b'-' => {
            let hours = i16::from(digits(&mut rest)?);
            let minutes = match literal(&mut rest, b':') {
                Some(()) => i16::from(digits(&mut rest).filter(|&minutes| minutes < 60)?),
                None => 0,
            };
            let offset = hours * 60 + minutes;
            if offset > MAX_OFFSET_MINUTES {
                return None;
            }
            Zone::Offset(if sign == b'-' { -offset } else { offset })
        }
        _ => return None,
    };
    rest.is_empty().then_some(zone)
}

fn literal(rest: &mut &[u8], byte: u8) -> Option<()> {
    let (&first, behind) = rest.split_first()?;
    if first != byte {
        return None;
    }
    *rest = behind;
    Some(())
}

/// Reads two digits.
fn digits(rest: &mut &[u8]) -> Option<u8> {
    let (&[tens @ b'0'..=b'9', ones @ b'0'..=b'9'], behind) = rest.split_first_chunk()? else { return None };
    *rest = behind;
    Some((tens - b'0') * 10 + (ones - b'0'))
}

/// Writes local ticks, with up to seven digits of a fraction and without trailing zeros.
pub(super) fn write(f: &mut fmt::Formatter<'_>, ticks: i64, zone: Zone) -> fmt::Result {
    let Date { year, month, day } = Date::from_days(ticks / TICKS_PER_DAY);
    let seconds = ticks % TICKS_PER_DAY / TICKS_PER_SECOND;
    let (hour, minute, second) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    write!(f, "{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}")?;
    let (mut fraction, mut width) = (ticks % TICKS_PER_SECOND, 7);
    if fraction > 0 {
        while fraction % 10 == 0 {
            fraction /= 10;
            width -= 1;
        }
        write!(f, ".{fraction:0width$}")?;
    }
    match zone {
        Zone::Nothing => Ok(()),
        Zone::Utc => f.write_str("Z"),
        Zone::Offset(minutes) => {
            let (sign, minutes) = (if minutes < 0 { '-' } else { '+' }, minutes.abs());
            write!(f, "{sign}{:02}:{:02}", minutes / 60, minutes % 60)
        }
    }
}
