//! Builds the plugins of all directives and connects labels.

mod labels;

use super::directives::{Directives, Placed};
use super::source_only::{self, Held};
use super::{PlannedFilter, PlannedInput};
use labels::{LOG_LABEL, undefined_label};
use logweir_engine::config::{Checker, Diagnostic, Diagnostics, Element, Params, Session, System};
use logweir_engine::log_info;
use logweir_engine::plugin::{
    Build, BuildContext, BuiltOutput, CountedFilter, Descriptor, FileBuffer, Filter, FilterCounters,
    InputCounters, Kind, PluginId, PluginInfo, PluginState, ROOT_LABEL, Registry, Shared,
};
use logweir_engine::route::{Collector, ErrorEvents, Router, Rule, TagPatterns, Workers};
use logweir_engine::telemetry::PluginLog;
use logweir_engine::telemetry::prometheus::MetricRegistry;
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

/// Records that failed go here.
const ERROR_LABEL: &str = "@ERROR";

/// What [`build`] made.
#[derive(Default)]
pub(super) struct Built {
    pub(super) inputs: Vec<PlannedInput>,
    pub(super) filters: Vec<PlannedFilter>,
    pub(super) outputs: Vec<BuiltOutput>,
    pub(super) file_buffers: Vec<FileBuffer>,
    pub(super) log_router: Option<Arc<Router>>,
    pub(super) routers: Vec<Arc<Router>>,
    pub(super) held: Vec<Held>,
}

/// A label that was built.
struct BuiltLabel {
    workers: Workers,
    router: Arc<Router>,
}

struct Builder<'a> {
    system: &'a System,
    registry: &'a Registry,
    session: &'a Arc<Session>,
    diagnostics: &'a mut Diagnostics,
    shared: Shared,
    /// `system` as plugins in the `<worker>` see it whose plugins are being built.
    worker_system: Option<System>,
    errors: ErrorEvents,
    /// For what runs in no worker that has the label `@ERROR`.
    unlabelled_errors: ErrorEvents,
    error_workers: Option<Workers>,
    filters: Vec<PlannedFilter>,
    labels: HashMap<String, BuiltLabel>,
    root_rules: Arc<[Rule]>,
    /// The top level as inputs (and outputs that emit) in a `<worker>` see it.
    roots: BTreeMap<Workers, Arc<Router>>,
    /// Where inputs emit to, by a name for it.
    targets: BTreeMap<String, Arc<Router>>,
    /// Inputs, and the filters of the pipeline in work, as monitoring shows them.
    shown_inputs: Vec<PluginInfo>,
    shown_filters: Vec<PluginInfo>,
    log: PluginLog,
}

/// Builds labels, then the top level, then sources, as Fluentd does. Problems go to `diagnostics`.
pub(super) fn build(
    directives: &Directives<'_>,
    system: &System,
    registry: &Registry,
    metrics: &Arc<MetricRegistry>,
    session: &Arc<Session>,
    diagnostics: &mut Diagnostics,
) -> Built {
    let log = PluginLog::program();
    let errors = ErrorEvents::new(log.clone(), system.emit_error_log_interval.unwrap_or_default());
    let mut builder = Builder {
        system,
        registry,
        session,
        diagnostics,
        shared: Shared::new(Arc::clone(metrics)),
        worker_system: None,
        unlabelled_errors: errors.without_label(),
        errors,
        error_workers: directives.labels.iter().find(|l| l.name == ERROR_LABEL).map(|l| l.workers),
        filters: Vec::new(),
        labels: HashMap::new(),
        root_rules: Arc::default(),
        roots: BTreeMap::new(),
        targets: BTreeMap::new(),
        shown_inputs: Vec::new(),
        shown_filters: Vec::new(),
        log,
    };
    let mut shown_labels = Vec::new();
    for label in &directives.labels {
        let workers = label.workers;
        let rules = label.rules.iter().map(|element| Placed { element, workers });
        let rules = builder.rules(rules, Some(label.name));
        let errors = builder.errors_of(workers, label.name);
        let quiet = label.name == LOG_LABEL;
        let router = Router::of_workers(rules, workers, system.workers, errors, builder.log.clone(), quiet);
        shown_labels.extend(builder.take_shown());
        builder.labels.insert(label.name.to_owned(), BuiltLabel { workers, router });
    }
    if let Some(label) = builder.labels.get(ERROR_LABEL) {
        builder.errors.connect(&label.router);
    }
    builder.root_rules = builder.rules(directives.rules.iter().copied(), None);
    let shown_root = builder.take_shown();
    let root = builder.root(Workers::ALL);
    let inputs = directives.sources.iter().filter_map(|source| builder.input(*source)).collect();
    builder.connect(directives);
    let held = builder.held();
    let shown = std::mem::take(&mut builder.shown_inputs).into_iter().chain(shown_root).chain(shown_labels);
    let shown = shown.chain(builder.take_shown());
    builder.shared.plugins.complete(shown.collect(), &root);
    let log_router = builder.log_router(&root);
    let labels = builder.labels.into_values().map(|label| label.router);
    Built {
        inputs,
        filters: builder.filters,
        outputs: builder.shared.outputs,
        file_buffers: builder.shared.file_buffers,
        log_router,
        routers: labels.chain(builder.roots.into_values()).collect(),
        held,
    }
}

