//! A configuration while it runs: started from the outputs back to the inputs, stopped the other way round.
//!
//! With `with_source_only` the inputs run alone, into buffers that hold everything, until [`Running::release`].

use crate::plan::Plan;
use futures_util::future::join_all;
use logweir_engine::fault;
use logweir_engine::plugin::{BuiltOutput, InputContext, InputCounters, PluginId, StartError};
use logweir_engine::route::Router;
use logweir_engine::telemetry::PluginLog;
use logweir_engine::{log_debug, log_info, log_warn};
use std::sync::Arc;
use std::time::Duration;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// How long inputs may take to end after they were told to. What they hold is not acknowledged, so nothing is lost
/// when the wait is over.
const INPUT_STOP_MAX: Duration = Duration::from_secs(30);

/// A started configuration.
pub(crate) struct Running {
    inputs: Vec<RunningInput>,
    outputs: Vec<BuiltOutput>,
    /// Whether outputs and filters are yet to be started.
    is_held: bool,
    input_tasks: TaskTracker,
    input_stop: CancellationToken,
    filter_tasks: TaskTracker,
    filter_stop: CancellationToken,
    log: PluginLog,
    /// Its filters, and the routers, which labels refer to weakly.
    plan: Plan,
}

struct RunningInput {
    id: PluginId,
    type_name: &'static str,
    counters: Arc<InputCounters>,
}

/// Which plugin could not start, and why.
#[derive(Debug, thiserror::Error)]
#[error("{type_name} ({id}): {error}")]
pub(crate) struct FailedStart {
    type_name: &'static str,
    id: Arc<str>,
    /// What the plugin says.
    pub(crate) error: StartError,
}

impl Running {
    /// Starts outputs, filters, then inputs. If one of them cannot start, those before it are stopped again.
    /// Before the first input starts, `own_log` is told where Logweir's own log lines go as events.
    pub(crate) async fn start(
        mut plan: Plan,
        own_log: impl FnOnce(Option<Arc<Router>>),
    ) -> Result<Self, FailedStart> {
        plan.announce_metrics();
        let inputs = std::mem::take(&mut plan.inputs);
        let mut running = Self {
            inputs: Vec::new(),
            outputs: Vec::new(),
            is_held: plan.system.with_source_only,
            input_tasks: TaskTracker::new(),
            input_stop: CancellationToken::new(),
            filter_tasks: TaskTracker::new(),
            filter_stop: CancellationToken::new(),
            log: PluginLog::program(),
            plan,
        };
        match running.start_plugins(inputs, own_log).await {
            Ok(()) => Ok(running),
            Err(failed) => {
                running.stop().await;
                Err(failed)
            }
        }
    }

    async fn start_plugins(
        &mut self,
        inputs: Vec<crate::plan::PlannedInput>,
        own_log: impl FnOnce(Option<Arc<Router>>),
    ) -> Result<(), FailedStart> {
        if !self.is_held {
            self.start_outputs().await?;
        }
        for held in &self.plan.held {
            let started = if self.is_held { held.hold().await } else { held.take_out().await };
            let failed = |error| FailedStart { type_name: "buffer", id: "source_only_buffer".into(), error };
            started.map_err(failed)?;
        }
        own_log(self.log_router());
        for mut planned in inputs {
            let counters = planned.counters;
            let context = InputContext {
                id: planned.id.clone(),
                log: planned.log,
                router: planned.router,
                tasks: self.input_tasks.clone(),
                stop: self.input_stop.clone(),
                counters: Arc::clone(&counters),
            };
            let (id, type_name) = (planned.id, planned.type_name);
            let failed = |error| FailedStart { type_name, id: id.text.clone(), error };
            planned.input.start(context).await.map_err(failed)?;
            self.inputs.push(RunningInput { id, type_name, counters });
        }
        Ok(())
    }

