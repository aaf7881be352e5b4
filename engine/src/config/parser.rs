//! Lines to directives (Fluentd's config/v1_parser.rb), going on after mistakes.

use super::cursor::Cursor;
use super::embedded::first_worker;
use super::include::Files;
use super::literal::{Boundary, Literals};
use super::{Attr, Diagnostic, Diagnostics, Element, Evaluate, RawValue, Source, Span, suggest};
use std::path::Path;
use std::sync::Arc;

/// Parses a file and what it includes.
pub(super) struct Parser<'a> {
    evaluate: &'a dyn Evaluate,
    pub(super) diagnostics: &'a mut Diagnostics,
    pub(super) files: &'a mut Files,
    /// The elements that are open, the root first.
    pub(super) open: Vec<Element>,
    is_stopped: bool,
}

impl<'a> Parser<'a> {
    /// A parser whose root element stands for `source`.
    pub(super) fn new(
        source: &Arc<Source>,
        evaluate: &'a dyn Evaluate,
        diagnostics: &'a mut Diagnostics,
        files: &'a mut Files,
    ) -> Self {
        let root = Element::new("ROOT", "", Span::new(source, 0, 0));
        Self { evaluate, diagnostics, files, open: vec![root], is_stopped: false }
    }

    /// The root with everything that was parsed.
    pub(super) fn finish(mut self) -> Option<Element> {
        while self.open.len() > 1 {
            self.close();
        }
        self.open.pop()
    }

    /// Parses one file into the element that is open. `folder` is what relative includes are relative to.
    pub(super) fn file(&mut self, source: Arc<Source>, folder: &Path) {
        let base = self.open.len();
        let mut cursor = Cursor::new(source);
        while !self.is_stopped {
            cursor.spacing();
            if cursor.is_end() {
                break;
            }
            let before = cursor.at();
            if cursor.eat("</") {
                self.end_tag(&mut cursor, before, base);
            } else if cursor.eat("<") {
                self.start_tag(&mut cursor, before);
            } else {
                self.parameter(&mut cursor, folder, base);
            }
            debug_assert!(cursor.at() > before || cursor.is_end());
            if self.diagnostics.error_count() >= PROBLEMS_MAX {
                self.stop(&cursor, "too many problems, the rest of the file was not read");
            }
        }
        if self.open.len() > base && !self.is_stopped {
            self.unclosed(&cursor);
        }
        while self.open.len() > base {
            self.close();
        }
    }

    fn start_tag(&mut self, cursor: &mut Cursor, start: usize) {
        let name = name(cursor);
        cursor.spacing();
        let arg_start = cursor.at();
        let arg = self.literals().string(cursor, Boundary::Tag);
        let arg_range = arg_start..cursor.at();
        let tag_end = cursor.at();
        cursor.spacing();
        let mut closed_at_once = false;
        if !cursor.eat(">") {
            if arg != Some(RawValue::Invalid) {
                let error = cursor.error("expected '>'", tag_end..tag_end);
                self.report(error.label("the tag is not closed on its line"));
            }
            cursor.move_to(tag_end);
            cursor.skip_line();
            cursor.line_end();
        } else if !cursor.line_end() {
            let error = cursor.error("expected end of line after tag", cursor.at()..cursor.at());
            let rest = cursor.at();
            cursor.skip_line();
            closed_at_once = cursor.text()[rest..cursor.at()].contains(&format!("</{name}"));
            self.report(error.label("this belongs on a line of its own"));
            cursor.line_end();
        }
        let span = cursor.span(start..tag_end.max(start + 1));
        if name.is_empty() {
            let warning = Diagnostic::warning("a section without a name").at(&span);
            self.report(warning.help("its name follows the < without a blank"));
        }
        let mut element = Element::new(name, "", span);
        // `"#{use_nil}"` as an argument is no argument.
        if let Some(RawValue::Text(arg)) = arg {
            element.arg = arg;
            element.arg_span = Some(cursor.span(arg_range));
        }
        if self.open.len() >= DEPTH_MAX {
            return self.stop(cursor, "sections are nested too deeply, the rest of the file was not read");
        }
        if self.open.len() == 1 && element.name == WORKER {
            self.evaluate.in_worker(first_worker(&element.arg));
        }
        self.open.push(element);
        if closed_at_once {
            self.close();
        }
    }

