//! A chunk as one message, and its ack.
//!
//! ```text
//! 93 | tag: str | db length:u32 | bodies of the chunk, as they are | {"size": n, "compressed": c, "chunk": id}
//! ack: {"ack": id}
//! ```
//!
//! The entries are always a str32, as Fluentd writes them. The id is base64 with a newline behind it, as Ruby's `encode64`
//! makes it; it is there only if an ack is wanted.

use super::connection::{read_value, within};
use super::error::SendError;
use bytes::Bytes;
use flate2::write::GzEncoder;
use futures_util::FutureExt;
use logweir_engine::buffer::{Body, BodyReader, Chunk, ChunkId, Compression};
use logweir_engine::msgpack::{Reader, write_map_len, write_str, write_u64};
use logweir_engine::net::Stream;
use logweir_engine::output::blocking;
use std::io::{self, IoSlice, Write};
use std::time::Duration;
use tokio::io::AsyncWriteExt;

/// A message that can be written any number of times.
pub(super) struct Message<'a> {
    pub(super) id: ChunkId,
    head: Vec<u8>,
    entries: Entries<'a>,
    options: Vec<u8>,
    /// The text of the `chunk` option, if an ack is wanted.
    chunk: Option<String>,
}

/// Where the entries come from when the message is written.
enum Entries<'a> {
    /// They are in memory.
    Held(Vec<Bytes>),
    /// They are read from the chunk's file piece by piece.
    Read(&'a Chunk),
}

/// How a chunk failed to be delivered on a connection.
#[derive(Debug)]
pub(super) enum DeliveryError {
    Io(io::Error),
    /// Everything was written, but not all of it may have left.
    Unflushed(io::Error),
    /// The chunk's file does not hold what it should: the message could not be written to its end.
    Damaged,
    /// No ack came in time.
    NoAck,
    /// The node closed the connection instead of acknowledging.
    Closed,
    /// Another chunk was acknowledged.
    OtherAck(String),
    /// The node wants a handshake first, and throws away what comes without.
    WantsHandshake,
}

/// An ack of an id of ours takes some 40 bytes.
const ACK_BYTES_MAX: usize = 4096;

/// With more bodies than this, they are put together first: a system call takes a thousand, but each has its cost.
const SLICES_MAX: usize = 64;
/// Entries that are read from a file are sent when there are so many bytes of them.
const PIECE_BYTES: usize = 256 << 10;

impl<'a> Message<'a> {
    /// The message of a chunk that is tagged. A chunk in a file is read when the message is written, if it can be sent as it
    /// is stored.
    pub(super) fn new(chunk: &'a Chunk, compress: Compression, wants_ack: bool) -> Result<Self, SendError> {
        if chunk.is_in_memory() || chunk.compression() != Some(compress) {
            return Self::gathered(chunk, compress, wants_ack);
        }
        Self::of(chunk, Entries::Read(chunk), chunk.size(), compress, wants_ack)
    }

    /// The message of what is whole of a chunk, held in memory. Reads the chunk's file, and compresses if need be: not
    /// quick.
    pub(super) fn gathered(
        chunk: &'a Chunk,
        compress: Compression,
        wants_ack: bool,
    ) -> Result<Self, SendError> {
        let bodies = blocking(|| payload(chunk, compress))?;
        let length = bodies.iter().map(|body| body.len() as u64).sum();
        Self::of(chunk, Entries::Held(bodies), length, compress, wants_ack)
    }

    fn of(
        chunk: &Chunk,
        entries: Entries<'a>,
        length: u64,
        compress: Compression,
        wants_ack: bool,
    ) -> Result<Self, SendError> {
        if chunk.is_formatted() {
            return Err(SendError::Unsendable(
                "the chunk holds formatted text, not events; forward cannot be the secondary of this output"
                    .to_owned(),
            ));
        }
        let tag = chunk.metadata().tag.as_ref();
        let tag = tag.ok_or_else(|| SendError::Unsendable("the chunk has no tag".to_owned()))?;
        let length = u32::try_from(length).map_err(|_| {
            SendError::Unsendable(format!("the chunk has {length} bytes; a message has at most 4 GiB"))
        })?;
        let mut head = vec![0x93];
        write_str(&mut head, tag.as_str().as_bytes());
        head.push(0xdb);
        head.extend_from_slice(&length.to_be_bytes());
        let text = wants_ack.then(|| encode64(&chunk.id().0));
        let options = options(chunk.records(), compress, text.as_deref());
        Ok(Self { id: chunk.id(), head, entries, options, chunk: text })
    }

