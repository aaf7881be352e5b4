//! MessagePack to JSON text.

use super::escape::write_string;
use super::float::{write_oj_float, write_ruby_float};
use super::inspect::ruby_to_s;
use crate::msgpack::{BIG_INT_EXT, DEPTH_MAX, Kind, ReadError, Reader, RecordView, Time, ValueRef};
use std::io::Write;

/// Whose JSON is written. They differ in:
///
/// | | Oj | Yajl | Ruby |
/// |---|---|---|---|
/// | 1e15 | `1000000000000000.0` | `1.0e+15` | `1.0e+15` |
/// | -0.0 | `0.0` | `-0.0` | `-0.0` |
/// | NaN | `NaN` | error | error |
/// | U+001F | `\u001f` | `\u001F` | `\u001f` |
/// | bytes that are no UTF-8 | kept | kept | error |
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum JsonStyle {
    /// `Oj.dump` in its mode `compat`: formatter json, and so stdout.
    #[default]
    Oj,
    /// `Yajl.dump`: formatter out_file, log messages.
    Yajl,
    /// `to_json` of Ruby's json library: expressions.
    Ruby,
}

/// Why a value has no JSON text.
#[derive(Clone, Copy, Debug, PartialEq, thiserror::Error)]
pub enum GenerateError {
    /// NaN or an infinity, in a style that refuses them.
    #[error("{} is no number that JSON has", if .0.is_nan() { "NaN" } else { "an infinity" })]
    NotFinite(f64),
    /// Bytes that are no UTF-8, in a style that refuses them.
    #[error("source sequence is illegal/malformed utf-8")]
    Utf8,
    /// An extension type that nobody knows.
    #[error("unexpected extension type {0}")]
    UnknownExtension(i8),
    /// Nested deeper than [`DEPTH_MAX`], or no MessagePack at all.
    #[error("malformed MessagePack")]
    Malformed,
}

impl From<ReadError> for GenerateError {
    fn from(_: ReadError) -> Self {
        Self::Malformed
    }
}

impl GenerateError {
    /// The class that Fluentd would raise.
    pub fn class(&self, style: JsonStyle) -> &'static str {
        match (self, style) {
            (Self::UnknownExtension(_), _) => "MessagePack::UnknownExtTypeError",
            (Self::Malformed, _) => "MessagePack::MalformedFormatError",
            (_, JsonStyle::Oj | JsonStyle::Ruby) => "JSON::GeneratorError",
            (_, JsonStyle::Yajl) => "Yajl::EncodeError",
        }
    }
}

/// Appends the JSON text of the raw value at the start of `raw`, without white space. Keys that are no strings are written as
/// Ruby's `to_s` gives them; an EventTime as its seconds; of a key that is there more than once the last value, at the
/// first place. After an error `out` is as it was.
pub fn from_msgpack(raw: &[u8], out: &mut Vec<u8>, style: JsonStyle) -> Result<(), GenerateError> {
    let start = out.len();
    let result = value(&mut Reader::new(raw), out, style, 0);
    if result.is_err() {
        out.truncate(start);
    }
    result
}

/// Appends `text` as a JSON string, quotes included. Bytes that are no UTF-8 are kept.
pub fn write_json_string(text: &[u8], out: &mut Vec<u8>, style: JsonStyle) {
    let hex = match style {
        JsonStyle::Yajl => b"0123456789ABCDEF",
        JsonStyle::Oj | JsonStyle::Ruby => b"0123456789abcdef",
    };
    write_string(text, hex, out);
}

