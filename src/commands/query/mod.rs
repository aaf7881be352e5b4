//! `logweir query`: SQL to the embedded store or a ClickHouse server, answers to standard output.

mod interactive;
mod server;

use crate::cli::QueryOptions;
use clickhouse::Client;
use logweir_store::statements;
use std::io::{self, IsTerminal, Read, Write};
use std::process::ExitCode;

pub(crate) fn query(options: &QueryOptions) -> ExitCode {
    match run(options) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

fn run(options: &QueryOptions) -> Result<(), String> {
    let in_terminal = io::stdout().is_terminal();
    let default = if in_terminal { "PrettyCompact" } else { "TabSeparated" };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let asker = Asker {
        client: server::client(options)?,
        format: options.format.clone().unwrap_or_else(|| default.to_owned()),
        runtime: runtime.map_err(|error| format!("cannot start: {error}"))?,
    };
    let text = match (&options.sql, &options.file) {
        (Some(sql), _) => sql.clone(),
        (None, Some(file)) => std::fs::read_to_string(file)
            .map_err(|error| format!("cannot read {}: {error}", file.display()))?,
        (None, None) if io::stdin().is_terminal() => return interactive::run(&asker),
        (None, None) => {
            let mut text = String::new();
            io::stdin()
                .read_to_string(&mut text)
                .map_err(|error| format!("cannot read standard input: {error}"))?;
            text
        }
    };
    statements(&text).into_iter().try_for_each(|sql| asker.ask(sql))
}

/// A server, and how its answers are to look.
struct Asker {
    client: Client,
    format: String,
    runtime: tokio::runtime::Runtime,
}

impl Asker {
    /// Asks, and writes the answer to standard output as it comes.
    fn ask(&self, sql: &str) -> Result<(), String> {
        self.runtime.block_on(async {
            let query = self.client.query_raw(sql);
            let mut answer = query.fetch_bytes(&self.format).map_err(|error| error.to_string())?;
            let mut out = io::stdout().lock();
            loop {
                match answer.next().await {
                    Ok(None) => break,
                    // Who reads no further, `head` say, has what it wanted.
                    Ok(Some(piece)) => match out.write_all(&piece) {
                        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => return Ok(()),
                        written => written.map_err(|error| format!("cannot write: {error}"))?,
                    },
                    Err(error) => return Err(explained(&error)),
                }
            }
            out.flush().map_err(|error| format!("cannot write: {error}"))
        })
    }
}

/// What the server says, or why it was not reached.
fn explained(error: &clickhouse::error::Error) -> String {
    match error {
        clickhouse::error::Error::BadResponse(text) => text.trim_end().to_owned(),
        clickhouse::error::Error::Network(source) => {
            let mut text = format!("no answer: {source}");
            let mut cause = source.source();
            while let Some(error) = cause {
                text.push_str(&format!(": {error}"));
                cause = error.source();
            }
            format!(
                "{text}\nIs the store running (`logweir store`, or a clickhouse output with a path), or is it another --url?"
            )
        }
        other => other.to_string(),
    }
}
