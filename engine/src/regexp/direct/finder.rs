//! Finding the first byte that is in a set.

use super::set::Bytes;
use memchr::{memchr, memchr2, memchr3};

/// So many bytes are looked at one by one before a vectorised search, which costs something to begin, takes over: many runs in
/// log lines are a hyphen or a short number.
const NEAR: usize = 4;

/// Finds the first byte of a set.
#[derive(Clone, Debug)]
pub(super) struct Finder {
    table: [bool; 256],
    few: Few,
}

/// The set itself if it is small.
#[derive(Clone, Copy, Debug)]
enum Few {
    None,
    One(u8),
    Two(u8, u8),
    Three(u8, u8, u8),
    Many,
}

impl Finder {
    pub(super) fn new(bytes: Bytes) -> Self {
        let mut iter = bytes.iter();
        let few = match [(); 4].map(|()| iter.next()) {
            [None, ..] => Few::None,
            [Some(a), None, ..] => Few::One(a),
            [Some(a), Some(b), None, _] => Few::Two(a, b),
            [Some(a), Some(b), Some(c), None] => Few::Three(a, b, c),
            _ => Few::Many,
        };
        Self { table: bytes.table(), few }
    }

    /// Where the first byte of the set is; the length of the text if there is none.
    #[inline]
    pub(super) fn find(&self, text: &[u8]) -> usize {
        let is_found = |byte: &u8| self.table[usize::from(*byte)];
        if let Few::Many = self.few {
            return text.iter().position(is_found).unwrap_or(text.len());
        }
        let (near, far) = text.split_at(text.len().min(NEAR));
        if let Some(at) = near.iter().position(is_found) {
            return at;
        }
        let found = match self.few {
            Few::None | Few::Many => None,
            Few::One(a) => memchr(a, far),
            Few::Two(a, b) => memchr2(a, b, far),
            Few::Three(a, b, c) => memchr3(a, b, c, far),
        };
        found.map_or(text.len(), |at| near.len() + at)
    }
}
