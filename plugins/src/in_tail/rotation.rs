//! What becomes of the file at a path: it is renamed, deleted, replaced, and others take its place.
//!
//! The files that were at a path one after the other are its series. Each is read to its end before the next one is begun,
//! so that lines keep their order and the path's one entry in the pos file is always that of the oldest file with something
//! left to read. The entry passes to the next file when that has content.
//!
//! A path may have had several files before there was time to look. Where they went is known from the changes of names in
//! the folder ([`super::names`]). What a change says is true of the moment when it was made, so what is seen at a place counts
//! only if no change of it is waiting to be read.

use super::commits::Settlement;
use super::file::TailedFile;
use super::handle::Handle;
use super::identity::Inode;
use super::names::NameChange;
use super::position::Position;
use super::reader::Turn;
use super::scheduler::Scheduler;
use super::series::{Seen, Start, find_renamed, place_of};
use super::throttle::Throttle;
use logweir_engine::buffer::replay::forget;
use logweir_engine::fault;
use logweir_engine::{log_info, log_warn};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;
use std::time::Instant;

/// How often a look at a path is repeated because names change under it.
const LOOKS_MAX: usize = 100;
/// Files that were let go of and are remembered.
const PAST_MAX: usize = 65_536;

impl Scheduler {
    /// Follows the changes of names so far.
    pub(super) fn read_names(&mut self) {
        let (changes, missed) = self.notify.names();
        self.missed |= missed;
        self.names_changed(changes);
    }

    /// Follows changes of names.
    pub(super) fn names_changed(&mut self, changes: Vec<NameChange>) {
        changes.into_iter().for_each(|change| self.note(change));
        self.settle_names();
    }

    /// Looks at the paths whose names changed.
    pub(super) fn settle_names(&mut self) {
        while let Some(path) = self.touched.iter().next().cloned() {
            self.touched.remove(&path);
            self.resolve(&path, Start::Live);
        }
    }

    /// Finds out what is at a path, and what was there since the last time.
    pub(super) fn resolve(&mut self, path: &Path, start: Start) {
        let Some(series) = self.series.get_mut(path) else { return };
        series.is_unwanted &= start == Start::Live;
        if series.is_unwanted {
            return;
        }
        let mut seen = self.see(path);
        for _ in 0..LOOKS_MAX {
            let (changes, missed) = self.notify.names();
            self.missed |= missed;
            changes.into_iter().for_each(|change| self.note(change));
            if !self.touched.remove(path) {
                break;
            }
            seen = self.see(path);
        }
        let (gone, here) = seen;
        let Some(series) = self.series.get_mut(path) else { return };
        for place in std::mem::take(&mut series.found) {
            self.found.remove(&place);
        }
        let current = series.current;
        let is_here =
            |s: &Self, id| s.files.get(&id).map(|file| file.inode) == here.as_ref().map(|seen| seen.inode);
        match current {
            Some(id) if is_here(self, id) => self.is_back(id, path),
            Some(id) => self.displace(id, path),
            None => {}
        }
        for seen in gone {
            if self.reading_of(path, seen.inode).is_none() {
                self.begin_live(path, seen, false);
            }
        }
        let Some(seen) = here else { return };
        // A refresh may find it first, but it is the successor of one that is still read.
        let last = self.series.get(path).and_then(|series| series.last);
        let start = if last.is_some_and(|id| self.files.contains_key(&id)) { Start::Live } else { start };
        match (self.reading_of(path, seen.inode), start) {
            (Some(id), _) if Some(id) == current => {}
            (Some(id), _) => self.take_back(id, path, &seen),
            (None, Start::Live) => self.begin_live(path, seen, true),
            (None, Start::Refresh { first }) => self.begin_found(path, seen, first),
        }
    }

    /// What is where files of the path went, and what is at the path.
    fn see(&mut self, path: &Path) -> (Vec<Seen>, Option<Seen>) {
        let place = place_of(path);
        let Some(series) = self.series.get_mut(path) else { return (Vec::new(), None) };
        if series.place != place {
            self.links.remove(&series.place);
            series.place.clone_from(&place);
            if place != path {
                self.links.insert(place.clone(), path.to_owned());
                if let Some(folder) = place.parent() {
                    self.notify.watch_folder(folder);
                }
            }
        }
        let gone = series.found.iter().filter_map(|place| Seen::at(place)).collect();
        (gone, Seen::at(&place))
    }