    /// Writes the message. `stall_max` is the longest time in which no byte is taken.
    pub(super) async fn write(&self, stream: &mut Stream, stall_max: Duration) -> Result<(), DeliveryError> {
        match &self.entries {
            Entries::Held(bodies) => {
                let parts = std::iter::once(&self.head[..])
                    .chain(bodies.iter().map(|body| &body[..]))
                    .chain(std::iter::once(&self.options[..]));
                write_slices(stream, parts, stall_max).await?;
            }
            Entries::Read(chunk) => {
                let mut reader = blocking(|| chunk.reader())?;
                let mut piece = self.head.clone();
                let (mut left, mut at_end) = (chunk.size(), false);
                while !at_end {
                    let head = piece.len();
                    at_end = !blocking(|| fill(&mut reader, &mut piece))?;
                    left = left.checked_sub((piece.len() - head) as u64).ok_or(DeliveryError::Damaged)?;
                    if at_end {
                        if left > 0 {
                            return Err(DeliveryError::Damaged);
                        }
                        piece.extend_from_slice(&self.options);
                    }
                    write_slices(stream, std::iter::once(&piece[..]), stall_max).await?;
                    piece.clear();
                }
            }
        }
        within(Some(stall_max), stream.flush()).await.map_err(DeliveryError::Unflushed)
    }

    /// Whether an ack is wanted.
    pub(super) fn wants_ack(&self) -> bool {
        self.chunk.is_some()
    }

    /// Waits for the ack, if one is wanted.
    pub(super) async fn confirm(
        &self,
        stream: &mut Stream,
        wait_max: Duration,
        read_bytes: usize,
    ) -> Result<(), DeliveryError> {
        let mut received = Vec::new();
        let Some(chunk) = &self.chunk else {
            // Nothing is expected. If there is something, it can only be HELO.
            let read = read_value(stream, &mut received, ACK_BYTES_MAX, read_bytes).now_or_never();
            return match read {
                Some(Ok(value)) if is_helo(&value) => Err(DeliveryError::WantsHandshake),
                _ => Ok(()),
            };
        };
        let read = read_value(stream, &mut received, ACK_BYTES_MAX, read_bytes);
        let ack = match tokio::time::timeout(wait_max, read).await {
            Err(_) => return Err(DeliveryError::NoAck),
            Ok(Err(error))
                if matches!(
                    error.kind(),
                    io::ErrorKind::UnexpectedEof | io::ErrorKind::ConnectionReset | io::ErrorKind::BrokenPipe
                ) =>
            {
                return Err(DeliveryError::Closed);
            }
            Ok(read) => read?,
        };
        if is_helo(&ack) {
            return Err(DeliveryError::WantsHandshake);
        }
        match acknowledged(&ack) {
            Some(id) if id == chunk.as_bytes() => Ok(()),
            other => Err(DeliveryError::OtherAck(
                String::from_utf8_lossy(other.unwrap_or_default()).trim_end().to_owned(),
            )),
        }
    }
}

/// Appends bodies to `piece` until it is full; answers whether there may be more.
fn fill(reader: &mut BodyReader, piece: &mut Vec<u8>) -> io::Result<bool> {
    while piece.len() < PIECE_BYTES {
        if reader.append_next(piece)?.is_none() {
            return Ok(false);
        }
    }
    Ok(true)
}

async fn write_slices(
    stream: &mut Stream,
    parts: impl Iterator<Item = &[u8]>,
    stall_max: Duration,
) -> Result<(), DeliveryError> {
    let mut slices: Vec<IoSlice<'_>> = parts.map(IoSlice::new).collect();
    let mut rest = &mut slices[..];
    IoSlice::advance_slices(&mut rest, 0);
    while !rest.is_empty() {
        let written = within(Some(stall_max), stream.write_vectored(rest)).await?;
        if written == 0 {
            return Err(DeliveryError::Io(io::ErrorKind::WriteZero.into()));
        }
        IoSlice::advance_slices(&mut rest, written);
    }
    Ok(())
}

