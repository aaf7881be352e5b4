//! Making things durable: group commit, and the removal of chunks.
//!
//! One thread a file buffer works in rounds; whatever comes up during a round is done in the next one, so a slow device
//! makes rounds larger, not more. Inputs at which nobody waits (in_tail) have [`Patience`]: a fast device does
//! not make rounds more than are of use. A round
//!
//! 1. notes the last append (the *target*), and takes the lists of files written to, names changed and chunks delivered;
//! 2. syncs those files, then their directories;
//! 3. if nothing failed, and what the start could not see is noted ([`super::unseen`]), declares everything up to the target
//!    durable: whoever waited for that is released, the chunks in question may be taken from the queue, and their marks may
//!    enter the marks file;
//! 4. for delivered chunks: replaces the marks file and syncs its name, removes the chunk files, syncs the directories.
//!
//! Why nothing acknowledged can be lost: a record counts as stored after 2 only, and its file is removed only when an
//! output has it. Why nothing is stored twice: a mark is on the device with its record (same frame) or, from 4 on, in the
//! marks file before the record's file goes; and never without the record, because only durable marks enter that file.
//! A chunk is taken only when all of it, and all parts of its appends in other chunks, are durable: an append of several
//! parts is either repeated by its input as a whole, or never.
//!
//! A file whose sync failed is never synced again: the kernel may have dropped what it could not write and report success
//! the next time. Its frames are written once more, to another file that takes its place, and nothing is declared
//! durable until that worked. Meanwhile the chunk is not appended to. If the kernel has given up some of its frames, it is
//! found out which appends are not whole any more: what is left of those is taken out too, their marks are revoked and
//! their inputs told, so that they are repeated, and no others. What failed or was lost may be on the disk all the same,
//! until the next declaration: frames written meanwhile say which appends those are ([`super::taken_back`]). A directory
//! whose sync failed is synced again, but only after each name in it was given once more ([`super::names`]).

use super::Chunk;
use super::buffer::{Shared, State};
use super::file::FileContent;
use super::names::Unwanted;
use super::patience::Patience;
use super::store::FileStore;
use super::taken_back::TakenBack;
use crate::delivery::{Commit, CommitError};
use crate::{fault, log_error};
use std::collections::BTreeSet;
use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::sync::{Arc, PoisonError};
use std::time::Duration;

/// Pause before what failed is tried again.
const RETRY_PAUSE: Duration = Duration::from_secs(1);

/// Rounds (so many pauses) in which the marks of delivered chunks are kept although the disk has no room for the marks file.
const FULL_ROUNDS_MAX: u32 = 60;

/// What is still to be done. Part of the buffer's state.
#[derive(Default)]
pub(super) struct Commits {
    /// Appends up to this sequence are as durable as the buffer promises.
    pub(super) durable: u64,
    /// Somebody waits for this append to be durable.
    wanted: u64,
    /// Chunks with frames that were not synced.
    dirty: Vec<Arc<Chunk>>,
    /// Chunks whose files have names that were not synced.
    pub(super) unnamed: Vec<Arc<Chunk>>,
    /// Queued chunks whose files could not be given the name of one. They are not taken before that: one that was written and
    /// is staged again after a crash would be appended to, under an id that the destination knows.
    pub(super) unqueued: Vec<Arc<Chunk>>,
    /// Chunks whose files could not be given their names once more.
    pub(super) nameless: Vec<Arc<Chunk>>,
    /// Directories in which names changed.
    pub(super) dirs: BTreeSet<PathBuf>,
    /// Delivered chunks whose files are to be removed.
    pub(super) retired: Vec<Arc<Chunk>>,
    /// Chunks whose files cannot be synced any more and are to be written once more.
    pub(super) failed: Vec<Arc<Chunk>>,
    /// Appends that failed or were lost, and of which something may be on the disk.
    pub(super) taken_back: TakenBack,
    /// Files that are not to be there.
    pub(super) unwanted: Vec<Unwanted>,
    /// Rounds in a row in which there was no room for the marks file.
    pub(super) full_rounds: u32,
    /// Appends that were lost: the device failed, and what the kernel had of them was gone. Numbers that no append has may
    /// be among them.
    pub(super) lost: Vec<RangeInclusive<u64>>,
    /// That there may be appends in files that could not be read ([`super::unseen`]) could not be noted.
    pub(super) unnoted: bool,
    /// Something was lost, and it is not yet known what.
    pub(super) unaccounted: bool,
    pub(super) patience: Patience,
    /// The thread is to end.
    stop: bool,
    sleep: Sleep,
}

