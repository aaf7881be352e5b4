//! Runs the instructions of a pattern on a text, from one place.

use super::instr::{Beside, Instr, Lazy, Run, Ways};
use super::op::UNLIMITED;
use super::set::CharSet;
use crate::regexp::node::Assert;
use regex_automata::util::primitives::NonMaxUsize;
use smallvec::SmallVec;

/// How many choices may be open: what a search may hold in memory.
const CHOICES_MAX: usize = 4096;
/// So many bytes that are looked at in a row cost as much as a step.
const BYTES_A_STEP: usize = 8;

/// The steps were used up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct GaveUp;

/// A search: what was given, and what to come back to.
pub(super) struct Matcher<'p, 't> {
    instrs: &'p [Instr],
    text: &'t str,
    /// Places of groups; those that lack are not written.
    slots: &'t mut [Option<NonMaxUsize>],
    choices: SmallVec<[Choice; 32]>,
    steps: usize,
    /// Whether a slot has been written.
    is_dirty: bool,
}

/// What to come back to when a way turns out wrong, the last one first. Places are less than 4 GiB (see [`super::Direct`]).
#[derive(Clone, Copy)]
enum Choice {
    /// Another way from there.
    Way { instr: u32, at: u32 },
    /// What is behind a `(?!` whose inside has not matched so far.
    Not { instr: u32, at: u32 },
    /// A run may end earlier, at `low` or before a byte up to `high`.
    Shorter { instr: u32, low: u32, high: u32 },
    /// A run that took `taken` characters may take the one at `at`, too.
    Longer { instr: u32, at: u32, taken: u32 },
    /// A group was elsewhere.
    Slot { slot: u32, place: Option<NonMaxUsize> },
    /// Begins what is gone back into only until it has matched; the place is where a `(?=` returns to.
    Mark { at: u32 },
}

impl<'p, 't> Matcher<'p, 't> {
    pub(super) fn new(
        instrs: &'p [Instr],
        text: &'t str,
        slots: &'t mut [Option<NonMaxUsize>],
        steps: usize,
    ) -> Self {
        Self { instrs, text, slots, choices: SmallVec::new(), steps, is_dirty: false }
    }

    /// Whether it matches from `start`; the places of its groups are left in the slots.
    pub(super) fn matches_at(&mut self, start: usize) -> Result<bool, GaveUp> {
        self.choices.clear();
        let bytes = self.text.as_bytes();
        let (mut pc, mut at) = (0, start);
        // In a register; helpers count in `self.steps`.
        let mut steps = self.steps;
        loop {
            steps = steps.checked_sub(1).ok_or(GaveUp)?;
            let went_on = match &self.instrs[pc] {
                Instr::Byte(byte) => {
                    if bytes.get(at) == Some(byte) {
                        (pc, at) = (pc + 1, at + 1);
                        continue;
                    }
                    None
                }
                Instr::Bytes(literal) => {
                    if literal.is_at(bytes, at) {
                        (pc, at) = (pc + 1, at + literal.len());
                        continue;
                    }
                    None
                }
                Instr::Set(set) => {
                    if let Some(behind) = set.step(self.text, at) {
                        (pc, at) = (pc + 1, behind);
                        continue;
                    }
                    None
                }
                Instr::Field(run, slot) => {
                    self.save(*slot, at)?;
                    if let Some(end) = self.run(run, pc + 1, at)? {
                        self.save(*slot + 1, end)?;
                        steps = steps.saturating_sub((end - at) / BYTES_A_STEP);
                        (pc, at) = (pc + 3, end);
                        continue;
                    }
                    None
                }
                Instr::Run(run) => {
                    if let Some(end) = self.run(run, pc, at)? {
                        steps = steps.saturating_sub((end - at) / BYTES_A_STEP);
                        (pc, at) = (pc + 1, end);
                        continue;
                    }
                    None
                }
                Instr::Split(split) => {
                    if let Some(rounds) = &split.rounds {
                        let length = rounds.find(&bytes[at..]);
                        steps = steps.saturating_sub(length / BYTES_A_STEP);
                        at += length;
                    }
                    match bytes.get(at).map_or(split.ways_at_end, |byte| split.ways[usize::from(*byte)]) {
                        Ways::None => {}
                        Ways::First => {
                            pc = split.first;
                            continue;
                        }
                        Ways::Second => {
                            pc = split.second;
                            continue;
                        }
                        Ways::Both => {
                            self.push(Choice::Way { instr: split.second as u32, at: at as u32 })?;
                            pc = split.first;
                            continue;
                        }
                    }
                    None
                }
                Instr::Jump(to) => {
                    pc = *to;
                    continue;
                }
                Instr::Save(slot) => {
                    self.save(*slot, at)?;
                    pc += 1;
                    continue;
                }
                Instr::Assert(assert) => {
                    if self.holds(*assert, at) {
                        pc += 1;
                        continue;
                    }
                    None
                }
                Instr::Match => {
                    self.set(0, start);
                    self.set(1, at);
                    return Ok(true);
                }
                rare => {
                    self.steps = steps;
                    let went_on = self.rare(rare, pc, at)?;
                    steps = self.steps;
                    went_on
                }
            };
            if let Some(on) = went_on {
                (pc, at) = on;
                continue;
            }
            self.steps = steps;
            match self.back()? {
                Some(on) => (pc, at) = on,
                None => return Ok(false),
            }
            steps = self.steps;
        }
    }

