//! The buffer: which chunk is where.

use super::append::{self, AppendError, Appended};
use super::chunk::{Content, NewFrame, NotWritten};
use super::commit::{Commits, Progress, Round};
use super::marks::Marks;
use super::memory::MemoryContent;
use super::resume;
use super::store::FileStore;
use super::{Batch, Chunk, ChunkId, Environment, Metadata, Part, Settings, Store, replay};
use crate::delivery::{BufferId, Receipt};
use crate::fault;
use crate::log_error;
use std::collections::{BTreeSet, HashMap, VecDeque};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use tokio::sync::{Notify, watch};

/// Holds chunks between the inputs and one output. All methods may be called from any thread; those that touch the disk
/// say so.
pub struct Buffer {
    shared: Arc<Shared>,
    commits: Mutex<Option<JoinHandle<()>>>,
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
        path: PathBuf,
        /// Why.
        error: io::Error,
    },
    /// The process may not open a chunk file that is there, whatever is in it.
    #[error("cannot open {}: {error}; let Logweir have more open files or memory (ulimit -n, LimitNOFILE=)", path.display())]
    Limit {
        /// The file.
        path: PathBuf,
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
    /// Replays that were recognised and not stored again, since the start.
    pub replays: u64,
    /// Damaged parts of chunk files that were found at the start.
    pub damaged_parts: u64,
    /// Bytes in them.
    pub damaged_bytes: u64,
    /// Records in all chunks: staged, queued, and being written.
    pub records: u64,
    /// Records that the device lost after they were appended, since the start; nobody was told that they are stored.
    pub lost_records: u64,
}

/// What the buffer shares with its thread and with the registry of marks.
pub(super) struct Shared {
    pub(super) id: BufferId,
    pub(super) settings: Settings,
    pub(super) environment: Environment,
    pub(super) store: Option<FileStore>,
    pub(super) wake: Condvar,
    pub(super) ready: Notify,
    pub(super) progress: watch::Sender<Progress>,
    space: Notify,
    state: Mutex<State>,
}

/// Everything that changes.
#[derive(Default)]
pub(super) struct State {
    /// Chunks that are appended to.
    pub(super) stage: HashMap<Metadata, Arc<Chunk>>,
    /// Chunks that wait for the end of their time like staged ones, but are not appended to: Fluentd's.
    pub(super) sealed: Vec<Arc<Chunk>>,
    pub(super) queue: VecDeque<Arc<Chunk>>,
    pub(super) taken: HashMap<ChunkId, Arc<Chunk>>,
    pub(super) staged_bytes: u64,
    pub(super) queued_bytes: u64,
    /// The last append.
    pub(super) sequence: u64,
    pub(super) marks: Marks,
    pub(super) commits: Commits,
    pub(super) replays: u64,
    pub(super) damaged: Damaged,
    pub(super) lost_records: u64,
    pub(super) closed: bool,
}

/// What was damaged at the start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Damaged {
    pub(super) parts: u64,
    pub(super) bytes: u64,
}

static NEXT_ID: AtomicU32 = AtomicU32::new(0);

impl Buffer {
    /// Opens a buffer; a file buffer takes over what is in its directory. Touches the disk.
    pub fn open(settings: Settings, environment: Environment) -> Result<Self, OpenError> {
        let id = BufferId(NEXT_ID.fetch_add(1, Relaxed));
        let (store, state) = match &settings.store {
            Store::Memory => (None, State::default()),
            Store::File(files) => {
                let backup = settings.backup.as_deref();
                let store = FileStore::open(files, settings.formatted, backup, &environment)?;
                fault!("buffer-locked");
                let state = resume::resume(&store, &settings)?;
                fault!("buffer-recovered");
                store.keep_spare();
                (Some(store), state)
            }
        };
        let background = environment.background && store.is_some();
        let shared = Arc::new(Shared {
            id,
            settings,
            environment,
            store,
            wake: Condvar::new(),
            ready: Notify::new(),
            progress: watch::Sender::new(Progress::default()),
            space: Notify::new(),
            state: Mutex::new(state),
        });
        replay::register(&shared);
        let commits = match background {
            false => None,
            true => {
                let shared = Arc::clone(&shared);
                let named = std::thread::Builder::new().name("buffer-commit".to_owned());
                let spawned = named.spawn(move || shared.run_commits());
                Some(spawned.map_err(|error| OpenError::Io { path: PathBuf::new(), error })?)
            }
        };
        Ok(Self { shared, commits: Mutex::new(commits) })
    }

