//! A server process in a scratch directory, for as long as a test lives.
//!
//! The server runs under a shell that waits on a pipe from the test process: when that process ends, however it ends,
//! the pipe closes, the shell kills the server and removes the directory.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

/// See the module.
pub(crate) struct Process {
    dir: PathBuf,
    shell: Option<Child>,
    pid: u32,
}

impl Process {
    /// None yet, in a new directory with this prefix.
    pub(crate) fn new(prefix: &str) -> Self {
        let dir = tempfile::Builder::new().prefix(prefix).tempdir().expect("a scratch directory");
        Self { dir: dir.keep(), shell: None, pid: 0 }
    }

    /// Its directory.
    pub(crate) fn dir(&self) -> &Path {
        &self.dir
    }

    /// Its id, if it runs; that of the last one, if it does not.
    #[cfg(test)]
    pub(crate) fn pid(&self) -> u32 {
        self.pid
    }

    /// Whether it has been started and not been ended by us.
    pub(crate) fn is_started(&self) -> bool {
        self.shell.is_some()
    }

    /// Whether it has ended by itself.
    pub(crate) fn has_ended(&mut self) -> bool {
        self.shell.as_mut().is_some_and(|shell| matches!(shell.try_wait(), Ok(Some(_))))
    }

    /// Starts `program` with its directory as the working directory; its output goes to the file `stdout` there.
    pub(crate) fn start(&mut self, program: &[String]) {
        assert!(self.shell.is_none(), "{program:?} is still running");
        // The watcher holds the pipe; the shell in front waits for the server.
        let script = r#"
            "$@" >"$0/stdout" 2>&1 </dev/null &
            server=$!
            echo $server
            exec 3<&0
            ( cat <&3 >/dev/null; kill -KILL $server 2>/dev/null && rm -rf "$0" ) >/dev/null &
            exec 0</dev/null 3<&-
            wait $server
        "#;
        let mut command = Command::new("sh");
        command.arg("-c").arg(script).arg(&self.dir).args(program);
        command.current_dir(&self.dir).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut shell = command.spawn().expect("sh");
        let mut line = String::new();
        let stdout = shell.stdout.take().expect("a pipe");
        BufReader::new(stdout).read_line(&mut line).expect("the server's process id");
        self.pid = line.trim().parse().expect("the server's process id");
        self.shell = Some(shell);
    }

    /// Sends a signal (`-KILL`, `-TERM`) and waits for the end. The directory stays.
    pub(crate) fn end(&mut self, signal: &str) {
        let Some(mut shell) = self.shell.take() else { return };
        // Keeps the watcher from killing what is stopping; the shell ends when the server has.
        let pipe = shell.stdin.take();
        let _ = Command::new("kill").args([signal, &self.pid.to_string()]).status();
        let _ = shell.wait();
        drop(pipe);
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.end("-KILL");
        let _ = std::fs::remove_dir_all(&self.dir);
    }
}
