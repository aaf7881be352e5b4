//! Runs scenarios: each program in turn, the same load, the median of some runs.

use crate::allocations::Counter;
use crate::arguments::{Options, Peer};
use crate::config::{Places, fill, fluentd};
use crate::load::Load;
use crate::messages::Shape;
use crate::process::Program;
use crate::report::{Figures, Report};
use crate::scenario::{Filter, Input, Lines, Output, SCENARIOS, Scenario};
use crate::sink::Sink;
use logweir_testing::ClickHouse;
use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// How long one run may take.
const RUN_TIMEOUT: Duration = Duration::from_secs(300);
/// For the query log of ClickHouse to know of what it has answered.
const QUERY_LOG_TIMEOUT: Duration = Duration::from_secs(20);

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
    let unknown = |name: &&String| !SCENARIOS.iter().any(|scenario| scenario.name == **name);
    if let Some(name) = options.scenarios.iter().find(unknown) {
        return Err(format!("there is no scenario {name} (--list names them)"));
    }
    let mut programs = vec![Tested::logweir(options)?];
    for peer in &options.peers {
        programs.push(Tested::peer(peer, options)?);
    }
    let (mut report, mut failed) = (Report::default(), 0);
    for scenario in SCENARIOS {
        if !options.scenarios.is_empty() && !options.scenarios.iter().any(|name| name == scenario.name) {
            continue;
        }
        for program in &programs {
            // One program's failure does not take the others' figures away.
            if let Err(error) = measure(scenario, program, options, &mut report) {
                eprintln!("bench: {}, {}: {error}", scenario.name, program.name);
                failed += 1;
            }
        }
    }
    if let Some(path) = &options.json {
        fs::write(path, report.json()).map_err(|e| format!("{}: {e}", path.display()))?;
    }
    if failed > 0 { Err(format!("{failed} of the measurements failed")) } else { Ok(()) }
}

/// A program to be measured.
#[derive(Clone)]
struct Tested {
    name: String,
    /// All but the configuration's path.
    command: Vec<String>,
    /// Where a peer's configurations are.
    configs: Option<PathBuf>,
    /// Share of the records that it gets.
    share: f64,
}

impl Tested {
    fn logweir(options: &Options) -> Result<Self, String> {
        let path = fs::canonicalize(&options.logweir)
            .map_err(|e| format!("{}: {e} (cargo build --release)", options.logweir.display()))?;
        let command = vec![path.display().to_string(), "-q".to_owned(), "-c".to_owned()];
        Ok(Self { name: "logweir".to_owned(), command, configs: None, share: 1.0 })
    }

    fn peer(peer: &Peer, options: &Options) -> Result<Self, String> {
        let absolute = |path: &Path| {
            fs::canonicalize(path).map_err(|e| format!("{}: {}: {e}", peer.name, path.display()))
        };
        let mut command = peer.command.clone();
        // It is started in another directory.
        if let Some(program) = command.first_mut().filter(|program| program.contains('/')) {
            *program = absolute(Path::new(program))?.display().to_string();
        }
        let configs = Some(absolute(&peer.configs)?);
        Ok(Self { name: peer.name.clone(), command, configs, share: options.peer_share })
    }

    /// The configuration with its placeholders; a peer need not have one for each scenario.
    fn template(&self, scenario: &Scenario) -> Result<Option<String>, String> {
        let Some(configs) = &self.configs else { return Ok(Some(fluentd(scenario))) };
        let path = configs.join(format!("{}.conf", scenario.name));
        match fs::read_to_string(&path) {
            Ok(text) => Ok(Some(text)),
            Err(e) if e.kind() == ErrorKind::NotFound => Ok(None),
            Err(e) => Err(format!("{}: {e}", path.display())),
        }
    }
}

fn measure(
    scenario: &Scenario,
    program: &Tested,
    options: &Options,
    report: &mut Report,
) -> Result<(), String> {
    let Some(template) = program.template(scenario)? else { return Ok(()) };
    let mut runs = Vec::new();
    for _ in 0..options.repeat.max(1) {
        runs.push(run_once(scenario, program, &template, options)?);
    }
    let mut figures = Figures::median(&runs);
    // Peers may have allocators of their own, which are not counted.
    if options.allocations && program.configs.is_none() {
        let counter = Counter::compile()?;
        let counting = Tested { command: counter.counting(&program.command), ..program.clone() };
        figures.allocations = run_once(scenario, &counting, &template, options)?.allocations;
    }
    report.add(scenario.name, &program.name, figures);
    Ok(())
}

