//! Which events of a stream go into which chunk, and in which form.
//!
//! A buffer that is keyed by nothing, or by tag alone, takes a stream as it is: nothing is looked at. With other keys the
//! entries are walked once; neighbours with equal keys stay one range of the stream's bytes. Nothing is allocated per
//! record: a group's key is compared as bytes, and its list of ranges grows by doubling.

use super::keys::ChunkKeys;
use crate::buffer::{Metadata, Part, Variable};
use crate::event::{EventStream, EventTime};
use crate::msgpack::{Entries, Entry, Time, ValueRef, write_f64, write_i64, write_nil, write_str, write_u64};
use crate::plugin::{ChunkFormatter, FormatError};
use bytes::Bytes;
use std::collections::HashMap;
use std::sync::Arc;

/// How events become a chunk's bytes.
pub(crate) struct Shape<'a> {
    pub formatter: Option<&'a dyn ChunkFormatter>,
    pub time_as_integer: bool,
}

/// Divides the events of `stream` by their chunk keys. Each event that cannot be formatted goes to `on_error` instead.
pub(crate) fn divide(
    stream: &EventStream,
    keys: &ChunkKeys,
    shape: &Shape<'_>,
    on_error: &mut dyn FnMut(&Entry<'_>, FormatError),
) -> Vec<Part> {
    let as_it_is = shape.formatter.is_none() && !shape.time_as_integer;
    if keys.is_simple() && as_it_is {
        let metadata = Metadata { tag: keys.tag.then(|| stream.tag.clone()), ..Metadata::default() };
        return vec![Part::entries(metadata, stream.entries.clone(), stream.count)];
    }
    let mut sorter = Sorter::new(keys, stream);
    let mut entries = Entries::new(&stream.entries);
    while let Some(entry) = entries.next() {
        let end = entries.position();
        let open = sorter.open(&entry);
        if let Some(formatter) = shape.formatter {
            let start = open.text.len();
            match formatter.format(&stream.tag, entry.time, entry.record, &mut open.text) {
                // Fluentd's formatters may answer nil: the event is left out.
                Ok(()) if open.text.len() == start => {}
                Ok(()) => open.end_record(),
                Err(error) => {
                    open.text.truncate(start);
                    on_error(&entry, error);
                }
            }
        } else if shape.time_as_integer {
            crate::msgpack::write_entry(
                &mut open.text,
                whole_seconds(entry.time),
                entry.metadata,
                entry.record,
            );
            open.end_record();
        } else {
            open.take(end - entry.raw.len()..end);
        }
    }
    sorter.finish(shape.formatter.is_some())
}

struct Sorter<'a> {
    keys: &'a ChunkKeys,
    stream: &'a EventStream,
    slices: Option<super::slices::SliceFinder<'a>>,
    open: Vec<Open>,
    /// Where a key's group is in `open`; used once there are more than a few.
    index: HashMap<Box<[u8]>, usize>,
    last: usize,
    key: Vec<u8>,
    fresh: Vec<u8>,
}

struct Open {
    key: Box<[u8]>,
    metadata: Metadata,
    ranges: Vec<std::ops::Range<usize>>,
    text: Vec<u8>,
    ends: Vec<usize>,
    count: usize,
}

impl<'a> Sorter<'a> {
    fn new(keys: &'a ChunkKeys, stream: &'a EventStream) -> Self {
        Self {
            keys,
            stream,
            slices: keys.time.as_ref().map(|slices| slices.finder()),
            open: Vec::new(),
            index: HashMap::new(),
            last: 0,
            key: Vec::new(),
            fresh: Vec::new(),
        }
    }

    /// The group of `entry`.
    fn open(&mut self, entry: &Entry<'_>) -> &mut Open {
        self.key.clear();
        let timekey = self.slices.as_mut().map(|slices| slices.timekey(seconds(entry.time)));
        if let Some(timekey) = timekey {
            self.key.extend_from_slice(&timekey.to_ne_bytes());
        }
        for field in &self.keys.fields {
            match field.accessor.get(entry.record) {
                Some(raw) => push_canonical(raw, &mut self.key),
                None => write_nil(&mut self.key),
            }
        }
        if self.open.get(self.last).is_none_or(|open| *open.key != *self.key) {
            self.last = match self.index.get(&*self.key) {
                Some(at) => *at,
                None => self.add(timekey, entry),
            };
        }
        &mut self.open[self.last]
    }

