//! The names of chunk files: new ones, changed ones, and those of files that are not to be there.
//!
//! A name is durable when its directory was synced after it was made. If that fails, the kernel may have forgotten what it
//! was told: names are given once more, and files removed once more, so that there is again something for the next sync to
//! make durable.

use super::Chunk;
use super::buffer::{Shared, State};
use super::commit::{Commits, Work};
use super::file::FileContent;
use super::store::FileStore;
use crate::log_error;
use std::collections::BTreeSet;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// A file that is not to be there, until that is on the device.
pub(super) struct Unwanted {
    pub(super) path: PathBuf,
    /// The device failed to take its removal, and may have forgotten that it was told: it is removed once more.
    again: bool,
}

impl Work {
    /// The file of `chunk` has a new name, which this round makes durable.
    pub(super) fn named(&mut self, chunk: Arc<Chunk>) {
        self.dirs.extend(chunk.path().as_deref().and_then(Path::parent).map(Path::to_owned));
        self.unnamed.push(chunk);
    }
}

impl Commits {
    /// The file of `chunk` is new or has a new name.
    pub(super) fn named(&mut self, chunk: &Arc<Chunk>) {
        self.dirs.extend(chunk.path().as_deref().and_then(Path::parent).map(Path::to_owned));
        self.unnamed.push(Arc::clone(chunk));
    }

    /// A file is not to be there.
    pub(super) fn unwanted(&mut self, path: PathBuf) {
        self.add_unwanted(Unwanted { path, again: false });
    }

    /// A file was removed, and the directory could not be synced.
    pub(super) fn remove_again(&mut self, path: PathBuf) {
        self.add_unwanted(Unwanted { path, again: true });
    }

    fn add_unwanted(&mut self, file: Unwanted) {
        self.dirs.extend(file.path.parent().map(Path::to_owned));
        self.unwanted.push(file);
    }

    /// A directory could not be synced, and these chunks have new names in it: they get them once more.
    pub(super) fn name_again(&mut self, chunks: Vec<Arc<Chunk>>) {
        for chunk in chunks.into_iter().filter(|chunk| chunk.live_file().is_some()) {
            match chunk.name_again() {
                Ok(()) => self.named(&chunk),
                Err(_) => self.nameless(chunk),
            }
        }
    }

    /// The file of `chunk` could not be given its name once more. If the device failed when it was to be noted in it that nothing is
    /// to be appended any more, it is written once more first.
    fn nameless(&mut self, chunk: Arc<Chunk>) {
        if chunk.file().is_some_and(FileContent::is_poisoned) {
            self.failed.push(Arc::clone(&chunk));
        }
        self.nameless.push(chunk);
    }
}

impl Shared {
    /// Gives queued chunks their names that could not be given before. `false` if one cannot be given now either.
    pub(super) fn queue_again(&self, work: &mut Work) -> bool {
        let mut all = true;
        for chunk in std::mem::take(&mut work.unqueued) {
            match chunk.live_file().map(FileContent::enqueue) {
                Some(Err(error)) => {
                    all = false;
                    self.not_queued(&chunk, &error);
                    self.lock().commits.unqueued.push(chunk);
                }
                Some(Ok(_)) => work.named(chunk),
                None => {}
            }
        }
        all
    }

    /// Gives chunks their names that could not be given once more before. `false` if one cannot be given now either.
    pub(super) fn name_again(&self, work: &mut Work) -> bool {
        let mut all = true;
        for chunk in
            std::mem::take(&mut work.nameless).into_iter().filter(|chunk| chunk.live_file().is_some())
        {
            match chunk.name_again() {
                Err(error) => {
                    all = false;
                    log_error!(
                        self.environment.log,
                        "can't name a buffer chunk. retry in a second",
                        chunk_id = chunk.id(),
                        error = error.to_string()
                    );
                    self.lock().commits.nameless(chunk);
                }
                Ok(()) => work.named(chunk),
            }
        }
        all
    }

    /// Removes files that are not to be there. `false` if one stays.
    pub(super) fn remove_unwanted(&self, store: &FileStore, work: &mut Work) -> bool {
        let mut failed = Vec::new();
        // Under the lock, so that no chunk gets such a name meanwhile.
        let mut state = self.lock();
        for file in std::mem::take(&mut work.unwanted) {
            if state.has_file(&file.path) {
                // It was a copy of a chunk that has this name now.
                continue;
            }
            match store.remove(&file.path, file.again) {
                Ok(()) => work.unwanted.push(file),
                Err(error) => {
                    log_error!(
                        self.environment.log,
                        "can't remove a buffer file. retry in a second",
                        path = file.path,
                        error = error.to_string()
                    );
                    failed.push(file);
                }
            }
        }
        let all = failed.is_empty();
        failed.into_iter().for_each(|file| state.commits.add_unwanted(file));
        all
    }

    /// Says that a chunk has no name of a queued one.
    pub(super) fn not_queued(&self, chunk: &Chunk, error: &io::Error) {
        log_error!(
            self.environment.log,
            "can't enqueue buffer file. it is tried again before the chunk is written",
            chunk_id = chunk.id(),
            error = error.to_string()
        );
    }

    pub(super) fn sync_dirs(&self, store: &FileStore, dirs: &BTreeSet<PathBuf>) -> bool {
        let mut synced = true;
        for dir in dirs {
            if let Err(error) = store.sync_dir(dir) {
                synced = false;
                log_error!(
                    self.environment.log,
                    "can't write the names of buffer chunks to the device",
                    path = dir,
                    error = error.to_string()
                );
            }
        }
        synced
    }
}

impl State {
    /// Directories could not be synced: the new names in them may be lost.
    pub(super) fn names_failed(&mut self, dirs: BTreeSet<PathBuf>) {
        self.commits.dirs.extend(dirs);
        let unnamed = std::mem::take(&mut self.commits.unnamed);
        self.commits.name_again(unnamed);
        self.commits.unwanted.iter_mut().for_each(|file| file.again = true);
    }
}
