//! A problem of the configuration: what, where, and what to do about it.

use super::Span;
use super::excerpt::excerpt;
use annotate_snippets::{AnnotationKind, Group, Level, Renderer, Snippet};
use std::fmt;

/// How bad it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Severity {
    /// The configuration is refused.
    Error,
    /// It works, but probably not as meant.
    Warning,
}

/// A problem of the configuration with its place. The message is Fluentd's where Fluentd has one, because operators
/// search logs for it; label, notes and help are ours.
#[derive(Clone, Debug)]
pub struct Diagnostic(Box<Details>);

#[derive(Clone, Debug)]
struct Details {
    severity: Severity,
    class: &'static str,
    message: String,
    headline: Option<String>,
    position: Option<Span>,
    span: Option<Span>,
    label: Option<String>,
    notes: Vec<String>,
    help: Option<String>,
}

impl Diagnostic {
    /// A problem that stops the start.
    pub fn error(message: impl Into<String>) -> Self {
        Self::new(Severity::Error, message.into())
    }

    /// A problem that does not.
    pub fn warning(message: impl Into<String>) -> Self {
        Self::new(Severity::Warning, message.into())
    }

    /// A syntax error. `position` is where Fluentd says that it is, which may be far behind the cause.
    pub(super) fn syntax(message: impl Into<String>, position: Span) -> Self {
        let mut error = Self::error(message).class_name("Fluent::ConfigParseError");
        error.0.position = Some(position);
        error
    }

    fn new(severity: Severity, message: String) -> Self {
        Self(Box::new(Details {
            severity,
            class: "Fluent::ConfigError",
            message,
            headline: None,
            position: None,
            span: None,
            label: None,
            notes: Vec::new(),
            help: None,
        }))
    }

    /// At this place.
    #[must_use]
    pub fn at(mut self, span: &Span) -> Self {
        self.0.span = Some(span.clone());
        self
    }

    /// Under the place that is marked.
    #[must_use]
    pub fn label(mut self, text: impl Into<String>) -> Self {
        self.0.label = Some(text.into());
        self
    }

    /// The error class that Fluentd would name; `Fluent::ConfigError` unless given.
    #[must_use]
    pub fn class_name(mut self, class: &'static str) -> Self {
        self.0.class = class;
        self
    }

    /// One more fact.
    #[must_use]
    pub fn note(mut self, text: impl Into<String>) -> Self {
        self.0.notes.push(text.into());
        self
    }

    /// What the user can do.
    #[must_use]
    pub fn help(mut self, text: impl Into<String>) -> Self {
        self.0.help = Some(text.into());
        self
    }

    /// The message in a form that fits above the source line, where Fluentd's is long.
    #[must_use]
    pub(super) fn headline(mut self, text: String) -> Self {
        self.0.headline = Some(text);
        self
    }

    /// How bad it is.
    pub fn severity(&self) -> Severity {
        self.0.severity
    }

    /// Whether it stops the start.
    pub fn is_error(&self) -> bool {
        self.0.severity == Severity::Error
    }

    /// The error class that Fluentd would name.
    pub fn class(&self) -> &'static str {
        self.0.class
    }

    /// What is wrong, in one phrase.
    pub fn message(&self) -> &str {
        &self.0.message
    }

    /// The text that Fluentd's exception has: the phrase, and for syntax errors ` at FILE line L,C` with an excerpt.
    pub fn fluentd_message(&self) -> String {
        match &self.0.position {
            Some(position) => format!("{} at {}", self.0.message, excerpt(position)),
            None => self.0.message.clone(),
        }
    }

    /// Where it is.
    pub fn span(&self) -> Option<&Span> {
        self.0.span.as_ref()
    }

    /// What the user can do.
    pub fn help_text(&self) -> Option<&str> {
        self.0.help.as_deref()
    }

    /// The message with file, line, column, the source line and a caret, the notes and the help. Ends without a
    /// newline. `color` adds terminal escapes.
    pub fn render(&self, color: bool) -> String {
        let details = &*self.0;
        let level = match details.severity {
            Severity::Error => Level::ERROR,
            Severity::Warning => Level::WARNING,
        };
        let mut group =
            Group::with_title(level.primary_title(details.headline.as_deref().unwrap_or(&details.message)));
        if let Some(span) = &details.span {
            let source = span.source();
            let mut mark = AnnotationKind::Primary.span(visible(span));
            if let Some(label) = &details.label {
                mark = mark.label(label.as_str());
            }
            let snippet = Snippet::source(source.text.as_str()).path(source.name.as_str()).annotation(mark);
            group = group.element(snippet);
        }
        for note in &details.notes {
            group = group.element(Level::NOTE.message(note.as_str()));
        }
        if let Some(help) = &details.help {
            group = group.element(Level::HELP.message(help.as_str()));
        }
        let renderer = if color { Renderer::styled() } else { Renderer::plain() };
        renderer.render(&[group]).to_string()
    }
}

