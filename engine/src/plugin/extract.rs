//! `<extract>`: tag and time from fields of records, on their way in.

use super::{FieldPlace, Param, ParamKind, SectionSpec};
use crate::config::{Diagnostic, Params};
use crate::event::{EventTime, Tag};
use crate::json::ruby_to_s;
use crate::log_warn;
use crate::msgpack::ValueRef;
use crate::telemetry::PluginLog;
use crate::time::{TIME_PARAMS, TimeParser, TimeSettings, TimeType};

const OWN: [Param; 5] = [
    Param::new("tag_key", ParamKind::String, "The field with the tag"),
    Param::new("keep_tag_key", ParamKind::Bool, "Whether that field stays").default("false"),
    Param::new("time_key", ParamKind::String, "The field with the time"),
    Param::new("keep_time_key", ParamKind::Bool, "Whether that field stays").default("false"),
    Param::new("time_type", ParamKind::Enum(&["float", "unixtime", "string"]), "What the time is")
        .default("float"),
];
static PARAMS: [Param; OWN.len() + TIME_PARAMS.len()] = Param::join(OWN, TIME_PARAMS);

/// `<extract>`, for the descriptor of a plugin.
pub const EXTRACT: SectionSpec =
    SectionSpec { params: &PARAMS, ..SectionSpec::new("extract", "Tag and time from fields of records") };

/// Which fields are tag and time.
#[derive(Debug)]
pub struct Extract {
    tag: Option<Key>,
    time: Option<(Key, TimeParser)>,
}

#[derive(Debug)]
struct Key {
    name: Vec<u8>,
    is_kept: bool,
}

impl Extract {
    /// From the `<extract>` section of `owner`; none if there is none or if it extracts nothing.
    pub fn from_params(owner: &Params, log: &PluginLog) -> Result<Option<Self>, Diagnostic> {
        Self::with_type(owner, None, log)
    }

    /// The same; `default_type` replaces the default of time_type.
    pub fn with_type(
        owner: &Params,
        default_type: Option<TimeType>,
        log: &PluginLog,
    ) -> Result<Option<Self>, Diagnostic> {
        let Some(params) = owner.section("extract") else { return Ok(None) };
        let settings = TimeSettings::untyped(params)?;
        let key = |name: &str, kept: &str| {
            let name = params.str(name)?.as_bytes().to_vec();
            Some(Key { name, is_kept: params.bool(kept) })
        };
        let time = match key("time_key", "keep_time_key") {
            Some(key) => {
                let written = params.word("time_type").and_then(TimeType::from_word).unwrap_or_default();
                let kind = default_type.filter(|_| !params.is_set("time_type")).unwrap_or(written);
                let settings = settings.with(kind, settings.format.as_deref());
                let parser = TimeParser::new(&settings).map_err(|e| params.error("time_type", e))?;
                Some((key, parser))
            }
            None => {
                if settings.format.is_some() {
                    log_warn!(log, "'time_format' specified without 'time_key', will be ignored");
                }
                None
            }
        };
        let extract = Self { tag: key("tag_key", "keep_tag_key"), time };
        Ok((extract.tag.is_some() || extract.time.is_some()).then_some(extract))
    }

    /// Whether tags are taken from a field.
    pub fn has_tag(&self) -> bool {
        self.tag.is_some()
    }

    /// The tag in the raw record at `at` (to the end of `buffer`), from which its field is taken out unless it is kept.
    pub fn tag(&self, buffer: &mut Vec<u8>, at: usize) -> Option<Tag> {
        let key = self.tag.as_ref()?;
        let place = FieldPlace::find(&buffer[at..], &key.name)?;
        let mut text = Vec::new();
        ruby_to_s(&buffer[at..][place.value.clone()], &mut text);
        if !key.is_kept {
            place.remove(buffer, at);
        }
        Some(Tag::from_wire(&text))
    }

    /// The time in the raw record at `at`. Fluentd's inputs ask for it only if the parser found none, and a parser without
    /// `estimate_current_event false` always has one.
    ///
    /// # Errors
    /// The text of Fluentd's TimeParseError.
    pub fn time(&self, buffer: &mut Vec<u8>, at: usize) -> Result<Option<EventTime>, String> {
        let Some((key, parser)) = &self.time else { return Ok(None) };
        let Some(place) = FieldPlace::find(&buffer[at..], &key.name) else { return Ok(None) };
        let value = ValueRef::read(&buffer[at..][place.value.clone()]).unwrap_or(ValueRef::Nil);
        let time = parser.parse(value);
        if !key.is_kept {
            place.remove(buffer, at);
        }
        time.map(Some)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::json::{self, JsonStyle};
    use crate::plugin::{Build, Descriptor, Driver, Kind};

    static OWNER: Descriptor = Descriptor {
        sections: &[EXTRACT],
        ..Descriptor::new(
            Kind::Filter,
            "owner",
            "For tests",
            Build::Filter(|params, _| Err(params.error_here(""))),
        )
    };

    fn extract(body: &str) -> Option<Extract> {
        let text = format!("<filter>\n@type owner\n<extract>\n{body}\n</extract>\n</filter>");
        let params = Driver::new(&[&OWNER]).params(Kind::Filter, &text).unwrap();
        Extract::from_params(&params, &PluginLog::program()).unwrap()
    }

    fn extracted(body: &str, record: &str) -> String {
        let mut buffer = b"x".to_vec();
        json::to_msgpack(record.as_bytes(), &mut buffer, json::ReadOptions::default()).unwrap();
        let extract = extract(body).unwrap();
        let tag = extract.tag(&mut buffer, 1);
        let time = extract.time(&mut buffer, 1).map(|time| time.map(|time| (time.sec, time.nsec)));
        let mut text = Vec::new();
        json::from_msgpack(&buffer[1..], &mut text, JsonStyle::Oj).unwrap();
        format!("{tag:?} {time:?} {}", String::from_utf8(text).unwrap())
    }

    #[test]
    fn tags_and_times() {
        let body =
            "tag_key t\ntime_key ts\ntime_type string\ntime_format %Y-%m-%d %H:%M:%S %z\nkeep_time_key true";
        assert_eq!(
            extracted(body, r#"{"t":"my.tag","ts":"2020-01-02 03:04:05 +0100","a":1}"#),
            r#"Some("my.tag") Ok(Some((1577930645, 0))) {"ts":"2020-01-02 03:04:05 +0100","a":1}"#
        );
        assert_eq!(extracted(body, r#"{"a":2}"#), r#"None Ok(None) {"a":2}"#);
        assert_eq!(
            extracted("time_key ts", r#"{"ts":1600000000.125,"a":1}"#),
            r#"None Ok(Some((1600000000, 125000000))) {"a":1}"#
        );
        assert_eq!(extracted("tag_key t\nkeep_tag_key true", r#"{"t":5}"#), r#"Some("5") Ok(None) {"t":5}"#);
        assert!(
            extracted("time_key ts", r#"{"ts":null}"#)
                .starts_with(r#"None Err("value must be a string or a number"#)
        );
        assert!(extract("").is_none());
    }
}
