//! The machine's file system.

use super::{Access, DirectoryLock, File, FileStat, Fs, LockError, Timestamp};
use rustix::fs::{FlockOperation, flock};
use rustix::io::Errno;
use std::ffi::{OsString, c_int, c_uint};
use std::fs::{self, DirBuilder, OpenOptions};
use std::io::{self, IoSlice, Write};
use std::os::fd::AsRawFd;
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

    fn begin_sync(&self) -> io::Result<()> {
        // SAFETY: sync_file_range(2) takes numbers only; the descriptor is open as long as `self` is borrowed. The length 0 means up to
        // the end of the file.
        match unsafe { sync_file_range(self.as_raw_fd(), 0, 0, SYNC_FILE_RANGE_WRITE) } {
            0 => Ok(()),
            _ => match Errno::from_io_error(&io::Error::last_os_error()) {
                // Something that knows no such call, or allows none: the sync itself does all of it.
                None | Some(Errno::NOSYS | Errno::INVAL | Errno::PERM | Errno::SPIPE) => Ok(()),
                Some(error) => Err(error.into()),
            },
        }
    }

    fn sync_data(&self) -> io::Result<()> {
        fs::File::sync_data(self)
    }
}

unsafe extern "C" {
    fn sync_file_range(descriptor: c_int, offset: i64, length: i64, flags: c_uint) -> c_int;
}

/// From fcntl.h: begins to write pages, unless they are being written, and leaves it to later calls to report what comes of it.
const SYNC_FILE_RANGE_WRITE: c_uint = 2;

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
        // Nobody else needs to read who holds it, whatever modes are configured.
        .mode(0o600)
        .open(path)
        .map_err(io)?;
    try_flock(&file, path)?;
    // Who holds it is a courtesy to the second one; a disk that is full must not stop the start.
    let _ = file.set_len(0).and_then(|()| (&file).write_all(owner.as_bytes()));
    Ok(DirectoryLock::new(path, file))
}

fn try_flock(file: &fs::File, path: &Path) -> Result<(), LockError> {
    match flock(file, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => Ok(()),
        Err(Errno::WOULDBLOCK) => Err(LockError::Held { path: path.to_owned(), holder: owner_in(path) }),
        Err(error) => Err(LockError::Io { path: path.to_owned(), error: error.into() }),
    }
}

/// What the last holder wrote into a lock file.
fn owner_in(path: &Path) -> String {
    let owner = fs::read_to_string(path).unwrap_or_default();
    if owner.trim().is_empty() { "another process".to_owned() } else { owner.trim().to_owned() }
}

/// Takes a lock file without changing anything: it is neither made nor written to. `None` if there is none, so that
/// nobody can hold it.
pub fn hold(path: &Path) -> Result<Option<DirectoryLock>, LockError> {
    match fs::File::open(path) {
        Ok(file) => {
            try_flock(&file, path)?;
            Ok(Some(DirectoryLock::new(path, file)))
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(LockError::Io { path: path.to_owned(), error }),
    }
}

/// Who holds a lock file, without touching the lock: even to try it would make a process that starts just then give up.
/// `None` if nobody does, as far as the kernel lets this process see.
pub fn holder(path: &Path) -> Option<String> {
    let stat = fs::metadata(path).ok()?;
    let owner = owner_in(path);
    let locks = fs::read_to_string("/proc/locks").ok()?;
    let device = format!("{:02x}:{:02x}", rustix::fs::major(stat.dev()), rustix::fs::minor(stat.dev()));
    let is_held = locks.lines().any(|line| {
        // NUMBER: FLOCK ADVISORY WRITE PID MAJOR:MINOR:INODE START END
        let words: Vec<&str> = line.split_ascii_whitespace().collect();
        let ["FLOCK", _, "WRITE", pid, file, ..] = words.get(1..).unwrap_or_default() else { return false };
        let Some((on, inode)) = file.rsplit_once(':') else { return false };
        // Some file systems (overlayfs, btrfs) have another device number here.
        let is_owner = || owner.contains(&format!("process {pid},"));
        inode.parse() == Ok(stat.ino()) && (on == device || is_owner())
    });
    is_held.then_some(owner)
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
    fn a_sync_may_be_begun_on_whatever_is_open() {
        let dir = tempfile::tempdir().unwrap();
        let file = RealFs.create(&dir.path().join("file"), 0o600).unwrap();
        file.begin_sync().unwrap();
        file.write_at(&[IoSlice::new(b"bytes")], 0).unwrap();
        file.begin_sync().unwrap();
        file.sync_data().unwrap();
        assert_eq!(file.read_from(0).unwrap(), b"bytes");
        let (end, _other) = std::os::unix::net::UnixStream::pair().unwrap();
        File::begin_sync(&fs::File::from(std::os::fd::OwnedFd::from(end))).unwrap();
    }

    #[test]
    fn an_onlooker_sees_who_holds_a_lock_and_changes_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join(".lock");
        assert!(hold(&path).unwrap().is_none() && holder(&path).is_none());
        assert!(!path.exists());
        let owner = format!("logweir, process {}, plugin a", std::process::id());
        let lock = RealFs.lock(&path, &owner).unwrap();
        assert_eq!(holder(&path), Some(owner.clone()));
        assert!(hold(&path).unwrap_err().to_string().contains(&owner));
        drop(lock);
        assert_eq!(holder(&path), None);
        let held = hold(&path).unwrap();
        assert!(held.is_some() && RealFs.lock(&path, "me").is_err());
        assert_eq!(fs::read_to_string(&path).unwrap(), owner, "it is as it was");
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
