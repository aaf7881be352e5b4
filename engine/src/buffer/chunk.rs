//! A chunk as an output sees it.

use super::file::FileContent;
use super::file::header::{DELIVERIES_MAX, Header};
use super::file::origin::Mark;
use super::fluentd::FluentdContent;
use super::memory::MemoryContent;
use super::settings::Compressions;
use super::taken_back::TakenBack;
use super::{BodyReader, ChunkId, Compression, Metadata, compress};
use crate::fault;
use crate::io::Timestamp;
use bytes::{Bytes, BytesMut};
use std::io;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU16, AtomicU64, Ordering::Relaxed};

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
    /// [`Compressions`] of its bodies.
    compressions: AtomicU8,
    /// The last append that put something in.
    sequence: AtomicU64,
    /// It may be written when everything up to this sequence is durable.
    ready_after: AtomicU64,
    /// Whether its removal takes marks away that a replay would be recognised by.
    marked: AtomicBool,
    divided: AtomicU64,
    /// Whether it is on the list of chunks that are to be synced.
    listed: AtomicBool,
    /// Records that its output sent to `@ERROR`, and those that it dropped, in the last write.
    aside: [AtomicU64; 2],
    /// See [`Chunk::deliveries`].
    deliveries: AtomicU16,
    content: Content,
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

impl Body {
    /// Its bytes as they were appended.
    pub fn inflated(&self) -> io::Result<Bytes> {
        match self.compression {
            Compression::None => Ok(self.bytes.clone()),
            compression => compress::inflate(&self.bytes, compression).map(Bytes::from),
        }
    }
}

impl Chunk {
    /// A queued chunk in memory, for tests of outputs: `entries` are concatenated MessagePack entries.
    pub fn in_memory(metadata: Metadata, entries: Bytes, records: usize) -> Self {
        let clock = crate::io::RealClock::new();
        let now = crate::io::Clock::now(&clock);
        let content = MemoryContent::default();
        let body = Body { bytes: entries, records: records as u64, compression: Compression::None };
        content.push(body.clone());
        let chunk = Self::new(ChunkId::generate(&clock), metadata, now, false, Content::Memory(content));
        chunk.grow(&body, 0, now);
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

    /// An output says, before its write succeeds, how many records of the chunk its destination does not have: those that
    /// it sent to `@ERROR`, and those that it was told to drop.
    pub fn set_aside(&self, reported: u64, dropped: u64) {
        self.aside[0].store(reported, Relaxed);
        self.aside[1].store(dropped, Relaxed);
    }

    /// See [`Chunk::set_aside`].
    pub(crate) fn aside(&self) -> (u64, u64) {
        (self.aside[0].load(Relaxed), self.aside[1].load(Relaxed))
    }

    /// How many deliveries of it were begun, by this process and those before, as far as [`Chunk::begin_delivery`] was told. If
    /// none was, nobody can have any of it.
    ///
    /// A chunk file that Fluentd wrote has no room for such a note. Of it one delivery counts as begun.
    pub fn deliveries(&self) -> u16 {
        self.deliveries.load(Relaxed)
    }

    /// Notes that a delivery begins, so that a process that finds the chunk after a crash knows that its destination may have
    /// some of it; answers the number of this one, from 1 on. For outputs whose destination does not recognise a chunk that comes
    /// twice; to be called by the one that writes the chunk, before it sends anything.
    ///
    /// The note is as durable as the buffer when this answers `Ok` (one fdatasync). It takes no room on the disk, except on file
    /// systems that never write in place.
    pub fn begin_delivery(&self) -> io::Result<u16> {
        if let Content::File(content) = &self.content
            && let Err(error) = content.note_deliveries(self.next_delivery())
        {
            if content.is_poisoned() {
                // The file is going to be written once more, under names that it had before: with the note, it is not appended to.
                self.count_delivery();
            }
            return Err(error);
        }
        fault!("delivery-noted");
        Ok(self.count_delivery())
    }

    /// The same without the note: only this process knows of it.
    pub fn count_delivery(&self) -> u16 {
        let number = self.next_delivery();
        self.set_deliveries(number);
        number
    }

    fn next_delivery(&self) -> u16 {
        self.deliveries().saturating_add(1).min(DELIVERIES_MAX)
    }

    /// What its file says of [`Chunk::deliveries`].
    pub(super) fn set_deliveries(&self, deliveries: u16) {
        self.deliveries.store(deliveries, Relaxed);
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
        match &self.content {
            Content::Memory(_) => None,
            Content::File(content) => Some(content.path()),
            Content::Fluentd(content) => Some(content.path().to_owned()),
        }
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
            body.bytes = body.inflated()?;
            body.compression = Compression::None;
        }
        Ok(bodies)
    }