/// What the thread is doing, so that it is woken only if that makes a difference.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Sleep {
    /// It will look for work by itself.
    #[default]
    Awake,
    /// It waits for work, or until something patient is due.
    Timed,
    /// It waits for work of any kind.
    Untimed,
}

/// How far a buffer's appends have come.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Progress {
    durable: u64,
    lost: Vec<RangeInclusive<u64>>,
}

impl Progress {
    /// Later appends may be durable when somebody looks for one that was lost.
    fn is_lost(&self, sequence: u64) -> bool {
        self.lost.iter().any(|lost| lost.contains(&sequence))
    }
}

/// How a round went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Round {
    /// There was nothing to do.
    Idle,
    /// Everything was done.
    Done,
    /// Something is to be tried again later.
    Failed,
}

#[derive(Default)]
pub(super) struct Work {
    pub(super) target: Option<u64>,
    dirty: Vec<Arc<Chunk>>,
    pub(super) unnamed: Vec<Arc<Chunk>>,
    pub(super) unqueued: Vec<Arc<Chunk>>,
    pub(super) nameless: Vec<Arc<Chunk>>,
    pub(super) dirs: BTreeSet<PathBuf>,
    retired: Vec<Arc<Chunk>>,
    failed: Vec<Arc<Chunk>>,
    pub(super) unwanted: Vec<Unwanted>,
}

impl Commits {
    /// `bytes` were written to `chunk`.
    pub(super) fn wrote(&mut self, chunk: &Arc<Chunk>, bytes: u64) {
        self.patience.wrote(bytes);
        if !chunk.set_listed(true) {
            self.dirty.push(Arc::clone(chunk));
        }
    }

    /// Append `sequence` failed: what may be on the disk of it must go before anything later is declared durable.
    pub(super) fn take_back(&mut self, sequence: u64) {
        self.taken_back.add(sequence..=sequence);
        self.want(sequence);
    }

    /// Append `sequence` must become durable soon.
    pub(super) fn want(&mut self, sequence: u64) {
        self.wanted = self.wanted.max(sequence);
    }

    /// The same, but others may come first. `now` is on the buffer's monotonic clock.
    pub(super) fn want_soon(&mut self, sequence: u64, now: Duration) {
        if self.patience.append(sequence, now) {
            self.want(sequence);
        }
    }

    /// How long nothing becomes urgent; zero if something just did.
    pub(super) fn patience(&mut self, now: Duration) -> Option<Duration> {
        let left = self.patience.left(now);
        if left == Some(Duration::ZERO) {
            let sequence = self.patience.end();
            self.want(sequence);
        }
        left
    }

    /// Whether the thread has to be woken.
    pub(super) fn calls(&self) -> bool {
        match self.sleep {
            Sleep::Awake => false,
            Sleep::Timed => self.has_work(),
            Sleep::Untimed => self.has_work() || self.patience.is_due_ever(),
        }
    }

    /// Counts a round in which there was no room for the marks file. Whether there were so many that there may never be room
    /// unless chunks are removed without.
    pub(super) fn is_full_for_long(&mut self) -> bool {
        self.full_rounds = self.full_rounds.saturating_add(1);
        self.full_rounds > FULL_ROUNDS_MAX
    }

