//! `Date._parse`: finds a date and a time in free text, trying Ruby's patterns in Ruby's order.

use super::fields::Fields;
use super::strptime::nanos_of;
use regex::{Captures, Regex};
use std::sync::LazyLock;

/// Longer texts are refused, as Ruby does.
pub(super) const LENGTH_MAX: usize = 128;

const MONTHS: [&str; 12] =
    ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"];
const DAYS: [&str; 7] = ["sun", "mon", "tue", "wed", "thu", "fri", "sat"];

const MONTH: &str = "(jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec)";

fn pattern(source: &str) -> Regex {
    // The patterns are constants; a bad one would match nothing, which the tests would show.
    Regex::new(&format!("(?i){source}")).unwrap_or_else(|_| never())
}

fn never() -> Regex {
    #[allow(clippy::unwrap_used)]
    Regex::new(r"[^\s\S]").unwrap()
}

static NOISE: LazyLock<Regex> = LazyLock::new(|| pattern(r"[^-+',./:@A-Za-z0-9\[\]]+"));
static DAY: LazyLock<Regex> = LazyLock::new(|| pattern(r"\b(sun|mon|tue|wed|thu|fri|sat)[^-/0-9\s]*"));
static TIME: LazyLock<Regex> = LazyLock::new(|| {
    pattern(
        r"([0-9]+\s*(?:h(?:\s*[0-9]+m?(?:\s*[0-9]+s?)?)?|:\s*[0-9]+(?:\s*:\s*[0-9]+(?:[,.][0-9]*)?)?)(?:\s*[ap](?:m\b|\.m\.))?|[0-9]+\s*[ap](?:m\b|\.m\.))(?:\s*((?:gmt|utc?)?[-+][0-9]+(?:[,.:][0-9]+(?::[0-9]+)?)?|[a-z.\s]+(?:standard|daylight)\stime\b|[a-z]+(?:\sdst)?\b))?",
    )
});
static EUROPEAN: LazyLock<Regex> = LazyLock::new(|| {
    pattern(&format!(
        r"('?[0-9]+)[^-0-9\s]*\s*\b{MONTH}[^-0-9\s']*(?:\s*(c(?:e|\.e\.)|b(?:ce|\.c\.e\.)|a(?:d|\.d\.)|b(?:c|\.c\.))?\s*('?-?[0-9]+(?:(?:st|nd|rd|th)\b)?))?"
    ))
});
static AMERICAN: LazyLock<Regex> = LazyLock::new(|| {
    pattern(&format!(
        r"\b{MONTH}[^-0-9\s']*\s*('?[0-9]+)[^-0-9\s']*(?:\s*,?\s*(c(?:e|\.e\.)|b(?:ce|\.c\.e\.)|a(?:d|\.d\.)|b(?:c|\.c\.))?\s*('?-?[0-9]+))?"
    ))
});
static ISO: LazyLock<Regex> = LazyLock::new(|| pattern(r"('?[-+]?[0-9]+)-([0-9]+)-('?-?[0-9]+)"));
static MONTH_DASHED: LazyLock<Regex> =
    LazyLock::new(|| pattern(&format!(r"('?-?[0-9]+)-{MONTH}[^-/.]*-('?-?[0-9]+)")));
static SLASHED: LazyLock<Regex> =
    LazyLock::new(|| pattern(r"('?-?[0-9]+)/\s*('?[0-9]+)(?:[^-0-9]\s*('?-?[0-9]+))?"));
static SLASHED_MONTH: LazyLock<Regex> =
    LazyLock::new(|| pattern(&format!(r"('?[0-9]+)/\s*{MONTH}[^-/0-9]*/?\s*('?-?[0-9]+)")));
static DOTTED: LazyLock<Regex> = LazyLock::new(|| pattern(r"('?-?[0-9]+)\.\s*('?[0-9]+)\.\s*('?-?[0-9]+)"));
static YEAR_DAY: LazyLock<Regex> = LazyLock::new(|| pattern(r"\b([0-9]{4})-([0-9]{3})\b"));
static WEEK: LazyLock<Regex> =
    LazyLock::new(|| pattern(r"\b([0-9]{2}|[0-9]{4})?-?w([0-9]{2})(?:-?([0-9]))?\b"));
static YEAR_MONTH: LazyLock<Regex> = LazyLock::new(|| pattern(r"\b([0-9]{4})-([0-9]{2})\b"));
static MONTH_ALONE: LazyLock<Regex> = LazyLock::new(|| pattern(&format!(r"\b{MONTH}\S*")));
static DIGITS: LazyLock<Regex> = LazyLock::new(|| {
    pattern(
        r"([-+]?)([0-9]{2,14})(?:\s*t?\s*([0-9]{2,6})?(?:[,.]([0-9]*))?)?(z\b|[-+][0-9]{1,4}\b|\[[-+]?[0-9][^\]]*\])?",
    )
});

