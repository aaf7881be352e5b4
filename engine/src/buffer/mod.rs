//! Chunks on disk and in memory.

/// A queued chunk, as an output sees it.
pub struct Chunk {}
