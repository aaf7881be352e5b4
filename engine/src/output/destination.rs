//! Files that outputs write chunks to.
//!
//! A chunk goes into a file as a whole or, after an error, not at all: what was begun is cut off again, so that the
//! next try does not repeat half of it. Flush tasks, and a second Logweir after a reload, take turns (flock).
#![allow(
    clippy::disallowed_methods,
    reason = "files that are written for others to read; a chunk stays until they are"
)]

use crate::config::System;
use crate::fault;
use crate::plugin::WriteError;
use bytes::Bytes;
use rustix::fs::{Access, FlockOperation, access, flock};
use rustix::io::Errno;
use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

/// How an output makes files and folders.
#[derive(Clone, Copy, Debug)]
pub struct Destination {
    file_mode: u32,
    dir_mode: u32,
}

impl Destination {
    /// With the modes of `<system>`, else Fluentd's (0644, 0755).
    pub fn new(system: &System) -> Self {
        Self {
            file_mode: system.file_permission.unwrap_or(0o644),
            dir_mode: system.dir_permission.unwrap_or(0o755),
        }
    }

    /// Adds `bodies` to the end of the file `path`, which is made if it is missing. With `durable` they are on the device
    /// when this answers `Ok`.
    pub fn append(&self, path: &Path, bodies: &[Bytes], durable: bool) -> io::Result<()> {
        self.create_parent(path)?;
        let mut options = OpenOptions::new();
        let file = options.append(true).create(true).mode(self.file_mode).open(path)?;
        write_locked(&file, bodies, durable)?;
        if durable { sync_parent(path) } else { Ok(()) }
    }

    /// Makes the first of `paths` that does not exist yet, with `bodies` in it, and answers which.
    pub fn create(
        &self,
        paths: impl IntoIterator<Item = PathBuf>,
        bodies: &[Bytes],
        durable: bool,
    ) -> io::Result<PathBuf> {
        for path in paths {
            self.create_parent(&path)?;
            let mut options = OpenOptions::new();
            let file = match options.append(true).create_new(true).mode(self.file_mode).open(&path) {
                Ok(file) => file,
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => continue,
                Err(error) => return Err(error),
            };
            if let Err(error) = write_locked(&file, bodies, durable) {
                let _ = std::fs::remove_file(&path); // it was made here; the error is what counts
                return Err(error);
            }
            if durable {
                sync_parent(&path)?;
            }
            return Ok(path);
        }
        Err(io::Error::new(io::ErrorKind::AlreadyExists, "every name that may be used exists"))
    }

    /// Makes the folder of `path`, and those above it.
    pub fn create_parent(&self, path: &Path) -> io::Result<()> {
        match path.parent() {
            Some(dir) if !dir.as_os_str().is_empty() && !dir.is_dir() => {
                DirBuilder::new().recursive(true).mode(self.dir_mode).create(dir)
            }
            _ => Ok(()),
        }
    }
}

/// Whether the file `path` may be written, or made with the folders above it.
pub fn is_writable(path: &Path) -> bool {
    if path.is_dir() {
        return false;
    }
    if path.exists() {
        return access(path, Access::WRITE_OK).is_ok();
    }
    let existing = path.ancestors().skip(1).map(or_here).find(|dir| dir.exists());
    existing.is_some_and(|dir| dir.is_dir() && access(dir, Access::WRITE_OK).is_ok())
}

/// The Ruby class of an error of a file, for log lines (`Errno::ENOSPC`).
pub fn file_error_class(error: &io::Error) -> &'static str {
    match Errno::from_io_error(error) {
        Some(Errno::NOENT) => "Errno::ENOENT",
        Some(Errno::ACCESS) => "Errno::EACCES",
        Some(Errno::PERM) => "Errno::EPERM",
        Some(Errno::EXIST) => "Errno::EEXIST",
        Some(Errno::NOTDIR) => "Errno::ENOTDIR",
        Some(Errno::ISDIR) => "Errno::EISDIR",
        Some(Errno::NOSPC) => "Errno::ENOSPC",
        Some(Errno::DQUOT) => "Errno::EDQUOT",
        Some(Errno::FBIG) => "Errno::EFBIG",
        Some(Errno::ROFS) => "Errno::EROFS",
        Some(Errno::IO) => "Errno::EIO",
        Some(Errno::MFILE) => "Errno::EMFILE",
        Some(Errno::NFILE) => "Errno::ENFILE",
        Some(Errno::NAMETOOLONG) => "Errno::ENAMETOOLONG",
        Some(Errno::STALE) => "Errno::ESTALE",
        Some(_) => "SystemCallError",
        None => "IOError",
    }
}

