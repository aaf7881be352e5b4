//! One entry of the journal as a record.
//!
//! Of a field that an entry has several times the last value counts, as with the original. Names are strings; so are values
//! that are UTF-8, others are byte arrays.

use super::library::Journal;
use crate::systemd_entry::Mutator;
use bumpalo::Bump;
use logweir_engine::event::EventTime;
use logweir_engine::msgpack::{Record, write_bin, write_event_time, write_map_len, write_str};
use std::io;
use std::ops::Range;

/// A longer value is cut. Core dumps in the journal are as large as the memory of the process that crashed.
pub(super) const FIELD_BYTES_MAX: usize = 4 << 20;
/// Fields that would make an entry larger than this are left out.
pub(super) const ENTRY_BYTES_MAX: usize = 16 << 20;

/// Reads entries; keeps its memory from one to the next.
pub(super) struct Entries {
    mutator: Mutator,
    bytes: Vec<u8>,
    fields: Vec<(Range<usize>, Range<usize>)>,
    raw: Vec<u8>,
    arena: Bump,
}

/// What of an entry is missing in its record.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Missing {
    /// Values that were cut.
    pub(super) cut: usize,
    /// Fields that were left out.
    pub(super) left_out: usize,
}

impl Entries {
    pub(super) fn new(mutator: Mutator) -> Self {
        Self { mutator, bytes: Vec::new(), fields: Vec::new(), raw: Vec::new(), arena: Bump::new() }
    }

    /// Appends the entry that `journal` is at to `out`, as `[time, record]`.
    pub(super) fn read(&mut self, journal: &mut Journal, out: &mut Vec<u8>) -> io::Result<Missing> {
        let usec = journal.realtime_usec()?;
        self.clear();
        let mut missing = Missing::default();
        journal.fields(|field| self.add(field, &mut missing))?;
        out.push(0x92);
        write_event_time(out, time(usec));
        self.write(out);
        Ok(missing)
    }

    fn clear(&mut self) {
        self.bytes.clear();
        self.fields.clear();
        if self.bytes.capacity() > KEPT_BYTES_MAX {
            self.bytes = Vec::new();
        }
    }

    /// Takes a `FIELD=value`.
    fn add(&mut self, field: &[u8], missing: &mut Missing) {
        let Some(split) = memchr::memchr(b'=', field) else { return };
        let (name, mut value) = (&field[..split], &field[split + 1..]);
        if value.len() > FIELD_BYTES_MAX {
            value = cut(value);
            missing.cut += 1;
        }
        if self.bytes.len() + name.len() + value.len() > ENTRY_BYTES_MAX {
            missing.left_out += 1;
            return;
        }
        let start = self.bytes.len();
        self.bytes.extend_from_slice(name);
        self.bytes.extend_from_slice(value);
        let value = start + name.len()..self.bytes.len();
        match self.fields.iter_mut().find(|(known, _)| self.bytes[known.clone()] == *name) {
            Some((_, known)) => *known = value,
            None => self.fields.push((start..start + name.len(), value)),
        }
    }

    fn write(&mut self, out: &mut Vec<u8>) {
        if self.mutator.is_idle() {
            return write_fields(&self.fields, &self.bytes, out);
        }
        self.raw.clear();
        write_fields(&self.fields, &self.bytes, &mut self.raw);
        self.arena.reset();
        match Record::decode(&self.raw, &self.arena) {
            Ok(mut record) => {
                self.mutator.change(&mut record);
                record.encode(out);
            }
            // Never of what was just written; as it is, then.
            Err(_) => out.extend_from_slice(&self.raw),
        }
    }
}

/// Memory that is kept for the next entry.
const KEPT_BYTES_MAX: usize = 1 << 20;

fn write_fields(fields: &[(Range<usize>, Range<usize>)], bytes: &[u8], out: &mut Vec<u8>) {
    write_map_len(out, fields.len());
    for (name, value) in fields {
        write_str(out, &bytes[name.clone()]);
        let value = &bytes[value.clone()];
        match std::str::from_utf8(value) {
            Ok(_) => write_str(out, value),
            Err(_) => write_bin(out, value),
        }
    }
}

/// The first bytes of a value, which do not end within a character.
fn cut(value: &[u8]) -> &[u8] {
    let head = &value[..FIELD_BYTES_MAX];
    match std::str::from_utf8(head) {
        Err(error) if error.error_len().is_none() => &head[..error.valid_up_to()],
        _ => head,
    }
}

fn time(usec: u64) -> EventTime {
    let sec = i64::try_from(usec / 1_000_000).unwrap_or(i64::MAX);
    EventTime { sec, nsec: (usec % 1_000_000) as u32 * 1000 }
}

#[cfg(test)]
mod tests {
    use super::*;
    use logweir_engine::json::{self, JsonStyle};

    fn record(fields: &[&[u8]]) -> (String, Missing) {
        let mut entries = Entries::new(Mutator::default().stripping_underscores());
        let mut missing = Missing::default();
        fields.iter().for_each(|field| entries.add(field, &mut missing));
        let (mut out, mut text) = (Vec::new(), Vec::new());
        entries.write(&mut out);
        json::from_msgpack(&out, &mut text, JsonStyle::Oj).unwrap();
        (String::from_utf8_lossy(&text).into_owned(), missing)
    }

    #[test]
    fn the_last_value_of_a_field_counts_at_the_first_place() {
        let (text, missing) = record(&[b"_A=1", b"B=x=y", b"A_=", b"no field", b"B=z", b"__C=3"]);
        assert_eq!(text, r#"{"A":"1","B":"z","A_":"","C":"3"}"#);
        assert_eq!(missing, Missing::default());
    }

    #[test]
    fn values_that_are_no_text_are_byte_arrays() {
        let mut entries = Entries::new(Mutator::default());
        entries.add(b"D=\xff\0", &mut Missing::default());
        let mut out = Vec::new();
        entries.write(&mut out);
        assert_eq!(out, b"\x81\xa1D\xc4\x02\xff\0");
    }

    #[test]
    fn what_is_too_large_is_cut_and_left_out() {
        let long = [b"L=".to_vec(), "é".repeat(FIELD_BYTES_MAX).into_bytes()].concat();
        let (text, missing) = record(&[b"A=1", &long]);
        assert_eq!(
            (text.len(), missing),
            (FIELD_BYTES_MAX + r#"{"A":"1","L":""}"#.len(), Missing { cut: 1, left_out: 0 })
        );
        let odd = [b"L=x".to_vec(), "é".repeat(FIELD_BYTES_MAX).into_bytes()].concat();
        assert_eq!(cut(&odd[2..]).len(), FIELD_BYTES_MAX - 1, "not within a character");
        let many: Vec<Vec<u8>> =
            (0..6).map(|n| [format!("F{n}=").into_bytes(), vec![b'x'; FIELD_BYTES_MAX]].concat()).collect();
        let many: Vec<&[u8]> = many.iter().map(Vec::as_slice).collect();
        let (text, missing) = record(&many);
        assert!(text.len() < ENTRY_BYTES_MAX && missing == Missing { cut: 0, left_out: 3 }, "{missing:?}");
    }

    #[test]
    fn times_are_in_microseconds() {
        assert_eq!(time(1_700_000_000_123_456), EventTime { sec: 1_700_000_000, nsec: 123_456_000 });
    }
}
