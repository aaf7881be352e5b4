//! Regular expressions and their matches.

use super::Value;
use crate::expr::syntax::ast::RegexpOptions;
use crate::regexp::{Regexp, RegexpError, RegexpFlags};
use std::ops::{Deref, Range};
use std::rc::Rc;

/// Compiles the text between the slashes of a literal.
pub(crate) fn compile_regexp(source: &str, options: RegexpOptions) -> Result<Regexp, RegexpError> {
    let RegexpOptions { ignore_case, extended, multiline } = options;
    Regexp::new(source, RegexpFlags { ignore_case, extended, multi_line: multiline })
}

/// A regular expression of the program, or one that was made while it runs.
#[derive(Clone)]
pub(crate) enum RegexpHandle<'p> {
    Literal(&'p Regexp),
    Made(Rc<Regexp>),
}

impl Deref for RegexpHandle<'_> {
    type Target = Regexp;

    fn deref(&self) -> &Regexp {
        match self {
            Self::Literal(regexp) => regexp,
            Self::Made(regexp) => regexp,
        }
    }
}

/// A MatchData object.
#[derive(Debug)]
pub(crate) struct Match<'a> {
    pub(crate) text: &'a [u8],
    /// The whole match, then the groups.
    pub(crate) spans: &'a [Option<(usize, usize)>],
    pub(crate) regexp: u32,
}

impl<'a> Match<'a> {
    /// Where group `index` matched.
    pub(crate) fn span(&self, index: usize) -> Option<Range<usize>> {
        self.spans.get(index).copied().flatten().map(|(start, end)| start..end)
    }

    /// What group `index` matched.
    pub(crate) fn group(&self, index: usize) -> Option<&'a [u8]> {
        self.span(index).map(|span| &self.text[span])
    }

    /// What the group of that name matched: `None` if there is no such group. Of several, the last that matched.
    pub(crate) fn named(&self, regexp: &Regexp, name: &[u8]) -> Option<Option<&'a [u8]>> {
        let group = regexp.names().iter().find(|known| known.name().as_bytes() == name)?;
        Some(group.groups().iter().rev().find_map(|&group| self.group(group)))
    }

    pub(crate) fn before(&self) -> &'a [u8] {
        &self.text[..self.span(0).map_or(0, |span| span.start)]
    }

    pub(crate) fn after(&self) -> &'a [u8] {
        &self.text[self.span(0).map_or(self.text.len(), |span| span.end)..]
    }
}

/// Ruby's Regexp#to_s: `(?mi-x:source)`.
pub(crate) fn display_regexp(regexp: &Regexp) -> String {
    let flags = regexp.flags();
    let mut on = String::new();
    let mut off = String::new();
    for (set, letter) in [(flags.multi_line, 'm'), (flags.ignore_case, 'i'), (flags.extended, 'x')] {
        if set { on.push(letter) } else { off.push(letter) }
    }
    let dash = if off.is_empty() { "" } else { "-" };
    format!("(?{on}{dash}{off}:{})", regexp.source())
}

/// The handle of a value that is a regular expression.
impl<'a> Value<'a> {
    pub(crate) fn regexp_id(self) -> Option<u32> {
        match self {
            Self::Regexp(id) => Some(id),
            _ => None,
        }
    }
}
