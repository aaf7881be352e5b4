//! The metrics of a filter or output, and what a stream does to them.

use super::labels::{Constants, Labels, TagLabels};
use super::metric::{LABELS, METRIC, Metric, read_labels};
use super::worker::Worker;
use logweir_engine::config::{Diagnostic, Params};
use logweir_engine::delivery::Receipt;
use logweir_engine::event::{EventStream, Tag};
use logweir_engine::log_warn;
use logweir_engine::msgpack::Entries;
use logweir_engine::plugin::{BuildContext, SectionSpec};
use logweir_engine::route::{ErrorEvent, ErrorEvents};
use logweir_engine::telemetry::prometheus::{Family, LabelValues, Recorded, Update, Updates};
use logweir_engine::telemetry::{PluginLog, Shown};
use std::collections::{BTreeMap, HashSet};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// The sections of the filter and the output.
pub(crate) const SECTIONS: &[SectionSpec] = &[METRIC, LABELS];

/// What is wrong with records again and again is said once in this time for each metric.
const COMPLAIN_AGAIN: Duration = Duration::from_secs(60);

/// Placeholders that were complained about and are remembered.
const UNKNOWN_MAX: usize = 1000;

/// See the module.
pub(crate) struct Instruments {
    metrics: Vec<Metric>,
    errors: ErrorEvents,
    log: PluginLog,
    complaints: Mutex<Complaints>,
}

#[derive(Default)]
struct Complaints {
    /// By the number of the metric.
    faults: BTreeMap<usize, Instant>,
    unknown: HashSet<String>,
}

/// The metrics for one tag.
pub(crate) struct TagInstruments {
    all: Arc<Instruments>,
    labels: Vec<TagLabels>,
}

impl Instruments {
    /// Declares the metrics of a filter or output.
    pub(crate) fn read(params: &Params, context: &mut BuildContext<'_>) -> Result<Arc<Self>, Diagnostic> {
        let worker = Worker::of(context.system);
        let constants = Constants {
            hostname: rustix::system::uname().nodename().to_string_lossy().into_owned(),
            worker: worker.number,
        };
        let mut outer = read_labels(params, &constants)?;
        if worker.is_one_of_many {
            outer = outer.with(Labels::worker(&constants));
        }
        let mut metrics = Vec::new();
        for section in params.sections("metric") {
            metrics.push(Metric::read(section, &outer, &constants, context)?);
        }
        Ok(Arc::new(Self {
            metrics,
            errors: context.errors.clone(),
            log: context.log.clone(),
            complaints: Mutex::default(),
        }))
    }

    /// Whether there is nothing to do.
    pub(crate) fn are_none(&self) -> bool {
        self.metrics.is_empty()
    }

    /// The metrics as records of `tag` change them.
    pub(crate) fn for_tag(self: &Arc<Self>, tag: &Tag) -> TagInstruments {
        let labels = self.metrics.iter().map(|metric| metric.labels.for_tag(tag)).collect();
        TagInstruments { all: Arc::clone(self), labels }
    }

    /// Whether a fault of the metric of this number is to be logged now.
    fn may_complain(&self, metric: usize) -> bool {
        let mut complaints = self.complaints.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        match complaints.faults.get(&metric) {
            Some(last) if now.duration_since(*last) < COMPLAIN_AGAIN => false,
            _ => {
                complaints.faults.insert(metric, now);
                true
            }
        }
    }

    fn warn_unknown(&self, placeholder: &str) {
        let mut complaints = self.complaints.lock().unwrap_or_else(PoisonError::into_inner);
        if complaints.unknown.len() < UNKNOWN_MAX && complaints.unknown.insert(placeholder.to_owned()) {
            log_warn!(self.log, format!("unknown placeholder `{placeholder}` found"));
        }
    }
}

impl TagInstruments {
    /// Counts a stream. Records that give a metric something else than a number go to `@ERROR`, once each, and count for the
    /// other metrics all the same.
    pub(crate) async fn count(&self, stream: &EventStream, receipt: &mut Receipt) {
        for (_, event) in self.update(stream) {
            self.all.errors.emit(event, receipt).await;
        }
    }

    /// Answers the records that failed, by their number.
    fn update(&self, stream: &EventStream) -> BTreeMap<usize, ErrorEvent> {
        let mut failed = BTreeMap::new();
        for (number, (metric, labels)) in self.all.metrics.iter().zip(&self.labels).enumerate() {
            let mut writing = Writing {
                instruments: &self.all,
                family: &metric.family,
                updates: metric.family.updates(),
                labels,
                values: LabelValues::default(),
                scratch: Vec::new(),
                refused: 0,
            };
            if labels.are_constant() {
                writing.fill(&[]);
            }
            if labels.are_constant() && metric.counts_records() {
                // Nobody needs to look at the records.
                writing.write(Update::Add(stream.count as f64));
                continue;
            }
            for (index, entry) in Entries::new(&stream.entries).enumerate() {
                match metric.update(entry.record) {
                    Ok(None) => {}
                    Ok(Some(update)) => {
                        if !labels.are_constant() {
                            writing.fill(entry.record);
                        }
                        writing.write(update);
                    }
                    Err(fault) => {
                        if self.all.may_complain(number) {
                            log_warn!(
                                self.all.log,
                                "prometheus: failed to instrument a metric.",
                                error_class = Shown(fault.class),
                                error = fault.message,
                                tag = stream.tag,
                                name = metric.family.spec().name
                            );
                        }
                        failed.entry(index).or_insert_with(|| ErrorEvent {
                            tag: stream.tag.clone(),
                            time: entry.time,
                            record: stream.entries.slice_ref(entry.record),
                            class: fault.class.to_owned(),
                            message: fault.message,
                        });
                    }
                }
            }
        }
        failed
    }
}

/// One metric while a stream changes it.
struct Writing<'s> {
    instruments: &'s Instruments,
    family: &'s Family,
    updates: Updates<'s>,
    labels: &'s TagLabels,
    values: LabelValues,
    scratch: Vec<u8>,
    /// Updates beyond the limit of label sets.
    refused: u64,
}

impl Writing<'_> {
    fn fill(&mut self, record: &[u8]) {
        let instruments = self.instruments;
        let mut warn = |placeholder: &str| instruments.warn_unknown(placeholder);
        self.labels.fill(record, &mut self.values, &mut self.scratch, &mut warn);
    }

    fn write(&mut self, update: Update) {
        match self.updates.update(&self.values, update) {
            Recorded::Yes => return,
            Recorded::Refused => {}
            Recorded::RefusedFirst => {
                let spec = self.family.spec();
                log_warn!(
                    self.instruments.log,
                    "a metric has as many label sets as series_limit allows; those that come now are not counted. a label whose \
                     values have no end (an address, an id) makes Prometheus and this process grow without end: leave it out, \
                     or set retention or a higher series_limit",
                    name = spec.name,
                    series_limit = spec.series_max
                );
            }
        }
        self.refused += 1;
    }
}

impl Drop for Writing<'_> {
    fn drop(&mut self) {
        if self.refused > 0 {
            let name = self.family.spec().name.clone();
            metrics::counter!("logweir_metric_updates_refused_total", "metric" => name)
                .increment(self.refused);
        }
    }
}
