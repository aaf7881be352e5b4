//! Names of time zones as date parsing knows them.

use super::super::ClassId;
use crate::expr::run::{Eval, Vm};
use crate::expr::value::{Clock, Value, to_s};

/// Names and hours east of Greenwich.
const NAMES: &[(&str, f64)] = &[
    ("utc", 0.0),
    ("gmt", 0.0),
    ("ut", 0.0),
    ("z", 0.0),
    ("wet", 0.0),
    ("est", -5.0),
    ("edt", -4.0),
    ("cst", -6.0),
    ("cdt", -5.0),
    ("mst", -7.0),
    ("mdt", -6.0),
    ("pst", -8.0),
    ("pdt", -7.0),
    ("akst", -9.0),
    ("akdt", -8.0),
    ("hst", -10.0),
    ("brt", -3.0),
    ("art", -3.0),
    ("cet", 1.0),
    ("cest", 2.0),
    ("met", 1.0),
    ("mest", 2.0),
    ("mez", 1.0),
    ("mesz", 2.0),
    ("bst", 1.0),
    ("ist", 5.5),
    ("west", 1.0),
    ("eet", 2.0),
    ("eest", 3.0),
    ("sast", 2.0),
    ("msk", 3.0),
    ("msd", 4.0),
    ("hkt", 8.0),
    ("sgt", 8.0),
    ("awst", 8.0),
    ("jst", 9.0),
    ("kst", 9.0),
    ("acst", 9.5),
    ("aest", 10.0),
    ("aedt", 11.0),
    ("nzst", 12.0),
    ("nzdt", 13.0),
];

/// Seconds east of Greenwich of a zone as a text has it: `+09:00`, `-0800`, `+9`, `UTC+9`, `JST`, `A`.
pub(super) fn zone_offset(text: &str) -> Option<i32> {
    let lower = text.trim().to_ascii_lowercase();
    let name = lower.split_whitespace().collect::<Vec<_>>().join(" ");
    let (name, daylight) = match name.strip_suffix(" daylight time") {
        Some(name) => (name.to_owned(), 3600),
        None => match name.strip_suffix(" dst") {
            Some(name) => (name.to_owned(), 3600),
            None => (name.strip_suffix(" standard time").unwrap_or(&name).to_owned(), 0),
        },
    };
    if let Some((_, hours)) = NAMES.iter().find(|(known, _)| *known == name) {
        return Some((hours * 3600.0) as i32 + daylight);
    }
    if let [letter @ b'a'..=b'z'] = name.as_bytes() {
        return military(*letter);
    }
    let sign_at = name.find(['+', '-'])?;
    if !matches!(&name[..sign_at], "" | "gmt" | "utc" | "ut") {
        return None;
    }
    let sign = if name.as_bytes()[sign_at] == b'-' { -1 } else { 1 };
    Some(sign * magnitude(&name[sign_at + 1..])?)
}

/// The letters of the alphabet as zones: A to M east, N to Y west, J none.
fn military(letter: u8) -> Option<i32> {
    let hours = match letter {
        b'a'..=b'i' => i32::from(letter - b'a') + 1,
        b'k'..=b'm' => i32::from(letter - b'k') + 10,
        b'n'..=b'y' => -(i32::from(letter - b'n') + 1),
        _ => return None,
    };
    Some(hours * 3600)
}

/// `9`, `09`, `0930`, `09:30`, `09:30:15`, `9.5`
fn magnitude(text: &str) -> Option<i32> {
    if let Some((hours, fraction)) = text.split_once(['.', ',']) {
        let value: f64 = format!("{hours}.{fraction}").parse().ok()?;
        return Some((value * 3600.0) as i32);
    }
    if text.contains(':') {
        let parts: Vec<i32> = text.split(':').map(|part| part.parse().ok()).collect::<Option<_>>()?;
        let unit = [3600, 60, 1];
        return Some(parts.iter().zip(unit).map(|(part, unit)| part * unit).sum());
    }
    if text.is_empty() || text.len() > 6 || !text.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    // An odd number of digits has one digit for the hours.
    let (hours, rest) = text.split_at(if text.len() % 2 == 1 { 1 } else { 2 });
    let part = |from: usize| rest.get(from..from + 2).and_then(|part| part.parse::<i32>().ok()).unwrap_or(0);
    Some(hours.parse::<i32>().ok()? * 3600 + part(0) * 60 + part(2))
}

