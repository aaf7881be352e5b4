//! An output with a buffer in front of it.

use super::backup::Backup;
use super::counters::{OutputCounters, OutputStatus};
use super::keys::ChunkKeys;
use super::location::{FileKind, Location};
use super::runtime::Runtime;
use super::secondary;
use super::settings::FlushSettings;
use crate::buffer::{Buffer, Compression, Durability, Environment, FileSettings, Limits, Settings, Store};
use crate::config::{Diagnostic, Params};
use crate::delivery::Receipt;
use crate::event::EventStream;
use crate::io::Fs;
use crate::plugin::{
    BufferSupport, BufferedOutput, BuildContext, EmitFuture, FileBuffer, Output, StartError,
};
use crate::telemetry::Account;
use crate::{log_debug, log_warn};
use futures_util::future::BoxFuture;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;
use tokio::sync::Notify;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

/// How long a shutdown goes on flushing a file buffer; what is left stays on disk.
const DRAIN_FILE_MAX: Duration = Duration::from_secs(20);
/// How long a shutdown goes on flushing a memory buffer; what is left is lost.
const DRAIN_MEMORY_MAX: Duration = Duration::from_secs(60);
/// How long a shutdown waits for writes that are under way.
const WRITES_MAX: Duration = Duration::from_secs(10);

/// An output with a buffer in front of it: takes streams, hands over chunks.
pub struct Buffered {
    pub(super) runtime: Arc<Runtime>,
    tasks: Mutex<JoinSet<()>>,
}

/// Puts the buffer that `params` configures in front of `output`. Called for every output that
/// [`BuildContext::output`] builds.
pub fn with_buffer(
    params: &Params,
    support: BufferSupport,
    output: Box<dyn BufferedOutput>,
    context: &mut BuildContext<'_>,
) -> Result<Arc<dyn Output>, Diagnostic> {
    Ok(Arc::new(Buffered::build(params, support, output, context)?))
}

impl Buffered {
    /// Puts the buffer that `params` (the whole directive) configures in front of `output`, and its `<secondary>` behind
    /// it. Opens nothing yet.
    pub fn build(
        params: &Params,
        support: BufferSupport,
        output: Box<dyn BufferedOutput>,
        context: &mut BuildContext<'_>,
    ) -> Result<Self, Diagnostic> {
        let environment = Environment::real(context.log.clone(), &context.id.text);
        Self::build_in(environment, params, support, output, context)
    }

    /// As [`Self::build`], with a file system and clock of the caller's.
    pub fn build_in(
        environment: Environment,
        params: &Params,
        support: BufferSupport,
        output: Box<dyn BufferedOutput>,
        context: &mut BuildContext<'_>,
    ) -> Result<Self, Diagnostic> {
        let Some(buffer) = params.section("buffer") else {
            return Err(params.error_here(format!("plugin '{}' has no <buffer>", params.plugin_type())));
        };
        let keys = ChunkKeys::of(params, support)?;
        let kind = file_kind(buffer)?;
        let flush = FlushSettings::new(params, buffer, &keys, kind.is_some(), &context.log)?;
        let backup = Backup::new(context.system, &context.id.text);
        let store = match kind {
            None => Store::Memory,
            Some(kind) => {
                let fs = &*environment.fs;
                Store::File(file_settings(fs, kind, params, buffer, &flush, &*output, context)?)
            }
        };
        let buffer_settings = Settings {
            store,
            limits: limits(buffer, kind.is_some(), flush.thread_count),
            compress: match buffer.word("compress") {
                Some("gzip") => Compression::Gzip,
                Some("zstd") => Compression::Zstd,
                _ => Compression::None,
            },
            formatted: output.formatter().is_some(),
            backup: (!flush.disable_chunk_backup).then(|| backup.rejected.clone()),
        };
        let secondary = secondary::build(params, &keys, &*output, context)?;
        let runtime = Runtime {
            id: context.id.clone(),
            environment,
            buffer_settings,
            flush,
            output,
            secondary,
            backup,
            errors: context.errors.clone(),
            counters: Arc::new(OutputCounters::of(&context.id.text, params.plugin_type())),
            buffer: OnceLock::new(),
            retry: Mutex::new(None),
            wake: Notify::new(),
            settled: Notify::new(),
            draining: AtomicBool::new(false),
            stopping: CancellationToken::new(),
            ended: CancellationToken::new(),
        };
        Ok(Self::new(runtime))
    }

    pub(super) fn new(runtime: Runtime) -> Self {
        Self { runtime: Arc::new(runtime), tasks: Mutex::new(JoinSet::new()) }
    }

    /// What it has done so far.
    pub fn counters(&self) -> &Arc<OutputCounters> {
        &self.runtime.counters
    }

    async fn start_all(&self) -> Result<(), StartError> {
        self.start_holding().await?;
        self.start_flushing();
        Ok(())
    }

