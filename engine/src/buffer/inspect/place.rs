//! Where a buffer's chunk files are.

use super::ChunkFile;
use super::chunk_file::Look;
use super::names::{any_id, guess, prefix_by_lock};
use super::ours::{self, Head};
use crate::buffer::file::scan::{Found, Scan};
use crate::buffer::file::{frame, origin};
use crate::buffer::files::ChunkName;
use crate::buffer::marks::Snapshot;
use crate::buffer::taken_back::TakenBack;
use crate::buffer::unseen::Unseen;
use crate::buffer::{ChunkFiles, ChunkId, ChunkState, SingleKey, marks_file};
use crate::io::{self, Access, DirectoryLock, Fs, LockError};
use std::collections::hash_map::Entry;
use std::collections::{BTreeMap, HashMap};
use std::ffi::OsStr;
use std::io::{Error, ErrorKind, Result};
use std::path::{Path, PathBuf};

/// The chunk files of one buffer.
#[derive(Clone, Debug)]
pub struct Place {
    files: ChunkFiles,
    /// Whether Fluentd's chunks in it hold text, if that is known.
    text: Option<bool>,
    /// It is this one file.
    only: Option<ChunkFile>,
}

/// Appends that do not count. A crash interrupted them: not all of their parts are there, so nobody was told that they were stored,
/// and their inputs repeat them. Or they had failed, and what is there of them was not to be.
#[derive(Debug, Default)]
pub struct Incomplete {
    by_dir: HashMap<PathBuf, Parts>,
}

impl Place {
    /// The buffer that a configuration describes; `formatted` says that its output has a format of its own.
    pub fn of(files: ChunkFiles, formatted: bool) -> Self {
        Self { files, text: Some(formatted), only: None }
    }

    /// What lies at `path`: a chunk file, a directory (each buffer in it, those of its workers included), or a `path` of a
    /// `<buffer>` with a star.
    pub fn at(fs: &dyn Fs, path: &Path) -> Result<Vec<Self>> {
        match fs.stat(path) {
            Ok(stat) if stat.is_dir => in_directory(fs, path),
            Ok(_) => one_file(fs, path).map(|place| vec![place]),
            Err(error) if error.kind() == ErrorKind::NotFound => by_pattern(fs, path).ok_or(error)?,
            Err(error) => Err(error),
        }
    }

    /// `DIR/PREFIX.*SUFFIX`, or the one file.
    pub fn shown(&self) -> String {
        match &self.only {
            Some(file) => file.path.display().to_string(),
            None => {
                let pattern = format!("{}.*{}", self.files.prefix, self.files.suffix);
                self.files.dir.join(pattern).display().to_string()
            }
        }
    }

    /// The directories in which chunks are looked for.
    pub fn dirs(&self) -> impl Iterator<Item = &Path> {
        std::iter::once(&self.files.dir).chain(&self.files.also).map(PathBuf::as_path)
    }

    /// This place if `path` is one of its directories or its pattern, the one file of it that `path` is, or nothing.
    pub fn within(&self, path: &Path) -> Option<Self> {
        let same = |dir: &Path, path: &Path| match (dir.canonicalize(), path.canonicalize()) {
            (Ok(a), Ok(b)) => a == b,
            _ => dir == path,
        };
        if path == Path::new(&self.shown()) || self.dirs().any(|dir| same(dir, path)) {
            return Some(self.clone());
        }
        let parsed = self.files.parse(path.file_name()?)?;
        let parent = path.parent().filter(|dir| !dir.as_os_str().is_empty()).unwrap_or(Path::new("."));
        self.dirs().any(|dir| same(dir, parent)).then(|| {
            let only = Some(self.file(path.to_owned(), parsed));
            Self { only, ..self.clone() }
        })
    }