    fn add(&mut self, timekey: Option<i64>, entry: &Entry<'_>) -> usize {
        let variables = (!self.keys.fields.is_empty()).then(|| {
            let variable = |field: &super::keys::FieldKey| {
                self.fresh.clear();
                match field.accessor.get(entry.record) {
                    Some(raw) => push_canonical(raw, &mut self.fresh),
                    None => write_nil(&mut self.fresh),
                }
                Variable { name: Arc::clone(&field.name), value: Bytes::copy_from_slice(&self.fresh) }
            };
            self.keys.fields.iter().map(variable).collect()
        });
        let tag = self.keys.tag.then(|| self.stream.tag.clone());
        let at = self.open.len();
        self.index.insert(self.key.as_slice().into(), at);
        self.open.push(Open {
            key: self.key.as_slice().into(),
            metadata: Metadata { timekey, tag, variables, seq: 0 },
            ranges: Vec::new(),
            text: Vec::new(),
            ends: Vec::new(),
            count: 0,
        });
        at
    }

    fn finish(self, formatted: bool) -> Vec<Part> {
        let part = |open: Open| {
            if formatted {
                return Part::formatted(open.metadata, Bytes::from(open.text), open.ends);
            }
            let body = match &*open.ranges {
                [] => Bytes::from(open.text),
                [range] => self.stream.entries.slice(range.clone()),
                ranges => {
                    let mut body = Vec::with_capacity(ranges.iter().map(|range| range.len()).sum());
                    for range in ranges {
                        body.extend_from_slice(&self.stream.entries[range.clone()]);
                    }
                    Bytes::from(body)
                }
            };
            Part::entries(open.metadata, body, open.count)
        };
        self.open.into_iter().filter(|open| open.count > 0).map(part).collect()
    }
}

impl Open {
    fn take(&mut self, range: std::ops::Range<usize>) {
        self.count += 1;
        match self.ranges.last_mut() {
            Some(last) if last.end == range.start => last.end = range.end,
            _ => self.ranges.push(range),
        }
    }

    fn end_record(&mut self) {
        self.count += 1;
        self.ends.push(self.text.len());
    }
}

/// Whole seconds of a time; the present for an entry without one, as if it had come just now.
fn seconds(time: Time) -> i64 {
    match time {
        Time::Int(sec) => sec,
        Time::Event(time) => time.sec,
        Time::Float(sec) => sec.floor() as i64,
        Time::None => EventTime::now().sec,
    }
}

fn whole_seconds(time: Time) -> Time {
    match time {
        Time::None => Time::None,
        time => Time::Int(seconds(time)),
    }
}

