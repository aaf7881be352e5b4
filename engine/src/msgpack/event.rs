//! An event that record filters edit.

use bumpalo::Bump;

use super::entry::Entry;
use super::reader::ReadError;
use super::record::Record;
use super::time::Time;
use crate::event::Tag;

/// A decoded entry: what filters see, and what is needed to write it back.
#[derive(Clone, Debug)]
pub struct Event<'a> {
    /// The stream's tag.
    pub tag: &'a Tag,
    /// The time.
    pub time: Time,
    /// The record.
    pub record: Record<'a>,
    /// The raw metadata map of `[[time, metadata], record]`.
    pub metadata: Option<&'a [u8]>,
    source: Option<Entry<'a>>,
}

impl<'a> Event<'a> {
    /// Decodes an entry.
    pub fn decode(tag: &'a Tag, entry: &Entry<'a>, arena: &'a Bump) -> Result<Self, ReadError> {
        let record = Record::decode(entry.record, arena)?;
        Ok(Self { tag, time: entry.time, record, metadata: entry.metadata, source: Some(*entry) })
    }

    /// An event that does not come from an entry.
    pub fn new(tag: &'a Tag, time: Time, record: Record<'a>) -> Self {
        Self { tag, time, record, metadata: None, source: None }
    }

    /// The entry that it was decoded from, for error events.
    pub fn source(&self) -> Option<&Entry<'a>> {
        self.source.as_ref()
    }

    /// Appends the event as an entry. A time that nobody changed keeps its bytes.
    pub fn encode(&self, out: &mut Vec<u8>) {
        match &self.source {
            Some(entry) if entry.time == self.time && entry.metadata == self.metadata => {
                out.extend_from_slice(entry.head());
            }
            _ => self.write_head(out),
        }
        self.record.encode(out);
    }

    fn write_head(&self, out: &mut Vec<u8>) {
        out.push(0x92);
        if let Some(metadata) = self.metadata {
            out.push(0x92);
            self.time.write(out);
            out.extend_from_slice(metadata);
        } else {
            self.time.write(out);
        }
    }
}
