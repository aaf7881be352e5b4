//! What a pattern matched.

use super::Regexp;
use regex_automata::util::primitives::NonMaxUsize;
use smallvec::SmallVec;
use std::ops::Range;

/// The places of a match and of its groups. Made once and used for many searches, it allocates only for patterns
/// with more than fifteen groups.
#[derive(Clone, Debug, Default)]
pub struct Spans {
    pub(super) slots: SmallVec<[Option<NonMaxUsize>; 32]>,
}

impl Spans {
    /// No match yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Where group `index` (0: the whole match) matched, in bytes.
    pub fn get(&self, index: usize) -> Option<Range<usize>> {
        let start = (*self.slots.get(index * 2)?)?;
        let end = (*self.slots.get(index * 2 + 1)?)?;
        Some(start.get()..end.get())
    }

    pub(super) fn reset(&mut self, groups: usize) {
        self.slots.clear();
        self.slots.resize((groups + 1) * 2, None);
    }

    pub(super) fn set(&mut self, index: usize, span: Option<Range<usize>>) {
        let (start, end) = match span {
            Some(span) => (NonMaxUsize::new(span.start), NonMaxUsize::new(span.end)),
            None => (None, None),
        };
        if let Some(slots) = self.slots.get_mut(index * 2..index * 2 + 2) {
            slots[0] = start;
            slots[1] = end;
        }
    }

    pub(super) fn translate(&mut self, place: impl Fn(usize) -> usize) {
        for slot in self.slots.iter_mut().flatten() {
            *slot = NonMaxUsize::new(place(slot.get())).unwrap_or(*slot);
        }
    }
}

/// A match: Ruby's MatchData.
#[derive(Clone, Debug)]
pub struct Captures<'r, 't> {
    pub(super) regexp: &'r Regexp,
    pub(super) text: &'t [u8],
    pub(super) spans: Spans,
}

impl<'r, 't> Captures<'r, 't> {
    /// What group `index` matched; 0 is the whole match.
    pub fn get(&self, index: usize) -> Option<&'t [u8]> {
        self.spans.get(index).map(|span| &self.text[span])
    }

    /// What the group of that name matched; of several groups with one name, the last that matched.
    pub fn name(&self, name: &str) -> Option<&'t [u8]> {
        let name = self.regexp.names().iter().find(|group| group.name() == name)?;
        name.span(&self.spans).map(|span| &self.text[span])
    }

    /// Where group `index` matched, in bytes.
    pub fn span(&self, index: usize) -> Option<Range<usize>> {
        self.spans.get(index)
    }

    /// How many groups there are, the whole match included.
    #[allow(clippy::len_without_is_empty)]
    pub fn len(&self) -> usize {
        self.regexp.groups() + 1
    }

    /// The names with what they matched, in the order of the pattern.
    pub fn named(&self) -> impl Iterator<Item = (&'r str, Option<&'t [u8]>)> + '_ {
        let names: &'r [GroupName] = self.regexp.names();
        names.iter().map(|name| (name.name(), name.span(&self.spans).map(|span| &self.text[span])))
    }

    /// What lies before the match.
    pub fn pre_match(&self) -> &'t [u8] {
        &self.text[..self.spans.get(0).map_or(0, |span| span.start)]
    }

    /// What lies behind the match.
    pub fn post_match(&self) -> &'t [u8] {
        &self.text[self.spans.get(0).map_or(self.text.len(), |span| span.end)..]
    }
}

/// A name and the groups that bear it.
#[derive(Clone, Debug)]
pub struct GroupName {
    pub(super) name: Box<str>,
    pub(super) groups: SmallVec<[usize; 1]>,
}

impl GroupName {
    /// The name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The numbers of its groups, in the order of the pattern.
    pub fn groups(&self) -> &[usize] {
        &self.groups
    }

    /// What it matched: of several groups with one name, the last that matched.
    pub fn span(&self, spans: &Spans) -> Option<Range<usize>> {
        self.groups.iter().rev().find_map(|&group| spans.get(group))
    }
}
