//! A map of bounded size that forgets what has not been asked for the longest.

use std::borrow::Borrow;
use std::collections::HashMap;
use std::hash::Hash;

/// See the module.
pub(super) struct Recent<K, V> {
    entries: HashMap<K, Slot<V>>,
    /// Counts uses; the order of uses is all that matters.
    clock: u64,
    len_max: usize,
}

struct Slot<V> {
    value: V,
    used: u64,
}

impl<K: Hash + Eq + Clone, V> Recent<K, V> {
    /// An empty one for at most `len_max` entries, but at least one.
    pub(super) fn new(len_max: usize) -> Self {
        Self { entries: HashMap::new(), clock: 0, len_max: len_max.max(1) }
    }

    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }

    pub(super) fn is_full(&self) -> bool {
        self.entries.len() >= self.len_max
    }

    /// The value, which counts as a use.
    pub(super) fn get<Q: Hash + Eq + ?Sized>(&mut self, key: &Q) -> Option<&mut V>
    where
        K: Borrow<Q>,
    {
        let slot = self.entries.get_mut(key)?;
        self.clock += 1;
        slot.used = self.clock;
        Some(&mut slot.value)
    }

    /// The value, which does not count as a use.
    pub(super) fn peek<Q: Hash + Eq + ?Sized>(&self, key: &Q) -> Option<&V>
    where
        K: Borrow<Q>,
    {
        self.entries.get(key).map(|slot| &slot.value)
    }

    /// The value for a change that does not count as a use.
    pub(super) fn peek_mut<Q: Hash + Eq + ?Sized>(&mut self, key: &Q) -> Option<&mut V>
    where
        K: Borrow<Q>,
    {
        self.entries.get_mut(key).map(|slot| &mut slot.value)
    }

    /// Puts a value in, which counts as a use, and answers those that had to go for it.
    pub(super) fn insert(&mut self, key: K, value: V) -> Vec<V> {
        let mut gone = Vec::new();
        if self.is_full() && !self.entries.contains_key(&key) {
            gone = self.evict();
        }
        self.clock += 1;
        gone.extend(self.entries.insert(key, Slot { value, used: self.clock }).map(|slot| slot.value));
        gone
    }

    pub(super) fn remove<Q: Hash + Eq + ?Sized>(&mut self, key: &Q) -> Option<V>
    where
        K: Borrow<Q>,
    {
        self.entries.remove(key).map(|slot| slot.value)
    }

    pub(super) fn values_mut(&mut self) -> impl Iterator<Item = &mut V> {
        self.entries.values_mut().map(|slot| &mut slot.value)
    }

    /// A sixteenth of the entries goes at once, so that looking for the oldest is not done for each newcomer.
    fn evict(&mut self) -> Vec<V> {
        let count = (self.len_max / 16).max(1);
        let mut uses: Vec<u64> = self.entries.values().map(|slot| slot.used).collect();
        let (_, last, _) = uses.select_nth_unstable(count - 1);
        let last = *last;
        self.entries.extract_if(|_, slot| slot.used <= last).map(|(_, slot)| slot.value).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_least_recently_used_goes() {
        let mut recent = Recent::new(3);
        for key in ["a", "b", "c"] {
            assert!(recent.insert(key.to_owned(), key).is_empty());
        }
        assert!(recent.is_full());
        recent.get("a");
        recent.peek("b");
        assert_eq!(recent.insert("d".to_owned(), "d"), ["b"]);
        assert_eq!(recent.insert("a".to_owned(), "again"), ["a"]);
        assert_eq!(recent.insert("e".to_owned(), "e"), ["c"]);
        assert_eq!((recent.len(), recent.peek("a"), recent.peek("c")), (3, Some(&"again"), None));
        assert_eq!(recent.remove("a"), Some("again"));
    }

    #[test]
    fn it_never_holds_more_than_it_may() {
        for len_max in [1, 2, 16, 100] {
            let mut recent = Recent::new(len_max);
            let mut gone = 0;
            for n in 0..1000 {
                gone += recent.insert(n, n).len();
                assert!(recent.len() <= len_max);
                assert_eq!(recent.peek(&n), Some(&n));
            }
            assert_eq!(gone + recent.len(), 1000);
        }
    }
}
