//! The command line.

use lexopt::prelude::*;
use std::ffi::OsString;
use std::path::{Path, PathBuf};

/// `--help`
pub(crate) const USAGE: &str = "\
Usage: bench [OPTIONS]                 run scenarios and print a table
       bench plot FILE DIR             charts (SVG) of what --sweep NAME --json FILE measured
       bench counts [--write] [FILE]   instructions per record under valgrind; more than 5 % over those in FILE
                                       (default: bench/counts.json) is a failure

    --scenario NAME[,NAME]   only these (default: all; --list names them)
    --records N              records per run (default 1000000; tail and ClickHouse scenarios take half)
    --connections N          forward connections (default 4)
    --batch N                records per forward message (default 1000)
    --repeat N               runs of each; the median is shown (default 3)
    --peer NAME[=COMMAND[,DIR]]
                             another program beside it: COMMAND FILE (default: NAME -c FILE) is started, where FILE is
                             DIR/SCENARIO.conf (default: bench/peers/NAME) with its placeholders filled in
    --peer-share F           share of the records that peers get (default 1), for slow ones
    --logweir PATH           the binary (default: target/release/logweir)
    --allocations            a further run of each that counts Logweir's allocations (needs cc and glibc)
    --sweep NAME[,NAME]      instead of scenarios: one thing grows, connections, tags, record-size, files or buffered
    --json FILE              the figures as JSON
    --list                   the scenarios
";

/// What to do.
pub(crate) enum Command {
    Run(Options),
    Plot {
        json: PathBuf,
        dir: PathBuf,
    },
    Counts {
        baseline: PathBuf,
        write: bool,
    },
    /// What `counts` runs under valgrind.
    Kernel {
        name: String,
        rounds: usize,
    },
    Help,
}

/// Of a benchmark.
pub(crate) struct Options {
    pub(crate) scenarios: Vec<String>,
    pub(crate) records: usize,
    pub(crate) connections: usize,
    pub(crate) batch: usize,
    pub(crate) repeat: usize,
    pub(crate) logweir: PathBuf,
    pub(crate) peers: Vec<Peer>,
    pub(crate) peer_share: f64,
    pub(crate) allocations: bool,
    pub(crate) sweeps: Vec<String>,
    pub(crate) json: Option<PathBuf>,
    pub(crate) list: bool,
}

/// Another program.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Peer {
    pub(crate) name: String,
    /// The program and its arguments but for the last, the configuration's path.
    pub(crate) command: Vec<String>,
    /// Where its `SCENARIO.conf` are.
    pub(crate) configs: PathBuf,
}

pub(crate) fn parse(args: impl Iterator<Item = OsString>) -> Result<Command, String> {
    let args: Vec<OsString> = args.collect();
    let (first, rest) = (args.first().and_then(|arg| arg.to_str()), args.iter().skip(1).cloned());
    match first {
        Some("plot") => parse_plot(rest),
        Some("counts") => parse_counts(rest),
        Some("kernel") => parse_kernel(rest),
        _ => parse_run(args.into_iter()),
    }
    .map_err(|error| error.to_string())
}

fn parse_plot(args: impl Iterator<Item = OsString>) -> Result<Command, lexopt::Error> {
    let mut parser = lexopt::Parser::from_args(args);
    let command = Command::Plot { json: parser.value()?.into(), dir: parser.value()?.into() };
    parser.next()?.map_or(Ok(command), |other| Err(other.unexpected()))
}

fn parse_counts(args: impl Iterator<Item = OsString>) -> Result<Command, lexopt::Error> {
    let (mut baseline, mut write) = (PathBuf::from("bench/counts.json"), false);
    let mut parser = lexopt::Parser::from_args(args);
    while let Some(arg) = parser.next()? {
        match arg {
            Long("write") => write = true,
            Value(file) => baseline = file.into(),
            other => return Err(other.unexpected()),
        }
    }
    Ok(Command::Counts { baseline, write })
}

