//! Where a frame's records came from, as it stands in the frame.
//!
//! ```text
//! nothing                                                            nobody replays these
//! 01 | ordinal: u32 | length of peer: u16 | peer | forward chunk id  a forward chunk
//! 02 | ordinal: u32 | dev: u64 | ino: u64 | head: u32 | from: u64 | end: u64   a span of a tailed file
//! 03 | count: u16 | (first: u64, last: u64)* | one of the above      the same, behind the appends that were taken back
//! ```
//!
//! `ordinal` counts the appends of one emit to one buffer. `from` is the `end` that the buffer had for that file and
//! ordinal before this append, all ones if it had none: recovery sees by it whether a span is missing in between.

use crate::buffer::taken_back::TakenBack;
use crate::delivery::{FileIdentity, Origin};
use bytes::Bytes;
use std::ops::RangeInclusive;
use std::sync::Arc;

/// Ids and peers longer than this are not remembered: a sender that makes such ids stores some chunks twice rather than
/// filling our files with them.
const FORWARD_ID_BYTES_MAX: usize = 1024;
const FORWARD: u8 = 1;
const TAIL: u8 = 2;
const TAKEN_BACK: u8 = 3;
const NO_FROM: u64 = u64::MAX;

/// The mark of one append.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Mark {
    /// A forward chunk. `arrival` (see [`Origin::Forward`]) is not written: it means nothing after a restart.
    Forward { peer: Arc<str>, chunk: Bytes, ordinal: u32, arrival: Option<u64> },
    /// A span of a tailed file: `from < offset <= end`, from its beginning if `from` is `None`.
    Tail { file: FileIdentity, ordinal: u32, from: Option<u64>, end: u64 },
}

impl Mark {
    /// The mark of an emit's append number `ordinal`. The `from` of a tailed file is yet to be set.
    pub(crate) fn new(origin: &Origin, ordinal: u32) -> Option<Self> {
        match origin {
            Origin::None => None,
            Origin::Forward { chunk, peer, arrival } => (chunk.len() + peer.len() <= FORWARD_ID_BYTES_MAX)
                .then(|| Self::Forward {
                    peer: Arc::clone(peer),
                    chunk: chunk.clone(),
                    ordinal,
                    arrival: Some(*arrival),
                }),
            Origin::Tail { file, end } => Some(Self::Tail { file: *file, ordinal, from: None, end: *end }),
        }
    }

    /// Appends the mark.
    pub(crate) fn write(&self, out: &mut impl Extend<u8>) {
        match self {
            Self::Forward { peer, chunk, ordinal, .. } => {
                let peer_bytes = u16::try_from(peer.len()).unwrap_or(u16::MAX);
                out.extend([FORWARD]);
                out.extend(ordinal.to_le_bytes());
                out.extend(peer_bytes.to_le_bytes());
                out.extend(peer.bytes());
                out.extend(chunk.iter().copied());
            }
            Self::Tail { file, ordinal, from, end } => {
                out.extend([TAIL]);
                out.extend(ordinal.to_le_bytes());
                out.extend(file.dev.to_le_bytes());
                out.extend(file.ino.to_le_bytes());
                out.extend(file.head.to_le_bytes());
                out.extend(from.unwrap_or(NO_FROM).to_le_bytes());
                out.extend(end.to_le_bytes());
            }
        }
    }

    /// `None` for no origin, and for kinds of a later version.
    pub(crate) fn read(bytes: &[u8]) -> Option<Self> {
        let mut bytes = Input(&bytes[taken_back_bytes(bytes)..]);
        match (bytes.u8()?, bytes.u32()?) {
            (FORWARD, ordinal) => {
                let peer_bytes = usize::from(bytes.u16()?);
                let (peer, chunk) = bytes.0.split_at_checked(peer_bytes)?;
                let peer = Arc::from(String::from_utf8_lossy(peer).as_ref());
                let chunk = Bytes::copy_from_slice(chunk);
                Some(Self::Forward { peer, chunk, ordinal, arrival: None })
            }
            (TAIL, ordinal) => {
                let file = FileIdentity { dev: bytes.u64()?, ino: bytes.u64()?, head: bytes.u32()? };
                let from = Some(bytes.u64()?).filter(|from| *from != NO_FROM);
                Some(Self::Tail { file, ordinal, from, end: bytes.u64()? })
            }
            _ => None,
        }
    }
}

