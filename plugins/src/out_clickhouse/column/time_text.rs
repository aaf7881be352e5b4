//! Times in text, in the notations that logs use.
//!
//! | notation | example |
//! |---|---|
//! | ISO 8601, RFC 3339, PostgreSQL, Ruby, Go | `2024-01-15T10:30:45.123Z`, `2024-01-15 10:30:45 +0900`, `2024/01/15 10:30:45` |
//! | date only | `2024-01-15`, `20240115` |
//! | compact | `20240115T103045Z`, `20240115103045` |
//! | common log format | `15/Jan/2024:10:30:45 +0000`, in brackets or not |
//! | RFC 2822, HTTP | `Mon, 15 Jan 2024 10:30:45 GMT` |
//! | ctime, JavaScript | `Mon Jan 15 10:30:45 2024`, `Mon Jan 15 2024 10:30:45 GMT+0900 (JST)` |
//!
//! Digits of a fraction beyond the ninth are dropped; a 60th second counts as the 59th.

/// A time as it is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct WrittenTime {
    /// Days since 1970-01-01.
    pub(crate) days: i64,
    /// Second of the day.
    pub(crate) second: u32,
    /// Nanosecond of the second.
    pub(crate) nsec: u32,
    /// Seconds east of UTC, if a zone is written.
    pub(crate) offset: Option<i32>,
}

impl WrittenTime {
    /// Seconds since the epoch if this were UTC.
    pub(crate) fn seconds(&self) -> i64 {
        self.days * 86_400 + i64::from(self.second)
    }
}

/// Reads a time; `None` if the text is none, or has more than a time in it.
pub(crate) fn parse(text: &[u8]) -> Option<WrittenTime> {
    let text = text.trim_ascii();
    let text = text.strip_prefix(b"[").and_then(|inner| inner.strip_suffix(b"]")).unwrap_or(text);
    let mut cursor = Cursor { text, at: 0 };
    let days = match text {
        [_, _, _, _, b'-' | b'/', _, _, b'-' | b'/', _, _, ..] => cursor.iso_date()?,
        [b'0'..=b'9', b'0'..=b'9', b'0'..=b'9', b'0'..=b'9', ..] => return cursor.compact(),
        [b'0'..=b'9', ..] => cursor.day_first()?,
        _ => return cursor.worded(),
    };
    let (second, nsec) = cursor.clock_after_date()?;
    let offset = cursor.zone()?;
    Some(WrittenTime { days, second, nsec, offset })
}

/// Days from 1970-01-01 to a date of the Gregorian calendar, which must exist.
pub(crate) fn days_from_date(year: i64, month: u32, day: u32) -> Option<i64> {
    const LENGTHS: [u32; 12] = [31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
    let length = *LENGTHS.get(month.checked_sub(1)? as usize)?;
    let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    if day == 0 || day > length || (month == 2 && day == 29 && !leap) {
        return None;
    }
    // Years that begin in March put the leap day last.
    let shifted = if month <= 2 { year - 1 } else { year };
    let era = shifted.div_euclid(400);
    let year_of_era = shifted.rem_euclid(400);
    let day_of_year = (153 * ((i64::from(month) + 9) % 12) + 2) / 5 + i64::from(day) - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    Some(era * 146_097 + day_of_era - 719_468)
}

struct Cursor<'a> {
    text: &'a [u8],
    at: usize,
}

