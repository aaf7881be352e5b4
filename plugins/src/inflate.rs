//! Inflates payloads step by step under limits: gzip with all its members, zlib, zstd with all its frames.
//!
//! | limit | why |
//! |---|---|
//! | decompression_size_limit | memory |
//! | decompression_ratio_limit, beyond 64 MiB | bombs end before they have cost much; honest chunks of equal lines pass |
//! | 1,024 members or frames of no bytes | they cost time and bring nothing |
//! | 1,024 members or frames a step | a payload of tiny ones does not keep a thread from everything else |

use bytes::Bytes;
use flate2::{Crc, Decompress, FlushDecompress, Status};
use logweir_engine::config::{Diagnostic, Params};
use zstd::stream::raw::{DParameter, Decoder, Operation};

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
    #[error("the payload inflates to more than {0} times its size; decompression_ratio_limit allows no more")]
    Ratio(u64),
    #[error("the {0} payload has more than {EMPTY_MAX} parts without a byte in them")]
    Empty(&'static str),
}

/// What may come out of a payload.
#[derive(Clone, Copy, Debug)]
pub(crate) struct InflateLimits {
    /// `decompression_size_limit`
    pub(crate) bytes: u64,
    /// `decompression_ratio_limit`, heeded beyond [`RATIO_FREE_BYTES`].
    pub(crate) ratio: u64,
}

impl InflateLimits {
    /// From the two parameters.
    pub(crate) fn new(params: &Params) -> Result<Self, Diagnostic> {
        let name = "decompression_ratio_limit";
        let ratio = match params.int(name) {
            Some(ratio) if ratio < 1 => {
                return Err(params.error(name, format!("'{name}' must be at least 1")));
            }
            ratio => ratio.and_then(|ratio| u64::try_from(ratio).ok()).unwrap_or(u64::MAX),
        };
        Ok(Self { bytes: params.size("decompression_size_limit").unwrap_or(u64::MAX), ratio })
    }
}

/// Output up to this size is no bomb, whatever went in: it is what an honest sender's chunk may have.
const RATIO_FREE_BYTES: u64 = 64 << 20;

/// Members or frames without a byte in a payload.
const EMPTY_MAX: u32 = 1024;

/// Members or frames between two looks at the clock.
const PARTS_A_STEP: u32 = 1024;

/// Bytes that are inflated at once.
const ROOM: usize = 64 * 1024;

/// Largest window of a zstd frame that is accepted, as a power of two: that of the output's limit, between 8 MiB, which
/// every decoder must take (RFC 8878), and 128 MiB. It is allocated before anything comes out.
const ZSTD_WINDOW_LOG: std::ops::RangeInclusive<u32> = 23..=27;

/// A payload that is being inflated. The caller decides when to go on, so that it can reserve memory and let others
/// work in between.
pub(crate) struct Inflater {
    payload: Bytes,
    at: usize,
    method: Method,
    limits: InflateLimits,
    /// Where the output of the member or frame that is being read begins; `None` between two of them.
    part: Option<usize>,
    empty: u32,
}

enum Method {
    Gzip(Decompress, Crc),
    Zlib(Decompress),
    Zstd(Decoder<'static>),
}

/// What one call of a decompressor did.
struct Done {
    read: usize,
    wrote: usize,
    /// Whether the member or frame has ended.
    ended: bool,
}

impl Inflater {
    /// An inflater for `payload`.
    pub(crate) fn new(
        compression: Compression,
        payload: &Bytes,
        limits: InflateLimits,
    ) -> Result<Self, InflateError> {
        let method = match compression {
            Compression::Gzip => Method::Gzip(Decompress::new(false), Crc::new()),
            Compression::Zlib => Method::Zlib(Decompress::new(true)),
            Compression::Zstd => Method::Zstd(zstd_decoder(limits.bytes)?),
        };
        Ok(Self { payload: payload.clone(), at: 0, method, limits, part: None, empty: 0 })
    }

