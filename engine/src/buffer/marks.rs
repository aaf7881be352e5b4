//! What a buffer already has, by origin: how a replay is told from news.
//!
//! | origin | remembered | until |
//! |---|---|---|
//! | tailed file, ordinal | the spans of offsets that are here | [`Marks::forget`], or [`TAILS_MAX`] newer ones |
//! | forward chunk id, peer, ordinal | the id, and which arrival of it | [`Marks::confirm`], or [`FORWARD_WINDOW`] after it was stored, or [`FORWARDS_MAX`] newer ones |
//!
//! in_forward says which arrival of an id is a re-send. It cannot for an id from before its start: the first arrival of
//! such an id is taken for the re-send, once.
//!
//! Every append enters its mark at once, so that an input which emits again because *another* buffer refused is
//! recognised. What is written to the marks file is a second table, which a mark enters when its append is durable: a
//! mark that outlives its records would be a loss.

use super::ends::Ends;
use super::file::origin::Mark;
use super::spans::{Span, Spans};
use super::unseen::Unseen;
use crate::delivery::{FileIdentity, Origin};
use bytes::Bytes;
use smallvec::SmallVec;
use std::collections::{HashMap, HashSet, VecDeque};
use std::ops::RangeInclusive;
use std::sync::Arc;
use std::time::Duration;

/// A re-sent forward chunk is taken for a replay for so long. Longer than the pauses between the attempts of senders,
/// short enough that an honest chunk with the same id is unlikely.
pub(super) const FORWARD_WINDOW: Duration = Duration::from_secs(900);
/// Unconfirmed forward chunks that are remembered.
const FORWARDS_MAX: usize = 65_536;
/// Tailed files (times ordinals) that are remembered.
const TAILS_MAX: usize = 16_384;

/// The marks of one buffer.
#[derive(Debug, Default)]
pub(super) struct Marks {
    tails: HashMap<TailKey, Spans>,
    forwards: HashMap<ForwardKey, SmallVec<[ForwardMark; 1]>>,
    forward_count: usize,
    /// Forward marks in the order of their making.
    ages: VecDeque<(ForwardKey, u64)>,
    durable: Durable,
    /// Marks of appends that are not yet durable.
    pending: VecDeque<(u64, Mark)>,
    /// Where appends of tailed files ended that were lost and are not yet repeated. What follows one of them is here already,
    /// or on its way, and does not reach back over it.
    lost: HashMap<TailKey, Vec<u64>>,
    /// For the marks file.
    pub(super) ends: Ends,
    /// For the marks file.
    pub(super) unseen: Unseen,
}

/// What is worth a place in the marks file.
#[derive(Debug, Default)]
struct Durable {
    tails: HashMap<TailKey, Spans>,
    sequence: u64,
    /// `sequence` of the last snapshot.
    saved: u64,
    changed: bool,
}

/// A tailed file, and which append of an emit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct TailKey {
    pub(super) file: FileIdentity,
    pub(super) ordinal: u32,
}

/// A forward chunk.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct ForwardKey {
    pub(super) peer: Arc<str>,
    pub(super) chunk: Bytes,
}

/// That a forward chunk was stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct ForwardMark {
    pub(super) ordinal: u32,
    pub(super) sequence: u64,
    /// Wall clock, seconds since the epoch.
    pub(super) at: u32,
    /// Monotonic time.
    expires: Duration,
    /// Which arrival of the id it was; `None` if it was found at the start, until the first one comes.
    arrival: Option<u64>,
}

impl Marks {
    /// The append that stored an emit of `origin` before, if it was stored. `now` is monotonic.
    pub(super) fn find(&mut self, origin: &Origin, ordinal: u32, now: Duration) -> Option<u64> {
        match origin {
            Origin::None => None,
            Origin::Tail { file, end } => {
                self.tails.get(&TailKey { file: *file, ordinal })?.sequence_of(*end)
            }
            Origin::Forward { chunk, peer, arrival } => {
                let key = ForwardKey { peer: Arc::clone(peer), chunk: chunk.clone() };
                let marks = self.forwards.get_mut(&key)?;
                let mark = marks.iter_mut().find(|mark| mark.ordinal == ordinal && now < mark.expires)?;
                (*mark.arrival.get_or_insert(*arrival) == *arrival).then_some(mark.sequence)
            }
        }
    }

