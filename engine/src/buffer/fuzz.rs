//! Recovery of whatever lies in a buffer's directory, for fuzz targets: it never fails, and what it found once it finds again.

use super::{
    Buffer, ChunkFiles, Compression, Durability, Environment, FileSettings, Limits, Metadata, Part, Settings,
    SingleKey, Store,
};
use crate::delivery::{Origin, Receipt};
use crate::event::Tag;
use crate::io::Fs;
use crate::io::sim::SimFs;
use crate::telemetry::{Level, PluginLog};
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

const DIR: &str = "/buffer";
const FLUENTD_ID: &str = "660ea087c069c0156a206a7dfc7d9983";

/// The body of a fuzz target: edits of a chunk file of three frames, then bytes of a second file beside it.
///
/// ```text
/// names:u8 | edits:u8 | edit*: what:u8 place:u8 value:u8 | bytes of the second file
/// ```
pub fn chunk_files(data: &[u8]) {
    let Some(([names, edits], rest)) = data.split_first_chunk() else { return };
    let (name, mut bytes) = three_frames().clone();
    let (edits, second) = rest.split_at((usize::from(*edits % 16) * 3).min(rest.len()));
    edits.as_chunks().0.iter().for_each(|edit| apply(edit, &mut bytes));
    let fs = SimFs::new(1);
    let put = |name: &Path, bytes: &[u8]| fs.put(&Path::new(DIR).join(name), bytes);
    if !make_dir(&fs) {
        return;
    }
    put(&name, &bytes);
    let text = name.to_string_lossy();
    match names % 4 {
        0 => {}
        1 => put(Path::new(&text.replace(".b", ".q")), second),
        2 => put(&files(None).marks_path().file_name().map(PathBuf::from).unwrap_or_default(), second),
        _ => put(Path::new(&format!("buffer.q{FLUENTD_ID}.log")), second),
    }
    check(&fs, None, names & 4 != 0);
}

/// The body of a fuzz target: a `.meta` whose length the second byte gives, then its chunk.
pub fn fluentd_chunks(data: &[u8]) {
    let Some(([choice, length], rest)) = data.split_first_chunk() else { return };
    let (meta, chunk) = rest.split_at(usize::from(*length).min(rest.len()));
    let fs = SimFs::new(1);
    let put = |name: String, bytes: &[u8]| fs.put(&Path::new(DIR).join(name), bytes);
    if !make_dir(&fs) {
        return;
    }
    let state = if choice & 1 == 0 { 'b' } else { 'q' };
    if choice & 2 == 0 {
        put(format!("buffer.{state}{FLUENTD_ID}.log"), chunk);
        if choice & 8 == 0 {
            put(format!("buffer.{state}{FLUENTD_ID}.log.meta"), meta);
        }
        check(&fs, None, choice & 4 != 0);
    } else {
        // The key is in the name; a name has no slash.
        let key = String::from_utf8_lossy(meta).replace(['/', '\0'], "_");
        put(format!("buffer.{key}.{state}{FLUENTD_ID}.log"), chunk);
        check(&fs, Some(SingleKey::Tag), choice & 4 != 0);
    }
}

/// Opens the directory twice, as after a crash in between: the same records in the same chunks.
fn check(fs: &SimFs, single: Option<SingleKey>, formatted: bool) {
    let first = found(fs, single.clone(), formatted);
    assert_eq!(found(fs, single, formatted), first, "a second start finds something else");
}

/// Metadata, number of records and content of each chunk.
fn found(fs: &SimFs, single: Option<SingleKey>, formatted: bool) -> Vec<String> {
    let Some(buffer) = open(fs, single, formatted) else { return Vec::new() };
    let stats = buffer.stats();
    buffer.enqueue_all();
    assert!(buffer.settle(), "{stats:?}");
    let mut chunks: Vec<String> = std::iter::from_fn(|| buffer.take())
        .filter_map(|chunk| {
            let content = chunk.read().map_err(|error| error.kind());
            // What has nothing in it may be thrown away at once.
            let is_empty = content.as_ref().is_ok_and(|bytes| bytes.is_empty());
            (!is_empty).then(|| format!("{:?} {} {content:x?}", chunk.metadata(), chunk.records()))
        })
        .collect();
    chunks.sort();
    buffer.abandon();
    chunks
}

fn apply(&[what, place, value]: &[u8; 3], bytes: &mut Vec<u8>) {
    // The file has some 400 bytes.
    let at = (usize::from(place) * 2 + usize::from(what >> 7)).min(bytes.len());
    let end = (at + usize::from(value)).min(bytes.len());
    match what % 6 {
        0 if at < bytes.len() => bytes[at] ^= value,
        1 => bytes.truncate(at),
        2 => {
            let copy = bytes[at..end].to_vec();
            bytes.extend(copy);
        }
        3 => drop(bytes.drain(at..end)),
        4 => bytes[at..end].fill(0),
        _ => bytes.insert(at, value),
    }
}

/// The name and bytes of a chunk file with a frame of each kind of origin.
fn three_frames() -> &'static (PathBuf, Vec<u8>) {
    static FRAMES: OnceLock<(PathBuf, Vec<u8>)> = OnceLock::new();
    FRAMES.get_or_init(|| {
        let fs = SimFs::new(1);
        let content = make_dir(&fs).then(|| open(&fs, None, false)).flatten().and_then(|buffer| {
            let metadata = Metadata { tag: Some(Tag::new("a")), ..Metadata::default() };
            for (number, origin) in [Origin::None, Origin::None, Origin::None].into_iter().enumerate() {
                let entry = [0x92, 0, 0x81, 0xa1, b'i', number as u8];
                let mut receipt = Receipt::durable(origin);
                let part = Part::entries(metadata.clone(), entry.to_vec().into(), 1);
                let batch = buffer.batch(vec![part], &mut receipt);
                buffer.append(&batch, &mut receipt, false).ok()?;
            }
            buffer.settle();
            buffer.abandon();
            let name = fs.list(Path::new(DIR)).ok()?.into_iter().map(PathBuf::from);
            let name = name.filter(|name| name.to_string_lossy().starts_with("buffer.b")).next_back()?;
            let mut bytes = Vec::new();
            let file = fs.open(&Path::new(DIR).join(&name), crate::io::Access::Read).ok()?;
            bytes.extend(file.read_from(0).ok()?);
            Some((name, bytes))
        });
        content.unwrap_or_default()
    })
}

fn make_dir(fs: &SimFs) -> bool {
    fs.create_dir_all(Path::new(DIR), 0o755).is_ok()
}

fn open(fs: &SimFs, single: Option<SingleKey>, formatted: bool) -> Option<Buffer> {
    let log = PluginLog::new(None, Some(Level::Fatal));
    let real = Environment::real(log, "fuzz");
    let environment = Environment { fs: Arc::new(fs.clone()), background: false, ..real };
    Buffer::open(settings(single, formatted), environment).ok()
}

fn settings(single: Option<SingleKey>, formatted: bool) -> Settings {
    Settings {
        store: Store::File(FileSettings {
            files: files(single),
            file_mode: 0o644,
            dir_mode: 0o755,
            durability: Durability::Synced,
            flush_at_shutdown: false,
            count_records: true,
            found_text: None,
        }),
        limits: Limits::FILE,
        compress: Compression::None,
        formatted,
        backup: Some(PathBuf::from("/backup")),
    }
}

fn files(single: Option<SingleKey>) -> ChunkFiles {
    ChunkFiles {
        dir: PathBuf::from(DIR),
        prefix: "buffer".to_owned(),
        suffix: ".log".to_owned(),
        also: Vec::new(),
        single,
    }
}
