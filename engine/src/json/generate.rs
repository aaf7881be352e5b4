//! MessagePack to JSON text.

use super::escape::write_string;
use super::generator::{Generator, Stop};

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
    /// Nested deeper than [`crate::msgpack::DEPTH_MAX`], or no MessagePack at all.
    #[error("malformed MessagePack")]
    Malformed,
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
    let mut generator = Generator::new(raw, out, style);
    let mut result = generator.value(0);
    if result == Err(Stop::SuspectKeys) {
        generator.start_again(start);
        result = generator.value(0);
    }
    if result.is_err() {
        generator.out.at = start;
    }
    generator.out.finish();
    result.map_err(|stop| match stop {
        Stop::Error(error) => error,
        Stop::SuspectKeys => GenerateError::Malformed,
    })
}

/// Appends `text` as a JSON string, quotes included. Bytes that are no UTF-8 are kept.
pub fn write_json_string(text: &[u8], out: &mut Vec<u8>, style: JsonStyle) {
    let hex = match style {
        JsonStyle::Yajl => b"0123456789ABCDEF",
        JsonStyle::Oj | JsonStyle::Ruby => b"0123456789abcdef",
    };
    write_string(text, hex, out);
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
        for payload in [&b""[..], b"-", b"1,\"admin\":true", b"1.5", b"012", b"--1", b"+1"] {
            let forged = |out: &mut Vec<u8>| write_ext(out, crate::msgpack::BIG_INT_EXT, payload);
            let error = GenerateError::UnknownExtension(crate::msgpack::BIG_INT_EXT);
            assert_eq!(text(forged, JsonStyle::Oj), Err(error));
        }
    }

    #[test]
    fn last_value_of_a_key_wins_at_its_first_place() {
        let raw = [0x83, 0xa1, b'a', 1, 0xa1, b'b', 2, 0xa1, b'a', 3];
        let mut out = Vec::new();
        from_msgpack(&raw, &mut out, JsonStyle::Oj).unwrap();
        assert_eq!(out, br#"{"a":3,"b":2}"#);
    }

    #[test]
    fn a_byte_array_equals_a_string_as_a_key() {
        let raw = [0x83, 0xa1, b'a', 1, 0xa1, b'b', 2, 0xc4, 1, b'a', 3];
        let mut out = b"x".to_vec();
        from_msgpack(&raw, &mut out, JsonStyle::Oj).unwrap();
        assert_eq!(out, br#"x{"a":3,"b":2}"#);
    }

    #[test]
    fn equal_keys_at_every_level_cost_no_more_than_that() {
        // {"a": {...}, "b": 1, "b": 2}, a hundred levels deep.
        let mut raw = [&[0x83, 0xa1, b'a'][..]; 100].concat();
        raw.push(0x80);
        raw.extend_from_slice(&[0xa1, b'b', 1, 0xa1, b'b', 2].repeat(100));
        let mut out = Vec::new();
        from_msgpack(&raw, &mut out, JsonStyle::Oj).unwrap();
        let expected = [r#"{"a":"#.repeat(100), "{}".to_owned(), r#","b":2}"#.repeat(100)].concat();
        assert_eq!(out, expected.as_bytes());
    }

    #[test]
    fn strings_around_the_size_of_a_block() {
        for length in 0..70usize {
            for special in [None, Some(0), Some(length / 2), length.checked_sub(1)] {
                let mut text = vec![b'x'; length];
                if let Some(byte) = special.and_then(|at| text.get_mut(at)) {
                    *byte = b'"';
                }
                let write = |out: &mut Vec<u8>| {
                    out.push(0x92);
                    write_str(out, &text);
                    write_str(out, &[b'y'; 40]);
                };
                let text = String::from_utf8(text.clone()).unwrap().replace('"', "\\\"");
                let expected = format!("[\"{text}\",\"{}\"]", "y".repeat(40));
                assert_eq!(self::text(write, JsonStyle::Oj).unwrap(), expected.as_bytes());
            }
        }
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