    fn end_tag(&mut self, cursor: &mut Cursor, start: usize, base: usize) {
        let name = name(cursor);
        cursor.spacing();
        if !cursor.eat(">") {
            let error = cursor.error("expected character in tag name", cursor.at()..cursor.at());
            self.report(error.help("a section's name is letters, digits and _"));
            cursor.skip_line();
            if self.open.len() > base {
                self.close();
            }
            return;
        }
        let tag = start..cursor.at();
        if !cursor.line_end() {
            let error = cursor.error("expected end of line after end tag", cursor.at()..cursor.at());
            self.report(error.label("this belongs on a line of its own"));
            cursor.skip_line();
        }
        let innermost = self.open.len() - 1;
        if innermost < base {
            let error = cursor.error("unmatched end tag", tag);
            return self.report(error.label("no section is open here"));
        }
        if self.open[innermost].name == name {
            return self.close();
        }
        let error = cursor.error("unmatched end tag", tag);
        let open = &self.open[innermost];
        let (line, _) = open.span.position();
        let error = error.label(format!("expected </{}>, which line {line} opened", open.name));
        // The end of an outer section means that the end tags of those within are missing; any other name is a slip.
        let outer = self.open[base..].iter().rposition(|element| element.name == name).map(|at| at + base);
        self.report(match suggest::nearest(&name, [open.name.as_str()]) {
            Some(near) if outer.is_none() => error.help(format!("did you mean </{near}>?")),
            _ => error,
        });
        let keep = outer.unwrap_or(innermost);
        while self.open.len() > keep {
            self.close();
        }
    }

    fn unclosed(&mut self, cursor: &Cursor) {
        let Some(element) = self.open.last() else { return };
        let message = format!("expected end tag '</{}>' but got end of file", element.name);
        let at = element.span.range();
        let error = cursor.error_at(message, cursor.at(), at).label("this section is never closed");
        self.report(error);
    }

    fn parameter(&mut self, cursor: &mut Cursor, folder: &Path, base: usize) {
        let is_root = self.open.len() == base;
        let start = cursor.at();
        let name = match self.literals().string(cursor, Boundary::Name) {
            Some(RawValue::Text(name)) => name,
            Some(RawValue::Invalid) => return cursor.skip_line(),
            // `"#{use_nil}"` as a name is no name.
            _ => String::new(),
        };
        let name_range = start..cursor.at();
        let is_bare = !cursor.text()[name_range.clone()].starts_with(['"', '\'']);
        if is_root && is_bare && (name == "@include" || name == "include") && cursor.spacing() {
            if name == "include" {
                let warning = Diagnostic::warning("'include' is deprecated. Use '@include' instead");
                self.report(warning.at(&cursor.span(name_range)));
            }
            return self.include(cursor, folder);
        }
        if start == 0 && name.starts_with('\u{feff}') {
            let message =
                "the file begins with a byte order mark, which is taken for a part of the first name";
            let warning = Diagnostic::warning(message).at(&cursor.span(name_range.clone()));
            self.report(warning.help("save the file as UTF-8 without a byte order mark (BOM)"));
        }
        let blanks = cursor.blanks();
        if cursor.text()[blanks.clone()].contains('\n') || cursor.is_end() {
            let end = name_range.end;
            return self.set(cursor, name, RawValue::Text(String::new()), name_range, end..end);
        }
        if blanks.is_empty() {
            let error = cursor.error("expected end of line", cursor.at()..cursor.at());
            self.report(error.label("a blank belongs between name and value"));
            return cursor.skip_line();
        }
        if name == "@include" {
            return self.include(cursor, folder);
        }
        if name.starts_with('@') && !RESERVED.contains(&name.as_str()) {
            self.reserved_prefix(cursor, &name, name_range.clone(), is_root);
        }
        let value_start = cursor.at();
        let value = self.literals().value(cursor).unwrap_or(RawValue::Nil);
        let value_range = value_start..cursor.at();
        if value == RawValue::Invalid {
            cursor.skip_line();
        } else if !cursor.line_end() {
            let rest = cursor.at();
            let message = "expected end of line";
            let mut error = cursor.error(message, rest..rest).label("nothing may follow the value here");
            if cursor.text()[value_range.clone()].starts_with('"') {
                error = error.help("write \\\" for a quote in the text, or put the text in single quotes");
            }
            self.report(error);
            cursor.skip_line();
        } else {
            self.unevaluated(cursor, value_range.clone());
        }
        self.set(cursor, name, value, name_range, value_range);
    }

