//! `Date._strptime`: text to fields by a format.

use super::fields::Fields;

const MONTHS: [&str; 12] = [
    "january",
    "february",
    "march",
    "april",
    "may",
    "june",
    "july",
    "august",
    "september",
    "october",
    "november",
    "december",
];
const DAYS: [&str; 7] = ["sunday", "monday", "tuesday", "wednesday", "thursday", "friday", "saturday"];

/// The fields of `text` by `format`; `None` if it does not fit.
pub(super) fn strptime(text: &str, format: &str) -> Option<Fields> {
    let mut reader = Reader { text, fields: Fields::default(), century: None, afternoon: None };
    reader.format(format, 0)?;
    let mut fields = reader.fields;
    if let (Some(century), Some(year)) = (reader.century, fields.year) {
        fields.year = Some(century * 100 + year.rem_euclid(100));
    }
    if let (Some(afternoon), Some(hour)) = (reader.afternoon, fields.hour) {
        fields.hour = Some(hour % 12 + if afternoon { 12 } else { 0 });
    }
    Some(fields)
}

struct Reader<'t> {
    text: &'t str,
    fields: Fields,
    century: Option<i64>,
    afternoon: Option<bool>,
}

impl Reader<'_> {
    fn format(&mut self, format: &str, depth: usize) -> Option<()> {
        let mut rest = format;
        while let Some(c) = rest.chars().next() {
            rest = &rest[c.len_utf8()..];
            if c.is_whitespace() {
                self.text = self.text.trim_start();
                continue;
            }
            if c != '%' {
                self.literal(c)?;
                continue;
            }
            // Flags, widths and modifiers mean nothing to strptime, except that `%:z` is `%z`.
            let skipped = rest.trim_start_matches(['E', 'O', ':', '-', '0', '^', '#', '_']);
            let Some(letter) = skipped.chars().next() else { return self.literal('%') };
            rest = &skipped[letter.len_utf8()..];
            let next_is_digit = begins_with_number(rest);
            if let Some(expansion) = expansion(letter) {
                if depth > 3 {
                    return None;
                }
                self.format(expansion, depth + 1)?;
                continue;
            }
            self.directive(letter, next_is_digit)?;
        }
        Some(())
    }

    fn literal(&mut self, c: char) -> Option<()> {
        self.text = self.text.strip_prefix(c)?;
        Some(())
    }

    fn directive(&mut self, letter: char, number_follows: bool) -> Option<()> {
        match letter {
            'A' | 'a' => self.fields.weekday = Some(self.name(&DAYS)?),
            'B' | 'b' | 'h' => self.fields.month = Some(self.name(&MONTHS)? + 1),
            'Y' => {
                let most = if number_follows { 4 } else { 19 };
                self.fields.year = Some(self.signed(most)?);
            }
            'C' => self.century = Some(self.signed(2)?),
            'y' => {
                let year = self.number(2, 0, 99)?;
                self.fields.year = Some(if year >= 69 { year + 1900 } else { year + 2000 });
            }
            'G' => self.fields.week_year = Some(self.signed(if number_follows { 4 } else { 19 })?),
            'g' => {
                let year = self.number(2, 0, 99)?;
                self.fields.week_year = Some(if year >= 69 { year + 1900 } else { year + 2000 });
            }
            'm' => self.fields.month = Some(self.number(2, 1, 12)?),
            'd' | 'e' => self.fields.day = Some(self.padded(2, 1, 31)?),
            'j' => self.fields.year_day = Some(self.number(3, 1, 366)?),
            'H' | 'k' => self.fields.hour = Some(self.padded(2, 0, 24)?),
            'I' | 'l' => self.fields.hour = Some(self.padded(2, 1, 12)?),
            'M' => self.fields.minute = Some(self.number(2, 0, 59)?),
            'S' => self.fields.second = Some(self.number(2, 0, 60)?),
            'L' | 'N' => self.fields.nanos = Some(self.fraction(letter, number_follows)?),
            'P' | 'p' => {
                let lower = self.text.get(..self.text.len().min(4))?.to_ascii_lowercase();
                let (afternoon, length) = match lower.as_bytes() {
                    [b'a', b'm', ..] => (false, 2),
                    [b'p', b'm', ..] => (true, 2),
                    [b'a', b'.', b'm', b'.'] => (false, 4),
                    [b'p', b'.', b'm', b'.'] => (true, 4),
                    _ => return None,
                };
                self.afternoon = Some(afternoon);
                self.text = &self.text[length..];
            }
            's' => self.fields.epoch = Some(self.signed(19)?),
            'Q' => {
                let millis = self.signed(19)?;
                self.fields.epoch = Some(millis.div_euclid(1000));
                self.fields.nanos = Some(millis.rem_euclid(1000) as u32 * 1_000_000);
            }
            'U' => self.fields.sunday_week = Some(self.number(2, 0, 53)?),
            'W' => self.fields.monday_week = Some(self.number(2, 0, 53)?),
            'V' => self.fields.week = Some(self.number(2, 1, 53)?),
            'u' => self.fields.weekday = Some(self.number(1, 1, 7)? % 7),
            'w' => self.fields.weekday = Some(self.number(1, 0, 6)?),
            'Z' | 'z' => self.zone()?,
            '%' => self.literal('%')?,
            'n' | 't' => self.text = self.text.trim_start(),
            other => {
                self.literal('%')?;
                self.literal(other)?;
            }
        }
        Some(())
    }

    fn number(&mut self, most: usize, low: i64, high: i64) -> Option<i64> {
        let digits = self.text.bytes().take(most).take_while(u8::is_ascii_digit).count();
        let value = self.text[..digits].parse().ok().filter(|value| (low..=high).contains(value))?;
        self.text = &self.text[digits..];
        Some(value)
    }

    /// A number that a blank may stand before instead of a zero.
    fn padded(&mut self, most: usize, low: i64, high: i64) -> Option<i64> {
        match self.text.strip_prefix(' ') {
            Some(rest) => {
                self.text = rest;
                self.number(most - 1, low, high)
            }
            None => self.number(most, low, high),
        }
    }

    fn signed(&mut self, most: usize) -> Option<i64> {
        let (sign, rest) = match self.text.strip_prefix('-') {
            Some(rest) => (-1, rest),
            None => (1, self.text.strip_prefix('+').unwrap_or(self.text)),
        };
        self.text = rest;
        Some(sign * self.number(most, 0, i64::MAX)?)
    }

    /// Digits of a fraction: 3 or 9 where another number follows directly, else as many as there are.
    fn fraction(&mut self, letter: char, number_follows: bool) -> Option<u32> {
        let most = match (letter, number_follows) {
            ('L', true) => 3,
            (_, true) => 9,
            _ => usize::MAX,
        };
        let digits = self.text.bytes().take(most).take_while(u8::is_ascii_digit).count();
        if digits == 0 {
            return None;
        }
        let nanos = nanos_of(&self.text[..digits]);
        self.text = &self.text[digits..];
        Some(nanos)
    }

    fn name(&mut self, names: &[&str]) -> Option<i64> {
        let lower = self.text.chars().take(9).collect::<String>().to_ascii_lowercase();
        let at = names.iter().position(|name| lower.starts_with(&name[..3]))?;
        let length = if lower.starts_with(names[at]) { names[at].len() } else { 3 };
        self.text = self.text.get(length..)?;
        Some(at as i64)
    }

    fn zone(&mut self) -> Option<()> {
        let length = zone_length(self.text);
        if length == 0 {
            return None;
        }
        self.fields.zone = Some(self.text[..length].to_owned());
        self.text = &self.text[length..];
        Some(())
    }
}

