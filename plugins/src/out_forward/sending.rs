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
use logweir_engine::buffer::{Body, Chunk, ChunkId, Compression};
use logweir_engine::msgpack::{Reader, write_map_len, write_str, write_u64};
use logweir_engine::net::Stream;
use std::io::{self, IoSlice, Write};
use std::time::Duration;
use tokio::io::AsyncWriteExt;
use tokio::runtime::{Handle, RuntimeFlavor};

/// A message that is ready to be written, any number of times.
#[derive(Debug)]
pub(super) struct Message {
    pub(super) id: ChunkId,
    head: Vec<u8>,
    bodies: Vec<Bytes>,
    options: Vec<u8>,
    /// The text of the `chunk` option, if an ack is wanted.
    chunk: Option<String>,
}

/// How a chunk failed to be delivered on a connection.
#[derive(Debug)]
pub(super) enum DeliveryError {
    Io(io::Error),
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

impl Message {
    /// The message of a chunk that is tagged. Reads the chunk's file, and compresses if need be: not quick.
    pub(super) fn new(chunk: &Chunk, compress: Compression, wants_ack: bool) -> Result<Self, SendError> {
        if chunk.is_formatted() {
            return Err(SendError::Unsendable(
                "the chunk holds formatted text, not events; forward cannot be the secondary of this output"
                    .to_owned(),
            ));
        }
        let tag = chunk.metadata().tag.as_ref();
        let tag = tag.ok_or_else(|| SendError::Unsendable("the chunk has no tag".to_owned()))?;
        let bodies = blocking(|| payload(chunk, compress))?;
        let length: usize = bodies.iter().map(Bytes::len).sum();
        let length = u32::try_from(length).map_err(|_| {
            SendError::Unsendable(format!("the chunk has {length} bytes; a message has at most 4 GiB"))
        })?;
        let mut head = vec![0x93];
        write_str(&mut head, tag.as_str().as_bytes());
        head.push(0xdb);
        head.extend_from_slice(&length.to_be_bytes());
        let text = wants_ack.then(|| encode64(&chunk.id().0));
        let options = options(chunk.records(), compress, text.as_deref());
        Ok(Self { id: chunk.id(), head, bodies, options, chunk: text })
    }

    /// Writes the message. `stall_max` is the longest time in which no byte is taken.
    pub(super) async fn write(&self, stream: &mut Stream, stall_max: Duration) -> Result<(), DeliveryError> {
        let parts = std::iter::once(&self.head[..])
            .chain(self.bodies.iter().map(|body| &body[..]))
            .chain(std::iter::once(&self.options[..]));
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
        Ok(within(Some(stall_max), stream.flush()).await?)
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

/// Runs what takes long without holding up the other tasks of this thread.
fn blocking<T>(work: impl FnOnce() -> T) -> T {
    match Handle::try_current().map(|handle| handle.runtime_flavor()) {
        Ok(RuntimeFlavor::MultiThread) => tokio::task::block_in_place(work),
        _ => work(),
    }
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
        bytes.extend(message.bodies.concat());
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
        assert!(matches!(Message::new(&chunk, Compression::None, false), Err(SendError::Unsendable(_))));
    }
}
