//! Finds the end of a value: iterative, checked, without allocation.

use super::marker::{Head, head};

/// How deep non-empty containers may be nested, the outermost counting as 1. Ruby's msgpack has the same limit.
pub const DEPTH_MAX: usize = 128;

/// Why bytes are not MessagePack, or not yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{kind} at byte {at}")]
pub struct ScanError {
    /// Offset of the value (of the innermost one) that is wrong.
    pub at: usize,
    /// What is wrong with it.
    pub kind: ScanErrorKind,
}

/// See [`ScanError`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ScanErrorKind {
    /// The bytes end before the value does.
    #[error("value that is cut off")]
    Truncated,
    /// The byte 0xc1, which no value begins with.
    #[error("reserved byte 0xc1")]
    Reserved,
    /// Containers nested deeper than the limit.
    #[error("value nested too deeply")]
    TooDeep,
}

/// The end of the value that begins at `at` (the offset behind its last byte), having checked every length in it,
/// that no byte is reserved and that it is nested at most [`DEPTH_MAX`] deep.
#[inline]
pub fn skip(bytes: &[u8], at: usize) -> Result<usize, ScanError> {
    match head(bytes, at) {
        Head::Leaf(end) if end <= bytes.len() => Ok(end),
        Head::Container(end, 0) => Ok(end),
        _ => Stack::new().skip(bytes, at, DEPTH_MAX),
    }
}

/// Counts of values that are still to come in each open container. Reused from value to value, because clearing
/// it costs more than a small value.
pub(super) struct Stack {
    pending: [usize; DEPTH_MAX + 1],
}

impl Stack {
    pub(super) fn new() -> Self {
        Self { pending: [0; DEPTH_MAX + 1] }
    }

    /// [`skip`] with at most `depth_max` levels.
    #[inline]
    pub(super) fn skip(&mut self, bytes: &[u8], mut at: usize, depth_max: usize) -> Result<usize, ScanError> {
        let depth_max = depth_max.min(DEPTH_MAX);
        let mut depth = 0;
        // Values still to come at this level, this one included.
        let mut pending = 1usize;
        loop {
            match head(bytes, at) {
                Head::Leaf(end) => {
                    if end > bytes.len() {
                        return Err(ScanError { at, kind: ScanErrorKind::Truncated });
                    }
                    at = end;
                    pending -= 1;
                }
                Head::Container(end, children) => {
                    pending -= 1;
                    if children > 0 {
                        if depth >= depth_max {
                            return Err(ScanError { at, kind: ScanErrorKind::TooDeep });
                        }
                        self.pending[depth] = pending;
                        depth += 1;
                        pending = children;
                    }
                    at = end;
                }
                Head::Reserved => return Err(ScanError { at, kind: ScanErrorKind::Reserved }),
                Head::Truncated => return Err(ScanError { at, kind: ScanErrorKind::Truncated }),
            }
            while pending == 0 {
                if depth == 0 {
                    return Ok(at);
                }
                depth -= 1;
                pending = self.pending[depth];
            }
        }
    }
}

/// The end of the value at `at` in bytes that have been scanned before: no stack, as the depth is known to be in
/// order. On bytes that have not been scanned it answers `None` or an end within the bytes.
#[inline]
pub(super) fn skip_scanned(bytes: &[u8], mut at: usize) -> Option<usize> {
    let mut pending = 1usize;
    loop {
        match head(bytes, at) {
            Head::Leaf(end) => at = end,
            Head::Container(end, children) => {
                at = end;
                pending = pending.saturating_add(children);
            }
            Head::Reserved | Head::Truncated => return None,
        }
        pending -= 1;
        if pending == 0 {
            return (at <= bytes.len()).then_some(at);
        }
    }
}
