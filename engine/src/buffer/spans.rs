//! Which parts of a tailed file a buffer has.

use smallvec::SmallVec;

/// Spans of one file, in the order of their ends. Neighbours that touch are one.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Spans {
    spans: SmallVec<[Span; 1]>,
}

/// The records of offsets `from < offset <= end`; without `from`, of all offsets up to `end`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Span {
    pub(crate) from: Option<u64>,
    pub(crate) end: u64,
    /// Sequence of the last append that is part of it.
    pub(crate) sequence: u64,
}

impl Spans {
    /// Adds what an append brought. One without `from` is the first of a file that was begun anew: what was known is void.
    pub(crate) fn add(&mut self, mut span: Span) {
        if span.from.is_none() {
            self.spans.clear();
        }
        let mut at = self.spans.partition_point(|other| other.end < span.end);
        if let Some(next) = self.spans.get(at)
            && next.from == Some(span.end)
        {
            span = Span { from: span.from, end: next.end, sequence: span.sequence.max(next.sequence) };
            self.spans.remove(at);
        }
        if let Some(before) = at.checked_sub(1)
            && Some(self.spans[before].end) == span.from
        {
            let other = self.spans.remove(before);
            span = Span { from: other.from, sequence: span.sequence.max(other.sequence), ..span };
            at = before;
        }
        self.spans.insert(at, span);
    }

    /// Where an append that ends at `end` begins, as far as this buffer is concerned: everything between that and `end`
    /// is in it.
    pub(crate) fn beginning_of(&self, end: u64) -> Option<u64> {
        let before = self.spans.iter().rev().find(|span| span.end < end);
        before.map(|span| span.end).or((!self.spans.is_empty()).then_some(0))
    }

    /// The append that brought the records up to `end`, if they are here.
    pub(crate) fn sequence_of(&self, end: u64) -> Option<u64> {
        let has = |span: &&Span| end <= span.end && span.from.is_none_or(|from| from < end);
        self.spans.iter().find(has).map(|span| span.sequence)
    }

    /// The last append.
    pub(crate) fn last_sequence(&self) -> u64 {
        self.spans.iter().map(|span| span.sequence).max().unwrap_or(0)
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &Span> {
        self.spans.iter()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spans(of: &[(Option<u64>, u64)]) -> Spans {
        let mut spans = Spans::default();
        for (at, (from, end)) in of.iter().enumerate() {
            spans.add(Span { from: *from, end: *end, sequence: at as u64 });
        }
        spans
    }

    #[test]
    fn spans_that_touch_are_one() {
        let spans = spans(&[(None, 10), (Some(10), 20), (Some(20), 30)]);
        assert_eq!(spans.iter().count(), 1);
        assert_eq!(spans.beginning_of(40), Some(30));
        for end in [1, 10, 15, 30] {
            assert_eq!(spans.sequence_of(end), Some(2), "{end}");
        }
        assert_eq!(spans.sequence_of(31), None);
    }

    #[test]
    fn what_is_missing_between_two_spans_is_not_here() {
        let spans = spans(&[(None, 10), (Some(20), 30)]);
        let here: Vec<u64> = (1..40).filter(|end| spans.sequence_of(*end).is_some()).collect();
        assert_eq!(here, (1..=10).chain(21..=30).collect::<Vec<u64>>());
    }

    #[test]
    fn a_gap_is_closed_by_what_was_missing() {
        let mut spans = spans(&[(None, 10), (Some(20), 30)]);
        assert_eq!(spans.beginning_of(20), Some(10));
        spans.add(Span { from: Some(10), end: 20, sequence: 5 });
        assert_eq!(spans.iter().collect::<Vec<_>>(), [&Span { from: None, end: 30, sequence: 5 }]);
    }

    #[test]
    fn what_is_missing_at_the_beginning_does_not_void_the_rest() {
        let mut spans = spans(&[(Some(20), 30)]);
        assert_eq!(spans.beginning_of(10), Some(0));
        spans.add(Span { from: Some(0), end: 10, sequence: 5 });
        assert_eq!(
            (spans.sequence_of(10), spans.sequence_of(20), spans.sequence_of(30)),
            (Some(5), None, Some(0))
        );
        assert_eq!(Spans::default().beginning_of(10), None);
    }

    #[test]
    fn a_file_that_is_begun_anew_forgets_its_old_offsets() {
        let spans = spans(&[(None, 1000), (Some(1000), 2000), (None, 5)]);
        assert_eq!(spans.sequence_of(6), None);
        assert_eq!(spans.sequence_of(5), Some(2));
    }
}