/// Whether a zone is written as UTC itself, and not as an offset of zero.
pub(super) fn is_utc(zone: &str) -> bool {
    matches!(zone.to_ascii_uppercase().as_str(), "UTC" | "UT" | "Z" | "-00:00" | "-0000" | "-00")
}

/// A clock argument: `"+09:00"`, `"UTC"`, `"Z"`, `"A"`, or seconds.
pub(super) fn clock<'a>(vm: &mut Vm<'_, 'a>, value: Value<'a>) -> Eval<'a, Clock> {
    match value {
        Value::Str(text) => {
            let text = String::from_utf8_lossy(text.bytes()).into_owned();
            match text.as_str() {
                "UTC" | "Z" | "-00:00" => return Ok(Clock::Utc),
                _ => {}
            }
            let digits = text.strip_prefix(['+', '-']).unwrap_or("");
            let plain = match digits.as_bytes() {
                [_, _] | [_, _, _, _] | [_, _, _, _, _, _] => digits.bytes().all(|b| b.is_ascii_digit()),
                [_, _, b':', _, _] | [_, _, b':', _, _, b':', _, _] => true,
                _ => text.len() == 1,
            };
            match zone_offset(&text).filter(|_| plain) {
                Some(offset) => Ok(Clock::Fixed(offset)),
                None => Err(vm.argument_error(format!(
                    "\"+HH:MM\", \"-HH:MM\", \"UTC\" or \"A\"..\"I\",\"K\"..\"Z\" expected for utc_offset: {text}"
                ))),
            }
        }
        Value::Nil => Ok(Clock::Local),
        other => {
            let seconds = vm.int(other)?;
            match i32::try_from(seconds).ok().filter(|seconds| seconds.abs() < 86_400) {
                Some(seconds) => Ok(Clock::Fixed(seconds)),
                None => Err(vm.argument_error("utc_offset out of range")),
            }
        }
    }
}

/// Seconds east of Greenwich of a zone as Time.parse and Time.strptime know it: `+09:00`, `-0800`, `EST`, `A`, and the name
/// of the machine's own zone.
pub(super) fn time_zone_offset(text: &str) -> Option<i32> {
    let upper = text.to_ascii_uppercase();
    let known = matches!(
        upper.as_str(),
        "UTC" | "GMT" | "UT" | "Z" | "EST" | "EDT" | "CST" | "CDT" | "MST" | "MDT" | "PST" | "PDT"
    );
    let single = upper.len() == 1 && upper.bytes().all(|byte| byte.is_ascii_alphabetic());
    if known || single {
        return zone_offset(&upper);
    }
    if let Some(digits) = upper.strip_prefix(['+', '-']) {
        let shape: String = digits.chars().map(|c| if c.is_ascii_digit() { '0' } else { c }).collect();
        let known = matches!(shape.as_str(), "00" | "0000" | "00:00" | "000000" | "00:00:00");
        return if known { zone_offset(&upper) } else { None };
    }
    let zone = crate::time::Zone::local();
    let now = crate::event::EventTime::now().sec;
    zone.abbreviation_at(now).eq_ignore_ascii_case(&upper).then(|| zone.offset_at(now))
}

/// `Time.zone_offset("EDT")`
pub(super) fn class_offset<'a>(vm: &mut Vm<'_, 'a>, value: Value<'a>) -> Eval<'a> {
    let text = String::from_utf8_lossy(to_s(vm, value)?).into_owned();
    Ok(time_zone_offset(&text).map_or(Value::Nil, |offset| Value::Int(i64::from(offset))))
}

/// `invalid date`
pub(super) fn invalid_date<'a>(vm: &Vm<'_, 'a>) -> crate::expr::run::Unwind<'a> {
    vm.raise(ClassId::DateError, "invalid date")
}

#[cfg(test)]
mod tests {
    use super::zone_offset;

    #[test]
    fn zones_as_texts_have_them() {
        for (text, expected) in [
            ("Z", Some(0)),
            ("UTC", Some(0)),
            ("+09:00", Some(32_400)),
            ("-0330", Some(-12_600)),
            ("+9", Some(32_400)),
            ("GMT+2", Some(7200)),
            ("EDT", Some(-14_400)),
            ("JST", Some(32_400)),
            ("A", Some(3600)),
            ("N", Some(-3600)),
            ("J", None),
            ("nowhere", None),
            ("x+1", None),
        ] {
            assert_eq!(zone_offset(text), expected, "{text}");
        }
    }
}
