//! One process a directory.

use std::fmt;
use std::path::{Path, PathBuf};

/// Holds a directory for this process; dropped, it lets go. The kernel lets go by itself when the process dies, so
/// there are no stale locks; the lock file stays, because removing it would let two processes hold "the" lock.
pub struct DirectoryLock {
    path: PathBuf,
    _held: Box<dyn Send + Sync>,
}

impl DirectoryLock {
    /// A lock that is held as long as `held` lives.
    pub fn new(path: &Path, held: impl Send + Sync + 'static) -> Self {
        Self { path: path.to_owned(), _held: Box::new(held) }
    }
}

impl fmt::Debug for DirectoryLock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("DirectoryLock").field(&self.path).finish()
    }
}

/// Why a directory could not be locked.
#[derive(Debug, thiserror::Error)]
pub enum LockError {
    /// Another process, or another plugin of this one, has it.
    #[error("{} is in use by {holder}; stop it, or use another path", path.display())]
    Held {
        /// The lock file.
        path: PathBuf,
        /// What the holder wrote about itself.
        holder: String,
    },
    /// The lock file cannot be opened or written.
    #[error("cannot lock {}: {error}{}", path.display(), way_out(error))]
    Io {
        /// The lock file.
        path: PathBuf,
        /// Why.
        error: std::io::Error,
    },
}

/// What can be done about it.
fn way_out(error: &std::io::Error) -> String {
    match error.kind() {
        std::io::ErrorKind::PermissionDenied => format!(
            "; the user that Logweir runs as (uid {}) must be able to write there, or set another path",
            rustix::process::geteuid().as_raw()
        ),
        std::io::ErrorKind::ReadOnlyFilesystem => {
            "; set a path on a file system that can be written".to_owned()
        }
        _ => String::new(),
    }
}
