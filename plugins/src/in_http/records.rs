//! From the body of a request to entries.

use super::fields::{Fields, Value};
use logweir_engine::config::{Diagnostic, Params};
use logweir_engine::event::EventTime;
use logweir_engine::json::{ReadOptions, document_to_msgpack};
use logweir_engine::msgpack::{
    Kind, Reader as Raw, Splicer, ValueRef, skip, write_array_len, write_event_time, write_nil, write_str,
};
use logweir_engine::plugin::{FieldPlace, ParseFailure, ParseOutput, Parser};
use logweir_engine::time::{TimeParser, TimeSettings, TimeType};
use std::sync::Arc;

/// How bodies are read.
pub(super) enum Reader {
    /// JSON, NDJSON and MessagePack, told apart by the request.
    BuiltIn(TimeField),
    /// By the parser of `<parse>`.
    Parser {
        /// Its `@type`.
        name: String,
        parser: Arc<dyn Parser>,
        /// Whether the peer is not told that a body does not match, as Fluentd 1.19 does it.
        silent: bool,
    },
}

/// Where the built-in reader finds the time of a record.
#[derive(Debug, Default)]
pub(super) struct TimeField {
    key: Option<Vec<u8>>,
    is_kept: bool,
    /// Without one, seconds since the epoch.
    parser: Option<TimeParser>,
}

/// What goes into every record of a request.
#[derive(Default)]
pub(super) struct Common {
    /// The time that the request gives.
    pub(super) time: Option<EventTime>,
    /// Fields that are added.
    fields: Option<Splicer>,
    /// About how many bytes they have.
    bytes: usize,
}

impl Common {
    /// With the fields that are added to records: headers, then the query's parameters, then the peer's address, which may
    /// be unknown.
    pub(super) fn new(time: Option<EventTime>, fields: &Fields, remote_addr: Option<Option<&[u8]>>) -> Self {
        let mut splicer = Splicer::new();
        let mut bytes = 0;
        let mut set = |name: &[u8], raw: &[u8]| {
            // The headers of a map and of a string have five bytes at most.
            bytes += name.len() + raw.len() + 10;
            splicer = std::mem::take(&mut splicer).set(name, raw);
        };
        for (name, value) in fields.with_prefix(b"HTTP_").chain(fields.with_prefix(b"QUERY_")) {
            let mut raw = Vec::new();
            match value {
                Value::One(text) => write_str(&mut raw, text),
                Value::Several(texts) => {
                    write_array_len(&mut raw, texts.len());
                    texts.iter().for_each(|text| write_str(&mut raw, text));
                }
            }
            set(name, &raw);
        }
        if let Some(address) = remote_addr {
            let mut raw = Vec::new();
            match address {
                Some(text) => write_str(&mut raw, text),
                None => write_nil(&mut raw),
            }
            set(b"REMOTE_ADDR", &raw);
        }
        let fields = (!splicer.is_empty()).then_some(splicer);
        Self { time, fields, bytes }
    }
}

/// Entries of a stream, and how many.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Entries {
    pub(super) bytes: Vec<u8>,
    pub(super) count: usize,
}

/// What a body means, before it becomes entries: between the two, memory for them can be reserved.
pub(super) enum Parsed<'r> {
    /// Concatenated MessagePack values: records, and arrays of records.
    Values(Vec<u8>, &'r TimeField),
    /// What a parser has made of it.
    Events(ParseOutput),
}

/// Bytes of an entry beside those of its record.
const ENTRY_BYTES: usize = 12;

impl Reader {
    /// Reads the body of a request. What means nothing brings no events, as in Fluentd; the error is for the peer.
    ///
    /// `body` is for parsers, of whose texts `is_binary` says whether they are byte arrays; the built-in reader finds its
    /// own in `fields`.
    pub(super) fn parse(&self, body: &[u8], is_binary: bool, fields: &Fields) -> Result<Parsed<'_>, String> {
        match self {
            Self::BuiltIn(time) => Ok(Parsed::Values(values(fields)?, time)),
            Self::Parser { name, parser, silent } => {
                let mut output = ParseOutput::new();
                output.set_binary(is_binary);
                match parser.parse(body, &mut output) {
                    Ok(()) => Ok(Parsed::Events(output)),
                    Err(ParseFailure::Unmatched) if *silent => Ok(Parsed::Events(output)),
                    Err(ParseFailure::Unmatched) => {
                        Err(format!("Received event is not {name}: {}", crate::socket::preview(body)))
                    }
                    Err(ParseFailure::Invalid(reason)) => Err(reason),
                }
            }
        }
    }
}

