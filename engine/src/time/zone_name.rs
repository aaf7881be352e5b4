//! Zones as they stand in texts: `+0900`, `Z`, `EST`, `gmt+9`.

use super::civil::{DAY, days};
use super::zone::Zone;

/// Abbreviations with hours east of Greenwich (RFC 822 and Ruby's reading of the military letters).
const NAMES: [(&str, i32); 36] = [
    ("UTC", 0),
    ("Z", 0),
    ("UT", 0),
    ("GMT", 0),
    ("EST", -5),
    ("EDT", -4),
    ("CST", -6),
    ("CDT", -5),
    ("MST", -7),
    ("MDT", -6),
    ("PST", -8),
    ("PDT", -7),
    ("A", 1),
    ("B", 2),
    ("C", 3),
    ("D", 4),
    ("E", 5),
    ("F", 6),
    ("G", 7),
    ("H", 8),
    ("I", 9),
    ("K", 10),
    ("L", 11),
    ("M", 12),
    ("N", -1),
    ("O", -2),
    ("P", -3),
    ("Q", -4),
    ("R", -5),
    ("S", -6),
    ("T", -7),
    ("U", -8),
    ("V", -9),
    ("W", -10),
    ("X", -11),
    ("Y", -12),
];

/// Ruby's Time.zone_offset: seconds east of Greenwich, or none for a name that it does not know, which Ruby then reads as
/// local time. The abbreviations of the local zone are known, too.
pub(super) fn offset(name: &[u8], year: i64) -> Option<i32> {
    if let Some(offset) = numeric(name) {
        return Some(offset);
    }
    if let Some((_, hours)) = NAMES.iter().find(|(known, _)| known.as_bytes().eq_ignore_ascii_case(name)) {
        return Some(hours * 3600);
    }
    let local = Zone::local();
    [1, 7].into_iter().find_map(|month| {
        let at = local.instant(days(year.clamp(1900, 2200), month, 1) * DAY);
        let is_it = local.abbreviation_at(at).as_bytes().eq_ignore_ascii_case(name);
        is_it.then(|| local.offset_at(at))
    })
}

/// `[+-]HH`, `[+-]HHMM`, `[+-]HHMMSS`, with colons or without.
fn numeric(name: &[u8]) -> Option<i32> {
    let (sign, rest) = match name.split_first()? {
        (b'+', rest) => (1, rest),
        (b'-', rest) => (-1, rest),
        _ => return None,
    };
    let two = |at: usize| -> Option<i32> {
        let (&[tens, ones], true) = (rest.get(at..at + 2)?, at + 2 <= rest.len()) else { return None };
        (tens.is_ascii_digit() && ones.is_ascii_digit())
            .then(|| i32::from(tens - b'0') * 10 + i32::from(ones - b'0'))
    };
    let colon = |at: usize| rest.get(at) == Some(&b':');
    let (minutes, seconds) = match rest.len() {
        2 => (0, 0),
        4 => (two(2)?, 0),
        5 if colon(2) => (two(3)?, 0),
        6 => (two(2)?, two(4)?),
        8 if colon(2) && colon(5) => (two(3)?, two(6)?),
        _ => return None,
    };
    Some(sign * (two(0)? * 3600 + minutes * 60 + seconds))
}

/// How long the zone is that `text` begins with, as Date._strptime looks for one:
///
/// ```text
/// (gmt|utc?)?[-+]digits([,.:]digits(:digits)?)?  |  words (standard|daylight) time  |  letters( dst)?
/// ```
pub(super) fn scan(text: &[u8]) -> Option<usize> {
    scan_number(text).or_else(|| scan_long_name(text)).or_else(|| scan_name(text))
}

