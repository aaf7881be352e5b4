//! From a parsed pattern to operations.

use super::set::CharSet;
use crate::regexp::lower::folded;
use crate::regexp::node::{Assert, Greed, Node};
use regex_syntax::hir::{ClassUnicode, ClassUnicodeRange};

/// How many operations a pattern may have (repetitions are written out).
const OPS_MAX: usize = 512;
/// Stands for "any number" in a repetition.
pub(super) const UNLIMITED: u32 = u32::MAX;

/// One step of the matcher, before it is known what may follow it. Places are indices of operations.
#[derive(Clone, Debug)]
pub(super) enum Op {
    /// Exactly these bytes, which are whole characters.
    Bytes(Vec<u8>),
    Set(CharSet),
    /// A repeated set.
    Run {
        set: CharSet,
        min: u32,
        max: u32,
        kind: Greed,
    },
    /// Two ways, the first one preferred.
    Split {
        first: usize,
        second: usize,
        /// One way is another round of a loop without end.
        is_loop: bool,
    },
    Jump(usize),
    Save(usize),
    Assert(Assert),
    /// `(?=[x])`, `(?!x)`, `(?<=x)`, `(?<![x])` of one character.
    Beside {
        set: CharSet,
        behind: bool,
        negate: bool,
    },
    /// Begins what is not gone back into once [`Op::Commit`] is reached.
    Mark,
    Commit,
    /// Begins a `(?=`, which ends with [`Op::Return`].
    Ahead,
    /// Like [`Op::Commit`], and the text is read again from where [`Op::Ahead`] was.
    Return,
    /// Begins a `(?!`, which ends with [`Op::Refuse`]; goes on at `behind` if what is in it does not match.
    NotAhead {
        behind: usize,
    },
    Refuse,
    Match,
}

/// The operations of a pattern; none if it has something that only other engines can do, or is too large.
pub(super) fn ops(node: &Node) -> Option<Vec<Op>> {
    let mut ops = Ops(Vec::new());
    ops.node(node)?;
    ops.push(Op::Match)?;
    Some(ops.0)
}

struct Ops(Vec<Op>);

impl Ops {
    fn node(&mut self, node: &Node) -> Option<()> {
        match node {
            Node::Empty => Some(()),
            Node::Literal { .. } | Node::Set(_) => match plain(node) {
                Some(char) => self.bytes(&[char]),
                None => self.push(Op::Set(CharSet::new(&single(node)?))),
            },
            Node::Concat(nodes) => self.concat(nodes),
            Node::Alternate(nodes) => match single(node) {
                Some(class) => self.push(Op::Set(CharSet::new(&class))),
                None => self.alternate(nodes),
            },
            Node::Capture { index, node } => {
                self.push(Op::Save(index * 2))?;
                self.node(node)?;
                self.push(Op::Save(index * 2 + 1))
            }
            Node::Repeat { max: Some(0), .. } => Some(()),
            Node::Repeat { node, min, max, kind } => self.repeat(node, *min, *max, *kind),
            Node::Assert(Assert::SearchStart | Assert::Keep) => None,
            Node::Assert(assert) => self.push(Op::Assert(*assert)),
            Node::Look { behind, negate, node } => self.look(*behind, *negate, node),
            Node::Atomic(node) => {
                self.push(Op::Mark)?;
                self.node(node)?;
                self.push(Op::Commit)
            }
            Node::Backref { .. } | Node::Call(_) | Node::Condition { .. } => None,
        }
    }

    fn concat(&mut self, nodes: &[Node]) -> Option<()> {
        let mut nodes = nodes;
        while let Some(node) = nodes.first() {
            let chars: Vec<char> = nodes.iter().map_while(plain).collect();
            if chars.is_empty() {
                self.node(node)?;
                nodes = &nodes[1..];
            } else {
                self.bytes(&chars)?;
                nodes = &nodes[chars.len()..];
            }
        }
        Some(())
    }

    fn bytes(&mut self, chars: &[char]) -> Option<()> {
        let text: String = chars.iter().collect();
        self.push(Op::Bytes(text.into_bytes()))
    }

