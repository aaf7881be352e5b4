//! The parts of one event that have come so far.

use super::settings::Settings;
use bumpalo::Bump;
use logweir_engine::event::Tag;
use logweir_engine::json;
use logweir_engine::msgpack::{Entry, Record, RecordView, Time, Value, ValueRef};
use std::borrow::Cow;
use tokio::time::Instant;

/// See the module.
pub(super) struct Stream {
    pub(super) tag: Tag,
    parts: Vec<Part>,
    /// Of the records that are held.
    bytes: usize,
    /// What buffer_limit_size counts.
    pub(super) counted: usize,
    /// When the latest part came.
    pub(super) latest: Instant,
}

/// An event that waits.
struct Part {
    time: Time,
    record: Vec<u8>,
}

/// What parts have become: the record of the first with the joined text in it.
pub(super) struct Joined {
    pub(super) time: Time,
    pub(super) record: Vec<u8>,
}

impl Stream {
    pub(super) fn new(tag: Tag, now: Instant) -> Self {
        Self { tag, parts: Vec::new(), bytes: 0, counted: 0, latest: now }
    }

    pub(super) fn hold(&mut self, entry: &Entry<'_>) {
        self.parts.push(Part { time: entry.time, record: entry.record.to_vec() });
        self.bytes += entry.record.len();
    }

    pub(super) fn clear(&mut self) {
        self.parts.clear();
        self.bytes = 0;
    }

    /// How many parts are held.
    pub(super) fn len(&self) -> usize {
        self.parts.len()
    }

    /// Bytes of the records that are held.
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Takes the parts and joins them; `ordinal` is the field that they are sorted by.
    pub(super) fn join(&mut self, settings: &Settings, ordinal: Option<&str>) -> Option<Joined> {
        self.counted = 0;
        self.bytes = 0;
        let parts = std::mem::take(&mut self.parts);
        let first = parts.first()?;
        let mut sorted: Vec<&Part> = parts.iter().collect();
        if let Some(ordinal) = ordinal {
            sorted.sort_by_key(|part| integer(field(&part.record, ordinal)));
        }
        let mut text = Vec::new();
        for (at, part) in sorted.into_iter().enumerate() {
            if at > 0 {
                text.extend_from_slice(settings.separator.as_bytes());
            }
            text.extend_from_slice(&to_s(field(&part.record, &settings.key)));
        }
        let arena = Bump::new();
        let mut record = Record::decode(&first.record, &arena).ok()?;
        // A text that is made of bytes without an encoding has none either.
        let value = match record.get(settings.key.as_bytes()) {
            Some(Value::Bin(_)) => Value::Bin(&text),
            _ => Value::Str(&text),
        };
        record.set_copied(settings.key.as_bytes(), value);
        let mut raw = Vec::with_capacity(first.record.len() + text.len());
        record.encode(&mut raw);
        Some(Joined { time: first.time, record: raw })
    }
}

/// `current.merge(joined)`, without the fields that are not to stay. The field `of_current` is not taken from `joined`.
pub(super) fn merged(current: &[u8], joined: &[u8], removed: &[String], of_current: Option<&str>) -> Vec<u8> {
    let arena = Bump::new();
    let mut out = Vec::with_capacity(joined.len());
    let (Ok(mut record), Ok(joined)) = (Record::decode(current, &arena), Record::decode(joined, &arena))
    else {
        return joined.to_vec();
    };
    let of_current = of_current.map(str::as_bytes);
    for field in joined.iter().filter(|field| of_current.is_none() || field.key.name() != of_current) {
        record.set_key(field.key, field.value.clone());
    }
    for key in removed {
        record.remove(key.as_bytes());
    }
    record.encode(&mut out);
    out
}

/// The raw value of a field.
pub(super) fn field<'r>(record: &'r [u8], key: &str) -> Option<&'r [u8]> {
    // What is no map has no fields.
    matches!(record.first(), Some(0x80..=0x8f | 0xde | 0xdf))
        .then(|| RecordView::new(record).get(key.as_bytes()))?
}

/// Ruby's `to_s`.
pub(super) fn to_s(value: Option<&[u8]>) -> Cow<'_, [u8]> {
    let Some(raw) = value else { return Cow::Borrowed(b"") };
    match ValueRef::read(raw) {
        Ok(ValueRef::Str(text) | ValueRef::Bin(text)) => Cow::Borrowed(text),
        _ => {
            let mut text = Vec::new();
            json::ruby_to_s(raw, &mut text);
            Cow::Owned(text)
        }
    }
}

/// Ruby's `to_i`.
fn integer(value: Option<&[u8]>) -> i64 {
    match value.map(ValueRef::read) {
        Some(Ok(ValueRef::Int(number))) => number,
        Some(Ok(ValueRef::F64(number))) => number as i64,
        Some(Ok(ValueRef::Str(text) | ValueRef::Bin(text))) => {
            let text = String::from_utf8_lossy(text);
            let text = text.trim_start();
            let sign = usize::from(text.starts_with(['-', '+']));
            let digits = text[sign..].bytes().take_while(u8::is_ascii_digit).count();
            text[..sign + digits].trim_start_matches('+').parse().unwrap_or(0)
        }
        _ => 0,
    }
}
