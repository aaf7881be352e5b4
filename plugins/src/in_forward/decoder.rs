//! From a connection's bytes to messages: tells MessagePack from JSON, cuts out each message, skips the ones that are
//! larger than `chunk_size_limit` without keeping them.

use super::framer::{FrameError, Framer, Layout};
use super::json::JsonFramer;
use super::limits::TAG_BYTES_MAX;
use bytes::{Buf, BytesMut};
use logweir_engine::net::Progress;

/// How a connection's messages are written. Its first byte decides (`{` or `[` is JSON) for good.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Encoding {
    MessagePack,
    Json,
}

/// A complete message, as MessagePack in either encoding.
#[derive(Debug)]
pub(super) struct RawMessage {
    pub(super) bytes: BytesMut,
    pub(super) layout: Layout,
    pub(super) encoding: Encoding,
    /// Bytes on the wire.
    pub(super) size: u64,
}

/// What comes out of a [`Decoder`].
#[derive(Debug)]
pub(super) enum Received {
    Message(RawMessage),
    /// A message above `chunk_size_limit` that was not kept.
    Dropped {
        /// The raw tag, if the message was an array.
        tag: Vec<u8>,
        size: u64,
    },
}

/// Why a connection's bytes make no sense. The connection cannot go on.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum DecodeError {
    #[error("{0}")]
    Frame(#[from] FrameError),
    #[error("{0}")]
    Json(String),
}

impl DecodeError {
    /// Whether the message is longer than message_size_limit.
    pub(super) fn is_too_long(&self) -> bool {
        matches!(self, Self::Frame(FrameError::TooLong(_)))
    }
}

/// Sizes that a [`Decoder`] heeds.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sizes {
    /// `message_size_limit`: a longer message ends the connection.
    pub(super) message_max: u64,
    /// `chunk_size_limit`: a longer message is dropped.
    pub(super) chunk_max: Option<u64>,
}

/// See the module.
#[derive(Debug)]
pub(super) struct Decoder {
    sizes: Sizes,
    encoding: Option<Encoding>,
    framer: Framer,
    json: JsonFramer,
    skipped: Option<Skipped>,
}

#[derive(Debug, Default)]
struct Skipped {
    tag: Vec<u8>,
    bytes: u64,
}

impl Decoder {
    /// `timestamps`: `enable_msgpack_time_support`.
    pub(super) fn new(sizes: Sizes, timestamps: bool) -> Self {
        Self {
            sizes,
            encoding: None,
            framer: Framer::new(timestamps),
            json: JsonFramer::default(),
            skipped: None,
        }
    }

    /// Other sizes from now on.
    pub(super) fn set_sizes(&mut self, sizes: Sizes) {
        self.sizes = sizes;
    }

    /// Takes the next complete message out of `buffer`; `None` if more bytes are needed.
    pub(super) fn next(&mut self, buffer: &mut BytesMut) -> Result<Option<Received>, DecodeError> {
        let encoding = match (self.encoding, buffer.first()) {
            (Some(encoding), _) => encoding,
            (None, Some(b'{' | b'[')) => Encoding::Json,
            (None, Some(_)) => Encoding::MessagePack,
            (None, None) => return Ok(None),
        };
        self.encoding = Some(encoding);
        match encoding {
            Encoding::MessagePack => self.next_message_pack(buffer),
            Encoding::Json => self.next_json(buffer),
        }
    }

    /// What is known of the message that is incomplete.
    pub(super) fn progress(&self) -> Progress {
        Progress {
            known_bytes: self.framer.known_bytes(),
            received_bytes: self.skipped.as_ref().map_or(0, |skipped| skipped.bytes),
            is_skipping: self.skipped.is_some(),
            is_patient: false,
        }
    }

    fn next_message_pack(&mut self, buffer: &mut BytesMut) -> Result<Option<Received>, DecodeError> {
        // What is above chunk_size_limit is skipped, not kept, and may be as long as it likes.
        let limit = if self.sizes.chunk_max.is_some() { u64::MAX } else { self.sizes.message_max };
        let Some(layout) = self.framer.feed(buffer, limit)? else {
            self.skip_if_too_long(buffer);
            return Ok(None);
        };
        let length = layout.length;
        if let Some(skipped) = self.skipped.take() {
            buffer.advance(length);
            return Ok(Some(Received::Dropped { tag: skipped.tag, size: skipped.bytes + length as u64 }));
        }
        let bytes = buffer.split_to(length);
        let size = length as u64;
        Ok(Some(self.judge(RawMessage { bytes, layout, encoding: Encoding::MessagePack, size })))
    }

    fn next_json(&mut self, buffer: &mut BytesMut) -> Result<Option<Received>, DecodeError> {
        let limit = self.sizes.chunk_max.unwrap_or(0).max(self.sizes.message_max);
        let Some(length) = self.json.feed(buffer) else {
            if buffer.len() as u64 > limit {
                return Err(FrameError::TooLong(limit).into());
            }
            return Ok(None);
        };
        let text = buffer.split_to(length);
        let (bytes, layout) = super::json::transcode(&text, limit).map_err(DecodeError::Json)?;
        Ok(Some(self.judge(RawMessage { bytes, layout, encoding: Encoding::Json, size: length as u64 })))
    }

    fn judge(&self, message: RawMessage) -> Received {
        if self.sizes.chunk_max.is_some_and(|limit| message.size > limit) {
            let tag = message.bytes[message.layout.slots[0]..message.layout.slots[1]].to_vec();
            return Received::Dropped { tag, size: message.size };
        }
        Received::Message(message)
    }

    fn skip_if_too_long(&mut self, buffer: &mut BytesMut) {
        let known = self.framer.known_bytes();
        if self.skipped.is_none()
            && let Some(limit) = self.sizes.chunk_max
            && known > limit
        {
            // The tag is for the log line: it is waited for, within reason.
            let tag = self.framer.tag().and_then(|range| buffer.get(range));
            if tag.is_some() || known > limit + TAG_BYTES_MAX as u64 {
                self.skipped = Some(Skipped { tag: tag.unwrap_or_default().to_vec(), bytes: 0 });
            }
        }
        if let Some(skipped) = &mut self.skipped {
            let count = buffer.len().min(usize::try_from(known).unwrap_or(usize::MAX));
            buffer.advance(count);
            self.framer.discard(count);
            skipped.bytes += count as u64;
        }
    }
}
