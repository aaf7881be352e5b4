//! Load generator and benchmark scenarios.
//!
//! ```text
//! bench                              every scenario, this checkout's release binary
//! bench --scenario forward-null      one of them
//! bench --peer fluentd --peer fluent-bit    other programs beside it, in the same run (bench/peers/README.md)
//! ```

mod arguments;
mod config;
mod load;
mod logs;
mod process;
mod record;
mod report;
mod run;
mod scenario;
mod sink;

use arguments::{Command, parse};
use std::process::ExitCode;

fn main() -> ExitCode {
    let result = match parse(std::env::args_os().skip(1)) {
        Ok(Command::Run(options)) => run::run(&options),
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
