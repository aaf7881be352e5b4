//! A family of series: one metric name with its label sets, and what was recorded for each.

use super::exposition::{Exposition, MetricKind};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// Bytes of a label's value; what is longer is cut.
pub const LABEL_BYTES_MAX: usize = 1024;

/// The upper bounds that prometheus-client (Ruby) has for a histogram without `buckets`.
pub const DEFAULT_BUCKETS: [(f64, &str); 11] = [
    (0.005, "0.005"),
    (0.01, "0.01"),
    (0.025, "0.025"),
    (0.05, "0.05"),
    (0.1, "0.1"),
    (0.25, "0.25"),
    (0.5, "0.5"),
    (1.0, "1"),
    (2.5, "2.5"),
    (5.0, "5"),
    (10.0, "10"),
];

/// Ends a value in [`LabelValues`]; no UTF-8 text has this byte.
const END: u8 = 0xff;

/// The upper bound of a histogram's bucket.
#[derive(Clone, Debug, PartialEq)]
pub struct Bucket {
    /// Inclusive.
    pub bound: f64,
    /// The label `le`.
    pub text: String,
}

/// How long series live that are not updated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Retention {
    /// Since the last update.
    pub keep: Duration,
    /// How often it is looked for old ones.
    pub check_interval: Duration,
}

/// What a family is.
#[derive(Clone, Debug, PartialEq)]
pub struct FamilySpec {
    /// The metric's name.
    pub name: String,
    /// The text of HELP.
    pub help: String,
    /// Counter, gauge, summary, histogram.
    pub kind: MetricKind,
    /// Names of the labels. Who declares the same metric must name them in the same order.
    pub labels: Vec<String>,
    /// Ascending; only of a histogram.
    pub buckets: Vec<Bucket>,
    /// Label sets that are kept; others are refused.
    pub series_max: usize,
    /// `None`: for ever.
    pub retention: Option<Retention>,
}

impl FamilySpec {
    /// A family without limits of its own.
    pub fn new(name: &str, kind: MetricKind, help: &str, labels: Vec<String>) -> Self {
        Self {
            name: name.to_owned(),
            help: help.to_owned(),
            kind,
            labels,
            buckets: Vec::new(),
            series_max: usize::MAX,
            retention: None,
        }
    }
}

/// The values of a label set, in the order of the family's labels.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct LabelValues {
    bytes: Vec<u8>,
    /// Where the value begins that is being written.
    begin: usize,
}

impl LabelValues {
    /// Whole values.
    pub fn of<'v>(values: impl IntoIterator<Item = &'v str>) -> Self {
        let mut all = Self::default();
        for value in values {
            all.append(value.as_bytes());
            all.end();
        }
        all
    }

    /// Takes all values out.
    pub fn clear(&mut self) {
        self.bytes.clear();
        self.begin = 0;
    }

    /// Adds a piece of a value. What is not UTF-8 in it becomes U+FFFD.
    pub fn append(&mut self, piece: &[u8]) {
        match std::str::from_utf8(piece) {
            Ok(text) => self.bytes.extend_from_slice(text.as_bytes()),
            Err(_) => self.bytes.extend_from_slice(String::from_utf8_lossy(piece).as_bytes()),
        }
    }

    /// Ends a value.
    pub fn end(&mut self) {
        if self.bytes.len() - self.begin > LABEL_BYTES_MAX {
            let mut cut = self.begin + LABEL_BYTES_MAX;
            // Not within a character.
            while cut > self.begin && self.bytes[cut] & 0xc0 == 0x80 {
                cut -= 1;
            }
            self.bytes.truncate(cut);
        }
        self.bytes.push(END);
        self.begin = self.bytes.len();
    }
}

/// See the module.
#[derive(Debug)]
pub struct Family {
    spec: FamilySpec,
    table: Arc<Mutex<Table>>,
}

#[derive(Debug)]
struct Table {
    series: HashMap<Box<[u8]>, Series>,
    /// A label set was refused, and that has been said.
    is_full: bool,
    /// When it was last looked for series to let go of.
    checked: Instant,
}

#[derive(Debug)]
struct Series {
    value: Value,
    /// `None`: it is there because the configuration says so, and stays.
    updated: Option<Instant>,
}

#[derive(Debug)]
enum Value {
    Number(f64),
    /// Observations by bucket; the last is for what is above all bounds, and the only one of a summary.
    Observed {
        counts: Box<[u64]>,
        sum: f64,
    },
}

/// One change of a series.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Update {
    /// Sets a gauge (or a counter that somebody else counts).
    Set(f64),
    /// Adds to a counter.
    Add(f64),
    /// Observes a value in a summary or histogram.
    Observe(f64),
    /// Makes the series, with zero, if it is not there.
    Initialize,
}

