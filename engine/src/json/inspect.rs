//! What Ruby 3.1 prints for values: `inspect` and `to_s`.

use super::float::write_ruby_float;
use crate::event::EventTime;
use crate::msgpack::{DEPTH_MAX, Reader, RecordView, Time, ValueRef, big_int_digits};
use jiff::Timestamp;
use std::io::Write;

/// Appends what Ruby's `inspect` gives for the raw value at the start of `raw`: `{"a"=>1, "b"=>[nil, "x"]}`. An EventTime is
/// printed in UTC, `2017-07-14 02:40:00.123456789 +0000`; an unknown extension and bytes that are no MessagePack as a remark
/// in angle brackets.
pub fn ruby_inspect(raw: &[u8], out: &mut Vec<u8>) {
    inspect(raw, out, 0);
}

/// Appends what Ruby's `to_s` gives: a string as it is, nothing for nil, the seconds of an EventTime, else as
/// [`ruby_inspect`].
pub fn ruby_to_s(raw: &[u8], out: &mut Vec<u8>) {
    match ValueRef::read(raw) {
        Ok(ValueRef::Nil) => {}
        Ok(ValueRef::Str(text) | ValueRef::Bin(text)) => out.extend_from_slice(text),
        Ok(ValueRef::Ext(..)) if let Time::Event(time) = Time::read(raw) => {
            write(out, format_args!("{}", time.sec))
        }
        _ => inspect(raw, out, 0),
    }
}

fn inspect(raw: &[u8], out: &mut Vec<u8>, depth: usize) {
    if depth > DEPTH_MAX {
        return out.extend_from_slice(b"<malformed>");
    }
    match ValueRef::read(raw) {
        Ok(ValueRef::Nil) => out.extend_from_slice(b"nil"),
        Ok(ValueRef::Bool(value)) => write(out, format_args!("{value}")),
        Ok(ValueRef::Int(value)) => write(out, format_args!("{value}")),
        Ok(ValueRef::UInt(value)) => write(out, format_args!("{value}")),
        Ok(ValueRef::F32(value)) => write_ruby_float(out, f64::from(value)),
        Ok(ValueRef::F64(value)) => write_ruby_float(out, value),
        Ok(ValueRef::Str(text)) => ruby_inspect_str(text, out),
        Ok(ValueRef::Bin(bytes)) => inspect_bin(bytes, out),
        Ok(ValueRef::Array(raw)) => inspect_array(raw, out, depth),
        Ok(ValueRef::Map(raw)) => inspect_map(raw, out, depth),
        Ok(ValueRef::Ext(kind, payload)) => match (Time::read(raw), big_int_digits(kind, payload)) {
            (Time::Event(time), _) => inspect_time(time, out),
            (_, Some(digits)) => out.extend_from_slice(digits),
            _ => write(out, format_args!("<extension type {kind}, {} bytes>", payload.len())),
        },
        Err(_) => out.extend_from_slice(b"<malformed>"),
    }
}

fn inspect_time(time: EventTime, out: &mut Vec<u8>) {
    match Timestamp::new(time.sec, time.nsec.min(999_999_999) as i32) {
        Ok(moment) => write(out, format_args!("{}", moment.strftime("%Y-%m-%d %H:%M:%S.%9f +0000"))),
        Err(_) => write(out, format_args!("{}.{:09}", time.sec, time.nsec)),
    }
}

fn inspect_array(raw: &[u8], out: &mut Vec<u8>, depth: usize) {
    let mut reader = Reader::new(raw);
    let length = reader.read_array_len().unwrap_or(0);
    out.push(b'[');
    for index in 0..length {
        let Ok(item) = reader.read_raw() else { break };
        if index > 0 {
            out.extend_from_slice(b", ");
        }
        inspect(item, out, depth + 1);
    }
    out.push(b']');
}

fn inspect_map(raw: &[u8], out: &mut Vec<u8>, depth: usize) {
    let view = RecordView::new(raw);
    out.push(b'{');
    match view.distinct() {
        None => inspect_pairs(view.iter(), out, depth),
        Some(distinct) => inspect_pairs(distinct.into_iter(), out, depth),
    }
    out.push(b'}');
}

fn inspect_pairs<'a>(pairs: impl Iterator<Item = (&'a [u8], &'a [u8])>, out: &mut Vec<u8>, depth: usize) {
    for (index, (key, value)) in pairs.enumerate() {
        if index > 0 {
            out.extend_from_slice(b", ");
        }
        inspect(key, out, depth + 1);
        out.extend_from_slice(b"=>");
        inspect(value, out, depth + 1);
    }
}

