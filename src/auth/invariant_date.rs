//! Dates in the format of .NET's invariant culture.

use std::fmt;

/// Seconds since 1970, printed in UTC as `MM/dd/yyyy HH:mm:ss`.
pub(super) struct DateText(pub(super) i64);

/// 0001-01-01 00:00:00, .NET's `DateTime.MinValue`.
pub(super) const EARLIEST: i64 = -62_135_596_800;
/// 9999-12-31 23:59:59, the last whole second of .NET's `DateTime.MaxValue`.
pub(super) const LATEST: i64 = 253_402_300_799;

impl fmt::Display for DateText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = self.0.clamp(EARLIEST, LATEST) - EARLIEST;
        let (days, second) = (seconds / DAY, seconds % DAY);
        let (year, month, day) = civil(days);
        let (hour, minute, second) = (second / 3600, second / 60 % 60, second % 60);
        write!(f, "{month:02}/{day:02}/{year:04} {hour:02}:{minute:02}:{second:02}")
    }
}

/// Year, month and day, from the number of days since 0001-01-01.
fn civil(mut days: i64) -> (i64, usize, i64) {
    let mut year = 1;
    // The last day of a leap cycle belongs to its last part, which is a day longer than the others.
    for (length, years, parts) in [(146_097, 400, i64::MAX), (36_524, 100, 4), (1_461, 4, i64::MAX), (365, 1, 4)] {
        let whole = (days / length).min(parts - 1);
        days -= whole * length;
        year += whole * years;
    }
    let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let months = [31, 28 + i64::from(leap), 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
    let mut month = 0;
    while days >= months[month] {
        days -= months[month];
        month += 1;
    }
    (year, month + 1, days + 1)
}

const DAY: i64 = 86_400;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_print_as_in_dotnet() {
        for (seconds, text) in [
            (i64::MIN, "01/01/0001 00:00:00"),
            (EARLIEST, "01/01/0001 00:00:00"),
            (-1, "12/31/1969 23:59:59"),
            (0, "01/01/1970 00:00:00"),
            (951_782_399, "02/28/2000 23:59:59"),
            (951_782_400, "02/29/2000 00:00:00"),
            (951_868_800, "03/01/2000 00:00:00"),
            (978_220_800, "12/31/2000 00:00:00"),
            (1_704_067_199, "12/31/2023 23:59:59"),
            (1_709_164_800, "02/29/2024 00:00:00"),
            (1_735_689_599, "12/31/2024 23:59:59"),
            (1_800_000_000, "01/15/2027 08:00:00"),
            (4_107_542_400, "03/01/2100 00:00:00"),
            (99_999_999_999, "11/16/5138 09:46:39"),
            (LATEST, "12/31/9999 23:59:59"),
            (i64::MAX, "12/31/9999 23:59:59"),
        ] {
            assert_eq!(DateText(seconds).to_string(), text, "{seconds}");
        }
    }

    #[test]
    fn days_follow_each_other() {
        let mut before = civil(0);
        for day in 1..3_652_059 {
            let after = civil(day);
            assert!(after > before && after.1 <= 12 && after.2 <= 31, "{before:?} {after:?}");
            assert!(after.2 == before.2 + 1 || after.2 == 1, "{before:?} {after:?}");
            before = after;
        }
        assert_eq!(before, (9999, 12, 31));
    }
}
