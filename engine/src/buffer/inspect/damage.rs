//! What is wrong with a chunk file.

use std::fmt;
use std::ops::Range;

/// Something in a chunk file that is not as it should be. Everything else in the file is good.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Damage {
    /// Bytes of a Logweir chunk that are part of no whole frame.
    Frames(Range<u64>),
    /// The same at the end of the file: a crash cut it off, or it is being written at this moment.
    End(Range<u64>),
    /// Both headers of a Logweir chunk: nobody knows its tag and other chunk keys any more.
    Header,
    /// A later Logweir wrote it, in this version of the format.
    Newer(u16),
    /// The `.meta` file of a Fluentd chunk.
    Meta,
    /// A Fluentd chunk with a `.meta` file, without data.
    Empty,
    /// A Fluentd chunk from this byte of its (inflated) data on: an entry that is cut off, or no entry.
    Entries(Range<u64>),
    /// The compressed data of a chunk: what could be inflated ends here.
    Compressed {
        /// Bytes that could be inflated.
        inflated: u64,
        /// What the decompressor says.
        error: String,
    },
}

impl Damage {
    /// The bytes that are lost, where that is known.
    pub fn range(&self) -> Option<&Range<u64>> {
        match self {
            Self::Frames(range) | Self::End(range) | Self::Entries(range) => Some(range),
            Self::Header | Self::Newer(_) | Self::Meta | Self::Empty | Self::Compressed { .. } => None,
        }
    }

    /// Whether the next start would take nothing of the chunk into its buffer.
    pub fn is_fatal(&self) -> bool {
        matches!(self, Self::Header | Self::Newer(_) | Self::Meta | Self::Empty)
    }
}

impl fmt::Display for Damage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Frames(range) => write!(f, "bytes {}-{} are damaged", range.start, range.end),
            Self::End(range) => write!(
                f,
                "bytes {}-{} at the end are no whole frame: cut off, or still being written",
                range.start, range.end
            ),
            Self::Header => {
                f.write_str("both headers are damaged: its tag and other chunk keys are not known")
            }
            Self::Newer(version) => write!(f, "a later Logweir wrote it (format {version})"),
            Self::Meta => f.write_str("its .meta file cannot be read"),
            Self::Empty => f.write_str("it is empty"),
            Self::Entries(range) => {
                write!(f, "bytes {}-{} of its data are no whole entry", range.start, range.end)
            }
            Self::Compressed { inflated, error } => {
                write!(f, "its compressed data ends after {inflated} inflated bytes: {error}")
            }
        }
    }
}