/// Appends what Ruby's `inspect` gives for a string: quotes, escapes, `\x` for bytes that are no UTF-8, `\u` for characters
/// outside of ASCII, which count as unprintable since Fluentd runs its workers with `-Eascii-8bit:ascii-8bit`.
pub fn ruby_inspect_str(text: &[u8], out: &mut Vec<u8>) {
    out.push(b'"');
    for chunk in text.utf8_chunks() {
        let valid = chunk.valid();
        let mut characters = valid.chars().peekable();
        while let Some(character) = characters.next() {
            let next = characters.peek().copied();
            if escape_common(character, next, out) {
                continue;
            }
            if character.is_ascii_graphic() || character == ' ' {
                out.push(character as u8);
            } else if (character as u32) < 0x1_0000 {
                write(out, format_args!("\\u{:04X}", character as u32));
            } else {
                write(out, format_args!("\\u{{{:X}}}", character as u32));
            }
        }
        for byte in chunk.invalid() {
            write(out, format_args!("\\x{byte:02X}"));
        }
    }
    out.push(b'"');
}

fn inspect_bin(bytes: &[u8], out: &mut Vec<u8>) {
    out.push(b'"');
    for (at, &byte) in bytes.iter().enumerate() {
        let next = bytes.get(at + 1).map(|&next| char::from(next));
        if escape_common(char::from(byte), next, out) {
            continue;
        }
        if matches!(byte, b' '..=b'~') {
            out.push(byte);
        } else {
            write(out, format_args!("\\x{byte:02X}"));
        }
    }
    out.push(b'"');
}

/// Appends the escape of a character that has one of its own.
fn escape_common(character: char, next: Option<char>, out: &mut Vec<u8>) -> bool {
    let letter = match character {
        '"' | '\\' => character as u8,
        '#' if matches!(next, Some('{' | '$' | '@')) => b'#',
        '\n' => b'n',
        '\r' => b'r',
        '\t' => b't',
        '\x0c' => b'f',
        '\x0b' => b'v',
        '\x08' => b'b',
        '\x07' => b'a',
        '\x1b' => b'e',
        _ => return false,
    };
    out.extend_from_slice(&[b'\\', letter]);
    true
}

fn write(out: &mut Vec<u8>, text: std::fmt::Arguments<'_>) {
    // Writing to a Vec does not fail.
    let _ = out.write_fmt(text);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::msgpack::{write_bin, write_event_time, write_f64, write_str};

    fn inspected(write: impl Fn(&mut Vec<u8>)) -> String {
        let mut raw = Vec::new();
        write(&mut raw);
        let mut out = Vec::new();
        ruby_inspect(&raw, &mut out);
        String::from_utf8(out).unwrap()
    }

    /// As printed by Ruby 3.1 with the encodings of Fluentd's workers.
    #[test]
    fn strings() {
        for (text, expected) in [
            (&b"plain"[..], "plain"),
            (b"\x1b\x07\x08\x0b\x0c\n\r\t\0\x7f", r"\e\a\b\v\f\n\r\t\u0000\u007F"),
            (b"#{x} #$x #@x # #x \"\\", r#"\#{x} \#$x \#@x # #x \"\\"#),
            ("\u{200b} \u{1F600} \u{E000}".as_bytes(), r"\u200B \u{1F600} \uE000"),
            ("\u{10ffff}\u{fffe}\u{378}\u{86}".as_bytes(), r"\u{10FFFF}\uFFFE\u0378\u0086"),
            ("\u{85}\u{a0}é".as_bytes(), r"\u0085\u00A0\u00E9"),
            (b"a\xff\xc3\xa9\xe2\x82", r"a\xFF\u00E9\xE2\x82"),
            (b"a\xf0\x9f\x98", r"a\xF0\x9F\x98"),
            (b"\xed\xa0\x80\xc0\x80", r"\xED\xA0\x80\xC0\x80"),
        ] {
            assert_eq!(inspected(|out| write_str(out, text)), format!("\"{expected}\""));
        }
        assert_eq!(inspected(|out| write_bin(out, b"\xff\xc3\xa9#{\0")), r##""\xFF\xC3\xA9\#{\x00""##);
    }

    #[test]
    fn containers_and_times() {
        let raw = |out: &mut Vec<u8>| {
            out.extend_from_slice(&[0x83, 1, 0xc0, 0xa1, b'a']);
            write_f64(out, 1.0);
            out.extend_from_slice(&[0xc0, 0x93, 0xc3, 0x81, 0xa1, b'b', 0xff, 0x90]);
        };
        assert_eq!(inspected(raw), r#"{1=>nil, "a"=>1.0, nil=>[true, {"b"=>-1}, []]}"#);
        let time = EventTime { sec: 1_500_000_000, nsec: 123_456_789 };
        assert_eq!(inspected(|out| write_event_time(out, time)), "2017-07-14 02:40:00.123456789 +0000");
    }

    #[test]
    fn to_s_of_strings_and_nil() {
        let text = |raw: &[u8]| {
            let mut out = Vec::new();
            ruby_to_s(raw, &mut out);
            out
        };
        assert_eq!(text(&[0xc0]), b"");
        assert_eq!(text(b"\xa2a\xff"), b"a\xff");
        assert_eq!(text(&[0x91, 0xa1, b'a']), br#"["a"]"#);
        assert_eq!(text(&[0xd7, 0, 0, 0, 0, 5, 0, 0, 0, 1]), b"5");
    }
}
