//! What one configuration declares: each name once, with one type, text and set of labels, whoever declares it.

use super::exposition::Exposition;
use super::family::{Family, FamilySpec};
use super::own;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// The metrics that a configuration declares.
#[derive(Debug, Default)]
pub struct MetricRegistry {
    declared: Mutex<BTreeMap<String, Declared>>,
    /// Families of the configuration before, whose counters go on.
    before: BTreeMap<String, Arc<Family>>,
}

#[derive(Debug)]
struct Declared {
    family: Arc<Family>,
    /// Where the first declaration stands.
    place: String,
    is_carried_over: bool,
}

/// Why a metric cannot be declared.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct DeclareError {
    /// The parameter of `<metric>` that is at fault.
    pub parameter: &'static str,
    /// What is wrong.
    pub message: String,
    /// Where the other declaration stands, if there is one.
    pub other: Option<String>,
}

impl MetricRegistry {
    /// For the configuration that comes after the one of `self`: what both declare alike is counted on.
    pub fn successor(&self) -> Self {
        let declared = self.lock();
        let carried = declared.iter().filter(|(_, declared)| declared.is_carried_over);
        let before = carried.map(|(name, declared)| (name.clone(), Arc::clone(&declared.family))).collect();
        Self { declared: Mutex::default(), before }
    }

    /// Declares a metric, or finds it if it is declared already, with the same type, text and labels. `place` is where the
    /// declaration stands (`FILE:LINE:COLUMN`). What `is_carried_over` keeps its series when the configuration is read again.
    pub fn declare(
        &self,
        spec: FamilySpec,
        place: &str,
        is_carried_over: bool,
    ) -> Result<Arc<Family>, DeclareError> {
        check(&spec)?;
        let mut declared = self.lock();
        if let Some(known) = declared.get(&spec.name) {
            return match known.difference(&spec) {
                None => Ok(Arc::clone(&known.family)),
                Some(error) => Err(error),
            };
        }
        if let Some(error) = declared.values().find_map(|other| other.overlap(&spec)) {
            return Err(error);
        }
        let before = self.before.get(&spec.name).filter(|_| is_carried_over);
        let family = before.and_then(|family| family.succeeded_by(&spec));
        let family = Arc::new(family.unwrap_or_else(|| Family::new(spec.clone())));
        let entry = Declared { family: Arc::clone(&family), place: place.to_owned(), is_carried_over };
        declared.insert(spec.name, entry);
        Ok(family)
    }

    /// Writes down all metrics that are declared.
    pub fn show(&self, exposition: &mut Exposition) {
        let families: Vec<Arc<Family>> =
            self.lock().values().map(|declared| Arc::clone(&declared.family)).collect();
        for family in families {
            family.show(exposition);
        }
    }

