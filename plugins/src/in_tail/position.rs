//! The pos file, in Fluentd's format: a line a file,
//!
//! ```text
//! PATH \t %016x (offset) \t %016x (inode) \n
//! ```
//!
//! updated in place: offset and inode stand at fixed places of their line. The offset `ffffffffffffffff` means that the
//! file is watched no more. An entry is known by its path, or with follow_inodes by its inode.
//!
//! A device writes sectors as a whole, a power cut may keep one and not the next: digits of two offsets, or the offset of one
//! file with the inode of another, would be a position that was never reached, and lines behind it lost. So the numbers of a
//! line never lie in two sectors: where they would, a line of a file that nobody watches comes first.
#![cfg_attr(not(test), deny(clippy::disallowed_methods))]

use logweir_engine::fault;
use logweir_engine::io::{Access, File, Fs, durable_replace};
use logweir_engine::log_warn;
use logweir_engine::plugin::FollowedFile;
use logweir_engine::telemetry::PluginLog;
use std::collections::HashMap;
use std::io::{self, IoSlice};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Offset of a file that is watched no more.
const UNWATCHED: u64 = u64::MAX;
/// `offset \t inode`, hexadecimal.
const NUMBERS_BYTES: usize = 33;
/// What devices write as a whole, at least.
const SECTOR_BYTES: u64 = 512;
/// A line of no file, longer than [`NUMBERS_BYTES`]. Fluentd too takes it out when it compacts.
const FILLER: &[u8] = b"-\tffffffffffffffff\t0000000000000000\n";

/// By what entries are told apart.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum Key {
    /// Path, as it is written in the file.
    Path(PathBuf),
    /// Inode (follow_inodes).
    Inode(u64),
}

/// One line of the pos file, or of memory where there is no pos file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Position {
    /// Bytes of the file that have been delivered.
    pub(super) offset: u64,
    /// Inode that the offset is of; 0 if the file has never been read.
    pub(super) inode: u64,
}

/// All positions of one source. Cheap to clone: positions are advanced where commits arrive.
#[derive(Clone)]
pub(super) struct Positions(Arc<Mutex<Table>>);

struct Table {
    file: Option<OpenFile>,
    entries: HashMap<Key, Entry>,
    follow_inodes: bool,
    log: PluginLog,
}

struct OpenFile {
    fs: Arc<dyn Fs>,
    path: PathBuf,
    mode: u32,
    file: Arc<dyn File>,
    len: u64,
}

struct Entry {
    path: PathBuf,
    position: Position,
    /// Where the numbers stand in the file.
    at: u64,
}

impl Positions {
    /// Without a pos file: positions are forgotten at the end of the process.
    pub(super) fn in_memory(log: PluginLog) -> Self {
        Self(Arc::new(Mutex::new(Table { file: None, entries: HashMap::new(), follow_inodes: false, log })))
    }

