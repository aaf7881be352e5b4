//! Ruby's regular expressions (Onigmo), as Fluentd's configurations contain them.
//!
//! A pattern is parsed as Onigmo parses it with Ruby's options and then run by one of two engines: the linear-time
//! automata of `regex`, or, for what they cannot do (look-around, back-references, atomic groups, `\Z`, `\K`, calls),
//! the backtracking `fancy-regex` with a limit on its steps. Before either of them, a matcher of our own (`direct/`) has a try: it is
//! many times faster on what log lines are matched with, answers the same, and leaves the rest to the engine if it finds no quick answer.
//!
//! What differs from what users of Rust's `regex` expect:
//!
//! | Onigmo | meaning |
//! |---|---|
//! | `^ $` | always line anchors; `^` is not at the end of a text that ends with a line end |
//! | `/m`, `(?m)` | the dot takes line ends |
//! | `\d \s \w \h` | ASCII, unless `(?u)`; `\h` is a hexadecimal digit; POSIX brackets, `\p{}` and `\b` are Unicode |
//! | `(?<n>x)` | any text may be a name; a name may be given twice; with a named group, plain groups do not capture |
//! | `{n}?`, `{n,m}+` | an optional `{n}`, a repeated `{n,m}`: neither lazy nor possessive |
//! | `(?i)` | until the end of the group, alternatives included |
//!
//! Text is bytes; `text.rs` says what a pattern sees of bytes that are not UTF-8. Known differences: multi-character
//! case folding (`ß` and `SS`), `\X` is a character with its combining marks, and
//! the absent operator `(?~x)` is refused.

mod captures;
mod class;
mod direct;
mod error;
mod escape;
mod fuzz;
mod group;
mod lower;
mod node;
mod parse;
mod print;
mod program;
mod quantifier;
mod replace;
mod text;

pub use captures::{Captures, GroupName, Spans};
pub use error::{BacktrackLimit, RegexpError};
pub use fuzz::{fuzz, fuzz_direct};
use program::Program;
pub use replace::{GroupRef, expand_replacement};
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

/// The options behind a literal's last slash.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RegexpFlags {
    /// `i`
    pub ignore_case: bool,
    /// `m`: the dot takes line ends.
    pub multi_line: bool,
    /// `x`: blanks and comments in the pattern mean nothing.
    pub extended: bool,
}

/// `mix`, in Ruby's order.
impl fmt::Display for RegexpFlags {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.multi_line { "m" } else { "" })?;
        f.write_str(if self.ignore_case { "i" } else { "" })?;
        f.write_str(if self.extended { "x" } else { "" })
    }
}

/// Which engine runs a pattern.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Engine {
    /// Time linear in the text, whatever the text.
    Linear,
    /// Backtracking with a limit on its steps.
    Backtracking,
}

impl fmt::Display for Engine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Linear => "linear",
            Self::Backtracking => "backtracking",
        })
    }
}

/// A compiled pattern. Cloning shares it.
#[derive(Clone)]
pub struct Regexp {
    inner: Arc<Inner>,
}

struct Inner {
    source: Box<str>,
    flags: RegexpFlags,
    names: Vec<GroupName>,
    groups: usize,
    program: Program,
}

impl Regexp {
    /// Compiles the text between the slashes of a literal.
    pub fn new(source: &str, flags: RegexpFlags) -> Result<Self, RegexpError> {
        Self::compile(source, flags, program::STEPS_MAX)
    }

    /// The same pattern with another limit on backtracking: about the steps that fit into `limit`. Of no effect when
    /// the linear engine runs it.
    pub fn within(&self, limit: Duration) -> Result<Self, RegexpError> {
        Self::compile(&self.inner.source, self.inner.flags, program::steps_within(limit))
    }

    fn compile(source: &str, flags: RegexpFlags, steps_max: usize) -> Result<Self, RegexpError> {
        let parsed = parse::parse(source, flags)?;
        let program =
            Program::compile(&parsed.node, parsed.groups, steps_max).map_err(|e| e.of(source, flags))?;
        let inner =
            Inner { source: source.into(), flags, names: parsed.names, groups: parsed.groups, program };
        Ok(Self { inner: Arc::new(inner) })
    }

    /// Compiles a value of a configuration as Fluentd's regexp parameters are read: `/pattern/`, `/pattern/i`,
    /// `/pattern/m`, `/pattern/im` (other letters mean nothing), or the pattern itself.
    pub fn parse_literal(text: &str) -> Result<Self, RegexpError> {
        let Some(rest) = text.strip_prefix('/') else {
            return Self::new(text, RegexpFlags::default());
        };
        // The slash may be the first one itself: then there is no pattern, and the letters are too many.
        match rest.rfind('/') {
            Some(slash) if rest[slash + 1..].chars().count() <= 2 => {
                let letters = &rest[slash + 1..];
                let flags = RegexpFlags {
                    ignore_case: letters.contains('i'),
                    multi_line: letters.contains('m'),
                    extended: false,
                };
                Self::new(&rest[..slash], flags)
            }
            None if rest.chars().count() <= 2 => Self::new("", RegexpFlags::default()),
            _ => Err(RegexpError::message(format!("invalid regexp: missing right slash: {text}"))),
        }
    }

    /// Whether it matches anywhere in `text`.
    pub fn is_match(&self, text: &[u8]) -> bool {
        self.inner.program.is_match(text).unwrap_or(false)
    }

    /// The first match in `text`. A search that takes more steps than allowed counts as none; see
    /// [`Regexp::search`] to tell the two apart.
    pub fn captures<'r, 't>(&'r self, text: &'t [u8]) -> Option<Captures<'r, 't>> {
        self.captures_at(text, 0)
    }

    /// The first match that begins at `from` or later; `from` must lie between characters.
    pub fn captures_at<'r, 't>(&'r self, text: &'t [u8], from: usize) -> Option<Captures<'r, 't>> {
        let mut spans = Spans::new();
        match self.search(text, from, &mut spans) {
            Ok(true) => Some(Captures { regexp: self, text, spans }),
            Ok(false) | Err(BacktrackLimit) => None,
        }
    }

    /// The first match that begins at `from` or later, written into `spans`. Allocates nothing when the linear
    /// engine runs and the text is UTF-8.
    ///
    /// # Errors
    /// The backtracking engine took more steps than allowed.
    pub fn search(&self, text: &[u8], from: usize, spans: &mut Spans) -> Result<bool, BacktrackLimit> {
        if from > text.len() {
            return Ok(false);
        }
        spans.reset(self.inner.groups);
        self.inner.program.search(text, from, spans)
    }

    /// The names of its groups, in the order of the pattern.
    pub fn names(&self) -> &[GroupName] {
        &self.inner.names
    }

    /// How many groups capture.
    pub fn groups(&self) -> usize {
        self.inner.groups
    }

    /// Which engine runs it.
    pub fn engine(&self) -> Engine {
        self.inner.program.engine()
    }

    /// The pattern as it was given.
    pub fn source(&self) -> &str {
        &self.inner.source
    }

    /// The flags it was given.
    pub fn flags(&self) -> RegexpFlags {
        self.inner.flags
    }
}

/// `/pattern/im`
impl fmt::Display for Regexp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "/{}/{}", self.inner.source, self.inner.flags)
    }
}

impl fmt::Debug for Regexp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

impl PartialEq for Regexp {
    fn eq(&self, other: &Self) -> bool {
        self.inner.source == other.inner.source && self.inner.flags == other.inner.flags
    }
}

#[cfg(test)]
mod tests;
