//! Chunk files of ours, at the start.

mod damage;

use super::Found;
use crate::buffer::buffer::Damaged;
use crate::buffer::chunk::Content;
use crate::buffer::ends::Ends;
use crate::buffer::file::FileContent;
use crate::buffer::file::frame;
use crate::buffer::file::header::{self, Header};
use crate::buffer::file::origin::{self, Mark};
use crate::buffer::file::scan::{self, Scan, read};
use crate::buffer::files::ChunkName;
use crate::buffer::marks::Marks;
use crate::buffer::settings::Compressions;
use crate::buffer::store::FileStore;
use crate::buffer::taken_back::TakenBack;
use crate::buffer::unseen::Unseen;
use crate::buffer::{Chunk, ChunkId, ChunkState};
use crate::delivery::FileIdentity;
use crate::io::{Access, File, Timestamp};
use crate::{log_error, log_info};
use std::collections::{BTreeMap, HashMap, HashSet};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

/// What [`OurFiles::look`] says about a file.
pub(super) enum Looked {
    /// It is one of ours, or nothing, and was dealt with.
    Ours,
    /// It is one of Fluentd's.
    NotOurs,
}

/// Our chunk files, as far as they were looked at.
pub(super) struct OurFiles<'a> {
    /// All parts of the appends up to here were on the device, says the marks file; `None` if it says nothing.
    pub(super) complete: Option<u64>,
    /// Where files ended at the last start.
    pub(super) ends: Ends,
    /// Appends of which parts may be in files that could not be read at an earlier start; all of them if that is not known.
    pub(super) unseen: Unseen,
    pub(super) damaged: Damaged,
    /// Chunks of which a file cannot be read.
    pub(super) unread: HashSet<ChunkId>,
    /// There are frames of `unseen` appends.
    shows_unseen: bool,
    /// Appends that do not count, as frames say that were written after them.
    pub(super) taken_back: TakenBack,
    store: &'a FileStore,
    files: Vec<OurFile>,
    /// The highest sequence that a frame says was durable when it was written.
    durable: u64,
    /// Frames of appends with several parts, as far as it is not known that these are complete.
    parts: Vec<PartOf>,
    marks: Vec<FoundMark>,
    /// So many marks are joined where that is possible.
    join_at: usize,
    last_sequence: u64,
    /// Files without anything in them that were removed.
    removed: Vec<PathBuf>,
}

/// What came of the files.
pub(super) struct Finished {
    pub(super) chunks: Vec<Found>,
    /// Those that could not be synced.
    pub(super) failed: Vec<Found>,
    pub(super) removed: Vec<PathBuf>,
    /// Files that could not be removed.
    pub(super) stay: Vec<PathBuf>,
}

/// One file.
struct OurFile {
    path: PathBuf,
    state: ChunkState,
    header: Header,
    start: u64,
    end: u64,
    records: u64,
    bytes: u64,
    compressions: Compressions,
    last_sequence: u64,
    at: u32,
    is_damaged: bool,
    is_marked: bool,
    /// The last append with parts in other files.
    divided: u64,
    is_changed: bool,
    /// There is a later file of the same chunk; see [`OurFiles::drop_copies`].
    is_copy: bool,
    /// There is another file of the same chunk, which cannot be read.
    is_left: bool,
    /// Appends that were voided in the file, as far as the device took that.
    voided: Vec<u64>,
    /// Some could not even be voided.
    must_be_rewritten: bool,
}

/// The sequences in one file, which are in order there unless something is wrong with it.
#[derive(Default)]
struct Sequences {
    in_order: Vec<u64>,
    others: HashSet<u64>,
}

impl Sequences {
    /// Whether it is new.
    fn insert(&mut self, sequence: u64) -> bool {
        if self.in_order.last().is_none_or(|last| *last < sequence) {
            self.in_order.push(sequence);
            return true;
        }
        self.in_order.binary_search(&sequence).is_err() && self.others.insert(sequence)
    }
}

