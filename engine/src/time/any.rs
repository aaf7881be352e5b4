//! Ruby's Time.parse: a time in whatever form, by heuristics. Fluentd uses it where no time_format is given.
//!
//! Each step looks for one kind of part (a time of day, a date of some national order, a lone number), takes it out of
//! the text and leaves a blank, in the order of Ruby's Date._parse; the first date form that is found ends the search
//! for dates.

use super::error::TimeError;
use super::fields::{Field, Fields, ParsedTime, ZoneText};
use crate::event::EventTime;
use crate::regexp::{Captures, Regexp, RegexpFlags};
use std::ops::Range;
use std::sync::LazyLock;

/// Ruby refuses longer texts.
const LENGTH_MAX: usize = 128;

/// Reads a time in any form that Ruby's Time.parse understands. What lacks is completed from the present and the local
/// zone.
pub fn parse_any(text: &[u8]) -> Result<ParsedTime, TimeError> {
    parse_any_at(text, EventTime::now)
}

fn parse_any_at(text: &[u8], now: fn() -> EventTime) -> Result<ParsedTime, TimeError> {
    if text.len() > LENGTH_MAX {
        let message = format!("string length ({}) exceeds the limit {LENGTH_MAX}", text.len());
        return Err(TimeError::argument(message));
    }
    let mut search = Search::new(text);
    search.run();
    let Search { mut found, zone, .. } = search;
    found.zone = zone.as_deref().map_or(ZoneText::None, ZoneText::Name);
    found.resolve(text, now)
}

struct Patterns {
    day: Regexp,
    time: Regexp,
    clock: Regexp,
    eu: Regexp,
    us: Regexp,
    iso: Regexp,
    jis: Regexp,
    vms: Regexp,
    vms_short: Regexp,
    slash: Regexp,
    dot: Regexp,
    week: Regexp,
    month_day: Regexp,
    month_only: Regexp,
    year_day: Regexp,
    decimal_year_day: Regexp,
    year: Regexp,
    month: Regexp,
    ordinal: Regexp,
    digits: Regexp,
    before_christ: Regexp,
    fragment: Regexp,
}

const MONTHS: &str = "jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec";
const ERA: &str = r"(c(?:e|\.e\.)|b(?:ce|\.c\.e\.)|a(?:d|\.d\.)|b(?:c|\.c\.))";

