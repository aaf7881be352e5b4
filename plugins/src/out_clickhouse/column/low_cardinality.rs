//! `LowCardinality(T)`: a dictionary for the block and each row's position in it.
//!
//! ```text
//! prefix   version:u64 = 1
//! data     flags:u64 = width of positions (0: 1, 1: 2, 2: 4 bytes) | 0x200 own keys | 0x400 replace dictionary
//!          keys:u64, the keys as a column of T without Nullable
//!          rows:u64, positions
//! ```
//!
//! The first key is T's default, and stands for NULL if T is Nullable. A column without rows has no data.

use super::stream::{Sink, Stream};
use super::{Column, ColumnContext, Compression, Fault, build};
use crate::out_clickhouse::type_name::Type;
use logweir_engine::msgpack::ValueRef;
use std::collections::HashMap;

/// Slots of the cache in front of the hash map.
const CACHE_SLOTS: usize = 256;
const NO_KEY: u32 = u32::MAX;

/// See the module.
pub(crate) struct Dictionary {
    nullable: bool,
    /// Turns one value at a time into bytes.
    encoder: Box<dyn Column>,
    /// The distinct values' bytes, one after the other.
    keys: Stream,
    /// Where each key ends in `keys`.
    ends: Vec<usize>,
    positions_by_key: HashMap<Box<[u8]>, u32>,
    cache: Box<[u32; CACHE_SLOTS]>,
    rows: Vec<u32>,
    mark: usize,
}

impl Dictionary {
    /// An empty column; `inner` is T.
    pub(crate) fn new(inner: &Type, context: &ColumnContext) -> Self {
        let (nullable, inner) = match inner {
            Type::Nullable(inner) => (true, &**inner),
            inner => (false, inner),
        };
        let mut column = Self {
            nullable,
            encoder: build(inner, context),
            keys: Stream::default(),
            ends: Vec::new(),
            positions_by_key: HashMap::new(),
            cache: Box::new([NO_KEY; CACHE_SLOTS]),
            rows: Vec::new(),
            mark: 0,
        };
        column.reset();
        column
    }

    fn reset(&mut self) {
        self.keys.raw.clear();
        self.ends.clear();
        self.positions_by_key.clear();
        self.cache.fill(NO_KEY);
        self.rows.clear();
        self.mark = 0;
        self.encoder.push_default();
        let default = take_encoded(&mut *self.encoder);
        self.add(&default);
        if self.nullable {
            self.positions_by_key.clear();
        }
    }

    fn add(&mut self, key: &[u8]) -> u32 {
        let position = self.ends.len() as u32;
        self.keys.raw.extend_from_slice(key);
        self.ends.push(self.keys.raw.len());
        self.positions_by_key.insert(key.into(), position);
        position
    }

    fn key(&self, position: u32) -> &[u8] {
        let index = position as usize;
        let start = if index == 0 { 0 } else { self.ends[index - 1] };
        &self.keys.raw[start..self.ends[index]]
    }

    fn position(&mut self, key: &[u8]) -> u32 {
        let slot = slot(key);
        let cached = self.cache[slot];
        if cached != NO_KEY && self.key(cached) == key {
            return cached;
        }
        let position = match self.positions_by_key.get(key) {
            Some(position) => *position,
            None => self.add(key),
        };
        self.cache[slot] = position;
        position
    }
}

impl Column for Dictionary {
    fn push(&mut self, value: &ValueRef<'_>) -> Result<(), Fault> {
        if *value == ValueRef::Nil {
            self.push_default();
            return Ok(());
        }
        match self.encoder.push(value) {
            Ok(()) => {}
            Err(_) if self.nullable && matches!(value, ValueRef::Str(b"")) => {
                take_encoded(&mut *self.encoder);
                self.push_default();
                return Ok(());
            }
            Err(fault) => {
                take_encoded(&mut *self.encoder);
                return Err(fault);
            }
        }
        let mut encoded = take_encoded(&mut *self.encoder);
        let position = self.position(&encoded);
        self.rows.push(position);
        // The buffer goes back, so that nothing is allocated for a value.
        encoded.clear();
        if let Some(stream) = self.encoder.single_stream() {
            stream.raw = encoded;
        }
        Ok(())
    }

    fn push_default(&mut self) {
        self.rows.push(0);
    }

    fn checkpoint(&mut self) {
        self.mark = self.rows.len();
    }

