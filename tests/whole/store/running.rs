//! A store that runs for as long as a test needs it.

use crate::logweir::BINARY;
use logweir_testing::{HttpAnswer, Libchdb, free_port, http_request};
use rustix::process::{Pid, Signal, kill_process};
use std::fs::{self, OpenOptions};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// Only a store that hangs is waited for so long.
const WAIT_MAX: Duration = Duration::from_secs(120);

/// See the module.
pub(crate) struct Store {
    dir: tempfile::TempDir,
    port: u16,
    library: PathBuf,
    options: Vec<String>,
    child: Option<Child>,
}

impl Store {
    /// A store of this machine's user `default`, or `None` where the library is not.
    pub(crate) fn start() -> Option<Self> {
        Self::start_with(&[])
    }

    /// One with further options.
    pub(crate) fn start_with(options: &[&str]) -> Option<Self> {
        let mut store = Self {
            library: Libchdb::path()?,
            dir: tempfile::tempdir().expect("a directory"),
            port: free_port(),
            options: options.iter().map(|option| (*option).to_owned()).collect(),
            child: None,
        };
        store.start_again();
        Some(store)
    }

    /// Starts it once more after [`Store::kill`] or [`Store::stop`], on the same port, with the same data.
    pub(crate) fn start_again(&mut self) {
        assert!(self.child.is_none(), "it is still running");
        let log =
            OpenOptions::new().create(true).append(true).open(self.dir.path().join("log")).expect("a log");
        let mut command = Command::new(BINARY);
        command.arg("store").arg("--path").arg(self.dir.path().join("store"));
        command.args(["--listen", &format!("127.0.0.1:{}", self.port), "--memory", "2g"]);
        command.arg("--libchdb").arg(&self.library).args(&self.options);
        command.stdin(Stdio::null()).stdout(log.try_clone().expect("a log")).stderr(log);
        self.child = Some(command.spawn().expect("logweir store"));
        let port = self.port;
        self.wait("it to answer", || {
            http_request(port, "GET", "/ping", &[], b"").is_ok_and(|answer| answer.status == 200)
        });
    }

    /// The port.
    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    /// A directory for the test, which the store does not use.
    pub(crate) fn dir(&self) -> &Path {
        self.dir.path()
    }

    /// Sends a request.
    pub(crate) fn request(&self, method: &str, target: &str, headers: &[&str], body: &[u8]) -> HttpAnswer {
        http_request(self.port, method, target, headers, body)
            .unwrap_or_else(|error| panic!("{method} {target}: {error}\n{}", self.log()))
    }

    /// Posts a query with parameters (`a=1&b=2`) of the URL.
    pub(crate) fn post(&self, parameters: &str, body: impl AsRef<[u8]>) -> HttpAnswer {
        self.request("POST", &format!("/?{parameters}"), &[], body.as_ref())
    }

    /// The output of a query without the last line end; panics on an error.
    pub(crate) fn query(&self, sql: &str) -> String {
        let answer = self.post("", sql);
        assert_eq!(answer.status, 200, "{sql}\n-> {}", answer.text());
        answer.text().trim_end_matches('\n').to_owned()
    }

    /// The number and the text of an error.
    pub(crate) fn error(&self, sql: &str) -> (u16, u32, String) {
        failed(&self.post("", sql))
    }

    /// Waits until `done`; panics with the log if the store ends or hangs first.
    pub(crate) fn wait(&mut self, what: &str, mut done: impl FnMut() -> bool) {
        let started = Instant::now();
        while !done() {
            let ended = self.child.as_mut().and_then(|child| child.try_wait().expect("its state"));
            assert!(ended.is_none(), "waiting for {what}, the store ended with {ended:?}:\n{}", self.log());
            assert!(started.elapsed() < WAIT_MAX, "waited in vain for {what}:\n{}", self.log());
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// What it has logged.
    pub(crate) fn log(&self) -> String {
        fs::read_to_string(self.dir.path().join("log")).unwrap_or_default()
    }

    /// SIGTERM; panics unless it ends well.
    pub(crate) fn stop(&mut self) {
        let mut child = self.child.take().expect("a running store");
        kill_process(Pid::from_child(&child), Signal::TERM).expect("a signal to a child");
        let started = Instant::now();
        loop {
            if let Some(status) = child.try_wait().expect("its state") {
                assert_eq!(status.code(), Some(0), "{status}:\n{}", self.log());
                return;
            }
            if started.elapsed() > WAIT_MAX {
                let _ = child.kill();
                panic!("it does not stop:\n{}", self.log());
            }
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// SIGKILL.
    pub(crate) fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

impl Drop for Store {
    fn drop(&mut self) {
        self.kill();
    }
}

/// A header of an answer, by its lower-case name.
pub(crate) fn header<'a>(answer: &'a HttpAnswer, name: &str) -> Option<&'a str> {
    answer.head.lines().skip(1).find_map(|line| {
        let (found, value) = line.split_once(':')?;
        found.eq_ignore_ascii_case(name).then_some(value.trim())
    })
}

/// Status, number and text of an error.
pub(crate) fn failed(answer: &HttpAnswer) -> (u16, u32, String) {
    let code = header(answer, "x-clickhouse-exception-code").and_then(|code| code.parse().ok());
    (answer.status, code.unwrap_or(0), answer.text())
}
