//! Bodies of appends, squeezed and inflated.

use super::Compression;
use bytes::Bytes;
use flate2::read::MultiGzDecoder;
use flate2::write::GzEncoder;
use std::io::{self, Read, Write};

/// One body may not inflate to more than this: what Logweir wrote never does, a file from elsewhere might.
pub(super) const INFLATED_BYTES_MAX: u64 = 4 << 30;

/// `bytes` as one gzip member or one zstd frame.
pub(super) fn squeeze(bytes: &Bytes, how: Compression) -> io::Result<Bytes> {
    match how {
        Compression::None => Ok(bytes.clone()),
        Compression::Gzip => {
            let mut encoder =
                GzEncoder::new(Vec::with_capacity(bytes.len() / 4), flate2::Compression::default());
            encoder.write_all(bytes)?;
            Ok(encoder.finish()?.into())
        }
        Compression::Zstd => Ok(zstd::bulk::compress(bytes, zstd::DEFAULT_COMPRESSION_LEVEL)?.into()),
    }
}

/// What [`squeeze`] was given. Takes any number of members or frames in a row.
pub(super) fn inflate(bytes: &[u8], how: Compression) -> io::Result<Vec<u8>> {
    match how {
        Compression::None => Ok(bytes.to_vec()),
        Compression::Gzip => read_limited(MultiGzDecoder::new(bytes)),
        Compression::Zstd => read_limited(zstd::stream::read::Decoder::new(bytes)?),
    }
}

/// As [`inflate`], for bytes that may be damaged: what there is before the damage, and what is wrong.
pub(super) fn inflate_partly(bytes: &[u8], how: Compression) -> (Vec<u8>, io::Result<()>) {
    let mut out = Vec::new();
    let result = match how {
        Compression::None => {
            out.extend_from_slice(bytes);
            Ok(())
        }
        Compression::Gzip => fill(MultiGzDecoder::new(bytes), &mut out),
        Compression::Zstd => {
            zstd::stream::read::Decoder::new(bytes).and_then(|reader| fill(reader, &mut out))
        }
    };
    (out, result)
}

fn read_limited(reader: impl Read) -> io::Result<Vec<u8>> {
    let mut out = Vec::new();
    fill(reader, &mut out)?;
    Ok(out)
}

fn fill(reader: impl Read, out: &mut Vec<u8>) -> io::Result<()> {
    let read = reader.take(INFLATED_BYTES_MAX + 1).read_to_end(out)? as u64;
    if read > INFLATED_BYTES_MAX {
        return Err(io::Error::new(io::ErrorKind::InvalidData, "inflates to more than 4 GiB"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn squeezed_bodies_inflate_to_what_they_were_also_in_a_row() {
        let text = Bytes::from("a line of a log\n".repeat(1000));
        for how in [Compression::None, Compression::Gzip, Compression::Zstd] {
            let small = squeeze(&text, how).unwrap();
            assert_eq!(inflate(&small, how).unwrap(), text);
            assert_eq!(inflate(&[&small[..], &small[..]].concat(), how).unwrap().len(), 2 * text.len());
            assert!(how == Compression::None || small.len() < 500);
        }
    }
}
