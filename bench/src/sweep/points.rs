//! Figures of a sweep's steps: as lines while it runs, as JSON for the plots.

use crate::report::Figures;
use serde_json::{Value, json};

/// CPU time of the program, all threads.
pub(crate) const CPU: &str = "CPU s / million records";
/// The same for bytes of entries (of lines, where files are tailed).
pub(crate) const CPU_BYTES: &str = "CPU s / GB";
pub(crate) const RECORDS: &str = "million records / s";
pub(crate) const BYTES: &str = "MB / s";
/// Highest resident size since the start.
pub(crate) const MEMORY: &str = "peak MB";

/// A step of a series: what grew, and what was measured.
pub(crate) struct Point {
    pub(crate) series: String,
    pub(crate) x: f64,
    pub(crate) values: Vec<(String, f64)>,
}

/// The steps of a sweep so far.
pub(crate) struct Points {
    x: &'static str,
    points: Vec<Point>,
}

/// A sweep that is done.
pub(crate) struct Swept {
    pub(crate) name: String,
    pub(crate) title: String,
    pub(crate) x: String,
    pub(crate) points: Vec<Point>,
}

impl Points {
    pub(crate) fn new(x: &'static str) -> Self {
        Self { x, points: Vec::new() }
    }

    /// Adds a step and prints it.
    pub(crate) fn add(&mut self, series: &str, x: f64, values: &[(&str, f64)]) {
        if self.points.last().is_none_or(|last| last.series != series) {
            println!("  {series}");
        }
        let shown: Vec<_> = values.iter().map(|(label, value)| format!("{label} {value:.3}")).collect();
        println!("{x:>12} {}: {}", self.x, shown.join(", "));
        let values = values.iter().map(|(label, value)| ((*label).to_owned(), *value)).collect();
        self.points.push(Point { series: series.to_owned(), x, values });
    }

    /// Adds a step with the figures that every sweep has, and what else there is.
    pub(crate) fn add_figures(&mut self, series: &str, x: f64, figures: &Figures, more: &[(&str, f64)]) {
        let mut values = vec![
            (CPU, figures.cpu * 1e6 / figures.records as f64),
            (RECORDS, figures.records as f64 / figures.seconds / 1e6),
            (MEMORY, figures.memory as f64 / 1e6),
        ];
        values.extend(more);
        self.add(series, x, &values);
    }

    pub(crate) fn into_swept(self, name: &str, title: &str) -> Swept {
        Swept { name: name.to_owned(), title: title.to_owned(), x: self.x.to_owned(), points: self.points }
    }
}

/// `[{name, title, x, points: [{series, x, values: {label: value}}]}]`
pub(super) fn json(all: &[Swept]) -> String {
    let point = |point: &Point| {
        let values: serde_json::Map<String, Value> =
            point.values.iter().map(|(label, value)| (label.clone(), json!(value))).collect();
        json!({"series": point.series, "x": point.x, "values": values})
    };
    let sweep = |swept: &Swept| {
        json!({
            "sweep": swept.name,
            "title": swept.title,
            "x": swept.x,
            "points": swept.points.iter().map(point).collect::<Vec<_>>(),
        })
    };
    let all: Vec<Value> = all.iter().map(sweep).collect();
    serde_json::to_string_pretty(&all).unwrap_or_default() + "\n"
}

impl Swept {
    /// What [`json`] wrote; `None` if it is something else.
    pub(crate) fn read(text: &str) -> Option<Vec<Self>> {
        let text_of = |value: &Value, key: &str| value.get(key)?.as_str().map(str::to_owned);
        let point = |value: &Value| {
            let values = value.get("values")?.as_object()?;
            let values = values.iter().map(|(label, value)| Some((label.clone(), value.as_f64()?)));
            Some(Point {
                series: text_of(value, "series")?,
                x: value.get("x")?.as_f64()?,
                values: values.collect::<Option<_>>()?,
            })
        };
        let sweep = |value: &Value| {
            Some(Self {
                name: text_of(value, "sweep")?,
                title: text_of(value, "title")?,
                x: text_of(value, "x")?,
                points: value.get("points")?.as_array()?.iter().map(point).collect::<Option<_>>()?,
            })
        };
        serde_json::from_str::<Value>(text).ok()?.as_array()?.iter().map(sweep).collect()
    }

    /// What was measured, in the order in which it came up.
    pub(crate) fn labels(&self) -> Vec<&str> {
        unique(self.points.iter().flat_map(|point| &point.values).map(|(label, _)| &**label))
    }

    /// The series.
    pub(crate) fn series_names(&self) -> Vec<&str> {
        unique(self.points.iter().map(|point| &*point.series))
    }

    /// The series that have a figure of this label, with its points.
    pub(crate) fn series(&self, label: &str) -> Vec<(&str, Vec<(f64, f64)>)> {
        let of_series = |series: &str| {
            let points = self.points.iter().filter(|point| point.series == series);
            let values = points.filter_map(|point| {
                let (_, value) = point.values.iter().find(|(name, _)| name == label)?;
                Some((point.x, *value))
            });
            values.collect::<Vec<_>>()
        };
        self.series_names()
            .into_iter()
            .map(|series| (series, of_series(series)))
            .filter(|(_, points)| !points.is_empty())
            .collect()
    }
}

fn unique<'a>(texts: impl Iterator<Item = &'a str>) -> Vec<&'a str> {
    let mut all = Vec::new();
    for text in texts {
        if !all.contains(&text) {
            all.push(text);
        }
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_again() {
        let mut points = Points::new("files");
        points.add("a", 1.0, &[(CPU, 0.5), (MEMORY, 12.0)]);
        points.add("b", 10.0, &[(MEMORY, 13.5)]);
        let text = json(&[points.into_swept("files", "Tailed files")]);
        let read = Swept::read(&text).expect("sweeps");
        assert_eq!((&*read[0].name, &*read[0].title, &*read[0].x), ("files", "Tailed files", "files"));
        assert_eq!(read[0].labels(), [CPU, MEMORY]);
        assert_eq!(read[0].series(CPU), [("a", vec![(1.0, 0.5)])]);
        assert_eq!(read[0].series(MEMORY), [("a", vec![(1.0, 12.0)]), ("b", vec![(10.0, 13.5)])]);
        assert!(Swept::read("[{}]").is_none());
    }
}
