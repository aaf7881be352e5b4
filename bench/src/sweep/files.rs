//! A sweep of tailed files: few of them grow, or all do; what idle ones cost.

use super::points::Points;
use super::stand::{NULL, Place, STEP_TIMEOUT, Stand, figures};
use crate::arguments::Options;
use crate::logs::now;
use crate::record::json;
use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::path::PathBuf;
use std::time::{Duration, Instant};

/// How long the program is watched doing nothing.
const IDLE: Duration = Duration::from_secs(20);
/// Files that grow while the others are idle.
const ACTIVE: usize = 10;
/// Lines that are written to a file at a time.
const LINES_AT_ONCE: usize = 100;

/// A source of JSON lines.
pub(super) fn source(more: &str) -> String {
    format!(
        "<source>\n  @type tail\n  path @DIR@/in/*.log\n  pos_file @DIR@/pos\n  tag servio.*\n  read_from_head true\n  \
         {more}\n  <parse>\n    @type json\n  </parse>\n</source>\n"
    )
}

pub(super) fn files(options: &Options, command: &[String], points: &mut Points) -> Result<(), String> {
    for (series, all) in [("10 files grow", false), ("all files grow", true)] {
        for count in [1, 10, 100, 1000, 10_000] {
            let mut files = Files::new(command, count)?;
            let idle = if all { None } else { Some(files.idle_cpu()) };
            let active = if all { count } else { count.min(ACTIVE) };
            let (figures, lost) = files.grow(active, options.records)?;
            if lost > 0 {
                return Err(format!("{lost} bytes of {count} files were not read in time"));
            }
            let idle: Vec<_> = idle.into_iter().map(|cpu| ("idle: CPU ms / s", cpu)).collect();
            points.add_figures(series, count as f64, &figures, &idle);
        }
    }
    Ok(())
}

/// Files that a program tails.
struct Files {
    stand: Stand,
    paths: Vec<PathBuf>,
    bytes: u64,
}

impl Files {
    /// Starts the program with so many files of one line, and waits until they are read.
    fn new(command: &[String], count: usize) -> Result<Self, String> {
        let place = Place::new()?;
        let dir = place.dir().join("in");
        fs::create_dir_all(&dir).map_err(|e| e.to_string())?;
        let line = json(0, &now()) + "\n";
        let paths: Vec<PathBuf> = (0..count).map(|number| dir.join(format!("app{number:05}.log"))).collect();
        for path in &paths {
            fs::write(path, &line).map_err(|e| format!("{}: {e}", path.display()))?;
        }
        let stand = place.start(command, &(source("") + NULL))?;
        let files = Self { stand, paths, bytes: (line.len() * count) as u64 };
        files.wait_until_read()?;
        std::thread::sleep(Duration::from_secs(2));
        Ok(files)
    }

    /// Milliseconds of CPU time in a second without a change.
    fn idle_cpu(&self) -> f64 {
        let before = self.stand.program.usage().cpu;
        std::thread::sleep(IDLE);
        (self.stand.program.usage().cpu - before) * 1e3 / IDLE.as_secs_f64()
    }

    /// Appends lines to the first `active` files in turns; answers bytes that were not read in time, too.
    fn grow(&mut self, active: usize, records: usize) -> Result<(crate::report::Figures, u64), String> {
        let timestamp = now();
        let blocks: Vec<String> = (0..64)
            .map(|block| {
                let lines =
                    (0..LINES_AT_ONCE).map(|line| json((block * 1000 + line) as u64, &timestamp) + "\n");
                lines.collect()
            })
            .collect();
        let before = self.stand.program.usage();
        let begin = Instant::now();
        let writes = records.div_ceil(LINES_AT_ONCE).max(active);
        let mut handles: Vec<Option<File>> = (0..active).map(|_| None).collect();
        let mut bytes = 0;
        for write in 0..writes {
            let number = write % active;
            let open = || OpenOptions::new().append(true).open(&self.paths[number]);
            let block = blocks[write % blocks.len()].as_bytes();
            let written = match &mut handles[number] {
                Some(file) => file.write_all(block),
                none => open().and_then(|file| none.insert(file).write_all(block)),
            };
            written.map_err(|e| format!("{}: {e}", self.paths[number].display()))?;
            bytes += block.len();
        }
        self.bytes += bytes as u64;
        let end = self.wait_until_read();
        let (end, lost) = match end {
            Ok(end) => (end, 0),
            Err(_) => (Instant::now(), self.bytes - self.read()),
        };
        let seconds = end.duration_since(begin).as_secs_f64();
        let after = self.stand.program.usage();
        Ok((figures(writes * LINES_AT_ONCE, bytes, seconds, before, after), lost))
    }

    /// Waits until the pos file says that everything was read.
    fn wait_until_read(&self) -> Result<Instant, String> {
        let begin = Instant::now();
        while self.read() < self.bytes {
            if begin.elapsed() > STEP_TIMEOUT {
                return Err(format!("{} of {} bytes were read in time", self.read(), self.bytes));
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        Ok(Instant::now())
    }

    /// Bytes that were read, by the pos file: `path TAB offset TAB inode` in hexadecimal.
    fn read(&self) -> u64 {
        let text = fs::read_to_string(self.stand.dir().join("pos")).unwrap_or_default();
        let offset = |line: &str| u64::from_str_radix(line.split('\t').nth(1)?, 16).ok();
        text.lines().filter_map(offset).filter(|offset| *offset != u64::MAX).sum()
    }
}
