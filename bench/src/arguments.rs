//! The command line.

use lexopt::prelude::*;
use std::ffi::OsString;
use std::path::PathBuf;

/// `--help`
pub(crate) const USAGE: &str = "\
Usage: bench [OPTIONS]                 run scenarios and print a table

    --scenario NAME[,NAME]   only these (default: all; --list names them)
    --records N              records per run (default 1000000; tail and ClickHouse scenarios take half)
    --connections N          forward connections (default 4)
    --batch N                records per forward message (default 1000)
    --repeat N               runs of each; the median is shown (default 3)
    --logweir PATH           the binary (default: target/release/logweir)
    --peer NAME=COMMAND,DIR  another program: COMMAND CONFIG is started with DIR/SCENARIO.conf
    --json FILE              the figures as JSON
    --list                   the scenarios
";

/// What to do.
pub(crate) enum Command {
    Run(Options),
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
    pub(crate) json: Option<PathBuf>,
    pub(crate) list: bool,
}

/// Another program.
pub(crate) struct Peer {
    pub(crate) name: String,
    pub(crate) command: Vec<String>,
    pub(crate) configs: PathBuf,
}

pub(crate) fn parse(args: impl Iterator<Item = OsString>) -> Result<Command, String> {
    parse_run(args).map_err(|error| error.to_string())
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
            Long("json") => options.json = Some(parser.value()?.into()),
            Long("list") => options.list = true,
            Short('h') | Long("help") => return Ok(Command::Help),
            other => return Err(other.unexpected()),
        }
    }
    Ok(Command::Run(options))
}

fn parse_peer(text: &str) -> Result<Peer, String> {
    let wanted = || format!("{text}: a peer is NAME=COMMAND,DIR");
    let (name, rest) = text.split_once('=').ok_or_else(wanted)?;
    let (command, configs) = rest.rsplit_once(',').ok_or_else(wanted)?;
    let command = command.split_whitespace().map(str::to_owned).collect();
    Ok(Peer { name: name.to_owned(), command, configs: PathBuf::from(configs) })
}
