//! What flows through Logweir: a tag and a run of MessagePack entries, never a tree of records.
//!
//! An [`EventStream`] is what a forward PackedForward message carries, what a chunk file holds and what
//! out_forward sends on. It is passed by reference count from the socket to the sink.

use std::fmt;
use std::sync::Arc;

use bytes::Bytes;

/// The name by which an event is routed: parts separated by dots. Cloning copies a pointer.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Tag(Arc<str>);

impl Tag {
    /// A tag from text.
    pub fn new(text: &str) -> Self {
        Self(Arc::from(text))
    }

    /// A tag from bytes of the wire; what is not UTF-8 in them becomes U+FFFD.
    pub fn from_wire(bytes: &[u8]) -> Self {
        Self(Arc::from(String::from_utf8_lossy(bytes).as_ref()))
    }

    /// The tag as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The parts between the dots, as Fluentd's `tag_parts`: trailing empty parts are dropped.
    pub fn parts(&self) -> Vec<&str> {
        let mut parts: Vec<&str> = self.0.split('.').collect();
        while parts.last().is_some_and(|part| part.is_empty()) {
            parts.pop();
        }
        parts
    }
}

impl From<&str> for Tag {
    fn from(text: &str) -> Self {
        Self::new(text)
    }
}

impl fmt::Display for Tag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Tag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", &*self.0)
    }
}

/// A point in time as Fluentd's EventTime: seconds since the epoch and nanoseconds (0..1_000_000_000).
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug, Default)]
pub struct EventTime {
    /// Seconds since 1970-01-01T00:00:00Z; the wire carries the low 32 bits, unsigned.
    pub sec: i64,
    /// Nanoseconds of the second.
    pub nsec: u32,
}

impl EventTime {
    /// The moment of the call.
    pub fn now() -> Self {
        let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
        Self { sec: since.as_secs() as i64, nsec: since.subsec_nanos() }
    }

    /// A whole second.
    pub fn from_secs(sec: i64) -> Self {
        Self { sec, nsec: 0 }
    }
}

/// A run of entries that share a tag.
#[derive(Clone, Debug)]
pub struct EventStream {
    /// The tag that all entries share.
    pub tag: Tag,
    /// Concatenated MessagePack entries: `[time, record]`, or `[[time, metadata], record]`. Validated: each is
    /// well-formed and ends where the next begins.
    pub entries: Bytes,
    /// How many entries there are.
    pub count: usize,
}

impl EventStream {
    /// A stream of `count` entries that the caller has validated.
    pub fn new(tag: Tag, entries: Bytes, count: usize) -> Self {
        Self { tag, entries, count }
    }

    /// Whether there is nothing to deliver.
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }
}
