//! Which files the store's process may open, by Linux's Landlock.
//!
//! The engine takes itself for a program of the person who asks, and lets SQL reach any file: with the function `file`, tables of
//! engine File, templates of output formats and more, some of which no right of the engine's covers. So the kernel is asked to keep
//! the process to the store's directory and to what it takes to run; it cannot run programs at all. Descriptors that are
//! already open, memfds and pipes are not affected.

use crate::engine::StoreError;
use landlock::{
    ABI, Access, AccessFs, BitFlags, PathBeneath, PathFd, Ruleset, RulesetAttr, RulesetCreatedAttr,
    RulesetError, RulesetStatus,
};
use std::collections::BTreeSet;
use std::io;
use std::path::{Path, PathBuf};

/// What later kernels add is left open.
const KNOWN: ABI = ABI::V3;

/// Libraries, time zones, name resolution, certificates, and what the engine measures.
const READABLE: [&str; 41] = [
    "/usr/lib",
    "/usr/lib64",
    "/usr/local/lib",
    "/lib",
    "/lib64",
    "/usr/share/zoneinfo",
    "/usr/share/ca-certificates",
    "/usr/local/share/ca-certificates",
    "/etc/ssl",
    "/etc/pki",
    "/etc/ca-certificates",
    "/etc/localtime",
    "/etc/timezone",
    "/etc/resolv.conf",
    "/etc/hosts",
    "/etc/hostname",
    "/etc/nsswitch.conf",
    "/etc/host.conf",
    "/etc/gai.conf",
    "/etc/services",
    "/etc/ld.so.cache",
    "/dev/urandom",
    "/dev/random",
    "/dev/zero",
    "/sys",
    "/proc/sys",
    "/proc/meminfo",
    "/proc/cpuinfo",
    "/proc/stat",
    "/proc/uptime",
    "/proc/loadavg",
    "/proc/mounts",
    "/proc/diskstats",
    "/proc/self/auxv",
    "/proc/self/stat",
    "/proc/self/statm",
    "/proc/self/status",
    "/proc/self/maps",
    "/proc/self/cgroup",
    "/proc/self/mountinfo",
    "/proc/self/task",
];

/// Confines this thread, and all that it starts, to `dir` and what it takes to run `library`. `false` if the kernel cannot.
pub(crate) fn confine(dir: &Path, library: &Path) -> Result<bool, StoreError> {
    std::fs::create_dir_all(dir).map_err(|error| StoreError::Io { path: dir.to_owned(), error })?;
    restrict(dir, library).map_err(|error| StoreError::Start(io::Error::other(error)))
}

fn restrict(dir: &Path, library: &Path) -> Result<bool, RulesetError> {
    let all = AccessFs::from_all(KNOWN);
    let read = AccessFs::ReadFile | AccessFs::ReadDir;
    let mut rules = Ruleset::default().handle_access(all)?.create()?;
    let readable = READABLE.iter().map(|path| (Path::new(path), read));
    let written =
        [(dir, all & !AccessFs::Execute), (Path::new("/dev/null"), AccessFs::ReadFile | AccessFs::WriteFile)];
    let mut kept = Vec::new();
    let programs = programs();
    let programs = programs.iter().map(|path| (path.as_path(), read));
    for (path, access) in readable.chain(programs).chain([(library, read)]).chain(written) {
        // What is not there cannot be opened either.
        let Ok(opened) = PathFd::new(path) else { continue };
        rules = rules.add_rule(PathBeneath::new(&opened, fitting(path, access)))?;
        // A file of /proc is another one once nobody has it open, which the rule would not know.
        kept.extend(path.starts_with("/proc").then_some(opened));
    }
    std::mem::forget(kept);
    Ok(rules.restrict_self()?.ruleset != RulesetStatus::NotEnforced)
}

/// The program and its libraries, wherever they are: for the stack traces in its log the engine reads them, and ends the process
/// if it cannot.
fn programs() -> BTreeSet<PathBuf> {
    let maps = std::fs::read_to_string("/proc/self/maps").unwrap_or_default();
    maps.lines().filter_map(|line| line.find('/').map(|at| PathBuf::from(&line[at..]))).collect()
}

/// Rights of directories mean nothing for files.
fn fitting(path: &Path, access: BitFlags<AccessFs>) -> BitFlags<AccessFs> {
    if path.is_dir() { access } else { access & AccessFs::from_file(KNOWN) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::process::Command;

    #[test]
    fn only_what_is_needed_can_be_opened() {
        let dir = tempfile::tempdir().unwrap();
        let (inside, outside) = (dir.path().join("store"), dir.path().join("secret"));
        fs::write(&outside, "secret").unwrap();
        // A thread of its own: the confinement cannot be undone.
        let seen = std::thread::spawn(move || {
            if !confine(&inside, Path::new("/nonexistent")).unwrap() {
                return None;
            }
            fs::create_dir(inside.join("a")).unwrap();
            fs::write(inside.join("a/b"), "x").unwrap();
            fs::rename(inside.join("a/b"), inside.join("c")).unwrap();
            fs::remove_file(inside.join("c")).unwrap();
            assert!(fs::read("/proc/self/stat").is_ok());
            let program = Command::new("/bin/true").status().is_ok();
            Some((fs::read(&outside).is_ok(), fs::write(outside.with_extension("new"), "x").is_ok(), program))
        });
        let seen = seen.join().unwrap();
        if seen.is_none() {
            eprintln!("not run: this kernel has no Landlock");
        }
        assert!(seen.is_none_or(|seen| seen == (false, false, false)), "{seen:?}");
    }
}
