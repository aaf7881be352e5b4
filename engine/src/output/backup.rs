//! Where chunks go that are given up.
//!
//! | chunk | goes to | as |
//! |---|---|---|
//! | can never be written (unrecoverable error) | `ROOT/backup/workerN/ID/HEX.log` | the bytes that the output was given |
//! | its output hit the limit of retries (file buffer) | `ROOT/buffer/ID/` | its file, to be put back later |
//!
//! ROOT is root_dir of `<system>`, else `$FLUENT_BACKUP_DIR`, else `/tmp/fluent`; ID is the plugin's id, N
//! the first worker of its `<worker>`, 0 outside of one.

use crate::buffer::{Chunk, Environment};
use crate::config::System;
use crate::io::{Access, File, Fs, durable_replace, sync_above};
use crate::log_warn;
use std::io::{self, IoSlice};
use std::path::{Path, PathBuf};

/// Fluentd's default modes.
const FILE_MODE: u32 = 0o644;
const DIR_MODE: u32 = 0o755;
/// How much of a chunk file is copied at a time, bytes.
const COPY_BYTES: usize = 1 << 20;

/// The backup directories of one output.
#[derive(Clone, Debug)]
pub(crate) struct Backup {
    /// For chunks that can never be written.
    pub rejected: PathBuf,
    /// For chunk files that are taken out of the buffer.
    pub evacuated: PathBuf,
    file_mode: u32,
    dir_mode: u32,
}

impl Backup {
    pub(crate) fn new(system: &System, plugin_id: &str) -> Self {
        let root = match &system.root_dir {
            Some(root) => root.clone(),
            None => std::env::var_os("FLUENT_BACKUP_DIR").map_or_else(|| "/tmp/fluent".into(), PathBuf::from),
        };
        let id = safe_name(plugin_id);
        Self {
            rejected: root.join("backup").join(format!("worker{}", system.worker_id)).join(&id),
            evacuated: root.join("buffer").join(&id),
            file_mode: system.file_permission.unwrap_or(FILE_MODE),
            dir_mode: system.dir_permission.unwrap_or(DIR_MODE),
        }
    }

    /// Saves what the output was given. On the device when this answers `Ok`.
    pub(crate) fn reject(&self, chunk: &Chunk, environment: &Environment) -> io::Result<()> {
        let fs = &*environment.fs;
        let path = self.rejected.join(format!("{}.log", chunk.id()));
        log_warn!(environment.log, format!("bad chunk is moved to {}", path.display()));
        fs.create_dir_all(&self.rejected, self.dir_mode)?;
        sync_above(fs, &self.rejected)?;
        durable_replace(fs, &path, &chunk.read()?, self.file_mode)
    }

    /// Copies the chunk's file, if it has one. On the device when this answers `Ok`.
    pub(crate) fn evacuate(&self, chunk: &Chunk, environment: &Environment) -> io::Result<()> {
        let Some(path) = chunk.path() else { return Ok(()) };
        let Some(name) = path.file_name() else { return Ok(()) };
        let fs = &*environment.fs;
        fs.create_dir_all(&self.evacuated, self.dir_mode)?;
        sync_above(fs, &self.evacuated)?;
        copy(fs, &path, &self.evacuated.join(name), self.file_mode)?;
        let mut meta = path.clone().into_os_string();
        meta.push(".meta");
        let meta = PathBuf::from(meta);
        if let (Ok(_), Some(name)) = (fs.stat(&meta), meta.file_name()) {
            copy(fs, &meta, &self.evacuated.join(name), self.file_mode)?;
        }
        fs.sync_dir(&self.evacuated)?;
        log_warn!(
            environment.log,
            format!("chunk files are evacuated to {}.", self.evacuated.display()),
            chunk_id = chunk.id()
        );
        Ok(())
    }
}

/// `id` as a directory name: Fluentd's replacements.
fn safe_name(id: &str) -> String {
    let unsafe_char = |c: char| matches!(c, ' ' | '"' | '/' | '\\' | ':' | ';' | '|' | '*' | '<' | '>' | '?');
    let name: String = id.chars().map(|c| if unsafe_char(c) { '_' } else { c }).collect();
    if name == "." || name == ".." { "_".repeat(name.len()) } else { name }
}

fn copy(fs: &dyn Fs, from: &Path, to: &Path, mode: u32) -> io::Result<()> {
    match fs.remove(to) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {} // a copy that was begun before a crash
    }
    let source = fs.open(from, Access::Read)?;
    let target = fs.create(to, mode)?;
    copy_bytes(&*source, &*target)?;
    target.sync_data()
}

