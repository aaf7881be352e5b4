//! A matcher for the patterns of log lines, many times faster than the automata when it comes to groups.
//!
//! It goes through the text as Onigmo does, trying one way after the other, but knows for each place of the pattern by which
//! bytes the text may go on there (`next.rs`). In `(?<a>[^ ]*) (?<b>.*)$` and its like there is then never more than one way, and
//! runs are found by tables and `memchr`. Nothing is allocated. What it takes, and answers, is just what the other engines answer
//! (`properties.rs`).
//!
//! It has a limit on its steps that grows with the text. Past that another engine has to go on from the place at which it gave
//! up, so no pattern and no text makes a search slow: a search costs at most that many steps more.

mod finder;
mod instr;
mod matcher;
mod next;
mod op;
mod set;
mod start;

use super::node::Node;
use instr::Instr;
use matcher::{GaveUp, Matcher};
use regex_automata::util::primitives::NonMaxUsize;
use start::Start;
use std::sync::atomic::{AtomicU32, Ordering};

/// Steps for each byte of the text and each instruction of the pattern.
const STEPS_A_BYTE: usize = 8;
/// What giving up counts as searches that succeeded.
const GIVING_UP: u32 = 16;
/// From here on the matcher is left alone for as many searches.
const GIVEN_UP_MAX: u32 = 16 * GIVING_UP;

/// A pattern that can be matched directly.
#[derive(Debug)]
pub(super) struct Direct {
    instrs: Box<[Instr]>,
    start: Start,
    /// Goes up when it gives up, and down when it does not: patterns that make it give up often are left to other engines.
    given_up: AtomicU32,
}

/// What a search found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    Found,
    Nothing,
    /// Nothing begins before this place; what begins from there on is not known.
    GaveUp(usize),
}

impl Direct {
    /// None if the pattern has something that only other engines can do.
    pub(super) fn compile(node: &Node) -> Option<Self> {
        let ops = op::ops(node)?;
        let (instrs, next) = instr::instrs(&ops);
        Some(Self { instrs, start: Start::new(node, &ops, next), given_up: AtomicU32::new(0) })
    }

    /// Whether matches begin at the start of the text or of a line.
    pub(super) fn is_anchored(&self) -> bool {
        self.start.is_anchored()
    }

    /// The first match that begins at `from`, which lies between characters, or later. Of the groups' places as many are written as
    /// there are slots.
    pub(super) fn search(&self, text: &str, from: usize, slots: &mut [Option<NonMaxUsize>]) -> Outcome {
        let given_up = self.given_up.load(Ordering::Relaxed);
        if given_up >= GIVEN_UP_MAX {
            // By and by it is tried again: texts change.
            self.given_up.store(given_up - 1, Ordering::Relaxed);
            return Outcome::GaveUp(from);
        }
        let steps = STEPS_A_BYTE * (text.len() - from + self.instrs.len());
        let outcome = self.search_within(text, from, slots, steps);
        match outcome {
            Outcome::GaveUp(_) => self.given_up.store(given_up + GIVING_UP, Ordering::Relaxed),
            _ if given_up > 0 => self.given_up.store(given_up - 1, Ordering::Relaxed),
            _ => {}
        }
        outcome
    }

    /// The same with another limit.
    pub(super) fn search_within(
        &self,
        text: &str,
        from: usize,
        slots: &mut [Option<NonMaxUsize>],
        steps: usize,
    ) -> Outcome {
        if u32::try_from(text.len()).is_err() {
            return Outcome::GaveUp(from);
        }
        let mut matcher = Matcher::new(&self.instrs, text, slots, steps);
        let mut at = from;
        while let Some(start) = self.start.find(text, at) {
            match matcher.matches_at(start) {
                Ok(true) => return Outcome::Found,
                Ok(false) => matcher.forget(),
                Err(GaveUp) => {
                    matcher.forget();
                    return Outcome::GaveUp(start);
                }
            }
            at = start + 1;
        }
        Outcome::Nothing
    }
}

#[cfg(test)]
mod properties;
#[cfg(test)]
mod tests;
