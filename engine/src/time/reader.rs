//! Runs a compiled time format over a text.

use super::fields::{Field, Fields, ZoneText};
use super::format::{DAYS, MONTHS};
use super::strptime::{Op, is_blank};
use super::zone_name;
use crate::event::EventTime;

/// A cursor over a text, with what must wait for the end of it.
pub(super) struct Reader<'t> {
    text: &'t [u8],
    at: usize,
    century: Option<i64>,
    /// Whether the afternoon was named.
    afternoon: Option<bool>,
    /// Whether a year, or a year of weeks, was read without its century.
    short_year: bool,
    short_iso_year: bool,
}

impl<'t> Reader<'t> {
    pub(super) fn new(text: &'t [u8]) -> Self {
        Self { text, at: 0, century: None, afternoon: None, short_year: false, short_iso_year: false }
    }

    /// Reads; none if the text does not fit.
    pub(super) fn run(&mut self, ops: &[Op], fields: &mut Fields<'t>) -> Option<()> {
        for op in ops {
            self.step(op, fields)?;
        }
        Some(())
    }

    /// What Ruby does once all has been read: centuries and halves of the day.
    pub(super) fn finish(&self, fields: &mut Fields<'t>) {
        if let Some(century) = self.century {
            // Without `%C`, `%y` has completed the year already.
            let begin = century.saturating_mul(100);
            let year_of = |short: bool, year: Option<i64>| {
                year.map(|year| begin.saturating_add(if short { year.rem_euclid(100) } else { year }))
            };
            fields.year = year_of(self.short_year, fields.year);
            fields.iso_year = year_of(self.short_iso_year, fields.iso_year);
        }
        if let (Some(afternoon), Some(hour)) = (self.afternoon, fields.get(Field::Hour)) {
            fields.set(Field::Hour, hour % 12 + if afternoon { 12 } else { 0 });
        }
    }

    fn step(&mut self, op: &Op, fields: &mut Fields<'t>) -> Option<()> {
        match op {
            Op::Blank => {
                self.at += self.rest().iter().take_while(|byte| is_blank(**byte)).count();
            }
            Op::Text(text) => {
                if !self.rest().starts_with(text) {
                    return None;
                }
                self.at += text.len();
            }
            Op::Number { field, digits, low, high, padded } => {
                let blank = usize::from(*padded && self.peek() == Some(b' '));
                self.at += blank;
                let value = self.number(digits - blank)?;
                if value < i64::from(*low) || value > i64::from(*high) {
                    return None;
                }
                fields.set(*field, value as u32);
            }
            Op::Year { digits } => fields.year = Some(self.signed(*digits)?),
            Op::ShortYear => {
                fields.year = Some(full_year(self.number(2)?));
                self.short_year = true;
            }
            Op::Century { digits } => self.century = Some(self.signed(*digits)?),
            Op::IsoYear { digits } => fields.iso_year = Some(self.signed(*digits)?),
            Op::ShortIsoYear => {
                fields.iso_year = Some(full_year(self.number(2)?));
                self.short_iso_year = true;
            }
            Op::Month => fields.set(Field::Month, self.name(&MONTHS)? + 1),
            // The day of the week says nothing that the date does not say, except with weeks.
            Op::DayName => fields.set(Field::Weekday, self.name(&DAYS)?),
            Op::Half => self.half()?,
            Op::Hour12 => {
                let blank = usize::from(self.peek() == Some(b' '));
                self.at += blank;
                let hour = self.number(2 - blank).filter(|hour| (1..=12).contains(hour))?;
                fields.set(Field::Hour, hour as u32);
            }
            Op::Fraction { digits } => {
                let negative = self.sign();
                // Ruby reads a negative fraction and then cannot make a time of it.
                if negative {
                    return None;
                }
                fields.nsec = Some(self.fraction(digits.unwrap_or(usize::MAX))?);
            }
            Op::Nanoseconds => fields.nsec = Some(self.fraction(9)?),
            Op::Epoch { millis } => fields.epoch = Some(self.epoch(*millis)?),
            Op::Offset => fields.zone = ZoneText::Offset(self.offset()?),
            Op::Zone => {
                let length = zone_name::scan(self.rest())?;
                fields.zone = ZoneText::Name(&self.text[self.at..self.at + length]);
                self.at += length;
            }
            Op::DateTime { between, steps } => match date_time(self.rest(), *between, fields) {
                Some(length) => self.at += length,
                None => self.run(steps, fields)?,
            },
        }
        Some(())
    }

