//! A request's body, put down whole before the engine sees any of it.
//!
//! The engine reads data until its end, so a connection that breaks in the middle would look like the end of an insert. It is
//! also not kept waiting by slow senders. Short bodies are in memory (a memfd), longer ones in a scratch file without a name.

use crate::error::Exception;
use rustix::fs::{MemfdFlags, Mode, OFlags};
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::fd::{AsRawFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// Where bodies go, and how much of them.
pub(crate) struct Space {
    dir: PathBuf,
    body_bytes_max: u64,
    body_memory_bytes: u64,
    memory_free: AtomicU64,
}

impl Space {
    /// Scratch files go to `dir`.
    pub(crate) fn new(
        dir: &Path,
        body_bytes_max: u64,
        body_memory_bytes: u64,
        bodies_memory_bytes: u64,
    ) -> Arc<Self> {
        Arc::new(Self {
            dir: dir.to_owned(),
            body_bytes_max,
            body_memory_bytes,
            memory_free: AtomicU64::new(bodies_memory_bytes),
        })
    }

    fn take(&self, bytes: u64) -> bool {
        let take = |free: u64| free.checked_sub(bytes);
        self.memory_free.fetch_update(Ordering::Relaxed, Ordering::Relaxed, take).is_ok()
    }
}

/// A body.
pub(crate) struct Spool {
    file: File,
    size: u64,
    in_memory: bool,
    leased: u64,
    space: Arc<Space>,
}

/// Memory is leased in pieces of this size.
const LEASE_BYTES: u64 = 1 << 20;

impl Spool {
    /// An empty one.
    pub(crate) fn new(space: &Arc<Space>) -> Result<Self, Exception> {
        let file = rustix::fs::memfd_create("logweir-body", MemfdFlags::CLOEXEC).map_err(io::Error::from);
        let file = file.map_err(|error| cannot_keep(&error))?.into();
        Ok(Self { file, size: 0, in_memory: true, leased: 0, space: space.clone() })
    }

    /// Adds to its end.
    pub(crate) fn write(&mut self, bytes: &[u8]) -> Result<(), Exception> {
        let size = self.size + bytes.len() as u64;
        if size > self.space.body_bytes_max {
            let max = self.space.body_bytes_max;
            return Err(Exception::new(
                229,
                "QUERY_IS_TOO_LARGE",
                format!(
                    "the body is larger than {max} bytes unpacked, which is the store's limit; send it in parts"
                ),
            ));
        }
        self.write_io(bytes, size).map_err(|error| cannot_keep(&error))
    }

    fn write_io(&mut self, bytes: &[u8], size: u64) -> io::Result<()> {
        if self.in_memory && size > self.leased {
            let lease = size.next_multiple_of(LEASE_BYTES) - self.leased;
            if size <= self.space.body_memory_bytes && self.space.take(lease) {
                self.leased += lease;
            } else {
                self.move_to_disk()?;
            }
        }
        self.file.write_all(bytes)?;
        self.size = size;
        Ok(())
    }

    fn move_to_disk(&mut self) -> io::Result<()> {
        let flags = OFlags::TMPFILE | OFlags::RDWR | OFlags::CLOEXEC;
        let scratch: OwnedFd = match rustix::fs::open(&self.space.dir, flags, Mode::RUSR | Mode::WUSR) {
            Ok(scratch) => scratch,
            // A file system without O_TMPFILE.
            Err(_) => self.named_and_removed()?,
        };
        let mut scratch = File::from(scratch);
        self.file.seek(SeekFrom::Start(0))?;
        io::copy(&mut self.file, &mut scratch)?;
        self.file = scratch;
        self.in_memory = false;
        self.give_back();
        Ok(())
    }

    fn named_and_removed(&self) -> io::Result<OwnedFd> {
        let name = getrandom::u64().map_err(io::Error::other)?;
        let path = self.space.dir.join(format!("body-{name:016x}"));
        let file = File::options().read(true).write(true).create_new(true).open(&path)?;
        std::fs::remove_file(&path)?;
        Ok(file.into())
    }

    fn give_back(&mut self) {
        self.space.memory_free.fetch_add(std::mem::take(&mut self.leased), Ordering::Relaxed);
    }

    /// How long it is.
    pub(crate) fn size(&self) -> u64 {
        self.size
    }

    /// Whether it went to the disk.
    pub(crate) fn on_disk(&self) -> bool {
        !self.in_memory
    }

    /// Reads it from its beginning.
    pub(crate) fn reader(&self) -> Result<impl Read + Send + 'static, Exception> {
        self.file.try_clone().map(|file| At { file, offset: 0 }).map_err(|error| cannot_keep(&error))
    }

    /// A path by which this process opens it anew, as long as it lives.
    pub(crate) fn path(&self) -> String {
        format!("/proc/self/fd/{}", self.file.as_raw_fd())
    }
}

impl Drop for Spool {
    fn drop(&mut self) {
        self.give_back();
    }
}

/// A reader with a position of its own.
struct At {
    file: File,
    offset: u64,
}

impl Read for At {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = std::os::unix::fs::FileExt::read_at(&self.file, buffer, self.offset)?;
        self.offset += read as u64;
        Ok(read)
    }
}

fn cannot_keep(error: &io::Error) -> Exception {
    Exception::new(243, "NOT_ENOUGH_SPACE", format!("cannot keep the request's body: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn content(spool: &Spool) -> Vec<u8> {
        let mut out = Vec::new();
        spool.reader().unwrap().read_to_end(&mut out).unwrap();
        assert_eq!(std::fs::read(spool.path()).unwrap(), out);
        out
    }

    #[test]
    fn long_bodies_go_to_the_disk_and_leave_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let space = Space::new(dir.path(), 10 << 20, 2 << 20, 3 << 20);
        let mut first = Spool::new(&space).unwrap();
        first.write(&[1; 2 << 20]).unwrap();
        assert!(!first.on_disk());
        // The memory of all bodies together is used up.
        let mut second = Spool::new(&space).unwrap();
        second.write(b"a").unwrap();
        assert!(!second.on_disk());
        second.write(&[2; 1 << 20]).unwrap();
        assert!(second.on_disk());
        assert_eq!(content(&second), [&b"a"[..], &[2; 1 << 20]].concat());
        // One body's share is.
        first.write(b"b").unwrap();
        assert!(first.on_disk());
        assert_eq!(content(&first), [&[1; 2 << 20][..], b"b"].concat());
        assert_eq!(space.memory_free.load(Ordering::Relaxed), 3 << 20);
        assert_eq!(first.write(&[0; 9 << 20]).unwrap_err().code, 229);
        drop((first, second));
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);
    }

    #[test]
    fn memory_comes_back() {
        let dir = tempfile::tempdir().unwrap();
        let space = Space::new(dir.path(), 10 << 20, 2 << 20, 2 << 20);
        for _ in 0..5 {
            let mut spool = Spool::new(&space).unwrap();
            spool.write(b"x").unwrap();
            assert_eq!((spool.size(), spool.on_disk()), (1, false));
        }
        assert_eq!(space.memory_free.load(Ordering::Relaxed), 2 << 20);
    }
}
