//! Flush tasks: they take queued chunks one after the other and write them.
//!
//! Each of flush_thread_count tasks goes round this loop; the times are Fluentd's:
//!
//! ```text
//! pause:  burst_interval after a chunk if more are queued, thread_interval if none are,
//!         until the next retry while the output is failing
//! write:  the chunk at the head of the queue
//! ```
//!
//! An emit that finds queued chunks ends the pause of one task; so does, while nothing was queued, a chunk that
//! becomes ready. A pause for a retry is never cut short.

use super::counters::OutputCounters;
use super::runtime::Runtime;
use super::settings::FlushMode;
use crate::buffer::Chunk;
use crate::fault;
use crate::plugin::{BufferedOutput, WriteError};
use crate::telemetry::Account;
use crate::{log_debug, log_warn};
use futures_util::FutureExt;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

/// Fluentd's threads begin to look at chunks this long after the start.
const FIRST_ENQUEUE: Duration = Duration::from_millis(500);
/// Before a chunk is tried again that its destination may have, when the others go to the secondary.
const DOUBT_PAUSE: Duration = Duration::from_secs(10);
/// Longest sleep between two looks at the clock.
const SLEEP_MAX: f64 = 86400.0;

/// How a write ended.
enum Written {
    Done,
    TimedOut,
    Failed(WriteError),
}

impl Runtime {
    /// One flush task, until [`Runtime::ended`].
    pub(super) async fn flush_task(self: Arc<Self>) {
        let mut next = self.seconds() + self.flush.thread_interval.as_secs_f64();
        let mut idle = true;
        let Some(buffer) = self.buffer().cloned() else { return };
        log_debug!(self.environment.log, "flush_thread actually running");
        while !self.ended.is_cancelled() {
            let now = self.seconds();
            let retry_at = self.retry().as_ref().map(|state| state.next_time());
            let until = retry_at.map_or(next, |at| at.max(next));
            if until > now {
                tokio::select! {
                    () = self.ended.cancelled() => return,
                    () = self.wake.notified() => next = now,
                    () = buffer.ready(), if idle && retry_at.is_none() => next = now,
                    () = self.environment.clock.sleep(duration(until - now)) => {}
                }
                continue;
            }
            match buffer.take() {
                Some(chunk) => {
                    self.settled.notify_waiters();
                    self.flush_chunk(&chunk).await;
                    idle = !buffer.has_queued();
                    let pause = if idle {
                        self.flush.thread_interval
                    } else if self.draining.load(Relaxed) || self.retry().is_some() {
                        Duration::ZERO // a retry has its own time
                    } else {
                        self.flush.burst_interval
                    };
                    next = self.seconds() + pause.as_secs_f64();
                    self.settled.notify_waiters();
                }
                None => {
                    idle = true;
                    next = now + self.flush.thread_interval.as_secs_f64().max(0.01);
                }
            }
        }
    }

    /// Queues chunks by their age and by their time slice, until [`Runtime::ended`].
    pub(super) async fn enqueue_task(self: Arc<Self>, interval: Duration) {
        let mut pause = FIRST_ENQUEUE;
        log_debug!(self.environment.log, "enqueue_thread actually running");
        loop {
            tokio::select! {
                () = self.ended.cancelled() => return,
                () = self.environment.clock.sleep(pause) => {}
            }
            self.enqueue_due().await;
            pause = interval;
        }
    }

    /// Queues what is due now.
    pub(super) async fn enqueue_due(&self) {
        let now = self.environment.clock.now().secs();
        if self.flush.mode == FlushMode::Interval {
            let born_until = now.saturating_sub(self.flush.interval_secs).saturating_mul(1_000_000);
            let is_old =
                move |chunk: &Chunk| i64::try_from(chunk.created().0).is_ok_and(|born| born <= born_until);
            self.with_buffer(move |buffer| buffer.enqueue_where(is_old)).await;
        }
        if let Some(slices) = self.flush.keys.time.clone() {
            let wait = self.flush.timekey_wait;
            // A chunk of no slice (Fluentd's file_single, another configuration before) has nothing to wait for.
            let is_over = move |chunk: &Chunk| {
                chunk.metadata().timekey.is_none_or(|timekey| slices.is_due(timekey, wait, now))
            };
            self.with_buffer(move |buffer| buffer.enqueue_where(is_over)).await;
        }
    }

