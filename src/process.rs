//! The life of the process: start, signals (spec config-syntax 10) and RPC, reload, stop.

use crate::configuration::{Configuration, Loaded};
use crate::notify::Notifier;
use crate::own_log;
use crate::rpc::Rpc;
use crate::running::Running;
use logweir_engine::fault;
use logweir_engine::telemetry::{self, PluginLog};
use logweir_engine::{log_error, log_info, log_warn};
use rustix::process::{Resource, getrlimit, setrlimit};
use std::process::ExitCode;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::oneshot;

/// Fluentd's exit status for a worker that cannot start.
const EXIT_START_FAILED: u8 = 1;

/// What a signal or an RPC asks for.
pub(crate) enum Request {
    /// Stop, as this signal says.
    Stop(&'static str),
    /// Flush, then stop.
    FlushAndStop,
    /// Read the configuration again, as this signal says.
    Reload(&'static str),
    /// Write out everything that waits in buffers.
    Flush,
    /// Write down what the process does.
    Dump,
    /// Start outputs and filters too.
    Release,
    /// Print the configuration into the log.
    LogConfiguration,
    /// Answer with the configuration.
    ShowConfiguration(oneshot::Sender<String>),
}

struct Signals {
    interrupt: Signal,
    terminate: Signal,
    hangup: Signal,
    user1: Signal,
    user2: Signal,
    resume: Signal,
    window: Signal,
}

impl Signals {
    fn listen() -> std::io::Result<Self> {
        Ok(Self {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
            hangup: signal(SignalKind::hangup())?,
            user1: signal(SignalKind::user_defined1())?,
            user2: signal(SignalKind::user_defined2())?,
            resume: signal(SignalKind::from_raw(rustix::process::Signal::CONT.as_raw()))?,
            window: signal(SignalKind::window_change())?,
        })
    }

    async fn next(&mut self) -> Request {
        tokio::select! {
            _ = self.interrupt.recv() => Request::Stop("INT"),
            _ = self.terminate.recv() => Request::Stop("TERM"),
            _ = self.hangup.recv() => Request::Reload("HUP"),
            _ = self.user2.recv() => Request::Reload("USR2"),
            _ = self.user1.recv() => Request::Flush,
            _ = self.resume.recv() => Request::Dump,
            _ = self.window.recv() => Request::Release,
        }
    }
}

/// Lets the process have as many open files as it may: a shell's usual 1,024 is little for tailed files and connections, and
/// the low soft limit is there for programs that use select(2).
pub(crate) fn raise_open_files() {
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    // It stays as it was, which is enough for a small configuration; whoever meets the limit says so.
    let _ = setrlimit(Resource::Nofile, limit);
}

/// Runs a loaded configuration until a signal ends it; prints `page` once it runs.
pub(crate) async fn run(mut configuration: Configuration, loaded: Loaded, page: Option<String>) -> ExitCode {
    let log = PluginLog::program();
    let mut signals = match Signals::listen() {
        Ok(signals) => signals,
        Err(error) => {
            log_error!(log, "cannot listen for signals", error = error.to_string());
            return ExitCode::from(EXIT_START_FAILED);
        }
    };
    log_info!(log, "starting fluentd worker", pid = std::process::id(), ppid = parent_pid(), worker = 0u32);
    let mut rpc = match Rpc::start(&loaded.plan.system, &log) {
        Ok(rpc) => rpc,
        Err(error) => {
            log_error!(log, "cannot start the RPC server", error = error.to_string());
            return ExitCode::from(EXIT_START_FAILED);
        }
    };
    let mut own_log = None;
    let begin = |router| own_log.insert(own_log::Forwarder::start()).route_to(router);
    let mut running = match Running::start(loaded.plan, begin).await {
        Ok(running) => running,
        Err(failed) => {
            log_error!(
                log,
                "unexpected error",
                error_class = telemetry::Shown(failed.error.class),
                error = failed.to_string()
            );
            return ExitCode::from(EXIT_START_FAILED);
        }
    };
    let own_log = own_log.unwrap_or_else(own_log::Forwarder::start);
    log_info!(log, "fluentd worker is now running", worker = 0u32);
    let notifier = Notifier::from_environment(&log);
    notifier.keep_watchdog_quiet();
    notify_ready(&notifier, &running);
    if let Some(page) = page {
        telemetry::print_raw(page.as_bytes());
    }
    loop {
        let request = tokio::select! {
            request = signals.next() => request,
            request = rpc.next() => request,
        };
        match request {
            Request::Stop(name) => {
                log_info!(log, "Received graceful stop", signal = telemetry::Shown(name));
                break;
            }
            Request::Flush => flush(&running, &log),
            Request::FlushAndStop => {
                flush(&running, &log);
                log_info!(log, "Received graceful stop", signal = telemetry::Shown("TERM"));
                break;
            }
            Request::LogConfiguration => configuration.log_dump(),
            Request::ShowConfiguration(answer) => {
                // Who asked may have gone away.
                let _ = answer.send(configuration.dump());
            }
            Request::Dump => dump(&running, &log),
            Request::Reload(name) => {
                log_info!(log, "reloading the configuration", signal = telemetry::Shown(name));
                notifier.reloading();
                let Some(next) = configuration.reload() else {
                    notify_ready(&notifier, &running);
                    continue;
                };
                own_log.route_to(None);
                match swap(running, next.plan, &mut configuration, &own_log, &log).await {
                    Some(started) => running = started,
                    None => return ExitCode::from(EXIT_START_FAILED),
                }
                notify_ready(&notifier, &running);
            }
            Request::Release if !running.is_held() => log_info!(
                log,
                "do nothing for canceling with-source-only because the current mode is not with-source-only."
            ),
            Request::Release => {
                log_info!(log, "cancel with-source-only mode and start the other plugins");
                if let Err(failed) = running.release().await {
                    log_error!(
                        log,
                        "the other plugins cannot start; stopping. What inputs have taken stays in the buffer files",
                        error_class = telemetry::Shown(failed.error.class),
                        error = failed.to_string()
                    );
                    notifier.stopping();
                    running.stop().await;
                    return ExitCode::from(EXIT_START_FAILED);
                }
                configuration.leave_source_only();
                own_log.route_to(running.log_router());
                notify_ready(&notifier, &running);
            }
        }
    }
    notifier.stopping();
    log_info!(log, "fluentd worker is now stopping", worker = 0u32);
    let own_log = if running.is_log_event_verbose() {
        Some(own_log)
    } else {
        own_log.stop().await;
        None
    };
    running.stop_inputs().await;
    if let Some(own_log) = own_log {
        own_log.stop().await;
    }
    running.stop_outputs().await;
    log_info!(log, "Worker 0 finished with status 0");
    ExitCode::SUCCESS
}

/// Stops the running configuration and starts `next` in its place. If that cannot start (a port is taken, a folder
/// cannot be written), the configuration that ran before is started again. Listening sockets stay open meanwhile, so
/// that senders wait rather than fail.
async fn swap(
    running: Running,
    next: crate::plan::Plan,
    configuration: &mut Configuration,
    own_log: &own_log::Forwarder,
    log: &PluginLog,
) -> Option<Running> {
    running.stop().await;
    fault!("reload-stopped");
    let failed = match Running::start(next, |router| own_log.route_to(router)).await {
        Ok(started) => {
            configuration.accept();
            log_info!(log, "the new configuration is running");
            return Some(started);
        }
        Err(failed) => failed,
    };
    own_log.route_to(None);
    log_error!(
        log,
        "the new configuration cannot start; going back to the one before",
        error_class = telemetry::Shown(failed.error.class),
        error = failed.to_string()
    );
    let previous = configuration.previous()?;
    match Running::start(previous.plan, |router| own_log.route_to(router)).await {
        Ok(started) => Some(started),
        Err(failed) => {
            log_error!(
                log,
                "the configuration before cannot start again; stopping",
                error_class = telemetry::Shown(failed.error.class),
                error = failed.to_string()
            );
            None
        }
    }
}

fn notify_ready(notifier: &Notifier, running: &Running) {
    if running.is_held() { notifier.ready_with_source_only() } else { notifier.ready() }
}

/// SIGUSR1: buffers are flushed, and the log file is opened again.
fn flush(running: &Running, log: &PluginLog) {
    log_info!(log, "force flushing buffered events");
    if let Err(error) = telemetry::reopen() {
        log_warn!(log, "cannot reopen the log file; the old one stays in use", error = error.to_string());
    }
    running.flush();
}

/// SIGCONT: what the process is doing, into `$SIGDUMP_PATH` or `/tmp/sigdump-PID.log`, where Fluentd's operators look.
fn dump(running: &Running, log: &PluginLog) {
    let path = std::env::var_os("SIGDUMP_PATH")
        .map_or_else(|| format!("/tmp/sigdump-{}.log", std::process::id()).into(), std::path::PathBuf::from);
    match std::fs::write(&path, running.describe()) {
        Ok(()) => log_info!(log, "state is written", path = path),
        Err(error) => log_warn!(log, "cannot write the state", path = path, error = error.to_string()),
    }
}

fn parent_pid() -> i32 {
    rustix::process::getppid().map_or(0, |pid| pid.as_raw_nonzero().get())
}
