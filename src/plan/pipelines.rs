//! Builds the plugins of all directives and connects labels.

use super::directives::Directives;
use super::{PlannedFilter, PlannedInput};
use logweir_engine::config::{Checker, Diagnostic, Diagnostics, Element, Params, Session, System};
use logweir_engine::log_info;
use logweir_engine::plugin::{
    Build, BuildContext, BuiltOutput, CountedFilter, Descriptor, FileBuffer, Filter, FilterCounters,
    InputCounters, Kind, LabelRef, PluginId, PluginInfo, PluginState, ROOT_LABEL, Registry, Shared,
};
use logweir_engine::route::{Collector, ErrorEvents, Router, TagPatterns};
use logweir_engine::telemetry::PluginLog;
use logweir_engine::telemetry::prometheus::MetricRegistry;
use std::collections::HashMap;
use std::sync::Arc;

/// Records that failed go here.
const ERROR_LABEL: &str = "@ERROR";
/// The program's own log lines go here.
const LOG_LABEL: &str = "@FLUENT_LOG";

/// What [`build`] made.
#[derive(Default)]
pub(super) struct Built {
    pub(super) inputs: Vec<PlannedInput>,
    pub(super) filters: Vec<PlannedFilter>,
    pub(super) outputs: Vec<BuiltOutput>,
    pub(super) file_buffers: Vec<FileBuffer>,
    pub(super) log_router: Option<Arc<Router>>,
    pub(super) routers: Vec<Arc<Router>>,
}

struct Builder<'a> {
    system: &'a System,
    registry: &'a Registry,
    session: &'a Arc<Session>,
    diagnostics: &'a mut Diagnostics,
    shared: Shared,
    errors: ErrorEvents,
    filters: Vec<PlannedFilter>,
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
    let interval = system.emit_error_log_interval.unwrap_or_default();
    let mut builder = Builder {
        system,
        registry,
        session,
        diagnostics,
        shared: Shared::new(Arc::clone(metrics)),
        errors: ErrorEvents::new(log.clone(), interval),
        filters: Vec::new(),
        shown_inputs: Vec::new(),
        shown_filters: Vec::new(),
        log,
    };
    let mut labels = HashMap::new();
    let mut shown_labels = Vec::new();
    for label in &directives.labels {
        // Errors inside @ERROR are only logged.
        let errors =
            if label.name == ERROR_LABEL { builder.errors.without_label() } else { builder.errors.clone() };
        let router = builder.router(&label.rules, errors, Some(label.name));
        shown_labels.extend(builder.take_shown());
        labels.insert(label.name.to_owned(), router);
    }
    if let Some(router) = labels.get(ERROR_LABEL) {
        builder.errors.connect(router);
    }
    let errors = builder.errors.clone();
    let root = builder.router(&directives.rules, errors, None);
    let shown_root = builder.take_shown();
    labels.insert(ROOT_LABEL.to_owned(), Arc::clone(&root));
    let inputs =
        directives.sources.iter().filter_map(|source| builder.input(source, &labels, &root)).collect();
    builder.connect(&labels, directives);
    let shown = std::mem::take(&mut builder.shown_inputs).into_iter().chain(shown_root).chain(shown_labels);
    builder.shared.plugins.complete(shown.collect(), &root);
    let takes_own_log = root.takes(&"fluent.info".into());
    let log_router = labels.get(LOG_LABEL).cloned().or_else(|| takes_own_log.then_some(root));
    Built {
        inputs,
        filters: builder.filters,
        outputs: builder.shared.outputs,
        file_buffers: builder.shared.file_buffers,
        log_router,
        routers: labels.into_values().collect(),
    }
}

