//! What was read of a time, and the instant that it means once what is missing has been filled in.

use super::civil::{self, Civil, DAY};
use super::error::TimeError;
use super::zone::Zone;
use super::zone_name;
use crate::event::EventTime;

/// Years beyond this cannot be computed with; the wire ends in 2106 anyway.
const YEAR_MAX: i64 = 1_000_000;

/// An instant with the offset of the zone in which it was written: Ruby's Time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ParsedTime {
    /// The instant.
    pub time: EventTime,
    /// Seconds east of Greenwich: of the zone in the text, or of the local zone.
    pub offset: i32,
}

/// A number that a directive reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(usize)]
pub(super) enum Field {
    Month,
    Day,
    Hour,
    Minute,
    Second,
    YearDay,
    /// `%u`: 1 (Monday) to 7.
    IsoWeekday,
    /// `%V`
    IsoWeek,
    /// `%w`: 0 (Sunday) to 6.
    Weekday,
    /// `%U`: weeks that begin on Sunday.
    SundayWeek,
    /// `%W`: weeks that begin on Monday.
    MondayWeek,
}

const FIELDS: usize = 11;

/// Where the offset comes from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum ZoneText<'t> {
    #[default]
    None,
    /// It has been computed.
    Offset(i32),
    /// A name or number, to be looked up when the year is known.
    Name(&'t [u8]),
}

/// What was read.
#[derive(Clone, Debug)]
pub(super) struct Fields<'t> {
    pub(super) year: Option<i64>,
    numbers: [i32; FIELDS],
    /// Nanoseconds of the second.
    pub(super) nsec: Option<u32>,
    pub(super) zone: ZoneText<'t>,
    /// `%s`, `%Q`
    pub(super) epoch: Option<EventTime>,
    /// `%G`
    pub(super) iso_year: Option<i64>,
}

impl Default for Fields<'_> {
    fn default() -> Self {
        Self {
            year: None,
            numbers: [-1; FIELDS],
            nsec: None,
            zone: ZoneText::None,
            epoch: None,
            iso_year: None,
        }
    }
}

