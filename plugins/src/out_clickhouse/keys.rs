//! From a record's keys to columns, without hashing where records look alike.
//!
//! Records of one source have the same fields in the same order, so each known key remembers which key came after it
//! last time. A guess is one comparison of bytes, header included; only a wrong guess is looked up.

use super::layout::{FieldTarget, Fields};
use logweir_engine::msgpack::{ValueRef, write_str};
use std::collections::HashMap;

/// Keys that have no column are remembered up to this number; records with keys that are data (user names, say)
/// would fill the memory otherwise.
const UNKNOWN_KEYS_MAX: usize = 1024;

/// What is to be done with a field's value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Action {
    /// It goes into this column.
    Column(usize),
    /// It goes to several places: an index for [`Keys::spread`].
    Spread(usize),
    /// It has no column.
    Unknown,
}

/// The keys of one map, learned from the records that pass.
pub(crate) struct Keys {
    known: Vec<Known>,
    index: HashMap<Box<[u8]>, usize>,
    spreads: Vec<Spread>,
    first: usize,
    unknown: usize,
}

struct Known {
    /// The key as MessagePack, header included.
    raw: Box<[u8]>,
    /// Its first 16 bytes, and which bits of them count: a key is compared without a call.
    head: u128,
    mask: u128,
    action: Action,
    /// The key that came after it last.
    next: usize,
    /// How many times a field without a column had it.
    unknown: u64,
}

impl Known {
    #[inline]
    fn begins(&self, bytes: &[u8]) -> bool {
        match bytes.first_chunk::<16>() {
            Some(first) => {
                (u128::from_le_bytes(*first) ^ self.head) & self.mask == 0
                    && (self.raw.len() <= 16 || bytes.starts_with(&self.raw))
            }
            None => bytes.starts_with(&self.raw),
        }
    }
}

/// A value that goes to several columns, or whose inside does.
pub(crate) struct Spread {
    /// Columns that take it whole.
    pub(crate) columns: Vec<usize>,
    /// Columns that take what is in it.
    pub(crate) inside: Option<Keys>,
}

/// Where a record is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Place(Option<usize>);

impl Place {
    /// Before the first key.
    pub(crate) const START: Self = Self(None);
}

impl Keys {
    /// Of the fields of a layout.
    pub(crate) fn new(fields: &Fields) -> Self {
        let mut keys =
            Self { known: Vec::new(), index: HashMap::new(), spreads: Vec::new(), first: 0, unknown: 0 };
        let mut sorted: Vec<_> = fields.iter().collect();
        sorted.sort_by_key(|(_, target)| target.columns.first().copied().unwrap_or(usize::MAX));
        for (name, target) in sorted {
            let action = keys.action(target);
            keys.learn(name, action);
        }
        // Until a record says otherwise, its fields come in the order of the columns.
        for index in 0..keys.known.len() {
            keys.known[index].next = index + 1;
        }
        keys
    }

    /// The action for the key at the start of `bytes`, and the key's length. `None` if the key is no MessagePack.
    #[inline]
    pub(crate) fn find(&mut self, place: &mut Place, bytes: &[u8]) -> Option<(Action, usize)> {
        let guess = match place.0 {
            None => self.first,
            Some(previous) => self.known[previous].next,
        };
        if let Some(known) = self.known.get(guess)
            && known.begins(bytes)
        {
            *place = Place(Some(guess));
            return Some((known.action, known.raw.len()));
        }
        self.look_up(place, bytes)
    }

    /// Where the value of [`Action::Spread`] goes.
    pub(crate) fn spread(&mut self, index: usize) -> &mut Spread {
        &mut self.spreads[index]
    }

    /// The fields that lead to one column, with the column.
    pub(crate) fn columns(&self) -> Vec<(&[u8], usize)> {
        let columns = self.index.iter().filter_map(|(name, index)| match self.known[*index].action {
            Action::Column(column) => Some((&**name, column)),
            _ => None,
        });
        let mut columns: Vec<_> = columns.collect();
        columns.sort_by_key(|(_, column)| *column);
        columns
    }

    /// Counts the field that was just found as one without a column.
    #[inline]
    pub(crate) fn count_unknown(&mut self, place: Place) {
        if let Some(index) = place.0 {
            self.known[index].unknown += 1;
        }
    }

    /// Takes the counts of fields without a column, by name.
    pub(crate) fn take_unknown(&mut self, mut each: impl FnMut(&[u8], u64)) {
        for known in self.known.iter_mut().filter(|known| known.unknown > 0) {
            if let Ok(ValueRef::Str(name)) = ValueRef::read(&known.raw) {
                each(name, known.unknown);
            }
            known.unknown = 0;
        }
    }

    #[cold]
    fn look_up(&mut self, place: &mut Place, bytes: &[u8]) -> Option<(Action, usize)> {
        let mut reader = logweir_engine::msgpack::Reader::new(bytes);
        let value = reader.read_value().ok()?;
        let length = reader.position();
        let Some(name) = value.bytes() else { return Some((Action::Unknown, length)) };
        let index = match self.index.get(name) {
            Some(index) => *index,
            None if self.unknown < UNKNOWN_KEYS_MAX => {
                self.unknown += 1;
                self.learn(name, Action::Unknown)
            }
            None => return Some((Action::Unknown, length)),
        };
        match place.0 {
            None => self.first = index,
            Some(previous) => self.known[previous].next = index,
        }
        *place = Place(Some(index));
        Some((self.known[index].action, length))
    }

    fn learn(&mut self, name: &[u8], action: Action) -> usize {
        let mut raw = Vec::new();
        write_str(&mut raw, name);
        let index = self.known.len();
        let mut first = [0; 16];
        let length = raw.len().min(16);
        first[..length].copy_from_slice(&raw[..length]);
        let mask = u128::MAX >> (128 - 8 * length);
        let head = u128::from_le_bytes(first);
        self.known.push(Known { raw: raw.into(), head, mask, action, next: usize::MAX, unknown: 0 });
        self.index.insert(name.into(), index);
        index
    }

    fn action(&mut self, target: &FieldTarget) -> Action {
        match (&target.columns[..], &target.inside) {
            ([column], None) => Action::Column(*column),
            (columns, inside) => {
                let inside = inside.as_deref().map(Self::new);
                self.spreads.push(Spread { columns: columns.to_vec(), inside });
                Action::Spread(self.spreads.len() - 1)
            }
        }
    }
}
