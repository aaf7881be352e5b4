//! The parts of a date and time that a text gave, and the instant that they mean.

use super::class::check_civil;
use super::zone::{invalid_date, is_utc, time_zone_offset, zone_offset};
use crate::event::EventTime;
use crate::expr::run::{Eval, Vm};
use crate::expr::value::{Civil, Clock, DAY, Date, Moment, days_from, month_length};

/// What `Date._parse` and `Date._strptime` answer.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Fields {
    pub(super) year: Option<i64>,
    pub(super) month: Option<i64>,
    pub(super) day: Option<i64>,
    pub(super) year_day: Option<i64>,
    pub(super) hour: Option<i64>,
    pub(super) minute: Option<i64>,
    pub(super) second: Option<i64>,
    pub(super) nanos: Option<u32>,
    pub(super) zone: Option<String>,
    /// Seconds since the epoch.
    pub(super) epoch: Option<i64>,
    pub(super) weekday: Option<i64>,
    /// Year, week and day of ISO 8601.
    pub(super) week_year: Option<i64>,
    pub(super) week: Option<i64>,
    /// The week of the year with weeks that begin on Sunday, or on Monday.
    pub(super) sunday_week: Option<i64>,
    pub(super) monday_week: Option<i64>,
}

impl Fields {
    fn has_date(&self) -> bool {
        self.year.is_some() || self.month.is_some() || self.day.is_some() || self.year_day.is_some()
    }

    fn has_time(&self) -> bool {
        self.hour.is_some() || self.minute.is_some() || self.second.is_some() || self.nanos.is_some()
    }

    /// The offset as DateTime knows it.
    fn offset(&self) -> Option<i32> {
        self.zone.as_deref().and_then(zone_offset)
    }

    /// The offset as Time knows it, which has fewer names for it; it takes no notice of others.
    fn time_offset(&self) -> Option<i32> {
        self.zone.as_deref().and_then(time_zone_offset)
    }

    /// As Time.parse and Time.strptime: what is missing in front of what is given is taken from now. `shown` is the text
    /// for messages.
    pub(super) fn to_moment<'a>(&self, vm: &Vm<'_, 'a>, shown: &str) -> Eval<'a, Moment> {
        let nsec = self.nanos.unwrap_or(0);
        if let Some(sec) = self.epoch {
            return Ok(Moment { time: EventTime { sec, nsec }, clock: self.clock_at(sec) });
        }
        if !self.has_date() && !self.has_time() {
            let mut text = Vec::new();
            crate::expr::value::inspect_bytes(shown.as_bytes(), false, &mut text);
            let text = String::from_utf8_lossy(&text).into_owned();
            return Err(vm.argument_error(format!("no time information in {text}")));
        }
        let offset = self.time_offset();
        let now = EventTime::now().sec;
        let here = offset.unwrap_or_else(|| Clock::Local.offset_at(now));
        let now = Civil::of(now + i64::from(here));
        let (mut month, mut day) = (self.month, self.day);
        if self.year.is_none() && self.year_day.is_none() && self.month.is_none() {
            month = Some(i64::from(now.month));
            if self.day.is_none() {
                day = Some(i64::from(now.day));
            }
        }
        let year = self.year.unwrap_or(now.year);
        if let Some(year_day) = self.year_day.filter(|_| month.is_none() && day.is_none()) {
            month = Some(1);
            day = Some(year_day);
        }
        let (month, day) = (month.unwrap_or(1), day.unwrap_or(1));
        let (hour, minute, second) =
            (self.hour.unwrap_or(0), self.minute.unwrap_or(0), self.second.unwrap_or(0));
        let year_day = self.year_day.is_some() && self.month.is_none();
        if !year_day {
            check_civil(vm, (year, month, day), (hour, minute, second))?;
        }
        let wall = days_from(year, month, day) * DAY + hour * 3600 + minute * 60 + second;
        match offset {
            Some(offset) => {
                let sec = wall - i64::from(offset);
                Ok(Moment { time: EventTime { sec, nsec }, clock: self.clock_at(sec) })
            }
            None => {
                let sec = crate::time::Zone::local().instant(wall);
                Ok(Moment { time: EventTime { sec, nsec }, clock: Clock::Local })
            }
        }
    }

