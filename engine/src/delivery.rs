//! The way back: what an input learns about the events that it emitted.
//!
//! An input makes a [`Receipt`] for each emit. Every file buffer that the events reach adds a [`Commit`] to it,
//! a promise that resolves when the events are on the device. in_forward acks, and in_tail advances its pos
//! file, only after [`Receipt::committed`].

use crate::telemetry::Account;
use std::fmt;
use std::sync::Arc;

use bytes::Bytes;
use futures_util::future::BoxFuture;

/// Where events came from, so that a file buffer can recognise a replay after a crash.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Origin {
    /// Nobody replays these.
    #[default]
    None,
    /// A forward chunk: its `chunk` option, byte for byte, and who sent it.
    Forward {
        /// The value of the `chunk` option.
        chunk: Bytes,
        /// The peer's address (without port) or its self_hostname.
        peer: Arc<str>,
        /// Which use of the id this is within this process. Ids may be derived from the payload, so that two honest,
        /// equal payloads share one. in_forward tells a re-send (same number as the first time) from a new use (another
        /// number), so a buffer that meets the id again must compare the number too, except for marks that are from
        /// before the program's start: whatever comes with such an id is the re-send, once.
        arrival: u64,
    },
    /// A span of a tailed file that ends (exclusively) at byte `end`.
    Tail {
        /// Which file it is, whatever its path is now.
        file: FileIdentity,
        /// Offset behind the last byte that the events came from.
        end: u64,
    },
}

/// A file as the kernel knows it, told apart from a later file that was given the same inode.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct FileIdentity {
    /// Device number, which takes 32 bits; the upper half says which source reads the file, if several may.
    pub dev: u64,
    /// Inode number.
    pub ino: u64,
    /// CRC32 of the file's first bytes: as many of its first 256 as there were when it was first found to have any.
    pub head: u32,
}

/// Identifies a buffer within the process.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct BufferId(pub u32);

/// Resolves when the events of one append are as durable as their buffer promises.
pub type Commit = BoxFuture<'static, Result<(), CommitError>>;

/// Why events that a buffer took are not durable. The input must not acknowledge them.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{0}")]
pub struct CommitError(pub Arc<str>);

/// Goes with one emit through the pipeline and gathers what the input must wait for.
pub struct Receipt {
    origin: Origin,
    commits: Vec<Commit>,
    appends: smallvec::SmallVec<[(BufferId, u32); 2]>,
    wait: Wait,
    refused: u64,
    reported: u64,
}

/// How an input waits for its commits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Wait {
    Not,
    Patiently,
    Urgently,
}

impl Receipt {
    /// For an input that waits for durability: `origin` marks the events in every file buffer. Somebody waits for each
    /// receipt, such as the sender of a message for its ack.
    pub fn durable(origin: Origin) -> Self {
        Self::new(origin, Wait::Urgently)
    }

    /// For an input that waits for durability too, but goes on meanwhile: a file buffer may let some appends come together
    /// before it has them written to the device.
    pub fn patient(origin: Origin) -> Self {
        Self::new(origin, Wait::Patiently)
    }

    /// For an input that does not look back.
    pub fn unwatched() -> Self {
        Self::new(Origin::None, Wait::Not)
    }

    fn new(origin: Origin, wait: Wait) -> Self {
        Self {
            origin,
            commits: Vec::new(),
            appends: smallvec::SmallVec::new(),
            wait,
            refused: 0,
            reported: 0,
        }
    }

    /// Where the events came from.
    pub fn origin(&self) -> &Origin {
        &self.origin
    }

    /// Whether the input will call [`Receipt::committed`]; if not, a buffer need not make a [`Commit`].
    pub fn wants_commit(&self) -> bool {
        self.wait != Wait::Not
    }

    /// Whether a commit may come a little later. See [`Receipt::patient`].
    pub fn is_patient(&self) -> bool {
        self.wait == Wait::Patiently
    }

    /// Says that `buffer` is about to append events of this emit; answers how many times it has done so before.
    /// The number is part of the mark that recognises a replay: the same events may reach a buffer twice on
    /// purpose (copy, rewritten tags), and do so in the same order each time.
    pub fn appending(&mut self, buffer: BufferId) -> u32 {
        if let Some((_, count)) = self.appends.iter_mut().find(|(id, _)| *id == buffer) {
            *count += 1;
            return *count - 1;
        }
        self.appends.push((buffer, 1));
        0
    }

    /// How many times `buffer` has appended events of this emit.
    pub fn appended(&self, buffer: BufferId) -> u32 {
        self.appends.iter().find(|(id, _)| *id == buffer).map_or(0, |(_, count)| *count)
    }

    /// An output did not take so many records of this emit.
    pub fn refuse(&mut self, records: u64) {
        self.refused += records;
    }

    /// Records that outputs did not take and that nobody has seen to since.
    pub fn take_refused(&mut self) -> u64 {
        std::mem::take(&mut self.refused)
    }

    /// So many records of this emit went to `@ERROR`, or would have.
    pub fn report(&mut self, records: u64) {
        self.reported += records;
    }

    /// How many records of this emit went to `@ERROR` so far.
    pub fn reported(&self) -> u64 {
        self.reported
    }

    /// Adds something to wait for.
    pub fn add(&mut self, commit: Commit) {
        self.commits.push(commit);
    }

    /// Waits until every buffer holds the events as durably as it promises.
    pub async fn committed(self) -> Result<(), CommitError> {
        for commit in self.commits {
            commit.await?;
        }
        Ok(())
    }
}

impl fmt::Debug for Receipt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Receipt").field("origin", &self.origin).field("commits", &self.commits.len()).finish()
    }
}

/// Why an emit failed. Nothing was told to be stored; the input decides whether to try again.
#[derive(Clone, Debug, thiserror::Error)]
pub enum EmitError {
    /// The buffer is at its total_limit_size and its overflow_action is throw_exception.
    #[error("buffer space has too many data")]
    BufferOverflow,
    /// A single record is larger than chunk_limit_size.
    #[error("{0}")]
    ChunkOverflow(String),
    /// The program is stopping.
    #[error("shutting down")]
    Shutdown,
    /// Anything else: an I/O error of the buffer, an output that refused.
    #[error("{message}")]
    Failed {
        /// The error's class as Fluentd would name it, for the log (`RuntimeError`, `Errno::ENOSPC`, ...).
        class: &'static str,
        /// What happened.
        message: String,
    },
}

impl EmitError {
    /// Where records that are given back with this error are booked.
    pub fn account(&self) -> Account {
        match self {
            Self::BufferOverflow => Account::RefusedOverflow,
            Self::ChunkOverflow(_) => Account::RefusedTooLarge,
            Self::Shutdown => Account::RefusedShutdown,
            Self::Failed { .. } => Account::RefusedFailed,
        }
    }

    /// The class name that Fluentd logs for this error.
    pub fn class(&self) -> &'static str {
        match self {
            Self::BufferOverflow => "Fluent::Plugin::Buffer::BufferOverflowError",
            Self::ChunkOverflow(_) => "Fluent::Plugin::Buffer::BufferChunkOverflowError",
            Self::Shutdown => "Logweir::Shutdown",
            Self::Failed { class, .. } => class,
        }
    }
}
