//! The bytes of a column while rows are added, and the body of an insert into which they end up.
//!
//! A Native block is columnar, so no column can be sent before the last row is known. To keep memory small all the
//! same, a [`Stream`] that has grown is sealed: compressed into frames of its own, which are only put in order when
//! the block is finished. Values are compressed while they are still in the processor's cache.

use bytes::Bytes;
use logweir_engine::clickhouse::frame::{Compression, frame};

/// A stream is sealed when it holds this much. LZ4 looks back 64 KiB, so larger frames gain little.
const SEAL_BYTES: usize = 256 * 1024;
/// The largest frame of what the [`Sink`] gathers itself; ClickHouse's own writers use 1 MiB.
const SINK_FRAME_BYTES: usize = 1024 * 1024;

/// Bytes of one column, or of one part of it (null map, offsets, values).
#[derive(Debug, Default)]
pub(crate) struct Stream {
    /// What is not sealed yet.
    pub(crate) raw: Vec<u8>,
    sealed: Vec<Bytes>,
    mark: usize,
}

impl Stream {
    /// Remembers the length, so that what follows can be taken back.
    #[inline]
    pub(crate) fn checkpoint(&mut self) {
        self.mark = self.raw.len();
    }

    /// Takes back what came after the checkpoint.
    #[inline]
    pub(crate) fn rollback(&mut self) {
        self.raw.truncate(self.mark);
    }

    /// Compresses what there is, if it is much. Called between rows only: a checkpoint does not outlive it.
    pub(crate) fn seal(&mut self, compression: Compression) {
        if self.raw.len() < SEAL_BYTES {
            return;
        }
        if compression.framed() {
            self.sealed.push(frame(compression, &self.raw));
            self.raw.clear();
        } else {
            let empty = Vec::with_capacity(self.raw.capacity());
            self.sealed.push(Bytes::from(std::mem::replace(&mut self.raw, empty)));
        }
        self.mark = 0;
    }

    /// Moves everything into `sink` and is empty again.
    pub(crate) fn finish(&mut self, sink: &mut Sink) {
        if !self.sealed.is_empty() {
            sink.end_frame();
            sink.body.append(&mut self.sealed);
        }
        sink.write(&self.raw);
        self.raw.clear();
        self.mark = 0;
    }
}

/// Where finished streams go: the body of an insert, piece by piece.
pub(crate) struct Sink {
    compression: Compression,
    pending: Vec<u8>,
    body: Vec<Bytes>,
}

impl Sink {
    /// An empty body.
    pub(crate) fn new(compression: Compression) -> Self {
        Self { compression, pending: Vec::new(), body: Vec::new() }
    }

    /// Appends bytes.
    pub(crate) fn write(&mut self, mut bytes: &[u8]) {
        while self.pending.len() + bytes.len() > SINK_FRAME_BYTES {
            let (head, rest) = bytes.split_at(SINK_FRAME_BYTES - self.pending.len());
            self.pending.extend_from_slice(head);
            self.end_frame();
            bytes = rest;
        }
        self.pending.extend_from_slice(bytes);
    }

    /// Appends a little-endian integer.
    pub(crate) fn write_u64(&mut self, value: u64) {
        self.write(&value.to_le_bytes());
    }

    /// Appends a text with its length.
    pub(crate) fn write_text(&mut self, text: &str) {
        let mut head = Vec::with_capacity(10);
        write_varint(&mut head, text.len() as u64);
        self.write(&head);
        self.write(text.as_bytes());
    }

    /// The pieces of the body, in order.
    pub(crate) fn into_body(mut self) -> Vec<Bytes> {
        self.end_frame();
        self.body
    }

    fn end_frame(&mut self) {
        if !self.pending.is_empty() {
            self.body.push(frame(self.compression, &self.pending));
            self.pending.clear();
        }
    }
}

/// Appends an unsigned LEB128 integer.
#[inline]
pub(crate) fn write_varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

#[cfg(test)]
mod tests {
    use super::*;
    use logweir_engine::clickhouse::frame::unframe;

    #[test]
    fn sealed_and_unsealed_bytes_come_out_in_order() {
        for compression in [Compression::Lz4, Compression::None] {
            let mut sink = Sink::new(compression);
            let mut expected = Vec::new();
            for column in 0..3u8 {
                let mut stream = Stream::default();
                sink.write(&[column]);
                expected.push(column);
                for row in 0..3_000_000u32 / (1 + u32::from(column) * 1_000_000) {
                    stream.checkpoint();
                    stream.raw.extend_from_slice(&row.to_le_bytes());
                    if row % 3 == 0 {
                        stream.rollback();
                    } else {
                        expected.extend_from_slice(&row.to_le_bytes());
                    }
                    stream.seal(compression);
                }
                stream.finish(&mut sink);
                assert!(stream.raw.is_empty() && stream.sealed.is_empty());
            }
            let body: Vec<u8> = sink.into_body().concat();
            let body = if compression.framed() { unframe(&body).unwrap() } else { body };
            assert!(body == expected);
        }
    }

    #[test]
    fn varints() {
        let mut out = Vec::new();
        write_varint(&mut out, 0);
        write_varint(&mut out, 127);
        write_varint(&mut out, 300);
        assert_eq!(out, [0, 127, 0xac, 0x02]);
    }
}
