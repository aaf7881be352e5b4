//! The thread of a source: which files are watched, what became of them, whose turn it is.
//!
//! Files take turns of one read each, so that a large one does not hold up the others. A rotation is seen as Fluentd sees
//! it: another inode at the path, or a smaller size.

use super::commits::{Reading, Settlement, Settlements};
use super::file::TailedFile;
use super::group::Groups;
use super::notify::Notify;
use super::paths::{Paths, Target};
use super::position::{Key, Position, Positions};
use super::reader::{Reader, Turn};
use super::settings::Settings;
use super::throttle::Throttle;
use logweir_engine::io::RealFs;
use logweir_engine::plugin::{InputContext, StartError};
use logweir_engine::{log_info, log_warn};
use std::collections::{BTreeMap, HashMap, HashSet, VecDeque};
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::runtime::Handle;

/// How often files are looked at.
const TICK: Duration = Duration::from_secs(1);
/// Files that are looked at in one tick when inotify reports changes anyway; the others follow in the next ticks.
const STATS_PER_TICK: usize = 1000;
/// Open files above which those that are read to their end are closed.
const OPEN_FILES_MAX: usize = 512;
/// At a stop, files are read on to their end for at most this long (Fluentd's SHUTDOWN_TIMEOUT).
const READ_AFTER_STOP: Duration = Duration::from_secs(5);

/// All files of a source.
pub(super) struct Scheduler {
    reader: Reader,
    paths: Paths,
    positions: Positions,
    notify: Notify,
    files: HashMap<u64, TailedFile>,
    by_path: HashMap<PathBuf, u64>,
    /// Paths whose files were rotated away with none in their place yet, until the next refresh.
    awaited: HashSet<PathBuf>,
    ready: VecDeque<u64>,
    next_id: u64,
    /// Where the stat pass goes on.
    stat_cursor: Vec<u64>,
    first_refresh: bool,
    next_tick: Instant,
    next_refresh: Instant,
    next_compaction: Option<Instant>,
}

impl Scheduler {
    /// Opens the pos file. Files are opened when the thread runs.
    pub(super) fn new(
        settings: Arc<Settings>,
        context: InputContext,
        handle: Handle,
        stop: UnixStream,
    ) -> Result<Self, StartError> {
        let log = context.log.clone();
        let mut paths = Paths::new(
            settings.dated(&settings.path),
            settings.dated(&settings.exclude_path),
            settings.policy,
            settings.limit_recently_modified,
            settings.ignore_repeated_permission_error,
            log.clone(),
        );
        let positions = open_positions(&settings, &context, &mut paths)?;
        let settlements = Settlements::start(&handle, positions.clone(), log.clone());
        let notify = Notify::new(settings.enable_stat_watcher, stop, log);
        let groups = settings.groups.clone().map(Groups::new);
        let now = Instant::now();
        let first = if settings.skip_refresh_on_startup { settings.refresh_interval } else { Duration::ZERO };
        Ok(Self {
            next_tick: now + TICK,
            next_refresh: now + first,
            next_compaction: settings.pos_file_compaction_interval.map(|interval| now + interval),
            reader: Reader::new(settings, context, handle, settlements, groups),
            paths,
            positions,
            notify,
            files: HashMap::new(),
            by_path: HashMap::new(),
            awaited: HashSet::new(),
            ready: VecDeque::new(),
            next_id: 0,
            stat_cursor: Vec::new(),
            first_refresh: true,
        })
    }

    /// Runs until the source is stopped.
    pub(super) fn run(mut self) {
        while !self.is_stopped() {
            self.timers();
            match self.ready.pop_front() {
                Some(id) => self.turn(id),
                None => self.wait(),
            }
        }
        self.finish();
    }

    fn is_stopped(&self) -> bool {
        self.reader.context.stop.is_cancelled()
    }

    fn wait(&mut self) {
        let now = Instant::now();
        let mut until = self.next_tick.min(self.next_refresh);
        if let Some(compaction) = self.next_compaction {
            until = until.min(compaction);
        }
        let changes = self.notify.wait(until.saturating_duration_since(now));
        for id in changes.files {
            self.look(id);
        }
        if changes.names {
            self.look_for_awaited();
            let ids: Vec<u64> = self.by_path.values().copied().collect();
            ids.into_iter().for_each(|id| self.look(id));
        }
    }