    /// The clock that the zone means: that of the machine is preferred where it shows the same.
    fn clock_at(&self, sec: i64) -> Clock {
        match (&self.zone, self.time_offset()) {
            (Some(zone), _) if is_utc(zone) => Clock::Utc,
            (Some(_), Some(offset)) if Clock::Local.offset_at(sec) != offset => Clock::Fixed(offset),
            _ => Clock::Local,
        }
    }

    /// As DateTime.parse and DateTime.strptime.
    pub(super) fn to_date<'a>(&self, vm: &Vm<'_, 'a>, has_time: bool) -> Eval<'a, Date> {
        let offset = if has_time { self.offset().unwrap_or(0) } else { 0 };
        let nanos = if has_time { self.nanos.unwrap_or(0) } else { 0 };
        if let Some(epoch) = self.epoch {
            let wall = epoch + i64::from(offset);
            let wall = if has_time { wall } else { wall.div_euclid(DAY) * DAY };
            return Ok(Date { wall, nanos, offset, has_time });
        }
        let days = self.days(vm)?;
        let mut wall = days * DAY;
        if has_time {
            let (hour, minute, second) =
                (self.hour.unwrap_or(0), self.minute.unwrap_or(0), self.second.unwrap_or(0));
            let good = (0..=24).contains(&hour) && (0..60).contains(&minute) && (0..=60).contains(&second);
            if !good || hour == 24 && minute + second > 0 {
                return Err(invalid_date(vm));
            }
            wall += hour * 3600 + minute * 60 + second.min(59);
        }
        Ok(Date { wall, nanos, offset, has_time })
    }

    /// Days since 1970-01-01.
    fn days<'a>(&self, vm: &Vm<'_, 'a>) -> Eval<'a, i64> {
        let today = Civil::of(EventTime::now().sec + i64::from(Clock::Local.offset_at(EventTime::now().sec)));
        let year = self.year.unwrap_or(today.year);
        if let (Some(week), true) = (self.week, self.month.is_none() && self.day.is_none()) {
            let day = self.weekday.map_or(1, |day| if day == 0 { 7 } else { day });
            let week_year = self.week_year.or(self.year).unwrap_or(today.year);
            let fourth = days_from(week_year, 1, 4);
            let monday = fourth - (fourth + 3).rem_euclid(7);
            return if (1..=53).contains(&week) {
                Ok(monday + (week - 1) * 7 + day - 1)
            } else {
                Err(invalid_date(vm))
            };
        }
        if let (Some(week), first) = match (self.sunday_week, self.monday_week) {
            (Some(week), _) => (Some(week), 0),
            (None, week) => (week, 1),
        } && self.month.is_none()
            && self.year_day.is_none()
        {
            let start = days_from(year, 1, 1);
            let weekday = (start + 4 - first).rem_euclid(7);
            let day = (self.weekday.unwrap_or(first) - first).rem_euclid(7);
            return Ok(start - weekday + week * 7 + day);
        }
        if let (Some(year_day), None, None) = (self.year_day, self.month, self.day) {
            return Ok(days_from(year, 1, 1) + year_day - 1);
        }
        if !self.has_date() {
            if let Some(weekday) = self.weekday {
                let now = days_from(today.year, i64::from(today.month), i64::from(today.day));
                return Ok(now - i64::from(today.weekday) + weekday);
            }
            if !self.has_time() {
                return Err(invalid_date(vm));
            }
            return Ok(days_from(today.year, i64::from(today.month), i64::from(today.day)));
        }
        let month = match (self.month, self.year) {
            (Some(month), _) => month,
            (None, Some(_)) => 1,
            (None, None) => i64::from(today.month),
        };
        let day = self.day.unwrap_or(1);
        if !(1..=12).contains(&month) || year.abs() > 1_000_000 {
            return Err(invalid_date(vm));
        }
        let length = month_length(year, month);
        let day = if day < 0 { length + 1 + day } else { day };
        if !(1..=length).contains(&day) {
            return Err(invalid_date(vm));
        }
        Ok(days_from(year, month, day))
    }
}