    /// `chunk` was delivered or given up.
    pub(super) fn retire(&mut self, chunk: Arc<Chunk>) {
        // One that was given up before it was durable: its file goes then, not when the next append is waited for.
        self.want(chunk.ready_after());
        self.retired.push(chunk);
    }

    pub(super) fn has_work(&self) -> bool {
        self.wanted > self.durable
            || self.unaccounted
            || !(self.unqueued.is_empty() && self.nameless.is_empty() && self.unwanted.is_empty())
            || !(self.failed.is_empty() && self.dirs.is_empty())
            || self.retired.iter().any(|chunk| chunk.ready_after() <= self.durable)
    }

    pub(super) fn take(&mut self, last: u64) -> Work {
        let mut work = Work { failed: std::mem::take(&mut self.failed), ..Work::default() };
        if self.wanted > self.durable {
            work.target = Some(last);
            // Patient appends are among them. If the round fails, the urgent one stays wanted, and all of them with it.
            self.patience.round();
            work.dirty = std::mem::take(&mut self.dirty);
            for chunk in &work.dirty {
                chunk.set_listed(false);
            }
        }
        work.unnamed = std::mem::take(&mut self.unnamed);
        work.unqueued = std::mem::take(&mut self.unqueued);
        work.nameless = std::mem::take(&mut self.nameless);
        work.unwanted = std::mem::take(&mut self.unwanted);
        work.dirs = std::mem::take(&mut self.dirs);
        let retired = std::mem::take(&mut self.retired);
        (work.retired, self.retired) =
            retired.into_iter().partition(|chunk| chunk.ready_after() <= self.durable);
        work
    }
}

impl Shared {
    /// Resolves when append `sequence` is durable.
    pub(super) fn commit_of(&self, sequence: u64) -> Commit {
        let mut progress = self.progress.subscribe();
        Box::pin(async move {
            let reached = |p: &Progress| p.durable >= sequence || p.is_lost(sequence);
            match progress.wait_for(reached).await {
                Ok(progress) if progress.is_lost(sequence) => {
                    Err(CommitError(Arc::from("the device of the buffer lost what was written to it")))
                }
                Ok(_) => Ok(()),
                Err(_) => Err(CommitError(Arc::from("the buffer was closed before it reached the device"))),
            }
        })
    }

    /// The thread: rounds, until [`Self::stop`].
    pub(super) fn run_commits(&self) {
        loop {
            let mut state = self.lock();
            while !state.commits.has_work() && !state.commits.stop {
                state = match state.commits.patience(self.environment.clock.monotonic()) {
                    Some(left) if left.is_zero() => continue,
                    Some(left) => {
                        state.commits.sleep = Sleep::Timed;
                        self.wake.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0
                    }
                    None => {
                        state.commits.sleep = Sleep::Untimed;
                        self.wake.wait(state).unwrap_or_else(PoisonError::into_inner)
                    }
                };
                state.commits.sleep = Sleep::Awake;
            }
            drop(state);
            let round = self.round();
            let state = self.lock();
            if state.commits.stop && round != Round::Done {
                return;
            }
            if round == Round::Failed {
                drop(self.wake.wait_timeout(state, RETRY_PAUSE).unwrap_or_else(PoisonError::into_inner));
            }
        }
    }

    /// Ends the thread after its last rounds.
    pub(super) fn stop(&self) {
        self.lock().commits.stop = true;
        self.wake.notify_all();
    }