static PATTERNS: LazyLock<Option<Patterns>> = LazyLock::new(|| {
    let flags = RegexpFlags { ignore_case: true, ..RegexpFlags::default() };
    let regexp =
        |source: &str| Regexp::new(&source.replace("MONTHS", MONTHS).replace("ERA", ERA), flags).ok();
    let zone = r"(?:gmt|utc?)?[-+]\d+(?:[,.:]\d+(?::\d+)?)?|[[:alpha:].\s]+(?:standard|daylight)\stime\b|[[:alpha:]]+(?:\sdst)?\b";
    let clock = r"(?:\d+\s*:\s*\d+(?:\s*:\s*\d+(?:[,.]\d*)?)?|\d+\s*h(?:\s*\d+m?(?:\s*\d+s?)?)?)(?:\s*[ap](?:m\b|\.m\.))?|\d+\s*[ap](?:m\b|\.m\.)";
    Some(Patterns {
        day: regexp(r"\b(?:sun|mon|tue|wed|thu|fri|sat)[^-/\d\s]*")?,
        time: regexp(&format!(r"({clock})(?:\s*({zone}))?"))?,
        clock: regexp(
            r"\A(\d+)\s*(?::\s*(\d+)(?:\s*:\s*(\d+)(?:[,.](\d*))?)?|h(?:\s*(\d+)m?(?:\s*(\d+)s?)?)?)?(?:\s*([ap])(?:m\b|\.m\.))?",
        )?,
        eu: regexp(r"('?\d+)[^-\d\s]*\s*(MONTHS)[^-\d\s']*(?:\s*ERA?\s*('?-?\d+(?:(?:st|nd|rd|th)\b)?))?")?,
        us: regexp(r"\b(MONTHS)[^-\d\s']*\s*('?\d+)[^-\d\s']*(?:\s*,?\s*ERA?\s*('?-?\d+))?")?,
        iso: regexp(r"('?[-+]?\d+)-(\d+)-('?-?\d+)")?,
        jis: regexp(r"\b([mtshr])(\d+)\.(\d+)\.(\d+)")?,
        vms: regexp(r"('?-?\d+)-(MONTHS)[^-/.]*-('?-?\d+)")?,
        vms_short: regexp(r"\b(MONTHS)[^-/.]*-('?-?\d+)(?:-('?-?\d+))?")?,
        slash: regexp(r"('?-?\d+)/\s*('?\d+)(?:\D\s*('?-?\d+))?")?,
        dot: regexp(r"('?-?\d+)\.\s*('?\d+)\.\s*('?-?\d+)")?,
        week: regexp(r"\b(?:(\d{2}|\d{4})?-?w(\d{2})(?:-?(\d))?)\b|-w-(\d)\b")?,
        month_day: regexp(r"--(\d{2})?-(\d{2})\b")?,
        month_only: regexp(r"--(\d{2})(\d{2})?\b")?,
        year_day: regexp(r"\b(\d{2}|\d{4})-(\d{3})\b")?,
        decimal_year_day: regexp(r"[,.](?:\d{2}|\d{4})-\d{3}\b")?,
        year: regexp(r"'(\d+)\b")?,
        month: regexp(r"\b(MONTHS)\S*")?,
        ordinal: regexp(r"(\d+)(?:st|nd|rd|th)\b")?,
        digits: regexp(
            r"([-+]?)(\d{2,14})(?:\s*t?\s*(\d{2,6})?(?:[,.](\d*))?)?(z\b|[-+]\d{1,4}\b|\[[-+]?\d[^\]]*\])?",
        )?,
        before_christ: regexp(r"\b(?:bc\b|bce\b|b\.c\.|b\.c\.e\.)")?,
        fragment: regexp(r"\A\s*(\d{1,2})\s*\z")?,
    })
});

/// The text while it is being searched, and what was found in it.
struct Search {
    text: Vec<u8>,
    found: Fields<'static>,
    zone: Option<Vec<u8>>,
    /// Whether a year of two digits is one of the last hundred years.
    complete_year: bool,
    before_christ: bool,
}

impl Search {
    fn new(text: &[u8]) -> Self {
        Self {
            text: without_noise(text),
            found: Fields::default(),
            zone: None,
            complete_year: true,
            before_christ: false,
        }
    }

    fn run(&mut self) {
        let Some(p) = &*PATTERNS else { return };
        self.take(&p.day);
        self.time(p);
        self.date(p);
        if self.take(&p.before_christ).is_some() {
            self.before_christ = true;
        }
        self.fragment(p);
        if self.before_christ {
            self.found.year = self.found.year.map(|year| 1 - year);
        }
        if self.complete_year {
            self.found.year = self.found.year.map(|year| match year {
                0..69 => year + 2000,
                69..100 => year + 1900,
                year => year,
            });
        }
    }

    /// Finds a part and puts a blank in its place.
    fn take(&mut self, pattern: &Regexp) -> Option<Part> {
        let captures = pattern.captures(&self.text)?;
        let part = Part::of(&captures);
        let place = captures.span(0)?;
        self.text.splice(place, [b' ']);
        Some(part)
    }

