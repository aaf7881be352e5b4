//! A chunk's bytes in a chunk file of ours.

use super::frame::{FrameHeader, body_crc};
use super::header::{self, Header};
use super::open::{Crowd, OpenFile, crowd};
use super::origin;
use super::scan::{Found, Rest, Scan, Walk};
use crate::buffer::chunk::NewFrame;
use crate::buffer::{Body, ChunkFiles, ChunkId, ChunkState};
use crate::fault;
use crate::io::{Access, File, Fs};
use std::io::{self, IoSlice};
use std::ops::Range;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// One chunk file. Appends, renames and cuts happen under the buffer's lock; reading and syncing beside it.
pub(crate) struct FileContent {
    fs: Arc<dyn Fs>,
    id: ChunkId,
    /// Where frames begin.
    start: u64,
    /// Whether notes wait for the device.
    synced_notes: bool,
    inner: Mutex<Inner>,
}

struct Inner {
    path: PathBuf,
    /// Open while something may be appended or synced, if there are not too many; otherwise opened to read.
    file: Option<OpenFile>,
    /// Bytes that count; what the file has behind them was taken back.
    len: u64,
    /// `len` before the last append.
    before: u64,
    /// Bytes that are on the device.
    synced: u64,
    state: ChunkState,
    /// Something was written or cut since the last sync began. Then the file is open.
    dirty: bool,
    poisoned: bool,
    /// Nothing is appended any more; see [`FileContent::append`].
    finished: bool,
    removed: bool,
    /// Appends that the next [`FileContent::rewrite`] leaves out.
    omitted: Vec<u64>,
}

impl FileContent {
    /// Creates the file and writes its header and first frame, in one write. After an error the caller removes what is there.
    pub(crate) fn create(
        fs: &Arc<dyn Fs>,
        path: PathBuf,
        mode: u32,
        header: &Header,
        frame: &NewFrame<'_>,
        synced_notes: bool,
    ) -> io::Result<Self> {
        let mut head = Vec::with_capacity(512);
        header.write(&mut head);
        let start = head.len() as u64;
        write_head(header.id, frame, &mut head)?;
        let file = fs.create(&path, mode)?;
        fault!("chunk-created");
        fault!("chunk-header-written", file.write_at(&[IoSlice::new(&head[..start as usize])], 0));
        let len = head.len() as u64 + frame.body.bytes.len() as u64;
        file.write_at(&[IoSlice::new(&head), IoSlice::new(&frame.body.bytes)], 0)?;
        fault!("chunk-written");
        let inner = Inner {
            path,
            file: Some(OpenFile::new(file)),
            len,
            before: start,
            synced: start,
            state: ChunkState::Staged,
            dirty: true,
            poisoned: false,
            finished: false,
            removed: false,
            omitted: Vec::new(),
        };
        Ok(Self { fs: Arc::clone(fs), id: header.id, start, synced_notes, inner: Mutex::new(inner) })
    }

    /// A file that was found at the start: its `frames` count, and are on the device.
    pub(crate) fn found(
        fs: &Arc<dyn Fs>,
        path: PathBuf,
        id: ChunkId,
        frames: Range<u64>,
        state: ChunkState,
        synced_notes: bool,
    ) -> Self {
        let Range { start, end: len } = frames;
        let inner = Inner {
            path,
            file: None,
            len,
            before: len,
            synced: len,
            state,
            dirty: false,
            poisoned: false,
            finished: false,
            removed: false,
            omitted: Vec::new(),
        };
        Self { fs: Arc::clone(fs), id, start, synced_notes, inner: Mutex::new(inner) }
    }

    /// Notes in the header that so many deliveries were begun. On the device when this answers `Ok`, if the buffer waits for
    /// that at all. After an error, and after a crash in between, the count is what it was or this: while one copy of the header is
    /// written, the other one is whole and says what was noted before. For files that nothing is appended to any more.
    pub(crate) fn note_deliveries(&self, deliveries: u16) -> io::Result<()> {
        let mut inner = self.lock();
        if inner.poisoned {
            return Err(io::Error::other("the file cannot be written any more"));
        }
        let file = self.writable(&mut inner)?;
        let result = self.write_note(&*file, deliveries, &mut inner.poisoned);
        inner.close();
        result
    }

