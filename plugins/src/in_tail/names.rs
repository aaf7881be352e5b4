//! Names in the folders of tailed files, as inotify reports their changes.

use super::notify::EVENT_BYTES;
use inotify::{EventMask, Inotify, WatchDescriptor, WatchMask};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use std::collections::HashMap;
use std::ffi::OsString;
use std::io;
use std::path::{Path, PathBuf};

/// How long the second half of a move is waited for. A move to a folder that is not watched has none.
const OTHER_HALF_WAIT_NS: i64 = 2_000_000;

/// A name has changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum NameChange {
    /// There is something at a path that was not there before.
    Appeared(PathBuf),
    /// What was at `from` is at `to` now, or nobody knows where.
    Moved { from: PathBuf, to: Option<PathBuf> },
    /// What was there has lost this name.
    Removed(PathBuf),
}

/// A queue of changes.
pub(super) struct Names {
    inotify: Inotify,
    folders: HashMap<PathBuf, WatchDescriptor>,
    paths: HashMap<WatchDescriptor, PathBuf>,
    /// A move away whose other half has not been read yet.
    leaving: Option<(u32, PathBuf)>,
}

impl Names {
    pub(super) fn new() -> io::Result<Self> {
        let inotify = Inotify::init()?;
        Ok(Self { inotify, folders: HashMap::new(), paths: HashMap::new(), leaving: None })
    }

    /// What becomes readable when names change.
    pub(super) fn queue(&self) -> &Inotify {
        &self.inotify
    }

    /// Watches a folder; answers whether it has not been watched so far.
    pub(super) fn watch(&mut self, folder: &Path) -> io::Result<bool> {
        let folder = if folder.as_os_str().is_empty() { Path::new(".") } else { folder };
        if self.folders.contains_key(folder) {
            return Ok(false);
        }
        let mask = WatchMask::CREATE
            | WatchMask::MOVED_FROM
            | WatchMask::MOVED_TO
            | WatchMask::DELETE
            | WatchMask::MOVE_SELF
            | WatchMask::ONLYDIR;
        let descriptor = self.inotify.watches().add(folder, mask)?;
        // A folder with two paths is called by the later one; changes of the other are seen by the stat pass.
        self.folders.insert(folder.to_owned(), descriptor.clone());
        self.paths.insert(descriptor, folder.to_owned());
        Ok(true)
    }

    /// The changes so far, in order, and whether some were missed.
    pub(super) fn read(&mut self) -> (Vec<NameChange>, bool) {
        let mut changes = Vec::new();
        let mut missed = self.read_queue(&mut changes);
        if self.leaving.is_some() {
            // The halves of a move enter the queue one after the other.
            let wait = Timespec { tv_sec: 0, tv_nsec: OTHER_HALF_WAIT_NS };
            let _ = poll(&mut [PollFd::new(&self.inotify, PollFlags::IN)], Some(&wait));
            missed |= self.read_queue(&mut changes);
        }
        if let Some((_, from)) = self.leaving.take() {
            changes.push(NameChange::Moved { from, to: None });
        }
        (changes, missed)
    }

    fn read_queue(&mut self, changes: &mut Vec<NameChange>) -> bool {
        let mut missed = false;
        let mut buffer = [0; EVENT_BYTES];
        while let Ok(events) = self.inotify.read_events(&mut buffer) {
            let events: Vec<(WatchDescriptor, EventMask, u32, Option<OsString>)> = events
                .map(|event| (event.wd, event.mask, event.cookie, event.name.map(OsString::from)))
                .collect();
            for (descriptor, mask, cookie, name) in events {
                missed |= mask.contains(EventMask::Q_OVERFLOW);
                if mask.intersects(EventMask::IGNORED | EventMask::MOVE_SELF) {
                    missed |= self.forget(&descriptor);
                }
                if let (Some(folder), Some(name)) = (self.paths.get(&descriptor), name) {
                    let path = if folder == Path::new(".") { PathBuf::from(name) } else { folder.join(name) };
                    self.change(mask, cookie, path, changes);
                }
            }
        }
        missed
    }

    fn change(&mut self, mask: EventMask, cookie: u32, path: PathBuf, changes: &mut Vec<NameChange>) {
        // The two halves of a move follow each other.
        match self.leaving.take() {
            Some((of, from)) if of == cookie && mask.contains(EventMask::MOVED_TO) => {
                changes.push(NameChange::Moved { from, to: Some(path) });
                return;
            }
            Some((_, from)) => changes.push(NameChange::Moved { from, to: None }),
            None => {}
        }
        if mask.contains(EventMask::MOVED_FROM) {
            self.leaving = Some((cookie, path));
        } else if mask.intersects(EventMask::CREATE | EventMask::MOVED_TO) {
            changes.push(NameChange::Appeared(path));
        } else if mask.contains(EventMask::DELETE) {
            changes.push(NameChange::Removed(path));
        }
    }

    /// The folder is gone, or has another path; it is watched again when a file is found in it.
    fn forget(&mut self, descriptor: &WatchDescriptor) -> bool {
        let Some(folder) = self.paths.remove(descriptor) else { return false };
        self.folders.remove(&folder);
        // The kernel has removed that of a deleted folder.
        let _ = self.inotify.watches().remove(descriptor.clone());
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    #[test]
    fn moves_are_told_in_order_with_both_names() {
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name);
        let mut names = Names::new().unwrap();
        assert!(names.watch(dir.path()).unwrap());
        assert!(!names.watch(dir.path()).unwrap());
        fs::write(at("a"), "").unwrap();
        fs::rename(at("a"), at("b")).unwrap();
        fs::write(at("a"), "").unwrap();
        fs::rename(at("b"), at("c")).unwrap();
        fs::remove_file(at("c")).unwrap();
        let moved = |from, to| NameChange::Moved { from: at(from), to: Some(at(to)) };
        let (changes, missed) = names.read();
        assert_eq!(
            changes,
            [
                NameChange::Appeared(at("a")),
                moved("a", "b"),
                NameChange::Appeared(at("a")),
                moved("b", "c"),
                NameChange::Removed(at("c"))
            ]
        );
        assert!(!missed);
        assert_eq!(names.read(), (vec![], false));
    }

    #[test]
    fn a_move_out_of_sight_has_no_other_end() {
        let (dir, elsewhere) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let mut names = Names::new().unwrap();
        names.watch(dir.path()).unwrap();
        let (a, b) = (dir.path().join("a"), elsewhere.path().join("b"));
        fs::write(&a, "").unwrap();
        fs::rename(&a, &b).unwrap();
        fs::rename(&b, &a).unwrap();
        let (changes, _) = names.read();
        let expected = [
            NameChange::Appeared(a.clone()),
            NameChange::Moved { from: a.clone(), to: None },
            NameChange::Appeared(a),
        ];
        assert_eq!(changes, expected);
    }

    #[test]
    fn a_folder_that_is_made_anew_can_be_watched_anew() {
        let dir = tempfile::tempdir().unwrap();
        let folder = dir.path().join("pod");
        fs::create_dir(&folder).unwrap();
        let mut names = Names::new().unwrap();
        names.watch(&folder).unwrap();
        fs::remove_dir(&folder).unwrap();
        fs::create_dir(&folder).unwrap();
        assert!(names.read().1);
        assert!(names.watch(&folder).unwrap());
    }
}
