//! The buffer: which chunk is where.

use super::append::{self, AppendError, Appended};
use super::memory::MemoryContent;
use super::{Batch, Chunk, ChunkId, Environment, Metadata, Part, Settings, Store};
use crate::delivery::{BufferId, Receipt};
use crate::log_error;
use std::collections::{HashMap, VecDeque};
use std::io;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::Notify;

/// Holds chunks between the inputs and one output. All methods may be called from any thread; those that touch the disk
/// say so.
pub struct Buffer {
    pub(super) id: BufferId,
    pub(super) settings: Settings,
    pub(super) environment: Environment,
    pub(super) state: Mutex<State>,
    ready: Notify,
    space: Notify,
}

/// Why a buffer cannot be opened. Damaged chunks are no reason.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The directory belongs to another process.
    #[error(transparent)]
    Locked(#[from] crate::io::LockError),
    /// The directory cannot be made, listed or written.
    #[error("cannot open the buffer in {}: {error}; make it a directory that Logweir may read and write, or set another path", path.display())]
    Io {
        /// The directory.
        path: std::path::PathBuf,
        /// Why.
        error: io::Error,
    },
}

/// What a buffer holds, for monitoring and for the flushing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stats {
    /// Staged chunks.
    pub staged_chunks: usize,
    /// Bytes in staged chunks.
    pub staged_bytes: u64,
    /// Queued chunks, without those that are being written.
    pub queued_chunks: usize,
    /// Bytes in queued chunks and in those that are being written.
    pub queued_bytes: u64,
    /// Chunks that are being written.
    pub taken_chunks: usize,
    /// `total_limit_size`.
    pub total_bytes_max: u64,
    /// The oldest time slice among staged and queued chunks, seconds since the epoch.
    pub oldest_timekey: Option<i64>,
    /// The newest one.
    pub newest_timekey: Option<i64>,
}

/// Everything that changes.
#[derive(Default)]
pub(super) struct State {
    pub(super) stage: HashMap<Metadata, Arc<Chunk>>,
    pub(super) queue: VecDeque<Arc<Chunk>>,
    pub(super) taken: HashMap<ChunkId, Arc<Chunk>>,
    pub(super) staged_bytes: u64,
    pub(super) queued_bytes: u64,
}

static NEXT_ID: AtomicU32 = AtomicU32::new(0);

impl Buffer {
    /// Opens a buffer; a file buffer takes over what is in its directory. Touches the disk.
    pub fn open(settings: Settings, environment: Environment) -> Result<Self, OpenError> {
        let id = BufferId(NEXT_ID.fetch_add(1, Relaxed));
        let state = Mutex::default();
        Ok(Self { id, settings, environment, state, ready: Notify::new(), space: Notify::new() })
    }

    /// Identifies the buffer within the process.
    pub fn id(&self) -> BufferId {
        self.id
    }

    /// Its settings.
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// Whether its chunks survive the end of the process.
    pub fn is_persistent(&self) -> bool {
        !matches!(self.settings.store, Store::Memory)
    }

    /// Makes one batch of the parts of an emit. Called once an emit, in the order of the emits of its input: the
    /// batch's place in that order is part of what recognises a replay.
    pub fn batch(&self, mut parts: Vec<Part>, receipt: &mut Receipt) -> Batch {
        parts.sort_by(|a, b| a.metadata.cmp(&b.metadata));
        Batch { parts, ordinal: receipt.appending(self.id) }
    }

    /// Stores a batch, all of it or (on an error other than [`AppendError::TooLarge`]) nothing, and adds to
    /// `receipt` what its input must wait for. With `enqueue` (flush_mode immediate) its chunks are queued at once.
    ///
    /// A replay of what the buffer already has is not stored again and is no error. Writes to the disk (the page
    /// cache), does not wait for the device.
    pub fn append(
        &self,
        batch: &Batch,
        receipt: &mut Receipt,
        enqueue: bool,
    ) -> Result<Appended, AppendError> {
        let appended = append::append(self, &mut self.lock(), batch, receipt, enqueue);
        self.ready.notify_waiters();
        appended
    }

    /// Whether total_limit_size is not reached, so that the next [`Buffer::append`] will not fail for it.
    pub fn has_space(&self) -> bool {
        self.lock().has_space(&self.settings)
    }

    /// Waits until [`Buffer::has_space`].
    pub async fn space(&self) {
        wait(&self.space, || self.has_space()).await;
    }

    /// Queues every staged chunk (shutdown, SIGUSR1). Renames files.
    pub fn enqueue_all(&self) {
        self.enqueue(usize::MAX, |_| true);
    }

    /// Queues the staged chunks that `rule` picks, until queued_chunks_limit_size is reached. Renames files.
    pub fn enqueue_where(&self, rule: impl FnMut(&Chunk) -> bool) {
        self.enqueue(self.settings.limits.queued_chunks, rule);
    }

