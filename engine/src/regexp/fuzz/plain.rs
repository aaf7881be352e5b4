//! The plainest way to match a pattern: what the others are compared with. It takes a pattern by its definition, one way after
//! the other, and gives up soon.

use super::Found;
use crate::regexp::lower::folded;
use crate::regexp::node::{Assert, Greed, Node};

/// How many parts of the pattern may be looked at, and how deep in each other.
const STEPS_MAX: usize = 20_000;
const DEPTH_MAX: usize = 400;

/// The first match that begins at `from` or later; none if that takes too long to find out.
pub(super) fn search(node: &Node, groups: usize, text: &str, from: usize) -> Option<Found> {
    let mut plain = Plain { text, places: Vec::new(), steps: 0, depth: 0, is_too_long: false };
    for start in (from..=text.len()).filter(|at| text.is_char_boundary(*at)) {
        plain.places = vec![None; groups * 2 + 2];
        let mut end = None;
        let found = plain.node(node, start, &mut |_, at| {
            end = Some(at);
            true
        });
        if plain.is_too_long {
            return None;
        }
        if found {
            (plain.places[0], plain.places[1]) = (Some(start), end);
            let groups = plain.places.chunks(2).map(|places| Some(places[0]?..places[1]?));
            return Some(Some(groups.collect()));
        }
    }
    Some(None)
}

struct Plain<'t> {
    text: &'t str,
    places: Vec<Option<usize>>,
    steps: usize,
    depth: usize,
    is_too_long: bool,
}

/// What comes behind a part, told where that ends: whether it matches.
type Behind<'b, 't> = &'b mut dyn FnMut(&mut Plain<'t>, usize) -> bool;

impl<'t> Plain<'t> {
    fn node(&mut self, node: &Node, at: usize, behind: Behind<'_, 't>) -> bool {
        self.steps += 1;
        self.is_too_long |= self.steps > STEPS_MAX || self.depth > DEPTH_MAX;
        if self.is_too_long {
            return false;
        }
        self.depth += 1;
        let matches = self.matches(node, at, behind);
        self.depth -= 1;
        matches
    }

    fn matches(&mut self, node: &Node, at: usize, behind: Behind<'_, 't>) -> bool {
        let char = self.text[at..].chars().next();
        match node {
            Node::Empty => behind(self, at),
            Node::Literal { char: expected, fold } => match char {
                Some(char) if char == *expected || *fold && has(&folded(*expected), char) => {
                    behind(self, at + char.len_utf8())
                }
                _ => false,
            },
            Node::Set(set) => match char {
                Some(char) if has(set, char) => behind(self, at + char.len_utf8()),
                _ => false,
            },
            Node::Concat(nodes) => self.sequence(nodes, at, behind),
            Node::Alternate(nodes) => nodes.iter().any(|node| self.node(node, at, behind)),
            Node::Capture { index, node } => {
                let before = (self.places[index * 2], self.places[index * 2 + 1]);
                self.places[index * 2] = Some(at);
                let matches = self.node(node, at, &mut |plain, end| {
                    let before = plain.places[index * 2 + 1].replace(end);
                    let matches = behind(plain, end);
                    if !matches {
                        plain.places[index * 2 + 1] = before;
                    }
                    matches
                });
                if !matches {
                    (self.places[index * 2], self.places[index * 2 + 1]) = before;
                }
                matches
            }
            Node::Repeat { node, min, max, kind: Greed::Possessive } => {
                let greedy = Node::Repeat { node: node.clone(), min: *min, max: *max, kind: Greed::Greedy };
                self.matches(&Node::Atomic(Box::new(greedy)), at, behind)
            }
            Node::Repeat { node, min, max, kind } => {
                self.rounds(node, *min, max.unwrap_or(u32::MAX), *kind == Greed::Lazy, at, behind)
            }
            Node::Assert(assert) => self.holds(*assert, at) && behind(self, at),
            Node::Atomic(node) => {
                self.alone(node, at, &mut |plain, end| end.is_some_and(|end| behind(plain, end)))
            }
            Node::Look { behind: false, negate, node } => {
                self.alone(node, at, &mut |plain, end| end.is_some() != *negate && behind(plain, at))
            }
            Node::Look { behind: true, negate, node } => {
                let start = self.text[..at].char_indices().next_back().map(|(start, _)| start);
                let is_there = start.is_some_and(|start| self.node(node, start, &mut |_, end| end == at));
                is_there != *negate && behind(self, at)
            }
            // The direct matcher has none of these.
            Node::Backref { .. } | Node::Call(_) | Node::Condition { .. } => {
                self.is_too_long = true;
                false
            }
        }
    }

    fn sequence(&mut self, nodes: &[Node], at: usize, behind: Behind<'_, 't>) -> bool {
        match nodes {
            [] => behind(self, at),
            [first, rest @ ..] => self.node(first, at, &mut |plain, at| plain.sequence(rest, at, behind)),
        }
    }

    fn rounds(
        &mut self,
        node: &Node,
        min: u32,
        max: u32,
        lazy: bool,
        at: usize,
        behind: Behind<'_, 't>,
    ) -> bool {
        if min > 0 {
            return self
                .node(node, at, &mut |plain, at| plain.rounds(node, min - 1, max - 1, lazy, at, behind));
        }
        if lazy && behind(self, at) {
            return true;
        }
        let again = max > 0
            && self.node(node, at, &mut |plain, end| plain.rounds(node, 0, max - 1, lazy, end, behind));
        again || !lazy && behind(self, at)
    }

    /// The first way in which a part matches, as if nothing followed it; `behind` is told its end.
    fn alone(
        &mut self,
        node: &Node,
        at: usize,
        behind: &mut dyn FnMut(&mut Plain<'t>, Option<usize>) -> bool,
    ) -> bool {
        let before = self.places.clone();
        let mut end = None;
        self.node(node, at, &mut |_, at| {
            end = Some(at);
            true
        });
        let matches = behind(self, end);
        if !matches {
            self.places = before;
        }
        matches
    }

    fn holds(&self, assert: Assert, at: usize) -> bool {
        let (before, rest) = self.text.split_at(at);
        let is_word = |char: char, ascii: bool| match ascii {
            true => char.is_ascii_alphanumeric() || char == '_',
            false => regex_syntax::is_word_character(char),
        };
        let is_edge = |ascii: bool| {
            let word = |char: Option<char>| char.is_some_and(|char| is_word(char, ascii));
            word(before.chars().next_back()) != word(rest.chars().next())
        };
        match assert {
            Assert::LineStart => before.is_empty() || before.ends_with('\n') && !rest.is_empty(),
            Assert::LineEnd => rest.is_empty() || rest.starts_with('\n'),
            Assert::TextStart => before.is_empty(),
            Assert::TextEnd => rest.is_empty(),
            Assert::LastLineEnd => rest.is_empty() || rest == "\n",
            Assert::Word { ascii } => is_edge(ascii),
            Assert::NotWord { ascii } => !is_edge(ascii),
            Assert::SearchStart | Assert::Keep => false,
        }
    }
}

fn has(set: &regex_syntax::hir::ClassUnicode, char: char) -> bool {
    set.iter().any(|range| (range.start()..=range.end()).contains(&char))
}