    /// Identifies the buffer within the process.
    pub fn id(&self) -> BufferId {
        self.shared.id
    }

    /// Its settings.
    pub fn settings(&self) -> &Settings {
        &self.shared.settings
    }

    /// Whether its chunks survive the end of the process.
    pub fn is_persistent(&self) -> bool {
        self.shared.store.is_some()
    }

    /// Makes one batch of the parts of an emit. Called once an emit, in the order of the emits of its input: the
    /// batch's place in that order is part of what recognises a replay.
    pub fn batch(&self, mut parts: Vec<Part>, receipt: &mut Receipt) -> Batch {
        parts.sort_by(|a, b| a.metadata.cmp(&b.metadata));
        Batch { parts, ordinal: receipt.appending(self.shared.id) }
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
        let wholes = append::wholes(&self.shared.settings, batch)?;
        let mut state = self.shared.lock();
        let appended = append::append(&self.shared, &mut state, batch, wholes, receipt, enqueue);
        self.shared.work(state);
        appended
    }

    /// Whether it has the events of a forward chunk that is sent again, so that it would recognise them.
    pub fn has(&self, receipt: &Receipt) -> bool {
        let now = self.shared.environment.clock.monotonic();
        self.shared.lock().marks.has_forward(receipt.origin(), receipt.appended(self.shared.id), now)
    }

    /// Whether total_limit_size is not reached, so that the next [`Buffer::append`] will not fail for it.
    pub fn has_space(&self) -> bool {
        self.shared.lock().has_space(&self.shared.settings)
    }

    /// Waits until [`Buffer::has_space`].
    pub async fn space(&self) {
        wait(&self.shared.space, || self.has_space()).await;
    }

    /// Queues every staged chunk (shutdown, SIGUSR1). Renames files.
    pub fn enqueue_all(&self) {
        self.shared.enqueue(usize::MAX, |_| true);
    }

    /// Queues the staged chunks that `rule` picks, until queued_chunks_limit_size is reached. Renames files.
    pub fn enqueue_where(&self, rule: impl FnMut(&Chunk) -> bool) {
        self.shared.enqueue(self.shared.settings.limits.queued_chunks, rule);
    }

    /// Takes the chunk at the head of the queue, to write it: it stays in the buffer until it is purged or rolled
    /// back. `None` if the queue is empty or its head is not yet as durable as the buffer promises.
    pub fn take(&self) -> Option<Arc<Chunk>> {
        let mut state = self.shared.lock();
        if !state.is_ready() {
            return None;
        }
        state.take()
    }

    /// Takes the chunk at the head of the queue, to give it up: for that it need not be durable.
    pub fn take_to_drop(&self) -> Option<Arc<Chunk>> {
        self.shared.lock().take()
    }

    /// Whether chunks are queued (not counting those that are taken).
    pub fn has_queued(&self) -> bool {
        !self.shared.lock().queue.is_empty()
    }

    /// Waits until [`Buffer::take`] would answer a chunk.
    pub async fn ready(&self) {
        wait(&self.shared.ready, || self.shared.lock().is_ready()).await;
    }

    /// Records in queued chunks (not counting those that are taken).
    pub fn queued_records(&self) -> u64 {
        self.shared.lock().queue.iter().map(|chunk| chunk.records()).sum()
    }

    /// A taken chunk was written (or is given up): removes it. Its file goes a little later, once its marks are safe
    /// elsewhere. `false` if it is not taken.
    pub fn purge(&self, id: ChunkId) -> bool {
        let mut state = self.shared.lock();
        let Some(chunk) = state.taken.remove(&id) else { return false };
        state.discard(chunk);
        self.shared.work(state);
        self.shared.space.notify_waiters();
        true
    }

    /// A taken chunk was not written: puts it back at the head of the queue. `false` if it is not taken.
    pub fn rollback(&self, id: ChunkId) -> bool {
        let mut state = self.shared.lock();
        let Some(chunk) = state.taken.remove(&id) else { return false };
        self.shared.mend(&mut state, &chunk);
        state.queue.push_front(chunk);
        self.shared.work(state);
        true
    }

    /// The time slices of its staged and queued chunks, without repetition, in order.
    pub fn timekeys(&self) -> Vec<i64> {
        let state = self.shared.lock();
        let chunks = state.stage.values().chain(&state.sealed).chain(&state.queue);
        let timekeys: BTreeSet<i64> = chunks.filter_map(|chunk| chunk.metadata().timekey).collect();
        timekeys.into_iter().collect()
    }

