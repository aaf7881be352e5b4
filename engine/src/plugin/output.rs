//! Where events go.

use super::StartError;
use crate::buffer::Chunk;
use crate::delivery::{EmitError, Receipt};
use crate::event::{EventStream, Tag};
use crate::output::OutputStatus;
use futures_util::future::BoxFuture;
use std::time::Duration;

/// The future of [`Output::emit`].
pub type EmitFuture<'a> = BoxFuture<'a, Result<(), EmitError>>;
/// The future of [`BufferedOutput::write`].
pub type WriteFuture<'a> = BoxFuture<'a, Result<(), WriteError>>;

/// What an output's build function answers.
pub enum OutputPlugin {
    /// Takes streams as they come.
    Direct(Box<dyn Output>),
    /// Writes chunks; the engine puts a buffer in front of it.
    Buffered(Box<dyn BufferedOutput>),
}

/// Takes streams. Implemented by unbuffered outputs, and by the engine for buffered ones.
pub trait Output: Send + Sync {
    /// Takes `stream`, or says why not. A buffer that must be waited for adds a commit to `receipt`.
    fn emit<'a>(&'a self, stream: EventStream, receipt: &'a mut Receipt) -> EmitFuture<'a>;

    /// Whether it has the events of this emit already, which their sender repeats (a forward chunk whose ack was lost). Only
    /// whoever has them recognises them, so an output that chooses between others asks first.
    fn has(&self, receipt: &Receipt) -> bool {
        let _ = receipt;
        false
    }

    /// Whether it keeps nothing and only hands streams on to outputs or labels, where their records are counted (copy,
    /// relabel). What it drops on the way it must book as filtered.
    fn hands_on(&self) -> bool {
        false
    }

    /// Before the first emit.
    fn start(&self) -> BoxFuture<'_, Result<(), StartError>> {
        Box::pin(async { Ok(()) })
    }

    /// SIGUSR1: writes out everything that waits, soon.
    fn flush(&self) {}

    /// The program is about to stop: an emit that waits for room gives up, so that inputs can end.
    fn stopping(&self) {}

    /// Inputs and filters have stopped: gives what it holds back on to other outputs, none of which has been shut down yet.
    fn drain(&self) -> BoxFuture<'_, ()> {
        Box::pin(async {})
    }

    /// After the last emit: flushes as configured and ends its tasks.
    fn shutdown(&self) -> BoxFuture<'_, ()> {
        Box::pin(async {})
    }

    /// The time slices of its buffered chunks, seconds since the epoch, without repetition, in order.
    fn timekeys(&self) -> Vec<i64> {
        Vec::new()
    }

    /// What monitoring shows of it.
    fn status(&self) -> Option<OutputStatus> {
        None
    }
}

/// Writes chunks. Called by the flush threads of its buffer, several at a time if flush_thread_count says so.
pub trait BufferedOutput: Send + Sync {
    /// If `Some`, events are turned into bytes when they are appended and chunks hold those bytes (out_file, out_exec);
    /// if `None`, chunks hold entries.
    fn formatter(&self) -> Option<&dyn ChunkFormatter> {
        None
    }

    /// Writes one chunk to its destination. Called again with the same chunk (same id, same bytes) after
    /// [`WriteError::Retry`], also after a restart of the program.
    fn write<'a>(&'a self, chunk: &'a Chunk) -> WriteFuture<'a>;

    /// Where a file buffer lies if neither its `path` nor root_dir says (out_file keeps it beside its files).
    fn buffer_path(&self) -> Option<&str> {
        None
    }

    /// A chunk was made, and events are about to be appended to it.
    fn chunk_created(&self, chunk: &Chunk) {
        let _ = chunk;
    }

    /// Whether the destination may have some of the chunk although no write of it succeeded, and it is too early to give it to
    /// anybody else. Asked before `<secondary>` would get it; such a chunk is written by this output again, or waits.
    fn is_in_doubt(&self, chunk: &Chunk) -> bool {
        let _ = chunk;
        false
    }