    /// Takes events from now on, and writes none before [`Self::start_flushing`].
    pub async fn start_holding(&self) -> Result<(), StartError> {
        let runtime = &self.runtime;
        runtime.output.start().await?;
        if let Some(secondary) = &runtime.secondary {
            secondary.output.start().await?;
        }
        runtime.open().await
    }

    /// Writes what is there and what comes.
    pub fn start_flushing(&self) {
        let runtime = &self.runtime;
        let mut tasks = self.tasks.lock().unwrap_or_else(PoisonError::into_inner);
        for _ in 0..runtime.flush.thread_count {
            tasks.spawn(Arc::clone(runtime).flush_task());
        }
        if let Some(interval) = runtime.flush.enqueue_interval() {
            tasks.spawn(Arc::clone(runtime).enqueue_task(interval));
        }
    }

    async fn shut_down(&self) {
        let runtime = &self.runtime;
        let Some(buffer) = runtime.buffer().cloned() else { return };
        runtime.stopping.cancel();
        self.flush_at_shutdown(&buffer).await;
        runtime.ended.cancel();
        let mut tasks = std::mem::take(&mut *self.tasks.lock().unwrap_or_else(PoisonError::into_inner));
        let writes = async { while tasks.join_next().await.is_some() {} };
        if tokio::time::timeout(WRITES_MAX, writes).await.is_err() {
            log_warn!(
                runtime.environment.log,
                "gave up a write that did not end",
                limit_secs = WRITES_MAX.as_secs()
            );
        }
        drop(tasks); // ends what is still running
        self.report_rest();
        runtime.with_buffer(|buffer| buffer.close()).await;
        runtime.output.shutdown().await;
        if let Some(secondary) = &runtime.secondary {
            secondary.output.shutdown().await;
        }
    }

    /// Writes everything, if that is wanted at the end and as far as it can be done in time.
    async fn flush_at_shutdown(&self, buffer: &Buffer) {
        let flush = &self.runtime.flush;
        if flush.at_shutdown && flush.thread_count > 0 {
            let limit = if buffer.is_persistent() { DRAIN_FILE_MAX } else { DRAIN_MEMORY_MAX };
            let _ = tokio::time::timeout(limit, self.take_all()).await; // what is left is reported later
        }
    }

    /// An output that sends events on does so before the others end.
    async fn send_on(&self) {
        let runtime = &self.runtime;
        let Some(buffer) = runtime.buffer().filter(|_| runtime.output.sends_on()) else { return };
        self.flush_at_shutdown(buffer).await;
        let written = async {
            loop {
                let settled = runtime.settled.notified();
                tokio::pin!(settled);
                settled.as_mut().enable();
                if buffer.stats().taken_chunks == 0 {
                    return;
                }
                settled.await;
            }
        };
        let _ = tokio::time::timeout(WRITES_MAX, written).await; // the shutdown says what is left
        runtime.output.drained().await;
    }

    /// Queues everything and waits until all of it has been taken, or a write fails. The last writes are waited for by the
    /// caller.
    async fn take_all(&self) {
        let runtime = &self.runtime;
        runtime.with_buffer(|buffer| buffer.enqueue_all()).await;
        runtime.draining.store(true, Relaxed);
        loop {
            let settled = runtime.settled.notified();
            tokio::pin!(settled);
            settled.as_mut().enable();
            if runtime.retry().is_some() || !runtime.buffer().is_some_and(|buffer| buffer.has_queued()) {
                return;
            }
            runtime.wake.notify_waiters();
            runtime.wake.notify_one();
            settled.await;
        }
    }

    fn report_rest(&self) {
        let runtime = &self.runtime;
        let Some(buffer) = runtime.buffer() else { return };
        let stats = buffer.stats();
        let (chunks, bytes) = (
            stats.staged_chunks + stats.queued_chunks + stats.taken_chunks,
            stats.staged_bytes + stats.queued_bytes,
        );
        let log = &runtime.environment.log;
        if chunks == 0 {
        } else if buffer.is_persistent() {
            log_debug!(log, "chunks stay in the buffer until the next start", chunks = chunks, bytes = bytes);
        } else {
            log_warn!(log, "chunks of a memory buffer are lost at shutdown", chunks = chunks, bytes = bytes);
            runtime.counters.ledger.add(Account::DroppedShutdown, stats.records);
        }
    }
}

impl Output for Buffered {
    fn emit<'a>(&'a self, stream: EventStream, receipt: &'a mut Receipt) -> EmitFuture<'a> {
        Box::pin(self.runtime.emit(stream, receipt))
    }

    fn has(&self, receipt: &Receipt) -> bool {
        self.runtime.buffer().is_some_and(|buffer| buffer.has(receipt))
    }

