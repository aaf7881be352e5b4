//! What wakes the reader: changes that inotify reports, a stop, or the time.
//!
//! inotify makes it quick, and tells where files went that were renamed before they were looked at. The stat pass of
//! the reader is the truth about what is there: a queue that overflows, a file system that reports nothing, or a limit on
//! watches costs at most a second. Names have a queue of their own, so that the writes of thousands of files do not push
//! a rename out of it.

use super::handle::Handle;
use super::names::{NameChange, Names};
use inotify::{EventMask, Inotify, WatchDescriptor, WatchMask};
use logweir_engine::log_warn;
use logweir_engine::telemetry::PluginLog;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use std::collections::{HashMap, HashSet};
use std::io::{self, Read};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

/// Bytes of inotify events that are read at once.
pub(super) const EVENT_BYTES: usize = 16 << 10;

/// Watches files and the folders of paths.
pub(super) struct Notify {
    inotify: Option<Inotify>,
    names: Option<Names>,
    /// Several paths may lead to one file.
    files: HashMap<WatchDescriptor, Vec<u64>>,
    watched: HashMap<u64, WatchDescriptor>,
    stop: UnixStream,
    warned: bool,
    log: PluginLog,
}

/// What has changed.
#[derive(Default)]
pub(super) struct Changes {
    /// Files that were written to, moved or removed.
    pub(super) files: HashSet<u64>,
    /// Names in watched folders, in order.
    pub(super) names: Vec<NameChange>,
    /// Changes were missed: everything must be looked at.
    pub(super) all: bool,
}

impl Notify {
    /// `stop` becomes readable when the reader must end.
    pub(super) fn new(use_inotify: bool, stop: UnixStream, log: PluginLog) -> Self {
        let mut notify = Self {
            inotify: None,
            names: None,
            files: HashMap::new(),
            watched: HashMap::new(),
            stop,
            warned: false,
            log,
        };
        if use_inotify {
            match Inotify::init().and_then(|inotify| Ok((inotify, Names::new()?))) {
                Ok((inotify, names)) => (notify.inotify, notify.names) = (Some(inotify), Some(names)),
                Err(error) => notify.warn_once(&error),
            }
        }
        notify
    }

    /// Whether changes are reported at all.
    pub(super) fn is_active(&self) -> bool {
        self.inotify.is_some()
    }

    /// Watches a file: the open one, else what is at its place.
    pub(super) fn watch(&mut self, file: u64, handle: Option<&Handle>, place: &Path) {
        let Some(inotify) = &mut self.inotify else { return };
        let mask = WatchMask::MODIFY | WatchMask::MOVE_SELF | WatchMask::DELETE_SELF | WatchMask::ATTRIB;
        let mut added = match handle {
            Some(handle) => inotify.watches().add(handle.path(), mask),
            None => inotify.watches().add(place, mask),
        };
        if added.is_err() && handle.is_some() {
            // Without /proc.
            added = inotify.watches().add(place, mask);
        }
        match added {
            Ok(descriptor) => {
                self.files.entry(descriptor.clone()).or_default().push(file);
                self.watched.insert(file, descriptor);
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => self.warn_once(&error),
        }
    }

    /// The file is read no more.
    pub(super) fn unwatch(&mut self, file: u64) {
        let (Some(descriptor), Some(inotify)) = (self.watched.remove(&file), &mut self.inotify) else {
            return;
        };
        let Some(files) = self.files.get_mut(&descriptor) else { return };
        files.retain(|other| *other != file);
        if files.is_empty() {
            self.files.remove(&descriptor);
            // The kernel removes the watch of a deleted file by itself.
            let _ = inotify.watches().remove(descriptor);
        }
    }

    /// Watches the names in a folder; answers whether it has not been watched so far.
    pub(super) fn watch_folder(&mut self, folder: &Path) -> bool {
        let Some(names) = &mut self.names else { return false };
        match names.watch(folder) {
            Ok(is_new) => is_new,
            Err(error) => {
                if !matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) {
                    self.warn_once(&error);
                }
                false
            }
        }
    }

    /// The changes of names so far, and whether some were missed.
    pub(super) fn names(&mut self) -> (Vec<NameChange>, bool) {
        self.names.as_mut().map(Names::read).unwrap_or_default()
    }

    /// Waits for a change, a stop or the end of `timeout`.
    pub(super) fn wait(&mut self, timeout: Duration) -> Changes {
        let timespec = Timespec {
            tv_sec: i64::try_from(timeout.as_secs()).unwrap_or(i64::MAX),
            tv_nsec: timeout.subsec_nanos().into(),
        };
        {
            let mut fds = vec![PollFd::new(&self.stop, PollFlags::IN)];
            if let (Some(inotify), Some(names)) = (&self.inotify, &self.names) {
                fds.push(PollFd::new(inotify, PollFlags::IN));
                fds.push(PollFd::new(names.queue(), PollFlags::IN));
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
        (changes.names, changes.all) = self.names();
        let Some(inotify) = &mut self.inotify else { return changes };
        let mut buffer = [0; EVENT_BYTES];
        while let Ok(events) = inotify.read_events(&mut buffer) {
            for event in events {
                changes.all |= event.mask.contains(EventMask::Q_OVERFLOW);
                changes.files.extend(self.files.get(&event.wd).into_iter().flatten());
                if event.mask.contains(EventMask::IGNORED) {
                    for file in self.files.remove(&event.wd).into_iter().flatten() {
                        self.watched.remove(&file);
                    }
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
