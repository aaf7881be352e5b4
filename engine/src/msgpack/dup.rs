//! Finds keys that a map has more than once, at next to no cost for the maps that have none.

use std::collections::HashMap;

/// What tells keys apart: whether the key is a string, and its bytes (of another kind: its raw bytes).
pub(super) type Identity<'a> = (bool, &'a [u8]);

/// Keys seen so far in one map. Small maps use a bit set as a filter in front of a linear search; large ones a hash
/// table, so that a hostile map costs linear time.
pub(super) struct Duplicates<'a> {
    bits: KeyBits,
    table: Option<HashMap<Identity<'a>, usize>>,
}

/// Up to this many pairs are searched linearly.
pub(super) const SMALL_PAIRS: usize = 64;

impl<'a> Duplicates<'a> {
    /// For a map of about `pairs` pairs.
    #[inline]
    pub(super) fn new(pairs: usize) -> Self {
        Self { bits: KeyBits::default(), table: (pairs > SMALL_PAIRS).then(HashMap::new) }
    }

    /// The place that `key` was given before, or `None`: then it is given `place`. `key_at` answers the key of a
    /// place below `place`.
    #[inline]
    pub(super) fn find(
        &mut self,
        key: Identity<'a>,
        place: usize,
        key_at: impl Fn(usize) -> Option<Identity<'a>>,
    ) -> Option<usize> {
        if let Some(table) = &mut self.table {
            return match table.entry(key) {
                std::collections::hash_map::Entry::Occupied(earlier) => Some(*earlier.get()),
                std::collections::hash_map::Entry::Vacant(free) => {
                    free.insert(place);
                    None
                }
            };
        }
        if !self.bits.insert(key.1) {
            return None;
        }
        (0..place).find(|&at| key_at(at) == Some(key))
    }
}

/// A set of keys that may take one for another.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct KeyBits([u64; 4]);

impl KeyBits {
    /// Adds `key`; answers whether it may have been there before. `false` is certain.
    #[inline]
    pub(super) fn insert(&mut self, key: &[u8]) -> bool {
        let hash = key_hash(key) >> 24;
        let word = &mut self.0[(hash >> 6) as usize];
        let bit = 1u64 << (hash & 63);
        let known = *word & bit != 0;
        *word |= bit;
        known
    }
}

/// A hash of a key's length and its first and last eight bytes; its upper bits are the best.
#[inline(always)]
pub(crate) fn key_hash(key: &[u8]) -> u32 {
    let mixed = match (key.first_chunk(), key.last_chunk()) {
        (Some(first), Some(last)) => u64::from_le_bytes(*first) ^ u64::from_le_bytes(*last).rotate_left(23),
        _ => key.iter().fold(0, |mixed, &byte| mixed << 8 | u64::from(byte)),
    };
    (mixed.wrapping_add(key.len() as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32) as u32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_the_first_place_of_small_and_large_maps() {
        for distinct in [1usize, 2, 63, 64, 65, 300] {
            let names: Vec<String> = (0..distinct).map(|n| format!("key{n}")).collect();
            let mut duplicates = Duplicates::new(distinct);
            let at = |place: usize| names.get(place).map(|name| (true, name.as_bytes()));
            for place in 0..distinct {
                assert_eq!(duplicates.find(at(place).unwrap(), place, at), None);
            }
            for place in 0..distinct {
                assert_eq!(duplicates.find(at(place).unwrap(), distinct, at), Some(place));
            }
            assert_eq!(duplicates.find((false, b"key0"), distinct, at), None);
        }
    }
}
