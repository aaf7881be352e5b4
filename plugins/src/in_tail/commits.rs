//! Positions follow commits: an offset is written to the pos file when every buffer that the lines went to holds them.
//!
//! The reader goes on while commits are awaited; what it has read is settled in order, at most [`WAITING_MAX`] batches
//! behind. Of what is settled in one go, only the last offset of a file is written.
#![cfg_attr(not(test), deny(clippy::disallowed_methods))]

use super::position::{Position, Positions};
use logweir_engine::delivery::{CommitError, Receipt};
use logweir_engine::fault;
use logweir_engine::log_warn;
use logweir_engine::telemetry::PluginLog;
use std::collections::HashSet;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

/// Batches that may wait for their commit, which buffers make for many at a time. What waits are offsets, not lines.
const WAITING_MAX: usize = 1024;
/// Settlements that are taken from the queue at once.
const AT_ONCE: usize = 64;

/// One reading of a file: a rewind begins another one, and what was under way in the old one settles no more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Reading {
    /// The file.
    pub(super) file: u64,
    /// How often it was rewound.
    pub(super) turn: u32,
}

/// Something to do for the pos file once everything before it is settled.
pub(super) enum Settlement {
    /// Lines up to `offset` were emitted. Without an entry in the pos file they only have to become safe.
    Advance {
        reading: Reading,
        path: PathBuf,
        inode: u64,
        offset: u64,
        receipt: Option<Receipt>,
        has_entry: bool,
        /// Held until it is settled.
        unsettled: Arc<()>,
    },
    /// The entry of a path is that of another file now.
    Switch { path: PathBuf, position: Position },
    /// The file is gone and read to its end.
    Unwatch { path: PathBuf, inode: u64 },
}

/// The queue, and the task that works it off.
pub(super) struct Settlements {
    queue: mpsc::Sender<Settlement>,
    failed: Arc<Mutex<HashSet<Reading>>>,
    task: JoinHandle<()>,
}

impl Settlements {
    pub(super) fn start(handle: &tokio::runtime::Handle, positions: Positions, log: PluginLog) -> Self {
        let (queue, mut waiting) = mpsc::channel::<Settlement>(WAITING_MAX);
        let failed = Arc::new(Mutex::new(HashSet::new()));
        let failures = Arc::clone(&failed);
        let mut settling = Settling { positions, failed: failures, log, advance: None };
        let task = handle.spawn(async move {
            let mut some = Vec::with_capacity(AT_ONCE);
            while waiting.recv_many(&mut some, AT_ONCE).await > 0 {
                for settlement in some.drain(..) {
                    settling.settle(settlement).await;
                }
                settling.write();
            }
        });
        Self { queue, failed, task }
    }

    /// Queues a settlement; waits if too many are under way. Called from the reader's own thread.
    pub(super) fn push(&self, settlement: Settlement) {
        // The task ends only after this sender is gone.
        let _ = self.queue.blocking_send(settlement);
    }

    /// Readings whose lines must be read again.
    pub(super) fn take_failed(&self) -> Vec<Reading> {
        self.failed.lock().unwrap_or_else(PoisonError::into_inner).iter().copied().collect()
    }

    /// The reading has been rewound.
    pub(super) fn forget_failed(&self, reading: Reading) {
        self.failed.lock().unwrap_or_else(PoisonError::into_inner).remove(&reading);
    }

    /// Waits until everything is settled.
    pub(super) fn finish(self, handle: &tokio::runtime::Handle) {
        drop(self.queue);
        // The task does not panic, and there is nothing to do if it did.
        let _ = handle.block_on(self.task);
    }
}

/// The working off.
struct Settling {
    positions: Positions,
    failed: Arc<Mutex<HashSet<Reading>>>,
    log: PluginLog,
    /// An offset of the file (path, inode) that is still to be written.
    advance: Option<(PathBuf, u64, u64)>,
}

impl Settling {
    async fn settle(&mut self, settlement: Settlement) {
        match settlement {
            Settlement::Advance {
                reading,
                path,
                inode,
                offset,
                receipt,
                has_entry,
                unsettled: _unsettled,
            } => {
                if self.failed.lock().unwrap_or_else(PoisonError::into_inner).contains(&reading) {
                    return;
                }
                if let Some(receipt) = receipt
                    && let Err(error) = self.committed(receipt).await
                {
                    log_warn!(
                        self.log,
                        "lines are not safe in a buffer; they are read again",
                        path = path,
                        error = error.to_string()
                    );
                    self.failed.lock().unwrap_or_else(PoisonError::into_inner).insert(reading);
                    return;
                }
                if has_entry {
                    if self.advance.as_ref().is_some_and(|known| known.0 != path || known.1 != inode) {
                        self.write();
                    }
                    self.advance = Some((path, inode, offset));
                }
            }
            Settlement::Switch { path, position } => {
                self.write();
                fault!("entry-switching");
                self.positions.set(&path, position);
                fault!("entry-switched");
            }
            Settlement::Unwatch { path, inode } => {
                self.write();
                self.positions.unwatch(&path, inode);
                fault!("entry-unwatched");
            }
        }
    }

    async fn committed(&mut self, receipt: Receipt) -> Result<(), CommitError> {
        let committed = receipt.committed();
        tokio::pin!(committed);
        tokio::select! {
            biased;
            result = &mut committed => return result,
            () = std::future::ready(()) => self.write(),
        }
        committed.await
    }

    /// Writes what is still to be written.
    fn write(&mut self) {
        if let Some((path, inode, offset)) = self.advance.take() {
            self.positions.advance(&path, inode, offset);
        }
    }
}
