//! Storing a batch: which chunks it goes to, and the writing.

use super::batch::Ends;
use super::buffer::{Shared, State};
use super::chunk::{Content, NewFrame, NotWritten};
use super::file::FileContent;
use super::file::open::{Crowd, crowd};
use super::file::origin::Mark;
use super::store::FileStore;
use super::{Batch, Body, Chunk, Compression, Limits, Metadata, Part, Settings, compress};
use crate::delivery::{EmitError, Receipt};
use crate::fault;
use crate::msgpack::Entries;
use bytes::Bytes;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

/// What an append did.
#[derive(Debug, Default)]
pub struct Appended {
    /// The batch was a replay of something that the buffer already has; nothing was stored.
    pub duplicate: bool,
    /// Chunks that were made for it (out_file links `symlink_path` to them).
    pub created: Vec<Arc<Chunk>>,
}

/// Why a batch was not stored.
#[derive(Debug, thiserror::Error)]
pub enum AppendError {
    /// The buffer is at its total_limit_size.
    #[error("buffer space has too many data")]
    Overflow,
    /// Some records are larger than chunk_limit_size. Everything else of the batch was stored.
    #[error("{message}")]
    TooLarge {
        /// Which ones.
        message: String,
        /// How many.
        records: u64,
    },
    /// The disk refused (full, broken). Nothing was stored.
    #[error("can't write to the buffer: {0}")]
    Io(#[from] io::Error),
    /// The buffer was closed: the program is stopping.
    #[error("the buffer is closed")]
    Closed,
}

impl From<AppendError> for EmitError {
    fn from(error: AppendError) -> Self {
        match error {
            AppendError::Overflow => Self::BufferOverflow,
            AppendError::TooLarge { message, .. } => Self::ChunkOverflow(message),
            AppendError::Closed => Self::Shutdown,
            // Fluentd too treats a buffer file that it cannot make as a full buffer.
            AppendError::Io(error) => Self::Failed {
                class: "Fluent::Plugin::Buffer::BufferOverflowError",
                message: format!("can't write to the buffer: {error}"),
            },
        }
    }
}

/// A piece of a batch and the chunk that it goes to.
struct Placed<'a> {
    target: Target<'a>,
    body: Body,
    seal: bool,
}

/// A chunk that is there or one that is to be made.
enum Target<'a> {
    Staged(Arc<Chunk>),
    New(&'a Metadata),
}

/// The body of each part as a whole, compressed if that is wanted: made before the buffer is locked, so that several
/// threads can compress at a time.
pub(super) fn wholes(settings: &Settings, batch: &Batch) -> io::Result<Vec<Body>> {
    batch.parts.iter().map(|part| body(settings, part.body.clone(), part.records)).collect()
}

fn body(settings: &Settings, bytes: Bytes, records: u64) -> io::Result<Body> {
    let compression = settings.compress;
    Ok(Body { bytes: compress::squeeze(&bytes, compression)?, records, compression })
}

/// Stores `batch`; `wholes` are its [`wholes`].
pub(super) fn append(
    shared: &Shared,
    state: &mut State,
    batch: &Batch,
    wholes: Vec<Body>,
    receipt: &mut Receipt,
    enqueue: bool,
) -> Result<Appended, AppendError> {
    if state.closed {
        return Err(AppendError::Closed);
    }
    let now = shared.environment.clock.monotonic();
    if let Some(sequence) = state.marks.find(receipt.origin(), batch.ordinal, now) {
        state.replays += 1;
        promise(shared, state, receipt, sequence, now);
        return Ok(Appended { duplicate: true, ..Appended::default() });
    }
    if !state.has_space(&shared.settings) {
        return Err(AppendError::Overflow);
    }
    let mut plan = Plan { shared, placed: Vec::new(), sealed: Vec::new(), too_large: Vec::new() };
    for (part, whole) in batch.parts.iter().zip(wholes).filter(|(part, _)| part.records > 0) {
        plan.part(state, part, whole)?;
    }
    let Plan { placed, sealed, too_large, .. } = plan;
    let mut appended = Appended::default();
    if !placed.is_empty() {
        let mark = state.marks.next(receipt.origin(), batch.ordinal);
        // Names that chunks get meanwhile have sequences too, behind this one: they are no part of what is waited for.
        let sequence = state.sequence + 1;
        appended = write(shared, state, placed, mark.as_ref(), enqueue, sealed)?;
        if let Some(mark) = mark {
            state.marks.enter(mark, sequence, seconds(shared), now);
        }
        promise(shared, state, receipt, sequence, now);
    }
    if too_large.is_empty() {
        return Ok(appended);
    }
    Err(AppendError::TooLarge { message: too_large.join(", "), records: too_large.len() as u64 })
}