    /// Whether an emit of the forward chunk `origin` was stored before; whoever asks leaves it as it is.
    pub(super) fn has_forward(&self, origin: &Origin, ordinal: u32, now: Duration) -> bool {
        let Origin::Forward { chunk, peer, arrival } = origin else { return false };
        let key = ForwardKey { peer: Arc::clone(peer), chunk: chunk.clone() };
        let is_it = |mark: &ForwardMark| {
            mark.ordinal == ordinal
                && now < mark.expires
                && mark.arrival.is_none_or(|known| known == *arrival)
        };
        self.forwards.get(&key).is_some_and(|marks| marks.iter().any(is_it))
    }

    /// The mark that the next append of `origin` gets.
    pub(super) fn next(&self, origin: &Origin, ordinal: u32) -> Option<Mark> {
        let mut mark = Mark::new(origin, ordinal)?;
        if let Mark::Tail { file, ordinal, from, end } = &mut mark {
            let key = TailKey { file: *file, ordinal: *ordinal };
            let begin = self.tails.get(&key).and_then(|spans| spans.beginning_of(*end));
            let lost = self.lost.get(&key).into_iter().flatten().filter(|lost| *lost < end).max();
            *from = begin.max(lost.copied());
        }
        Some(mark)
    }

    /// Enters the mark of append `sequence`, made at `at` (seconds since the epoch) and `now` (monotonic).
    pub(super) fn enter(&mut self, mark: Mark, sequence: u64, at: u32, now: Duration) {
        self.note(&mark, sequence, at, now + FORWARD_WINDOW);
        if let Mark::Tail { file, ordinal, end, .. } = &mark
            && let Some(lost) = self.lost.get_mut(&TailKey { file: *file, ordinal: *ordinal })
        {
            lost.retain(|lost| lost != end);
        }
        self.pending.push_back((sequence, mark));
        self.expire(now);
        limit(&mut self.tails);
    }

    /// Enters a mark that was found at the start. To be called in the order of sequences, before [`Self::settle`].
    pub(super) fn recover(&mut self, mark: Mark, sequence: u64, at: u32, now: Duration) {
        self.note(&mark, sequence, at, now + FORWARD_WINDOW);
        self.pending.push_back((sequence, mark));
    }

    /// Everything up to append `sequence` is durable.
    pub(super) fn settle(&mut self, sequence: u64) {
        while let Some((of, mark)) = self.pending.pop_front_if(|(pending, _)| *pending <= sequence) {
            self.durable.enter(&mark, of);
        }
        limit(&mut self.durable.tails);
        self.durable.sequence = self.durable.sequence.max(sequence);
    }

    /// Appends with these sequences were lost: their inputs must be able to repeat them.
    pub(super) fn revoke(&mut self, lost: &[RangeInclusive<u64>]) {
        let is_lost = |sequence: u64| lost.iter().any(|lost| lost.contains(&sequence));
        for marks in self.forwards.values_mut() {
            marks.retain(|mark| !is_lost(mark.sequence));
        }
        self.forwards.retain(|_, marks| !marks.is_empty());
        self.forward_count = self.forwards.values().map(SmallVec::len).sum();
        for (_, mark) in self.pending.iter().filter(|(sequence, _)| is_lost(*sequence)) {
            if let Mark::Tail { file, ordinal, end, .. } = mark {
                let key = TailKey { file: *file, ordinal: *ordinal };
                self.lost.entry(key).or_default().push(*end);
            }
        }
        self.pending.retain(|(sequence, _)| !is_lost(*sequence));
        // Spans do not say which of their appends reached how far: they are made anew.
        self.tails.clone_from(&self.durable.tails);
        for (sequence, mark) in &self.pending {
            add_span(&mut self.tails, mark, *sequence);
        }
    }

    /// The sender of `origin` has seen its acknowledgement: it will not send it again.
    pub(super) fn confirm(&mut self, origin: &Origin) {
        if let Origin::Forward { chunk, peer, .. } = origin {
            let key = ForwardKey { peer: Arc::clone(peer), chunk: chunk.clone() };
            if let Some(marks) = self.forwards.remove(&key) {
                self.forward_count -= marks.len();
                self.durable.changed = true;
            }
        }
    }

    /// A tailed file is begun anew: its offsets mean other records from now on.
    pub(super) fn forget(&mut self, file: FileIdentity) {
        self.tails.retain(|key, _| key.file != file);
        self.durable.tails.retain(|key, _| key.file != file);
        self.lost.retain(|key, _| key.file != file);
        self.pending.retain(|(_, mark)| !matches!(mark, Mark::Tail { file: of, .. } if *of == file));
        self.durable.changed = true;
    }

