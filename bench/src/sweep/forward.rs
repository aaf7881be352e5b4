//! Sweeps behind in_forward: connections, tags, sizes of records.

use super::points::{BYTES, CPU_BYTES, Points};
use super::stand::{FORWARD, NULL, STEP_TIMEOUT, Stand, TRANSFORM, figures};
use crate::arguments::Options;
use crate::load::Load;
use crate::logs::write_sized;
use crate::messages::Shape;
use crate::report::Figures;
use std::fs;

/// A file buffer with these keys (`[]` for none: out_null's own are the tag) and this `flush_interval`. The size of its chunks is set because out_null's own is 10 KiB, as Fluentd's is.
fn buffered(keys: &str, flush_interval: &str) -> String {
    format!(
        "{FORWARD}<match servio.**>\n  @type null\n  <buffer{keys}>\n    @type file\n    path @DIR@/buffer\n    chunk_limit_size \
         256m\n    flush_mode interval\n    flush_interval {flush_interval}\n  </buffer>\n</match>\n"
    )
}

/// Sends the same number of records over more and more connections.
pub(super) fn connections(options: &Options, command: &[String], points: &mut Points) -> Result<(), String> {
    let series = [
        ("-> null", format!("{FORWARD}{NULL}"), 4.0),
        ("-> file buffer (synced) -> null", buffered(" []", "1s"), 2.0),
    ];
    for (name, config, share) in &series {
        let idle = idle_memory(command, config)?;
        for connections in [1, 10, 100, 1000, 5000] {
            let records = (options.records as f64 * share) as usize;
            let shape = Shape { records, batch: 100, connections, ..Shape::default() };
            let figures = median(options, || Stand::start(command, config)?.send(&Load::of(&shape)))?;
            let each = (figures.memory.saturating_sub(idle) as f64 / 1e3) / connections as f64;
            let more = if connections >= 100 { vec![("kB / connection", each)] } else { Vec::new() };
            points.add_figures(name, connections as f64, &figures, &more);
        }
    }
    Ok(())
}

/// Highest resident size of a program that was only started.
fn idle_memory(command: &[String], config: &str) -> Result<u64, String> {
    let mut stand = Stand::start(command, config)?;
    stand.program.wait_until_quiet(STEP_TIMEOUT)?;
    Ok(stand.program.usage().memory)
}

/// Sends messages of more and more tags.
pub(super) fn tags(options: &Options, command: &[String], points: &mut Points) -> Result<(), String> {
    let series = [
        ("-> null", format!("{FORWARD}{NULL}"), 2.0),
        ("-> record_transformer -> null", format!("{FORWARD}{TRANSFORM}{NULL}"), 2.0),
        ("-> file buffer (synced) -> null", buffered(" []", "1s"), 2.0),
        // Chunks come and are not flushed: an interval of a second would flush one of them a second.
        ("-> file buffer by tag (synced)", buffered(" tag", "1h"), 1.0),
    ];
    for (name, config, share) in &series {
        for tags in [1, 10, 100, 1000, 10_000, 100_000] {
            let records = (options.records as f64 * share) as usize;
            let shape = Shape { records, batch: 10, tags, ..Shape::default() };
            let figures = median(options, || Stand::start(command, config)?.send(&Load::of(&shape)))?;
            points.add_figures(name, tags as f64, &figures, &[]);
        }
    }
    Ok(())
}

/// Sends, or tails, records of different sizes, in messages of the same size.
pub(super) fn record_size(options: &Options, command: &[String], points: &mut Points) -> Result<(), String> {
    let series = [
        ("forward -> null", format!("{FORWARD}{NULL}")),
        ("forward -> record_transformer -> null", format!("{FORWARD}{TRANSFORM}{NULL}")),
        ("forward -> file buffer (synced) -> null", buffered(" []", "1s")),
    ];
    const SIZES: [usize; 4] = [100, 300, 2048, 65_536];
    for (name, config) in &series {
        for record_bytes in SIZES {
            let records = options.records * 1200 / record_bytes;
            let batch = (290_000 / record_bytes).max(1);
            let shape = Shape { records, batch, record_bytes, ..Shape::default() };
            let figures = median(options, || Stand::start(command, config)?.send(&Load::of(&shape)))?;
            points.add_figures(name, record_bytes as f64, &figures, &per_byte(&figures));
        }
    }
    for record_bytes in SIZES {
        let figures = median(options, || tail(command, record_bytes, options.records * 600 / record_bytes))?;
        points.add_figures("tail, JSON lines -> null", record_bytes as f64, &figures, &per_byte(&figures));
    }
    Ok(())
}

fn tail(command: &[String], record_bytes: usize, records: usize) -> Result<Figures, String> {
    let mut stand = Stand::start(command, &format!("{}{NULL}", super::files::source("refresh_interval 1s")))?;
    stand.program.wait_until_quiet(STEP_TIMEOUT)?;
    let part = stand.dir().join("in.part");
    let bytes = write_sized(&part, records, record_bytes).map_err(|e| format!("{}: {e}", part.display()))?;
    fs::create_dir_all(stand.dir().join("in")).map_err(|e| e.to_string())?;
    let before = stand.program.usage();
    // The file appears at once under its name: a tail must not see it grow.
    fs::rename(&part, stand.dir().join("in/app.log")).map_err(|e| e.to_string())?;
    let begin = stand.program.wait_until_opened(&stand.dir().join("in/app.log"), STEP_TIMEOUT)?;
    let end = stand.program.wait_until_quiet(STEP_TIMEOUT)?;
    let seconds = end.duration_since(begin).as_secs_f64();
    Ok(figures(records, bytes, seconds, before, stand.program.usage()))
}

fn per_byte(figures: &Figures) -> [(&'static str, f64); 2] {
    let bytes = figures.bytes as f64;
    [(CPU_BYTES, figures.cpu * 1e9 / bytes), (BYTES, bytes / 1e6 / figures.seconds)]
}

/// `--repeat` runs of a step, each of a fresh program.
fn median(options: &Options, run: impl Fn() -> Result<Figures, String>) -> Result<Figures, String> {
    let runs = (0..options.repeat.max(1)).map(|_| run()).collect::<Result<Vec<_>, _>>()?;
    Ok(Figures::median(&runs))
}