impl Builder<'_> {
    fn router(&mut self, rules: &[&Element], errors: ErrorEvents, label: Option<&str>) -> Arc<Router> {
        self.shared.label = label.map(str::to_owned);
        let mut collectors = Vec::new();
        for element in rules {
            let patterns = match TagPatterns::parse(&element.arg) {
                Ok(patterns) => patterns,
                Err(error) => {
                    let span = element.arg_span.as_ref().unwrap_or(&element.span);
                    self.diagnostics.push(Diagnostic::error(error.to_string()).at(span));
                    continue;
                }
            };
            if let Some(collector) = self.collector(element, &errors, label) {
                collectors.push((patterns, collector));
            }
        }
        Router::new(collectors, errors, self.log.clone(), label == Some(LOG_LABEL))
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

    fn input(
        &mut self,
        element: &Element,
        labels: &HashMap<String, Arc<Router>>,
        root: &Arc<Router>,
    ) -> Option<PlannedInput> {
        let params = self.check(element, Kind::Input)?;
        log_info!(self.log, "adding source", type = params.plugin_type());
        self.try_input(&params, labels, root).map_err(|problem| self.diagnostics.push(problem)).ok()
    }

    fn try_input(
        &mut self,
        params: &Params,
        labels: &HashMap<String, Arc<Router>>,
        root: &Arc<Router>,
    ) -> Result<PlannedInput, Diagnostic> {
        let descriptor = self.descriptor(params, Kind::Input)?;
        let Build::Input(build) = descriptor.build else { return Err(params.error_here("not an input")) };
        let router = match params.label() {
            None => root,
            Some(name) => labels.get(name).ok_or_else(|| undefined_label(name, labels.keys(), params))?,
        };
        let (id, log) = self.identity(params)?;
        let errors = self.errors.clone();
        let input = build(params, &mut self.context(id.clone(), log.clone(), errors))?;
        let counters = Arc::new(InputCounters::of(&id.text, params.plugin_type()));
        let state = PluginState::Input(Arc::clone(&counters));
        self.shown_inputs.push(PluginInfo::new(id.clone(), params, state));
        Ok(PlannedInput { id, type_name: descriptor.name, log, router: Arc::clone(router), counters, input })
    }

    /// Outputs and filters of the pipeline that was just built, as monitoring shows them.
    fn take_shown(&mut self) -> Vec<PluginInfo> {
        let mut shown = std::mem::take(&mut self.shared.shown_outputs);
        shown.append(&mut self.shown_filters);
        shown
    }

    /// Labels that outputs refer to.
    fn connect(&mut self, labels: &HashMap<String, Arc<Router>>, directives: &Directives<'_>) {
        let mut references: Vec<(&String, &LabelRef)> = self.shared.labels.iter().collect();
        references.sort_by_key(|(name, _)| name.as_str());
        for (name, reference) in references {
            match labels.get(name) {
                Some(router) => reference.connect(router),
                None => self.diagnostics.push(undefined_reference(name, directives)),
            }
        }
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
        let log = PluginLog::new(id.configured.then(|| id.text.clone()), params.log_level());
        Ok((id, log))
    }

    fn context(&mut self, id: PluginId, log: PluginLog, errors: ErrorEvents) -> BuildContext<'_> {
        BuildContext {
            id,
            log,
            system: self.system,
            registry: self.registry,
            errors,
            shared: &mut self.shared,
            secondary_of: None,
        }
    }
}

fn undefined_label<'a>(name: &str, labels: impl Iterator<Item = &'a String>, params: &Params) -> Diagnostic {
    let known: Vec<&str> = labels.map(String::as_str).collect();
    params
        .error("@label", format!("{name} label not found"))
        .class_name("ArgumentError")
        .help(format!("labels of this configuration: {}", known.join(", ")))
}

/// An output's `@label` (or that of an output nested in it) that no `<label>` defines, at its place in the file.
fn undefined_reference(name: &str, directives: &Directives<'_>) -> Diagnostic {
    let problem = Diagnostic::error(format!("{name} label not found")).class_name("ArgumentError");
    let rules = directives.rules.iter().chain(directives.labels.iter().flat_map(|label| &label.rules));
    match rules.copied().find_map(|element| find_attr(element, name)) {
        Some(span) => problem.at(&span),
        None => problem,
    }
}

fn find_attr(element: &Element, label: &str) -> Option<logweir_engine::config::Span> {
    let own = element.attrs.iter().find(|attr| attr.value.text() == Some(label));
    own.map(|attr| attr.value_span.clone())
        .or_else(|| element.elements.iter().find_map(|inner| find_attr(inner, label)))
}
