//! A chunk as an output sees it.

use super::{ChunkId, Compression, Metadata, compress};
use crate::io::Timestamp;
use bytes::{Bytes, BytesMut};
use std::io;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// A run of events with equal metadata that is written to the destination as a whole. Its id and its bytes stay the
/// same over retries and restarts.
pub struct Chunk {
    id: ChunkId,
    metadata: Metadata,
    created: Timestamp,
    formatted: bool,
    modified: AtomicU64,
    records: AtomicU64,
    bytes: AtomicU64,
    content: Box<dyn Content>,
}

/// What one append put into a chunk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Body {
    /// Entries, or formatted text; compressed if `compression` says so.
    pub bytes: Bytes,
    /// How many records are in it.
    pub records: u64,
    /// How the bytes are compressed.
    pub compression: Compression,
}

impl Chunk {
    /// A queued chunk in memory, for tests of outputs: `entries` are concatenated MessagePack entries.
    pub fn in_memory(metadata: Metadata, entries: Bytes, records: usize) -> Self {
        let clock = crate::io::RealClock::new();
        let records = records as u64;
        let content = super::memory::MemoryContent::default();
        content.push(Body { bytes: entries.clone(), records, compression: Compression::None });
        let now = crate::io::Clock::now(&clock);
        let id = ChunkId::generate(&clock);
        let chunk = Self::new(id, metadata, now, false, Box::new(content));
        chunk.grow(entries.len() as u64, records, now);
        chunk
    }

    /// The same chunk, as one that holds bytes of a formatter; for tests of outputs.
    pub fn into_formatted(mut self) -> Self {
        self.formatted = true;
        self
    }

    /// Its name.
    pub fn id(&self) -> ChunkId {
        self.id
    }

    /// What its records have in common.
    pub fn metadata(&self) -> &Metadata {
        &self.metadata
    }

    /// How many records it holds.
    pub fn records(&self) -> u64 {
        self.records.load(Relaxed)
    }

    /// Bytes of its bodies as they are stored (compressed, if they are).
    pub fn size(&self) -> u64 {
        self.bytes.load(Relaxed)
    }

    /// Whether nothing was appended.
    pub fn is_empty(&self) -> bool {
        self.size() == 0
    }

    /// When it was made.
    pub fn created(&self) -> Timestamp {
        self.created
    }

    /// When something was last appended.
    pub fn modified(&self) -> Timestamp {
        Timestamp(self.modified.load(Relaxed))
    }

    /// Whether it holds bytes of a [`ChunkFormatter`](crate::plugin::ChunkFormatter) rather than entries.
    pub fn is_formatted(&self) -> bool {
        self.formatted
    }

    /// Its file, if it has one. The name changes when the chunk is queued.
    pub fn path(&self) -> Option<PathBuf> {
        self.content.path()
    }

    /// Everything that was appended, inflated and put together. Reads the file: not for an async task's thread
    /// if the chunk is large. No copy is made of a chunk in memory that has one body.
    pub fn read(&self) -> io::Result<Bytes> {
        let mut bodies = self.bodies()?;
        if bodies.len() == 1 {
            return Ok(bodies.swap_remove(0).bytes);
        }
        let mut all = BytesMut::with_capacity(bodies.iter().map(|b| b.bytes.len()).sum());
        for body in bodies {
            all.extend_from_slice(&body.bytes);
        }
        Ok(all.freeze())
    }

    /// What each append put in, inflated, in order.
    pub fn bodies(&self) -> io::Result<Vec<Body>> {
        let mut bodies = self.raw_bodies()?;
        for body in &mut bodies {
            if body.compression != Compression::None {
                body.bytes = compress::inflate(&body.bytes, body.compression)?.into();
                body.compression = Compression::None;
            }
        }
        Ok(bodies)
    }

    /// What each append put in, as it is stored, in order.
    pub fn raw_bodies(&self) -> io::Result<Vec<Body>> {
        self.content.bodies()
    }

    pub(super) fn new(
        id: ChunkId,
        metadata: Metadata,
        created: Timestamp,
        formatted: bool,
        content: Box<dyn Content>,
    ) -> Self {
        let modified = AtomicU64::new(created.0);
        let (records, bytes) = (AtomicU64::new(0), AtomicU64::new(0));
        Self { id, metadata, created, formatted, modified, records, bytes, content }
    }

    pub(super) fn content(&self) -> &dyn Content {
        &*self.content
    }

    pub(super) fn grow(&self, bytes: u64, records: u64, now: Timestamp) {
        self.bytes.fetch_add(bytes, Relaxed);
        self.records.fetch_add(records, Relaxed);
        self.modified.store(now.0, Relaxed);
    }
}

impl std::fmt::Debug for Chunk {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Chunk")
            .field("id", &self.id)
            .field("metadata", &self.metadata)
            .field("records", &self.records())
            .field("size", &self.size())
            .finish_non_exhaustive()
    }
}

/// Where a chunk's bytes are. Called under the buffer's lock, but for [`Content::bodies`] and [`Content::path`].
pub(super) trait Content: Send + Sync {
    /// Adds one frame. After an error the chunk is as it was before.
    fn append(&self, frame: &NewFrame<'_>) -> io::Result<()>;

    /// Takes the last frame back.
    fn undo(&self) -> io::Result<()>;

    /// The chunk goes from the stage into the queue: nothing is appended from now on.
    fn enqueue(&self) -> io::Result<()>;

    /// All bodies.
    fn bodies(&self) -> io::Result<Vec<Body>>;

    /// Its file.
    fn path(&self) -> Option<PathBuf> {
        None
    }
}

/// What is to be appended.
pub(super) struct NewFrame<'a> {
    pub(super) body: &'a Body,
}