/// Appends the list of appends that were taken back, if there are any. The mark comes behind it.
pub(crate) fn write_taken_back(taken_back: &TakenBack, out: &mut impl Extend<u8>) {
    let ranges = taken_back.ranges();
    let Ok(count) = u16::try_from(ranges.len()) else { return };
    if count > 0 {
        out.extend([TAKEN_BACK]);
        out.extend(count.to_le_bytes());
        for range in ranges {
            out.extend(range.start().to_le_bytes());
            out.extend(range.end().to_le_bytes());
        }
    }
}

/// The appends that were taken back, says this origin.
pub(crate) fn taken_back(origin: &[u8]) -> impl Iterator<Item = RangeInclusive<u64>> {
    let mut list = Input(origin.get(3..taken_back_bytes(origin)).unwrap_or_default());
    std::iter::from_fn(move || Some(list.u64()?..=list.u64()?))
}

/// The length of the list of appends that were taken back; 0 if there is none.
fn taken_back_bytes(origin: &[u8]) -> usize {
    let mut input = Input(origin);
    match (input.u8(), input.u16()) {
        (Some(TAKEN_BACK), Some(count)) => (3 + 16 * usize::from(count)).min(origin.len()),
        _ => 0,
    }
}

/// A cursor over little-endian integers.
pub(crate) struct Input<'a>(pub(crate) &'a [u8]);

impl<'a> Input<'a> {
    pub(crate) fn bytes(&mut self, length: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(taken)
    }

    fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        self.bytes(N)?.try_into().ok()
    }

    pub(crate) fn u8(&mut self) -> Option<u8> {
        self.array().map(u8::from_le_bytes)
    }

    pub(crate) fn u16(&mut self) -> Option<u16> {
        self.array().map(u16::from_le_bytes)
    }

    pub(crate) fn u32(&mut self) -> Option<u32> {
        self.array().map(u32::from_le_bytes)
    }

    pub(crate) fn u64(&mut self) -> Option<u64> {
        self.array().map(u64::from_le_bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn forward(peer: &str, chunk: &'static [u8], ordinal: u32) -> Mark {
        Mark::Forward { peer: peer.into(), chunk: Bytes::from_static(chunk), ordinal, arrival: None }
    }

    #[test]
    fn marks_are_read_as_written() {
        let file = FileIdentity { dev: 1, ino: 2, head: 3 };
        for mark in [
            forward("10.0.0.1", b"id\xff", 1),
            forward("", b"", 0),
            Mark::Tail { file, ordinal: 7, from: None, end: 9 },
            Mark::Tail { file, ordinal: 0, from: Some(0), end: u64::MAX },
        ] {
            let mut bytes = Vec::new();
            mark.write(&mut bytes);
            assert_eq!(Mark::read(&bytes), Some(mark.clone()));
            if matches!(mark, Mark::Tail { .. }) {
                assert_eq!(Mark::read(&bytes[..bytes.len() - 1]), None);
            }
        }
        assert_eq!(Mark::read(b""), None);
        assert_eq!(Mark::read(b"\x09\0\0\0\0"), None);
    }

    #[test]
    fn what_was_taken_back_stands_before_the_mark() {
        let mut list = TakenBack::default();
        list.add(5..=9);
        list.add(1..=1);
        for mark in [None, Some(forward("10.0.0.1", b"id", 1))] {
            let mut bytes = Vec::new();
            write_taken_back(&list, &mut bytes);
            if let Some(mark) = &mark {
                mark.write(&mut bytes);
            }
            assert_eq!(Mark::read(&bytes), mark);
            assert_eq!(taken_back(&bytes).collect::<Vec<_>>(), [1..=1, 5..=9]);
            for len in 0..bytes.len() {
                assert!(taken_back(&bytes[..len]).count() <= 2);
            }
        }
        let mut bytes = Vec::new();
        write_taken_back(&TakenBack::default(), &mut bytes);
        assert!(bytes.is_empty());
    }

    #[test]
    fn an_id_that_is_too_long_is_not_remembered() {
        let origin = |length| Origin::Forward { chunk: vec![0; length].into(), peer: "p".into(), arrival: 0 };
        assert!(Mark::new(&origin(FORWARD_ID_BYTES_MAX - 1), 0).is_some());
        assert_eq!(Mark::new(&origin(FORWARD_ID_BYTES_MAX), 0), None);
        assert_eq!(Mark::new(&Origin::None, 0), None);
    }
}