#[derive(Clone, Copy)]
struct PartOf {
    sequence: u64,
    part: u16,
    parts: u16,
    file: usize,
    offset: u64,
}

struct FoundMark {
    sequence: u64,
    at: u32,
    mark: Mark,
    file: usize,
    /// There are other parts of the append.
    is_divided: bool,
}

/// Of marks: a file that could not be walked to its end, or is left as it is for another reason.
const UNREAD: usize = usize::MAX;

/// From so many entries on, lists of frames are thinned out.
const LIST_MAX: usize = 200_000;
/// From so many marks on, those that belong together are joined.
const JOIN_AT: usize = if cfg!(test) { 4 } else { 4096 };

impl<'a> OurFiles<'a> {
    pub(super) fn new(store: &'a FileStore) -> Self {
        Self {
            complete: None,
            ends: Ends::new(),
            unseen: Unseen::default(),
            damaged: Damaged::default(),
            unread: HashSet::new(),
            shows_unseen: false,
            taken_back: TakenBack::default(),
            store,
            files: Vec::new(),
            durable: 0,
            parts: Vec::new(),
            marks: Vec::new(),
            join_at: JOIN_AT,
            last_sequence: 0,
            removed: Vec::new(),
        }
    }

    /// Removes a file that has nothing in it.
    fn remove(&mut self, path: &Path) -> io::Result<()> {
        self.store.fs().remove(path)?;
        self.removed.push(path.to_owned());
        Ok(())
    }

    /// The chunks in them.
    pub(super) fn ids(&self) -> HashSet<ChunkId> {
        self.files.iter().map(|file| file.header.id).collect()
    }

    /// The highest sequence that was seen anywhere.
    pub(super) fn last_sequence(&self) -> u64 {
        self.last_sequence.max(self.durable).max(self.complete.unwrap_or(0))
    }

    /// Looks at a file; `has_meta` says that there is a `.meta` file for it, which Logweir makes none of.
    pub(super) fn look(
        &mut self,
        path: &Path,
        name: &ChunkName,
        file: &Arc<dyn File>,
        len: u64,
        has_meta: bool,
    ) -> io::Result<Looked> {
        let mut head = read(&**file, 0..len.min(header::HEAD_BYTES))?;
        let mut found = Header::find(&head);
        let may_be_ours = !has_meta || head.starts_with(&header::MAGIC);
        if found == header::Found::Nothing && len > header::HEAD_BYTES && may_be_ours {
            head = read(&**file, 0..len.min(header::FIND_BYTES as u64))?;
            found = Header::find(&head);
        }
        match found {
            // Blocks that a file got from one that was removed may hold that one's header, and all that was delivered with it.
            header::Found::Header(header, start) if header.id == name.id => {
                let walked = self.walk(path, name, header, start, &**file, len);
                // Of a file that could not be walked to its end nothing is looked at again.
                let count = self.files.len();
                self.parts.retain(|part| part.file < count);
                self.marks.iter_mut().filter(|mark| mark.file >= count).for_each(|mark| mark.file = UNREAD);
                walked.map(|()| Looked::Ours)
            }
            header::Found::Newer(version) => {
                log_error!(
                    self.store.environment.log,
                    format!(
                        "a buffer file was written by a later Logweir (format {version}). it is left alone"
                    ),
                    path = path
                );
                Ok(Looked::Ours)
            }
            header::Found::Nothing if has_meta => Ok(Looked::NotOurs),
            header::Found::Nothing | header::Found::Header(..) => {
                self.headless(path, name, &**file, len, &head)
            }
        }
    }

