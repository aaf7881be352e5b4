//! A file system in memory whose power can be cut at any step, and whose device can refuse to sync.
//!
//! It keeps of each file and of all names what is on the "device" and what is only pending. [`SimFs::power_cut`] answers the
//! file system that the next start finds: of the pending writes any subset, torn at sectors, of the pending changes of
//! names any subset. It is as unkind as the contract of [`Fs`] allows.

#![allow(clippy::unwrap_used, reason = "for tests and fuzz targets only")]

use super::{Access, Clock, DirectoryLock, File, FileStat, Fs, LockError, Timestamp};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::ffi::OsString;
use std::io::{self, IoSlice};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

/// What a device writes as a whole.
const SECTOR_BYTES: usize = 512;

/// A simulated file system. Clones share it.
#[derive(Clone)]
pub(crate) struct SimFs(Arc<Mutex<World>>);

/// Numbers that look random and follow from a seed (splitmix64).
#[derive(Clone, Debug)]
pub(crate) struct Dice(pub(crate) u64);

impl Dice {
    pub(crate) fn roll(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// From 0 to `sides` - 1.
    pub(crate) fn below(&mut self, sides: u64) -> u64 {
        self.roll() % sides
    }

    /// True in one of `times` cases.
    pub(crate) fn once_in(&mut self, times: u64) -> bool {
        self.below(times) == 0
    }
}

struct World {
    names: BTreeMap<PathBuf, u64>,
    durable_names: BTreeMap<PathBuf, u64>,
    pending_names: Vec<NameChange>,
    dirs: BTreeSet<PathBuf>,
    inodes: HashMap<u64, Inode>,
    locks: BTreeSet<PathBuf>,
    next_inode: u64,
    dice: Dice,
    /// Changes so far; at `power_until` there is no power any more.
    steps: u64,
    power_until: u64,
    /// One sync in so many fails; 0: none.
    sync_fails: u64,
    /// Bytes that may be written before the disk is full.
    space: u64,
}

#[derive(Clone, Default)]
struct Inode {
    bytes: Vec<u8>,
    durable: Vec<u8>,
    pending: Vec<DataChange>,
}

#[derive(Clone)]
enum DataChange {
    Write(u64, Vec<u8>),
    SetLen(u64),
}

#[derive(Clone)]
enum NameChange {
    Create(PathBuf, u64),
    Rename(PathBuf, PathBuf, u64),
    Remove(PathBuf),
}

impl SimFs {
    /// An empty one; what it does at random follows from `seed`.
    pub(crate) fn new(seed: u64) -> Self {
        Self(Arc::new(Mutex::new(World {
            names: BTreeMap::new(),
            durable_names: BTreeMap::new(),
            pending_names: Vec::new(),
            dirs: BTreeSet::from([PathBuf::from("/")]),
            inodes: HashMap::new(),
            locks: BTreeSet::new(),
            next_inode: 1,
            dice: Dice(seed),
            steps: 0,
            power_until: u64::MAX,
            sync_fails: 0,
            space: u64::MAX,
        })))
    }

    /// How many changes were made.
    pub(crate) fn steps(&self) -> u64 {
        self.world().steps
    }

    /// Whether the power is still there.
    pub(crate) fn has_power(&self) -> bool {
        let world = self.world();
        world.steps < world.power_until
    }

    /// The power goes after so many more changes; the last of them may be half done.
    pub(crate) fn cut_after(&self, steps: u64) {
        let mut world = self.world();
        world.power_until = world.steps + steps;
    }

    /// From now on one sync in `times` fails and loses what it should have made durable; 0 for none.
    pub(crate) fn fail_syncs(&self, times: u64) {
        self.world().sync_fails = times;
    }

    /// From now on the disk has room for so many more bytes.
    pub(crate) fn set_space(&self, bytes: u64) {
        self.world().space = bytes;
    }

    /// What is found when the power is back.
    pub(crate) fn power_cut(&self) -> Self {
        let mut world = self.world();
        let pending = std::mem::take(&mut world.pending_names);
        for change in pending {
            if world.dice.once_in(2) {
                apply_name(&mut world.durable_names, &change);
            }
        }
        let names = world.durable_names.clone();
        let mut inodes = HashMap::new();
        for inode in names.values() {
            let Some(mut file) = world.inodes.get(inode).cloned() else { continue };
            for change in std::mem::take(&mut file.pending) {
                tear(&mut file.durable, &change, &mut world.dice);
            }
            let bytes = file.durable.clone();
            inodes.insert(*inode, Inode { durable: bytes.clone(), bytes, pending: Vec::new() });
        }
        let seed = world.dice.roll();
        let (dirs, next_inode) = (world.dirs.clone(), world.next_inode);
        drop(world);
        let after = Self::new(seed);
        let mut world = after.world();
        (world.names, world.durable_names) = (names.clone(), names);
        (world.inodes, world.dirs, world.next_inode) = (inodes, dirs, next_inode);
        drop(world);
        after
    }

