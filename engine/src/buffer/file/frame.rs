//! The frame: what one append puts into a chunk file.
//!
//! | offset | bytes | field |
//! |---|---|---|
//! | 0 | 4 | magic `F8 4C 57 46` |
//! | 4 | 4 | CRC32 of the chunk id and of bytes 8 to the end of the origin |
//! | 8 | 4 | length of the body |
//! | 12 | 4 | CRC32 of the sequence, the chunk id and the body |
//! | 16 | 8 | sequence: the number of the append within the buffer, never used twice |
//! | 24 | 4 | records in the body |
//! | 28 | 2 | length of the origin |
//! | 30 | 1 | compression of the body: 0 none, 1 gzip, 2 zstd |
//! | 31 | 1 | flags: 1 = void (the frame was taken back; its body means nothing) |
//! | 32 | 2 | which part of its append this is, from 0 |
//! | 34 | 2 | how many parts the append has, one a chunk |
//! | 36 | 4 | time of the append, seconds since the epoch |
//! | 40 | 8 | durable: appends up to this sequence were wholly on the device when this frame was written |
//! | 48 | | origin ([`super::origin`]), then the body |
//!
//! Integers are little-endian. Both checksums cover the chunk id, so that a block of another file that turns up in this
//! one after a crash is never taken for a frame. The header has a checksum of its own, so that a damaged body does not
//! cost the frames behind it.

use crate::buffer::{ChunkId, Compression};
use crc32fast::Hasher;
use std::collections::HashSet;

/// What every frame begins with. The first byte occurs in no UTF-8 text.
pub(crate) const MAGIC: [u8; 4] = *b"\xf8LWF";
/// Length of a frame header without its origin.
pub(crate) const HEADER_BYTES: usize = 48;

/// A frame header without its origin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct FrameHeader {
    pub(crate) body_bytes: u32,
    pub(crate) body_crc: u32,
    pub(crate) sequence: u64,
    pub(crate) records: u32,
    pub(crate) origin_bytes: u16,
    pub(crate) compression: Compression,
    pub(crate) void: bool,
    pub(crate) part: u16,
    pub(crate) parts: u16,
    pub(crate) at: u32,
    pub(crate) durable: u64,
}

impl FrameHeader {
    /// Length of the whole frame.
    pub(crate) fn frame_bytes(&self) -> u64 {
        (HEADER_BYTES + usize::from(self.origin_bytes)) as u64 + u64::from(self.body_bytes)
    }

    /// Appends header and origin to `out`.
    pub(crate) fn write(&self, id: ChunkId, origin: &[u8], out: &mut Vec<u8>) {
        let start = out.len();
        out.extend_from_slice(&MAGIC);
        out.extend_from_slice(&[0; 4]);
        out.extend_from_slice(&self.body_bytes.to_le_bytes());
        out.extend_from_slice(&self.body_crc.to_le_bytes());
        out.extend_from_slice(&self.sequence.to_le_bytes());
        out.extend_from_slice(&self.records.to_le_bytes());
        out.extend_from_slice(&self.origin_bytes.to_le_bytes());
        out.push(compression_code(self.compression));
        out.push(u8::from(self.void));
        out.extend_from_slice(&self.part.to_le_bytes());
        out.extend_from_slice(&self.parts.to_le_bytes());
        out.extend_from_slice(&self.at.to_le_bytes());
        out.extend_from_slice(&self.durable.to_le_bytes());
        out.extend_from_slice(origin);
        let crc = header_crc(id, &out[start + 8..]);
        out[start + 4..start + 8].copy_from_slice(&crc.to_le_bytes());
    }