    /// Enters a change of a name.
    fn note(&mut self, change: NameChange) {
        match change {
            NameChange::Appeared(path) => self.touch(&path),
            NameChange::Removed(path) => {
                self.lose(&path);
                self.touch(&path);
            }
            NameChange::Moved { from, to } => {
                if let Some(to) = &to {
                    self.lose(to);
                }
                self.note_move(&from, to.as_deref());
                self.touch(&from);
                if let Some(to) = &to {
                    self.touch(to);
                }
            }
        }
    }

    fn note_move(&mut self, from: &Path, to: Option<&Path>) {
        if let Some(id) = self.moved.remove(from) {
            self.move_file(id, to);
            return;
        }
        if let Some(of) = self.found.remove(from) {
            let Some(series) = self.series.get_mut(&of) else { return };
            series.found.retain(|place| place != from || to.is_some());
            if let (Some(to), Some(place)) = (to, series.found.iter_mut().find(|place| *place == from)) {
                to.clone_into(place);
                self.found.insert(to.to_owned(), of.clone());
            }
            self.touched.insert(of);
            return;
        }
        let Some(of) = self.series_at(from) else { return };
        let Some(series) = self.series.get_mut(&of).filter(|series| series.place == from) else { return };
        let current = series.current.filter(|id| self.files.get(id).is_some_and(|file| !file.has_left));
        match (current, to) {
            (Some(id), _) => self.move_file(id, to),
            (None, Some(to)) => {
                series.found.push(to.to_owned());
                self.found.insert(to.to_owned(), of);
            }
            (None, None) => {}
        }
    }

    fn move_file(&mut self, id: u64, to: Option<&Path>) {
        let Some(file) = self.files.get_mut(&id) else { return };
        file.has_left = true;
        match to {
            Some(to) => {
                to.clone_into(&mut file.place);
                file.is_lost = false;
                self.moved.insert(to.to_owned(), id);
            }
            None => file.is_lost = true,
        }
    }

    /// What was at a place has lost that name: it was deleted, or another file took it.
    fn lose(&mut self, place: &Path) {
        let current = || self.series.get(&self.series_at(place)?)?.current;
        let known = self.moved.get(place).copied().or_else(current);
        self.moved.remove(place);
        if let Some(file) = known.and_then(|id| self.files.get_mut(&id)).filter(|file| file.place == place) {
            (file.has_left, file.is_lost) = (true, true);
        }
        if let Some(of) = self.found.remove(place)
            && let Some(series) = self.series.get_mut(&of)
        {
            series.found.retain(|other| other != place);
            self.touched.insert(of);
        }
    }

    /// The path whose file is at a place.
    fn series_at(&self, place: &Path) -> Option<PathBuf> {
        if self.series.contains_key(place) { Some(place.to_owned()) } else { self.links.get(place).cloned() }
    }

    fn touch(&mut self, place: &Path) {
        if let Some(path) = self.series_at(place) {
            self.touched.insert(path);
        }
    }

    /// The file is at its path, still or again.
    fn is_back(&mut self, id: u64, path: &Path) {
        let place = self.series.get(path).map(|series| series.place.clone());
        let (Some(file), Some(place)) = (self.files.get_mut(&id), place) else { return };
        self.moved.remove(&file.place);
        (file.has_left, file.is_lost, file.rotated) = (false, false, None);
        file.place = place;
        self.wake(id);
    }

    /// A file that was rotated away is at its path again: its reading goes on.
    fn take_back(&mut self, id: u64, path: &Path, seen: &Seen) {
        let follow_inodes = self.reader.settings.follow_inodes;
        if self.files.get(&id).is_none_or(|file| file.path != path) {
            return; // with follow_inodes, known under another name
        }
        for (other, file) in self.files.iter_mut().filter(|(_, file)| file.path == path) {
            if *other == id {
                if !std::mem::replace(&mut file.has_entry, true) {
                    let position = Position { offset: file.settled(), inode: seen.inode.number };
                    self.reader.settlements.push(Settlement::Switch { path: path.to_owned(), position });
                }
            } else if !follow_inodes {
                file.has_entry = false;
            }
            (file.after, file.next) = (None, None);
        }
        if let Some(series) = self.series.get_mut(path) {
            (series.current, series.last) = (Some(id), Some(id));
        }
        self.is_back(id, path);
    }

    /// Which file of the series (with follow_inodes: of all) this is.
    fn reading_of(&self, path: &Path, inode: Inode) -> Option<u64> {
        let any = self.reader.settings.follow_inodes;
        let ids = self.by_inode.get(&inode)?;
        ids.iter().copied().find(|id| any || self.files.get(id).is_some_and(|file| file.path == path))
    }

