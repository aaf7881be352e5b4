//! A field that is looked for while its object is read: the transcoder sees every key anyway.

use crate::msgpack::{key_hash, key_name};

/// The key of a field of the outermost object.
#[derive(Clone, Debug)]
pub struct WatchedKey {
    name: Box<[u8]>,
    hash: u32,
}

impl WatchedKey {
    /// The key `name`.
    pub fn new(name: &[u8]) -> Self {
        Self { name: name.into(), hash: key_hash(name) }
    }
}

/// Where the field with a [`WatchedKey`] lies in what was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Watched {
    /// There is none.
    Absent,
    /// Offsets of its key and of its value in the output.
    At {
        /// Where the raw key begins.
        key: usize,
        /// Where the raw value begins.
        value: usize,
    },
    /// It has to be looked for: keys are there more than once.
    Unknown,
}

/// The looking while an object is read.
pub(super) struct Watch<'k> {
    key: Option<&'k WatchedKey>,
    /// Of the key; of no key it is as good as any.
    hash: u32,
    found: Watched,
}

impl<'k> Watch<'k> {
    pub(super) fn new(key: Option<&'k WatchedKey>) -> Self {
        Self { key, hash: key.map_or(0, |key| key.hash), found: Watched::Absent }
    }

    /// Whether a key with this hash may be the one.
    #[inline(always)]
    pub(super) fn may_be(&self, hash: u32) -> bool {
        hash == self.hash
    }

    /// A key of the outermost object was written at `at`, with nothing behind it yet; `end` is where that is.
    pub(super) fn see(&mut self, raw_key: &[u8], at: usize, end: usize) {
        if self.key.is_some_and(|key| key_name(raw_key) == Some(&*key.name)) {
            self.found = match self.found {
                Watched::Absent => Watched::At { key: at, value: end },
                _ => Watched::Unknown,
            };
        }
    }

    /// The outermost object is complete: its keys have been united, and its header has become longer by `shift`.
    pub(super) fn close(&mut self, is_united: bool, shift: usize) {
        if is_united {
            self.found = Watched::Unknown;
        } else if let Watched::At { key, value } = &mut self.found {
            *key += shift;
            *value += shift;
        }
    }

    pub(super) fn found(&self) -> Watched {
        self.found
    }
}