    fn write_note(&self, file: &dyn File, deliveries: u16, poisoned: &mut bool) -> io::Result<()> {
        let second = self.start / 2;
        let mut copy = vec![0; usize::try_from(second).map_err(io::Error::other)?];
        let mut write = |copy: &[u8], offset: u64| -> io::Result<()> {
            file.write_at(&[IoSlice::new(copy)], offset)?;
            if self.synced_notes {
                // The kernel tells of a failure once.
                file.sync_data().inspect_err(|_| *poisoned = true)?;
            }
            Ok(())
        };
        file.read_at(&mut copy, 0)?;
        let first = match header::noted(&copy, deliveries) {
            Some(first) => {
                if deliveries > 1 {
                    write(&copy, second)?;
                }
                first
            }
            // It was damaged, or its writing was interrupted: the second one takes its place.
            None => {
                file.read_at(&mut copy, second)?;
                header::noted(&copy, deliveries)
                    .ok_or_else(|| io::Error::other("the header of the chunk's file is damaged"))?
            }
        };
        write(&first, 0)
    }

    /// Appends a frame with one write. After an error the chunk is as before: what was written of the frame is cut off
    /// (which is to be synced), or, if even that fails, never read and never synced.
    ///
    /// Answers `false` if nothing may be appended, now or ever again: the device failed for it (a sync beside this may meet
    /// that at any time), frames were cut off from it, or it has taken the place of another file. It may be given the
    /// blocks in which old frames were. If the power goes before new frames are in them, some file systems show what was
    /// there before, and nothing tells it from frames that belong there.
    pub(crate) fn append(&self, frame: &NewFrame<'_>) -> io::Result<bool> {
        let mut inner = self.lock();
        if inner.poisoned || inner.finished {
            return Ok(false);
        }
        let mut head = Vec::with_capacity(128);
        write_head(self.id, frame, &mut head)?;
        let file = self.writable(&mut inner)?;
        let at = inner.len;
        fault!("frame-torn", {
            let half = IoSlice::new(&frame.body.bytes[..frame.body.bytes.len() / 2]);
            file.write_at(&[IoSlice::new(&head), half], at)
        });
        if let Err(error) = file.write_at(&[IoSlice::new(&head), IoSlice::new(&frame.body.bytes)], at) {
            (inner.dirty, inner.finished) = (true, true);
            inner.poisoned = file.set_len(at).is_err();
            return Err(error);
        }
        fault!("frame-written");
        inner.dirty = true;
        inner.before = at;
        inner.len = at + head.len() as u64 + frame.body.bytes.len() as u64;
        Ok(true)
    }

    /// Takes the last frame back.
    pub(crate) fn undo(&self) {
        let mut inner = self.lock();
        inner.len = inner.before;
        inner.synced = inner.synced.min(inner.len);
        (inner.dirty, inner.finished) = (true, true);
        let len = inner.len;
        if self.writable(&mut inner).and_then(|file| file.set_len(len)).is_err() {
            inner.poisoned = true;
        }
    }

    /// Whether nothing may be appended because the device or the file system failed.
    pub(crate) fn is_poisoned(&self) -> bool {
        self.lock().poisoned
    }

    /// Gives the file the name of a queued chunk; answers whether it had another one.
    pub(crate) fn enqueue(&self) -> io::Result<bool> {
        let mut inner = self.lock();
        if inner.state == ChunkState::Queued {
            return Ok(false);
        }
        let to = ChunkFiles::in_state(&inner.path, self.id, ChunkState::Queued);
        fault!("chunk-queueing");
        self.fs.rename(&inner.path, &to)?;
        fault!("chunk-queued");
        inner.path = to;
        inner.state = ChunkState::Queued;
        inner.close();
        Ok(true)
    }

    /// Nobody is going to sync it: it needs no descriptor until it is written, if it is queued or there are too many.
    pub(crate) fn needs_no_sync(&self) {
        let mut inner = self.lock();
        inner.dirty = false;
        inner.close();
    }

    /// Lets the device begin with what [`Self::sync`] is going to wait for. If that fails, the sync does.
    pub(crate) fn begin_sync(&self) {
        let file = {
            let inner = self.lock();
            inner.file.as_ref().filter(|_| inner.dirty && !inner.poisoned).map(|open| Arc::clone(open.file()))
        };
        if file.is_some_and(|file| file.begin_sync().is_err()) {
            self.lock().poisoned = true;
        }
    }