    /// What each append put in, as it is stored, in order.
    pub fn raw_bodies(&self) -> io::Result<Vec<Body>> {
        match &self.content {
            Content::Memory(content) => Ok(content.bodies()),
            Content::File(content) => content.bodies(),
            Content::Fluentd(content) => content.bodies(self.records()),
        }
    }

    /// What each append put in, as it is stored, one after another.
    pub fn reader(&self) -> io::Result<BodyReader> {
        self.reader_from(0)
    }

    /// The same from a body on, by its [`place`](super::BodyInfo::place).
    pub fn reader_from(&self, place: u64) -> io::Result<BodyReader> {
        let held = |mut bodies: Vec<Body>| {
            let number = usize::try_from(place).unwrap_or(usize::MAX).min(bodies.len());
            BodyReader::held(bodies.split_off(number).into_iter(), place)
        };
        Ok(match &self.content {
            Content::Memory(content) => held(content.bodies()),
            Content::File(content) => BodyReader::file(content.walk(place)?),
            Content::Fluentd(content) => held(content.bodies(self.records())?),
        })
    }

    /// How all its bodies are compressed; `None` if that is not known, or not the same for all.
    pub fn compression(&self) -> Option<Compression> {
        Compressions(self.compressions.load(Relaxed)).only()
    }

    /// Whether it is in memory, so that [`Self::bodies`] copies nothing.
    pub fn is_in_memory(&self) -> bool {
        matches!(self.content, Content::Memory(_))
    }

    pub(super) fn new(
        id: ChunkId,
        metadata: Metadata,
        created: Timestamp,
        formatted: bool,
        content: Content,
    ) -> Self {
        let is_fluentds = matches!(content, Content::Fluentd(_));
        Self {
            id,
            metadata,
            created,
            formatted,
            modified: AtomicU64::new(created.0),
            records: AtomicU64::new(0),
            bytes: AtomicU64::new(0),
            compressions: AtomicU8::new(0),
            sequence: AtomicU64::new(0),
            ready_after: AtomicU64::new(0),
            marked: AtomicBool::new(false),
            divided: AtomicU64::new(0),
            listed: AtomicBool::new(false),
            aside: Default::default(),
            deliveries: AtomicU16::new(is_fluentds.into()),
            content,
        }
    }

    /// The header of its file.
    pub(super) fn header(&self) -> Header {
        let (id, created, formatted) = (self.id, self.created, self.formatted);
        let (deliveries, metadata) = (self.deliveries(), self.metadata.clone());
        Header { id, created, formatted, deliveries, metadata }
    }

    pub(super) fn content(&self) -> &Content {
        &self.content
    }

    /// Its file, if it is one of ours.
    pub(super) fn file(&self) -> Option<&FileContent> {
        match &self.content {
            Content::File(content) => Some(content),
            _ => None,
        }
    }

    /// Gives its file its name once more; see [`FileContent::name_again`]. Meanwhile the file may have the name of a staged
    /// chunk: one that was queued says before that nothing is to be appended to it, as its destination may know it.
    pub(super) fn name_again(&self) -> io::Result<()> {
        let Some(file) = self.file() else { return Ok(()) };
        if file.is_queued() && self.deliveries() == 0 {
            self.begin_delivery()?;
        }
        file.name_again()
    }

