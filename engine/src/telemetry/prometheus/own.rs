//! Logweir's own metrics: the one list of their names, types, labels and meanings. `docs/monitoring.md` has the same list, which a
//! test compares with this one, and with what the code counts.

use super::exposition::MetricKind::{self, Counter, Gauge};

/// One of Logweir's own metrics.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OwnMetric {
    /// Its name.
    pub name: &'static str,
    /// Counter or gauge.
    pub kind: MetricKind,
    /// Names of its labels.
    pub labels: &'static [&'static str],
    /// The text of HELP.
    pub help: &'static str,
}

const fn own(
    name: &'static str,
    kind: MetricKind,
    labels: &'static [&'static str],
    help: &'static str,
) -> OwnMetric {
    OwnMetric { name, kind, labels, help }
}

const PLUGIN: &[&str] = &["plugin_id", "type"];
const REASON: &[&str] = &["plugin_id", "type", "reason"];
const STATE: &[&str] = &["plugin_id", "type", "state"];
const ID: &[&str] = &["plugin_id"];

/// All of them, by name.
#[rustfmt::skip] // one line a metric
pub const OWN: &[OwnMetric] = &[
    own("logweir_buffer_bytes", Gauge, STATE, "Bytes in the buffer: staged, or queued (those being written included)"),
    own("logweir_buffer_chunks", Gauge, STATE, "Chunks in the buffer: staged, queued, or writing"),
    own("logweir_buffer_damaged_bytes", Gauge, PLUGIN, "Bytes of damaged parts of chunk files that were found at the start"),
    own("logweir_buffer_limit_bytes", Gauge, PLUGIN, "Bytes that the buffer may have: total_limit_size"),
    own("logweir_buffer_replays_total", Counter, PLUGIN, "Streams that the buffer recognised as sent again and did not store again"),
    own("logweir_build_info", Gauge, &["version"], "1; the version of Logweir is the label"),
    own("logweir_clickhouse_doubtful_inserts_total", Counter, ID, "Inserts whose answer was lost and which had to be looked for"),
    own("logweir_clickhouse_inserts_total", Counter, &["plugin_id", "result"], "Inserts that were sent, by result: ok, or error"),
    own("logweir_clickhouse_late_retries_total", Counter, ID, "Inserts sent again after a longer time than the table remembers inserts for"),
    own("logweir_clickhouse_refused_rows_total", Counter, ID, "Rows that do not fit their table"),
    own("logweir_clickhouse_replaced_values_total", Counter, ID, "Values that were replaced by their column's default"),
    own("logweir_clickhouse_rows_total", Counter, ID, "Rows that were stored"),
    own("logweir_clickhouse_sent_bytes_total", Counter, ID, "Bytes of inserts, as they were sent"),
    own("logweir_clickhouse_unknown_fields_total", Counter, ID, "Fields without a column, which were not stored"),
    own("logweir_connections_closed_total", Counter, &["plugin_id", "reason"], "Connections that the input ended, or refused, by reason"),
    own("logweir_metric_updates_refused_total", Counter, &["metric"], "Updates of a metric of the configuration beyond its series_limit"),
    own("logweir_output_errors_total", Counter, PLUGIN, "Failed writes, and failed emits of an output without a buffer"),
    own("logweir_output_failures", Gauge, PLUGIN, "Failed writes in a row; 0 while the output works"),
    own("logweir_output_flush_seconds_total", Counter, PLUGIN, "Seconds spent in successful writes"),
    own("logweir_output_writes_total", Counter, PLUGIN, "Writes that were begun"),
    own("logweir_records_buffered", Gauge, PLUGIN, "Records in the buffer"),
    own("logweir_records_copied_total", Counter, PLUGIN, "Records handed to further outputs of a copy, or to @ERROR although they went on"),
    own("logweir_records_dead_lettered_total", Counter, REASON, "Records in the dead letters: taken by the secondary, or in the backup directory"),
    own("logweir_records_dropped_total", Counter, REASON, "Records that are gone, by reason"),
    own("logweir_records_duplicate_total", Counter, PLUGIN, "Records recognised as sent again and not stored again"),
    own("logweir_records_filtered_total", Counter, PLUGIN, "Records that filters took out, or of which a formatter made nothing"),
    own("logweir_records_opening_total", Counter, PLUGIN, "Records found in the buffer at the start"),
    own("logweir_records_received_total", Counter, PLUGIN, "Records that an input emitted, or that an output was offered"),
    own("logweir_records_refused_total", Counter, REASON, "Records given back to who offered them, by reason"),
    own("logweir_records_reported_total", Counter, PLUGIN, "Records sent to @ERROR"),
    own("logweir_records_stored_total", Counter, PLUGIN, "Records that their destination has"),
    own("logweir_records_unexplained", Gauge, &[], "Records of which nobody knows where they went; 0 unless some are on their way"),
    own("logweir_tail_files", Gauge, PLUGIN, "Files that a tail input follows"),
    own("logweir_tail_unread_bytes", Gauge, PLUGIN, "Bytes of followed files that were not read yet"),
    own("process_cpu_seconds_total", Counter, &[], "Total user and system CPU time spent in seconds."),
    own("process_max_fds", Gauge, &[], "Maximum number of open file descriptors."),
    own("process_open_fds", Gauge, &[], "Number of open file descriptors."),
    own("process_resident_memory_bytes", Gauge, &[], "Resident memory size in bytes."),
    own("process_start_time_seconds", Gauge, &[], "Start time of the process since unix epoch in seconds."),
    own("process_virtual_memory_bytes", Gauge, &[], "Virtual memory size in bytes."),
];

/// The own metric of that name.
pub(super) fn find(name: &str) -> Option<&'static OwnMetric> {
    OWN.binary_search_by_key(&name, |metric| metric.name).ok().and_then(|index| OWN.get(index))
}

impl OwnMetric {
    /// The one of that name.
    pub fn named(name: &str) -> Option<&'static Self> {
        find(name)
    }
}

/// Whether nobody else may have the name: those to come are reserved too.
pub(super) fn is_reserved(name: &str) -> bool {
    name.starts_with("logweir_") || find(name).is_some()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::telemetry::Account;

    #[test]
    fn the_list_is_sorted_and_has_the_ledger() {
        assert!(OWN.is_sorted_by(|a, b| a.name < b.name));
        for account in Account::ALL {
            let (name, reason) = account.metric();
            let metric = find(name).unwrap_or_else(|| panic!("{name} is not in the list"));
            assert_eq!(metric.labels.contains(&"reason"), reason.is_some(), "{name}");
        }
    }

    #[test]
    fn counters_are_called_so() {
        for metric in OWN {
            assert_eq!(metric.name.ends_with("_total"), metric.kind == Counter, "{}", metric.name);
        }
    }
}
