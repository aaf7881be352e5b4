//! Edits of a record's top-level fields, bytes to bytes.
//!
//! A splicer is compiled once and copies runs of untouched fields as they are. Its result is that of Ruby's Hash: a key
//! that exists keeps its place when it is set, a new one goes last, and a key that was dropped and then set goes last.

use bumpalo::Bump;
use smallvec::SmallVec;

use super::marker::{Class, Head, MARKERS, head};
use super::record::Record;
use super::skip::skip_scanned;
use super::value::Value;
use super::view::key_name;
use super::write::{map_header, write_str};

/// Edits of top-level fields, in the order in which they were added.
#[derive(Clone, Debug, Default)]
pub struct Splicer {
    stages: Vec<Stage>,
}

/// Edits that one pass over a record can do.
#[derive(Clone, Debug, Default)]
struct Stage {
    /// Only these fields of the record, in this order.
    keep: Option<Vec<Box<[u8]>>>,
    /// At most one for a key; those that append do it in this order.
    edits: Vec<Edit>,
    /// Bit `n % 64` is set if an edit has a key of `n` bytes.
    lengths: u64,
}

#[derive(Clone, Debug)]
struct Edit {
    key: Box<[u8]>,
    action: Action,
}

#[derive(Clone, Debug)]
enum Action {
    /// The field goes.
    Drop,
    /// The value is replaced at its place, or the field is appended.
    Set(Pair),
    /// The field goes, and is appended with a new value.
    Move(Pair),
}

/// An encoded key and value.
#[derive(Clone, Debug)]
struct Pair {
    raw: Box<[u8]>,
    value_at: usize,
}

impl Splicer {
    /// No edits.
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets field `key` to a raw value.
    pub fn set(mut self, key: &[u8], value: &[u8]) -> Self {
        let mut raw = Vec::with_capacity(key.len() + value.len() + 5);
        write_str(&mut raw, key);
        let value_at = raw.len();
        raw.extend_from_slice(value);
        let pair = Pair { raw: raw.into(), value_at };
        let stage = self.last_stage();
        match stage.edits.iter().position(|edit| *edit.key == *key) {
            None => stage.edits.push(Edit { key: key.into(), action: Action::Set(pair) }),
            Some(at) => match &mut stage.edits[at].action {
                Action::Set(old) | Action::Move(old) => *old = pair,
                Action::Drop => {
                    stage.edits.remove(at);
                    stage.edits.push(Edit { key: key.into(), action: Action::Move(pair) });
                }
            },
        }
        stage.index();
        self
    }

    /// Drops field `key`.
    pub fn drop(mut self, key: &[u8]) -> Self {
        let stage = self.last_stage();
        stage.edits.retain(|edit| *edit.key != *key);
        stage.edits.push(Edit { key: key.into(), action: Action::Drop });
        stage.index();
        self
    }

    /// Drops every field but `keys`, which take the order given here. Without keys, drops all.
    pub fn keep<K: AsRef<[u8]>>(mut self, keys: &[K]) -> Self {
        let mut distinct: Vec<Box<[u8]>> = Vec::new();
        for key in keys {
            if !distinct.iter().any(|known| **known == *key.as_ref()) {
                distinct.push(key.as_ref().into());
            }
        }
        self.stages.push(Stage { keep: Some(distinct), ..Stage::default() });
        self
    }

    /// These edits, then those of `next`.
    pub fn then(mut self, next: Self) -> Self {
        for stage in next.stages {
            if stage.keep.is_some() || self.stages.is_empty() {
                self.stages.push(stage);
                continue;
            }
            for edit in stage.edits {
                self = match edit.action {
                    Action::Drop => self.drop(&edit.key),
                    Action::Set(pair) => self.set(&edit.key, pair.value()),
                    Action::Move(pair) => self.drop(&edit.key).set(&edit.key, pair.value()),
                };
            }
        }
        self
    }

    /// Whether it changes nothing.
    pub fn is_empty(&self) -> bool {
        self.stages.is_empty()
    }

    /// Appends the edited form of a raw record that has been scanned. What is no map is appended as it is.
    pub fn splice(&self, record: &[u8], out: &mut Vec<u8>) {
        self.pass(record, out, |stage, bytes, out| {
            if stage.record(bytes, 0, out).is_none() {
                out.extend_from_slice(bytes);
            }
        });
    }

