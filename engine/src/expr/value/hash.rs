//! Hashes: pairs in the order of insertion, searched from the front while they are few, by an index when they are many.

use super::{Proc, Str, Value, eql, hash_code};
use bumpalo::Bump;
use bumpalo::collections::Vec as ArenaVec;
use std::cell::{Cell, RefCell};

/// A Hash object.
#[derive(Debug)]
pub(crate) struct Hash<'a> {
    table: RefCell<Table<'a>>,
    pub(crate) default: Cell<Value<'a>>,
    pub(crate) default_proc: Cell<Option<&'a Proc>>,
    pub(crate) frozen: Cell<bool>,
}

#[derive(Debug)]
struct Table<'a> {
    pairs: ArenaVec<'a, (Value<'a>, Value<'a>)>,
    /// Open addressing: 0 is free, else the pair's position plus one. Empty while the pairs are few, and after
    /// removals until the next search.
    index: ArenaVec<'a, u32>,
}

/// Up to here a search from the front is as fast.
const UNINDEXED_MAX: usize = 16;

impl<'a> Hash<'a> {
    pub(crate) fn new(arena: &'a Bump) -> Self {
        Self::with_capacity(arena, 0)
    }

    pub(crate) fn with_capacity(arena: &'a Bump, pairs: usize) -> Self {
        let table = Table { pairs: ArenaVec::with_capacity_in(pairs, arena), index: ArenaVec::new_in(arena) };
        Self {
            table: RefCell::new(table),
            default: Cell::new(Value::Nil),
            default_proc: Cell::new(None),
            frozen: Cell::new(false),
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.table.borrow().pairs.len()
    }

    /// The pair at a position of the order.
    pub(crate) fn pair(&self, at: usize) -> Option<(Value<'a>, Value<'a>)> {
        self.table.borrow().pairs.get(at).copied()
    }

    /// All pairs as they are now.
    pub(crate) fn to_vec(&self) -> Vec<(Value<'a>, Value<'a>)> {
        self.table.borrow().pairs.to_vec()
    }

    pub(crate) fn get(&self, key: Value<'a>) -> Option<Value<'a>> {
        let mut table = self.table.borrow_mut();
        let at = table.find(key)?;
        Some(table.pairs[at].1)
    }

    /// The value of the string `key`.
    pub(crate) fn get_text(&self, key: &[u8]) -> Option<Value<'a>> {
        let table = self.table.borrow();
        table
            .pairs
            .iter()
            .find(|(known, _)| matches!(known, Value::Str(text) if text.bytes() == key))
            .map(|p| p.1)
    }

    /// The value of the symbol `name`.
    pub(crate) fn get_symbol(&self, name: &[u8]) -> Option<Value<'a>> {
        let table = self.table.borrow();
        table
            .pairs
            .iter()
            .find(|(known, _)| matches!(known, Value::Symbol(symbol) if *symbol == name))
            .map(|p| p.1)
    }

    /// Sets `key`: at its place if it exists, else at the end. A string key is copied, as its owner may change it.
    pub(crate) fn set(&self, arena: &'a Bump, key: Value<'a>, value: Value<'a>) {
        let mut table = self.table.borrow_mut();
        if let Some(at) = table.find(key) {
            table.pairs[at].1 = value;
            return;
        }
        let key = match key {
            Value::Str(text) if !text.frozen.get() => {
                let copy = Str::new(text.bytes());
                copy.binary.set(text.binary.get());
                copy.frozen.set(true);
                Value::Str(arena.alloc(copy))
            }
            other => other,
        };
        table.push(key, value);
    }

    /// Appends a pair whose key is known to be new.
    pub(crate) fn push(&self, key: Value<'a>, value: Value<'a>) {
        self.table.borrow_mut().push(key, value);
    }

    pub(crate) fn remove(&self, key: Value<'a>) -> Option<Value<'a>> {
        let mut table = self.table.borrow_mut();
        let at = table.find(key)?;
        table.index.clear();
        Some(table.pairs.remove(at).1)
    }

    pub(crate) fn remove_at(&self, at: usize) -> Option<(Value<'a>, Value<'a>)> {
        let mut table = self.table.borrow_mut();
        if at >= table.pairs.len() {
            return None;
        }
        table.index.clear();
        Some(table.pairs.remove(at))
    }

    /// Replaces all pairs. Keys must be distinct.
    pub(crate) fn replace(&self, pairs: &[(Value<'a>, Value<'a>)]) {
        let mut table = self.table.borrow_mut();
        table.index.clear();
        table.pairs.clear();
        table.pairs.extend_from_slice(pairs);
    }

    /// Replaces the value at a position of the order.
    pub(crate) fn set_at(&self, at: usize, value: Value<'a>) {
        if let Some(pair) = self.table.borrow_mut().pairs.get_mut(at) {
            pair.1 = value;
        }
    }
}

impl<'a> Table<'a> {
    fn find(&mut self, key: Value<'a>) -> Option<usize> {
        if self.pairs.len() <= UNINDEXED_MAX {
            return self.pairs.iter().position(|(known, _)| eql(*known, key));
        }
        if self.index.is_empty() {
            self.reindex();
        }
        let mask = self.index.len() - 1;
        let mut slot = hash_code(key) as usize & mask;
        loop {
            match self.index[slot] {
                0 => return None,
                at if eql(self.pairs[at as usize - 1].0, key) => return Some(at as usize - 1),
                _ => slot = (slot + 1) & mask,
            }
        }
    }

    fn push(&mut self, key: Value<'a>, value: Value<'a>) {
        self.pairs.push((key, value));
        if self.index.is_empty() {
            return;
        }
        if self.pairs.len() * 2 > self.index.len() {
            self.reindex();
        } else {
            self.enter(self.pairs.len() - 1);
        }
    }

    fn reindex(&mut self) {
        let size = (self.pairs.len() * 4).next_power_of_two();
        self.index.clear();
        self.index.resize(size, 0);
        for at in 0..self.pairs.len() {
            self.enter(at);
        }
    }

    fn enter(&mut self, at: usize) {
        let mask = self.index.len() - 1;
        let mut slot = hash_code(self.pairs[at].0) as usize & mask;
        while self.index[slot] != 0 {
            slot = (slot + 1) & mask;
        }
        self.index[slot] = at as u32 + 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn many_keys_are_found_after_every_change() {
        let arena = Bump::new();
        let hash = Hash::new(&arena);
        let key =
            |n: i64| Value::Str(arena.alloc(Str::new(arena.alloc_slice_copy(format!("k{n}").as_bytes()))));
        for n in 0..100 {
            hash.set(&arena, key(n), Value::Int(n));
            hash.set(&arena, key(n), Value::Int(n * 2));
        }
        assert_eq!(hash.len(), 100);
        for n in (0..100).step_by(3) {
            assert!(hash.remove(key(n)).is_some());
        }
        for n in 0..100 {
            match hash.get(key(n)) {
                Some(Value::Int(value)) => assert!(n % 3 != 0 && value == n * 2),
                other => assert!(n % 3 == 0 && other.is_none()),
            }
        }
        assert!(hash.get(Value::Symbol(b"k1")).is_none(), "a symbol is no string");
    }
}
