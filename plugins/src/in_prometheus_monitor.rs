//! `@type prometheus_monitor`: `fluentd_status_*`, what monitor_agent shows of all plugins (fluent-plugin-prometheus 2.2).

use crate::prometheus::{Board, MONITOR_SECTIONS, Monitor, Shown};
use logweir_engine::config::{Diagnostic, Params};
use logweir_engine::output::OutputCounters;
use logweir_engine::plugin::{Build, BuildContext, Descriptor, Input, Kind, PluginInfo, PluginState};
use logweir_engine::telemetry::prometheus::MetricKind::Gauge;

/// `@type prometheus_monitor`
pub static PLUGIN: Descriptor = Descriptor {
    params: &[Board::INTERVAL],
    sections: MONITOR_SECTIONS,
    ..Descriptor::new(
        Kind::Input,
        "prometheus_monitor",
        "Metrics of all plugins: their buffers and retries",
        Build::Input(build),
    )
};

const LABELS: &[&str] = &["plugin_id", "plugin_category", "type"];

#[rustfmt::skip] // one line a metric
const METRICS: &[Shown] = &[
    Shown { name: "fluentd_status_buffer_newest_timekey", kind: Gauge, help: "Newest timekey in buffer." },
    Shown { name: "fluentd_status_buffer_oldest_timekey", kind: Gauge, help: "Oldest timekey in buffer." },
    Shown { name: "fluentd_status_buffer_queue_length", kind: Gauge, help: "Current buffer queue length." },
    Shown { name: "fluentd_status_buffer_total_bytes", kind: Gauge, help: "Current total size of queued buffers." },
    Shown { name: "fluentd_status_retry_count", kind: Gauge, help: "Current retry counts." },
];

fn build(params: &Params, context: &mut BuildContext<'_>) -> Result<Box<dyn Input>, Diagnostic> {
    let board = Board::declare(params, context, LABELS, METRICS)?;
    Ok(Monitor::input(board, context, show))
}

fn show(info: &PluginInfo, board: &mut Board) {
    let (PluginState::Output(output) | PluginState::MultiOutput(output)) = &info.state else { return };
    let Some(status) = output.status() else { return };
    let labels = [&*info.id.text, "output", info.type_name.as_str()];
    let mut set = |name: &str, value: f64| board.set(name, &labels, value);
    set("fluentd_status_retry_count", OutputCounters::get(&status.counters.num_errors) as f64);
    let Some(buffer) = status.buffer else { return };
    set("fluentd_status_buffer_queue_length", buffer.queued_chunks as f64);
    set("fluentd_status_buffer_total_bytes", (buffer.staged_bytes + buffer.queued_bytes) as f64);
    let timekeys = output.timekeys();
    if let (Some(newest), Some(oldest)) = (timekeys.iter().max(), timekeys.iter().min()) {
        set("fluentd_status_buffer_newest_timekey", *newest as f64);
        set("fluentd_status_buffer_oldest_timekey", *oldest as f64);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{build_error, with_params};
    use logweir_engine::telemetry::prometheus::Exposition;

    #[test]
    fn labels_are_those_of_the_original() {
        let text =
            "interval 1\n<labels>\nzone a\nworker ${worker_id}\nhost ${hostname}\nodd ${nothing}\n</labels>";
        let shown = with_params(&PLUGIN, text, |params, context| {
            let mut board = Board::declare(params, context, LABELS, METRICS)?;
            board.round(|board| board.set("fluentd_status_retry_count", &["o", "output", "null"], 2.0));
            let mut exposition = Exposition::default();
            context.shared.metrics.show(&mut exposition);
            let first = exposition.into_text();
            board.round(|_| {});
            let mut exposition = Exposition::default();
            context.shared.metrics.show(&mut exposition);
            Ok((first, exposition.into_text()))
        });
        let (first, second) = shown.unwrap();
        let host = rustix::system::uname().nodename().to_string_lossy().into_owned();
        let sample = format!(
            "fluentd_status_retry_count{{host=\"{host}\",odd=\"${{nothing}}\",worker=\"0\",zone=\"a\",plugin_id=\"o\",\
             plugin_category=\"output\",type=\"null\"}} 2\n"
        );
        assert!(first.contains(&sample), "{first}");
        assert!(first.contains("# TYPE fluentd_status_buffer_queue_length gauge\n"), "{first}");
        assert!(!second.contains('{'), "what is not there any more goes: {second}");
    }

    #[test]
    fn mistakes() {
        let error = |text: &str| build_error(&PLUGIN, text).unwrap_or_default();
        assert_eq!(error(""), "");
        assert!(error("interval 0").contains("'interval' must be more than 0"));
        let record = error("<labels>\na $.b\n</labels>");
        assert!(record.contains("record accessor syntax is not available in prometheus_monitor"), "{record}");
        let own = error("<labels>\ntype b\n</labels>");
        assert!(own.contains("sets the label type itself"), "{own}");
        let odd = error("<labels>\na-b c\n</labels>");
        assert!(odd.contains("is no label name"), "{odd}");
    }
}
