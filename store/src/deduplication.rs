//! Mends the deduplication logs of tables after a crash.
//!
//! The engine notes an insert's token in a table's `deduplication_logs` *before* it moves the insert's part into place. Killed
//! between the two, it holds the token of an insert that it does not have: the client sends it again, is told that it is
//! stored, and the rows are lost. So before the engine starts, each token is dropped whose part is not there.
//!
//! A log file has lines `operation TAB part TAB token`: 1 adds a token, 2 drops one. A part `p_3_5_1` holds the blocks 3 to 5 of
//! partition p; merges make larger ones.

use std::collections::HashSet;
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

const LOGS: &str = "deduplication_logs";

/// Mends all tables of the engine's directory `data`.
pub(crate) fn repair(data: &Path) -> io::Result<()> {
    // store/abc/abcdef00-.../deduplication_logs
    for prefix in entries(&data.join("store"))? {
        for table in entries(&prefix)? {
            if table.join(LOGS).is_dir() {
                repair_table(&table)?;
            }
        }
    }
    Ok(())
}

fn repair_table(table: &Path) -> io::Result<()> {
    let parts: Vec<Part> =
        entries(table)?.iter().filter_map(|path| Part::parse(path.file_name()?.to_str()?)).collect();
    let logs = entries(&table.join(LOGS))?;
    let mut texts = Vec::with_capacity(logs.len());
    for log in logs {
        texts.push((fs::read_to_string(&log)?, log));
    }
    let mut dropped = HashSet::new();
    for (text, _) in &texts {
        dropped.extend(text.lines().filter_map(|line| line.strip_prefix("2\t")?.split('\t').nth(1)));
    }
    for (text, log) in &texts {
        let keep = |line: &&str| {
            let mut fields = line.trim_end_matches('\n').split('\t');
            let (operation, part, token) = (fields.next(), fields.next(), fields.next());
            match (operation, part.and_then(Part::parse), token) {
                (Some("1"), Some(part), Some(token)) => {
                    dropped.contains(token) || parts.iter().any(|there| there.covers(&part))
                }
                // A line that is not whole was being written when the engine died.
                (_, _, None) => false,
                _ => true,
            }
        };
        let kept: String = text.split_inclusive('\n').filter(keep).collect();
        if kept != *text {
            replace(log, &kept)?;
        }
    }
    Ok(())
}

fn replace(path: &Path, text: &str) -> io::Result<()> {
    let new = path.with_extension("txt.new");
    let mut file = File::create(&new)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()?;
    fs::rename(&new, path)?;
    match path.parent() {
        Some(dir) => File::open(dir)?.sync_all(),
        None => Ok(()),
    }
}

/// What is in a directory; nothing if there is none.
fn entries(dir: &Path) -> io::Result<Vec<PathBuf>> {
    match fs::read_dir(dir) {
        Ok(entries) => entries.map(|entry| entry.map(|entry| entry.path())).collect(),
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {
            Ok(Vec::new())
        }
        Err(error) => Err(error),
    }
}

#[derive(Debug, PartialEq, Eq)]
struct Part {
    partition: String,
    first: u64,
    last: u64,
}

impl Part {
    /// `partition_first_last_level`, and `_mutation`.
    fn parse(name: &str) -> Option<Self> {
        let mut fields = name.split('_');
        let partition =
            fields.next().filter(|partition| !partition.is_empty() && *partition != "tmp")?.to_owned();
        let (first, last) = (fields.next()?.parse().ok()?, fields.next()?.parse().ok()?);
        fields.next()?.parse::<u64>().ok()?;
        Some(Self { partition, first, last })
    }

    fn covers(&self, other: &Self) -> bool {
        self.partition == other.partition && self.first <= other.first && other.last <= self.last
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_without_a_part_are_forgotten() {
        let dir = tempfile::tempdir().unwrap();
        let table = dir.path().join("store/abc/abcdef");
        for part in ["all_1_2_1", "all_3_3_0_7", "tmp_insert_all_9_9_0", "detached", LOGS] {
            fs::create_dir_all(table.join(part)).unwrap();
        }
        let log = table.join(LOGS).join("deduplication_log_1.txt");
        let kept =
            "1\tall_1_1_0\ta\n1\tall_2_2_0\tb\n1\tall_3_3_0\tc\n1\tall_4_4_0\tgone\n2\tall_4_4_0\tgone\n";
        fs::write(&log, format!("{kept}1\tall_9_9_0\tlost\n1\tother_3_3_0\tlost too\n1\tall_3")).unwrap();
        repair(dir.path()).unwrap();
        assert_eq!(fs::read_to_string(&log).unwrap(), kept);
        let before = fs::metadata(&log).unwrap().modified().unwrap();
        repair(dir.path()).unwrap();
        assert_eq!(fs::metadata(&log).unwrap().modified().unwrap(), before);
        assert_eq!(fs::read_dir(table.join(LOGS)).unwrap().count(), 1);
    }
}
