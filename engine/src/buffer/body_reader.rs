//! The bodies of a chunk one after another: a chunk of a quarter of a gigabyte needs no more memory than its largest body.

use super::file::scan::Walk;
use super::{Body, Compression};
use crate::io::File;
use std::io;
use std::sync::Arc;

/// Reads what each append put into a chunk, as it is stored, in order. Damaged parts of a file are passed over; whoever
/// needs to know compares what came with [`Chunk::size`](super::Chunk::size).
pub struct BodyReader(Source);

enum Source {
    Held(std::vec::IntoIter<Body>),
    File(Walk<Arc<dyn File>>),
}

/// What [`BodyReader::read`] has appended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BodyRead {
    /// How many records are in it.
    pub records: u64,
    /// How it is compressed.
    pub compression: Compression,
}

impl BodyReader {
    pub(super) fn held(bodies: Vec<Body>) -> Self {
        Self(Source::Held(bodies.into_iter()))
    }

    pub(super) fn file(walk: Walk<Arc<dyn File>>) -> Self {
        Self(Source::File(walk))
    }

    /// Appends the next body to `out`; `None` behind the last one. Reads the file: not for an async task's thread.
    pub fn read(&mut self, out: &mut Vec<u8>) -> io::Result<Option<BodyRead>> {
        match &mut self.0 {
            Source::Held(bodies) => Ok(bodies.next().map(|body| {
                out.extend_from_slice(&body.bytes);
                BodyRead { records: body.records, compression: body.compression }
            })),
            Source::File(walk) => loop {
                let Some((_, header)) = walk.next(Some(out))? else { return Ok(None) };
                if !header.void {
                    let records = u64::from(header.records);
                    return Ok(Some(BodyRead { records, compression: header.compression }));
                }
            },
        }
    }
}
