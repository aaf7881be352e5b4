//! The borrowed record of filters: a Ruby Hash over the bytes of the wire.

use bumpalo::Bump;
use bumpalo::collections::Vec as ArenaVec;

use super::accessor::{PathPart, position};
use super::dup::Duplicates;
use super::reader::{ReadError, Reader, ValueRef};
use super::value::Value;
use super::write::{write_bin, write_map_len, write_str};

/// A map in the order of insertion. Memory is of an arena, bytes are borrowed; nothing is freed before the arena is.
#[derive(Clone, Debug)]
pub struct Record<'a> {
    fields: ArenaVec<'a, Field<'a>>,
}

/// A key and its value.
#[derive(Clone, Debug)]
pub struct Field<'a> {
    /// The key.
    pub key: Key<'a>,
    /// Its value.
    pub value: Value<'a>,
}

/// A key of a record; nearly always a string.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Key<'a> {
    /// A string's bytes.
    Str(&'a [u8]),
    /// A byte array; equals a string of the same bytes.
    Bin(&'a [u8]),
    /// A raw value of another kind.
    Other(&'a [u8]),
}

impl<'a> Key<'a> {
    /// The bytes of a string or byte array.
    #[inline]
    pub fn name(&self) -> Option<&'a [u8]> {
        match *self {
            Self::Str(name) | Self::Bin(name) => Some(name),
            Self::Other(_) => None,
        }
    }

    /// Reads a raw key.
    pub fn read(raw: &'a [u8]) -> Self {
        match ValueRef::read(raw) {
            Ok(ValueRef::Str(name)) => Self::Str(name),
            Ok(ValueRef::Bin(name)) => Self::Bin(name),
            _ => Self::Other(raw),
        }
    }

    /// Appends the key as MessagePack.
    pub fn write(&self, out: &mut Vec<u8>) {
        match self {
            Self::Str(name) => write_str(out, name),
            Self::Bin(name) => write_bin(out, name),
            Self::Other(raw) => out.extend_from_slice(raw),
        }
    }

    fn is_index(&self, index: i64) -> bool {
        matches!(self, Self::Other(raw) if ValueRef::read(raw) == Ok(ValueRef::Int(index)))
    }
}

impl<'a> Record<'a> {
    /// An empty record.
    pub fn new(arena: &'a Bump) -> Self {
        Self { fields: ArenaVec::new_in(arena) }
    }

    /// Decodes the raw map at the start of `raw`. Of a key that is there more than once the last value counts, at the
    /// place of the first.
    pub fn decode(raw: &'a [u8], arena: &'a Bump) -> Result<Self, ReadError> {
        let mut reader = Reader::new(raw);
        let length = reader.read_map_len()?;
        let mut duplicates = Duplicates::new(length);
        // A length is only a claim: each pair takes at least two bytes. Some room is left for fields that are added.
        let mut fields = ArenaVec::with_capacity_in(length.min(raw.len()) + 4, arena);
        for _ in 0..length {
            let key_at = reader.position();
            let key = match reader.read_value()? {
                ValueRef::Str(name) => Key::Str(name),
                ValueRef::Bin(name) => Key::Bin(name),
                _ => Key::Other(&raw[key_at..reader.position()]),
            };
            let value = Value::from(reader.read_value()?);
            let identity = identity(&key);
            let earlier = duplicates.find(identity, fields.len(), |at| {
                fields.get(at).map(|field: &Field<'a>| self::identity(&field.key))
            });
            match earlier.and_then(|at| fields.get_mut(at)) {
                Some(field) => field.value = value,
                None => fields.push(Field { key, value }),
            }
        }
        Ok(Self { fields })
    }

    /// Appends the record as a MessagePack map.
    pub fn encode(&self, out: &mut Vec<u8>) {
        write_map_len(out, self.fields.len());
        for field in &self.fields {
            field.key.write(out);
            field.value.write(out);
        }
    }

    /// The arena that the record lives in.
    pub fn arena(&self) -> &'a Bump {
        self.fields.bump()
    }

    /// Number of fields.
    pub fn len(&self) -> usize {
        self.fields.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.fields.is_empty()
    }

    /// The fields in order.
    pub fn iter(&self) -> std::slice::Iter<'_, Field<'a>> {
        self.fields.iter()
    }

    /// The fields in order. Keys must stay distinct.
    pub fn iter_mut(&mut self) -> std::slice::IterMut<'_, Field<'a>> {
        self.fields.iter_mut()
    }

    /// Whether there is a field `key`.
    pub fn contains(&self, key: &[u8]) -> bool {
        self.position(key).is_some()
    }

    /// The value of `key`.
    #[inline]
    pub fn get(&self, key: &[u8]) -> Option<&Value<'a>> {
        self.position(key).map(|at| &self.fields[at].value)
    }

    /// The value of `key`.
    pub fn get_mut(&mut self, key: &[u8]) -> Option<&mut Value<'a>> {
        self.position(key).map(|at| &mut self.fields[at].value)
    }

    /// Sets `key`: at its place if it exists, else at the end.
    pub fn set(&mut self, key: &'a [u8], value: Value<'a>) {
        match self.get_mut(key) {
            Some(place) => *place = value,
            None => self.fields.push(Field { key: Key::Str(key), value }),
        }
    }

    /// [`Record::set`] with a key of any kind, such as one of another record.
    pub fn set_key(&mut self, key: Key<'a>, value: Value<'a>) {
        let same = |other: &Key<'a>| match (key.name(), other.name()) {
            (Some(a), Some(b)) => a == b,
            _ => key == *other,
        };
        match self.fields.iter_mut().find(|field| same(&field.key)) {
            Some(field) => field.value = value,
            None => self.fields.push(Field { key, value }),
        }
    }

    /// [`Record::set`] with a key that does not live as long as the record; it is copied if it is new.
    pub fn set_copied(&mut self, key: &[u8], value: Value<'a>) {
        match self.get_mut(key) {
            Some(place) => *place = value,
            None => {
                let key = Key::Str(self.arena().alloc_slice_copy(key));
                self.fields.push(Field { key, value });
            }
        }
    }

    /// Appends a field whose key the record does not have yet.
    pub fn push(&mut self, key: Key<'a>, value: Value<'a>) {
        self.fields.push(Field { key, value });
    }

    /// Removes `key` and answers its value; the others keep their order.
    pub fn remove(&mut self, key: &[u8]) -> Option<Value<'a>> {
        let at = self.position(key)?;
        Some(self.fields.remove(at).value)
    }

    /// Gives the field `from` the key `to`, at its place. A field `to` that existed elsewhere is removed. Answers whether
    /// `from` existed.
    pub fn rename(&mut self, from: &[u8], to: &'a [u8]) -> bool {
        if from == to {
            return self.contains(from);
        }
        if !self.contains(from) {
            return false;
        }
        self.remove(to);
        if let Some(at) = self.position(from) {
            self.fields[at].key = Key::Str(to);
        }
        true
    }

    /// Keeps only the fields `keys`, in the order of `keys`.
    pub fn keep<K: AsRef<[u8]>>(&mut self, keys: &[K]) {
        let mut kept = ArenaVec::with_capacity_in(keys.len().min(self.len()) + 4, self.arena());
        for key in keys {
            if let Some(at) = self.position(key.as_ref()) {
                kept.push(self.fields.remove(at));
            }
        }
        self.fields = kept;
    }

    /// Keeps only the fields for which `wanted` answers true.
    pub fn retain(&mut self, wanted: impl FnMut(&mut Field<'a>) -> bool) {
        self.fields.retain_mut(wanted);
    }

    /// Removes all fields.
    pub fn clear(&mut self) {
        self.fields.clear();
    }

    /// A copy of the value at the end of `path`.
    pub fn get_path(&self, path: &[PathPart]) -> Option<Value<'a>> {
        let (first, rest) = path.split_first()?;
        match first {
            PathPart::Key(key) => self.get(key)?.dig(rest),
            PathPart::Index(index) => self.get_index(*index)?.dig(rest),
        }
    }

    /// The value at the end of `path` with every container up to and including it opened.
    pub(super) fn dig_mut(&mut self, path: &[PathPart]) -> Option<&mut Value<'a>> {
        let arena = self.arena();
        let (first, rest) = path.split_first()?;
        let mut value = match first {
            PathPart::Key(key) => self.get_mut(key)?,
            PathPart::Index(index) => self.get_index_mut(*index)?,
        };
        for part in rest {
            value = match (value.open(arena), part) {
                (Value::Map(map), PathPart::Key(key)) => map.get_mut(key)?,
                (Value::Map(map), PathPart::Index(index)) => map.get_index_mut(*index)?,
                (Value::Array(items), PathPart::Index(index)) => {
                    let at = position(*index, items.len())?;
                    items.get_mut(at)?
                }
                _ => return None,
            };
        }
        Some(value.open(arena))
    }

    /// The value whose key is the integer `index`.
    pub(super) fn get_index(&self, index: i64) -> Option<&Value<'a>> {
        self.fields.iter().find(|field| field.key.is_index(index)).map(|field| &field.value)
    }

    pub(super) fn get_index_mut(&mut self, index: i64) -> Option<&mut Value<'a>> {
        self.fields.iter_mut().find(|field| field.key.is_index(index)).map(|field| &mut field.value)
    }

    pub(super) fn remove_index(&mut self, index: i64) -> Option<Value<'a>> {
        let at = self.fields.iter().position(|field| field.key.is_index(index))?;
        Some(self.fields.remove(at).value)
    }

    pub(super) fn set_index(&mut self, index: i64, value: Value<'a>) {
        if let Some(place) = self.get_index_mut(index) {
            *place = value;
            return;
        }
        let mut raw = Vec::with_capacity(9);
        super::write::write_i64(&mut raw, index);
        let key = Key::Other(self.arena().alloc_slice_copy(&raw));
        self.fields.push(Field { key, value });
    }

    #[inline]
    fn position(&self, key: &[u8]) -> Option<usize> {
        self.fields.iter().position(|field| field.key.name() == Some(key))
    }
}

