//! The removal of chunks that were delivered.
//!
//! Before a chunk's file goes, its marks are in the marks file. That file also says up to which append everything was on the
//! device: without it, recovery would take an append for incomplete of which a part was delivered, and discard the others.

use super::Chunk;
use super::buffer::Shared;
use super::chunk::Content;
use super::marks::Snapshot;
use super::store::FileStore;
use crate::{fault, log_error, log_warn};
use std::collections::BTreeSet;
use std::io;
use std::path::Path;
use std::sync::Arc;

impl Shared {
    /// Step 4 of a round ([`super::commit`]). `false` if it is to be tried again.
    pub(super) fn retire(&self, store: &FileStore, mut retired: Vec<Arc<Chunk>>) -> bool {
        let saved = self.lock().marks.saved();
        let mut all = true;
        if let Err(error) = self.save_marks(store, &retired) {
            // If there is no room for the marks in a while, it is better to risk that an input repeats something after a crash
            // than to let the disk stay full for ever; but nothing may be lost.
            let is_full =
                error.kind() == io::ErrorKind::StorageFull && self.lock().commits.is_full_for_long();
            let kept =
                retired.extract_if(.., |chunk| !is_full || chunk.divided() > saved).collect::<Vec<_>>();
            all = kept.is_empty();
            self.not_saved(store, &error, !all);
            let mut state = self.lock();
            state.marks.not_saved(saved);
            state.commits.retired.extend(kept);
        } else {
            self.lock().commits.full_rounds = 0;
        }
        fault!("marks-saved");
        let mut dirs = BTreeSet::new();
        for chunk in &retired {
            dirs.extend(chunk.path().as_deref().and_then(Path::parent).map(Path::to_owned));
            all &= self.remove(chunk);
            fault!("chunk-removed");
        }
        if !self.sync_dirs(store, &dirs) {
            let mut state = self.lock();
            state.names_failed(dirs);
            retired.iter().filter_map(|chunk| chunk.path()).for_each(|path| state.commits.remove_again(path));
        }
        fault!("removal-synced");
        store.keep_spare();
        all
    }

    fn not_saved(&self, store: &FileStore, error: &io::Error, are_kept: bool) {
        let (log, path) = (&self.environment.log, store.settings.files.marks_path());
        if are_kept {
            log_error!(
                log,
                "can't save the marks of delivered chunks. their files are kept and removal is tried again",
                path = path,
                error = error.to_string()
            );
        } else {
            log_warn!(
                log,
                "no space for the marks of delivered chunks. after a crash, records may be stored twice",
                path = path
            );
        }
    }

    /// `false` if the file stays, and is to be removed later.
    fn remove(&self, chunk: &Chunk) -> bool {
        let removed = match chunk.content() {
            Content::Memory(_) => Ok(()),
            Content::File(content) => content.remove(),
            Content::Fluentd(content) => content.remove(),
        };
        let Err(error) = removed else { return true };
        // Should the file still be there at the next start, it is delivered again, under the same id.
        log_error!(
            self.environment.log,
            "failed to purge buffer chunk. retry in a second",
            chunk_id = chunk.id(),
            error = error.to_string()
        );
        if let Some(path) = chunk.path() {
            self.lock().commits.unwanted(path);
        }
        false
    }

    /// Notes which appends may be in files that could not be read, if that is still to be done. Before that no append is said to
    /// be durable, and no chunk is taken. `false` if it is to be tried again.
    pub(super) fn note_unseen(&self, store: &FileStore) -> bool {
        let (saved, snapshot) = {
            let mut state = self.lock();
            if !state.commits.unnoted {
                return true;
            }
            (state.marks.saved(), state.marks.snapshot())
        };
        let noted = self.replace_marks(store, &snapshot);
        let mut state = self.lock();
        state.commits.unnoted = noted.is_err();
        if let Err(error) = &noted {
            state.marks.not_saved(saved);
            store.cannot_note(error);
        }
        noted.is_ok()
    }

    fn save_marks(&self, store: &FileStore, retired: &[Arc<Chunk>]) -> io::Result<()> {
        let snapshot = {
            let mut state = self.lock();
            if !state.marks.has_changed() || !retired.iter().any(|chunk| chunk.is_marked()) {
                return Ok(());
            }
            state.marks.snapshot()
        };
        self.replace_marks(store, &snapshot)
    }

    fn replace_marks(&self, store: &FileStore, snapshot: &Snapshot) -> io::Result<()> {
        store.save_marks(snapshot)?;
        let dir = &store.settings.files.dir;
        store.sync_dir(dir).inspect_err(|_| self.lock().names_failed(BTreeSet::from([dir.clone()])))
    }
}
