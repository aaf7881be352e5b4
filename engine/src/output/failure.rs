//! What follows a write: the commit, or the way back into the queue, to the secondary, to the backup directory.

use super::counters::OutputCounters;
use super::flush::attempt;
use super::retry::RetryState;
use super::runtime::Runtime;
use crate::buffer::Chunk;
use crate::fault;
use crate::plugin::WriteError;
use crate::telemetry::{Account, Shown};
use crate::{log_debug, log_error, log_info, log_warn};
use std::sync::Arc;
use std::time::Duration;

impl Runtime {
    /// The chunk was written: it leaves the buffer, and the output is well again.
    pub(super) async fn commit(&self, chunk: &Arc<Chunk>, secondary: bool, account: Account) {
        self.purge(chunk, account).await;
        fault!("chunk-purged");
        if self.retry().take().is_none() {
            return;
        }
        if secondary {
            log_warn!(self.environment.log, "retry succeeded by secondary.", chunk_id = chunk.id());
        } else {
            log_warn!(self.environment.log, "retry succeeded.", chunk_id = chunk.id());
        }
    }

    /// The chunk was not written: it goes back to the head of the queue, and the retry state goes on.
    pub(super) async fn take_back(&self, chunk: &Arc<Chunk>, secondary: bool, error: Option<WriteError>) {
        let id = chunk.id();
        // Before the chunk can be taken again: whoever takes it next must find the retry state.
        let is_over = self.note_failure(chunk, secondary, error.as_ref());
        if self.with_buffer(move |buffer| buffer.rollback(id)).await == Some(true) {
            OutputCounters::add(&self.counters.rollback_count, 1);
        }
        if is_over {
            self.drop_queue(error.as_ref()).await;
        }
    }

    /// The chunk waits for something of its own. The others go on without it, and it comes back to the head of the queue
    /// after `pause`. A stop ends the pause, for one more try.
    pub(super) fn set_aside(self: &Arc<Self>, chunk: &Arc<Chunk>, error: &WriteError, pause: Duration) {
        OutputCounters::add(&self.counters.num_errors, 1);
        log_warn!(
            self.environment.log,
            "set a chunk aside; it is tried again, and others are written meanwhile.",
            chunk = chunk.id(),
            pause_secs = pause.as_secs_f64(),
            error_class = Shown(error.class()),
            error = error.to_string()
        );
        if self.stopping.is_cancelled() {
            return;
        }
        let (runtime, id) = (Arc::clone(self), chunk.id());
        tokio::spawn(async move {
            tokio::select! {
                () = runtime.ended.cancelled() => return,
                () = runtime.stopping.cancelled() => {}
                () = runtime.environment.clock.sleep(pause) => {}
            }
            if runtime.with_buffer(move |buffer| buffer.rollback(id)).await == Some(true) {
                OutputCounters::add(&runtime.counters.rollback_count, 1);
                runtime.wake.notify_one();
            }
        });
    }

    /// No retry mends it: to the secondary, or to the backup directory.
    pub(super) async fn reject(&self, chunk: &Arc<Chunk>, using_secondary: bool, error: WriteError) {
        let log = &self.environment.log;
        let class = Shown(error.class());
        match &self.secondary {
            None => log_warn!(
                log,
                "got unrecoverable error in primary and no secondary",
                error_class = class,
                error = error.to_string()
            ),
            Some(_) if using_secondary => log_warn!(
                log,
                "got unrecoverable error in secondary.",
                error_class = class,
                error = error.to_string()
            ),
            Some(secondary) if secondary.same_type => log_warn!(
                log,
                "got unrecoverable error in primary and secondary type is same as primary. Skip secondary",
                error_class = class,
                error = error.to_string()
            ),
            Some(secondary) => {
                log_warn!(
                    log,
                    "got unrecoverable error in primary. Skip retry and flush chunk to secondary",
                    error_class = class,
                    error = error.to_string()
                );
                match attempt(&*secondary.output, chunk).await {
                    Ok(()) => {
                        fault!("secondary-written");
                        return self.commit(chunk, true, Account::DeadSecondary).await;
                    }
                    Err(error) => log_warn!(
                        log,
                        "got an error in secondary for unrecoverable error",
                        error_class = Shown(error.class()),
                        error = error.to_string()
                    ),
                }
            }
        }
        self.back_up(chunk, using_secondary).await;
    }

    async fn back_up(&self, chunk: &Arc<Chunk>, secondary: bool) {
        let log = &self.environment.log;
        if self.flush.disable_chunk_backup {
            log_warn!(log, format!("disable_chunk_backup is true. {} chunk is thrown away", chunk.id()));
            OutputCounters::add(&self.counters.dropped_records, chunk.records());
            return self.commit(chunk, secondary, Account::DroppedRejected).await;
        }
        let (backup, environment) = (self.backup.clone(), self.environment.clone());
        let copy = Arc::clone(chunk);
        let saved = tokio::task::spawn_blocking(move || backup.reject(&copy, &environment)).await;
        match saved.map_err(std::io::Error::other).and_then(|result| result) {
            Ok(()) => {
                fault!("backup-written");
                OutputCounters::add(&self.counters.backup_count, 1);
                self.commit(chunk, secondary, Account::DeadBackup).await;
            }
            Err(error) => {
                // Better to hold up the queue than to lose the chunk; the disk may have room later.
                let message = format!("can't save the chunk in {}: {error}", self.backup.rejected.display());
                self.take_back(chunk, secondary, Some(WriteError::retry("IOError", message))).await;
            }
        }
    }

