//! `/api/logweir.json`: where all records went.
//!
//! ```text
//! {"records": {"total": {"received": n, ..., "unexplained": 0}, "plugins": {ID: {"type": TYPE, METRIC{reason}: n, ...}}},
//!  "connections_closed": {ID: {REASON: n}}}
//! ```
//!
//! `unexplained` is 0 whenever nothing is on its way through a pipeline; the law behind it is in `telemetry/ledger.rs`.

use logweir_engine::plugin::{PluginState, Plugins};
use logweir_engine::telemetry::{Account, Balance, Totals};
use serde_json::{Map, Value, json};

pub(super) fn books(plugins: &Plugins) -> Value {
    let (total, balances) = plugins.records();
    let mut records = Map::new();
    let mut closed = Map::new();
    for (info, balance) in balances {
        let mut shown = amounts(&balance);
        shown.insert("type".to_owned(), info.type_name.as_str().into());
        match &info.state {
            PluginState::Output(output) => {
                if let Some(buffer) = output.status().and_then(|status| status.buffer) {
                    shown.insert("buffered".to_owned(), buffer.records.into());
                }
            }
            PluginState::Input(counters) => {
                let counts = counters.closed.counts();
                if !counts.is_empty() {
                    closed.insert(info.id.text.to_string(), json!(counts));
                }
            }
            _ => {}
        }
        records.insert(info.id.text.to_string(), shown.into());
    }
    json!({
        "records": {"total": in_total(&total), "plugins": records},
        "connections_closed": closed,
    })
}

fn in_total(total: &Totals) -> Value {
    let sum = |metric: &str| total.ended.sum(metric);
    json!({
        "received": total.received,
        "opening": total.opening,
        "copied": total.copied,
        "stored": sum("logweir_records_stored_total"),
        "buffered": total.buffered,
        "dead_lettered": sum("logweir_records_dead_lettered_total"),
        "dropped": sum("logweir_records_dropped_total"),
        "filtered": sum("logweir_records_filtered_total"),
        "duplicate": sum("logweir_records_duplicate_total"),
        "refused": total.refused,
        "unexplained": total.unexplained(),
    })
}

/// What is not 0, by the metric's name without its frame: `dropped{no_match}`.
fn amounts(balance: &Balance) -> Map<String, Value> {
    let booked = Account::ALL.into_iter().filter(|account| balance.get(*account) > 0);
    let name = |account: Account| {
        let (metric, reason) = account.metric();
        let metric = metric.trim_start_matches("logweir_records_").trim_end_matches("_total");
        match reason {
            Some(reason) => format!("{metric}{{{reason}}}"),
            None => metric.to_owned(),
        }
    };
    booked.map(|account| (name(account), balance.get(account).into())).collect()
}
