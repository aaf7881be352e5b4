//! in_tail with real files: rotations, kills, odd files, many files. Every line is accounted for, at each of the outputs.
//!
//! A line is `WRITER NUMBER` and perhaps more; a writer's numbers count up from 0, so that a line that is lost, doubled or
//! out of order shows.

mod identity;
mod kills;
mod lines;
mod many;
mod odd;
mod rotation;

use crate::logweir::Logweir;
use rustix::process::Signal;
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// Lines come out at once.
const SOON: &str =
    "flush_mode immediate\n      flush_thread_interval 0.05\n      flush_thread_burst_interval 0.01";
/// Lines come out in few chunks, and not at the end of the program.
const SOMETIMES: &str = "flush_interval 0.1";
/// Lines stay in the buffers until a signal asks for them: out_file may write a chunk twice that a kill interrupts, so that
/// what in_tail did shows only in buffers that are not flushed before the last kill.
const LATE: &str = "flush_interval 1h";

/// A directory with files to tail in `log`, and a Logweir that copies their lines into as many files as a test wants.
struct Tail {
    dir: tempfile::TempDir,
    outputs: usize,
}

impl Tail {
    fn new(outputs: usize) -> Self {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir(dir.path().join("log")).unwrap();
        Self { dir, outputs }
    }

    fn dir(&self) -> &Path {
        self.dir.path()
    }

    /// The path of a file to tail.
    fn log(&self, name: &str) -> PathBuf {
        self.dir.path().join("log").join(name)
    }

    /// The configuration: `path` is a name or pattern in `log`, `source` more lines of its section, `buffer` how it is flushed.
    fn config(&self, path: &str, source: &str, buffer: &str) -> String {
        self.config_of(path, source, "@type none", buffer)
    }

    fn config_of(&self, path: &str, source: &str, parse: &str, buffer: &str) -> String {
        let dir = self.dir.path().display();
        let mut config = format!(
            "<source>
  @type tail
  path {dir}/log/{path}
  pos_file {dir}/pos
  tag lines
  read_from_head true
  refresh_interval 1s
  {source}
  <parse>
    {parse}
  </parse>
</source>
"
        );
        config.push_str(&self.outputs(buffer));
        config
    }

    fn outputs(&self, buffer: &str) -> String {
        let dir = self.dir.path().display();
        let mut config = "<match lines>\n  @type copy\n".to_owned();
        for n in 0..self.outputs {
            let _ = writeln!(
                config,
                "  <store>
    @type file
    path {dir}/out{n}
    append true
    <format>
      @type single_value
    </format>
    <buffer []>
      @type file
      path {dir}/buffer{n}
      {buffer}
    </buffer>
  </store>"
            );
        }
        config.push_str("</match>\n");
        config
    }

    /// What output `n` has written.
    fn out(&self, n: usize) -> String {
        let bytes = fs::read(self.dir.path().join(format!("out{n}.log"))).unwrap_or_default();
        String::from_utf8_lossy(&bytes).into_owned()
    }

    /// Waits until each output has at least so many lines.
    fn wait_for(&self, logweir: &mut Logweir, lines: usize) {
        for n in 0..self.outputs {
            let path = self.dir.path().join(format!("out{n}.log"));
            let count = || fs::read(&path).unwrap_or_default().iter().filter(|byte| **byte == b'\n').count();
            logweir.wait(&format!("{lines} lines in out{n}.log"), |_| count() >= lines);
        }
    }

    /// Lets the buffers go, which kept everything ([`LATE`]), and accounts for it.
    fn flush_and_finish(&self, mut logweir: Logweir, written: &Written) {
        self.flush(&mut logweir, written.total());
        self.finish(logweir, written);
    }

    /// Lets the buffers go until each output has so many lines.
    fn flush(&self, logweir: &mut Logweir, lines: usize) {
        for n in 0..self.outputs {
            logweir.wait(&format!("{lines} lines in out{n}.log"), |logweir| {
                logweir.signal(Signal::USR1);
                self.out(n).lines().count() >= lines
            });
        }
    }

    /// Waits for all lines, stops, and accounts for each of them at each output.
    fn finish(&self, mut logweir: Logweir, written: &Written) {
        self.wait_for(&mut logweir, written.total());
        assert_eq!(logweir.stop().code(), Some(0), "{}", logweir.log());
        self.account(written);
    }

    fn account(&self, written: &Written) {
        for n in 0..self.outputs {
            written.account(&self.out(n), n);
        }
    }

