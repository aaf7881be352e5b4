//! One chunk file, whoever wrote it.

use super::{Damage, ours, theirs};
use crate::buffer::ends::End;
use crate::buffer::file::header;
use crate::buffer::files::{ChunkName, meta_path};
use crate::buffer::fluentd::{ExportFormat, ExportedChunk, Meta, Unfit};
use crate::buffer::{Body, ChunkFiles, ChunkId, ChunkState, Compression, Metadata, SingleKey};
use crate::io::{Access, File, FileStat, Fs, Timestamp};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// A file with the name of a chunk.
#[derive(Clone, Debug)]
pub struct ChunkFile {
    pub(super) path: PathBuf,
    pub(super) name: ChunkName,
    /// What the key in the name of a Fluentd chunk means.
    pub(super) single: Option<SingleKey>,
    /// Whether a Fluentd chunk holds text; by its content if that is not known.
    pub(super) text: Option<bool>,
    /// Where it ended when a Logweir started last.
    pub(super) ended: Option<End>,
}

/// What a chunk file holds.
#[derive(Clone, Debug)]
pub struct Look {
    /// The file, under its name at the moment of looking.
    pub path: PathBuf,
    /// Its id.
    pub id: ChunkId,
    /// Whether it is still appended to.
    pub state: ChunkState,
    /// Whose file it is.
    pub writer: Writer,
    /// The values of its chunk keys.
    pub metadata: Metadata,
    /// Whether it holds the bytes of a formatter rather than entries.
    pub formatted: bool,
    /// How the good part is compressed: each way once, in the order of appearance.
    pub compression: Vec<Compression>,
    /// Records in the good part; of text, its lines if nobody counted better.
    pub records: u64,
    /// Bytes of the good part, as they are stored.
    pub bytes: u64,
    /// When it was made.
    pub created: Timestamp,
    /// When something was last appended.
    pub modified: Timestamp,
    /// What is not good.
    pub damage: Vec<Damage>,
    /// The last append in it.
    pub(super) last_sequence: u64,
}

/// Whose chunk file it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Writer {
    /// Logweir's.
    Logweir,
    /// Fluentd's.
    Fluentd,
}

/// See [`ChunkFile::read`].
pub(super) type Visit<'a> = dyn FnMut(&Look, u64, Body) -> io::Result<()> + 'a;

/// A file that was opened.
pub(super) struct Opened<'a> {
    pub(super) chunk: &'a ChunkFile,
    pub(super) fs: &'a dyn Fs,
    pub(super) path: PathBuf,
    pub(super) state: ChunkState,
    pub(super) file: Arc<dyn File>,
    pub(super) stat: FileStat,
    pub(super) has_meta: bool,
}

impl ChunkFile {
    /// The id in its name.
    pub fn id(&self) -> ChunkId {
        self.name.id
    }

    /// The path under which it was found.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// What is in it. `None` if the chunk is gone, or if there is nothing in it yet.
    pub fn look(&self, fs: &dyn Fs) -> io::Result<Option<Look>> {
        self.walk(fs, None)
    }

    /// As [`Self::look`], and gives each good body to `visit` as it is stored, with what is known of the chunk so far (its
    /// keys are) and the number of the append (0 in files of Fluentd). An error of `visit` ends it and is returned.
    pub fn read(
        &self,
        fs: &dyn Fs,
        mut visit: impl FnMut(&Look, u64, Body) -> io::Result<()>,
    ) -> io::Result<Option<Look>> {
        self.walk(fs, Some(&mut visit))
    }

    fn walk(&self, fs: &dyn Fs, visit: Option<&mut Visit<'_>>) -> io::Result<Option<Look>> {
        let Some(opened) = self.open(fs)? else { return Ok(None) };
        if !opened.stat.is_file || (opened.stat.len == 0 && !opened.has_meta) {
            return Ok(None);
        }
        match ours::head(&opened)? {
            ours::Head::Header(header, start) => {
                ours::walk(&opened, header.id, Some(header), start, visit).map(Some)
            }
            ours::Head::Newer(version) => {
                Ok(Some(Look { damage: vec![Damage::Newer(version)], ..opened.nothing(Writer::Logweir) }))
            }
            ours::Head::Damaged => ours::walk(&opened, self.name.id, None, 0, visit).map(Some),
            ours::Head::Empty => Ok(None),
            ours::Head::NotOurs => theirs::walk(&opened, visit),
        }
    }

    /// Opens it under its name, or under the one that it got since it was listed.
    pub(super) fn open<'a>(&'a self, fs: &'a dyn Fs) -> io::Result<Option<Opened<'a>>> {
        let other = match self.name.state {
            ChunkState::Staged => ChunkState::Queued,
            ChunkState::Queued => ChunkState::Staged,
        };
        let other_path = ChunkFiles::in_state(&self.path, self.name.id, other);
        // The first name once more: a chunk that is not yet there under the new one when that is tried has come back.
        for (path, state) in
            [(&self.path, self.name.state), (&other_path, other), (&self.path, self.name.state)]
        {
            match fs.open(path, Access::Read) {
                Ok(file) => {
                    let stat = match fs.stat(path) {
                        Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                        stat => stat?,
                    };
                    let stat = FileStat { len: file.len()?, ..stat };
                    let has_meta = fs.stat(&meta_path(path)).is_ok();
                    let path = path.clone();
                    return Ok(Some(Opened { chunk: self, fs, path, state, file, stat, has_meta }));
                }
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => return Err(error),
            }
        }
        Ok(None)
    }
}

impl Opened<'_> {
    /// A look that has seen nothing yet.
    pub(super) fn nothing(&self, writer: Writer) -> Look {
        Look {
            path: self.path.clone(),
            id: self.chunk.name.id,
            state: self.state,
            writer,
            metadata: Metadata::default(),
            formatted: false,
            compression: Vec::new(),
            records: 0,
            bytes: 0,
            created: self.stat.changed,
            modified: self.stat.modified,
            damage: Vec::new(),
            last_sequence: 0,
        }
    }

    /// Its first bytes: as many as a header with little metadata needs, or (`all`) as many as any header may need.
    pub(super) fn head(&self, all: bool) -> io::Result<Vec<u8>> {
        let bytes = if all { header::FIND_BYTES as u64 } else { header::HEAD_BYTES };
        crate::buffer::file::scan::read(&*self.file, 0..self.file.len()?.min(bytes))
    }
}

impl Look {
    /// The chunk's files in a format of Fluentd's, when `records` of it are written.
    pub fn exported(&self, format: ExportFormat, records: u64) -> Result<ExportedChunk, Unfit> {
        let meta = Meta {
            metadata: Metadata { seq: 0, ..self.metadata.clone() },
            id: Some(self.id),
            records: Some(records),
            created: Some(self.created),
            modified: Some(self.modified),
        };
        format.chunk(self.state, &meta)
    }

    /// Counts a good body.
    pub(super) fn count(&mut self, bytes: u64, records: u64, compression: Compression) {
        self.bytes += bytes;
        self.records += records;
        if !self.compression.contains(&compression) {
            self.compression.push(compression);
        }
    }
}
