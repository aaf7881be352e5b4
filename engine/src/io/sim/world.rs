//! The simulated file system between its making and the power cut.

use super::dice::{Choices, Dice};
use super::fault::{Call, Fault, Faults};
use crate::io::{Access, DirectoryLock, File, FileStat, Fs, LockError, Timestamp};
use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::ffi::OsString;
use std::io::{self, IoSlice};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// So many old contents of files are remembered.
const FREED_MAX: usize = 32;

/// A simulated file system. Clones share it.
#[derive(Clone)]
pub struct SimFs(Arc<Mutex<World>>);

/// Paths of files, and their inodes. In the order of bytes: paths compare themselves part by part, which takes long.
pub(super) type Names = BTreeMap<OsString, u64>;

/// What the file system breaks of its contract, to see whether tests notice.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lie {
    /// A sync of a file answers `Ok` and does nothing.
    SyncData,
    /// A sync of a directory answers `Ok` and does nothing.
    SyncDir,
    /// A sync that fails answers `Ok`.
    HideFailures,
}

pub(super) struct World {
    pub(super) names: Names,
    pub(super) dirs: BTreeSet<PathBuf>,
    pub(super) device: Device,
    /// Changes of names that are not on the device, each with its step.
    pub(super) pending_names: Vec<(u64, NameChange)>,
    pub(super) inodes: HashMap<u64, Inode>,
    pub(super) next_inode: u64,
    pub(super) dice: Dice,
    pub(super) lies: Option<Lie>,
    /// What was in chunk and marks files once: blocks that were given back, and those of writes that a power cut undid.
    pub(super) freed: VecDeque<Vec<u8>>,
    locks: BTreeSet<PathBuf>,
    /// Changes so far; at `power_until` there is no power any more.
    steps: u64,
    power_until: u64,
    faults: Faults,
}

/// Names that survive.
#[derive(Clone, Default)]
pub(super) struct Device {
    pub(super) names: Names,
    pub(super) dirs: BTreeSet<PathBuf>,
}

#[derive(Clone, Default)]
pub(super) struct Inode {
    pub(super) bytes: Vec<u8>,
    pub(super) durable: Vec<u8>,
    pub(super) pending: Vec<(u64, DataChange)>,
}

#[derive(Clone)]
pub(super) enum DataChange {
    Write(u64, Vec<u8>),
    SetLen(u64),
}

#[derive(Clone)]
pub(super) enum NameChange {
    Create(PathBuf, u64),
    Rename(PathBuf, PathBuf, u64),
    Remove(PathBuf),
    MakeDir(PathBuf),
}

impl SimFs {
    /// An empty one; what it does at random follows from `seed`.
    pub fn new(seed: u64) -> Self {
        Self::of(World::new(seed))
    }

    /// How many changes were made.
    pub fn steps(&self) -> u64 {
        self.world().steps
    }

    /// How many calls were made.
    pub fn calls(&self) -> u64 {
        self.world().faults.calls
    }

    /// Whether the power is still there.
    pub fn has_power(&self) -> bool {
        let world = self.world();
        world.steps < world.power_until
    }

    /// The power goes after so many more changes; the last of them may be half done.
    pub fn cut_after(&self, steps: u64) {
        let mut world = self.world();
        world.power_until = world.steps.saturating_add(steps);
    }

    /// From now on one sync in `times` fails and loses what it should have made durable; 0 for none.
    pub fn fail_syncs(&self, times: u64) {
        self.world().faults.sync_fails = times;
    }

    /// After `skipped` more calls, `count` calls fail as far as `fault` concerns them.
    pub fn fail_calls(&self, fault: Fault, skipped: u64, count: u64) {
        let faults = &mut self.world().faults;
        let first = faults.calls.saturating_add(skipped);
        (faults.fault, faults.failing) = (fault, first..first.saturating_add(count));
    }

    /// From now on the disk has room for so many more bytes.
    pub fn set_space(&self, bytes: u64) {
        self.world().faults.space = bytes;
    }

    /// From now on it lies.
    pub fn lie(&self, lie: Lie) {
        self.world().lies = Some(lie);
    }

