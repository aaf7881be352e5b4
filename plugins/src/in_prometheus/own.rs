//! Logweir's own metrics that are looked up when somebody asks: what plugins hold at this moment.

use logweir_engine::output::{OutputCounters, OutputStatus};
use logweir_engine::plugin::{PluginInfo, PluginState, Plugins};
use logweir_engine::telemetry::Account;
use logweir_engine::telemetry::prometheus::{Exposition, OwnMetric};
use std::sync::atomic::Ordering;

/// Writes down the plugins of the configuration.
pub(super) fn show(plugins: &Plugins, exposition: &mut Exposition) {
    let mut writer = Writer { exposition };
    writer.set("logweir_build_info", &[env!("CARGO_PKG_VERSION")], 1.0);
    let (totals, _) = plugins.records();
    writer.set("logweir_records_unexplained", &[], totals.unexplained() as f64);
    for info in plugins.all() {
        writer.plugin(info);
    }
}

struct Writer<'e> {
    exposition: &'e mut Exposition,
}

impl Writer<'_> {
    /// Adds a sample; `values` are those of the metric's labels, in order.
    fn set(&mut self, name: &str, values: &[&str], value: f64) {
        let Some(metric) = OwnMetric::named(name) else {
            debug_assert!(false, "{name} is not one of Logweir's metrics");
            return;
        };
        debug_assert_eq!(metric.labels.len(), values.len(), "labels of {name}");
        let labels = metric.labels.iter().copied().zip(values.iter().copied());
        self.exposition.own(metric).add("", labels, value);
    }

    fn plugin(&mut self, info: &PluginInfo) {
        let plugin = [&*info.id.text, info.type_name.as_str()];
        match &info.state {
            PluginState::Input(counters) => {
                let Some(followed) = counters.followed.get() else { return };
                let files = followed.files.load(Ordering::Relaxed);
                self.set("logweir_tail_files", &plugin, files as f64);
                let unread = followed.unread_bytes.load(Ordering::Relaxed);
                self.set("logweir_tail_unread_bytes", &plugin, unread as f64);
            }
            PluginState::Output(output) => {
                if let Some(status) = output.status() {
                    self.output(plugin, &status);
                }
            }
            PluginState::Filter(_) | PluginState::MultiOutput(_) => {}
        }
    }

    fn output(&mut self, plugin: [&str; 2], status: &OutputStatus) {
        let counters = &status.counters;
        let get = |counter| OutputCounters::get(counter) as f64;
        self.set("logweir_output_errors_total", &plugin, get(&counters.num_errors));
        let Some(buffer) = &status.buffer else { return };
        self.set("logweir_output_writes_total", &plugin, get(&counters.write_count));
        self.set("logweir_output_flush_seconds_total", &plugin, get(&counters.flush_time_ms) / 1000.0);
        // The first failure is no retry.
        let failures = status.retry.map_or(0, |retry| retry.steps + 1);
        self.set("logweir_output_failures", &plugin, failures as f64);
        self.set("logweir_records_buffered", &plugin, buffer.records as f64);
        let [id, kind] = plugin;
        for (state, chunks) in [
            ("staged", buffer.staged_chunks),
            ("queued", buffer.queued_chunks),
            ("writing", buffer.taken_chunks),
        ] {
            self.set("logweir_buffer_chunks", &[id, kind, state], chunks as f64);
        }
        for (state, bytes) in [("staged", buffer.staged_bytes), ("queued", buffer.queued_bytes)] {
            self.set("logweir_buffer_bytes", &[id, kind, state], bytes as f64);
        }
        self.set("logweir_buffer_limit_bytes", &plugin, buffer.total_bytes_max as f64);
        self.set("logweir_buffer_replays_total", &plugin, buffer.replays as f64);
        self.set("logweir_buffer_damaged_bytes", &plugin, buffer.damaged_bytes as f64);
        // The buffer counts these, not the ledger.
        let (name, reason) = Account::RefusedNotDurable.metric();
        self.set(name, &[id, kind, reason.unwrap_or_default()], buffer.lost_records as f64);
    }
}
