//! The program under test: started, watched through /proc, stopped by its pid.

use crate::allocations;
use std::fs;
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// How long a program may take until its port answers.
const START_TIMEOUT: Duration = Duration::from_secs(30);
/// How long it may take to end after SIGTERM before it is killed.
const STOP_TIMEOUT: Duration = Duration::from_secs(20);
/// The work is done when the processes have used no CPU time for this long.
const QUIET: Duration = Duration::from_millis(1500);
/// CPU time beyond what timers of an idle program cost: more than one tick.
const BUSY_SECONDS: f64 = 0.015;

/// A running program with its children.
pub(crate) struct Program {
    child: Child,
    dir: PathBuf,
}

/// What a program has used so far.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Usage {
    /// User and system time of all its processes, seconds.
    pub(crate) cpu: f64,
    /// Bytes that it caused to be written to disk.
    pub(crate) written: u64,
    /// Highest resident size of one process, bytes.
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
        let log = fs::File::create(dir.join("program.log")).map_err(|e| e.to_string())?;
        let child = Command::new(program)
            .args(args)
            .arg(config)
            .current_dir(dir)
            .stdin(Stdio::null())
            .stdout(log.try_clone().map_err(|e| e.to_string())?)
            .stderr(log)
            .spawn()
            .map_err(|e| format!("{program}: {e}"))?;
        let mut started = Self { child, dir: dir.to_owned() };
        let begin = Instant::now();
        while let Some(port) = port {
            if TcpStream::connect(("127.0.0.1", port)).is_ok() {
                break;
            }
            if let Ok(Some(status)) = started.child.try_wait() {
                let log = fs::read_to_string(dir.join("program.log")).unwrap_or_default();
                return Err(format!("{program} ended at its start ({status}): {log}"));
            }
            if begin.elapsed() > START_TIMEOUT {
                return Err(format!("{program} does not listen on port {port}"));
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
            total.memory = total.memory.max(usage.memory);
        }
        total
    }

    /// Waits until it does something; answers when it began.
    pub(crate) fn wait_until_busy(&self, limit: Duration) -> Result<Instant, String> {
        let begin = Instant::now();
        let idle = self.usage().cpu;
        loop {
            let now = Instant::now();
            if self.usage().cpu > idle + BUSY_SECONDS {
                return Ok(now);
            }
            if begin.elapsed() > limit {
                return Err("the program does nothing".to_owned());
            }
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// Waits until it does nothing any more; answers when it last did something.
    pub(crate) fn wait_until_quiet(&self, limit: Duration) -> Result<Instant, String> {
        let begin = Instant::now();
        let (mut last_cpu, mut last_change) = (self.usage().cpu, Instant::now());
        while last_change.elapsed() < QUIET {
            std::thread::sleep(Duration::from_millis(25));
            let cpu = self.usage().cpu;
            if cpu > last_cpu + BUSY_SECONDS {
                (last_cpu, last_change) = (cpu, Instant::now());
            }
            if begin.elapsed() > limit {
                return Err("the program is still busy".to_owned());
            }
        }
        Ok(last_change)
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
        let children = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap_or_default();
        members.extend(children.split_whitespace().filter_map(|pid| pid.parse::<u32>().ok()));
        at += 1;
    }
    members
}

fn usage_of(pid: u32) -> Usage {
    let read = |name: &str| fs::read_to_string(format!("/proc/{pid}/{name}")).unwrap_or_default();
    let stat = read("stat");
    // Behind the command in parentheses: field 3 of proc(5) is the first; utime and stime are 14 and 15.
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
    let ticks = |at: usize| fields.get(at).and_then(|text| text.parse::<f64>().ok()).unwrap_or(0.0);
    let per_second = rustix::param::clock_ticks_per_second() as f64;
    Usage {
        cpu: (ticks(11) + ticks(12)) / per_second,
        written: number_after(&read("io"), "\nwrite_bytes:"),
        memory: number_after(&read("status"), "VmHWM:") * 1024,
        allocations: 0,
    }
}

fn number_after(text: &str, label: &str) -> u64 {
    let rest = text.split(label).nth(1).unwrap_or_default();
    rest.split_whitespace().next().and_then(|word| word.parse().ok()).unwrap_or(0)
}