    /// What it holds.
    pub fn stats(&self) -> Stats {
        let state = self.shared.lock();
        let timekeys = || {
            let chunks = state.stage.values().chain(&state.sealed).chain(&state.queue);
            chunks.filter_map(|chunk| chunk.metadata().timekey)
        };
        Stats {
            staged_chunks: state.stage.len() + state.sealed.len(),
            staged_bytes: state.staged_bytes,
            queued_chunks: state.queue.len(),
            queued_bytes: state.queued_bytes,
            taken_chunks: state.taken.len(),
            total_bytes_max: self.shared.settings.limits.total_bytes,
            oldest_timekey: timekeys().min(),
            newest_timekey: timekeys().max(),
            replays: state.replays,
            damaged_parts: state.damaged.parts,
            damaged_bytes: state.damaged.bytes,
            records: state.records(),
            lost_records: state.lost_records,
        }
    }

    /// Makes everything durable and removes what was purged, now and on this thread. `false` if the device refuses. For
    /// tests and for buffers without a thread of their own.
    pub fn settle(&self) -> bool {
        self.shared.want_all();
        loop {
            match self.shared.round() {
                Round::Idle => return true,
                Round::Done => {}
                Round::Failed => return false,
            }
        }
    }

    /// Ends the buffer's work: what is on its way to the device arrives there, purged chunks are removed, the directory
    /// may be opened again. Staged and queued chunks of a file buffer stay for the next start; those of a memory buffer
    /// are gone. Nothing may be appended afterwards. Touches the disk.
    pub fn close(&self) {
        self.shared.lock().closed = true;
        self.shared.want_all();
        self.shared.stop();
        let thread = self.commits.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(Err(_)) = thread.map(JoinHandle::join) {
            log_error!(self.shared.environment.log, "the buffer's thread ended unexpectedly");
        }
        self.settle();
        fault!("buffer-closed");
        if let Some(store) = &self.shared.store {
            store.unlock();
        }
    }
}

#[cfg(any(test, feature = "fuzz"))]
impl Buffer {
    /// What is shared.
    #[cfg(test)]
    pub(super) fn shared(&self) -> &Shared {
        &self.shared
    }

    /// The chunks that count.
    #[cfg(test)]
    pub(crate) fn chunk_ids(&self) -> BTreeSet<ChunkId> {
        let state = self.shared.lock();
        let staged = state.stage.values().chain(&state.sealed);
        staged.chain(&state.queue).chain(state.taken.values()).map(|chunk| chunk.id()).collect()
    }

    /// Ends like a killed process: nothing more is written.
    pub(super) fn abandon(self) {
        self.shared.lock().closed = true;
        if let Some(store) = &self.shared.store {
            store.unlock();
        }
    }
}

impl Drop for Buffer {
    fn drop(&mut self) {
        if !self.shared.lock().closed {
            self.close();
        }
    }
}

impl Shared {
    pub(super) fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Something was changed: wakes who waits for a chunk to write and the thread, if there is something for them. To wake
    /// them with each append would cost more than the append.
    fn work(&self, state: MutexGuard<'_, State>) {
        let (is_ready, calls) = (state.is_ready(), state.commits.calls());
        drop(state);
        if is_ready {
            self.ready.notify_waiters();
        }
        if calls {
            self.wake.notify_all();
        }
    }

    fn want_all(&self) {
        let mut state = self.lock();
        let last = state.sequence;
        state.commits.want(last);
    }

    /// A new chunk that begins with `frame`.
    pub(super) fn new_chunk(&self, metadata: &Metadata, frame: &NewFrame<'_>) -> Result<Chunk, NotWritten> {
        match &self.store {
            Some(store) => store.create(metadata, frame),
            None => {
                let clock = &*self.environment.clock;
                let content = MemoryContent::default();
                content.push(frame.body.clone());
                let (id, now) = (ChunkId::generate(clock), clock.now());
                let formatted = self.settings.formatted;
                Ok(Chunk::new(id, metadata.clone(), now, formatted, Content::Memory(content)))
            }
        }
    }

