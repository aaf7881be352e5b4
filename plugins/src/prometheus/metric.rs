//! One `<metric>`: what it is called, and which number a record gives it.

use super::initial::label_sets;
use super::labels::{Constants, Labels};
use super::refused;
use logweir_engine::config::{Diagnostic, Params};
use logweir_engine::json;
use logweir_engine::log_warn;
use logweir_engine::msgpack::{Accessor, ValueRef};
use logweir_engine::plugin::{BuildContext, Param, ParamKind, SectionSpec};
use logweir_engine::telemetry::prometheus::{
    Bucket, DEFAULT_BUCKETS, Family, FamilySpec, MetricKind, Retention, Update,
};
use std::sync::Arc;

/// Label sets of a metric, unless the configuration says otherwise: the tags and statuses of a large site are far below it, and
/// what a client makes up (paths, addresses) is beyond it.
const SERIES_MAX: &str = "10000";

pub(super) const LABELS: SectionSpec = SectionSpec {
    free: true,
    ..SectionSpec::new(
        "labels",
        "Labels: a name and a text with placeholders, or a field in record accessor syntax",
    )
};

pub(super) const METRIC: SectionSpec = SectionSpec {
    repeated: true,
    params: &[
        Param::new("name", ParamKind::String, "The metric's name").required(),
        Param::new(
            "type",
            ParamKind::Enum(&["counter", "gauge", "summary", "histogram"]),
            "What it is; a summary is a count and a sum",
        )
        .required(),
        Param::new("desc", ParamKind::String, "What it means, for those who read the metrics").required(),
        Param::new(
            "key",
            ParamKind::String,
            "The field with the number, in record accessor syntax; a counter without one counts records",
        ),
        Param::new("buckets", ParamKind::String, "Upper bounds of a histogram, ascending, separated by commas"),
        Param::new("initialized", ParamKind::Bool, "Whether it is there with zero before the first record")
            .default("false"),
        Param::new("retention", ParamKind::Time, "Seconds after which a label set goes that was not updated"),
        Param::new("retention_check_interval", ParamKind::Time, "How often it is looked for such").default("60"),
        Param::new(
            "series_limit",
            ParamKind::Integer,
            "Label sets; further ones are not counted, with a warning and in logweir_metric_updates_refused_total",
        )
        .default(SERIES_MAX),
    ],
    sections: &[
        LABELS,
        SectionSpec {
            free: true,
            repeated: true,
            ..SectionSpec::new("initlabels", "A label set that is there from the start, with initialized")
        },
    ],
    ..SectionSpec::new("metric", "A metric")
};

/// See the module.
pub(super) struct Metric {
    pub(super) family: Arc<Family>,
    pub(super) labels: Labels,
    key: Option<(String, Accessor)>,
}

/// Why a record gives a metric no number.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Fault {
    /// As the original's exception.
    pub(super) class: &'static str,
    pub(super) message: String,
}

impl Metric {
    /// Declares the metric of a section. `outer` are the labels of the whole plugin.
    pub(super) fn read(
        section: &Params,
        outer: &Labels,
        constants: &Constants,
        context: &mut BuildContext<'_>,
    ) -> Result<Self, Diagnostic> {
        let own = read_labels(section, constants)?;
        let labels = outer.with(own);
        let kind = section.word("type").and_then(MetricKind::parse).unwrap_or(MetricKind::Counter);
        let key = match section.str("key") {
            None => None,
            Some(key) => {
                let accessor =
                    Accessor::parse(key).map_err(|error| section.error("key", error.to_string()))?;
                Some((key.to_owned(), accessor))
            }
        };
        if key.is_none() && kind != MetricKind::Counter {
            return Err(section.error_here(format!("{} metric requires 'key' option", kind.as_str())));
        }
        let spec = FamilySpec {
            buckets: buckets(section, kind)?,
            series_max: series_limit(section)?,
            retention: retention(section)?,
            ..FamilySpec::new(&section.string("name"), kind, &section.string("desc"), labels.names())
        };
        let place = section.span().to_string();
        let family =
            context.shared.metrics.declare(spec, &place, true).map_err(|error| refused(section, error))?;
        // From the start, so that the first refusal is a rise.
        metrics::counter!("logweir_metric_updates_refused_total", "metric" => section.string("name"))
            .increment(0);
        if section.bool("initialized") {
            let mut updates = family.updates();
            for set in label_sets(section, &labels)? {
                updates.update(&set, Update::Initialize);
            }
        } else if section.section("initlabels").is_some() {
            log_warn!(
                context.log,
                "<initlabels> has no effect without 'initialized true'",
                metric = section.string("name")
            );
        }
        Ok(Self { family, labels, key })
    }

