//! What is found when the power is back.

use super::dice::{Choices, Dice, Odometer};
use super::world::{DataChange, Inode, NameChange, SimFs, World, apply_data, apply_name, free, write};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::ffi::OsString;
use std::ops::Range;
use std::path::{Path, PathBuf};

/// What a device writes as a whole.
const SECTOR_BYTES: usize = 512;
/// A write of more sectors comes out whole or not at all where all outcomes are tried.
const TORN_SECTORS_MAX: usize = 4;

/// Where a chunk file has the id of its chunk.
const ID: Range<usize> = 16..32;

/// How much of what was not synced is found.
enum Kept {
    Nothing,
    All,
    /// Everything before that step, and some of what it changed: a device that keeps the order.
    Until(u64),
    /// Any subset.
    Some,
}

/// How the pending changes of a file come out.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Fate {
    Lost,
    Done,
    Torn,
}

impl SimFs {
    /// What is found when the power is back, by chance: nothing of what was pending, all of it, what came first, or any
    /// of it, torn at sectors. Where a file became longer and its bytes were not written there are zeros, or what
    /// another file had there before.
    pub fn power_cut(&self) -> Self {
        let mut world = self.world();
        let kept = match world.dice.below(6) {
            0 => Kept::Nothing,
            1 => Kept::All,
            2 | 3 => {
                let steps = world.pending_steps();
                match steps.len() {
                    0 => Kept::Nothing,
                    count => Kept::Until(steps[world.dice.below(count as u64) as usize]),
                }
            }
            _ => Kept::Some,
        };
        let mut dice = Dice(world.dice.roll());
        world.after(&kept, &mut dice, true)
    }

    /// What is found if nothing that was not synced is kept.
    pub fn power_cut_keeping_nothing(&self) -> Self {
        self.world().after(&Kept::Nothing, &mut Dice(0), true)
    }

    /// Each state that may be found when the power is back, once: every subset of the pending changes of names, and for
    /// each file that is left every subset of the sectors of its pending writes (large ones whole or not at all), with its length ahead of its bytes or not.
    /// Answers how many there were before those that are alike were left out.
    pub fn each_power_cut(&self, mut visit: impl FnMut(Self)) -> u64 {
        let mut seen = BTreeSet::new();
        let (mut odometer, mut count) = (Odometer::default(), 0);
        loop {
            let after = self.world().after(&Kept::Some, &mut odometer, false);
            count += 1;
            if seen.insert(after.world().on_device()) {
                visit(after);
            }
            if !odometer.advance() {
                return count;
            }
        }
    }
}

impl World {
    /// The steps of changes that are pending, in order.
    fn pending_steps(&self) -> Vec<u64> {
        let of_files = self.inodes.values().flat_map(|inode| inode.pending.iter().map(|(step, _)| *step));
        let mut steps: Vec<u64> = self.pending_names.iter().map(|(step, _)| *step).chain(of_files).collect();
        steps.sort_unstable();
        steps
    }

    fn after(&self, kept: &Kept, choices: &mut impl Choices, by_chance: bool) -> SimFs {
        let mut device = self.device.clone();
        for (step, change) in &self.pending_names {
            let is_kept = match kept {
                Kept::Nothing => false,
                Kept::All => true,
                Kept::Until(last) => step <= last,
                Kept::Some => choices.once_in(2),
            };
            if is_kept {
                apply_name(&mut device, change);
            }
        }
        device.drop_lost_dirs();
        let mut inodes = HashMap::new();
        let left: BTreeSet<u64> = device.names.values().copied().collect();
        for number in left {
            let Some(file) = self.inodes.get(&number) else { continue };
            let mut bytes = file.durable.clone();
            for (step, change) in &file.pending {
                let fate = match kept {
                    Kept::Nothing => Fate::Lost,
                    Kept::All => Fate::Done,
                    Kept::Until(last) if step < last => Fate::Done,
                    Kept::Until(last) if step > last => Fate::Lost,
                    Kept::Until(_) => Fate::Torn,
                    Kept::Some if by_chance => {
                        [Fate::Lost, Fate::Done, Fate::Torn][choices.below(3) as usize]
                    }
                    Kept::Some if change.is_large() => [Fate::Lost, Fate::Done][choices.below(2) as usize],
                    Kept::Some => Fate::Torn,
                };
                match fate {
                    Fate::Lost => {}
                    Fate::Done => apply_data(&mut bytes, change),
                    Fate::Torn => self.tear(&mut bytes, change, choices, by_chance),
                }
            }
            inodes.insert(number, Inode::synced(bytes));
        }
        let mut world = World::new(self.dice.clone().roll());
        (world.names, world.dirs) = (device.names.clone(), device.dirs.clone());
        (world.device, world.inodes, world.next_inode) = (device, inodes, self.next_inode);
        (world.lies, world.freed) = (self.lies, self.freed.clone());
        if by_chance {
            let mut numbers: Vec<&u64> = self.inodes.keys().collect();
            numbers.sort_unstable();
            numbers.into_iter().for_each(|number| free(&mut world.freed, &self.inodes[number].bytes));
        }
        SimFs::of(world)
    }

