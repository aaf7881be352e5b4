//! `<inject>`: host name, worker, tag and time as fields of records, on their way out.

use super::{Param, ParamKind, SectionSpec};
use crate::config::{Diagnostic, Params};
use crate::event::Tag;
use crate::msgpack::{
    Entries, Reader, Time, ValueRef, write_entry, write_f64, write_i64, write_map_len, write_str,
};
use crate::telemetry::PluginLog;
use crate::time::{TIME_PARAMS, TimeFormatter, TimeSettings, TimeType};
use crate::{log_info, log_warn};
use smallvec::SmallVec;
use std::borrow::Cow;

const TYPES: &[&str] =
    &["float", "unixtime", "unixtime_millis", "unixtime_micros", "unixtime_nanos", "string"];
const OWN: [Param; 6] = [
    Param::new("hostname_key", ParamKind::String, "The field for the host name"),
    Param::new("hostname", ParamKind::String, "The host name; that of the machine if it is not set"),
    Param::new("worker_id_key", ParamKind::String, "The field for the number of the worker"),
    Param::new("tag_key", ParamKind::String, "The field for the tag"),
    Param::new("time_key", ParamKind::String, "The field for the time"),
    Param::new("time_type", ParamKind::Enum(TYPES), "How the time is written").default("float"),
];
static PARAMS: [Param; OWN.len() + TIME_PARAMS.len()] = Param::join(OWN, TIME_PARAMS);

/// `<inject>`, for the descriptor of a plugin.
pub const INJECT: SectionSpec =
    SectionSpec { params: &PARAMS, ..SectionSpec::new("inject", "Fields that records get on their way out") };

/// The fields to inject.
#[derive(Debug)]
pub struct Inject {
    /// Key as MessagePack, key, value.
    fields: Vec<(Vec<u8>, Vec<u8>, Source)>,
}

#[derive(Debug)]
enum Source {
    /// A value as MessagePack.
    Fixed(Vec<u8>),
    Tag,
    Time(Written),
}

/// How a time is written.
#[derive(Debug)]
enum Written {
    /// Seconds with six decimals.
    Float,
    /// Whole units, so many of which are a second.
    Units(i64),
    Text(TimeFormatter),
}

impl Inject {
    /// From the `<inject>` section of `owner`; none if there is none or if it injects nothing.
    pub fn from_params(owner: &Params, log: &PluginLog) -> Result<Option<Self>, Diagnostic> {
        let Some(params) = owner.section("inject") else { return Ok(None) };
        let settings = TimeSettings::untyped(params)?;
        let mut inject = Self { fields: Vec::new() };
        if let Some(key) = params.str("hostname_key") {
            check_chunk_keys(owner, params, key)?;
            let name = match params.str("hostname") {
                Some(name) => Cow::Borrowed(name),
                None => {
                    let name = rustix::system::uname().nodename().to_string_lossy().into_owned();
                    log_info!(
                        log,
                        "using hostname for specified field",
                        host_key = key,
                        host_name = name.as_str()
                    );
                    Cow::Owned(name)
                }
            };
            let mut value = Vec::new();
            write_str(&mut value, name.as_bytes());
            inject.set(key, Source::Fixed(value));
        }
        if let Some(key) = params.str("worker_id_key") {
            let mut value = Vec::new();
            write_i64(&mut value, i64::from(log.worker()));
            inject.set(key, Source::Fixed(value));
        }
        if let Some(key) = params.str("tag_key") {
            inject.set(key, Source::Tag);
        }
        match params.str("time_key") {
            Some(key) => inject.set(key, Source::Time(Written::from_params(params, &settings))),
            None if settings.format.is_some() => {
                log_warn!(log, "'time_format' specified without 'time_key', will be ignored");
            }
            None => {}
        }
        Ok((!inject.fields.is_empty()).then_some(inject))
    }

    /// Of two fields with one key the later value is taken.
    fn set(&mut self, key: &str, source: Source) {
        if let Some(field) = self.fields.iter_mut().find(|(_, name, _)| *name == key.as_bytes()) {
            field.2 = source;
            return;
        }
        let mut raw = Vec::new();
        write_str(&mut raw, key.as_bytes());
        self.fields.push((raw, key.as_bytes().to_vec(), source));
    }

