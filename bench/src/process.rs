//! The program under test: started, watched through /proc, stopped by its pid.

use crate::allocations;
use std::collections::VecDeque;
use std::fs;
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// How long a program may take until its port answers: Ruby on a busy machine takes its time.
const START_TIMEOUT: Duration = Duration::from_secs(120);
/// How long it may take to end after SIGTERM before it is killed.
const STOP_TIMEOUT: Duration = Duration::from_secs(20);
/// The work is done when the processes have hardly used CPU time for this long,
const QUIET: Duration = Duration::from_millis(1500);
/// that is, no more than what the timers of an idle program cost: some ticks.
const IDLE_SECONDS: f64 = 0.03;
/// More than one tick, less than two.
const TICK_SECONDS: f64 = 0.015;

/// A running program with its children.
pub(crate) struct Program {
    child: Child,
    log: PathBuf,
    dir: PathBuf,
}

/// What a program has used so far.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Usage {
    /// User and system time of all its processes, ended children included, seconds.
    pub(crate) cpu: f64,
    /// Bytes that it caused to be written to disk.
    pub(crate) written: u64,
    /// Highest resident size, bytes. Of several processes each one's own, added up: no less than what they held at once.
    pub(crate) memory: u64,
    /// Allocations, if they are counted.
    pub(crate) allocations: u64,
}

