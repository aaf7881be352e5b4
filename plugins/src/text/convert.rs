//! `types`, null_value_pattern and null_empty_string: what becomes of a field's value.

use super::split::split;
use logweir_engine::config::{Diagnostic, Params};
use logweir_engine::json::ruby_to_s;
use logweir_engine::msgpack::{
    ValueRef, write_array_len, write_big_int, write_bin, write_bool, write_event_time, write_f64, write_i64,
    write_nil, write_str, write_u64,
};
use logweir_engine::regexp::Regexp;
use logweir_engine::time::{TimeParser, TimeSettings, TimeType, Zone};
use std::collections::HashMap;
use std::sync::Arc;

/// Conversions of a `<parse>` section.
pub(crate) struct Converters {
    null_empty: bool,
    null_pattern: Option<Regexp>,
    types: HashMap<Box<[u8]>, Arc<Converter>>,
}

/// What a value becomes.
pub(crate) enum Converter {
    String,
    Integer,
    Float,
    Bool,
    /// An EventTime in the record; null if it is none.
    Time(Box<TimeParser>),
    /// Pieces between delimiters.
    Array(Box<[u8]>),
}

impl Converters {
    /// None if nothing is to be converted.
    pub(super) fn from_params(params: &Params, time: &TimeSettings) -> Result<Option<Self>, Diagnostic> {
        let mut types = HashMap::new();
        for (field, definition) in params.hash("types").unwrap_or_default() {
            let definition = definition.as_str().map_or_else(|| definition.to_string(), str::to_owned);
            let converter = Converter::parse(&field, &definition, time).map_err(|e| {
                params.error("types", e).help("types are string, integer, float, bool, time and array")
            })?;
            types.insert(field.into_bytes().into_boxed_slice(), Arc::new(converter));
        }
        let null_empty = params.bool("null_empty_string");
        let null_pattern = params.regexp("null_value_pattern");
        let is_needed = null_empty || null_pattern.is_some() || !types.is_empty();
        Ok(is_needed.then_some(Self { null_empty, null_pattern, types }))
    }

    /// The conversion of the field `key`.
    pub(super) fn of(&self, key: &[u8]) -> Option<&Arc<Converter>> {
        self.types.get(key)
    }

    /// Whether the text stands for null.
    fn is_null(&self, text: &[u8]) -> bool {
        (self.null_empty && text.is_empty())
            || self.null_pattern.as_ref().is_some_and(|pattern| pattern.is_match(text))
    }

    /// Writes a text value; `converter` is that of its field.
    pub(super) fn write_text(
        &self,
        converter: Option<&Converter>,
        text: &[u8],
        binary: bool,
        out: &mut Vec<u8>,
    ) {
        if self.is_null(text) {
            return write_nil(out);
        }
        match converter {
            None => write_string(text, binary, out),
            Some(converter) => converter.write_text(text, binary, out),
        }
    }

    /// Writes any value.
    pub(super) fn write_value(&self, converter: Option<&Converter>, raw: &[u8], out: &mut Vec<u8>) {
        match ValueRef::read(raw) {
            Ok(ValueRef::Nil | ValueRef::Bool(false)) | Err(_) => out.extend_from_slice(raw),
            Ok(ValueRef::Str(text)) => self.write_text(converter, text, false, out),
            Ok(ValueRef::Bin(text)) => self.write_text(converter, text, true, out),
            Ok(value) => match converter {
                None => out.extend_from_slice(raw),
                Some(converter) => converter.write_value(value, raw, out),
            },
        }
    }
}

/// A text as `str`, or as `bin`.
pub(crate) fn write_string(text: &[u8], binary: bool, out: &mut Vec<u8>) {
    if binary { write_bin(out, text) } else { write_str(out, text) }
}

impl Converter {
    /// `integer`, `time:%Y`, `time:+09:00:%Y`, `array:|`
    fn parse(field: &str, definition: &str, time: &TimeSettings) -> Result<Self, String> {
        let (name, option) = match definition.split_once(':') {
            Some((name, option)) => (name, Some(option)),
            None => (definition, None),
        };
        Ok(match name {
            "string" => Self::String,
            "integer" => Self::Integer,
            "float" => Self::Float,
            "bool" => Self::Bool,
            "time" => Self::Time(Box::new(TimeParser::new(&time_settings(option, time))?)),
            "array" => Self::Array(option.unwrap_or(",").as_bytes().into()),
            _ => return Err(format!("unknown value conversion for key:'{field}', type:'{name}'")),
        })
    }

