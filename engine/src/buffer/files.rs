//! Names of chunk files.

use super::ChunkId;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

/// Which files belong to a buffer: `<dir>/<prefix>.<b|q><id><suffix>`, `b` for staged, `q` for queued, as Fluentd names
/// them. Beside the chunks lie, with names that Fluentd passes over,
///
/// | file | |
/// |---|---|
/// | `<dir>/.<prefix><suffix>.lock` | held by the process that has the buffer |
/// | `<dir>/.<prefix><suffix>.marks` | origins of records whose chunks are gone |
/// | `<dir>/.<prefix><suffix>.spare` | room for a new marks file when the disk is full |
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChunkFiles {
    /// The directory.
    pub dir: PathBuf,
    /// What a name begins with, before the first dot that is ours.
    pub prefix: String,
    /// What it ends with, the dot included.
    pub suffix: String,
    /// Further directories in which chunks are looked for at the start (what a worker left behind).
    pub also: Vec<PathBuf>,
    /// `file_single`: the one chunk key is in the name, there is no `.meta`.
    pub single: Option<SingleKey>,
}

/// What the key in the names of `file_single` means.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SingleKey {
    /// The tag.
    Tag,
    /// The value of this field.
    Field(std::sync::Arc<str>),
}

/// Whether a chunk is still appended to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ChunkState {
    /// It is.
    Staged,
    /// It waits to be written.
    Queued,
}

/// What the name of a chunk file says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct ChunkName {
    pub(super) state: ChunkState,
    pub(super) id: ChunkId,
    /// What stands between prefix and state: the key of `file_single`, still encoded.
    pub(super) key: String,
}

impl ChunkFiles {
    /// The name of a new chunk. `key` is the value of the chunk key of `file_single`.
    pub(super) fn staged_path(&self, id: ChunkId, key: &[u8]) -> PathBuf {
        let (prefix, suffix) = (&self.prefix, &self.suffix);
        let name = match self.single {
            Some(_) => format!("{prefix}.{}.b{id}{suffix}", cut_key(encode_key(key))),
            None => format!("{prefix}.b{id}{suffix}"),
        };
        self.dir.join(name)
    }

    /// The name of a chunk in another state.
    pub(super) fn in_state(path: &Path, id: ChunkId, state: ChunkState) -> PathBuf {
        let letter = match state {
            ChunkState::Staged => 'b',
            ChunkState::Queued => 'q',
        };
        let Some(name) = path.file_name().and_then(OsStr::to_str) else { return path.to_owned() };
        let hex = id.hex();
        let at = [".b", ".q"].iter().find_map(|state| name.rfind(&format!("{state}{hex}")));
        match at {
            Some(at) => {
                path.with_file_name(format!("{}.{letter}{hex}{}", &name[..at], &name[at + 2 + hex.len()..]))
            }
            // Somebody gave the file another name; it keeps it.
            None => path.to_owned(),
        }
    }

    /// Takes the name of a file of this buffer apart. `None` for other files.
    pub(super) fn parse(&self, name: &OsStr) -> Option<ChunkName> {
        let rest = name.to_str()?.strip_prefix(self.prefix.as_str())?.strip_suffix(self.suffix.as_str())?;
        let (key, last) = rest.rsplit_once('.')?;
        let state = match last.as_bytes().first()? {
            b'b' => ChunkState::Staged,
            b'q' => ChunkState::Queued,
            _ => return None,
        };
        let key = key.strip_prefix('.').unwrap_or(key).to_owned();
        Some(ChunkName { state, id: parse_id(&last[1..])?, key })
    }

    /// The name under which the copy of a chunk file is written that will take its place.
    pub(super) fn copy_path(path: &Path) -> PathBuf {
        let name = path.file_name().map(OsStr::to_string_lossy).unwrap_or_default();
        path.with_file_name(format!(".{name}.new"))
    }

    /// Whether a file is one that was to take the place of another, and did not get so far.
    pub(super) fn is_unfinished(&self, name: &OsStr) -> bool {
        let rest = name.to_str().and_then(|name| name.strip_prefix('.')?.strip_suffix(".new"));
        rest.is_some_and(|rest| rest.starts_with(&self.prefix))
    }

    /// The lock file.
    pub(super) fn lock_path(&self) -> PathBuf {
        self.hidden("lock")
    }

    /// The marks file.
    pub(super) fn marks_path(&self) -> PathBuf {
        self.hidden("marks")
    }

    /// The file that is removed when the disk is full.
    pub(super) fn spare_path(&self) -> PathBuf {
        self.hidden("spare")
    }

    fn hidden(&self, what: &str) -> PathBuf {
        self.dir.join(format!(".{}{}.{what}", self.prefix, self.suffix))
    }
}