    /// The instructions that are not in every pattern: where to go on, if they match.
    fn rare(&mut self, instr: &Instr, pc: usize, at: usize) -> Result<Option<(usize, usize)>, GaveUp> {
        let is_there = match instr {
            Instr::Lazy(lazy) => {
                let Some(least) = self.least(&lazy.set, lazy.min, at) else { return Ok(None) };
                return Ok(self.lazy(lazy, pc, least, lazy.min)?.map(|end| (pc + 1, end)));
            }
            Instr::Beside(set, Beside { behind: true, negate }) => set.is_behind(self.text, at) != *negate,
            Instr::Beside(set, Beside { behind: false, negate }) => {
                set.step(self.text, at).is_some() != *negate
            }
            Instr::Mark | Instr::Ahead => {
                self.push(Choice::Mark { at: at as u32 })?;
                true
            }
            Instr::Commit => {
                self.commit();
                true
            }
            Instr::Return => return Ok(Some((pc + 1, self.commit()))),
            Instr::NotAhead(behind) => {
                self.push(Choice::Not { instr: *behind as u32, at: at as u32 })?;
                true
            }
            Instr::Refuse => {
                self.refuse();
                false
            }
            // The others are run by `matches_at`.
            _ => false,
        };
        Ok(is_there.then_some((pc + 1, at)))
    }

    /// Empties the slots after an attempt that did not match.
    pub(super) fn forget(&mut self) {
        if self.is_dirty {
            self.slots.fill(None);
            self.is_dirty = false;
        }
    }

    /// The last choice that is left, taken: where to go on.
    fn back(&mut self) -> Result<Option<(usize, usize)>, GaveUp> {
        while let Some(choice) = self.choices.pop() {
            match choice {
                Choice::Way { instr, at } | Choice::Not { instr, at } => {
                    return Ok(Some((instr as usize, at as usize)));
                }
                Choice::Shorter { instr, low, high } => {
                    let Instr::Run(run) = &self.instrs[instr as usize] else { continue };
                    let Some(shorter) = &run.shorter else { continue };
                    let inside = &self.text.as_bytes()[low as usize..high as usize];
                    let cut = inside.iter().rposition(|byte| shorter[usize::from(*byte)]);
                    self.pay(inside.len() - cut.unwrap_or(0));
                    let Some(cut) = cut else { continue };
                    let at = low + cut as u32;
                    if cut > 0 {
                        self.push(Choice::Shorter { instr, low, high: at })?;
                    }
                    return Ok(Some((instr as usize + 1, at as usize)));
                }
                Choice::Longer { instr, at, taken } => {
                    let Instr::Lazy(lazy) = &self.instrs[instr as usize] else { continue };
                    let Some(at) = lazy.set.step(self.text, at as usize) else { continue };
                    if let Some(at) = self.lazy(lazy, instr as usize, at, taken.saturating_add(1))? {
                        return Ok(Some((instr as usize + 1, at)));
                    }
                }
                Choice::Slot { slot, place } => self.restore(slot, place),
                Choice::Mark { .. } => {}
            }
        }
        Ok(None)
    }

    /// Where a run that begins at `at` ends.
    #[inline]
    fn run(&mut self, run: &Run, pc: usize, at: usize) -> Result<Option<usize>, GaveUp> {
        let rest = &self.text.as_bytes()[at..];
        let end = match &run.bytes {
            Some(bytes) if run.max == UNLIMITED => at + bytes.find(rest),
            Some(bytes) => at + bytes.find(&rest[..rest.len().min(run.max as usize)]),
            None => self.most(&run.set, run.max, at),
        };
        let low = match run.min {
            0 => at,
            // All of them are in the set.
            1 if end > at => self.text.ceil_char_boundary(at + 1),
            min => match self.least(&run.set, min, at) {
                Some(low) if low <= end => low,
                _ => return Ok(None),
            },
        };
        if run.shorter.is_some() && low < end {
            self.push(Choice::Shorter { instr: pc as u32, low: low as u32, high: end as u32 })?;
        }
        Ok(Some(end))
    }

