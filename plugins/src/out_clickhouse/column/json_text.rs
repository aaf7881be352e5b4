//! MessagePack as JSON text that every JSON parser takes: for String columns that receive containers, and for JSON
//! columns. Other than the formatters, which write what Ruby writes, it never gives text that ClickHouse's JSON functions
//! refuse: bytes that are no UTF-8 become U+FFFD, NaN and infinities null.

use super::Fault;
use crate::out_clickhouse::value_at::{read_at, text_at};
use logweir_engine::event::EventTime;
use logweir_engine::msgpack::{BIG_INT_EXT, DEPTH_MAX, Reader, ValueRef};
use std::io::Write;

/// Appends the JSON text of the value at a place in MessagePack, answers where it ends.
pub(crate) fn write_json(bytes: &[u8], at: usize, out: &mut Vec<u8>) -> Result<usize, Fault> {
    value(bytes, at, out, 0)
}

fn value(bytes: &[u8], at: usize, out: &mut Vec<u8>, depth: usize) -> Result<usize, Fault> {
    if let Some((text, end)) = text_at(bytes, at) {
        write_text(text, out);
        return Ok(end);
    }
    match *bytes.get(at).ok_or(Fault::Unstorable)? {
        marker @ 0x80..=0x8f => map(bytes, at + 1, usize::from(marker & 0x0f), out, depth),
        marker @ 0x90..=0x9f => array(bytes, at + 1, usize::from(marker & 0x0f), out, depth),
        small @ 0x00..=0x7f => {
            write_int(i64::from(small), out);
            Ok(at + 1)
        }
        marker @ 0xdc..=0xdf => {
            let mut reader = Reader::new(&bytes[at..]);
            if marker < 0xde {
                let length = reader.read_array_len().map_err(|_| Fault::Unstorable)?;
                array(bytes, at + reader.position(), length, out, depth)
            } else {
                let pairs = reader.read_map_len().map_err(|_| Fault::Unstorable)?;
                map(bytes, at + reader.position(), pairs, out, depth)
            }
        }
        _ => {
            let (scalar, end) = read_at(bytes, at).ok_or(Fault::Unstorable)?;
            write_scalar(&scalar, out)?;
            Ok(end)
        }
    }
}

fn map(bytes: &[u8], mut at: usize, pairs: usize, out: &mut Vec<u8>, depth: usize) -> Result<usize, Fault> {
    if depth > DEPTH_MAX {
        return Err(Fault::TooDeep);
    }
    out.push(b'{');
    for index in 0..pairs {
        if index > 0 {
            out.push(b',');
        }
        at = key(bytes, at, out)?;
        out.push(b':');
        at = value(bytes, at, out, depth + 1)?;
    }
    out.push(b'}');
    Ok(at)
}

fn array(
    bytes: &[u8],
    mut at: usize,
    length: usize,
    out: &mut Vec<u8>,
    depth: usize,
) -> Result<usize, Fault> {
    if depth > DEPTH_MAX {
        return Err(Fault::TooDeep);
    }
    out.push(b'[');
    for index in 0..length {
        if index > 0 {
            out.push(b',');
        }
        at = value(bytes, at, out, depth + 1)?;
    }
    out.push(b']');
    Ok(at)
}

/// Appends a value that is no container.
fn write_scalar(value: &ValueRef<'_>, out: &mut Vec<u8>) -> Result<(), Fault> {
    match *value {
        ValueRef::Str(text) | ValueRef::Bin(text) => write_text(text, out),
        ValueRef::F64(number) if !number.is_finite() => out.extend_from_slice(b"null"),
        ValueRef::F32(number) if !number.is_finite() => out.extend_from_slice(b"null"),
        ValueRef::Nil => out.extend_from_slice(b"null"),
        ValueRef::Ext(0, _) => {
            out.push(b'"');
            write_plain(value, out)?;
            out.push(b'"');
        }
        _ => write_plain(value, out)?,
    }
    Ok(())
}