    fn timers(&mut self) {
        let now = Instant::now();
        if now >= self.next_refresh {
            self.refresh();
            self.next_refresh = Instant::now() + self.reader.settings.refresh_interval;
        }
        if now >= self.next_tick {
            self.next_tick = now + TICK;
            self.tick(now);
        }
        if self.next_compaction.is_some_and(|at| now >= at) {
            log_info!(self.reader.context.log, "Clean up the pos file");
            if let Err(error) = self.positions.compact() {
                log_warn!(self.reader.context.log, "cannot clean up the pos file", error = error.to_string());
            }
            self.next_compaction =
                self.reader.settings.pos_file_compaction_interval.map(|interval| now + interval);
        }
    }

    /// Once a second: looks at files, lets go of rotated ones, flushes unfinished events, repeats what failed.
    fn tick(&mut self, now: Instant) {
        self.rewind_failed();
        if self.reader.settings.enable_watch_timer || !self.notify.is_active() {
            self.stat_pass();
        }
        let rotate_wait = self.reader.settings.rotate_wait;
        let ids: Vec<u64> = self.files.keys().copied().collect();
        for id in ids {
            let Some(file) = self.files.get_mut(&id) else { continue };
            if file.refused.is_some() || !file.at_end {
                self.ready.push_back(id);
            } else if let Some(interval) = self.reader.settings.multiline_flush_interval
                && file.group.as_ref().is_some_and(|group| now.duration_since(group.since) >= interval)
            {
                self.reader.flush_group(file);
            }
            if file.rotated.is_some_and(|since| now.duration_since(since) >= rotate_wait) {
                self.let_go(id);
            }
        }
        self.look_for_awaited();
        if self.files.len() > OPEN_FILES_MAX {
            self.close_idle();
        }
    }

    /// Looks at all files, or with inotify at so many a tick.
    fn stat_pass(&mut self) {
        if self.stat_cursor.is_empty() {
            self.stat_cursor = self.files.keys().copied().collect();
        }
        let most = if self.notify.is_active() { STATS_PER_TICK } else { usize::MAX };
        let from = self.stat_cursor.len().saturating_sub(most);
        let ids = self.stat_cursor.split_off(from);
        ids.into_iter().for_each(|id| self.look(id));
    }

    /// What became of a file: nothing, more bytes, fewer bytes, another file at its path.
    fn look(&mut self, id: u64) {
        let Some(file) = self.files.get_mut(&id) else { return };
        if file.rotated.is_some() {
            self.ready.push_back(id);
            return;
        }
        match fs::metadata(&file.path) {
            Ok(meta) if (meta.dev(), meta.ino()) == (file.identity.dev, file.identity.ino) => {
                let size = meta.len();
                if size < file.size || size < file.offset {
                    self.truncated(id);
                } else if size > file.size || file.refused.is_some() || !file.at_end {
                    file.size = size;
                    self.ready.push_back(id);
                }
            }
            Ok(meta) => self.rotated(id, Some((meta.dev(), meta.ino()))),
            Err(_) => self.rotated(id, None),
        }
    }

    fn turn(&mut self, id: u64) {
        let Some(file) = self.files.get_mut(&id) else { return };
        match self.reader.turn(file) {
            Turn::More => self.ready.push_back(id),
            Turn::End => file.size = file.size.max(file.read_at()),
            Turn::Wait => file.at_end = false,
            Turn::Gone => self.gone(id),
        }
    }

    /// The path leads elsewhere, and the file was not open: what it still held cannot be read.
    fn gone(&mut self, id: u64) {
        let is_rotated = self.files.get(&id).is_some_and(|file| file.rotated.is_some());
        if is_rotated { self.let_go(id) } else { self.look(id) }
    }

    /// copytruncate.
    fn truncated(&mut self, id: u64) {
        let Some(file) = self.files.get_mut(&id) else { return };
        file.truncated();
        file.size = 0;
        log_info!(self.reader.context.log, format!("detected rotation of {}", file.path.display()));
        log_info!(self.reader.context.log, format!("following tail of {}", file.path.display()));
        if file.has_entry {
            let position = Position { offset: 0, inode: file.identity.ino };
            self.reader.settlements.push(Settlement::Switch { path: file.path.clone(), position });
        }
        self.ready.push_back(id);
    }