    /// Appends about `bytes` more bytes to `out`. Answers whether that was all.
    pub(crate) fn step(&mut self, out: &mut Vec<u8>, bytes: usize) -> Result<bool, InflateError> {
        if self.payload.is_empty() && matches!(self.method, Method::Gzip(..)) {
            return Err(self.damaged("it is empty"));
        }
        let (begin, mut parts) = (out.len(), 0);
        while out.len() - begin < bytes && parts < PARTS_A_STEP {
            let Some(part) = self.part else {
                if self.is_over() {
                    return Ok(true);
                }
                self.begin_part()?;
                self.part = Some(out.len());
                continue;
            };
            let done = self.run(out, (bytes - (out.len() - begin)).min(ROOM))?;
            self.at += done.read;
            self.check_size(out.len() as u64)?;
            if done.ended {
                self.end_part()?;
                self.part = None;
                parts += 1;
                self.empty += u32::from(out.len() == part);
                if self.empty > EMPTY_MAX {
                    return Err(InflateError::Empty(self.name()));
                }
            } else if done.read == 0 && done.wrote == 0 {
                return Err(self.damaged("it ends too early"));
            }
        }
        Ok(self.part.is_none() && self.is_over())
    }

    /// Whether no member or frame follows. What is behind a zlib stream is not looked at.
    fn is_over(&self) -> bool {
        self.at == self.payload.len() && !matches!(self.method, Method::Zlib(_))
            || matches!(self.method, Method::Zlib(_)) && self.at > 0
    }

    fn begin_part(&mut self) -> Result<(), InflateError> {
        if let Method::Gzip(inflate, crc) = &mut self.method {
            inflate.reset(false);
            crc.reset();
            let header = gzip_header(&self.payload[self.at..]);
            self.at += header.ok_or_else(|| self.damaged("invalid gzip header"))?;
        }
        Ok(())
    }

    fn run(&mut self, out: &mut Vec<u8>, room: usize) -> Result<Done, InflateError> {
        let start = out.len();
        out.resize(start + room, 0);
        let (input, output) = (&self.payload[self.at..], &mut out[start..]);
        let result = match &mut self.method {
            Method::Gzip(inflate, crc) => inflate_some(inflate, input, output).inspect(|done| {
                crc.update(&output[..done.wrote]);
            }),
            Method::Zlib(inflate) => inflate_some(inflate, input, output),
            Method::Zstd(decoder) => decoder
                .run_on_buffers(input, output)
                .map(|status| Done {
                    read: status.bytes_read,
                    wrote: status.bytes_written,
                    ended: status.remaining == 0,
                })
                .map_err(|error| error.to_string()),
        };
        let done = result.map_err(|error| self.damaged(&error))?;
        out.truncate(start + done.wrote);
        Ok(done)
    }

    fn end_part(&mut self) -> Result<(), InflateError> {
        let Method::Gzip(_, crc) = &self.method else { return Ok(()) };
        let trailer = [crc.sum().to_le_bytes(), crc.amount().to_le_bytes()].concat();
        if !self.payload[self.at..].starts_with(&trailer) {
            return Err(self.damaged("corrupt gzip stream does not have a matching checksum"));
        }
        self.at += trailer.len();
        Ok(())
    }

    fn check_size(&self, bytes: u64) -> Result<(), InflateError> {
        let InflateLimits { bytes: max, ratio } = self.limits;
        if bytes > max {
            return Err(InflateError::TooLarge(max));
        }
        if bytes > RATIO_FREE_BYTES && bytes / ratio > self.at as u64 {
            return Err(InflateError::Ratio(ratio));
        }
        Ok(())
    }

    fn damaged(&self, what: &str) -> InflateError {
        InflateError::Damaged(self.name(), what.to_owned())
    }

    fn name(&self) -> &'static str {
        match self.method {
            Method::Gzip(..) => "gzip",
            Method::Zlib(_) => "deflate",
            Method::Zstd(_) => "zstd",
        }
    }
}

fn zstd_decoder(bytes_max: u64) -> Result<Decoder<'static>, InflateError> {
    let damaged = |error: std::io::Error| InflateError::Damaged("zstd", error.to_string());
    let mut decoder = Decoder::new().map_err(damaged)?;
    let window = bytes_max.max(1).ilog2().clamp(*ZSTD_WINDOW_LOG.start(), *ZSTD_WINDOW_LOG.end());
    decoder.set_parameter(DParameter::WindowLogMax(window)).map_err(damaged)?;
    Ok(decoder)
}

fn inflate_some(inflate: &mut Decompress, input: &[u8], output: &mut [u8]) -> Result<Done, String> {
    let (read, wrote) = (inflate.total_in(), inflate.total_out());
    let status =
        inflate.decompress(input, output, FlushDecompress::None).map_err(|error| error.to_string())?;
    Ok(Done {
        read: (inflate.total_in() - read) as usize,
        wrote: (inflate.total_out() - wrote) as usize,
        ended: status == Status::StreamEnd,
    })
}