    /// Makes a durable file, or replaces its bytes.
    pub fn put(&self, path: &Path, bytes: &[u8]) {
        let mut world = self.world();
        let inode = world.next_inode;
        world.next_inode += 1;
        world.inodes.insert(inode, Inode::synced(bytes.to_vec()));
        world.names.insert(path.into(), inode);
        world.device.names.insert(path.into(), inode);
        for dir in path.ancestors().skip(1) {
            world.dirs.insert(dir.to_owned());
            world.device.dirs.insert(dir.to_owned());
        }
    }

    pub(super) fn of(world: World) -> Self {
        Self(Arc::new(Mutex::new(world)))
    }

    pub(super) fn world(&self) -> MutexGuard<'_, World> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl World {
    pub(super) fn new(seed: u64) -> Self {
        let dirs = BTreeSet::from([PathBuf::from("/")]);
        Self {
            names: Names::new(),
            dirs: dirs.clone(),
            device: Device { names: Names::new(), dirs },
            pending_names: Vec::new(),
            inodes: HashMap::new(),
            next_inode: 1,
            dice: Dice(seed),
            lies: None,
            freed: VecDeque::new(),
            locks: BTreeSet::new(),
            steps: 0,
            power_until: u64::MAX,
            faults: Faults::none(),
        }
    }

    /// Counts a call.
    fn call(&mut self, call: Call) -> io::Result<()> {
        self.faults.count(call)
    }

    /// Counts a change; answers whether it still happens.
    fn step(&mut self) -> io::Result<()> {
        if self.steps >= self.power_until {
            return Err(io::Error::other("no power"));
        }
        self.steps += 1;
        Ok(())
    }