fn scan_number(text: &[u8]) -> Option<usize> {
    let starts = |name: &str| text.get(..name.len()).is_some_and(|t| t.eq_ignore_ascii_case(name.as_bytes()));
    let prefix = ["gmt", "utc", "ut", ""].into_iter().find(|name| starts(name)).map_or(0, str::len);
    let mut at = prefix;
    if !matches!(text.get(at), Some(b'+' | b'-')) {
        return None;
    }
    at += 1;
    let digits = |at: usize| text[at..].iter().take_while(|byte| byte.is_ascii_digit()).count();
    let hours = digits(at);
    if hours == 0 {
        return None;
    }
    at += hours;
    if matches!(text.get(at), Some(b',' | b'.' | b':')) && digits(at + 1) > 0 {
        at += 1 + digits(at + 1);
        if text.get(at) == Some(&b':') && digits(at + 1) > 0 {
            at += 1 + digits(at + 1);
        }
    }
    Some(at)
}

fn scan_long_name(text: &[u8]) -> Option<usize> {
    let is_part = |byte: &&u8| byte.is_ascii_alphabetic() || **byte == b'.' || byte.is_ascii_whitespace();
    let run = &text[..text.iter().take_while(is_part).count()];
    if !run.iter().any(u8::is_ascii_whitespace) {
        // The usual `Z` and `UTC`: no words, nothing to look for.
        return None;
    }
    let lower = run.to_ascii_lowercase();
    // The words before are as long as they can be.
    for start in (1..lower.len()).rev() {
        let Some(rest) =
            ["standard", "daylight"].iter().find_map(|w| lower[start..].strip_prefix(w.as_bytes()))
        else {
            continue;
        };
        let blanks = rest.iter().take_while(|byte| byte.is_ascii_whitespace()).count();
        if blanks > 0 && rest[blanks..].starts_with(b"time") {
            let end = lower.len() - rest.len() + blanks + 4;
            if ends_word(text, end) {
                return Some(end);
            }
        }
    }
    None
}

fn scan_name(text: &[u8]) -> Option<usize> {
    let letters = text.iter().take_while(|byte| byte.is_ascii_alphabetic()).count();
    if letters == 0 {
        return None;
    }
    let dst = text.get(letters).is_some_and(u8::is_ascii_whitespace)
        && text.get(letters + 1..letters + 4).is_some_and(|t| t.eq_ignore_ascii_case(b"dst"))
        && ends_word(text, letters + 4);
    let end = if dst { letters + 4 } else { letters };
    ends_word(text, end).then_some(end)
}

fn ends_word(text: &[u8], at: usize) -> bool {
    text.get(at).is_none_or(|byte| !byte.is_ascii_alphanumeric() && *byte != b'_')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn offsets() {
        for (name, expected) in [
            ("+0900", Some(32_400)),
            ("-09:30", Some(-34_200)),
            ("+09", Some(32_400)),
            ("+09:30:15", Some(34_215)),
            ("+093015", Some(34_215)),
            ("z", Some(0)),
            ("est", Some(-18_000)),
            ("J", None),
            ("JST", None),
            ("+9", None),
            ("+9:30", None),
            ("GMT+9", None),
            ("", None),
            ("+", None),
            ("+09:3", None),
        ] {
            assert_eq!(offset(name.as_bytes(), 2023), expected, "{name}");
        }
    }

    #[test]
    fn scanned_as_ruby_does() {
        for (text, expected) in [
            ("+09:00x", "+09:00"),
            ("UTC+9:30x", "UTC+9:30"),
            ("utc 5", "utc"),
            ("est dst", "est dst"),
            ("est dsty", "est"),
            ("Eastern Standard Time x", "Eastern Standard Time"),
            ("+9.5", "+9.5"),
            ("Z", "Z"),
            ("+1:2:3:4", "+1:2:3"),
        ] {
            assert_eq!(scan(text.as_bytes()), Some(expected.len()), "{text}");
        }
        for text in ["", "1", "+", "abc1", "abc_", " utc"] {
            assert_eq!(scan(text.as_bytes()), None, "{text}");
        }
    }
}
