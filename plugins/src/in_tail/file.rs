//! One file that is being read: where it is read, what of it is held, and what waits.

use super::commits::Reading;
use super::lines::LINE_BYTES_MAX;
use super::throttle::Throttle;
use logweir_engine::buffer::replay::{cut_points, forget, identities};
use logweir_engine::delivery::FileIdentity;
use logweir_engine::event::{EventStream, Tag};
use std::fs::File;
use std::io;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::PathBuf;
use std::time::Instant;

/// How much of a file's beginning tells it from a later file with the same inode.
const HEAD_BYTES: usize = 256;

/// A file under its path, or one that was rotated away and is read to its end.
pub(super) struct TailedFile {
    pub(super) path: PathBuf,
    pub(super) tag: Tag,
    pub(super) identity: FileIdentity,
    /// Open unless idle, or open_on_every_update.
    pub(super) handle: Option<File>,
    /// Where the line begins that comes next.
    pub(super) offset: u64,
    /// Its beginning, as far as it has been read.
    pub(super) partial: Vec<u8>,
    /// Bytes behind `offset` that were dropped because their line is too long; its end has not been seen.
    pub(super) skipped: u64,
    /// Read to what was its end.
    pub(super) at_end: bool,
    /// Size at the last look; smaller now means truncated.
    pub(super) size: u64,
    /// Which reading this is; a rewind makes the next.
    pub(super) reading: Reading,
    /// A batch that no buffer had room for.
    pub(super) refused: Option<Refused>,
    /// Lines of an event that may go on (multiline).
    pub(super) group: Option<Group>,
    /// When it lost its path; it is read on for rotate_wait.
    pub(super) rotated: Option<Instant>,
    /// Whether the pos file follows it: not after a rotation, unless by inode.
    pub(super) has_entry: bool,
    pub(super) throttle: Throttle,
    /// Offsets at which a batch must end: buffers hold what comes before one of them, in ascending order.
    cuts: Vec<u64>,
}

/// Events that must be offered again.
pub(super) struct Refused {
    pub(super) stream: EventStream,
    /// Where reading goes on once they are taken.
    pub(super) end: u64,
}

/// Joined lines.
pub(super) struct Group {
    pub(super) text: Vec<u8>,
    /// Where the first of them begins.
    pub(super) start: u64,
    /// Since when they wait.
    pub(super) since: Instant,
}

impl TailedFile {
    pub(super) fn new(
        path: PathBuf,
        tag: Tag,
        dev: u64,
        inode: u64,
        offset: u64,
        id: u64,
        throttle: Throttle,
    ) -> Self {
        Self {
            path,
            tag,
            identity: FileIdentity { dev, ino: inode, head: 0 },
            handle: None,
            offset,
            partial: Vec::new(),
            skipped: 0,
            at_end: false,
            size: 0,
            reading: Reading { file: id, turn: 0 },
            refused: None,
            group: None,
            rotated: None,
            has_entry: true,
            throttle,
            cuts: Vec::new(),
        }
    }

    /// Opens it if it is not open. `false` if it is not the file any more that it was.
    pub(super) fn open(&mut self) -> io::Result<bool> {
        if self.handle.is_some() {
            return Ok(true);
        }
        let file = File::open(&self.path)?;
        let meta = file.metadata()?;
        if (meta.dev(), meta.ino()) != (self.identity.dev, self.identity.ino) || !meta.is_file() {
            return Ok(false);
        }
        self.identify(&file)?;
        self.handle = Some(file);
        Ok(true)
    }

    /// Finds out which file this is to the buffers, and which offsets they know.
    fn identify(&mut self, file: &File) -> io::Result<()> {
        if !self.cuts.is_empty() || self.identity.head != 0 {
            return Ok(());
        }
        let mut head = [0; HEAD_BYTES];
        let len = file.read_at(&mut head, 0)?;
        let known = identities(self.identity.dev, self.identity.ino);
        let mut hasher = crc32fast::Hasher::new();
        let mut found = known.iter().find(|identity| identity.head == 0).copied();
        for byte in &head[..len] {
            hasher.update(std::slice::from_ref(byte));
            let crc = hasher.clone().finalize();
            found = known.iter().find(|identity| identity.head == crc).copied().or(found);
        }
        self.identity = found.unwrap_or(FileIdentity { head: hasher.finalize(), ..self.identity });
        self.find_cuts();
        Ok(())
    }

    fn find_cuts(&mut self) {
        self.cuts = cut_points(self.identity);
        self.cuts.retain(|cut| *cut > self.offset);
    }

    /// The next offset at which a batch must end.
    pub(super) fn next_cut(&mut self) -> Option<u64> {
        while self.cuts.first().is_some_and(|cut| *cut <= self.offset) {
            self.cuts.remove(0);
        }
        self.cuts.first().copied()
    }

    /// It was truncated: offsets mean other lines now.
    pub(super) fn truncated(&mut self) {
        forget(self.identity);
        self.identity.head = 0;
        self.cuts.clear();
        self.handle = None;
        self.restart(0);
    }

    /// Goes back to an offset whose lines are not safe; what is under way of this reading counts no more.
    pub(super) fn rewind(&mut self, offset: u64) {
        self.restart(offset);
        self.find_cuts();
    }

    fn restart(&mut self, offset: u64) {
        self.reading.turn += 1;
        self.offset = offset;
        self.partial = Vec::new();
        self.skipped = 0;
        self.at_end = false;
        self.refused = None;
        self.group = None;
    }

    /// Up to where everything has been emitted: lines of an event that may go on are read again after a crash.
    pub(super) fn settled(&self) -> u64 {
        self.group.as_ref().map_or(self.offset, |group| group.start)
    }

    /// Where the next byte is read.
    pub(super) fn read_at(&self) -> u64 {
        self.offset + self.skipped + self.partial.len() as u64
    }

    /// Keeps the beginning of a line, or drops it if it is too long already.
    pub(super) fn keep_partial(&mut self, rest: &[u8], max: Option<usize>) {
        self.partial.clear();
        if self.skipped > 0 || rest.len() > max.unwrap_or(LINE_BYTES_MAX).min(LINE_BYTES_MAX) {
            self.skipped += rest.len() as u64;
        } else {
            self.partial.extend_from_slice(rest);
        }
        // Thousands of files must not each keep room for their longest line.
        self.partial.shrink_to(rest.len().next_power_of_two());
    }
}