/// The fields that the text gives; some may be nonsense.
pub(super) fn parse(text: &str) -> Fields {
    let mut fields = Fields::default();
    let mut text = NOISE.replace_all(text, " ").into_owned();
    take(&DAY, &mut text, |found| {
        fields.weekday = position(&DAYS, group(found, 1));
        true
    });
    take(&TIME, &mut text, |found| time(found, &mut fields));
    let steps: [fn(&mut String, &mut Fields) -> bool; 8] = [
        |text, fields| {
            take(&EUROPEAN, text, |found| {
                let month = position(&MONTHS, group(found, 2)).map(|at| at + 1);
                ordered(fields, Part::from(found, 4), Part::number(month), Part::from(found, 1))
            })
        },
        |text, fields| {
            take(&AMERICAN, text, |found| {
                let month = position(&MONTHS, group(found, 1)).map(|at| at + 1);
                ordered(fields, Part::from(found, 4), Part::number(month), Part::from(found, 2))
            })
        },
        |text, fields| {
            take(&ISO, text, |found| {
                ordered(fields, Part::from(found, 1), Part::from(found, 2), Part::from(found, 3))
            })
        },
        |text, fields| {
            take(&MONTH_DASHED, text, |found| {
                let month = position(&MONTHS, group(found, 2)).map(|at| at + 1);
                ordered(fields, Part::from(found, 3), Part::number(month), Part::from(found, 1))
            })
        },
        |text, fields| {
            take(&SLASHED_MONTH, text, |found| {
                let month = position(&MONTHS, group(found, 2)).map(|at| at + 1);
                ordered(fields, Part::from(found, 3), Part::number(month), Part::from(found, 1))
            })
        },
        |text, fields| {
            take(&SLASHED, text, |found| {
                ordered(fields, Part::from(found, 1), Part::from(found, 2), Part::from(found, 3))
            })
        },
        |text, fields| {
            take(&DOTTED, text, |found| {
                ordered(fields, Part::from(found, 1), Part::from(found, 2), Part::from(found, 3))
            })
        },
        rarer,
    ];
    for step in steps {
        if step(&mut text, &mut fields) {
            break;
        }
    }
    fields
}

/// Weeks, days of the year, bare months, runs of digits.
fn rarer(text: &mut String, fields: &mut Fields) -> bool {
    take(&WEEK, text, |found| {
        fields.week_year = number(group(found, 1)).map(|year| full_year(year, group(found, 1).len()));
        fields.week = number(group(found, 2));
        fields.weekday = number(group(found, 3)).map(|day| day % 7).or(fields.weekday);
        true
    }) || take(&YEAR_DAY, text, |found| {
        fields.year = number(group(found, 1));
        fields.year_day = number(group(found, 2));
        true
    }) || take(&YEAR_MONTH, text, |found| {
        fields.year = number(group(found, 1));
        fields.month = number(group(found, 2));
        true
    }) || take(&MONTH_ALONE, text, |found| {
        fields.month = position(&MONTHS, group(found, 1)).map(|at| at + 1);
        true
    }) || take(&DIGITS, text, |found| digits(found, fields))
}

/// Runs `work` on the first match and blanks it out.
fn take(regex: &Regex, text: &mut String, work: impl FnOnce(&Captures<'_>) -> bool) -> bool {
    let Some(found) = regex.captures(text) else { return false };
    if !work(&found) {
        return false;
    }
    let Some(range) = found.get(0).map(|whole| whole.range()) else { return false };
    drop(found);
    text.replace_range(range, " ");
    true
}

fn group<'t>(found: &Captures<'t>, index: usize) -> &'t str {
    found.get(index).map_or("", |part| part.as_str())
}

fn number(text: &str) -> Option<i64> {
    text.trim_start_matches(['\'', '+']).parse().ok()
}

fn position(names: &[&str], name: &str) -> Option<i64> {
    let lower = name.to_ascii_lowercase();
    names.iter().position(|known| *known == lower).map(|at| at as i64)
}

/// A number of a date as it was written.
#[derive(Clone, Copy)]
struct Part {
    value: Option<i64>,
    /// How many digits, by which a year is told from a day.
    digits: usize,
    /// `'99` is always a year.
    quoted: bool,
    signed: bool,
}

impl Part {
    fn from(found: &Captures<'_>, index: usize) -> Self {
        let text = group(found, index);
        let digits: String = text.chars().filter(char::is_ascii_digit).collect();
        let negative = text.contains('-');
        let value = digits.parse::<i64>().ok().map(|value| if negative { -value } else { value });
        Self {
            value,
            digits: digits.len(),
            quoted: text.starts_with('\''),
            signed: negative || text.contains('+'),
        }
    }

