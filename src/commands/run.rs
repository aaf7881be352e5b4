//! `logweir run`: read, check, go to the background if asked to, run.

use crate::cli::Options;
use crate::configuration::{Configuration, starting_message};
use crate::{allocator, identity, process};
use logweir_engine::config::System;
use logweir_engine::plugin::Registry;
use logweir_engine::telemetry::{self, PluginLog};
use logweir_engine::{log_error, log_info};
use std::ffi::CString;
use std::fs::DirBuilder;
use std::os::unix::fs::DirBuilderExt;
use std::process::ExitCode;

pub(crate) fn run(options: Options, registry: Registry) -> ExitCode {
    if options.no_supervisor && options.workers.is_some_and(|workers| workers > 1) {
        println!("Error: multi workers is not supported with --no-supervisor");
        return ExitCode::from(EXIT_UNRECOVERABLE);
    }
    run_and_say(options, registry, None)
}

/// Runs, and prints `page` when everything is started.
pub(super) fn run_and_say(options: Options, registry: Registry, page: Option<String>) -> ExitCode {
    allocator::give_large_buffers_back();
    telemetry::listen_to_libraries();
    telemetry::prometheus::install_recorder();
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
    if let Err(error) = prepare(&loaded.plan.system) {
        log_error!(log, error);
        return ExitCode::FAILURE;
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

/// The folder of buffers and storages, and the name in the process list.
fn prepare(system: &System) -> Result<(), String> {
    if let Some(root) = &system.root_dir {
        let mode = system.dir_permission.unwrap_or(DIR_MODE);
        let made = DirBuilder::new().recursive(true).mode(mode).create(root);
        made.map_err(|error| format!("failed to create root directory:{}, {error}", root.display()))?;
    }
    if let Some(name) = &system.process_name {
        // The kernel keeps 15 bytes of it; a name with a zero byte is none.
        if let Ok(name) = CString::new(format!("worker:{name}")) {
            let _ = rustix::thread::set_name(&name);
        }
    }
    Ok(())
}

/// Fluentd's default mode of folders.
const DIR_MODE: u32 = 0o755;
/// Fluentd's exit status for what a restart would not mend.
const EXIT_UNRECOVERABLE: u8 = 2;