fn run_once(
    scenario: &Scenario,
    tested: &Tested,
    template: &str,
    options: &Options,
) -> Result<Figures, String> {
    let scratch = tempfile::Builder::new().prefix("logweir-bench-").tempdir().map_err(|e| e.to_string())?;
    let dir = scratch.path();
    let records = (options.records as f64 * scenario.share * tested.share) as usize;
    let sink = Sink::start().map_err(|e| e.to_string())?;
    let clickhouse = (scenario.output == Output::ClickHouse).then(start_clickhouse);
    let out_port = clickhouse.as_ref().map_or(sink.port(), ClickHouse::port);
    let configs = tested.configs.as_deref().unwrap_or(dir);
    let places = Places { port: logweir_testing::free_port(), out_port, dir, configs };
    let config = dir.join("bench.conf");
    fs::write(&config, fill(template, &places)).map_err(|e| e.to_string())?;
    fs::create_dir_all(dir.join("in")).map_err(|e| e.to_string())?;

    let forwards = matches!(scenario.input, Input::Forward(_));
    let mut program = Program::start(&tested.command, &config, dir, forwards.then_some(places.port))?;
    program.wait_until_quiet(RUN_TIMEOUT)?;
    let before = program.usage();
    let (load, begin, sent, records) = match scenario.input {
        Input::Forward(mode) => {
            let (batch, connections) = (options.batch, options.connections);
            let as_text = scenario.filter == Filter::Parser;
            let load = Load::of(&Shape { mode, records, batch, connections, as_text, ..Shape::default() });
            let (begin, records) = (Instant::now(), load.records);
            load.send(places.port).map_err(|e| format!("{e}: {}", program.log()))?;
            (Some(load), begin, Instant::now(), records)
        }
        Input::Tail(lines) => {
            write_input(dir, lines, records)?;
            // It looks for new files now and then: the clock starts when it has found this one.
            let begin = program.wait_until_opened(&dir.join("in/app.log"), RUN_TIMEOUT)?;
            (None, begin, begin, records)
        }
    };
    let end = wait_until_done(scenario, &mut program, &sink, clickhouse.as_ref(), records)?;
    let after = program.usage();
    let bytes = load.map_or(0, |load| load.bytes);
    Ok(Figures {
        records,
        bytes,
        seconds: end.max(sent).duration_since(begin).as_secs_f64(),
        cpu: after.cpu - before.cpu,
        memory: after.memory,
        written: after.written - before.written,
        server_cpu: clickhouse.as_ref().and_then(insert_cpu),
        allocations: Some(after.allocations - before.allocations),
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
    program: &mut Program,
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
                    return Err(format!("{later} records arrived, {records} were sent"));
                }
                return Ok(done);
            }
            Some(count) if begin.elapsed() > RUN_TIMEOUT => {
                return Err(format!("{count} of {records} records arrived in time: {}", program.log()));
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

/// CPU seconds that the server spent on inserts, from its query log once that no longer changes: a server under load may
/// answer `SYSTEM FLUSH LOGS` before the last entries, or the table, are there.
fn insert_cpu(server: &ClickHouse) -> Option<f64> {
    let begin = Instant::now();
    let mut before = None;
    while begin.elapsed() < QUERY_LOG_TIMEOUT {
        server.query("SYSTEM FLUSH LOGS");
        let answer = server.try_query(
            "SELECT sum(arraySum(arrayMap((n, v) -> if(n IN ('UserTimeMicroseconds', 'SystemTimeMicroseconds'), v, 0), \
             ProfileEvents.Names, ProfileEvents.Values))) FROM system.query_log WHERE type = 2 AND query LIKE 'INSERT%'",
        );
        let micros = answer.text().trim().parse::<f64>().ok().filter(|micros| *micros > 0.0);
        if answer.status == 200 && micros.is_some() && micros == before {
            return micros.map(|micros| micros / 1e6);
        }
        before = micros;
        std::thread::sleep(Duration::from_millis(500));
    }
    None
}