    fn write_text(&self, text: &[u8], binary: bool, out: &mut Vec<u8>) {
        match self {
            Self::String => write_string(text, binary, out),
            Self::Integer => write_integer(text, out),
            Self::Float => write_f64(out, leading_float(text)),
            Self::Bool => write_bool(out, is_true(text)),
            Self::Time(parser) => write_time(parser.parse_text(text).ok(), out),
            Self::Array(delimiter) => {
                let pieces = split(text, delimiter);
                write_array_len(out, pieces.len());
                pieces.iter().for_each(|piece| write_string(piece, binary, out));
            }
        }
    }

    /// A value that is no text: numbers are converted as such, others as the text that Ruby has for them.
    fn write_value(&self, value: ValueRef<'_>, raw: &[u8], out: &mut Vec<u8>) {
        match (self, value) {
            (Self::Integer, ValueRef::Int(_) | ValueRef::UInt(_)) => out.extend_from_slice(raw),
            (Self::Integer, ValueRef::F64(value)) => write_truncated(value, out),
            (Self::Integer, ValueRef::F32(value)) => write_truncated(f64::from(value), out),
            (Self::Float, ValueRef::Int(value)) => write_f64(out, value as f64),
            (Self::Float, ValueRef::UInt(value)) => write_f64(out, value as f64),
            (Self::Float, ValueRef::F64(_) | ValueRef::F32(_)) => out.extend_from_slice(raw),
            (Self::Time(parser), value) => write_time(parser.parse(value).ok(), out),
            _ => {
                let mut text = Vec::new();
                ruby_to_s(raw, &mut text);
                self.write_text(&text, false, out);
            }
        }
    }
}

/// The settings of `time`, `time:FORMAT`, `time:ZONE:FORMAT`; FORMAT may be a time_type.
fn time_settings(option: Option<&str>, time: &TimeSettings) -> TimeSettings {
    let Some(option) = option else {
        return TimeSettings { zone: None, ..time.with(TimeType::String, None) };
    };
    // A zone with a colon of its own cannot be told from its format; Fluentd splits at the first colon, too.
    let zone = option.split_once(':').and_then(|(zone, format)| Some((Zone::parse(zone).ok()?, format)));
    let (zone, format) = match zone {
        Some((zone, format)) => (Some(zone), format),
        None => (None, option),
    };
    let (kind, format) = match TimeType::from_word(format) {
        Some(kind) => (kind, None),
        None => (TimeType::String, Some(format)),
    };
    TimeSettings { zone, ..time.with(kind, format) }
}

fn write_time(time: Option<logweir_engine::event::EventTime>, out: &mut Vec<u8>) {
    match time {
        Some(time) => write_event_time(out, time),
        None => write_nil(out),
    }
}

fn is_true(text: &[u8]) -> bool {
    [&b"true"[..], b"yes", b"1"].iter().any(|word| word.eq_ignore_ascii_case(text))
}

/// Ruby's String#to_i.
fn write_integer(text: &[u8], out: &mut Vec<u8>) {
    let text = text.trim_ascii_start();
    let (negative, rest) = match text.split_first() {
        Some((b'-', rest)) => (true, rest),
        Some((b'+', rest)) => (false, rest),
        _ => (false, text),
    };
    // Up to 18 digits without an underscore need no other type.
    let count = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
    if count <= 18 && rest.get(count) != Some(&b'_') {
        let value = rest[..count].iter().fold(0i64, |value, digit| value * 10 + i64::from(digit - b'0'));
        return write_i64(out, if negative { -value } else { value });
    }
    let mut digits = number_digits(rest);
    if negative {
        digits.insert(0, b'-');
    }
    let text = String::from_utf8_lossy(&digits);
    match (text.parse::<i64>(), text.parse::<u64>()) {
        (Ok(value), _) => write_i64(out, value),
        (_, Ok(value)) => write_u64(out, value),
        _ if digits.len() > 1 => write_big_int(out, &digits),
        _ => write_i64(out, 0),
    }
}

