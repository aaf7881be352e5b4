//! A file buffer's directory: new chunk files, the lock, the marks file, the backup of what is damaged.

use super::chunk::{Content, NewFrame, NotWritten};
use super::file::header::Header;
use super::file::{FileContent, gone};
use super::marks::Snapshot;
use super::{
    Chunk, ChunkId, Durability, Environment, FileSettings, Metadata, OpenError, SingleKey, marks_file,
};
use crate::io::{Access, DirectoryLock, File, Fs, replace, sync_above};
use crate::json::ruby_to_s;
use crate::{log_error, log_warn};
use std::io::{self, IoSlice};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

/// The directory of a file buffer, which this process has locked.
pub(super) struct FileStore {
    pub(super) settings: FileSettings,
    pub(super) environment: Environment,
    /// Whether chunks hold formatted text.
    pub(super) formatted: bool,
    /// Where damaged parts go.
    pub(super) backup: Option<PathBuf>,
    lock: Mutex<Option<DirectoryLock>>,
}

/// Bytes that are kept in reserve for a marks file.
const SPARE_BYTES: usize = if cfg!(test) { 8 << 10 } else { 256 << 10 };
/// How much is copied at a time.
const COPY_BYTES: usize = 1 << 20;

impl FileStore {
    /// Makes the directory if it is missing, and locks it.
    pub(super) fn open(
        settings: &FileSettings,
        formatted: bool,
        backup: Option<&Path>,
        environment: &Environment,
    ) -> Result<Self, OpenError> {
        let fs = &*environment.fs;
        let dir = &settings.files.dir;
        let failed = |error| OpenError::Io { path: dir.clone(), error };
        fs.create_dir_all(dir, settings.dir_mode).map_err(failed)?;
        let owner = format!("logweir, process {}, plugin {}\n", std::process::id(), environment.owner);
        let lock = fs.lock(&settings.files.lock_path(), &owner)?;
        let store = Self {
            settings: settings.clone(),
            environment: environment.clone(),
            formatted,
            backup: backup.map(Path::to_owned),
            lock: Mutex::new(Some(lock)),
        };
        // What an earlier process renamed and removed must not come back beside what this one writes.
        store.sync_dir(dir).map_err(failed)?;
        store.sync_above(dir).map_err(failed)?;
        Ok(store)
    }

    pub(super) fn fs(&self) -> &Arc<dyn Fs> {
        &self.environment.fs
    }

    /// Whether anything waits for the device at all.
    pub(super) fn is_synced(&self) -> bool {
        self.settings.durability == Durability::Synced
    }

