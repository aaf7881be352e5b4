//! Open files, counted: however many files there are, all sources of the process together keep at most half of
//! RLIMIT_NOFILE open, and leave the last ones alone, so that buffers and sockets always have room.

use logweir_engine::plugin::FollowedFiles;
use rustix::fs::{Mode, OFlags};
use std::fs::{File, Metadata};
use std::io;
use std::os::fd::AsRawFd;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};

/// What the limit is if there is none.
const OPEN_FILES_MAX: usize = 1 << 20;
/// How many are left alone, of a limit that is not small.
const OTHERS: usize = 64;

static OPEN_FILES: AtomicUsize = AtomicUsize::new(0);

/// A file that is open for reading.
#[derive(Debug)]
pub(super) struct Handle {
    file: File,
    /// Where its end is counted.
    counted: Option<Arc<FollowedFiles>>,
}

impl Handle {
    /// Opens a regular file; `None` for anything else. Never waits, as an open of a FIFO would. Fails with EMFILE before the
    /// process is at its limit.
    pub(super) fn open(path: &Path) -> io::Result<Option<(Self, Metadata)>> {
        let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
        let file = match rustix::fs::open(path, flags, Mode::empty()) {
            Ok(descriptor) => File::from(descriptor),
            // A socket, or a device without a driver.
            Err(rustix::io::Errno::NXIO | rustix::io::Errno::NODEV) => return Ok(None),
            Err(error) => return Err(error.into()),
        };
        let meta = file.metadata()?;
        if !meta.is_file() {
            return Ok(None);
        }
        // The kernel gives away the lowest number that is free, so the number says how many are left.
        if usize::try_from(file.as_raw_fd()).is_ok_and(|number| number >= last()) {
            return Err(rustix::io::Errno::MFILE.into());
        }
        OPEN_FILES.fetch_add(1, Ordering::Relaxed);
        Ok(Some((Self { file, counted: None }, meta)))
    }

    /// It is that of a file that is followed, not only looked at.
    pub(super) fn counted(mut self, followed: &Arc<FollowedFiles>) -> Self {
        followed.opened.fetch_add(1, Ordering::Relaxed);
        self.counted = Some(Arc::clone(followed));
        self
    }

    pub(super) fn file(&self) -> &File {
        &self.file
    }

    /// Leads to this file, whatever has its name by now.
    pub(super) fn path(&self) -> PathBuf {
        PathBuf::from(format!("/proc/self/fd/{}", self.file.as_raw_fd()))
    }

    /// Whether so many are open that idle ones should be closed.
    pub(super) fn are_too_many() -> bool {
        OPEN_FILES.load(Ordering::Relaxed) > limit()
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        OPEN_FILES.fetch_sub(1, Ordering::Relaxed);
        if let Some(followed) = &self.counted {
            followed.closed.fetch_add(1, Ordering::Relaxed);
        }
    }
}

/// Whether the process (or the machine) cannot open more files.
pub(super) fn is_out_of_files(error: &io::Error) -> bool {
    use rustix::io::Errno;
    let errno = error.raw_os_error();
    errno == Some(Errno::MFILE.raw_os_error()) || errno == Some(Errno::NFILE.raw_os_error())
}

/// How many files all sources may keep open.
fn limit() -> usize {
    open_files_max() / 2
}

/// Numbers from here on are for others.
fn last() -> usize {
    let max = open_files_max();
    max - (max / 4).min(OTHERS)
}

fn open_files_max() -> usize {
    static LIMIT: OnceLock<usize> = OnceLock::new();
    *LIMIT.get_or_init(|| {
        let limit = rustix::process::getrlimit(rustix::process::Resource::Nofile).current;
        limit.and_then(|limit| usize::try_from(limit).ok()).unwrap_or(OPEN_FILES_MAX).min(OPEN_FILES_MAX)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_regular_file_is_not_opened() {
        let dir = tempfile::tempdir().unwrap();
        let fifo = dir.path().join("fifo");
        rustix::fs::mkfifoat(rustix::fs::CWD, &fifo, Mode::RWXU).unwrap();
        let socket = dir.path().join("socket");
        let _listener = std::os::unix::net::UnixListener::bind(&socket).unwrap();
        for path in [&fifo, &socket, dir.path()] {
            assert!(Handle::open(path).unwrap().is_none(), "{}", path.display());
        }
        let file = dir.path().join("file");
        std::fs::write(&file, "x").unwrap();
        assert!(Handle::open(&file).unwrap().is_some());
        assert_eq!(Handle::open(&dir.path().join("missing")).unwrap_err().kind(), io::ErrorKind::NotFound);
    }
}
