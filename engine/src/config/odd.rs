//! Values that Fluentd reads in a way that surprises: `100ms` is 100 minutes, `1h30m` is half an hour, `1.5g` is five
//! gigabytes. They mean the same here; a warning says what that is.

use super::number;
use super::value::Value;
use super::{Attr, Diagnostic};

/// A warning if the user most likely meant something else than `value`.
pub(super) fn warning(attr: &Attr, name: &str, text: &str, value: &Value) -> Option<Diagnostic> {
    let (read, help) = match value {
        Value::Time(seconds) if !is_time(text) => (
            format!("{seconds} seconds"),
            "a time is a number of seconds, or a whole number followed by s, m, h or d",
        ),
        Value::Size(bytes) if !is_size(text) => {
            (format!("{bytes} bytes"), "a size is a whole number of bytes, or one followed by k, m, g or t")
        }
        Value::Integer(number) if number::strict_i(text).is_none() => {
            (number.to_string(), "write a whole number")
        }
        Value::Float(number) if number::strict_f(text).is_none() => (number.to_string(), "write a number"),
        _ => return None,
    };
    let message = format!("'{name} {text}' is read as {read}, as Fluentd reads it");
    Some(Diagnostic::warning(message).at(&attr.place()).help(help))
}

/// Seconds, or a whole number with a unit, which may be spelled out.
fn is_time(text: &str) -> bool {
    const UNITS: [&str; 18] = [
        "s", "sec", "secs", "second", "seconds", "m", "min", "mins", "minute", "minutes", "h", "hr", "hour",
        "hours", "d", "day", "days", "hrs",
    ];
    number::strict_f(text).is_some() || has_unit(text, |unit| UNITS.contains(&unit))
}

/// Bytes, or a whole number with a unit, which may be spelled out.
fn is_size(text: &str) -> bool {
    const UNITS: [&str; 13] = ["b", "k", "kb", "kib", "m", "mb", "mib", "g", "gb", "gib", "t", "tb", "tib"];
    number::strict_i(text).is_some()
        || has_unit(text, |unit| UNITS.contains(&unit.to_ascii_lowercase().as_str()))
}

fn has_unit(text: &str, is_unit: impl Fn(&str) -> bool) -> bool {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    digits > 0 && is_unit(&text[digits..])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_surprises_are_odd() {
        for text in ["5", "0.5", "-1", "5s", "5sec", "10min", "7days", "1d", " 3 "] {
            assert!(is_time(text), "{text}");
        }
        for text in ["100ms", "1h30m", "1.5h", "5 s", "1w", "= 5s", "abc", "5S", ""] {
            assert!(!is_time(text), "{text}");
        }
        for text in ["5", "-1", "8MB", "8MiB", "10k", "1_000", "5b", "5T"] {
            assert!(is_size(text), "{text}");
        }
        for text in ["1.5g", "10 k", "1e3", "x", "5s"] {
            assert!(!is_size(text), "{text}");
        }
    }
}
