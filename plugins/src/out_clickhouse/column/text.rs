//! `String` and `FixedString(n)`, which take any value: text and bytes as they are, numbers in decimal, containers
//! as JSON.

use super::json_text::{write_json, write_plain};
use super::number::one_stream;
use super::stream::{Sink, Stream, write_varint};
use super::{Column, Compression, Fault};
use crate::out_clickhouse::value_at::{read_at, text_at};
use logweir_engine::msgpack::ValueRef;

/// `String`: length (LEB128), bytes.
#[derive(Default)]
pub(crate) struct Strings {
    stream: Stream,
}

impl Column for Strings {
    #[inline]
    fn push(&mut self, value: &ValueRef<'_>) -> Result<(), Fault> {
        let raw = &mut self.stream.raw;
        match *value {
            ValueRef::Str(text) | ValueRef::Bin(text) => {
                put_text(raw, text);
                Ok(())
            }
            ValueRef::Nil => {
                raw.push(0);
                Ok(())
            }
            _ => put_with_length(raw, |raw| written(value, raw)),
        }
    }

    #[inline]
    fn push_at(&mut self, bytes: &[u8], at: usize) -> Result<usize, Fault> {
        if let Some((text, end)) = text_at(bytes, at) {
            put_text(&mut self.stream.raw, text);
            return Ok(end);
        }
        // A container's end is found while its text is written.
        if matches!(bytes.get(at), Some(0x80..=0x9f | 0xdc..=0xdf)) {
            return put_with_length(&mut self.stream.raw, |raw| write_json(bytes, at, raw));
        }
        let (value, end) = read_at(bytes, at).ok_or(Fault::Unstorable)?;
        self.push(&value)?;
        Ok(end)
    }

    #[inline]
    fn push_default(&mut self) {
        self.stream.raw.push(0);
    }

    one_stream!();
}

/// `FixedString(n)`: n bytes, shorter text filled up with zero bytes.
pub(crate) struct FixedStrings {
    stream: Stream,
    length: usize,
}

impl FixedStrings {
    /// Of `length` bytes.
    pub(crate) fn new(length: usize) -> Self {
        Self { stream: Stream::default(), length }
    }
}

impl Column for FixedStrings {
    fn push(&mut self, value: &ValueRef<'_>) -> Result<(), Fault> {
        let raw = &mut self.stream.raw;
        let end = raw.len() + self.length;
        written(value, raw)?;
        if raw.len() > end {
            return Err(Fault::TooLong);
        }
        raw.resize(end, 0);
        Ok(())
    }

    fn push_default(&mut self) {
        let raw = &mut self.stream.raw;
        raw.resize(raw.len() + self.length, 0);
    }

    one_stream!();
}

/// Appends a text with its length.
#[inline]
pub(crate) fn put_text(raw: &mut Vec<u8>, text: &[u8]) {
    if text.len() < 0x80 {
        raw.push(text.len() as u8);
    } else {
        write_varint(raw, text.len() as u64);
    }
    raw.extend_from_slice(text);
}

/// Appends what `write` appends, with its length in front; answers what `write` answers.
pub(crate) fn put_with_length<T>(
    raw: &mut Vec<u8>,
    write: impl FnOnce(&mut Vec<u8>) -> Result<T, Fault>,
) -> Result<T, Fault> {
    let start = raw.len();
    // Most are shorter than 16 KiB: room for a length of two bytes, and what follows is moved if that was wrong.
    raw.extend_from_slice(&[0, 0]);
    let written = write(raw)?;
    let length = raw.len() - start - 2;
    if length < 0x80 {
        raw[start] = length as u8;
        raw.copy_within(start + 2.., start + 1);
        raw.pop();
    } else if length < 0x4000 {
        raw[start] = length as u8 | 0x80;
        raw[start + 1] = (length >> 7) as u8;
    } else {
        let mut head = Vec::new();
        write_varint(&mut head, length as u64);
        raw.splice(start..start + 2, head);
    }
    Ok(written)
}

/// Appends the text of any value.
fn written(value: &ValueRef<'_>, raw: &mut Vec<u8>) -> Result<(), Fault> {
    match *value {
        ValueRef::Map(container) | ValueRef::Array(container) => write_json(container, 0, raw).map(|_| ()),
        _ => write_plain(value, raw),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn string(value: ValueRef<'_>) -> Result<Vec<u8>, Fault> {
        let mut column = Strings::default();
        column.push(&value)?;
        Ok(column.stream.raw)
    }

    #[test]
    fn anything_becomes_text() {
        assert_eq!(string(ValueRef::Str(b"abc")), Ok(b"\x03abc".to_vec()));
        assert_eq!(string(ValueRef::Bin(b"\xff")), Ok(b"\x01\xff".to_vec()));
        assert_eq!(string(ValueRef::Int(-12)), Ok(b"\x03-12".to_vec()));
        assert_eq!(string(ValueRef::F64(1.0)), Ok(b"\x031.0".to_vec()));
        assert_eq!(string(ValueRef::F64(f64::NAN)), Ok(b"\x03nan".to_vec()));
        assert_eq!(string(ValueRef::Bool(true)), Ok(b"\x04true".to_vec()));
        assert_eq!(string(ValueRef::Nil), Ok(b"\x00".to_vec()));
        assert_eq!(string(ValueRef::Map(&[0x81, 0xa1, b'a', 0x91, 0x01])), Ok(b"\x09{\"a\":[1]}".to_vec()));
        assert_eq!(string(ValueRef::Ext(9, b"x")), Err(Fault::Unstorable));
    }

    #[test]
    fn lengths_of_one_two_and_three_bytes() {
        for length in [0usize, 1, 123, 124, 125, 300, 16_379, 16_380, 16_381, 100_000] {
            let mut raw = b"before".to_vec();
            put_with_length(&mut raw, |raw| {
                raw.resize(raw.len() + length, b'x');
                Ok(())
            })
            .unwrap();
            let mut expected = b"before".to_vec();
            put_text(&mut expected, &vec![b'x'; length]);
            assert!(raw == expected, "{length}");
        }
    }

    #[test]
    fn fixed_strings_are_filled_up() {
        let mut column = FixedStrings::new(4);
        column.push(&ValueRef::Str(b"ab")).unwrap();
        column.push(&ValueRef::Int(1234)).unwrap();
        column.push_default();
        assert_eq!(column.stream.raw, b"ab\0\x001234\0\0\0\0");
        column.checkpoint();
        assert_eq!(column.push(&ValueRef::Str(b"abcde")), Err(Fault::TooLong));
        column.rollback();
        assert_eq!(column.stream.raw.len(), 12);
    }
}
