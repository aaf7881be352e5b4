//! `@type detect_exceptions`: joins the lines of stack traces (fluent-plugin-detect-exceptions 0.0.16, and Rust's panics).
//!
//! A trace is held in memory until a line that is none of its own comes, multiline_flush_interval has passed since its first
//! line, or the program stops. As in Fluentd, an event is acknowledged, and a tailed line's position moves on, when it
//! is held: a trace that is held when the process is killed is lost. An orderly stop or reload loses nothing.

mod detector;
mod rules;
mod trace;

use detector::Rules;
use futures_util::future::BoxFuture;
use logweir_engine::config::{Diagnostic, Params};
use logweir_engine::delivery::{EmitError, Receipt};
use logweir_engine::event::{EventStream, Tag};
use logweir_engine::log_error;
use logweir_engine::msgpack::{Entries, Entry, ValueRef};
use logweir_engine::plugin::{
    Build, BuildContext, Descriptor, EmitFuture, Kind, LabelRef, Output, OutputPlugin, Param, ParamKind,
    StartError,
};
use logweir_engine::telemetry::{PluginLog, Shown};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::task::JoinHandle;
use tokio::time::{Instant, MissedTickBehavior};
use tokio_util::sync::CancellationToken;
use trace::{Limits, Trace};

/// `@type detect_exceptions`
pub static PLUGIN: Descriptor = Descriptor {
    params: &[
        Param::new(
            "remove_tag_prefix",
            ParamKind::String,
            "What the tag begins with, up to a dot, and is sent on without",
        )
        .required(),
        Param::new(
            "message",
            ParamKind::String,
            "The field of the text; the first of message and log if it is not set",
        )
        .default(""),
        Param::new(
            "multiline_flush_interval",
            ParamKind::Time,
            "How long after its first line a trace is sent on as it is",
        ),
        Param::new(
            "languages",
            ParamKind::Array,
            "Whose traces are joined: java, javascript, js, csharp, python, py, php, go, ruby, rb, dart, rust; all if none \
             is named",
        ),
        Param::new(
            "force_line_breaks",
            ParamKind::Bool,
            "Whether lines without a line end are joined with one",
        )
        .default("false"),
        Param::new("max_lines", ParamKind::Integer, "Lines that a trace may have; 0: no limit")
            .default("1000"),
        Param::new("max_bytes", ParamKind::Integer, "Characters that a trace may have; 0: no limit")
            .default("0"),
        Param::new("stream", ParamKind::String, "A field that tells apart what must not be joined")
            .default(""),
    ],
    ..Descriptor::new(
        Kind::Output,
        "detect_exceptions",
        "Joins the lines of stack traces and sends all events on",
        Build::Output(build),
    )
};

fn build(params: &Params, context: &mut BuildContext<'_>) -> Result<OutputPlugin, Diagnostic> {
    let languages = params.array("languages").unwrap_or_default();
    let rules = Rules::of(&languages).map_err(|message| params.error("languages", message))?;
    let non_negative = |number: Option<i64>| usize::try_from(number.unwrap_or(0)).unwrap_or(0);
    let shared = Shared {
        held: Mutex::default(),
        rules,
        prefix: format!("{}.", params.string("remove_tag_prefix")),
        message: Some(params.string("message")).filter(|name| !name.is_empty()),
        stream: Some(params.string("stream")).filter(|name| !name.is_empty()),
        limits: Limits {
            lines: non_negative(params.int("max_lines")),
            characters: non_negative(params.int("max_bytes")),
            force_line_breaks: params.bool("force_line_breaks"),
        },
        router: context.router(params),
        log: context.log.clone(),
    };
    let interval = params.time("multiline_flush_interval");
    Ok(OutputPlugin::Direct(Box::new(DetectExceptions {
        shared: Arc::new(shared),
        interval,
        stop: CancellationToken::new(),
        timer: Mutex::default(),
    })))
}

struct DetectExceptions {
    shared: Arc<Shared>,
    interval: Option<Duration>,
    stop: CancellationToken,
    timer: Mutex<Option<JoinHandle<()>>>,
}

struct Shared {
    held: Mutex<Held>,
    rules: Rules,
    prefix: String,
    /// `None`: it is found out with the first event of a stream that has one of the usual fields.
    message: Option<String>,
    stream: Option<String>,
    limits: Limits,
    router: LabelRef,
    log: PluginLog,
}

/// How many streams may be known, those between traces included: which they are, senders say. Beyond that, events of others
/// are not joined.
const STREAMS_MAX: usize = 100_000;
/// Bytes of the texts of all traces that are held; a trace that goes beyond is sent on as it is.
const HELD_BYTES_MAX: usize = 128 << 20;

/// A trace for each tag and value of the field `stream`.
#[derive(Default)]
struct Held {
    traces: HashMap<(Tag, Vec<u8>), Trace>,
    bytes: usize,
}

