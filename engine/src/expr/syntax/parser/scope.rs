//! Names of variables while an expression is parsed: each becomes a slot of one flat frame.

use crate::expr::syntax::ast::{Given, Slot};
use std::collections::HashMap;

/// The variables that are visible, innermost block last.
pub(super) struct Scope {
    levels: Vec<Level>,
    given: &'static [(&'static str, Given)],
    /// Instance variables that have values already.
    prepared: Vec<String>,
    given_slots: Vec<(Given, Slot)>,
    next: Slot,
}

struct Level {
    names: HashMap<String, Slot>,
    /// Whether the block of this level is kept and called later (a lambda), when the blocks around it may be over.
    kept: bool,
    first: Slot,
}

/// What a name means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Name {
    Local(Slot),
    /// A variable of a block that may be over when this code runs.
    OutOfReach,
    Given(Given, Slot),
}

/// More variables than any expression needs; the frame is this large at most.
const SLOTS_MAX: Slot = 512;

impl Scope {
    pub(super) fn new(given: &'static [(&'static str, Given)]) -> Self {
        let top = Level { names: HashMap::new(), kept: false, first: 0 };
        Self { levels: vec![top], given, prepared: Vec::new(), given_slots: Vec::new(), next: 0 }
    }

    /// See [`Parser::prepared`](super::Parser::prepared).
    pub(super) fn prepare(&mut self, names: &[String]) {
        self.prepared = names.to_vec();
    }

    /// The instance variables that are set, by name.
    pub(super) fn instance_variables(&self) -> Vec<(String, Slot)> {
        let all = self.levels.first().into_iter().flat_map(|level| &level.names);
        let mut set: Vec<_> =
            all.filter(|(name, _)| name.starts_with('@')).map(|(name, slot)| (name.clone(), *slot)).collect();
        set.sort();
        set
    }

    /// How many slots the frame needs.
    pub(super) fn slots(&self) -> Slot {
        self.next
    }

    /// The caller's values that the expression names.
    pub(super) fn given(&self) -> impl Iterator<Item = Given> + '_ {
        self.given_slots.iter().map(|(given, _)| *given)
    }

    pub(super) fn find(&mut self, name: &str) -> Option<Name> {
        let mut kept_below = false;
        for (depth, level) in self.levels.iter().enumerate().rev() {
            if let Some(slot) = level.names.get(name) {
                return Some(if kept_below && depth > 0 { Name::OutOfReach } else { Name::Local(*slot) });
            }
            kept_below |= level.kept;
        }
        let given = match self.prepared.iter().position(|known| known == name) {
            Some(number) => Given::Prepared(u16::try_from(number).ok()?),
            None => self.given.iter().find(|(known, _)| *known == name)?.1,
        };
        let slot = match self.given_slots.iter().find(|(known, _)| *known == given) {
            Some((_, slot)) => *slot,
            None => {
                let slot = self.fresh()?;
                self.given_slots.push((given, slot));
                slot
            }
        };
        Some(Name::Given(given, slot))
    }

    /// A new variable of the innermost block; `None` if there are too many.
    pub(super) fn declare(&mut self, name: &str) -> Option<Slot> {
        let slot = self.fresh()?;
        // An instance variable is not one of the block that sets it.
        let level = if name.starts_with('@') { self.levels.first_mut() } else { self.levels.last_mut() };
        if let Some(level) = level {
            level.names.insert(name.to_owned(), slot);
        }
        Some(slot)
    }

    /// A slot without a name.
    pub(super) fn fresh(&mut self) -> Option<Slot> {
        if self.next >= SLOTS_MAX {
            return None;
        }
        self.next += 1;
        Some(self.next - 1)
    }

    /// Enters a block.
    pub(super) fn enter(&mut self, kept: bool) {
        self.levels.push(Level { names: HashMap::new(), kept, first: self.next });
    }

    /// Leaves a block and answers the slots of its variables.
    pub(super) fn leave(&mut self) -> (Slot, Slot) {
        let first = if self.levels.len() > 1 { self.levels.pop().map_or(0, |level| level.first) } else { 0 };
        (first, self.next)
    }
}