/// Appends a raw value such that equal values of Ruby's Hash are equal bytes: numbers and strings in their shortest form.
fn push_canonical(raw: &[u8], out: &mut Vec<u8>) {
    match ValueRef::read(raw) {
        Ok(ValueRef::Int(value)) => write_i64(out, value),
        Ok(ValueRef::UInt(value)) => write_u64(out, value),
        Ok(ValueRef::F32(value)) => write_f64(out, f64::from(value)),
        Ok(ValueRef::Str(text)) => write_str(out, text),
        _ => out.extend_from_slice(raw),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::Tag;
    use crate::msgpack::{write_bool, write_entry, write_map_len};
    use crate::output::tests::harness::by;

    fn record(pairs: &[(&str, &[u8])]) -> Vec<u8> {
        let mut record = Vec::new();
        write_map_len(&mut record, pairs.len());
        for (key, value) in pairs {
            write_str(&mut record, key.as_bytes());
            record.extend_from_slice(value);
        }
        record
    }

    fn stream(events: &[(Time, Vec<u8>)]) -> EventStream {
        let mut entries = Vec::new();
        for (time, record) in events {
            write_entry(&mut entries, *time, None, record);
        }
        EventStream::new("app.web".into(), entries.into(), events.len())
    }

    fn divide_all(stream: &EventStream, keys: &ChunkKeys, shape: &Shape<'_>) -> Vec<Part> {
        divide(stream, keys, shape, &mut |_, error| panic!("{error}"))
    }

    const AS_IT_IS: Shape<'static> = Shape { formatter: None, time_as_integer: false };

    #[test]
    fn a_stream_without_keys_is_taken_as_it_is() {
        let stream = stream(&[(Time::Int(1), record(&[])), (Time::Int(2), record(&[]))]);
        let parts = divide_all(&stream, &by(&["tag"], 0.0), &AS_IT_IS);
        assert_eq!(parts.len(), 1);
        assert_eq!(parts[0].metadata().tag, Some(Tag::new("app.web")));
        assert_eq!(parts[0].body().as_ptr(), stream.entries.as_ptr());
        assert_eq!(parts[0].records(), 2);
        assert_eq!(divide_all(&stream, &by(&[], 0.0), &AS_IT_IS)[0].metadata(), &Metadata::default());
    }

    #[test]
    fn records_with_equal_values_share_a_chunk_whatever_their_encoding() {
        let values: [&[u8]; 8] = [
            &[1],
            &[0xd3, 0, 0, 0, 0, 0, 0, 0, 1],
            &[0xa1, b'1'],
            &[0xd9, 1, b'1'],
            &[0xc0],
            &[0xca, 0x3f, 0x80, 0, 0],
            &[1],
            &[0xcb, 0x3f, 0xf0, 0, 0, 0, 0, 0, 0],
        ];
        let mut events: Vec<_> = values.iter().map(|v| (Time::Int(0), record(&[("k", v)]))).collect();
        events.push((Time::Int(0), record(&[])));
        let stream = stream(&events);
        let parts = divide_all(&stream, &by(&["k"], 0.0), &AS_IT_IS);
        let found: Vec<_> = parts
            .iter()
            .map(|part| (part.metadata().variable("k").unwrap().to_vec(), part.records()))
            .collect();
        // The integer 1, the text "1", nothing, the float 1.0.
        let one = vec![0xcb, 0x3f, 0xf0, 0, 0, 0, 0, 0, 0];
        assert_eq!(found, [(vec![1], 3), (vec![0xa1, b'1'], 2), (vec![0xc0], 2), (one, 2)]);
        let first: Vec<u8> = [0, 1, 6].iter().flat_map(|n| entry(&events[*n])).collect();
        assert_eq!(&parts[0].body()[..], &first[..]);
    }

    #[test]
    fn neighbours_of_one_slice_stay_one_range() {
        let times = [
            Time::Int(3600),
            Time::Event(EventTime { sec: 7199, nsec: 9 }),
            Time::Float(7200.5),
            Time::Int(3601),
        ];
        let events: Vec<_> = times.iter().map(|time| (*time, record(&[]))).collect();
        let stream = stream(&events);
        let parts = divide_all(&stream, &by(&["time"], 3600.0), &AS_IT_IS);
        let found: Vec<_> = parts.iter().map(|part| (part.metadata().timekey, part.records())).collect();
        assert_eq!(found, [(Some(3600), 3), (Some(7200), 1)]);
    }

    #[test]
    fn nested_fields_are_keys_too() {
        let inner = |ns: &str| {
            let mut raw = Vec::new();
            write_str(&mut raw, ns.as_bytes());
            record(&[("ns", &raw)])
        };
        let events = ["a", "b"].map(|ns| (Time::Int(0), record(&[("k8s", &inner(ns))])));
        let parts = divide_all(&stream(&events), &by(&["$.k8s.ns"], 0.0), &AS_IT_IS);
        let names: Vec<_> =
            parts.iter().map(|part| part.metadata().variable("$.k8s.ns").unwrap().to_vec()).collect();
        assert_eq!(names, [b"\xa1a", b"\xa1b"]);
    }

    #[test]
    fn times_can_be_cut_to_whole_seconds() {
        let shape = Shape { formatter: None, time_as_integer: true };
        let events = [(Time::Event(EventTime { sec: 5, nsec: 7 }), record(&[])), (Time::Int(6), record(&[]))];
        let parts = divide_all(&stream(&events), &by(&[], 0.0), &shape);
        assert_eq!(&parts[0].body()[..], [0x92, 5, 0x80, 0x92, 6, 0x80]);
        assert_eq!(parts[0].records(), 2);
    }

    /// Shows the tag and the second, refuses records that say so, and leaves out empty ones.
    struct Text;

    impl ChunkFormatter for Text {
        fn format(&self, tag: &Tag, time: Time, record: &[u8], out: &mut Vec<u8>) -> Result<(), FormatError> {
            match crate::msgpack::RecordView::new(record).get(b"ok") {
                None => return Ok(()),
                Some([0xc3]) => out.extend_from_slice(format!("{tag} {}\n", seconds(time)).as_bytes()),
                Some(_) => {
                    out.extend_from_slice(b"half of");
                    return Err(FormatError("no".to_owned()));
                }
            }
            Ok(())
        }
    }

    #[test]
    fn formatted_text_knows_where_records_end_and_errors_leave_no_trace() {
        let ok = |value| {
            let mut raw = Vec::new();
            write_bool(&mut raw, value);
            record(&[("ok", &raw)])
        };
        let events = [ok(true), ok(false), record(&[]), ok(true)].map(|record| (Time::Int(9), record));
        let shape = Shape { formatter: Some(&Text), time_as_integer: false };
        let mut refused = Vec::new();
        let parts = divide(&stream(&events), &by(&["tag", "time"], 60.0), &shape, &mut |entry, error| {
            refused.push((entry.record.to_vec(), error.to_string()));
        });
        assert_eq!(refused, [(ok(false), "no".to_owned())]);
        assert_eq!(parts.len(), 1);
        assert_eq!(&parts[0].body()[..], b"app.web 9\napp.web 9\n");
        assert_eq!((parts[0].records(), parts[0].ends()), (2, Some(&[10, 20][..])));
    }

    fn entry((time, record): &(Time, Vec<u8>)) -> Vec<u8> {
        let mut entry = Vec::new();
        write_entry(&mut entry, *time, None, record);
        entry
    }
}