    /// Opens or creates the pos file and compacts it: lines that cannot be read, that are unwatched, or whose file
    /// `exists` denies go away; of several lines of one file the last one stays.
    pub(super) fn open(
        fs: Arc<dyn Fs>,
        path: &Path,
        mode: u32,
        follow_inodes: bool,
        log: PluginLog,
        exists: impl Fn(&Key) -> bool,
    ) -> io::Result<Self> {
        let file = match fs.open(path, Access::Write) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => fs.create(path, mode)?,
            other => other?,
        };
        let open = OpenFile { fs, path: path.to_owned(), mode, file, len: 0 };
        let mut table = Table { file: Some(open), entries: HashMap::new(), follow_inodes, log };
        table.load(exists)?;
        Ok(Self(Arc::new(Mutex::new(table))))
    }

    /// The position of a file; a new one (0, 0) is written if there is none.
    pub(super) fn get(&self, path: &Path, inode: u64) -> Position {
        let mut table = self.lock();
        let key = table.key(path, inode);
        if let Some(entry) = table.entries.get(&key) {
            return entry.position;
        }
        table.append(key, path, Position::default());
        Position::default()
    }

    /// Sets offset and inode.
    pub(super) fn set(&self, path: &Path, position: Position) {
        let mut table = self.lock();
        let key = table.key(path, position.inode);
        match table.entries.get_mut(&key) {
            Some(entry) => {
                entry.position = position;
                let at = entry.at;
                table.write_numbers(at, position);
            }
            None => table.append(key, path, position),
        }
    }

    /// Moves the offset of a file forward, if the entry is (still) that of this inode.
    pub(super) fn advance(&self, path: &Path, inode: u64, offset: u64) {
        let mut table = self.lock();
        let key = table.key(path, inode);
        if let Some(entry) = table.entries.get_mut(&key).filter(|entry| entry.position.inode == inode) {
            entry.position.offset = offset;
            let (at, position) = (entry.at, entry.position);
            table.write_numbers(at, position);
        }
    }

    /// The file is watched no more. Does nothing if the entry is that of another inode by now.
    pub(super) fn unwatch(&self, path: &Path, inode: u64) {
        let mut table = self.lock();
        let key = table.key(path, inode);
        if table.entries.get(&key).is_some_and(|entry| entry.position.inode == inode) {
            table.unwatch(&key);
        }
    }

    /// The inodes that there are entries of.
    pub(super) fn inodes(&self) -> Vec<u64> {
        self.lock().entries.values().map(|entry| entry.position.inode).collect()
    }

    /// The files that there are entries of, as monitoring shows them.
    pub(super) fn followed(&self) -> Vec<FollowedFile> {
        let table = self.lock();
        let read = table.entries.values().filter(|entry| entry.position.inode != 0);
        let shown = |entry: &Entry| FollowedFile {
            path: entry.path.clone(),
            inode: entry.position.inode,
            position: entry.position.offset,
        };
        read.map(shown).collect()
    }

    /// Writes the file anew without unwatched lines (pos_file_compaction_interval).
    pub(super) fn compact(&self) -> io::Result<()> {
        let mut table = self.lock();
        let text = table.text();
        table.rewrite(&text)
    }

    fn lock(&self) -> MutexGuard<'_, Table> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Table {
    fn key(&self, path: &Path, inode: u64) -> Key {
        if self.follow_inodes { Key::Inode(inode) } else { Key::Path(path.to_owned()) }
    }

    fn load(&mut self, exists: impl Fn(&Key) -> bool) -> io::Result<()> {
        let Some(open) = &self.file else { return Ok(()) };
        let bytes = open.file.read_from(0)?;
        let mut kept: Vec<(Key, PathBuf, Position)> = Vec::new();
        let mut places: HashMap<Key, usize> = HashMap::new();
        for line in bytes.split_inclusive(|byte| *byte == b'\n') {
            let Some((path, position)) = parse_line(line) else {
                let text = String::from_utf8_lossy(line);
                log_warn!(self.log, format!("Unparsable line in pos_file: {}", text.trim_end()));
                continue;
            };
            if position.offset == UNWATCHED {
                continue;
            }
            let key = self.key(&path, position.inode);
            if let Some(at) = places.get(&key).copied() {
                let (_, old_path, old) = &kept[at];
                let name = match &key {
                    Key::Path(path) => path.display().to_string(),
                    Key::Inode(inode) => format!("{} (inode: {inode})", path.display()),
                };
                let message = format!(
                    "{name} already exists. use latest one: deleted {} at {} of inode {}",
                    old_path.display(),
                    old.offset,
                    old.inode
                );
                log_warn!(self.log, message);
                // Fluentd keeps the place of the first and the numbers of the last.
                kept[at] = (key, path, position);
            } else {
                places.insert(key.clone(), kept.len());
                kept.push((key, path, position));
            }
        }
        kept.retain(|(key, _, _)| exists(key));
        let mut text = Vec::new();
        for (key, path, position) in kept {
            let at = push_line(&mut text, 0, &path, position);
            self.entries.insert(key, Entry { path, position, at });
        }
        if text != bytes { self.rewrite(&text) } else { self.set_len(text.len()) }
    }

    /// The whole file as it should be; entries learn their new places.
    fn text(&mut self) -> Vec<u8> {
        let mut text = Vec::new();
        let mut entries: Vec<&mut Entry> = self.entries.values_mut().collect();
        entries.sort_by_key(|entry| entry.at);
        for entry in entries {
            entry.at = push_line(&mut text, 0, &entry.path, entry.position);
        }
        text
    }

    /// Replaces the file: after a crash there is the old one or the new one, whole.
    fn rewrite(&mut self, text: &[u8]) -> io::Result<()> {
        if let Some(open) = &mut self.file {
            durable_replace(open.fs.as_ref(), &open.path, text, open.mode)?;
            open.file = open.fs.open(&open.path, Access::Write)?;
        }
        self.set_len(text.len())
    }

    fn set_len(&mut self, len: usize) -> io::Result<()> {
        if let Some(open) = &mut self.file {
            open.len = len as u64;
        }
        Ok(())
    }

    fn append(&mut self, key: Key, path: &Path, position: Position) {
        let mut line = Vec::new();
        let start = self.file.as_ref().map_or(0, |open| open.len);
        let at = push_line(&mut line, start, path, position);
        let mut result = Ok(());
        if let Some(open) = &mut self.file {
            fault!("pos-entry-torn", open.file.write_at(&[IoSlice::new(&line[..line.len() / 2])], open.len));
            result = open.file.write_at(&[IoSlice::new(&line)], open.len);
            if result.is_ok() {
                open.len += line.len() as u64;
            }
            fault!("pos-entry-written");
        }
        self.report(result);
        self.entries.insert(key, Entry { path: path.to_owned(), position, at });
    }

    fn unwatch(&mut self, key: &Key) {
        if let Some(entry) = self.entries.remove(key) {
            let position = Position { offset: UNWATCHED, ..entry.position };
            self.write_numbers(entry.at, position);
        }
    }

    fn write_numbers(&mut self, at: u64, position: Position) {
        let Some(open) = &self.file else { return };
        let numbers = numbers(position);
        fault!("pos-writing");
        fault!("pos-torn", open.file.write_at(&[IoSlice::new(&numbers[..NUMBERS_BYTES / 2])], at));
        let result = open.file.write_at(&[IoSlice::new(&numbers)], at);
        fault!("pos-written");
        self.report(result);
    }

    /// A position that cannot be written is no loss: after a restart lines are read again, and file buffers
    /// recognise them.
    fn report(&self, result: io::Result<()>) {
        if let (Err(error), Some(open)) = (result, &self.file) {
            log_warn!(
                self.log,
                "cannot write the pos file; reading goes on, and after a restart these lines are read again",
                pos_file = open.path,
                error = error.to_string()
            );
        }
    }
}