    fn alternate(&mut self, nodes: &[Node]) -> Option<()> {
        let (last, others) = nodes.split_last()?;
        let mut jumps = Vec::new();
        for node in others {
            let split = self.split()?;
            self.node(node)?;
            jumps.push(self.0.len());
            self.push(Op::Jump(0))?;
            self.0[split] = Op::Split { first: split + 1, second: self.0.len(), is_loop: false };
        }
        self.node(last)?;
        for jump in jumps {
            self.0[jump] = Op::Jump(self.0.len());
        }
        Some(())
    }

    fn repeat(&mut self, node: &Node, min: u32, max: Option<u32>, kind: Greed) -> Option<()> {
        if let Some(class) = single(node) {
            let set = CharSet::new(&class);
            let max = max.unwrap_or(UNLIMITED);
            // Without a choice there is nothing to go back to.
            let kind = if min == max { Greed::Possessive } else { kind };
            return self.push(if max == 1 && min == 1 {
                Op::Set(set)
            } else {
                Op::Run { set, min, max, kind }
            });
        }
        // Engines differ in what a repeated part that takes nothing leaves in its groups.
        if max != Some(1) && node.length_min() == 0 {
            return None;
        }
        if kind == Greed::Possessive {
            self.push(Op::Mark)?;
            self.repeat(node, min, max, Greed::Greedy)?;
            return self.push(Op::Commit);
        }
        for _ in 1..min {
            self.node(node)?;
        }
        match max {
            None if min > 0 => {
                let body = self.0.len();
                self.node(node)?;
                let split = self.split()?;
                self.choose(split, kind, body, split + 1, true);
            }
            None => {
                let split = self.split()?;
                self.node(node)?;
                self.push(Op::Jump(split))?;
                self.choose(split, kind, split + 1, self.0.len(), true);
            }
            Some(max) => {
                if min > 0 {
                    self.node(node)?;
                }
                let mut splits = Vec::new();
                for _ in min..max {
                    splits.push(self.split()?);
                    self.node(node)?;
                }
                for split in splits {
                    self.choose(split, kind, split + 1, self.0.len(), false);
                }
            }
        }
        Some(())
    }

    fn look(&mut self, behind: bool, negate: bool, node: &Node) -> Option<()> {
        if let Some(class) = single(node) {
            return self.push(Op::Beside { set: CharSet::new(&class), behind, negate });
        }
        if behind {
            return None;
        }
        let start = self.0.len();
        self.push(if negate { Op::NotAhead { behind: 0 } } else { Op::Ahead })?;
        self.node(node)?;
        self.push(if negate { Op::Refuse } else { Op::Return })?;
        if negate {
            self.0[start] = Op::NotAhead { behind: self.0.len() };
        }
        Some(())
    }

    fn split(&mut self) -> Option<usize> {
        self.push(Op::Jump(0))?;
        Some(self.0.len() - 1)
    }

    /// Another round or on, whichever is preferred.
    fn choose(&mut self, split: usize, kind: Greed, body: usize, exit: usize, is_loop: bool) {
        let (first, second) = if kind == Greed::Lazy { (exit, body) } else { (body, exit) };
        self.0[split] = Op::Split { first, second, is_loop };
    }

    fn push(&mut self, op: Op) -> Option<()> {
        self.0.push(op);
        (self.0.len() <= OPS_MAX).then_some(())
    }
}

/// The character that a node is.
fn plain(node: &Node) -> Option<char> {
    match node {
        Node::Literal { char, fold } => {
            let is_itself =
                !fold || folded(*char).ranges().iter().all(|r| r.start() == r.end() && r.start() == *char);
            is_itself.then_some(*char)
        }
        _ => None,
    }
}

/// The set of which a node takes one character, whatever it takes.
fn single(node: &Node) -> Option<ClassUnicode> {
    match node {
        Node::Literal { char, fold: true } => Some(folded(*char)),
        Node::Literal { char, fold: false } => {
            Some(ClassUnicode::new([ClassUnicodeRange::new(*char, *char)]))
        }
        Node::Set(class) => Some(class.clone()),
        Node::Alternate(nodes) => {
            let mut all = ClassUnicode::empty();
            for node in nodes {
                all.union(&single(node)?);
            }
            Some(all)
        }
        _ => None,
    }
}
