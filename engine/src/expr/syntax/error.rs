//! Why an expression is refused when the configuration is loaded.

use std::fmt;
use std::ops::Range;

/// An expression that cannot be compiled: not Ruby, or Ruby outside the subset that Logweir evaluates.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SyntaxError {
    /// What is wrong, in one lower-case phrase.
    pub message: String,
    /// The expression.
    pub source: String,
    /// The offending token, in bytes of `source`.
    pub span: Range<usize>,
    /// What the user can do, if there is something.
    pub help: Option<String>,
}

impl SyntaxError {
    /// An error about `span` of `source`. The span is moved onto character boundaries inside the source.
    pub(crate) fn new(source: &str, span: Range<usize>, message: impl Into<String>) -> Self {
        let floor = |mut at: usize| {
            at = at.min(source.len());
            while !source.is_char_boundary(at) {
                at -= 1;
            }
            at
        };
        let start = floor(span.start);
        let end = floor(span.end).max(start);
        Self { message: message.into(), source: source.to_owned(), span: start..end, help: None }
    }

    pub(crate) fn help(mut self, text: impl Into<String>) -> Self {
        self.help = Some(text.into());
        self
    }

    /// The line of the expression that the error is on, and the column (in characters) of the offending token.
    fn line(&self) -> (&str, usize) {
        let start = self.source[..self.span.start].rfind('\n').map_or(0, |at| at + 1);
        let end = self.source[start..].find('\n').map_or(self.source.len(), |at| start + at);
        (&self.source[start..end], self.source[start..self.span.start].chars().count())
    }
}

impl fmt::Display for SyntaxError {
    /// The phrase, the line of the expression, a caret line, and the help:
    ///
    /// ```text
    /// constant `Net` is not supported
    ///   Net::HTTP.get(record["url"])
    ///   ^^^
    /// ```
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (line, column) = self.line();
        let left = line.chars().count().saturating_sub(column);
        let marks = self.source[self.span.clone()].chars().count().clamp(1, left.max(1));
        write!(f, "{}\n  {line}\n  {}{}", self.message, " ".repeat(column), "^".repeat(marks))?;
        match &self.help {
            Some(help) => write!(f, "\n  {help}"),
            None => Ok(()),
        }
    }
}

impl std::error::Error for SyntaxError {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_caret_stands_under_the_token() {
        let error = SyntaxError::new("a +\n  Übel.x(1)", 6..11, "no");
        assert_eq!(error.to_string(), "no\n    Übel.x(1)\n    ^^^^");
    }

    #[test]
    fn an_error_at_the_end_still_has_a_caret() {
        assert_eq!(SyntaxError::new("1 +", 3..3, "no").to_string(), "no\n  1 +\n     ^");
    }
}
