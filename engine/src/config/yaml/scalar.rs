//! Plain scalars as Ruby's Psych reads them (YAML 1.1: `yes` and `off` are bools, `0644` is octal), turned back into
//! text as Ruby's `to_s` does.

use super::node::Scalar;
use crate::config::RawValue;

/// The value of a scalar without quotes and tag.
pub(super) fn plain(text: &str) -> Scalar {
    let lower = text.to_ascii_lowercase();
    match lower.as_str() {
        "" | "~" | "null" => return Scalar { value: RawValue::Nil, is_plain: true },
        "yes" | "true" | "on" => return resolved("true"),
        "no" | "false" | "off" => return resolved("false"),
        ".inf" | "+.inf" => return text_of("Infinity"),
        "-.inf" => return text_of("-Infinity"),
        ".nan" => return text_of("NaN"),
        _ => {}
    }
    if let Some(symbol) = text.strip_prefix(':').filter(|symbol| !symbol.is_empty()) {
        let quoted = symbol.strip_prefix(['"', '\'']).and_then(|rest| rest.strip_suffix(['"', '\'']));
        return text_of(quoted.unwrap_or(symbol));
    }
    match sexagesimal(text).or_else(|| float(text)).or_else(|| integer(text)) {
        Some(number) => resolved(&number),
        None => text_of(text),
    }
}

/// A text.
pub(super) fn text_of(text: &str) -> Scalar {
    Scalar { value: RawValue::Text(text.to_owned()), is_plain: false }
}

fn resolved(text: &str) -> Scalar {
    Scalar { value: RawValue::Text(text.to_owned()), is_plain: true }
}

fn sign(text: &str) -> (&str, &str) {
    match text.as_bytes().first() {
        Some(b'-') => ("-", &text[1..]),
        Some(b'+') => ("", &text[1..]),
        _ => ("", text),
    }
}

/// `190:20:30`, to the base 60.
fn sexagesimal(text: &str) -> Option<String> {
    let (sign, rest) = sign(text);
    let mut parts = rest.split(':');
    let first = parts.next()?;
    let rest: Vec<&str> = parts.collect();
    let is_digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    let starts_with_digit = first.as_bytes().first().is_some_and(u8::is_ascii_digit);
    let well_formed = starts_with_digit
        && first.bytes().all(|byte| byte.is_ascii_digit() || byte == b'_')
        && (1..=2).contains(&rest.len())
        && rest.iter().all(|part| {
            is_digits(part) && (part.len() == 1 || (part.len() == 2 && part.as_bytes()[0] < b'6'))
        });
    if !well_formed {
        return None;
    }
    let mut total: i128 = first.replace('_', "").parse().ok()?;
    for part in rest {
        total = total.checked_mul(60)?.checked_add(part.parse().ok()?)?;
    }
    Some(format!("{sign}{total}"))
}

/// Decimal with a point; an exponent needs its sign.
fn float(text: &str) -> Option<String> {
    let (sign, rest) = sign(text);
    let (whole, fraction) = rest.split_once('.')?;
    let (digits, exponent) = match fraction.split_once(['e', 'E']) {
        Some((digits, exponent)) => (digits, Some(exponent)),
        None => (fraction, None),
    };
    let is_digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    let whole_ok = whole.is_empty()
        || (whole.as_bytes()[0].is_ascii_digit()
            && whole.bytes().all(|byte| byte.is_ascii_digit() || matches!(byte, b'_' | b',')));
    let exponent_ok = exponent.is_none_or(|text| {
        text.strip_prefix(['+', '-']).is_some_and(|rest| !rest.is_empty() && is_digits(rest))
    });
    if !whole_ok || !is_digits(digits) || !exponent_ok || (whole.is_empty() && digits.is_empty()) {
        return None;
    }
    let whole = whole.replace(['_', ','], "");
    let number = format!("{sign}{whole}.{digits}0e{}", exponent.unwrap_or("0"));
    super::super::json_literal::ruby_float(number.parse().ok()?)
}

/// Decimal, `0x`, `0b`, or octal with a leading 0; commas and underscores are skipped.
fn integer(text: &str) -> Option<String> {
    let (sign, rest) = sign(text);
    let prefix = rest.get(..2).map(str::to_ascii_lowercase);
    let (radix, digits) = match prefix.as_deref() {
        Some("0x") => (16, &rest[2..]),
        Some("0b") => (2, &rest[2..]),
        _ if rest.len() > 1 && rest.starts_with('0') => (8, &rest[1..]),
        _ => (10, rest),
    };
    let clean = digits.replace(['_', ','], "");
    let separators_ok = radix != 10
        || (!digits.starts_with(['_', ','])
            && !digits.ends_with(['_', ','])
            && !digits.as_bytes().windows(2).any(|pair| !pair.iter().any(u8::is_ascii_digit)));
    if clean.is_empty() || !separators_ok || !clean.chars().all(|c| c.is_digit(radix)) {
        return None;
    }
    if radix == 10 {
        let shown = if clean == "0" { clean } else { format!("{sign}{clean}") };
        return Some(shown);
    }
    let value = u128::from_str_radix(&clean, radix).ok()?;
    Some(if value == 0 { "0".to_owned() } else { format!("{sign}{value}") })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_scalars_are_rubys() {
        for (text, expected) in [
            ("5432", "5432"),
            ("0644", "420"),
            ("08", "08"),
            ("0x1F", "31"),
            ("-0b11", "-3"),
            ("1_000", "1000"),
            ("1,2", "12"),
            ("1__0", "1__0"),
            ("+7", "7"),
            ("1.50", "1.5"),
            ("1.", "1.0"),
            (".5", "0.5"),
            (".", "."),
            ("1e3", "1e3"),
            ("1.0e+3", "1000.0"),
            ("1.0e3", "1.0e3"),
            ("12:30", "750"),
            ("1:2:3", "3723"),
            ("12:75", "12:75"),
            ("Yes", "true"),
            ("OFF", "false"),
            ("y", "y"),
            (":sym", "sym"),
            ("127.0.0.1", "127.0.0.1"),
            ("10m", "10m"),
            ("2024-01-02", "2024-01-02"),
            ("**", "**"),
            ("99999999999999999999", "99999999999999999999"),
        ] {
            assert_eq!(plain(text).value, RawValue::Text(expected.to_owned()), "{text}");
        }
        for text in ["", "~", "null", "NULL"] {
            assert_eq!(plain(text).value, RawValue::Nil, "{text}");
        }
    }
}