    fn reserved_prefix(&mut self, cursor: &Cursor, name: &str, range: std::ops::Range<usize>, is_root: bool) {
        let parent = self.open.last().map_or("", |element| element.name.as_str());
        if is_root || ["match", "source", "filter", "system"].contains(&parent) {
            let message = format!(
                "'@' is the system reserved prefix. Don't use '@' prefix parameter in the configuration: {name}"
            );
            let error = cursor.error(message, range);
            return self.report(match suggest::nearest(name, RESERVED.iter().copied()) {
                Some(near) => error.help(format!("did you mean {near}?")),
                None => error,
            });
        }
        let message = format!(
            "'@' is the system reserved prefix. It works in the nested configuration for now but it will be rejected: {name}"
        );
        self.report(Diagnostic::warning(message).at(&cursor.span(range)));
    }

    /// Says that an expression outside of double quotes is not evaluated: nearly always a mistake.
    fn unevaluated(&mut self, cursor: &Cursor, range: std::ops::Range<usize>) {
        let text = &cursor.text()[range.clone()];
        if text.starts_with(['"', '\'', '#']) || text.contains("${") {
            return;
        }
        if let Some(at) = text.find("#{")
            && text[at..].contains('}')
        {
            let place = range.start + at..range.start + at + 2;
            let warning = Diagnostic::warning("embedded code is only evaluated in double quotes");
            let help = "put the value in double quotes, or in single quotes if it is meant as it is";
            self.report(warning.at(&cursor.span(place)).help(help));
        }
    }

    fn include(&mut self, cursor: &mut Cursor, folder: &Path) {
        let start = cursor.at();
        let path = self.literals().string(cursor, Boundary::Value);
        let span = cursor.span(start..cursor.at());
        match path {
            Some(RawValue::Text(path)) => super::include::include(self, &path, &span, folder),
            Some(RawValue::Invalid) => cursor.skip_line(),
            _ => self.report(Diagnostic::syntax("@include without a path", span.clone()).at(&span)),
        }
        cursor.line_end();
    }

    fn set(
        &mut self,
        cursor: &Cursor,
        name: String,
        value: RawValue,
        name_range: std::ops::Range<usize>,
        value_range: std::ops::Range<usize>,
    ) {
        if let Some(element) = self.open.last_mut() {
            let name_span = cursor.span(name_range);
            let value_span = cursor.span(value_range);
            element.set(Attr::new(name, value, name_span, value_span));
        }
    }

    fn close(&mut self) {
        if let Some(element) = self.open.pop()
            && let Some(parent) = self.open.last_mut()
        {
            let is_worker = element.name == WORKER;
            parent.elements.push(element);
            if is_worker && self.open.len() == 1 {
                self.evaluate.in_worker(None);
            }
        }
    }

    fn literals(&mut self) -> Literals<'_> {
        Literals { evaluate: self.evaluate, diagnostics: self.diagnostics }
    }

    pub(super) fn report(&mut self, diagnostic: Diagnostic) {
        self.diagnostics.push(diagnostic);
    }

    /// Gives up: reads nothing more, of no file.
    pub(super) fn stop(&mut self, cursor: &Cursor, message: &str) {
        self.is_stopped = true;
        let error = cursor.error(message, cursor.at()..cursor.at());
        self.report(error);
    }
}

/// The name of a tag; empty if there is none.
fn name(cursor: &mut Cursor) -> String {
    let range = cursor.eat_while(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
    cursor.text()[range].to_owned()
}

/// The section in which `worker_id` has a value of its own.
const WORKER: &str = "worker";
const RESERVED: &[&str] = &["@type", "@id", "@label", "@log_level"];

/// Sections in sections, at most; deeper ones are a mistake, or an attack on the stack.
pub(super) const DEPTH_MAX: usize = 100;
/// After so many problems parsing stops: it is no configuration file.
const PROBLEMS_MAX: usize = 200;
