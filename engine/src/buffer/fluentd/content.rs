//! A chunk's bytes in files that Fluentd left behind.
//!
//! They are read where they lie and never written to. When the chunk was delivered the data file is removed first, the
//! `.meta` file after that is durable: a crash in between leaves a `.meta` without data, which the next start removes. The
//! other way round it would leave data that nobody knows the tag of.

use crate::buffer::files::meta_path;
use crate::buffer::{Body, Compression};
use crate::fault;
use crate::io::{Access, File, Fs};
use crate::msgpack::Entries;
use bytes::Bytes;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// One chunk file of Fluentd.
pub(crate) struct FluentdContent {
    fs: Arc<dyn Fs>,
    path: PathBuf,
    formatted: bool,
}

impl FluentdContent {
    pub(crate) fn new(fs: &Arc<dyn Fs>, path: PathBuf, formatted: bool) -> Self {
        Self { fs: Arc::clone(fs), path, formatted }
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// The content as one body. An entry that is cut off at the end, as a crash leaves it, is left out, as Fluentd does.
    pub(crate) fn bodies(&self, records: u64) -> io::Result<Vec<Body>> {
        let file = self.fs.open(&self.path, Access::Read)?;
        let mut bytes = Bytes::from(file.read_from(0)?);
        let compression = compression_of(&bytes);
        if compression == Compression::None && !self.formatted {
            let mut entries = Entries::new(&bytes);
            while entries.next().is_some() {}
            let end = entries.position();
            bytes.truncate(end);
        }
        Ok(vec![Body { bytes, records, compression }])
    }

    /// Removes the files. Syncs their directory in between.
    pub(crate) fn remove(&self) -> io::Result<()> {
        remove(&*self.fs, &self.path)
    }
}

/// Removes a chunk of Fluentd's with its `.meta`.
pub(crate) fn remove(fs: &dyn Fs, path: &Path) -> io::Result<()> {
    gone(fs.remove(path))?;
    fault!("fluentd-data-removed");
    let meta = meta_path(path);
    if fs.stat(&meta).is_ok() {
        if let Some(dir) = path.parent() {
            fs.sync_dir(dir)?;
        }
        gone(fs.remove(&meta))?;
        fault!("fluentd-meta-removed");
    }
    Ok(())
}

fn gone(result: io::Result<()>) -> io::Result<()> {
    match result {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        result => result,
    }
}

/// How the content is compressed, by its first bytes: no entry and no text begins so.
pub(crate) fn compression_of(bytes: &[u8]) -> Compression {
    match bytes {
        [0x1f, 0x8b, 0x08, ..] => Compression::Gzip,
        [0x28, 0xb5, 0x2f, 0xfd, ..] => Compression::Zstd,
        _ => Compression::None,
    }
}

/// How many records a chunk file holds, for one without `.meta`: entries, or lines of formatted text.
pub(crate) fn count_records(file: &dyn File, formatted: bool) -> io::Result<u64> {
    let bytes = file.read_from(0)?;
    let bytes = crate::buffer::compress::inflate(&bytes, compression_of(&bytes))?;
    Ok(match formatted {
        true => count_lines(&bytes),
        false => Entries::new(&bytes).count() as u64,
    })
}

/// Lines of formatted text; the last one need not end.
pub(crate) fn count_lines(text: &[u8]) -> u64 {
    let lines = memchr::memchr_iter(b'\n', text).count();
    (lines + usize::from(text.last().is_some_and(|last| *last != b'\n'))) as u64
}
