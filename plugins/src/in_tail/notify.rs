//! What wakes the reader: changes that inotify reports, a stop, or the time.
//!
//! inotify only makes it quick. The stat pass of the reader is the truth: a queue that overflows, a file system that
//! reports nothing, or a limit on watches costs at most a second.

use inotify::{EventMask, Inotify, WatchDescriptor, WatchMask};
use logweir_engine::log_warn;
use logweir_engine::telemetry::PluginLog;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use std::collections::{HashMap, HashSet};
use std::io::{self, Read};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Bytes of inotify events that are read at once.
const EVENT_BYTES: usize = 16 << 10;

/// Watches files and the folders of paths.
pub(super) struct Notify {
    inotify: Option<Inotify>,
    files: HashMap<WatchDescriptor, u64>,
    watched: HashMap<u64, WatchDescriptor>,
    folders: HashMap<PathBuf, WatchDescriptor>,
    stop: UnixStream,
    warned: bool,
    log: PluginLog,
}

/// What has changed.
#[derive(Default)]
pub(super) struct Changes {
    /// Files that were written to, moved or removed.
    pub(super) files: HashSet<u64>,
    /// A name in a watched folder has changed: paths may lead to other files.
    pub(super) names: bool,
}

impl Notify {
    /// `stop` becomes readable when the reader must end.
    pub(super) fn new(use_inotify: bool, stop: UnixStream, log: PluginLog) -> Self {
        let mut notify = Self {
            inotify: None,
            files: HashMap::new(),
            watched: HashMap::new(),
            folders: HashMap::new(),
            stop,
            warned: false,
            log,
        };
        if use_inotify {
            match Inotify::init() {
                Ok(inotify) => notify.inotify = Some(inotify),
                Err(error) => notify.warn_once(&error),
            }
        }
        notify
    }

    /// Whether changes are reported at all.
    pub(super) fn is_active(&self) -> bool {
        self.inotify.is_some()
    }

    /// Watches a file and the folder of its path.
    pub(super) fn watch(&mut self, file: u64, path: &Path) {
        let Some(inotify) = &mut self.inotify else { return };
        let mask = WatchMask::MODIFY | WatchMask::MOVE_SELF | WatchMask::DELETE_SELF | WatchMask::ATTRIB;
        match inotify.watches().add(path, mask) {
            Ok(descriptor) => {
                self.files.insert(descriptor.clone(), file);
                self.watched.insert(file, descriptor);
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => self.warn_once(&error),
        }
        if let Some(folder) = path.parent() {
            self.watch_folder(folder);
        }
    }

    /// The file is read no more.
    pub(super) fn unwatch(&mut self, file: u64) {
        if let (Some(descriptor), Some(inotify)) = (self.watched.remove(&file), &mut self.inotify) {
            // A watch that another reading of the same inode still uses stays.
            if self.files.get(&descriptor) == Some(&file) {
                self.files.remove(&descriptor);
                // The kernel removes the watch of a deleted file by itself.
                let _ = inotify.watches().remove(descriptor);
            }
        }
    }

    fn watch_folder(&mut self, folder: &Path) {
        if self.folders.contains_key(folder) {
            return;
        }
        let Some(inotify) = &mut self.inotify else { return };
        let mask = WatchMask::CREATE | WatchMask::MOVED_TO | WatchMask::ONLYDIR;
        if let Ok(descriptor) = inotify.watches().add(folder, mask) {
            self.folders.insert(folder.to_owned(), descriptor);
        }
    }

    /// Waits for a change, a stop or the end of `timeout`.
    pub(super) fn wait(&mut self, timeout: Duration) -> Changes {
        let timespec = Timespec {
            tv_sec: i64::try_from(timeout.as_secs()).unwrap_or(i64::MAX),
            tv_nsec: timeout.subsec_nanos().into(),
        };
        {
            let mut fds = vec![PollFd::new(&self.stop, PollFlags::IN)];
            if let Some(inotify) = &self.inotify {
                fds.push(PollFd::new(inotify, PollFlags::IN));
            }
            // An interrupted wait is a short one.
            let _ = poll(&mut fds, Some(&timespec));
        }
        let mut byte = [0; 16];
        let _ = self.stop.read(&mut byte);
        self.changes()
    }

    fn changes(&mut self) -> Changes {
        let mut changes = Changes::default();
        let Some(inotify) = &mut self.inotify else { return changes };
        let mut buffer = [0; EVENT_BYTES];
        while let Ok(events) = inotify.read_events(&mut buffer) {
            for event in events {
                if event.mask.contains(EventMask::Q_OVERFLOW) {
                    changes.names = true;
                    changes.files.extend(self.watched.keys());
                }
                match self.files.get(&event.wd) {
                    Some(file) => {
                        changes.files.insert(*file);
                    }
                    None => changes.names |= event.mask.intersects(EventMask::CREATE | EventMask::MOVED_TO),
                }
                if event.mask.contains(EventMask::IGNORED) {
                    self.files.remove(&event.wd);
                }
            }
        }
        changes
    }

    fn warn_once(&mut self, error: &io::Error) {
        if !self.warned {
            self.warned = true;
            log_warn!(
                self.log,
                "inotify is not available for all files; they are looked at each second instead (see \
                 fs.inotify.max_user_watches and fs.inotify.max_user_instances)",
                error = error.to_string()
            );
        }
    }
}