    fn walk(
        &mut self,
        path: &Path,
        name: &ChunkName,
        header: Header,
        start: u64,
        file: &dyn File,
        len: u64,
    ) -> io::Result<()> {
        let id = header.id;
        let mut ours = OurFile {
            path: path.to_owned(),
            state: name.state,
            header,
            start,
            end: start,
            records: 0,
            bytes: 0,
            compressions: Compressions::default(),
            last_sequence: 0,
            at: 0,
            is_damaged: false,
            is_marked: false,
            divided: 0,
            is_changed: false,
            is_copy: false,
            is_left: false,
            voided: Vec::new(),
            must_be_rewritten: false,
        };
        let scan = Scan::new(file, id, start..len).that_ended(self.ends.get(&id).copied());
        let (mut seen, mut copies) = (Sequences::default(), Vec::new());
        let rest = scan.headers(|found| match seen.insert(found.header.sequence) {
            true => self.note(&mut ours, &found),
            false if found.header.void => {}
            false => copies.push(found.offset..found.offset + found.header.frame_bytes()),
        })?;
        ours.end = rest.end;
        for copy in copies {
            self.void_copy(&mut ours, copy);
        }
        let mut is_saved = true;
        for range in &rest.damaged {
            is_saved &= self.damaged_range(&mut ours, file, range, len)?;
        }
        if ours.last_sequence != 0 {
            self.files.push(ours);
        } else if is_saved {
            self.remove(path)?;
        }
        Ok(())
    }

    /// Counts a frame and remembers its mark.
    fn note(&mut self, ours: &mut OurFile, found: &scan::Found<'_>) {
        let header = &found.header;
        self.durable = self.durable.max(header.durable);
        self.last_sequence = self.last_sequence.max(header.sequence);
        origin::taken_back(found.origin).for_each(|range| self.taken_back.add(range));
        if header.void {
            return;
        }
        self.shows_unseen |= self.unseen.contains(header.sequence);
        ours.last_sequence = ours.last_sequence.max(header.sequence);
        ours.records += u64::from(header.records);
        ours.bytes += u64::from(header.body_bytes);
        ours.compressions.add(header.compression);
        ours.at = header.at;
        if header.parts > 1 {
            ours.divided = ours.divided.max(header.sequence);
            ours.is_marked = true;
            let (part, parts) = (header.part, header.parts);
            let (sequence, file, offset) = (header.sequence, self.files.len(), found.offset);
            self.parts.push(PartOf { sequence, part, parts, file, offset });
            if self.parts.len() > LIST_MAX {
                let (known, unseen) = (self.known_complete(), self.unseen);
                self.parts.retain(|part| part.sequence > known || unseen.contains(part.sequence));
            }
        }
        if let Some(mark) = Mark::read(found.origin) {
            ours.is_marked = true;
            // What the marks file knew of, it says better: ids that were confirmed since are not in it, nor are offsets of
            // a file that was begun anew.
            if self.complete.is_some_and(|complete| header.sequence <= complete) {
                return;
            }
            let file = self.files.len();
            let (sequence, at, is_divided) = (header.sequence, header.at, header.parts > 1);
            self.marks.push(FoundMark { sequence, at, mark, file, is_divided });
            if self.marks.len() >= self.join_at {
                self.join_marks();
            }
        }
    }

    /// Makes one of marks that go on where another one of the same tailed file ended, unless either may turn out to be of an
    /// append that does not count, or the first begins the file anew (which voids what is older, and so must keep its place in
    /// the order of appends).
    fn join_marks(&mut self) {
        let (known, unseen) = (self.known_complete(), self.unseen);
        let counts = |mark: &FoundMark| {
            mark.sequence <= known && (!mark.is_divided || !unseen.contains(mark.sequence))
        };
        let mut last: HashMap<(FileIdentity, u32), usize> = HashMap::new();
        let mut joined: Vec<FoundMark> = Vec::with_capacity(self.marks.len());
        for new in self.marks.drain(..) {
            let Mark::Tail { file, ordinal, from, end } = new.mark else {
                joined.push(new);
                continue;
            };
            if let Some(before) = last.get(&(file, ordinal)).map(|at| &mut joined[*at])
                && counts(&new)
                && counts(before)
                && before.file == new.file
                && before.sequence < new.sequence
                && let Mark::Tail { from: Some(_), end: last_end, .. } = &mut before.mark
                && from == Some(*last_end)
            {
                *last_end = end;
                (before.sequence, before.at, before.is_divided) = (new.sequence, new.at, new.is_divided);
                continue;
            }
            last.insert((file, ordinal), joined.len());
            joined.push(new);
        }
        self.marks = joined;
        if self.marks.len() > 2 * LIST_MAX {
            self.thin_out();
        }
        self.join_at = JOIN_AT.max(2 * self.marks.len());
    }