    async fn start_outputs(&mut self) -> Result<(), FailedStart> {
        for built in &self.plan.outputs {
            let failed = |error| FailedStart { type_name: built.type_name, id: built.id.text.clone(), error };
            built.output.start().await.map_err(failed)?;
            self.outputs.push(built.clone());
        }
        for planned in &self.plan.filters {
            planned.filter.start(&self.filter_tasks, &self.filter_stop);
        }
        Ok(())
    }

    /// Whether only inputs run.
    pub(crate) fn is_held(&self) -> bool {
        self.is_held
    }

    /// Whether log lines are events until the inputs have ended.
    pub(crate) fn is_log_event_verbose(&self) -> bool {
        self.plan.system.log_event_verbose
    }

    /// Where Logweir's own log lines go as events.
    pub(crate) fn log_router(&self) -> Option<Arc<Router>> {
        self.plan.log_router.clone().filter(|_| !self.is_held)
    }

    /// SIGWINCH: starts outputs and filters, and sends on what the inputs have taken meanwhile.
    pub(crate) async fn release(&mut self) -> Result<(), FailedStart> {
        self.start_outputs().await?;
        self.is_held = false;
        for held in &self.plan.held {
            held.release();
        }
        Ok(())
    }

    /// Writes out everything that waits in buffers, soon.
    pub(crate) fn flush(&self) {
        for built in &self.outputs {
            built.output.flush();
        }
    }

    /// Inputs first; then filters give back what they hold; then outputs flush as configured and close.
    pub(crate) async fn stop(self) {
        self.stop_inputs().await;
        self.stop_outputs().await;
    }

    /// The first half of a stop. What inputs have taken by then is on its way to the outputs.
    pub(crate) async fn stop_inputs(&self) {
        for input in &self.inputs {
            log_info!(self.log, "shutting down input plugin", type = input.type_name, plugin_id = input.id.text);
        }
        fault!("stop-begun");
        self.input_stop.cancel();
        for built in &self.outputs {
            built.output.stopping(); // or an input that waits for room in a full buffer would never end
        }
        for held in &self.plan.held {
            held.stopping();
        }
        self.input_tasks.close();
        if tokio::time::timeout(INPUT_STOP_MAX, self.input_tasks.wait()).await.is_err() {
            log_warn!(
                self.log,
                "inputs did not stop in time; going on without them",
                tasks = self.input_tasks.len(),
                waited_seconds = INPUT_STOP_MAX.as_secs()
            );
        }
        fault!("inputs-stopped");
        for held in &self.plan.held {
            held.shutdown().await;
        }
    }

    /// The second half: filters, then outputs.
    pub(crate) async fn stop_outputs(self) {
        for filter in &self.plan.filters {
            log_debug!(self.log, "shutting down filter plugin", type = filter.type_name, plugin_id = filter.id.text);
        }
        self.filter_stop.cancel();
        self.filter_tasks.close();
        self.filter_tasks.wait().await;
        for built in &self.outputs {
            built.output.drain().await;
        }
        for built in &self.outputs {
            log_info!(self.log, "shutting down output plugin", type = built.type_name, plugin_id = built.id.text);
        }
        join_all(self.outputs.iter().map(|built| built.output.shutdown())).await;
        fault!("outputs-stopped");
        log_debug!(self.log, "all plugins are stopped");
    }

    /// What each input has emitted so far, for the dump on SIGCONT.
    pub(crate) fn describe(&self) -> String {
        use std::fmt::Write;
        use std::sync::atomic::Ordering::Relaxed;
        let mut text = String::new();
        for input in &self.inputs {
            let (records, bytes) = (input.counters.records.load(Relaxed), input.counters.bytes.load(Relaxed));
            let _ = writeln!(
                text,
                "input {} {}: {records} records, {bytes} bytes",
                input.type_name, input.id.text
            );
        }
        for output in &self.outputs {
            let _ = writeln!(text, "output {} {}", output.type_name, output.id.text);
        }
        let _ = writeln!(text, "input tasks: {}", self.input_tasks.len());
        text
    }
}
