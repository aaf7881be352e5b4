//! Appends that were taken back: they failed, or the device lost parts of them. Their inputs were told and repeat them.
//!
//! Something of them may stay on the disk: a device that fails may have done what it was asked for all the same, and may
//! refuse the mending too. Until everything up to them is known to be on the device as it should be, each frame that is
//! written says which they are ([`super::file::origin`]), so that a start which finds both such an append and the one that repeats it
//! knows which of them does not count.

use std::ops::RangeInclusive;

/// As many ranges of sequences fit into a frame. With more, nothing is appended before some are gone.
const RANGES_MAX: usize = 256;

/// Sequences of appends, in order. Numbers that no append has may be among them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct TakenBack {
    ranges: Vec<RangeInclusive<u64>>,
}

impl TakenBack {
    pub(crate) fn add(&mut self, new: RangeInclusive<u64>) {
        if new.is_empty() {
            return;
        }
        let (mut first, mut last) = (*new.start(), *new.end());
        self.ranges.retain(|range| {
            let apart = *range.end() < first.saturating_sub(1) || *range.start() > last.saturating_add(1);
            if !apart {
                (first, last) = (first.min(*range.start()), last.max(*range.end()));
            }
            apart
        });
        let at = self.ranges.partition_point(|range| *range.start() < first);
        self.ranges.insert(at, first..=last);
    }

    /// Everything up to append `sequence` is on the device, and nothing else of appends up to it.
    pub(crate) fn settle(&mut self, sequence: u64) {
        self.ranges.retain(|range| *range.end() > sequence);
        if let Some(first) = self.ranges.first_mut() {
            *first = (*first.start()).max(sequence + 1)..=*first.end();
        }
    }

    pub(crate) fn contains(&self, sequence: u64) -> bool {
        let at = self.ranges.partition_point(|range| *range.end() < sequence);
        self.ranges.get(at).is_some_and(|range| range.contains(&sequence))
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.ranges.is_empty()
    }

    /// Whether there is no room for more.
    pub(crate) fn is_full(&self) -> bool {
        self.ranges.len() >= RANGES_MAX
    }

    pub(crate) fn ranges(&self) -> &[RangeInclusive<u64>] {
        &self.ranges
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(ranges: &[RangeInclusive<u64>]) -> TakenBack {
        let mut taken_back = TakenBack::default();
        ranges.iter().cloned().for_each(|range| taken_back.add(range));
        taken_back
    }

    #[test]
    fn ranges_that_touch_or_overlap_are_one() {
        let taken_back = of(&[5..=5, 9..=12, 1..=2, 6..=6, 7..=8]);
        assert_eq!(taken_back.ranges(), [1..=2, 5..=12]);
        assert_eq!(of(&[1..=2, 5..=9, 0..=20]).ranges(), [0..=20]);
        assert_eq!(of(&[3..=3, 0..=0, u64::MAX..=u64::MAX]).ranges().len(), 3);
        #[allow(clippy::reversed_empty_ranges)]
        let nothing = of(&[4..=3]);
        assert!(nothing.is_empty());
    }

    #[test]
    fn what_is_settled_is_forgotten() {
        let mut taken_back = of(&[1..=2, 5..=12]);
        let has = |of: &TakenBack| (0..15).filter(|sequence| of.contains(*sequence)).collect::<Vec<_>>();
        assert_eq!(has(&taken_back), [1, 2, 5, 6, 7, 8, 9, 10, 11, 12]);
        taken_back.settle(3);
        assert_eq!(taken_back.ranges(), [5..=12]);
        taken_back.settle(9);
        assert_eq!(has(&taken_back), [10, 11, 12]);
        taken_back.settle(12);
        assert!(taken_back.is_empty());
    }

    #[test]
    fn there_is_an_end_to_it() {
        let mut taken_back = TakenBack::default();
        (0..RANGES_MAX as u64 - 1).for_each(|n| taken_back.add(3 * n..=3 * n));
        assert!(!taken_back.is_full());
        taken_back.add(u64::MAX - 1..=u64::MAX - 1);
        assert!(taken_back.is_full());
    }
}
