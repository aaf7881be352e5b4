//! The entries of a chunk, read body by body, from any place on and as often as it takes.

use logweir_engine::buffer::{BodyReader, Chunk};
use logweir_engine::msgpack::{Entries, Entry, RecordView, ValueRef};
use std::io;
use std::ops::ControlFlow;

/// A chunk.
#[derive(Clone, Copy)]
pub(crate) struct Source<'a> {
    pub(crate) chunk: &'a Chunk,
    /// The tag of all entries, if the chunk knows it.
    pub(crate) tag: Option<&'a [u8]>,
    /// Whether entries bring their own tag, in their metadata.
    pub(crate) tagged: bool,
    /// Seconds since the epoch for entries without a time.
    pub(crate) fallback_time: i64,
}

/// The key of the tag in the metadata of entries that bring their own.
pub(crate) const TAG_KEY: &[u8] = b"tag";

/// A place between entries.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Position {
    /// Which body: see [`BodyInfo::place`](logweir_engine::buffer::BodyInfo::place).
    pub(crate) body: u64,
    /// Bytes of it, inflated, that lie before.
    pub(crate) offset: usize,
    /// How many entries lie before it.
    pub(crate) ordinal: usize,
}

impl<'a> Source<'a> {
    /// Goes through the bodies from a place on.
    pub(crate) fn bodies(self, from: Position) -> io::Result<Bodies> {
        Ok(Bodies { reader: self.chunk.reader_from(from.body)?.inflating(), next: from })
    }

    /// Visits the entries from a place on, each with its ordinal, until one is not wanted. Answers where that one begins.
    pub(crate) fn each(
        self,
        from: Position,
        mut visit: impl FnMut(usize, &Entry<'_>) -> ControlFlow<()>,
    ) -> io::Result<Position> {
        let mut bodies = self.bodies(from)?;
        let mut at = from;
        while let Some((start, bytes)) = bodies.next()? {
            at = Position { ordinal: at.ordinal, ..start };
            let mut entries = Entries::new(bytes.get(start.offset..).unwrap_or_default());
            while let Some(entry) = entries.next() {
                if visit(at.ordinal, &entry).is_break() {
                    return Ok(at);
                }
                at = Position { offset: start.offset + entries.position(), ordinal: at.ordinal + 1, ..at };
            }
        }
        Ok(at)
    }

    /// Visits the entries with these ordinals, which rise.
    pub(crate) fn pick(self, ordinals: &[u32], mut visit: impl FnMut(u32, &Entry<'_>)) -> io::Result<()> {
        let mut wanted = ordinals.iter().copied();
        let Some(mut next) = wanted.next() else { return Ok(()) };
        self.each(Position::default(), |ordinal, entry| {
            if ordinal as u32 == next {
                visit(next, entry);
                match wanted.next() {
                    Some(ordinal) => next = ordinal,
                    None => return ControlFlow::Break(()),
                }
            }
            ControlFlow::Continue(())
        })
        .map(drop)
    }

    /// The tag of an entry.
    pub(crate) fn tag_of<'e>(self, entry: &Entry<'e>) -> Option<&'e [u8]>
    where
        'a: 'e,
    {
        let own = entry.metadata.filter(|_| self.tagged).and_then(|metadata| {
            RecordView::new(metadata).get(TAG_KEY).and_then(|raw| ValueRef::read(raw).ok()?.bytes())
        });
        own.or(self.tag)
    }
}

/// The bodies of a chunk from a place on.
pub(crate) struct Bodies {
    reader: BodyReader,
    next: Position,
}

impl Bodies {
    /// The next body, and where in it to begin: at its first byte, but in the first one. The ordinal is not kept.
    pub(crate) fn next(&mut self) -> io::Result<Option<(Position, &[u8])>> {
        let Some(info) = self.reader.advance()? else { return Ok(None) };
        // A first place without a body is the beginning of the chunk, whose first body may have any place.
        let start = match info.place == self.next.body {
            true => self.next,
            false => Position { body: info.place, ..Position::default() },
        };
        self.next = Position { body: u64::MAX, ..Position::default() };
        Ok(Some((start, self.reader.bytes())))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::file_chunk;
    use logweir_engine::buffer::Metadata;

    /// `[n, {}]`
    fn entries(numbers: std::ops::Range<u8>) -> Vec<u8> {
        numbers.flat_map(|n| [0x92, n, 0x80]).collect()
    }

    fn source(chunk: &Chunk) -> Source<'_> {
        Source { chunk, tag: None, tagged: false, fallback_time: 0 }
    }

    /// The numbers and ordinals of `count` entries from a place on, and the place behind them.
    fn some(chunk: &Chunk, from: Position, count: usize) -> (Vec<(usize, u8)>, Position) {
        let mut found = Vec::new();
        let visit = |ordinal, entry: &Entry<'_>| {
            if found.len() == count {
                return ControlFlow::Break(());
            }
            found.push((ordinal, entry.raw[1]));
            ControlFlow::Continue(())
        };
        let end = source(chunk).each(from, visit).unwrap();
        (found, end)
    }

    #[test]
    fn reading_goes_on_at_any_place() {
        let dir = tempfile::tempdir().unwrap();
        let bodies: Vec<Vec<u8>> = (0..4).map(|body| entries(body * 5..body * 5 + 5)).collect();
        let (_buffer, in_file) = file_chunk(dir.path(), &bodies, 5);
        let in_memory = Chunk::in_memory(Metadata::default(), bodies.concat().into(), 20);
        for chunk in [&*in_file, &in_memory] {
            for first in 0..=20 {
                let (head, middle) = some(chunk, Position::default(), first);
                let (tail, end) = some(chunk, middle, 20);
                let expected: Vec<(usize, u8)> = (0..20).map(|n| (n, n as u8)).collect();
                assert_eq!([head, tail].concat(), expected, "after {first}");
                assert_eq!((middle.ordinal, end.ordinal), (first, 20));
            }
        }
    }

    #[test]
    fn entries_are_picked_by_their_ordinals() {
        let dir = tempfile::tempdir().unwrap();
        let (_buffer, chunk) = file_chunk(dir.path(), &[entries(0..3), entries(3..9)], 5);
        let mut found = Vec::new();
        source(&chunk).pick(&[0, 2, 3, 8], |ordinal, entry| found.push((ordinal, entry.raw[1]))).unwrap();
        assert_eq!(found, [(0, 0), (2, 2), (3, 3), (8, 8)]);
        source(&chunk).pick(&[], |ordinal, _| panic!("{ordinal}")).unwrap();
    }
}