impl Builder<'_> {
    /// Plugins that are built from here on stand in this `<worker>`.
    fn enter(&mut self, workers: Workers) {
        self.shared.workers = workers;
        self.worker_system = workers.range().map(|range| self.system.in_workers(range));
    }

    /// What `workers` see of the top level.
    fn root(&mut self, workers: Workers) -> Arc<Router> {
        if let Some(router) = self.roots.get(&workers) {
            return Arc::clone(router);
        }
        let errors = self.errors_of(workers, ROOT_LABEL);
        let (rules, count) = (Arc::clone(&self.root_rules), self.system.workers);
        let router = Router::of_workers(rules, workers, count, errors, self.log.clone(), false);
        self.roots.insert(workers, Arc::clone(&router));
        router
    }

    /// Where records go that a plugin of `label` in these workers cannot handle. Errors inside @ERROR are only logged.
    fn errors_of(&self, workers: Workers, label: &str) -> ErrorEvents {
        match self.error_workers {
            Some(those) if label != ERROR_LABEL && those.overlap(workers) => self.errors.clone(),
            _ => self.unlabelled_errors.clone(),
        }
    }

    fn rules<'e>(
        &mut self,
        directives: impl Iterator<Item = Placed<'e>>,
        label: Option<&str>,
    ) -> Arc<[Rule]> {
        self.shared.label = label.map(str::to_owned);
        let mut rules = Vec::new();
        for Placed { element, workers } in directives {
            let patterns = match TagPatterns::parse(&element.arg) {
                Ok(patterns) => patterns,
                Err(error) => {
                    let span = element.arg_span.as_ref().unwrap_or(&element.span);
                    self.diagnostics.push(Diagnostic::error(error.to_string()).at(span));
                    continue;
                }
            };
            self.enter(workers);
            let errors = self.errors_of(workers, label.unwrap_or(ROOT_LABEL));
            if let Some(collector) = self.collector(element, &errors, label) {
                rules.push(Rule { patterns, collector, workers });
            }
        }
        rules.into()
    }

    fn collector(
        &mut self,
        element: &Element,
        errors: &ErrorEvents,
        label: Option<&str>,
    ) -> Option<Collector> {
        let kind = if element.name == "filter" { Kind::Filter } else { Kind::Output };
        let params = self.check(element, kind)?;
        let pattern = if element.arg.is_empty() { "**" } else { &element.arg };
        let place = label.map(|label| format!(" in {label}")).unwrap_or_default();
        let message = format!("adding {}{place}", element.name);
        log_info!(self.log, message, pattern = pattern, type = params.plugin_type());
        let built = if kind == Kind::Filter {
            self.filter(&params, errors).map(Collector::Filter)
        } else {
            let mut context = self.context(PluginId::generated(""), PluginLog::program(), errors.clone());
            context.output(&params).map(Collector::Output)
        };
        built.map_err(|problem| self.diagnostics.push(problem)).ok()
    }

    fn filter(&mut self, params: &Params, errors: &ErrorEvents) -> Result<Arc<dyn Filter>, Diagnostic> {
        let descriptor = self.descriptor(params, Kind::Filter)?;
        let Build::Filter(build) = descriptor.build else { return Err(params.error_here("not a filter")) };
        let (id, log) = self.identity(params)?;
        let filter = build(params, &mut self.context(id.clone(), log, errors.clone()))?;
        let counters = Arc::new(FilterCounters::default());
        let filter: Arc<dyn Filter> = Arc::new(CountedFilter::new(filter, Arc::clone(&counters)));
        self.shown_filters.push(PluginInfo::new(id.clone(), params, PluginState::Filter(counters)));
        self.filters.push(PlannedFilter { id, type_name: descriptor.name, filter: Arc::clone(&filter) });
        Ok(filter)
    }

    fn input(&mut self, Placed { element, workers }: Placed<'_>) -> Option<PlannedInput> {
        let params = self.check(element, Kind::Input)?;
        self.enter(workers);
        self.shared.label = None;
        log_info!(self.log, "adding source", type = params.plugin_type());
        self.try_input(&params, workers).map_err(|problem| self.diagnostics.push(problem)).ok()
    }

    fn try_input(&mut self, params: &Params, workers: Workers) -> Result<PlannedInput, Diagnostic> {
        let descriptor = self.descriptor(params, Kind::Input)?;
        let Build::Input(build) = descriptor.build else { return Err(params.error_here("not an input")) };
        let label = params.label().filter(|name| *name != ROOT_LABEL);
        let router = match label {
            None => self.root(workers),
            Some(name) => {
                let router = self.find(name, workers);
                router.ok_or_else(|| undefined_label(name, self.labels.keys(), params))?
            }
        };
        self.targets.insert(source_only::target_name(label, workers), Arc::clone(&router));
        let (id, log) = self.identity(params)?;
        let errors = self.errors_of(workers, label.unwrap_or(ROOT_LABEL));
        let input = build(params, &mut self.context(id.clone(), log.clone(), errors))?;
        let counters = Arc::new(InputCounters::of(&id.text, params.plugin_type()));
        let state = PluginState::Input(Arc::clone(&counters));
        self.shown_inputs.push(PluginInfo::new(id.clone(), params, state));
        Ok(PlannedInput { id, type_name: descriptor.name, log, router, counters, input })
    }

    /// Outputs and filters of the pipeline that was just built, as monitoring shows them.
    fn take_shown(&mut self) -> Vec<PluginInfo> {
        let mut shown = std::mem::take(&mut self.shared.shown_outputs);
        shown.append(&mut self.shown_filters);
        shown
    }

    /// The buffers of with_source_only.
    fn held(&mut self) -> Vec<Held> {
        self.enter(Workers::ALL);
        let targets = std::mem::take(&mut self.targets);
        let errors = self.unlabelled_errors.clone();
        source_only::build(targets, self.system, errors, &mut self.shared).unwrap_or_else(|problem| {
            self.diagnostics.push(problem);
            Vec::new()
        })
    }

    fn check(&mut self, element: &Element, kind: Kind) -> Option<Params> {
        if element.plugin_type().is_none() {
            let message = format!("Missing '@type' parameter on <{}> directive", element.name);
            self.diagnostics.push(Diagnostic::error(message).at(&element.span));
            return None;
        }
        let mut checker = Checker::new(self.registry, self.session);
        let params = checker.plugin(element, kind, None);
        let found = checker.finish();
        let refused = found.has_errors();
        self.diagnostics.extend(found);
        params.filter(|_| !refused)
    }

    fn descriptor(&self, params: &Params, kind: Kind) -> Result<&'static Descriptor, Diagnostic> {
        let found = self.registry.find(kind, params.plugin_type());
        found.ok_or_else(|| params.unknown_plugin(kind, self.registry))
    }

    fn identity(&mut self, params: &Params) -> Result<(PluginId, PluginLog), Diagnostic> {
        let id = self.shared.identify(params)?;
        let log = PluginLog::new(id.configured.then(|| id.text.clone()), params.log_level())
            .in_worker(self.shared.workers.first());
        Ok((id, log))
    }

    fn context(&mut self, id: PluginId, log: PluginLog, errors: ErrorEvents) -> BuildContext<'_> {
        BuildContext {
            id,
            log,
            system: self.worker_system.as_ref().unwrap_or(self.system),
            registry: self.registry,
            errors,
            shared: &mut self.shared,
            secondary_of: None,
        }
    }
}