/// Nanoseconds of the digits behind the point.
pub(super) fn nanos_of(digits: &str) -> u32 {
    let mut nanos = 0;
    for at in 0..9 {
        nanos = nanos * 10 + digits.as_bytes().get(at).map_or(0, |digit| u32::from(digit - b'0'));
    }
    nanos
}

/// How much of the text is a zone: `+09:00`, `-0800`, `UTC+3`, `EST`, `Eastern Standard Time`.
fn zone_length(text: &str) -> usize {
    let bytes = text.as_bytes();
    let name = bytes.iter().take_while(|byte| byte.is_ascii_alphabetic() || **byte == b'.').count();
    let prefix = matches!(text[..name].to_ascii_lowercase().as_str(), "" | "gmt" | "utc" | "ut");
    if prefix && matches!(bytes.get(name), Some(b'+' | b'-')) {
        let mut at = name + 1;
        let digits =
            |at: usize| bytes[at.min(bytes.len())..].iter().take_while(|byte| byte.is_ascii_digit()).count();
        let first = digits(at);
        if first > 0 {
            at += first;
            while matches!(bytes.get(at), Some(b':' | b',' | b'.')) && digits(at + 1) > 0 {
                at += 1 + digits(at + 1);
            }
            return at;
        }
    }
    for suffix in [" standard time", " daylight time", " dst"] {
        if text[name..].to_ascii_lowercase().starts_with(suffix) {
            return name + suffix.len();
        }
    }
    name
}

fn expansion(letter: char) -> Option<&'static str> {
    Some(match letter {
        'c' => "%a %b %e %H:%M:%S %Y",
        'D' | 'x' => "%m/%d/%y",
        'F' => "%Y-%m-%d",
        'R' => "%H:%M",
        'r' => "%I:%M:%S %p",
        'T' | 'X' => "%H:%M:%S",
        'v' => "%e-%b-%Y",
        '+' => "%a %b %e %H:%M:%S %Z %Y",
        _ => return None,
    })
}

/// Whether the format goes on with digits, so that a number before it cannot take all it finds.
fn begins_with_number(format: &str) -> bool {
    match format.strip_prefix('%') {
        Some(rest) => rest
            .trim_start_matches(['E', 'O', ':'])
            .starts_with(|c: char| "CDdeFGgHIjkLlMmNQRrSsTUuVvWwXxYy0123456789".contains(c)),
        None => format.starts_with(|c: char| c.is_ascii_digit()),
    }
}