/// Writes the reader's next value.
fn value(
    reader: &mut Reader<'_>,
    out: &mut Vec<u8>,
    style: JsonStyle,
    depth: usize,
) -> Result<(), GenerateError> {
    match reader.peek()? {
        Kind::Array => return array(reader, out, style, depth),
        Kind::Map => return map(reader, out, style, depth),
        _ => {}
    }
    let raw = reader.rest();
    match reader.read_value()? {
        ValueRef::Str(text) | ValueRef::Bin(text) => string(text, out, style)?,
        ValueRef::Int(number) => decimal(number, out),
        ValueRef::UInt(number) => decimal(number, out),
        ValueRef::Nil => out.extend_from_slice(b"null"),
        ValueRef::Bool(true) => out.extend_from_slice(b"true"),
        ValueRef::Bool(false) => out.extend_from_slice(b"false"),
        ValueRef::F32(number) => float(f64::from(number), out, style)?,
        ValueRef::F64(number) => float(number, out, style)?,
        ValueRef::Ext(BIG_INT_EXT, digits) => out.extend_from_slice(digits),
        ValueRef::Ext(kind, _) => match Time::read(raw) {
            Time::Event(time) => decimal(time.sec, out),
            _ => return Err(GenerateError::UnknownExtension(kind)),
        },
        ValueRef::Array(_) | ValueRef::Map(_) => return Err(GenerateError::Malformed),
    }
    Ok(())
}

fn array(
    reader: &mut Reader<'_>,
    out: &mut Vec<u8>,
    style: JsonStyle,
    depth: usize,
) -> Result<(), GenerateError> {
    let length = reader.read_array_len()?;
    let depth = deeper(depth, length)?;
    out.push(b'[');
    for index in 0..length {
        if index > 0 {
            out.push(b',');
        }
        value(reader, out, style, depth)?;
    }
    out.push(b']');
    Ok(())
}

fn map(
    reader: &mut Reader<'_>,
    out: &mut Vec<u8>,
    style: JsonStyle,
    depth: usize,
) -> Result<(), GenerateError> {
    let distinct = RecordView::new(reader.rest()).distinct();
    if distinct.is_some() {
        reader.skip()?;
    }
    let length = match &distinct {
        None => reader.read_map_len()?,
        Some(distinct) => distinct.len(),
    };
    let depth = deeper(depth, length)?;
    out.push(b'{');
    for index in 0..length {
        if index > 0 {
            out.push(b',');
        }
        match distinct.as_ref().and_then(|distinct| distinct.get(index)) {
            None => {
                key(reader, out, style)?;
                value(reader, out, style, depth)?;
            }
            Some((name, field)) => {
                key(&mut Reader::new(name), out, style)?;
                value(&mut Reader::new(field), out, style, depth)?;
            }
        }
    }
    out.push(b'}');
    Ok(())
}

fn key(reader: &mut Reader<'_>, out: &mut Vec<u8>, style: JsonStyle) -> Result<(), GenerateError> {
    let raw = reader.rest();
    match reader.read_value()? {
        ValueRef::Str(name) | ValueRef::Bin(name) => string(name, out, style)?,
        _ => {
            let mut name = Vec::new();
            ruby_to_s(raw, &mut name);
            string(&name, out, style)?;
        }
    }
    out.push(b':');
    Ok(())
}

/// The depth within a container of `length`.
fn deeper(depth: usize, length: usize) -> Result<usize, GenerateError> {
    if depth >= DEPTH_MAX && length > 0 {
        return Err(GenerateError::Malformed);
    }
    Ok(depth + 1)
}

fn string(text: &[u8], out: &mut Vec<u8>, style: JsonStyle) -> Result<(), GenerateError> {
    if style == JsonStyle::Ruby && std::str::from_utf8(text).is_err() {
        return Err(GenerateError::Utf8);
    }
    write_json_string(text, out, style);
    Ok(())
}

fn float(number: f64, out: &mut Vec<u8>, style: JsonStyle) -> Result<(), GenerateError> {
    match style {
        JsonStyle::Oj => write_oj_float(out, number),
        JsonStyle::Yajl | JsonStyle::Ruby if !number.is_finite() => {
            return Err(GenerateError::NotFinite(number));
        }
        JsonStyle::Yajl | JsonStyle::Ruby => write_ruby_float(out, number),
    }
    Ok(())
}