    /// Makes or advances the retry state; answers whether it is time to give up.
    fn note_failure(&self, chunk: &Chunk, secondary: bool, error: Option<&WriteError>) -> bool {
        OutputCounters::add(&self.counters.num_errors, 1);
        let (now, chance) = (self.seconds(), self.chance());
        let is_endless = matches!(error, Some(WriteError::Operator { .. }));
        let mut retry = self.retry();
        if retry.as_ref().is_some_and(|state| state.is_endless() != is_endless) {
            *retry = None; // the time until somebody has mended something does not count
        }
        let state = match &mut *retry {
            Some(state) => {
                // With several flush tasks only the first failure of a round is a step.
                if now >= state.next_time() {
                    state.step(now, chance);
                } else {
                    state.postpone(now, chance);
                }
                state
            }
            none if is_endless => none.insert(RetryState::endless(&self.flush.retry, now)),
            none => none.insert(RetryState::new(&self.flush.retry, now)),
        };
        if state.is_over() {
            return true;
        }
        let (steps, next_time) = (state.steps(), state.next_time());
        let is_news = error.is_none_or(|error| state.wait_for(&error.to_string()));
        drop(retry);
        let Some(error) = error.filter(|_| is_news) else { return false };
        let message = if secondary {
            "failed to flush the buffer with secondary output."
        } else {
            "failed to flush the buffer."
        };
        log_warn!(
            self.environment.log,
            message,
            retry_times = steps,
            next_retry_time = shown_time(self.wall_seconds(next_time)),
            chunk = chunk.id(),
            error_class = Shown(error.class()),
            error = error.to_string()
        );
        false
    }

    /// The limit of retries is reached: everything that is queued is given up. What has a file is copied first.
    async fn drop_queue(&self, error: Option<&WriteError>) {
        let Some(buffer) = self.buffer() else { return };
        let log = &self.environment.log;
        let steps = self.retry().take().map_or(0, |state| state.steps());
        let records = buffer.queued_records();
        if let Some(error) = error {
            log_error!(
                log,
                "Hit limit for retries. dropping all chunks in the buffer queue.",
                retry_times = steps,
                records = records,
                error_class = Shown(error.class()),
                error = error.to_string()
            );
        }
        let (backup, environment) = (self.backup.clone(), self.environment.clone());
        let evacuate = buffer.is_persistent() && !self.flush.disable_chunk_backup;
        let given_up = self.with_buffer(move |buffer| {
            let mut given_up = Vec::new();
            // Also those that are not on the device yet: they may have been acknowledged by the time they are gone.
            while let Some(chunk) = buffer.take_to_drop() {
                if evacuate && let Err(error) = backup.evacuate(&chunk, &environment) {
                    log_error!(
                        environment.log,
                        "unexpected error while evacuating chunk files. what is left stays in the queue",
                        chunk_id = chunk.id(),
                        error = error.to_string()
                    );
                    buffer.rollback(chunk.id());
                    break;
                }
                if evacuate {
                    fault!("chunk-evacuated");
                }
                buffer.purge(chunk.id());
                given_up.push(chunk);
            }
            given_up
        });
        let given_up = given_up.await.unwrap_or_default();
        given_up.iter().for_each(|chunk| self.output.given_up(chunk));
        let records = given_up.iter().map(|chunk| chunk.records()).sum();
        let (saved, dropped) = if evacuate { (records, 0) } else { (0, records) };
        OutputCounters::add(&self.counters.dropped_records, saved + dropped);
        let ledger = &self.counters.ledger;
        ledger.add(Account::DeadEvacuated, saved);
        ledger.add(Account::DroppedRetries, dropped);
        log_debug!(log, "buffer queue cleared");
    }

    /// Removes a chunk that was taken; its records are booked to `account`, but for those that its output set aside.
    pub(super) async fn purge(&self, chunk: &Chunk, account: Account) {
        if account != Account::Stored {
            self.output.given_up(chunk);
        }
        let (id, records) = (chunk.id(), chunk.records());
        if self.with_buffer(move |buffer| buffer.purge(id)).await != Some(true) {
            log_info!(self.environment.log, "chunk was no longer in the buffer", chunk_id = id);
            return;
        }
        let ledger = &self.counters.ledger;
        let (reported, dropped) = if account == Account::Stored { chunk.aside() } else { (0, 0) };
        ledger.add(account, records.saturating_sub(reported + dropped));
        ledger.add(Account::Reported, reported);
        ledger.add(Account::DroppedUnstorable, dropped);
    }
}

/// A time as Ruby inspects it, to the second: `2023-11-14 22:13:20 +0000`.
pub(super) fn shown_time(seconds: f64) -> Shown<String> {
    let time = jiff::Timestamp::from_second(seconds.round() as i64).unwrap_or_default();
    Shown(time.to_zoned(jiff::tz::TimeZone::system()).strftime("%Y-%m-%d %H:%M:%S %z").to_string())
}
