//! Which event is a part of what: one state for each stream of parts.

use super::settings::{Metadata, Mode, Overflow, Settings};
use super::stream::{Joined, Stream, field, merged, to_s};
use logweir_engine::event::Tag;
use logweir_engine::json;
use logweir_engine::msgpack::{Entry, RecordView, Time, ValueRef, write_entry};
use logweir_engine::regexp::Regexp;
use std::collections::HashMap;
use std::time::Duration;
use tokio::time::Instant;

/// See the module.
pub(super) struct Joiner {
    settings: Settings,
    streams: HashMap<Vec<u8>, Stream>,
    /// Bytes of all records that are held.
    held: usize,
    overflow: Option<Expired>,
}

/// Bytes that may be held in all. The original has no such limit; here a stream whose end never comes is given up at it.
pub(super) const HELD_BYTES_MAX: usize = 128 << 20;

/// Parts whose rest has not come.
pub(super) struct Expired {
    pub(super) tag: Tag,
    pub(super) time: Time,
    pub(super) record: Vec<u8>,
    /// What told the stream from others, for messages.
    pub(super) identity: Vec<u8>,
}

/// An error that the original raises for an event, which then goes no further.
#[derive(Debug)]
pub(super) struct Failed {
    pub(super) class: &'static str,
    pub(super) message: String,
    /// How many events came out nevertheless.
    pub(super) events: usize,
}

/// What comes out when an event has gone in.
struct Flow<'s, 'e> {
    settings: &'s Settings,
    entry: &'s Entry<'e>,
    /// The time of what comes out; as in the original, that of a flushed event stays for what follows it.
    time: Time,
    out: &'s mut Vec<u8>,
    events: usize,
}

impl Joiner {
    pub(super) fn new(settings: Settings) -> Self {
        Self { settings, streams: HashMap::new(), held: 0, overflow: None }
    }

    /// Takes an event. What is complete is appended to `out`; the answer is how many events that is.
    pub(super) fn push(
        &mut self,
        tag: &Tag,
        entry: &Entry<'_>,
        now: Instant,
        out: &mut Vec<u8>,
    ) -> Result<usize, Failed> {
        if !self.is_part(entry.record) {
            out.extend_from_slice(entry.raw);
            return Ok(1);
        }
        let identity = self.identity(tag, entry.record);
        let mut stream = match self.streams.remove(&identity) {
            Some(stream) => stream,
            None => Stream::new(tag.clone(), now),
        };
        self.held -= stream.bytes();
        stream.latest = now;
        let mut flow = Flow { settings: &self.settings, entry, time: entry.time, out, events: 0 };
        let result = flow.take(&mut stream);
        let events = flow.events;
        if stream.len() > 0 {
            if self.held + stream.bytes() > HELD_BYTES_MAX {
                self.overflow = self.expired(identity, stream);
            } else {
                self.held += stream.bytes();
                self.streams.insert(identity, stream);
            }
        }
        match result {
            Ok(()) => Ok(events),
            Err(failed) => Err(Failed { events, ..failed }),
        }
    }

    /// What had to be given up because too much is held.
    pub(super) fn take_overflow(&mut self) -> Option<Expired> {
        self.overflow.take()
    }

    /// What has waited for `interval`.
    pub(super) fn take_expired(&mut self, now: Instant, interval: Duration) -> Vec<Expired> {
        let waited = |stream: &Stream| now.saturating_duration_since(stream.latest) >= interval;
        self.take_if(waited)
    }

    /// Everything.
    pub(super) fn take_all(&mut self) -> Vec<Expired> {
        self.take_if(|_| true)
    }

    fn take_if(&mut self, wanted: impl Fn(&Stream) -> bool) -> Vec<Expired> {
        let taken = self.streams.extract_if(|_, stream| wanted(stream)).collect::<Vec<_>>();
        let mut expired: Vec<(Instant, Expired)> = Vec::new();
        for (identity, stream) in taken {
            self.held -= stream.bytes();
            let latest = stream.latest;
            expired.extend(self.expired(identity, stream).map(|event| (latest, event)));
        }
        expired.sort_by(|a, b| (a.0, &a.1.identity).cmp(&(b.0, &b.1.identity)));
        expired.into_iter().map(|(_, event)| event).collect()
    }

    fn expired(&self, identity: Vec<u8>, mut stream: Stream) -> Option<Expired> {
        let joined = stream.join(&self.settings, self.settings.ordinal())?;
        Some(Expired { tag: stream.tag, time: joined.time, record: joined.record, identity })
    }

    fn is_part(&self, record: &[u8]) -> bool {
        let has = |key: &str| field(record, key).is_some();
        has(&self.settings.key)
            && match &self.settings.mode {
                Mode::Partial { key, .. } => has(key),
                Mode::Metadata(Metadata { indicator, .. }) => has(indicator),
                _ => true,
            }
    }

    fn identity(&self, tag: &Tag, record: &[u8]) -> Vec<u8> {
        let mut identity = tag.as_str().as_bytes().to_vec();
        identity.push(b':');
        if let Some(key) = &self.settings.identity_key {
            identity.extend_from_slice(&to_s(field(record, key)));
        }
        match &self.settings.mode {
            Mode::Metadata(metadata) => identity.extend_from_slice(&to_s(field(record, metadata.id))),
            _ if self.settings.identity_key.is_none() => identity.extend_from_slice(b"default"),
            _ => {}
        }
        identity
    }
}