fn parse_kernel(args: impl Iterator<Item = OsString>) -> Result<Command, lexopt::Error> {
    let mut parser = lexopt::Parser::from_args(args);
    Ok(Command::Kernel { name: parser.value()?.string()?, rounds: parser.value()?.parse()? })
}

fn parse_run(args: impl Iterator<Item = OsString>) -> Result<Command, lexopt::Error> {
    let mut options = Options {
        scenarios: Vec::new(),
        records: 1_000_000,
        connections: 4,
        batch: 1000,
        repeat: 3,
        logweir: PathBuf::from("target/release/logweir"),
        peers: Vec::new(),
        peer_share: 1.0,
        allocations: false,
        sweeps: Vec::new(),
        json: None,
        list: false,
    };
    let mut parser = lexopt::Parser::from_args(args);
    while let Some(arg) = parser.next()? {
        match arg {
            Long("scenario") => {
                options.scenarios.extend(parser.value()?.string()?.split(',').map(str::to_owned));
            }
            Long("records") => options.records = parser.value()?.parse()?,
            Long("connections") => options.connections = parser.value()?.parse()?,
            Long("batch") => options.batch = parser.value()?.parse()?,
            Long("repeat") => options.repeat = parser.value()?.parse()?,
            Long("logweir") => options.logweir = parser.value()?.into(),
            Long("peer") => options.peers.push(parser.value()?.parse_with(parse_peer)?),
            Long("peer-share") => options.peer_share = parser.value()?.parse_with(parse_share)?,
            Long("allocations") => options.allocations = true,
            Long("sweep") => {
                options.sweeps.extend(parser.value()?.string()?.split(',').map(str::to_owned));
            }
            Long("json") => options.json = Some(parser.value()?.into()),
            Long("list") => options.list = true,
            Short('h') | Long("help") => return Ok(Command::Help),
            other => return Err(other.unexpected()),
        }
    }
    Ok(Command::Run(options))
}

fn parse_share(text: &str) -> Result<f64, String> {
    let share: f64 = text.parse().map_err(|e| format!("{text}: {e}"))?;
    if share > 0.0 && share <= 1.0 { Ok(share) } else { Err(format!("{text} is not above 0 and at most 1")) }
}

fn parse_peer(text: &str) -> Result<Peer, String> {
    let (name, rest) = text.split_once('=').unwrap_or((text, ""));
    let (command, configs) = rest.rsplit_once(',').unwrap_or((rest, ""));
    if name.is_empty() || name.contains('/') {
        return Err(format!("{text}: a peer is NAME, NAME=COMMAND or NAME=COMMAND,DIR"));
    }
    let command = if command.trim().is_empty() { format!("{name} -c") } else { command.to_owned() };
    let configs =
        if configs.is_empty() { Path::new("bench/peers").join(name) } else { PathBuf::from(configs) };
    Ok(Peer {
        name: name.to_owned(),
        command: command.split_whitespace().map(str::to_owned).collect(),
        configs,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn peer(name: &str, command: &[&str], configs: &str) -> Peer {
        let command = command.iter().map(|word| (*word).to_owned()).collect();
        Peer { name: name.to_owned(), command, configs: PathBuf::from(configs) }
    }

    #[test]
    fn a_peer_is_a_name_a_command_and_a_directory() {
        assert_eq!(parse_peer("fluentd"), Ok(peer("fluentd", &["fluentd", "-c"], "bench/peers/fluentd")));
        assert_eq!(
            parse_peer("fluent-bit=/opt/fluent-bit/bin/fluent-bit -q -c"),
            Ok(peer("fluent-bit", &["/opt/fluent-bit/bin/fluent-bit", "-q", "-c"], "bench/peers/fluent-bit"))
        );
        assert_eq!(parse_peer("x=y --config,some/dir"), Ok(peer("x", &["y", "--config"], "some/dir")));
        assert!(parse_peer("=y,z").is_err());
    }

    #[test]
    fn a_share_is_a_part_of_the_whole() {
        assert_eq!(parse_share("0.25"), Ok(0.25));
        assert!(parse_share("0").is_err() && parse_share("2").is_err() && parse_share("x").is_err());
    }
}