fn decimal(number: impl std::fmt::Display, out: &mut Vec<u8>) {
    // Writing to a Vec does not fail.
    let _ = write!(out, "{number}");
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::EventTime;
    use crate::msgpack::{
        write_bin, write_event_time, write_ext, write_f64, write_map_len, write_nil, write_str,
    };

    fn text(write: impl Fn(&mut Vec<u8>), style: JsonStyle) -> Result<Vec<u8>, GenerateError> {
        let mut raw = Vec::new();
        write(&mut raw);
        let mut out = Vec::new();
        from_msgpack(&raw, &mut out, style).map(|()| out)
    }

    /// As written by Oj 3.14, yajl-ruby 1.4 and json 2.6.
    #[test]
    fn control_characters() {
        let controls = "\0\x01\x1f\x7f\x08\x0c\r\n\t\"\\/\u{2028}é<&>";
        let write = |out: &mut Vec<u8>| write_str(out, controls.as_bytes());
        let expected = "\"\\u0000\\u0001\\u001f\x7f\\b\\f\\r\\n\\t\\\"\\\\/\u{2028}é<&>\"";
        assert_eq!(text(write, JsonStyle::Oj).unwrap(), expected.as_bytes());
        assert_eq!(text(write, JsonStyle::Ruby).unwrap(), expected.as_bytes());
        assert_eq!(text(write, JsonStyle::Yajl).unwrap(), expected.replace("1f", "1F").as_bytes());
    }

    #[test]
    fn bytes_that_are_no_utf8() {
        for write in [write_str, write_bin] {
            let write = |out: &mut Vec<u8>| write(out, b"a\xffb");
            assert_eq!(text(write, JsonStyle::Oj).unwrap(), b"\"a\xffb\"");
            assert_eq!(text(write, JsonStyle::Yajl).unwrap(), b"\"a\xffb\"");
            assert_eq!(text(write, JsonStyle::Ruby), Err(GenerateError::Utf8));
        }
    }

    #[test]
    fn numbers_that_json_has_not() {
        let write = |out: &mut Vec<u8>| write_f64(out, f64::NEG_INFINITY);
        assert_eq!(text(write, JsonStyle::Oj).unwrap(), b"-Infinity");
        assert_eq!(text(write, JsonStyle::Yajl), Err(GenerateError::NotFinite(f64::NEG_INFINITY)));
    }

    #[test]
    fn keys_of_other_kinds() {
        let write = |out: &mut Vec<u8>| {
            write_map_len(out, 6);
            out.extend_from_slice(&[1, 0xa1, b'a']);
            write_nil(out);
            out.extend_from_slice(&[0xa1, b'b']);
            write_f64(out, 2.5);
            out.extend_from_slice(&[0xa1, b'c', 0xc3, 2, 0x91, 1, 3]);
            write_event_time(out, EventTime { sec: 1_500_000_000, nsec: 1 });
            out.push(4);
        };
        let expected = br#"{"1":"a","":"b","2.5":"c","true":2,"[1]":3,"1500000000":4}"#;
        assert_eq!(text(write, JsonStyle::Oj).unwrap(), expected);
    }

    #[test]
    fn extensions() {
        let write = |out: &mut Vec<u8>| write_event_time(out, EventTime { sec: 1_500_000_000, nsec: 1 });
        assert_eq!(text(write, JsonStyle::Oj).unwrap(), b"1500000000");
        let unknown = |out: &mut Vec<u8>| write_ext(out, 5, &[1, 2]);
        assert_eq!(text(unknown, JsonStyle::Oj), Err(GenerateError::UnknownExtension(5)));
        let big = |out: &mut Vec<u8>| crate::msgpack::write_big_int(out, b"-12345678901234567890123");
        assert_eq!(text(big, JsonStyle::Oj).unwrap(), b"-12345678901234567890123");
    }

    #[test]
    fn last_value_of_a_key_wins_at_its_first_place() {
        let raw = [0x83, 0xa1, b'a', 1, 0xa1, b'b', 2, 0xa1, b'a', 3];
        let mut out = Vec::new();
        from_msgpack(&raw, &mut out, JsonStyle::Oj).unwrap();
        assert_eq!(out, br#"{"a":3,"b":2}"#);
    }

    #[test]
    fn malformed_bytes_leave_nothing_behind() {
        for raw in [&[][..], &[0xc1], &[0x92, 1], &[0x81, 0xa1, b'a'], &[0x91; 200]] {
            let mut out = b"x".to_vec();
            assert_eq!(from_msgpack(raw, &mut out, JsonStyle::Oj), Err(GenerateError::Malformed));
            assert_eq!(out, b"x");
        }
    }
}
