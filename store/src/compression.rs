//! What bodies and answers are packed in: HTTP's encodings, and ClickHouse's own frames.

use bytes::Bytes;
use flate2::read::{MultiGzDecoder, ZlibDecoder};
use flate2::write::{GzEncoder, ZlibEncoder};
use logweir_engine::clickhouse::frame::{Compression, Unframed, frame};
use std::io::{self, Read, Write};

/// An HTTP content encoding.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Encoding {
    Gzip,
    Deflate,
    Zstd,
    Lz4,
}

impl Encoding {
    /// From its lower-case name.
    pub(crate) fn parse(name: &str) -> Option<Self> {
        Some(match name {
            "gzip" | "x-gzip" => Self::Gzip,
            "deflate" => Self::Deflate,
            "zstd" => Self::Zstd,
            "lz4" => Self::Lz4,
            _ => return None,
        })
    }

    /// Its name in headers.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Gzip => "gzip",
            Self::Deflate => "deflate",
            Self::Zstd => "zstd",
            Self::Lz4 => "lz4",
        }
    }
}

/// Undoes a body's encoding, then its frames.
pub(crate) fn unpacked(
    body: impl Read + Send + 'static,
    encoding: Option<Encoding>,
    framed: bool,
) -> io::Result<Box<dyn Read + Send>> {
    let plain: Box<dyn Read + Send> = match encoding {
        None => Box::new(body),
        Some(Encoding::Gzip) => Box::new(MultiGzDecoder::new(body)),
        Some(Encoding::Deflate) => Box::new(ZlibDecoder::new(body)),
        Some(Encoding::Zstd) => Box::new(zstd::stream::read::Decoder::new(body)?),
        Some(Encoding::Lz4) => Box::new(lz4_flex::frame::FrameDecoder::new(body)),
    };
    Ok(if framed { Box::new(Unframed::new(plain)) } else { plain })
}

/// Packs an answer piece by piece.
pub(crate) enum Packer {
    Plain,
    Framed,
    Gzip(GzEncoder<Vec<u8>>),
    Deflate(ZlibEncoder<Vec<u8>>),
    Zstd(zstd::stream::write::Encoder<'static, Vec<u8>>),
    Lz4(Box<lz4_flex::frame::FrameEncoder<Vec<u8>>>),
}

/// ClickHouse's `http_zlib_compression_level`.
const LEVEL: u32 = 3;

impl Packer {
    /// In ClickHouse's frames if `framed`; the encoding is only used without them.
    pub(crate) fn new(encoding: Option<Encoding>, framed: bool) -> io::Result<Self> {
        let level = flate2::Compression::new(LEVEL);
        Ok(match encoding {
            _ if framed => Self::Framed,
            None => Self::Plain,
            Some(Encoding::Gzip) => Self::Gzip(GzEncoder::new(Vec::new(), level)),
            Some(Encoding::Deflate) => Self::Deflate(ZlibEncoder::new(Vec::new(), level)),
            Some(Encoding::Zstd) => Self::Zstd(zstd::stream::write::Encoder::new(Vec::new(), 1)?),
            Some(Encoding::Lz4) => Self::Lz4(Box::new(lz4_flex::frame::FrameEncoder::new(Vec::new()))),
        })
    }

    /// Takes a piece and answers what can be sent, maybe nothing.
    pub(crate) fn push(&mut self, piece: Bytes) -> io::Result<Bytes> {
        match self {
            Self::Plain => Ok(piece),
            Self::Framed if piece.is_empty() => Ok(piece),
            Self::Framed => Ok(frame(Compression::Lz4, &piece)),
            Self::Gzip(encoder) => {
                encoder.write_all(&piece)?;
                Ok(std::mem::take(encoder.get_mut()).into())
            }
            Self::Deflate(encoder) => {
                encoder.write_all(&piece)?;
                Ok(std::mem::take(encoder.get_mut()).into())
            }
            Self::Zstd(encoder) => {
                encoder.write_all(&piece)?;
                Ok(std::mem::take(encoder.get_mut()).into())
            }
            Self::Lz4(encoder) => {
                encoder.write_all(&piece)?;
                Ok(std::mem::take(encoder.get_mut()).into())
            }
        }
    }

    /// The rest.
    pub(crate) fn finish(self) -> io::Result<Bytes> {
        Ok(match self {
            Self::Plain | Self::Framed => Bytes::new(),
            Self::Gzip(encoder) => encoder.finish()?.into(),
            Self::Deflate(encoder) => encoder.finish()?.into(),
            Self::Zstd(encoder) => encoder.finish()?.into(),
            Self::Lz4(encoder) => encoder.finish().map_err(io::Error::other)?.into(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn packed(encoding: Option<Encoding>, framed: bool, pieces: &[&[u8]]) -> Vec<u8> {
        let mut packer = Packer::new(encoding, framed).unwrap();
        let mut out = Vec::new();
        for piece in pieces {
            out.extend(packer.push(Bytes::copy_from_slice(piece)).unwrap());
        }
        out.extend(packer.finish().unwrap());
        out
    }

    #[test]
    fn what_is_packed_comes_out() {
        let large = vec![b'x'; 300_000];
        let all = [Encoding::Gzip, Encoding::Deflate, Encoding::Zstd, Encoding::Lz4].map(Some);
        for (encoding, framed) in all.into_iter().map(|e| (e, false)).chain([(None, true), (None, false)]) {
            let bytes = packed(encoding, framed, &[b"a", b"", &large, b"z"]);
            let mut plain = Vec::new();
            unpacked(io::Cursor::new(bytes), encoding, framed).unwrap().read_to_end(&mut plain).unwrap();
            assert_eq!(plain, [b"a", &large[..], b"z"].concat(), "{encoding:?} {framed}");
        }
    }

    #[test]
    fn a_body_that_is_cut_is_an_error() {
        for name in ["gzip", "deflate", "zstd", "lz4"] {
            let encoding = Encoding::parse(name);
            assert_eq!(encoding.unwrap().name(), name);
            let mut bytes = packed(encoding, false, &[&[7; 100_000]]);
            bytes.truncate(bytes.len() / 2);
            let mut plain = Vec::new();
            let read = unpacked(io::Cursor::new(bytes), encoding, false).unwrap().read_to_end(&mut plain);
            assert!(read.is_err(), "{name}");
        }
    }
}
