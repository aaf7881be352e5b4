//! `<worker N>` and `<worker N-M>`: which of Fluentd's worker processes run a directive.
//!
//! Logweir is one process and runs each plugin once. What is left of the workers is which plugins see the events of which: an
//! event of an input in `<worker 1>` goes past the filters and outputs that stand in `<worker 1>` or in none. An event of an
//! input in no section would have come to one worker or another; it goes by the first of them that has an output for its tag.

use std::ops::RangeInclusive;

/// Which workers run a directive.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Workers(Option<(u32, u32)>);

impl Workers {
    /// All of them: it stands in no `<worker>`.
    pub const ALL: Self = Self(None);

    /// Those of `<worker first-last>`.
    pub fn only(first: u32, last: u32) -> Self {
        Self(Some((first, last)))
    }

    /// The range, unless it is all.
    pub fn range(self) -> Option<RangeInclusive<u32>> {
        self.0.map(|(first, last)| first..=last)
    }

    /// The first of them.
    pub fn first(self) -> u32 {
        self.0.map_or(0, |(first, _)| first)
    }

    /// Whether the worker of that number is one.
    pub fn contains(self, id: u32) -> bool {
        self.0.is_none_or(|(first, last)| (first..=last).contains(&id))
    }

    /// Whether all of `other` are among them.
    pub fn include(self, other: Self) -> bool {
        match (self.0, other.0) {
            (None, _) => true,
            (Some(_), None) => false,
            (Some((first, last)), Some((from, to))) => first <= from && to <= last,
        }
    }

    /// Whether a worker is one of these and of `other`.
    pub fn overlap(self, other: Self) -> bool {
        match (self.0, other.0) {
            (Some((first, last)), Some((from, to))) => first <= to && from <= last,
            _ => true,
        }
    }

    /// Of the workers from 0 to `count` - 1 that are among these, one for each way in which `others` tell them apart, in order.
    pub(super) fn representatives(self, others: impl Iterator<Item = Self>, count: u32) -> Vec<u32> {
        let ends = others.filter_map(|other| other.0);
        let mut found: Vec<u32> = ends.flat_map(|(first, last)| [first, last.saturating_add(1)]).collect();
        found.push(self.first());
        found.retain(|id| *id < count && self.contains(*id));
        found.sort_unstable();
        found.dedup();
        if found.is_empty() { vec![self.first()] } else { found }
    }
}

/// As the argument of a `<worker>`; nothing for all.
impl std::fmt::Display for Workers {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.0 {
            None => Ok(()),
            Some((first, last)) if first == last => write!(f, "{first}"),
            Some((first, last)) => write!(f, "{first}-{last}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sets_of_workers() {
        let (all, some) = (Workers::ALL, Workers::only(1, 3));
        assert!(all.contains(7) && some.contains(3) && !some.contains(0));
        assert!(all.include(some) && !some.include(all) && some.include(Workers::only(2, 3)));
        assert!(!some.include(Workers::only(3, 4)) && some.overlap(Workers::only(3, 4)));
        assert!(!some.overlap(Workers::only(0, 0)) && some.overlap(all));
        assert_eq!([all.to_string(), some.to_string(), Workers::only(2, 2).to_string()], ["", "1-3", "2"]);
    }

    #[test]
    fn one_worker_stands_for_all_that_see_the_same() {
        let all = |others: &[Workers]| Workers::ALL.representatives(others.iter().copied(), 64);
        assert_eq!(all(&[]), [0]);
        assert_eq!(all(&[Workers::ALL, Workers::only(0, 63)]), [0]);
        assert_eq!(all(&[Workers::only(1, 1), Workers::only(3, 5)]), [0, 1, 2, 3, 6]);
        let some = Workers::only(2, 4).representatives([Workers::only(3, 9)].into_iter(), 64);
        assert_eq!(some, [2, 3]);
    }
}