    /// Whether there are files of Fluentd's in whose names nobody knows if the key is a tag or a field. Logweir's say it.
    pub fn guesses_key(&self, fs: &dyn Fs) -> bool {
        let is_theirs = |chunk: &ChunkFile| {
            let opened = chunk.open(fs).ok().flatten()?;
            matches!(ours::head(&opened), Ok(Head::NotOurs)).then_some(())
        };
        let is_guessed = self.text.is_none() && self.files.single.is_some();
        is_guessed
            && self.chunks(fs).is_ok_and(|chunks| chunks.iter().any(|chunk| is_theirs(chunk).is_some()))
    }

    /// Its chunks, the oldest first. Of two files of the same chunk (a file that could not be synced was written once
    /// more before a crash) the one with more in it.
    pub fn chunks(&self, fs: &dyn Fs) -> Result<Vec<ChunkFile>> {
        if let Some(file) = &self.only {
            let ends = self.marks(fs, directory(&file.path))?.map(|marks| marks.ends).unwrap_or_default();
            return Ok(vec![ChunkFile { ended: ends.get(&file.name.id).copied(), ..file.clone() }]);
        }
        let mut found: BTreeMap<ChunkId, Vec<ChunkFile>> = BTreeMap::new();
        for (at, dir) in self.dirs().enumerate() {
            let names = match fs.list(dir) {
                Err(error) if at > 0 && error.kind() == ErrorKind::NotFound => continue,
                names => names?,
            };
            let ends = self.marks(fs, dir)?.map(|marks| marks.ends).unwrap_or_default();
            for name in names {
                if let Some(parsed) = self.files.parse(&name) {
                    let (id, ended) = (parsed.id, ends.get(&parsed.id).copied());
                    let file = ChunkFile { ended, ..self.file(dir.join(name), parsed) };
                    found.entry(id).or_default().push(file);
                }
            }
        }
        found.into_values().map(|same| best(fs, same)).filter_map(Result::transpose).collect()
    }

    /// Which appends in the buffer are not whole, whichever of its chunks are asked for. Where nothing tells (the marks are
    /// damaged, or are not where the chunks are because these were copied without them), none are said to be.
    pub fn incomplete(&self, fs: &dyn Fs) -> Result<Incomplete> {
        let chunks = Self { only: None, ..self.clone() }.chunks(fs)?;
        let mut parts: HashMap<&Path, Parts> = HashMap::new();
        for chunk in &chunks {
            let dir = directory(&chunk.path);
            let Some(opened) = chunk.open(fs)? else { continue };
            let Head::Header(header, start) = ours::head(&opened)? else { continue };
            let of = match parts.entry(dir) {
                Entry::Occupied(of) => of.into_mut(),
                Entry::Vacant(new) => new.insert(Parts::new(self.marks(fs, dir)?)),
            };
            let scan = Scan::new(&*opened.file, header.id, start..opened.stat.len).that_ended(chunk.ended);
            scan.headers(|found| of.note(&found))?;
        }
        let by_dir = parts.into_iter().map(|(dir, parts)| (dir.to_owned(), parts));
        Ok(Incomplete { by_dir: by_dir.collect() })
    }

    /// Who has the buffer, as far as this process may see.
    pub fn holder(&self) -> Option<String> {
        self.locks().find_map(|path| io::holder(&path))
    }

    /// Keeps any Logweir from starting on the buffer until the answer is dropped. Changes nothing on the disk: where there
    /// is no lock file, no Logweir has ever run.
    pub fn hold(&self) -> std::result::Result<Vec<DirectoryLock>, LockError> {
        self.locks().filter_map(|path| io::hold(&path).transpose()).collect()
    }

    fn locks(&self) -> impl Iterator<Item = PathBuf> {
        self.dirs().map(|dir| ChunkFiles { dir: dir.to_owned(), ..self.files.clone() }.lock_path())
    }

    fn file(&self, path: PathBuf, name: ChunkName) -> ChunkFile {
        ChunkFile { path, name, single: self.files.single.clone(), text: self.text, ended: None }
    }