    /// Another file is at the path, or none. The old one is read to its end first, and for rotate_wait on.
    fn rotated(&mut self, id: u64, new: Option<(u64, u64)>) {
        let wait = self.reader.settings.rotate_wait.as_secs_f64();
        let Some(file) = self.files.get_mut(&id) else { return };
        let path = file.path.clone();
        log_info!(
            self.reader.context.log,
            format!("detected rotation of {}; waiting {wait} seconds", path.display())
        );
        while self.reader.turn(file) == Turn::More {}
        file.rotated = Some(Instant::now());
        let follow_inodes = self.reader.settings.follow_inodes;
        // Without a successor the entry is still this file's, so that what is read of it is not read again.
        file.has_entry = follow_inodes || new.is_none();
        self.by_path.remove(&path);
        self.notify.unwatch(id);
        if let Some((dev, inode)) = new {
            let position = Position { offset: 0, inode };
            if follow_inodes {
                if self.files.values().any(|file| file.identity.ino == inode && file.identity.dev == dev) {
                    return;
                }
                let known = self.positions.get(&path, inode);
                let offset = if known.inode == inode { known.offset } else { 0 };
                self.reader
                    .settlements
                    .push(Settlement::Switch { path: path.clone(), position: Position { offset, inode } });
                self.add(Target { path, dev, inode }, offset, true);
            } else {
                self.reader.settlements.push(Settlement::Switch { path: path.clone(), position });
                self.add(Target { path, dev, inode }, 0, true);
            }
        } else if !follow_inodes {
            self.awaited.insert(path);
        }
    }

    /// The file that logrotate (or the application) makes a moment after it renamed the one before.
    fn look_for_awaited(&mut self) {
        let found: Vec<(PathBuf, fs::Metadata)> = self
            .awaited
            .iter()
            .filter_map(|path| Some((path.clone(), fs::metadata(path).ok().filter(|meta| meta.is_file())?)))
            .collect();
        for (path, meta) in found {
            self.awaited.remove(&path);
            for file in self.files.values_mut().filter(|file| file.path == path) {
                file.has_entry = false;
            }
            let (dev, inode) = (meta.dev(), meta.ino());
            self.reader
                .settlements
                .push(Settlement::Switch { path: path.clone(), position: Position { offset: 0, inode } });
            self.add(Target { path, dev, inode }, 0, true);
        }
    }

    /// Looks for files that came and went.
    fn refresh(&mut self) {
        self.look_for_awaited();
        self.awaited.clear();
        let targets = self.paths.expand();
        let first = std::mem::replace(&mut self.first_refresh, false);
        if self.reader.settings.follow_inodes {
            self.positions
                .unwatch_missing(|key| targets.values().any(|target| *key == Key::Inode(target.inode)));
        }
        let missing: Vec<u64> =
            self.by_path.iter().filter(|(path, _)| !targets.contains_key(*path)).map(|(_, id)| *id).collect();
        for id in missing {
            self.missing(id);
        }
        for (path, target) in targets {
            if self.by_path.contains_key(&path) || self.is_followed_elsewhere(&target) {
                continue;
            }
            self.follow(target, first);
        }
    }

    /// With follow_inodes a file that was renamed is known under its old name.
    fn is_followed_elsewhere(&self, target: &Target) -> bool {
        self.reader.settings.follow_inodes
            && self
                .files
                .values()
                .any(|file| (file.identity.dev, file.identity.ino) == (target.dev, target.inode))
    }

    /// A file that no pattern finds any more.
    fn missing(&mut self, id: u64) {
        let Some(file) = self.files.get_mut(&id) else { return };
        while self.reader.turn(file) == Turn::More {}
        file.rotated = Some(Instant::now());
        self.by_path.remove(&file.path);
        if !self.reader.settings.follow_inodes {
            let (path, inode) = (file.path.clone(), file.identity.ino);
            self.reader.settlements.push(Settlement::Unwatch { path, inode });
        }
    }

    /// Begins to read a file: where it was left, else at its end, or at its beginning.
    fn follow(&mut self, target: Target, first: bool) {
        let known = self.positions.get(&target.path, target.inode);
        let size = fs::metadata(&target.path).map_or(0, |meta| meta.len());
        let from_head = !first || self.reader.settings.read_from_head;
        let offset = match known.inode {
            inode if inode == target.inode => {
                if known.offset > size {
                    0
                } else {
                    known.offset
                }
            }
            0 => {
                if from_head {
                    0
                } else {
                    size
                }
            }
            left => {
                self.finish_rotated(&target.path, left, known.offset);
                0
            }
        };
        let position = Position { offset, inode: target.inode };
        if position != known {
            self.reader.settlements.push(Settlement::Switch { path: target.path.clone(), position });
        }
        self.add(target, offset, true);
    }

    /// The file that was read before the restart has been rotated away meanwhile: it is looked for beside its path, and
    /// read to its end.
    fn finish_rotated(&mut self, path: &Path, inode: u64, offset: u64) {
        let Some(found) = sibling_with_inode(path, inode) else { return };
        let Ok(meta) = fs::metadata(&found) else { return };
        if meta.len() <= offset {
            return;
        }
        log_info!(
            self.reader.context.log,
            "reading the rest of a file that was rotated while Logweir was down",
            path = path,
            rotated = found,
            offset = offset
        );
        let target = Target { path: found, dev: meta.dev(), inode };
        let Some(id) = self.add(target, offset, false) else { return };
        let Some(file) = self.files.get_mut(&id) else { return };
        file.tag = self.reader.settings.tag.of(path);
        while self.reader.turn(file) == Turn::More {}
        file.rotated = Some(Instant::now());
    }

