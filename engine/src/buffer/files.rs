//! Which files belong to a buffer: Fluentd's rules for `path`.

use std::path::PathBuf;

/// Names of chunk files: `<dir>/<prefix>.<b|q><id><suffix>`, `b` for staged, `q` for queued.
///
/// | `path` | files |
/// |---|---|
/// | a directory `/d`, or nothing that exists and no `.*` in it | `/d/buffer.<s><id>.log` |
/// | `/d/x.*.buf` | `/d/x.<s><id>.buf` |
/// | `/d/x.*` | `/d/x.<s><id>.log` |
/// | a file `/d/x` | `/d/x.<s><id>.log` |
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChunkFiles {
    /// The directory.
    pub dir: PathBuf,
    /// What a name begins with, before the first dot that is ours.
    pub prefix: String,
    /// What it ends with, the dot included.
    pub suffix: String,
    /// Further directories in which chunks are looked for at the start (what a worker left behind).
    pub also: Vec<PathBuf>,
    /// `file_single`: the one chunk key is in the name, there is no `.meta`.
    pub single: Option<SingleKey>,
}

/// What the key in the names of `file_single` means.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SingleKey {
    /// The tag.
    Tag,
    /// The value of this field.
    Field(std::sync::Arc<str>),
}

/// Whether a chunk is still appended to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ChunkState {
    /// It is.
    Staged,
    /// It waits to be written.
    Queued,
}
