//! Arrays.

use super::Value;
use bumpalo::Bump;
use bumpalo::collections::Vec as ArenaVec;
use std::cell::{Cell, RefCell, RefMut};

/// An Array object.
#[derive(Debug)]
pub(crate) struct Array<'a> {
    items: RefCell<ArenaVec<'a, Value<'a>>>,
    pub(crate) frozen: Cell<bool>,
}

impl<'a> Array<'a> {
    pub(crate) fn new(items: ArenaVec<'a, Value<'a>>) -> Self {
        Self { items: RefCell::new(items), frozen: Cell::new(false) }
    }

    pub(crate) fn of(arena: &'a Bump, items: &[Value<'a>]) -> Self {
        let mut list = ArenaVec::with_capacity_in(items.len(), arena);
        list.extend_from_slice(items);
        Self::new(list)
    }

    pub(crate) fn len(&self) -> usize {
        self.items.borrow().len()
    }

    #[inline]
    pub(crate) fn get(&self, index: usize) -> Option<Value<'a>> {
        self.items.borrow().get(index).copied()
    }

    /// The element that Ruby's index means: negative ones count from the end.
    pub(crate) fn at(&self, index: i64) -> Option<Value<'a>> {
        let items = self.items.borrow();
        let index = if index < 0 { index + items.len() as i64 } else { index };
        items.get(usize::try_from(index).ok()?).copied()
    }

    /// The elements as they are now. Blocks may change the array, so nobody holds on to the elements themselves.
    pub(crate) fn to_vec(&self) -> Vec<Value<'a>> {
        self.items.borrow().to_vec()
    }

    /// The elements, to be changed. No block may run while they are held.
    pub(crate) fn edit(&self) -> RefMut<'_, ArenaVec<'a, Value<'a>>> {
        self.items.borrow_mut()
    }

    pub(crate) fn push(&self, value: Value<'a>) {
        self.items.borrow_mut().push(value);
    }
}