/// What became of an update.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Recorded {
    /// It is recorded.
    Yes,
    /// The family is full, and has said so before.
    Refused,
    /// The family is full, for the first time.
    RefusedFirst,
}

/// A family while it is being updated: others wait.
pub struct Updates<'f> {
    spec: &'f FamilySpec,
    table: MutexGuard<'f, Table>,
    now: Instant,
}

impl Family {
    /// Without series.
    pub fn new(spec: FamilySpec) -> Self {
        let table = Table { series: HashMap::new(), is_full: false, checked: Instant::now() };
        Self { spec, table: Arc::new(Mutex::new(table)) }
    }

    /// What it is.
    pub fn spec(&self) -> &FamilySpec {
        &self.spec
    }

    /// With the series of this one, if they mean the same.
    pub(super) fn succeeded_by(&self, spec: &FamilySpec) -> Option<Self> {
        let is_same = |own: &FamilySpec| {
            own.name == spec.name
                && own.kind == spec.kind
                && own.labels == spec.labels
                && own.buckets == spec.buckets
        };
        is_same(&self.spec).then(|| Self { spec: spec.clone(), table: Arc::clone(&self.table) })
    }

    /// Begins to update it.
    pub fn updates(&self) -> Updates<'_> {
        let mut updates = Updates { spec: &self.spec, table: self.lock(), now: Instant::now() };
        updates.let_go(false);
        updates
    }

    /// Takes a series out.
    pub fn remove(&self, labels: &LabelValues) {
        self.lock().series.remove(labels.bytes.as_slice());
    }

    /// How many series it has.
    pub fn series_count(&self) -> usize {
        self.lock().series.len()
    }

    /// Writes it down.
    pub fn show(&self, exposition: &mut Exposition) {
        let spec = &self.spec;
        let updates = self.updates();
        let mut samples = exposition.family(&spec.name, spec.kind, &spec.help);
        let mut all: Vec<(&[u8], &Value)> =
            updates.table.series.iter().map(|(key, series)| (&**key, &series.value)).collect();
        all.sort_unstable_by_key(|(key, _)| *key);
        for (key, value) in all {
            // Only texts are written.
            let values = key.split(|byte| *byte == END).map(|value| std::str::from_utf8(value).unwrap_or(""));
            let labels = || spec.labels.iter().map(String::as_str).zip(values.clone());
            match value {
                Value::Number(number) => samples.add("", labels(), *number),
                Value::Observed { counts, sum } => {
                    let mut below = 0;
                    for (index, count) in counts.iter().enumerate() {
                        below += count;
                        if spec.kind == MetricKind::Histogram {
                            let bound = spec.buckets.get(index).map_or("+Inf", |bucket| &bucket.text);
                            samples.add("_bucket", labels().chain([("le", bound)]), below as f64);
                        }
                    }
                    samples.add("_sum", labels(), *sum);
                    samples.add("_count", labels(), below as f64);
                }
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Updates<'_> {
    /// Updates the series of `labels`.
    pub fn update(&mut self, labels: &LabelValues, update: Update) -> Recorded {
        if !self.table.series.contains_key(labels.bytes.as_slice()) {
            if self.table.series.len() >= self.spec.series_max {
                self.let_go(true);
            }
            if self.table.series.len() >= self.spec.series_max {
                let is_known = std::mem::replace(&mut self.table.is_full, true);
                return if is_known { Recorded::Refused } else { Recorded::RefusedFirst };
            }
            let value = match self.spec.kind {
                MetricKind::Counter | MetricKind::Gauge => Value::Number(0.0),
                MetricKind::Summary | MetricKind::Histogram => {
                    Value::Observed { counts: vec![0; self.spec.buckets.len() + 1].into(), sum: 0.0 }
                }
            };
            self.table.series.insert(labels.bytes.as_slice().into(), Series { value, updated: None });
        }
        let Some(series) = self.table.series.get_mut(labels.bytes.as_slice()) else { return Recorded::Yes };
        match (&mut series.value, update) {
            (_, Update::Initialize) => return Recorded::Yes,
            (Value::Number(number), Update::Set(value)) => *number = value,
            (Value::Number(number), Update::Add(value) | Update::Observe(value)) => *number += value,
            (
                Value::Observed { counts, sum },
                Update::Set(value) | Update::Add(value) | Update::Observe(value),
            ) => {
                let index = self.spec.buckets.partition_point(|bucket| bucket.bound < value);
                if let Some(count) = counts.get_mut(index) {
                    *count += 1;
                }
                *sum += value;
            }
        }
        series.updated = Some(self.now);
        Recorded::Yes
    }

    /// Lets go of what was not updated for too long, if it is time to look for that, or at once.
    fn let_go(&mut self, at_once: bool) {
        let Some(retention) = self.spec.retention else { return };
        let now = self.now;
        if at_once || now.duration_since(self.table.checked) >= retention.check_interval {
            self.table.checked = now;
            let is_old = |updated: Instant| now.duration_since(updated) >= retention.keep;
            self.table.series.retain(|_, series| !series.updated.is_some_and(is_old));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn family(kind: MetricKind) -> FamilySpec {
        FamilySpec::new("m", kind, "Help", vec!["l".to_owned()])
    }

    fn shown(family: &Family) -> String {
        let mut exposition = Exposition::default();
        family.show(&mut exposition);
        let text = exposition.into_text();
        text.lines().filter(|line| !line.starts_with('#')).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn a_histogram_is_cumulative_and_bounds_are_inclusive() {
        let bucket = |bound, text: &str| Bucket { bound, text: text.to_owned() };
        let buckets = vec![bucket(0.1, "0.1"), bucket(1.0, "1")];
        let family = Family::new(FamilySpec { buckets, ..family(MetricKind::Histogram) });
        for value in [0.05, 0.1, 1.0, 7.0, -3.0] {
            family.updates().update(&LabelValues::of(["x"]), Update::Observe(value));
        }
        assert_eq!(
            shown(&family),
            "m_bucket{l=\"x\",le=\"0.1\"} 3 m_bucket{l=\"x\",le=\"1\"} 4 m_bucket{l=\"x\",le=\"+Inf\"} 5 \
             m_sum{l=\"x\"} 5.15 m_count{l=\"x\"} 5"
        );
    }

    #[test]
    fn numbers_and_summaries() {
        let counter = Family::new(family(MetricKind::Counter));
        counter.updates().update(&LabelValues::of(["b"]), Update::Add(2.0));
        counter.updates().update(&LabelValues::of(["b"]), Update::Add(1.5));
        counter.updates().update(&LabelValues::of(["a"]), Update::Initialize);
        assert_eq!(shown(&counter), "m{l=\"a\"} 0 m{l=\"b\"} 3.5");
        let gauge = Family::new(family(MetricKind::Gauge));
        gauge.updates().update(&LabelValues::of([""]), Update::Set(3.0));
        gauge.updates().update(&LabelValues::of([""]), Update::Set(-1.0));
        assert_eq!(shown(&gauge), "m{l=\"\"} -1");
        gauge.remove(&LabelValues::of([""]));
        assert_eq!(shown(&gauge), "");
        let summary = Family::new(family(MetricKind::Summary));
        summary.updates().update(&LabelValues::of(["x"]), Update::Observe(3.0));
        summary.updates().update(&LabelValues::of(["x"]), Update::Observe(4.0));
        assert_eq!(shown(&summary), "m_sum{l=\"x\"} 7 m_count{l=\"x\"} 2");
    }

    #[test]
    fn beyond_the_limit_label_sets_are_refused_and_known_ones_go_on() {
        let family = Family::new(FamilySpec { series_max: 2, ..family(MetricKind::Counter) });
        let add = |value: &str| family.updates().update(&LabelValues::of([value]), Update::Add(1.0));
        assert_eq!([add("a"), add("b")], [Recorded::Yes; 2]);
        assert_eq!(
            [add("c"), add("d"), add("a")],
            [Recorded::RefusedFirst, Recorded::Refused, Recorded::Yes]
        );
        assert_eq!(shown(&family), "m{l=\"a\"} 2 m{l=\"b\"} 1");
    }

    #[test]
    fn series_without_updates_go_but_initialized_ones_stay() {
        let retention = Some(Retention { keep: Duration::from_millis(1), check_interval: Duration::ZERO });
        let family = Family::new(FamilySpec { retention, ..family(MetricKind::Counter) });
        family.updates().update(&LabelValues::of(["stays"]), Update::Initialize);
        family.updates().update(&LabelValues::of(["goes"]), Update::Add(1.0));
        std::thread::sleep(Duration::from_millis(5));
        assert_eq!(shown(&family), "m{l=\"stays\"} 0");
    }

    #[test]
    fn values_are_texts_of_a_bounded_length() {
        let mut values = LabelValues::default();
        values.append("ä".repeat(LABEL_BYTES_MAX).as_bytes());
        values.end();
        assert_eq!(values.bytes.len(), LABEL_BYTES_MAX + 1);
        values.clear();
        values.append(format!("x{}", "ä".repeat(LABEL_BYTES_MAX)).as_bytes());
        values.end();
        values.append(b"\xff\xfe");
        values.end();
        assert_eq!(values.bytes.len(), LABEL_BYTES_MAX + 6 + 1);
        let family =
            Family::new(FamilySpec { labels: vec!["a".into(), "b".into()], ..family(MetricKind::Counter) });
        family.updates().update(&values, Update::Add(1.0));
        assert!(shown(&family).ends_with("\",b=\"\u{fffd}\u{fffd}\"} 1"));
    }
}
