//! Where the chunk files ended that a start went on with.
//!
//! A file that is appended to may be given blocks that hold older frames of the same chunk: frames that were cut off, that had
//! not become part of the file when the power went, or that stood in a file whose place this one took. If the power goes
//! before the new frames are in those blocks, a file system that does not write data before lengths (ext4 with
//! `data=writeback`) shows the old ones, and their checksums are right. Within the life of a process no such file is
//! appended to ([`super::file::FileContent::append`]); one that was found is not before its end is noted, in the marks
//! file. What lies behind that end and is of an append before that start does not belong there.

use super::ChunkId;
use std::collections::BTreeMap;

/// The ends of chunk files, by chunk.
pub(super) type Ends = BTreeMap<ChunkId, End>;

/// Where a file ended when it was found, and the last append of that time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct End {
    pub(crate) offset: u64,
    pub(crate) sequence: u64,
}

impl End {
    /// Whether a frame is one that does not belong where it is.
    pub(crate) fn excludes(self, offset: u64, sequence: u64) -> bool {
        offset >= self.offset && sequence <= self.sequence
    }
}