    fn enqueue(&self, queue_max: usize, mut rule: impl FnMut(&Chunk) -> bool) {
        let mut state = self.lock();
        let room = queue_max.saturating_sub(state.queue.len());
        if room == 0 {
            return;
        }
        let order = |chunk: &&Arc<Chunk>| (chunk.metadata().timekey, chunk.created(), chunk.id());
        let staged = state.stage.values().chain(&state.sealed);
        let mut due: Vec<&Arc<Chunk>> = staged.filter(|chunk| rule(chunk)).collect();
        // Of very many, which a chunk for each tag may make, few are queued at a time.
        if due.len() > room {
            due.select_nth_unstable_by_key(room, order);
            due.truncate(room);
        }
        due.sort_unstable_by_key(order);
        let due: Vec<Arc<Chunk>> = due.into_iter().map(Arc::clone).collect();
        for chunk in due {
            state.unstage(&chunk);
            self.enqueue_chunk(&mut state, chunk);
        }
        self.work(state);
    }

    /// Queues a chunk that is no longer on the stage.
    pub(super) fn enqueue_chunk(&self, state: &mut State, chunk: Arc<Chunk>) {
        state.staged_bytes -= chunk.size();
        state.queued_bytes += chunk.size();
        self.rename_queued(state, &chunk);
        state.queue.push_back(chunk);
    }

    /// Gives the file of a chunk the name of a queued one. It cannot be taken before that is durable: a chunk that was
    /// written and comes back after a crash must not be appended to, for the destination knows its id.
    pub(super) fn rename_queued(&self, state: &mut State, chunk: &Arc<Chunk>) {
        let Some(file) = chunk.file() else { return };
        match file.enqueue() {
            Ok(_) => state.commits.named(chunk),
            Err(error) => {
                self.not_queued(chunk, &error);
                state.commits.unqueued.push(Arc::clone(chunk));
            }
        }
        if self.store.as_ref().is_some_and(FileStore::is_synced) {
            state.sequence += 1;
            chunk.wait_for(state.sequence);
            state.commits.want(state.sequence);
        } else {
            file.needs_no_sync();
        }
    }
}

impl State {
    pub(super) fn has_space(&self, settings: &Settings) -> bool {
        settings.limits.total_bytes > self.staged_bytes + self.queued_bytes
    }

    /// Records in all chunks.
    fn records(&self) -> u64 {
        let chunks = self.stage.values().chain(&self.sealed).chain(&self.queue).chain(self.taken.values());
        chunks.map(|chunk| chunk.records()).sum()
    }

    /// Whether the head of the queue may be written.
    pub(super) fn is_ready(&self) -> bool {
        self.queue.front().is_some_and(|chunk| chunk.ready_after() <= self.commits.durable)
    }

    fn take(&mut self) -> Option<Arc<Chunk>> {
        let chunk = self.queue.pop_front()?;
        self.taken.insert(chunk.id(), Arc::clone(&chunk));
        Some(chunk)
    }

    /// Whether a chunk that counts has its file there.
    pub(super) fn has_file(&self, path: &Path) -> bool {
        let chunks = self.stage.values().chain(&self.sealed).chain(&self.queue).chain(self.taken.values());
        chunks.chain(&self.commits.retired).any(|chunk| chunk.path().as_deref() == Some(path))
    }

    /// `chunk` has become smaller; if nothing is left, it goes.
    pub(super) fn lose(&mut self, chunk: &Arc<Chunk>, bytes: u64, records: u64) {
        chunk.discount(bytes, records);
        self.lost_records += records;
        let is_it = |other: &Arc<Chunk>| Arc::ptr_eq(other, chunk);
        if self.stage.get(chunk.metadata()).is_some_and(is_it) {
            self.staged_bytes -= bytes;
            if chunk.is_empty() {
                self.unstage(chunk);
                self.commits.retire(Arc::clone(chunk));
            }
        } else if let Some(at) = self.queue.iter().position(is_it) {
            self.queued_bytes -= bytes;
            if chunk.is_empty() {
                self.queue.remove(at);
                self.commits.retire(Arc::clone(chunk));
            }
        }
    }

    /// Takes a chunk off the stage.
    pub(super) fn unstage(&mut self, chunk: &Arc<Chunk>) {
        if self.stage.get(chunk.metadata()).is_some_and(|staged| Arc::ptr_eq(staged, chunk)) {
            self.stage.remove(chunk.metadata());
        } else {
            self.sealed.retain(|sealed| !Arc::ptr_eq(sealed, chunk));
        }
    }

    /// Forgets a chunk that is neither staged nor queued any more.
    fn discard(&mut self, chunk: Arc<Chunk>) {
        self.queued_bytes -= chunk.size();
        if chunk.path().is_some() {
            self.commits.retire(chunk);
        }
    }
}

impl std::fmt::Debug for Buffer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Buffer").field("id", &self.id()).field("stats", &self.stats()).finish_non_exhaustive()
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
