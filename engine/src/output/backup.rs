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
use crate::io::{Access, File, Fs, durable_replace};
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
        durable_replace(fs, &path, &chunk.read()?, self.file_mode)
    }

    /// Copies the chunk's file, if it has one.
    pub(crate) fn evacuate(&self, chunk: &Chunk, environment: &Environment) -> io::Result<()> {
        let Some(path) = chunk.path() else { return Ok(()) };
        let Some(name) = path.file_name() else { return Ok(()) };
        let fs = &*environment.fs;
        fs.create_dir_all(&self.evacuated, self.dir_mode)?;
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
    use crate::buffer::Metadata;
    use crate::telemetry::PluginLog;
    use bytes::Bytes;

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
