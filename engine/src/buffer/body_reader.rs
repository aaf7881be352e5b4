//! The bodies of a chunk one after another: a chunk of a quarter of a gigabyte needs no more memory than its largest body.

use super::file::scan::Walk;
use super::{Body, Compression, compress};
use crate::io::File;
use bytes::Bytes;
use std::io;
use std::sync::Arc;

/// Reads what each append put into a chunk, as it is stored, in order. Damaged parts of a file are passed over; whoever
/// needs to know compares what came with [`Chunk::size`](super::Chunk::size).
pub struct BodyReader {
    source: Source,
    inflates: bool,
    current: Current,
    read: Vec<u8>,
}

/// Where the bytes of the body are that the reader has gone to.
enum Current {
    Held(Bytes),
    /// In [`BodyReader::read`].
    Read,
}

enum Source {
    /// With the number of the next one.
    Held(std::vec::IntoIter<Body>, u64),
    File(Walk<Arc<dyn File>>),
}

/// What is known of a body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BodyInfo {
    /// Where reading can go on with this body: see [`Chunk::reader_from`](super::Chunk::reader_from).
    pub place: u64,
    /// How many records are in it.
    pub records: u64,
    /// How it is compressed.
    pub compression: Compression,
}

impl BodyReader {
    /// `place` is the number of the first of `bodies`.
    pub(super) fn held(bodies: std::vec::IntoIter<Body>, place: u64) -> Self {
        Self::new(Source::Held(bodies, place))
    }

    pub(super) fn file(walk: Walk<Arc<dyn File>>) -> Self {
        Self::new(Source::File(walk))
    }

    fn new(source: Source) -> Self {
        Self { source, inflates: false, current: Current::Read, read: Vec::new() }
    }

    /// The same reader, whose [`Self::bytes`] are inflated if they were stored compressed.
    pub fn inflating(mut self) -> Self {
        self.inflates = true;
        self
    }

    /// Goes to the next body; `None` behind the last one. Reads the file: not for an async task's thread.
    pub fn advance(&mut self) -> io::Result<Option<BodyInfo>> {
        let next = match &mut self.source {
            Source::Held(bodies, place) => bodies.next().map(|body| {
                self.current = Current::Held(body.bytes);
                *place += 1;
                BodyInfo { place: *place - 1, records: body.records, compression: body.compression }
            }),
            Source::File(walk) => {
                self.current = Current::Read;
                self.read.clear();
                next_in(walk, &mut self.read)?
            }
        };
        if let Some(BodyInfo { compression, .. }) = next
            && compression != Compression::None
            && self.inflates
        {
            self.current = Current::Held(compress::inflate(self.bytes(), compression)?.into());
        }
        Ok(next)
    }

    /// The bytes of the body that [`Self::advance`] has gone to.
    pub fn bytes(&self) -> &[u8] {
        match &self.current {
            Current::Held(bytes) => bytes,
            Current::Read => &self.read,
        }
    }

    /// Goes to the next body and appends it to `out` as it is stored, with no copy in between.
    pub fn append_next(&mut self, out: &mut Vec<u8>) -> io::Result<Option<BodyInfo>> {
        if let Source::File(walk) = &mut self.source {
            return next_in(walk, out);
        }
        let next = self.advance()?;
        if next.is_some() {
            out.extend_from_slice(self.bytes());
        }
        Ok(next)
    }
}

fn next_in(walk: &mut Walk<Arc<dyn File>>, out: &mut Vec<u8>) -> io::Result<Option<BodyInfo>> {
    loop {
        let Some((place, header)) = walk.next(Some(out))? else { return Ok(None) };
        if !header.void {
            let records = u64::from(header.records);
            return Ok(Some(BodyInfo { place, records, compression: header.compression }));
        }
    }
}