    /// Makes what was appended so far durable. After an error the file must not be synced again: the caller has it
    /// written once more ([`Self::rewrite`]). Opens nothing, so that a lack of file descriptors is not taken for a device
    /// that fails.
    pub(crate) fn sync(&self) -> io::Result<()> {
        let (file, len) = {
            let mut inner = self.lock();
            if inner.poisoned {
                return Err(io::Error::other("the file cannot be written any more"));
            }
            if !inner.dirty {
                return Ok(());
            }
            inner.dirty = false;
            (self.writable(&mut inner)?, inner.len)
        };
        let result = file.sync_data();
        let mut inner = self.lock();
        match result {
            Ok(()) => {
                inner.synced = inner.synced.max(len.min(inner.len));
                inner.close();
                Ok(())
            }
            Err(error) => {
                inner.poisoned = true;
                Err(error)
            }
        }
    }

    /// Whether it has the name of a queued chunk.
    pub(crate) fn is_queued(&self) -> bool {
        self.lock().state == ChunkState::Queued
    }

    /// The directory could not be synced: gives the file its name once more, by way of the name it would have in the other
    /// state, so that there is again something for the next sync to make durable.
    pub(crate) fn name_again(&self) -> io::Result<()> {
        let mut inner = self.lock();
        let other = match inner.state {
            ChunkState::Staged => ChunkState::Queued,
            ChunkState::Queued => ChunkState::Staged,
        };
        let other = ChunkFiles::in_state(&inner.path, self.id, other);
        let own = ChunkFiles::in_state(&inner.path, self.id, inner.state);
        if inner.path != other {
            self.fs.rename(&inner.path, &other)?;
            inner.path.clone_from(&other);
        }
        self.fs.rename(&other, &own)?;
        inner.path = own;
        Ok(())
    }

    /// The file could not be synced at the start.
    pub(crate) fn distrust(&self) {
        self.lock().poisoned = true;
    }

    /// Append `sequence` is of no use, as other parts of it were lost: it is to be left out of what counts. The caller has
    /// the file written once more.
    pub(crate) fn omit(&self, sequence: u64) {
        let mut inner = self.lock();
        inner.omitted.push(sequence);
        inner.poisoned = true;
    }

    /// Puts a copy of the whole frames into the place of a file that cannot be synced any more. The copy is durable when
    /// this answers `Ok`, its name with the next sync of the directory; until then a crash leaves the old file with what was
    /// durable in it. Answers how many bytes of bodies and how many records are in it: fewer than before, if the kernel
    /// has given up what it could not write.
    pub(crate) fn rewrite(&self, mode: u32, header: &Header) -> io::Result<(u64, u64)> {
        let (file, len, copy, omitted) = {
            let mut inner = self.lock();
            // Nothing may be appended to the old file meanwhile.
            inner.poisoned = true;
            let copy = ChunkFiles::copy_path(&inner.path);
            (self.writable(&mut inner)?, inner.len, copy, inner.omitted.clone())
        };
        // The kernel may have given up the header too.
        let mut head = Vec::with_capacity(512);
        header.write(&mut head);
        if head.len() as u64 != self.start {
            head.resize(usize::try_from(self.start).map_err(io::Error::other)?, 0);
            file.read_at(&mut head, 0)?;
        }
        gone(self.fs.remove(&copy))?;
        let target = self.fs.create(&copy, mode)?;
        target.write_at(&[IoSlice::new(&head)], 0)?;
        let (mut end, mut bytes, mut records) = (self.start, 0, 0);
        Scan::new(&*file, self.id, self.start..len).bodies(|found| {
            if found.header.void || omitted.contains(&found.header.sequence) {
                return Ok(());
            }
            let mut head = Vec::with_capacity(128);
            found.header.write(self.id, found.origin, &mut head);
            target.write_at(&[IoSlice::new(&head), IoSlice::new(&found.body)], end)?;
            end += found.header.frame_bytes();
            bytes += u64::from(found.header.body_bytes);
            records += u64::from(found.header.records);
            Ok(())
        })?;
        target.sync_data()?;
        let mut inner = self.lock();
        if (inner.len, inner.omitted.len()) != (len, omitted.len()) {
            return Err(io::Error::other("a part of it was taken back meanwhile"));
        }
        self.fs.rename(&copy, &inner.path)?;
        inner.file = Some(OpenFile::new(target));
        inner.omitted.clear();
        (inner.len, inner.before, inner.synced) = (end, end, end);
        (inner.dirty, inner.poisoned, inner.finished) = (false, false, true);
        Ok((bytes, records))
    }

