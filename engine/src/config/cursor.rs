//! A position in the text of a file, and what may be skipped from there.

use super::{Diagnostic, Source, Span};
use std::ops::Range;
use std::sync::Arc;

/// Reads a [`Source`] from front to back.
pub(super) struct Cursor {
    source: Arc<Source>,
    at: usize,
}

impl Cursor {
    pub(super) fn new(source: Arc<Source>) -> Self {
        Self { source, at: 0 }
    }

    pub(super) fn at(&self) -> usize {
        self.at
    }

    pub(super) fn move_to(&mut self, at: usize) {
        self.at = at;
    }

    pub(super) fn text(&self) -> &str {
        &self.source.text
    }

    pub(super) fn rest(&self) -> &str {
        &self.source.text[self.at..]
    }

    pub(super) fn is_end(&self) -> bool {
        self.at >= self.source.text.len()
    }

    pub(super) fn peek(&self) -> Option<char> {
        self.rest().chars().next()
    }

    pub(super) fn next(&mut self) -> Option<char> {
        let c = self.peek()?;
        self.at += c.len_utf8();
        Some(c)
    }

    /// Goes over `expected` if it is next.
    pub(super) fn eat(&mut self, expected: &str) -> bool {
        let found = self.rest().starts_with(expected);
        if found {
            self.at += expected.len();
        }
        found
    }

    /// Goes over the longest run of bytes that `is_part` accepts, which are ASCII.
    pub(super) fn eat_while(&mut self, is_part: impl Fn(u8) -> bool) -> Range<usize> {
        let start = self.at;
        let run = self.rest().bytes().take_while(|byte| byte.is_ascii() && is_part(*byte)).count();
        self.at += run;
        start..self.at
    }

    /// Goes over blanks, line ends and comments. False if there were none; the end of the text counts as one.
    pub(super) fn spacing(&mut self) -> bool {
        let end = self.spacing_end(self.at);
        let found = end > self.at || self.is_end();
        self.at = end;
        found
    }

    /// Where blanks, line ends and comments from `at` on end.
    pub(super) fn spacing_end(&self, mut at: usize) -> usize {
        let bytes = self.source.text.as_bytes();
        loop {
            match bytes.get(at) {
                Some(b' ' | b'\t' | b'\r' | b'\n') => at += 1,
                Some(b'#') => at = line_end(bytes, at),
                _ => return at,
            }
        }
    }

    /// Goes over blanks and line ends, and answers what it went over.
    pub(super) fn blanks(&mut self) -> Range<usize> {
        self.eat_while(|byte| matches!(byte, b' ' | b'\t' | b'\r' | b'\n'))
    }

    /// Goes over the end of the line with its comment, and over all empty and comment lines that follow. False, and
    /// nothing is skipped, if there is something else on the line.
    pub(super) fn line_end(&mut self) -> bool {
        let bytes = self.source.text.as_bytes();
        let mut found = false;
        loop {
            let mut at = self.at;
            while matches!(bytes.get(at), Some(b' ' | b'\t')) {
                at += 1;
            }
            if bytes.get(at) == Some(&b'#') {
                at = line_end(bytes, at);
            }
            match bytes.get(at) {
                None => {
                    self.at = at;
                    return true;
                }
                Some(b'\r' | b'\n') => {
                    self.at = at + 1;
                    found = true;
                }
                Some(_) => return found,
            }
        }
    }

    /// Goes to the end of the current line, before its line end.
    pub(super) fn skip_line(&mut self) {
        self.at = line_end(self.source.text.as_bytes(), self.at);
    }

    pub(super) fn span(&self, range: Range<usize>) -> Span {
        Span::new(&self.source, range.start, range.end)
    }

    /// A syntax error that marks `range`, or from there to here if `range` is empty. `position` is where Fluentd says
    /// it is.
    pub(super) fn error(&self, message: impl Into<String>, range: Range<usize>) -> Diagnostic {
        self.error_at(message, self.at, range)
    }

    /// As [`Self::error`], with the place that Fluentd names.
    pub(super) fn error_at(
        &self,
        message: impl Into<String>,
        position: usize,
        range: Range<usize>,
    ) -> Diagnostic {
        Diagnostic::syntax(message, Span::new(&self.source, position, position)).at(&self.span(range))
    }
}

/// The end of the line that `at` is in.
fn line_end(bytes: &[u8], at: usize) -> usize {
    bytes[at..].iter().position(|byte| matches!(byte, b'\r' | b'\n')).map_or(bytes.len(), |found| at + found)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cursor(text: &str) -> Cursor {
        Cursor::new(Source::new("f", text))
    }

    #[test]
    fn a_line_ends_with_its_comment_and_the_empty_lines_after_it() {
        let mut at = cursor("  # c\r\n\n \t# d\n x");
        assert!(at.line_end());
        assert_eq!(at.rest(), " x");
        assert!(!at.line_end());
        assert_eq!(at.rest(), " x");
        assert!(cursor("").line_end());
        assert!(cursor("# only").line_end());
    }

    #[test]
    fn spacing_is_also_found_at_the_end() {
        assert!(cursor("").spacing());
        assert!(!cursor("x").spacing());
        let mut at = cursor(" #a\n\r\n#b\nx");
        assert!(at.spacing());
        assert_eq!(at.rest(), "x");
    }
}