    /// Reads a header and checks it together with its origin, which follows in `bytes`. `None` if this is no header of
    /// the chunk `id`, or if `bytes` ends before its origin does.
    pub(crate) fn read(id: ChunkId, bytes: &[u8]) -> Option<Self> {
        let header = bytes.first_chunk::<HEADER_BYTES>()?;
        if header[..4] != MAGIC {
            return None;
        }
        let u16_at = |at: usize| u16::from_le_bytes([header[at], header[at + 1]]);
        let u32_at =
            |at: usize| u32::from_le_bytes([header[at], header[at + 1], header[at + 2], header[at + 3]]);
        let u64_at = |at: usize| u64::from(u32_at(at)) | u64::from(u32_at(at + 4)) << 32;
        let origin_bytes = u16_at(28);
        let end = HEADER_BYTES + usize::from(origin_bytes);
        if header_crc(id, bytes.get(8..end)?) != u32_at(4) {
            return None;
        }
        Some(Self {
            body_bytes: u32_at(8),
            body_crc: u32_at(12),
            sequence: u64_at(16),
            records: u32_at(24),
            origin_bytes,
            compression: compression_of(header[30])?,
            void: header[31] & 1 != 0,
            part: u16_at(32),
            parts: u16_at(34),
            at: u32_at(36),
            durable: u64_at(40),
        })
    }
}

/// The checksum of a body, which may be fed in pieces.
pub(crate) fn body_hasher(sequence: u64, id: ChunkId) -> Hasher {
    let mut hasher = Hasher::new();
    hasher.update(&sequence.to_le_bytes());
    hasher.update(&id.0);
    hasher
}

/// The checksum of a body.
pub(crate) fn body_crc(sequence: u64, id: ChunkId, body: &[u8]) -> u32 {
    let mut hasher = body_hasher(sequence, id);
    hasher.update(body);
    hasher.finalize()
}

/// Whether the frames of one append are all there; each is given as which part it is and how many there are.
pub(crate) fn are_whole(parts: impl Iterator<Item = (u16, u16)> + Clone) -> bool {
    let there: HashSet<u16> = parts.clone().map(|(part, _)| part).collect();
    parts.clone().all(|(_, parts)| there.len() >= usize::from(parts))
}

fn header_crc(id: ChunkId, bytes: &[u8]) -> u32 {
    let mut hasher = Hasher::new();
    hasher.update(&id.0);
    hasher.update(bytes);
    hasher.finalize()
}

fn compression_code(compression: Compression) -> u8 {
    match compression {
        Compression::None => 0,
        Compression::Gzip => 1,
        Compression::Zstd => 2,
    }
}

fn compression_of(code: u8) -> Option<Compression> {
    match code {
        0 => Some(Compression::None),
        1 => Some(Compression::Gzip),
        2 => Some(Compression::Zstd),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: ChunkId = ChunkId([7; 16]);

    fn header() -> FrameHeader {
        FrameHeader {
            body_bytes: 3,
            body_crc: body_crc(0x1_0000_0002, ID, b"abc"),
            sequence: 0x1_0000_0002,
            records: 1,
            origin_bytes: 2,
            compression: Compression::Zstd,
            void: false,
            part: 1,
            parts: 3,
            at: 1_704_164_645,
            durable: u64::MAX - 1,
        }
    }

    #[test]
    fn what_is_written_is_read() {
        for header in [header(), FrameHeader { void: true, compression: Compression::None, ..header() }] {
            let mut bytes = Vec::new();
            header.write(ID, b"xy", &mut bytes);
            assert_eq!(bytes.len(), HEADER_BYTES + 2);
            assert_eq!(FrameHeader::read(ID, &bytes), Some(header));
            assert_eq!(header.frame_bytes(), 53);
        }
    }

    #[test]
    fn any_flipped_bit_and_any_missing_byte_is_noticed() {
        let mut bytes = Vec::new();
        header().write(ID, b"xy", &mut bytes);
        for bit in 0..bytes.len() * 8 {
            bytes[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(FrameHeader::read(ID, &bytes), None, "bit {bit}");
            bytes[bit / 8] ^= 1 << (bit % 8);
        }
        for len in 0..bytes.len() {
            assert_eq!(FrameHeader::read(ID, &bytes[..len]), None, "length {len}");
        }
    }

    #[test]
    fn a_frame_of_another_chunk_is_no_frame() {
        let mut bytes = Vec::new();
        header().write(ID, b"xy", &mut bytes);
        assert_eq!(FrameHeader::read(ChunkId([8; 16]), &bytes), None);
        assert_ne!(body_crc(1, ID, b"abc"), body_crc(1, ChunkId([8; 16]), b"abc"));
        assert_ne!(body_crc(1, ID, b"abc"), body_crc(2, ID, b"abc"));
    }
}
