//! What a buffer is told at its start.

use super::ChunkFiles;
use crate::io::{Clock, Fs};
use crate::telemetry::PluginLog;
use std::path::PathBuf;
use std::sync::Arc;

/// A buffer's settings; the configuration of `<buffer>` without what only the flushing needs.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Where chunks live.
    pub store: Store,
    /// How large they and all of them may become.
    pub limits: Limits,
    /// `compress`.
    pub compress: Compression,
    /// Whether chunks hold the bytes of a [`ChunkFormatter`](crate::plugin::ChunkFormatter) rather than entries.
    pub formatted: bool,
    /// Where damaged parts of chunks are kept; `None` (`disable_chunk_backup true`) to throw them away.
    pub backup: Option<PathBuf>,
}

/// Where chunks live.
#[derive(Clone, Debug)]
pub enum Store {
    /// `@type memory`.
    Memory,
    /// `@type file` and `@type file_single`.
    File(FileSettings),
}

/// Where a file buffer's chunks are, and how safe.
#[derive(Clone, Debug)]
pub struct FileSettings {
    /// `path` and `path_suffix`, resolved.
    pub files: ChunkFiles,
    /// `file_permission`: mode of new files.
    pub file_mode: u32,
    /// `dir_permission`: mode of new directories.
    pub dir_mode: u32,
    /// `durability`.
    pub durability: Durability,
    /// `flush_at_shutdown`: whether chunks found at the start are worth a warning.
    pub flush_at_shutdown: bool,
    /// `calc_num_records`: whether the records of Fluentd's chunks without `.meta` are counted at the start.
    pub count_records: bool,
    /// `chunk_format`: whether such chunks hold lines of text; `None`: if chunks are formatted.
    pub found_text: Option<bool>,
}

/// What an acknowledged event survives.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Durability {
    /// A power cut: an append is committed when it is on the device.
    #[default]
    Synced,
    /// The death of the process: an append is committed when the kernel has it. What Fluentd does.
    PageCache,
}

/// How large chunks and the buffer may become. Sizes are bytes of bodies, compressed if they are.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Limits {
    /// `chunk_limit_size`.
    pub chunk_bytes: u64,
    /// `chunk_limit_records`.
    pub chunk_records: Option<u64>,
    /// `chunk_full_threshold`: the share of the two above at which a chunk is queued.
    pub full_threshold: f64,
    /// `total_limit_size`, or chunk_limit_size x `queue_limit_length`.
    pub total_bytes: u64,
    /// `queued_chunks_limit_size`: the length of the queue at which [`Buffer::enqueue_where`](super::Buffer::enqueue_where) stops.
    pub queued_chunks: usize,
}

impl Limits {
    /// Fluentd's defaults for a memory buffer.
    pub const MEMORY: Self = Self {
        chunk_bytes: 8 << 20,
        chunk_records: None,
        full_threshold: 0.95,
        total_bytes: 512 << 20,
        queued_chunks: usize::MAX,
    };
    /// Fluentd's defaults for file buffers.
    pub const FILE: Self = Self { chunk_bytes: 256 << 20, total_bytes: 64 << 30, ..Self::MEMORY };
}

/// `compress`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Compression {
    /// `text`: as it is.
    #[default]
    None,
    /// One gzip member an append.
    Gzip,
    /// One zstd frame an append.
    Zstd,
}

/// The ways in which the bodies of a chunk are compressed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Compressions(pub(super) u8);

impl Compressions {
    pub(super) fn add(&mut self, compression: Compression) {
        self.0 |= 1 << compression as u8;
    }

    /// The one way, if all are of one.
    pub(super) fn only(self) -> Option<Compression> {
        [Compression::None, Compression::Gzip, Compression::Zstd]
            .into_iter()
            .find(|&compression| self == compression.into())
    }
}

impl From<Compression> for Compressions {
    fn from(compression: Compression) -> Self {
        Self(1 << compression as u8)
    }
}

/// What a buffer finds around it.
#[derive(Clone)]
pub struct Environment {
    /// The logger of the output that the buffer belongs to.
    pub log: PluginLog,
    /// The id of that output, for messages.
    pub owner: Arc<str>,
    /// The file system.
    pub fs: Arc<dyn Fs>,
    /// The clock.
    pub clock: Arc<dyn Clock>,
    /// Whether a file buffer starts a thread that syncs and removes files. Without it (tests that need each step in its
    /// place) nothing is durable or removed until [`Buffer::settle`](super::Buffer::settle) is called.
    pub background: bool,
}

impl Environment {
    /// The real file system and clock.
    pub fn real(log: PluginLog, owner: &str) -> Self {
        let (fs, clock) = (Arc::new(crate::io::RealFs), Arc::new(crate::io::RealClock::new()));
        Self { log, owner: Arc::from(owner), fs, clock, background: true }
    }
}