    fn number(value: Option<i64>) -> Self {
        Self { value, digits: 2, quoted: false, signed: false }
    }

    fn is_year(self) -> bool {
        self.quoted || self.signed || self.digits > 2
    }
}

/// Sets year, month and day; a number that can only be a year is the year wherever it stands.
fn ordered(fields: &mut Fields, year: Part, month: Part, day: Part) -> bool {
    let (mut year, month, mut day) = (year, month, day);
    if year.value.is_none() && month.value.is_some() && day.is_year() {
        // `2024 may`: what looked like the day is the year.
        (year, day) = (day, Part::number(None));
    } else if !year.is_year() && day.is_year() {
        (year, day) = (day, year);
    }
    fields.year = year
        .value
        .map(|value| if year.signed || year.digits > 2 { value } else { full_year(value, year.digits) });
    fields.month = month.value;
    fields.day = day.value;
    // Two numbers alone are month and day.
    if year.value.is_some() && month.value.is_some() && day.value.is_none() && !year.is_year() {
        (fields.year, fields.month, fields.day) = (None, year.value, month.value);
    }
    true
}

/// Years of two digits: 69 to 99 are of the 20th century.
fn full_year(year: i64, digits: usize) -> i64 {
    match (digits, year) {
        (0..=2, 69..=99) => year + 1900,
        (0..=2, 0..=68) => year + 2000,
        _ => year,
    }
}

fn time(found: &Captures<'_>, fields: &mut Fields) -> bool {
    let text: String =
        group(found, 1).chars().filter(|c| !c.is_whitespace()).collect::<String>().to_ascii_lowercase();
    let mut rest = text.as_str();
    fields.hour = leading_number(&mut rest);
    if skip(&mut rest, [':', 'h']) {
        fields.minute = leading_number(&mut rest);
        if skip(&mut rest, [':', 'm']) {
            fields.second = leading_number(&mut rest);
        }
    }
    if rest.starts_with([',', '.']) && fields.second.is_some() {
        let fraction: String = rest[1..].chars().take_while(char::is_ascii_digit).collect();
        rest = &rest[1 + fraction.len()..];
        fields.nanos = (!fraction.is_empty()).then(|| nanos_of(&fraction));
    }
    let rest = rest.trim_start_matches('s');
    if let (Some(hour), true) = (fields.hour, rest.starts_with(['a', 'p'])) {
        fields.hour = Some(hour % 12 + if rest.starts_with('p') { 12 } else { 0 });
    }
    let zone = group(found, 2).trim();
    if !zone.is_empty() {
        fields.zone = Some(zone.to_owned());
    }
    true
}

fn leading_number(text: &mut &str) -> Option<i64> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let value = text[..digits].parse().ok();
    *text = &text[digits..];
    value
}

fn skip(text: &mut &str, any: [char; 2]) -> bool {
    match text.strip_prefix(any) {
        Some(rest) => {
            *text = rest;
            true
        }
        None => false,
    }
}

/// `20240102`, `20240102T030405`, `20240102030405`, `0102`, ...
fn digits(found: &Captures<'_>, fields: &mut Fields) -> bool {
    let run = group(found, 2);
    let at = |from: usize, length: usize| number(run.get(from..from + length).unwrap_or(""));
    match run.len() {
        2 => fields.day = at(0, 2),
        3 => fields.year_day = at(0, 3),
        4 => (fields.month, fields.day) = (at(0, 2), at(2, 2)),
        5 => {
            fields.year = at(0, 2).map(|year| full_year(year, 2));
            fields.year_day = at(2, 3);
        }
        6 => {
            fields.year = at(0, 2).map(|year| full_year(year, 2));
            (fields.month, fields.day) = (at(2, 2), at(4, 2));
        }
        7 => (fields.year, fields.year_day) = (at(0, 4), at(4, 3)),
        8 | 10 | 12 | 14 => {
            (fields.year, fields.month, fields.day) = (at(0, 4), at(4, 2), at(6, 2));
            fields.hour = at(8, 2).or(fields.hour);
            fields.minute = at(10, 2).or(fields.minute);
            fields.second = at(12, 2).or(fields.second);
        }
        _ => return false,
    }
    let time = group(found, 3);
    if time.len() >= 2 {
        let at = |from: usize| number(time.get(from..from + 2).unwrap_or(""));
        (fields.hour, fields.minute, fields.second) = (at(0), at(2), at(4));
    }
    let fraction = group(found, 4);
    if !fraction.is_empty() {
        fields.nanos = Some(nanos_of(fraction));
    }
    let zone = group(found, 5).trim_matches(['[', ']']);
    if !zone.is_empty() {
        fields.zone = Some(zone.to_owned());
    }
    true
}
