//! A Logweir process in a directory of its own, for as long as a test lives.

use rustix::process::{Pid, Signal, kill_process};
use std::fs::{self, OpenOptions};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::time::{Duration, Instant};

/// The binary under test.
pub(crate) const BINARY: &str = env!("CARGO_BIN_EXE_logweir");

/// Only a program that hangs is waited for so long.
const WAIT_MAX: Duration = Duration::from_secs(180);

/// A process, its configuration `fluent.conf` and its log `logweir.log`.
pub(crate) struct Logweir {
    dir: PathBuf,
    child: Option<Child>,
    prepare: fn(&mut Command),
    open_files: Option<u64>,
    /// How often it has said that it runs before the last start.
    ran: usize,
}

impl Logweir {
    /// Runs `config` in `dir` until it says that it is running.
    pub(crate) fn start(dir: &Path, config: &str) -> Self {
        Self::start_with(dir, config, None, |_| {})
    }

    /// Runs `config` with at most so many open files, and with what `prepare` sets.
    pub(crate) fn start_with(
        dir: &Path,
        config: &str,
        open_files: Option<u64>,
        prepare: fn(&mut Command),
    ) -> Self {
        fs::write(dir.join("fluent.conf"), config).expect("fluent.conf");
        let mut process = Self { dir: dir.to_owned(), child: None, prepare, open_files, ran: 0 };
        process.start_again();
        process
    }

    /// One that [`Logweir::spawn`] starts.
    pub(crate) fn not_started(dir: &Path, config: &str) -> Self {
        fs::write(dir.join("fluent.conf"), config).expect("fluent.conf");
        Self { dir: dir.to_owned(), child: None, prepare: |_| {}, open_files: None, ran: 0 }
    }

    /// Runs the same configuration in the same directory once more, after [`Logweir::kill`] or [`Logweir::stop`].
    pub(crate) fn start_again(&mut self) {
        self.spawn(&[]);
        self.wait_until_running();
    }

    /// Runs it with these environment variables, and does not wait.
    pub(crate) fn spawn(&mut self, environment: &[(&str, &str)]) {
        assert!(self.child.is_none(), "it is still running");
        let log = OpenOptions::new().create(true).append(true).open(self.log_path()).expect("the log");
        self.ran = self.log().matches(RUNNING).count();
        let mut command = Command::new(BINARY);
        if let Some(limit) = self.open_files {
            command = Command::new("sh");
            command.arg("-c").arg(format!("ulimit -n {limit} && exec \"$0\" \"$@\"")).arg(BINARY);
        }
        command.arg("-c").arg(self.dir.join("fluent.conf")).env("ENVIRONMENT", "production");
        command.envs(environment.iter().copied());
        (self.prepare)(&mut command);
        command.stdin(Stdio::null()).stdout(log.try_clone().expect("the log")).stderr(log);
        self.child = Some(command.spawn().expect("logweir"));
    }

    /// Waits until it says that it is running.
    pub(crate) fn wait_until_running(&mut self) {
        self.wait("it to run", |process| process.log().matches(RUNNING).count() > process.ran);
    }

    /// Whether it has ended by itself, and how.
    pub(crate) fn ended(&mut self) -> Option<ExitStatus> {
        let status = self.child.as_mut()?.try_wait().expect("its state")?;
        self.child = None;
        Some(status)
    }

    /// Takes `child`, which writes its log to `logweir.log` in `dir`, and waits until it runs.
    pub(crate) fn adopt(dir: &Path, child: Child) -> Self {
        let mut process =
            Self { dir: dir.to_owned(), child: Some(child), prepare: |_| {}, open_files: None, ran: 0 };
        process.wait("it to run", |process| process.log().contains(RUNNING));
        process
    }

    /// What it has logged since its first start.
    pub(crate) fn log(&self) -> String {
        fs::read_to_string(self.log_path()).unwrap_or_default()
    }

    /// Waits until `done`; panics with the log if the process ends or hangs first.
    pub(crate) fn wait(&mut self, what: &str, done: impl Fn(&Self) -> bool) {
        let started = Instant::now();
        while !done(self) {
            let ended = self.child.as_mut().and_then(|child| child.try_wait().expect("its state"));
            assert!(ended.is_none(), "waiting for {what}, logweir ended with {ended:?}:\n{}", self.log());
            assert!(started.elapsed() < WAIT_MAX, "waited in vain for {what}:\n{}", self.log());
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Its process id.
    pub(crate) fn pid(&self) -> u32 {
        self.child.as_ref().expect("a running process").id()
    }

    /// Sends a signal.
    pub(crate) fn signal(&self, signal: Signal) {
        let child = self.child.as_ref().expect("a running process");
        kill_process(Pid::from_child(child), signal).expect("a signal to a child");
    }

    /// SIGTERM, and how it ended.
    pub(crate) fn stop(&mut self) -> ExitStatus {
        self.signal(Signal::TERM);
        self.end()
    }

    /// Waits until it ends, which something else has asked it to, without an error.
    pub(crate) fn wait_for_end(&mut self) {
        let status = self.end();
        assert!(status.success(), "{status}:\n{}", self.log());
    }

    fn end(&mut self) -> ExitStatus {
        let mut child = self.child.take().expect("a running process");
        let started = Instant::now();
        loop {
            if let Some(status) = child.try_wait().expect("its state") {
                return status;
            }
            if started.elapsed() > WAIT_MAX {
                let _ = child.kill();
                panic!("it does not stop:\n{}", self.log());
            }
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// SIGKILL.
    pub(crate) fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }

    fn log_path(&self) -> PathBuf {
        self.dir.join("logweir.log")
    }
}

impl Drop for Logweir {
    fn drop(&mut self) {
        self.kill();
    }
}

/// Runs the binary to its end.
pub(crate) fn logweir(args: &[&str]) -> Output {
    Command::new(BINARY).args(args).stdin(Stdio::null()).output().expect("logweir")
}

/// Standard output and error of a process that ended.
pub(crate) fn words(output: &Output) -> String {
    String::from_utf8_lossy(&[&output.stdout[..], &output.stderr[..]].concat()).into_owned()
}

/// What Fluentd says once all its plugins are started.
const RUNNING: &str = "fluentd worker is now running";