    /// Visits the frames.
    pub(crate) fn frames(&self, visit: impl FnMut(Found<'_>) -> io::Result<()>) -> io::Result<Rest> {
        let (file, len) = self.readable()?;
        Scan::new(&*file, self.id, self.start..len).bodies(visit)
    }

    /// A walk over the frames that are in it now, from the one at this offset on, or from the first one.
    pub(crate) fn walk(&self, offset: u64) -> io::Result<Walk<Arc<dyn File>>> {
        let (file, len) = self.readable()?;
        Ok(Walk::new(file, self.id, self.start.max(offset)..len))
    }

    /// The bodies that are whole.
    pub(crate) fn bodies(&self) -> io::Result<Vec<Body>> {
        let mut bodies = Vec::new();
        self.frames(|found| {
            if !found.header.void {
                bodies.push(found.into_body());
            }
            Ok(())
        })?;
        Ok(bodies)
    }

    /// Removes the file. Even after an error it does not count any more.
    pub(crate) fn remove(&self) -> io::Result<()> {
        let mut inner = self.lock();
        inner.removed = true;
        gone(self.fs.remove(&inner.path))
    }

    /// Whether it was removed: there is nothing to be synced, named or written once more.
    pub(crate) fn is_removed(&self) -> bool {
        self.lock().removed
    }

    /// Where its frames end.
    pub(crate) fn end(&self) -> u64 {
        self.lock().len
    }

    pub(crate) fn path(&self) -> PathBuf {
        self.lock().path.clone()
    }

    /// The file and how many of its bytes count.
    fn readable(&self) -> io::Result<(Arc<dyn File>, u64)> {
        let inner = self.lock();
        let file = match &inner.file {
            Some(open) => Arc::clone(open.file()),
            None => self.fs.open(&inner.path, Access::Read)?,
        };
        Ok((file, inner.len))
    }

    fn writable(&self, inner: &mut Inner) -> io::Result<Arc<dyn File>> {
        if let Some(open) = &inner.file {
            return Ok(Arc::clone(open.file()));
        }
        let file = self.fs.open(&inner.path, Access::Write)?;
        inner.file = Some(OpenFile::new(Arc::clone(&file)));
        Ok(file)
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inner {
    /// Lets the descriptor go, if nothing is to be appended or synced any more, or if there are too many and nothing has to be
    /// synced: there may be many chunks.
    fn close(&mut self) {
        let is_needed = self.state == ChunkState::Staged && crowd() == Crowd::Room;
        if !is_needed && !self.dirty && !self.poisoned {
            self.file = None;
        }
    }
}

impl Found<'_> {
    pub(crate) fn into_body(self) -> Body {
        Body {
            bytes: self.body,
            records: u64::from(self.header.records),
            compression: self.header.compression,
        }
    }
}

/// It is no error if what was to be removed is not there.
pub(crate) fn gone(result: io::Result<()>) -> io::Result<()> {
    match result {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        result => result,
    }
}

/// Appends the header and origin of `frame` to `out`.
fn write_head(id: ChunkId, frame: &NewFrame<'_>, out: &mut Vec<u8>) -> io::Result<()> {
    let too_large = || io::Error::new(io::ErrorKind::InvalidInput, "more than 4 GiB in one append");
    let body_bytes = u32::try_from(frame.body.bytes.len()).map_err(|_| too_large())?;
    let records = u32::try_from(frame.body.records).map_err(|_| too_large())?;
    let mut origin = smallvec::SmallVec::<[u8; 64]>::new();
    origin::write_taken_back(frame.taken_back, &mut origin);
    if let Some(mark) = frame.mark {
        mark.write(&mut origin);
    }
    let header = FrameHeader {
        body_bytes,
        body_crc: body_crc(frame.sequence, id, &frame.body.bytes),
        sequence: frame.sequence,
        records,
        origin_bytes: u16::try_from(origin.len()).map_err(|_| too_large())?,
        compression: frame.body.compression,
        void: false,
        part: frame.part,
        parts: frame.parts,
        at: frame.at,
        durable: frame.durable,
    };
    header.write(id, &origin, out);
    Ok(())
}