    /// Appends the edited form of concatenated entries that have been scanned; time and metadata are copied as they are.
    pub fn splice_entries(&self, entries: &[u8], out: &mut Vec<u8>) {
        self.pass(entries, out, Stage::entries);
    }

    /// Does the same to a decoded record.
    pub fn apply<'a>(&self, record: &mut Record<'a>) {
        let arena: &'a Bump = record.arena();
        for stage in &self.stages {
            if let Some(keep) = &stage.keep {
                record.keep(keep);
            }
            for edit in &stage.edits {
                let value = match &edit.action {
                    Action::Drop => {
                        record.remove(&edit.key);
                        continue;
                    }
                    Action::Move(pair) => {
                        record.remove(&edit.key);
                        pair
                    }
                    Action::Set(pair) => pair,
                };
                let raw: &'a [u8] = arena.alloc_slice_copy(value.value());
                record.set_copied(&edit.key, Value::read(raw).unwrap_or(Value::Nil));
            }
        }
    }

    fn pass(&self, bytes: &[u8], out: &mut Vec<u8>, run: impl Fn(&Stage, &[u8], &mut Vec<u8>)) {
        match self.stages.as_slice() {
            [] => out.extend_from_slice(bytes),
            [only] => run(only, bytes, out),
            [first, middle @ .., last] => {
                let mut done = Vec::with_capacity(bytes.len() + 64);
                run(first, bytes, &mut done);
                let mut next = Vec::new();
                for stage in middle {
                    next.clear();
                    run(stage, &done, &mut next);
                    std::mem::swap(&mut done, &mut next);
                }
                run(last, &done, out);
            }
        }
    }

    fn last_stage(&mut self) -> &mut Stage {
        if self.stages.is_empty() {
            self.stages.push(Stage::default());
        }
        let last = self.stages.len() - 1;
        &mut self.stages[last]
    }
}

impl Pair {
    fn value(&self) -> &[u8] {
        &self.raw[self.value_at..]
    }
}

impl Stage {
    fn index(&mut self) {
        self.lengths = self.edits.iter().fold(0, |bits, edit| bits | 1 << (edit.key.len() & 63));
    }

    #[inline(always)]
    fn find(&self, key: &[u8]) -> Option<usize> {
        if self.lengths & (1 << (key.len() & 63)) == 0 {
            return None;
        }
        self.edits.iter().position(|edit| *edit.key == *key)
    }

    fn entries(&self, bytes: &[u8], out: &mut Vec<u8>) {
        out.reserve(bytes.len() + bytes.len() / 4);
        let mut at = 0;
        while at < bytes.len() {
            let record_at = record_at(bytes, at);
            let end = record_at.and_then(|record_at| {
                let before = out.len();
                out.extend_from_slice(&bytes[at..record_at]);
                let end = self.record(bytes, record_at, out);
                if end.is_none() {
                    out.truncate(before);
                }
                end
            });
            let end = match end {
                Some(end) => end,
                // No entry: it goes on as it came.
                None => {
                    let end = skip_scanned(bytes, at).unwrap_or(bytes.len());
                    out.extend_from_slice(&bytes[at..end]);
                    end
                }
            };
            at = end;
        }
    }

    /// Appends the edited form of the map at `at` and answers where it ends; `None`, and nothing appended, if there is
    /// no map.
    #[inline]
    fn record(&self, bytes: &[u8], at: usize, out: &mut Vec<u8>) -> Option<usize> {
        if !matches!(bytes.get(at)?, 0x80..=0x8f | 0xde | 0xdf) {
            return None;
        }
        let Head::Container(body_at, children) = head(bytes, at) else { return None };
        let start = out.len();
        let end = match &self.keep {
            None => self.edited(bytes, body_at, children / 2, out),
            Some(keep) => self.kept(keep, bytes, body_at, children / 2, out),
        };
        if end.is_none() {
            out.truncate(start);
        }
        end
    }