    /// The entries of the pos file that are in use: path, offset, inode.
    fn positions(&self) -> Vec<(PathBuf, u64, u64)> {
        let text = fs::read_to_string(self.dir.path().join("pos")).unwrap_or_default();
        let number = |text: &str| u64::from_str_radix(text, 16).unwrap();
        let entries = text.lines().map(|line| {
            let parts: Vec<&str> = line.split('\t').collect();
            assert!(parts.len() == 3 && parts[1].len() == 16 && parts[2].len() == 16, "{line:?}");
            (PathBuf::from(parts[0]), number(parts[1]), number(parts[2]))
        });
        entries.filter(|(_, offset, _)| *offset != u64::MAX).collect()
    }

    /// The offset and the inode that the pos file has for a path.
    fn position(&self, name: &str) -> Option<(u64, u64)> {
        let path = self.log(name);
        self.positions().into_iter().find(|(of, _, _)| *of == path).map(|(_, offset, inode)| (offset, inode))
    }

    /// Waits until the pos file says that all of a file is safe.
    fn wait_until_read(&self, logweir: &mut Logweir, name: &str) {
        let meta = fs::metadata(self.log(name)).unwrap();
        let goal = Some((meta.len(), meta.ino()));
        logweir.wait(&format!("{name} to be read"), |_| self.position(name) == goal);
    }
}

/// What writers wrote.
#[derive(Default)]
struct Written(BTreeMap<String, u64>);

impl Written {
    fn total(&self) -> usize {
        usize::try_from(self.0.values().sum::<u64>()).unwrap()
    }

    /// The next `count` lines of a writer.
    fn lines(&mut self, writer: &str, count: u64) -> String {
        let next = self.0.entry(writer.to_owned()).or_default();
        let mut text = String::new();
        for n in *next..*next + count {
            let _ = writeln!(text, "{writer} {n}");
        }
        *next += count;
        text
    }

    /// Appends the next `count` lines of a writer to a file.
    fn append(&mut self, path: &Path, writer: &str, count: u64) {
        let text = self.lines(writer, count);
        append(path, &text);
    }

    /// Each line once, and each writer's in order.
    fn account(&self, out: &str, output: usize) {
        let mut next: BTreeMap<&str, u64> = BTreeMap::new();
        let mut wrong = Vec::new();
        for line in out.lines() {
            let mut words = line.split(' ');
            let (writer, number) = (words.next().unwrap(), words.next().and_then(|word| word.parse().ok()));
            let expected = next.entry(writer).or_default();
            if number != Some(*expected) || !self.0.contains_key(writer) {
                wrong.push(format!("{line:?} instead of {writer} {expected}"));
            }
            *expected = number.unwrap_or(*expected) + 1;
        }
        for (writer, count) in &self.0 {
            let got = next.get(writer.as_str()).copied().unwrap_or(0);
            if got != *count {
                wrong.push(format!("{writer} ends before {got}, not before {count}"));
            }
        }
        wrong.truncate(10);
        assert!(wrong.is_empty() && out.lines().count() == self.total(), "output {output}: {wrong:#?}");
    }
}

fn append(path: &Path, text: impl AsRef<[u8]>) {
    let mut file = OpenOptions::new().create(true).append(true).open(path).unwrap();
    file.write_all(text.as_ref()).unwrap();
}

fn inode(path: &Path) -> u64 {
    fs::metadata(path).unwrap().ino()
}

/// A writer that rotates its file by renaming: `NAME` to `NAME.1`, that to `NAME.2` and so on.
struct Rotating {
    path: PathBuf,
    file: File,
    generations: usize,
}

impl Rotating {
    fn create(path: PathBuf) -> Self {
        let file = File::create(&path).unwrap();
        Self { path, file, generations: 0 }
    }

    fn write(&mut self, text: &str) {
        self.file.write_all(text.as_bytes()).unwrap();
    }

    fn rotate(&mut self) {
        self.rename();
        self.file = File::create(&self.path).unwrap();
    }

    /// The file is written to under its new name until [`Rotating::reopen`].
    fn rename(&mut self) {
        let name = |n: usize| PathBuf::from(format!("{}.{n}", self.path.display()));
        for n in (1..=self.generations).rev() {
            fs::rename(name(n), name(n + 1)).unwrap();
        }
        fs::rename(&self.path, name(1)).unwrap();
        self.generations += 1;
    }

    fn reopen(&mut self) {
        self.file = OpenOptions::new().create(true).append(true).open(&self.path).unwrap();
    }
}

/// Pseudo-random numbers (xorshift) from a seed that a failure shows: `LOGWEIR_SEED=N` repeats it.
struct Random(u64);

impl Random {
    fn new() -> Self {
        let seed = std::env::var("LOGWEIR_SEED").ok().and_then(|seed| seed.parse().ok());
        let now =
            || std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_nanos() as u64;
        let seed = seed.unwrap_or_else(now) | 1;
        println!("LOGWEIR_SEED={seed}");
        Self(seed)
    }

    /// A number below `limit`.
    fn below(&mut self, limit: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % limit
    }
}
