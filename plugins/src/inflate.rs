//! Inflates payloads step by step under a limit: gzip with all its members, zlib, zstd with all its frames.

use bytes::Bytes;
use flate2::bufread::{MultiGzDecoder, ZlibDecoder};
use std::io::{self, Cursor, Read};

/// How a payload is compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Compression {
    /// RFC 1952, one or more members.
    Gzip,
    /// RFC 1950, which HTTP calls deflate.
    Zlib,
    /// RFC 8878, one or more frames.
    Zstd,
}

/// Why a payload was not inflated.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum InflateError {
    #[error("Unknown compression type: {0}")]
    Unknown(String),
    #[error("the {0} payload is damaged: {1}")]
    Damaged(&'static str, String),
    #[error("the inflated payload is larger than decompression_size_limit ({0} bytes)")]
    TooLarge(u64),
}

/// A payload that is being inflated. The caller decides when to go on, so that it can reserve memory and let others
/// work in between.
pub(crate) struct Inflater {
    name: &'static str,
    reader: Box<dyn Read + Send>,
    bytes_max: u64,
}

/// Largest window of a zstd frame that is accepted, as a power of two: that of the output's limit, between 8 MiB, which
/// every decoder must take (RFC 8878), and 128 MiB. It is allocated before anything comes out.
const ZSTD_WINDOW_LOG: std::ops::RangeInclusive<u32> = 23..=27;

impl Inflater {
    /// An inflater for `payload`. At most `bytes_max` bytes come out.
    pub(crate) fn new(
        compression: Compression,
        payload: &Bytes,
        bytes_max: u64,
    ) -> Result<Self, InflateError> {
        let (name, reader): (_, Box<dyn Read + Send>) = match compression {
            Compression::Gzip => ("gzip", Box::new(MultiGzDecoder::new(Cursor::new(payload.clone())))),
            Compression::Zlib => ("deflate", Box::new(ZlibDecoder::new(Cursor::new(payload.clone())))),
            Compression::Zstd => {
                let damaged = |error: io::Error| InflateError::Damaged("zstd", error.to_string());
                let mut decoder = zstd::stream::read::Decoder::with_buffer(Cursor::new(payload.clone()))
                    .map_err(damaged)?;
                let window = bytes_max.max(1).ilog2().clamp(*ZSTD_WINDOW_LOG.start(), *ZSTD_WINDOW_LOG.end());
                decoder.window_log_max(window).map_err(damaged)?;
                ("zstd", Box::new(decoder))
            }
        };
        Ok(Self { name, reader, bytes_max })
    }

    /// Appends at most `bytes` more bytes to `out`. Answers whether that was all.
    pub(crate) fn step(&mut self, out: &mut Vec<u8>, bytes: usize) -> Result<bool, InflateError> {
        let count = (&mut self.reader)
            .take(bytes as u64)
            .read_to_end(out)
            .map_err(|error| InflateError::Damaged(self.name, error.to_string()))?;
        if out.len() as u64 > self.bytes_max {
            return Err(InflateError::TooLarge(self.bytes_max));
        }
        Ok(count < bytes)
    }
}

/// The body of a fuzz target: a payload behind a byte that says how and in which steps it is inflated. Panics if the steps
/// make a difference, or if more comes out than is allowed.
#[cfg(feature = "fuzz")]
pub fn fuzz(data: &[u8]) {
    const BYTES_MAX: u64 = 1 << 16;
    let Some((choice, payload)) = data.split_first() else { return };
    let compression = [Compression::Gzip, Compression::Zlib, Compression::Zstd][usize::from(choice % 3)];
    let payload = Bytes::copy_from_slice(payload);
    let inflated = |bytes: usize| {
        let mut inflater = Inflater::new(compression, &payload, BYTES_MAX)?;
        let mut out = Vec::new();
        loop {
            let step = inflater.step(&mut out, bytes);
            assert!(out.len() as u64 <= BYTES_MAX + bytes as u64, "{} bytes", out.len());
            if step? {
                return Ok::<_, InflateError>(out);
            }
        }
    };
    assert_eq!(inflated(usize::from(choice / 3) + 1).ok(), inflated(1 << 12).ok(), "the steps make a difference");
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    fn gzip(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    fn inflate(compression: Compression, payload: &[u8], bytes_max: u64) -> Result<Vec<u8>, InflateError> {
        let payload = Bytes::copy_from_slice(payload);
        let mut out = Vec::new();
        let mut inflater = Inflater::new(compression, &payload, bytes_max)?;
        while !inflater.step(&mut out, 7)? {}
        Ok(out)
    }

    fn zlib(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::fast());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    #[test]
    fn all_members_and_frames_are_inflated() {
        let members = [gzip(b"first "), gzip(b""), gzip(b"second")].concat();
        assert_eq!(inflate(Compression::Gzip, &members, 100), Ok(b"first second".to_vec()));
        let frames = [zstd::encode_all(&b"first "[..], 1), zstd::encode_all(&b"second"[..], 1)];
        let frames = frames.map(Result::unwrap).concat();
        assert_eq!(inflate(Compression::Zstd, &frames, 100), Ok(b"first second".to_vec()));
        assert_eq!(inflate(Compression::Zlib, &zlib(b"first "), 100), Ok(b"first ".to_vec()));
    }

    #[test]
    fn what_is_damaged_or_cut_off_is_an_error() {
        let whole = gzip(b"some text that is long enough");
        for end in 1..whole.len() {
            assert!(inflate(Compression::Gzip, &whole[..end], 100).is_err(), "cut at {end}");
        }
        let mut flipped = whole.clone();
        let at = flipped.len() - 6;
        flipped[at] ^= 1;
        assert!(inflate(Compression::Gzip, &flipped, 100).is_err(), "wrong checksum");
        let garbage_behind = [&whole[..], b"garbage"].concat();
        assert!(inflate(Compression::Gzip, &garbage_behind, 100).is_err());
        let whole = zlib(b"some text that is long enough");
        for end in 0..whole.len() {
            assert!(inflate(Compression::Zlib, &whole[..end], 100).is_err(), "cut at {end}");
        }
        let whole = zstd::encode_all(&b"some text that is long enough"[..], 1).unwrap();
        for end in 1..whole.len() {
            assert!(inflate(Compression::Zstd, &whole[..end], 100).is_err(), "cut at {end}");
        }
    }

    #[test]
    fn a_bomb_stops_at_the_limit() {
        let zeros = vec![0; 10 << 20];
        let bomb = gzip(&zeros);
        assert_eq!(inflate(Compression::Gzip, &bomb, 1 << 20), Err(InflateError::TooLarge(1 << 20)));
        assert_eq!(inflate(Compression::Gzip, &bomb, 10 << 20), Ok(zeros.clone()));
        let bomb = zlib(&zeros);
        assert_eq!(inflate(Compression::Zlib, &bomb, 1 << 20), Err(InflateError::TooLarge(1 << 20)));
        let bomb = zstd::encode_all(&zeros[..], 1).unwrap();
        assert!(inflate(Compression::Zstd, &bomb, 1 << 20).is_err());
        assert_eq!(inflate(Compression::Zstd, &bomb, 10 << 20), Ok(zeros));
    }
}
