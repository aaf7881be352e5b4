//! Directives, what was found about each, and how that is printed.

use super::differences::{DIFFERENCES, Weight};
use logweir_engine::config::{Diagnostic, Diagnostics, Document, Element, Span};
use std::fmt;

/// What was found about a configuration.
pub(super) struct Report {
    files: Vec<String>,
    directives: Vec<Directive>,
    /// What is about no directive: mistakes of the text.
    elsewhere: Vec<Finding>,
}

/// A directive of the configuration, with its sections.
struct Directive {
    title: String,
    place: Span,
    findings: Vec<Finding>,
    /// Everything that stands in it, by file and byte range.
    spans: Vec<Span>,
}

/// Something about a directive.
struct Finding {
    weight: Verdict,
    place: Option<Span>,
    what: String,
    instead: Option<String>,
}

/// What becomes of a directive; the worst of its findings counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Verdict {
    AsItIs,
    Differently,
    NotAtAll,
}

impl Report {
    pub(super) fn new(document: &Document, problems: &Diagnostics) -> Self {
        let mut report = Self {
            files: document.sources.iter().map(|source| source.name.clone()).collect(),
            directives: Vec::new(),
            elsewhere: Vec::new(),
        };
        report.add_directives(&document.root);
        for problem in problems.iter() {
            report.add_problem(problem);
        }
        report
    }

    /// How many directives, and mistakes outside of them, keep the configuration from running.
    pub(super) fn failures(&self) -> usize {
        let elsewhere = self.elsewhere.iter().filter(|finding| finding.weight == Verdict::NotAtAll).count();
        self.count(Verdict::NotAtAll) + elsewhere
    }

    /// How many directives run differently.
    pub(super) fn differences(&self) -> usize {
        let elsewhere =
            self.elsewhere.iter().filter(|finding| finding.weight == Verdict::Differently).count();
        self.count(Verdict::Differently) + elsewhere
    }

    fn count(&self, verdict: Verdict) -> usize {
        self.directives.iter().filter(|directive| directive.verdict() == verdict).count()
    }

    fn add_directives(&mut self, parent: &Element) {
        for element in &parent.elements {
            let is_frame = matches!(element.name.as_str(), "label" | "worker");
            let mut directive = Directive {
                title: title(element),
                place: element.span.clone(),
                findings: Vec::new(),
                spans: Vec::new(),
            };
            if is_frame {
                directive
                    .spans
                    .extend([Some(element.span.clone()), element.arg_span.clone()].into_iter().flatten());
                directive.add_differences(element);
                self.directives.push(directive);
                self.add_directives(element);
            } else {
                directive.add(element);
                self.directives.push(directive);
            }
        }
    }

    fn add_problem(&mut self, problem: &Diagnostic) {
        let finding = Finding {
            weight: verdict(problem),
            place: problem.span().cloned(),
            what: first_sentence(problem.message()),
            instead: problem.help_text().map(str::to_owned),
        };
        let place = problem.span();
        let owner = place.and_then(|place| self.directives.iter_mut().find(|directive| directive.has(place)));
        match owner {
            Some(directive) => directive.findings.push(finding),
            None => self.elsewhere.push(finding),
        }
    }
}

impl Directive {
    fn verdict(&self) -> Verdict {
        self.findings.iter().map(|finding| finding.weight).max().unwrap_or(Verdict::AsItIs)
    }

    fn add(&mut self, element: &Element) {
        self.spans.push(element.span.clone());
        self.spans.extend(element.arg_span.clone());
        self.spans
            .extend(element.attrs.iter().flat_map(|attr| [attr.name_span.clone(), attr.value_span.clone()]));
        self.add_differences(element);
        for inner in &element.elements {
            self.add(inner);
        }
    }

