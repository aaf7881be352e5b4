//! What the flushing needs to know of `<buffer>`, with Fluentd's checks and warnings.

use super::keys::{ChunkKeys, KEYS_WARN, KeyNames};
use super::retry::{RetryRules, RetryType};
use super::slices::TimeSlices;
use crate::config::value::Value;
use crate::config::{Diagnostic, Params};
use crate::plugin::{BufferDefaults, BufferSupport, ParamKind};
use crate::telemetry::PluginLog;
use crate::time::Zone;
use crate::{log_info, log_warn};
use std::sync::Arc;
use std::time::Duration;

/// When chunks are queued.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum FlushMode {
    /// When their time slice is over.
    Lazy,
    /// When they have reached an age.
    Interval,
    /// With each emit.
    Immediate,
}

impl FlushMode {
    fn as_str(self) -> &'static str {
        match self {
            Self::Lazy => "lazy",
            Self::Interval => "interval",
            Self::Immediate => "immediate",
        }
    }
}

/// What happens to an emit when the buffer is full.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum OverflowAction {
    ThrowException,
    Block,
    DropOldestChunk,
}

impl OverflowAction {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::ThrowException => "throw_exception",
            Self::Block => "block",
            Self::DropOldestChunk => "drop_oldest_chunk",
        }
    }
}

/// How a buffered output flushes.
#[derive(Clone, Debug)]
pub(crate) struct FlushSettings {
    pub keys: Arc<ChunkKeys>,
    pub mode: FlushMode,
    /// Age at which a chunk is queued, whole seconds as Fluentd compares them.
    pub interval_secs: i64,
    /// The same as it is written, for how often ages are looked at.
    pub interval: f64,
    /// Seconds after the end of a slice.
    pub timekey_wait: f64,
    pub at_shutdown: bool,
    pub thread_count: usize,
    pub thread_interval: Duration,
    pub burst_interval: Duration,
    pub overflow: OverflowAction,
    pub retry: RetryRules,
    pub time_as_integer: bool,
    /// Seconds after which a write is slow.
    pub slow_flush: f64,
    pub disable_chunk_backup: bool,
}

/// More writes at the same time than this are a slip of the pen.
const THREADS_MAX: i64 = 1024;

impl ChunkKeys {
    /// The chunk keys of the `<buffer>` of `owner`, or of the defaults where it names none.
    pub fn of(owner: &Params, support: BufferSupport) -> Result<Arc<Self>, Diagnostic> {
        let Some(buffer) = owner.section("buffer") else { return Ok(Arc::default()) };
        let written = list(buffer.arg()).map_err(|message| buffer.error_here(message))?;
        let names: Vec<&str> = match defaults(support) {
            Some(defaults) if buffer.arg().trim().is_empty() => defaults.chunk_keys.to_vec(),
            _ => written.iter().map(String::as_str).collect(),
        };
        let names = KeyNames::parse(names).map_err(|message| buffer.error_here(message))?;
        let time = if names.time { Some(slices(buffer)?) } else { None };
        Ok(Arc::new(Self { tag: names.tag, time, fields: names.fields }))
    }
}

impl FlushSettings {
    /// From the directive `owner`, which has a `<buffer>` section (written or not). `persistent`: the chunks survive
    /// the end of the process.
    pub(crate) fn new(
        owner: &Params,
        buffer: &Params,
        keys: &Arc<ChunkKeys>,
        persistent: bool,
        log: &PluginLog,
    ) -> Result<Self, Diagnostic> {
        if usize::from(keys.tag) + keys.fields.len() >= KEYS_WARN {
            log_warn!(log, "many chunk keys specified, and it may cause too many chunks on your system.");
        }
        let threads = buffer.int("flush_thread_count").unwrap_or(1);
        if !(0..=THREADS_MAX).contains(&threads) {
            let message = format!("flush_thread_count must be between 0 and {THREADS_MAX}: {threads}");
            return Err(buffer.error("flush_thread_count", message));
        }
        let interval = buffer.seconds("flush_interval").unwrap_or(60.0);
        Ok(Self {
            keys: Arc::clone(keys),
            mode: flush_mode(owner, buffer, keys, log)?,
            interval_secs: interval as i64,
            interval,
            timekey_wait: buffer.seconds("timekey_wait").unwrap_or(600.0),
            at_shutdown: flush_at_shutdown(buffer, persistent, log),
            thread_count: usize::try_from(threads).unwrap_or(1),
            thread_interval: pause(buffer, "flush_thread_interval")?,
            burst_interval: pause(buffer, "flush_thread_burst_interval")?,
            overflow: match buffer.word("overflow_action") {
                Some("block") => OverflowAction::Block,
                Some("drop_oldest_chunk") => OverflowAction::DropOldestChunk,
                _ => OverflowAction::ThrowException,
            },
            retry: retry_rules(owner, buffer, log)?,
            time_as_integer: owner.bool("time_as_integer"),
            slow_flush: owner.float("slow_flush_log_threshold").unwrap_or(20.0),
            disable_chunk_backup: buffer.bool("disable_chunk_backup"),
        })
    }

    /// How often the ages of chunks are looked at; `None` if they do not matter.
    pub(crate) fn enqueue_interval(&self) -> Option<Duration> {
        let by_age = (self.mode == FlushMode::Interval).then_some(self.interval);
        let seconds = match (&self.keys.time, by_age) {
            (Some(slices), Some(age)) if slices.unit >= age => age,
            (Some(slices), _) => slices.unit.min(self.timekey_wait),
            (None, Some(age)) => age,
            (None, None) => return None,
        };
        let interval = Duration::try_from_secs_f64(seconds / 11.0).unwrap_or(Duration::ZERO);
        Some(interval.max(self.thread_interval).clamp(LEAST_INTERVAL, MOST_INTERVAL))
    }
}

