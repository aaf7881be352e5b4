//! A parsed pattern, and what can be known of it before it is compiled.
//!
//! Flags are resolved while parsing: a literal knows whether its case matters, a dot whether it takes line ends.

use regex_syntax::hir::ClassUnicode;

/// A pattern or a part of one.
#[derive(Clone, Debug)]
pub(super) enum Node {
    /// Matches the empty text.
    Empty,
    /// One character; `fold` if its case does not matter.
    Literal {
        char: char,
        fold: bool,
    },
    /// One character of a set (a dot is one, too); case folding is already in it.
    Set(ClassUnicode),
    Concat(Vec<Node>),
    Alternate(Vec<Node>),
    /// A group that captures, numbered from 1.
    Capture {
        index: usize,
        node: Box<Node>,
    },
    Repeat {
        node: Box<Node>,
        min: u32,
        max: Option<u32>,
        kind: Greed,
    },
    Assert(Assert),
    /// `(?=x) (?!x) (?<=x) (?<!x)`
    Look {
        behind: bool,
        negate: bool,
        node: Box<Node>,
    },
    /// `(?>x)`
    Atomic(Box<Node>),
    /// What one of these groups matched, the last one first (a name may be given to several groups).
    Backref {
        groups: Vec<usize>,
        fold: bool,
    },
    /// `\g<1>`
    Call(usize),
    /// `(?(1)yes|no)`
    Condition {
        group: usize,
        yes: Box<Node>,
        no: Box<Node>,
    },
}

/// How a repetition chooses between more and fewer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Greed {
    Greedy,
    Lazy,
    Possessive,
}

/// Places that match without taking a character.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Assert {
    /// `^`: the start of the text, or behind a line end that is not the last character of the text.
    LineStart,
    /// `$`
    LineEnd,
    /// `\A`
    TextStart,
    /// `\z`
    TextEnd,
    /// `\Z`: the end of the text, or before the line end that ends it.
    LastLineEnd,
    /// `\b`
    Word { ascii: bool },
    /// `\B`
    NotWord { ascii: bool },
    /// `\G`
    SearchStart,
    /// `\K`
    Keep,
}

impl Node {
    /// Whether a linear-time automaton cannot run it.
    pub(super) fn needs_backtracking(&self) -> bool {
        match self {
            Self::Empty | Self::Literal { .. } | Self::Set(_) => false,
            Self::Concat(nodes) | Self::Alternate(nodes) => nodes.iter().any(Self::needs_backtracking),
            Self::Capture { node, .. } => node.needs_backtracking(),
            Self::Repeat { node, kind, .. } => *kind == Greed::Possessive || node.needs_backtracking(),
            Self::Assert(assert) => {
                matches!(assert, Assert::LastLineEnd | Assert::SearchStart | Assert::Keep)
            }
            Self::Look { .. }
            | Self::Atomic(_)
            | Self::Backref { .. }
            | Self::Call(_)
            | Self::Condition { .. } => true,
        }
    }

    /// The fewest characters that it matches.
    pub(super) fn length_min(&self) -> u32 {
        match self {
            Self::Literal { .. } | Self::Set(_) => 1,
            Self::Concat(nodes) => nodes.iter().fold(0, |sum, node| sum.saturating_add(node.length_min())),
            Self::Alternate(nodes) => nodes.iter().map(Self::length_min).min().unwrap_or(0),
            Self::Capture { node, .. } | Self::Atomic(node) => node.length_min(),
            Self::Repeat { node, min, .. } => node.length_min().saturating_mul(*min),
            Self::Condition { yes, no, .. } => yes.length_min().min(no.length_min()),
            _ => 0,
        }
    }

    /// Whether a `^` in it could be asked for at the very end of the text: only then does it matter that Onigmo,
    /// unlike the automata, does not take the end of a text that ends with a line end as the start of a line.
    pub(super) fn line_start_may_be_last(&self) -> bool {
        self.line_start_before(0)
    }

    /// The same when at least `after` characters follow.
    fn line_start_before(&self, after: u32) -> bool {
        match self {
            Self::Assert(Assert::LineStart) => after == 0,
            Self::Concat(nodes) => {
                let mut after = after;
                nodes.iter().rev().any(|node| {
                    let found = node.line_start_before(after);
                    after = after.saturating_add(node.length_min());
                    found
                })
            }
            Self::Alternate(nodes) => nodes.iter().any(|node| node.line_start_before(after)),
            Self::Capture { node, .. } | Self::Atomic(node) | Self::Repeat { node, .. } => {
                node.line_start_before(after)
            }
            _ => false,
        }
    }
}