    fn edited(&self, bytes: &[u8], body_at: usize, pairs: usize, out: &mut Vec<u8>) -> Option<usize> {
        let header_at = out.len();
        // The header's size is that of the largest possible count; `finish` mends it if it was too large.
        let (header, header_size) = map_header(pairs + self.edits.len());
        out.extend_from_slice(&header[..header_size]);
        let mut seen = Seen::new(self.edits.len());
        let mut count = pairs;
        let mut run_at = body_at;
        let mut at = body_at;
        for _ in 0..pairs {
            let key_at = at;
            let key_end = end_of(bytes, key_at)?;
            let found = key_name(&bytes[key_at..key_end]).and_then(|name| self.find(name));
            at = end_of(bytes, key_end)?;
            let Some(index) = found else { continue };
            match &self.edits[index].action {
                Action::Set(pair) if !seen.contains(index) => {
                    out.extend_from_slice(&bytes[run_at..key_end]);
                    out.extend_from_slice(pair.value());
                    seen.insert(index);
                }
                _ => {
                    out.extend_from_slice(&bytes[run_at..key_at]);
                    count -= 1;
                }
            }
            run_at = at;
        }
        out.extend_from_slice(&bytes[run_at..at]);
        count += self.append(&seen, out);
        finish(out, header_at, header_size, count);
        Some(at)
    }

    fn kept(
        &self,
        keep: &[Box<[u8]>],
        bytes: &[u8],
        body_at: usize,
        pairs: usize,
        out: &mut Vec<u8>,
    ) -> Option<usize> {
        let mut places: SmallVec<[Option<Place>; 16]> = smallvec::smallvec![None; keep.len()];
        let mut at = body_at;
        for _ in 0..pairs {
            let key_at = at;
            let key_end = end_of(bytes, key_at)?;
            at = end_of(bytes, key_end)?;
            let Some(name) = key_name(&bytes[key_at..key_end]) else { continue };
            if let Some(index) = keep.iter().position(|key| **key == *name) {
                let place = places[index].get_or_insert(Place { key: (key_at, key_end), value: (0, 0) });
                place.value = (key_end, at);
            }
        }
        let header_at = out.len();
        let (header, header_size) = map_header(keep.len() + self.edits.len());
        out.extend_from_slice(&header[..header_size]);
        let mut seen = Seen::new(self.edits.len());
        let mut count = 0;
        for (key, place) in keep.iter().zip(&places) {
            let Some(Place { key: (key_at, key_end), value: (value_at, value_end) }) = *place else {
                continue;
            };
            let edit = self.find(key);
            match edit.map(|index| (index, &self.edits[index].action)) {
                None => {
                    out.extend_from_slice(&bytes[key_at..key_end]);
                    out.extend_from_slice(&bytes[value_at..value_end]);
                }
                Some((index, Action::Set(pair))) => {
                    out.extend_from_slice(&bytes[key_at..key_end]);
                    out.extend_from_slice(pair.value());
                    seen.insert(index);
                }
                Some((_, Action::Drop | Action::Move(_))) => continue,
            }
            count += 1;
        }
        count += self.append(&seen, out);
        finish(out, header_at, header_size, count);
        Some(at)
    }

    /// Appends the fields that are new, and answers how many those are.
    #[inline]
    fn append(&self, seen: &Seen, out: &mut Vec<u8>) -> usize {
        let mut count = 0;
        for (index, edit) in self.edits.iter().enumerate() {
            match &edit.action {
                Action::Set(pair) if !seen.contains(index) => out.extend_from_slice(&pair.raw),
                Action::Move(pair) => out.extend_from_slice(&pair.raw),
                _ => continue,
            }
            count += 1;
        }
        count
    }
}

/// Where a field to keep lies: its key's first and its value's last occurrence.
#[derive(Clone, Copy)]
struct Place {
    key: (usize, usize),
    value: (usize, usize),
}

/// The set of edits that found their key.
struct Seen {
    bits: SmallVec<[u64; 2]>,
}

impl Seen {
    #[inline]
    fn new(edits: usize) -> Self {
        Self { bits: smallvec::smallvec![0; edits / 64 + 1] }
    }

    #[inline]
    fn contains(&self, index: usize) -> bool {
        self.bits[index / 64] & (1 << (index % 64)) != 0
    }