    /// Whether each record adds one, whatever is in it.
    pub(super) fn counts_records(&self) -> bool {
        self.key.is_none()
    }

    /// What a raw record does; nothing if it has no value.
    pub(super) fn update(&self, record: &[u8]) -> Result<Option<Update>, Fault> {
        let Some((key, accessor)) = &self.key else { return Ok(Some(Update::Add(1.0))) };
        let Some(raw) = accessor.get(record) else { return Ok(None) };
        let number = match ValueRef::read(raw) {
            Ok(ValueRef::Nil) => return Ok(None),
            Ok(ValueRef::Int(value)) => value as f64,
            Ok(ValueRef::UInt(value)) => value as f64,
            Ok(ValueRef::F32(value)) => f64::from(value),
            Ok(ValueRef::F64(value)) => value,
            _ => {
                let mut shown = Vec::new();
                json::ruby_inspect(raw, &mut shown);
                let shown = String::from_utf8_lossy(&shown);
                let shown: String = shown.chars().take(SHOWN_CHARS_MAX).collect();
                let message = format!("value must be a number: {key} is {shown}");
                return Err(Fault { class: "ArgumentError", message });
            }
        };
        Ok(Some(match self.family.spec().kind {
            MetricKind::Gauge => Update::Set(number),
            // What is no number would stay one for ever.
            _ if number.is_nan() => {
                return Err(Fault {
                    class: "ArgumentError",
                    message: format!("{key} is not a number (NaN)"),
                });
            }
            MetricKind::Counter if number < 0.0 => {
                let message = format!("increment must be a non-negative number: {key} is {number}");
                return Err(Fault { class: "ArgumentError", message });
            }
            MetricKind::Counter => Update::Add(number),
            MetricKind::Summary | MetricKind::Histogram => Update::Observe(number),
        }))
    }
}

/// Of a value that is no number, in a message.
const SHOWN_CHARS_MAX: usize = 100;

/// The `<labels>` of a section.
pub(super) fn read_labels(section: &Params, constants: &Constants) -> Result<Labels, Diagnostic> {
    let labels = section.section("labels");
    Labels::read(labels, constants).map_err(|(name, message)| labels.unwrap_or(section).error(&name, message))
}

fn series_limit(section: &Params) -> Result<usize, Diagnostic> {
    match section.int("series_limit").and_then(|limit| usize::try_from(limit).ok()) {
        Some(limit) if limit > 0 => Ok(limit),
        _ => Err(section.error("series_limit", "'series_limit' must be at least 1")),
    }
}

fn retention(section: &Params) -> Result<Option<Retention>, Diagnostic> {
    let Some(keep) = section.time("retention") else { return Ok(None) };
    let check_interval = section.time("retention_check_interval").unwrap_or_default();
    if keep.is_zero() {
        return Err(section.error("retention", "'retention' must be more than 0"));
    }
    Ok(Some(Retention { keep, check_interval }))
}

/// Upper bounds with their texts as Ruby shows them: `0.10` is `0.1`, `5` and `5.0` stay what they are.
fn buckets(section: &Params, kind: MetricKind) -> Result<Vec<Bucket>, Diagnostic> {
    let Some(text) = section.str("buckets") else {
        let defaults = if kind == MetricKind::Histogram { &DEFAULT_BUCKETS[..] } else { &[] };
        let bucket = |(bound, text): &(f64, &str)| Bucket { bound: *bound, text: (*text).to_owned() };
        return Ok(defaults.iter().map(bucket).collect());
    };
    if kind != MetricKind::Histogram {
        return Err(section.error("buckets", format!("a {} has no buckets", kind.as_str())));
    }
    let mut buckets: Vec<Bucket> = Vec::new();
    for item in text.split(',').map(str::trim) {
        let bound = item.parse::<f64>().ok().filter(|bound| bound.is_finite());
        let Some(bound) = bound else {
            return Err(section.error("buckets", format!("{item:?} is not a number")));
        };
        if buckets.last().is_some_and(|last| last.bound >= bound) {
            return Err(section.error("buckets", "Unsorted buckets, typo?"));
        }
        let mut shown = Vec::new();
        if item.contains(['.', 'e', 'E']) {
            json::write_ruby_float(&mut shown, bound);
        } else {
            shown.extend_from_slice(format!("{bound}").as_bytes());
        }
        buckets.push(Bucket { bound, text: String::from_utf8_lossy(&shown).into_owned() });
    }
    Ok(buckets)
}