impl Output for DetectExceptions {
    fn emit<'a>(&'a self, stream: EventStream, receipt: &'a mut Receipt) -> EmitFuture<'a> {
        Box::pin(async move {
            let on = self.shared.take(&stream);
            if !on.is_empty() {
                self.shared.router.emit(on, receipt).await?;
            }
            if self.stop.is_cancelled() {
                // Of another output that was drained after this one: there is nothing to wait for any more.
                self.shared.give_up(|_| true).await;
            }
            Ok(())
        })
    }

    fn start(&self) -> BoxFuture<'_, Result<(), StartError>> {
        if let Some(interval) = self.interval {
            let task = tokio::spawn(watch(Arc::clone(&self.shared), interval, self.stop.clone()));
            *self.timer.lock().unwrap_or_else(PoisonError::into_inner) = Some(task);
        }
        Box::pin(async { Ok(()) })
    }

    fn drain(&self) -> BoxFuture<'_, ()> {
        let timer = self.timer.lock().unwrap_or_else(PoisonError::into_inner).take();
        self.stop.cancel();
        Box::pin(async move {
            if let Some(timer) = timer {
                // It sends on what it has taken out; an emit that waits for room gives up by now.
                let _ = timer.await;
            }
            self.shared.give_up(|_| true).await;
        })
    }
}

/// Gives up traces that go on for too long.
async fn watch(shared: Arc<Shared>, interval: Duration, stop: CancellationToken) {
    let every = (interval / 10).max(Duration::from_secs(1));
    let mut ticks = tokio::time::interval(every);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            _ = ticks.tick() => {}
        }
        let now = Instant::now();
        shared.give_up(|trace| now.saturating_duration_since(trace.since()) > interval).await;
    }
}

impl Shared {
    fn held(&self) -> MutexGuard<'_, Held> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes a stream, and answers what goes on at once.
    fn take(&self, stream: &EventStream) -> EventStream {
        let mut out = Vec::with_capacity(stream.entries.len());
        let mut count = 0;
        let mut held = self.held();
        let Held { traces, bytes } = &mut *held;
        let now = Instant::now();
        for entry in Entries::new(&stream.entries) {
            let key = (stream.tag.clone(), self.stream_of(&entry));
            if traces.len() >= STREAMS_MAX && !traces.contains_key(&key) {
                traces.retain(|_, trace| trace.is_open());
                if traces.len() >= STREAMS_MAX {
                    out.extend_from_slice(entry.raw);
                    count += 1;
                    continue;
                }
            }
            let trace = traces.entry(key).or_insert_with(|| Trace::new(self.message.clone(), now));
            *bytes -= trace.bytes();
            count += trace.push(&entry, &self.rules, self.limits, now, &mut out);
            if *bytes + trace.bytes() > HELD_BYTES_MAX {
                count += trace.give_up(&mut out);
            }
            *bytes += trace.bytes();
        }
        EventStream::new(self.out_tag(&stream.tag), out.into(), count)
    }

    fn stream_of(&self, entry: &Entry<'_>) -> Vec<u8> {
        let field = self.stream.as_ref().and_then(|name| trace::field(entry.record, name));
        match field.map(ValueRef::read) {
            Some(Ok(ValueRef::Str(text) | ValueRef::Bin(text))) => text.to_vec(),
            Some(_) => field.unwrap_or_default().to_vec(),
            None => Vec::new(),
        }
    }

    fn out_tag(&self, tag: &Tag) -> Tag {
        tag.as_str().strip_prefix(&self.prefix).map_or_else(|| tag.clone(), Tag::new)
    }

    /// Takes out the traces that are `chosen`, in the order in which they began.
    fn take_out(&self, chosen: impl Fn(&Trace) -> bool) -> Vec<EventStream> {
        let mut taken = Vec::new();
        let mut held = self.held();
        let Held { traces, bytes } = &mut *held;
        for ((tag, _), trace) in traces.iter_mut().filter(|(_, trace)| trace.is_open() && chosen(trace)) {
            let mut entries = Vec::new();
            *bytes -= trace.bytes();
            let count = trace.give_up(&mut entries);
            taken.push((trace.since(), EventStream::new(self.out_tag(tag), entries.into(), count)));
        }
        taken.sort_by_key(|(since, _)| *since);
        taken.into_iter().map(|(_, stream)| stream).collect()
    }

    /// Sends on the traces that are `chosen` as they are.
    async fn give_up(&self, chosen: impl Fn(&Trace) -> bool) {
        for stream in self.take_out(chosen) {
            let sent: Result<(), EmitError> = self.router.emit(stream, &mut Receipt::unwatched()).await;
            if let Err(error) = sent {
                log_error!(
                    self.log,
                    "a stack trace was lost",
                    error_class = Shown(error.class()),
                    error = error.to_string()
                );
            }
        }
    }
}

#[cfg(test)]
mod tests;