    /// Forgets the older half of the forward chunks.
    fn thin_out(&mut self) {
        let is_forward = |mark: &FoundMark| matches!(mark.mark, Mark::Forward { .. });
        let mut sequences: Vec<u64> =
            self.marks.iter().filter(|m| is_forward(m)).map(|m| m.sequence).collect();
        sequences.sort_unstable();
        let oldest_kept = sequences.get(sequences.len() / 2).copied().unwrap_or(0);
        self.marks.retain(|mark| !is_forward(mark) || mark.sequence >= oldest_kept);
    }

    /// Of two files of the same chunk, takes the one with more in it: a chunk file that could not be synced was written once
    /// more, and a crash left both the old one under its old name and the new one under a later name. Either has all that was
    /// acknowledged. If one of them cannot be read, it may be that one: the other is left as it is until the next start too.
    pub(super) fn drop_copies(&mut self) {
        let mut best: BTreeMap<ChunkId, usize> = BTreeMap::new();
        for at in 0..self.files.len() {
            if self.unread.contains(&self.files[at].header.id) {
                self.files[at].is_left = true;
                continue;
            }
            let rank = |file: &OurFile| (file.records, file.last_sequence, file.state == ChunkState::Queued);
            let other = best.entry(self.files[at].header.id).or_insert(at);
            let (kept, copy) = match rank(&self.files[at]) > rank(&self.files[*other]) {
                true => (at, *other),
                false => (*other, at),
            };
            *other = kept;
            self.files[copy].is_copy = kept != copy;
        }
        self.parts.retain(|part| !self.files[part.file].is_copy && !self.files[part.file].is_left);
        self.marks.retain(|mark| self.files.get(mark.file).is_none_or(|file| !file.is_copy));
        let is_left = |mark: &FoundMark| self.files.get(mark.file).is_some_and(|file| file.is_left);
        self.marks.iter_mut().filter(|mark| is_left(mark)).for_each(|mark| mark.file = UNREAD);
    }

    /// Notes which appends may have parts in files that could not be read, at this start or before. Appends up to `last` are
    /// of before this start.
    pub(super) fn note_unseen(&mut self, last: u64) {
        self.unseen = match (self.complete, self.unread.is_empty()) {
            (Some(_), true) if !self.shows_unseen => Unseen::default(),
            (Some(_), true) => self.unseen,
            (Some(_), false) => self.unseen.and(Unseen { after: self.known_complete(), up_to: last }),
            // What was delivered is not known.
            (None, _) => Unseen { after: 0, up_to: last },
        };
    }

    /// Voids frames of appends of which parts are missing. If the other parts may have been delivered, or be in a file that
    /// could not be read, they are kept, but not their marks: their inputs repeat what they were not told of.
    pub(super) fn void_incomplete(&mut self) {
        let (known, unseen) = (self.known_complete(), self.unseen);
        let mut sets: BTreeMap<u64, Vec<PartOf>> = BTreeMap::new();
        let is_unsure = |sequence| sequence > known || unseen.contains(sequence);
        for part in self.parts.iter().filter(|part| is_unsure(part.sequence)) {
            sets.entry(part.sequence).or_default().push(*part);
        }
        let (mut incomplete, mut voided) = (HashSet::new(), 0);
        for (sequence, parts) in sets {
            if frame::are_whole(parts.iter().map(|part| (part.part, part.parts))) {
                continue;
            }
            incomplete.insert(sequence);
            if !unseen.contains(sequence) {
                voided += 1;
                parts.iter().for_each(|part| self.void(part));
            }
        }
        // What is in a file that is left as it is, is not synced now, nor are other parts of it looked for.
        let is_half_read = |mark: &FoundMark| mark.file == UNREAD && unseen.contains(mark.sequence);
        self.marks.retain(|mark| !incomplete.contains(&mark.sequence) && !is_half_read(mark));
        if voided > 0 {
            log_info!(
                self.store.environment.log,
                "discarding appends that were not completed before the crash; their inputs repeat them",
                count = voided
            );
        }
    }

