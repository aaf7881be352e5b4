//! The text format: families in the order of their names, HELP and TYPE once, then the samples.
//!
//! ```text
//! # HELP name text
//! # TYPE name counter|gauge|summary|histogram
//! name{label="value",...} number
//! ```

use super::own::OwnMetric;
use std::collections::BTreeMap;
use std::fmt::Write;

/// What a metric is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum MetricKind {
    Counter,
    Gauge,
    /// A count and a sum; quantiles are not kept, as in Fluentd.
    Summary,
    Histogram,
}

impl MetricKind {
    /// Its name in the text format and in configurations.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Counter => "counter",
            Self::Gauge => "gauge",
            Self::Summary => "summary",
            Self::Histogram => "histogram",
        }
    }

    /// From its name.
    pub fn parse(name: &str) -> Option<Self> {
        [Self::Counter, Self::Gauge, Self::Summary, Self::Histogram]
            .into_iter()
            .find(|kind| kind.as_str() == name)
    }

    /// What is put behind the name of the family for the names of its samples.
    pub(super) fn suffixes(self) -> &'static [&'static str] {
        match self {
            Self::Counter | Self::Gauge => &[""],
            Self::Summary => &["_sum", "_count"],
            Self::Histogram => &["_bucket", "_sum", "_count"],
        }
    }
}

/// Families that are being written down.
#[derive(Debug, Default)]
pub struct Exposition {
    families: BTreeMap<String, FamilyText>,
}

#[derive(Debug)]
struct FamilyText {
    kind: MetricKind,
    help: String,
    samples: String,
}

/// The samples of one family.
pub struct Samples<'e> {
    name: &'e str,
    text: &'e mut String,
}

impl Exposition {
    /// Begins a family, or goes on with it.
    pub fn family<'e>(&'e mut self, name: &'e str, kind: MetricKind, help: &str) -> Samples<'e> {
        let family = self.families.entry(name.to_owned()).or_insert_with(|| FamilyText {
            kind,
            help: help.to_owned(),
            samples: String::new(),
        });
        Samples { name, text: &mut family.samples }
    }

    /// The same for one of Logweir's own.
    pub fn own(&mut self, metric: &'static OwnMetric) -> Samples<'_> {
        self.family(metric.name, metric.kind, metric.help)
    }

    /// The whole text.
    pub fn into_text(self) -> String {
        let mut text = String::new();
        for (name, family) in self.families {
            text.push_str("# HELP ");
            text.push_str(&name);
            text.push(' ');
            escape(&mut text, &family.help, false);
            // Writing to a string cannot fail.
            let _ = writeln!(text, "\n# TYPE {name} {}", family.kind.as_str());
            text.push_str(&family.samples);
        }
        text
    }
}

impl Samples<'_> {
    /// Adds a sample. `suffix` goes behind the family's name: `_sum`, `_count`, `_bucket`, or nothing.
    pub fn add<'l>(
        &mut self,
        suffix: &str,
        labels: impl IntoIterator<Item = (&'l str, &'l str)>,
        value: f64,
    ) {
        self.text.push_str(self.name);
        self.text.push_str(suffix);
        let mut separator = '{';
        for (name, value) in labels {
            self.text.push(separator);
            self.text.push_str(name);
            self.text.push_str("=\"");
            escape(self.text, value, true);
            self.text.push('"');
            separator = ',';
        }
        if separator == ',' {
            self.text.push('}');
        }
        self.text.push(' ');
        write_number(self.text, value);
        self.text.push('\n');
    }
}

fn escape(out: &mut String, text: &str, quotes: bool) {
    for c in text.chars() {
        match c {
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '"' if quotes => out.push_str("\\\""),
            c => out.push(c),
        }
    }
}

/// As Go's `ParseFloat` reads it.
fn write_number(out: &mut String, value: f64) {
    let size = value.abs();
    let _ = if value.is_nan() {
        write!(out, "NaN")
    } else if value.is_infinite() {
        write!(out, "{}", if value > 0.0 { "+Inf" } else { "-Inf" })
    } else if size != 0.0 && !(1e-6..1e21).contains(&size) {
        write!(out, "{value:e}")
    } else {
        write!(out, "{value}")
    };
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn families_come_once_and_sorted_and_texts_are_escaped() {
        let mut exposition = Exposition::default();
        exposition.family("b_total", MetricKind::Counter, "Lines\nand \\ and \"quotes\"").add("", [], 1.0);
        let mut family = exposition.family("a", MetricKind::Histogram, "Sizes");
        family.add("_bucket", [("le", "+Inf")], 2.0);
        family.add("_sum", [], 2.5);
        let odd = [("x", "a\"b\\c\nd"), ("y", "")];
        exposition.family("b_total", MetricKind::Counter, "ignored").add("", odd, 1e21);
        assert_eq!(
            exposition.into_text(),
            "# HELP a Sizes\n# TYPE a histogram\na_bucket{le=\"+Inf\"} 2\na_sum 2.5\n\
             # HELP b_total Lines\\nand \\\\ and \"quotes\"\n# TYPE b_total counter\nb_total 1\n\
             b_total{x=\"a\\\"b\\\\c\\nd\",y=\"\"} 1e21\n"
        );
    }

    #[test]
    fn numbers_as_go_reads_them() {
        let shown = |value| {
            let mut out = String::new();
            write_number(&mut out, value);
            out
        };
        for (value, text) in [
            (0.0, "0"),
            (-1.5, "-1.5"),
            (1e20, "100000000000000000000"),
            (5e-324, "5e-324"),
            (f64::MAX, "1.7976931348623157e308"),
            (f64::NAN, "NaN"),
            (f64::INFINITY, "+Inf"),
            (f64::NEG_INFINITY, "-Inf"),
        ] {
            assert_eq!(shown(value), text);
        }
    }
}