    /// Something else is at the path, or nothing. The file is read to its end, and for rotate_wait on.
    pub(super) fn displace(&mut self, id: u64, path: &Path) {
        let wait = self.reader.settings.rotate_wait.as_secs_f64();
        log_info!(
            self.reader.context.log,
            format!("detected rotation of {}; waiting {wait} seconds", path.display())
        );
        self.reader.followed.rotated.fetch_add(1, Ordering::Relaxed);
        fault!("rotation-detected");
        if let Some(series) = self.series.get_mut(path) {
            series.current = None;
        }
        if let Some(file) = self.files.get_mut(&id) {
            file.rotated = Some(Instant::now());
        }
        self.wake(id);
    }

    /// Begins a file that took the place of another one. `is_here` if it is still at the path.
    fn begin_live(&mut self, path: &Path, seen: Seen, is_here: bool) {
        let is_new = self.is_new(seen.inode).unwrap_or(true);
        let mut offset = 0;
        let mut has_entry = true;
        let after =
            self.series.get(path).and_then(|series| series.last).filter(|id| self.files.contains_key(id));
        if self.reader.settings.follow_inodes {
            let known = self.positions.get(path, seen.inode.number);
            if known.inode == seen.inode.number && !is_new && known.offset <= seen.size {
                offset = known.offset;
            }
        } else {
            has_entry = after.is_none();
        }
        if has_entry {
            let position = Position { offset, inode: seen.inode.number };
            self.reader.settlements.push(Settlement::Switch { path: path.to_owned(), position });
        }
        let id = self.add(path, seen, offset, is_here);
        let Some(file) = self.files.get_mut(&id) else { return };
        (file.is_new, file.has_entry, file.after) = (is_new, has_entry, after);
        if let Some(before) = after.and_then(|before| self.files.get_mut(&before)) {
            before.next = Some(id);
        }
    }

    /// Whether a file has come into being while Logweir ran; `None` if that cannot be told.
    pub(super) fn is_new(&self, inode: Inode) -> Option<bool> {
        if self.past.contains(&inode) || self.by_inode.contains_key(&inode) {
            return Some(false);
        }
        inode.born.map(|born| born >= self.started)
    }

    /// Enters a file as the youngest of its series.
    pub(super) fn add(&mut self, path: &Path, seen: Seen, offset: u64, is_here: bool) -> u64 {
        let id = self.next_id;
        self.next_id += 1;
        let settings = &self.reader.settings;
        let (tag, throttle) = (settings.tag.of(path), Throttle::new(settings.read_bytes_limit_per_second));
        let mut file = TailedFile::new(id, path.to_owned(), seen.place, seen.inode, tag, throttle);
        (file.offset, file.entry_end, file.size) = (offset, offset, seen.size);
        file.handle = seen.handle.map(|handle| handle.counted(&self.reader.followed));
        self.notify.watch(id, file.handle.as_ref(), &file.place);
        if !is_here {
            (file.rotated, file.has_left) = (Some(Instant::now()), true);
            self.moved.insert(file.place.clone(), id);
        }
        log_info!(self.reader.context.log, format!("following tail of {}", path.display()));
        self.by_inode.entry(file.inode).or_default().push(id);
        self.files.insert(id, file);
        if let Some(groups) = &mut self.reader.groups {
            groups.add(path);
        }
        let series = self.series.entry(path.to_owned()).or_default();
        series.last = Some(id);
        if is_here {
            series.current = Some(id);
        }
        self.wake(id);
        if Handle::are_too_many() {
            self.close_idle(None);
        }
        id
    }

    /// Whether the file may be read: those before it are at their end, and it has content.
    pub(super) fn has_come(&mut self, id: u64) -> bool {
        let Some(file) = self.files.get_mut(&id) else { return false };
        let Some(before) = file.after else { return true };
        if file.size == 0 {
            let meta = match &file.handle {
                Some(handle) => handle.file().metadata(),
                None => fs::metadata(&file.place),
            };
            file.size = meta.map_or(0, |meta| meta.len());
        }
        let is_awaited = file.size == 0 && file.rotated.is_none();
        match self.files.get(&before) {
            None => {}
            Some(before) if is_awaited || before.after.is_some() || !before.is_drained() => return false,
            // What came late is read first.
            Some(_) => {
                let turn = self.read(before);
                if let Some(file) = self.files.get_mut(&before) {
                    // It may have been found under another name.
                    let is_over =
                        matches!(turn, Turn::End | Turn::Replaced) || file.is_lost && turn == Turn::Gone;
                    if !is_over {
                        return false;
                    }
                    // An event that waits for more lines would be lost in a crash once the entry has passed on.
                    self.reader.flush_group(file);
                    if file.refused.is_some() {
                        return false;
                    }
                }
            }
        }
        self.hand_over(id);
        true
    }

