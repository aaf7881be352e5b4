//! Storing a batch: which chunks it goes to, and the writing.

use super::batch::Ends;
use super::buffer::{Buffer, State};
use super::chunk::NewFrame;
use super::{Batch, Body, Chunk, Compression, Limits, Metadata, Part, compress};
use crate::delivery::{EmitError, Receipt};
use crate::msgpack::Entries;
use bytes::Bytes;
use std::io;
use std::sync::Arc;

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
    #[error("{0}")]
    TooLarge(String),
    /// The disk refused (full, broken). Nothing was stored.
    #[error("can't write to the buffer: {0}")]
    Io(#[from] io::Error),
}

impl From<AppendError> for EmitError {
    fn from(error: AppendError) -> Self {
        match error {
            AppendError::Overflow => Self::BufferOverflow,
            AppendError::TooLarge(message) => Self::ChunkOverflow(message),
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

pub(super) fn append(
    buffer: &Buffer,
    state: &mut State,
    batch: &Batch,
    receipt: &mut Receipt,
    enqueue: bool,
) -> Result<Appended, AppendError> {
    let _ = (receipt, batch.ordinal);
    if !state.has_space(&buffer.settings) {
        return Err(AppendError::Overflow);
    }
    let mut plan = Plan { buffer, placed: Vec::new(), sealed: Vec::new(), too_large: Vec::new() };
    for part in batch.parts.iter().filter(|part| part.records > 0) {
        plan.part(state, part)?;
    }
    let Plan { placed, sealed, too_large, .. } = plan;
    let appended = write(buffer, state, placed, sealed, enqueue)?;
    if too_large.is_empty() { Ok(appended) } else { Err(AppendError::TooLarge(too_large.join(", "))) }
}

/// Finds chunks for the parts of a batch; changes nothing.
struct Plan<'a> {
    buffer: &'a Buffer,
    placed: Vec<Placed<'a>>,
    /// Staged chunks that give way to new ones although nothing is appended to them.
    sealed: Vec<Arc<Chunk>>,
    too_large: Vec<String>,
}

impl<'a> Plan<'a> {
    /// As Fluentd does it: the whole part into the staged chunk if it fits. If not, entries go to a fresh chunk (a stream
    /// is kept together if that is possible), formatted text fills up the staged one first; what is larger than a chunk is
    /// divided between records.
    fn part(&mut self, state: &State, part: &'a Part) -> io::Result<()> {
        let limits = &self.buffer.settings.limits;
        let staged = state.stage.get(&part.metadata);
        let fresh = || Room { target: Target::New(&part.metadata), bytes: 0, records: 0 };
        let room = staged.map_or_else(fresh, |chunk| Room {
            target: Target::Staged(Arc::clone(chunk)),
            bytes: chunk.size(),
            records: chunk.records(),
        });
        let whole = self.body(part.body.clone(), part.records)?;
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
        let limits = &self.buffer.settings.limits;
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
        let limits = &self.buffer.settings.limits;
        let start = start_of(ends, next);
        let records =
            limits.chunk_records.map_or(usize::MAX, |max| max.saturating_sub(room.records) as usize);
        let mut count = records.min(ends.len() - next);
        if self.buffer.settings.compress == Compression::None {
            let bytes = usize::try_from(limits.chunk_bytes.saturating_sub(room.bytes)).unwrap_or(usize::MAX);
            count = count.min(ends[next..].partition_point(|end| end - start <= bytes));
        }
        while count > 0 {
            let slice = part.body.slice(start..ends[next + count - 1]);
            let body = self.body(slice, count as u64)?;
            if room.takes(&body, limits) {
                return Ok(Some((count, body)));
            }
            count /= 2;
        }
        Ok(None)
    }

    fn place(&mut self, room: Room<'a>, body: Body, more: bool) {
        let limits = &self.buffer.settings.limits;
        let full = limits.are_full(room.bytes + body.bytes.len() as u64, room.records + body.records);
        self.placed.push(Placed { target: room.target, body, seal: full || more });
    }

    fn body(&self, bytes: Bytes, records: u64) -> io::Result<Body> {
        let compression = self.buffer.settings.compress;
        Ok(Body { bytes: compress::squeeze(&bytes, compression)?, records, compression })
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
    buffer: &Buffer,
    state: &mut State,
    placed: Vec<Placed<'_>>,
    sealed: Vec<Arc<Chunk>>,
    enqueue: bool,
) -> io::Result<Appended> {
    let now = buffer.environment.clock.now();
    let mut appended = Appended::default();
    let mut written: Vec<(Arc<Chunk>, Body, bool)> = Vec::with_capacity(placed.len());
    for Placed { target, body, seal } in placed {
        let made = match target {
            Target::Staged(chunk) => Ok(chunk),
            Target::New(metadata) => {
                buffer.new_chunk(metadata).inspect(|c| appended.created.push(Arc::clone(c)))
            }
        };
        let done = made.and_then(|chunk| chunk.content().append(&NewFrame { body: &body }).map(|()| chunk));
        match done {
            Ok(chunk) => written.push((chunk, body, seal)),
            Err(error) => {
                for (chunk, ..) in written.iter().rev() {
                    chunk.content().undo()?;
                }
                return Err(error);
            }
        }
    }
    for chunk in sealed {
        if state.stage.remove(chunk.metadata()).is_some() {
            buffer.enqueue_chunk(state, chunk);
        }
    }
    for (chunk, body, seal) in written {
        chunk.grow(body.bytes.len() as u64, body.records, now);
        state.staged_bytes += body.bytes.len() as u64;
        if seal || enqueue {
            state.stage.remove(chunk.metadata());
            buffer.enqueue_chunk(state, chunk);
        } else {
            state.stage.insert(chunk.metadata().clone(), chunk);
        }
    }
    Ok(appended)
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
    fn are_full(&self, bytes: u64, records: u64) -> bool {
        bytes as f64 >= self.chunk_bytes as f64 * self.full_threshold
            || self.chunk_records.is_some_and(|max| records as f64 >= max as f64 * self.full_threshold)
    }
}
