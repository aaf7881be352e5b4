//! What a chunk is called by: the values of its chunk keys, and times.

use logweir_engine::buffer::Metadata;
use logweir_engine::event::EventTime;
use logweir_engine::io::Timestamp;
use logweir_engine::json::{JsonStyle, from_msgpack, write_json_string};
use logweir_engine::msgpack::Time;
use logweir_engine::time::{TimeFormat, TimeFormatter, TimeSettings, Zone};
use serde_json::{Map, Value as Json};

/// A moment in the local time zone, seconds precise.
pub(super) fn local_time(secs: i64) -> String {
    let settings = TimeSettings { local: true, ..TimeSettings::default() };
    TimeFormatter::new(&settings).format_to_string(Time::Int(secs))
}

/// A moment for machines: RFC 3339 in UTC, with a fraction if the moment has one.
pub(super) fn utc_time(time: Time) -> Json {
    let Some(moment) = time.to_event_time() else { return Json::Null };
    let format = match time {
        Time::Int(_) => "%Y-%m-%dT%H:%M:%SZ",
        _ => "%Y-%m-%dT%H:%M:%S.%NZ",
    };
    let mut out = Vec::new();
    TimeFormat::new(format).format(moment, &Zone::UTC, &mut out);
    String::from_utf8_lossy(&out).into_owned().into()
}

/// A timestamp of a file for machines.
pub(super) fn utc_timestamp(at: Timestamp) -> Json {
    let nsec = u32::try_from(at.0 % 1_000_000).unwrap_or(0) * 1000;
    match nsec {
        0 => utc_time(Time::Int(at.secs())),
        nsec => utc_time(Time::Event(EventTime { sec: at.secs(), nsec })),
    }
}

/// `timekey=... tag=... name=value`, or `-` if there are none.
pub(super) fn text(metadata: &Metadata) -> String {
    let mut words = Vec::new();
    words.extend(metadata.timekey.map(|timekey| format!("timekey={}", local_time(timekey))));
    words.extend(metadata.tag.as_ref().map(|tag| format!("tag={}", word(tag.as_str()))));
    for variable in metadata.variables.iter().flat_map(|variables| variables.iter()) {
        words.push(format!("{}={}", word(&variable.name), json_text(&variable.value)));
    }
    if words.is_empty() { "-".to_owned() } else { words.join(" ") }
}

/// The names of the chunk keys, as the argument of `<buffer>`.
pub(super) fn names(metadata: &Metadata) -> String {
    let mut names = Vec::new();
    names.extend(metadata.timekey.map(|_| "time"));
    names.extend(metadata.tag.as_ref().map(|_| "tag"));
    names.extend(metadata.variables.iter().flat_map(|all| all.iter()).map(|variable| &*variable.name));
    names.join(",")
}

/// `tag`, `timekey` (seconds) and `variables`, null where they are no chunk keys.
pub(super) fn json(metadata: &Metadata, into: &mut Map<String, Json>) {
    into.insert("tag".to_owned(), metadata.tag.as_ref().map(|tag| tag.as_str().to_owned()).into());
    into.insert("timekey".to_owned(), metadata.timekey.into());
    let variables = metadata.variables.as_ref().map(|variables| {
        let pairs = variables.iter().map(|variable| {
            let value = serde_json::from_str(&json_text(&variable.value)).unwrap_or(Json::Null);
            (variable.name.to_string(), value)
        });
        Json::Object(pairs.collect())
    });
    into.insert("variables".to_owned(), variables.unwrap_or(Json::Null));
}

fn json_text(raw: &[u8]) -> String {
    let mut out = Vec::new();
    match from_msgpack(raw, &mut out, JsonStyle::Yajl) {
        Ok(()) => String::from_utf8_lossy(&out).into_owned(),
        Err(_) => "null".to_owned(),
    }
}

/// As it is if it is one word, else in quotes: what a tag is made of comes from outside.
fn word(text: &str) -> String {
    if !text.is_empty() && !text.chars().any(|c| c.is_whitespace() || c.is_control() || c == '"') {
        return text.to_owned();
    }
    let mut out = Vec::new();
    write_json_string(text.as_bytes(), &mut out, JsonStyle::Yajl);
    String::from_utf8_lossy(&out).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use logweir_engine::buffer::Variable;
    use logweir_engine::event::Tag;

    #[test]
    fn keys_are_one_line_whatever_is_in_them() {
        let variable = |name: &str, value: &'static [u8]| Variable { name: name.into(), value: value.into() };
        let metadata = Metadata {
            timekey: None,
            tag: Some(Tag::new("a b\n\x1b")),
            variables: Some([variable("user", b"\xa3ann"), variable("$.n", b"\xc0")].into()),
            seq: 0,
        };
        assert_eq!(text(&metadata), "tag=\"a b\\n\\u001B\" user=\"ann\" $.n=null");
        assert_eq!(names(&metadata), "tag,user,$.n");
        let mut object = Map::new();
        json(&metadata, &mut object);
        let expected = serde_json::json!({"tag": "a b\n\x1b", "timekey": null, "variables": {"user": "ann", "$.n": null}});
        assert_eq!(Json::Object(object), expected);
        assert_eq!(text(&Metadata::default()), "-");
    }

    #[test]
    fn times_for_machines_keep_what_they_know() {
        let event = EventTime { sec: 1_700_000_000, nsec: 5 };
        assert_eq!(utc_time(Time::Event(event)), "2023-11-14T22:13:20.000000005Z");
        assert_eq!(utc_time(Time::Int(1_700_000_000)), "2023-11-14T22:13:20Z");
        assert_eq!(utc_time(Time::None), Json::Null);
        assert_eq!(utc_timestamp(Timestamp(1_700_000_000_000_001)), "2023-11-14T22:13:20.000001000Z");
        assert_eq!(utc_timestamp(Timestamp(1_700_000_000_000_000)), "2023-11-14T22:13:20Z");
    }
}
