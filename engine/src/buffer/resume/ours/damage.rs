//! What is damaged in chunk files of ours, at the start, and what is taken out of them.

use super::{Looked, OurFile, OurFiles, PartOf};
use crate::buffer::file::frame::{FrameHeader, HEADER_BYTES};
use crate::buffer::file::header;
use crate::buffer::file::scan::{Scan, is_zero, read};
use crate::buffer::files::ChunkName;
use crate::buffer::store::FileStore;
use crate::io::{Access, File};
use crate::{fault, log_error, log_info, log_warn};
use std::io::{self, IoSlice};
use std::ops::Range;
use std::path::{Path, PathBuf};

impl OurFiles<'_> {
    /// A file without a header and without `.meta`.
    pub(super) fn headless(
        &mut self,
        path: &Path,
        name: &ChunkName,
        file: &dyn File,
        len: u64,
        head: &[u8],
    ) -> io::Result<Looked> {
        let mut records = 0;
        let scan = Scan::new(file, name.id, 0..len);
        scan.headers(|found| records += u64::from(found.header.records))?;
        let is_zero = is_zero(file, 0..len)?;
        // Where a power cut left out the first sector of a new file of ours, there are zeros, or an old file of ours. No entry
        // and no text begins so.
        let is_ours = head.first().is_some_and(|first| [0, header::MAGIC[0]].contains(first));
        if records == 0 && !is_zero && !is_ours {
            return Ok(Looked::NotOurs);
        }
        if records == 0 && is_zero {
            // A file that was made and never got its first bytes onto the device.
            self.remove(path)?;
            return Ok(Looked::Ours);
        }
        log_error!(
            self.store.environment.log,
            "found broken chunk file during resume.",
            path = path,
            err_msg = format!(
                "its header is damaged or that of another chunk. {records} records in it can be shown with logweir buffer cat"
            )
        );
        self.damage(0..len);
        let backed_up = self.store.back_up(file, 0..len, name.id, ".damaged");
        if let Err(error) = backed_up.and_then(|()| self.store.fs().remove(path)) {
            let error = error.to_string();
            log_error!(self.store.environment.log, "backup failed. it stays", path = path, error = error);
        }
        Ok(Looked::Ours)
    }

    /// A frame that is in the file twice, as no writing of ours leaves it, counts once.
    pub(super) fn void_copy(&mut self, ours: &mut OurFile, range: Range<u64>) {
        let log = &self.store.environment.log;
        log_warn!(
            log,
            "a part of a buffer chunk is there twice. it is delivered once",
            path = ours.path,
            offset = range.start,
            bytes = range.end - range.start
        );
        match void(self.store, ours, range.start) {
            Ok(_) => ours.is_changed = true,
            Err(error) => log_error!(
                log,
                "can't take out what is there twice. its records may be stored twice",
                path = ours.path,
                error = error.to_string()
            ),
        }
        self.damage(range);
    }

    /// Saves a damaged part and cuts it off, if it is the end of the file. `false` if it could not be saved: then it stays.
    pub(super) fn damaged_range(
        &mut self,
        ours: &mut OurFile,
        file: &dyn File,
        range: &Range<u64>,
        len: u64,
    ) -> io::Result<bool> {
        let is_end = range.end == len && range.start >= ours.end;
        if !is_zero(file, range.clone())? {
            let log = &self.store.environment.log;
            log_warn!(
                log,
                "a part of a buffer chunk is damaged. the rest of the chunk is kept",
                path = ours.path,
                offset = range.start,
                bytes = range.end - range.start
            );
            self.damage(range.clone());
            let suffix = format!(".{}-{}.damaged", range.start, range.end);
            if let Err(error) = self.store.back_up(file, range.clone(), ours.header.id, &suffix) {
                log_error!(log, "backup failed", path = ours.path, error = error.to_string());
                ours.is_damaged = true;
                return Ok(false);
            }
        }
        let cut = || self.store.fs().open(&ours.path, Access::Write)?.set_len(range.start);
        match is_end.then(cut) {
            Some(Ok(())) => {
                fault!("tail-cut");
                ours.is_changed = true;
            }
            Some(Err(error)) => {
                let error = error.to_string();
                log_error!(self.store.environment.log, "can't cut it off", path = ours.path, error = error);
                ours.is_damaged = true;
            }
            None => ours.is_damaged = true,
        }
        Ok(true)
    }

    /// Voids what is there of appends that were taken back: their inputs were told, and what repeats them may be here too. If what says
    /// so could not be read at an earlier start, inputs may have been told since that they are stored: those are kept.
    pub(in crate::buffer::resume) fn void_taken_back(&mut self) -> Result<(), (PathBuf, io::Error)> {
        if self.taken_back.is_empty() {
            return Ok(());
        }
        let (taken_back, unseen) = (&self.taken_back, self.unseen);
        let counts = |sequence: u64| !taken_back.contains(sequence) || unseen.contains(sequence);
        let mut found = Vec::new();
        for (at, ours) in self.files.iter().enumerate() {
            let mut look = || -> io::Result<()> {
                let file = self.store.read(&ours.path)?;
                let scan = Scan::new(&*file, ours.header.id, ours.start..ours.end);
                scan.headers(|frame| {
                    let header = &frame.header;
                    if !counts(header.sequence) && !header.void {
                        let (sequence, part, parts) = (header.sequence, header.part, header.parts);
                        found.push(PartOf { sequence, part, parts, file: at, offset: frame.offset });
                    }
                })?;
                Ok(())
            };
            look().map_err(|error| (ours.path.clone(), error))?;
        }
        self.parts.retain(|part| counts(part.sequence));
        self.marks.retain(|mark| counts(mark.sequence));
        for part in &found {
            self.void(part);
        }
        if !found.is_empty() {
            log_info!(
                self.store.environment.log,
                "discarding appends that had failed before the crash; their inputs were told and repeated them",
                count = found.len()
            );
        }
        Ok(())
    }

    /// Marks one frame as taken back.
    pub(super) fn void(&mut self, part: &PartOf) {
        let ours = &mut self.files[part.file];
        ours.voided.push(part.sequence);
        match void(self.store, ours, part.offset) {
            Ok(Some(header)) => {
                ours.is_changed = true;
                ours.records = ours.records.saturating_sub(u64::from(header.records));
                ours.bytes = ours.bytes.saturating_sub(u64::from(header.body_bytes));
            }
            Ok(None) => {}
            Err(error) => {
                log_error!(
                    self.store.environment.log,
                    "can't discard an incomplete append. the chunk is written to another file without it",
                    path = ours.path,
                    error = error.to_string()
                );
                ours.must_be_rewritten = true;
            }
        }
    }

    fn damage(&mut self, range: Range<u64>) {
        self.damaged.parts += 1;
        self.damaged.bytes += range.end - range.start;
    }
}

/// Sets the void flag of the frame at `offset`; answers its header, or nothing if it was void before.
fn void(store: &FileStore, ours: &OurFile, offset: u64) -> io::Result<Option<FrameHeader>> {
    let file = store.fs().open(&ours.path, Access::Write)?;
    let head = read(&*file, offset..offset + (HEADER_BYTES + usize::from(u16::MAX)) as u64)?;
    let Some(header) = FrameHeader::read(ours.header.id, &head) else { return Ok(None) };
    if header.void {
        return Ok(None);
    }
    let origin = &head[HEADER_BYTES..HEADER_BYTES + usize::from(header.origin_bytes)];
    let mut bytes = Vec::with_capacity(HEADER_BYTES + origin.len());
    FrameHeader { void: true, ..header }.write(ours.header.id, origin, &mut bytes);
    file.write_at(&[IoSlice::new(&bytes)], offset)?;
    fault!("frame-voided");
    Ok(Some(header))
}
