//! Runs scenarios: each program in turn, the same load, the median of some runs.

use crate::arguments::{Options, Peer};
use crate::config::{Places, fill, fluentd};
use crate::load::Load;
use crate::process::Program;
use crate::report::{Figures, Report};
use crate::scenario::{Filter, Input, Lines, Output, SCENARIOS, Scenario};
use crate::sink::Sink;
use logweir_testing::ClickHouse;
use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

/// How long one run may take.
const RUN_TIMEOUT: Duration = Duration::from_secs(300);

/// The table that Servio's records go to.
const SCHEMA: &str = include_str!("../../conf/servio/schema.sql");

/// Runs what the options name and prints the table.
pub(crate) fn run(options: &Options) -> Result<(), String> {
    if options.list {
        for scenario in SCENARIOS {
            println!("{}", scenario.name);
        }
        return Ok(());
    }
    let logweir = fs::canonicalize(&options.logweir)
        .map_err(|e| format!("{}: {e} (cargo build --release)", options.logweir.display()))?;
    let logweir = vec![logweir.display().to_string(), "-q".to_owned(), "-c".to_owned()];
    let mut report = Report::default();
    for scenario in SCENARIOS {
        if !options.scenarios.is_empty() && !options.scenarios.iter().any(|name| name == scenario.name) {
            continue;
        }
        measure(scenario, "logweir", &logweir, None, options, &mut report)?;
        for peer in &options.peers {
            let config = peer.configs.join(format!("{}.conf", scenario.name));
            if config.exists() {
                measure(scenario, &peer.name, &peer.command, Some(peer), options, &mut report)?;
            }
        }
    }
    if let Some(path) = &options.json {
        fs::write(path, report.json()).map_err(|e| format!("{}: {e}", path.display()))?;
    }
    Ok(())
}

fn measure(
    scenario: &Scenario,
    name: &str,
    command: &[String],
    peer: Option<&Peer>,
    options: &Options,
    report: &mut Report,
) -> Result<(), String> {
    let template = match peer {
        Some(peer) => {
            let path = peer.configs.join(format!("{}.conf", scenario.name));
            fs::read_to_string(&path).map_err(|e| format!("{}: {e}", path.display()))?
        }
        None => fluentd(scenario),
    };
    let mut runs = Vec::new();
    for _ in 0..options.repeat.max(1) {
        runs.push(run_once(scenario, command, &template, options)?);
    }
    report.add(scenario.name, name, Figures::median(&runs));
    Ok(())
}

fn run_once(
    scenario: &Scenario,
    command: &[String],
    template: &str,
    options: &Options,
) -> Result<Figures, String> {
    let scratch = tempfile::Builder::new().prefix("logweir-bench-").tempdir().map_err(|e| e.to_string())?;
    let dir = scratch.path();
    let records = (options.records as f64 * scenario.share) as usize;
    let sink = Sink::start().map_err(|e| e.to_string())?;
    let clickhouse = (scenario.output == Output::ClickHouse).then(start_clickhouse);
    let out_port = clickhouse.as_ref().map_or(sink.port(), ClickHouse::port);
    let places = Places { port: logweir_testing::free_port(), out_port, dir };
    let config = dir.join("bench.conf");
    fs::write(&config, fill(template, &places)).map_err(|e| e.to_string())?;
    fs::create_dir_all(dir.join("in")).map_err(|e| e.to_string())?;

    let forwards = matches!(scenario.input, Input::Forward(_));
    let program = Program::start(command, &config, dir, forwards.then_some(places.port))?;
    program.wait_until_quiet(RUN_TIMEOUT)?;
    let before = program.usage();
    let (load, begin, records) = match scenario.input {
        Input::Forward(mode) => {
            let as_text = scenario.filter == Filter::Parser;
            let load = Load::prepare(mode, as_text, records, options.batch, options.connections);
            let (begin, records) = (Instant::now(), load.records);
            load.send(places.port)?;
            (Some(load), begin, records)
        }
        Input::Tail(lines) => {
            write_input(dir, lines, records)?;
            // It looks for new files now and then: the clock starts when it has found this one.
            (None, program.wait_until_busy(RUN_TIMEOUT)?, records)
        }
    };
    let end = wait_until_done(scenario, &program, &sink, clickhouse.as_ref(), records)?;
    let after = program.usage();
    let bytes = load.map_or(0, |load| load.bytes);
    Ok(Figures {
        records,
        bytes,
        seconds: end.duration_since(begin).as_secs_f64(),
        cpu: after.cpu - before.cpu,
        memory: after.memory,
        written: after.written - before.written,
        server_cpu: clickhouse.as_ref().and_then(insert_cpu),
    })
}

/// The file appears at once under its name: a tail must not see it grow.
fn write_input(dir: &Path, lines: Lines, records: usize) -> Result<(), String> {
    let part = dir.join("in.part");
    crate::logs::write_file(&part, lines, records).map_err(|e| e.to_string())?;
    fs::rename(part, dir.join("in/app.log")).map_err(|e| e.to_string())
}

/// Answers when the last record was through.
fn wait_until_done(
    scenario: &Scenario,
    program: &Program,
    sink: &Sink,
    clickhouse: Option<&ClickHouse>,
    records: usize,
) -> Result<Instant, String> {
    let begin = Instant::now();
    let arrived = || match (scenario.output, clickhouse) {
        (Output::Forward, _) => Some(sink.records()),
        (Output::ClickHouse, Some(server)) => {
            Some(server.query("SELECT count() FROM servio_logs.logs").trim().parse().unwrap_or(0))
        }
        _ => None,
    };
    loop {
        match arrived() {
            None => return program.wait_until_quiet(RUN_TIMEOUT),
            Some(count) if count == records => {
                let done = Instant::now();
                program.wait_until_quiet(RUN_TIMEOUT)?;
                let later = arrived().unwrap_or(count);
                if later != records {
                    return Err(format!("{}: {later} records arrived, {records} were sent", scenario.name));
                }
                return Ok(done);
            }
            Some(count) if begin.elapsed() > RUN_TIMEOUT => {
                return Err(format!("{}: {count} of {records} records arrived in time", scenario.name));
            }
            Some(_) => std::thread::sleep(Duration::from_millis(50)),
        }
    }
}

fn start_clickhouse() -> ClickHouse {
    let server = ClickHouse::start();
    // Debian's old server has no TTL; benchmarks do not need one.
    let schema: String =
        SCHEMA.lines().filter(|line| !line.starts_with("TTL")).map(|line| line.to_owned() + "\n").collect();
    for statement in schema.split(';').map(str::trim).filter(|statement| !statement.is_empty()) {
        server.query(statement);
    }
    server
}

/// CPU seconds that the server spent on inserts, from its query log.
fn insert_cpu(server: &ClickHouse) -> Option<f64> {
    server.query("SYSTEM FLUSH LOGS");
    let text = server.query(
        "SELECT sum(arraySum(arrayMap((n, v) -> if(n IN ('UserTimeMicroseconds', 'SystemTimeMicroseconds'), v, 0), \
         ProfileEvents.Names, ProfileEvents.Values))) FROM system.query_log WHERE type = 2 AND query LIKE 'INSERT%'",
    );
    text.trim().parse::<f64>().ok().map(|micros| micros / 1e6).filter(|seconds| *seconds > 0.0)
}
