//! One buffered output at work: what its emits, its flush tasks and its shutdown share.

use super::backup::Backup;
use super::chunking::{self, Shape};
use super::counters::{OutputCounters, RetryStatus};
use super::retry::RetryState;
use super::secondary::Secondary;
use super::settings::{FlushMode, FlushSettings, OverflowAction};
use crate::buffer::{AppendError, Batch, Buffer, Environment, Settings};
use crate::delivery::{EmitError, Receipt};
use crate::event::EventStream;
use crate::plugin::{BufferedOutput, PluginId, StartError};
use crate::route::{ErrorEvent, ErrorEvents};
use crate::telemetry::{Account, Shown};
use crate::{log_debug, log_error, log_warn};
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

/// What a buffered output is made of.
pub(crate) struct Runtime {
    pub id: PluginId,
    pub environment: Environment,
    pub buffer_settings: Settings,
    pub flush: FlushSettings,
    pub output: Box<dyn BufferedOutput>,
    pub secondary: Option<Secondary>,
    pub backup: Backup,
    pub errors: ErrorEvents,
    pub counters: Arc<OutputCounters>,
    /// Opened at the start, not when the configuration is read: on a reload the old one is still at work then.
    pub buffer: OnceLock<Arc<Buffer>>,
    pub retry: Mutex<Option<RetryState>>,
    /// Wakes a flush task although its pause is not over.
    pub wake: Notify,
    /// Tells the shutdown that a chunk was taken, or that a write has ended.
    pub settled: Notify,
    /// The flush tasks make no pauses.
    pub draining: AtomicBool,
    /// Inputs are stopping: nobody may wait for room in the buffer any more.
    pub stopping: CancellationToken,
    /// The flush tasks end.
    pub ended: CancellationToken,
}

impl Runtime {
    /// Takes a stream into the buffer.
    pub(super) async fn emit(&self, stream: EventStream, receipt: &mut Receipt) -> Result<(), EmitError> {
        OutputCounters::add(&self.counters.emit_count, 1);
        let (records, bytes) = (stream.count, stream.entries.len());
        let ledger = &self.counters.ledger;
        ledger.add(Account::Received, records as u64);
        let mut stored = 0;
        let result = self.store(stream, receipt, &mut stored).await;
        match &result {
            Ok(()) => self.counters.emitted(records, bytes),
            Err(error) => {
                OutputCounters::add(&self.counters.num_errors, 1);
                let refused = (records as u64).saturating_sub(stored);
                ledger.add(error.account(), refused);
                receipt.refuse(refused);
            }
        }
        result
    }

    /// `stored` becomes the number of records that are in the buffer even if this fails.
    async fn store(
        &self,
        stream: EventStream,
        receipt: &mut Receipt,
        stored: &mut u64,
    ) -> Result<(), EmitError> {
        let buffer = self.buffer().filter(|_| !self.ended.is_cancelled()).ok_or(EmitError::Shutdown)?;
        let mut failed = Vec::new();
        let shape = Shape { formatter: self.output.formatter(), time_as_integer: self.flush.time_as_integer };
        let parts = chunking::divide(&stream, &self.flush.keys, &shape, &mut |entry, error| {
            failed.push(ErrorEvent {
                tag: stream.tag.clone(),
                time: entry.time,
                record: stream.entries.slice_ref(entry.record),
                class: "Fluent::Plugin::Formatter::FormatError".to_owned(),
                message: error.0,
            });
        });
        let offered: u64 = parts.iter().map(crate::buffer::Part::records).sum();
        let batch = buffer.batch(parts, receipt);
        let ledger = &self.counters.ledger;
        match self.append(buffer, &batch, receipt).await {
            Ok(true) => {}
            Ok(false) => ledger.add(Account::Duplicate, offered),
            Err(AppendError::TooLarge { message, records }) => {
                *stored = offered.saturating_sub(records);
                return Err(AppendError::TooLarge { message, records }.into());
            }
            Err(error) => return Err(error.into()),
        }
        ledger.add(Account::Reported, failed.len() as u64);
        ledger.add(Account::Filtered, (stream.count as u64).saturating_sub(offered + failed.len() as u64));
        for event in failed {
            self.errors.emit(event, receipt).await;
        }
        if buffer.has_queued() && self.retry().is_none() {
            self.wake.notify_one();
        }
        Ok(())
    }