    /// Applies some of a change.
    fn tear(&self, bytes: &mut Vec<u8>, change: &DataChange, choices: &mut impl Choices, by_chance: bool) {
        let DataChange::Write(offset, data) = change else {
            if choices.once_in(2) {
                apply_data(bytes, change);
            }
            return;
        };
        let mut at = 0;
        while at < data.len() {
            let offset = *offset as usize + at;
            let length = (SECTOR_BYTES - offset % SECTOR_BYTES).min(data.len() - at);
            if choices.once_in(2) {
                write(bytes, offset, &data[at..at + length]);
            }
            at += length;
        }
        let end = *offset as usize + data.len();
        let written = bytes.len();
        if written < end && choices.once_in(2) {
            bytes.resize(end, 0);
            if by_chance && choices.once_in(3) {
                let (head, hole) = bytes.split_at_mut(written);
                self.recycle(head, hole, choices);
            }
        }
    }

    /// Puts what a chunk or a marks file has or had at those offsets there: blocks that were given away again. As often as not
    /// those of an earlier state of the same file, or of one that it took the place of, as a file system likes to keep a file together.
    fn recycle(&self, head: &[u8], hole: &mut [u8], choices: &mut impl Choices) {
        let mut numbers: Vec<&u64> = self.inodes.keys().collect();
        numbers.sort_unstable();
        let there = numbers.into_iter().map(|number| &self.inodes[number].bytes);
        let there = there.filter(|bytes| bytes.first() == Some(&0xc1));
        let mut old: Vec<&Vec<u8>> = there.chain(&self.freed).collect();
        let id = |bytes: &[u8]| bytes.get(ID).map(<[u8]>::to_vec);
        if choices.once_in(2) && old.iter().any(|bytes| id(bytes) == id(head)) {
            old.retain(|bytes| id(bytes) == id(head));
        }
        if old.is_empty() {
            return;
        }
        let old = old[choices.below(old.len() as u64) as usize].get(head.len()..).unwrap_or_default();
        let length = hole.len().min(old.len());
        hole[..length].copy_from_slice(&old[..length]);
    }

    /// Everything that is on the device.
    fn on_device(&self) -> (BTreeMap<OsString, Vec<u8>>, BTreeSet<PathBuf>) {
        let names = self.device.names.iter();
        let files = names.map(|(path, inode)| (path.clone(), self.inodes[inode].durable.clone()));
        (files.collect(), self.device.dirs.clone())
    }
}

impl super::world::Device {
    /// What lies in a directory that is not there is not there.
    fn drop_lost_dirs(&mut self) {
        let dirs = self.dirs.clone();
        let is_there = |path: &Path| path.ancestors().skip(1).all(|dir| dirs.contains(dir));
        self.dirs.retain(|dir| is_there(dir));
        self.names.retain(|path, _: &mut u64| is_there(Path::new(path)));
    }
}

impl DataChange {
    fn is_large(&self) -> bool {
        matches!(self, Self::Write(_, data) if data.len() > TORN_SECTORS_MAX * SECTOR_BYTES)
    }
}

impl NameChange {
    /// The directory whose sync makes it durable.
    pub(super) fn dir(&self) -> Option<&Path> {
        match self {
            Self::Create(path, _) | Self::Remove(path) | Self::Rename(_, path, _) | Self::MakeDir(path) => {
                path.parent()
            }
        }
    }
}
