//! The commands: started, fed, read, started again, ended.

use super::results::Results;
use crate::child::{END_WAIT_MAX, Group, shell};
use logweir_engine::buffer::Chunk;
use logweir_engine::net::error_class;
use logweir_engine::output::blocking;
use logweir_engine::plugin::{StartError, WriteError};
use logweir_engine::telemetry::Shown;
use logweir_engine::{log_error, log_info, log_warn};
use rustix::process::Signal;
use std::convert::Infallible;
use std::fmt::Display;
use std::io;
use std::os::unix::process::ExitStatusExt;
use std::process::{ExitStatus, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use tokio::io::AsyncWriteExt;
use tokio::process::{Child, ChildStdin};
use tokio::sync::Mutex;
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// After the end of its input, for how long a command may go on before it is told to end.
const EXIT_WAIT: Duration = Duration::from_secs(10);
/// Between the end of a command and its next start.
const RESPAWN_WAIT: Duration = Duration::from_millis(200);

/// Whether a command that has ended is started again: `child_respawn`.
///
/// A number is the same as `inf`, as it is with Fluentd, which counts anew with each start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Respawn {
    Never,
    Always,
}

impl Respawn {
    /// `child_respawn`; `None` if it makes no sense.
    pub(super) fn parse(text: Option<&str>) -> Option<Self> {
        match text {
            None | Some("none" | "0") => Some(Self::Never),
            Some("inf" | "-1") => Some(Self::Always),
            Some(number) => number.parse::<u64>().ok().map(|times| match times {
                0 => Self::Never,
                _ => Self::Always,
            }),
        }
    }
}

/// All commands of an output.
pub(super) struct Children {
    command: String,
    respawn: Respawn,
    results: Results,
    /// Where each of them takes its input; none where none runs.
    inputs: Vec<Mutex<Option<ChildStdin>>>,
    next: AtomicUsize,
    stop: CancellationToken,
    tasks: TaskTracker,
}

impl Children {
    pub(super) fn new(command: String, count: usize, respawn: Respawn, results: Results) -> Self {
        Self {
            command,
            respawn,
            results,
            inputs: (0..count).map(|_| Mutex::default()).collect(),
            next: AtomicUsize::new(0),
            stop: CancellationToken::new(),
            tasks: TaskTracker::new(),
        }
    }

    /// Starts all of them.
    pub(super) async fn start(self: &Arc<Self>) -> Result<(), StartError> {
        for index in 0..self.inputs.len() {
            let child = self.spawn(index).await.map_err(|error| {
                StartError::new(
                    error_class(&error),
                    format!("cannot run the command {:?}: {error}", self.command),
                )
            })?;
            let all = Arc::clone(self);
            self.tasks.spawn(async move { all.keep(index, child).await });
        }
        Ok(())
    }

    /// Writes a chunk to the next one that runs.
    pub(super) async fn write(&self, chunk: &Chunk) -> Result<(), WriteError> {
        for _ in 0..self.inputs.len() {
            let index = (self.next.fetch_add(1, Ordering::Relaxed) + 1) % self.inputs.len();
            let mut input = self.inputs[index].lock().await;
            let Some(stdin) = input.as_mut() else { continue };
            let written = feed(stdin, chunk).await;
            if written.is_err() {
                // It may have got half a line; another start is needed before it can be given anything.
                *input = None;
            }
            return written.map_err(|error| {
                WriteError::retry(error_class(&error), format!("cannot write to the command: {error}"))
            });
        }
        Err(WriteError::retry("RuntimeError", "no healthy child processes exist"))
    }

    /// Gives all of them the end of their input, and waits until they have ended and all that they printed was sent on.
    pub(super) async fn end(&self) {
        self.stop.cancel();
        for input in &self.inputs {
            // One that does not read is ended by a signal below.
            if let Ok(mut input) = timeout(EXIT_WAIT, input.lock()).await {
                *input = None;
            }
        }
        self.tasks.close();
        self.tasks.wait().await;
    }

    async fn spawn(&self, index: usize) -> io::Result<Child> {
        let mut child = shell(&self.command)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()?;
        *self.inputs[index].lock().await = child.stdin.take();
        Ok(child)
    }

    /// Looks after a command until the stop, or until it has ended too often.
    async fn keep(&self, index: usize, child: Child) {
        let log = &self.results.log;
        let mut running = Some(child);
        loop {
            if let Some(child) = running.take() {
                let ended = self.attend(index, child).await;
                match ended {
                    _ if self.stop.is_cancelled() => return,
                    Ok(status) => log_warn!(
                        log,
                        "child process exits with error code",
                        code = status.into_raw(),
                        status = Shown(or_nil(status.code())),
                        signal = Shown(or_nil(status.signal()))
                    ),
                    Err(error) => {
                        log_error!(log, "cannot wait for the command", error = error.to_string());
                    }
                }
            }
            if self.respawn == Respawn::Never {
                return;
            }
            tokio::select! {
                () = self.stop.cancelled() => return,
                () = sleep(RESPAWN_WAIT) => {}
            }
            log_info!(log, "respawning child process", num = index);
            match self.spawn(index).await {
                Ok(child) => running = Some(child),
                Err(error) => {
                    log_error!(
                        log,
                        "cannot run the command",
                        command = self.command,
                        error = error.to_string()
                    );
                }
            }
        }
    }

    /// Reads what a command prints until it has ended.
    async fn attend(&self, index: usize, mut child: Child) -> io::Result<ExitStatus> {
        let group = Group::of(&child);
        let stdout = child.stdout.take();
        let read = async {
            if let Some(stdout) = stdout {
                self.results.read(stdout, &self.stop).await;
            }
        };
        tokio::pin!(read);
        let mut has_read = false;
        let impatience = self.impatience(&group);
        tokio::pin!(impatience);
        let status = loop {
            tokio::select! {
                biased;
                () = &mut read, if !has_read => has_read = true,
                status = child.wait() => break status,
                never = &mut impatience => match never {},
            }
        };
        *self.inputs[index].lock().await = None;
        if !has_read {
            // What it left in the background may hold its output open.
            let _ = timeout(END_WAIT_MAX, &mut read).await;
        }
        status
    }

    /// After the stop, ends a command that does not end by itself. Has no end.
    async fn impatience(&self, group: &Group) -> Infallible {
        self.stop.cancelled().await;
        sleep(EXIT_WAIT).await;
        group.signal(Signal::TERM);
        sleep(END_WAIT_MAX).await;
        group.signal(Signal::KILL);
        std::future::pending().await
    }
}

async fn feed(stdin: &mut ChildStdin, chunk: &Chunk) -> io::Result<()> {
    let mut reader = chunk.reader()?.inflating();
    while blocking(|| reader.advance())?.is_some() {
        stdin.write_all(reader.bytes()).await?;
    }
    stdin.flush().await
}

fn or_nil(value: Option<impl Display>) -> String {
    value.map_or_else(|| "nil".to_owned(), |value| value.to_string())
}