    /// Hands the marks over, in the order of their appends.
    pub(super) fn recover_marks(&mut self, marks: &mut Marks, now: Duration) {
        let mut found = std::mem::take(&mut self.marks);
        found.sort_by_key(|found| found.sequence);
        // All parts of an append carry its mark.
        found.dedup_by(|a, b| a.sequence == b.sequence && a.mark == b.mark);
        for FoundMark { sequence, at, mark, .. } in found {
            marks.recover(mark, sequence, at, now);
        }
        marks.forget_old_forwards();
    }

    /// Syncs what may not be on the device and removes files without records.
    pub(super) fn finish(mut self) -> Finished {
        let known = self.known_complete();
        let (store, mut chunks, mut failed, mut stay) = (self.store, Vec::new(), Vec::new(), Vec::new());
        for ours in std::mem::take(&mut self.files).into_iter().filter(|ours| !ours.is_left) {
            let is_copy = ours.is_copy;
            let is_empty = is_copy || (ours.bytes == 0 && ours.records == 0);
            let (path, voided, must_be_rewritten) =
                (ours.path.clone(), ours.voided.clone(), ours.must_be_rewritten);
            // Also what is removed then: should the name come back after a crash, nothing must have come back with it.
            let synced =
                match store.is_synced() && !ours.is_copy && (ours.is_changed || ours.last_sequence > known) {
                    true => store.fs().open(&path, Access::Write).and_then(|file| file.sync_data()),
                    false => Ok(()),
                };
            let found = ours.into_chunk(store);
            if let Some(file) = found.chunk.file()
                && (must_be_rewritten || synced.is_err())
            {
                voided.into_iter().for_each(|sequence| file.omit(sequence));
            }
            match synced {
                _ if must_be_rewritten && !is_copy => failed.push(found),
                Ok(()) if is_empty => {
                    if let Err(error) = self.remove(&path) {
                        let error = error.to_string();
                        log_error!(
                            store.environment.log,
                            "can't remove an empty chunk",
                            path = path,
                            error = error
                        );
                        stay.push(path);
                    }
                }
                Ok(()) => chunks.push(found),
                Err(error) => {
                    let error = error.to_string();
                    log_error!(
                        store.environment.log,
                        "can't sync a buffer chunk",
                        path = path,
                        error = error
                    );
                    if let Some(file) = found.chunk.file() {
                        file.distrust();
                    }
                    failed.push(found);
                }
            }
        }
        Finished { chunks, failed, removed: self.removed, stay }
    }

    /// Appends up to this sequence were on the device, all parts of them.
    pub(super) fn known_complete(&self) -> u64 {
        self.durable.max(self.complete.unwrap_or(0))
    }
}

impl OurFile {
    fn into_chunk(self, store: &FileStore) -> Found {
        let Header { id, created, formatted, deliveries, metadata } = self.header;
        let content = FileContent::found(
            store.fs(),
            self.path,
            id,
            self.start..self.end,
            self.state,
            store.is_synced(),
        );
        let chunk = Chunk::new(id, metadata, created, formatted, Content::File(content));
        chunk.set_deliveries(deliveries);
        chunk.count(self.bytes, self.records);
        chunk.add_compressions(self.compressions);
        chunk.set_found(self.last_sequence, Timestamp::from_secs(i64::from(self.at)));
        if self.is_marked {
            chunk.set_marked();
        }
        chunk.set_divided(self.divided);
        // The destination may know a chunk whose delivery was begun.
        let appendable = !self.is_damaged && formatted == store.formatted && deliveries == 0;
        Found { chunk: Arc::new(chunk), state: self.state, appendable }
    }
}
