//! One pass of a [`Splicer`](super::Splicer) over records.

use smallvec::SmallVec;

use super::marker::{Head, head};
use super::skip::{KeySizes, is_short_str, skip_scanned, value_end};
use super::view::key_name;
use super::write::{map_header, write_str};

/// Edits that one pass over a record can do.
#[derive(Clone, Debug, Default)]
pub(super) struct Stage {
    /// Only these fields of the record, in this order.
    keep: Option<Vec<Box<[u8]>>>,
    /// At most one for a key; those that append do it in this order.
    edits: Vec<Edit>,
    /// Bit [`filter_bit`] of each edit's key.
    filter: u64,
    /// What is appended to a record that has none of the keys: so many fields, as they will be written.
    new_fields: (usize, Vec<u8>),
}

/// What happens to one field.
#[derive(Clone, Debug)]
pub(super) struct Edit {
    pub(super) key: Box<[u8]>,
    pub(super) action: Action,
}

/// See [`Edit`].
#[derive(Clone, Debug)]
pub(super) enum Action {
    /// The field goes.
    Drop,
    /// The value is replaced at its place, or the field is appended.
    Set(Pair),
    /// The field goes, and is appended with a new value.
    Move(Pair),
}

/// An encoded key and value.
#[derive(Clone, Debug)]
pub(super) struct Pair {
    raw: Box<[u8]>,
    value_at: usize,
}

impl Pair {
    /// A field of a raw value.
    pub(super) fn new(key: &[u8], value: &[u8]) -> Self {
        let mut raw = Vec::with_capacity(key.len() + value.len() + 5);
        write_str(&mut raw, key);
        let value_at = raw.len();
        raw.extend_from_slice(value);
        Self { raw: raw.into(), value_at }
    }

    /// The raw value.
    pub(super) fn value(&self) -> &[u8] {
        &self.raw[self.value_at..]
    }
}

impl Stage {
    /// Keeps these fields only; they are distinct.
    pub(super) fn keeping(keys: Vec<Box<[u8]>>) -> Self {
        Self { keep: Some(keys), ..Self::default() }
    }

    pub(super) fn keep(&self) -> Option<&[Box<[u8]>]> {
        self.keep.as_deref()
    }

    pub(super) fn edits(&self) -> &[Edit] {
        &self.edits
    }

    /// Sets a field.
    pub(super) fn set(&mut self, key: &[u8], pair: Pair) {
        match self.edits.iter().position(|edit| *edit.key == *key) {
            None => self.edits.push(Edit { key: key.into(), action: Action::Set(pair) }),
            Some(at) => match &mut self.edits[at].action {
                Action::Set(old) | Action::Move(old) => *old = pair,
                Action::Drop => {
                    self.edits.remove(at);
                    self.edits.push(Edit { key: key.into(), action: Action::Move(pair) });
                }
            },
        }
        self.index();
    }

    /// Drops a field.
    pub(super) fn drop(&mut self, key: &[u8]) {
        self.edits.retain(|edit| *edit.key != *key);
        self.edits.push(Edit { key: key.into(), action: Action::Drop });
        self.index();
    }

    fn index(&mut self) {
        self.filter = self.edits.iter().fold(0, |bits, edit| bits | filter_bit(&edit.key));
        let mut fields = Vec::new();
        let count = self.append(&Seen::new(self.edits.len()), &mut fields);
        self.new_fields = (count, fields);
    }

    #[inline(always)]
    fn find(&self, key: &[u8]) -> Option<usize> {
        if self.filter & filter_bit(key) == 0 {
            return None;
        }
        self.edits.iter().position(|edit| *edit.key == *key)
    }

    /// Appends the edited form of concatenated entries.
    pub(super) fn entries(&self, bytes: &[u8], out: &mut Vec<u8>) {
        out.reserve(bytes.len() + bytes.len() / 4);
        let mut keys = KeySizes::new();
        let mut at = 0;
        while at < bytes.len() {
            let end = record_at(bytes, at)
                .and_then(|record_at| self.record(bytes, (at, record_at), &mut keys, out))
                .unwrap_or_else(|| {
                    // No entry: it goes on as it came.
                    let end = skip_scanned(bytes, at).unwrap_or(bytes.len());
                    out.extend_from_slice(&bytes[at..end]);
                    end
                });
            at = end;
        }
    }