    /// The offsets of `file` at which what is here begins or ends, and at which what was lost is to end again.
    pub(super) fn cut_points(&self, file: FileIdentity, points: &mut Vec<u64>) {
        for (_, spans) in self.tails.iter().filter(|(key, _)| key.file == file) {
            points.extend(spans.iter().flat_map(|span| span.from.into_iter().chain([span.end])));
        }
        for (_, lost) in self.lost.iter().filter(|(key, _)| key.file == file) {
            points.extend(lost);
        }
    }

    /// The files with that device and inode.
    pub(super) fn identities(&self, dev: u64, ino: u64, files: &mut HashSet<FileIdentity>) {
        files.extend(self.tails.keys().map(|key| key.file).filter(|f| f.dev == dev && f.ino == ino));
    }

    /// Whether the marks file would say something new.
    pub(super) fn has_changed(&self) -> bool {
        self.durable.changed || self.durable.sequence > self.durable.saved
    }

    /// What the marks file should say from now on.
    pub(super) fn snapshot(&mut self) -> Snapshot {
        self.durable.changed = false;
        self.durable.saved = self.durable.sequence;
        let sequence = self.durable.sequence;
        let forwards = self.forwards.iter().flat_map(|(key, marks)| {
            marks.iter().filter(|mark| mark.sequence <= sequence).map(|mark| (key.clone(), *mark))
        });
        Snapshot {
            complete: sequence,
            ends: self.ends.clone(),
            unseen: self.unseen,
            tails: self.durable.tails.iter().map(|(key, spans)| (*key, spans.clone())).collect(),
            forwards: forwards.map(|(key, m)| (key, m.ordinal, m.sequence, m.at)).collect(),
        }
    }

    /// Up to which append the marks file on the disk says that everything was on the device.
    pub(super) fn saved(&self) -> u64 {
        self.durable.saved
    }

    /// The snapshot did not reach the disk; there it is as it was, see [`Self::saved`].
    pub(super) fn not_saved(&mut self, saved: u64) {
        self.durable.changed = true;
        self.durable.saved = saved;
    }

    /// Takes over what the marks file says. To be called before [`Self::recover`].
    pub(super) fn restore(&mut self, snapshot: Snapshot, now: Duration) {
        for (key, ordinal, sequence, at) in snapshot.forwards {
            let mark = Mark::Forward { peer: key.peer, chunk: key.chunk, ordinal, arrival: None };
            self.note(&mark, sequence, at, now + FORWARD_WINDOW);
        }
        self.tails = snapshot.tails.iter().cloned().collect();
        self.durable.tails = snapshot.tails.into_iter().collect();
        self.durable.sequence = snapshot.complete;
        self.durable.saved = snapshot.complete;
    }

    /// Of the marks that were found at the start, forgets the forward chunks that were stored long before the last one:
    /// their senders had their answer, or gave up.
    pub(super) fn forget_old_forwards(&mut self) {
        let marks = || self.forwards.values().flatten();
        let last = marks().map(|mark| mark.at).max().unwrap_or(0);
        let window = u32::try_from(FORWARD_WINDOW.as_secs()).unwrap_or(u32::MAX);
        for marks in self.forwards.values_mut() {
            marks.retain(|mark| mark.at >= last.saturating_sub(window));
        }
        self.forwards.retain(|_, marks| !marks.is_empty());
        self.forward_count = self.forwards.values().map(SmallVec::len).sum();
    }

    fn note(&mut self, mark: &Mark, sequence: u64, at: u32, expires: Duration) {
        match mark {
            Mark::Tail { .. } => add_span(&mut self.tails, mark, sequence),
            Mark::Forward { peer, chunk, ordinal, arrival } => {
                let key = ForwardKey { peer: Arc::clone(peer), chunk: chunk.clone() };
                let marks = self.forwards.entry(key.clone()).or_default();
                let before = marks.len();
                marks.retain(|mark| mark.ordinal != *ordinal);
                let (ordinal, arrival) = (*ordinal, *arrival);
                marks.push(ForwardMark { ordinal, sequence, at, expires, arrival });
                self.forward_count = self.forward_count + marks.len() - before;
                self.ages.push_back((key, sequence));
            }
        }
    }

    /// Forgets forward chunks that are too old or too many.
    fn expire(&mut self, now: Duration) {
        while let Some((key, sequence)) = self.ages.front() {
            let Some(marks) = self.forwards.get_mut(key) else {
                self.ages.pop_front(); // confirmed
                continue;
            };
            let old = marks.iter().position(|mark| mark.sequence == *sequence);
            match old {
                Some(at) if now < marks[at].expires && self.forward_count <= FORWARDS_MAX => return,
                Some(at) => {
                    marks.swap_remove(at);
                    self.forward_count -= 1;
                }
                None => {}
            }
            if marks.is_empty() {
                self.forwards.remove(key);
            }
            self.ages.pop_front();
        }
    }
}