#[inline]
fn identity<'a>(key: &Key<'a>) -> (bool, &'a [u8]) {
    match *key {
        Key::Str(name) | Key::Bin(name) => (true, name),
        Key::Other(raw) => (false, raw),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn edited(raw: &[u8], edit: impl for<'a> Fn(&mut Record<'a>)) -> Vec<u8> {
        let arena = Bump::new();
        let mut record = Record::decode(raw, &arena).unwrap();
        edit(&mut record);
        let mut out = Vec::new();
        record.encode(&mut out);
        out
    }

    const ABC: &[u8] = b"\x83\xa1a\x01\xa1b\x02\xa1c\x03";

    #[test]
    fn untouched_it_encodes_as_it_was() {
        let raw = b"\x86\xa1a\x82\x01\x02\xa1b\x03\x07\x91\xc0\xc4\x01b\xc4\x01x\xc0\xd4\x05\x06\xc3\xcb\0\0\0\0\0\0\0\0\x05\xc2";
        assert_eq!(edited(raw, |_| {}), raw);
    }

    #[test]
    fn of_equal_keys_the_last_value_at_the_first_place() {
        let raw = b"\x84\xa1a\x01\xa1b\x02\xa1a\x03\xa1a\x04";
        assert_eq!(edited(raw, |_| {}), b"\x82\xa1a\x04\xa1b\x02");
    }

    #[test]
    fn order_is_that_of_a_ruby_hash() {
        assert_eq!(edited(ABC, |record| record.set(b"a", Value::Nil)), b"\x83\xa1a\xc0\xa1b\x02\xa1c\x03");
        assert_eq!(
            edited(ABC, |record| record.set(b"d", Value::Nil)),
            b"\x84\xa1a\x01\xa1b\x02\xa1c\x03\xa1d\xc0"
        );
        let moved = |record: &mut Record<'_>| {
            record.remove(b"a");
            record.set(b"a", Value::Int(9));
        };
        assert_eq!(edited(ABC, moved), b"\x83\xa1b\x02\xa1c\x03\xa1a\x09");
        assert_eq!(edited(ABC, |record| record.keep(&["c", "x", "a"])), b"\x82\xa1c\x03\xa1a\x01");
        assert_eq!(
            edited(ABC, |record| assert!(record.rename(b"b", b"x"))),
            b"\x83\xa1a\x01\xa1x\x02\xa1c\x03"
        );
        assert_eq!(edited(ABC, |record| assert!(record.rename(b"b", b"a"))), b"\x82\xa1a\x02\xa1c\x03");
        assert_eq!(edited(ABC, |record| assert!(!record.rename(b"x", b"a"))), ABC);
        assert_eq!(
            edited(ABC, |record| record.retain(|field| field.key.name() != Some(b"b"))),
            b"\x82\xa1a\x01\xa1c\x03"
        );
    }

    #[test]
    fn hostile_lengths_cost_no_memory() {
        let arena = Bump::new();
        assert!(Record::decode(b"\xdf\xff\xff\xff\xff\xa1a\x01", &arena).is_err());
        let mut value = Value::Raw(b"\xdd\xff\xff\xff\xff\x01");
        assert!(value.open(&arena).is_nil());
        assert!(arena.allocated_bytes() < 10_000);
        assert!(Record::decode(b"\x90", &arena).is_err());
    }
}
