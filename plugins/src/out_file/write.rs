//! What of a chunk goes into a file.

use bytes::Bytes;
use flate2::write::GzEncoder;
use logweir_engine::buffer::{Chunk, Compression};
use std::io::{self, Write};

/// Compression of the files.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum FileCompression {
    Text,
    Gzip,
    Zstd,
}

impl FileCompression {
    /// From a `compress` parameter.
    pub(super) fn new(word: Option<&str>) -> Self {
        match word {
            Some("gz" | "gzip") => Self::Gzip,
            Some("zstd") => Self::Zstd,
            _ => Self::Text,
        }
    }

    /// What it adds to the name.
    pub(super) fn suffix(self) -> &'static str {
        match self {
            Self::Text => "",
            Self::Gzip => ".gz",
            Self::Zstd => ".zstd",
        }
    }

    /// The bytes for the file. What the buffer has compressed in the same way is taken as it is, unless it is to be
    /// compressed anew, which gives one member instead of one for each append.
    pub(super) fn bodies(self, chunk: &Chunk, recompress: bool) -> io::Result<Vec<Bytes>> {
        let wanted = match self {
            Self::Text => return Ok(chunk.bodies()?.into_iter().map(|body| body.bytes).collect()),
            Self::Gzip => Compression::Gzip,
            Self::Zstd => Compression::Zstd,
        };
        if !recompress {
            let bodies = chunk.raw_bodies()?;
            if bodies.iter().all(|body| body.compression == wanted) {
                return Ok(bodies.into_iter().map(|body| body.bytes).collect());
            }
        }
        let bodies = chunk.bodies()?;
        let mut text = bodies.iter().map(|body| &body.bytes);
        let packed = match self {
            Self::Zstd => {
                let mut encoder = zstd::Encoder::new(Vec::new(), zstd::DEFAULT_COMPRESSION_LEVEL)?;
                text.try_for_each(|bytes| encoder.write_all(bytes))?;
                encoder.finish()?
            }
            _ => {
                let mut encoder = GzEncoder::new(Vec::new(), flate2::Compression::default());
                text.try_for_each(|bytes| encoder.write_all(bytes))?;
                encoder.finish()?
            }
        };
        Ok(vec![packed.into()])
    }
}
