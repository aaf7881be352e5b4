//! Chunk files that are kept open, counted: with a chunk for each tag there may be more staged chunks than files that a
//! process may open. All buffers together keep a quarter of RLIMIT_NOFILE open; in_tail has a half, and sockets need some.

use crate::io::File;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, OnceLock};

/// How many files may stay open if the process has no limit.
const OPEN_FILES_MAX: usize = 1 << 18;

static OPEN_FILES: AtomicUsize = AtomicUsize::new(0);

/// A file that is kept open.
pub(super) struct OpenFile(Arc<dyn File>);

/// What to do about open files.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Crowd {
    /// Nothing.
    Room,
    /// Those that need not be open are to be closed, and the others to be made so.
    Many,
    /// As many are open as may be: whoever writes to one more closes it at once.
    Full,
}

impl OpenFile {
    pub(super) fn new(file: Arc<dyn File>) -> Self {
        OPEN_FILES.fetch_add(1, Relaxed);
        Self(file)
    }

    pub(super) fn file(&self) -> &Arc<dyn File> {
        &self.0
    }
}

impl Drop for OpenFile {
    fn drop(&mut self) {
        OPEN_FILES.fetch_sub(1, Relaxed);
    }
}

/// How it stands now.
pub(crate) fn crowd() -> Crowd {
    crowd_of(OPEN_FILES.load(Relaxed), open_files_max())
}

fn crowd_of(open: usize, max: usize) -> Crowd {
    match open {
        _ if open >= max => Crowd::Full,
        _ if open >= max / 2 => Crowd::Many,
        _ => Crowd::Room,
    }
}

fn open_files_max() -> usize {
    static LIMIT: OnceLock<usize> = OnceLock::new();
    *LIMIT.get_or_init(|| {
        let limit = rustix::process::getrlimit(rustix::process::Resource::Nofile).current;
        limit.and_then(|limit| usize::try_from(limit / 4).ok()).unwrap_or(OPEN_FILES_MAX).min(OPEN_FILES_MAX)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_closed_before_there_are_too_many() {
        let crowds: Vec<Crowd> = [0, 127, 128, 255, 256, 999].map(|open| crowd_of(open, 256)).into();
        use Crowd::{Full, Many, Room};
        assert_eq!(crowds, [Room, Room, Many, Many, Full, Full]);
    }
}
