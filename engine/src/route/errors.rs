//! Records that a plugin could not handle, and streams that an output refused: to `<label @ERROR>`, or into the log.

use super::Router;
use crate::delivery::{EmitError, Receipt};
use crate::event::{EventStream, Tag};
use crate::msgpack::Time;
use crate::telemetry::{Account, Ledger, PluginLog, Shown};
use crate::{json, log_warn};
use bytes::Bytes;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock, Weak};
use std::time::{Duration, Instant};

/// Stands for the plugin in what the pipelines book.
const PIPELINES: &str = "pipelines";

/// An event that a plugin could not handle.
#[derive(Clone, Debug)]
pub struct ErrorEvent {
    /// Its tag.
    pub tag: Tag,
    /// Its time.
    pub time: Time,
    /// Its record, a raw MessagePack map.
    pub record: Bytes,
    /// Class of the error as Fluentd names it.
    pub class: String,
    /// What happened.
    pub message: String,
}

/// Sends events that failed to `@ERROR`. Cheap to clone.
#[derive(Clone)]
pub struct ErrorEvents(Arc<Inner>);

struct Inner {
    log: PluginLog,
    label: OnceLock<Weak<Router>>,
    /// `emit_error_log_interval`: at most one `emit transaction failed` within it.
    log_interval: Duration,
    /// Milliseconds since `born` before which nothing is logged.
    quiet_until: AtomicU64,
    born: Instant,
    count: AtomicU64,
    ledger: Arc<Ledger>,
}

impl ErrorEvents {
    /// Without an `@ERROR` label until [`ErrorEvents::connect`].
    pub fn new(log: PluginLog, log_interval: Duration) -> Self {
        Self::booking(log, log_interval, Arc::new(Ledger::new(&Arc::from(PIPELINES), PIPELINES)))
    }

    /// For the plugins of `<label @ERROR>` itself: their errors are only logged. It books where this one does.
    pub fn without_label(&self) -> Self {
        Self::booking(self.0.log.clone(), self.0.log_interval, Arc::clone(&self.0.ledger))
    }

    fn booking(log: PluginLog, log_interval: Duration, ledger: Arc<Ledger>) -> Self {
        Self(Arc::new(Inner {
            ledger,
            log,
            label: OnceLock::new(),
            log_interval,
            quiet_until: AtomicU64::new(0),
            born: Instant::now(),
            count: AtomicU64::new(0),
        }))
    }

    /// `<label @ERROR>` is there. Its own errors must use another `ErrorEvents`, so that they are only logged.
    pub fn connect(&self, label: &Arc<Router>) {
        let _ = self.0.label.set(Arc::downgrade(label));
    }

    /// Where the pipelines of the configuration book what belongs to no single plugin.
    pub fn ledger(&self) -> &Arc<Ledger> {
        &self.0.ledger
    }

    /// How many events failed.
    pub fn count(&self) -> u64 {
        self.0.count.load(Ordering::Relaxed)
    }

    /// Hands over one event. `receipt` is that of the emit in which it failed, so that the input also waits for
    /// the error event to be stored.
    pub async fn emit(&self, event: ErrorEvent, receipt: &mut Receipt) {
        let inner = &self.0;
        inner.count.fetch_add(1, Ordering::Relaxed);
        receipt.report(1);
        let (class, error, tag, time) =
            (Shown(&event.class), &event.message, &event.tag, Shown(show_time(event.time)));
        match inner.label.get().and_then(Weak::upgrade) {
            Some(label) => {
                log_warn!(
                    inner.log,
                    "send an error event to @ERROR:",
                    error_class = class,
                    error = error,
                    location = Shown("nil"),
                    tag = tag,
                    time = time
                );
                let mut entry = Vec::with_capacity(event.record.len() + 11);
                entry.push(0x92);
                event.time.write(&mut entry);
                entry.extend_from_slice(&event.record);
                let stream = EventStream::new(event.tag, entry.into(), 1);
                // The label's own errors have been logged by its router.
                let _ = Box::pin(label.emit(stream, receipt)).await;
                inner.ledger.add(Account::DroppedError, receipt.take_refused());
            }
            None => {
                let mut text = Vec::new();
                json::ruby_inspect(&event.record, &mut text);
                let record = Shown(String::from_utf8_lossy(&text).into_owned());
                log_warn!(
                    inner.log,
                    "dump an error event:",
                    error_class = class,
                    error = error,
                    location = Shown("nil"),
                    tag = tag,
                    time = time,
                    record = record
                );
                inner.ledger.add(Account::DroppedError, 1);
            }
        }
    }

    /// A stream that an output refused: absorbed by `@ERROR`, or logged and given back to the input as its error.
    pub(super) async fn refused(
        &self,
        stream: EventStream,
        error: EmitError,
        receipt: &mut Receipt,
    ) -> Result<(), EmitError> {
        if matches!(error, EmitError::Shutdown) {
            return Err(error);
        }
        let inner = &self.0;
        let (class, text) = (Shown(error.class()), error.to_string());
        if let Some(label) = inner.label.get().and_then(Weak::upgrade) {
            inner.count.fetch_add(stream.count as u64, Ordering::Relaxed);
            log_warn!(
                inner.log,
                "send an error event stream to @ERROR:",
                error_class = class,
                error = text,
                location = Shown("nil"),
                tag = stream.tag
            );
            // What other outputs took of it goes to @ERROR once more.
            let taken = (stream.count as u64).saturating_sub(receipt.take_refused());
            inner.ledger.add(Account::Copied, taken);
            return Box::pin(label.emit(stream, receipt)).await;
        }
        if inner.may_log() {
            log_warn!(
                inner.log,
                "emit transaction failed:",
                error_class = class,
                error = text,
                location = Shown("nil"),
                tag = stream.tag
            );
        }
        Err(error)
    }
}

impl Inner {
    fn may_log(&self) -> bool {
        let now = self.born.elapsed().as_millis() as u64;
        if self.log_interval.is_zero() {
            return true;
        }
        let until = self.quiet_until.load(Ordering::Relaxed);
        now >= until
            && self
                .quiet_until
                .compare_exchange(
                    until,
                    now + self.log_interval.as_millis() as u64,
                    Ordering::Relaxed,
                    Ordering::Relaxed,
                )
                .is_ok()
    }
}

/// A time as Fluentd's log shows it: `2024-01-02 03:04:05.000000000 +0000`, an integer as it is.
fn show_time(time: Time) -> String {
    match time {
        Time::Int(sec) => sec.to_string(),
        Time::Float(sec) => sec.to_string(),
        Time::Event(time) => {
            let zone = jiff::tz::TimeZone::system();
            match jiff::Timestamp::new(time.sec, time.nsec as i32) {
                Ok(moment) => moment.to_zoned(zone).strftime("%Y-%m-%d %H:%M:%S.%9f %z").to_string(),
                Err(_) => format!("{}.{:09}", time.sec, time.nsec),
            }
        }
        Time::None => "nil".to_owned(),
    }
}