/// Lets the input wait for append `sequence`, if there is anything to wait for.
fn promise(shared: &Shared, state: &mut State, receipt: &mut Receipt, sequence: u64, now: Duration) {
    let synced = shared.store.as_ref().is_some_and(FileStore::is_synced);
    if !synced && state.commits.taken_back.is_empty() && !state.commits.unnoted {
        state.commits.durable = state.sequence;
        state.marks.settle(state.commits.durable);
    } else if !synced {
        state.commits.want(state.sequence);
    } else if sequence > state.commits.durable && receipt.wants_commit() {
        match receipt.is_patient() {
            true => state.commits.want_soon(sequence, now),
            false => state.commits.want(sequence),
        }
        receipt.add(shared.commit_of(sequence));
    }
}

/// The wall clock, for a frame.
fn seconds(shared: &Shared) -> u32 {
    u32::try_from(shared.environment.clock.now().secs()).unwrap_or(u32::MAX)
}

/// Finds chunks for the parts of a batch; changes nothing.
struct Plan<'a> {
    shared: &'a Shared,
    placed: Vec<Placed<'a>>,
    /// Staged chunks that give way to new ones although nothing is appended to them.
    sealed: Vec<Arc<Chunk>>,
    too_large: Vec<String>,
}

impl<'a> Plan<'a> {
    /// As Fluentd does it: the whole part into the staged chunk if it fits. If not, entries go to a fresh chunk (a stream
    /// is kept together if that is possible), formatted text fills up the staged one first; what is larger than a chunk is
    /// divided between records.
    fn part(&mut self, state: &State, part: &'a Part, whole: Body) -> io::Result<()> {
        let limits = &self.shared.settings.limits;
        let fresh = || Room { target: Target::New(&part.metadata), bytes: 0, records: 0 };
        let room = state.stage.get(&part.metadata).map_or_else(fresh, |chunk| Room {
            target: Target::Staged(Arc::clone(chunk)),
            bytes: chunk.size(),
            records: chunk.records(),
        });
        if room.takes(&whole, limits) {
            self.place(room, whole, false);
            return Ok(());
        }
        match (&part.ends, room.target) {
            (Ends::Entries, Target::Staged(chunk)) => {
                self.sealed.push(chunk);
                self.divide(part, fresh())
            }
            (_, target) => self.divide(part, Room { target, ..room }),
        }
    }

    /// Fills chunk after chunk with the records of `part`.
    fn divide(&mut self, part: &'a Part, mut room: Room<'a>) -> io::Result<()> {
        let limits = &self.shared.settings.limits;
        let ends = part.record_ends();
        let mut next = 0;
        while next < ends.len() {
            if let Some((count, body)) = self.most(part, &ends, next, &room)? {
                next += count;
                self.place(room, body, next < ends.len());
            } else if let Target::Staged(chunk) = room.target {
                self.sealed.push(chunk);
            } else {
                let size = ends[next] - start_of(&ends, next);
                self.too_large.push(format!(
                    "a {size} bytes record (nth: {next}) is larger than buffer chunk limit size ({})",
                    limits.chunk_bytes
                ));
                next += 1;
            }
            room = Room { target: Target::New(&part.metadata), bytes: 0, records: 0 };
        }
        Ok(())
    }

