//! Which file a file is. Names change hands and inode numbers are given away again, so neither says it alone.
//!
//! | known by | while Logweir runs | after a restart |
//! |---|---|---|
//! | device and inode number | yes | yes (the pos file has the inode) |
//! | time of birth, where the file system has one | yes | no |
//! | CRC32 of the first bytes | yes | yes, if a file buffer has lines of the file (its [`FileIdentity`]) |

use logweir_engine::buffer::replay::{cut_points, forget, identities};
use logweir_engine::delivery::FileIdentity;
use std::fs::{File, Metadata};
use std::hash::{Hash, Hasher};
use std::io;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::time::SystemTime;

/// How much of a file's beginning tells it from a later file with the same inode.
const HEAD_BYTES: usize = 256;

/// A file as long as it exists.
#[derive(Clone, Copy, Debug)]
pub(super) struct Inode {
    pub(super) dev: u64,
    pub(super) number: u64,
    /// Time of birth, where the file system has one.
    pub(super) born: Option<SystemTime>,
}

impl Inode {
    pub(super) fn of(meta: &Metadata) -> Self {
        Self { dev: meta.dev(), number: meta.ino(), born: meta.created().ok() }
    }

    /// A file of which only the number is known, beside another one.
    pub(super) fn numbered(number: u64, dev: u64) -> Self {
        Self { dev, number, born: None }
    }
}

impl Eq for Inode {}

/// Consistent with equality, which may leave the birth out.
impl Hash for Inode {
    fn hash<H: Hasher>(&self, state: &mut H) {
        (self.dev, self.number).hash(state);
    }
}

impl PartialEq for Inode {
    fn eq(&self, other: &Self) -> bool {
        let same_birth = match (self.born, other.born) {
            (Some(one), Some(another)) => one == another,
            _ => true,
        };
        self.dev == other.dev && self.number == other.number && same_birth
    }
}

/// The beginning of a file, as far as it was there when its reading began.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Head {
    len: usize,
    crc: u32,
}

impl Head {
    /// `None` while the file is empty.
    pub(super) fn read(file: &File) -> io::Result<Option<Self>> {
        let mut bytes = [0; HEAD_BYTES];
        let len = file.read_at(&mut bytes, 0)?;
        Ok((len > 0).then(|| Self { len, crc: crc32fast::hash(&bytes[..len]) }))
    }

    /// Whether the file still begins so.
    pub(super) fn is_of(&self, file: &File) -> io::Result<bool> {
        let mut bytes = [0; HEAD_BYTES];
        let len = file.read_at(&mut bytes[..self.len], 0)?;
        Ok(len == self.len && crc32fast::hash(&bytes[..len]) == self.crc)
    }
}

/// What buffers know of a file that is about to be read.
pub(super) struct Known {
    pub(super) identity: FileIdentity,
    /// Offsets at which a batch must end, ascending.
    pub(super) cuts: Vec<u64>,
    /// Buffers know an earlier file of this inode number, and not this one: offsets from before mean nothing.
    pub(super) is_another: bool,
}

/// Finds out which file this is to the buffers, and which offsets they know. A buffer must not take the lines of a new
/// file for those of an earlier one with the same inode number, so what buffers know of such a one is forgotten here:
/// when the file is `new`, when its beginning is another, or when it is shorter than what they have of it.
pub(super) fn identify(file: &File, inode: Inode, head: Head, source: u32, new: bool) -> io::Result<Known> {
    let dev = with_source(inode.dev, source);
    let own = FileIdentity { dev, ino: inode.number, head: head.crc };
    let mut bytes = [0; HEAD_BYTES];
    let len = file.read_at(&mut bytes, 0)?;
    let known = identities(dev, inode.number);
    let mut found = None;
    if !new {
        let mut hasher = crc32fast::Hasher::new();
        for byte in &bytes[..len] {
            hasher.update(std::slice::from_ref(byte));
            let crc = hasher.clone().finalize();
            // The longest beginning that fits.
            found = known.iter().find(|identity| identity.head == crc).copied().or(found);
        }
        let size = file.metadata()?.len();
        found = found.filter(|identity| cut_points(*identity).last().is_none_or(|last| *last <= size));
    }
    for identity in known.iter().filter(|identity| Some(**identity) != found) {
        forget(*identity);
    }
    let identity = found.unwrap_or(own);
    let is_another = found.is_none() && !known.is_empty();
    Ok(Known { identity, cuts: cut_points(identity), is_another })
}

/// Two sources may read the same file into the same buffer: to the buffer, the file of one is not that of the other. Linux's
/// device numbers take 32 bits, so the upper half is free to say which source it is.
fn with_source(dev: u64, source: u32) -> u64 {
    dev ^ (u64::from(source) << 32)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    #[test]
    fn a_file_is_known_by_number_and_birth() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a");
        fs::write(&path, "x").unwrap();
        let inode = Inode::of(&fs::metadata(&path).unwrap());
        assert_eq!(inode, Inode::of(&fs::metadata(&path).unwrap()));
        assert_eq!(inode, Inode::numbered(inode.number, inode.dev));
        let later = Inode { born: Some(SystemTime::UNIX_EPOCH), ..inode };
        assert_eq!(inode == later, inode.born.is_none());
    }

    #[test]
    fn a_head_is_that_of_a_file_that_grew_but_not_of_another() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a");
        fs::write(&path, "").unwrap();
        assert_eq!(Head::read(&File::open(&path).unwrap()).unwrap(), None);
        fs::write(&path, "one\n").unwrap();
        let head = Head::read(&File::open(&path).unwrap()).unwrap().unwrap();
        fs::write(&path, "one\ntwo\n").unwrap();
        assert!(head.is_of(&File::open(&path).unwrap()).unwrap());
        for other in ["", "on", "uno\ntwo\n"] {
            fs::write(&path, other).unwrap();
            assert!(!head.is_of(&File::open(&path).unwrap()).unwrap(), "{other}");
        }
    }

    #[test]
    fn sources_tell_their_files_apart() {
        assert_ne!(with_source(5, 1), with_source(5, 2));
        assert_eq!(with_source(5, 1), with_source(5, 1));
    }
}
