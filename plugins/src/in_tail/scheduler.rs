//! The thread of a source: whose turn it is, and when it is time to look.
//!
//! Files take turns of one read each, so that a large one does not hold up the others. What becomes of paths and of the
//! files that were there is in [`super::rotation`] and [`super::refresh`].

use super::commits::{Reading, Settlement, Settlements};
use super::file::TailedFile;
use super::group::Groups;
use super::handle::Handle;
use super::identity::Inode;
use super::notify::Notify;
use super::paths::Paths;
use super::position::{Position, Positions};
use super::reader::{Reader, Turn};
use super::refresh::open_positions;
use super::series::{Series, Start};
use super::settings::Settings;
use logweir_engine::plugin::{FollowedFiles, InputContext, StartError};
use logweir_engine::{log_info, log_warn};
use std::collections::{HashMap, HashSet, VecDeque};
use std::fs;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant, SystemTime};
use tokio::runtime::Handle as Runtime;
use tokio::sync::oneshot;

/// How often files are looked at.
const TICK: Duration = Duration::from_secs(1);
/// How often changes are asked for while there is something to read.
const POLL: Duration = Duration::from_millis(50);
/// Paths that are looked at in one tick when inotify reports changes anyway; the others follow in the next ticks.
const STATS_PER_TICK: usize = 1000;
/// At a stop, files are read on to their end for at most this long (Fluentd's SHUTDOWN_TIMEOUT).
const READ_AFTER_STOP: Duration = Duration::from_secs(5);
/// How often it is said that no more files can be opened, while that lasts.
const OUT_OF_FILES_WARN_INTERVAL: Duration = Duration::from_secs(60);

/// All files of a source.
pub(super) struct Scheduler {
    pub(super) reader: Reader,
    pub(super) paths: Paths,
    pub(super) positions: Positions,
    pub(super) notify: Notify,
    pub(super) files: HashMap<u64, TailedFile>,
    pub(super) by_inode: HashMap<Inode, Vec<u64>>,
    /// What is and what was at each path.
    pub(super) series: HashMap<PathBuf, Series>,
    /// Where links lead, and the link.
    pub(super) links: HashMap<PathBuf, PathBuf>,
    /// Where files are that left their paths.
    pub(super) moved: HashMap<PathBuf, u64>,
    /// Where files are that left a path before they were looked at, and the path.
    pub(super) found: HashMap<PathBuf, PathBuf>,
    /// Paths whose names changed.
    pub(super) touched: HashSet<PathBuf>,
    /// inotify could not report everything.
    pub(super) missed: bool,
    /// Files that were let go of: what comes back is not new.
    pub(super) past: HashSet<Inode>,
    /// Entries whose files the last refresh did not find (follow_inodes).
    pub(super) not_found: HashSet<u64>,
    pub(super) started: SystemTime,
    pub(super) first_refresh: bool,
    ready: VecDeque<u64>,
    pub(super) next_id: u64,
    /// Where the stat pass goes on.
    stat_cursor: Vec<PathBuf>,
    out_of_files: Option<Instant>,
    next_poll: Instant,
    next_tick: Instant,
    next_refresh: Instant,
    next_compaction: Option<Instant>,
}

impl Scheduler {
    /// Opens the pos file. Files are opened when the thread runs.
    pub(super) fn new(
        settings: Arc<Settings>,
        context: InputContext,
        handle: Runtime,
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
        let shown = positions.clone();
        let followed = Arc::new(FollowedFiles::new(move || shown.followed()));
        // Of an input that is started once.
        let _ = context.counters.followed.set(Arc::clone(&followed));
        let settlements = Settlements::start(&handle, positions.clone(), log.clone());
        let notify = Notify::new(settings.enable_stat_watcher, stop, log);
        let groups = settings.groups.clone().map(Groups::new);
        let now = Instant::now();
        let first = if settings.skip_refresh_on_startup { settings.refresh_interval } else { Duration::ZERO };
        Ok(Self {
            next_poll: now + POLL,
            next_tick: now + TICK,
            next_refresh: now + first,
            next_compaction: settings.pos_file_compaction_interval.map(|interval| now + interval),
            reader: Reader::new(settings, context, handle, settlements, groups, followed),
            paths,
            positions,
            notify,
            files: HashMap::new(),
            by_inode: HashMap::new(),
            series: HashMap::new(),
            links: HashMap::new(),
            moved: HashMap::new(),
            found: HashMap::new(),
            touched: HashSet::new(),
            missed: false,
            past: HashSet::new(),
            not_found: HashSet::new(),
            started: SystemTime::now(),
            first_refresh: true,
            ready: VecDeque::new(),
            next_id: 0,
            stat_cursor: Vec::new(),
            out_of_files: None,
        })
    }