    /// Makes the changes of names in `dir` durable, if the buffer is.
    pub(super) fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        if self.is_synced() { self.fs().sync_dir(dir) } else { Ok(()) }
    }

    /// Makes durable that `dir` is there, if the buffer is.
    fn sync_above(&self, dir: &Path) -> io::Result<()> {
        if self.is_synced() { sync_above(&**self.fs(), dir) } else { Ok(()) }
    }

    /// A new chunk file with its first frame.
    pub(super) fn create(&self, metadata: &Metadata, frame: &NewFrame<'_>) -> Result<Chunk, NotWritten> {
        let clock = &*self.environment.clock;
        let (id, created) = (ChunkId::generate(clock), clock.now());
        let path = self.settings.files.staged_path(id, &self.key(metadata));
        let formatted = self.formatted;
        let header = Header { id, created, formatted, deliveries: 0, metadata: metadata.clone() };
        let mode = self.settings.file_mode;
        let content = FileContent::create(self.fs(), path.clone(), mode, &header, frame, self.is_synced())
            .map_err(|error| NotWritten { error, left: Some(path) })?;
        Ok(Chunk::new(id, metadata.clone(), created, self.formatted, Content::File(content)))
    }

    /// Removes a file, if it is there; `again` if the device may have forgotten a removal that the kernel knows of: then
    /// there is a new one for the next sync of the directory to make durable.
    pub(super) fn remove(&self, path: &Path, again: bool) -> io::Result<()> {
        if again {
            match self.fs().create(path, self.settings.file_mode) {
                Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
                _ => {}
            }
        }
        gone(self.fs().remove(path))
    }

    /// Replaces the marks file; the caller syncs the directory.
    pub(super) fn save_marks(&self, snapshot: &Snapshot) -> io::Result<()> {
        let path = self.settings.files.marks_path();
        let bytes = marks_file::write(snapshot);
        let save = || replace(&**self.fs(), &path, &bytes, self.settings.file_mode);
        match save() {
            Err(error) if error.kind() == io::ErrorKind::StorageFull => {
                // Without marks no chunk can be removed, and without that the disk stays full.
                self.fs().remove(&self.settings.files.spare_path())?;
                save()
            }
            result => result,
        }
    }

    /// Says that what a later start must know could not be put into the marks file.
    pub(super) fn cannot_note(&self, error: &io::Error) {
        log_error!(
            self.environment.log,
            "can't note what was found in the buffer. chunks that were staged are not appended to, those of which other \
             parts may be in files that can't be read are not written before it is",
            path = self.settings.files.marks_path(),
            error = error.to_string()
        );
    }

    /// Keeps room on the disk for [`Self::save_marks`].
    pub(super) fn keep_spare(&self) {
        let path = self.settings.files.spare_path();
        if self.fs().stat(&path).is_ok_and(|stat| stat.len == SPARE_BYTES as u64) {
            return;
        }
        // A disk that has no room for the reserve either is not made better by an error.
        let _ = self.fs().remove(&path);
        if let Ok(file) = self.fs().create(&path, self.settings.file_mode)
            && file.write_at(&[IoSlice::new(&vec![0; SPARE_BYTES])], 0).is_err()
        {
            let _ = self.fs().remove(&path);
        }
    }

    /// Copies a range of a chunk file (all of it without) to the backup directory and logs it. `Ok` also if the user
    /// wants no backups. The name is made of the chunk's id and `suffix`; what has that name already may be the
    /// same damage, saved before.
    pub(super) fn back_up(
        &self,
        file: &dyn File,
        range: Range<u64>,
        id: ChunkId,
        suffix: &str,
    ) -> io::Result<()> {
        let log = &self.environment.log;
        let Some(dir) = &self.backup else {
            log_warn!(log, format!("disable_chunk_backup is true. {id} chunk is thrown away."));
            return Ok(());
        };
        let path = dir.join(format!("{id}{suffix}"));
        let length = range.end - range.start;
        if self.is_copy(file, &range, &path).unwrap_or(false) {
            return self.sync_copy(&*self.fs().open(&path, Access::Write)?, dir);
        }
        log_warn!(log, format!("bad chunk is moved to {}", path.display()));
        self.fs().create_dir_all(dir, self.settings.dir_mode)?;
        match self.fs().remove(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let copy = self.fs().create(&path, self.settings.file_mode)?;
        let mut buffer = vec![0; COPY_BYTES.min(usize::try_from(length).unwrap_or(COPY_BYTES))];
        let mut done = 0;
        while done < length {
            let wanted = buffer.len().min(usize::try_from(length - done).unwrap_or(usize::MAX));
            let read = file.read_at(&mut buffer[..wanted], range.start + done)?;
            if read == 0 {
                break;
            }
            copy.write_at(&[IoSlice::new(&buffer[..read])], done)?;
            done += read as u64;
        }
        self.sync_copy(&*copy, dir)
    }

    fn sync_copy(&self, copy: &dyn File, dir: &Path) -> io::Result<()> {
        copy.sync_data()?;
        self.sync_above(dir)?;
        self.fs().sync_dir(dir)
    }

    /// Whether there is a file at `path` that holds that range. One that was begun before a power cut may have the length and
    /// not the bytes.
    fn is_copy(&self, file: &dyn File, range: &Range<u64>, path: &Path) -> io::Result<bool> {
        let copy = self.fs().open(path, Access::Read)?;
        if copy.len()? != range.end - range.start {
            return Ok(false);
        }
        let (mut ours, mut theirs) = (vec![0; COPY_BYTES], vec![0; COPY_BYTES]);
        let mut at = 0;
        loop {
            let left = usize::try_from(range.end - range.start - at).unwrap_or(usize::MAX).min(COPY_BYTES);
            let (one, other) = (&mut ours[..left], &mut theirs[..left]);
            if file.read_at(one, range.start + at)? != left
                || copy.read_at(other, at)? != left
                || one != other
            {
                return Ok(false);
            }
            at += left as u64;
            if at >= range.end - range.start {
                return Ok(true);
            }
        }
    }

    /// Opens a chunk file that was found.
    pub(super) fn read(&self, path: &Path) -> io::Result<Arc<dyn File>> {
        self.fs().open(path, Access::Read)
    }

    /// Lets another process have the directory.
    pub(super) fn unlock(&self) {
        self.lock.lock().unwrap_or_else(PoisonError::into_inner).take();
    }

    /// What stands for the chunk key in the names of `file_single`.
    fn key(&self, metadata: &Metadata) -> Vec<u8> {
        match &self.settings.files.single {
            None => Vec::new(),
            Some(SingleKey::Tag) => {
                metadata.tag.as_ref().map(|tag| tag.as_str().as_bytes().to_vec()).unwrap_or_default()
            }
            Some(SingleKey::Field(name)) => {
                let mut text = Vec::new();
                ruby_to_s(metadata.variable(name).unwrap_or(&[0xc0]), &mut text);
                text
            }
        }
    }
}