    fn rollback(&mut self) {
        self.rows.truncate(self.mark);
    }

    fn seal(&mut self, _compression: Compression) {}

    fn write_prefix(&self, sink: &mut Sink) {
        sink.write_u64(1);
    }

    fn finish(&mut self, sink: &mut Sink) {
        if self.rows.is_empty() {
            return;
        }
        let width = match self.ends.len() {
            0..=0x100 => 0,
            0x101..=0x1_0000 => 1,
            _ => 2u64,
        };
        sink.write_u64(width | 0x200 | 0x400);
        sink.write_u64(self.ends.len() as u64);
        sink.write(&self.keys.raw);
        sink.write_u64(self.rows.len() as u64);
        let mut positions = Vec::with_capacity(self.rows.len() << width);
        match width {
            0 => positions.extend(self.rows.iter().map(|row| *row as u8)),
            1 => positions.extend(self.rows.iter().flat_map(|row| (*row as u16).to_le_bytes())),
            _ => positions.extend(self.rows.iter().flat_map(|row| row.to_le_bytes())),
        }
        sink.write(&positions);
        self.reset();
    }
}

/// Takes the bytes of the value that was just encoded.
fn take_encoded(encoder: &mut dyn Column) -> Vec<u8> {
    encoder.single_stream().map(|stream| std::mem::take(&mut stream.raw)).unwrap_or_default()
}

/// A cheap hash over length, head and tail: collisions only cost a look into the map.
fn slot(key: &[u8]) -> usize {
    let word = |bytes: &[u8]| {
        let mut word = [0; 8];
        let length = bytes.len().min(8);
        word[..length].copy_from_slice(&bytes[..length]);
        u64::from_le_bytes(word)
    };
    let mixed = word(key) ^ word(&key[key.len().saturating_sub(8)..]).rotate_left(23) ^ key.len() as u64;
    (mixed.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 56) as usize % CACHE_SLOTS
}

#[cfg(test)]
mod tests {
    use super::*;
    use jiff::tz::TimeZone;

    fn column(inner: &Type) -> Dictionary {
        Dictionary::new(inner, &ColumnContext { zone: TimeZone::UTC })
    }

    fn finished(column: &mut Dictionary) -> Vec<u8> {
        let mut sink = Sink::new(Compression::None);
        column.finish(&mut sink);
        sink.into_body().concat()
    }

    #[test]
    fn values_are_positions_in_a_dictionary() {
        let mut column = column(&Type::String);
        for text in ["a", "", "b", "a"] {
            column.push(&ValueRef::Str(text.as_bytes())).unwrap();
        }
        column.checkpoint();
        column.push(&ValueRef::Str(b"gone")).unwrap();
        column.rollback();
        let mut expected = Vec::new();
        expected.extend_from_slice(&0x600u64.to_le_bytes());
        expected.extend_from_slice(&4u64.to_le_bytes());
        expected.extend_from_slice(b"\0\x01a\x01b\x04gone");
        expected.extend_from_slice(&4u64.to_le_bytes());
        expected.extend_from_slice(&[1, 0, 2, 1]);
        assert_eq!(finished(&mut column), expected);
        assert_eq!(finished(&mut column), b"");
    }

    #[test]
    fn null_is_not_the_empty_text() {
        let mut column = column(&Type::Nullable(Box::new(Type::String)));
        for value in [ValueRef::Nil, ValueRef::Str(b""), ValueRef::Nil] {
            column.push(&value).unwrap();
        }
        assert_eq!(column.rows, [0, 1, 0]);
        let mut numbers = super::Dictionary::new(
            &Type::Nullable(Box::new(Type::Int { width: 2, signed: false })),
            &ColumnContext { zone: TimeZone::UTC },
        );
        numbers.push(&ValueRef::Str(b"")).unwrap();
        numbers.push(&ValueRef::Int(7)).unwrap();
        assert_eq!(numbers.push(&ValueRef::Str(b"x")), Err(Fault::NotNumber));
        assert_eq!(numbers.rows, [0, 1]);
    }

    #[test]
    fn positions_grow_with_the_dictionary() {
        for (distinct, width) in [(255u32, 0), (256, 1), (65_535, 1), (65_536, 2)] {
            let mut column = column(&Type::String);
            for number in 0..distinct {
                column.push(&ValueRef::Int(number.into())).unwrap();
            }
            assert_eq!(finished(&mut column)[0], width, "{distinct}");
        }
    }
}
