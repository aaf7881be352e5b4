//! The cursor follows commits: it is set when every buffer that the entries went to holds them.
//!
//! The reader goes on while commits are awaited, at most [`WAITING_MAX`] batches ahead of what is settled.

use super::storage::{Saving, Storage};
use logweir_engine::delivery::{CommitError, Receipt};
use logweir_engine::log_warn;
use logweir_engine::output::blocking;
use logweir_engine::telemetry::PluginLog;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use tokio::runtime::Handle;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;
use tokio::time::{Instant, MissedTickBehavior, interval_at};

/// Batches that may wait for their commit, which buffers make for many at a time. What waits are cursors, not entries.
const WAITING_MAX: usize = 1024;
/// Batches that are taken from the queue at once.
const AT_ONCE: usize = 64;

enum Message {
    /// A batch that ends with the entry of `cursor` was emitted in a turn. Without a receipt it need not become safe.
    Emitted { turn: u64, cursor: String, receipt: Option<Receipt> },
    /// Everything before has been settled: where is the cursor?
    Settled(oneshot::Sender<Option<String>>),
}

/// The queue, and the task that works it off.
pub(super) struct Settlements {
    queue: mpsc::Sender<Message>,
    /// The turn of which a commit failed.
    failed: Arc<AtomicU64>,
    task: JoinHandle<()>,
}

impl Settlements {
    pub(super) fn start(handle: &Handle, storage: Storage, log: PluginLog) -> Self {
        let (queue, waiting) = mpsc::channel(WAITING_MAX);
        let failed = Arc::new(AtomicU64::new(u64::MAX));
        let settling = Settling { storage, failed: Arc::clone(&failed), log };
        Self { queue, failed, task: handle.spawn(settling.run(waiting)) }
    }

    /// Queues what a batch owes; waits if too many are under way. For the reader's own thread.
    pub(super) fn emitted(&self, turn: u64, cursor: String, receipt: Option<Receipt>) {
        // The task ends only after this sender is gone.
        let _ = self.queue.blocking_send(Message::Emitted { turn, cursor, receipt });
    }

    /// Whether entries of this turn must be read again.
    pub(super) fn has_failed(&self, turn: u64) -> bool {
        self.failed.load(Ordering::Relaxed) == turn
    }

    /// Waits until everything is settled; answers the cursor of the last entry up to which all is safe.
    pub(super) fn settle(&self) -> Option<String> {
        let (sender, receiver) = oneshot::channel();
        let _ = self.queue.blocking_send(Message::Settled(sender));
        receiver.blocking_recv().ok().flatten()
    }

    /// Waits until everything is settled and saved.
    pub(super) fn finish(self, handle: &Handle) {
        drop(self.queue);
        // The task does not panic, and there is nothing to do if it did.
        let _ = handle.block_on(self.task);
    }
}

struct Settling {
    storage: Storage,
    failed: Arc<AtomicU64>,
    log: PluginLog,
}

impl Settling {
    async fn run(mut self, mut waiting: mpsc::Receiver<Message>) {
        let every = match self.storage.settings().saving {
            Saving::Every(interval) => Some(interval),
            Saving::Always | Saving::Never => None,
        };
        let period = every.unwrap_or(NEVER);
        let mut ticks = interval_at(Instant::now() + period, period);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
        let mut some = Vec::with_capacity(AT_ONCE);
        loop {
            tokio::select! {
                biased;
                _ = ticks.tick(), if every.is_some() => self.save(),
                count = waiting.recv_many(&mut some, AT_ONCE) => {
                    if count == 0 {
                        break;
                    }
                    for message in some.drain(..) {
                        self.take(message).await;
                    }
                    self.save_if_always();
                }
            }
        }
        if self.storage.settings().at_shutdown || self.saves_always() {
            self.save();
        }
    }

    async fn take(&mut self, message: Message) {
        let (turn, cursor, receipt) = match message {
            Message::Settled(sender) => {
                let _ = sender.send(self.storage.cursor());
                return;
            }
            Message::Emitted { turn, cursor, receipt } => (turn, cursor, receipt),
        };
        if self.failed.load(Ordering::Relaxed) == turn {
            return;
        }
        if let Some(receipt) = receipt
            && let Err(error) = self.committed(receipt).await
        {
            log_warn!(
                self.log,
                "entries are not safe in a buffer; they are read again",
                error = error.to_string()
            );
            self.failed.store(turn, Ordering::Relaxed);
            return;
        }
        self.storage.set(cursor);
    }

    /// What is settled is saved before others are waited for.
    async fn committed(&mut self, receipt: Receipt) -> Result<(), CommitError> {
        let committed = receipt.committed();
        tokio::pin!(committed);
        tokio::select! {
            biased;
            result = &mut committed => return result,
            () = std::future::ready(()) => self.save_if_always(),
        }
        committed.await
    }

    fn saves_always(&self) -> bool {
        self.storage.settings().saving == Saving::Always
    }

    fn save_if_always(&mut self) {
        if self.saves_always() {
            self.save();
        }
    }

    fn save(&mut self) {
        blocking(|| self.storage.save());
    }
}

/// A period of a timer that is not looked at.
const NEVER: std::time::Duration = std::time::Duration::from_secs(86400);