    /// What the marks file in one of its directories says; `None` if it is damaged. As long as nothing was delivered there need not be
    /// one, but then there is the lock file.
    fn marks(&self, fs: &dyn Fs, dir: &Path) -> Result<Option<Snapshot>> {
        let files = ChunkFiles { dir: dir.to_owned(), ..self.files.clone() };
        if fs.stat(&files.lock_path()).is_err() {
            return Ok(None);
        }
        match fs.open(&files.marks_path(), Access::Read) {
            Ok(file) => Ok(marks_file::read(&file.read_from(0)?)),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(Some(Snapshot::default())),
            Err(error) => Err(error),
        }
    }
}

impl Incomplete {
    /// Whether the append of that number is one, in the directory of `chunk`.
    pub fn has(&self, chunk: &ChunkFile, sequence: u64) -> bool {
        self.by_dir.get(directory(&chunk.path)).is_some_and(|parts| parts.is_incomplete(sequence))
    }
}

/// Frames of appends with several parts, as far as it is not known that these are whole.
#[derive(Debug)]
struct Parts {
    sets: HashMap<u64, Vec<(u16, u16)>>,
    /// Appends up to here were whole.
    whole: u64,
    /// Appends that count even if they are not whole or were taken back.
    unseen: Unseen,
    taken_back: TakenBack,
}

/// From so many appends on, those that are known to be whole are forgotten at once.
const SETS_MAX: usize = 200_000;

impl Parts {
    /// `marks` is what the marks file says; if it says nothing, all appends count as whole.
    fn new(marks: Option<Snapshot>) -> Self {
        let (whole, unseen) = marks.map_or((u64::MAX, Unseen::default()), |m| (m.complete, m.unseen));
        Self { sets: HashMap::new(), whole, unseen, taken_back: TakenBack::default() }
    }

    fn note(&mut self, found: &Found<'_>) {
        let header = &found.header;
        origin::taken_back(found.origin).for_each(|range| self.taken_back.add(range));
        self.whole = self.whole.max(header.durable);
        if header.parts > 1 && !header.void && header.sequence > self.whole {
            self.sets.entry(header.sequence).or_default().push((header.part, header.parts));
            if self.sets.len() > SETS_MAX {
                self.sets.retain(|sequence, _| *sequence > self.whole);
            }
        }
    }

    fn is_incomplete(&self, sequence: u64) -> bool {
        let is_partial = |of: &Vec<_>| sequence > self.whole && !frame::are_whole(of.iter().copied());
        let lacks_parts = self.sets.get(&sequence).is_some_and(is_partial);
        (lacks_parts || self.taken_back.contains(sequence)) && !self.unseen.contains(sequence)
    }
}

/// Where a file is.
fn directory(path: &Path) -> &Path {
    path.parent().unwrap_or(Path::new("."))
}

/// Of several files of one chunk the one that a start would take.
fn best(fs: &dyn Fs, mut same: Vec<ChunkFile>) -> Result<Option<ChunkFile>> {
    if same.len() < 2 {
        return Ok(same.pop());
    }
    let mut best: Option<(_, ChunkFile)> = None;
    for file in same {
        let Some(look) = file.look(fs)? else { continue };
        let rank = |look: &Look| (look.records, look.last_sequence, look.state == ChunkState::Queued);
        if best.as_ref().is_none_or(|(other, _)| rank(&look) > *other) {
            best = Some((rank(&look), file));
        }
    }
    Ok(best.map(|(_, file)| file))
}

