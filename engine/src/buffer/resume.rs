//! What a file buffer finds in its directory at the start.
//!
//! 1. The marks file is read. If it is damaged, it is moved to the backup directory, and nothing is discarded as
//!    incomplete (4) for lack of knowledge.
//! 2. Each file with the name of a chunk is looked at: one of ours (by its header, or, if that is gone, by its frames), or
//!    one of Fluentd's ([`fluentd`]).
//! 3. Files of ours are walked over ([`ours`]): records are counted, marks collected, damaged parts copied to the backup
//!    directory. A damaged end is cut off; a chunk that is damaged elsewhere stays as it is, and is queued, not appended to.
//! 4. Frames of an append of which parts are missing are voided: nobody was told that they were stored. So are those of
//!    appends of which others say that they were taken back. Where parts may be in a file that cannot be read, they are
//!    kept without their marks ([`super::unseen`]).
//! 5. Files without records are removed, the others synced: what is there may be acknowledged from now on.
//! 6. Staged chunks are staged again unless they are full, damaged, or there is a later one with the same metadata; all
//!    others are queued in the order of their last changes.
//! 7. Where the files of staged chunks end is noted in the marks file ([`super::ends`]), and what was not seen.
//!
//! A crash anywhere in between repeats the same steps with the same result: each is a copy that is made again, a cut, a
//! void mark or a removal of what nothing refers to.

mod fluentd;
mod ours;

use super::buffer::State;
use super::ends::{End, Ends};
use super::files::{ChunkName, meta_path};
use super::marks::{Marks, Snapshot};
use super::store::FileStore;
use super::unseen::Unseen;
use super::{Chunk, ChunkId, ChunkState, Limits, OpenError, Settings, marks_file};
use crate::io::{File, FileStat};
use crate::{log_debug, log_error, log_info, log_warn};
use ours::{Finished, Looked, OurFiles};
use std::collections::HashSet;
use std::ffi::OsString;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// A file that is not one of ours.
struct TheirFile {
    path: PathBuf,
    name: ChunkName,
    stat: FileStat,
    has_meta: bool,
}

/// A chunk that was found, and how it is to be treated.
struct Found {
    chunk: Arc<Chunk>,
    state: ChunkState,
    /// Whether more may be appended to it.
    appendable: bool,
}

/// Everything that is known at the start. Damaged files are no error, only a directory that cannot be read.
pub(super) fn resume(store: &FileStore, settings: &Settings) -> Result<State, OpenError> {
    let now = store.environment.clock.monotonic();
    let mut ours = OurFiles::new(store);
    let mut state = State::default();
    let listed = list_all(store)?;
    match read_marks(store)? {
        Some(snapshot) => {
            ours.complete = Some(snapshot.complete);
            ours.ends.clone_from(&snapshot.ends);
            ours.unseen = snapshot.unseen;
            state.marks.restore(snapshot, now);
        }
        None => {
            ours.damaged.parts += 1;
            ours.unseen = Unseen { after: 0, up_to: u64::MAX };
        }
    }
    let theirs = look_at_all(store, &mut ours, listed)?;
    ours.void_taken_back().map_err(|(path, error)| cannot_open(path, error))?;
    ours.drop_copies();
    state.sequence = ours.last_sequence().max(store.environment.clock.now().0);
    let unseen_before = ours.unseen;
    ours.note_unseen(state.sequence);
    ours.void_incomplete();
    ours.recover_marks(&mut state.marks, now);
    let is_broken = ours.damaged.parts > 0 || theirs.iter().any(Option::is_none);
    state.damaged = ours.damaged;
    let known_durable = ours.known_complete();
    let (are_missing, unseen) = (!ours.unread.is_empty(), ours.unseen);
    let (taken_back, ends) = (std::mem::take(&mut ours.taken_back), std::mem::take(&mut ours.ends));
    let Finished { chunks, failed, removed, stay } = ours.finish();
    let unsynced: Vec<_> = failed.iter().map(|found| Arc::clone(&found.chunk)).collect();
    let found = chunks.into_iter().chain(failed).chain(theirs.into_iter().flatten());
    let renamed = place(store, &mut state, &settings.limits, found);
    state.marks.settle(known_durable);
    state.marks.unseen = unseen;
    let is_news = unseen != unseen_before && unseen != Unseen::default();
    state.commits.unnoted = is_news && !note(store, &mut state.marks);
    let is_noted = !state.commits.unnoted;
    let is_safe = unsynced.is_empty() && stay.is_empty() && state.commits.unqueued.is_empty();
    if sync_dirs(store) && is_safe && is_noted {
        state.commits.durable = state.sequence;
        state.marks.settle(state.sequence);
    } else {
        // Nothing is taken or acknowledged before the first rounds have put this right.
        let last = state.sequence;
        state.commits.durable = known_durable;
        state.commits.taken_back = taken_back;
        state.stage.values().chain(&state.queue).chain(&unsynced).for_each(|chunk| chunk.wait_for(last));
        state.commits.name_again(renamed);
        removed.into_iter().for_each(|path| state.commits.remove_again(path));
        stay.into_iter().for_each(|path| state.commits.unwanted(path));
        for chunk in unsynced {
            if chunk.is_empty() {
                state.commits.retire(Arc::clone(&chunk));
            }
            state.commits.failed.push(chunk);
        }
        state.commits.want(last);
    }
    if store.is_synced() {
        note_ends(&mut state, ends, are_missing);
        // Before anything is appended.
        if !state.stage.is_empty() && !note(store, &mut state.marks) {
            queue_staged(store, &mut state);
        }
    }
    if is_broken {
        list_others(store, &state);
    }
    Ok(state)
}