impl Settings {
    /// The field that parts are sorted by.
    fn ordinal(&self) -> Option<&str> {
        match &self.mode {
            Mode::Metadata(metadata) => Some(metadata.ordinal),
            _ => None,
        }
    }
}

impl Flow<'_, '_> {
    fn take(&mut self, stream: &mut Stream) -> Result<(), Failed> {
        let record = self.entry.record;
        match &self.settings.mode {
            Mode::Lines(lines) => {
                self.hold(stream);
                if stream.len() >= *lines {
                    self.flush(stream)?;
                }
            }
            Mode::Metadata(metadata) => {
                self.hold(stream);
                if is_text(field(record, metadata.last), b"true") {
                    self.flush(stream)?;
                }
            }
            Mode::Cri { logtag } => {
                let tag = field(record, logtag).map(ValueRef::read);
                let Some(Ok(ValueRef::Str(tag) | ValueRef::Bin(tag))) = tag else {
                    let message = format!("undefined method `split' for the log tag in the field {logtag}");
                    return Err(failed("NoMethodError", message));
                };
                self.hold(stream);
                if tag.split(|byte| *byte == b':').next() == Some(b"F") {
                    self.flush(stream)?;
                }
            }
            Mode::Partial { key, value, limit, overflow } => {
                let is_last = !is_text(field(record, key), value.as_bytes());
                self.partial(stream, is_last, *limit, *overflow)?;
            }
            Mode::Regexp { start, end, continuous } => {
                self.line(stream, start.as_ref(), end.as_ref(), continuous.as_ref())?;
            }
        }
        Ok(())
    }

    fn partial(
        &mut self,
        stream: &mut Stream,
        is_last: bool,
        limit: usize,
        overflow: Overflow,
    ) -> Result<(), Failed> {
        let size = counted_size(self.entry.record);
        let overflows = stream.counted + size > limit;
        stream.counted = if overflows { 0 } else { stream.counted + size };
        let ends = overflows && matches!(overflow, Overflow::Truncate | Overflow::New);
        match overflow {
            Overflow::Drop if overflows => stream.clear(),
            _ if ends => {}
            _ => self.hold(stream),
        }
        if ends || is_last {
            self.flush(stream)?;
        }
        if ends && overflow == Overflow::New {
            self.hold(stream);
            stream.counted = size;
            if is_last {
                self.flush(stream)?;
            }
        }
        Ok(())
    }

    fn line(
        &mut self,
        stream: &mut Stream,
        start: Option<&Regexp>,
        end: Option<&Regexp>,
        continuous: Option<&Regexp>,
    ) -> Result<(), Failed> {
        let text = match field(self.entry.record, &self.settings.key).map(ValueRef::read) {
            Some(Ok(ValueRef::Str(text) | ValueRef::Bin(text))) => Some(text),
            Some(Ok(ValueRef::Nil)) | None => None,
            Some(_) => {
                let message =
                    format!("no implicit conversion of the field {} into String", self.settings.key);
                return Err(failed("TypeError", message));
            }
        };
        // nil matches nothing.
        let matches =
            |regexp: Option<&Regexp>| regexp.zip(text).is_some_and(|(regexp, text)| regexp.is_match(text));
        let is_last = matches(end);
        if matches(start) {
            if stream.len() > 0 {
                self.flush(stream)?;
            }
            self.hold(stream);
            if is_last {
                self.flush(stream)?;
            }
        } else if is_last {
            self.hold(stream);
            self.flush(stream)?;
        } else if stream.len() == 0 {
            if start.is_none() { self.hold(stream) } else { self.pass() }
        } else if continuous.is_none() || matches(continuous) {
            self.hold(stream);
        } else {
            self.flush(stream)?;
            self.pass();
        }
        Ok(())
    }

    fn hold(&self, stream: &mut Stream) {
        stream.hold(self.entry);
    }

    /// What is held comes out, in the fields of the present event.
    fn flush(&mut self, stream: &mut Stream) -> Result<(), Failed> {
        let Some(Joined { time, record }) = stream.join(self.settings, self.settings.ordinal()) else {
            return Err(failed("NoMethodError", "undefined method `merge' for nil:NilClass".to_owned()));
        };
        if self.settings.use_first_timestamp {
            self.time = time;
        }
        let of_current = match &self.settings.mode {
            Mode::Partial { key, .. } => Some(key.as_str()),
            Mode::Cri { logtag } => Some(logtag.as_str()),
            _ => None,
        };
        self.write(&record, of_current);
        Ok(())
    }

    /// The present event comes out.
    fn pass(&mut self) {
        self.write(self.entry.record, None);
    }

    fn write(&mut self, record: &[u8], of_current: Option<&str>) {
        let merged = merged(self.entry.record, record, &self.settings.removed, of_current);
        write_entry(self.out, self.time, None, &merged);
        self.events += 1;
    }
}

fn failed(class: &'static str, message: String) -> Failed {
    Failed { class, message, events: 0 }
}

fn is_text(value: Option<&[u8]>, text: &[u8]) -> bool {
    matches!(value.map(ValueRef::read), Some(Ok(ValueRef::Str(value) | ValueRef::Bin(value))) if value == text)
}

/// What an event counts against buffer_limit_size: its keys and its values as texts.
fn counted_size(record: &[u8]) -> usize {
    let mut size = 0;
    let mut text = Vec::new();
    for (key, value) in RecordView::new(record).iter() {
        text.clear();
        json::ruby_to_s(key, &mut text);
        json::ruby_to_s(value, &mut text);
        size += text.len();
    }
    size
}
