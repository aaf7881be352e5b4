//! Calls that fail.

use rustix::io::Errno;
use std::io;
use std::ops::Range;

/// Why calls fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// ENOSPC: what is to be written may be there all the same, or some of it, and nothing new can be made. Removing and cutting work.
    Full,
    /// EIO, whatever is asked for. Some or all of a write may be done; a sync loses what it should have made durable.
    Io,
    /// EROFS: what is there can be read.
    ReadOnly,
    /// EMFILE: nothing can be opened, made, listed or have its names synced. What is open works.
    TooManyFiles,
}

/// All of them.
pub const FAULTS: [Fault; 4] = [Fault::Full, Fault::Io, Fault::ReadOnly, Fault::TooManyFiles];

/// What a call asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Call {
    Open,
    OpenToWrite,
    Create,
    MakeDir,
    Rename,
    Remove,
    Write,
    Cut,
    Read,
    List,
    Stat,
    BeginSync,
    Sync,
    SyncDir,
    Lock,
}

/// Which calls fail. They are counted from the file system's beginning.
#[derive(Clone, Debug)]
pub(super) struct Faults {
    pub(super) calls: u64,
    pub(super) failing: Range<u64>,
    pub(super) fault: Fault,
    /// One sync in so many fails; 0: none.
    pub(super) sync_fails: u64,
    /// Bytes that may be written before the disk is full.
    pub(super) space: u64,
}

impl Faults {
    pub(super) fn none() -> Self {
        Self { calls: 0, failing: 0..0, fault: Fault::Io, sync_fails: 0, space: u64::MAX }
    }

    /// Counts a call and answers why it fails, if it does.
    pub(super) fn count(&mut self, call: Call) -> io::Result<()> {
        self.calls += 1;
        if self.failing.contains(&(self.calls - 1)) && self.fault.concerns(call) {
            return Err(self.fault.error());
        }
        Ok(())
    }
}

impl Fault {
    fn concerns(self, call: Call) -> bool {
        use Call::*;
        match self {
            Self::Full => matches!(call, Create | MakeDir | Rename | Write),
            Self::Io => call != Lock,
            Self::ReadOnly => !matches!(call, Open | Read | List | Stat | BeginSync),
            Self::TooManyFiles => matches!(call, Open | OpenToWrite | Create | List | SyncDir | Lock),
        }
    }

    /// The error that the kernel answers.
    pub fn error(self) -> io::Error {
        match self {
            Self::Full => Errno::NOSPC,
            Self::Io => Errno::IO,
            Self::ReadOnly => Errno::ROFS,
            Self::TooManyFiles => Errno::MFILE,
        }
        .into()
    }
}