/// Appends a scalar as a String column shows it: text as it is, numbers in decimal.
pub(crate) fn write_plain(value: &ValueRef<'_>, out: &mut Vec<u8>) -> Result<(), Fault> {
    // Writing to a Vec cannot fail.
    let _ = match *value {
        ValueRef::Str(text) | ValueRef::Bin(text) => out.write_all(text),
        ValueRef::Int(number) => {
            write_int(number, out);
            Ok(())
        }
        ValueRef::UInt(number) => write!(out, "{number}"),
        ValueRef::F64(number) => write_float(number, out),
        ValueRef::F32(number) if number.is_finite() => write!(out, "{number:?}"),
        ValueRef::F32(number) => write_float(number.into(), out),
        ValueRef::Bool(truth) => write!(out, "{truth}"),
        ValueRef::Nil => Ok(()),
        ValueRef::Ext(BIG_INT_EXT, digits) if is_integer(digits) => out.write_all(digits),
        ValueRef::Ext(0, payload) => match event_time(payload) {
            Some(time) => write_time(time, out),
            None => return Err(Fault::Unstorable),
        },
        _ => return Err(Fault::Unstorable),
    };
    Ok(())
}

/// The EventTime in an extension value's payload.
pub(crate) fn event_time(payload: &[u8]) -> Option<EventTime> {
    let both = u64::from_be_bytes(payload.try_into().ok()?);
    let (sec, nsec) = ((both >> 32) as u32, both as u32);
    (nsec < 1_000_000_000).then_some(EventTime { sec: i64::from(sec), nsec })
}

/// Appends a JSON string.
#[inline]
pub(crate) fn write_text(text: &[u8], out: &mut Vec<u8>) {
    out.push(b'"');
    if is_plain(text) {
        out.extend_from_slice(text);
    } else {
        write_escaped(text, out);
    }
    out.push(b'"');
}

fn key(bytes: &[u8], at: usize, out: &mut Vec<u8>) -> Result<usize, Fault> {
    if let Some((name, end)) = text_at(bytes, at) {
        write_text(name, out);
        return Ok(end);
    }
    let (name, end) = read_at(bytes, at).ok_or(Fault::Unstorable)?;
    match name {
        ValueRef::Str(name) | ValueRef::Bin(name) => write_text(name, out),
        ValueRef::Nil => out.extend_from_slice(b"\"\""),
        ValueRef::Array(_) | ValueRef::Map(_) => return Err(Fault::Unstorable),
        scalar => {
            out.push(b'"');
            write_plain(&scalar, out)?;
            out.push(b'"');
        }
    }
    Ok(end)
}

/// Whether all bytes stand for themselves in a JSON string: printable ASCII but `"` and `\`. Eight at a time.
#[inline]
fn is_plain(text: &[u8]) -> bool {
    let mut words = text.chunks_exact(8);
    let special = (&mut words).fold(0, |special, word| {
        special | special_bytes(word.first_chunk().map_or(0, |word| u64::from_le_bytes(*word)))
    });
    if special != 0 {
        return false;
    }
    let rest = words.remainder();
    match text.last_chunk::<8>() {
        // The last eight bytes overlap what has been looked at.
        Some(word) => special_bytes(u64::from_le_bytes(*word)) == 0,
        None => rest.iter().all(|byte| (0x20..0x80).contains(byte) && !matches!(byte, b'"' | b'\\')),
    }
}

/// Not zero if one of the eight bytes is special. (Which one cannot be told: a borrow may set higher bits.)
#[inline]
fn special_bytes(word: u64) -> u64 {
    const ONES: u64 = 0x0101_0101_0101_0101;
    const HIGH: u64 = 0x8080_8080_8080_8080;
    let zero_byte = |word: u64| word.wrapping_sub(ONES) & !word;
    let control = word.wrapping_sub(ONES * 0x20);
    let quote = zero_byte(word ^ (ONES * b'"' as u64));
    let backslash = zero_byte(word ^ (ONES * b'\\' as u64));
    (word | control | quote | backslash) & HIGH
}

#[cold]
fn write_escaped(text: &[u8], out: &mut Vec<u8>) {
    for chunk in text.utf8_chunks() {
        let mut rest = chunk.valid().as_bytes();
        while !rest.is_empty() {
            let plain = rest.iter().position(|byte| *byte < 0x20 || matches!(byte, b'"' | b'\\'));
            let (head, tail) = rest.split_at(plain.unwrap_or(rest.len()));
            out.extend_from_slice(head);
            let Some((special, tail)) = tail.split_first() else { break };
            match special {
                b'"' => out.extend_from_slice(b"\\\""),
                b'\\' => out.extend_from_slice(b"\\\\"),
                b'\n' => out.extend_from_slice(b"\\n"),
                b'\r' => out.extend_from_slice(b"\\r"),
                b'\t' => out.extend_from_slice(b"\\t"),
                control => {
                    let _ = write!(out, "\\u{control:04x}");
                }
            }
            rest = tail;
        }
        if !chunk.invalid().is_empty() {
            out.extend_from_slice("\u{fffd}".as_bytes());
        }
    }
}

