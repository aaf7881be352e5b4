//! What the code counts through the crate `metrics`, for as long as the process lives: a reload of the configuration goes on counting.

use super::exposition::{Exposition, MetricKind};
use super::own::{self, OwnMetric};
use metrics::{Counter, Gauge, Histogram, Key, KeyName, Metadata, SharedString, Unit};
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Counters and gauges by name and labels.
#[derive(Debug, Default)]
pub struct Recorder {
    families: Mutex<BTreeMap<&'static str, Recorded>>,
}

/// The series of a metric: values of the labels that its description has, and a counter's number or a gauge's bits.
type Series = BTreeMap<Vec<String>, Arc<AtomicU64>>;

#[derive(Debug)]
struct Recorded {
    metric: &'static OwnMetric,
    series: Series,
}

static RECORDER: Recorder = Recorder { families: Mutex::new(BTreeMap::new()) };

/// The recorder of the process. Nothing is in it before [`install_recorder`].
pub fn recorder() -> &'static Recorder {
    &RECORDER
}

/// From now on [`recorder`] has what is counted. Before the first plugin is built, since handles are kept.
pub fn install_recorder() {
    // There is only this one, so an error means that it is installed already.
    let _ = metrics::set_global_recorder(&RECORDER);
}

impl Recorder {
    /// Writes down what is in it.
    pub fn show(&self, exposition: &mut Exposition) {
        for recorded in self.lock().values() {
            let metric = recorded.metric;
            let mut samples = exposition.own(metric);
            for (values, cell) in &recorded.series {
                let bits = cell.load(Ordering::Relaxed);
                let value = if metric.kind == MetricKind::Gauge { f64::from_bits(bits) } else { bits as f64 };
                let labels = metric.labels.iter().copied().zip(values.iter().map(String::as_str));
                samples.add("", labels, value);
            }
        }
    }

    /// `None` for what is not in the list of own metrics, or is something else there: a mistake that debug builds stop at.
    fn cell(&self, key: &Key, kind: MetricKind) -> Option<Arc<AtomicU64>> {
        let metric = own::find(key.name()).filter(|metric| metric.kind == kind);
        debug_assert!(metric.is_some(), "{} is not in OWN as a {}", key.name(), kind.as_str());
        let metric = metric?;
        let value = |name: &&str| {
            let label = key.labels().find(|label| label.key() == *name);
            debug_assert!(label.is_some(), "{} lacks the label {name}", metric.name);
            label.map_or_else(String::new, |label| label.value().to_owned())
        };
        debug_assert_eq!(key.labels().count(), metric.labels.len(), "labels of {}", metric.name);
        let values: Vec<String> = metric.labels.iter().map(value).collect();
        let mut families = self.lock();
        let recorded =
            families.entry(metric.name).or_insert_with(|| Recorded { metric, series: Series::new() });
        Some(Arc::clone(recorded.series.entry(values).or_default()))
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<&'static str, Recorded>> {
        self.families.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl metrics::Recorder for Recorder {
    // The list of own metrics describes them.
    fn describe_counter(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
    fn describe_gauge(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
    fn describe_histogram(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}

    fn register_counter(&self, key: &Key, _: &Metadata<'_>) -> Counter {
        self.cell(key, MetricKind::Counter).map_or_else(Counter::noop, Counter::from_arc)
    }

    fn register_gauge(&self, key: &Key, _: &Metadata<'_>) -> Gauge {
        self.cell(key, MetricKind::Gauge).map_or_else(Gauge::noop, Gauge::from_arc)
    }

    /// None of the own metrics is a histogram.
    fn register_histogram(&self, key: &Key, _: &Metadata<'_>) -> Histogram {
        let _ = self.cell(key, MetricKind::Histogram);
        Histogram::noop()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::telemetry::{Account, Ledger};

    #[test]
    fn what_a_ledger_books_is_shown() {
        let recorder = Recorder::default();
        metrics::with_local_recorder(&recorder, || {
            let ledger = Ledger::new(&Arc::from("out"), "null");
            ledger.announce(&[Account::Stored, Account::DroppedOverflow]);
            ledger.add(Account::Stored, 7);
            metrics::gauge!("logweir_records_unexplained").set(-2.5);
        });
        let mut exposition = Exposition::default();
        recorder.show(&mut exposition);
        let text = exposition.into_text();
        let samples: Vec<&str> = text.lines().filter(|line| !line.starts_with('#')).collect();
        assert_eq!(
            samples,
            [
                "logweir_records_dropped_total{plugin_id=\"out\",type=\"null\",reason=\"drop_oldest_chunk\"} 0",
                "logweir_records_stored_total{plugin_id=\"out\",type=\"null\"} 7",
                "logweir_records_unexplained -2.5",
            ]
        );
        assert!(text.contains("# HELP logweir_records_stored_total Records that their destination has\n"));
    }
}
