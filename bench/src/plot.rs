//! Line charts as SVG, of what sweeps measured. They are made of strokes and text in greys and hues that can be read on light
//! and on dark pages; where the viewer tells which it is, text follows.

use crate::sweep::Swept;
use std::fmt::Write;
use std::path::Path;

const PANEL: (f64, f64) = (400.0, 250.0);
/// Space for the ticks' labels left of a plot and below it, and for its title above.
const MARGIN: (f64, f64, f64, f64) = (56.0, 40.0, 34.0, 16.0);
const LEGEND_LINE: f64 = 20.0;
const COLOURS: [&str; 5] = ["#3b82d6", "#d9772b", "#2f9e63", "#b0569d", "#8a8a2a"];
const DASHES: [&str; 5] = ["", "7 3", "2 3", "9 3 2 3", "4 2"];

const STYLE: &str = "text{font:12px system-ui,sans-serif;fill:#57606a}.t{font-weight:600}.g{stroke:#8b949e;stroke-opacity:.3}\
                     .a{stroke:#8b949e}@media(prefers-color-scheme:dark){text{fill:#adbac7}}";

/// Reads sweeps from a file of JSON and writes a chart for each into a directory: `sweep-NAME.svg`.
pub(crate) fn plot(json: &Path, dir: &Path) -> Result<(), String> {
    let failed = |path: &Path| {
        let path = path.display().to_string();
        move |error: std::io::Error| format!("{path}: {error}")
    };
    let text = std::fs::read_to_string(json).map_err(failed(json))?;
    let sweeps = Swept::read(&text)
        .ok_or_else(|| format!("{}: not what bench --sweep NAME --json FILE writes", json.display()))?;
    for sweep in &sweeps {
        let path = dir.join(format!("sweep-{}.svg", sweep.name));
        std::fs::write(&path, svg(sweep)).map_err(failed(&path))?;
        println!("{}", path.display());
    }
    Ok(())
}

/// A panel for each figure, two in a row, over one legend.
fn svg(sweep: &Swept) -> String {
    let labels = sweep.labels();
    let names = sweep.series_names();
    let rows = labels.len().div_ceil(2) as f64;
    let top = 12.0 + LEGEND_LINE * names.len() as f64;
    let (width, height) = (PANEL.0 * 2.0, top + PANEL.1 * rows);
    let mut out = String::new();
    let _ = writeln!(
        out,
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {height}\" width=\"{width}\" height=\"{height}\" \
         role=\"img\"><title>{}</title><style>{STYLE}</style>",
        escaped(&sweep.title)
    );
    for (number, name) in names.iter().enumerate() {
        let y = 16.0 + LEGEND_LINE * number as f64;
        let _ = writeln!(out, "<path d=\"M{} {y}h36\" {}/>", MARGIN.0, stroke(number));
        let _ = writeln!(out, "<text x=\"{}\" y=\"{}\">{}</text>", MARGIN.0 + 46.0, y + 4.0, escaped(name));
    }
    for (number, label) in labels.iter().enumerate() {
        let (column, row) = ((number % 2) as f64, (number / 2) as f64);
        let _ = writeln!(out, "<g transform=\"translate({} {})\">", column * PANEL.0, top + row * PANEL.1);
        panel(&mut out, label, &sweep.x, &names, &sweep.series(label));
        out.push_str("</g>\n");
    }
    out.push_str("</svg>\n");
    out
}

fn panel(out: &mut String, label: &str, x_label: &str, names: &[&str], series: &[(&str, Vec<(f64, f64)>)]) {
    let all = || series.iter().flat_map(|(_, points)| points);
    let x = Axis::of(all().map(|point| point.0), MARGIN.0, PANEL.0 - MARGIN.3);
    let y = Axis::from_zero(all().map(|point| point.1), PANEL.1 - MARGIN.1, MARGIN.2);
    let _ = writeln!(out, "<text class=\"t\" x=\"{}\" y=\"22\">{}</text>", MARGIN.0, escaped(label));
    for (value, text) in y.ticks() {
        let at = y.place(value);
        let _ = writeln!(out, "<path class=\"g\" d=\"M{} {at:.1}H{}\"/>", MARGIN.0, PANEL.0 - MARGIN.3);
        let _ = writeln!(
            out,
            "<text x=\"{}\" y=\"{:.1}\" text-anchor=\"end\">{text}</text>",
            MARGIN.0 - 6.0,
            at + 4.0
        );
    }
    for (value, text) in x.ticks() {
        let at = x.place(value);
        let base = PANEL.1 - MARGIN.1;
        let _ = writeln!(out, "<path class=\"a\" d=\"M{at:.1} {base}v4\"/>");
        let _ =
            writeln!(out, "<text x=\"{at:.1}\" y=\"{}\" text-anchor=\"middle\">{text}</text>", base + 17.0);
    }
    let _ = writeln!(
        out,
        "<text x=\"{}\" y=\"{}\" text-anchor=\"end\">{}</text>",
        PANEL.0 - MARGIN.3,
        PANEL.1 - 6.0,
        escaped(x_label)
    );
    for (name, points) in series {
        let number = names.iter().position(|other| other == name).unwrap_or(0);
        let places: Vec<String> =
            points.iter().map(|(vx, vy)| format!("{:.1} {:.1}", x.place(*vx), y.place(*vy))).collect();
        let _ = writeln!(out, "<path d=\"M{}\" {}/>", places.join("L"), stroke(number));
        for (vx, vy) in points {
            let _ = writeln!(
                out,
                "<circle cx=\"{:.1}\" cy=\"{:.1}\" r=\"2.5\" fill=\"{}\"/>",
                x.place(*vx),
                y.place(*vy),
                COLOURS[number % COLOURS.len()]
            );
        }
    }
}

