//! What can be known of a pattern's operations before a text is seen: how the text must go on where an operation is tried. A
//! way on which it cannot is not taken, so nothing has to be remembered for coming back.

use super::op::Op;
use super::set::{Bytes, Next, WIDE_STARTS};
use crate::regexp::node::Assert;

/// For each operation, how the text may go on if what begins there is to match. Never too little; perhaps too much.
pub(super) fn nexts(ops: &[Op]) -> Vec<Next> {
    let mut nexts = vec![Next::default(); ops.len()];
    loop {
        let mut is_settled = true;
        for at in (0..ops.len()).rev() {
            let next = next(ops, at, &nexts);
            is_settled &= next == nexts[at];
            nexts[at] = next;
        }
        if is_settled {
            return nexts;
        }
    }
}

fn next(ops: &[Op], at: usize, nexts: &[Next]) -> Next {
    let behind = || nexts.get(at + 1).copied().unwrap_or_default();
    match &ops[at] {
        Op::Bytes(bytes) => {
            Next { bytes: bytes.first().map_or_else(Bytes::default, |b| Bytes::one(*b)), end: false }
        }
        Op::Set(set) => Next { bytes: set.starts(), end: false },
        Op::Run { set, min, .. } => {
            let taken = Next { bytes: set.starts(), end: false };
            if *min > 0 { taken } else { taken.union(behind()) }
        }
        Op::Split { first, second, .. } => nexts[*first].union(nexts[*second]),
        Op::Jump(to) => nexts[*to],
        Op::NotAhead { behind } => nexts[*behind],
        Op::Save(_) | Op::Mark | Op::Ahead => behind(),
        Op::Assert(assert) => allowed(*assert).intersection(behind()),
        Op::Beside { behind: true, .. } => behind(),
        Op::Beside { set, behind: false, negate: false } => {
            Next { bytes: set.starts(), end: false }.intersection(behind())
        }
        Op::Beside { set, behind: false, negate: true } => {
            let next = behind();
            Next { bytes: next.bytes.without(set.certain()), ..next }
        }
        // What follows these does not decide whether what is before them matches.
        Op::Commit | Op::Return | Op::Refuse | Op::Match => Next::anything(),
    }
}

fn allowed(assert: Assert) -> Next {
    match assert {
        Assert::LineEnd | Assert::LastLineEnd => Next { bytes: Bytes::one(b'\n'), end: true },
        Assert::TextEnd => Next { bytes: Bytes::default(), end: true },
        Assert::LineStart
        | Assert::TextStart
        | Assert::Word { .. }
        | Assert::NotWord { .. }
        | Assert::SearchStart
        | Assert::Keep => Next::anything(),
    }
}

/// The bytes at which the loop whose choice is at `split` can only take one character and come back, with nothing to remember:
/// a run of them is taken at once.
pub(super) fn forced(ops: &[Op], nexts: &[Next], split: usize) -> Bytes {
    let mut bytes = Bytes::default();
    (0..=0x7f).filter(|byte| is_forced(ops, nexts, split, *byte)).for_each(|byte| bytes.add(byte));
    if WIDE_STARTS.into_iter().all(|byte| is_forced(ops, nexts, split, byte)) {
        (0x80..=0xff).for_each(|byte| bytes.add(byte));
    }
    bytes
}

fn is_forced(ops: &[Op], nexts: &[Next], split: usize, byte: u8) -> bool {
    let mut at = split;
    let mut is_taken = false;
    // Each operation is passed once at most.
    for _ in 0..ops.len() {
        if is_taken && at == split {
            return true;
        }
        at = match &ops[at] {
            Op::Jump(to) => *to,
            Op::Split { first, second, .. } if !is_taken => {
                match (nexts[*first].bytes.has(byte), nexts[*second].bytes.has(byte)) {
                    (true, false) => *first,
                    (false, true) => *second,
                    _ => return false,
                }
            }
            Op::Set(set) if !is_taken && set.certain().has(byte) => {
                is_taken = true;
                at + 1
            }
            Op::Bytes(bytes) if !is_taken && **bytes == [byte] => {
                is_taken = true;
                at + 1
            }
            _ => return false,
        };
    }
    false
}
