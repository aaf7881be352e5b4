//! `logweir check FILE` and `--dry-run`: everything but the start, and every problem at once.

use crate::cli::Options;
use crate::configuration::{Configuration, starting_message};
use logweir_engine::log_info;
use logweir_engine::plugin::Registry;
use logweir_engine::telemetry::PluginLog;
use std::process::ExitCode;

pub(crate) fn check(options: Options, registry: Registry) -> ExitCode {
    let log = PluginLog::program();
    log_info!(log, starting_message(true), logweir = env!("CARGO_PKG_VERSION"));
    match Configuration::load(options, registry) {
        Some(_) => {
            log_info!(log, "finished dry run mode");
            ExitCode::SUCCESS
        }
        None => ExitCode::FAILURE,
    }
}
