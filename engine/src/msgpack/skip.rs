//! Finds the end of a value: iterative, checked, without allocation.

use super::marker::{Head, head};

/// How deep non-empty containers may be nested, the outermost counting as 1. Ruby's msgpack has the same limit.
pub const DEPTH_MAX: usize = 128;

/// Why bytes are not MessagePack, or not yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{kind} at byte {at}")]
pub struct ScanError {
    /// Offset of what is wrong; the end of the bytes if they are cut off.
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
        _ => skip_container(bytes, at),
    }
}

/// Few values are nested deeper than this; the stack for more takes longer to clear than most values take to skip.
const SHALLOW: usize = 8;

fn skip_container(bytes: &[u8], at: usize) -> Result<usize, ScanError> {
    match Stack::<SHALLOW>::new().skip(bytes, at, SHALLOW) {
        Err(ScanError { kind: ScanErrorKind::TooDeep, .. }) => {
            Stack::<DEPTH_MAX>::new().skip(bytes, at, DEPTH_MAX)
        }
        result => result,
    }
}

/// What skipping needs to remember, from value to value.
pub(super) struct Stack<const N: usize> {
    /// Counts of values that are still to come in each open container.
    pending: [usize; N],
    keys: KeySizes,
}

impl<const N: usize> Stack<N> {
    pub(super) fn new() -> Self {
        Self { pending: [0; N], keys: KeySizes::new() }
    }

    /// [`skip`] with at most `depth_max` levels, which must not be more than N.
    ///
    /// The time goes into waiting for one value's length before the next value's can be loaded, so short strings
    /// are computed from the byte itself and keys are expected to be those of the value before ([`KeySizes`]). A
    /// key and its value are two places in the code, because the processor then learns that the first is nearly
    /// always a short string. That a value ends within the bytes is seen when the next one is loaded, or at the end.
    #[inline]
    pub(super) fn skip(&mut self, bytes: &[u8], at: usize, depth_max: usize) -> Result<usize, ScanError> {
        let mut at = at;
        let mut depth = 0;
        // Values still to come at this level, this one included.
        let mut pending = 1usize;
        self.keys.start();
        loop {
            let Some(&first) = bytes.get(at) else { return Err(cut_off(bytes)) };
            let mut byte = first;
            if is_short_str(byte) {
                at += self.keys.size(byte);
                pending -= 1;
                if pending > 0 {
                    let Some(&second) = bytes.get(at) else { return Err(cut_off(bytes)) };
                    byte = second;
                }
            }
            if pending > 0 {
                if is_short_str(byte) {
                    at += short_str_size(byte);
                    pending -= 1;
                } else {
                    match head(bytes, at) {
                        Head::Leaf(end) => {
                            at = end;
                            pending -= 1;
                        }
                        Head::Container(end, children) => {
                            at = end;
                            pending -= 1;
                            if children > 0 {
                                if depth >= depth_max.min(N) {
                                    return Err(ScanError { at, kind: ScanErrorKind::TooDeep });
                                }
                                self.pending[depth] = pending;
                                depth += 1;
                                pending = children;
                            }
                        }
                        Head::Reserved => return Err(ScanError { at, kind: ScanErrorKind::Reserved }),
                        Head::Truncated => return Err(cut_off(bytes)),
                    }
                }
            }
            while pending == 0 {
                if depth == 0 {
                    return if at <= bytes.len() { Ok(at) } else { Err(cut_off(bytes)) };
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
pub(super) fn skip_scanned(bytes: &[u8], at: usize) -> Option<usize> {
    value_end(bytes, at, short_str_size).filter(|&end| end <= bytes.len())
}

/// [`skip_scanned`] that computes the size of keys within the value by `key_size`, and does not check that the end is within the
/// bytes.
#[inline(always)]
pub(super) fn value_end(bytes: &[u8], at: usize, key_size: impl FnMut(u8) -> usize) -> Option<usize> {
    let byte = *bytes.get(at)?;
    if is_short_str(byte) {
        return Some(at + short_str_size(byte));
    }
    match head(bytes, at) {
        Head::Leaf(end) | Head::Container(end, 0) => Some(end),
        Head::Container(end, children) => values_end(bytes, end, children, key_size),
        Head::Reserved | Head::Truncated => None,
    }
}

/// Where `count` values (one at least) that begin at `at` end.
#[inline]
pub(super) fn values_end(
    bytes: &[u8],
    at: usize,
    count: usize,
    mut key_size: impl FnMut(u8) -> usize,
) -> Option<usize> {
    let mut at = at;
    let mut pending = count;
    loop {
        let mut byte = *bytes.get(at)?;
        if is_short_str(byte) {
            at += key_size(byte);
            pending -= 1;
            if pending == 0 {
                return Some(at);
            }
            byte = *bytes.get(at)?;
        }
        pending -= 1;
        if is_short_str(byte) {
            at += short_str_size(byte);
        } else {
            match head(bytes, at) {
                Head::Leaf(end) => at = end,
                Head::Container(end, children) => {
                    at = end;
                    pending = pending.saturating_add(children);
                }
                Head::Reserved | Head::Truncated => return None,
            }
        }
        if pending == 0 {
            return Some(at);
        }
    }
}

/// The sizes of a record's keys, by their place in the order of reading, as the record before had them.
///
/// Records of one source have the same keys. If a key's first byte is the expected one, the expected size is added, which
/// the processor can do before that byte has arrived from memory; this makes a scan almost twice as fast. If it is not, the size
/// is computed from the byte, and expected from then on.
#[derive(Clone, Debug)]
pub(super) struct KeySizes {
    /// First byte and size.
    expected: [(u8, u8); 64],
    next: usize,
}

impl KeySizes {
    pub(super) fn new() -> Self {
        Self { expected: [(0, 0); 64], next: 0 }
    }

    /// A record begins.
    #[inline(always)]
    pub(super) fn start(&mut self) {
        self.next = 0;
    }

    /// The size of the short string that begins with `byte`.
    #[inline(always)]
    pub(super) fn size(&mut self, byte: u8) -> usize {
        let expected = &mut self.expected[self.next & 63];
        self.next += 1;
        if byte == expected.0 {
            usize::from(expected.1)
        } else {
            let size = short_str_size(byte);
            *expected = (byte, size as u8);
            size
        }
    }
}

#[inline(always)]
pub(super) fn is_short_str(byte: u8) -> bool {
    byte & 0xe0 == 0xa0
}

#[inline(always)]
pub(super) fn short_str_size(byte: u8) -> usize {
    1 + usize::from(byte & 0x1f)
}

#[cold]
fn cut_off(bytes: &[u8]) -> ScanError {
    ScanError { at: bytes.len(), kind: ScanErrorKind::Truncated }
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
        assert_eq!(skip(&[1], 9), Err(ScanError { at: 1, kind: ScanErrorKind::Truncated }));
    }
}
