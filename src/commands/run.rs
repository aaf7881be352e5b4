//! `logweir run`: read, check, go to the background if asked to, run.

use crate::cli::Options;
use crate::configuration::{Configuration, starting_message};
use crate::{identity, process};
use logweir_engine::plugin::Registry;
use logweir_engine::telemetry::{self, PluginLog};
use logweir_engine::{log_error, log_info};
use std::process::ExitCode;

pub(crate) fn run(options: Options, registry: Registry) -> ExitCode {
    run_and_say(options, registry, None)
}

/// Runs, and prints `page` when everything is started.
pub(super) fn run_and_say(options: Options, registry: Registry, page: Option<String>) -> ExitCode {
    telemetry::listen_to_libraries();
    let log = PluginLog::program();
    if let Some(pid_file) = options.daemonize.clone() {
        match identity::daemonize(&pid_file) {
            Ok(identity::Side::Parent) => return ExitCode::SUCCESS,
            Ok(identity::Side::Child) => {}
            Err(error) => {
                log_error!(log, "cannot go to the background", error = error.to_string());
                return ExitCode::FAILURE;
            }
        }
    }
    if let Err(error) = identity::change(&options) {
        log_error!(log, "cannot change user, group or umask", error = error);
        return ExitCode::FAILURE;
    }
    process::raise_open_files();
    let Some((configuration, loaded)) = Configuration::load(options, registry) else {
        return ExitCode::FAILURE;
    };
    if let Some(name) = &loaded.plan.system.process_name {
        identity::set_name(name);
    }
    if !loaded.plan.system.suppress_config_dump {
        configuration.log_dump();
    }
    log_info!(log, starting_message(false), pid = std::process::id(), logweir = env!("CARGO_PKG_VERSION"));
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            log_error!(log, "cannot start threads", error = error.to_string());
            return ExitCode::FAILURE;
        }
    };
    let code = runtime.block_on(process::run(configuration, loaded, page));
    // What still runs holds nothing that must be finished: every buffer is closed.
    runtime.shutdown_background();
    code
}