fn in_directory(fs: &dyn Fs, dir: &Path) -> Result<Vec<Place>> {
    let names = fs.list(dir)?;
    let workers = names.iter().filter(|name| is_worker(name)).map(|name| dir.join(name));
    let also: Vec<PathBuf> = workers.filter(|path| fs.stat(path).is_ok_and(|stat| stat.is_dir)).collect();
    let mut families: BTreeMap<(String, String), Option<SingleKey>> = BTreeMap::new();
    let all: Vec<_> = also.iter().flat_map(|dir| fs.list(dir).unwrap_or_default()).chain(names).collect();
    for name in &all {
        if let Some(found) = name.to_str().and_then(guess) {
            let prefix = prefix_by_lock(&found, &all);
            families.insert((prefix.to_owned(), found.suffix.to_owned()), found.single);
        }
    }
    if families.is_empty() {
        families.insert(("buffer".to_owned(), ".log".to_owned()), None);
    }
    let place = |((prefix, suffix), single)| {
        let files = ChunkFiles { dir: dir.to_owned(), prefix, suffix, also: also.clone(), single };
        Place { files, text: None, only: None }
    };
    Ok(families.into_iter().map(place).collect())
}

/// `worker0`: where Fluentd's workers have their files.
fn is_worker(name: &OsStr) -> bool {
    let digits = name.to_str().and_then(|name| name.strip_prefix("worker"));
    digits.is_some_and(|digits| !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit()))
}

fn one_file(fs: &dyn Fs, path: &Path) -> Result<Place> {
    let name = path.file_name().unwrap_or_default();
    let dir = match path.parent() {
        Some(dir) if !dir.as_os_str().is_empty() => dir.to_owned(),
        _ => PathBuf::from("."),
    };
    let beside = fs.list(&dir).unwrap_or_default();
    let guessed = name.to_str().and_then(guess).map(|found| ChunkFiles {
        dir: dir.clone(),
        prefix: prefix_by_lock(&found, &beside).to_owned(),
        suffix: found.suffix.to_owned(),
        also: Vec::new(),
        single: found.single,
    });
    let files = guessed.unwrap_or(ChunkFiles {
        dir,
        prefix: String::new(),
        suffix: String::new(),
        also: Vec::new(),
        single: None,
    });
    let mut place = Place { files, text: None, only: None };
    let named = place.files.parse(name).or_else(|| any_id(&name.to_string_lossy()));
    let is_named = named.is_some();
    let no_name = ChunkName { state: ChunkState::Queued, id: ChunkId([0; 16]), key: String::new() };
    let file = place.file(path.to_owned(), named.unwrap_or(no_name));
    if !is_named {
        // Whatever it is called, a chunk of ours says itself what it is.
        let Some(opened) = file.open(fs)? else { return Err(ErrorKind::NotFound.into()) };
        if !matches!(ours::head(&opened)?, Head::Header(..) | Head::Newer(_)) {
            let message = "it is no chunk file: neither its name nor its first bytes are those of one";
            return Err(Error::new(ErrorKind::InvalidInput, message));
        }
    }
    place.only = Some(file);
    Ok(place)
}

/// `/d/x.*.buf` or `/d/x.*`; `None` if `path` is none of these, or nothing is there that it could mean.
fn by_pattern(fs: &dyn Fs, path: &Path) -> Option<Result<Vec<Place>>> {
    let name = path.file_name()?.to_str()?;
    let (prefix, suffix) = name.split_once(".*")?;
    let dir = path.parent().filter(|dir| !dir.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let suffixes: Vec<&str> = if suffix.is_empty() { vec![".log", ".buf"] } else { vec![suffix] };
    let names = match fs.list(dir) {
        Ok(names) => names,
        Err(error) => return Some(Err(error)),
    };
    let mut places = Vec::new();
    for suffix in suffixes {
        let single = (suffix == ".buf" && prefix == "fsb").then_some(SingleKey::Tag);
        let (prefix, suffix) = (prefix.to_owned(), suffix.to_owned());
        let files = ChunkFiles { dir: dir.to_owned(), prefix, suffix, also: Vec::new(), single };
        if names.iter().any(|name| files.parse(name).is_some()) {
            places.push(Place { files, text: None, only: None });
        }
    }
    (!places.is_empty()).then_some(Ok(places))
}
