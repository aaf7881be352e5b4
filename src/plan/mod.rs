//! From a checked document to a configuration that is ready to start: plugins built, labels connected, nothing running.

mod directives;
mod pipelines;
mod source_only;

use directives::Directives;
use logweir_engine::config::{Diagnostics, Element, Session, System};
use logweir_engine::log_info;
use logweir_engine::plugin::{BuiltOutput, FileBuffer, Filter, Input, InputCounters, PluginId, Registry};
use logweir_engine::route::Router;
use logweir_engine::telemetry::prometheus::MetricRegistry;
use logweir_engine::telemetry::{Account, PluginLog};
use std::sync::Arc;

pub(crate) use source_only::Held;

/// Everything of one configuration, built and connected.
pub(crate) struct Plan {
    /// Process-wide settings.
    pub(crate) system: System,
    /// Inputs in the order of the configuration.
    pub(crate) inputs: Vec<PlannedInput>,
    /// Filters of all pipelines.
    pub(crate) filters: Vec<PlannedFilter>,
    /// Outputs of all pipelines, nested ones included, in the order in which they were built.
    pub(crate) outputs: Vec<BuiltOutput>,
    /// Where Logweir's own log lines go as events: `<label @FLUENT_LOG>`, or a top-level `<match fluent.**>`.
    pub(crate) log_router: Option<Arc<Router>>,
    /// The buffers of with_source_only, or those in which such a run has left something.
    pub(crate) held: Vec<Held>,
    /// The metrics that it declares.
    pub(crate) metrics: Arc<MetricRegistry>,
    /// Labels refer to each other weakly; this keeps them.
    routers: Vec<Arc<Router>>,
}

/// An input, its identity and where its events go.
pub(crate) struct PlannedInput {
    /// Its identity.
    pub(crate) id: PluginId,
    /// Its `@type`.
    pub(crate) type_name: &'static str,
    /// Its logger.
    pub(crate) log: PluginLog,
    /// The top level, or its `@label`.
    pub(crate) router: Arc<Router>,
    /// What it has emitted so far.
    pub(crate) counters: Arc<InputCounters>,
    /// The plugin.
    pub(crate) input: Box<dyn Input>,
}

/// A filter and its identity.
pub(crate) struct PlannedFilter {
    /// Its identity.
    pub(crate) id: PluginId,
    /// Its `@type`.
    pub(crate) type_name: &'static str,
    /// The plugin.
    pub(crate) filter: Arc<dyn Filter>,
}

/// The file buffers that a configuration names, of its outputs that can be built.
pub(crate) fn file_buffers(
    root: &Element,
    system: &System,
    registry: &Registry,
) -> (Vec<FileBuffer>, Diagnostics) {
    let mut diagnostics = Diagnostics::new();
    let directives = Directives::read(root, system, &mut diagnostics);
    let session = Session::new(system.strict_config_value);
    let built = pipelines::build(&directives, system, registry, &Arc::default(), &session, &mut diagnostics);
    (built.file_buffers, diagnostics)
}

impl Plan {
    /// Builds every plugin of `root`. All problems are reported at once; warnings alone do not stop it. `before` are the metrics of
    /// the configuration that this one takes the place of.
    pub(crate) fn build(
        root: &Element,
        system: System,
        registry: &Registry,
        before: &MetricRegistry,
    ) -> (Option<Self>, Diagnostics) {
        let mut diagnostics = Diagnostics::new();
        let directives = Directives::read(root, &system, &mut diagnostics);
        let session = Session::new(system.strict_config_value);
        if system.without_source {
            log_info!(PluginLog::program(), "'--without-source' is applied. Ignore <source> sections");
        }
        let metrics = Arc::new(before.successor());
        let built = pipelines::build(&directives, &system, registry, &metrics, &session, &mut diagnostics);
        diagnostics.extend(session.take_late_warnings());
        if diagnostics.has_errors() {
            return (None, diagnostics);
        }
        let plan = Self {
            system,
            inputs: built.inputs,
            filters: built.filters,
            outputs: built.outputs,
            log_router: built.log_router,
            held: built.held,
            metrics,
            routers: built.routers,
        };
        (Some(plan), diagnostics)
    }

    /// Makes the counters of what may become of records, so that the first loss is a rise.
    pub(crate) fn announce_metrics(&self) {
        for planned in &self.inputs {
            planned.counters.ledger.announce(Account::OF_INPUTS);
        }
        for built in self.outputs.iter().filter(|built| !built.output.hands_on()) {
            if let Some(status) = built.output.status() {
                status.counters.ledger.announce(Account::OF_OUTPUTS);
            }
        }
        if let Some(router) = self.routers.first() {
            router.ledger().announce(Account::OF_PIPELINES);
        }
    }
}
