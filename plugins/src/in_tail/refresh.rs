//! Looks for files that came and went: at the start, and every refresh_interval.

use super::commits::Settlement;
use super::identity::Inode;
use super::paths::Paths;
use super::position::{Key, Position, Positions};
use super::scheduler::Scheduler;
use super::series::{Seen, Series, Start, find_renamed};
use super::settings::Settings;
use logweir_engine::io::RealFs;
use logweir_engine::log_info;
use logweir_engine::plugin::{InputContext, StartError};
use std::collections::{BTreeMap, HashSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

impl Scheduler {
    /// Looks for files that came and went.
    pub(super) fn refresh(&mut self) {
        let mut targets = self.paths.expand();
        if self.watch_folders(&targets) {
            // What changed in between was not reported.
            targets = self.paths.expand();
        }
        self.read_names();
        let first = std::mem::replace(&mut self.first_refresh, false);
        if self.reader.settings.follow_inodes {
            self.unwatch_missing(&targets);
        }
        let missing: Vec<PathBuf> =
            self.series.keys().filter(|path| !targets.contains_key(*path)).cloned().collect();
        missing.into_iter().for_each(|path| self.missing(&path));
        for (path, inode) in targets {
            if self.series.get(&path).is_none_or(Series::is_vacant) && !self.is_followed_elsewhere(inode) {
                self.follow(path, first);
            }
        }
        self.settle_names();
    }

    /// Answers whether one of the folders has not been watched so far.
    fn watch_folders(&mut self, targets: &BTreeMap<PathBuf, Inode>) -> bool {
        let folders: HashSet<&Path> = targets.keys().filter_map(|path| path.parent()).collect();
        let mut any = false;
        for folder in folders {
            any |= self.notify.watch_folder(folder);
        }
        any
    }

    /// With follow_inodes a file that was renamed is known under its old name.
    fn is_followed_elsewhere(&self, inode: Inode) -> bool {
        self.reader.settings.follow_inodes && self.by_inode.contains_key(&inode)
    }

    /// Entries of files that are gone. A file that is renamed while names are listed may be missed once.
    fn unwatch_missing(&mut self, targets: &BTreeMap<PathBuf, Inode>) {
        let mut here: HashSet<u64> = targets.values().map(|inode| inode.number).collect();
        here.extend(self.files.values().map(|file| file.inode.number));
        let mut not_found = HashSet::new();
        for inode in self.positions.inodes().into_iter().filter(|inode| !here.contains(inode)) {
            if self.not_found.contains(&inode) {
                self.positions.unwatch(Path::new(""), inode);
            } else {
                not_found.insert(inode);
            }
        }
        self.not_found = not_found;
    }

    /// A path that no pattern finds any more.
    fn missing(&mut self, path: &Path) {
        self.resolve(path, Start::Live);
        let Some(series) = self.series.get_mut(path) else { return };
        if let Some(id) = series.current.take() {
            // It is there, but it is not wanted.
            series.is_unwanted = true;
            if let Some(file) = self.files.get_mut(&id) {
                file.rotated = Some(Instant::now());
            }
            self.wake(id);
        } else if !self.files.values().any(|file| file.path == path)
            && let Some(series) = self.series.remove(path)
        {
            self.links.remove(&series.place);
        }
    }

    fn follow(&mut self, path: PathBuf, first: bool) {
        // What was reported so far is of before.
        self.read_names();
        self.series.entry(path.clone()).or_insert_with(|| Series::at(&path));
        self.resolve(&path, Start::Refresh { first });
    }

    /// Begins to read a file: where it was left, else at its end, or at its beginning.
    pub(super) fn begin_found(&mut self, path: &Path, seen: Seen, first: bool) {
        let known = self.positions.get(path, seen.inode.number);
        let from_head = !first || self.reader.settings.read_from_head;
        let is_new = !first && self.is_new(seen.inode) == Some(true);
        let mut after = None;
        let offset = match known.inode {
            _ if is_new => 0,
            inode if inode == seen.inode.number && known.offset <= seen.size => known.offset,
            inode if inode == seen.inode.number => 0,
            0 if from_head => 0,
            0 => seen.size,
            left => {
                after = self.begin_rotated(path, &seen, left, known.offset);
                0
            }
        };
        let position = Position { offset, inode: seen.inode.number };
        if position != known && after.is_none() {
            self.reader.settlements.push(Settlement::Switch { path: path.to_owned(), position });
        }
        let id = self.add(path, seen, offset, true);
        if let Some(before) = after.and_then(|before| self.files.get_mut(&before)) {
            before.next = Some(id);
        }
        if let Some(file) = self.files.get_mut(&id) {
            (file.is_new, file.has_entry, file.after) = (is_new, after.is_none(), after);
        }
    }

    /// The file that was read before the restart has been rotated away meanwhile: it is looked for beside its path, and
    /// read to its end.
    fn begin_rotated(&mut self, path: &Path, now_there: &Seen, inode: u64, offset: u64) -> Option<u64> {
        let inode = Inode::numbered(inode, now_there.inode.dev);
        let place = find_renamed(&now_there.place, path, inode, offset)?;
        let rotated = Seen::at(&place)?;
        if rotated.size > offset {
            log_info!(
                self.reader.context.log,
                "reading the rest of a file that was rotated while Logweir was down",
                path = path,
                rotated = place,
                offset = offset
            );
        }
        Some(self.add(path, rotated, offset, false))
    }
}

/// Opens the pos file of a source.
pub(super) fn open_positions(
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
    let targets: BTreeMap<PathBuf, Inode> = paths.expand();
    let inodes: HashSet<u64> = targets.values().map(|inode| inode.number).collect();
    let exists = |key: &Key| match key {
        Key::Path(path) => targets.contains_key(path),
        Key::Inode(inode) => inodes.contains(inode),
    };
    let fs = Arc::new(RealFs);
    let log = context.log.clone();
    Positions::open(fs, path, settings.file_permission, settings.follow_inodes, log, exists).map_err(failed)
}