    /// The chunk has left the buffer without a write of this output that succeeded: `<secondary>` or the backup directory has
    /// it, or it was dropped. Its file may be gone.
    fn given_up(&self, chunk: &Chunk) {
        let _ = chunk;
    }

    /// Before the first write.
    fn start(&self) -> BoxFuture<'_, Result<(), StartError>> {
        Box::pin(async { Ok(()) })
    }

    /// After the last write.
    fn shutdown(&self) -> BoxFuture<'_, ()> {
        Box::pin(async {})
    }

    /// Whether it sends events on to other outputs. Then its buffer is flushed, if it is at all at the end, before any other
    /// output ends, and [`Self::drained`] is called.
    fn sends_on(&self) -> bool {
        false
    }

    /// For one that sends events on: what it holds is to be sent now, while other outputs take it. No write succeeds after this.
    fn drained(&self) -> BoxFuture<'_, ()> {
        Box::pin(async {})
    }

    /// Deadline of one write; `None` for no limit.
    fn write_timeout(&self) -> Option<Duration> {
        None
    }
}

/// Turns entries into the bytes that a chunk holds (Fluentd's `format` method).
pub trait ChunkFormatter: Send + Sync {
    /// Appends the text of one event. `time` is the raw MessagePack time, `record` the raw MessagePack map.
    fn format(
        &self,
        tag: &Tag,
        time: crate::msgpack::Time,
        record: &[u8],
        out: &mut Vec<u8>,
    ) -> Result<(), FormatError>;
}

/// A record that cannot be formatted; it goes to `@ERROR`.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{0}")]
pub struct FormatError(pub String);

/// Why a chunk was not written, and what follows.
#[derive(Debug, thiserror::Error)]
pub enum WriteError {
    /// It may work later: the chunk stays and is tried again as retry_* say.
    #[error("{message}")]
    Retry {
        /// Class as Fluentd would name it, for the log (`Errno::ECONNREFUSED`).
        class: &'static str,
        /// What happened.
        message: String,
    },
    /// It may work later, and other chunks need not wait for it: the chunk is set aside and tried again after a pause, for as
    /// long as the output answers this. `retry_*` do not count it.
    #[error("{message}")]
    Later {
        /// Class, for the log.
        class: &'static str,
        /// What it waits for.
        message: String,
        /// When it is tried again.
        pause: Duration,
    },
    /// It works when somebody has put something right (a password, a right, a missing table): the chunk stays and is tried again
    /// for as long as that takes. The limits of `retry_*` do not count it, and `<secondary>` does not get it.
    #[error("{message}")]
    Operator {
        /// Class, for the log.
        class: &'static str,
        /// What happened, and what is to be done.
        message: String,
    },
    /// It will never work (Fluentd's UnrecoverableError): to `<secondary>`, else to the backup directory.
    #[error("{message}")]
    Reject {
        /// Class, for the log.
        class: &'static str,
        /// What happened.
        message: String,
    },
}

impl WriteError {
    /// A failure that a retry may mend.
    pub fn retry(class: &'static str, message: impl Into<String>) -> Self {
        Self::Retry { class, message: message.into() }
    }

    /// A failure that concerns this chunk only, and that waiting may mend.
    pub fn later(class: &'static str, message: impl Into<String>, pause: Duration) -> Self {
        Self::Later { class, message: message.into(), pause }
    }

    /// A failure that somebody must mend.
    pub fn operator(class: &'static str, message: impl Into<String>) -> Self {
        Self::Operator { class, message: message.into() }
    }

    /// A failure that no retry mends.
    pub fn reject(class: &'static str, message: impl Into<String>) -> Self {
        Self::Reject { class, message: message.into() }
    }

    /// The class to log.
    pub fn class(&self) -> &'static str {
        match self {
            Self::Retry { class, .. }
            | Self::Later { class, .. }
            | Self::Operator { class, .. }
            | Self::Reject { class, .. } => class,
        }
    }
}