    /// Appends what lies between `start` and the map at `at`, then the edited form of the map, and answers where it ends;
    /// `None`, and nothing appended, if there is no map.
    #[inline]
    pub(super) fn record(
        &self,
        bytes: &[u8],
        (start, at): (usize, usize),
        keys: &mut KeySizes,
        out: &mut Vec<u8>,
    ) -> Option<usize> {
        if !matches!(bytes.get(at)?, 0x80..=0x8f | 0xde | 0xdf) {
            return None;
        }
        let Head::Container(body_at, children) = head(bytes, at) else { return None };
        let map = Map { start, at, body_at, pairs: children / 2 };
        let out_start = out.len();
        let end = match &self.keep {
            None => self.edited(bytes, map, keys, out),
            Some(keep) => self.kept(keep, bytes, map, out),
        };
        if end.is_none() {
            out.truncate(out_start);
        }
        end
    }

    fn edited(&self, bytes: &[u8], map: Map, keys: &mut KeySizes, out: &mut Vec<u8>) -> Option<usize> {
        let header_at = out.len() + (map.at - map.start);
        // The header's size is that of the largest possible count; `finish` mends it if it was too large.
        let (header, header_size) = map_header(map.pairs + self.edits.len());
        let mut run_at = if header_size == map.body_at - map.at {
            // As wide as it is, so that it can be copied with the fields behind it.
            map.start
        } else {
            out.extend_from_slice(&bytes[map.start..map.at]);
            out.extend_from_slice(&header[..header_size]);
            map.body_at
        };
        let mut seen = Seen::new(self.edits.len());
        let mut count = map.pairs;
        let mut at = map.body_at;
        keys.start();
        for _ in 0..map.pairs {
            let key_at = at;
            let byte = *bytes.get(key_at)?;
            let (key_end, found) = if is_short_str(byte) {
                let key_end = key_at + keys.size(byte);
                (key_end, self.find(bytes.get(key_at + 1..key_end)?))
            } else {
                let key_end = skip_scanned(bytes, key_at)?;
                (key_end, key_name(&bytes[key_at..key_end]).and_then(|name| self.find(name)))
            };
            at = value_end(bytes, key_end, |byte| keys.size(byte))?;
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
        out.extend_from_slice(bytes.get(run_at..at)?);
        count += self.append_new(&seen, out);
        finish(out, header_at, header_size, count);
        Some(at)
    }

    fn kept(&self, keep: &[Box<[u8]>], bytes: &[u8], map: Map, out: &mut Vec<u8>) -> Option<usize> {
        let mut places: SmallVec<[Option<Place>; 16]> = smallvec::smallvec![None; keep.len()];
        let mut at = map.body_at;
        for _ in 0..map.pairs {
            let key_at = at;
            let key_end = skip_scanned(bytes, key_at)?;
            at = skip_scanned(bytes, key_end)?;
            let Some(name) = key_name(&bytes[key_at..key_end]) else { continue };
            if let Some(index) = keep.iter().position(|key| **key == *name) {
                let place = places[index].get_or_insert(Place { key: (key_at, key_end), value: (0, 0) });
                place.value = (key_end, at);
            }
        }
        out.extend_from_slice(&bytes[map.start..map.at]);
        let header_at = out.len();
        let (header, header_size) = map_header(keep.len() + self.edits.len());
        out.extend_from_slice(&header[..header_size]);
        let mut seen = Seen::new(self.edits.len());
        let mut count = 0;
        for (key, place) in keep.iter().zip(&places) {
            let Some(Place { key: (key_at, key_end), value: (value_at, value_end) }) = *place else {
                continue;
            };
            match self.find(key).map(|index| (index, &self.edits[index].action)) {
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
        count += self.append_new(&seen, out);
        finish(out, header_at, header_size, count);
        Some(at)
    }

    /// Appends the fields that are new, and answers how many those are.
    #[inline]
    fn append_new(&self, seen: &Seen, out: &mut Vec<u8>) -> usize {
        if seen.any {
            return self.append(seen, out);
        }
        out.extend_from_slice(&self.new_fields.1);
        self.new_fields.0
    }

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

/// A map in its surroundings.
#[derive(Clone, Copy)]
struct Map {
    /// Where the bytes begin that go with it: its entry.
    start: usize,
    /// Its header.
    at: usize,
    /// Its first key.
    body_at: usize,
    pairs: usize,
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
    any: bool,
}

impl Seen {
    #[inline]
    fn new(edits: usize) -> Self {
        Self { bits: smallvec::smallvec![0; edits / 64 + 1], any: false }
    }

    #[inline]
    fn contains(&self, index: usize) -> bool {
        self.any && self.bits[index / 64] & (1 << (index % 64)) != 0
    }

    #[inline]
    fn insert(&mut self, index: usize) {
        self.bits[index / 64] |= 1 << (index % 64);
        self.any = true;
    }
}

/// One of 64 bits, by a key's length and first byte.
#[inline(always)]
fn filter_bit(key: &[u8]) -> u64 {
    let first = key.first().map_or(0, |&first| usize::from(first));
    1 << ((key.len() * 5 + first) & 63)
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