    fn add_differences(&mut self, element: &Element) {
        let concerned = DIFFERENCES.iter().filter(|difference| (difference.concerns)(element));
        self.findings.extend(concerned.map(|difference| Finding {
            weight: match difference.weight {
                Weight::Differs => Verdict::Differently,
                Weight::Note => Verdict::AsItIs,
            },
            place: Some(element.span.clone()),
            what: difference.what.to_owned(),
            instead: None,
        }));
    }

    /// Whether `place` is in it. A secret's place is one in a masked copy of the file, so files are compared by name.
    fn has(&self, place: &Span) -> bool {
        let start = place.range().start;
        self.spans.iter().any(|span| {
            let range = span.range();
            span.source().name == place.source().name && range.start <= start && start <= range.end
        })
    }
}

/// Warnings that Fluentd has too change nothing.
fn verdict(problem: &Diagnostic) -> Verdict {
    let message = problem.message();
    let is_fluentds = message.contains(" is deprecated") || message.ends_with("as Fluentd reads it");
    match (problem.is_error(), is_fluentds) {
        (true, _) => Verdict::NotAtAll,
        (false, true) => Verdict::AsItIs,
        (false, false) => Verdict::Differently,
    }
}

/// Without Fluentd's advice on gems, and without the dump of a section behind `in`.
fn first_sentence(message: &str) -> String {
    let message = message.split(". Run 'gem search").next().unwrap_or(message);
    match (message.split_once('\n'), message.strip_suffix(" is not used.")) {
        (Some((first, _)), Some(_)) => format!("{} is not used", first.trim_end().trim_end_matches(" in")),
        (Some((first, _)), None) => first.to_owned(),
        _ => message.to_owned(),
    }
}

/// `<match app.**> @type forward`
fn title(element: &Element) -> String {
    let mut title = match element.arg.as_str() {
        "" => format!("<{}>", element.name),
        arg => format!("<{} {arg}>", element.name),
    };
    if let Some(plugin_type) = element.plugin_type() {
        title.push_str(" @type ");
        title.push_str(plugin_type);
    }
    title
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some((first, rest)) = self.files.split_first() {
            writeln!(f, "{first}")?;
            for file in rest {
                writeln!(f, "  includes {file}")?;
            }
        }
        for (verdict, words) in [
            (Verdict::AsItIs, "runs as it is"),
            (Verdict::Differently, "runs differently"),
            (Verdict::NotAtAll, "does not run"),
        ] {
            let directives = self.directives.iter().filter(|directive| directive.verdict() == verdict);
            let elsewhere = self.elsewhere.iter().filter(|finding| finding.weight == verdict);
            let mut head = Some(format!("\n{words}\n"));
            for directive in directives {
                f.write_str(&head.take().unwrap_or_default())?;
                writeln!(f, "  {}  {}", line(&directive.place), directive.title)?;
                for finding in &directive.findings {
                    finding.write(f, "    ")?;
                }
            }
            for finding in elsewhere {
                f.write_str(&head.take().unwrap_or_default())?;
                finding.write(f, "  ")?;
            }
        }
        writeln!(
            f,
            "\n{} as they are, {} differently, {} not at all. docs/compatibility.md says where Logweir differs from Fluentd.",
            self.count(Verdict::AsItIs),
            self.differences(),
            self.failures()
        )
    }
}

impl Finding {
    fn write(&self, f: &mut fmt::Formatter<'_>, indent: &str) -> fmt::Result {
        match &self.place {
            Some(place) => writeln!(f, "{indent}{}  {}", line(place), self.what)?,
            None => writeln!(f, "{indent}{}", self.what)?,
        }
        match &self.instead {
            Some(instead) => writeln!(
                f,
                "{indent}  {}: {instead}",
                if self.weight == Verdict::NotAtAll { "instead" } else { "hint" }
            ),
            None => Ok(()),
        }
    }
}

/// `FILE:LINE`
fn line(place: &Span) -> String {
    format!("{}:{}", place.source().name, place.position().0)
}
