//! What all records of a chunk have in common.

use crate::event::Tag;
use bytes::Bytes;
use std::cmp::Ordering;
use std::sync::Arc;

/// What all records of a chunk have in common: the values of the chunk keys. Fluentd's `Metadata`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Metadata {
    /// Start of the time slice in seconds since the epoch, if `time` is a chunk key.
    pub timekey: Option<i64>,
    /// The tag, if `tag` is a chunk key.
    pub tag: Option<Tag>,
    /// The values of the record fields that are chunk keys, in the order of the configuration; `None` if none are.
    pub variables: Option<Arc<[Variable]>>,
    /// Always 0 but in chunks that Fluentd left behind in the middle of an append.
    pub seq: u32,
}

/// The value of one field that is a chunk key.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Variable {
    /// The chunk key as it is configured (`user`, `$.kubernetes.pod`).
    pub name: Arc<str>,
    /// The value as MessagePack (numbers and strings in their shortest form); nil if the record has no such field.
    pub value: Bytes,
}

impl Metadata {
    /// Whether the buffer has no chunk keys.
    pub fn is_empty(&self) -> bool {
        self.timekey.is_none() && self.tag.is_none() && self.variables.is_none()
    }

    /// The MessagePack value of the chunk key `name`.
    pub fn variable(&self, name: &str) -> Option<&[u8]> {
        self.variables.as_ref()?.iter().find(|v| &*v.name == name).map(|v| &v.value[..])
    }
}

/// Earlier slices first, then by tag and values: the order in which the chunks of one emit are queued.
impl Ord for Metadata {
    fn cmp(&self, other: &Self) -> Ordering {
        let variables =
            |m: &Self| m.variables.iter().flat_map(|v| v.iter()).map(|v| v.value.clone()).collect::<Vec<_>>();
        (self.timekey, &self.tag)
            .cmp(&(other.timekey, &other.tag))
            .then_with(|| variables(self).cmp(&variables(other)))
            .then(self.seq.cmp(&other.seq))
    }
}

impl PartialOrd for Metadata {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}
