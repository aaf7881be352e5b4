//! Journals of systemd, made by `systemd-journal-remote` out of export format.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicU64, Ordering};

/// Where Debian has it.
const REMOTE: &str = "/lib/systemd/systemd-journal-remote";
/// A boot that all entries are of.
const BOOT: &str = "4737ffc504774b3ba67020bc947f1bc0";
/// The time of entry 0, in microseconds since the epoch.
const START_USEC: u64 = 1_700_000_000_000_000;

/// A folder of journal files.
pub struct JournalFolder {
    path: PathBuf,
    exports: AtomicU64,
}

/// An entry in export format. Its time is that of its `number`, a millisecond each.
pub fn journal_entry(number: u64, fields: &[(&str, &[u8])]) -> Vec<u8> {
    let mut head = String::new();
    let _ = write!(
        head,
        "__REALTIME_TIMESTAMP={}\n__MONOTONIC_TIMESTAMP={}\n_BOOT_ID={BOOT}\n",
        START_USEC + number * 1000,
        1_000_000 + number * 1000
    );
    let mut entry = head.into_bytes();
    for (name, value) in fields {
        entry.extend_from_slice(name.as_bytes());
        if value.contains(&b'\n') || std::str::from_utf8(value).is_err() {
            entry.push(b'\n');
            entry.extend_from_slice(&(value.len() as u64).to_le_bytes());
        } else {
            entry.push(b'=');
        }
        entry.extend_from_slice(value);
        entry.push(b'\n');
    }
    entry.push(b'\n');
    entry
}

impl JournalFolder {
    /// An empty one at `path`.
    pub fn create(path: &Path) -> Self {
        fs::create_dir_all(path).expect("the journal's folder");
        Self { path: path.to_owned(), exports: AtomicU64::new(0) }
    }

    /// Its path.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Appends entries to a file `NAME.journal`, which is made if it is not there.
    pub fn append(&self, name: &str, entries: &[Vec<u8>]) {
        let number = self.exports.fetch_add(1, Ordering::Relaxed);
        let export = self.path.join(format!(".{name}.{number}.export"));
        fs::write(&export, entries.concat()).expect("an export file");
        let output = Command::new(REMOTE)
            .arg("-o")
            .arg(self.path.join(format!("{name}.journal")))
            .arg(&export)
            .output()
            .unwrap_or_else(|error| panic!("{REMOTE} (package systemd-journal-remote): {error}"));
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        fs::remove_file(&export).expect("the export file");
    }

    /// Appends entries `MESSAGE=PREFIX N` for the numbers.
    pub fn append_messages(&self, name: &str, prefix: &str, numbers: std::ops::Range<u64>) {
        let entries = numbers.map(|number| {
            journal_entry(number, &[("MESSAGE", format!("{prefix} {number}").as_bytes()), ("_PID", b"7")])
        });
        self.append(name, &entries.collect::<Vec<_>>());
    }

    /// Removes a file, as vacuuming does.
    pub fn remove(&self, name: &str) {
        fs::remove_file(self.path.join(format!("{name}.journal"))).expect("a journal file");
    }
}
