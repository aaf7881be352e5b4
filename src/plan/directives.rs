//! The top level of a configuration sorted into sources, pipelines and labels (spec config-syntax 5).

use logweir_engine::config::{Diagnostic, Diagnostics, Element, System, root_parameters};
use logweir_engine::route::Workers;

/// The directives of a configuration. Those in `<worker>` sections come behind all others, as in Fluentd.
#[derive(Default)]
pub(super) struct Directives<'a> {
    /// `<source>`
    pub(super) sources: Vec<Placed<'a>>,
    /// `<filter>` and `<match>` of the top level, in order.
    pub(super) rules: Vec<Placed<'a>>,
    /// `<label @NAME>`, each name once.
    pub(super) labels: Vec<Label<'a>>,
}

/// A directive, and the `<worker>` that it stands in.
#[derive(Clone, Copy)]
pub(super) struct Placed<'a> {
    pub(super) element: &'a Element,
    pub(super) workers: Workers,
}

/// One label.
pub(super) struct Label<'a> {
    /// Its name, with `@`.
    pub(super) name: &'a str,
    /// The `<worker>` that it stands in.
    pub(super) workers: Workers,
    /// Its `<filter>` and `<match>`, in order.
    pub(super) rules: Vec<&'a Element>,
}

impl<'a> Directives<'a> {
    pub(super) fn read(root: &'a Element, system: &System, diagnostics: &mut Diagnostics) -> Self {
        let mut directives = Self::default();
        diagnostics.extend(root_parameters(root));
        let mut taken_workers = Vec::new();
        let (workers, others): (Vec<_>, Vec<_>) =
            root.elements.iter().partition(|element| element.name == "worker");
        for element in others {
            directives.add(Placed { element, workers: Workers::ALL }, diagnostics);
        }
        for section in workers {
            let workers = check_worker(section, system.workers, &mut taken_workers);
            let workers = workers.map_err(|problem| diagnostics.push(problem)).unwrap_or_default();
            for inner in &section.elements {
                if matches!(inner.name.as_str(), "source" | "match" | "filter" | "label") {
                    directives.add(Placed { element: inner, workers }, diagnostics);
                } else {
                    let message = format!("<worker> section cannot have <{}> directive", inner.name);
                    diagnostics.push(Diagnostic::error(message).at(&inner.span));
                }
            }
        }
        if system.without_source {
            directives.sources.clear();
        }
        directives
    }

    fn add(&mut self, placed: Placed<'a>, diagnostics: &mut Diagnostics) {
        let element = placed.element;
        match element.name.as_str() {
            "source" => self.sources.push(placed),
            "filter" | "match" => self.rules.push(placed),
            "label" => match self.label(placed) {
                Ok(label) => self.labels.push(label),
                Err(problem) => diagnostics.push(problem),
            },
            "system" => {}
            name => {
                let problem = Diagnostic::warning(format!("section <{name}> is not used in <ROOT>"))
                    .at(&element.span)
                    .help("the top level takes source, filter, match, label, worker and system");
                diagnostics.push(problem);
            }
        }
    }

    fn label(&self, Placed { element, workers }: Placed<'a>) -> Result<Label<'a>, Diagnostic> {
        let name = element.arg.as_str();
        let message = match name {
            "" => "Missing symbol argument on <label> directive".to_owned(),
            "@ROOT" => "@ROOT for <label> is not permitted, reserved for getting root router".to_owned(),
            _ if self.labels.iter().any(|label| label.name == name) => {
                format!("Section <label {name}> appears twice")
            }
            _ => {
                let rules: Vec<&Element> = element
                    .elements
                    .iter()
                    .filter(|e| matches!(e.name.as_str(), "filter" | "match"))
                    .collect();
                if rules.iter().any(|rule| rule.name == "match") {
                    return Ok(Label { name, workers, rules });
                }
                format!("Missing <match> sections in <label {name}> section")
            }
        };
        Err(Diagnostic::error(message).at(&element.span))
    }
}

/// `<worker N>` or `<worker N-M>`; `taken` are the ranges so far.
fn check_worker(element: &Element, workers: u32, taken: &mut Vec<(u32, u32)>) -> Result<Workers, Diagnostic> {
    let refuse = |message: String| {
        Err(Diagnostic::error(message).at(element.arg_span.as_ref().unwrap_or(&element.span)))
    };
    let last_allowed = workers.saturating_sub(1);
    if element.arg.is_empty() {
        return refuse("Missing worker id on <worker> directive".to_owned());
    }
    let (first, last) = element.arg.split_once('-').unwrap_or((&element.arg, &element.arg));
    let (Ok(first), Ok(last)) = (first.trim().parse::<u32>(), last.trim().parse::<u32>()) else {
        return refuse(format!("worker id should be integer: {}", element.arg));
    };
    if first > last {
        return refuse(format!(
            "greater first_worker_id<{first}> than last_worker_id<{last}> specified by <worker> directive is not \
             allowed. Available multi worker assign syntax is <smaller_worker_id>-<greater_worker_id>"
        ));
    }
    if last > last_allowed {
        return refuse(format!(
            "worker id {last} specified by <worker> directive is not allowed. Available worker id is between 0 and \
             {last_allowed}"
        ));
    }
    if element.arg.contains('-') {
        let is_taken = |id: u32| taken.iter().any(|(first, last)| (*first..=*last).contains(&id));
        let common = taken.iter().filter(|(from, to)| *from <= last && first <= *to);
        if let Some(id) = common.map(|(from, _)| first.max(*from)).min() {
            let free: Vec<u32> = (0..workers).filter(|id| !is_taken(*id)).take(FREE_SHOWN_MAX).collect();
            return refuse(format!(
                "specified worker_id<{id}> collisions is detected on <worker> directive. Available worker id(s): \
                 {free:?}"
            ));
        }
        taken.push((first, last));
    }
    Ok(Workers::only(first, last))
}

/// More numbers than this help nobody.
const FREE_SHOWN_MAX: usize = 64;