/// Where the files of staged chunks end ([`super::ends`]), besides the `ends` of chunks that were noted before and are there, or
/// may be.
fn note_ends(state: &mut State, mut ends: Ends, are_missing: bool) {
    if !are_missing {
        let chunks = state.stage.values().chain(&state.sealed).chain(&state.queue);
        let there: HashSet<ChunkId> = chunks.map(|chunk| chunk.id()).collect();
        ends.retain(|id, _| there.contains(id));
    }
    let sequence = state.sequence;
    let staged = state.stage.values().filter_map(|chunk| Some((chunk.id(), chunk.file()?.end())));
    ends.extend(staged.map(|(id, offset)| (id, End { offset, sequence })));
    state.marks.ends = ends;
}

/// Notes in the marks file what a later start must know. `false` if that could not be noted.
fn note(store: &FileStore, marks: &mut Marks) -> bool {
    let saved = marks.saved();
    let noted = store.save_marks(&marks.snapshot());
    let noted = noted.and_then(|()| store.sync_dir(&store.settings.files.dir));
    if let Err(error) = &noted {
        marks.not_saved(saved);
        store.cannot_note(error);
    }
    noted.is_ok()
}

/// Queues all staged chunks.
fn queue_staged(store: &FileStore, state: &mut State) {
    state.sequence += 1;
    let (last, mut renamed) = (state.sequence, Vec::new());
    let mut staged: Vec<_> = std::mem::take(&mut state.stage).into_values().collect();
    staged.sort_by_key(|chunk| (chunk.modified(), chunk.sequence(), chunk.created(), chunk.id()));
    for chunk in staged {
        state.staged_bytes -= chunk.size();
        chunk.wait_for(last);
        queue_chunk(store, state, chunk, &mut renamed);
    }
    renamed.iter().for_each(|chunk| state.commits.named(chunk));
    state.commits.want(last);
}

fn cannot_open(path: PathBuf, error: io::Error) -> OpenError {
    match is_of_the_process(&error) {
        true => OpenError::Limit { path, error },
        false => OpenError::Io { path, error },
    }
}

/// Whether a file that cannot be opened is no worse than any other: the process or the machine is at a limit.
fn is_of_the_process(error: &io::Error) -> bool {
    use rustix::io::Errno;
    matches!(Errno::from_io_error(error), Some(Errno::MFILE | Errno::NFILE | Errno::NOMEM))
}

/// The chunk files in all directories of the buffer.
fn list_all(store: &FileStore) -> Result<Vec<(PathBuf, ChunkName)>, OpenError> {
    let files = &store.settings.files;
    let error = |error| OpenError::Io { path: files.dir.clone(), error };
    let mut listed = list(store, &files.dir).map_err(error)?;
    listed.extend(files.also.iter().flat_map(|dir| list(store, dir).unwrap_or_default()));
    Ok(listed)
}

