//! What the commands print, and the events that it becomes.

use crate::printed::{Shape, Texts};
use crate::socket::preview;
use logweir_engine::delivery::{EmitError, Receipt};
use logweir_engine::event::{EventStream, EventTime, Tag};
use logweir_engine::msgpack::write_event_time;
use logweir_engine::plugin::{Extract, LabelRef, ParseFailure, ParseOutput, Parser};
use logweir_engine::telemetry::{Account, Ledger, PluginLog, Shown};
use logweir_engine::{log_error, log_warn};
use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use tokio::io::AsyncReadExt;
use tokio::process::ChildStdout;
use tokio_util::sync::CancellationToken;

/// Before events are offered again to a buffer that was full.
const FULL_WAIT: Duration = Duration::from_millis(500);
/// Events are sent on at this size even if more was printed.
const BYTES_MAX: usize = 256 << 10;

/// How what is printed becomes events, and where they go.
pub(super) struct Results {
    pub(super) parser: Arc<dyn Parser>,
    pub(super) shape: Shape,
    pub(super) extract: Option<Extract>,
    pub(super) tag: Option<Tag>,
    /// With its dot.
    pub(super) add_prefix: Option<String>,
    pub(super) router: LabelRef,
    /// Where it is booked that events come out of an output.
    pub(super) ledger: Arc<Ledger>,
    /// `read_block_size`
    pub(super) block: usize,
    pub(super) quiet: Quiet,
    pub(super) log: PluginLog,
}

/// `suppress_error_log_interval`
pub(super) struct Quiet {
    interval: Duration,
    until: Mutex<Option<Instant>>,
}

impl Quiet {
    pub(super) fn new(interval: Duration) -> Self {
        Self { interval, until: Mutex::new(None) }
    }

    fn allows(&self) -> bool {
        if self.interval.is_zero() {
            return true;
        }
        let mut until = self.until.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        let is_over = until.is_none_or(|until| now > until);
        if is_over {
            *until = Some(now + self.interval);
        }
        is_over
    }
}

/// Neighbouring events that share a tag, each with its number of events.
#[derive(Default)]
struct Streams {
    streams: VecDeque<(Tag, Vec<u8>, usize)>,
    bytes: usize,
}

impl Streams {
    fn add(&mut self, tag: Tag, time: EventTime, record: &[u8]) {
        if self.streams.back().is_none_or(|(last, _, _)| *last != tag) {
            self.streams.push_back((tag, Vec::new(), 0));
        }
        let Some((_, entries, count)) = self.streams.back_mut() else { return };
        let before = entries.len();
        entries.push(0x92);
        write_event_time(entries, time);
        entries.extend_from_slice(record);
        *count += 1;
        self.bytes += entries.len() - before;
    }
}

impl Results {
    /// Reads until the command closes its output. What makes no sense ends the reading, but not the command, which may not
    /// notice: its output is read on and thrown away.
    pub(super) async fn read(&self, mut stdout: ChildStdout, stop: &CancellationToken) {
        let mut texts = Texts::new(self.shape);
        let mut streams = Streams::default();
        let mut is_lost = false;
        loop {
            texts.buffer.reserve(self.block);
            let has_ended = match stdout.read_buf(&mut texts.buffer).await {
                Ok(count) => count == 0,
                Err(error) => {
                    log_error!(self.log, "cannot read what the command prints", error = error.to_string());
                    true
                }
            };
            if is_lost {
                texts.buffer.clear();
            }
            while !is_lost {
                match texts.next(has_ended) {
                    Ok(Some(text)) => self.interpret(&text, &mut streams),
                    Ok(None) => break,
                    Err(error) => {
                        log_error!(
                            self.log,
                            "what the command prints cannot be read on; the rest of it is dropped",
                            error = error.to_string(),
                            text = preview(&texts.buffer)
                        );
                        is_lost = true;
                    }
                }
                if streams.bytes >= BYTES_MAX {
                    self.emit(&mut streams, stop).await;
                }
                tokio::task::coop::consume_budget().await;
            }
            self.emit(&mut streams, stop).await;
            if has_ended {
                return;
            }
        }
    }

    fn interpret(&self, text: &[u8], streams: &mut Streams) {
        let mut output = ParseOutput::new();
        // As Fluentd reads it; JSON has strings all the same.
        output.set_binary(true);
        let parsed = self.parser.parse(text, &mut output);
        for (index, entry) in output.entries().iter().enumerate() {
            let mut record = output.record(index).to_vec();
            if let Err(reason) = self.add(&mut record, entry.time, streams)
                && self.quiet.allows()
            {
                log_error!(self.log, "exec_filter failed to emit", record = preview(text), error = reason);
            }
        }
        match parsed {
            Ok(()) => {}
            Err(_) if !self.quiet.allows() => {}
            Err(ParseFailure::Unmatched) => log_warn!(self.log, "pattern not matched", text = preview(text)),
            Err(ParseFailure::Invalid(reason)) => {
                log_error!(self.log, "exec_filter failed to emit", record = preview(text), error = reason);
            }
        }
    }

    fn add(
        &self,
        record: &mut Vec<u8>,
        time: Option<EventTime>,
        streams: &mut Streams,
    ) -> Result<(), String> {
        let extract = self.extract.as_ref();
        let extracted =
            extract.and_then(|extract| extract.tag(record, 0)).map(|tag| match &self.add_prefix {
                Some(prefix) => Tag::new(&format!("{prefix}{tag}")),
                None => tag,
            });
        let time = match (time, extract) {
            (None, Some(extract)) => extract.time(record, 0)?,
            (time, _) => time,
        };
        let tag = extracted.or_else(|| self.tag.clone()).ok_or("the record has no field for the tag")?;
        streams.add(tag, time.unwrap_or_else(EventTime::now), record);
        Ok(())
    }

    /// Sends all events on. A full buffer is waited for, so that the command is not read meanwhile, until the stop.
    async fn emit(&self, streams: &mut Streams, stop: &CancellationToken) {
        streams.bytes = 0;
        while let Some((tag, entries, count)) = streams.streams.pop_front() {
            let stream = EventStream::new(tag.clone(), entries.into(), count);
            loop {
                let mut receipt = Receipt::unwatched();
                self.ledger.add(Account::Copied, count as u64);
                let emitted = self.router.emit(stream.clone(), &mut receipt).await;
                let Err(error) = emitted else { break };
                self.ledger.add(error.account(), receipt.take_refused());
                if matches!(error, EmitError::BufferOverflow) && !stop.is_cancelled() {
                    tokio::select! {
                        () = tokio::time::sleep(FULL_WAIT) => {}
                        () = stop.cancelled() => {}
                    }
                    continue;
                }
                if self.quiet.allows() {
                    log_error!(
                        self.log,
                        "exec_filter failed to emit",
                        tag = tag,
                        events = count,
                        error_class = Shown(error.class()),
                        error = error.to_string()
                    );
                }
                break;
            }
        }
    }
}
