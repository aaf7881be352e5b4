//! The machine's file system.

use super::{Access, DirectoryLock, File, FileStat, Fs, LockError, Timestamp};
use rustix::fs::{FlockOperation, flock};
use rustix::io::Errno;
use std::ffi::OsString;
use std::fs::{self, DirBuilder, OpenOptions};
use std::io::{self, IoSlice, Write};
use std::os::unix::fs::{DirBuilderExt, FileExt, MetadataExt, OpenOptionsExt};
use std::path::Path;
use std::sync::Arc;

/// The machine's file system.
#[derive(Clone, Copy, Debug, Default)]
pub struct RealFs;

/// The kernel takes at most this many slices in one call (Linux's IOV_MAX).
const SLICES_MAX: usize = 1024;

impl Fs for RealFs {
    fn create(&self, path: &Path, mode: u32) -> io::Result<Arc<dyn File>> {
        let file = OpenOptions::new().read(true).write(true).create_new(true).mode(mode).open(path)?;
        Ok(Arc::new(file))
    }

    fn open(&self, path: &Path, access: Access) -> io::Result<Arc<dyn File>> {
        Ok(Arc::new(OpenOptions::new().read(true).write(access == Access::Write).open(path)?))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        fs::rename(from, to)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        fs::remove_file(path)
    }

    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        fs::File::open(dir)?.sync_all()
    }

    fn create_dir_all(&self, dir: &Path, mode: u32) -> io::Result<()> {
        DirBuilder::new().recursive(true).mode(mode).create(dir)
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<OsString>> {
        let mut names =
            fs::read_dir(dir)?.map(|entry| Ok(entry?.file_name())).collect::<io::Result<Vec<_>>>()?;
        names.sort_unstable();
        Ok(names)
    }

    fn stat(&self, path: &Path) -> io::Result<FileStat> {
        let stat = fs::metadata(path)?;
        Ok(FileStat {
            len: stat.len(),
            modified: timestamp(stat.mtime(), stat.mtime_nsec()),
            changed: timestamp(stat.ctime(), stat.ctime_nsec()),
            is_file: stat.is_file(),
            is_dir: stat.is_dir(),
        })
    }

    fn lock(&self, path: &Path, owner: &str) -> Result<DirectoryLock, LockError> {
        lock(path, owner)
    }
}

impl File for fs::File {
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        let mut read = 0;
        while read < buffer.len() {
            match FileExt::read_at(self, &mut buffer[read..], offset + read as u64) {
                Ok(0) => break,
                Ok(more) => read += more,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(read)
    }

    fn write_at(&self, slices: &[IoSlice<'_>], mut offset: u64) -> io::Result<()> {
        let mut left: smallvec::SmallVec<[IoSlice<'_>; 8]> = slices.iter().copied().collect();
        let mut left = left.as_mut_slice();
        IoSlice::advance_slices(&mut left, 0);
        while !left.is_empty() {
            let now = &left[..left.len().min(SLICES_MAX)];
            match rustix::io::pwritev(self, now, offset) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(written) => {
                    offset += written as u64;
                    IoSlice::advance_slices(&mut left, written);
                }
                Err(Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        fs::File::set_len(self, len)
    }

    fn len(&self) -> io::Result<u64> {
        Ok(self.metadata()?.len())
    }

    fn sync_data(&self) -> io::Result<()> {
        fs::File::sync_data(self)
    }
}

fn timestamp(sec: i64, nsec: i64) -> Timestamp {
    Timestamp(Timestamp::from_secs(sec).0 + u64::try_from(nsec).unwrap_or(0) / 1000)
}

fn lock(path: &Path, owner: &str) -> Result<DirectoryLock, LockError> {
    let io = |error| LockError::Io { path: path.to_owned(), error };
    let file = OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o644)
        .open(path)
        .map_err(io)?;
    match flock(&file, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => {}
        Err(Errno::WOULDBLOCK) => {
            let holder = fs::read_to_string(path).unwrap_or_default();
            let holder = holder.trim();
            let holder = if holder.is_empty() { "another process" } else { holder }.to_owned();
            return Err(LockError::Held { path: path.to_owned(), holder });
        }
        Err(error) => return Err(io(error.into())),
    }
    // Who holds it is a courtesy to the second one; a disk that is full must not stop the start.
    let _ = file.set_len(0).and_then(|()| (&file).write_all(owner.as_bytes()));
    Ok(DirectoryLock::new(path, file))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_second_to_lock_is_told_who_was_first() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join(".lock");
        let first = RealFs.lock(&path, "logweir, process 1, plugin a\n").unwrap();
        let second = RealFs.lock(&path, "logweir, process 1, plugin b\n").unwrap_err();
        assert!(second.to_string().contains("is in use by logweir, process 1, plugin a;"), "{second}");
        drop(first);
        RealFs.lock(&path, "me").unwrap();
    }

    #[test]
    fn more_slices_than_the_kernel_takes_are_all_written() {
        let dir = tempfile::tempdir().unwrap();
        let file = RealFs.create(&dir.path().join("f"), 0o600).unwrap();
        let text: Vec<String> =
            (0..3000).map(|i| if i % 7 == 0 { String::new() } else { i.to_string() }).collect();
        let slices: Vec<IoSlice<'_>> = text.iter().map(|t| IoSlice::new(t.as_bytes())).collect();
        file.write_at(&slices, 5).unwrap();
        assert_eq!(&file.read_from(5).unwrap(), text.concat().as_bytes());
        assert_eq!(file.read_from(0).unwrap()[..5], [0; 5]);
    }

    #[test]
    fn a_file_is_created_once() {
        let dir = tempfile::tempdir().unwrap();
        RealFs.create(&dir.path().join("f"), 0o600).unwrap();
        let again = RealFs.create(&dir.path().join("f"), 0o600).err().unwrap();
        assert_eq!(again.kind(), io::ErrorKind::AlreadyExists);
    }
}
