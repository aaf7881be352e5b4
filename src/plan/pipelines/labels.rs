//! Labels: who refers to which, and where Logweir's own log lines go.

use super::super::directives::Directives;
use super::Builder;
use logweir_engine::config::{Diagnostic, Element, Params};
use logweir_engine::log_warn;
use logweir_engine::plugin::{LabelRef, ROOT_LABEL};
use logweir_engine::route::{Router, Workers};
use logweir_engine::telemetry::{Level, Shown};
use std::collections::BTreeMap;
use std::sync::Arc;

/// The program's own log lines go here.
pub(super) const LOG_LABEL: &str = "@FLUENT_LOG";

impl Builder<'_> {
    /// Labels that outputs refer to.
    pub(super) fn connect(&mut self, directives: &Directives<'_>) {
        let all = std::mem::take(&mut self.shared.labels).into_iter();
        let in_workers = std::mem::take(&mut self.shared.worker_labels).into_iter();
        let references = all.map(|(name, reference)| ((name, Workers::ALL), reference));
        let references: BTreeMap<(String, Workers), LabelRef> =
            references.chain(in_workers.map(|((of, name), reference)| ((name, of), reference))).collect();
        for ((name, workers), reference) in references {
            let router =
                if name == ROOT_LABEL { Some(self.root(workers)) } else { self.find(&name, workers) };
            match router {
                Some(router) => reference.connect(&router),
                None => self.diagnostics.push(undefined_reference(&name, directives)),
            }
        }
    }

    /// The label of that name, if it is there in all of these workers.
    pub(super) fn find(&self, name: &str, workers: Workers) -> Option<Arc<Router>> {
        let label = self.labels.get(name).filter(|label| label.workers.include(workers))?;
        Some(Arc::clone(&label.router))
    }

    /// Where Logweir's own log lines go as events.
    pub(super) fn log_router(&self, root: &Arc<Router>) -> Option<Arc<Router>> {
        let levels = [Level::Trace, Level::Debug, Level::Info, Level::Warn, Level::Error, Level::Fatal];
        let tags = levels.map(|level| format!("fluent.{}", level.as_str()));
        let Some(label) = self.labels.get(LOG_LABEL) else {
            let is_taken = tags.iter().any(|tag| root.takes(&tag.as_str().into()));
            return is_taken.then(|| Arc::clone(root));
        };
        let missing: Vec<&String> =
            tags.iter().filter(|tag| !label.router.takes(&tag.as_str().into())).collect();
        if !missing.is_empty() {
            log_warn!(
                self.log,
                "match for some tags of log events are not defined in @FLUENT_LOG label (to be ignored)",
                tags = Shown(format!("{missing:?}"))
            );
        }
        Some(Arc::clone(&label.router))
    }
}

pub(super) fn undefined_label<'a>(
    name: &str,
    labels: impl Iterator<Item = &'a String>,
    params: &Params,
) -> Diagnostic {
    let known: Vec<&str> = labels.map(String::as_str).collect();
    params
        .error("@label", format!("{name} label not found"))
        .class_name("ArgumentError")
        .help(format!("labels of this configuration: {}", known.join(", ")))
}

/// An output's `@label` (or that of an output nested in it) that no `<label>` defines, at its place in the file.
fn undefined_reference(name: &str, directives: &Directives<'_>) -> Diagnostic {
    let problem = Diagnostic::error(format!("{name} label not found")).class_name("ArgumentError");
    let rules = directives.rules.iter().map(|placed| placed.element);
    let rules = rules.chain(directives.labels.iter().flat_map(|label| label.rules.iter().copied()));
    match rules.into_iter().find_map(|element| find_attr(element, name)) {
        Some(span) => problem.at(&span),
        None => problem,
    }
}

fn find_attr(element: &Element, label: &str) -> Option<logweir_engine::config::Span> {
    let own = element.attrs.iter().find(|attr| attr.value.text() == Some(label));
    own.map(|attr| attr.value_span.clone())
        .or_else(|| element.elements.iter().find_map(|inner| find_attr(inner, label)))
}