/// An interval of 0 would be a busy loop.
const LEAST_INTERVAL: Duration = Duration::from_millis(10);
/// Timers need an end.
const MOST_INTERVAL: Duration = Duration::from_secs(86400 * 365);

fn defaults(support: BufferSupport) -> Option<BufferDefaults> {
    match support {
        BufferSupport::Never => None,
        BufferSupport::Optional(defaults) | BufferSupport::Always(defaults) => Some(defaults),
    }
}

/// A comma list or JSON array of texts.
fn list(text: &str) -> Result<Vec<String>, String> {
    let items = match Value::parse(ParamKind::Array, text, false, "chunk_keys")? {
        Value::Array(items) => items,
        _ => Vec::new(),
    };
    Ok(items.into_iter().map(|item| item.as_str().map_or_else(|| item.to_string(), str::to_owned)).collect())
}

fn slices(buffer: &Params) -> Result<TimeSlices, Diagnostic> {
    let Some(unit) = buffer.seconds("timekey") else {
        return Err(buffer
            .error_here("<buffer ...> argument includes 'time', but timekey is not configured")
            .help("add the length of a time slice, such as `timekey 1h`"));
    };
    let zone = match buffer.str("timekey_zone") {
        None => Zone::local(),
        Some(name) => Zone::parse(name).map_err(|error| buffer.error("timekey_zone", error.to_string()))?,
    };
    let zone = if buffer.bool("timekey_use_utc") { Zone::fixed(0) } else { zone };
    if unit <= 0.0 {
        let message = format!("timekey should be greater than 0. current timekey: {unit}");
        return Err(buffer.error("timekey", message));
    }
    Ok(TimeSlices { unit, zone })
}

fn flush_mode(
    owner: &Params,
    buffer: &Params,
    keys: &ChunkKeys,
    log: &PluginLog,
) -> Result<FlushMode, Diagnostic> {
    let mode = match buffer.word("flush_mode") {
        Some("lazy") => FlushMode::Lazy,
        Some("interval") => FlushMode::Interval,
        Some("immediate") => FlushMode::Immediate,
        _ if owner.element().has("flush_interval") => {
            log_info!(
                log,
                "'flush_interval' is configured at out side of <buffer>. 'flush_mode' is set to 'interval' to keep \
                 existing behaviour"
            );
            FlushMode::Interval
        }
        _ if keys.time.is_some() => FlushMode::Lazy,
        _ => FlushMode::Interval,
    };
    if mode != FlushMode::Interval && buffer.is_set("flush_interval") {
        let mode = mode.as_str();
        if buffer.is_set("flush_mode") {
            let message = format!(
                "'flush_interval' can't be specified when 'flush_mode' is not 'interval' explicitly: '{mode}'"
            );
            return Err(buffer.error("flush_interval", message));
        }
        log_warn!(
            log,
            format!("'flush_interval' is ignored because default 'flush_mode' is not 'interval': '{mode}'")
        );
    }
    Ok(mode)
}

fn flush_at_shutdown(buffer: &Params, persistent: bool, log: &PluginLog) -> bool {
    let configured = buffer.opt_bool("flush_at_shutdown");
    if configured == Some(false) && !persistent {
        log_warn!(log, "'flush_at_shutdown' is false, and buffer plugin 'memory' is not persistent buffer.");
        log_warn!(
            log,
            "your configuration will lose buffered data at shutdown. please confirm your configuration again."
        );
    }
    configured.unwrap_or(!persistent)
}

fn pause(buffer: &Params, name: &str) -> Result<Duration, Diagnostic> {
    let seconds = buffer.float(name).unwrap_or(1.0);
    Duration::try_from_secs_f64(seconds)
        .map(|pause| pause.min(MOST_INTERVAL))
        .map_err(|_| buffer.error(name, format!("{name} must be a number of seconds from 0 on: {seconds}")))
}

fn retry_rules(owner: &Params, buffer: &Params, log: &PluginLog) -> Result<RetryRules, Diagnostic> {
    let kind = match buffer.word("retry_type") {
        Some("periodic") => RetryType::Periodic,
        _ => RetryType::Exponential {
            base: buffer.float("retry_exponential_backoff_base").unwrap_or(2.0),
            max_interval: buffer.seconds("retry_max_interval"),
        },
    };
    let forever = buffer.bool("retry_forever");
    let threshold = buffer.float("retry_secondary_threshold").unwrap_or(0.8);
    let has_secondary = super::secondary::is_configured(owner);
    if has_secondary && !(threshold > 0.0 && threshold < 1.0) {
        let message = format!("retry_secondary_threshold must be between 0 and 1: {threshold}");
        return Err(buffer.error("retry_secondary_threshold", message));
    }
    if has_secondary && forever {
        log_warn!(log, "<secondary> with 'retry_forever', only unrecoverable errors are moved to secondary");
    }
    Ok(RetryRules {
        kind,
        wait: buffer.seconds("retry_wait").unwrap_or(1.0),
        timeout: buffer.seconds("retry_timeout").unwrap_or(72.0 * 3600.0),
        max_times: buffer.int("retry_max_times").map(|times| u64::try_from(times).unwrap_or(0)),
        forever,
        randomize: buffer.bool("retry_randomize"),
        secondary_threshold: has_secondary.then_some(threshold),
    })
}
