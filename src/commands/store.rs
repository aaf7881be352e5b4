//! `logweir store`: the embedded ClickHouse in this process, until SIGTERM.

use crate::cli::{StoreOptions, StoreUser};
use logweir_engine::log_error;
use logweir_engine::telemetry::PluginLog;
use logweir_store::{Limits, Options, User, find_library, serve};
use rustix::process::{Signal, set_parent_process_death_signal};
use std::process::ExitCode;

pub(crate) fn store(options: StoreOptions) -> ExitCode {
    let outcome = run(options);
    if let Err(error) = &outcome {
        log_error!(PluginLog::program(), "the embedded store does not run", error = error);
    }
    if outcome.is_ok() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn run(options: StoreOptions) -> Result<(), String> {
    if options.end_with_parent {
        set_parent_process_death_signal(Some(Signal::TERM)).map_err(|error| error.to_string())?;
    }
    let libchdb = find_library(options.libchdb.as_deref().map(|path| (path, "--libchdb"))).file()?;
    let users = options.users.iter().map(user).collect::<Result<_, _>>()?;
    let mut limits = Limits::default();
    limits.memory_bytes = options.memory_bytes.unwrap_or(limits.memory_bytes);
    let options = Options { path: options.path, listen: options.listen, libchdb, users, limits };
    serve(options).map_err(|error| error.to_string())
}

fn user(user: &StoreUser) -> Result<User, String> {
    let password = match &user.password_file {
        Some(path) => std::fs::read_to_string(path).map_err(|error| {
            format!("cannot read the password of {} in {}: {error}", user.name, path.display())
        })?,
        None => String::new(),
    };
    let password = password.lines().next().unwrap_or_default();
    if user.password_file.is_some() && password.is_empty() {
        return Err(format!("the password file of {} has no password in its first line", user.name));
    }
    Ok(User::new(&user.name, password, user.readonly))
}
