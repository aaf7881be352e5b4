//! The top level of a configuration sorted into sources, pipelines and labels (spec config-syntax 5).

use logweir_engine::config::{Diagnostic, Diagnostics, Element, System, root_parameters};

/// The directives of a configuration. `<worker>` sections are dissolved: one process does the work of all workers.
#[derive(Default)]
pub(super) struct Directives<'a> {
    /// `<source>`
    pub(super) sources: Vec<&'a Element>,
    /// `<filter>` and `<match>` of the top level, in order.
    pub(super) rules: Vec<&'a Element>,
    /// `<label @NAME>`, each name once.
    pub(super) labels: Vec<Label<'a>>,
}

/// One label.
pub(super) struct Label<'a> {
    /// Its name, with `@`.
    pub(super) name: &'a str,
    /// Its `<filter>` and `<match>`, in order.
    pub(super) rules: Vec<&'a Element>,
}

impl<'a> Directives<'a> {
    pub(super) fn read(root: &'a Element, system: &System, diagnostics: &mut Diagnostics) -> Self {
        let mut directives = Self::default();
        diagnostics.extend(root_parameters(root));
        let mut taken_workers = Vec::new();
        for element in &root.elements {
            if element.name != "worker" {
                directives.add(element, diagnostics);
                continue;
            }
            if let Err(problem) = check_worker(element, system.workers, &mut taken_workers) {
                diagnostics.push(problem);
            }
            for inner in &element.elements {
                if matches!(inner.name.as_str(), "source" | "match" | "filter" | "label") {
                    directives.add(inner, diagnostics);
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

    fn add(&mut self, element: &'a Element, diagnostics: &mut Diagnostics) {
        match element.name.as_str() {
            "source" => self.sources.push(element),
            "filter" | "match" => self.rules.push(element),
            "label" => match self.label(element) {
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

    fn label(&self, element: &'a Element) -> Result<Label<'a>, Diagnostic> {
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
                    return Ok(Label { name, rules });
                }
                format!("Missing <match> sections in <label {name}> section")
            }
        };
        Err(Diagnostic::error(message).at(&element.span))
    }
}

/// `<worker N>` or `<worker N-M>`; `taken` are the ids of ranges so far.
fn check_worker(element: &Element, workers: u32, taken: &mut Vec<u32>) -> Result<(), Diagnostic> {
    let refuse = |message: String| Err(Diagnostic::error(message).at(&element.span));
    let last_allowed = workers.saturating_sub(1);
    if element.arg.is_empty() {
        return refuse("Missing worker id on <worker> directive".to_owned());
    }
    let number = |text: &str| text.trim().parse::<u32>().unwrap_or(0);
    let (first, last) = match element.arg.split_once('-') {
        Some((first, last)) => (number(first), number(last)),
        None => (number(&element.arg), number(&element.arg)),
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
        if let Some(id) = (first..=last).find(|id| taken.contains(id)) {
            let free: Vec<u32> = (0..workers).filter(|id| !taken.contains(id)).collect();
            return refuse(format!(
                "specified worker_id<{id}> collisions is detected on <worker> directive. Available worker id(s): \
                 {free:?}"
            ));
        }
        taken.extend(first..=last);
    }
    Ok(())
}
