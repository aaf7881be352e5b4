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

#[cfg(test)]
mod tests {
    use super::*;

    fn kind(bytes: &[u8]) -> Result<usize, ScanErrorKind> {
        skip(bytes, 0).map_err(|error| error.kind)
    }

    #[test]
    fn every_marker_alone_and_cut_off() {
        for marker in 0..=255u8 {
            // Lengths of zero, and enough bytes for whatever has a fixed size.
            let bytes = [&[marker][..], &[0; 40]].concat();
            if marker == 0xc1 {
                assert_eq!(kind(&bytes), Err(ScanErrorKind::Reserved));
                continue;
            }
            let end = kind(&bytes).unwrap();
            assert_eq!(skip_scanned(&bytes, 0), Some(end));
            assert_eq!(kind(&bytes[..end]), Ok(end), "{marker:#x}");
            for cut in 0..end {
                assert_eq!(kind(&bytes[..cut]), Err(ScanErrorKind::Truncated), "{marker:#x} cut at {cut}");
                assert_eq!(skip_scanned(&bytes[..cut], 0), None, "{marker:#x} cut at {cut}");
            }
        }
    }

    #[test]
    fn lengths_that_lie() {
        for bytes in [
            &b"\xdb\xff\xff\xff\xffabc"[..],
            b"\xc6\xff\xff\xff\xffabc",
            b"\xc9\xff\xff\xff\xff\x00abc",
            b"\xdd\xff\xff\xff\xff\x01\x02",
            b"\xdf\xff\xff\xff\xff\x01\x02",
            b"\xde\xff\xff\x01",
        ] {
            assert_eq!(kind(bytes), Err(ScanErrorKind::Truncated));
            assert_eq!(skip_scanned(bytes, 0), None);
        }
    }

    #[test]
    fn nested_up_to_the_limit() {
        for open in [&[0x91][..], &[0x81, 0xa1, b'k'], &[0xdc, 0, 1]] {
            let nested = |depth: usize| [open.repeat(depth), vec![0xc0]].concat();
            assert_eq!(kind(&nested(DEPTH_MAX)), Ok(open.len() * DEPTH_MAX + 1));
            assert_eq!(kind(&nested(DEPTH_MAX + 1)), Err(ScanErrorKind::TooDeep));
            // An empty container at the bottom is no further level, as in Ruby's unpacker.
            let mut empty = nested(DEPTH_MAX);
            empty.pop();
            empty.push(0x90);
            assert_eq!(kind(&empty), Ok(empty.len()));
        }
    }

    #[test]
    fn many_levels_that_end_together() {
        let bytes = [&[0x92, 1][..], &[0x91; 100], &[0x80], &[7]].concat();
        assert_eq!(kind(&bytes), Ok(bytes.len() - 1));
    }

    #[test]
    fn an_offset_behind_the_end() {
        assert_eq!(skip(&[1], 1), Err(ScanError { at: 1, kind: ScanErrorKind::Truncated }));
        assert_eq!(skip(&[1], 9), Err(ScanError { at: 9, kind: ScanErrorKind::Truncated }));
    }
}
