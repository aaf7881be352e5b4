//! The option map at the end of a message.

use super::limits::CHUNK_ID_BYTES_MAX;
use crate::inflate::{Compression, InflateError};
use bytes::Bytes;
use logweir_engine::msgpack::{ReadError, Reader, ValueRef};

/// What the options ask for. `size` is advisory and not needed: entries are counted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Options {
    /// The raw value of `chunk`, to be echoed as it is; `None` if it is missing, nil or false.
    pub(super) chunk: Option<Bytes>,
    /// How packed entries are compressed.
    pub(super) compressed: Compressed,
}

/// The option `compressed`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) enum Compressed {
    #[default]
    None,
    Gzip,
    Zstd,
    /// A name that nobody knows.
    Unknown(String),
}

/// Why options cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum OptionError {
    #[error("the message's option is neither a map nor nil")]
    NotAMap,
    #[error("the chunk option has {0} bytes; {CHUNK_ID_BYTES_MAX} are allowed")]
    ChunkTooLong(usize),
    #[error("the message's option cannot be read: {0}")]
    Damaged(String),
}

impl From<ReadError> for OptionError {
    fn from(error: ReadError) -> Self {
        Self::Damaged(error.to_string())
    }
}

impl Options {
    /// Reads the slot `raw`, which is empty if the message has none. Nil, false and strings mean no options, as in
    /// Fluentd.
    pub(super) fn read(raw: &Bytes) -> Result<Self, OptionError> {
        match raw.first() {
            None | Some(0xc0 | 0xc2) => return Ok(Self::default()),
            Some(0xa0..=0xbf | 0xc4..=0xc6 | 0xd9..=0xdb) => return Ok(Self::default()),
            Some(0x80..=0x8f | 0xde | 0xdf) => {}
            Some(_) => return Err(OptionError::NotAMap),
        }
        let mut options = Self::default();
        let mut reader = Reader::new(raw);
        for _ in 0..reader.read_map_len()? {
            let key = reader.read_value()?;
            let value_at = reader.position();
            reader.skip()?;
            let value = raw.slice(value_at..reader.position());
            match key {
                ValueRef::Str(b"chunk") | ValueRef::Bin(b"chunk") => options.chunk = chunk(value)?,
                ValueRef::Str(b"compressed") | ValueRef::Bin(b"compressed") => {
                    options.compressed = Compressed::read(&value);
                }
                _ => {}
            }
        }
        Ok(options)
    }
}

fn chunk(value: Bytes) -> Result<Option<Bytes>, OptionError> {
    if value.len() > CHUNK_ID_BYTES_MAX {
        return Err(OptionError::ChunkTooLong(value.len()));
    }
    // Copied: it lives until its ack, and must not keep the message's memory.
    Ok((!matches!(value[..], [0xc0] | [0xc2])).then(|| Bytes::copy_from_slice(&value)))
}

impl Compressed {
    /// How a payload is to be inflated; `None` if it is not compressed.
    pub(super) fn compression(&self) -> Result<Option<Compression>, InflateError> {
        match self {
            Self::None => Ok(None),
            Self::Gzip => Ok(Some(Compression::Gzip)),
            Self::Zstd => Ok(Some(Compression::Zstd)),
            Self::Unknown(name) => Err(InflateError::Unknown(name.clone())),
        }
    }

    fn read(raw: &[u8]) -> Self {
        match ValueRef::read(raw) {
            Ok(ValueRef::Str(b"gzip") | ValueRef::Bin(b"gzip")) => Self::Gzip,
            Ok(ValueRef::Str(b"zstd") | ValueRef::Bin(b"zstd")) => Self::Zstd,
            Ok(ValueRef::Str(b"text") | ValueRef::Bin(b"text") | ValueRef::Nil) => Self::None,
            Ok(ValueRef::Str(name) | ValueRef::Bin(name)) => {
                Self::Unknown(String::from_utf8_lossy(&name[..name.len().min(64)]).into_owned())
            }
            // Fluentd compares with a string; anything else is equal to none.
            _ => Self::None,
        }
    }
}
