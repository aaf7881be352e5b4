//! Reads a raw map in place.

use smallvec::SmallVec;

use super::accessor::PathPart;
use super::dup::{Duplicates, Identity, KeyBits, SMALL_PAIRS};
use super::marker::{Head, head};
use super::reader::ValueRef;
use super::skip::skip_scanned;

/// A raw map whose fields are looked up where they lie.
#[derive(Clone, Copy, Debug)]
pub struct RecordView<'a> {
    raw: &'a [u8],
}

impl<'a> RecordView<'a> {
    /// A view of a raw map that has been scanned. What is no map has no fields.
    #[inline]
    pub fn new(raw: &'a [u8]) -> Self {
        Self { raw }
    }

    /// The raw map.
    pub fn raw(&self) -> &'a [u8] {
        self.raw
    }

    /// Number of pairs, as the header says.
    pub fn len(&self) -> usize {
        self.iter().left
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The raw value of the string key `key`. If the key is there more than once, its last value, as a Ruby Hash has it.
    #[inline]
    pub fn get(&self, key: &[u8]) -> Option<&'a [u8]> {
        let mut found = None;
        for (name, value) in self.iter() {
            if key_name(name) == Some(key) {
                found = Some(value);
            }
        }
        found
    }

    /// The raw value at the end of `path`.
    pub fn get_path(&self, path: &[PathPart]) -> Option<&'a [u8]> {
        dig(self.raw, path)
    }

    /// The pairs with each key once, at its first place and with its last value, as a Ruby Hash has them; `None` if no key is
    /// there more than once, which is what [`RecordView::iter`] gives then.
    pub fn distinct(&self) -> Option<Vec<(&'a [u8], &'a [u8])>> {
        let pairs = self.iter();
        let mut bits = KeyBits::default();
        if pairs.left <= SMALL_PAIRS && !pairs.clone().any(|(key, _)| bits.insert(identity(key).1)) {
            return None;
        }
        let mut duplicates = Duplicates::new(pairs.left);
        let mut seen: SmallVec<[Identity<'a>; 16]> = SmallVec::new();
        for (key, _) in pairs {
            let identity = identity(key);
            if duplicates.find(identity, seen.len(), |at| seen.get(at).copied()).is_some() {
                return Some(self.unite());
            }
            seen.push(identity);
        }
        None
    }

    #[cold]
    fn unite(&self) -> Vec<(&'a [u8], &'a [u8])> {
        let pairs = self.iter();
        let mut duplicates = Duplicates::new(pairs.left);
        let mut united: Vec<(&[u8], &[u8])> = Vec::new();
        for (key, value) in pairs {
            match duplicates
                .find(identity(key), united.len(), |at| united.get(at).map(|pair| identity(pair.0)))
            {
                Some(at) => united[at].1 = value,
                None => united.push((key, value)),
            }
        }
        united
    }

    /// The pairs: raw key, raw value. A key that is there more than once appears as often.
    #[inline]
    pub fn iter(&self) -> Pairs<'a> {
        match self.raw.first() {
            Some(0x80..=0x8f | 0xde | 0xdf) => match head(self.raw, 0) {
                Head::Container(at, children) => Pairs { raw: self.raw, at, left: children / 2 },
                _ => Pairs { raw: self.raw, at: 0, left: 0 },
            },
            _ => Pairs { raw: self.raw, at: 0, left: 0 },
        }
    }
}

impl<'a> IntoIterator for RecordView<'a> {
    type Item = (&'a [u8], &'a [u8]);
    type IntoIter = Pairs<'a>;

    fn into_iter(self) -> Pairs<'a> {
        self.iter()
    }
}

/// See [`RecordView::iter`].
#[derive(Clone, Debug)]
pub struct Pairs<'a> {
    raw: &'a [u8],
    at: usize,
    left: usize,
}

impl Pairs<'_> {
    /// Offset in the map of the next pair.
    pub fn position(&self) -> usize {
        self.at
    }

    /// Number of pairs still to come, as the header says.
    pub fn left(&self) -> usize {
        self.left
    }
}