impl Program {
    /// Starts `command CONFIG` in `dir` and waits until `port` answers, if it has one.
    pub(crate) fn start(
        command: &[String],
        config: &Path,
        dir: &Path,
        port: Option<u16>,
    ) -> Result<Self, String> {
        let (program, args) = command.split_first().ok_or("an empty command")?;
        let log = dir.join("program.log");
        let output = fs::File::create(&log).map_err(|e| e.to_string())?;
        let child = Command::new(program)
            .args(args)
            .arg(config)
            .env("HOSTNAME", hostname())
            .current_dir(dir)
            .stdin(Stdio::null())
            .stdout(output.try_clone().map_err(|e| e.to_string())?)
            .stderr(output)
            .spawn()
            .map_err(|e| format!("{program}: {e}"))?;
        let mut started = Self { child, log, dir: dir.to_owned() };
        let begin = Instant::now();
        while let Some(port) = port {
            if TcpStream::connect(("127.0.0.1", port)).is_ok() {
                break;
            }
            started.still_runs()?;
            if begin.elapsed() > START_TIMEOUT {
                return Err(format!("it does not listen on port {port}: {}", started.log()));
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        Ok(started)
    }

    /// What it has used so far.
    pub(crate) fn usage(&self) -> Usage {
        let mut total = Usage { allocations: allocations::so_far(&self.dir), ..Usage::default() };
        for pid in family(self.child.id()) {
            let usage = usage_of(pid);
            total.cpu += usage.cpu;
            total.written += usage.written;
            total.memory += usage.memory;
        }
        total
    }

    /// An error with the end of what the program said, if it has ended.
    fn still_runs(&mut self) -> Result<(), String> {
        let Ok(Some(status)) = self.child.try_wait() else { return Ok(()) };
        Err(format!("it ended ({status}): {}", self.log()))
    }

    /// The last lines that the program wrote.
    pub(crate) fn log(&self) -> String {
        let text = fs::read(&self.log).unwrap_or_default();
        let end = text.get(text.len().saturating_sub(2000)..).unwrap_or_default();
        String::from_utf8_lossy(end).into_owned()
    }

    /// Waits until it has opened a file; answers when.
    pub(crate) fn wait_until_opened(&mut self, path: &Path, limit: Duration) -> Result<Instant, String> {
        let begin = Instant::now();
        loop {
            let now = Instant::now();
            if family(self.child.id()).into_iter().any(|pid| has_open(pid, path)) {
                return Ok(now);
            }
            self.still_runs()?;
            if begin.elapsed() > limit {
                return Err(format!("it does not open {}: {}", path.display(), self.log()));
            }
            std::thread::sleep(Duration::from_millis(2));
        }
    }

    /// Waits until it does nothing any more; answers when it last did something.
    pub(crate) fn wait_until_quiet(&mut self, limit: Duration) -> Result<Instant, String> {
        let begin = Instant::now();
        let mut samples = VecDeque::from([(begin, self.usage().cpu)]);
        loop {
            std::thread::sleep(Duration::from_millis(25));
            let (now, cpu) = (Instant::now(), self.usage().cpu);
            samples.push_back((now, cpu));
            while samples.front().is_some_and(|(_, then)| cpu > then + IDLE_SECONDS) {
                samples.pop_front();
            }
            if samples.front().is_some_and(|(since, _)| now.duration_since(*since) >= QUIET) {
                let last = samples.iter().find(|(_, then)| cpu < then + TICK_SECONDS);
                return Ok(last.map_or(now, |(since, _)| *since));
            }
            self.still_runs()?;
            if begin.elapsed() > limit {
                return Err(format!("it is still busy: {}", self.log()));
            }
        }
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        if let Some(pid) = rustix::process::Pid::from_raw(self.child.id() as i32) {
            let _ = rustix::process::kill_process(pid, rustix::process::Signal::TERM);
        }
        let begin = Instant::now();
        while begin.elapsed() < STOP_TIMEOUT {
            if !matches!(self.child.try_wait(), Ok(None)) {
                return;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A process and its descendants.
fn family(root: u32) -> Vec<u32> {
    let mut members = vec![root];
    let mut at = 0;
    while at < members.len() {
        let pid = members[at];
        // Each thread has the children that it started itself.
        for task in fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten().flatten() {
            let children = fs::read_to_string(task.path().join("children")).unwrap_or_default();
            members.extend(children.split_whitespace().filter_map(|pid| pid.parse::<u32>().ok()));
        }
        at += 1;
    }
    members
}

/// Whether a process has a file open.
fn has_open(pid: u32, path: &Path) -> bool {
    let files = fs::read_dir(format!("/proc/{pid}/fd")).into_iter().flatten().flatten();
    files.into_iter().any(|file| fs::read_link(file.path()).is_ok_and(|target| target == path))
}

/// For programs whose configurations take it from the environment.
fn hostname() -> String {
    rustix::system::uname().nodename().to_string_lossy().into_owned()
}

fn usage_of(pid: u32) -> Usage {
    let read = |name: &str| fs::read_to_string(format!("/proc/{pid}/{name}")).unwrap_or_default();
    let stat = read("stat");
    // Behind the command in parentheses: field 3 of proc(5) is the first. 14 and 15 are utime and stime, 16 and 17 those of
    // children that have ended.
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
    let ticks = |at: usize| fields.get(at).and_then(|text| text.parse::<f64>().ok()).unwrap_or(0.0);
    let per_second = rustix::param::clock_ticks_per_second() as f64;
    Usage {
        cpu: (11..15).map(ticks).sum::<f64>() / per_second,
        written: number_after(&read("io"), "\nwrite_bytes:"),
        memory: number_after(&read("status"), "VmHWM:") * 1024,
        allocations: 0,
    }
}

fn number_after(text: &str, label: &str) -> u64 {
    let rest = text.split(label).nth(1).unwrap_or_default();
    rest.split_whitespace().next().and_then(|word| word.parse().ok()).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn start(script: &str) -> (Program, tempfile::TempDir) {
        let dir = tempfile::tempdir().expect("a directory");
        let command = ["sh", "-c", script].map(str::to_owned);
        (Program::start(&command, Path::new("conf"), dir.path(), None).expect("a shell"), dir)
    }

    #[test]
    fn children_count_whether_they_run_or_have_ended() {
        let burn = "i=0; while [ $i -lt 200000 ]; do i=$((i+1)); done";
        // A subshell that has ended, and one that burns and then stays.
        let (mut program, _dir) = start(&format!("({burn}); ({burn}; sleep 60) & wait"));
        program.wait_until_quiet(Duration::from_secs(60)).expect("quiet");
        let usage = program.usage();
        assert!(family(program.child.id()).len() >= 2);
        let alone = usage_of(program.child.id());
        assert!(alone.cpu > 0.0 && usage.cpu > alone.cpu, "{usage:?}, the shell alone: {alone:?}");
        assert!(usage.memory > alone.memory);
        for pid in family(program.child.id()) {
            if let Some(pid) = rustix::process::Pid::from_raw(pid as i32) {
                let _ = rustix::process::kill_process(pid, rustix::process::Signal::TERM);
            }
        }
    }

    #[test]
    fn an_open_file_is_seen_and_an_early_end_is_an_error() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("app.log");
        fs::write(&path, "").expect("a file");
        let (mut program, _scratch) =
            start(&format!("exec 3< '{}'; read line; sleep 0.2; exit 3", path.display()));
        assert!(program.wait_until_opened(&path, Duration::from_secs(30)).is_ok());
        let error = program.wait_until_opened(Path::new("/nowhere"), Duration::from_secs(30)).unwrap_err();
        assert!(error.contains("exit status: 3"), "{error}");
    }
}