impl Parsed<'_> {
    /// How many bytes the entries will have, at most.
    pub(super) fn entries_size(&self, common: &Common) -> u64 {
        let (bytes, count) = match self {
            Self::Values(raw, _) => {
                let mut count = 0;
                let walked = each(raw, &mut |_| {
                    count += 1;
                    Ok(())
                });
                debug_assert!(walked.is_ok(), "{walked:?}");
                (raw.len(), count)
            }
            Self::Events(output) => (output.bytes().len(), output.entries().len()),
        };
        bytes as u64 + count as u64 * (ENTRY_BYTES + common.bytes) as u64
    }

    /// The events.
    pub(super) fn entries(self, common: &Common) -> Result<Entries, String> {
        let mut entries = Entries::default();
        match self {
            Self::Values(raw, time) => each(&raw, &mut |record| {
                let entry = entries.bytes.len();
                entries.add(record, time, common)?;
                // An entry is one level deeper than its record.
                skip(&entries.bytes, entry).map(drop).map_err(|error| malformed(&error))
            })?,
            Self::Events(output) => {
                for (index, entry) in output.entries().iter().enumerate() {
                    let time = common.time.or(entry.time).unwrap_or_else(EventTime::now);
                    entries.push(time, output.record(index), common);
                }
            }
        }
        Ok(entries)
    }
}

/// The values that the request's field with records holds.
fn values(fields: &Fields) -> Result<Vec<u8>, String> {
    let mut raw = Vec::new();
    if let Some(text) = fields.get(b"msgpack") {
        let mut at = 0;
        while at < text.len() {
            // Fluentd waits for the rest of a value that is cut off, in the next request; there it never is.
            at = skip(text, at).map_err(|error| malformed(&error))?;
        }
        raw.extend_from_slice(text);
    } else if let Some(text) = fields.get(b"json") {
        // What is no JSON is no event, of which Fluentd does not tell the peer.
        let _ = document_to_msgpack(text, &mut raw, ReadOptions::default());
    } else if let Some(text) = fields.get(b"ndjson") {
        for (number, line) in lines(text).enumerate() {
            let at = raw.len();
            document_to_msgpack(line, &mut raw, ReadOptions::default())
                .map_err(|error| format!("line {} is no JSON: {error}", number + 1))?;
            if !matches!(Raw::new(&raw[at..]).peek(), Ok(Kind::Map)) {
                return Err(format!("a record must be a map, not {}", class(&raw[at..])));
            }
        }
    } else {
        return Err("'json', 'ndjson' or 'msgpack' parameter is required".to_owned());
    }
    Ok(raw)
}

fn malformed(error: &impl std::fmt::Display) -> String {
    format!("the MessagePack body is malformed: {error}")
}

/// The lines of NDJSON; empty ones at the end are none.
fn lines(text: &[u8]) -> impl Iterator<Item = &[u8]> {
    let end = text.iter().rposition(|byte| !matches!(byte, b'\r' | b'\n')).map_or(0, |last| last + 1);
    let text = &text[..end];
    let lines = text.split(|byte| *byte == b'\n').map(|line| line.strip_suffix(b"\r").unwrap_or(line));
    lines.filter(move |_| !text.is_empty())
}