    /// Where a lazy run that is at `at` and has taken `taken` characters may end first.
    fn lazy(&mut self, lazy: &Lazy, pc: usize, at: usize, taken: u32) -> Result<Option<usize>, GaveUp> {
        let bytes = self.text.as_bytes();
        let (mut at, mut taken) = (at, taken);
        loop {
            if let Some(run) = &lazy.bytes {
                let length = run.find(&bytes[at..]);
                self.pay(length);
                at += length;
            }
            let can_end = bytes.get(at).map_or(lazy.exit_at_end, |byte| lazy.exit[usize::from(*byte)]);
            let longer = if taken < lazy.max { lazy.set.step(self.text, at) } else { None };
            match (can_end, longer) {
                (true, Some(_)) => {
                    self.push(Choice::Longer { instr: pc as u32, at: at as u32, taken })?;
                    return Ok(Some(at));
                }
                (true, None) => return Ok(Some(at)),
                (false, Some(behind)) => {
                    self.pay(BYTES_A_STEP);
                    at = behind;
                    taken = taken.saturating_add(1);
                }
                (false, None) => return Ok(None),
            }
        }
    }

    /// Where the next `min` characters end if they are all in the set.
    fn least(&mut self, set: &CharSet, min: u32, at: usize) -> Option<usize> {
        let mut at = at;
        for _ in 0..min {
            self.pay(BYTES_A_STEP);
            at = set.step(self.text, at)?;
        }
        Some(at)
    }

    /// Where the next characters that are in the set end, at most `max`.
    fn most(&mut self, set: &CharSet, max: u32, at: usize) -> usize {
        let mut at = at;
        for _ in 0..max {
            let Some(behind) = set.step(self.text, at) else { break };
            self.pay(BYTES_A_STEP);
            at = behind;
        }
        at
    }

    fn holds(&self, assert: Assert, at: usize) -> bool {
        let bytes = self.text.as_bytes();
        match assert {
            Assert::LineStart => at == 0 || at < bytes.len() && bytes[at - 1] == b'\n',
            Assert::LineEnd => bytes.get(at).is_none_or(|byte| *byte == b'\n'),
            Assert::TextStart => at == 0,
            Assert::TextEnd => at == bytes.len(),
            Assert::LastLineEnd => matches!(bytes[at..], [] | [b'\n']),
            Assert::Word { ascii } => self.is_word_edge(at, ascii),
            Assert::NotWord { ascii } => !self.is_word_edge(at, ascii),
            // Patterns with these are not compiled.
            Assert::SearchStart | Assert::Keep => false,
        }
    }

    fn is_word_edge(&self, at: usize, ascii: bool) -> bool {
        let is_word = |char: char| match char.is_ascii() || ascii {
            true => char.is_ascii_alphanumeric() || char == '_',
            false => regex_syntax::try_is_word_character(char).unwrap_or(false),
        };
        let (before, behind) = self.text.split_at(at);
        before.chars().next_back().is_some_and(is_word) != behind.chars().next().is_some_and(is_word)
    }

    /// Forgets what could be come back to since the last mark; answers where that was.
    fn commit(&mut self) -> usize {
        let Some(mark) = self.choices.iter().rposition(|choice| matches!(choice, Choice::Mark { .. })) else {
            return 0;
        };
        self.pay((self.choices.len() - mark) * BYTES_A_STEP);
        let Choice::Mark { at } = self.choices[mark] else { return 0 };
        // Groups are put back if what is before the mark turns out wrong.
        let mut kept = mark;
        for n in mark + 1..self.choices.len() {
            if matches!(self.choices[n], Choice::Slot { .. }) {
                self.choices[kept] = self.choices[n];
                kept += 1;
            }
        }
        self.choices.truncate(kept);
        at as usize
    }

    /// Undoes all since the last `(?!`.
    fn refuse(&mut self) {
        while let Some(choice) = self.choices.pop() {
            self.pay(BYTES_A_STEP);
            match choice {
                Choice::Not { .. } => return,
                Choice::Slot { slot, place } => self.restore(slot, place),
                _ => {}
            }
        }
    }

    #[inline]
    fn save(&mut self, slot: usize, at: usize) -> Result<(), GaveUp> {
        if !self.choices.is_empty()
            && let Some(place) = self.slots.get(slot).copied()
        {
            self.push(Choice::Slot { slot: slot as u32, place })?;
        }
        self.set(slot, at);
        Ok(())
    }

    #[inline]
    fn set(&mut self, slot: usize, at: usize) {
        if let Some(slot) = self.slots.get_mut(slot) {
            *slot = NonMaxUsize::new(at);
            self.is_dirty = true;
        }
    }

    fn restore(&mut self, slot: u32, place: Option<NonMaxUsize>) {
        if let Some(slot) = self.slots.get_mut(slot as usize) {
            *slot = place;
        }
    }

    #[inline]
    fn push(&mut self, choice: Choice) -> Result<(), GaveUp> {
        if self.choices.len() >= CHOICES_MAX {
            return Err(GaveUp);
        }
        self.choices.push(choice);
        Ok(())
    }

    /// For looking at so many bytes in a row.
    #[inline]
    fn pay(&mut self, bytes: usize) {
        self.steps = self.steps.saturating_sub(bytes / BYTES_A_STEP);
    }
}