/// Only the first line of what the span covers: a section that is never closed must not be printed as a whole.
fn visible(span: &Span) -> std::ops::Range<usize> {
    let range = span.range();
    let length = span.text().find(['\n', '\r']).unwrap_or(range.len());
    range.start..range.start + length
}

impl fmt::Display for Diagnostic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0.span {
            Some(span) => write!(f, "{span}: {}", self.0.message),
            None => f.write_str(&self.0.message),
        }
    }
}

impl std::error::Error for Diagnostic {}

/// All problems that were found, in the order in which they were found.
#[derive(Clone, Debug, Default)]
pub struct Diagnostics {
    list: Vec<Diagnostic>,
    error_count: usize,
}

impl Diagnostics {
    /// None yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds one.
    pub fn push(&mut self, diagnostic: Diagnostic) {
        self.error_count += usize::from(diagnostic.is_error());
        self.list.push(diagnostic);
    }

    /// Adds many.
    pub fn extend(&mut self, diagnostics: impl IntoIterator<Item = Diagnostic>) {
        for diagnostic in diagnostics {
            self.push(diagnostic);
        }
    }

    /// All of them.
    pub fn iter(&self) -> impl Iterator<Item = &Diagnostic> + '_ {
        self.list.iter()
    }

    /// Those that stop the start.
    pub fn errors(&self) -> impl Iterator<Item = &Diagnostic> + '_ {
        self.list.iter().filter(|diagnostic| diagnostic.is_error())
    }

    /// Those that do not.
    pub fn warnings(&self) -> impl Iterator<Item = &Diagnostic> + '_ {
        self.list.iter().filter(|diagnostic| !diagnostic.is_error())
    }

    /// How many stop the start.
    pub fn error_count(&self) -> usize {
        self.error_count
    }

    /// Whether the configuration must be refused.
    pub fn has_errors(&self) -> bool {
        self.error_count > 0
    }

    /// Whether there is nothing to say.
    pub fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// All of them as text, an empty line between two.
    pub fn render(&self, color: bool) -> String {
        let texts: Vec<String> = self.list.iter().map(|diagnostic| diagnostic.render(color)).collect();
        texts.join("\n\n")
    }
}

impl IntoIterator for Diagnostics {
    type Item = Diagnostic;
    type IntoIter = std::vec::IntoIter<Diagnostic>;

    fn into_iter(self) -> Self::IntoIter {
        self.list.into_iter()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Source;

    #[test]
    fn a_rendered_problem_shows_place_line_caret_and_help() {
        let source = Source::new("fluent.conf", "<source>\n  @type fowrard\n</source>\n");
        let text = Diagnostic::error("Unknown input plugin 'fowrard'")
            .at(&Span::new(&source, 17, 24))
            .label("no such input")
            .help("did you mean 'forward'?")
            .render(false);
        assert!(text.contains("error: Unknown input plugin 'fowrard'"), "{text}");
        assert!(text.contains("fluent.conf:2:9"), "{text}");
        assert!(text.contains("2 |   @type fowrard"), "{text}");
        assert!(text.contains("^^^^^^^ no such input"), "{text}");
        assert!(text.contains("help: did you mean 'forward'?"), "{text}");
    }

    #[test]
    fn a_span_over_lines_marks_only_the_first() {
        let source = Source::new("f", "<a>\nx 1\ny 2\n");
        let text = Diagnostic::error("e").at(&Span::new(&source, 0, 12)).render(false);
        assert!(text.contains("1 | <a>") && !text.contains("y 2"), "{text}");
    }
}
