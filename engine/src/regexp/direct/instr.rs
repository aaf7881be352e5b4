//! Operations with all that is known of what may follow them: what the matcher runs.

use super::finder::Finder;
use super::next::{forced, nexts};
use super::op::{Op, UNLIMITED};
use super::set::{Bytes, CharSet, Next};
use crate::regexp::node::{Assert, Greed};

/// One step of the matcher; see [`Op`].
#[derive(Debug)]
pub(super) enum Instr {
    Byte(u8),
    Bytes(Box<Literal>),
    Set(Box<CharSet>),
    /// [`Instr::Save`], [`Instr::Run`] and [`Instr::Save`] at once; they are still there behind it, for coming back.
    Field(Box<Run>, usize),
    Run(Box<Run>),
    Lazy(Box<Lazy>),
    Split(Box<Split>),
    Jump(usize),
    Save(usize),
    Assert(Assert),
    Beside(Box<CharSet>, Beside),
    Mark,
    Commit,
    Ahead,
    Return,
    NotAhead(usize),
    Refuse,
    Match,
}

/// A text of some bytes.
#[derive(Debug)]
pub(super) struct Literal {
    text: Box<[u8]>,
    /// The first eight bytes as one number, and which of its bits belong to the text.
    head: u64,
    mask: u64,
}

impl Literal {
    fn new(text: &[u8]) -> Self {
        let mut head = [0; 8];
        let mut mask = [0; 8];
        for (n, byte) in text.iter().take(8).enumerate() {
            (head[n], mask[n]) = (*byte, 0xff);
        }
        Self { text: text.into(), head: u64::from_le_bytes(head), mask: u64::from_le_bytes(mask) }
    }

    pub(super) fn len(&self) -> usize {
        self.text.len()
    }

    /// Whether it is what `text` has at `at`.
    #[inline]
    pub(super) fn is_at(&self, text: &[u8], at: usize) -> bool {
        let rest = &text[at..];
        match rest.first_chunk() {
            Some(head) if u64::from_le_bytes(*head) & self.mask != self.head => false,
            Some(_) if self.text.len() <= 8 => true,
            _ => rest.starts_with(&self.text),
        }
    }
}

/// Which neighbour is asked for, and whether it must be in the set.
#[derive(Clone, Copy, Debug)]
pub(super) struct Beside {
    pub(super) behind: bool,
    pub(super) negate: bool,
}

/// As many characters of a set as there are.
#[derive(Debug)]
pub(super) struct Run {
    pub(super) set: CharSet,
    pub(super) min: u32,
    pub(super) max: u32,
    /// Finds the end of a run that is one of bytes.
    pub(super) bytes: Option<Finder>,
    /// Before which bytes the run may be cut shorter; none if it never is: what follows cannot begin inside of it.
    pub(super) shorter: Option<Box<[bool; 256]>>,
}

/// As few characters of a set as possible.
#[derive(Debug)]
pub(super) struct Lazy {
    pub(super) set: CharSet,
    pub(super) min: u32,
    pub(super) max: u32,
    /// Finds, in a run of bytes without a limit, where what follows may begin, or the run ends.
    pub(super) bytes: Option<Finder>,
    pub(super) exit: Box<[bool; 256]>,
    pub(super) exit_at_end: bool,
}

/// Which ways a choice has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ways {
    None,
    First,
    Second,
    Both,
}

/// Two ways, by the byte with which the text goes on.
#[derive(Debug)]
pub(super) struct Split {
    pub(super) ways: [Ways; 256],
    pub(super) ways_at_end: Ways,
    pub(super) first: usize,
    pub(super) second: usize,
    /// Finds the first byte that is not taken by rounds of this loop in which there is nothing to choose.
    pub(super) rounds: Option<Finder>,
}

/// The instructions of a pattern, and what it may begin with.
pub(super) fn instrs(ops: &[Op]) -> (Box<[Instr]>, Next) {
    let nexts = nexts(ops);
    let instrs = ops.iter().enumerate().map(|(at, op)| instr(ops, &nexts, at, op)).collect();
    (instrs, nexts[0])
}

fn instr(ops: &[Op], nexts: &[Next], at: usize, op: &Op) -> Instr {
    match op {
        Op::Bytes(bytes) => match **bytes {
            [byte] => Instr::Byte(byte),
            _ => Instr::Bytes(Box::new(Literal::new(bytes))),
        },
        Op::Set(set) => Instr::Set(Box::new(set.clone())),
        Op::Run { set, min, max, kind } => run(set, *min, *max, *kind, nexts[at + 1]),
        Op::Split { first, second, is_loop } => {
            let rounds = if *is_loop { forced(ops, nexts, at) } else { Bytes::default() };
            let ways = |one: bool, two: bool| match (one, two) {
                (false, false) => Ways::None,
                (true, false) => Ways::First,
                (false, true) => Ways::Second,
                (true, true) => Ways::Both,
            };
            let (one, two) = (nexts[*first], nexts[*second]);
            Instr::Split(Box::new(Split {
                ways: std::array::from_fn(|n| ways(one.bytes.has(n as u8), two.bytes.has(n as u8))),
                ways_at_end: ways(one.end, two.end),
                first: *first,
                second: *second,
                rounds: (!rounds.is_empty()).then(|| Finder::new(rounds.complement())),
            }))
        }
        Op::Jump(to) => Instr::Jump(*to),
        Op::Save(slot) => match ops.get(at + 1..at + 3) {
            Some([Op::Run { set, min, max, kind }, Op::Save(end)])
                if *kind != Greed::Lazy && *end == slot + 1 =>
            {
                Instr::Field(Box::new(greedy(set, *min, *max, *kind, nexts[at + 2])), *slot)
            }
            _ => Instr::Save(*slot),
        },
        Op::Assert(assert) => Instr::Assert(*assert),
        Op::Beside { set, behind, negate } => {
            Instr::Beside(Box::new(set.clone()), Beside { behind: *behind, negate: *negate })
        }
        Op::Mark => Instr::Mark,
        Op::Commit => Instr::Commit,
        Op::Ahead => Instr::Ahead,
        Op::Return => Instr::Return,
        Op::NotAhead { behind } => Instr::NotAhead(*behind),
        Op::Refuse => Instr::Refuse,
        Op::Match => Instr::Match,
    }
}

fn run(set: &CharSet, min: u32, max: u32, kind: Greed, next: Next) -> Instr {
    if kind != Greed::Lazy {
        return Instr::Run(Box::new(greedy(set, min, max, kind, next)));
    }
    let stops = set.certain().complement().union(next.bytes);
    Instr::Lazy(Box::new(Lazy {
        set: set.clone(),
        min,
        max,
        bytes: (set.is_bytewise() && max == UNLIMITED).then(|| Finder::new(stops)),
        exit: Box::new(next.bytes.table()),
        exit_at_end: next.end,
    }))
}

fn greedy(set: &CharSet, min: u32, max: u32, kind: Greed, next: Next) -> Run {
    let is_run_of_bytes = set.is_ascii() || set.is_bytewise() && max == UNLIMITED;
    let shorter = set.starts().intersection(next.bytes);
    Run {
        set: set.clone(),
        min,
        max,
        bytes: is_run_of_bytes.then(|| Finder::new(set.certain().complement())),
        shorter: (kind == Greed::Greedy && !shorter.is_empty()).then(|| Box::new(shorter.table())),
    }
}
