//! The files that were at a path one after the other, and how they are looked at.

use super::handle::Handle;
use super::identity::Inode;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// Links that are followed, as Linux does.
const LINKS_MAX: usize = 40;

/// The files of a path.
#[derive(Debug, Default)]
pub(super) struct Series {
    /// Where the path leads: itself, or a link's target.
    pub(super) place: PathBuf,
    /// The one that is there.
    pub(super) current: Option<u64>,
    /// The youngest one that is read.
    pub(super) last: Option<u64>,
    /// Where those are, in order, that left before they were looked at.
    pub(super) found: Vec<PathBuf>,
    /// The last refresh did not find the path among those to read: what comes there is not read.
    pub(super) is_unwanted: bool,
}

impl Series {
    /// Nothing has been seen yet.
    pub(super) fn at(path: &Path) -> Self {
        Self { place: path.to_owned(), ..Self::default() }
    }

    /// Whether nothing is at the path, or nothing that can be read.
    pub(super) fn is_vacant(&self) -> bool {
        self.current.is_none()
    }
}

/// Why a file at a path is begun.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Start {
    /// It took the place of another one.
    Live,
    /// A refresh found it; `first` if it is the first one.
    Refresh { first: bool },
}

/// A regular file that was seen at a place.
pub(super) struct Seen {
    pub(super) place: PathBuf,
    pub(super) inode: Inode,
    pub(super) size: u64,
    pub(super) handle: Option<Handle>,
}

impl Seen {
    /// Opens what is there, so that it stays even if it is deleted now. Without rights, or at the limit of open files, it is
    /// only looked at.
    pub(super) fn at(place: &Path) -> Option<Self> {
        let (meta, handle) = match Handle::open(place) {
            Ok(Some((handle, meta))) => (meta, Some(handle)),
            Ok(None) => return None,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return None,
            Err(_) => (fs::metadata(place).ok().filter(fs::Metadata::is_file)?, None),
        };
        Some(Self { place: place.to_owned(), inode: Inode::of(&meta), size: meta.len(), handle })
    }
}

/// Where a path leads, be there a file or not: itself, or the target of a link.
pub(super) fn place_of(path: &Path) -> PathBuf {
    let mut place = path.to_owned();
    let mut links = 0;
    while links < LINKS_MAX
        && let Ok(target) = fs::read_link(&place)
    {
        place = place.parent().unwrap_or(Path::new("/")).join(target);
        links += 1;
    }
    let whole = || Some(fs::canonicalize(place.parent()?).ok()?.join(place.file_name()?));
    if links == 0 { place } else { whole().unwrap_or(place) }
}

/// Where a file is that is not at its path any more: in the same folder, under a name that begins as its own does. It is at
/// least `size` bytes long.
pub(super) fn find_renamed(place: &Path, path: &Path, inode: Inode, size: u64) -> Option<PathBuf> {
    use std::os::unix::ffi::OsStrExt;
    use std::os::unix::fs::DirEntryExt;
    for near in [place, path] {
        let (Some(folder), Some(stem)) = (near.parent(), near.file_stem()) else { continue };
        let folder = if folder.as_os_str().is_empty() { Path::new(".") } else { folder };
        let entries = fs::read_dir(folder).into_iter().flatten().flatten();
        for entry in entries.filter(|entry| entry.ino() == inode.number) {
            let candidate = entry.path();
            if entry.file_name().as_bytes().starts_with(stem.as_bytes())
                && fs::symlink_metadata(&candidate)
                    .is_ok_and(|meta| meta.is_file() && Inode::of(&meta) == inode && meta.len() >= size)
            {
                return Some(candidate);
            }
        }
    }
    None
}