    /// `has_entry` is false for a file that the pos file does not know by its path.
    fn add(&mut self, target: Target, offset: u64, has_entry: bool) -> Option<u64> {
        let id = self.next_id;
        self.next_id += 1;
        let settings = &self.reader.settings;
        let tag = settings.tag.of(&target.path);
        let throttle = Throttle::new(settings.read_bytes_limit_per_second);
        let mut file =
            TailedFile::new(target.path.clone(), tag, target.dev, target.inode, offset, id, throttle);
        file.has_entry = has_entry;
        log_info!(self.reader.context.log, format!("following tail of {}", target.path.display()));
        self.files.insert(id, file);
        if has_entry {
            if let Some(groups) = &mut self.reader.groups {
                groups.add(&target.path);
            }
            self.notify.watch(id, &target.path);
            self.by_path.insert(target.path, id);
        }
        self.ready.push_back(id);
        Some(id)
    }

    fn let_go(&mut self, id: u64) {
        let Some(mut file) = self.files.remove(&id) else { return };
        while self.reader.turn(&mut file) == Turn::More {}
        if file.refused.is_some() {
            self.files.insert(id, file);
            return;
        }
        self.reader.flush_group(&mut file);
        self.notify.unwatch(id);
        if let Some(groups) = &mut self.reader.groups
            && !self.by_path.contains_key(&file.path)
        {
            groups.remove(&file.path);
        }
    }

    fn rewind_failed(&mut self) {
        for reading in self.reader.settlements.take_failed() {
            if let Some(file) = self.files.get_mut(&reading.file).filter(|file| file.reading == reading) {
                let known = self.positions.get(&file.path, file.identity.ino);
                file.rewind(if known.inode == file.identity.ino { known.offset } else { 0 });
                self.ready.push_back(reading.file);
            }
            self.reader.settlements.forget_failed(Reading { ..reading });
        }
    }

    /// Keeps the number of open files bounded; offsets stay.
    fn close_idle(&mut self) {
        for file in self.files.values_mut().filter(|file| file.at_end && file.rotated.is_none()) {
            file.handle = None;
        }
    }

    /// Everything that can be read soon is; unfinished events are emitted; positions are settled.
    fn finish(mut self) {
        let until = Instant::now() + READ_AFTER_STOP;
        let ids: Vec<u64> = self.files.keys().copied().collect();
        for id in ids {
            let Some(file) = self.files.get_mut(&id) else { continue };
            while Instant::now() < until && self.reader.turn(file) == Turn::More {}
            self.reader.flush_group(file);
        }
        let handle = self.reader.handle.clone();
        self.reader.settlements.finish(&handle);
    }
}

fn open_positions(
    settings: &Settings,
    context: &InputContext,
    paths: &mut Paths,
) -> Result<Positions, StartError> {
    let Some(path) = &settings.pos_file else { return Ok(Positions::in_memory(context.log.clone())) };
    let failed = |error: std::io::Error| {
        let message = format!("cannot open the pos file {}: {error}", path.display());
        StartError::new("Errno::EACCES", message)
    };
    if let Some(folder) = path.parent() {
        use std::os::unix::fs::DirBuilderExt;
        let mut builder = fs::DirBuilder::new();
        builder.recursive(true).mode(settings.dir_permission).create(folder).map_err(failed)?;
    }
    let targets: BTreeMap<PathBuf, Target> = paths.expand();
    let exists = |key: &Key| match key {
        Key::Path(path) => targets.contains_key(path),
        Key::Inode(inode) => targets.values().any(|target| target.inode == *inode),
    };
    let fs = Arc::new(RealFs);
    let log = context.log.clone();
    Positions::open(fs, path, settings.file_permission, settings.follow_inodes, log, exists).map_err(failed)
}

/// A file in the folder of `path` (or of what `path` links to) that has this inode.
fn sibling_with_inode(path: &Path, inode: u64) -> Option<PathBuf> {
    let real = fs::canonicalize(path).ok()?;
    let folders = [path.parent()?.to_owned(), real.parent()?.to_owned()];
    folders.iter().find_map(|folder| {
        let entries = fs::read_dir(folder).ok()?;
        entries
            .flatten()
            .map(|entry| entry.path())
            .find(|candidate| fs::metadata(candidate).is_ok_and(|meta| meta.is_file() && meta.ino() == inode))
    })
}