fn copy_bytes(source: &dyn File, target: &dyn File) -> io::Result<()> {
    let mut buffer = vec![0; COPY_BYTES];
    let mut at = 0;
    loop {
        let read = source.read_at(&mut buffer, at)?;
        if read == 0 {
            return Ok(());
        }
        target.write_at(&[IoSlice::new(&buffer[..read])], at)?;
        at += read as u64;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::buffer::{
        Buffer, ChunkFiles, Compression, Durability, FileSettings, Limits, Metadata, Part, Settings, Store,
    };
    use crate::delivery::Receipt;
    use crate::io::sim::{SimClock, SimFs};
    use crate::telemetry::{Level, PluginLog};
    use bytes::Bytes;
    use std::sync::Arc;

    fn system(root: &Path) -> System {
        System { root_dir: Some(root.to_owned()), ..System::default() }
    }

    #[test]
    fn rejected_chunks_lie_under_the_id_of_their_plugin() {
        let dir = tempfile::tempdir().unwrap();
        let backup = Backup::new(&system(dir.path()), "out:a/b");
        let chunk = Chunk::in_memory(Metadata::default(), Bytes::from_static(b"entries"), 1);
        let environment = Environment::real(PluginLog::program(), "out");
        for _again in 0..2 {
            backup.reject(&chunk, &environment).unwrap();
            let path = dir.path().join(format!("backup/worker0/out_a_b/{}.log", chunk.id()));
            assert_eq!(std::fs::read(path).unwrap(), b"entries");
        }
    }

    /// A file buffer on a disk that forgets all that was not synced, with one chunk in it.
    fn simulated(fs: &SimFs) -> (Buffer, Environment) {
        let environment = Environment {
            fs: Arc::new(fs.clone()),
            clock: Arc::new(SimClock::new(1)),
            background: false,
            ..Environment::real(PluginLog::new(None, Some(Level::Fatal)), "out")
        };
        let files = ChunkFiles {
            dir: "/spool".into(),
            prefix: "buffer".to_owned(),
            suffix: ".log".to_owned(),
            also: Vec::new(),
            single: None,
        };
        let files = FileSettings {
            files,
            file_mode: FILE_MODE,
            dir_mode: DIR_MODE,
            durability: Durability::Synced,
            flush_at_shutdown: false,
            count_records: true,
            found_text: None,
        };
        let settings = Settings {
            store: Store::File(files),
            limits: Limits::FILE,
            compress: Compression::None,
            formatted: false,
            backup: None,
        };
        let buffer = Buffer::open(settings, environment.clone()).unwrap();
        let mut receipt = Receipt::unwatched();
        let part = Part::entries(Metadata::default(), Bytes::from_static(b"\x92\x00\x80"), 1);
        let batch = buffer.batch(vec![part], &mut receipt);
        buffer.append(&batch, &mut receipt, true).unwrap();
        assert!(buffer.settle());
        (buffer, environment)
    }

    #[test]
    fn what_is_given_up_is_on_the_device_before_it_leaves_the_buffer() {
        type Save = fn(&Backup, &Chunk, &Environment) -> io::Result<()>;
        for (save, is_rejected) in [(Backup::reject as Save, true), (Backup::evacuate, false)] {
            let fs = SimFs::new(1);
            let (buffer, environment) = simulated(&fs);
            let backup = Backup::new(&system(Path::new("/root")), "out");
            let chunk = buffer.take().unwrap();
            save(&backup, &chunk, &environment).unwrap();
            buffer.purge(chunk.id());
            assert!(buffer.settle());
            let after = fs.power_cut_keeping_nothing();
            let dir = if is_rejected { &backup.rejected } else { &backup.evacuated };
            let names = after.list(dir).unwrap_or_default();
            assert_eq!(names.len(), 1, "{names:?} in {}", dir.display());
            let bytes = after.open(&dir.join(&names[0]), Access::Read).unwrap().read_from(0).unwrap();
            assert!(bytes.ends_with(b"\x92\x00\x80"), "{bytes:?}");
            assert!(
                !after
                    .list(Path::new("/spool"))
                    .unwrap()
                    .iter()
                    .any(|n| n.to_str().unwrap().contains("buffer.q"))
            );
        }
    }

    #[test]
    fn a_copy_is_whole_and_replaces_what_a_crash_left() {
        let dir = tempfile::tempdir().unwrap();
        let (from, to) = (dir.path().join("from"), dir.path().join("to"));
        let bytes: Vec<u8> = (0..COPY_BYTES * 2 + 5).map(|i| i as u8).collect();
        std::fs::write(&from, &bytes).unwrap();
        std::fs::write(&to, "half").unwrap();
        copy(&crate::io::RealFs, &from, &to, 0o600).unwrap();
        assert!(std::fs::read(&to).unwrap() == bytes);
    }
}
