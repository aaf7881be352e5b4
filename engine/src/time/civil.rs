//! The proleptic Gregorian calendar, without time zones.

/// Seconds of a day.
pub(super) const DAY: i64 = 86_400;

/// A date and a time of day.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Civil {
    pub(super) year: i64,
    /// 1 to 12.
    pub(super) month: u32,
    /// 1 to 31.
    pub(super) day: u32,
    pub(super) hour: u32,
    pub(super) minute: u32,
    pub(super) second: u32,
}

impl Civil {
    /// From seconds since 1970-01-01T00:00:00.
    pub(super) fn from_seconds(seconds: i64) -> Self {
        let (year, month, day) = date(seconds.div_euclid(DAY));
        let rest = seconds.rem_euclid(DAY) as u32;
        Self { year, month, day, hour: rest / 3600, minute: rest / 60 % 60, second: rest % 60 }
    }

    /// To seconds since 1970-01-01T00:00:00. Fields that are too large carry over (30 February is 2 March, or 1 March
    /// in leap years; 24:00 and second 60 are the next day and minute).
    pub(super) fn to_seconds(self) -> i64 {
        let days = days(self.year, self.month, 1) + i64::from(self.day) - 1;
        days * DAY + i64::from(self.hour) * 3600 + i64::from(self.minute) * 60 + i64::from(self.second)
    }

    /// Day of the year, from 1.
    pub(super) fn day_of_year(&self) -> u32 {
        (days(self.year, self.month, self.day) - days(self.year, 1, 1) + 1) as u32
    }

    /// Day of the week, 0 (Sunday) to 6.
    pub(super) fn weekday(&self) -> u32 {
        weekday(days(self.year, self.month, self.day))
    }

    /// Year and week of ISO 8601.
    pub(super) fn iso_week(&self) -> (i64, u32) {
        let day = days(self.year, self.month, self.day);
        let year = [self.year + 1, self.year, self.year - 1].into_iter().find(|&y| iso_year_start(y) <= day);
        let year = year.unwrap_or(self.year);
        (year, ((day - iso_year_start(year)) / 7 + 1) as u32)
    }
}

/// Days since 1970-01-01. The month must be 1 to 12.
pub(super) fn days(year: i64, month: u32, day: u32) -> i64 {
    // The year is counted from March, so that the leap day is its last day; eras are 400 years.
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let month_from_march = i64::from((month + 9) % 12);
    let day_of_year = (153 * month_from_march + 2) / 5 + i64::from(day) - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    era * 146_097 + day_of_era - 719_468
}

/// Year, month and day of a number of days since 1970-01-01.
fn date(days: i64) -> (i64, u32, u32) {
    let days = days + 719_468;
    let era = days.div_euclid(146_097);
    let day_of_era = days.rem_euclid(146_097);
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = (day_of_year - (153 * month_from_march + 2) / 5 + 1) as u32;
    let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 } as u32;
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    (year, month, day)
}

/// Day of the week of a number of days since 1970-01-01 (a Thursday): 0 is Sunday.
pub(super) fn weekday(days: i64) -> u32 {
    (days + 4).rem_euclid(7) as u32
}

/// The Monday of week 1 of ISO 8601, in days since 1970-01-01.
pub(super) fn iso_year_start(year: i64) -> i64 {
    let fourth = days(year, 1, 4);
    fourth - i64::from((weekday(fourth) + 6) % 7)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_day_of_eight_centuries_round_trips() {
        let mut expected = (1600, 1, 1);
        for day in days(1600, 1, 1)..days(2400, 1, 1) {
            assert_eq!(date(day), expected);
            assert_eq!(days(expected.0, expected.1, expected.2), day);
            let (year, month, dom) = expected;
            let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
            let length = match month {
                2 => 28 + u32::from(leap),
                4 | 6 | 9 | 11 => 30,
                _ => 31,
            };
            expected = match (dom == length, month) {
                (false, _) => (year, month, dom + 1),
                (true, 12) => (year + 1, 1, 1),
                (true, _) => (year, month + 1, 1),
            };
        }
    }

    #[test]
    fn weeks() {
        let week = |year, month, day| Civil { year, month, day, hour: 0, minute: 0, second: 0 }.iso_week();
        assert_eq!(week(2023, 1, 1), (2022, 52));
        assert_eq!(week(2024, 12, 30), (2025, 1));
        assert_eq!(week(2020, 12, 31), (2020, 53));
    }
}
