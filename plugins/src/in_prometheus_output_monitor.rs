//! `@type prometheus_output_monitor`: `fluentd_output_status_*`, the outputs and their buffers (fluent-plugin-prometheus 2.2).

use crate::prometheus::{Board, MONITOR_SECTIONS, Monitor, Shown};
use logweir_engine::config::{Diagnostic, Params};
use logweir_engine::output::{OutputCounters, OutputStatus};
use logweir_engine::plugin::{
    Build, BuildContext, Descriptor, Input, Kind, Param, ParamKind, PluginInfo, PluginState,
};
use logweir_engine::telemetry::prometheus::MetricKind::{self, Counter, Gauge};

/// `@type prometheus_output_monitor`
pub static PLUGIN: Descriptor = Descriptor {
    params: &[
        Board::INTERVAL,
        Param::new("gauge_all", ParamKind::Bool, "Whether what only grows is a gauge too, not a counter")
            .default("true"),
    ],
    sections: MONITOR_SECTIONS,
    ..Descriptor::new(
        Kind::Input,
        "prometheus_output_monitor",
        "Metrics of outputs and their buffers",
        Build::Input(build),
    )
};

const LABELS: &[&str] = &["plugin_id", "type"];

/// The metrics; what only grows is of `growing`.
#[rustfmt::skip] // one line a metric
fn metrics(growing: MetricKind) -> [Shown; 17] {
    let shown = |name, kind, help| Shown { name, kind, help };
    [
        shown("fluentd_output_status_buffer_total_bytes", Gauge, "Current total size of stage and queue buffers."),
        shown("fluentd_output_status_buffer_stage_length", Gauge, "Current length of stage buffers."),
        shown("fluentd_output_status_buffer_stage_byte_size", Gauge, "Current total size of stage buffers."),
        shown("fluentd_output_status_buffer_queue_length", Gauge, "Current length of queue buffers."),
        shown("fluentd_output_status_buffer_queue_byte_size", Gauge, "Current total size of queue buffers."),
        shown("fluentd_output_status_buffer_available_space_ratio", Gauge, "Ratio of available space in buffer."),
        shown("fluentd_output_status_buffer_newest_timekey", Gauge, "Newest timekey in buffer."),
        shown("fluentd_output_status_buffer_oldest_timekey", Gauge, "Oldest timekey in buffer."),
        shown("fluentd_output_status_retry_count", growing, "Current retry counts."),
        shown("fluentd_output_status_num_errors", growing, "Current number of errors."),
        shown("fluentd_output_status_emit_count", growing, "Current emit counts."),
        shown("fluentd_output_status_emit_records", growing, "Current emit records."),
        shown("fluentd_output_status_write_count", growing, "Current write counts."),
        shown("fluentd_output_status_rollback_count", Gauge, "Current rollback counts."),
        shown("fluentd_output_status_flush_time_count", growing, "Total flush time."),
        shown("fluentd_output_status_slow_flush_count", growing, "Current slow flush counts."),
        shown("fluentd_output_status_retry_wait", Gauge, "Current retry wait"),
    ]
}

fn build(params: &Params, context: &mut BuildContext<'_>) -> Result<Box<dyn Input>, Diagnostic> {
    let growing = if params.bool("gauge_all") { Gauge } else { Counter };
    let board = Board::declare(params, context, LABELS, &metrics(growing))?;
    Ok(Monitor::input(board, context, show))
}