    /// Answers whether the batch was stored; if not, the buffer has it already.
    async fn append(
        &self,
        buffer: &Buffer,
        batch: &Batch,
        receipt: &mut Receipt,
    ) -> Result<bool, AppendError> {
        let enqueue = self.flush.mode == FlushMode::Immediate;
        loop {
            match buffer.append(batch, receipt, enqueue) {
                Ok(appended) => {
                    for chunk in &appended.created {
                        self.output.chunk_created(chunk);
                    }
                    return Ok(!appended.duplicate);
                }
                Err(AppendError::Overflow) => self.make_room(buffer).await?,
                Err(error) => return Err(error),
            }
        }
    }

    /// What `overflow_action` says. `Ok` if it may work now.
    async fn make_room(&self, buffer: &Buffer) -> Result<(), AppendError> {
        let log = &self.environment.log;
        let action = self.flush.overflow;
        log_warn!(
            log,
            "failed to write data into buffer by buffer overflow",
            action = Shown(format_args!(":{}", action.as_str()))
        );
        match action {
            OverflowAction::ThrowException => Err(AppendError::Overflow),
            OverflowAction::Block => {
                log_debug!(log, "buffer.write is now blocking");
                tokio::select! {
                    () = buffer.space() => {
                        log_debug!(log, "retrying buffer.write after blocked operation");
                        Ok(())
                    }
                    () = self.stopping.cancelled() => {
                        log_error!(log, "breaking block behavior to shutdown Logweir");
                        Err(AppendError::Overflow)
                    }
                }
            }
            OverflowAction::DropOldestChunk => {
                match buffer.take() {
                    Some(oldest) => {
                        log_warn!(
                            log,
                            "dropping oldest chunk to make space after buffer overflow",
                            chunk_id = oldest.id()
                        );
                        OutputCounters::add(&self.counters.drop_oldest_chunk_count, 1);
                        OutputCounters::add(&self.counters.dropped_records, oldest.records());
                        self.purge(&oldest, Account::DroppedOverflow).await;
                    }
                    None => log_error!(log, "no queued chunks to be dropped for drop_oldest_chunk"),
                }
                if buffer.has_space() { Ok(()) } else { Err(AppendError::Overflow) }
            }
        }
    }

    /// Opens the buffer. Takes over what lies in its directory.
    pub(super) async fn open(&self) -> Result<(), StartError> {
        let (settings, environment) = (self.buffer_settings.clone(), self.environment.clone());
        let opened = tokio::task::spawn_blocking(move || Buffer::open(settings, environment)).await;
        let buffer = opened
            .map_err(|error| StartError::new("RuntimeError", error.to_string()))?
            .map_err(|error| StartError::new("Fluent::ConfigError", error.to_string()))?;
        let records = buffer.stats().records;
        if self.buffer.set(Arc::new(buffer)).is_ok() {
            self.counters.ledger.add(Account::Opening, records);
        } // else a second start changes nothing
        Ok(())
    }

    /// The buffer, once it is open.
    pub(super) fn buffer(&self) -> Option<&Arc<Buffer>> {
        self.buffer.get()
    }

    /// Does something with the buffer that touches the disk, away from the tasks that serve sockets.
    pub(super) async fn with_buffer<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Buffer) -> T + Send + 'static,
    ) -> Option<T> {
        let buffer = Arc::clone(self.buffer()?);
        if !buffer.is_persistent() {
            return Some(work(&buffer));
        }
        match tokio::task::spawn_blocking(move || work(&buffer)).await {
            Ok(answer) => Some(answer),
            Err(error) => {
                log_error!(self.environment.log, "unexpected error in the buffer", error = error.to_string());
                None
            }
        }
    }

    /// Seconds on the clock that retries go by.
    pub(super) fn seconds(&self) -> f64 {
        self.environment.clock.monotonic().as_secs_f64()
    }

    /// Seconds since the epoch at a moment of [`Self::seconds`].
    pub(super) fn wall_seconds(&self, seconds: f64) -> f64 {
        self.environment.clock.now().0 as f64 / 1e6 + seconds - self.seconds()
    }

    /// Uniform in -1.0..1.0.
    pub(super) fn chance(&self) -> f64 {
        (self.environment.clock.random() >> 11) as f64 / (1u64 << 52) as f64 - 1.0
    }

    /// The retry state; held only for a moment.
    pub(super) fn retry(&self) -> MutexGuard<'_, Option<RetryState>> {
        self.retry.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The retry state for monitoring.
    pub(super) fn retry_status(&self) -> Option<RetryStatus> {
        let retry = self.retry();
        let state = retry.as_ref()?;
        Some(RetryStatus {
            steps: state.steps(),
            start: self.wall_seconds(state.start()),
            next_time: self.wall_seconds(state.next_time()),
        })
    }
}
