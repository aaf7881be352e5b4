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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::EventTime;
    use crate::msgpack::{Entries, Value};

    fn through(raw: &[u8], edit: impl for<'a> Fn(&mut Event<'a>)) -> Vec<u8> {
        let arena = Bump::new();
        let tag = Tag::new("t");
        let entry = Entries::new(raw).next().unwrap();
        let mut event = Event::decode(&tag, &entry, &arena).unwrap();
        edit(&mut event);
        let mut out = Vec::new();
        event.encode(&mut out);
        out
    }

    #[test]
    fn an_unchanged_time_keeps_its_bytes() {
        for head in [
            &b"\x92\xc7\x08\x00\0\0\0\x05\0\0\0\x01"[..],
            b"\x92\xca\x3f\x80\0\0",
            b"\xdc\x00\x02\x92\xce\0\0\0\x05\x81\x01\x02",
            b"\x92\xa1t",
        ] {
            let raw = [head, b"\x80"].concat();
            assert_eq!(
                through(&raw, |event| event.record.set(b"a", Value::Nil)),
                [head, b"\x81\xa1a\xc0"].concat()
            );
        }
    }

    #[test]
    fn a_changed_time_is_written_with_the_metadata() {
        let set = |event: &mut Event<'_>| event.time = Time::Event(EventTime { sec: 5, nsec: 1 });
        let time = b"\xd7\x00\0\0\0\x05\0\0\0\x01";
        assert_eq!(through(b"\x92\x01\x80", set), [b"\x92", &time[..], b"\x80"].concat());
        assert_eq!(
            through(b"\x92\x92\x01\x81\x01\x02\x80", set),
            [b"\x92\x92", &time[..], b"\x81\x01\x02\x80"].concat()
        );
    }
}
