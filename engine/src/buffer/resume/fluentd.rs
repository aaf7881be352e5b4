//! Chunk files of Fluentd's, at the start.

use super::{Found, TheirFile};
use crate::buffer::chunk::Content;
use crate::buffer::files::{ChunkName, meta_path};
use crate::buffer::fluentd::{FluentdContent, Meta, count_records, metadata_of_key, remove};
use crate::buffer::store::FileStore;
use crate::buffer::{Chunk, ChunkState, Metadata};
use crate::io::{File, FileStat};
use crate::log_error;
use crate::telemetry::Shown;
use std::io;
use std::path::Path;
use std::sync::Arc;

/// The chunk in a file of Fluentd's; `None` if the file was broken and is in the backup directory now.
///
/// | file | becomes |
/// |---|---|
/// | with a whole `.meta` | staged or queued, as its name says |
/// | of `file_single` | the same; the key is in the name |
/// | without `.meta` (Fluentd 0.12) | queued, without metadata |
/// | empty, or with a `.meta` that cannot be read | broken |
/// | with the name of a chunk that is in a file of ours (`has_namesake`), which is to have that name | broken |
///
/// Fluentd itself takes a `.meta` that cannot be read for one without values up to 1.16, which makes the chunk useless to
/// any output that needs its tag; later versions stop there.
pub(super) fn found(store: &FileStore, found: &TheirFile, has_namesake: bool) -> io::Result<Option<Found>> {
    let TheirFile { path, name, stat, has_meta } = found;
    let file = &*store.read(path)?;
    let mode = match name.state {
        ChunkState::Staged => "staged",
        ChunkState::Queued => "enqueued",
    };
    let single = store.settings.files.single.as_ref();
    if stat.len == 0 {
        return broken(store, path, name, file, stat, &format!("{mode} file chunk is empty"));
    }
    if has_namesake {
        let why = format!("{mode} file has the name of a chunk that is in another file");
        return broken(store, path, name, file, stat, &why);
    }
    let meta = match *has_meta && single.is_none() {
        false => None,
        true => match Meta::read(&store.read(&meta_path(path))?.read_from(0)?) {
            Some(meta) => Some(meta),
            None => return broken(store, path, name, file, stat, &format!("{mode} meta file is broken.")),
        },
    };
    let state = if meta.is_some() || single.is_some() { name.state } else { ChunkState::Queued };
    let meta = meta.unwrap_or_else(|| Meta {
        metadata: single.map(|single| metadata_of_key(single, &name.key)).unwrap_or_default(),
        ..Meta::default()
    });
    let records = match meta.records {
        Some(records) => records,
        None if store.settings.count_records => {
            count_records(file, store.settings.found_text.unwrap_or(store.formatted)).unwrap_or(0)
        }
        None => 0,
    };
    let content = FluentdContent::new(store.fs(), path.to_owned(), store.formatted);
    let id = meta.id.unwrap_or(name.id);
    // A chunk that Fluentd left in the middle of an append is as good as any other from here on.
    let metadata = Metadata { seq: 0, ..meta.metadata };
    let created = meta.created.unwrap_or(stat.changed);
    let chunk = Chunk::new(id, metadata, created, store.formatted, Content::Fluentd(content));
    chunk.count(stat.len, records);
    chunk.set_found(0, meta.modified.unwrap_or(stat.modified));
    Ok(Some(Found { chunk: Arc::new(chunk), state, appendable: false }))
}

/// To the backup directory, in whatever shape it is.
fn broken(
    store: &FileStore,
    path: &Path,
    name: &ChunkName,
    file: &dyn File,
    stat: &FileStat,
    why: &str,
) -> io::Result<Option<Found>> {
    let mode = match name.state {
        ChunkState::Staged => Shown(":staged"),
        ChunkState::Queued => Shown(":queued"),
    };
    log_error!(
        store.environment.log,
        "found broken chunk file during resume.",
        path = path,
        mode = mode,
        err_msg = why
    );
    store.back_up(file, 0..stat.len, name.id, ".log")?;
    remove(&**store.fs(), path)?;
    Ok(None)
}
