//! What one emit gives to a buffer.

use super::Metadata;
use bytes::Bytes;

/// The share of one emit that belongs to chunks of one metadata.
#[derive(Clone, Debug)]
pub struct Part {
    pub(super) metadata: Metadata,
    pub(super) body: Bytes,
    pub(super) records: u64,
    pub(super) ends: Ends,
}

/// Where the records of a body end.
#[derive(Clone, Debug)]
pub(super) enum Ends {
    /// It holds entries: where they end is scanned for when the body must be divided.
    Entries,
    /// Offsets behind each record of formatted text.
    At(Vec<usize>),
}

impl Part {
    /// `records` concatenated MessagePack entries that the caller has validated.
    pub fn entries(metadata: Metadata, body: Bytes, records: usize) -> Self {
        Self { metadata, body, records: records as u64, ends: Ends::Entries }
    }

    /// Formatted text; `ends` are the offsets behind each record.
    pub fn formatted(metadata: Metadata, body: Bytes, ends: Vec<usize>) -> Self {
        Self { metadata, body, records: ends.len() as u64, ends: Ends::At(ends) }
    }

    /// How many records it has.
    pub fn records(&self) -> u64 {
        self.records
    }

    /// What its records have in common.
    pub fn metadata(&self) -> &Metadata {
        &self.metadata
    }

    /// Entries, or formatted text.
    pub fn body(&self) -> &Bytes {
        &self.body
    }

    /// The offsets behind each record of formatted text; `None` if it holds entries.
    pub fn ends(&self) -> Option<&[usize]> {
        match &self.ends {
            Ends::Entries => None,
            Ends::At(ends) => Some(ends),
        }
    }
}

/// One emit, divided by chunk keys, that can be given to [`Buffer::append`](super::Buffer::append) more than once:
/// it is recognised as the same emit when the buffer was full before and has room now.
#[derive(Clone, Debug)]
pub struct Batch {
    pub(super) parts: Vec<Part>,
    pub(super) ordinal: u32,
}

impl Batch {
    /// How many records it has.
    pub fn records(&self) -> u64 {
        self.parts.iter().map(|part| part.records).sum()
    }

    /// Whether there is nothing to append.
    pub fn is_empty(&self) -> bool {
        self.parts.iter().all(|part| part.records == 0)
    }
}