/// Fluentd's `/^([^\t]+)\t([0-9a-fA-F]+)\t([0-9a-fA-F]+)/`.
fn parse_line(line: &[u8]) -> Option<(PathBuf, Position)> {
    use std::os::unix::ffi::OsStrExt;
    let mut parts = line.splitn(3, |byte| *byte == b'\t');
    let path = parts.next().filter(|path| !path.is_empty())?;
    let offset = hex(parts.next()?, true)?;
    let inode = hex(parts.next()?, false)?;
    Some((PathBuf::from(std::ffi::OsStr::from_bytes(path)), Position { offset, inode }))
}

/// The hexadecimal digits at the start; `whole` if nothing else may follow.
fn hex(text: &[u8], whole: bool) -> Option<u64> {
    let digits = text.iter().take_while(|byte| byte.is_ascii_hexdigit()).count();
    if digits == 0 || (whole && digits != text.len()) {
        return None;
    }
    u64::from_str_radix(std::str::from_utf8(&text[..digits]).ok()?, 16).ok()
}

/// Appends a line to `out`, which begins at byte `start` of the file; answers where in the file its numbers begin.
fn push_line(out: &mut Vec<u8>, start: u64, path: &Path, position: Position) -> u64 {
    use std::os::unix::ffi::OsStrExt;
    let path = path.as_os_str().as_bytes();
    let sector = |at: u64| at / SECTOR_BYTES;
    let mut at = start + (out.len() + path.len() + 1) as u64;
    if sector(at) != sector(at + NUMBERS_BYTES as u64 - 1) {
        out.extend_from_slice(FILLER);
        at += FILLER.len() as u64;
    }
    out.extend_from_slice(path);
    out.push(b'\t');
    out.extend_from_slice(&numbers(position));
    out.push(b'\n');
    at
}