impl<'a> Iterator for Pairs<'a> {
    type Item = (&'a [u8], &'a [u8]);

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        if self.left == 0 {
            return None;
        }
        self.left -= 1;
        let key_end = skip_scanned(self.raw, self.at)?;
        let value_end = skip_scanned(self.raw, key_end)?;
        let pair = (&self.raw[self.at..key_end], &self.raw[key_end..value_end]);
        self.at = value_end;
        Some(pair)
    }
}

/// The bytes of a raw key if it is a string or a byte array.
#[inline]
pub(crate) fn key_name(raw: &[u8]) -> Option<&[u8]> {
    match raw {
        [0xa0..=0xbf, name @ ..] => Some(name),
        [0xd9 | 0xc4, _, name @ ..] => Some(name),
        [0xda | 0xc5, _, _, name @ ..] => Some(name),
        [0xdb | 0xc6, _, _, _, _, name @ ..] => Some(name),
        _ => None,
    }
}

/// What tells a raw key from others.
#[inline]
pub(super) fn identity(raw: &[u8]) -> Identity<'_> {
    match key_name(raw) {
        Some(name) => (true, name),
        None => (false, raw),
    }
}

/// Follows `path` from a raw value, as Ruby's `dig`.
pub(super) fn dig<'a>(raw: &'a [u8], path: &[PathPart]) -> Option<&'a [u8]> {
    let mut raw = raw;
    for part in path {
        raw = match (raw.first()?, part) {
            (0x80..=0x8f | 0xde | 0xdf, PathPart::Key(key)) => RecordView::new(raw).get(key)?,
            (0x80..=0x8f | 0xde | 0xdf, PathPart::Index(index)) => integer_key(raw, *index)?,
            (0x90..=0x9f | 0xdc | 0xdd, PathPart::Index(index)) => element(raw, *index)?,
            _ => return None,
        };
    }
    Some(raw)
}

/// The value of the integer key `index` of a raw map.
fn integer_key(raw: &[u8], index: i64) -> Option<&[u8]> {
    let mut found = None;
    for (key, value) in RecordView::new(raw) {
        if ValueRef::read(key) == Ok(ValueRef::Int(index)) {
            found = Some(value);
        }
    }
    found
}

/// The element `index` of a raw array; negative from the end.
fn element(raw: &[u8], index: i64) -> Option<&[u8]> {
    let Head::Container(mut at, length) = head(raw, 0) else { return None };
    let index = if index < 0 {
        length.checked_sub(usize::try_from(index.unsigned_abs()).ok()?)?
    } else {
        index as usize
    };
    if index >= length {
        return None;
    }
    for _ in 0..index {
        at = skip_scanned(raw, at)?;
    }
    raw.get(at..skip_scanned(raw, at)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_by_string_and_by_byte_array() {
        let view = RecordView::new(b"\x85\xa1a\x01\xc4\x01b\x02\x07\x03\xd9\x01c\x04\xc0\x05");
        assert_eq!(view.len(), 5);
        assert_eq!(view.get(b"a"), Some(&b"\x01"[..]));
        assert_eq!(view.get(b"b"), Some(&b"\x02"[..]));
        assert_eq!(view.get(b"c"), Some(&b"\x04"[..]));
        assert_eq!(view.get(b"d"), None);
        assert_eq!(view.distinct(), None);
    }

    #[test]
    fn the_last_of_equal_keys_counts() {
        let view = RecordView::new(b"\x85\xa1a\x01\x09\x02\xa1b\x03\xc4\x01a\x04\x09\x05");
        assert_eq!(view.get(b"a"), Some(&b"\x04"[..]));
        let expected: [(&[u8], &[u8]); 3] = [(b"\xa1a", b"\x04"), (b"\x09", b"\x05"), (b"\xa1b", b"\x03")];
        assert_eq!(view.distinct().unwrap(), expected);
    }

    #[test]
    fn what_is_no_map_is_empty() {
        for raw in [&b""[..], b"\x01", b"\x90", b"\xde\x00", b"\xa1a"] {
            assert!(RecordView::new(raw).is_empty());
            assert_eq!(RecordView::new(raw).iter().next(), None);
        }
        assert_eq!(RecordView::new(b"\x82\xa1a\x01\xa1").iter().count(), 1);
    }
}