/// Bytes of the gzip header that `bytes` begins with (RFC 1952, 2.3); `None` if it is none or cut off.
fn gzip_header(bytes: &[u8]) -> Option<usize> {
    const DEFLATE: u8 = 8;
    let [0x1f, 0x8b, DEFLATE, flags, ..] = bytes else { return None };
    let mut at = 10;
    if flags & 4 != 0 {
        let length = bytes.get(at..at + 2)?;
        at += 2 + usize::from(u16::from_le_bytes([length[0], length[1]]));
    }
    // A name, and a comment: each ends with a zero.
    for flag in [8, 16] {
        if flags & flag != 0 {
            at += 1 + bytes.get(at..)?.iter().position(|byte| *byte == 0)?;
        }
    }
    if flags & 2 != 0 {
        at += 2;
    }
    (at <= bytes.len() && bytes.len() >= 10).then_some(at)
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
        let mut inflater =
            Inflater::new(compression, &payload, InflateLimits { bytes: BYTES_MAX, ratio: 10 })?;
        let mut out = Vec::new();
        loop {
            let step = inflater.step(&mut out, bytes);
            assert!(out.len() as u64 <= BYTES_MAX + bytes as u64, "{} bytes", out.len());
            if step? {
                return Ok::<_, InflateError>(out);
            }
        }
    };
    assert_eq!(
        inflated(usize::from(choice / 3) + 1).ok(),
        inflated(1 << 12).ok(),
        "the steps make a difference"
    );
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
        steps(compression, payload, InflateLimits { bytes: bytes_max, ratio: u64::MAX }, 7)
    }

    fn steps(
        compression: Compression,
        payload: &[u8],
        limits: InflateLimits,
        step: usize,
    ) -> Result<Vec<u8>, InflateError> {
        let payload = Bytes::copy_from_slice(payload);
        let mut out = Vec::new();
        let mut inflater = Inflater::new(compression, &payload, limits)?;
        while !inflater.step(&mut out, step)? {}
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

    #[test]
    fn a_bomb_stops_at_the_ratio_and_an_honest_chunk_of_equal_lines_does_not() {
        let limits = InflateLimits { bytes: 256 << 20, ratio: 1000 };
        let bomb = zstd::encode_all(&vec![0; 100 << 20][..], 1).unwrap();
        assert_eq!(steps(Compression::Zstd, &bomb, limits, 1 << 20), Err(InflateError::Ratio(1000)));
        let chunk = zstd::encode_all(&vec![0; 64 << 20][..], 1).unwrap();
        assert_eq!(steps(Compression::Zstd, &chunk, limits, 1 << 20).map(|out| out.len()), Ok(64 << 20));
    }

    #[test]
    fn parts_without_a_byte_are_counted() {
        let (member, frame) = (gzip(b""), zstd::encode_all(&b""[..], 1).unwrap());
        for (compression, part) in [(Compression::Gzip, member), (Compression::Zstd, frame)] {
            assert_eq!(inflate(compression, &part.repeat(EMPTY_MAX as usize), 100), Ok(Vec::new()));
            let error = inflate(compression, &part.repeat(EMPTY_MAX as usize + 1), 100);
            assert!(matches!(error, Err(InflateError::Empty(_))), "{error:?}");
        }
        // What Fluentd's `compress gzip` makes: a member for each of many emits.
        let small = gzip(b"x").repeat(5000);
        assert_eq!(inflate(Compression::Gzip, &small, 10_000).map(|out| out.len()), Ok(5000));
    }

    #[test]
    fn gzip_headers_have_options() {
        let mut encoder = flate2::GzBuilder::new()
            .filename("name")
            .comment("comment")
            .extra(vec![1, 2, 3])
            .write(Vec::new(), flate2::Compression::fast());
        encoder.write_all(b"text").unwrap();
        let whole = encoder.finish().unwrap();
        assert_eq!(inflate(Compression::Gzip, &whole, 100), Ok(b"text".to_vec()));
        for end in 1..whole.len() {
            assert!(inflate(Compression::Gzip, &whole[..end], 100).is_err(), "cut at {end}");
        }
    }
}