/// The chunk files in a directory, in the order of their names. Removes `.meta` files that are left over.
fn list(store: &FileStore, dir: &Path) -> io::Result<Vec<(PathBuf, ChunkName)>> {
    let files = &store.settings.files;
    let names: Vec<OsString> = store.fs().list(dir)?;
    let known: HashSet<&OsString> = names.iter().collect();
    for name in &names {
        if files.is_unfinished(name) {
            let _ = store.fs().remove(&dir.join(name));
        }
        let data = name.to_str().and_then(|name| name.strip_suffix(".meta")).map(OsString::from);
        if data.is_some_and(|data| !known.contains(&data) && files.parse(&data).is_some()) {
            log_debug!(
                store.environment.log,
                "removing the meta file of a chunk that is gone",
                path = dir.join(name)
            );
            // If it cannot be removed it is in nobody's way.
            let _ = store.fs().remove(&dir.join(name));
        }
    }
    Ok(names.iter().filter_map(|name| Some((dir.join(name), files.parse(name)?))).collect())
}

/// Says that a file cannot be read. An error if that is the fault of the process or the machine, which have no more to open files with.
fn cannot_look(store: &FileStore, path: PathBuf, error: io::Error) -> Result<(), OpenError> {
    if is_of_the_process(&error) {
        return Err(cannot_open(path, error));
    }
    log_error!(
        store.environment.log,
        "can't restore a buffer file. it stays where it is until the next start",
        path = path,
        error = error.to_string()
    );
    Ok(())
}

/// Steps 2 and 3. Answers the chunks of Fluentd's; `None` for one that is broken.
fn look_at_all(
    store: &FileStore,
    ours: &mut OurFiles<'_>,
    listed: Vec<(PathBuf, ChunkName)>,
) -> Result<Vec<Option<Found>>, OpenError> {
    let (mut theirs, mut found) = (Vec::new(), Vec::new());
    for (path, name) in listed {
        let id = name.id;
        if let Err(error) = look(store, ours, &mut theirs, &path, name) {
            ours.unread.insert(id);
            cannot_look(store, path, error)?;
        }
    }
    let ids = ours.ids();
    for file in theirs {
        match fluentd::found(store, &file, ids.contains(&file.name.id)) {
            Ok(chunk) => found.push(chunk),
            Err(error) => {
                ours.unread.insert(file.name.id);
                cannot_look(store, file.path, error)?;
            }
        }
    }
    Ok(found)
}

fn look(
    store: &FileStore,
    ours: &mut OurFiles<'_>,
    theirs: &mut Vec<TheirFile>,
    path: &Path,
    name: ChunkName,
) -> io::Result<()> {
    let stat = store.fs().stat(path)?;
    if !stat.is_file {
        return Ok(());
    }
    let message = format!("restoring buffer file: path = {}", path.display());
    if store.settings.flush_at_shutdown {
        // The last stop should have left nothing: it was no orderly one.
        log_warn!(store.environment.log, message);
    } else {
        log_debug!(store.environment.log, message);
    }
    let file = store.read(path)?;
    let has_meta = store.fs().stat(&meta_path(path)).is_ok();
    match ours.look(path, &name, &file, stat.len, has_meta)? {
        Looked::Ours => {}
        Looked::NotOurs => theirs.push(TheirFile { path: path.to_owned(), name, stat, has_meta }),
    }
    Ok(())
}

/// The marks file; an empty one if there is none, `None` if it is damaged.
fn read_marks(store: &FileStore) -> Result<Option<Snapshot>, OpenError> {
    let path = store.settings.files.marks_path();
    let file: Arc<dyn File> = match store.read(&path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Some(Snapshot::default())),
        Err(error) if is_of_the_process(&error) => return Err(OpenError::Limit { path, error }),
        Err(error) => return Ok(broken_marks(store, &path, &error.to_string())),
    };
    let bytes = match file.read_from(0) {
        Ok(bytes) => bytes,
        Err(error) => return Ok(broken_marks(store, &path, &error.to_string())),
    };
    if let Some(snapshot) = marks_file::read(&bytes) {
        return Ok(Some(snapshot));
    }
    let id = ChunkId::generate(&*store.environment.clock);
    if let Err(error) = store.back_up(&*file, 0..bytes.len() as u64, id, ".marks") {
        log_error!(store.environment.log, "backup failed", error = error.to_string());
    }
    Ok(broken_marks(store, &path, "a checksum is wrong"))
}

