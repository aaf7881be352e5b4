//! Load generator and benchmark scenarios.
//!
//! ```text
//! bench                              every scenario, this checkout's release binary
//! bench --scenario forward-null      one of them
//! bench --peer fluentd --peer fluent-bit    other programs beside it, in the same run (bench/peers/README.md)
//! bench --sweep tags --json FILE     a sweep over the number of tags
//! bench plot FILE DIR                charts of it
//! bench counts                       instructions per record, against those of bench/counts.json
//! ```

mod allocations;
mod arguments;
mod config;
mod counts;
mod kernels;
mod load;
mod logs;
mod messages;
mod plot;
mod process;
mod record;
mod report;
mod run;
mod scenario;
mod sink;
mod sweep;

use arguments::{Command, parse};
use std::process::ExitCode;

fn main() -> ExitCode {
    let result = match parse(std::env::args_os().skip(1)) {
        Ok(Command::Run(options)) if options.sweeps.is_empty() => run::run(&options),
        Ok(Command::Run(options)) => sweep::run(&options),
        Ok(Command::Plot { json, dir }) => plot::plot(&json, &dir),
        Ok(Command::Counts { baseline, write }) => counts::run(&baseline, write),
        Ok(Command::Kernel { name, rounds }) => kernels::run(&name, rounds).map(|_| ()),
        Ok(Command::Help) => {
            print!("{}", arguments::USAGE);
            return ExitCode::SUCCESS;
        }
        Err(error) => {
            eprint!("{}", arguments::USAGE);
            Err(error)
        }
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("bench: {error}");
            ExitCode::FAILURE
        }
    }
}