    /// Appends the raw record with the fields: those that it has already keep their place, others come last.
    pub fn inject(&self, tag: &Tag, time: Time, record: &[u8], out: &mut Vec<u8>) {
        let start = out.len();
        if self.write(tag, time, record, out).is_none() {
            // What is no map is passed on as it is.
            out.truncate(start);
            out.extend_from_slice(record);
        }
    }

    /// Appends entries with the fields in each record.
    pub fn inject_entries(&self, tag: &Tag, entries: &[u8], out: &mut Vec<u8>) {
        let mut record = Vec::new();
        for entry in Entries::new(entries) {
            record.clear();
            self.inject(tag, entry.time, entry.record, &mut record);
            write_entry(out, entry.time, entry.metadata, &record);
        }
    }

    fn write(&self, tag: &Tag, time: Time, record: &[u8], out: &mut Vec<u8>) -> Option<()> {
        let mut reader = Reader::new(record);
        let count = reader.read_map_len().ok()?;
        let body = reader.position();
        let mut places: SmallVec<[(usize, usize, usize); 4]> = SmallVec::new();
        for _ in 0..count {
            let key = reader.read_value().ok()?;
            let value_start = reader.position();
            reader.skip().ok()?;
            if let ValueRef::Str(key) | ValueRef::Bin(key) = key
                && let Some(n) = self.fields.iter().position(|(_, name, _)| *name == key)
            {
                places.push((n, value_start, reader.position()));
            }
        }
        let end = reader.position();
        let is_there = |n: usize| places.iter().any(|place| place.0 == n);
        let missing = (0..self.fields.len()).filter(|n| !is_there(*n));
        write_map_len(out, count + missing.clone().count());
        let mut copied = body;
        for (n, value_start, value_end) in &places {
            out.extend_from_slice(&record[copied..*value_start]);
            self.fields[*n].2.write(tag, time, out);
            copied = *value_end;
        }
        out.extend_from_slice(&record[copied..end]);
        for n in missing {
            let (raw_key, _, source) = &self.fields[n];
            out.extend_from_slice(raw_key);
            source.write(tag, time, out);
        }
        Some(())
    }
}

/// The host name is injected when events are written, too late for chunks to be told apart by it.
fn check_chunk_keys(owner: &Params, params: &Params, key: &str) -> Result<(), Diagnostic> {
    let mut buffers = owner.element().sections("buffer");
    if buffers.any(|buffer| buffer.arg.split(',').any(|chunk_key| chunk_key.trim() == key)) {
        let message =
            "the key specified by 'hostname_key' in <inject> cannot be used in buffering chunk key.";
        let help =
            "inject the host name with the filter record_transformer, then chunks can be told apart by it";
        return Err(params.error("hostname_key", message).help(help));
    }
    Ok(())
}

impl Source {
    fn write(&self, tag: &Tag, time: Time, out: &mut Vec<u8>) {
        match self {
            Self::Fixed(value) => out.extend_from_slice(value),
            Self::Tag => write_str(out, tag.as_str().as_bytes()),
            Self::Time(written) => written.write(time, out),
        }
    }
}

impl Written {
    fn from_params(params: &Params, settings: &TimeSettings) -> Self {
        match params.word("time_type") {
            Some("unixtime") => Self::Units(1),
            Some("unixtime_millis") => Self::Units(1000),
            Some("unixtime_micros") => Self::Units(1_000_000),
            Some("unixtime_nanos") => Self::Units(1_000_000_000),
            Some("string") => {
                Self::Text(TimeFormatter::new(&settings.with(TimeType::String, settings.format.as_deref())))
            }
            _ => Self::Float,
        }
    }

