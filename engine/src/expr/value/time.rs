//! Time, Date and DateTime.

use crate::event::EventTime;
use crate::time::Zone;

/// The clock that a time is read from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Clock {
    Utc,
    Local,
    /// Seconds east of Greenwich.
    Fixed(i32),
}

impl Clock {
    pub(crate) fn zone(self) -> Zone {
        match self {
            Self::Utc => Zone::UTC,
            Self::Local => Zone::local(),
            Self::Fixed(seconds) => Zone::fixed(seconds),
        }
    }

    /// Seconds east of Greenwich at an instant.
    pub(crate) fn offset_at(self, sec: i64) -> i32 {
        match self {
            Self::Utc => 0,
            Self::Fixed(seconds) => seconds,
            Self::Local => Zone::local().offset_at(sec),
        }
    }
}

/// A Time object.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Moment {
    pub(crate) time: EventTime,
    pub(crate) clock: Clock,
}

impl Moment {
    /// The date and time of day that its clock shows.
    pub(crate) fn civil(&self) -> Civil {
        Civil::of(self.time.sec.saturating_add(i64::from(self.clock.offset_at(self.time.sec))))
    }
}

/// A Date or DateTime object.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Date {
    /// Seconds since 1970-01-01T00:00:00 on its own clock.
    pub(crate) wall: i64,
    /// Nanoseconds of the second.
    pub(crate) nanos: u32,
    /// Seconds east of Greenwich.
    pub(crate) offset: i32,
    /// Whether it is a DateTime.
    pub(crate) has_time: bool,
}

impl Date {
    /// Seconds since the epoch.
    pub(crate) fn instant(&self) -> i64 {
        self.wall - i64::from(self.offset)
    }

    pub(crate) fn civil(&self) -> Civil {
        Civil::of(self.wall)
    }

    /// As a Time, on the same clock.
    pub(crate) fn moment(&self) -> Moment {
        let time = EventTime { sec: self.instant(), nsec: self.nanos };
        Moment { time, clock: Clock::Fixed(self.offset) }
    }
}

/// A date and time of day in the Gregorian calendar.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Civil {
    pub(crate) year: i64,
    pub(crate) month: u32,
    pub(crate) day: u32,
    pub(crate) hour: u32,
    pub(crate) minute: u32,
    pub(crate) second: u32,
    /// 0 is Sunday.
    pub(crate) weekday: u32,
    /// From 1.
    pub(crate) year_day: u32,
}

pub(crate) const DAY: i64 = 86_400;

impl Civil {
    /// From seconds since 1970-01-01T00:00:00.
    pub(crate) fn of(wall: i64) -> Self {
        let days = wall.div_euclid(DAY);
        let rest = wall.rem_euclid(DAY) as u32;
        // Years are counted from March in eras of 400, so that the leap day ends its year.
        let shifted = days + 719_468;
        let era = shifted.div_euclid(146_097);
        let day_of_era = shifted.rem_euclid(146_097);
        let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
        let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
        let from_march = (5 * day_of_year + 2) / 153;
        let month = if from_march < 10 { from_march + 3 } else { from_march - 9 } as u32;
        let year = year_of_era + era * 400 + i64::from(month <= 2);
        Self {
            year,
            month,
            day: (day_of_year - (153 * from_march + 2) / 5 + 1) as u32,
            hour: rest / 3600,
            minute: rest / 60 % 60,
            second: rest % 60,
            weekday: (days + 4).rem_euclid(7) as u32,
            year_day: (days - days_from(year, 1, 1) + 1) as u32,
        }
    }
}

/// Days since 1970-01-01. Months beyond 12 run into the following years.
pub(crate) fn days_from(year: i64, month: i64, day: i64) -> i64 {
    let year = year.clamp(-200_000_000, 200_000_000) + (month - 1).div_euclid(12);
    let month = (month - 1).rem_euclid(12) + 1;
    let shifted = if month <= 2 { year - 1 } else { year };
    let era = shifted.div_euclid(400);
    let year_of_era = shifted.rem_euclid(400);
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    era * 146_097 + day_of_era - 719_468
}

/// How many days a month has.
pub(crate) fn month_length(year: i64, month: i64) -> i64 {
    days_from(year, month + 1, 1) - days_from(year, month, 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calendar_round_trips() {
        for days in (-800_000..800_000).step_by(97) {
            let civil = Civil::of(days * DAY + 3661);
            assert_eq!(days_from(civil.year, i64::from(civil.month), i64::from(civil.day)), days);
            assert_eq!((civil.hour, civil.minute, civil.second), (1, 1, 1));
        }
        let leap = Civil::of(days_from(2024, 2, 29) * DAY);
        assert_eq!((leap.month, leap.day, leap.weekday, leap.year_day), (2, 29, 4, 60));
        assert_eq!((month_length(2023, 2), month_length(2024, 2), month_length(2024, 12)), (28, 29, 31));
        assert_eq!(days_from(2023, 14, 1), days_from(2024, 2, 1));
    }
}