fn stroke(number: usize) -> String {
    let (colour, dash) = (COLOURS[number % COLOURS.len()], DASHES[number % DASHES.len()]);
    format!("fill=\"none\" stroke=\"{colour}\" stroke-width=\"2\" stroke-dasharray=\"{dash}\"")
}

/// From values to places on the page.
struct Axis {
    low: f64,
    high: f64,
    from: f64,
    to: f64,
    logarithmic: bool,
    values: Vec<f64>,
}

impl Axis {
    /// With a tick at each value; logarithmic if they span more than a decade and have no zero.
    fn of(values: impl Iterator<Item = f64>, from: f64, to: f64) -> Self {
        let mut values: Vec<f64> = values.collect();
        values.sort_by(f64::total_cmp);
        values.dedup();
        let (low, high) = (values.first().copied().unwrap_or(0.0), values.last().copied().unwrap_or(1.0));
        let logarithmic = low > 0.0 && high / low > 10.0;
        Self { low, high, from, to, logarithmic, values }
    }

    /// From zero to a round number, with ticks at round numbers.
    fn from_zero(values: impl Iterator<Item = f64>, from: f64, to: f64) -> Self {
        let most = values.fold(0.0_f64, f64::max).max(1e-9);
        let decade = 10f64.powf(most.log10().floor());
        let step = [0.2, 0.5, 1.0, 2.0].map(|part| part * decade).into_iter().find(|step| step * 5.0 >= most);
        let step = step.unwrap_or(2.0 * decade);
        let count = (most / step).ceil() as usize;
        let values: Vec<f64> = (0..=count).map(|number| number as f64 * step).collect();
        Self { low: 0.0, high: count as f64 * step, from, to, logarithmic: false, values }
    }

    fn place(&self, value: f64) -> f64 {
        let scale = |value: f64| if self.logarithmic { value.log10() } else { value };
        let (low, high) = (scale(self.low), scale(self.high));
        let part = if high > low { (scale(value) - low) / (high - low) } else { 0.5 };
        self.from + part * (self.to - self.from)
    }

    /// Values to be labelled, without those whose labels would touch the one before.
    fn ticks(&self) -> Vec<(f64, String)> {
        let mut ticks: Vec<(f64, String)> = Vec::new();
        for value in &self.values {
            let near = ticks.last().is_some_and(|(last, _)| {
                (self.place(*last) - self.place(*value)).abs() < if self.from < self.to { 30.0 } else { 14.0 }
            });
            if !near {
                ticks.push((*value, shown(*value)));
            }
        }
        ticks
    }
}

/// Short: `10k`, `0.05`, `2.5`.
fn shown(value: f64) -> String {
    if value >= 1000.0 {
        return format!("{}k", trimmed(value / 1000.0, 1));
    }
    trimmed(value, if value >= 10.0 { 0 } else { 3 })
}

fn trimmed(value: f64, places: usize) -> String {
    let text = format!("{value:.places$}");
    if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.').to_owned() } else { text }
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn axes_have_round_ticks_and_put_values_between_their_ends() {
        let y = Axis::from_zero([0.03, 0.118].into_iter(), 200.0, 20.0);
        let texts: Vec<String> = y.ticks().into_iter().map(|(_, text)| text).collect();
        assert_eq!(texts, ["0", "0.05", "0.1", "0.15"]);
        assert_eq!((y.place(0.0), y.place(0.15).round()), (200.0, 20.0));
        let x = Axis::of([1.0, 100.0, 10_000.0].into_iter(), 0.0, 400.0);
        assert_eq!(x.ticks().iter().map(|(_, text)| &**text).collect::<Vec<_>>(), ["1", "100", "10k"]);
        assert_eq!(x.place(100.0), 200.0);
    }

    #[test]
    fn a_chart_has_each_series_in_each_panel() {
        let text = r#"[{"sweep":"tags","title":"a < b","x":"tags","points":[
            {"series":"one","x":1,"values":{"CPU":0.5,"MB":3}},
            {"series":"one","x":1000,"values":{"CPU":0.6,"MB":4}},
            {"series":"two","x":1,"values":{"CPU":0.7}}]}]"#;
        let sweeps = Swept::read(text).unwrap();
        let svg = svg(&sweeps[0]);
        assert!(svg.contains("<title>a &lt; b</title>"));
        // Two in the legend, two lines in the first panel and one in the second.
        assert_eq!(svg.matches("stroke-width").count(), 5);
        assert_eq!(svg.matches("<circle").count(), 5);
        assert_eq!(svg.matches("class=\"t\"").count(), 2);
    }
}
