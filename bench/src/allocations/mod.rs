//! Allocations of a program that is linked dynamically, counted by a library that is put in front of glibc's allocator. The
//! program itself is the one that is measured otherwise, so a run that counts is a run of its own: counting costs time.

use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};
use tempfile::TempDir;

/// Where the library counts, in the directory that the program runs in.
const FILE: &str = "allocations";

/// The compiled library.
pub(crate) struct Counter {
    dir: TempDir,
}

impl Counter {
    /// Compiles it with `cc`.
    pub(crate) fn compile() -> Result<Self, String> {
        let dir = tempfile::Builder::new().prefix("logweir-bench-").tempdir().map_err(|e| e.to_string())?;
        let mut compiler = Command::new("cc")
            .args(["-O2", "-shared", "-fPIC", "-x", "c", "-", "-o"])
            .arg(dir.path().join("count.so"))
            .stdin(Stdio::piped())
            .spawn()
            .map_err(|e| format!("cc: {e}; a C compiler is needed to count allocations"))?;
        let written = compiler.stdin.take().map(|mut input| input.write_all(include_bytes!("count.c")));
        let status = compiler.wait().map_err(|e| format!("cc: {e}"))?;
        match written {
            Some(Ok(())) if status.success() => Ok(Self { dir }),
            _ => Err(format!("cc: {status}")),
        }
    }

    /// A command whose allocations are counted.
    pub(crate) fn counting(&self, command: &[String]) -> Vec<String> {
        let library = self.dir.path().join("count.so");
        let mut all = vec![
            "env".to_owned(),
            format!("LD_PRELOAD={}", library.display()),
            format!("BENCH_ALLOCATIONS={FILE}"),
        ];
        all.extend_from_slice(command);
        all
    }
}

/// Allocations so far of a counting program that runs in `dir`; 0 if it does not count.
pub(crate) fn so_far(dir: &Path) -> u64 {
    let bytes = std::fs::read(dir.join(FILE)).unwrap_or_default();
    bytes.first_chunk().map_or(0, |count| u64::from_ne_bytes(*count))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn allocations_of_a_program_are_counted() {
        let counter = Counter::compile().unwrap();
        let dir = TempDir::new().unwrap();
        assert_eq!(so_far(dir.path()), 0);
        let mut counts = Vec::new();
        for _ in 0..2 {
            let command = counter.counting(&["date".to_owned()]);
            let output =
                Command::new(&command[0]).args(&command[1..]).current_dir(dir.path()).output().unwrap();
            assert!(output.status.success() && output.stderr.is_empty(), "{output:?}");
            counts.push(so_far(dir.path()));
            std::fs::remove_file(dir.path().join(FILE)).unwrap();
        }
        assert!(counts[0] > 3 && counts[0] == counts[1], "{counts:?}");
    }
}