fn broken_marks(store: &FileStore, path: &Path, why: &str) -> Option<Snapshot> {
    log_error!(
        store.environment.log,
        "can't read the marks of delivered chunks. records that inputs repeat now may be stored twice",
        path = path,
        error = why
    );
    None
}

/// Step 6. Answers the chunks that got the name of a queued one.
fn place(
    store: &FileStore,
    state: &mut State,
    limits: &Limits,
    found: impl Iterator<Item = Found>,
) -> Vec<Arc<Chunk>> {
    let mut found: Vec<Found> = found.collect();
    // The latest first: of several staged chunks with the same metadata it is the one that was being filled.
    found.sort_by_key(|f| {
        std::cmp::Reverse((f.chunk.modified(), f.chunk.sequence(), f.chunk.created(), f.chunk.id()))
    });
    let (mut queue, mut renamed) = (Vec::new(), Vec::new());
    for Found { chunk, state: was, appendable } in found {
        if chunk.is_empty() {
            continue; // about to be removed
        }
        let is_full = limits.are_full(chunk.size(), chunk.records());
        if was == ChunkState::Queued || is_full || !is_first(state, &chunk, appendable) {
            queue.push(chunk);
        } else if appendable {
            state.staged_bytes += chunk.size();
            state.stage.insert(chunk.metadata().clone(), chunk);
        } else {
            state.staged_bytes += chunk.size();
            state.sealed.push(chunk);
        }
    }
    queue.into_iter().rev().for_each(|chunk| queue_chunk(store, state, chunk, &mut renamed));
    renamed
}

/// Adds a chunk to the queue, and to `renamed` if its file gets another name for that.
fn queue_chunk(store: &FileStore, state: &mut State, chunk: Arc<Chunk>, renamed: &mut Vec<Arc<Chunk>>) {
    state.queued_bytes += chunk.size();
    match chunk.file().map(|file| file.enqueue()) {
        Some(Ok(true)) => renamed.push(Arc::clone(&chunk)),
        Some(Err(error)) => {
            log_error!(
                store.environment.log,
                "can't enqueue buffer file. it is tried again before the chunk is written",
                chunk_id = chunk.id(),
                error = error.to_string()
            );
            state.commits.unqueued.push(Arc::clone(&chunk));
        }
        _ => {}
    }
    state.queue.push_back(chunk);
}

/// Whether a chunk may be staged: there is none with its metadata yet that is treated in the same way.
fn is_first(state: &State, chunk: &Chunk, appendable: bool) -> bool {
    match appendable {
        true => !state.stage.contains_key(chunk.metadata()),
        false => {
            // A damaged chunk of ours is no longer staged; what Fluentd staged waits for its time.
            chunk.file().is_none() && state.sealed.iter().all(|sealed| sealed.metadata() != chunk.metadata())
        }
    }
}

/// Makes names durable: those of chunks that were queued, and that of files that were removed.
fn sync_dirs(store: &FileStore) -> bool {
    let files = &store.settings.files;
    let dirs =
        std::iter::once(&files.dir).chain(files.also.iter().filter(|dir| store.fs().stat(dir).is_ok()));
    let mut synced = true;
    for dir in dirs {
        if let Err(error) = store.sync_dir(dir) {
            log_error!(
                store.environment.log,
                "can't sync a directory",
                path = dir,
                error = error.to_string()
            );
            synced = false;
        }
    }
    synced
}

fn list_others(store: &FileStore, state: &State) {
    let log = &store.environment.log;
    log_info!(
        log,
        "Since a broken chunk file was found, it is possible that other files remaining at the time of resuming were \
         also broken. Here is the list of the files."
    );
    for chunk in state.stage.values().chain(&state.sealed).chain(&state.queue) {
        let path = chunk.path().unwrap_or_default();
        log_info!(
            log,
            format!("  {}:", path.display()),
            created_at = chunk.created().secs(),
            modified_at = chunk.modified().secs()
        );
    }
}