    /// The entry in the pos file is that of this file from now on.
    fn hand_over(&mut self, id: u64) {
        let Some(file) = self.files.get_mut(&id) else { return };
        let Some(before) = file.after.take() else { return };
        if self.reader.settings.follow_inodes {
            return;
        }
        file.has_entry = true;
        let position = Position { offset: file.settled(), inode: file.inode.number };
        self.reader.settlements.push(Settlement::Switch { path: file.path.clone(), position });
        if let Some(before) = self.files.get_mut(&before) {
            before.has_entry = false;
        }
        fault!("file-handed-over");
    }

    /// The file is not where it was. If it cannot be found either, what it still held is lost.
    pub(super) fn gone(&mut self, id: u64) {
        let Some(file) = self.files.get(&id) else { return };
        let (path, place, inode) = (file.path.clone(), file.place.clone(), file.inode);
        self.read_names();
        let Some(file) = self.files.get_mut(&id) else { return };
        if file.place != place || file.handle.is_some() {
            self.wake(id);
            return;
        }
        if let Some(found) = find_renamed(&place, &path, inode, 0) {
            self.move_file(id, Some(&found));
            self.touched.insert(path);
            self.settle_names();
            self.wake(id);
            return;
        }
        let unread = file.size.saturating_sub(file.read_at());
        if unread > 0 && !std::mem::replace(&mut file.has_trouble, true) {
            let message = "a file was deleted before it was read to its end";
            log_warn!(self.reader.context.log, message, path = path, offset = file.read_at(), bytes = unread);
        }
        (file.at_end, file.is_lost) = (true, true);
        let (is_current, next) = (file.rotated.is_none(), file.next);
        if is_current {
            self.touched.insert(path);
            self.settle_names();
        }
        if let Some(next) = next {
            self.wake(next);
        }
    }

    /// rotate_wait is over. A file that still has something to read (a limit, a full buffer) stays.
    pub(super) fn let_go(&mut self, id: u64) {
        let Some(file) = self.files.get(&id) else { return };
        if file.after.is_some() && !self.has_come(id) || !self.is_over(id) {
            return;
        }
        let Some(file) = self.files.get_mut(&id).filter(|file| file.rotated.is_some()) else { return };
        let path = file.path.clone();
        self.reader.flush_group(file);
        if file.refused.is_some() || file.is_unsettled() {
            return;
        }
        if let Some(next) = file.next {
            self.hand_over(next);
            self.wake(next);
        }
        let Some(file) = self.files.remove(&id) else { return };
        self.notify.unwatch(id);
        if let Some(ids) = self.by_inode.get_mut(&file.inode) {
            ids.retain(|other| *other != id);
            if ids.is_empty() {
                self.by_inode.remove(&file.inode);
            }
        }
        if self.moved.get(&file.place) == Some(&id) {
            self.moved.remove(&file.place);
        }
        self.forget_file(&file);
        fault!("file-let-go");
        let series = self.series.get_mut(&path);
        if let Some(series) = series.filter(|series| series.last == Some(id)) {
            series.last = None;
        }
        if let Some(groups) = &mut self.reader.groups
            && !self.files.values().any(|file| file.path == path)
        {
            groups.remove(&path);
        }
    }

    /// Whether nothing more can be read of a rotated file.
    fn is_over(&mut self, id: u64) -> bool {
        let Some(file) = self.files.get(&id) else { return false };
        if self.reader.groups.as_ref().is_some_and(|groups| groups.is_shut(&file.path)) {
            return true;
        }
        let turn = self.read(id);
        let Some(file) = self.files.get(&id) else { return false };
        match turn {
            Turn::End | Turn::Replaced => true,
            // It may have been found under another name.
            Turn::Gone => file.is_lost,
            // What cannot be opened must not hold up its successors for ever. That has been logged.
            Turn::Wait => file.has_trouble && file.refused.is_none(),
            Turn::More | Turn::OutOfFiles => false,
        }
    }

    /// Its inode number may be that of another file soon: neither pos file nor buffers may take that for this one.
    fn forget_file(&mut self, file: &TailedFile) {
        if self.past.len() >= PAST_MAX {
            self.past.clear();
        }
        self.past.insert(file.inode);
        let (path, inode) = (file.path.clone(), file.inode.number);
        if file.is_deleted() {
            if let Some(identity) = file.identity {
                forget(identity);
            }
            if file.has_entry {
                self.positions.unwatch(&path, inode);
            }
        } else if file.has_entry && !self.reader.settings.follow_inodes {
            self.reader.settlements.push(Settlement::Unwatch { path, inode });
        }
    }
}
