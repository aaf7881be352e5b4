//! From a parsed pattern to the syntax of the backtracking engine.

use super::lower::folded;
use super::node::{Assert, Greed, Node};
use regex_syntax::hir::ClassUnicode;
use std::fmt::Write;

/// The pattern for `fancy-regex`. Everything that the two read differently (flags, classes, names, anchors) is spelled
/// out, so nothing depends on its options.
pub(super) fn print(node: &Node) -> String {
    let mut out = String::new();
    write_node(node, &mut out);
    out
}

fn write_node(node: &Node, out: &mut String) {
    match node {
        Node::Empty => {}
        Node::Literal { char, fold: false } => write_char(*char, out),
        Node::Literal { char, fold: true } => write_set(&folded(*char), out),
        Node::Set(set) => write_set(set, out),
        Node::Concat(nodes) => nodes.iter().for_each(|node| write_item(node, out)),
        Node::Alternate(nodes) => {
            for (n, node) in nodes.iter().enumerate() {
                out.push_str(if n > 0 { "|" } else { "" });
                write_item(node, out);
            }
        }
        Node::Capture { node, .. } => write_wrapped("(", node, out),
        Node::Repeat { node, min, max, kind } => {
            write_wrapped("(?:", node, out);
            match (min, max) {
                (0, None) => out.push('*'),
                (1, None) => out.push('+'),
                (0, Some(1)) => out.push('?'),
                (min, None) => drop(write!(out, "{{{min},}}")),
                (min, Some(max)) => drop(write!(out, "{{{min},{max}}}")),
            }
            out.push_str(match kind {
                Greed::Greedy => "",
                Greed::Lazy => "?",
                Greed::Possessive => "+",
            });
        }
        Node::Assert(assert) => out.push_str(match assert {
            Assert::LineStart => r"(?:\A|(?<=\x0A)(?!\z))",
            Assert::LineEnd => r"(?=\x0A|\z)",
            Assert::TextStart => r"\A",
            Assert::TextEnd => r"\z",
            Assert::LastLineEnd => r"(?=\x0A?\z)",
            Assert::Word { ascii: false } => r"\b",
            Assert::NotWord { ascii: false } => r"\B",
            Assert::Word { ascii: true } => {
                r"(?:(?<=[0-9A-Z_a-z])(?![0-9A-Z_a-z])|(?<![0-9A-Z_a-z])(?=[0-9A-Z_a-z]))"
            }
            Assert::NotWord { ascii: true } => {
                r"(?:(?<=[0-9A-Z_a-z])(?=[0-9A-Z_a-z])|(?<![0-9A-Z_a-z])(?![0-9A-Z_a-z]))"
            }
            Assert::SearchStart => r"\G",
            Assert::Keep => r"\K",
        }),
        Node::Look { behind, negate, node } => {
            let open = match (behind, negate) {
                (false, false) => "(?=",
                (false, true) => "(?!",
                (true, false) => "(?<=",
                (true, true) => "(?<!",
            };
            write_wrapped(open, node, out);
        }
        Node::Atomic(node) => write_wrapped("(?>", node, out),
        Node::Backref { groups, fold } => {
            out.push_str(if *fold { "(?i:" } else { "(?:" });
            for (n, group) in groups.iter().rev().enumerate() {
                out.push_str(if n > 0 { "|" } else { "" });
                let _ = write!(out, r"\{group}");
            }
            out.push(')');
        }
        Node::Call(group) => drop(write!(out, r"\g<{group}>")),
        Node::Condition { group, yes, no } => {
            let _ = write!(out, "(?({group})");
            write_wrapped("(?:", yes, out);
            out.push('|');
            write_wrapped("(?:", no, out);
            out.push(')');
        }
    }
}

/// A part of a sequence: alternatives need a group of their own.
fn write_item(node: &Node, out: &mut String) {
    match node {
        Node::Alternate(_) => write_wrapped("(?:", node, out),
        _ => write_node(node, out),
    }
}

fn write_wrapped(open: &str, node: &Node, out: &mut String) {
    out.push_str(open);
    write_node(node, out);
    out.push(')');
}

fn write_char(char: char, out: &mut String) {
    if char.is_ascii_alphanumeric() {
        out.push(char);
    } else {
        let _ = write!(out, r"\x{{{:X}}}", u32::from(char));
    }
}

fn write_set(set: &ClassUnicode, out: &mut String) {
    if set.ranges().is_empty() {
        // No character is in it.
        return out.push_str(r"(?!)");
    }
    out.push('[');
    for range in set.ranges() {
        write_char(range.start(), out);
        if range.start() != range.end() {
            out.push('-');
            write_char(range.end(), out);
        }
    }
    out.push(']');
}