    fn time(&mut self, p: &Patterns) {
        let Some(part) = self.take(&p.time) else { return };
        if let Some(zone) = part.get(2) {
            self.zone = Some(zone.to_vec());
        }
        let Some(clock) = part.get(1).and_then(|clock| p.clock.captures(clock)) else { return };
        let number = |group: usize| clock.get(group).and_then(number);
        let Some(mut hour) = number(1) else { return };
        if let Some(half) = clock.get(7) {
            hour = hour % 12 + if half.eq_ignore_ascii_case(b"p") { 12 } else { 0 };
        }
        self.set(Field::Hour, Some(hour));
        self.set(Field::Minute, number(2).or(number(5)));
        self.set(Field::Second, number(3).or(number(6)));
        if let Some(digits) = clock.get(4) {
            self.found.nsec = Some(fraction(digits));
        }
    }

    /// Looks for a date in one form after the other.
    fn date(&mut self, p: &Patterns) {
        if let Some(part) = self.take(&p.eu) {
            let (day, month, era, year) = (part.get(1), part.get(2), part.get(3), part.get(4));
            return self.year_month_day(year, month_number(month).as_deref(), day, era);
        }
        if let Some(part) = self.take(&p.us) {
            let (month, day, era, year) = (part.get(1), part.get(2), part.get(3), part.get(4));
            return self.year_month_day(year, month_number(month).as_deref(), day, era);
        }
        if let Some(part) = self.take(&p.iso) {
            return self.year_month_day(part.get(1), part.get(2), part.get(3), None);
        }
        if let Some(part) = self.take(&p.jis) {
            // Years of Japanese emperors.
            let first = match part.get(1).and_then(|era| era.first()).map(u8::to_ascii_lowercase) {
                Some(b'm') => 1867,
                Some(b't') => 1911,
                Some(b's') => 1925,
                Some(b'h') => 1988,
                _ => 2018,
            };
            self.found.year = part.get(2).and_then(number).and_then(|year| year.checked_add(first));
            self.set(Field::Month, part.get(3).and_then(number));
            return self.set(Field::Day, part.get(4).and_then(number));
        }
        if let Some(part) = self.take(&p.vms) {
            return self.year_month_day(part.get(3), month_number(part.get(2)).as_deref(), part.get(1), None);
        }
        if let Some(part) = self.take(&p.vms_short) {
            return self.year_month_day(part.get(3), month_number(part.get(1)).as_deref(), part.get(2), None);
        }
        if let Some(part) = self.take(&p.slash) {
            return self.year_month_day(part.get(1), part.get(2), part.get(3), None);
        }
        if let Some(part) = self.take(&p.dot) {
            return self.year_month_day(part.get(1), part.get(2), part.get(3), None);
        }
        self.partial_date(p);
    }

    /// Forms in which parts of the date lack.
    fn partial_date(&mut self, p: &Patterns) {
        if self.take(&p.week).is_some() {
            // Weeks are read, and then of no use to Time.parse.
            return;
        }
        if let Some(part) = self.take(&p.month_day).or_else(|| self.take(&p.month_only)) {
            self.set(Field::Month, part.get(1).and_then(number));
            return self.set(Field::Day, part.get(2).and_then(number));
        }
        if !p.decimal_year_day.is_match(&self.text)
            && let Some(part) = self.take(&p.year_day)
        {
            self.found.year = part.get(1).and_then(number);
            return self.set(Field::YearDay, part.get(2).and_then(number));
        }
        if let Some(part) = self.take(&p.year) {
            self.found.year = part.get(1).and_then(number);
            return;
        }
        if let Some(part) = self.take(&p.month) {
            let month = month_number(part.get(1));
            return self.set(Field::Month, month.as_deref().and_then(number));
        }
        if let Some(part) = self.take(&p.ordinal) {
            return self.set(Field::Day, part.get(1).and_then(number));
        }
        if let Some(part) = self.take(&p.digits) {
            self.digits(&part);
        }
    }