    fn inode(&self, path: &Path) -> io::Result<u64> {
        self.names.get(path.as_os_str()).copied().ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    fn change_names(&mut self, change: NameChange) {
        let mut live =
            Device { names: std::mem::take(&mut self.names), dirs: std::mem::take(&mut self.dirs) };
        apply_name(&mut live, &change);
        (self.names, self.dirs) = (live.names, live.dirs);
        self.pending_names.push((self.steps, change));
    }

    fn sync_fails(&mut self) -> bool {
        self.faults.sync_fails != 0 && {
            let times = self.faults.sync_fails;
            self.dice.once_in(times)
        }
    }

    fn change_data(&mut self, inode: u64, change: DataChange) -> io::Result<()> {
        self.step()?;
        let step = self.steps;
        if let Some(file) = self.inodes.get_mut(&inode) {
            if let DataChange::SetLen(len) = &change
                && (*len as usize) < file.bytes.len()
            {
                free(&mut self.freed, &file.bytes);
            }
            apply_data(&mut file.bytes, &change);
            file.pending.push((step, change));
        }
        Ok(())
    }

    /// A failed sync: of what was pending some is on the device, and nothing is pending any more. The kernel may show the
    /// rest until it needs the memory, or not at all.
    fn lose_pages(&mut self, inode: u64) {
        let mut dice = Dice(self.dice.roll());
        let Some(file) = self.inodes.get_mut(&inode) else { return };
        for (_, change) in std::mem::take(&mut file.pending) {
            if dice.once_in(2) {
                apply_data(&mut file.durable, &change);
            }
        }
        if dice.once_in(2) {
            let len = file.bytes.len();
            file.bytes.clone_from(&file.durable);
            file.bytes.resize(len, 0);
        }
    }
}

impl Inode {
    pub(super) fn synced(bytes: Vec<u8>) -> Self {
        Self { durable: bytes.clone(), bytes, pending: Vec::new() }
    }
}

/// Remembers what was in a file, if it is one whose blocks are worth it.
pub(super) fn free(freed: &mut VecDeque<Vec<u8>>, bytes: &[u8]) {
    if bytes.first() == Some(&0xc1) {
        freed.push_back(bytes.to_vec());
        if freed.len() > FREED_MAX {
            freed.pop_front();
        }
    }
}

pub(super) fn apply_name(device: &mut Device, change: &NameChange) {
    let names = &mut device.names;
    match change {
        NameChange::Create(path, inode) => {
            names.insert(path.clone().into(), *inode);
        }
        NameChange::Rename(from, to, inode) => {
            // Whatever the device has under that name is older.
            names.remove(from.as_os_str());
            names.insert(to.clone().into(), *inode);
        }
        NameChange::Remove(path) => {
            names.remove(path.as_os_str());
        }
        NameChange::MakeDir(path) => {
            device.dirs.insert(path.clone());
        }
    }
}

pub(super) fn apply_data(bytes: &mut Vec<u8>, change: &DataChange) {
    match change {
        DataChange::Write(offset, data) => write(bytes, *offset as usize, data),
        DataChange::SetLen(len) => bytes.resize(*len as usize, 0),
    }
}

pub(super) fn write(bytes: &mut Vec<u8>, offset: usize, data: &[u8]) {
    if bytes.len() < offset + data.len() {
        bytes.resize(offset + data.len(), 0);
    }
    bytes[offset..offset + data.len()].copy_from_slice(data);
}

impl Fs for SimFs {
    fn create(&self, path: &Path, _mode: u32) -> io::Result<Arc<dyn File>> {
        let mut world = self.world();
        world.call(Call::Create)?;
        if world.names.contains_key(path.as_os_str()) {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        if !path.parent().is_some_and(|dir| world.dirs.contains(dir)) {
            return Err(io::ErrorKind::NotFound.into());
        }
        world.step()?;
        let inode = world.next_inode;
        world.next_inode += 1;
        world.inodes.insert(inode, Inode::default());
        world.change_names(NameChange::Create(path.to_owned(), inode));
        Ok(Arc::new(SimFile { fs: self.clone(), inode }))
    }

    fn open(&self, path: &Path, access: Access) -> io::Result<Arc<dyn File>> {
        let mut world = self.world();
        world.call(if access == Access::Read { Call::Open } else { Call::OpenToWrite })?;
        let inode = world.inode(path)?;
        Ok(Arc::new(SimFile { fs: self.clone(), inode }))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        let mut world = self.world();
        world.call(Call::Rename)?;
        let inode = world.inode(from)?;
        world.step()?;
        world.change_names(NameChange::Rename(from.to_owned(), to.to_owned(), inode));
        Ok(())
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        let mut world = self.world();
        world.call(Call::Remove)?;
        world.inode(path)?;
        world.step()?;
        world.change_names(NameChange::Remove(path.to_owned()));
        Ok(())
    }

    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        let mut world = self.world();
        let called = world.call(Call::SyncDir);
        if !world.dirs.contains(dir) {
            return Err(io::ErrorKind::NotFound.into());
        }
        // Without a file descriptor nothing is tried, so nothing is lost either.
        if called.is_err() && world.fault() == Fault::TooManyFiles {
            return called;
        }
        world.step()?;
        if world.lies == Some(Lie::SyncDir) {
            return Ok(());
        }
        let fails = called.is_err() || world.sync_fails();
        for (step, change) in std::mem::take(&mut world.pending_names) {
            if change.dir() != Some(dir) {
                world.pending_names.push((step, change));
            } else if !fails || world.dice.once_in(2) {
                apply_name(&mut world.device, &change);
            } else if matches!(change, NameChange::MakeDir(_)) {
                // Nobody can make it once more.
                world.pending_names.push((step, change));
            }
        }
        called?;
        if fails && world.lies != Some(Lie::HideFailures) { Err(Fault::Io.error()) } else { Ok(()) }
    }