    /// Makes a durable file, or replaces its bytes.
    pub(crate) fn put(&self, path: &Path, bytes: &[u8]) {
        let mut world = self.world();
        let inode = world.next_inode;
        world.next_inode += 1;
        let file = Inode { bytes: bytes.to_vec(), durable: bytes.to_vec(), pending: Vec::new() };
        world.inodes.insert(inode, file);
        world.names.insert(path.to_owned(), inode);
        world.durable_names.insert(path.to_owned(), inode);
    }

    fn world(&self) -> MutexGuard<'_, World> {
        self.0.lock().unwrap()
    }
}

/// A clock that moves a millisecond each time somebody looks at it.
pub(crate) struct SimClock(Mutex<(u64, Dice)>);

impl SimClock {
    pub(crate) fn new(seed: u64) -> Self {
        Self(Mutex::new((1_704_164_645_000_000, Dice(seed))))
    }
}

impl Clock for SimClock {
    fn now(&self) -> Timestamp {
        let mut state = self.0.lock().unwrap();
        state.0 += 1000;
        Timestamp(state.0)
    }

    fn monotonic(&self) -> Duration {
        Duration::from_micros(self.now().0)
    }

    fn random(&self) -> u64 {
        self.0.lock().unwrap().1.roll()
    }
}

impl World {
    /// Counts a change; answers whether it still happens.
    fn step(&mut self) -> io::Result<()> {
        if self.steps >= self.power_until {
            return Err(io::Error::other("no power"));
        }
        self.steps += 1;
        Ok(())
    }

    fn inode(&self, path: &Path) -> io::Result<u64> {
        self.names.get(path).copied().ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    fn rename(&mut self, change: NameChange) {
        apply_name(&mut self.names, &change);
        self.pending_names.push(change);
    }

    fn sync_fails(&mut self) -> bool {
        self.sync_fails != 0 && {
            let times = self.sync_fails;
            self.dice.once_in(times)
        }
    }
}

fn apply_name(names: &mut BTreeMap<PathBuf, u64>, change: &NameChange) {
    match change {
        NameChange::Create(path, inode) => {
            names.insert(path.clone(), *inode);
        }
        NameChange::Rename(from, to, inode) => {
            if names.get(from) == Some(inode) {
                names.remove(from);
            }
            names.insert(to.clone(), *inode);
        }
        NameChange::Remove(path) => {
            names.remove(path);
        }
    }
}

fn apply_data(bytes: &mut Vec<u8>, change: &DataChange) {
    match change {
        DataChange::Write(offset, data) => write(bytes, *offset as usize, data),
        DataChange::SetLen(len) => bytes.resize(*len as usize, 0),
    }
}

/// Applies some of a change.
fn tear(bytes: &mut Vec<u8>, change: &DataChange, dice: &mut Dice) {
    match (change, dice.below(3)) {
        (_, 0) => {}
        (change, 1) => apply_data(bytes, change),
        (DataChange::SetLen(_), _) => apply_data(bytes, change),
        (DataChange::Write(offset, data), _) => {
            let mut at = 0;
            while at < data.len() {
                let offset = *offset as usize + at;
                let length = (SECTOR_BYTES - offset % SECTOR_BYTES).min(data.len() - at);
                if dice.once_in(2) {
                    write(bytes, offset, &data[at..at + length]);
                }
                at += length;
            }
        }
    }
}

fn write(bytes: &mut Vec<u8>, offset: usize, data: &[u8]) {
    if bytes.len() < offset + data.len() {
        bytes.resize(offset + data.len(), 0);
    }
    bytes[offset..offset + data.len()].copy_from_slice(data);
}

impl Fs for SimFs {
    fn create(&self, path: &Path, _mode: u32) -> io::Result<Arc<dyn File>> {
        let mut world = self.world();
        if world.names.contains_key(path) {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        world.step()?;
        let inode = world.next_inode;
        world.next_inode += 1;
        world.inodes.insert(inode, Inode::default());
        world.rename(NameChange::Create(path.to_owned(), inode));
        Ok(Arc::new(SimFile { fs: self.clone(), inode }))
    }

    fn open(&self, path: &Path, _access: Access) -> io::Result<Arc<dyn File>> {
        let inode = self.world().inode(path)?;
        Ok(Arc::new(SimFile { fs: self.clone(), inode }))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        let mut world = self.world();
        let inode = world.inode(from)?;
        world.step()?;
        world.rename(NameChange::Rename(from.to_owned(), to.to_owned(), inode));
        Ok(())
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        let mut world = self.world();
        world.inode(path)?;
        world.step()?;
        world.rename(NameChange::Remove(path.to_owned()));
        Ok(())
    }

    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        let mut world = self.world();
        world.step()?;
        let pending = std::mem::take(&mut world.pending_names);
        let fails = world.sync_fails();
        for change in pending {
            let path = match &change {
                NameChange::Create(path, _) | NameChange::Remove(path) | NameChange::Rename(_, path, _) => {
                    path
                }
            };
            if path.parent() != Some(dir) {
                world.pending_names.push(change);
            } else if !fails || world.dice.once_in(2) {
                apply_name(&mut world.durable_names, &change);
            }
        }
        if fails { Err(io::Error::other("the device failed")) } else { Ok(()) }
    }

