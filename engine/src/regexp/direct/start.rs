//! Where in a text a match may begin.

use super::finder::Finder;
use super::op::Op;
use super::set::{Bytes, Next};
use crate::regexp::node::{Assert, Node};
use memchr::{memchr, memmem};

/// Where a match may begin.
#[derive(Debug)]
pub(super) enum Start {
    /// At the start of the text.
    Text,
    /// At the start of a line.
    Line,
    /// Where this text is.
    Literal(Box<memmem::Finder<'static>>),
    /// At one of some bytes, perhaps at the end.
    Byte { finder: Box<Finder>, at_end: bool },
    /// Before any character, and at the end.
    Anywhere,
}

impl Start {
    pub(super) fn new(node: &Node, ops: &[Op], next: Next) -> Self {
        match anchor(node) {
            Some(Assert::TextStart) => return Self::Text,
            Some(_) => return Self::Line,
            None => {}
        }
        match ops.iter().find(|op| !matches!(op, Op::Save(_))) {
            Some(Op::Bytes(bytes)) if bytes.len() > 1 => {
                Self::Literal(Box::new(memmem::Finder::new(bytes).into_owned()))
            }
            _ if next.bytes == Bytes::starts() => Self::Anywhere,
            _ => Self::Byte { finder: Box::new(Finder::new(next.bytes)), at_end: next.end },
        }
    }

    pub(super) fn is_anchored(&self) -> bool {
        matches!(self, Self::Text | Self::Line)
    }

    /// The first place at `at` or behind it at which a match may begin.
    pub(super) fn find(&self, text: &str, at: usize) -> Option<usize> {
        let bytes = text.as_bytes();
        let rest = bytes.get(at..)?;
        match self {
            Self::Text => (at == 0).then_some(0),
            Self::Line if at == 0 || bytes[at - 1] == b'\n' => Some(at),
            Self::Line => memchr(b'\n', rest).map(|line_end| at + line_end + 1),
            Self::Literal(finder) => finder.find(rest).map(|found| at + found),
            Self::Byte { finder, at_end } => {
                let found = at + finder.find(rest);
                (found < bytes.len() || *at_end).then_some(found)
            }
            Self::Anywhere => (at..=bytes.len()).find(|at| text.is_char_boundary(*at)),
        }
    }
}

/// The anchor by which every match begins.
fn anchor(node: &Node) -> Option<Assert> {
    match node {
        Node::Assert(assert @ (Assert::LineStart | Assert::TextStart)) => Some(*assert),
        Node::Concat(nodes) => nodes.iter().find(|node| !matches!(node, Node::Empty)).and_then(anchor),
        Node::Capture { node, .. } | Node::Atomic(node) => anchor(node),
        Node::Alternate(nodes) => {
            let mut weakest = Assert::TextStart;
            for node in nodes {
                if anchor(node)? == Assert::LineStart {
                    weakest = Assert::LineStart;
                }
            }
            Some(weakest)
        }
        _ => None,
    }
}
