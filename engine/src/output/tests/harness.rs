//! An output that does as it is told, a clock that stands still unless all wait, and a buffer in memory between them.

use crate::buffer::{
    Chunk, ChunkFiles, Compression, Durability, Environment, FileSettings, Limits, Settings, Store,
};
use crate::config::System;
use crate::delivery::{EmitError, Receipt};
use crate::event::EventStream;
use crate::io::sim::SimFs;
use crate::io::{Clock, Fs, RealFs, Timestamp};
use crate::msgpack::{Entries, RecordView, Time, ValueRef, write_entry, write_i64, write_map_len, write_str};
use crate::output::backup::Backup;
use crate::output::counters::OutputCounters;
use crate::output::keys::{ChunkKeys, KeyNames};
use crate::output::retry::{RetryRules, RetryType};
use crate::output::runtime::Runtime;
use crate::output::secondary::Secondary;
use crate::output::settings::{FlushMode, FlushSettings, OverflowAction};
use crate::output::slices::TimeSlices;
use crate::output::{Buffered, OutputStatus};
use crate::plugin::{BufferedOutput, Output, PluginId, WriteError, WriteFuture};
use crate::route::ErrorEvents;
use crate::telemetry::PluginLog;
use crate::time::Zone;
use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::time::Instant;

/// The wall clock at the start of each test, a full minute.
pub(super) const START: i64 = 1_704_164_640;

pub(super) struct PausedClock(Instant, AtomicU64);

impl Clock for PausedClock {
    fn now(&self) -> Timestamp {
        Timestamp(START as u64 * 1_000_000 + self.0.elapsed().as_micros() as u64)
    }

    fn monotonic(&self) -> Duration {
        self.0.elapsed()
    }

    fn random(&self) -> u64 {
        self.1.fetch_add(0x9e37_79b9_7f4a_7c15, Relaxed)
    }
}

/// What a write does.
#[derive(Clone, Copy, Debug)]
pub(super) enum Act {
    Succeed,
    Fail,
    /// Fails after so many milliseconds.
    FailAfter(u64),
    /// Is set aside for so many milliseconds.
    Later(u64),
    /// Fails for as long as nobody mends something.
    Operator,
    Reject,
    Panic,
    /// Succeeds after so many milliseconds.
    Take(u64),
}

/// What was written: when (milliseconds since the start) and which records (their `i`).
pub(super) type Log = Arc<Mutex<Vec<(u64, Vec<i64>)>>>;

pub(super) struct Sink {
    acts: Mutex<VecDeque<Act>>,
    then: Act,
    log: Log,
    start: Instant,
    timeout: Option<Duration>,
    doubt: Option<(i64, u64)>,
    given_up: Log,
}

impl BufferedOutput for Sink {
    fn write<'a>(&'a self, chunk: &'a Chunk) -> WriteFuture<'a> {
        Box::pin(async move {
            let at = self.start.elapsed().as_millis() as u64;
            let entries = chunk.read().map_err(|error| WriteError::retry("IOError", error.to_string()))?;
            self.log.lock().unwrap().push((at, numbers(&entries)));
            let act = self.acts.lock().unwrap().pop_front().unwrap_or(self.then);
            match act {
                Act::Succeed => Ok(()),
                Act::Fail => Err(WriteError::retry("Errno::ECONNREFUSED", "refused")),
                Act::FailAfter(millis) => {
                    tokio::time::sleep(Duration::from_millis(millis)).await;
                    Err(WriteError::retry("Errno::ETIMEDOUT", "timed out"))
                }
                Act::Later(millis) => {
                    Err(WriteError::later("SocketError", "not now", Duration::from_millis(millis)))
                }
                Act::Operator => Err(WriteError::operator("Errno::EACCES", "denied; grant the right")),
                Act::Reject => Err(WriteError::reject("Fluent::UnrecoverableError", "bad")),
                Act::Panic => panic!("a mistake of the plugin"),
                Act::Take(millis) => {
                    tokio::time::sleep(Duration::from_millis(millis)).await;
                    Ok(())
                }
            }
        })
    }