    /// One round.
    pub(super) fn round(&self) -> Round {
        let Some(store) = &self.store else { return Round::Idle };
        let mut work = {
            let mut state = self.lock();
            if !state.commits.has_work() {
                return Round::Idle;
            }
            let last = state.sequence;
            state.commits.take(last)
        };
        let are_named = self.queue_again(&mut work) & self.name_again(&mut work);
        let are_removed = self.remove_unwanted(store, &mut work);
        if store.is_synced() {
            if !work.dirty.is_empty() {
                fault!("files-syncing");
            }
            self.sync_files(&work.dirty, &mut work.failed);
            if !work.dirty.is_empty() {
                fault!("files-synced");
            }
        }
        // What is written to other files gets names that are synced in the next round.
        let mut is_safe = are_named && are_removed && work.failed.is_empty();
        let mut is_done = are_named & are_removed & self.rewrite(store, work.failed);
        let is_accounted = self.account_for_losses();
        is_safe &= is_accounted && self.lock().commits.failed.is_empty();
        is_done &= is_accounted;
        if self.sync_dirs(store, &work.dirs) {
            if !work.dirs.is_empty() {
                fault!("names-synced");
            }
            let is_noted = self.note_unseen(store);
            is_done &= is_noted;
            if let Some(target) = work.target.filter(|_| is_safe && is_noted) {
                self.declare(target);
            }
        } else {
            let mut state = self.lock();
            state.names_failed(work.dirs);
            state.commits.name_again(work.unnamed);
            work.unwanted.into_iter().for_each(|file| state.commits.remove_again(file.path));
            is_done = false;
        }
        self.publish();
        fault!("commit-published");
        is_done &= work.retired.is_empty() || self.retire(store, work.retired);
        if is_done { Round::Done } else { Round::Failed }
    }

    fn sync_files(&self, dirty: &[Arc<Chunk>], failed: &mut Vec<Arc<Chunk>>) {
        if dirty.len() > 1 {
            dirty.iter().filter_map(|chunk| chunk.live_file()).for_each(FileContent::begin_sync);
        }
        for chunk in dirty {
            if let Some(Err(error)) = chunk.live_file().map(FileContent::sync) {
                log_error!(
                    self.environment.log,
                    "can't write a buffer chunk to the device. it is written to another file",
                    chunk_id = chunk.id(),
                    error = error.to_string()
                );
                failed.push(Arc::clone(chunk));
            }
        }
    }

    /// Writes the chunks whose files cannot be synced to other files. `false` if one could not be written.
    fn rewrite(&self, store: &FileStore, failed: Vec<Arc<Chunk>>) -> bool {
        let mut all = true;
        for chunk in failed {
            let Some(file) = chunk.live_file() else { continue };
            match file.rewrite(store.settings.file_mode, &chunk.header()) {
                Ok((bytes, records)) => self.rewritten(&chunk, bytes, records),
                Err(error) => {
                    all = false;
                    log_error!(
                        self.environment.log,
                        "can't write a buffer chunk to another file. retry in a second",
                        chunk_id = chunk.id(),
                        error = error.to_string()
                    );
                    self.lock().commits.failed.push(chunk);
                }
            }
        }
        all
    }

    /// A taken chunk comes back. If the device failed when something was noted in its file, it is written to another file
    /// before it is taken again.
    pub(super) fn mend(&self, state: &mut State, chunk: &Arc<Chunk>) {
        let is_synced = self.store.as_ref().is_some_and(FileStore::is_synced);
        if is_synced && chunk.file().is_some_and(FileContent::is_poisoned) {
            state.commits.failed.push(Arc::clone(chunk));
            state.sequence += 1;
            chunk.wait_for(state.sequence);
            state.commits.want(state.sequence);
        }
    }

    /// Step 3.
    fn declare(&self, target: u64) {
        let mut state = self.lock();
        state.commits.durable = target;
        state.commits.taken_back.settle(target);
        state.marks.settle(target);
    }

    /// Tells those who wait how far things are.
    fn publish(&self) {
        let state = self.lock();
        let progress = Progress { durable: state.commits.durable, lost: state.commits.lost.clone() };
        let is_ready = state.is_ready();
        drop(state);
        self.progress.send_if_modified(|known| {
            let is_news = *known != progress;
            *known = progress;
            is_news
        });
        if is_ready {
            self.ready.notify_waiters();
        }
    }
}