    fn create_dir_all(&self, dir: &Path, _mode: u32) -> io::Result<()> {
        let mut world = self.world();
        world.call(Call::MakeDir)?;
        let missing: Vec<_> = dir.ancestors().filter(|dir| !world.dirs.contains(*dir)).collect();
        for dir in missing.into_iter().rev() {
            world.step()?;
            world.change_names(NameChange::MakeDir(dir.to_owned()));
        }
        Ok(())
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<OsString>> {
        let mut world = self.world();
        world.call(Call::List)?;
        if !world.dirs.contains(dir) {
            return Err(io::ErrorKind::NotFound.into());
        }
        let paths = world.names.keys().map(Path::new).chain(world.dirs.iter().map(PathBuf::as_path));
        let mut names: Vec<_> = paths
            .filter(|path| path.parent() == Some(dir))
            .filter_map(|path| path.file_name())
            .map(OsString::from)
            .collect();
        names.sort_unstable();
        Ok(names)
    }

    fn stat(&self, path: &Path) -> io::Result<FileStat> {
        let mut world = self.world();
        world.call(Call::Stat)?;
        let time = Timestamp(0);
        if world.dirs.contains(path) {
            return Ok(FileStat { len: 0, modified: time, changed: time, is_file: false, is_dir: true });
        }
        let len = world.inodes[&world.inode(path)?].bytes.len() as u64;
        Ok(FileStat { len, modified: time, changed: time, is_file: true, is_dir: false })
    }

    fn lock(&self, path: &Path, _owner: &str) -> Result<DirectoryLock, LockError> {
        let mut world = self.world();
        world.call(Call::Lock).map_err(|error| LockError::Io { path: path.to_owned(), error })?;
        if !world.locks.insert(path.to_owned()) {
            return Err(LockError::Held { path: path.to_owned(), holder: "somebody".to_owned() });
        }
        Ok(DirectoryLock::new(path, Held { fs: self.clone(), path: path.to_owned() }))
    }
}

impl World {
    fn fault(&self) -> Fault {
        self.faults.fault
    }
}

struct Held {
    fs: SimFs,
    path: PathBuf,
}

impl Drop for Held {
    fn drop(&mut self) {
        self.fs.world().locks.remove(&self.path);
    }
}

struct SimFile {
    fs: SimFs,
    inode: u64,
}

impl File for SimFile {
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        let mut world = self.fs.world();
        world.call(Call::Read)?;
        let bytes = &world.inodes[&self.inode].bytes;
        let bytes = bytes.get(offset as usize..).unwrap_or_default();
        let length = bytes.len().min(buffer.len());
        buffer[..length].copy_from_slice(&bytes[..length]);
        Ok(length)
    }

