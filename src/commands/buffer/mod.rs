//! `logweir buffer list|cat|export`: what is in file buffers, Logweir's and Fluentd's, and a way back to Fluentd.

mod cat;
mod export;
mod keys;
mod list;
mod source;

use crate::cli::BufferCommand;
use logweir_engine::plugin::Registry;
use std::io::{self, BufWriter, ErrorKind, Write};
use std::process::ExitCode;

/// How a command went. The worst of several counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Outcome {
    /// All is well.
    Good,
    /// What was asked for is done, without what is damaged.
    Damaged,
    /// Something could not be done.
    Failed,
}

impl Outcome {
    /// Notes that something went worse.
    fn worsen(&mut self, to: Self) {
        *self = (*self).max(to);
    }
}

/// Why a command did nothing, for the user.
#[derive(Debug)]
enum Stop {
    /// This.
    Because(String),
    /// Its output cannot be written.
    Output(io::Error),
}

impl From<io::Error> for Stop {
    fn from(error: io::Error) -> Self {
        Self::Output(error)
    }
}

pub(crate) fn buffer(command: BufferCommand, registry: &Registry) -> ExitCode {
    let mut out = BufWriter::new(io::stdout().lock());
    let result = match command {
        BufferCommand::List { source, json } => list::list(&source, json, registry, &mut out),
        BufferCommand::Cat { source, form } => cat::cat(&source, form, registry, &mut out),
        BufferCommand::Export { source, options } => export::export(&source, &options, registry, &mut out),
    };
    let result = result.and_then(|outcome| {
        out.flush()?;
        Ok(outcome)
    });
    match result {
        Ok(Outcome::Good) => ExitCode::SUCCESS,
        Ok(Outcome::Damaged) => ExitCode::from(2),
        Ok(Outcome::Failed) => ExitCode::FAILURE,
        // Whoever reads it has seen enough.
        Err(Stop::Output(error)) if error.kind() == ErrorKind::BrokenPipe => ExitCode::SUCCESS,
        Err(Stop::Output(error)) => {
            eprintln!("error: cannot write the output: {error}");
            ExitCode::FAILURE
        }
        Err(Stop::Because(why)) => {
            eprintln!("error: {why}");
            ExitCode::FAILURE
        }
    }
}