impl Fields<'_> {
    pub(super) fn set(&mut self, field: Field, value: u32) {
        self.numbers[field as usize] = value as i32;
    }

    pub(super) fn get(&self, field: Field) -> Option<u32> {
        u32::try_from(self.numbers[field as usize]).ok()
    }

    /// Whether nothing of a date or a time of day was read.
    fn is_empty(&self) -> bool {
        use Field::{Day, Hour, Minute, Month, Second, YearDay};
        let read = [Month, Day, Hour, Minute, Second, YearDay].iter().any(|&field| self.get(field).is_some());
        !read && self.year.is_none() && self.nsec.is_none()
    }

    /// The instant, as Time.strptime and Time.parse complete it: larger units that were not read are those of `now` in
    /// the zone, smaller ones are the smallest. `text` is for the error.
    pub(super) fn resolve(&self, text: &[u8], now: fn() -> EventTime) -> Result<ParsedTime, TimeError> {
        if let Some(time) = self.epoch {
            return self.resolve_epoch(time);
        }
        if let Some(day) = self.iso_week_date()? {
            // Ruby goes through a Date here, so the time of day is lost.
            let time = Zone::local().instant(day * DAY);
            return Ok(ParsedTime {
                time: EventTime::from_secs(time),
                offset: Zone::local().offset_at(time),
            });
        }
        if self.is_empty() {
            let text = String::from_utf8_lossy(text);
            return Err(TimeError::argument(format!("no time information in {text:?}")));
        }
        self.complete(now)
    }

    /// The same for what the strptime gem reads: nothing at all is the present second.
    pub(super) fn complete(&self, now: fn() -> EventTime) -> Result<ParsedTime, TimeError> {
        let offset = |year| match self.zone {
            ZoneText::None => None,
            ZoneText::Offset(offset) => Some(offset),
            ZoneText::Name(name) => zone_name::offset(name, year),
        };
        let (civil, nsec, offset) = match self.year {
            Some(year) => (self.civil_of(year), self.nsec.unwrap_or(0), offset(year)),
            None => {
                let now = now();
                let this_year = Civil::from_seconds(now.sec).year;
                let offset = offset(this_year);
                let shift = offset.unwrap_or_else(|| Zone::local().offset_at(now.sec));
                self.civil_from(Civil::from_seconds(now.sec + i64::from(shift)), now.nsec, offset)
            }
        };
        if !is_possible(&civil) {
            return Err(TimeError::out_of_range());
        }
        let wall = match self.day_in(civil.year)? {
            Some(day) => day * DAY + civil.to_seconds().rem_euclid(DAY),
            None => civil.to_seconds(),
        };
        let (sec, offset) = match offset {
            Some(offset) => (wall - i64::from(offset), offset),
            None => {
                let local = Zone::local();
                let sec = local.instant(wall);
                (sec, local.offset_at(sec))
            }
        };
        Ok(ParsedTime { time: EventTime { sec, nsec }, offset })
    }

    fn civil_of(&self, year: i64) -> Civil {
        let get = |field, smallest| self.get(field).unwrap_or(smallest);
        Civil {
            year,
            month: get(Field::Month, 1),
            day: get(Field::Day, 1),
            hour: get(Field::Hour, 0),
            minute: get(Field::Minute, 0),
            second: get(Field::Second, 0),
        }
    }

    /// Without a year: the units above the largest one that was read are those of `now`.
    fn civil_from(&self, now: Civil, now_nsec: u32, offset: Option<i32>) -> (Civil, u32, Option<i32>) {
        let mut civil = self.civil_of(now.year);
        let nsec = self.nsec.unwrap_or(0);
        if self.get(Field::Month).is_some() || self.get(Field::YearDay).is_some() {
            return (civil, nsec, offset);
        }
        civil.month = now.month;
        if self.get(Field::Day).is_some() {
            return (civil, nsec, offset);
        }
        civil.day = now.day;
        if self.get(Field::Hour).is_some() {
            return (civil, nsec, offset);
        }
        civil.hour = now.hour;
        if self.get(Field::Minute).is_some() {
            return (civil, nsec, offset);
        }
        civil.minute = now.minute;
        if self.get(Field::Second).is_some() {
            return (civil, nsec, offset);
        }
        civil.second = now.second;
        (civil, self.nsec.unwrap_or(now_nsec), offset)
    }

    fn resolve_epoch(&self, time: EventTime) -> Result<ParsedTime, TimeError> {
        let zone = match self.zone {
            ZoneText::None => None,
            ZoneText::Offset(offset) => Some(offset),
            ZoneText::Name(name) => zone_name::offset(name, Civil::from_seconds(time.sec).year),
        };
        // `%s.%N`: the fraction goes in the direction of the sign.
        let nsec =
            i64::from(time.nsec) + i64::from(self.nsec.unwrap_or(0)) * if time.sec < 0 { -1 } else { 1 };
        let sec = time.sec + nsec.div_euclid(1_000_000_000);
        let time = EventTime { sec, nsec: nsec.rem_euclid(1_000_000_000) as u32 };
        Ok(ParsedTime { time, offset: zone.unwrap_or_else(|| Zone::local().offset_at(sec)) })
    }

    /// The day that ISO 8601 weeks give, in days since 1970-01-01.
    fn iso_week_date(&self) -> Result<Option<i64>, TimeError> {
        let has_date = self.get(Field::Month).is_some() && self.get(Field::Day).is_some();
        let (week, weekday) = (self.get(Field::IsoWeek), self.get(Field::IsoWeekday));
        let has_week = (week.is_some() || weekday.is_some()) && !has_date;
        if !has_week && (self.iso_year.is_none() || self.year.is_some()) {
            return Ok(None);
        }
        let (Some(year), Some(week)) = (self.iso_year, week) else {
            return Err(TimeError { class: "Date::Error", message: "invalid date".into() });
        };
        if !(-YEAR_MAX..=YEAR_MAX).contains(&year) {
            return Err(TimeError::out_of_range());
        }
        Ok(Some(civil::iso_year_start(year) + i64::from(week) * 7 - 7 + i64::from(weekday.unwrap_or(1)) - 1))
    }

    /// The day that `%j`, `%U` or `%W` give, in days since 1970-01-01.
    fn day_in(&self, year: i64) -> Result<Option<i64>, TimeError> {
        let january = civil::days(year, 1, 1);
        if let Some(day) = self.get(Field::YearDay) {
            let day = january + i64::from(day) - 1;
            return if day < civil::days(year + 1, 1, 1) {
                Ok(Some(day))
            } else {
                Err(TimeError::out_of_range())
            };
        }
        if self.get(Field::Month).is_some() && self.get(Field::Day).is_some() {
            return Ok(None);
        }
        let (first, week, weekday) = match (self.get(Field::SundayWeek), self.get(Field::MondayWeek)) {
            (Some(week), _) => (0, week, self.get(Field::Weekday).unwrap_or(0)),
            (_, Some(week)) => (1, week, (self.get(Field::Weekday).unwrap_or(1) + 6) % 7),
            _ => return Ok(None),
        };
        // The first day of that name in the year begins week 1.
        let begin = january + i64::from((7 + first - civil::weekday(january)) % 7);
        Ok(Some(begin + i64::from(week) * 7 - 7 + i64::from(weekday)))
    }
}

/// Whether Ruby makes a time of it: too many days for the month, 24:00 and second 60 carry over.
fn is_possible(civil: &Civil) -> bool {
    (-YEAR_MAX..=YEAR_MAX).contains(&civil.year)
        && (1..=12).contains(&civil.month)
        && (1..=31).contains(&civil.day)
        && (civil.hour < 24 || (civil.hour == 24 && civil.minute == 0 && civil.second == 0))
        && civil.minute < 60
        && civil.second <= 60
}
