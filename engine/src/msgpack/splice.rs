//! Edits of a record's top-level fields, bytes to bytes.
//!
//! A splicer is compiled once and copies runs of untouched fields as they are. Its result is that of Ruby's Hash: a key
//! that exists keeps its place when it is set, a new one goes last, and a key that was dropped and then set goes last.

use bumpalo::Bump;

use super::record::Record;
use super::skip::KeySizes;
use super::stage::{Action, Pair, Stage};
use super::value::Value;

/// Edits of top-level fields, in the order in which they were added.
#[derive(Clone, Debug, Default)]
pub struct Splicer {
    stages: Vec<Stage>,
}

impl Splicer {
    /// No edits.
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets field `key` to a raw value.
    pub fn set(mut self, key: &[u8], value: &[u8]) -> Self {
        self.last_stage().set(key, Pair::new(key, value));
        self
    }

    /// Drops field `key`.
    pub fn drop(mut self, key: &[u8]) -> Self {
        self.last_stage().drop(key);
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
        self.stages.push(Stage::keeping(distinct));
        self
    }

    /// These edits, then those of `next`.
    pub fn then(mut self, next: Self) -> Self {
        for stage in next.stages {
            if stage.keep().is_some() || self.stages.is_empty() {
                self.stages.push(stage);
                continue;
            }
            for edit in stage.edits() {
                self = match &edit.action {
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
            if stage.record(bytes, (0, 0), &mut KeySizes::new(), out).is_none() {
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
            if let Some(keep) = stage.keep() {
                record.keep(keep);
            }
            for edit in stage.edits() {
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