    /// Takes the chunk at the head of the queue, to write it: it stays in the buffer until it is purged or rolled
    /// back. `None` if the queue is empty or its head is not yet as durable as the buffer promises.
    pub fn take(&self) -> Option<Arc<Chunk>> {
        let mut state = self.lock();
        let chunk = state.queue.pop_front()?;
        state.taken.insert(chunk.id(), Arc::clone(&chunk));
        Some(chunk)
    }

    /// Whether chunks are queued (not counting those that are taken).
    pub fn has_queued(&self) -> bool {
        !self.lock().queue.is_empty()
    }

    /// Waits until [`Buffer::take`] would answer a chunk.
    pub async fn ready(&self) {
        wait(&self.ready, || self.has_queued()).await;
    }

    /// Records in queued chunks (not counting those that are taken).
    pub fn queued_records(&self) -> u64 {
        self.lock().queue.iter().map(|chunk| chunk.records()).sum()
    }

    /// A taken chunk was written: removes it. `false` if it is not taken.
    pub fn purge(&self, id: ChunkId) -> bool {
        let mut state = self.lock();
        let Some(chunk) = state.taken.remove(&id) else { return false };
        self.discard(&mut state, &chunk);
        drop(state);
        self.space.notify_waiters();
        true
    }

    /// A taken chunk was not written: puts it back at the head of the queue. `false` if it is not taken.
    pub fn rollback(&self, id: ChunkId) -> bool {
        let mut state = self.lock();
        let Some(chunk) = state.taken.remove(&id) else { return false };
        state.queue.push_front(chunk);
        drop(state);
        self.ready.notify_waiters();
        true
    }

    /// Removes every queued chunk (not the staged and the taken ones); answers how many and how many records.
    pub fn clear_queue(&self) -> (usize, u64) {
        let mut state = self.lock();
        let chunks: Vec<_> = state.queue.drain(..).collect();
        let mut records = 0;
        for chunk in &chunks {
            records += chunk.records();
            self.discard(&mut state, chunk);
        }
        drop(state);
        self.space.notify_waiters();
        (chunks.len(), records)
    }

    /// What it holds.
    pub fn stats(&self) -> Stats {
        let state = self.lock();
        let timekeys =
            || state.stage.values().chain(&state.queue).filter_map(|chunk| chunk.metadata().timekey);
        Stats {
            staged_chunks: state.stage.len(),
            staged_bytes: state.staged_bytes,
            queued_chunks: state.queue.len(),
            queued_bytes: state.queued_bytes,
            taken_chunks: state.taken.len(),
            total_bytes_max: self.settings.limits.total_bytes,
            oldest_timekey: timekeys().min(),
            newest_timekey: timekeys().max(),
        }
    }

    /// Ends the buffer's work: what is on its way to the device arrives there. Staged and queued chunks of a file
    /// buffer stay for the next start; those of a memory buffer are gone. Nothing may be appended afterwards.
    pub fn close(&self) {}

    pub(super) fn new_chunk(&self, metadata: &Metadata) -> io::Result<Arc<Chunk>> {
        let clock = &*self.environment.clock;
        let (id, now) = (ChunkId::generate(clock), clock.now());
        let content = Box::new(MemoryContent::default());
        Ok(Arc::new(Chunk::new(id, metadata.clone(), now, self.settings.formatted, content)))
    }

    fn enqueue(&self, queue_max: usize, mut rule: impl FnMut(&Chunk) -> bool) {
        let mut state = self.lock();
        let mut due: Vec<_> = state.stage.values().filter(|chunk| rule(chunk)).map(Arc::clone).collect();
        due.sort_by_key(|chunk| (chunk.metadata().timekey, chunk.created(), chunk.id()));
        for chunk in due {
            if state.queue.len() >= queue_max {
                break;
            }
            state.stage.remove(chunk.metadata());
            self.enqueue_chunk(&mut state, chunk);
        }
        drop(state);
        self.ready.notify_waiters();
    }

    /// Queues a chunk that is no longer on the stage.
    pub(super) fn enqueue_chunk(&self, state: &mut State, chunk: Arc<Chunk>) {
        state.staged_bytes -= chunk.size();
        state.queued_bytes += chunk.size();
        if let Err(error) = chunk.content().enqueue() {
            // It is queued all the same: the name of the file only matters for a restart, which will stage it again.
            log_error!(
                self.environment.log,
                "can't enqueue buffer file",
                chunk_id = chunk.id(),
                error = error.to_string()
            );
        }
        state.queue.push_back(chunk);
    }

    fn discard(&self, state: &mut State, chunk: &Arc<Chunk>) {
        state.queued_bytes -= chunk.size();
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    pub(super) fn has_space(&self, settings: &Settings) -> bool {
        settings.limits.total_bytes > self.staged_bytes + self.queued_bytes
    }
}

impl std::fmt::Debug for Buffer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Buffer").field("id", &self.id).field("stats", &self.stats()).finish_non_exhaustive()
    }
}

async fn wait(notify: &Notify, is_so: impl Fn() -> bool) {
    loop {
        let notified = notify.notified();
        tokio::pin!(notified);
        notified.as_mut().enable();
        if is_so() {
            return;
        }
        notified.await;
    }
}
