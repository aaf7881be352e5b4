//! What a monitor shows: metrics that it sets anew, round after round. What it did not set in a round (a file that is followed no
//! more) is gone after it.

use super::labels::{Constants, LabelText, Labels};
use super::metric::{LABELS, read_labels};
use super::refused;
use super::worker::Worker;
use logweir_engine::config::{Diagnostic, Params};
use logweir_engine::log_warn;
use logweir_engine::plugin::{BuildContext, Param, ParamKind, SectionSpec};
use logweir_engine::telemetry::prometheus::{Family, FamilySpec, LabelValues, MetricKind, Update};
use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

/// The sections of the monitors.
pub(crate) const MONITOR_SECTIONS: &[SectionSpec] = &[LABELS];

/// One of the metrics of a monitor.
pub(crate) struct Shown {
    pub(crate) name: &'static str,
    pub(crate) kind: MetricKind,
    pub(crate) help: &'static str,
}

/// See the module.
pub(crate) struct Board {
    /// The values of `<labels>`.
    base: Vec<String>,
    metrics: Vec<Written>,
    interval: Duration,
}

struct Written {
    name: &'static str,
    family: Arc<Family>,
    /// What was set in the round before, and in this one.
    before: HashSet<LabelValues>,
    now: HashSet<LabelValues>,
}

impl Board {
    pub(crate) const INTERVAL: Param =
        Param::new("interval", ParamKind::Time, "Seconds between updates").default("5");

    /// Declares the metrics of the monitor that `params` configures. `own` are the labels that it sets itself.
    pub(crate) fn declare(
        params: &Params,
        context: &mut BuildContext<'_>,
        own: &[&str],
        metrics: &[Shown],
    ) -> Result<Self, Diagnostic> {
        let interval = params.time("interval").unwrap_or_default();
        if interval.is_zero() {
            return Err(params.error("interval", "'interval' must be more than 0"));
        }
        let (mut names, base) = labels(params, context, own)?;
        names.extend(own.iter().map(|name| (*name).to_owned()));
        let place = params.span().to_string();
        let mut written = Vec::new();
        for Shown { name, kind, help } in metrics {
            let spec = FamilySpec::new(name, *kind, help, names.clone());
            let family = context.shared.metrics.declare(spec, &place, false);
            let family = family.map_err(|error| refused(params, error))?;
            written.push(Written { name, family, before: HashSet::new(), now: HashSet::new() });
        }
        Ok(Self { base, metrics: written, interval })
    }

    pub(super) fn interval(&self) -> Duration {
        self.interval
    }

    /// Sets a metric of those that were declared; `labels` are the values of the monitor's own labels.
    pub(crate) fn set(&mut self, name: &str, labels: &[&str], value: f64) {
        let Some(metric) = self.metrics.iter_mut().find(|metric| metric.name == name) else {
            debug_assert!(false, "{name} is not declared");
            return;
        };
        let values = LabelValues::of(self.base.iter().map(String::as_str).chain(labels.iter().copied()));
        metric.family.updates().update(&values, Update::Set(value));
        metric.now.insert(values);
    }

    /// One round: sets what there is now, and removes what was set in the round before and is not any more.
    pub(crate) fn round(&mut self, set: impl Fn(&mut Self)) {
        set(self);
        for metric in &mut self.metrics {
            let now = std::mem::take(&mut metric.now);
            metric.before.difference(&now).for_each(|gone| metric.family.remove(gone));
            metric.before = now;
        }
    }
}

/// Names and values of `<labels>`, which no record and no tag can fill here.
fn labels(
    params: &Params,
    context: &BuildContext<'_>,
    own: &[&str],
) -> Result<(Vec<String>, Vec<String>), Diagnostic> {
    let worker = Worker::of(context.system);
    let constants = Constants {
        hostname: rustix::system::uname().nodename().to_string_lossy().into_owned(),
        worker: worker.number,
    };
    let mut labels = read_labels(params, &constants)?;
    let section = params.section("labels").unwrap_or(params);
    if worker.is_one_of_many {
        labels = labels.with(Labels::worker(&constants));
    }
    let (mut names, mut values) = (Vec::new(), Vec::new());
    for (name, text) in labels.0 {
        if own.contains(&name.as_str()) {
            return Err(
                section.error(&name, format!("{} sets the label {name} itself", params.plugin_type()))
            );
        }
        let value = match (&text, text.constant()) {
            (LabelText::Field(..), _) => {
                let message = format!("record accessor syntax is not available in {}", params.plugin_type());
                return Err(section.error(&name, message));
            }
            (_, Some(value)) => value,
            (_, None) => {
                log_warn!(context.log, format!("unknown placeholder `{}` found", text.written()));
                text.written()
            }
        };
        names.push(name);
        values.push(value);
    }
    Ok((names, values))
}