/// Calls `add` for each of the concatenated values, and for each element of those that are arrays. Nil is nothing.
fn each(raw: &[u8], add: &mut dyn FnMut(&[u8]) -> Result<(), String>) -> Result<(), String> {
    let mut reader = Raw::new(raw);
    while let Ok(kind) = reader.peek() {
        match kind {
            Kind::Nil => reader.skip().map_err(|error| error.to_string())?,
            Kind::Array => {
                let count = reader.read_array_len().map_err(|error| error.to_string())?;
                for _ in 0..count {
                    add(reader.read_raw().map_err(|error| error.to_string())?)?;
                }
            }
            _ => add(reader.read_raw().map_err(|error| error.to_string())?)?,
        }
    }
    Ok(())
}

impl Entries {
    /// Adds a record of the built-in reader, which has its time in a field.
    fn add(&mut self, record: &[u8], time: &TimeField, common: &Common) -> Result<(), String> {
        if !matches!(Raw::new(record).peek(), Ok(Kind::Map)) {
            return Err(format!("a record must be a map, not {}", class(record)));
        }
        if let Some(time) = common.time {
            // The record keeps its own, as a field like any other.
            self.push(time, record, common);
            return Ok(());
        }
        let mut record = record.to_vec();
        let time = time.take(&mut record)?;
        self.push(time, &record, common);
        Ok(())
    }

    fn push(&mut self, time: EventTime, record: &[u8], common: &Common) {
        self.bytes.push(0x92);
        write_event_time(&mut self.bytes, time);
        match &common.fields {
            Some(fields) => fields.splice(record, &mut self.bytes),
            None => self.bytes.extend_from_slice(record),
        }
        self.count += 1;
    }
}

impl TimeField {
    /// From a section with the parameters of all parsers.
    pub(super) fn new(parse: &Params) -> Result<Self, Diagnostic> {
        let parser = match parse.is_set("time_type") || parse.is_set("time_format") {
            true => {
                let settings = TimeSettings::from_params(parse)?;
                Some(TimeParser::new(&settings).map_err(|error| parse.error("time_type", error))?)
            }
            false => None,
        };
        let key = parse.str("time_key").map(|key| key.as_bytes().to_vec());
        Ok(Self { key, is_kept: parse.bool("keep_time_key"), parser })
    }

    /// The time of a record, from which its field goes unless it is kept; the present one if there is none.
    fn take(&self, record: &mut Vec<u8>) -> Result<EventTime, String> {
        let Some(key) = &self.key else { return Ok(EventTime::now()) };
        let Some(place) = FieldPlace::find(record, key) else { return Ok(EventTime::now()) };
        let value = ValueRef::read(&record[place.value.clone()]).unwrap_or(ValueRef::Nil);
        let time = match (value, &self.parser) {
            (ValueRef::Nil | ValueRef::Bool(false), _) => Ok(EventTime::now()),
            (value, Some(parser)) => parser.parse(value),
            (value, None) => seconds(value).ok_or_else(|| {
                format!("can't convert {} into an exact number", class(&record[place.value.clone()]))
            }),
        };
        if !self.is_kept {
            place.remove(record, 0);
        }
        time
    }
}

/// Ruby's `Time.at`: seconds since the epoch, exactly.
fn seconds(value: ValueRef<'_>) -> Option<EventTime> {
    match value {
        ValueRef::Int(sec) => Some(EventTime::from_secs(sec)),
        ValueRef::UInt(sec) => Some(EventTime::from_secs(sec as i64)),
        ValueRef::F32(time) => fraction(f64::from(time)),
        ValueRef::F64(time) => fraction(time),
        _ => None,
    }
}

fn fraction(time: f64) -> Option<EventTime> {
    let whole = time.floor();
    if !(whole >= i64::MIN as f64 && whole < i64::MAX as f64) {
        return None;
    }
    // The fraction in units of 2^-64, which is exact down to them.
    let part = ((time - whole) * 2f64.powi(64)) as u128;
    Some(EventTime { sec: whole as i64, nsec: ((part * 1_000_000_000) >> 64) as u32 })
}

/// The time that the field `time` of a request gives; 0 and what is no number is the present time.
pub(super) fn time_of_request(text: &[u8]) -> EventTime {
    let time = crate::text::leading_float(text);
    if time == 0.0 {
        return EventTime::now();
    }
    let settings = TimeSettings { kind: TimeType::Float, ..TimeSettings::default() };
    let parser = TimeParser::new(&settings);
    parser.and_then(|parser| parser.parse(ValueRef::F64(time))).unwrap_or_else(|_| EventTime::now())
}