    fn write_timeout(&self) -> Option<Duration> {
        self.timeout
    }

    fn is_in_doubt(&self, chunk: &Chunk) -> bool {
        let at = self.start.elapsed().as_millis() as u64;
        self.doubt.is_some_and(|(i, until)| at < until && numbers(&chunk.read().unwrap()).contains(&i))
    }

    fn given_up(&self, chunk: &Chunk) {
        let at = self.start.elapsed().as_millis() as u64;
        // Its file may be gone.
        let numbers = chunk.read().map(|entries| numbers(&entries)).unwrap_or_default();
        self.given_up.lock().unwrap().push((at, numbers));
    }
}

/// Everything that a test may want otherwise.
pub(super) struct Setup {
    pub flush: FlushSettings,
    pub limits: Limits,
    pub acts: Vec<Act>,
    pub then: Act,
    /// Where random numbers begin, and with them the ids of chunks: lives on one disk must not have the same ones.
    pub random: u64,
    pub secondary: Option<(Act, bool)>,
    pub timeout: Option<Duration>,
    /// The destination may have the chunk with this record until so many milliseconds after the start.
    pub doubt: Option<(i64, u64)>,
    /// Where the buffer is, in `/spool`; without it, in memory.
    pub disk: Option<SimFs>,
    pub root: tempfile::TempDir,
}

impl Default for Setup {
    fn default() -> Self {
        let retry = RetryRules {
            kind: RetryType::Exponential { base: 2.0, max_interval: None },
            wait: 1.0,
            timeout: 72.0 * 3600.0,
            max_times: None,
            forever: false,
            randomize: false,
            secondary_threshold: None,
        };
        let flush = FlushSettings {
            keys: Arc::default(),
            mode: FlushMode::Immediate,
            interval_secs: 60,
            interval: 60.0,
            timekey_wait: 600.0,
            at_shutdown: true,
            thread_count: 1,
            thread_interval: Duration::from_secs(1),
            burst_interval: Duration::from_secs(1),
            overflow: OverflowAction::ThrowException,
            retry,
            time_as_integer: false,
            slow_flush: 20.0,
            disable_chunk_backup: false,
        };
        Self {
            flush,
            limits: Limits { queued_chunks: 1, ..Limits::MEMORY },
            acts: Vec::new(),
            then: Act::Succeed,
            random: 7,
            secondary: None,
            timeout: None,
            doubt: None,
            disk: None,
            root: tempfile::tempdir().unwrap(),
        }
    }
}

/// A running output.
pub(super) struct Rig {
    pub output: Arc<Buffered>,
    pub log: Log,
    pub secondary_log: Log,
    /// What the primary was told that it left without it.
    pub given_up: Log,
    pub root: tempfile::TempDir,
}

