//! `@type concat`: joins events that are parts of one (fluent-plugin-concat 2.6).
//!
//! Parts are held in memory until the last one comes, flush_interval has passed since the latest, or the program stops; what
//! ends in one of the latter two ways goes to timeout_label, or to `@ERROR`. As in Fluentd, an event is acknowledged, and a
//! tailed line's position moves on, when the filter has it: what is held when the process is killed is lost. An
//! orderly stop or reload loses nothing.

mod joiner;
mod settings;
mod stream;

use futures_util::future::BoxFuture;
use joiner::{Expired, Failed, Joiner};
use logweir_engine::config::{Diagnostic, Params};
use logweir_engine::delivery::Receipt;
use logweir_engine::event::{EventStream, EventTime, Tag};
use logweir_engine::msgpack::{Entries, Time, write_entry};
use logweir_engine::plugin::{
    Build, BuildContext, Descriptor, Filter, FilterStep, Kind, LabelRef, StreamFilter,
};
use logweir_engine::route::{ErrorEvent, ErrorEvents};
use logweir_engine::telemetry::{PluginLog, Shown};
use logweir_engine::{log_error, log_info};
use settings::{PARAMS, Settings};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::time::{Instant, MissedTickBehavior};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// `@type concat`
pub static PLUGIN: Descriptor = Descriptor {
    params: PARAMS,
    ..Descriptor::new(Kind::Filter, "concat", "Joins events that are parts of one", Build::Filter(build))
};

/// How often it is looked for parts whose rest does not come.
const LOOK_EVERY: Duration = Duration::from_secs(1);

fn build(params: &Params, context: &mut BuildContext<'_>) -> Result<Box<dyn Filter>, Diagnostic> {
    let settings = Settings::from_params(params)?;
    Ok(Box::new(Concat(Arc::new(Shared {
        flush_interval: params.time("flush_interval").filter(|interval| !interval.is_zero()),
        use_first_timestamp: settings.use_first_timestamp,
        timeout_label: params.str("timeout_label").map(|label| context.label(label)),
        joiner: Mutex::new(Joiner::new(settings)),
        errors: context.errors.clone(),
        log: context.log.clone(),
    }))))
}

struct Concat(Arc<Shared>);

struct Shared {
    joiner: Mutex<Joiner>,
    flush_interval: Option<Duration>,
    use_first_timestamp: bool,
    timeout_label: Option<LabelRef>,
    errors: ErrorEvents,
    log: PluginLog,
}

impl Filter for Concat {
    fn for_tag(&self, tag: &Tag) -> FilterStep {
        let own_log = tag.as_str().strip_prefix("fluent.");
        match own_log {
            Some("trace" | "debug" | "info" | "warn" | "error" | "fatal") => FilterStep::Pass,
            _ => FilterStep::Stream(self.0.clone()),
        }
    }

    fn takes_streams(&self) -> bool {
        true
    }

    fn start(&self, tasks: &TaskTracker, stop: &CancellationToken) {
        tasks.spawn(watch(Arc::clone(&self.0), stop.clone()));
    }
}

impl StreamFilter for Shared {
    fn filter<'a>(&'a self, stream: EventStream, receipt: &'a mut Receipt) -> BoxFuture<'a, EventStream> {
        Box::pin(async move {
            let mut out = Vec::with_capacity(stream.entries.len());
            let mut count = 0;
            let mut failed = Vec::new();
            let mut expired = Vec::new();
            {
                let mut joiner = self.joiner();
                let now = Instant::now();
                for entry in Entries::new(&stream.entries) {
                    match joiner.push(&stream.tag, &entry, now, &mut out) {
                        Ok(events) => count += events,
                        Err(Failed { class, message, events }) => {
                            count += events;
                            failed.push(ErrorEvent {
                                tag: stream.tag.clone(),
                                time: entry.time,
                                record: stream.entries.slice_ref(entry.record),
                                class: class.to_owned(),
                                message,
                            });
                        }
                    }
                    expired.extend(joiner.take_overflow());
                }
            }
            for event in failed {
                self.errors.emit(event, receipt).await;
            }
            for event in expired {
                self.give_up(event, "Too much is held", false, receipt).await;
            }
            EventStream::new(stream.tag, out.into(), count)
        })
    }
}

/// Gives up what waits too long, and everything at the end.
async fn watch(shared: Arc<Shared>, stop: CancellationToken) {
    let mut ticks = tokio::time::interval(LOOK_EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            () = stop.cancelled() => break,
            _ = ticks.tick() => {}
        }
        let Some(interval) = shared.flush_interval else { continue };
        let expired = shared.joiner().take_expired(Instant::now(), interval);
        for event in expired {
            shared
                .give_up(event, "Timeout flush", !shared.use_first_timestamp, &mut Receipt::unwatched())
                .await;
        }
    }
    let rest = shared.joiner().take_all();
    for event in rest {
        shared.give_up(event, "Flush remaining buffer", false, &mut Receipt::unwatched()).await;
    }
}

impl Shared {
    fn joiner(&self) -> MutexGuard<'_, Joiner> {
        self.joiner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Sends parts whose rest has not come where they are to go.
    async fn give_up(&self, event: Expired, why: &str, now: bool, receipt: &mut Receipt) {
        let Expired { tag, time, record, identity } = event;
        let time = if now { Time::Event(EventTime::now()) } else { time };
        let message = format!("{why}: {}", String::from_utf8_lossy(&identity));
        let Some(label) = &self.timeout_label else {
            let class = "Fluent::Plugin::ConcatFilter::TimeoutError".to_owned();
            let event = ErrorEvent { tag, time, record: record.into(), class, message: message.clone() };
            self.errors.emit(event, receipt).await;
            log_info!(self.log, message);
            return;
        };
        let mut entry = Vec::with_capacity(record.len() + 11);
        write_entry(&mut entry, time, None, &record);
        if let Err(error) = label.emit(EventStream::new(tag, entry.into(), 1), receipt).await {
            log_error!(
                self.log,
                "failed to flush timeout buffer",
                error_class = Shown(error.class()),
                error = error.to_string()
            );
        }
        log_info!(self.log, message);
    }
}

#[cfg(test)]
mod tests;
