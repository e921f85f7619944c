//! Gregorian calendar of the years 1 to 9999, in days.

/// Day of the calendar.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Date {
    pub(super) year: u16,
    pub(super) month: u8,
    pub(super) day: u8,
}

impl Date {
    /// Returns the date, or `None` if it does not exist.
    pub(super) fn new(year: u16, month: u8, day: u8) -> Option<Self> {
        let valid = (1..=9999).contains(&year) && (1..=12).contains(&month) && (1..=length(year, month)).contains(&day);
        valid.then_some(Self { year, month, day })
    }

    /// Returns the date that is `days` after 0001-01-01.
    pub(super) fn from_days(days: i64) -> Self {
        // The mean length of a year gives the year, or the one before or after it.
        let guess = days * 400 / DAYS_IN_400_YEARS + 1;
        let year = (guess - 1..=guess + 1).rfind(|&year| first_day(year) <= days).unwrap_or(guess);
        let year_u16 = u16::try_from(year).expect("the last tick is in the year 9999");
        let mut day = days - first_day(year);
        let mut month = 1;
        while day >= length(year_u16, month).into() {
            day -= i64::from(length(year_u16, month));
            month += 1;
        }
        Self { year: year_u16, month, day: u8::try_from(day + 1).expect("months have at most 31 days") }
    }

    /// Returns the number of days since 0001-01-01.
    pub(super) fn days(self) -> i64 {
        let months = (1..self.month).map(|month| i64::from(length(self.year, month))).sum::<i64>();
        first_day(self.year.into()) + months + i64::from(self.day) - 1
    }
}

const DAYS_IN_400_YEARS: i64 = 146_097;

/// Returns the number of days before a year.
fn first_day(year: i64) -> i64 {
    let before = year - 1;
    before * 365 + before / 4 - before / 100 + before / 400
}

/// Returns the number of days of a month.
fn length(year: u16, month: u8) -> u8 {
    match month {
        2 if year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400)) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_day_has_its_date() {
        let mut expected = Date { year: 1, month: 1, day: 1 };
        for days in 0..=3_652_058 {
            let date = Date::from_days(days);
            assert_eq!(date, expected);
            assert_eq!(date.days(), days);
            expected.day += 1;
            if Date::new(expected.year, expected.month, expected.day).is_none() {
                (expected.month, expected.day) = (expected.month + 1, 1);
            }
            if expected.month > 12 {
                (expected.year, expected.month) = (expected.year + 1, 1);
            }
        }
        assert_eq!(expected, Date { year: 10_000, month: 1, day: 1 });
    }

    #[test]
    fn dates_that_do_not_exist_are_none() {
        for (year, month, day) in
            [(0, 1, 1), (10_000, 1, 1), (2024, 0, 1), (2024, 13, 1), (2024, 1, 0), (2023, 2, 29), (1900, 2, 29)]
        {
            assert_eq!(Date::new(year, month, day), None);
        }
        assert!(Date::new(2000, 2, 29).is_some());
    }
}