    /// `20231114T221320.5Z` and its parts, told apart by their lengths.
    fn digits(&mut self, part: &Part) {
        let minus = part.get(1) == Some(b"-");
        let (Some(date), clock, decimals) = (part.get(2), part.get(3), part.get(4)) else { return };
        let number_at = |text: &[u8], range: Range<usize>| text.get(range).and_then(number);
        let length = date.len();
        if clock.is_none() && decimals.is_some() {
            // A number with decimals is read from its end: it ends with seconds.
            let mut end = length;
            for field in [Field::Second, Field::Minute, Field::Hour, Field::Day, Field::Month] {
                let start = end.saturating_sub(2);
                if end > 0 {
                    self.set(field, number_at(date, start..end));
                }
                end = start;
            }
            if end > 0 {
                self.year(number_at(date, 0..end), minus, end == 4);
            }
        } else if matches!(length, 3 | 5 | 7) {
            self.set(Field::YearDay, number_at(date, length - 3..length));
            if length > 3 {
                self.year(number_at(date, 0..length - 3), minus, false);
            }
        } else {
            let year = match length {
                8.. => 4,
                6 => 2,
                _ => 0,
            };
            if year > 0 {
                self.year(number_at(date, 0..year), minus, year == 4);
            }
            let fields: &[Field] = match length {
                2 => &[Field::Day],
                _ => &[Field::Month, Field::Day, Field::Hour, Field::Minute, Field::Second],
            };
            for (n, &field) in fields.iter().enumerate() {
                let at = year + n * 2;
                self.set(field, number_at(date, at..at + 2));
            }
        }
        if let Some(clock) = clock {
            let mut fields = [Field::Hour, Field::Minute, Field::Second];
            let pairs = clock.len() / 2;
            if decimals.is_some() {
                fields.rotate_left(3 - pairs.min(3));
            }
            for (n, &field) in fields.iter().enumerate().take(pairs) {
                self.set(field, number_at(clock, n * 2..n * 2 + 2));
            }
        }
        if let Some(decimals) = decimals {
            self.found.nsec = Some(fraction(decimals));
        }
        if let Some(zone) = part.get(5) {
            self.zone = Some(bracketed_zone(zone).to_vec());
        }
    }

    fn year(&mut self, year: Option<i64>, minus: bool, whole: bool) {
        self.found.year = year.map(|year| if minus { -year } else { year });
        self.complete_year &= !whole;
    }

    /// A lone number that is left is a day if the time of day was found, and an hour if the date was.
    fn fragment(&mut self, p: &Patterns) {
        let Some(number) = p.fragment.captures(&self.text).and_then(|c| c.get(1).and_then(number)) else {
            return;
        };
        let (hour, day) = (self.found.get(Field::Hour), self.found.get(Field::Day));
        if hour.is_some() && day.is_none() && (1..=31).contains(&number) {
            self.set(Field::Day, Some(number));
        }
        if day.is_some() && hour.is_none() && number <= 24 {
            self.set(Field::Hour, Some(number));
        }
    }

    /// Three parts that are probably year, month and day; an apostrophe or more than two digits make a year of any.
    fn year_month_day(
        &mut self,
        year: Option<&[u8]>,
        month: Option<&[u8]>,
        day: Option<&[u8]>,
        era: Option<&[u8]>,
    ) {
        let is_year = |part: Option<&[u8]>| part.is_some_and(|p| p.first() == Some(&b'\'') || p.len() > 2);
        let (mut year, mut month, mut day) = (year, month, day);
        if year.is_some() && month.is_some() && day.is_none() {
            (year, month, day) = (None, year, month);
        }
        if year.is_none() && is_year(day) {
            (year, day) = (day, None);
        }
        // `1st` cannot be a year.
        if let Some(part) = year {
            let digits = part.iter().skip_while(|byte| !byte.is_ascii_digit());
            if digits.skip_while(|byte| byte.is_ascii_digit()).count() > 0 {
                (year, day) = (day, year);
            }
        }
        if is_year(month) {
            (year, month, day) = (month, day, year);
        }
        if is_year(day) {
            (year, day) = (day, year);
        }
        if let Some(part) = year {
            let signed = part.iter().any(|byte| matches!(byte, b'-' | b'+'));
            let digits = part.iter().filter(|byte| byte.is_ascii_digit()).count();
            let minus = part.contains(&b'-');
            self.complete_year &= !(signed || digits > 2);
            self.found.year = number(part).map(|year| if minus { -year } else { year });
            self.before_christ |=
                era.is_some_and(|era| era.first().is_some_and(|b| b.eq_ignore_ascii_case(&b'b')));
        }
        self.set(Field::Month, month.and_then(number));
        self.set(Field::Day, day.and_then(number));
    }