    /// Runs until the source is stopped. Says `ready` once the files are known that are there now.
    pub(super) fn run(mut self, ready: oneshot::Sender<()>) {
        self.timers();
        // The program may have given up its start.
        let _ = ready.send(());
        while !self.is_stopped() {
            self.timers();
            match self.ready.pop_front() {
                Some(id) => self.turn(id),
                None => self.wait(self.until_next_timer()),
            }
        }
        self.finish();
    }

    fn is_stopped(&self) -> bool {
        self.reader.context.stop.is_cancelled()
    }

    fn until_next_timer(&self) -> Duration {
        let next =
            self.next_tick.min(self.next_refresh).min(self.next_compaction.unwrap_or(self.next_refresh));
        next.saturating_duration_since(Instant::now())
    }

    /// Waits for changes, and enters them.
    fn wait(&mut self, timeout: Duration) {
        let changes = self.notify.wait(timeout);
        self.next_poll = Instant::now() + POLL;
        self.missed |= changes.all;
        // Before anything is looked at: what is seen counts only with what was reported before it.
        self.names_changed(changes.names);
        for id in changes.files {
            self.look_at_file(id);
        }
        if std::mem::take(&mut self.missed) {
            self.look_at_all();
        }
    }

    fn timers(&mut self) {
        let now = Instant::now();
        if now >= self.next_poll {
            // With always something to read it does not come to wait.
            self.wait(Duration::ZERO);
        }
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
        let mut ids: Vec<u64> = self.files.keys().copied().collect();
        ids.sort_unstable();
        for id in ids {
            let Some(file) = self.files.get_mut(&id) else { continue };
            if file.refused.is_some() || !file.at_end || file.rotated.is_some() {
                self.wake(id);
            } else if let Some(interval) = self.reader.settings.multiline_flush_interval
                && file.group.as_ref().is_some_and(|group| now.duration_since(group.since) >= interval)
            {
                self.reader.flush_group(file);
            }
            let rotated = self.files.get(&id).and_then(|file| file.rotated);
            if rotated.is_some_and(|since| now.duration_since(since) >= rotate_wait) {
                self.let_go(id);
            }
        }
        let vacant: Vec<PathBuf> =
            self.series.iter().filter(|(_, s)| s.is_vacant()).map(|(p, _)| p.clone()).collect();
        vacant.into_iter().for_each(|path| self.resolve(&path, Start::Live));
        self.settle_names();
        if Handle::are_too_many() {
            self.close_idle(None);
        }
        let unread = self.files.values().map(|file| file.size.saturating_sub(file.read_at())).sum();
        self.reader.followed.unread_bytes.store(unread, Ordering::Relaxed);
        self.reader.followed.files.store(self.files.len() as u64, Ordering::Relaxed);
    }

    /// Looks at all paths, or with inotify at so many a tick.
    fn stat_pass(&mut self) {
        if self.stat_cursor.is_empty() {
            self.stat_cursor = self.series.keys().cloned().collect();
        }
        let most = if self.notify.is_active() { STATS_PER_TICK } else { usize::MAX };
        let from = self.stat_cursor.len().saturating_sub(most);
        let paths = self.stat_cursor.split_off(from);
        paths.into_iter().for_each(|path| self.look(&path));
    }

    fn look_at_all(&mut self) {
        let paths: Vec<PathBuf> = self.series.keys().cloned().collect();
        paths.into_iter().for_each(|path| self.look(&path));
        let rotated: Vec<u64> =
            self.files.iter().filter(|(_, file)| file.rotated.is_some()).map(|(id, _)| *id).collect();
        rotated.into_iter().for_each(|id| self.wake(id));
    }

    fn look_at_file(&mut self, id: u64) {
        match self.files.get(&id) {
            Some(file) if file.rotated.is_some() => self.wake(id),
            Some(file) => {
                let path = file.path.clone();
                self.look(&path);
            }
            None => {}
        }
    }

    /// What became of a path: nothing, more bytes, fewer bytes, another file.
    fn look(&mut self, path: &Path) {
        let Some(id) = self.series.get(path).and_then(|series| series.current) else { return };
        let Some(file) = self.files.get_mut(&id) else { return };
        match fs::metadata(path) {
            Ok(meta) if Inode::of(&meta) == file.inode => {
                let size = meta.len();
                if size < file.size || size < file.offset {
                    self.truncated(id);
                } else if size > file.size || file.refused.is_some() || !file.at_end {
                    file.size = size;
                    self.wake(id);
                }
            }
            _ => {
                self.resolve(path, Start::Live);
                self.settle_names();
            }
        }
    }

