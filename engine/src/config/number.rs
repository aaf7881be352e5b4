//! Numbers as Ruby reads them from text.

/// `String#to_i`: blanks, a sign, digits with single underscores between them; the rest is ignored, no digits are 0.
/// Ruby's integers are unbounded, these stop at the limits of i64.
pub(super) fn to_i(text: &str) -> i64 {
    let (negative, rest) = sign(text.trim_start_matches(is_space));
    let digits = digits(rest).0;
    saturating(negative, &digits, 10)
}

/// `String#to_f`: the longest prefix that is a decimal float; no digits are 0.0.
pub(super) fn to_f(text: &str) -> f64 {
    float_prefix(text.trim_start_matches(is_space)).0
}

/// `Integer(text)`: the whole text must be a number; `0x`, `0b`, `0o` and a leading 0 (octal) are understood.
pub(super) fn strict_i(text: &str) -> Option<i64> {
    let (negative, rest) = sign(text.trim_matches(is_space));
    let prefix = rest.get(..2).map(str::to_ascii_lowercase);
    let (radix, body) = match prefix.as_deref() {
        Some("0x") => (16, &rest[2..]),
        Some("0b") => (2, &rest[2..]),
        Some("0o") => (8, &rest[2..]),
        Some("0d") => (10, &rest[2..]),
        _ if rest.len() > 1 && rest.starts_with('0') => {
            (8, rest[1..].strip_prefix('_').unwrap_or(&rest[1..]))
        }
        _ => (10, rest),
    };
    let well_formed = !body.is_empty()
        && !body.starts_with('_')
        && !body.ends_with('_')
        && !body.contains("__")
        && body.chars().all(|c| c == '_' || c.is_digit(radix));
    well_formed.then(|| saturating(negative, &body.replace('_', ""), radix))
}

/// `Float(text)`: the whole text must be a number.
pub(super) fn strict_f(text: &str) -> Option<f64> {
    let trimmed = text.trim_matches(is_space);
    let (_, unsigned) = sign(trimmed);
    if unsigned.get(..2).is_some_and(|prefix| prefix.eq_ignore_ascii_case("0x")) {
        return strict_i(trimmed).map(|value| value as f64);
    }
    let (value, used) = float_prefix(trimmed);
    (used > 0 && used == trimmed.len()).then_some(value)
}

fn is_space(c: char) -> bool {
    c.is_ascii_whitespace() || c == '\x0b'
}

fn sign(text: &str) -> (bool, &str) {
    match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    }
}

/// The digits at the start of `text` without their underscores, and how many bytes they take.
fn digits(text: &str) -> (String, usize) {
    let bytes = text.as_bytes();
    let mut out = String::new();
    let mut at = 0;
    while let Some(byte) = bytes.get(at) {
        let separates = *byte == b'_' && at > 0 && bytes.get(at + 1).is_some_and(u8::is_ascii_digit);
        if byte.is_ascii_digit() {
            out.push(char::from(*byte));
        } else if !separates {
            break;
        }
        at += 1;
    }
    (out, at)
}

fn saturating(negative: bool, digits: &str, radix: u32) -> i64 {
    if digits.is_empty() {
        return 0;
    }
    match i128::from_str_radix(digits, radix) {
        Ok(value) if negative => i64::try_from(-value).unwrap_or(i64::MIN),
        Ok(value) => i64::try_from(value).unwrap_or(i64::MAX),
        Err(_) if negative => i64::MIN,
        Err(_) => i64::MAX,
    }
}

/// The float at the start of `text` and how many bytes it takes; 0 bytes if there is none.
fn float_prefix(text: &str) -> (f64, usize) {
    let (negative, rest) = sign(text);
    let mut number = String::new();
    if negative {
        number.push('-');
    }
    let mut used = text.len() - rest.len();
    let (whole, length) = digits(rest);
    let mut rest = &rest[length..];
    used += length;
    let mut found = !whole.is_empty();
    number.push_str(if found { &whole } else { "0" });
    if let Some(after) = rest.strip_prefix('.') {
        let (fraction, length) = digits(after);
        if !fraction.is_empty() {
            number.push('.');
            number.push_str(&fraction);
            rest = &after[length..];
            used += 1 + length;
            found = true;
        }
    }
    if !found {
        return (0.0, 0);
    }
    if let Some(after) = rest.strip_prefix(['e', 'E']) {
        let (negative, after_sign) = sign(after);
        let (exponent, length) = digits(after_sign);
        if !exponent.is_empty() {
            number.push_str(if negative { "e-" } else { "e" });
            number.push_str(&exponent);
            used += 1 + (after.len() - after_sign.len()) + length;
        }
    }
    (number.parse().unwrap_or(0.0), used)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn to_i_reads_a_prefix() {
        for (text, value) in [
            ("12abc", 12),
            ("1.9", 1),
            ("0x1f", 0),
            ("", 0),
            ("abc", 0),
            (" \n-7", -7),
            ("+3", 3),
            ("1_000", 1000),
            ("1__0", 1),
            ("_1", 0),
            ("99999999999999999999999999999999999999999999", i64::MAX),
            ("-99999999999999999999", i64::MIN),
        ] {
            assert_eq!(to_i(text), value, "{text}");
        }
    }

    #[test]
    fn to_f_reads_a_prefix() {
        for (text, value) in [
            ("0.5", 0.5),
            ("5S", 5.0),
            ("1e3x", 1000.0),
            ("1e", 1.0),
            ("1.e3", 1.0),
            (".5", 0.5),
            ("-.5", -0.5),
            ("1_0.2_5", 10.25),
            ("abc", 0.0),
            ("Infinity", 0.0),
            ("2e-2", 0.02),
        ] {
            assert_eq!(to_f(text), value, "{text}");
        }
    }

    #[test]
    fn strict_numbers_are_whole() {
        assert_eq!(strict_i(" 0b101 "), Some(5));
        assert_eq!(strict_i("017"), Some(15));
        assert_eq!(strict_i("08"), None);
        assert_eq!(strict_i("-0x10"), Some(-16));
        assert_eq!(strict_i("1_0"), Some(10));
        assert_eq!(strict_i("0"), Some(0));
        for text in ["", "1__0", "1_", "x", "1.0", "--1", "0x", "é1"] {
            assert_eq!(strict_i(text), None, "{text}");
        }
        assert_eq!(strict_f("1.5e1"), Some(15.0));
        assert_eq!(strict_f("0x10"), Some(16.0));
        for text in ["", "1.", "x", "1s", "."] {
            assert_eq!(strict_f(text), None, "{text}");
        }
    }
}