    /// The family of that name.
    pub fn get(&self, name: &str) -> Option<Arc<Family>> {
        self.lock().get(name).map(|declared| Arc::clone(&declared.family))
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, Declared>> {
        self.declared.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Declared {
    fn difference(&self, spec: &FamilySpec) -> Option<DeclareError> {
        let (own, name) = (self.family.spec(), &spec.name);
        let (parameter, message) = if own.kind != spec.kind {
            ("type", format!("{name} has already been registered as {} type", own.kind.as_str()))
        } else if own.help != spec.help {
            ("desc", format!("{name} has already been registered with different docstring"))
        } else if own.labels != spec.labels {
            let labels = own.labels.join(", ");
            ("labels", format!("{name} has already been registered with other labels: {labels}"))
        } else if own.buckets != spec.buckets {
            ("buckets", format!("{name} has already been registered with other buckets"))
        } else if own.series_max != spec.series_max {
            ("series_limit", format!("{name} has already been registered with another series_limit"))
        } else if own.retention != spec.retention {
            ("retention", format!("{name} has already been registered with another retention"))
        } else {
            return None;
        };
        Some(DeclareError { parameter, message, other: Some(self.place.clone()) })
    }

    /// A summary `x` has samples `x_sum` and `x_count`, which no other metric may have.
    fn overlap(&self, spec: &FamilySpec) -> Option<DeclareError> {
        let own = self.family.spec();
        let samples = |spec: &FamilySpec| -> Vec<String> {
            spec.kind.suffixes().iter().map(|suffix| format!("{}{suffix}", spec.name)).collect()
        };
        let mut taken = samples(own);
        taken.push(own.name.clone());
        let mut wanted = samples(spec);
        wanted.push(spec.name.clone());
        let name = wanted.into_iter().find(|name| taken.contains(name))?;
        let message = format!("{name} is already a sample of the {} {}", own.kind.as_str(), own.name);
        Some(DeclareError { parameter: "name", message, other: Some(self.place.clone()) })
    }
}

fn check(spec: &FamilySpec) -> Result<(), DeclareError> {
    let refuse = |parameter, message| Err(DeclareError { parameter, message, other: None });
    if !is_name(&spec.name, true) {
        let message = format!("{:?} is no metric name: letters, digits, _ and :, no digit first", spec.name);
        return refuse("name", message);
    }
    if own::is_reserved(&spec.name) {
        return refuse("name", format!("{} is a name of Logweir's own metrics", spec.name));
    }
    if spec.help.is_empty() {
        return refuse("desc", "docstring must be given".to_owned());
    }
    for label in &spec.labels {
        if !is_name(label, false) || label.starts_with("__") {
            let message =
                format!("{label:?} is no label name: letters, digits and _, no digit and no __ first");
            return refuse("labels", message);
        }
        use super::MetricKind::{Histogram, Summary};
        if matches!((spec.kind, label.as_str()), (Histogram, "le") | (Summary, "quantile")) {
            return refuse("labels", format!("{label} is a reserved label of a {}", spec.kind.as_str()));
        }
    }
    Ok(())
}

fn is_name(text: &str, with_colon: bool) -> bool {
    let is_start = |byte: u8| byte.is_ascii_alphabetic() || byte == b'_' || with_colon && byte == b':';
    text.bytes().next().is_some_and(is_start)
        && text.bytes().all(|byte| is_start(byte) || byte.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::super::exposition::MetricKind::{self, Counter, Gauge, Histogram, Summary};
    use super::super::family::{LabelValues, Update};
    use super::*;

    fn spec(name: &str, kind: MetricKind, labels: &[&str]) -> FamilySpec {
        FamilySpec::new(name, kind, "Help", labels.iter().map(|label| (*label).to_owned()).collect())
    }

    #[test]
    fn one_name_is_one_metric() {
        let registry = MetricRegistry::default();
        let first = registry.declare(spec("m", Counter, &["a"]), "f:1:1", true).unwrap();
        let again = registry.declare(spec("m", Counter, &["a"]), "f:9:1", true).unwrap();
        assert!(Arc::ptr_eq(&first, &again));
        let refused = |spec| {
            let error = registry.declare(spec, "f:9:1", true).unwrap_err();
            (error.parameter, error.message, error.other.as_deref() == Some("f:1:1"))
        };
        let text = |text: &str| format!("m has already been registered {text}");
        assert_eq!(refused(spec("m", Gauge, &["a"])), ("type", text("as counter type"), true));
        let other = FamilySpec { help: "Other".to_owned(), ..spec("m", Counter, &["a"]) };
        assert_eq!(refused(other), ("desc", text("with different docstring"), true));
        assert_eq!(refused(spec("m", Counter, &["a", "b"])), ("labels", text("with other labels: a"), true));
        registry.declare(spec("s", Summary, &[]), "f:1:1", true).unwrap();
        let message = "s_count is already a sample of the summary s".to_owned();
        assert_eq!(refused(spec("s_count", Counter, &[])), ("name", message, true));
    }

    #[test]
    fn names_that_prometheus_does_not_take() {
        let registry = MetricRegistry::default();
        let refused = |spec: FamilySpec| registry.declare(spec, "", true).unwrap_err().parameter;
        for name in ["", "1a", "a-b", "ä", "a b", "logweir_records_stored_total", "process_open_fds"] {
            assert_eq!(refused(spec(name, Counter, &[])), "name", "{name}");
        }
        for label in ["", "1", "a:b", "__name__", "a.b"] {
            assert_eq!(refused(spec("m", Counter, &[label])), "labels", "{label}");
        }
        assert_eq!(refused(spec("m", Histogram, &["le"])), "labels");
        assert_eq!(refused(spec("m", Summary, &["quantile"])), "labels");
        assert_eq!(refused(FamilySpec { help: String::new(), ..spec("m", Counter, &[]) }), "desc");
        registry.declare(spec("a:b_1", Counter, &["le", "_x1"]), "", true).unwrap();
    }

    #[test]
    fn the_next_configuration_counts_on() {
        let add = |family: &Family| family.updates().update(&LabelValues::of(["x"]), Update::Add(1.0));
        let first = MetricRegistry::default();
        add(&first.declare(spec("kept", Counter, &["a"]), "", true).unwrap());
        add(&first.declare(spec("changed", Counter, &["a"]), "", true).unwrap());
        add(&first.declare(spec("watched", Gauge, &["a"]), "", false).unwrap());
        let second = first.successor();
        let other_help = FamilySpec { help: "Another".to_owned(), ..spec("kept", Counter, &["a"]) };
        let kept = second.declare(other_help, "", true).unwrap();
        let changed = second.declare(spec("changed", Counter, &["b"]), "", true).unwrap();
        let watched = second.declare(spec("watched", Gauge, &["a"]), "", false).unwrap();
        add(&kept);
        let series = [&kept, &changed, &watched].map(|family| family.series_count());
        assert_eq!(series, [1, 0, 0]);
        let mut exposition = Exposition::default();
        second.show(&mut exposition);
        let text = exposition.into_text();
        assert!(text.contains("# HELP kept Another\n") && text.contains("\nkept{a=\"x\"} 2\n"), "{text}");
    }
}
