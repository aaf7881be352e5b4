//! What an output has done so far, for monitor_agent and Prometheus. All counters only grow, apart from the gauges.

use crate::buffer::Stats;
use crate::telemetry::{Account, Balance, Ledger};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// The counters of one output, buffered or not. Reading and writing them never waits.
#[derive(Debug, Default)]
pub struct OutputCounters {
    /// Streams taken (`emit_count`).
    pub emit_count: AtomicU64,
    /// Records taken (`emit_records`).
    pub emit_records: AtomicU64,
    /// Bytes of entries taken (`emit_size`).
    pub emit_size: AtomicU64,
    /// Failed emits and failed writes (`retry_count`, Fluentd's num_errors).
    pub num_errors: AtomicU64,
    /// Writes begun (`write_count`).
    pub write_count: AtomicU64,
    /// Writes begun by the secondary (`write_secondary_count`).
    pub write_secondary_count: AtomicU64,
    /// Chunks that went back to the queue (`rollback_count`).
    pub rollback_count: AtomicU64,
    /// Writes slower than slow_flush_log_threshold (`slow_flush_count`).
    pub slow_flush_count: AtomicU64,
    /// Milliseconds spent in successful writes (`flush_time_count`).
    pub flush_time_ms: AtomicU64,
    /// Chunks dropped by `overflow_action drop_oldest_chunk` (`drop_oldest_chunk_count`).
    pub drop_oldest_chunk_count: AtomicU64,
    /// Records in chunks that were given up: dropped from the queue after the last retry, or thrown away.
    pub dropped_records: AtomicU64,
    /// Chunks written to the backup directory.
    pub backup_count: AtomicU64,
    /// Where its records went.
    pub ledger: Ledger,
}

/// What monitoring shows of an output.
#[derive(Clone, Debug)]
pub struct OutputStatus {
    /// What it has done so far.
    pub counters: Arc<OutputCounters>,
    /// What its buffer holds; `None` without a buffer, or before it is open.
    pub buffer: Option<Stats>,
    /// The retry state; `None` while nothing fails.
    pub retry: Option<RetryStatus>,
}

/// The retry state as monitoring shows it (`retry`).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct RetryStatus {
    /// Failed retries so far.
    pub steps: u64,
    /// When the first failure was, seconds since the epoch.
    pub start: f64,
    /// When it is tried next, seconds since the epoch.
    pub next_time: f64,
}

impl OutputStatus {
    /// Where its records went, those that the device lost included.
    pub fn balance(&self) -> Balance {
        let lost = self.buffer.map_or(0, |buffer| buffer.lost_records);
        self.counters.ledger.balance().with(Account::RefusedNotDurable, lost)
    }

    /// The share of total_limit_size that is free, in percent (`buffer_available_buffer_space_ratios`).
    pub fn available_space_percent(&self) -> Option<f64> {
        let stats = self.buffer?;
        let used = (stats.staged_bytes + stats.queued_bytes) as f64 / stats.total_bytes_max.max(1) as f64;
        Some(((1.0 - used) * 1000.0).round() / 10.0)
    }
}

impl OutputCounters {
    /// For the plugin with that id and `@type`.
    pub fn of(plugin_id: &Arc<str>, type_name: &str) -> Self {
        Self { ledger: Ledger::new(plugin_id, type_name), ..Self::default() }
    }

    pub(crate) fn add(counter: &AtomicU64, n: u64) {
        counter.fetch_add(n, Ordering::Relaxed);
    }

    /// Notes an emit that was taken.
    pub fn emitted(&self, records: usize, bytes: usize) {
        Self::add(&self.emit_records, records as u64);
        Self::add(&self.emit_size, bytes as u64);
    }

    /// The present value of a counter.
    pub fn get(counter: &AtomicU64) -> u64 {
        counter.load(Ordering::Relaxed)
    }
}
