//! From a parsed pattern to what the automata are built from.

use super::node::{Assert, Greed, Node};
use regex_syntax::hir::{self, Class, ClassUnicode, ClassUnicodeRange, Hir, Look};

/// The automaton's form of a pattern that needs no backtracking. Parts that would need it match nothing, so that a
/// mistake in [`Node::needs_backtracking`] shows.
pub(super) fn lower(node: &Node) -> Hir {
    match node {
        Node::Empty => Hir::empty(),
        Node::Literal { char, fold: false } => {
            let mut utf8 = [0; 4];
            Hir::literal(char.encode_utf8(&mut utf8).as_bytes())
        }
        Node::Literal { char, fold: true } => Hir::class(Class::Unicode(folded(*char))),
        Node::Set(set) => Hir::class(Class::Unicode(set.clone())),
        Node::Concat(nodes) => Hir::concat(nodes.iter().map(lower).collect()),
        Node::Alternate(nodes) => Hir::alternation(nodes.iter().map(lower).collect()),
        Node::Capture { index, node } => Hir::capture(hir::Capture {
            index: u32::try_from(*index).unwrap_or(u32::MAX),
            name: None,
            sub: Box::new(lower(node)),
        }),
        Node::Repeat { node, min, max, kind } => Hir::repetition(hir::Repetition {
            min: *min,
            max: *max,
            greedy: *kind != Greed::Lazy,
            sub: Box::new(lower(node)),
        }),
        Node::Assert(assert) => look(*assert).map_or_else(Hir::fail, Hir::look),
        _ => Hir::fail(),
    }
}

/// All spellings of a character, its case ignored.
pub(super) fn folded(char: char) -> ClassUnicode {
    let mut set = ClassUnicode::new([ClassUnicodeRange::new(char, char)]);
    set.case_fold_simple();
    set
}

fn look(assert: Assert) -> Option<Look> {
    Some(match assert {
        Assert::LineStart => Look::StartLF,
        Assert::LineEnd => Look::EndLF,
        Assert::TextStart => Look::Start,
        Assert::TextEnd => Look::End,
        Assert::Word { ascii: false } => Look::WordUnicode,
        Assert::NotWord { ascii: false } => Look::WordUnicodeNegate,
        Assert::Word { ascii: true } => Look::WordAscii,
        Assert::NotWord { ascii: true } => Look::WordAsciiNegate,
        Assert::LastLineEnd | Assert::SearchStart | Assert::Keep => return None,
    })
}