impl Durable {
    fn enter(&mut self, mark: &Mark, sequence: u64) {
        add_span(&mut self.tails, mark, sequence);
        self.sequence = self.sequence.max(sequence);
    }
}

/// Enters the mark of a tailed file.
fn add_span(tails: &mut HashMap<TailKey, Spans>, mark: &Mark, sequence: u64) {
    if let Mark::Tail { file, ordinal, from, end } = mark {
        let spans = tails.entry(TailKey { file: *file, ordinal: *ordinal }).or_default();
        spans.add(Span { from: *from, end: *end, sequence });
    }
}

/// What the marks file holds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Snapshot {
    /// All parts of the appends up to this sequence were on the device.
    pub(super) complete: u64,
    /// Where the files ended that the last start went on with.
    pub(super) ends: Ends,
    /// Appends of which parts may be in files that could not be read.
    pub(super) unseen: Unseen,
    pub(super) tails: Vec<(TailKey, Spans)>,
    /// Key, ordinal, sequence, time.
    pub(super) forwards: Vec<(ForwardKey, u32, u64, u32)>,
}

/// Forgets the tailed files that were not appended from for the longest time, once there are many more than may be.
fn limit(tails: &mut HashMap<TailKey, Spans>) {
    if tails.len() <= TAILS_MAX + TAILS_MAX / 4 {
        return;
    }
    let mut sequences: Vec<u64> = tails.values().map(Spans::last_sequence).collect();
    let (_, oldest_kept, _) = sequences.select_nth_unstable_by(TAILS_MAX - 1, |a, b| b.cmp(a));
    let oldest_kept = *oldest_kept;
    tails.retain(|_, spans| spans.last_sequence() >= oldest_kept);
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILE: FileIdentity = FileIdentity { dev: 1, ino: 2, head: 3 };
    const NOW: Duration = Duration::from_secs(1000);

    fn tail(end: u64) -> Origin {
        Origin::Tail { file: FILE, end }
    }

    fn forward(chunk: &'static str) -> Origin {
        arrival(chunk, 1)
    }

    fn arrival(chunk: &'static str, arrival: u64) -> Origin {
        Origin::Forward { chunk: Bytes::from_static(chunk.as_bytes()), peer: "peer".into(), arrival }
    }

    fn enter(marks: &mut Marks, origin: &Origin, ordinal: u32, sequence: u64) {
        let mark = marks.next(origin, ordinal).unwrap();
        marks.enter(mark, sequence, sequence as u32, NOW);
    }

    #[test]
    fn a_tailed_file_is_known_up_to_its_last_append_for_each_ordinal() {
        let mut marks = Marks::default();
        enter(&mut marks, &tail(10), 0, 1);
        enter(&mut marks, &tail(20), 0, 2);
        enter(&mut marks, &tail(10), 1, 3);
        assert_eq!(marks.find(&tail(10), 0, NOW), Some(2));
        assert_eq!(marks.find(&tail(21), 0, NOW), None);
        assert_eq!(marks.find(&tail(10), 1, NOW), Some(3));
        assert_eq!(marks.find(&tail(20), 1, NOW), None);
        marks.forget(FILE);
        assert_eq!(marks.find(&tail(10), 0, NOW), None);
    }

    #[test]
    fn a_forward_chunk_is_known_until_it_is_confirmed_or_the_window_ends() {
        let mut marks = Marks::default();
        enter(&mut marks, &forward("a"), 0, 1);
        enter(&mut marks, &forward("b"), 0, 2);
        for _ in 0..3 {
            assert_eq!(marks.find(&forward("a"), 0, NOW), Some(1));
            assert!(marks.has_forward(&forward("a"), 0, NOW));
        }
        for (origin, ordinal) in [(forward("a"), 1), (arrival("a", 2), 0), (forward("c"), 0), (tail(1), 0)] {
            assert!(!marks.has_forward(&origin, ordinal, NOW), "{origin:?}");
        }
        assert_eq!(marks.find(&forward("a"), 1, NOW), None, "another append of that emit");
        assert_eq!(marks.find(&arrival("a", 2), 0, NOW), None, "another use of the id");
        marks.confirm(&forward("a"));
        assert_eq!(marks.find(&forward("a"), 0, NOW), None);
        assert_eq!(marks.find(&forward("b"), 0, NOW + FORWARD_WINDOW), None);
    }

    #[test]
    fn marks_are_saved_only_when_their_appends_are_durable() {
        let mut marks = Marks::default();
        enter(&mut marks, &tail(10), 0, 1);
        enter(&mut marks, &forward("a"), 0, 2);
        enter(&mut marks, &tail(20), 0, 3);
        marks.settle(2);
        assert!(marks.has_changed());
        let snapshot = marks.snapshot();
        assert!(!marks.has_changed());
        let mut after = Marks::default();
        after.restore(snapshot, NOW);
        assert!(after.find(&tail(10), 0, NOW).is_some());
        assert_eq!(after.find(&tail(20), 0, NOW), None);
        assert!(after.has_forward(&arrival("a", 8), 0, NOW) && after.has_forward(&arrival("a", 7), 0, NOW));
        assert_eq!(after.find(&arrival("a", 7), 0, NOW), Some(2));
        assert_eq!(after.find(&arrival("a", 8), 0, NOW), None, "only the first arrival is the re-send");
        assert_eq!(after.find(&arrival("a", 7), 0, NOW), Some(2), "which may come again");
    }

    #[test]
    fn a_lost_append_may_be_repeated() {
        let mut marks = Marks::default();
        enter(&mut marks, &tail(10), 0, 1);
        enter(&mut marks, &forward("a"), 0, 2);
        enter(&mut marks, &tail(20), 0, 3);
        enter(&mut marks, &tail(30), 0, 4);
        marks.settle(1);
        marks.revoke(&[2..=3]);
        assert_eq!(marks.find(&tail(10), 0, NOW), Some(1));
        assert_eq!(marks.find(&tail(20), 0, NOW), None);
        assert_eq!(marks.find(&tail(30), 0, NOW), Some(4), "it was not lost, so it must not be repeated");
        assert_eq!(marks.find(&forward("a"), 0, NOW), None);
    }

    #[test]
    fn what_follows_a_lost_append_does_not_stand_for_it() {
        for first in [10, 20] {
            let mut marks = Marks::default();
            if first == 20 {
                enter(&mut marks, &tail(10), 0, 1);
                marks.settle(1);
            }
            enter(&mut marks, &tail(first), 0, 2);
            marks.revoke(&[2..=2]);
            // The input has not heard of it yet.
            enter(&mut marks, &tail(30), 0, 3);
            assert_eq!(marks.find(&tail(first), 0, NOW), None);
            let mut points = Vec::new();
            marks.cut_points(FILE, &mut points);
            assert!(points.contains(&first), "it is repeated up to there, not across");
            enter(&mut marks, &tail(first), 0, 4);
            assert_eq!(marks.find(&tail(first), 0, NOW), marks.find(&tail(30), 0, NOW), "one span");
        }
    }

    #[test]
    fn what_a_gap_hides_is_no_replay() {
        let mut marks = Marks::default();
        let mark = |from, end| Mark::Tail { file: FILE, ordinal: 0, from, end };
        marks.recover(mark(None, 10), 1, 0, NOW);
        marks.recover(mark(Some(20), 30), 3, 0, NOW);
        assert_eq!(marks.find(&tail(20), 0, NOW), None);
        assert!(marks.find(&tail(30), 0, NOW).is_some());
        let mut points = Vec::new();
        marks.cut_points(FILE, &mut points);
        assert_eq!(points, [10, 20, 30]);
    }

    #[test]
    fn memory_is_bounded() {
        let mut marks = Marks::default();
        for i in 0..(TAILS_MAX * 2) as u64 {
            let origin = Origin::Tail { file: FileIdentity { ino: i, ..FILE }, end: 1 };
            enter(&mut marks, &origin, 0, i + 1);
            let chunk = Bytes::copy_from_slice(&i.to_le_bytes());
            enter(&mut marks, &Origin::Forward { chunk, peer: "p".into(), arrival: i }, 0, i + 1);
        }
        marks.settle(u64::MAX);
        assert!(marks.tails.len() <= TAILS_MAX + TAILS_MAX / 4);
        let newest = Origin::Tail { file: FileIdentity { ino: TAILS_MAX as u64 * 2 - 1, ..FILE }, end: 1 };
        assert!(marks.find(&newest, 0, NOW).is_some());
        for i in 0..(FORWARDS_MAX + 10) as u64 {
            let chunk = Bytes::copy_from_slice(&i.to_be_bytes());
            enter(&mut marks, &Origin::Forward { chunk, peer: "q".into(), arrival: i }, 0, i + 1_000_000);
        }
        assert!(marks.forward_count <= FORWARDS_MAX && marks.ages.len() <= FORWARDS_MAX + 1);
    }
}