    /// Its file, if it is one of ours that is not removed yet.
    pub(super) fn live_file(&self) -> Option<&FileContent> {
        self.file().filter(|file| !file.is_removed())
    }

    /// The last append that put something in.
    pub(super) fn sequence(&self) -> u64 {
        self.sequence.load(Relaxed)
    }

    /// It may not be written before everything up to `sequence` is durable.
    pub(super) fn wait_for(&self, sequence: u64) {
        self.ready_after.fetch_max(sequence, Relaxed);
    }

    /// See [`Self::wait_for`].
    pub(super) fn ready_after(&self) -> u64 {
        self.ready_after.load(Relaxed)
    }

    /// Puts in what is to be appended; `false` if nothing may be appended any more ([`FileContent::append`]).
    pub(super) fn push(&self, frame: &NewFrame<'_>) -> io::Result<bool> {
        match &self.content {
            Content::Memory(content) => content.push(frame.body.clone()),
            Content::File(content) => return content.append(frame),
            Content::Fluentd(_) => return Err(io::Error::other("a chunk of Fluentd's is never appended to")),
        }
        Ok(true)
    }

    /// Counts what append `sequence` put in.
    pub(super) fn grow(&self, body: &Body, sequence: u64, now: Timestamp) {
        self.count(body.bytes.len() as u64, body.records);
        self.add_compressions(body.compression.into());
        self.sequence.fetch_max(sequence, Relaxed);
        self.wait_for(sequence);
        self.modified.store(now.0, Relaxed);
    }

    /// Counts what was found in it at the start.
    pub(super) fn count(&self, bytes: u64, records: u64) {
        self.bytes.fetch_add(bytes, Relaxed);
        self.records.fetch_add(records, Relaxed);
    }

    /// Notes how bodies in it are compressed.
    pub(super) fn add_compressions(&self, compressions: Compressions) {
        self.compressions.fetch_or(compressions.0, Relaxed);
    }

    /// Takes back what [`Self::count`] counted.
    pub(super) fn discount(&self, bytes: u64, records: u64) {
        self.bytes.fetch_sub(bytes, Relaxed);
        self.records.fetch_sub(records, Relaxed);
    }

    /// Sets what the file says, at the start.
    pub(super) fn set_found(&self, sequence: u64, modified: Timestamp) {
        self.sequence.store(sequence, Relaxed);
        self.modified.store(modified.0, Relaxed);
    }

    /// Append `sequence`, which has parts in other chunks too, put something in.
    pub(super) fn set_divided(&self, sequence: u64) {
        self.divided.fetch_max(sequence, Relaxed);
    }

    /// The last append that has parts in other chunks; 0 if none has.
    pub(super) fn divided(&self) -> u64 {
        self.divided.load(Relaxed)
    }

    /// Its removal takes marks away.
    pub(super) fn set_marked(&self) {
        self.marked.store(true, Relaxed);
    }

    pub(super) fn is_marked(&self) -> bool {
        self.marked.load(Relaxed)
    }

    /// Notes that it is on the list of chunks that are to be synced, or not; answers what was so before.
    pub(super) fn set_listed(&self, listed: bool) -> bool {
        self.listed.swap(listed, Relaxed)
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

/// Where a chunk's bytes are.
pub(super) enum Content {
    Memory(MemoryContent),
    File(FileContent),
    Fluentd(FluentdContent),
}

/// A frame could not be written.
pub(super) struct NotWritten {
    pub(super) error: io::Error,
    /// The file that was to begin with it; it may be there.
    pub(super) left: Option<PathBuf>,
}

impl From<io::Error> for NotWritten {
    fn from(error: io::Error) -> Self {
        Self { error, left: None }
    }
}

/// What is to be appended.
pub(super) struct NewFrame<'a> {
    pub(super) body: &'a Body,
    pub(super) mark: Option<&'a Mark>,
    pub(super) sequence: u64,
    pub(super) part: u16,
    pub(super) parts: u16,
    /// Seconds since the epoch.
    pub(super) at: u32,
    pub(super) durable: u64,
    pub(super) taken_back: &'a TakenBack,
}
