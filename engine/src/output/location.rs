//! Where a file buffer lies: Fluentd's rules for `path`.
//!
//! | `path` | files (`file`) | files (`file_single`) |
//! |---|---|---|
//! | a directory `/d`, or nothing that exists and no `.*` in it | `/d/buffer.*.log` | `/d/fsb.*.buf` |
//! | `/d/x.*.buf` | `/d/x.*.buf` | `/d/fsb.*.buf` |
//! | `/d/x.*` | `/d/x.*.log` | `/d/x.*.buf` |
//! | a file `/d/x` | `/d/x.*.log` | `/d/x.*.buf` |
//! | none | `ROOT/workerN/ID/buffer/buffer.*.log` | `ROOT/workerN/ID/buffer/fsb.*.buf` |
//!
//! Logweir is one process where Fluentd has `workers N`: an output takes the place of worker 0 (in `<worker N-M>`, of worker N)
//! and looks for what the others left behind, in as many `workerN` folders as there are: the former Fluentd may have had more
//! workers than the configuration says now.
#![allow(
    clippy::disallowed_methods,
    reason = "looks at what the configuration names, before anything is kept there"
)]

use super::keys::ChunkKeys;
use crate::buffer::{ChunkFiles, SingleKey};
use crate::config::{Diagnostic, Params, System};
use crate::io::Fs;
use crate::plugin::PluginId;
use crate::telemetry::PluginLog;
use crate::{log_error, log_warn};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Which of Fluentd's file buffers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum FileKind {
    File,
    Single,
}

/// What decides where the files are.
pub(crate) struct Location<'a> {
    pub fs: &'a dyn Fs,
    pub kind: FileKind,
    /// The `<buffer>`.
    pub buffer: &'a Params,
    pub keys: &'a ChunkKeys,
    pub id: &'a PluginId,
    pub system: &'a System,
    /// Where the output wants its buffer if neither `path` nor root_dir says.
    pub fallback: Option<&'a str>,
    pub log: &'a PluginLog,
}

impl Location<'_> {
    /// The path that is compared with those of other buffers, and the files.
    pub(crate) fn resolve(&self) -> Result<(String, ChunkFiles), Diagnostic> {
        let (path, in_root) = self.path()?;
        let single = match self.kind {
            FileKind::File => None,
            FileKind::Single => Some(self.single_key()?),
        };
        let (prefix, suffix) = match self.kind {
            FileKind::File => ("buffer", self.buffer.str("path_suffix").unwrap_or(".log")),
            FileKind::Single => ("fsb", ".buf"),
        };
        let workers = self.system.workers > 1 && !in_root;
        let as_path = PathBuf::from(&path);
        let stat = self.fs.stat(&as_path);
        if stat.as_ref().is_ok_and(|stat| stat.is_dir) || (stat.is_err() && !path.contains(".*")) {
            let in_root = self.system.root_dir.as_ref().filter(|_| in_root);
            let (dir, also) = match in_root {
                Some(root) => {
                    let buffer = |worker: &Path| worker.join(&*self.id.text).join("buffer");
                    (as_path, self.worker_dirs(root).iter().map(|worker| buffer(worker)).collect())
                }
                None if workers => {
                    let mut also = vec![as_path.clone()];
                    also.extend(self.worker_dirs(&as_path));
                    (as_path.join(self.own_worker()), also)
                }
                None => {
                    let also = self.worker_dirs(&as_path);
                    (as_path, also)
                }
            };
            let also = also.into_iter().filter(|other| *other != dir).collect();
            let files =
                ChunkFiles { dir, prefix: prefix.to_owned(), suffix: suffix.to_owned(), also, single };
            return Ok((path, files));
        }
        if workers {
            let kind = match self.kind {
                FileKind::File => "file buffer",
                FileKind::Single => "file_single buffer",
            };
            let message = format!(
                "{kind} with multi workers should be configured to use directory 'path', or system root_dir and \
                 plugin id"
            );
            log_error!(self.log, message);
            return Err(self.buffer.error("path", message));
        }
        let files = self.pattern(&as_path, prefix, suffix, single);
        Ok((path, files))
    }

    fn path(&self) -> Result<(String, bool), Diagnostic> {
        if let Some(path) = self.buffer.str("path") {
            return Ok((path.to_owned(), false));
        }
        if let (Some(root), true) = (&self.system.root_dir, self.id.configured) {
            let path = root.join(self.own_worker()).join(&*self.id.text).join("buffer");
            return Ok((path.to_string_lossy().into_owned(), true));
        }
        match self.fallback {
            Some(path) => Ok((path.to_owned(), false)),
            None => Err(self
                .buffer
                .error_here("buffer path is not configured. specify 'path' in <buffer>")
                .help("add `path /var/lib/logweir/NAME`, or set root_dir in <system> and an @id here")),
        }
    }

    fn own_worker(&self) -> String {
        format!("worker{}", self.system.worker_id)
    }

    /// `workerN` folders in `dir`, by number.
    fn worker_dirs(&self, dir: &Path) -> Vec<PathBuf> {
        let names = self.fs.list(dir).unwrap_or_default();
        let numbers = names.iter().filter_map(|name| name.to_str()?.strip_prefix("worker")?.parse().ok());
        let numbers: BTreeSet<u32> = numbers.collect();
        let dirs = numbers.into_iter().map(|n| dir.join(format!("worker{n}")));
        dirs.filter(|dir| self.fs.stat(dir).is_ok_and(|stat| stat.is_dir)).collect()
    }

    fn pattern(&self, path: &Path, prefix: &str, suffix: &str, single: Option<SingleKey>) -> ChunkFiles {
        let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        let dir = match path.parent() {
            Some(dir) if !dir.as_os_str().is_empty() => dir.to_owned(),
            _ => PathBuf::from("."),
        };
        let (prefix, suffix) = match name.split_once(".*.") {
            Some(_) if self.kind == FileKind::Single => {
                let instead = dir.join(format!("{prefix}.*{suffix}"));
                log_warn!(
                    self.log,
                    format!(
                        "file_single doesn't allow user specified 'prefix.*.suffix' style path. Use '{}' for file \
                         instead: {}",
                        instead.display(),
                        path.display()
                    )
                );
                (prefix.to_owned(), suffix.to_owned())
            }
            Some((prefix, rest)) => (prefix.to_owned(), format!(".{rest}")),
            None => (name.strip_suffix(".*").unwrap_or(&name).to_owned(), suffix.to_owned()),
        };
        ChunkFiles { dir, prefix, suffix, also: Vec::new(), single }
    }

    /// The time slice is in no name, as with Fluentd, which forgets it over a restart. Logweir's chunks have it in their
    /// headers; those that Fluentd left behind have none, and are written at once.
    fn single_key(&self) -> Result<SingleKey, Diagnostic> {
        match (&*self.keys.fields, self.keys.tag) {
            ([], _) => Ok(SingleKey::Tag),
            (_, true) => Err(self.buffer.error_here("chunk keys must be tag or one field")),
            ([field], false) => Ok(SingleKey::Field(Arc::clone(&field.name))),
            _ => Err(self.buffer.error_here("2 or more chunk keys is not allowed")),
        }
    }
}
