//! One file that is being read: where it is read, what of it is held, and what waits.

use super::commits::Reading;
use super::handle::Handle;
use super::identity::{Head, Inode, identify};
use super::throttle::Throttle;
use logweir_engine::buffer::replay::{cut_points, forget};
use logweir_engine::delivery::FileIdentity;
use logweir_engine::event::{EventStream, Tag};
use logweir_engine::plugin::FollowedFiles;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;

/// A file under its path, or one that was rotated away and is read to its end.
pub(super) struct TailedFile {
    /// The path that it is read for: by it the tag, the pos file and path_key call it.
    pub(super) path: PathBuf,
    /// Where it is: a link's target, the name that it was given since.
    pub(super) place: PathBuf,
    pub(super) tag: Tag,
    pub(super) inode: Inode,
    /// What buffers know it by; `None` until it has content.
    pub(super) identity: Option<FileIdentity>,
    head: Option<Head>,
    /// Open unless there are too many, or open_on_every_update.
    pub(super) handle: Option<Handle>,
    /// When it last had its turn.
    pub(super) used: Instant,
    /// Where the line begins that comes next.
    pub(super) offset: u64,
    /// Bytes behind `offset` that have been read and hold no line end. They are read again when it comes, so that
    /// thousands of files with unfinished lines hold no memory.
    pub(super) seen: u64,
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
    /// It has been seen to leave its path.
    pub(super) has_left: bool,
    /// It has been seen to leave `place` for somewhere else, or for good.
    pub(super) is_lost: bool,
    /// It waits for its turn already.
    pub(super) is_queued: bool,
    /// The file that was at the path before: it is read to its end first.
    pub(super) after: Option<u64>,
    /// The file that waits for this one.
    pub(super) next: Option<u64>,
    /// Whether the pos file follows it: not once its successor is read, unless by inode.
    pub(super) has_entry: bool,
    /// Begun while it was watched that the path got a new file: no buffer can have it yet.
    pub(super) is_new: bool,
    /// Goes with each emit until that is settled.
    pub(super) unsettled: Arc<()>,
    /// Where its entry in the pos file ended.
    pub(super) entry_end: u64,
    /// An error that has been logged and lasts.
    pub(super) has_trouble: bool,
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

/// What an open found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Opened {
    /// The file.
    Open,
    /// The place has another file, or none.
    Elsewhere,
    /// The file, with other content.
    Replaced,
}

impl TailedFile {
    pub(super) fn new(
        id: u64,
        path: PathBuf,
        place: PathBuf,
        inode: Inode,
        tag: Tag,
        throttle: Throttle,
    ) -> Self {
        Self {
            path,
            place,
            tag,
            inode,
            identity: None,
            head: None,
            handle: None,
            used: Instant::now(),
            offset: 0,
            seen: 0,
            at_end: false,
            size: 0,
            reading: Reading { file: id, turn: 0 },
            refused: None,
            group: None,
            rotated: None,
            has_left: false,
            is_lost: false,
            is_queued: false,
            after: None,
            next: None,
            has_entry: true,
            is_new: false,
            unsettled: Arc::new(()),
            entry_end: 0,
            has_trouble: false,
            throttle,
            cuts: Vec::new(),
        }
    }

    /// Opens it if it is not open.
    pub(super) fn open(&mut self, followed: &Arc<FollowedFiles>) -> io::Result<Opened> {
        if self.handle.is_some() {
            return Ok(Opened::Open);
        }
        let Some((handle, meta)) = Handle::open(&self.place)? else { return Ok(Opened::Elsewhere) };
        if Inode::of(&meta) != self.inode {
            return Ok(Opened::Elsewhere);
        }
        self.handle = Some(handle.counted(followed));
        Ok(Opened::Open)
    }

    /// Makes sure that the open file is the one that the offset is of. `source` tells sources apart.
    pub(super) fn verify(&mut self, source: u32) -> io::Result<Opened> {
        let Some(handle) = &self.handle else { return Ok(Opened::Elsewhere) };
        let Some(head) = self.head else { return self.identify(source) };
        Ok(if head.is_of(handle.file())? { Opened::Open } else { Opened::Replaced })
    }

    fn identify(&mut self, source: u32) -> io::Result<Opened> {
        let Some(handle) = &self.handle else { return Ok(Opened::Elsewhere) };
        let Some(head) = Head::read(handle.file())? else { return Ok(Opened::Open) };
        let known = identify(handle.file(), self.inode, head, source, self.is_new)?;
        self.head = Some(head);
        self.identity = Some(known.identity);
        self.cuts = known.cuts;
        let offset = self.offset;
        self.cuts.retain(|cut| *cut > offset);
        let is_replaced = known.is_another && !self.is_new && offset > 0;
        Ok(if is_replaced { Opened::Replaced } else { Opened::Open })
    }

    /// The next offset at which a batch must end.
    pub(super) fn next_cut(&mut self) -> Option<u64> {
        let passed = self.cuts.partition_point(|cut| *cut <= self.offset);
        self.cuts.drain(..passed);
        self.cuts.first().copied()
    }

    /// It has other content: offsets mean other lines now.
    pub(super) fn truncated(&mut self) {
        if let Some(identity) = self.identity.take() {
            forget(identity);
        }
        self.head = None;
        self.is_new = true;
        self.cuts.clear();
        self.size = 0;
        // What was read is still offered, though no offset says where it was.
        let refused = self.refused.take().map(|refused| Refused { end: 0, ..refused });
        self.restart(0);
        self.refused = refused;
    }

    /// Goes back to an offset whose lines are not safe; what is under way of this reading counts no more.
    pub(super) fn rewind(&mut self, offset: u64) {
        self.restart(offset);
        if let Some(identity) = self.identity {
            self.cuts = cut_points(identity);
            self.cuts.retain(|cut| *cut > offset);
        }
    }

    fn restart(&mut self, offset: u64) {
        self.reading.turn += 1;
        self.offset = offset;
        self.seen = 0;
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
        self.offset + self.seen
    }

    /// Nothing of it is left to read for now.
    pub(super) fn is_drained(&self) -> bool {
        self.at_end && self.refused.is_none()
    }

    /// Whether a buffer may still refuse what was emitted.
    pub(super) fn is_unsettled(&self) -> bool {
        Arc::strong_count(&self.unsettled) > 1
    }

    /// Whether no name leads to it any more.
    pub(super) fn is_deleted(&self) -> bool {
        use std::os::unix::fs::MetadataExt;
        match self.handle.as_ref().map(|handle| handle.file().metadata()) {
            Some(Ok(meta)) => meta.nlink() == 0,
            _ => false,
        }
    }
}