    fn start(&self) -> BoxFuture<'_, Result<(), StartError>> {
        Box::pin(self.start_all())
    }

    fn flush(&self) {
        let runtime = Arc::clone(&self.runtime);
        let mut tasks = self.tasks.lock().unwrap_or_else(PoisonError::into_inner);
        while tasks.try_join_next().is_some() {} // forgets those of earlier signals
        tasks.spawn(async move {
            runtime.with_buffer(|buffer| buffer.enqueue_all()).await;
            runtime.wake.notify_waiters();
        });
    }

    fn stopping(&self) {
        self.runtime.stopping.cancel();
    }

    fn drain(&self) -> BoxFuture<'_, ()> {
        Box::pin(self.send_on())
    }

    fn shutdown(&self) -> BoxFuture<'_, ()> {
        Box::pin(self.shut_down())
    }

    fn timekeys(&self) -> Vec<i64> {
        self.runtime.buffer().map(|buffer| buffer.timekeys()).unwrap_or_default()
    }

    fn status(&self) -> Option<OutputStatus> {
        Some(OutputStatus {
            counters: Arc::clone(&self.runtime.counters),
            buffer: self.runtime.buffer().map(|buffer| buffer.stats()),
            retry: self.runtime.retry_status(),
        })
    }
}

fn file_kind(buffer: &Params) -> Result<Option<FileKind>, Diagnostic> {
    match buffer.plugin_type() {
        "" | "memory" => Ok(None),
        "file" => Ok(Some(FileKind::File)),
        "file_single" => Ok(Some(FileKind::Single)),
        other => Err(buffer
            .error(
                "@type",
                format!(
                    "Unknown buffer plugin '{other}'. Run 'gem search -rd fluent-plugin' to find plugins"
                ),
            )
            .help("one of memory, file, file_single")),
    }
}

fn file_settings(
    fs: &dyn Fs,
    kind: FileKind,
    params: &Params,
    buffer: &Params,
    flush: &FlushSettings,
    output: &dyn BufferedOutput,
    context: &mut BuildContext<'_>,
) -> Result<FileSettings, Diagnostic> {
    let location = Location {
        fs,
        kind,
        buffer,
        keys: &flush.keys,
        id: &context.id,
        system: context.system,
        fallback: output.buffer_path(),
        log: &context.log,
    };
    let (path, files) = location.resolve()?;
    let owner = params.plugin_type();
    if let Some(other) = context.shared.buffer_paths.insert(path.clone(), owner.to_owned()) {
        let verb = if kind == FileKind::File { "use" } else { "uses" };
        let message = format!(
            "Other '{other}' plugin already {verb} same buffer path: type = {owner}, buffer path = {path}"
        );
        return Err(buffer.error("path", message));
    }
    context.shared.file_buffers.push(FileBuffer {
        id: context.id.clone(),
        type_name: owner.to_owned(),
        files: files.clone(),
        formatted: output.formatter().is_some(),
    });
    Ok(FileSettings {
        files,
        file_mode: mode(buffer, "file_permission")?.or(context.system.file_permission).unwrap_or(0o644),
        dir_mode: mode(buffer, "dir_permission")?.or(context.system.dir_permission).unwrap_or(0o755),
        durability: match buffer.word("durability") {
            Some("page_cache") => Durability::PageCache,
            _ => Durability::Synced,
        },
        flush_at_shutdown: flush.at_shutdown,
        count_records: buffer.bool("calc_num_records"),
        found_text: match buffer.word("chunk_format") {
            Some("text") => Some(true),
            Some("msgpack") => Some(false),
            _ => None,
        },
    })
}

fn mode(buffer: &Params, name: &str) -> Result<Option<u32>, Diagnostic> {
    let Some(text) = buffer.str(name) else { return Ok(None) };
    match u32::from_str_radix(text.trim_start_matches("0o"), 8) {
        Ok(mode) if mode <= 0o7777 => Ok(Some(mode)),
        _ => Err(buffer.error(name, format!("{name} must be an octal mode such as 0644: {text}"))),
    }
}

pub(super) fn limits(buffer: &Params, persistent: bool, threads: usize) -> Limits {
    let default = if persistent { Limits::FILE } else { Limits::MEMORY };
    let count = |name| buffer.int(name).and_then(|count| u64::try_from(count).ok());
    let chunk_bytes = buffer.size("chunk_limit_size").unwrap_or(default.chunk_bytes);
    let total_bytes = match count("queue_limit_length") {
        Some(length) => chunk_bytes.saturating_mul(length),
        None => buffer.size("total_limit_size").unwrap_or(default.total_bytes),
    };
    Limits {
        chunk_bytes,
        chunk_records: count("chunk_limit_records"),
        full_threshold: buffer.float("chunk_full_threshold").unwrap_or(default.full_threshold),
        total_bytes,
        queued_chunks: count("queued_chunks_limit_size")
            .map_or(threads, |count| usize::try_from(count).unwrap_or(usize::MAX)),
    }
}