    fn create_dir_all(&self, dir: &Path, _mode: u32) -> io::Result<()> {
        // Directories are durable at once: what is tested is what happens in them.
        self.world().dirs.extend(dir.ancestors().map(Path::to_owned));
        Ok(())
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<OsString>> {
        let world = self.world();
        if !world.dirs.contains(dir) {
            return Err(io::ErrorKind::NotFound.into());
        }
        let in_dir = world.names.keys().filter(|path| path.parent() == Some(dir));
        Ok(in_dir.filter_map(|path| path.file_name()).map(OsString::from).collect())
    }

    fn stat(&self, path: &Path) -> io::Result<FileStat> {
        let world = self.world();
        let time = Timestamp(0);
        if world.dirs.contains(path) {
            return Ok(FileStat { len: 0, modified: time, changed: time, is_file: false, is_dir: true });
        }
        let len = world.inodes[&world.inode(path)?].bytes.len() as u64;
        Ok(FileStat { len, modified: time, changed: time, is_file: true, is_dir: false })
    }

    fn lock(&self, path: &Path, _owner: &str) -> Result<DirectoryLock, LockError> {
        if !self.world().locks.insert(path.to_owned()) {
            return Err(LockError::Held { path: path.to_owned(), holder: "somebody".to_owned() });
        }
        Ok(DirectoryLock::new(path, Held { fs: self.clone(), path: path.to_owned() }))
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

impl SimFile {
    fn change(&self, change: DataChange) -> io::Result<()> {
        let mut world = self.fs.world();
        let powered = world.step();
        let file = world.inodes.get_mut(&self.inode).unwrap();
        if powered.is_ok() {
            apply_data(&mut file.bytes, &change);
            file.pending.push(change);
        }
        powered
    }
}

impl File for SimFile {
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        let world = self.fs.world();
        let bytes = &world.inodes[&self.inode].bytes;
        let bytes = bytes.get(offset as usize..).unwrap_or_default();
        let length = bytes.len().min(buffer.len());
        buffer[..length].copy_from_slice(&bytes[..length]);
        Ok(length)
    }

    fn write_at(&self, slices: &[IoSlice<'_>], offset: u64) -> io::Result<()> {
        let mut data = Vec::new();
        slices.iter().for_each(|slice| data.extend_from_slice(slice));
        let space = {
            let mut world = self.fs.world();
            let space = world.space;
            world.space = space.saturating_sub(data.len() as u64);
            space
        };
        let fits = data.len() as u64 <= space;
        data.truncate(data.len().min(space as usize));
        self.change(DataChange::Write(offset, data))?;
        if fits { Ok(()) } else { Err(io::ErrorKind::StorageFull.into()) }
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.change(DataChange::SetLen(len))
    }

    fn len(&self) -> io::Result<u64> {
        Ok(self.fs.world().inodes[&self.inode].bytes.len() as u64)
    }

    fn sync_data(&self) -> io::Result<()> {
        let mut world = self.fs.world();
        world.step()?;
        let fails = world.sync_fails();
        let mut dice = Dice(world.dice.roll());
        let file = world.inodes.get_mut(&self.inode).unwrap();
        for change in std::mem::take(&mut file.pending) {
            if fails {
                tear(&mut file.durable, &change, &mut dice);
            } else {
                apply_data(&mut file.durable, &change);
            }
        }
        if fails { Err(io::Error::other("the device failed")) } else { Ok(()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_synced_survives_and_what_was_not_may_not() {
        let mut lost = 0;
        for seed in 0..50 {
            let fs = SimFs::new(seed);
            fs.create_dir_all(Path::new("/d"), 0).unwrap();
            let file = fs.create(Path::new("/d/f"), 0).unwrap();
            file.write_at(&[IoSlice::new(b"safe")], 0).unwrap();
            file.sync_data().unwrap();
            fs.sync_dir(Path::new("/d")).unwrap();
            file.write_at(&[IoSlice::new(b"not safe")], 4).unwrap();
            fs.rename(Path::new("/d/f"), Path::new("/d/g")).unwrap();
            let after = fs.power_cut();
            let names = after.list(Path::new("/d")).unwrap();
            assert!(names == ["f"] || names == ["g"], "{names:?}");
            let path = Path::new("/d").join(&names[0]);
            let bytes = after.open(&path, Access::Read).unwrap().read_from(0).unwrap();
            assert!(bytes.starts_with(b"safe"));
            lost += usize::from(bytes == b"safe");
        }
        assert!((5..45).contains(&lost), "{lost}");
    }

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
