//! Tests of the buffer as a whole.

mod crash;
mod damage;
mod fixtures;
mod fluentd;
mod inspect;
mod limits;
mod old_blocks;
mod recovery;
mod replays;

use super::*;
use crate::delivery::{Origin, Receipt};
use crate::event::Tag;
use crate::io::{Fs, RealFs};
use crate::telemetry::PluginLog;
use std::path::Path;

/// A buffer's directory with a backup directory beside it.
struct Place {
    dir: tempfile::TempDir,
}

impl Place {
    fn new() -> Self {
        Self { dir: tempfile::tempdir().unwrap() }
    }

    fn buffer_dir(&self) -> std::path::PathBuf {
        self.dir.path().join("buf")
    }

    fn settings(&self) -> Settings {
        file_settings(self.dir.path())
    }

    fn open(&self) -> Buffer {
        self.open_with(self.settings())
    }

    fn open_with(&self, settings: Settings) -> Buffer {
        Buffer::open(settings, environment()).unwrap()
    }

    /// Names in the buffer's directory that Fluentd would see too.
    fn names(&self) -> Vec<String> {
        names(&self.buffer_dir()).into_iter().filter(|name| !name.starts_with('.')).collect()
    }

    /// Names in the backup directory.
    fn backups(&self) -> Vec<String> {
        names(&self.dir.path().join("backup"))
    }

    /// The one chunk file.
    fn chunk_file(&self) -> std::path::PathBuf {
        let names = self.names();
        assert_eq!(names.len(), 1, "{names:?}");
        self.buffer_dir().join(&names[0])
    }
}

fn file_settings(dir: &Path) -> Settings {
    let files = ChunkFiles {
        dir: dir.join("buf"),
        prefix: "buffer".to_owned(),
        suffix: ".log".to_owned(),
        also: Vec::new(),
        single: None,
    };
    Settings {
        store: Store::File(FileSettings {
            files,
            file_mode: 0o644,
            dir_mode: 0o755,
            durability: Durability::Synced,
            flush_at_shutdown: false,
            count_records: true,
            found_text: None,
        }),
        limits: Limits::FILE,
        compress: Compression::None,
        formatted: false,
        backup: Some(dir.join("backup")),
    }
}

/// No thread: the tests say when something becomes durable.
fn environment() -> Environment {
    Environment { background: false, ..Environment::real(PluginLog::program(), "test") }
}

fn names(dir: &Path) -> Vec<String> {
    let names = RealFs.list(dir).unwrap_or_default();
    names.into_iter().map(|name| name.into_string().unwrap()).collect()
}

/// Entries `[0, {"i": number}]` of 6 bytes.
fn entries(numbers: impl IntoIterator<Item = u8>) -> Vec<u8> {
    numbers.into_iter().flat_map(|i| [0x92, 0, 0x81, 0xa1, b'i', i]).collect()
}

fn part(tag: &str, numbers: std::ops::Range<u8>) -> Part {
    let metadata = Metadata { tag: Some(Tag::new(tag)), ..Metadata::default() };
    let count = numbers.len();
    Part::entries(metadata, entries(numbers).into(), count)
}

fn append(buffer: &Buffer, parts: Vec<Part>) -> Result<Appended, AppendError> {
    append_from(buffer, Origin::None, parts)
}

fn append_from(buffer: &Buffer, origin: Origin, parts: Vec<Part>) -> Result<Appended, AppendError> {
    let mut receipt = Receipt::durable(origin);
    let batch = buffer.batch(parts, &mut receipt);
    buffer.append(&batch, &mut receipt, false)
}

/// The numbers of the records in a chunk.
fn numbers(chunk: &Chunk) -> Vec<u8> {
    chunk.read().unwrap().chunks(6).map(|entry| entry[5]).collect()
}

/// Queues and takes everything; answers tag and numbers of each chunk, sorted.
fn drain(buffer: &Buffer) -> Vec<(String, Vec<u8>)> {
    buffer.enqueue_all();
    assert!(buffer.settle());
    let mut found: Vec<_> = std::iter::from_fn(|| buffer.take())
        .map(|chunk| {
            let tag = chunk.metadata().tag.as_ref().map(|tag| tag.to_string()).unwrap_or_default();
            (tag, numbers(&chunk))
        })
        .collect();
    found.sort();
    found
}

fn all(tag: &str, numbers: &[u8]) -> (String, Vec<u8>) {
    (tag.to_owned(), numbers.to_vec())
}

/// As if the process had been killed: nothing is settled or closed.
fn kill(buffer: Buffer) {
    // The lock would outlive the process's death in this one; the kernel lets go of a real one.
    buffer.abandon();
}