    #[inline]
    fn insert(&mut self, index: usize) {
        self.bits[index / 64] |= 1 << (index % 64);
    }
}

/// The end of a value that has been scanned; most are leaves.
#[inline(always)]
fn end_of(bytes: &[u8], at: usize) -> Option<usize> {
    let marker = MARKERS[*bytes.get(at)? as usize];
    if marker.class == Class::Fixed {
        let end = at + marker.size as usize;
        return (end <= bytes.len()).then_some(end);
    }
    skip_scanned(bytes, at)
}

/// Writes the final count into a map header that was written for the largest possible one.
#[inline]
fn finish(out: &mut Vec<u8>, header_at: usize, written_size: usize, count: usize) {
    let (header, size) = map_header(count);
    out[header_at..header_at + size].copy_from_slice(&header[..size]);
    if size < written_size {
        out.drain(header_at + size..header_at + written_size);
    }
}

/// Where the record of the entry at `at` begins.
#[inline]
fn record_at(bytes: &[u8], at: usize) -> Option<usize> {
    if let Some([0x92, 0xd7, 0x00]) = bytes.get(at..at.checked_add(3)?) {
        return (at + 11 < bytes.len()).then_some(at + 11);
    }
    match head(bytes, at) {
        Head::Container(first, 2) if matches!(bytes[at], 0x92 | 0xdc | 0xdd) => skip_scanned(bytes, first),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `{"a": 1, "b": 2, "c": 3}`
    const ABC: &[u8] = b"\x83\xa1a\x01\xa1b\x02\xa1c\x03";

    fn spliced(splicer: &Splicer, record: &[u8]) -> Vec<u8> {
        let mut out = b"before".to_vec();
        splicer.splice(record, &mut out);
        assert_eq!(&out[..6], b"before");
        let arena = Bump::new();
        if let Ok(mut decoded) = Record::decode(record, &arena) {
            // The same edits on the decoded record; decoding unites duplicates that splicing leaves.
            splicer.apply(&mut decoded);
            let mut slow = Vec::new();
            decoded.encode(&mut slow);
            let mut fast = Vec::new();
            Record::decode(&out[6..], &arena).unwrap().encode(&mut fast);
            assert_eq!(fast, slow);
        }
        out.split_off(6)
    }

    #[test]
    fn an_existing_key_keeps_its_place_and_a_new_one_goes_last() {
        let splicer = Splicer::new().set(b"b", &[0xc0]).set(b"d", b"\xa1x").set(b"b", &[0xc3]);
        assert_eq!(spliced(&splicer, ABC), b"\x84\xa1a\x01\xa1b\xc3\xa1c\x03\xa1d\xa1x");
        assert_eq!(spliced(&splicer, b"\x80"), b"\x82\xa1b\xc3\xa1d\xa1x");
    }

    #[test]
    fn dropping_and_setting_again_moves_to_the_end() {
        assert_eq!(spliced(&Splicer::new().drop(b"b"), ABC), b"\x82\xa1a\x01\xa1c\x03");
        let moved = Splicer::new().drop(b"a").set(b"a", &[9]);
        assert_eq!(spliced(&moved, ABC), b"\x83\xa1b\x02\xa1c\x03\xa1a\x09");
        let dropped = Splicer::new().set(b"a", &[9]).drop(b"a").drop(b"x");
        assert_eq!(spliced(&dropped, ABC), b"\x82\xa1b\x02\xa1c\x03");
    }

    #[test]
    fn keeping_takes_the_order_given() {
        let keep = Splicer::new().keep(&["c", "x", "a", "c"]);
        assert_eq!(spliced(&keep, ABC), b"\x82\xa1c\x03\xa1a\x01");
        let set = keep.clone().set(b"a", &[9]).set(b"b", &[8]).drop(b"c");
        assert_eq!(spliced(&set, ABC), b"\x82\xa1a\x09\xa1b\x08");
        let none: [&str; 0] = [];
        assert_eq!(spliced(&Splicer::new().keep(&none).set(b"z", &[1]), ABC), b"\x81\xa1z\x01");
        let late = Splicer::new().set(b"z", &[1]).keep(&["z", "a"]).keep(&["a", "z"]);
        assert_eq!(spliced(&late, ABC), b"\x82\xa1a\x01\xa1z\x01");
    }

    #[test]
    fn chained_splicers_are_one() {
        let first = Splicer::new().set(b"d", &[4]).drop(b"a");
        let second = Splicer::new().set(b"a", &[5]).drop(b"d").set(b"b", &[6]);
        let both = first.then(second);
        assert_eq!(both.stages.len(), 1);
        assert_eq!(spliced(&both, ABC), b"\x83\xa1b\x06\xa1c\x03\xa1a\x05");
        assert!(Splicer::new().then(Splicer::new()).is_empty());
        assert_eq!(spliced(&Splicer::new(), ABC), ABC);
    }

    #[test]
    fn equal_keys_in_the_record() {
        let raw = b"\x84\xa1a\x01\xa1b\x02\xa1a\x03\xa1b\x04";
        assert_eq!(spliced(&Splicer::new().set(b"a", &[9]), raw), b"\x83\xa1a\x09\xa1b\x02\xa1b\x04");
        assert_eq!(spliced(&Splicer::new().drop(b"a"), raw), b"\x82\xa1b\x02\xa1b\x04");
        assert_eq!(spliced(&Splicer::new().keep(&["a"]), raw), b"\x81\xa1a\x03");
    }

    #[test]
    fn counts_around_header_sizes() {
        for before in [0usize, 14, 15, 16, 17, 65534, 65535, 65536] {
            let mut record = Vec::new();
            crate::msgpack::write_map_len(&mut record, before);
            for n in 0..before {
                crate::msgpack::write_u64(&mut record, n as u64);
                record.push(0xc0);
            }
            let more = spliced(&Splicer::new().set(b"k", &[1]), &record);
            assert_eq!(crate::msgpack::RecordView::new(&more).len(), before + 1);
            let same = spliced(&Splicer::new().drop(b"k"), &more);
            assert!(same == record, "{before}");
        }
    }

    #[test]
    fn entries_keep_time_and_metadata() {
        let heads = [
            &b"\x92\xd7\x00\0\0\0\x05\0\0\0\x01"[..],
            b"\x92\xc7\x08\x00\0\0\0\x05\0\0\0\x01",
            b"\x92\x92\x05\x81\xa1m\x01",
            b"\xdc\x00\x02\x07",
        ];
        let entries =
            |record: &[u8]| heads.iter().flat_map(|head| [head, record].concat()).collect::<Vec<u8>>();
        let mut out = Vec::new();
        let splicer = Splicer::new().set(b"a", &[9]);
        splicer.splice_entries(&entries(ABC), &mut out);
        assert_eq!(out, entries(b"\x83\xa1a\x09\xa1b\x02\xa1c\x03"));
        let mut out = Vec::new();
        Splicer::new().keep(&["a"]).keep(&["a", "b"]).keep(&["a"]).splice_entries(&entries(ABC), &mut out);
        assert_eq!(out, entries(b"\x81\xa1a\x01"));
    }

    #[test]
    fn what_is_no_entry_or_map_goes_on_as_it_came() {
        let splicer = Splicer::new().set(b"a", &[9]);
        for bytes in [&b"\x01"[..], b"\x91\x80", b"\x92\x01\xa1x", b"\x93\x01\x80\x80", b"\x92\x01\x82\xa1"] {
            let mut out = Vec::new();
            splicer.splice_entries(bytes, &mut out);
            assert_eq!(out, bytes);
        }
        assert_eq!(spliced(&splicer, b"\xa1x"), b"\xa1x");
        assert_eq!(spliced(&splicer, b"\x82\xa1a"), b"\x82\xa1a");
    }

    #[test]
    fn more_edits_than_a_word_has_bits() {
        let mut splicer = Splicer::new();
        let names: Vec<String> = (0..100).map(|n| format!("k{n}")).collect();
        for name in &names {
            splicer = splicer.set(name.as_bytes(), &[7]);
        }
        let once = spliced(&splicer, b"\x81\xa3k99\x01");
        assert_eq!(crate::msgpack::RecordView::new(&once).len(), 100);
        assert!(spliced(&splicer, &once) == once);
    }
}