impl Setup {
    pub(super) async fn run(mut self) -> Rig {
        let start = Instant::now();
        let (log, secondary_log, given_up) = (Log::default(), Log::default(), Log::default());
        let sink = Sink {
            acts: Mutex::new(self.acts.into()),
            then: self.then,
            log: Arc::clone(&log),
            start,
            timeout: self.timeout,
            doubt: self.doubt,
            given_up: Arc::clone(&given_up),
        };
        let secondary = self.secondary.map(|(then, same_type)| {
            let log = Arc::clone(&secondary_log);
            let (acts, given_up) = (Mutex::default(), Log::default());
            let sink = Sink { acts, then, log, start, timeout: None, doubt: None, given_up };
            Secondary { output: Box::new(sink), same_type }
        });
        if secondary.is_some() && self.flush.retry.secondary_threshold.is_none() {
            self.flush.retry.secondary_threshold = Some(0.8);
        }
        let root_dir = match &self.disk {
            Some(_) => "/root".into(),
            None => self.root.path().to_owned(),
        };
        let system = System { root_dir: Some(root_dir), ..System::default() };
        let (fs, store): (Arc<dyn Fs>, Store) = match self.disk {
            Some(disk) => (Arc::new(disk), Store::File(in_spool())),
            None => (Arc::new(RealFs), Store::Memory),
        };
        let environment = Environment {
            log: PluginLog::program(),
            owner: Arc::from("out"),
            fs,
            clock: Arc::new(PausedClock(start, AtomicU64::new(self.random))),
            background: true,
        };
        let runtime = Runtime {
            id: PluginId { text: Arc::from("out"), configured: true },
            environment,
            buffer_settings: Settings {
                store,
                limits: self.limits,
                compress: Compression::None,
                formatted: false,
                backup: None,
            },
            flush: self.flush,
            output: Box::new(sink),
            secondary,
            backup: Backup::new(&system, "out"),
            errors: ErrorEvents::new(PluginLog::program(), Duration::ZERO),
            counters: Arc::default(),
            buffer: Default::default(),
            retry: Mutex::new(None),
            wake: Default::default(),
            settled: Default::default(),
            draining: Default::default(),
            stopping: Default::default(),
            ended: Default::default(),
        };
        let output = Arc::new(Buffered::new(runtime));
        output.start().await.unwrap();
        Rig { output, log, secondary_log, given_up, root: self.root }
    }
}

fn in_spool() -> FileSettings {
    let files = ChunkFiles {
        dir: "/spool".into(),
        prefix: "buffer".to_owned(),
        suffix: ".log".to_owned(),
        also: Vec::new(),
        single: None,
    };
    FileSettings {
        files,
        file_mode: 0o644,
        dir_mode: 0o755,
        durability: Durability::Synced,
        flush_at_shutdown: false,
        count_records: true,
        found_text: None,
    }
}

impl Rig {
    /// Emits one record `{"i": number}` at the time START.
    pub(super) async fn emit(&self, number: i64) -> Result<(), EmitError> {
        self.emit_at(number, START).await
    }

    pub(super) async fn emit_at(&self, number: i64, sec: i64) -> Result<(), EmitError> {
        self.output.emit(stream("t", &[(sec, number)]), &mut Receipt::unwatched()).await
    }

    pub(super) fn status(&self) -> OutputStatus {
        self.output.status().unwrap()
    }

    /// What the primary was given.
    pub(super) fn written(&self) -> Vec<(u64, Vec<i64>)> {
        self.log.lock().unwrap().clone()
    }

    /// The times of the primary's writes, milliseconds.
    pub(super) fn times(&self) -> Vec<u64> {
        self.written().into_iter().map(|(at, _)| at).collect()
    }
}

pub(super) async fn pass(millis: u64) {
    tokio::time::sleep(Duration::from_millis(millis)).await;
}

pub(super) fn count(counter: &AtomicU64) -> u64 {
    OutputCounters::get(counter)
}

pub(in crate::output) fn by(names: &[&str], unit: f64) -> Arc<ChunkKeys> {
    let names = KeyNames::parse(names.iter().copied()).unwrap();
    let time = names.time.then_some(TimeSlices { unit, zone: Zone::UTC });
    Arc::new(ChunkKeys { tag: names.tag, time, fields: names.fields })
}

pub(super) fn stream(tag: &str, records: &[(i64, i64)]) -> EventStream {
    let mut entries = Vec::new();
    for (sec, number) in records {
        let mut record = Vec::new();
        write_map_len(&mut record, 1);
        write_str(&mut record, b"i");
        write_i64(&mut record, *number);
        write_entry(&mut entries, Time::Int(*sec), None, &record);
    }
    EventStream::new(tag.into(), entries.into(), records.len())
}

/// The `i` of each entry.
pub(super) fn numbers(entries: &[u8]) -> Vec<i64> {
    let number = |entry: crate::msgpack::Entry<'_>| match RecordView::new(entry.record)
        .get(b"i")
        .map(ValueRef::read)
    {
        Some(Ok(ValueRef::Int(number))) => number,
        other => panic!("no number: {other:?}"),
    };
    Entries::new(entries).map(number).collect()
}