    /// A file has its turn as soon as those before it had theirs.
    pub(super) fn wake(&mut self, id: u64) {
        if let Some(file) = self.files.get_mut(&id)
            && !std::mem::replace(&mut file.is_queued, true)
        {
            self.ready.push_back(id);
        }
    }

    fn turn(&mut self, id: u64) {
        let Some(file) = self.files.get_mut(&id) else { return };
        file.is_queued = false;
        if file.after.is_some() && !self.has_come(id) {
            return;
        }
        self.read(id);
    }

    /// Gives a file a turn.
    pub(super) fn read(&mut self, id: u64) -> Turn {
        if Handle::are_too_many() {
            self.close_idle(Some(id));
        }
        let Some(file) = self.files.get_mut(&id) else { return Turn::Gone };
        let turn = self.reader.turn(file);
        match turn {
            Turn::More => self.wake(id),
            Turn::End => {
                file.size = file.size.max(file.read_at());
                if let (Some(_), Some(next)) = (file.rotated, file.next) {
                    self.wake(next);
                }
            }
            Turn::Wait => file.at_end = false,
            Turn::Gone => self.gone(id),
            Turn::Replaced if file.rotated.is_some() => file.at_end = true,
            Turn::Replaced => self.truncated(id),
            Turn::OutOfFiles => self.out_of_files(id),
        }
        turn
    }

    /// copytruncate.
    fn truncated(&mut self, id: u64) {
        let Some(file) = self.files.get_mut(&id) else { return };
        self.reader.flush_group(file);
        file.truncated();
        self.reader.followed.rotated.fetch_add(1, Ordering::Relaxed);
        log_info!(self.reader.context.log, format!("detected rotation of {}", file.path.display()));
        log_info!(self.reader.context.log, format!("following tail of {}", file.path.display()));
        if file.has_entry {
            let position = Position { offset: 0, inode: file.inode.number };
            self.reader.settlements.push(Settlement::Switch { path: file.path.clone(), position });
        }
        self.wake(id);
    }

    fn rewind_failed(&mut self) {
        for reading in self.reader.settlements.take_failed() {
            if let Some(file) = self.files.get_mut(&reading.file).filter(|file| file.reading == reading) {
                let known = self.positions.get(&file.path, file.inode.number);
                let is_own = file.has_entry && known.inode == file.inode.number;
                file.rewind(if is_own { known.offset } else { file.entry_end });
                self.wake(reading.file);
            }
            self.reader.settlements.forget_failed(Reading { ..reading });
        }
    }

    /// Some files are closed, so that this one can be opened; at least they take turns.
    fn out_of_files(&mut self, id: u64) {
        let now = Instant::now();
        if self.out_of_files.is_none_or(|warned| now.duration_since(warned) >= OUT_OF_FILES_WARN_INTERVAL) {
            self.out_of_files = Some(now);
            let open = self.files.values().filter(|file| file.handle.is_some()).count();
            log_warn!(
                self.reader.context.log,
                "cannot open more files: the process is at its limit of open files (RLIMIT_NOFILE). Files are closed \
                 and opened in turns, nothing is lost; a higher limit (ulimit -n, LimitNOFILE=) makes it faster",
                files = self.files.len(),
                open = open
            );
        }
        if self.close_idle(Some(id)) {
            self.wake(id);
        }
    }

    /// Closes half of the open files, those first that are read to their end and had no turn for long. Offsets stay.
    /// Answers whether there was any.
    pub(super) fn close_idle(&mut self, except: Option<u64>) -> bool {
        let mut open: Vec<(bool, Instant, u64)> = self
            .files
            .iter()
            .filter(|(id, file)| file.handle.is_some() && !file.is_lost && Some(**id) != except)
            .map(|(id, file)| (file.rotated.is_some() || !file.at_end, file.used, *id))
            .collect();
        open.sort_unstable();
        open.truncate(open.len().div_ceil(2));
        for (_, _, id) in &open {
            if let Some(file) = self.files.get_mut(id) {
                file.handle = None;
            }
        }
        !open.is_empty()
    }

    /// Everything that can be read soon is; unfinished events are emitted; positions are settled.
    fn finish(mut self) {
        let until = Instant::now() + READ_AFTER_STOP;
        let mut ids: Vec<u64> = self.files.keys().copied().collect();
        ids.sort_unstable();
        for id in ids {
            if self.files.get(&id).is_none_or(|file| file.after.is_some()) && !self.has_come(id) {
                continue;
            }
            while Instant::now() < until && self.read(id) == Turn::More {}
            if let Some(file) = self.files.get_mut(&id) {
                self.reader.flush_group(file);
            }
        }
        let handle = self.reader.handle.clone();
        self.reader.settlements.finish(&handle);
    }
}