fn write_int(number: i64, out: &mut Vec<u8>) {
    let mut digits = [0u8; 20];
    let mut at = digits.len();
    let mut rest = number.unsigned_abs();
    loop {
        at -= 1;
        digits[at] = b'0' + (rest % 10) as u8;
        rest /= 10;
        if rest == 0 {
            break;
        }
    }
    if number < 0 {
        out.push(b'-');
    }
    out.extend_from_slice(&digits[at..]);
}

/// The fewest digits that read back as the same number; a point or an exponent always.
fn write_float(number: f64, out: &mut Vec<u8>) -> std::io::Result<()> {
    if number.is_nan() {
        out.write_all(b"nan")
    } else if number.is_infinite() {
        out.write_all(if number > 0.0 { b"inf" } else { b"-inf" })
    } else {
        write!(out, "{number:?}")
    }
}

fn write_time(time: EventTime, out: &mut Vec<u8>) -> std::io::Result<()> {
    match jiff::Timestamp::new(time.sec, time.nsec as i32) {
        Ok(stamp) => write!(out, "{}.{:09}", stamp.strftime("%Y-%m-%d %H:%M:%S"), time.nsec),
        Err(_) => write!(out, "{}.{:09}", time.sec, time.nsec),
    }
}

fn is_integer(digits: &[u8]) -> bool {
    let digits = digits.strip_prefix(b"-").unwrap_or(digits);
    !digits.is_empty() && digits.iter().all(u8::is_ascii_digit)
}

#[cfg(test)]
mod tests {
    use super::*;
    use logweir_engine::msgpack::{write_ext, write_f64, write_map_len, write_nil, write_str};
    use proptest::prelude::*;

    fn json(raw: &[u8]) -> Result<String, Fault> {
        let mut out = Vec::new();
        write_json(raw, 0, &mut out)?;
        Ok(String::from_utf8(out).unwrap())
    }

    #[test]
    fn containers_and_scalars() {
        let raw = rmp_serde::to_vec(&serde_json::json!({
            "a": [1, -2, 18446744073709551615u64, 1.5, 1e300, true, null, {}], "é\n\"\\\u{1}": "x\ty"
        }));
        let expected = r#"{"a":[1,-2,18446744073709551615,1.5,1e300,true,null,{}],"é\n\"\\\u0001":"x\ty"}"#;
        assert_eq!(json(&raw.unwrap()).unwrap(), expected);
    }

    #[test]
    fn what_json_lacks_is_replaced() {
        let mut raw = Vec::new();
        write_map_len(&mut raw, 5);
        write_str(&mut raw, b"bad \xff utf8");
        write_f64(&mut raw, f64::NAN);
        raw.push(7);
        write_ext(&mut raw, BIG_INT_EXT, b"-123456789012345678901234567890");
        write_nil(&mut raw);
        write_ext(&mut raw, 0, &[0, 0, 0, 1, 0, 0, 0, 2]);
        write_str(&mut raw, b"c");
        raw.extend_from_slice(&[0xca, 0x3d, 0xcc, 0xcc, 0xcd]);
        write_str(&mut raw, b"d");
        write_f64(&mut raw, f64::INFINITY);
        assert_eq!(
            json(&raw).unwrap(),
            "{\"bad \u{fffd} utf8\":null,\"7\":-123456789012345678901234567890,\
             \"\":\"1970-01-01 00:00:01.000000002\",\"c\":0.1,\"d\":null}"
        );
        assert_eq!(json(&[0xc7, 1, 5, 0]), Err(Fault::Unstorable));
        assert_eq!(json(&[0x92, 1]), Err(Fault::Unstorable));
        assert_eq!(json(&[0x91; 200]), Err(Fault::TooDeep));
    }

    proptest! {
        #[test]
        fn any_bytes_become_the_same_text_in_json(bytes in proptest::collection::vec(any::<u8>(), 0..40)) {
            let mut out = Vec::new();
            write_text(&bytes, &mut out);
            let read: String = serde_json::from_slice(&out).unwrap();
            prop_assert_eq!(read, String::from_utf8_lossy(&bytes));
        }
    }
}