/// The Ruby class of a value.
fn class(raw: &[u8]) -> &'static str {
    match ValueRef::read(raw) {
        Ok(ValueRef::Nil) => "nil",
        Ok(ValueRef::Bool(true)) => "true",
        Ok(ValueRef::Bool(false)) => "false",
        Ok(ValueRef::Int(_) | ValueRef::UInt(_)) => "Integer",
        Ok(ValueRef::F32(_) | ValueRef::F64(_)) => "Float",
        Ok(ValueRef::Str(_) | ValueRef::Bin(_)) => "String",
        _ => match Raw::new(raw).peek() {
            Ok(Kind::Map) => "Hash",
            Ok(Kind::Array) => "Array",
            _ => "an extension value",
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::text::testing::parser;
    use logweir_engine::json::{JsonStyle, from_msgpack};
    use logweir_engine::msgpack::{Entries as Iter, Time};

    fn shown(entries: &Entries) -> String {
        let now = EventTime::now().sec;
        let events = Iter::new(&entries.bytes).map(|entry| {
            let mut text = match entry.time {
                Time::Event(time) if (now - 60..=now).contains(&time.sec) => "now ".to_owned(),
                Time::Event(time) if time.nsec == 0 => format!("{} ", time.sec),
                Time::Event(time) => format!("{}.{:09} ", time.sec, time.nsec),
                other => format!("{other:?} "),
            }
            .into_bytes();
            from_msgpack(entry.record, &mut text, JsonStyle::Oj).unwrap();
            String::from_utf8_lossy(&text).into_owned()
        });
        let events: Vec<_> = events.collect();
        assert_eq!(events.len(), entries.count);
        events.join(" | ")
    }

    fn all(reader: &Reader, body: &[u8], fields: &Fields, common: &Common) -> String {
        let entries = reader.parse(body, false, fields).and_then(|parsed| {
            let size = parsed.entries_size(common);
            let entries = parsed.entries(common)?;
            assert!(entries.bytes.len() as u64 <= size, "{size} bytes were expected");
            Ok(entries)
        });
        match entries {
            Ok(entries) => shown(&entries),
            Err(error) => format!("error: {error}"),
        }
    }

    fn read(name: &str, text: &[u8], common: &Common) -> String {
        let mut fields = Fields::default();
        fields.set(name.as_bytes().to_vec(), Value::One(text.to_vec()));
        let time = TimeField { key: Some(b"time".to_vec()), ..TimeField::default() };
        all(&Reader::BuiltIn(time), b"", &fields, common)
    }

    #[test]
    fn json() {
        for (text, expected) in [
            (r#"{"a":1,"time":1.5}"#, r#"1.500000000 {"a":1}"#),
            (r#"{"time":1700000000.123456789}"#, "1700000000.123456716 {}"),
            (r#"{"time":-1.5}"#, "4294967294.500000000 {}"),
            (r#"{"time":7,"b":[1]}"#, r#"7 {"b":[1]}"#),
            (r#"{"time":null,"a":1}"#, r#"now {"a":1}"#),
            (r#"{"time":false}"#, "now {}"),
            (r#"{"time":"5"}"#, "error: can't convert String into an exact number"),
            (r#"{"time":[5]}"#, "error: can't convert Array into an exact number"),
            (r#"[{"a":1},{"time":2}]"#, r#"now {"a":1} | 2 {}"#),
            ("[]", ""),
            ("null", ""),
            ("", ""),
            ("{bad", ""),
            ("5", "error: a record must be a map, not Integer"),
            (r#"[{"a":1},"x"]"#, "error: a record must be a map, not String"),
            ("[null]", "error: a record must be a map, not nil"),
        ] {
            assert_eq!(read("json", text.as_bytes(), &Common::default()), expected, "{text}");
        }
    }

    #[test]
    fn lines_of_json() {
        for (text, expected) in [
            ("{\"a\":1}\n{\"a\":2}\r\n{\"a\":3}\n\n", r#"now {"a":1} | now {"a":2} | now {"a":3}"#),
            ("", ""),
            ("\n\n", ""),
            ("{\"a\":1}", r#"now {"a":1}"#),
            ("{\"a\":1}\n5", "error: a record must be a map, not Integer"),
        ] {
            assert_eq!(read("ndjson", text.as_bytes(), &Common::default()), expected, "{text}");
        }
        for text in ["{\"a\":1}\n{bad\n{\"a\":3}", "{\"a\":1}\n\n{\"a\":3}"] {
            assert!(
                read("ndjson", text.as_bytes(), &Common::default()).starts_with("error: line 2 is no JSON")
            );
        }
    }

    #[test]
    fn msgpack() {
        for (text, expected) in [
            (&b"\x82\xa1a\x01\xa4time\x05"[..], r#"5 {"a":1}"#),
            (b"\x92\x81\xa1a\x01\x80", r#"now {"a":1} | now {}"#),
            (b"\x81\xa1a\x01\x81\xa1a\x02", r#"now {"a":1} | now {"a":2}"#),
            (b"\xc0", ""),
            (b"", ""),
            (b"\x05", "error: a record must be a map, not Integer"),
        ] {
            assert_eq!(read("msgpack", text, &Common::default()), expected, "{text:x?}");
        }
        assert!(read("msgpack", b"\x81\xa1a", &Common::default()).starts_with("error: the MessagePack body"));
        // What is too deep for an entry is refused, though it be a value.
        let deep = |levels: usize| [&b"\x81\xa1a".repeat(levels)[..], b"\x80"].concat();
        let levels = (100..200).find(|levels| skip(&[b"\x92\x00", &deep(*levels)[..]].concat(), 0).is_err());
        let levels = levels.unwrap();
        assert!(skip(&deep(levels), 0).is_ok());
        assert!(
            read("msgpack", &deep(levels), &Common::default()).starts_with("error: the MessagePack body")
        );
        assert!(read("msgpack", &deep(levels - 1), &Common::default()).starts_with("now {"));
        assert!(read("msgpack", b"\xc1", &Common::default()).starts_with("error: the MessagePack body"));
    }

    #[test]
    fn what_the_request_gives_goes_into_every_record() {
        let mut fields = Fields::new(false, true);
        fields.add_query_params(b"q=1");
        let common = Common::new(Some(time_of_request(b"1.5")), &fields, Some(Some(b"::1")));
        assert_eq!(
            read("json", br#"[{"time":9},{"QUERY_Q":2,"a":1}]"#, &common),
            r#"1.500000000 {"time":9,"QUERY_Q":"1","REMOTE_ADDR":"::1"} | 1.500000000 {"QUERY_Q":"1","a":1,"REMOTE_ADDR":"::1"}"#
        );
        let now = Common::new(Some(time_of_request(b"x")), &Fields::default(), Some(None));
        assert_eq!(read("json", b"{}", &now), r#"now {"REMOTE_ADDR":null}"#);
    }

    #[test]
    fn parsers() {
        let reader =
            |body: &str| Reader::Parser { name: "that".to_owned(), parser: parser(body), silent: false };
        let read = |reader: &Reader, text: &str| {
            all(reader, text.as_bytes(), &Fields::default(), &Common::default())
        };
        let json = reader("@type json");
        assert_eq!(read(&json, r#"{"time":5,"a":1}"#), r#"5 {"a":1}"#);
        assert_eq!(read(&json, r#"[{"a":1},{"a":2}]"#), r#"now {"a":1} | now {"a":2}"#);
        assert_eq!(read(&json, "no match"), "error: Received event is not that: no match");
        assert_eq!(read(&json, r#"{"time":null}"#), "error: value must be a string or a number: (NilClass)");
        let none = reader("@type none\nestimate_current_event false");
        assert_eq!(read(&none, "x"), r#"now {"message":"x"}"#);
    }
}
