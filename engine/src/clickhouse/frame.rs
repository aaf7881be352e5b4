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
use std::io::{self, Read};

/// How a body is compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Compression {
    /// Not at all: for a server on the same machine.
    None,
    /// LZ4 blocks.
    Lz4,
    /// Zstandard at this level, for slow links.
    Zstd(i32),
}

impl Compression {
    /// Whether the body is in frames.
    pub fn framed(self) -> bool {
        self != Self::None
    }
}

const CHECKSUM: usize = 16;
const HEADER: usize = 9;

/// `raw` as one frame, or as it is without compression. At most 1 GiB, which is what ClickHouse takes.
pub fn frame(compression: Compression, raw: &[u8]) -> Bytes {
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

/// The largest frame that is read, before or after compression; ClickHouse takes as much.
pub const FRAME_BYTES_MAX: usize = 1 << 30;

/// Undoes frames: what was put in, of whatever comes out of `inner`. A wrong checksum, size or method is an error of kind
/// `InvalidData`; an end within a frame is one of kind `UnexpectedEof`.
pub struct Unframed<R> {
    inner: R,
    frame: Vec<u8>,
    plain: Vec<u8>,
    at: usize,
}

impl<R: Read> Unframed<R> {
    /// Reads frames from `inner`.
    pub fn new(inner: R) -> Self {
        Self { inner, frame: Vec::new(), plain: Vec::new(), at: 0 }
    }

    /// Reads one frame; `false` at the end.
    fn next_frame(&mut self) -> io::Result<bool> {
        let mut head = [0; CHECKSUM + HEADER];
        let mut got = 0;
        while got < head.len() {
            match self.inner.read(&mut head[got..])? {
                0 if got == 0 => return Ok(false),
                0 => return Err(io::ErrorKind::UnexpectedEof.into()),
                read => got += read,
            }
        }
        let (checksum, header) = head.split_at(CHECKSUM);
        let size = u32::from_le_bytes([header[1], header[2], header[3], header[4]]) as usize;
        let raw = u32::from_le_bytes([header[5], header[6], header[7], header[8]]) as usize;
        if !(HEADER..=FRAME_BYTES_MAX).contains(&size) || raw > FRAME_BYTES_MAX {
            return Err(invalid(&format!("a compressed block of {size} bytes for {raw}")));
        }
        self.frame.clear();
        self.frame.extend_from_slice(header);
        let left = (size - HEADER) as u64;
        if (&mut self.inner).take(left).read_to_end(&mut self.frame)? as u64 != left {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let hash = cityhash_102_128(&self.frame);
        if checksum[..8] != ((hash >> 64) as u64).to_le_bytes()
            || checksum[8..] != (hash as u64).to_le_bytes()
        {
            return Err(invalid("the checksum of a compressed block does not match"));
        }
        let data = &self.frame[HEADER..];
        // A short frame cannot claim a large content: neither method makes more than this out of one byte.
        if raw > data.len().saturating_mul(1 << 15) + 1024 {
            return Err(invalid("a compressed block claims an impossible size"));
        }
        self.plain.clear();
        self.plain.resize(raw, 0);
        let written = match header[0] {
            0x82 => lz4_flex::block::decompress_into(data, &mut self.plain)
                .map_err(|error| invalid(&error.to_string()))?,
            0x90 => zstd::bulk::decompress_to_buffer(data, &mut self.plain)?,
            0x02 if data.len() == raw => {
                self.plain.copy_from_slice(data);
                raw
            }
            method => return Err(invalid(&format!("unknown compression method 0x{method:02x}"))),
        };
        if written != raw {
            return Err(invalid("a compressed block holds less than it says"));
        }
        self.at = 0;
        Ok(true)
    }
}

impl<R: Read> Read for Unframed<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.at == self.plain.len() {
            if !self.next_frame()? {
                return Ok(0);
            }
        }
        let size = buffer.len().min(self.plain.len() - self.at);
        buffer[..size].copy_from_slice(&self.plain[self.at..self.at + size]);
        self.at += size;
        Ok(size)
    }
}

/// All that is in the frames of `body`.
pub fn unframe(body: &[u8]) -> io::Result<Vec<u8>> {
    let mut plain = Vec::new();
    Unframed::new(body).read_to_end(&mut plain)?;
    Ok(plain)
}

fn invalid(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_hold_what_was_put_in() {
        let raw: Vec<u8> = (0..100_000u32).flat_map(|n| (n / 7).to_le_bytes()).collect();
        for compression in [Compression::Lz4, Compression::Zstd(1)] {
            let framed = frame(compression, &raw);
            assert!(framed.len() < raw.len());
            assert_eq!(unframe(&framed).unwrap(), raw);
            assert_eq!(unframe(&frame(compression, b"")).unwrap(), b"");
            let two = [framed.as_ref(), frame(compression, b"more").as_ref()].concat();
            assert_eq!(unframe(&two).unwrap(), [&raw[..], b"more"].concat());
        }
        assert_eq!(frame(Compression::None, b"abc"), "abc");
    }

    #[test]
    fn damage_is_an_error() {
        let framed = frame(Compression::Lz4, &[7; 5000]);
        for at in 0..framed.len() {
            let mut damaged = framed.to_vec();
            damaged[at] ^= 0x10;
            assert!(unframe(&damaged).is_err(), "byte {at}");
        }
        for end in 1..framed.len() {
            assert_eq!(unframe(&framed[..end]).unwrap_err().kind(), io::ErrorKind::UnexpectedEof);
        }
    }
}