/// The value that a key in a `file_single` name stands for.
pub(super) fn decode_key(text: &str) -> Vec<u8> {
    let bytes = text.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        let code = text.get(at + 1..at + 3).and_then(|digits| u8::from_str_radix(digits, 16).ok());
        match (bytes[at], code) {
            (b'%', Some(code)) => {
                out.push(code);
                at += 3;
            }
            (byte, _) => {
                out.push(byte);
                at += 1;
            }
        }
    }
    out
}

/// A key that would make the name longer than file systems allow is cut; Logweir reads keys of its own chunks from their
/// headers.
fn cut_key(mut key: String) -> String {
    key.truncate(KEY_BYTES_MAX); // ASCII
    key
}

/// Percent-encodes everything that Fluentd does: all but `-_.a-zA-Z0-9`.
pub(super) fn encode_key(key: &[u8]) -> String {
    let mut out = String::with_capacity(key.len());
    for byte in key {
        match byte {
            b'-' | b'_' | b'.' | b'0'..=b'9' | b'a'..=b'z' | b'A'..=b'Z' => out.push(char::from(*byte)),
            _ => out.push_str(&format!("%{byte:02X}")),
        }
    }
    out
}

/// Names may have 255 bytes; what is not the key has less than 100.
const KEY_BYTES_MAX: usize = 150;

/// The id in a name: 32 digits, or another number of digits in files of Fluentd 0.12.
pub(super) fn parse_id(digits: &str) -> Option<ChunkId> {
    if digits.is_empty() || !digits.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f')) {
        return None;
    }
    let mut id = ChunkId([0; 16]);
    for (byte, pair) in id.0.iter_mut().zip(digits.as_bytes().chunks(2)) {
        *byte = u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok()?;
    }
    Some(id)
}

/// `path` with `.meta` behind it.
pub(super) fn meta_path(path: &Path) -> PathBuf {
    let mut bytes = path.as_os_str().as_bytes().to_vec();
    bytes.extend_from_slice(b".meta");
    PathBuf::from(OsStr::from_bytes(&bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEX: &str = "660ea087c069c0156a206a7dfc7d9983";

    fn files(prefix: &str, suffix: &str, single: Option<SingleKey>) -> ChunkFiles {
        let (prefix, suffix) = (prefix.to_owned(), suffix.to_owned());
        ChunkFiles { dir: "/d".into(), prefix, suffix, also: Vec::new(), single }
    }

    #[test]
    fn names_are_fluentds_and_are_read_back() {
        let id = ChunkId::from_hex(HEX).unwrap();
        for (files, key, name) in [
            (files("buffer", ".log", None), "", format!("buffer.b{HEX}.log")),
            (files("bb", ".x.buf", None), "", format!("bb.b{HEX}.x.buf")),
            (files("fsb", ".buf", Some(SingleKey::Tag)), "a.b/c d", format!("fsb.a.b%2Fc%20d.b{HEX}.buf")),
            (files("fsb", ".buf", Some(SingleKey::Tag)), "", format!("fsb..b{HEX}.buf")),
        ] {
            let path = files.staged_path(id, key.as_bytes());
            assert_eq!(path, Path::new("/d").join(&name));
            let parsed = files.parse(OsStr::new(&name)).unwrap();
            assert_eq!((parsed.state, parsed.id), (ChunkState::Staged, id));
            assert_eq!(decode_key(&parsed.key), key.as_bytes());
            let queued = ChunkFiles::in_state(&path, id, ChunkState::Queued);
            assert_eq!(ChunkFiles::in_state(&queued, id, ChunkState::Staged), path);
            assert_eq!(queued, Path::new("/d").join(name.replace(&format!(".b{HEX}"), &format!(".q{HEX}"))));
            assert_eq!(files.parse(queued.file_name().unwrap()).unwrap().state, ChunkState::Queued);
        }
    }

    #[test]
    fn other_files_are_none_of_ours() {
        let files = files("buffer", ".log", None);
        for name in [
            format!("buffer.b{HEX}.log.meta"),
            format!("buffer.c{HEX}.log"),
            "buffer.b.log".to_owned(),
            "buffer.log".to_owned(),
            ".buffer.log.lock".to_owned(),
            format!("buffer.b{HEX}.buf"),
            "buffer.20240102.log".to_owned(),
        ] {
            assert_eq!(files.parse(OsStr::new(&name)), None, "{name}");
        }
        let old = files.parse(OsStr::new("buffer.20240102.q513b61c9791029c2.log")).unwrap();
        assert_eq!(old.id.hex(), "513b61c9791029c20000000000000000");
    }

    #[test]
    fn a_long_key_does_not_make_a_name_too_long() {
        let files = files("fsb", ".buf", Some(SingleKey::Tag));
        let path = files.staged_path(ChunkId([1; 16]), &[b'/'; 1000]);
        assert!(path.file_name().unwrap().len() < 255);
    }
}