    /// Writes one chunk that was taken, and sees to what follows.
    async fn flush_chunk(self: &Arc<Self>, chunk: &Arc<Chunk>) {
        fault!("chunk-taken");
        let (started, now) = (self.environment.clock.monotonic(), self.seconds());
        let is_secondary = self.retry().as_ref().is_some_and(|state| state.is_secondary(now));
        let secondary = self.secondary.as_ref().filter(|_| is_secondary);
        // Its own destination may have some of it: nobody else gets it before that is known.
        let is_in_doubt = secondary.is_some() && self.output.is_in_doubt(chunk);
        let secondary = secondary.filter(|_| !is_in_doubt);
        OutputCounters::add(&self.counters.write_count, 1);
        if secondary.is_some() {
            OutputCounters::add(&self.counters.write_secondary_count, 1);
        }
        let output = secondary.map_or(&*self.output, |secondary| &*secondary.output);
        match write(output, chunk).await {
            Written::Done => {
                fault!("chunk-delivered");
                self.note_duration(self.environment.clock.monotonic().saturating_sub(started));
                let account = if secondary.is_some() { Account::DeadSecondary } else { Account::Stored };
                self.commit(chunk, secondary.is_some(), account).await;
            }
            // The others are not held up by it, for the secondary may have them.
            Written::Failed(error @ WriteError::Retry { .. }) if is_in_doubt => {
                self.set_aside(chunk, &error, DOUBT_PAUSE);
            }
            Written::TimedOut => {
                log_warn!(
                    self.environment.log,
                    "failed to flush the buffer chunk, timeout to commit.",
                    chunk_id = chunk.id(),
                    flushed_at = super::failure::shown_time(self.wall_seconds(now))
                );
                self.take_back(chunk, secondary.is_some(), None).await;
            }
            Written::Failed(error @ (WriteError::Retry { .. } | WriteError::Operator { .. })) => {
                self.take_back(chunk, secondary.is_some(), Some(error)).await;
            }
            Written::Failed(error @ WriteError::Later { pause, .. }) => self.set_aside(chunk, &error, pause),
            Written::Failed(error @ WriteError::Reject { .. }) => {
                self.reject(chunk, secondary.is_some(), error).await;
            }
        }
    }

    fn note_duration(&self, elapsed: Duration) {
        OutputCounters::add(&self.counters.flush_time_ms, elapsed.as_millis() as u64);
        let elapsed = elapsed.as_secs_f64();
        if elapsed > self.flush.slow_flush {
            OutputCounters::add(&self.counters.slow_flush_count, 1);
            log_warn!(
                self.environment.log,
                "buffer flush took longer time than slow_flush_log_threshold:",
                elapsed_time = elapsed,
                slow_flush_log_threshold = self.flush.slow_flush,
                plugin_id = self.id.text
            );
        }
    }
}

/// Writes `chunk`; a panic of the plugin counts as an error that no retry mends, like a NoMethodError in Ruby.
pub(super) async fn attempt(output: &dyn BufferedOutput, chunk: &Chunk) -> Result<(), WriteError> {
    match AssertUnwindSafe(output.write(chunk)).catch_unwind().await {
        Ok(result) => result,
        Err(panic) => {
            let message = panic
                .downcast_ref::<&str>()
                .map(|text| (*text).to_owned())
                .or_else(|| panic.downcast_ref::<String>().cloned());
            Err(WriteError::reject("Logweir::Panic", message.unwrap_or_else(|| "plugin panicked".to_owned())))
        }
    }
}

async fn write(output: &dyn BufferedOutput, chunk: &Chunk) -> Written {
    let result = match output.write_timeout() {
        None => attempt(output, chunk).await,
        Some(limit) => match tokio::time::timeout(limit, attempt(output, chunk)).await {
            Ok(result) => result,
            Err(_) => return Written::TimedOut,
        },
    };
    match result {
        Ok(()) => Written::Done,
        Err(error) => Written::Failed(error),
    }
}

fn duration(seconds: f64) -> Duration {
    Duration::from_secs_f64(seconds.clamp(0.001, SLEEP_MAX))
}
