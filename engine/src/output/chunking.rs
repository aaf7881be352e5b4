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