fn show(info: &PluginInfo, board: &mut Board) {
    let (PluginState::Output(output) | PluginState::MultiOutput(output)) = &info.state else { return };
    let Some(status) = output.status() else { return };
    let labels = [&*info.id.text, info.type_name.as_str()];
    let mut set =
        |name: &str, value: f64| board.set(&format!("fluentd_output_status_{name}"), &labels, value);
    let OutputStatus { counters, buffer, retry } = &status;
    let errors = OutputCounters::get(&counters.num_errors) as f64;
    set("retry_count", errors);
    set("num_errors", errors);
    // Fluentd shows nothing else of outputs that hand on.
    if matches!(info.state, PluginState::MultiOutput(_)) {
        return;
    }
    for (name, counter) in [
        ("emit_count", &counters.emit_count),
        ("emit_records", &counters.emit_records),
        ("write_count", &counters.write_count),
        ("rollback_count", &counters.rollback_count),
        ("flush_time_count", &counters.flush_time_ms),
        ("slow_flush_count", &counters.slow_flush_count),
    ] {
        set(name, OutputCounters::get(counter) as f64);
    }
    set("retry_wait", retry.map_or(0.0, |retry| retry.next_time - retry.start));
    let Some(buffer) = buffer else { return };
    set("buffer_total_bytes", (buffer.staged_bytes + buffer.queued_bytes) as f64);
    set("buffer_stage_length", buffer.staged_chunks as f64);
    set("buffer_stage_byte_size", buffer.staged_bytes as f64);
    set("buffer_queue_length", buffer.queued_chunks as f64);
    set("buffer_queue_byte_size", buffer.queued_bytes as f64);
    set("buffer_available_space_ratio", status.available_space_percent().unwrap_or(100.0));
    if let (Some(oldest), Some(newest)) = (buffer.oldest_timekey, buffer.newest_timekey) {
        set("buffer_newest_timekey", newest as f64);
        set("buffer_oldest_timekey", oldest as f64);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use logweir_engine::delivery::Receipt;
    use logweir_engine::event::EventStream;
    use logweir_engine::plugin::Driver;
    use logweir_engine::telemetry::prometheus::Exposition;

    /// What is shown of a buffered output, a direct one and a copy, after an emit into each.
    async fn shown(parameters: &str) -> String {
        let mut driver = Driver::new(crate::PLUGINS);
        let source = format!("<source>\n@type prometheus_output_monitor\n{parameters}\n</source>");
        let params = driver.params(Kind::Input, &source).unwrap();
        let growing = if params.bool("gauge_all") { Gauge } else { Counter };
        let mut board = Board::declare(&params, &mut driver.context(), LABELS, &metrics(growing)).unwrap();
        let copy = "<match>\n@type copy\n@id c\n<store>\n@type null\n@id direct\n</store>\n</match>";
        let copy = driver.output(copy).unwrap();
        let buffered = "<match>\n@type stdout\n@id buffered\n<buffer>\n@type memory\ntotal_limit_size 1k\nflush_mode lazy\n\
                        </buffer>\n</match>";
        let buffered = driver.output(buffered).unwrap();
        buffered.start().await.unwrap();
        for output in [&copy, &buffered] {
            let stream = EventStream::new("t".into(), (&b"\x92\x01\x80\x92\x01\x80"[..]).into(), 2);
            output.emit(stream, &mut Receipt::unwatched()).await.unwrap();
        }
        let infos = std::mem::take(&mut driver.shared.shown_outputs);
        board.round(|board| infos.iter().for_each(|info| show(info, board)));
        let mut exposition = Exposition::default();
        driver.shared.metrics.show(&mut exposition);
        exposition.into_text()
    }

    #[tokio::test]
    async fn outputs_and_their_buffers() {
        let text = shown("").await;
        let value = |name: &str, id: &str, kind: &str| {
            let start = format!("fluentd_output_status_{name}{{plugin_id=\"{id}\",type=\"{kind}\"}} ");
            text.lines().find_map(|line| line.strip_prefix(&start)).map(str::to_owned)
        };
        for (name, expected) in [
            ("emit_count", "1"),
            ("emit_records", "2"),
            ("write_count", "0"),
            ("buffer_stage_length", "1"),
            ("buffer_stage_byte_size", "84"),
            ("buffer_total_bytes", "84"),
            ("buffer_queue_length", "0"),
            ("buffer_available_space_ratio", "91.8"),
            ("retry_count", "0"),
            ("num_errors", "0"),
            ("retry_wait", "0"),
            ("flush_time_count", "0"),
        ] {
            assert_eq!(value(name, "buffered", "stdout").as_deref(), Some(expected), "{name}:\n{text}");
        }
        assert_eq!(value("emit_records", "direct", "null").as_deref(), Some("2"));
        assert_eq!(value("buffer_queue_length", "direct", "null"), None, "it has no buffer");
        assert_eq!(value("retry_count", "c", "copy").as_deref(), Some("0"));
        assert_eq!(value("emit_records", "c", "copy"), None);
        assert_eq!(text.matches("# TYPE ").count(), 17);
        assert!(!text.contains(" counter\n"));
    }

    #[tokio::test]
    async fn what_only_grows_may_be_a_counter() {
        let text = shown("gauge_all false").await;
        let of = |kind: &str| text.lines().filter(|line| line.ends_with(&format!(" {kind}"))).count();
        assert_eq!((of("counter"), of("gauge")), (7, 10));
        assert!(text.contains("# TYPE fluentd_output_status_rollback_count gauge\n"));
    }
}