impl From<io::Error> for DeliveryError {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

/// The chunk's entries, compressed as `compress` says. What the buffer has compressed that way is sent as it is.
fn payload(chunk: &Chunk, compress: Compression) -> io::Result<Vec<Bytes>> {
    let mut bodies = if compress == Compression::None { chunk.bodies()? } else { chunk.raw_bodies()? };
    if bodies.iter().all(|body| body.compression == compress) {
        if bodies.len() <= SLICES_MAX {
            return Ok(bodies.into_iter().map(|body| body.bytes).collect());
        }
        return Ok(vec![joined(&bodies)]);
    }
    if bodies.iter().any(|body| body.compression != Compression::None) {
        bodies = chunk.bodies()?;
    }
    squeeze(&bodies, compress).map(|bytes| vec![bytes])
}

fn joined(bodies: &[Body]) -> Bytes {
    let mut all = Vec::with_capacity(bodies.iter().map(|body| body.bytes.len()).sum());
    for body in bodies {
        all.extend_from_slice(&body.bytes);
    }
    all.into()
}

/// All bodies as one gzip member or zstd frame.
fn squeeze(bodies: &[Body], compress: Compression) -> io::Result<Bytes> {
    match compress {
        Compression::None => Ok(joined(bodies)),
        Compression::Gzip => {
            let mut encoder = GzEncoder::new(Vec::new(), flate2::Compression::default());
            for body in bodies {
                encoder.write_all(&body.bytes)?;
            }
            Ok(encoder.finish()?.into())
        }
        Compression::Zstd => {
            let mut encoder = zstd::stream::write::Encoder::new(Vec::new(), zstd::DEFAULT_COMPRESSION_LEVEL)?;
            for body in bodies {
                encoder.write_all(&body.bytes)?;
            }
            Ok(encoder.finish()?.into())
        }
    }
}

fn options(records: u64, compress: Compression, chunk: Option<&str>) -> Vec<u8> {
    let mut out = Vec::with_capacity(64);
    write_map_len(&mut out, if chunk.is_some() { 3 } else { 2 });
    write_str(&mut out, b"size");
    write_u64(&mut out, records);
    write_str(&mut out, b"compressed");
    write_str(
        &mut out,
        match compress {
            Compression::None => b"text",
            Compression::Gzip => b"gzip",
            Compression::Zstd => b"zstd",
        },
    );
    if let Some(chunk) = chunk {
        write_str(&mut out, b"chunk");
        write_str(&mut out, chunk.as_bytes());
    }
    out
}

fn is_helo(value: &[u8]) -> bool {
    let mut reader = Reader::new(value);
    reader.read_array_len().is_ok() && reader.read_bytes().is_ok_and(|name| name == b"HELO")
}

/// The value of `ack` in a response.
fn acknowledged(response: &[u8]) -> Option<&[u8]> {
    let mut reader = Reader::new(response);
    for _ in 0..reader.read_map_len().ok()? {
        let key = reader.read_value().ok()?.bytes();
        let value = reader.read_value().ok()?.bytes();
        if key == Some(b"ack") {
            return value;
        }
    }
    None
}

/// Base64 (RFC 4648) with a newline behind it, as Ruby's `Base64.encode64` makes it of up to 45 bytes.
fn encode64(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut out = String::with_capacity(bytes.len().div_ceil(3) * 4 + 1);
    for group in bytes.chunks(3) {
        let mut bits = 0;
        for at in 0..3 {
            bits = bits << 8 | u32::from(group.get(at).copied().unwrap_or(0));
        }
        for at in 0..4 {
            let digit = DIGITS[(bits >> (18 - 6 * at) & 63) as usize];
            out.push(if at <= group.len() { char::from(digit) } else { '=' });
        }
    }
    out.push('\n');
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use logweir_engine::buffer::Metadata;
    use logweir_engine::event::Tag;

    /// The example of the forward protocol's specification, its id in full length.
    #[test]
    fn a_message_is_what_fluentd_sends() {
        let entry = b"\x92\xd7\x00\x65\x53\xf1\x00\x07\x5b\xcd\x15\x81\xa1k\xa1v";
        let metadata = Metadata { tag: Some(Tag::new("t.a")), ..Metadata::default() };
        let chunk = Chunk::in_memory(metadata, Bytes::from_static(entry), 1);
        let message = Message::new(&chunk, Compression::None, true).unwrap();
        let mut bytes = message.head.clone();
        let Entries::Held(bodies) = &message.entries else { panic!("it is in memory") };
        bytes.extend(bodies.concat());
        bytes.extend_from_slice(&message.options);
        let id = encode64(&chunk.id().0);
        assert_eq!((id.len(), id.as_bytes()[24]), (25, b'\n'));
        let expected = [
            &b"\x93\xa3t.a\xdb\x00\x00\x00\x10"[..],
            entry,
            b"\x83\xa4size\x01\xaacompressed\xa4text\xa5chunk\xb9",
            id.as_bytes(),
        ];
        assert_eq!(bytes, expected.concat());
        let plain = Message::new(&chunk, Compression::None, false).unwrap();
        assert_eq!(plain.options, b"\x82\xa4size\x01\xaacompressed\xa4text");
    }

    #[test]
    fn base64_is_rubys() {
        assert_eq!(encode64(b""), "\n");
        assert_eq!(encode64(b"f"), "Zg==\n");
        assert_eq!(encode64(b"fo"), "Zm8=\n");
        assert_eq!(encode64(b"foobar"), "Zm9vYmFy\n");
        let id =
            [0x7a, 0x86, 0xee, 0x2c, 0x3d, 0x4f, 0x5f, 0x60, 0x71, 0x86, 0x0a, 0x4a, 0xb5, 0xc6, 0xd7, 0xe8];
        assert_eq!(encode64(&id), "eobuLD1PX2BxhgpKtcbX6A==\n");
    }

    #[test]
    fn acks_are_read() {
        assert_eq!(acknowledged(b"\x81\xa3ack\xa2x\n"), Some(&b"x\n"[..]));
        assert_eq!(acknowledged(b"\x82\xa1a\x01\xa3ack\xa1y"), Some(&b"y"[..]));
        for bytes in [&b"\x81\xa3ack\x07"[..], b"\x80", b"\xc0", b"", b"\x81\xa3nak\xa1y"] {
            assert_eq!(acknowledged(bytes), None, "{bytes:x?}");
        }
    }

    #[test]
    fn a_chunk_without_a_tag_is_refused_for_good() {
        let chunk = Chunk::in_memory(Metadata::default(), Bytes::from_static(b"\x92\x05\x80"), 1);
        let message = Message::new(&chunk, Compression::None, false);
        assert!(matches!(message.map(|_| ()), Err(SendError::Unsendable(_))));
    }
}