/// What follows an error of a file that a chunk goes to; `message` says where it was. A name that no file can have will not
/// become one later: tags and fields come from outside, and a chunk that waits for ever would hold up all others.
pub fn file_write_error(error: &io::Error, message: String) -> WriteError {
    let is_no_name = error.kind() == io::ErrorKind::InvalidInput
        || Errno::from_io_error(error) == Some(Errno::NAMETOOLONG);
    let class = file_error_class(error);
    if is_no_name { WriteError::reject(class, message) } else { WriteError::retry(class, message) }
}

fn write_locked(file: &File, bodies: &[Bytes], durable: bool) -> io::Result<()> {
    flock(file, FlockOperation::LockExclusive)?; // until the file is closed
    let len = file.metadata()?.len();
    let mut writer = file;
    fault!("file-torn", bodies.iter().try_for_each(|body| writer.write_all(&body[..body.len() / 2])));
    let written = bodies.iter().try_for_each(|body| writer.write_all(body));
    let synced = written.and_then(|()| if durable { file.sync_data() } else { Ok(()) });
    if synced.is_err() {
        let _ = file.set_len(len); // the first error is what counts
    }
    fault!("file-written");
    synced
}

fn sync_parent(path: &Path) -> io::Result<()> {
    match path.parent() {
        Some(dir) => File::open(or_here(dir))?.sync_all(),
        None => Ok(()),
    }
}

/// The parent of a bare file name is the current folder.
fn or_here(dir: &Path) -> &Path {
    if dir.as_os_str().is_empty() { Path::new(".") } else { dir }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    fn bodies(texts: &[&'static str]) -> Vec<Bytes> {
        texts.iter().map(|text| Bytes::from_static(text.as_bytes())).collect()
    }

    #[test]
    fn appends_are_added_and_new_files_take_the_first_free_name() {
        let dir = tempfile::tempdir().unwrap();
        let destination = Destination::new(&System::default());
        let log = dir.path().join("a/b/x.log");
        for durable in [true, false] {
            destination.append(&log, &bodies(&["one\n", "two\n"]), durable).unwrap();
        }
        assert_eq!(std::fs::read(&log).unwrap(), b"one\ntwo\none\ntwo\n");
        let names = || (0..).map(|n| dir.path().join(format!("x_{n}")));
        for n in 0..3 {
            let made = destination.create(names(), &bodies(&["text"]), true).unwrap();
            assert_eq!(made, dir.path().join(format!("x_{n}")));
        }
    }

    #[test]
    fn modes_are_those_of_the_system_section() {
        let dir = tempfile::tempdir().unwrap();
        let system =
            System { file_permission: Some(0o600), dir_permission: Some(0o700), ..System::default() };
        Destination::new(&system).append(&dir.path().join("d/x"), &bodies(&["x"]), false).unwrap();
        let mode =
            |path: &str| std::fs::metadata(dir.path().join(path)).unwrap().permissions().mode() & 0o777;
        assert_eq!((mode("d"), mode("d/x")), (0o700, 0o600));
    }

    #[test]
    fn a_write_that_fails_leaves_the_file_as_it_was() {
        // /dev/full refuses every write for want of space.
        let error = Destination::new(&System::default())
            .append(Path::new("/dev/full"), &bodies(&["x"]), false)
            .unwrap_err();
        assert_eq!(file_error_class(&error), "Errno::ENOSPC");
    }

    #[test]
    fn a_name_that_no_file_can_have_is_given_up_and_a_full_disk_is_waited_for() {
        let dir = tempfile::tempdir().unwrap();
        let destination = Destination::new(&System::default());
        for (path, is_given_up) in [
            (dir.path().join("a\0b"), true),
            (dir.path().join("x".repeat(300)), true),
            (PathBuf::from("/dev/full"), false),
        ] {
            let error = destination.append(&path, &bodies(&["x"]), false).unwrap_err();
            let follows = file_write_error(&error, error.to_string());
            assert_eq!(matches!(follows, WriteError::Reject { .. }), is_given_up, "{error}");
        }
    }

    #[test]
    fn what_can_be_written_is_known_before() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("file"), "").unwrap();
        for (path, expected) in
            [("file", true), ("new", true), ("new/deep/x", true), ("file/x", false), ("", false)]
        {
            assert_eq!(is_writable(&dir.path().join(path)), expected, "{path}");
        }
        assert!(!is_writable(Path::new("/dev/null/deep/x")));
    }
}