    fn write(&self, time: Time, out: &mut Vec<u8>) {
        let event = time.to_event_time().unwrap_or_default();
        match self {
            Self::Float => {
                let micros = event.sec.saturating_mul(1_000_000).saturating_add(i64::from(event.nsec / 1000));
                write_f64(out, micros as f64 / 1e6);
            }
            Self::Units(per_second) => {
                let part = i64::from(event.nsec) / (1_000_000_000 / per_second);
                write_i64(out, event.sec.saturating_mul(*per_second).saturating_add(part));
            }
            Self::Text(formatter) => write_str(out, formatter.format_to_string(time).as_bytes()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::EventTime;
    use crate::json::{self, JsonStyle};
    use crate::plugin::{Build, Descriptor, Driver, Kind};

    static OWNER: Descriptor = Descriptor {
        sections: &[INJECT],
        ..Descriptor::new(
            Kind::Filter,
            "owner",
            "For tests",
            Build::Filter(|params, _| Err(params.error_here(""))),
        )
    };

    fn inject(body: &str) -> Option<Inject> {
        let text = format!("<filter>\n@type owner\n<inject>\n{body}\n</inject>\n</filter>");
        let params = Driver::new(&[&OWNER]).params(Kind::Filter, &text).unwrap();
        Inject::from_params(&params, &PluginLog::program()).unwrap()
    }

    fn injected(body: &str, time: Time, record: &str) -> String {
        let mut raw = Vec::new();
        json::to_msgpack(record.as_bytes(), &mut raw, json::ReadOptions::default()).unwrap();
        let (mut out, mut text) = (Vec::new(), Vec::new());
        inject(body).unwrap().inject(&Tag::new("app.log"), time, &raw, &mut out);
        json::from_msgpack(&out, &mut text, JsonStyle::Oj).unwrap();
        String::from_utf8(text).unwrap()
    }

    const TIME: Time = Time::Event(EventTime { sec: 1_704_164_645, nsec: 123_456_789 });

    #[test]
    fn existing_fields_keep_their_place() {
        assert_eq!(
            injected(
                "hostname_key host\nhostname h\ntag_key tag\ntime_key time",
                Time::Int(1_704_164_645),
                r#"{"a":1,"tag":"old","b":2}"#
            ),
            r#"{"a":1,"tag":"app.log","b":2,"host":"h","time":1704164645.0}"#
        );
        assert_eq!(injected("worker_id_key w\ntag_key w", TIME, "{}"), r#"{"w":"app.log"}"#);
        let machine = injected("hostname_key host", TIME, "{}");
        assert!(machine.len() > r#"{"host":""}"#.len(), "{machine}");
    }

    #[test]
    fn times() {
        for (body, expected) in [
            ("", "1704164645.123456"),
            ("time_type unixtime", "1704164645"),
            ("time_type unixtime_millis", "1704164645123"),
            ("time_type unixtime_micros", "1704164645123456"),
            ("time_type unixtime_nanos", "1704164645123456789"),
            (
                "time_type string\ntime_format %Y-%m-%d %H:%M:%S.%6N %z\ntimezone +09:00",
                r#""2024-01-02 12:04:05.123456 +0900""#,
            ),
            ("time_type string\nutc true", r#""2024-01-02T03:04:05Z""#),
        ] {
            assert_eq!(
                injected(&format!("time_key t\n{body}"), TIME, "{}"),
                format!(r#"{{"t":{expected}}}"#),
                "{body}"
            );
        }
    }

    #[test]
    fn many_fields_and_none() {
        let record =
            format!("{{{}}}", (0..15).map(|n| format!("\"k{n}\":{n}")).collect::<Vec<_>>().join(","));
        let expected = format!("{},\"tag\":\"app.log\"}}", &record[..record.len() - 1]);
        assert_eq!(injected("tag_key tag", TIME, &record), expected);
        assert!(inject("").is_none());
    }

    #[test]
    fn entries() {
        let entries = b"\x92\x05\x81\xa1a\x01\x92\x92\xd7\x00\x00\x00\x00\x06\x00\x00\x00\x00\x80\x80";
        let mut out = Vec::new();
        inject("tag_key t").unwrap().inject_entries(&Tag::new("x"), entries, &mut out);
        assert_eq!(
            out,
            b"\x92\x05\x82\xa1a\x01\xa1t\xa1x\x92\x92\xd7\x00\x00\x00\x00\x06\x00\x00\x00\x00\x80\x81\xa1t\xa1x"
        );
    }
}
