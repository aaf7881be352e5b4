//! What monitoring shows of an input that follows files (in_tail).

use std::fmt;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};

/// The files that an input follows, and what it has done with them. Reading the counters never waits.
pub struct FollowedFiles {
    /// Files opened (`opened_file_count`).
    pub opened: AtomicU64,
    /// Files closed (`closed_file_count`).
    pub closed: AtomicU64,
    /// Rotations found (`rotated_file_count`).
    pub rotated: AtomicU64,
    /// How often a limit held up a file.
    pub throttled: AtomicU64,
    /// Files followed at present.
    pub files: AtomicU64,
    /// Bytes in them that were not read yet.
    pub unread_bytes: AtomicU64,
    list: Box<dyn Fn() -> Vec<FollowedFile> + Send + Sync>,
}

/// A file as the pos file has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FollowedFile {
    /// The path that it is read for.
    pub path: PathBuf,
    /// Its inode number.
    pub inode: u64,
    /// Bytes of it that are delivered.
    pub position: u64,
}

impl FollowedFiles {
    /// `list` answers the files that are followed.
    pub fn new(list: impl Fn() -> Vec<FollowedFile> + Send + Sync + 'static) -> Self {
        Self {
            opened: AtomicU64::new(0),
            closed: AtomicU64::new(0),
            rotated: AtomicU64::new(0),
            throttled: AtomicU64::new(0),
            files: AtomicU64::new(0),
            unread_bytes: AtomicU64::new(0),
            list: Box::new(list),
        }
    }

    /// The files that are followed.
    pub fn list(&self) -> Vec<FollowedFile> {
        (self.list)()
    }
}

impl fmt::Debug for FollowedFiles {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let files = self.files.load(Ordering::Relaxed);
        f.debug_struct("FollowedFiles").field("files", &files).finish_non_exhaustive()
    }
}
