//! Where something stands in a configuration file.

use std::fmt;
use std::sync::Arc;

/// The text of one configuration file, kept for messages.
pub struct Source {
    /// The path as messages show it.
    pub name: String,
    /// The whole text.
    pub text: String,
}

impl Source {
    /// A source to take spans of.
    pub fn new(name: impl Into<String>, text: impl Into<String>) -> Arc<Self> {
        Arc::new(Self { name: name.into(), text: text.into() })
    }

    /// Line and column of a byte offset, both counted from 1; the column counts characters.
    pub fn position(&self, offset: usize) -> (usize, usize) {
        let end = floor_boundary(&self.text, offset);
        let before = &self.text[..end];
        let line_start = before.rfind('\n').map_or(0, |at| at + 1);
        let line = before.bytes().filter(|byte| *byte == b'\n').count() + 1;
        (line, before[line_start..].chars().count() + 1)
    }
}

impl fmt::Debug for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Source({:?}, {} bytes)", self.name, self.text.len())
    }
}

/// A byte range of a [`Source`].
#[derive(Clone)]
pub struct Span {
    source: Arc<Source>,
    start: usize,
    end: usize,
}

impl Span {
    /// The bytes `start..end` of `source`, cut to what is there.
    pub fn new(source: &Arc<Source>, start: usize, end: usize) -> Self {
        let start = floor_boundary(&source.text, start);
        let end = floor_boundary(&source.text, end).max(start);
        Self { source: source.clone(), start, end }
    }

    /// The file.
    pub fn source(&self) -> &Arc<Source> {
        &self.source
    }

    /// The byte range.
    pub fn range(&self) -> std::ops::Range<usize> {
        self.start..self.end
    }

    /// The text there.
    pub fn text(&self) -> &str {
        &self.source.text[self.start..self.end]
    }

    /// Line and column of its start, counted from 1.
    pub fn position(&self) -> (usize, usize) {
        self.source.position(self.start)
    }

    /// The same place in the text of `other`, which is as long up to here.
    pub(super) fn within(&self, other: &Self) -> Self {
        Self::new(&other.source, self.start, self.end)
    }

    /// The same place in a text that has `x` for each character of it.
    pub(super) fn masked(&self) -> Self {
        let text = &self.source.text;
        let mask = self.text().replace(|c: char| c != '\n' && c != '\r', "x");
        let end = self.start + mask.len();
        let text = format!("{}{mask}{}", &text[..self.start], &text[self.end..]);
        Self { source: Source::new(self.source.name.clone(), text), start: self.start, end }
    }
}

/// `file:line:column`
impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (line, column) = self.position();
        write!(f, "{}:{line}:{column}", self.source.name)
    }
}

impl fmt::Debug for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Span({self})")
    }
}

/// The last character boundary at or before `offset`.
fn floor_boundary(text: &str, offset: usize) -> usize {
    text.floor_char_boundary(offset.min(text.len()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn positions_count_lines_and_characters_from_one() {
        let source = Source::new("f", "a\nüx\n");
        assert_eq!(source.position(0), (1, 1));
        assert_eq!(source.position(2), (2, 1));
        assert_eq!(source.position(4), (2, 2));
        assert_eq!(source.position(3), (2, 1), "inside a character");
        assert_eq!(source.position(99), (3, 1), "past the end");
        assert_eq!(Span::new(&source, 4, 5).to_string(), "f:2:2");
        assert_eq!(Span::new(&source, 4, 5).text(), "x");
    }

    #[test]
    fn a_masked_span_hides_its_text() {
        let source = Source::new("f", "password \"gehölz\" # c\nx");
        let masked = Span::new(&source, 9, 18).masked();
        assert_eq!(masked.source().text, "password xxxxxxxx # c\nx");
        assert_eq!(masked.text(), "xxxxxxxx");
    }
}