    fn set(&mut self, field: Field, value: Option<i64>) {
        if let Some(value) = value.and_then(|value| u32::try_from(value).ok()) {
            self.found.set(field, value.min(i32::MAX as u32));
        }
    }
}

/// The text with one blank for each run of characters that no form of time contains.
fn without_noise(text: &[u8]) -> Vec<u8> {
    let mut out = String::with_capacity(text.len());
    for char in String::from_utf8_lossy(text).chars() {
        if char.is_alphanumeric() || "-+',./:@[]".contains(char) {
            out.push(char);
        } else if !out.ends_with(' ') {
            out.push(' ');
        }
    }
    out.into_bytes()
}

/// What a pattern found, copied out of the text.
struct Part {
    groups: Vec<Option<Vec<u8>>>,
}

impl Part {
    fn of(captures: &Captures<'_, '_>) -> Self {
        let groups = (1..captures.len()).map(|n| captures.get(n).map(<[u8]>::to_vec)).collect();
        Self { groups }
    }

    fn get(&self, group: usize) -> Option<&[u8]> {
        self.groups.get(group - 1)?.as_deref()
    }
}

/// The first run of digits.
fn number(text: &[u8]) -> Option<i64> {
    let digits =
        text.iter().skip_while(|byte| !byte.is_ascii_digit()).take_while(|byte| byte.is_ascii_digit());
    digits.fold(None, |value: Option<i64>, digit| {
        Some(value.unwrap_or(0).saturating_mul(10).saturating_add(i64::from(digit - b'0')))
    })
}

fn fraction(digits: &[u8]) -> u32 {
    let nine = digits.iter().map(|digit| u32::from(digit - b'0')).chain(std::iter::repeat(0)).take(9);
    nine.fold(0, |value, digit| value * 10 + digit)
}

fn month_number(name: Option<&[u8]>) -> Option<Vec<u8>> {
    let name = name?;
    let n = MONTHS.split('|').position(|month| month.as_bytes().eq_ignore_ascii_case(name))?;
    Some((n + 1).to_string().into_bytes())
}

/// `[-5:EST]` is a zone with a name, of which the number counts.
fn bracketed_zone(zone: &[u8]) -> &[u8] {
    match zone.strip_prefix(b"[") {
        Some(inside) => inside.split(|&byte| byte == b':' || byte == b']').next().unwrap_or_default(),
        None => zone,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn present() -> EventTime {
        EventTime { sec: 1_700_000_000, nsec: 5 }
    }

    /// What Ruby 3.1 answers (on 2023-11-14T22:13:20Z, in UTC): seconds on the clock of the text's zone.
    #[test]
    fn as_ruby_parses() {
        let mut wrong = Vec::new();
        for line in include_str!("any_cases.tsv").lines() {
            let (text, expected) = line.split_once('\t').unwrap();
            let given = match parse_any_at(text.as_bytes(), present) {
                Ok(time) => {
                    format!("{}.{:09}", time.time.sec + i64::from(time.offset), time.time.nsec)
                }
                Err(error) => error.class.to_owned(),
            };
            if given != expected {
                wrong.push(format!("{text:?}: {given}, Ruby: {expected}"));
            }
        }
        assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    }

    #[test]
    fn any_bytes_are_taken() {
        assert!(parse_any(b"\xff\xfe").is_err());
        assert!(parse_any(&[b'1'; 129]).unwrap_err().message.starts_with("string length (129)"));
    }
}