    fn rest(&self) -> &'t [u8] {
        &self.text[self.at..]
    }

    fn peek(&self) -> Option<u8> {
        self.text.get(self.at).copied()
    }

    /// 1 to `digits_max` digits.
    fn number(&mut self, digits_max: usize) -> Option<i64> {
        let mut value = 0i64;
        let start = self.at;
        while self.at - start < digits_max
            && let Some(digit) = self.peek().filter(u8::is_ascii_digit)
        {
            value = value.saturating_mul(10).saturating_add(i64::from(digit - b'0'));
            self.at += 1;
        }
        (self.at > start).then_some(value)
    }

    /// Reads a sign; whether it is a minus.
    fn sign(&mut self) -> bool {
        let sign = self.peek();
        self.at += usize::from(matches!(sign, Some(b'+' | b'-')));
        sign == Some(b'-')
    }

    fn signed(&mut self, digits_max: usize) -> Option<i64> {
        let negative = self.sign();
        let value = self.number(digits_max)?;
        Some(if negative { -value } else { value })
    }

    /// Digits behind a decimal point, as nanoseconds; those beyond the ninth are read and dropped.
    fn fraction(&mut self, digits_max: usize) -> Option<u32> {
        let (mut nsec, mut unit) = (0u32, 100_000_000u32);
        let start = self.at;
        while self.at - start < digits_max
            && let Some(digit) = self.peek().filter(u8::is_ascii_digit)
        {
            nsec += u32::from(digit - b'0') * unit;
            unit /= 10;
            self.at += 1;
        }
        (self.at > start).then_some(nsec)
    }

    /// A full name or its first three letters, in any case; answers its place.
    fn name(&mut self, names: &[&str]) -> Option<u32> {
        let rest = self.rest();
        let short: [u8; 3] = *rest.first_chunk()?;
        // No two of them begin with the same three letters.
        let n = names.iter().position(|name| short.eq_ignore_ascii_case(&name.as_bytes()[..3]))?;
        let full = names[n].as_bytes();
        let is_full = rest.get(..full.len()).is_some_and(|name| name.eq_ignore_ascii_case(full));
        self.at += if is_full { full.len() } else { 3 };
        Some(n as u32)
    }

    /// `am`, `PM`, `a.m.`
    fn half(&mut self) -> Option<()> {
        let rest = self.rest();
        let letter = rest.first()?.to_ascii_lowercase();
        if !matches!(letter, b'a' | b'p') {
            return None;
        }
        let dotted = rest.get(1) == Some(&b'.')
            && rest.get(2).is_some_and(|m| m.eq_ignore_ascii_case(&b'm'))
            && rest.get(3) == Some(&b'.');
        let plain = rest.get(1).is_some_and(|m| m.eq_ignore_ascii_case(&b'm'));
        self.at += if dotted {
            4
        } else if plain {
            2
        } else {
            return None;
        };
        self.afternoon = Some(letter == b'p');
        Some(())
    }

    fn epoch(&mut self, millis: bool) -> Option<EventTime> {
        let negative = self.peek() == Some(b'-');
        self.at += usize::from(negative);
        let value = self.number(18)?;
        let value = if negative { -value } else { value };
        Some(match millis {
            false => EventTime::from_secs(value),
            true => {
                EventTime { sec: value.div_euclid(1000), nsec: value.rem_euclid(1000) as u32 * 1_000_000 }
            }
        })
    }

    /// `Z`, or hours, an optional colon and optional minutes; the sign may lack.
    fn offset(&mut self) -> Option<i32> {
        if matches!(self.peek(), Some(b'z' | b'Z')) {
            // The gem does not step over the letter; what follows it is not looked at in any format of this world.
            return Some(0);
        }
        let negative = self.sign();
        let hours = self.number(2)? as i32;
        self.at += usize::from(self.peek() == Some(b':'));
        let minutes = self.number(2).unwrap_or(0) as i32;
        let seconds = hours * 3600 + minutes * 60;
        Some(if negative { -seconds } else { seconds })
    }
}

fn full_year(year: i64) -> i64 {
    if year < 69 { year + 2000 } else { year + 1900 }
}

/// Reads `YYYY-MM-DD?hh:mm:ss` if the text begins with just that shape and its numbers are in range.
fn date_time(text: &[u8], between: u8, fields: &mut Fields<'_>) -> Option<usize> {
    let text: &[u8; 19] = text.first_chunk()?;
    if text[4] != b'-' || text[7] != b'-' || text[10] != between || text[13] != b':' || text[16] != b':' {
        return None;
    }
    let two = |at: usize| {
        let (tens, ones) = (text[at].wrapping_sub(b'0'), text[at + 1].wrapping_sub(b'0'));
        (tens < 10 && ones < 10).then(|| u32::from(tens) * 10 + u32::from(ones))
    };
    let year = two(0)? * 100 + two(2)?;
    let (month, day, hour, minute, second) = (two(5)?, two(8)?, two(11)?, two(14)?, two(17)?);
    if !(1..=12).contains(&month) || !(1..=31).contains(&day) || hour > 23 || minute > 59 || second > 60 {
        return None;
    }
    fields.year = Some(i64::from(year));
    fields.set(Field::Month, month);
    fields.set(Field::Day, day);
    fields.set(Field::Hour, hour);
    fields.set(Field::Minute, minute);
    fields.set(Field::Second, second);
    Some(19)
}