fn numbers(position: Position) -> [u8; NUMBERS_BYTES] {
    let mut out = [b'\t'; NUMBERS_BYTES];
    let digit = |value: u64, place: usize| b"0123456789abcdef"[(value >> (60 - 4 * place)) as usize & 15];
    for place in 0..16 {
        out[place] = digit(position.offset, place);
        out[17 + place] = digit(position.inode, place);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use logweir_engine::io::RealFs;
    use std::fs;

    fn open(path: &Path, follow_inodes: bool, exists: impl Fn(&Key) -> bool) -> Positions {
        let log = PluginLog::program();
        Positions::open(Arc::new(RealFs), path, 0o644, follow_inodes, log, exists).unwrap()
    }

    #[test]
    fn numbers_are_updated_in_place() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("pos");
        let positions = open(&file, false, |_| true);
        assert_eq!(positions.get(Path::new("/a"), 7), Position::default());
        positions.set(Path::new("/b"), Position { offset: 1, inode: 2 });
        positions.set(Path::new("/a"), Position { offset: 0xabc, inode: 7 });
        positions.advance(Path::new("/b"), 2, 0x10);
        positions.advance(Path::new("/b"), 3, 0x99);
        assert_eq!(
            fs::read_to_string(&file).unwrap(),
            "/a\t0000000000000abc\t0000000000000007\n/b\t0000000000000010\t0000000000000002\n"
        );
    }

    #[test]
    fn a_load_drops_what_cannot_be_used() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("pos");
        let text = "/a\t1\t2\nrubbish\n/gone\t0\t9\n/a\tFF\t3\n/u\tffffffffffffffff\t0000000000000005\n";
        fs::write(&file, text).unwrap();
        let positions = open(&file, false, |key| *key != Key::Path("/gone".into()));
        assert_eq!(fs::read_to_string(&file).unwrap(), "/a\t00000000000000ff\t0000000000000003\n");
        assert_eq!(positions.get(Path::new("/a"), 3), Position { offset: 255, inode: 3 });
    }

    #[test]
    fn the_numbers_of_a_line_are_in_one_sector() {
        let dir = tempfile::tempdir().unwrap();
        for length in 1..60 {
            let file = dir.path().join(length.to_string());
            let path = |number: u64| PathBuf::from(format!("/{number:0length$}"));
            let positions = open(&file, false, |_| true);
            (1..60).for_each(|i| positions.set(&path(i), Position { offset: i * 1000, inode: i }));
            let text = fs::read(&file).unwrap();
            for i in 1..60 {
                let line = format!("{}\t{:016x}\t{i:016x}\n", path(i).display(), i * 1000);
                let at = text.windows(line.len()).position(|window| window == line.as_bytes()).unwrap();
                let numbers = at + line.len() - 1 - NUMBERS_BYTES..at + line.len() - 1;
                assert_eq!(numbers.start / 512, (numbers.end - 1) / 512, "{line}");
            }
            drop(positions);
            let again = open(&file, false, |_| true);
            assert_eq!(fs::read(&file).unwrap(), text, "nothing to compact");
            assert_eq!(again.get(&path(59), 59), Position { offset: 59_000, inode: 59 });
        }
    }

    #[test]
    fn an_unwatched_entry_is_marked_and_compacted_away() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("pos");
        let positions = open(&file, true, |_| true);
        positions.set(Path::new("/a"), Position { offset: 5, inode: 1 });
        positions.set(Path::new("/a"), Position { offset: 6, inode: 2 });
        positions.unwatch(Path::new("/a"), 1);
        assert!(fs::read_to_string(&file).unwrap().starts_with("/a\tffffffffffffffff\t0000000000000001\n"));
        positions.compact().unwrap();
        positions.advance(Path::new("/a"), 2, 7);
        assert_eq!(fs::read_to_string(&file).unwrap(), "/a\t0000000000000007\t0000000000000002\n");
    }
}