    /// As many records from number `next` on as there is room for (all of them, if they are compressed: halved until
    /// they fit). `None` if there is no room for one.
    fn most(
        &self,
        part: &Part,
        ends: &[usize],
        next: usize,
        room: &Room<'_>,
    ) -> io::Result<Option<(usize, Body)>> {
        let limits = &self.shared.settings.limits;
        let start = start_of(ends, next);
        let records =
            limits.chunk_records.map_or(usize::MAX, |max| max.saturating_sub(room.records) as usize);
        let mut count = records.min(ends.len() - next);
        if self.shared.settings.compress == Compression::None {
            let bytes = usize::try_from(limits.chunk_bytes.saturating_sub(room.bytes)).unwrap_or(usize::MAX);
            count = count.min(ends[next..].partition_point(|end| end - start <= bytes));
        }
        while count > 0 {
            let slice = part.body.slice(start..ends[next + count - 1]);
            let body = body(&self.shared.settings, slice, count as u64)?;
            if room.takes(&body, limits) {
                return Ok(Some((count, body)));
            }
            count /= 2;
        }
        Ok(None)
    }

    fn place(&mut self, room: Room<'a>, body: Body, more: bool) {
        let limits = &self.shared.settings.limits;
        let full = limits.are_full(room.bytes + body.bytes.len() as u64, room.records + body.records);
        self.placed.push(Placed { target: room.target, body, seal: full || more });
    }
}

/// A chunk with what is in it.
struct Room<'a> {
    target: Target<'a>,
    bytes: u64,
    records: u64,
}

impl Room<'_> {
    fn takes(&self, body: &Body, limits: &Limits) -> bool {
        let bytes = self.bytes + body.bytes.len() as u64;
        let records = self.records + body.records;
        bytes <= limits.chunk_bytes && limits.chunk_records.is_none_or(|max| records <= max)
    }
}

fn start_of(ends: &[usize], record: usize) -> usize {
    record.checked_sub(1).map_or(0, |before| ends[before])
}

/// Writes what was planned. Chunks that are full leave the stage, in the order in which they were filled.
fn write(
    shared: &Shared,
    state: &mut State,
    placed: Vec<Placed<'_>>,
    mark: Option<&Mark>,
    enqueue: bool,
    mut sealed: Vec<Arc<Chunk>>,
) -> io::Result<Appended> {
    let parts = u16::try_from(placed.len())
        .map_err(|_| io::Error::new(io::ErrorKind::InvalidInput, "an emit for more than 65535 chunks"))?;
    if state.commits.taken_back.is_full() {
        return Err(io::Error::other(
            "the device has failed many times, and what it left is not put right yet",
        ));
    }
    // A sequence is used up even if the append fails: what was written under it may still turn up after a crash.
    state.sequence += 1;
    let (sequence, durable, at) = (state.sequence, state.commits.durable, seconds(shared));
    let mut written = Vec::with_capacity(placed.len());
    for (part, placed) in (0..parts).zip(placed) {
        let taken_back = &state.commits.taken_back;
        let frame = NewFrame { body: &placed.body, mark, sequence, part, parts, at, durable, taken_back };
        match placed.write(shared, &frame) {
            Ok((one, gives_way)) => {
                written.push(one);
                sealed.extend(gives_way);
                if part + 1 < parts {
                    fault!("part-written");
                }
            }
            Err(NotWritten { error, left }) => {
                if let Some(store) = &shared.store {
                    state.commits.take_back(sequence);
                    left.into_iter().for_each(|path| remove(store, state, path));
                    if let Target::Staged(chunk) = &placed.target {
                        mend(state, chunk, sequence);
                    }
                }
                take_back(shared, state, written, sequence);
                return Err(error);
            }
        }
    }
    for chunk in sealed {
        state.unstage(&chunk);
        shared.enqueue_chunk(state, chunk);
    }
    let mut appended = Appended::default();
    for Written { chunk, body, seal, is_new } in written {
        chunk.grow(&body, state.sequence, shared.environment.clock.now());
        state.staged_bytes += body.bytes.len() as u64;
        if mark.is_some() || parts > 1 {
            chunk.set_marked();
        }
        if parts > 1 {
            chunk.set_divided(sequence);
        }
        if let Some(file) = chunk.file() {
            bound_open_files(shared, state, file);
            state.commits.wrote(&chunk, body.bytes.len() as u64);
            if is_new {
                state.commits.named(&chunk);
            }
        }
        if is_new {
            appended.created.push(Arc::clone(&chunk));
        }
        if seal || enqueue {
            state.unstage(&chunk);
            shared.enqueue_chunk(state, chunk);
        } else if is_new {
            state.stage.insert(chunk.metadata().clone(), chunk);
        }
    }
    Ok(appended)
}

