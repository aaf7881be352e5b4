//! The contract of a file system, as far as Logweir relies on it.

use super::{DirectoryLock, LockError, Timestamp};
use crate::fault;
use std::ffi::OsString;
use std::io::{self, IoSlice};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// A file system.
///
/// What survives a power cut, and nothing else:
///
/// | done | survives after |
/// |---|---|
/// | bytes written, length changed ([`File::write_at`], [`File::set_len`]) | [`File::sync_data`] of the same file answered `Ok` |
/// | a name created, renamed, removed ([`Fs::create`], [`Fs::rename`], [`Fs::remove`], [`Fs::create_dir_all`]) | [`Fs::sync_dir`] of its directory answered `Ok` |
///
/// Before that, any subset of the writes may be found, each whole or torn, and any subset of the changes of names; a
/// rename is never found half done. After a failed `sync_data` the bytes of the file that were not synced before may
/// be gone although they can still be read: the caller must not try again on the same file.
pub trait Fs: Send + Sync + 'static {
    /// Creates a file that must not exist yet, readable and writable, with the permission bits `mode`.
    fn create(&self, path: &Path, mode: u32) -> io::Result<Arc<dyn File>>;

    /// Opens a file that exists.
    fn open(&self, path: &Path, access: Access) -> io::Result<Arc<dyn File>>;

    /// Gives a file another name in the same directory; a file that has that name is replaced.
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;

    /// Removes a file.
    fn remove(&self, path: &Path) -> io::Result<()>;

    /// Makes the changes of names in `dir` durable.
    fn sync_dir(&self, dir: &Path) -> io::Result<()>;

    /// Creates a directory and those above it that are missing.
    fn create_dir_all(&self, dir: &Path, mode: u32) -> io::Result<()>;

    /// Names in a directory, in byte order.
    fn list(&self, dir: &Path) -> io::Result<Vec<OsString>>;

    /// What is at `path`; follows symbolic links.
    fn stat(&self, path: &Path) -> io::Result<FileStat>;

    /// Takes the lock file `path` (created if it is missing) for this process until the answer is dropped.
    /// `owner` is written into it, for whoever comes second.
    fn lock(&self, path: &Path, owner: &str) -> Result<DirectoryLock, LockError>;
}

/// What an opened file may be used for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Reading.
    Read,
    /// Reading and writing.
    Write,
}

/// An open file. All offsets are from its beginning; nothing is shared but the bytes.
pub trait File: Send + Sync {
    /// Reads at `offset` until `buffer` is full or the file ends; answers how much was read.
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize>;

    /// Writes all of `slices` at `offset` with as few calls as the system allows (one, for what Logweir writes).
    /// After an error any part of it may have been written.
    fn write_at(&self, slices: &[IoSlice<'_>], offset: u64) -> io::Result<()>;

    /// Cuts the file, or extends it with zeros.
    fn set_len(&self, len: u64) -> io::Result<()>;

    /// The length in bytes.
    fn len(&self) -> io::Result<u64>;

    /// Whether the length is 0.
    fn is_empty(&self) -> io::Result<bool> {
        Ok(self.len()? == 0)
    }

    /// Asks the device to begin with what [`Self::sync_data`] is going to wait for, and does not wait itself: the bytes of several
    /// files are then written at a time, and put into one transaction of the file system's journal. Makes nothing durable. An error is
    /// one of the sync that was begun.
    fn begin_sync(&self) -> io::Result<()> {
        Ok(())
    }

    /// Makes bytes and length durable.
    fn sync_data(&self) -> io::Result<()>;
}

impl dyn File + '_ {
    /// All bytes from `offset` to the end.
    pub fn read_from(&self, offset: u64) -> io::Result<Vec<u8>> {
        let len = usize::try_from(self.len()?.saturating_sub(offset)).map_err(io::Error::other)?;
        let mut bytes = vec![0; len];
        let read = self.read_at(&mut bytes, offset)?;
        bytes.truncate(read);
        Ok(bytes)
    }
}

/// What is known of a file without opening it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FileStat {
    /// Bytes.
    pub len: u64,
    /// Last change of the bytes.
    pub modified: Timestamp,
    /// Last change of the file's description (its ctime).
    pub changed: Timestamp,
    /// Whether it is a regular file.
    pub is_file: bool,
    /// Whether it is a directory.
    pub is_dir: bool,
}

/// Replaces the small file `path` by one that holds `bytes`: after a crash there is the old one or the new one, whole,
/// and once this answered `Ok`, the new one.
///
/// Order: write beside it, sync the bytes, rename over it, sync the directory.
pub fn durable_replace(fs: &dyn Fs, path: &Path, bytes: &[u8], mode: u32) -> io::Result<()> {
    replace(fs, path, bytes, mode)?;
    fs.sync_dir(path.parent().unwrap_or(Path::new(".")))
}

/// [`durable_replace`] without its last step: after a crash there may still be the old file, until the caller has synced
/// the directory.
pub fn replace(fs: &dyn Fs, path: &Path, bytes: &[u8], mode: u32) -> io::Result<()> {
    let new = beside(path)?;
    match fs.remove(&new) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let file = fs.create(&new, mode)?;
    fault!("replacement-torn", file.write_at(&[IoSlice::new(&bytes[..bytes.len() / 2])], 0));
    let written = file.write_at(&[IoSlice::new(bytes)], 0).and_then(|()| file.sync_data());
    fault!("replacement-written");
    drop(file);
    if let Err(error) = written.and_then(|()| fs.rename(&new, path)) {
        // The old file is still in place; what was begun is only rubbish, removed here or before the next attempt.
        let _ = fs.remove(&new);
        return Err(error);
    }
    fault!("replacement-renamed");
    Ok(())
}

/// Makes durable that `dir` is there: it may be new, as may those above it, made here or by an earlier process that was killed.
/// They may also be somebody else's, unreadable; then their own writing back must do.
pub fn sync_above(fs: &dyn Fs, dir: &Path) -> io::Result<()> {
    for above in dir.ancestors().skip(1).filter(|above| !above.as_os_str().is_empty()) {
        match fs.sync_dir(above) {
            Err(error) if error.kind() != io::ErrorKind::PermissionDenied => return Err(error),
            _ => {}
        }
    }
    Ok(())
}

/// The name of the file that will take the place of `path`.
fn beside(path: &Path) -> io::Result<PathBuf> {
    let Some(name) = path.file_name() else {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "not the path of a file"));
    };
    let mut new = name.to_owned();
    new.push(".new");
    Ok(path.with_file_name(new))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::io::RealFs;

    #[test]
    fn a_replaced_file_has_the_new_bytes_and_leaves_nothing_beside_it() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("marks");
        for bytes in [&b"one"[..], b"second"] {
            durable_replace(&RealFs, &path, bytes, 0o600).unwrap();
            assert_eq!(std::fs::read(&path).unwrap(), bytes);
        }
        assert_eq!(RealFs.list(dir.path()).unwrap(), ["marks"]);
    }

    #[test]
    fn rubbish_of_an_interrupted_replacement_is_no_hindrance() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("marks.new"), "rubbish").unwrap();
        durable_replace(&RealFs, &dir.path().join("marks"), b"good", 0o600).unwrap();
        assert_eq!(std::fs::read(dir.path().join("marks")).unwrap(), b"good");
    }
}
