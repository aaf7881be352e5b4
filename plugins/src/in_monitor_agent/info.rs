//! What is shown of a plugin, under Fluentd's names and in its order.

use super::query::Query;
use logweir_engine::output::{OutputStatus, RetryStatus};
use logweir_engine::plugin::{Kind, Output, PluginInfo, PluginState};
use serde_json::{Map, Value, json};
use std::sync::atomic::{AtomicU64, Ordering};

/// What is shown beside the counters.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Options {
    pub(super) with_config: bool,
    pub(super) with_retry: bool,
    pub(super) instance_variables: bool,
    /// Whether `with_config=` and `with_retry=` of a request are heard, as before Fluentd 1.19.3.
    pub(super) asks_count: bool,
    /// `enable_input_metrics` of `<system>`: without it, inputs count nothing, as in Fluentd.
    pub(super) input_metrics: bool,
    /// `enable_size_metrics` of `<system>`: without it, nobody counts bytes.
    pub(super) size_metrics: bool,
}

impl Options {
    /// These, as far as the query does not say otherwise.
    pub(super) fn asked(self, query: &Query) -> Self {
        let bool = |name: &str, default: bool| {
            let asked = query.first(name).filter(|_| self.asks_count);
            asked.map_or(default, |text| matches!(text, "true" | "yes" | ""))
        };
        Self {
            with_config: bool("with_config", self.with_config),
            with_retry: bool("with_retry", self.with_retry),
            instance_variables: self.instance_variables
                && (query.first("debug").is_some() || query.first("with_ivars").is_some()),
            ..self
        }
    }
}

/// A plugin.
pub(super) fn plugin_info(plugin: &PluginInfo, options: &Options) -> Map<String, Value> {
    let mut info = Map::new();
    let mut set = |name: &str, value: Value| info.insert(name.to_owned(), value);
    set("plugin_id", (*plugin.id.text).into());
    let category = match plugin.kind() {
        Kind::Input => "input",
        Kind::Output => "output",
        _ => "filter",
    };
    set("plugin_category", category.into());
    set("type", plugin.type_name.as_str().into());
    if options.with_config {
        set("config", plugin.config.iter().map(|(name, text)| (name.clone(), json!(text))).collect());
    }
    // Fluentd does not count outputs that hand over to others among them.
    set("output_plugin", matches!(plugin.state, PluginState::Output(_)).into());
    match &plugin.state {
        PluginState::Input(counters) => {
            set("retry_count", Value::Null);
            let is_counted = options.input_metrics;
            set("emit_records", counted(&counters.records, is_counted).into());
            set("emit_size", counted(&counters.bytes, is_counted && options.size_metrics).into());
            if let Some(files) = counters.followed.get() {
                set("opened_file_count", counted(&files.opened, true).into());
                set("closed_file_count", counted(&files.closed, true).into());
                set("rotated_file_count", counted(&files.rotated, true).into());
            }
        }
        PluginState::Filter(counters) => {
            set("retry_count", Value::Null);
            set("emit_records", counted(&counters.records, true).into());
            set("emit_size", counted(&counters.bytes, options.size_metrics).into());
        }
        PluginState::MultiOutput(output) => {
            set(
                "retry_count",
                output.status().map(|status| counted(&status.counters.num_errors, true)).into(),
            );
        }
        PluginState::Output(output) => show_output(&**output, options, &mut set),
    }
    if options.instance_variables {
        set("instance_variables", json!({}));
    }
    info
}

fn show_output(output: &dyn Output, options: &Options, set: &mut impl FnMut(&str, Value) -> Option<Value>) {
    let Some(OutputStatus { counters, buffer, retry }) = output.status() else {
        set("retry_count", Value::Null);
        return;
    };
    if let Some(buffer) = buffer {
        set("buffer_queue_length", buffer.queued_chunks.into());
        set("buffer_timekeys", output.timekeys().into());
        set("buffer_total_queued_size", (buffer.staged_bytes + buffer.queued_bytes).into());
    }
    for (name, counter) in [
        ("retry_count", &counters.num_errors),
        ("emit_records", &counters.emit_records),
        ("emit_size", &counters.emit_size),
        ("emit_count", &counters.emit_count),
        ("write_count", &counters.write_count),
        ("rollback_count", &counters.rollback_count),
        ("slow_flush_count", &counters.slow_flush_count),
        ("flush_time_count", &counters.flush_time_ms),
    ] {
        let is_counted = options.size_metrics || name != "emit_size";
        set(name, counted(counter, is_counted).into());
    }
    if let Some(buffer) = buffer {
        set("buffer_stage_length", buffer.staged_chunks.into());
        set("buffer_stage_byte_size", buffer.staged_bytes.into());
        set("buffer_queue_byte_size", buffer.queued_bytes.into());
        let status = OutputStatus { counters: counters.clone(), buffer: Some(buffer), retry };
        set("buffer_available_buffer_space_ratios", status.available_space_percent().into());
        if let (Some(oldest), Some(newest)) = (buffer.oldest_timekey, buffer.newest_timekey) {
            set("buffer_oldest_timekey", oldest.into());
            set("buffer_newest_timekey", newest.into());
        }
    }
    if options.with_retry {
        set("retry", retry.map_or_else(|| json!({}), shown_retry));
    }
}

fn shown_retry(retry: RetryStatus) -> Value {
    json!({"start": time(retry.start), "steps": retry.steps, "next_time": time(retry.next_time)})
}

/// As Ruby shows a Time.
fn time(seconds: f64) -> String {
    match jiff::Timestamp::from_second(seconds as i64) {
        Ok(moment) => {
            moment.to_zoned(jiff::tz::TimeZone::system()).strftime("%Y-%m-%d %H:%M:%S %z").to_string()
        }
        Err(_) => seconds.to_string(),
    }
}

fn counted(counter: &AtomicU64, is_counted: bool) -> u64 {
    if is_counted { counter.load(Ordering::Relaxed) } else { 0 }
}
