//! The command: when it runs, what is read of it, how it ends.

use crate::child::{END_WAIT_MAX, Group, WORKER_VARIABLE, shell};
use crate::printed::{Shape, Texts};
use crate::socket::{Events, preview};
use encoding_rs::Encoding;
use logweir_engine::event::{EventTime, Tag};
use logweir_engine::net::error_class;
use logweir_engine::plugin::{Extract, InputContext, ParseFailure, ParseOutput, Parser};
use logweir_engine::telemetry::{PluginLog, Shown};
use logweir_engine::{log_debug, log_error, log_warn};
use rustix::process::Signal;
use std::io;
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::AsyncReadExt;
use tokio::process::{Child, ChildStdout};
use tokio::time::{Instant, MissedTickBehavior, interval_at, sleep_until, timeout};

/// What is run, and what is made of what it prints.
pub(super) struct Command {
    pub(super) text: String,
    pub(super) with_stderr: bool,
    pub(super) interval: Option<Duration>,
    /// `read_block_size`
    pub(super) block: usize,
    pub(super) shape: Shape,
    /// What it prints is converted from this; without one, texts are byte arrays.
    pub(super) encoding: Option<&'static Encoding>,
    pub(super) parser: Arc<dyn Parser>,
    pub(super) extract: Option<Extract>,
    pub(super) tag: Option<Tag>,
}

/// Runs the command until the program stops.
pub(super) async fn run(command: Command, context: InputContext) {
    let Some(interval) = command.interval else { return command.run_once(&context).await };
    let mut ticks = interval_at(Instant::now() + interval, interval);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
    let mut due = Instant::now() + interval;
    loop {
        tokio::select! {
            biased;
            () = context.stop.cancelled() => return,
            tick = ticks.tick() => {
                if tick > due {
                    log_warn!(
                        context.log,
                        "previous child process is still running. skipped.",
                        command = command.text,
                        interval = interval.as_secs_f64()
                    );
                }
                due = tick + interval;
            }
        }
        command.run_once(&context).await;
    }
}

impl Command {
    async fn run_once(&self, context: &InputContext) {
        let log = &context.log;
        log_debug!(log, "Executing command", command = self.text);
        let mut child = match self.spawn(log.worker()) {
            Ok(child) => child,
            Err(error) => {
                log_error!(
                    log,
                    "cannot run the command",
                    command = self.text,
                    error_class = Shown(error_class(&error)),
                    error = error.to_string()
                );
                return;
            }
        };
        let group = Group::of(&child);
        if let Some(stdout) = child.stdout.take() {
            self.read(stdout, &group, context).await;
        }
        self.end(child, &group, context).await;
    }

    fn spawn(&self, worker: u32) -> io::Result<Child> {
        let redirected = if self.with_stderr { "exec 2>&1\n" } else { "" };
        shell(&format!("{redirected}{}", self.text))
            .env(WORKER_VARIABLE, worker.to_string())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
    }

    /// Reads all that the command prints. When the program stops the command is told to end, and what it prints until then
    /// is still read.
    async fn read(&self, mut stdout: ChildStdout, group: &Group, context: &InputContext) {
        let mut texts = Texts::new(self.shape);
        let mut events = Events::new(context, false);
        let refused = |error: &logweir_engine::delivery::EmitError, tag: &Tag| {
            log_error!(
                context.log,
                "exec failed to emit",
                tag = tag,
                error_class = Shown(error.class()),
                error = error.to_string()
            );
            false
        };
        let mut until = None;
        loop {
            texts.buffer.reserve(self.block);
            let read = tokio::select! {
                biased;
                () = context.stop.cancelled(), if until.is_none() => {
                    group.signal(Signal::TERM);
                    until = Some(Instant::now() + END_WAIT_MAX);
                    continue;
                }
                read = stdout.read_buf(&mut texts.buffer) => read,
                () = sleep_until(until.unwrap_or_else(Instant::now)), if until.is_some() => {
                    group.signal(Signal::KILL);
                    Ok(0)
                }
            };
            let has_ended = match read {
                Ok(count) => count == 0,
                Err(error) => {
                    log_error!(context.log, "cannot read what the command prints", error = error.to_string());
                    true
                }
            };
            loop {
                match texts.next(has_ended) {
                    Ok(Some(text)) => self.interpret(&text, &context.log, &mut events),
                    Ok(None) => break,
                    Err(error) => {
                        log_error!(
                            context.log,
                            "what the command prints cannot be read on; the command is ended",
                            command = self.text,
                            error = error.to_string(),
                            text = preview(&texts.buffer)
                        );
                        group.signal(Signal::TERM);
                        events.emit(refused).await;
                        return;
                    }
                }
                if events.are_many() {
                    events.emit(refused).await;
                }
                tokio::task::coop::consume_budget().await;
            }
            events.emit(refused).await;
            if has_ended {
                return;
            }
        }
    }

    /// Waits for the end of a command that has closed its output; when the program stops, for some seconds.
    async fn end(&self, mut child: Child, group: &Group, context: &InputContext) {
        let log = &context.log;
        let ended = tokio::select! {
            ended = child.wait() => ended,
            () = context.stop.cancelled() => {
                group.signal(Signal::TERM);
                match timeout(END_WAIT_MAX, child.wait()).await {
                    Ok(ended) => ended,
                    Err(_) => {
                        group.signal(Signal::KILL);
                        child.wait().await
                    }
                }
            }
        };
        match ended {
            Ok(status) if status.success() || context.stop.is_cancelled() => {}
            Ok(status) => log_warn!(
                log,
                "command exited with an error",
                command = self.text,
                status = Shown(status.to_string())
            ),
            Err(error) => log_error!(log, "cannot wait for the command", error = error.to_string()),
        }
    }

    fn interpret(&self, text: &[u8], log: &PluginLog, events: &mut Events<'_>) {
        let decoded = self.encoding.map(|encoding| encoding.decode_without_bom_handling(text).0);
        let text = decoded.as_deref().map_or(text, str::as_bytes);
        let mut output = ParseOutput::new();
        output.set_binary(self.encoding.is_none());
        let parsed = self.parser.parse(text, &mut output);
        for (index, entry) in output.entries().iter().enumerate() {
            let mut record = output.record(index).to_vec();
            if let Err(reason) = self.add(&mut record, entry.time, events) {
                log_error!(log, "exec failed to emit", text = preview(text), error = reason);
            }
        }
        match parsed {
            Ok(()) => {}
            Err(ParseFailure::Unmatched) => log_warn!(log, "pattern not matched", text = preview(text)),
            Err(ParseFailure::Invalid(reason)) => {
                log_error!(log, "invalid text is dropped", text = preview(text), error = reason);
            }
        }
    }

    fn add(
        &self,
        record: &mut Vec<u8>,
        time: Option<EventTime>,
        events: &mut Events<'_>,
    ) -> Result<(), String> {
        let extract = self.extract.as_ref();
        let tag = extract.and_then(|extract| extract.tag(record, 0));
        let time = match (time, extract) {
            (None, Some(extract)) => extract.time(record, 0)?,
            (time, _) => time,
        };
        let tag = tag.as_ref().or(self.tag.as_ref()).ok_or("the record has no field for the tag")?;
        events.add(tag, time.unwrap_or_else(EventTime::now), record, None);
        Ok(())
    }
}