    fn write_at(&self, slices: &[IoSlice<'_>], offset: u64) -> io::Result<()> {
        let mut data = Vec::new();
        slices.iter().for_each(|slice| data.extend_from_slice(slice));
        let mut world = self.fs.world();
        let mut result = world.call(Call::Write);
        let mut fits = world.faults.space.min(data.len() as u64);
        if result.is_ok() && fits < data.len() as u64 {
            result = Err(Fault::Full.error());
        } else if result.is_err() {
            fits = match world.fault() {
                Fault::ReadOnly => 0,
                // The whole of it as often as not: that is the hardest to tell from a success.
                _ if world.dice.once_in(2) => fits,
                _ => world.dice.below(fits + 1),
            };
        }
        world.faults.space -= fits;
        data.truncate(fits as usize);
        if result.is_ok() || !data.is_empty() {
            world.change_data(self.inode, DataChange::Write(offset, data))?;
        }
        result
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        let mut world = self.fs.world();
        world.call(Call::Cut)?;
        world.change_data(self.inode, DataChange::SetLen(len))
    }

    fn len(&self) -> io::Result<u64> {
        let mut world = self.fs.world();
        world.call(Call::Stat)?;
        Ok(world.inodes[&self.inode].bytes.len() as u64)
    }

    fn begin_sync(&self) -> io::Result<()> {
        let mut world = self.fs.world();
        world.call(Call::BeginSync).inspect_err(|_| world.lose_pages(self.inode))
    }

    fn sync_data(&self) -> io::Result<()> {
        let mut world = self.fs.world();
        let called = world.call(Call::Sync);
        world.step()?;
        if world.lies == Some(Lie::SyncData) {
            return Ok(());
        }
        if called.is_err() || world.sync_fails() {
            world.lose_pages(self.inode);
            called?;
            return if world.lies == Some(Lie::HideFailures) { Ok(()) } else { Err(Fault::Io.error()) };
        }
        if let Some(file) = world.inodes.get_mut(&self.inode) {
            for (_, change) in std::mem::take(&mut file.pending) {
                apply_data(&mut file.durable, &change);
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one_file() -> (SimFs, Arc<dyn File>) {
        let fs = SimFs::new(1);
        fs.create_dir_all(Path::new("/d"), 0).unwrap();
        fs.sync_dir(Path::new("/")).unwrap();
        let file = fs.create(Path::new("/d/f"), 0).unwrap();
        file.write_at(&[IoSlice::new(b"safe")], 0).unwrap();
        file.sync_data().unwrap();
        fs.sync_dir(Path::new("/d")).unwrap();
        (fs, file)
    }

    fn read(fs: &SimFs, path: &str) -> Vec<u8> {
        fs.open(Path::new(path), Access::Read).unwrap().read_from(0).unwrap()
    }

    #[test]
    fn what_was_synced_survives_and_what_was_not_may_not() {
        let mut lost = 0;
        for seed in 0..100 {
            let (fs, file) = one_file();
            fs.world().dice = Dice(seed);
            file.write_at(&[IoSlice::new(b"not safe")], 4).unwrap();
            fs.rename(Path::new("/d/f"), Path::new("/d/g")).unwrap();
            let after = fs.power_cut();
            let names = after.list(Path::new("/d")).unwrap();
            assert!(names == ["f"] || names == ["g"], "{names:?}");
            let bytes = read(&after, &format!("/d/{}", names[0].to_str().unwrap()));
            assert!(bytes.starts_with(b"safe"));
            lost += usize::from(bytes == b"safe");
        }
        assert!((20..80).contains(&lost), "{lost}");
    }

    #[test]
    fn all_states_after_a_power_cut_are_enumerated() {
        let (fs, file) = one_file();
        file.write_at(&[IoSlice::new(&[7; 600])], 4).unwrap();
        fs.rename(Path::new("/d/f"), Path::new("/d/g")).unwrap();
        let mut found = BTreeSet::new();
        let count = fs.each_power_cut(|after| {
            let name = after.list(Path::new("/d")).unwrap()[0].to_str().unwrap().to_owned();
            let bytes = read(&after, &format!("/d/{name}"));
            let sectors = (bytes.get(4).copied(), bytes.get(512).copied(), bytes.len());
            assert!(found.insert((name, sectors)));
        });
        // Two names; neither sector, with the old length or the new one; the first, with two lengths; the second; both.
        assert_eq!((found.len(), count), (12, 12));
        assert!(found.contains(&("g".to_owned(), (Some(0), Some(0), 604))));
        assert!(found.contains(&("f".to_owned(), (Some(7), None, 512))));
    }

    #[test]
    fn a_directory_that_was_not_synced_takes_its_files_along() {
        let fs = SimFs::new(1);
        fs.create_dir_all(Path::new("/a/b"), 0).unwrap();
        fs.create(Path::new("/a/b/f"), 0).unwrap().sync_data().unwrap();
        fs.sync_dir(Path::new("/a/b")).unwrap();
        fs.sync_dir(Path::new("/a")).unwrap();
        assert!(fs.power_cut_keeping_nothing().stat(Path::new("/a")).is_err());
        fs.sync_dir(Path::new("/")).unwrap();
        assert!(fs.power_cut_keeping_nothing().stat(Path::new("/a/b/f")).is_ok());
    }

    #[test]
    fn a_failed_sync_loses_what_was_pending_for_good() {
        let mut lost = 0;
        for seed in 0..50 {
            let (fs, file) = one_file();
            fs.world().dice = Dice(seed);
            file.write_at(&[IoSlice::new(b"more")], 4).unwrap();
            fs.fail_calls(Fault::Io, 0, 1);
            assert_eq!(file.sync_data().unwrap_err().raw_os_error(), Some(5));
            file.sync_data().unwrap();
            let after = fs.power_cut();
            lost += usize::from(read(&after, "/d/f") == b"safe");
        }
        assert!((10..40).contains(&lost), "{lost}");
    }

    #[test]
    fn calls_fail_when_they_are_told_to() {
        let (fs, file) = one_file();
        for (fault, code) in FAULTS.into_iter().zip([28, 5, 30, 24]) {
            fs.fail_calls(fault, 1, 1);
            let before = fs.calls();
            fs.stat(Path::new("/d/f")).unwrap();
            let error = fs.create(Path::new("/d/new"), 0).err().unwrap();
            assert_eq!((error.raw_os_error(), fs.calls() - before), (Some(code), 2));
            fs.fail_calls(fault, 0, 1);
            let written = file.write_at(&[IoSlice::new(b"x")], 0);
            assert_eq!(written.is_ok(), fault == Fault::TooManyFiles);
        }
    }

    use super::super::fault::FAULTS;

    #[test]
    fn without_power_nothing_changes() {
        let fs = SimFs::new(1);
        fs.cut_after(1);
        let file = fs.create(Path::new("/f"), 0).unwrap();
        file.write_at(&[IoSlice::new(b"x")], 0).unwrap_err();
        fs.remove(Path::new("/f")).unwrap_err();
        assert_eq!(fs.steps(), 1);
    }
}
