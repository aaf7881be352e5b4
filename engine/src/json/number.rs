//! JSON numbers to MessagePack.

use super::out::Out;
use super::read::{Dialect, JsonError, JsonErrorKind};
use crate::msgpack::{put_f64, put_i64, put_u64, write_big_int};

/// Appends the number at `at` (or what a dialect takes for one) to `out` and answers where it ends.
#[inline]
pub(super) fn read(text: &[u8], at: usize, dialect: Dialect, out: &mut Out<'_>) -> Result<usize, JsonError> {
    let negative = text[at] == b'-';
    let digits_at = at + usize::from(negative);
    let mut end = digits_at;
    let mut magnitude = 0u64;
    while let Some(&byte @ b'0'..=b'9') = text.get(end) {
        magnitude = magnitude.wrapping_mul(10).wrapping_add(u64::from(byte - b'0'));
        end += 1;
    }
    let digits = end - digits_at;
    if digits == 0 {
        return not_finite(text, at, dialect, out);
    }
    if digits > 1 && text[digits_at] == b'0' {
        return Err(JsonError { at, kind: JsonErrorKind::Number });
    }
    if let Some(b'.' | b'e' | b'E') = text.get(end) {
        return float(text, at, end, out);
    }
    if digits <= 18 {
        put_i64(out, if negative { -(magnitude as i64) } else { magnitude as i64 });
    } else {
        large_integer(&text[at..end], negative, out);
    }
    Ok(end)
}

/// Appends an integer of more than 18 digits.
#[cold]
fn large_integer(spelt: &[u8], negative: bool, out: &mut Out<'_>) {
    let text = std::str::from_utf8(spelt).unwrap_or_default();
    if let Ok(value) = text.parse::<i64>() {
        put_i64(out, value);
    } else if !negative && let Ok(value) = text.parse::<u64>() {
        put_u64(out, value);
    } else {
        out.append(|out| write_big_int(out, spelt));
    }
}

/// Appends the number at `at` whose integer part ends at `whole_end`.
fn float(text: &[u8], at: usize, whole_end: usize, out: &mut Out<'_>) -> Result<usize, JsonError> {
    let mut end = whole_end;
    if text[end] == b'.' {
        end = digits(text, end + 1)?;
    }
    if let Some(b'e' | b'E') = text.get(end) {
        end += 1;
        if let Some(b'+' | b'-') = text.get(end) {
            end += 1;
        }
        end = digits(text, end)?;
    }
    let spelt = std::str::from_utf8(&text[at..end]).ok();
    let Some(value) = spelt.and_then(|spelt| spelt.parse::<f64>().ok()) else {
        return Err(JsonError { at, kind: JsonErrorKind::Number });
    };
    put_f64(out, value);
    Ok(end)
}

/// Where at least one digit ends.
fn digits(text: &[u8], start: usize) -> Result<usize, JsonError> {
    let mut end = start;
    while let Some(b'0'..=b'9') = text.get(end) {
        end += 1;
    }
    if end > start {
        return Ok(end);
    }
    let kind = if end == text.len() { JsonErrorKind::Incomplete } else { JsonErrorKind::Number };
    Err(JsonError { at: end, kind })
}

/// NaN and the infinities, which are no JSON but are written by many programs, Python's json among them.
#[cold]
fn not_finite(text: &[u8], at: usize, dialect: Dialect, out: &mut Out<'_>) -> Result<usize, JsonError> {
    let spellings: &[(&[u8], f64)] = match dialect {
        Dialect::Oj => &[
            (b"NaN", f64::NAN),
            (b"nan", f64::NAN),
            (b"-NaN", f64::NAN),
            (b"Infinity", f64::INFINITY),
            (b"-Infinity", f64::NEG_INFINITY),
        ],
        Dialect::Json => {
            &[(b"NaN", f64::NAN), (b"Infinity", f64::INFINITY), (b"-Infinity", f64::NEG_INFINITY)]
        }
        Dialect::Yajl => &[],
    };
    let rest = &text[at..];
    for (word, value) in spellings {
        if rest.starts_with(word) {
            put_f64(out, *value);
            return Ok(at + word.len());
        }
        if word.starts_with(rest) {
            return Err(JsonError { at: text.len(), kind: JsonErrorKind::Incomplete });
        }
    }
    let kind = match rest {
        [b'-'] => JsonErrorKind::Incomplete,
        [b'-', ..] => JsonErrorKind::Number,
        _ => JsonErrorKind::Unexpected(rest[0]),
    };
    Err(JsonError { at, kind })
}
