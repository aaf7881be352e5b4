//! ClickHouse's compressed blocks, as an HTTP body with `decompress=1` carries them.
//!
//! | bytes | what |
//! |---|---|
//! | 16 | CityHash128 (version 1.0.2) of all that follows, low half first, little-endian |
//! | 1 | method: 0x82 LZ4, 0x90 ZSTD |
//! | 4 | size of what follows the checksum, these 9 bytes included |
//! | 4 | size of the data before compression |
//! | n | the compressed data |
//!
//! The boundaries of frames mean nothing to the reader: it sees one stream.

use bytes::Bytes;
use cityhash_rs::cityhash_102_128;

/// How a body is compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Compression {
    /// Not at all: for a server on the same machine.
    None,
    /// LZ4 blocks.
    Lz4,
    /// Zstandard at this level, for slow links.
    Zstd(i32),
}

impl Compression {
    /// Whether the body is in frames.
    pub(crate) fn framed(self) -> bool {
        self != Self::None
    }
}

const CHECKSUM: usize = 16;
const HEADER: usize = 9;

/// `raw` as one frame, or as it is without compression. At most 1 GiB, which is what ClickHouse takes.
pub(crate) fn frame(compression: Compression, raw: &[u8]) -> Bytes {
    let (method, bound) = match compression {
        Compression::None => return Bytes::copy_from_slice(raw),
        Compression::Lz4 => (0x82, lz4_flex::block::get_maximum_output_size(raw.len())),
        Compression::Zstd(_) => (0x90, zstd::zstd_safe::compress_bound(raw.len())),
    };
    let mut out = vec![0; CHECKSUM + HEADER + bound];
    let body = &mut out[CHECKSUM + HEADER..];
    let size = match compression {
        Compression::Zstd(level) => zstd::bulk::compress_to_buffer(raw, body, level).ok(),
        _ => lz4_flex::block::compress_into(raw, body).ok(),
    };
    // Both compressors fail only where the buffer is smaller than their own bound.
    let size = size.unwrap_or_default();
    out.truncate(CHECKSUM + HEADER + size);
    out[CHECKSUM] = method;
    out[CHECKSUM + 1..CHECKSUM + 5].copy_from_slice(&((size + HEADER) as u32).to_le_bytes());
    out[CHECKSUM + 5..CHECKSUM + 9].copy_from_slice(&(raw.len() as u32).to_le_bytes());
    let hash = cityhash_102_128(&out[CHECKSUM..]);
    out[..8].copy_from_slice(&((hash >> 64) as u64).to_le_bytes());
    out[8..16].copy_from_slice(&(hash as u64).to_le_bytes());
    out.shrink_to_fit();
    Bytes::from(out)
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// Undoes the frames of a body, checking checksums and sizes.
    pub(crate) fn unframe(mut body: &[u8]) -> Vec<u8> {
        let mut out = Vec::new();
        while !body.is_empty() {
            let size = u32::from_le_bytes(body[17..21].try_into().unwrap()) as usize;
            let raw = u32::from_le_bytes(body[21..25].try_into().unwrap()) as usize;
            let hash = cityhash_102_128(&body[16..16 + size]);
            assert_eq!(body[..8], ((hash >> 64) as u64).to_le_bytes());
            assert_eq!(body[8..16], (hash as u64).to_le_bytes());
            let data = &body[25..16 + size];
            let plain = match body[16] {
                0x82 => lz4_flex::block::decompress(data, raw).unwrap(),
                0x90 => zstd::bulk::decompress(data, raw).unwrap(),
                method => panic!("method {method:x}"),
            };
            assert_eq!(plain.len(), raw);
            out.extend_from_slice(&plain);
            body = &body[16 + size..];
        }
        out
    }

    #[test]
    fn frames_hold_what_was_put_in() {
        let raw: Vec<u8> = (0..100_000u32).flat_map(|n| (n / 7).to_le_bytes()).collect();
        for compression in [Compression::Lz4, Compression::Zstd(1)] {
            let framed = frame(compression, &raw);
            assert!(framed.len() < raw.len());
            assert_eq!(unframe(&framed), raw);
            assert_eq!(unframe(&frame(compression, b"")), b"");
        }
        assert_eq!(frame(Compression::None, b"abc"), "abc");
    }
}