/// Keeps the number of open chunk files in bounds, after something was written to `file`.
fn bound_open_files(shared: &Shared, state: &mut State, file: &FileContent) {
    let synced = shared.store.as_ref().is_some_and(FileStore::is_synced);
    match crowd() {
        Crowd::Room => {}
        Crowd::Many | Crowd::Full if !synced => file.needs_no_sync(),
        // The buffer's thread closes what it has synced.
        Crowd::Many => state.commits.want(state.sequence),
        // If this fails, that thread meets the same error and does what must be done.
        Crowd::Full => {
            if file.sync().is_err() {
                state.commits.want(state.sequence);
            }
        }
    }
}

/// A piece of a batch that is in its chunk.
struct Written {
    chunk: Arc<Chunk>,
    body: Body,
    seal: bool,
    is_new: bool,
}

impl Placed<'_> {
    /// Also answers the staged chunk that gives way to a new one, if nothing may be appended to it any more.
    fn write(
        &self,
        shared: &Shared,
        frame: &NewFrame<'_>,
    ) -> Result<(Written, Option<Arc<Chunk>>), NotWritten> {
        let (metadata, gives_way) = match &self.target {
            Target::New(metadata) => (*metadata, None),
            Target::Staged(chunk) if chunk.push(frame)? => {
                return Ok((self.written(Arc::clone(chunk), false), None));
            }
            Target::Staged(chunk) => (chunk.metadata(), Some(Arc::clone(chunk))),
        };
        let chunk = Arc::new(shared.new_chunk(metadata, frame)?);
        Ok((self.written(chunk, true), gives_way))
    }

    fn written(&self, chunk: Arc<Chunk>, is_new: bool) -> Written {
        Written { chunk, body: self.body.clone(), seal: self.seal, is_new }
    }
}

/// Undoes the parts of append `sequence`, of which another part could not be written.
fn take_back(shared: &Shared, state: &mut State, written: Vec<Written>, sequence: u64) {
    for Written { chunk, is_new, .. } in written.into_iter().rev() {
        match chunk.content() {
            Content::Memory(content) => content.pop(),
            Content::File(content) => {
                content.undo();
                match (&shared.store, chunk.path()) {
                    (Some(store), Some(path)) if is_new => remove(store, state, path),
                    _ => mend(state, &chunk, sequence),
                }
            }
            Content::Fluentd(_) => {}
        }
    }
}

/// Removes the file of an append that failed. An empty chunk file that stays is removed at the next start.
fn remove(store: &FileStore, state: &mut State, path: PathBuf) {
    // Not there is as good; what cannot be removed is tried again.
    let _ = store.fs().remove(&path);
    state.commits.unwanted(path);
}

/// A frame of append `sequence` was cut off from `chunk`, or could not be. The chunk is not delivered before it is on the device
/// without: what was delivered with one content must not be found with another.
fn mend(state: &mut State, chunk: &Arc<Chunk>, sequence: u64) {
    chunk.wait_for(sequence);
    match chunk.file().is_some_and(FileContent::is_poisoned) {
        true => state.commits.failed.push(Arc::clone(chunk)),
        false => state.commits.wrote(chunk, 0),
    }
}

impl Part {
    /// Offsets behind each record.
    fn record_ends(&self) -> Vec<usize> {
        match &self.ends {
            Ends::At(ends) => ends.clone(),
            Ends::Entries => {
                let mut entries = Entries::new(&self.body);
                let mut ends = Vec::with_capacity(usize::try_from(self.records).unwrap_or(0));
                while entries.next().is_some() {
                    ends.push(entries.position());
                }
                ends
            }
        }
    }
}

impl Limits {
    /// Whether a chunk with so much in it is to be queued.
    pub(super) fn are_full(&self, bytes: u64, records: u64) -> bool {
        bytes as f64 >= self.chunk_bytes as f64 * self.full_threshold
            || self.chunk_records.is_some_and(|max| records as f64 >= max as f64 * self.full_threshold)
    }
}
