//! Figures, their median, the table.

use serde_json::json;

/// Of one run.
#[derive(Clone, Debug, Default)]
pub(crate) struct Figures {
    pub(crate) records: usize,
    /// Bytes of entries sent; 0 where a file was tailed.
    pub(crate) bytes: usize,
    pub(crate) seconds: f64,
    /// CPU seconds of the program, all threads and children.
    pub(crate) cpu: f64,
    /// Highest resident size, bytes.
    pub(crate) memory: u64,
    /// Bytes written to disk.
    pub(crate) written: u64,
    /// CPU seconds of ClickHouse for the inserts, if it tells.
    pub(crate) server_cpu: Option<f64>,
    /// Allocations, of a run that counts them.
    pub(crate) allocations: Option<u64>,
}

impl Figures {
    /// Of each figure the median of all runs.
    pub(crate) fn median(runs: &[Self]) -> Self {
        let of = |value: fn(&Self) -> f64| {
            let mut values: Vec<f64> = runs.iter().map(value).collect();
            values.sort_by(f64::total_cmp);
            values.get(values.len() / 2).copied().unwrap_or(0.0)
        };
        Self {
            records: runs.first().map_or(0, |run| run.records),
            bytes: runs.first().map_or(0, |run| run.bytes),
            seconds: of(|run| run.seconds),
            cpu: of(|run| run.cpu),
            memory: of(|run| run.memory as f64) as u64,
            written: of(|run| run.written as f64) as u64,
            allocations: None,
            server_cpu: runs
                .iter()
                .all(|run| run.server_cpu.is_some())
                .then(|| of(|run| run.server_cpu.unwrap_or(0.0))),
        }
    }

    /// Allocations per record, if they were counted.
    fn allocations_per_record(&self) -> Option<f64> {
        self.allocations.map(|count| count as f64 / self.records.max(1) as f64)
    }

    fn per_million(&self, value: f64) -> f64 {
        value * 1e6 / self.records.max(1) as f64
    }
}

/// All rows so far.
#[derive(Default)]
pub(crate) struct Report {
    rows: Vec<(String, String, Figures)>,
}

impl Report {
    /// Adds a row and prints it.
    pub(crate) fn add(&mut self, scenario: &str, program: &str, figures: Figures) {
        if self.rows.is_empty() {
            println!(
                "{:<24} {:<12} {:>10} {:>12} {:>10} {:>9} {:>11} {:>10} {:>11}",
                "scenario",
                "program",
                "records",
                "records/s",
                "cpu-s/M",
                "peak MB",
                "written MB",
                "allocs/rec",
                "server cpu/M"
            );
        }
        println!(
            "{:<24} {:<12} {:>10} {:>12.0} {:>10.3} {:>9.1} {:>11.1} {:>10} {:>11}",
            scenario,
            program,
            figures.records,
            figures.records as f64 / figures.seconds.max(1e-9),
            figures.per_million(figures.cpu),
            figures.memory as f64 / 1e6,
            figures.written as f64 / 1e6,
            figures.allocations_per_record().map_or("-".to_owned(), |count| format!("{count:.3}")),
            figures.server_cpu.map_or("-".to_owned(), |cpu| format!("{:.3}", figures.per_million(cpu))),
        );
        self.rows.push((scenario.to_owned(), program.to_owned(), figures));
    }

    /// All rows as JSON.
    pub(crate) fn json(&self) -> String {
        let rows: Vec<serde_json::Value> = self
            .rows
            .iter()
            .map(|(scenario, program, figures)| {
                json!({
                    "scenario": scenario,
                    "program": program,
                    "records": figures.records,
                    "entry_bytes": figures.bytes,
                    "seconds": figures.seconds,
                    "cpu_seconds_per_million": figures.per_million(figures.cpu),
                    "peak_memory_bytes": figures.memory,
                    "written_bytes": figures.written,
                    "allocations_per_record": figures.allocations_per_record(),
                    "server_cpu_seconds_per_million": figures.server_cpu.map(|cpu| figures.per_million(cpu)),
                })
            })
            .collect();
        serde_json::to_string_pretty(&rows).unwrap_or_default()
    }
}