/// The digits at the start of a text; single underscores between them are passed over.
fn number_digits(text: &[u8]) -> Vec<u8> {
    let mut digits = Vec::new();
    let mut was_digit = false;
    for &byte in text {
        match byte {
            b'0'..=b'9' => digits.push(byte),
            b'_' if was_digit => {}
            _ => break,
        }
        was_digit = byte != b'_';
    }
    let zeros = digits.iter().take_while(|digit| **digit == b'0').count();
    digits.drain(..zeros.min(digits.len().saturating_sub(1)));
    digits
}

/// Ruby's Float#to_i.
fn write_truncated(value: f64, out: &mut Vec<u8>) {
    let value = value.trunc();
    if value >= i64::MIN as f64 && value < i64::MAX as f64 {
        write_i64(out, value as i64);
    } else if value.is_finite() {
        write_integer(format!("{value:.0}").as_bytes(), out);
    } else {
        // Ruby has no integer for it and then reads the text "Infinity".
        write_i64(out, 0);
    }
}

/// Ruby's String#to_f.
pub(crate) fn leading_float(text: &[u8]) -> f64 {
    let text = text.trim_ascii_start();
    let mut number = String::with_capacity(24);
    let mut at = 0;
    if let Some(sign @ (b'+' | b'-')) = text.first() {
        number.push(char::from(*sign));
        at = 1;
    }
    let digits = |at: &mut usize, number: &mut String| {
        let start = number.len();
        while let Some(&byte) = text.get(*at) {
            let between = byte == b'_' && *at > 0 && text[*at - 1].is_ascii_digit();
            match byte {
                b'0'..=b'9' => number.push(char::from(byte)),
                b'_' if between && text.get(*at + 1).is_some_and(u8::is_ascii_digit) => {}
                _ => break,
            }
            *at += 1;
        }
        number.len() > start
    };
    let whole = digits(&mut at, &mut number);
    if !whole {
        number.push('0');
    }
    if text.get(at) == Some(&b'.') && text.get(at + 1).is_some_and(u8::is_ascii_digit) {
        number.push('.');
        at += 1;
        digits(&mut at, &mut number);
    } else if !whole {
        return 0.0;
    }
    if matches!(text.get(at), Some(b'e' | b'E')) {
        let sign = usize::from(matches!(text.get(at + 1), Some(b'+' | b'-')));
        if text.get(at + 1 + sign).is_some_and(u8::is_ascii_digit) {
            number.push('e');
            if sign == 1 {
                number.push(char::from(text[at + 1]));
            }
            at += 1 + sign;
            digits(&mut at, &mut number);
        }
    }
    number.parse().unwrap_or(0.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn integer(text: &str) -> String {
        let mut out = Vec::new();
        write_integer(text.as_bytes(), &mut out);
        let mut shown = Vec::new();
        ruby_to_s(&out, &mut shown);
        String::from_utf8(shown).unwrap()
    }

    /// What Ruby 3.1 answers.
    #[test]
    fn to_i() {
        for (text, expected) in [
            ("0x1A", "0"),
            ("1e5", "1"),
            ("  12x", "12"),
            ("-7", "-7"),
            ("1_000", "1000"),
            ("1__0", "1"),
            ("_1", "0"),
            ("99999999999999999999", "99999999999999999999"),
            ("-99999999999999999999", "-99999999999999999999"),
            ("18446744073709551615", "18446744073709551615"),
            ("+3", "3"),
            ("", "0"),
            ("-", "0"),
            ("0000000000000000000007", "7"),
            ("-9223372036854775808", "-9223372036854775808"),
        ] {
            assert_eq!(integer(text), expected, "{text}");
        }
    }

    #[test]
    fn to_f() {
        for (text, expected) in [
            ("0x1A", 0.0),
            ("1e5", 1e5),
            (".5", 0.5),
            ("1.", 1.0),
            ("-1.5e-2x", -0.015),
            ("1_0.5", 10.5),
            ("Infinity", 0.0),
            ("1e400", f64::INFINITY),
            ("  2.5", 2.5),
            ("1__0", 1.0),
            ("1._5", 1.0),
            ("-", 0.0),
            ("+3", 3.0),
            ("1e", 1.0),
            ("1e+", 1.0),
            ("", 0.0),
            ("_1", 0.0),
            ("1.5.2", 1.5),
            ("1,5", 1.0),
        ] {
            assert_eq!(leading_float(text.as_bytes()), expected, "{text}");
        }
    }
}