impl<'a> Cursor<'a> {
    fn rest(&self) -> &'a [u8] {
        self.text.get(self.at..).unwrap_or_default()
    }

    fn next(&self) -> Option<u8> {
        self.text.get(self.at).copied()
    }

    fn take(&mut self, byte: u8) -> bool {
        let found = self.next() == Some(byte);
        self.at += usize::from(found);
        found
    }

    fn spaces(&mut self) -> bool {
        let start = self.at;
        while self.take(b' ') {}
        self.at > start
    }

    /// Exactly `count` digits.
    #[inline]
    fn digits(&mut self, count: usize) -> Option<u32> {
        let mut value = 0;
        for byte in self.text.get(self.at..self.at + count)? {
            let digit = byte.wrapping_sub(b'0');
            if digit > 9 {
                return None;
            }
            value = value * 10 + u32::from(digit);
        }
        self.at += count;
        Some(value)
    }

    /// One or two digits.
    fn short(&mut self) -> Option<u32> {
        match self.rest() {
            [_, b'0'..=b'9', ..] => self.digits(2),
            _ => self.digits(1),
        }
    }

    fn iso_date(&mut self) -> Option<i64> {
        let year = self.digits(4)?;
        let separator = self.next()?;
        self.at += 1;
        let month = self.digits(2)?;
        if !self.take(separator) {
            return None;
        }
        days_from_date(year.into(), month, self.digits(2)?)
    }

    /// Nothing, or `T` or spaces and a clock.
    fn clock_after_date(&mut self) -> Option<(u32, u32)> {
        match self.next() {
            None => Some((0, 0)),
            Some(b'T' | b't' | b':') => {
                self.at += 1;
                self.clock()
            }
            Some(b' ') => {
                self.spaces();
                self.clock()
            }
            _ => None,
        }
    }

    /// `hh:mm[:ss[.f]]`
    fn clock(&mut self) -> Option<(u32, u32)> {
        let hour = self.short()?;
        if !self.take(b':') {
            return None;
        }
        let minute = self.digits(2)?;
        let second = if self.take(b':') { self.digits(2)? } else { 0 };
        self.second_of_day(hour, minute, second)
    }

    fn second_of_day(&mut self, hour: u32, minute: u32, second: u32) -> Option<(u32, u32)> {
        if hour > 23 || minute > 59 || second > 60 {
            return None;
        }
        let nsec = self.fraction()?;
        Some((hour * 3600 + minute * 60 + second.min(59), nsec))
    }

    fn fraction(&mut self) -> Option<u32> {
        if !matches!(self.rest(), [b'.' | b',', b'0'..=b'9', ..]) {
            return Some(0);
        }
        self.at += 1;
        let (mut nsec, mut unit) = (0, 100_000_000);
        while let Some(digit @ b'0'..=b'9') = self.next() {
            nsec += u32::from(digit - b'0') * unit;
            unit /= 10;
            self.at += 1;
        }
        Some(nsec)
    }

    /// The zone, if there is one, and then the end.
    fn zone(&mut self) -> Option<Option<i32>> {
        self.spaces();
        let offset = match self.next() {
            None => return Some(None),
            Some(b'Z' | b'z') if self.rest().len() == 1 => {
                self.at += 1;
                Some(0)
            }
            Some(b'+' | b'-') => Some(self.offset()?),
            _ => Some(self.zone_name()?),
        };
        // Go adds the zone's name, JavaScript its name in parentheses, RFC 9557 its identifier in brackets.
        match self.rest() {
            [] => Some(offset),
            [b' ', b'(', ..] | [b' ', b'A'..=b'Z', ..] | [b'[', ..] => Some(offset),
            _ => None,
        }
    }

    fn offset(&mut self) -> Option<i32> {
        let sign = if self.take(b'-') { -1 } else { 1 };
        self.take(b'+');
        let hours = self.digits(2)?;
        self.take(b':');
        let minutes = if self.next().is_some_and(|b| b.is_ascii_digit()) { self.digits(2)? } else { 0 };
        (hours < 24 && minutes < 60).then_some(sign * (hours * 3600 + minutes * 60) as i32)
    }

    fn zone_name(&mut self) -> Option<i32> {
        const NAMES: [(&[u8], i32); 12] = [
            (b"UTC", 0),
            (b"GMT", 0),
            (b"UT", 0),
            (b"Z", 0),
            (b"EST", -5),
            (b"EDT", -4),
            (b"CST", -6),
            (b"CDT", -5),
            (b"MST", -7),
            (b"MDT", -6),
            (b"PST", -8),
            (b"PDT", -7),
        ];
        let rest = self.rest();
        let end = rest.iter().position(|b| !b.is_ascii_alphabetic()).unwrap_or(rest.len());
        let hours = NAMES.iter().find(|(name, _)| rest[..end].eq_ignore_ascii_case(name))?.1;
        self.at += end;
        if hours == 0 && matches!(self.next(), Some(b'+' | b'-')) {
            return self.offset();
        }
        Some(hours * 3600)
    }

    /// `YYYYMMDD`, `YYYYMMDDhhmmss`, `YYYYMMDDThhmmss`, with fraction and zone.
    fn compact(&mut self) -> Option<WrittenTime> {
        let (year, month, day) = (self.digits(4)?, self.digits(2)?, self.digits(2)?);
        let days = days_from_date(year.into(), month, day)?;
        if self.rest().is_empty() {
            return Some(WrittenTime { days, second: 0, nsec: 0, offset: None });
        }
        self.take(b'T');
        let (hour, minute, second) = (self.digits(2)?, self.digits(2)?, self.digits(2)?);
        let (second, nsec) = self.second_of_day(hour, minute, second)?;
        let offset = self.zone()?;
        Some(WrittenTime { days, second, nsec, offset })
    }

    /// `15/Jan/2024`, `15 Jan 2024`, `15-Jan-2024`
    fn day_first(&mut self) -> Option<i64> {
        let day = self.short()?;
        let separator = self.next().filter(|b| matches!(b, b'/' | b' ' | b'-'))?;
        self.at += 1;
        let month = self.month()?;
        if !self.take(separator) {
            return None;
        }
        days_from_date(self.digits(4)?.into(), month, day)
    }

    fn month(&mut self) -> Option<u32> {
        const MONTHS: &[u8; 36] = b"janfebmaraprmayjunjulaugsepoctnovdec";
        let name = self.rest().first_chunk::<3>()?;
        let index = MONTHS.chunks_exact(3).position(|month| name.eq_ignore_ascii_case(month))?;
        self.at += 3;
        Some(index as u32 + 1)
    }

    /// What begins with the name of a day or of a month.
    fn worded(&mut self) -> Option<WrittenTime> {
        let comma = self.rest().iter().take(10).position(|byte| *byte == b',');
        if let Some(comma) = comma {
            self.at += comma + 1;
            self.spaces();
            let days = self.day_first()?;
            let (second, nsec) = self.clock_after_date()?;
            return Some(WrittenTime { days, second, nsec, offset: self.zone()? });
        }
        let month = match self.month() {
            Some(month) => month,
            None => {
                self.at += 3;
                self.spaces().then_some(())?;
                self.month()?
            }
        };
        self.spaces().then_some(())?;
        let day = self.short()?;
        self.spaces().then_some(())?;
        if let [_, _, b':', ..] = self.rest() {
            let (second, nsec) = self.clock()?;
            self.spaces().then_some(())?;
            let days = days_from_date(self.digits(4)?.into(), month, day)?;
            return Some(WrittenTime { days, second, nsec, offset: self.zone()? });
        }
        let days = days_from_date(self.digits(4)?.into(), month, day)?;
        let (second, nsec) = self.clock_after_date()?;
        Some(WrittenTime { days, second, nsec, offset: self.zone()? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn read(text: &str) -> Option<(i64, u32, Option<i32>)> {
        parse(text.as_bytes()).map(|t| (t.seconds(), t.nsec, t.offset))
    }

    #[test]
    fn every_notation_of_one_moment() {
        for (text, nsec, offset) in [
            ("2024-01-15T10:30:45.123Z", 123_000_000, Some(0)),
            ("2024-01-15 10:30:45.123456789123", 123_456_789, None),
            ("2024-01-15T10:30:45,5+09:00", 500_000_000, Some(32_400)),
            ("2024-01-15 10:30:45 -0130", 0, Some(-5400)),
            ("2024-01-15 10:30:45+09", 0, Some(32_400)),
            ("2024-01-15 10:30:45 UTC", 0, Some(0)),
            ("2024-01-15 10:30:45.1 +0000 UTC", 100_000_000, Some(0)),
            ("2024-01-15T10:30:45+01:00[Europe/Paris]", 0, Some(3600)),
            ("2024/01/15 10:30:45", 0, None),
            (" 2024-01-15t10:30:45z ", 0, Some(0)),
            ("20240115T103045Z", 0, Some(0)),
            ("20240115103045", 0, None),
            ("15/Jan/2024:10:30:45 +0000", 0, Some(0)),
            ("[15/Jan/2024:10:30:45 -0800]", 0, Some(-28_800)),
            ("Mon, 15 Jan 2024 10:30:45 GMT", 0, Some(0)),
            ("15 Jan 2024 10:30:45 PST", 0, Some(-28_800)),
            ("Mon Jan 15 10:30:45 2024", 0, None),
            ("Mon Jan 15 2024 10:30:45 GMT+0900 (Japan Standard Time)", 0, Some(32_400)),
            ("Jan 15 2024 10:30:45", 0, None),
        ] {
            assert_eq!(read(text), Some((1_705_314_645, nsec, offset)), "{text}");
        }
        assert_eq!(read("2024-01-15"), Some((1_705_276_800, 0, None)));
        assert_eq!(read("20240115"), Some((1_705_276_800, 0, None)));
        assert_eq!(read("2024-01-15T10:30"), Some((1_705_314_600, 0, None)));
        assert_eq!(read("2016-12-31T23:59:60Z"), Some((1_483_228_799, 0, Some(0))));
        assert_eq!(read("1900-01-01T00:00:00Z"), Some((-2_208_988_800, 0, Some(0))));
        assert_eq!(read("Mon Jan  5 10:30:45 2024"), Some((1_704_450_645, 0, None)));
    }

    #[test]
    fn what_is_no_time() {
        for text in [
            "",
            "x",
            "2024",
            "2024-13-01",
            "2023-02-29",
            "2024-01-15T",
            "2024-01-15T24:00:00",
            "2024-01-15 10:61:00",
            "2024-01-15T10:30:45X",
            "2024-01-15T10:30:45 CET",
            "2024-01-15T10:30:45+25:00",
            "2024-01-15 10:30:45 tail",
            "2024-01/15",
            "15/Foo/2024:10:30:45",
            "Mon",
            "Mon Jan",
            "2024-01-15T10:30:45.123Zjunk",
            "é024-01-15",
            "99999999",
            "Monday, never",
        ] {
            assert_eq!(read(text), None, "{text}");
        }
    }

    proptest! {
        #[test]
        fn dates_agree_with_jiff(days in -700_000i64..2_900_000, second in 0u32..86_400) {
            let stamp = jiff::Timestamp::from_second(days * 86_400 + i64::from(second)).unwrap();
            let text = stamp.strftime("%Y-%m-%dT%H:%M:%SZ").to_string();
            prop_assume!(text.len() == 20 && !text.starts_with('-'));
            prop_assert_eq!(read(&text), Some((stamp.as_second(), 0, Some(0))));
        }

        #[test]
        fn any_text_is_taken_or_refused(text in "[0-9TZ:+\\-/ .,A-Za-z\\[\\]()é]{0,40}") {
            let _ = read(&text);
        }
    }
}
