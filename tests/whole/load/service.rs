//! A service that writes its log into a file, which is rotated meanwhile.

use super::{Dice, record};
use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// How the file is rotated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Rotation {
    Never,
    /// Renamed, and a new one made at once.
    Often,
    /// Renamed, and a new one made when the old one is long forgotten.
    WithAGap,
}

/// The old one is forgotten after this.
const GAP: Duration = Duration::from_millis(2500);

/// See the module.
pub(crate) struct Service {
    name: String,
    path: PathBuf,
    positions: PathBuf,
    file: File,
    rotation: Rotation,
    rotated: u32,
    next: u64,
}

impl Service {
    /// One that writes `dir/log/NAME.log`; Logweir's positions are in `dir/pos`.
    pub(crate) fn new(dir: &Path, name: &str, rotation: Rotation) -> Self {
        let path = dir.join("log").join(format!("{name}.log"));
        let file = open(&path);
        Self { name: name.to_owned(), path, positions: dir.join("pos"), file, rotation, rotated: 0, next: 0 }
    }

    /// Writes `count` lines, and perhaps rotates.
    pub(crate) fn write(&mut self, count: usize, dice: &mut Dice) {
        let numbers = self.next..self.next + count as u64;
        let lines: String = numbers.map(|n| format!("{}\n", record(&self.name, n))).collect();
        self.file.write_all(lines.as_bytes()).expect("a log");
        self.next += count as u64;
        if self.rotation != Rotation::Never && dice.below(8) == 0 && self.is_followed() {
            self.rotated += 1;
            fs::rename(&self.path, self.path.with_extension(format!("old.{}", self.rotated)))
                .expect("a rotation");
            if self.rotation == Rotation::WithAGap {
                std::thread::sleep(GAP);
            }
            self.file = open(&self.path);
        }
    }

    /// Its name, and how many lines it has written.
    pub(crate) fn promised(self) -> (String, u64) {
        (self.name, self.next)
    }

    /// Whether the entry in the pos file is that of the file at the path: one rotation may come on top of it, whatever ends
    /// meanwhile; two are too many, as with Fluentd.
    fn is_followed(&self) -> bool {
        let text = fs::read_to_string(&self.positions).unwrap_or_default();
        let prefix = format!("{}\t", self.path.display());
        let entry = text.lines().rev().find_map(|line| line.strip_prefix(&prefix));
        let inode = entry.and_then(|entry| u64::from_str_radix(entry.split('\t').nth(1)?, 16).ok());
        inode.is_some() && inode == fs::metadata(&self.path).ok().map(|meta| meta.ino())
    }
}

fn open(path: &Path) -> File {
    OpenOptions::new().create(true).append(true).open(path).expect("a log")
}
