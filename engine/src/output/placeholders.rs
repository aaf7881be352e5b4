//! Parameters that differ from chunk to chunk: `${tag}`, `${tag[1]}`, `${chunk_id}`, `${field}`, `%Y%m%d`.
//!
//! A template is checked against the chunk keys when the configuration is read, with Fluentd's messages, and filled in
//! for each chunk. A value that would lead out of a folder (`../`, a leading `/`) is refused, as Fluentd 1.19.3 does:
//! tags and fields come from outside.

use super::keys::ChunkKeys;
use crate::buffer::{Chunk, Variable};
use crate::config::{Diagnostic, Params};
use crate::event::{EventTime, Tag};
use crate::json::ruby_to_s;
use crate::log_warn;
use crate::plugin::WriteError;
use crate::telemetry::PluginLog;
use crate::time::{TimeFormat, Zone};
use std::sync::Arc;

/// A parameter with placeholders.
#[derive(Clone, Debug)]
pub struct Template {
    name: String,
    text: String,
    segments: Vec<Segment>,
    keys: Arc<ChunkKeys>,
    log: PluginLog,
}

#[derive(Clone, Debug)]
enum Segment {
    Text(String, TimeFormat),
    Tag,
    TagPart(i64),
    ChunkId,
    Field(String),
}

/// What a chunk knows about itself, as far as templates go.
#[derive(Clone, Copy, Debug)]
pub(super) struct ChunkFacts<'a> {
    pub id: &'a str,
    pub timekey: Option<i64>,
    pub tag: Option<&'a Tag>,
    /// The values of the field keys; `None` if there are none.
    pub fields: Option<&'a [Variable]>,
}

/// The parts of time that a slice can be as short as: seconds, title, example.
const TIME_PARTS: [(i64, &str, &str); 4] =
    [(1, "second", "%S"), (60, "minute", "%M"), (3600, "hour", "%H"), (86400, "day", "%d")];
/// 2016-01-01T00:00:00Z
const CHECK_BASE: i64 = 1_451_606_400;

impl Template {
    /// A template that is not validated; `name` is the parameter's.
    pub fn new(name: &str, text: &str, keys: &Arc<ChunkKeys>, log: &PluginLog) -> Self {
        Self {
            name: name.to_owned(),
            text: text.to_owned(),
            segments: segments(text),
            keys: Arc::clone(keys),
            log: log.clone(),
        }
    }

    /// A template that uses each chunk key, and nothing that is no chunk key. The error points at the parameter.
    pub fn validated(
        name: &str,
        text: &str,
        keys: &Arc<ChunkKeys>,
        params: &Params,
        log: &PluginLog,
    ) -> Result<Self, Diagnostic> {
        let template = Self::new(name, text, keys, log);
        template.validate().map_err(|message| params.error(name, message))?;
        Ok(template)
    }

    /// Whether it uses each chunk key, and nothing that is no chunk key.
    pub fn validate(&self) -> Result<(), String> {
        self.validate_time()?;
        self.validate_tag()?;
        self.validate_fields()
    }

    /// The time part of [`Self::validate`].
    pub fn validate_time(&self) -> Result<(), String> {
        let Self { name, text, .. } = self;
        let finest = self.finest_time();
        let unit = self.keys.time.as_ref().map(|slices| slices.unit);
        match (finest, unit) {
            (None, Some(unit)) => Err(format!(
                "Parameter '{name}: {text}' doesn't have timestamp placeholders for timekey {}",
                unit as i64
            )),
            (Some(_), None) => Err(format!(
                "Parameter '{name}: {text}' has timestamp placeholders, but chunk key 'time' is not configured"
            )),
            (Some((sec, title, example)), Some(unit)) if unit < sec as f64 => Err(format!(
                "Parameter '{name}: {text}' doesn't have timestamp placeholder for {title}('{example}') for timekey {}",
                unit as i64
            )),
            _ => Ok(()),
        }
    }

    /// The tag part of [`Self::validate`].
    pub fn validate_tag(&self) -> Result<(), String> {
        let Self { name, text, .. } = self;
        match (self.keys.tag, self.has_tag()) {
            (true, false) => Err(format!("Parameter '{name}: {text}' doesn't have tag placeholder")),
            (false, true) => Err(format!(
                "Parameter '{name}: {text}' has tag placeholders, but chunk key 'tag' is not configured"
            )),
            _ => Ok(()),
        }
    }

    /// The field part of [`Self::validate`].
    pub fn validate_fields(&self) -> Result<(), String> {
        let Self { name, text, .. } = self;
        let used: Vec<&str> = self.field_names().collect();
        let mut missing: Vec<&str> = self.keys.field_names().filter(|key| !used.contains(key)).collect();
        if !missing.is_empty() {
            missing.sort_unstable();
            return Err(format!(
                "Parameter '{name}: {text}' doesn't have enough placeholders for keys {}",
                missing.join(",")
            ));
        }
        let mut unknown: Vec<&str> =
            used.into_iter().filter(|key| !self.keys.field_names().any(|known| known == *key)).collect();
        if !unknown.is_empty() {
            unknown.sort_unstable();
            return Err(format!(
                "Parameter '{name}: {text}' has placeholders, but chunk keys doesn't have keys {}",
                unknown.join(",")
            ));
        }
        Ok(())
    }

    /// The template itself.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Whether strftime would change it, be it only once a year.
    pub fn has_time(&self) -> bool {
        self.segments.iter().any(|segment| match segment {
            Segment::Text(text, format) => {
                format.format_to_string(EventTime::from_secs(CHECK_BASE), &Zone::UTC) != *text
            }
            _ => false,
        })
    }

    /// Whether it uses the tag.
    pub fn has_tag(&self) -> bool {
        self.tag_placeholder().is_some()
    }

    /// The first placeholder that stands for the tag or a part of it: `tag`, `tag[1]`.
    pub fn tag_placeholder(&self) -> Option<String> {
        let is_tag = |segment: &&Segment| matches!(segment, Segment::Tag | Segment::TagPart(_));
        self.segments.iter().find(is_tag).map(Segment::placeholder)
    }

    /// The fields that it uses.
    pub fn field_names(&self) -> impl Iterator<Item = &str> {
        self.segments.iter().filter_map(|segment| match segment {
            Segment::Field(name) => Some(name.as_str()),
            _ => None,
        })
    }

    /// Whether each chunk gives the same text.
    pub fn is_constant(&self) -> bool {
        !self.has_time() && self.segments.iter().all(|segment| matches!(segment, Segment::Text(..)))
    }

    /// The text for `chunk`. Fails (for good) if a value would lead out of a folder.
    pub fn expand(&self, chunk: &Chunk) -> Result<String, WriteError> {
        let metadata = chunk.metadata();
        self.fill(ChunkFacts {
            id: &chunk.id().hex(),
            timekey: metadata.timekey,
            tag: metadata.tag.as_ref(),
            fields: metadata.variables.as_deref(),
        })
    }

    /// What the text would be for a chunk of the present moment with made-up values: `a.a` as tag, `data` as field.
    pub fn example(&self) -> String {
        let mut data = Vec::new();
        crate::msgpack::write_str(&mut data, b"data");
        let data = bytes::Bytes::from(data);
        let fields: Vec<_> = self
            .keys
            .fields
            .iter()
            .map(|key| Variable { name: Arc::clone(&key.name), value: data.clone() })
            .collect();
        let depth = self.segments.iter().filter_map(|segment| match segment {
            Segment::TagPart(index) => usize::try_from(*index).ok(),
            _ => None,
        });
        let tag = Tag::new(&vec!["a"; depth.max().unwrap_or(1).clamp(1, 64)].join("."));
        let facts = ChunkFacts {
            id: "00000000000000000000000000000000",
            timekey: self.keys.time.as_ref().map(|slices| slices.timekey(EventTime::now().sec)),
            tag: self.keys.tag.then_some(&tag),
            fields: (!fields.is_empty()).then_some(&fields),
        };
        self.fill(facts).unwrap_or_else(|_| self.text.clone())
    }

    pub(super) fn fill(&self, chunk: ChunkFacts<'_>) -> Result<String, WriteError> {
        if chunk.timekey.is_none() && chunk.tag.is_none() && chunk.fields.is_none() {
            // A chunk without keys (of an older version, or whose metadata was lost): only its id is known.
            return Ok(self.text.replacen("${chunk_id}", chunk.id, 1));
        }
        let mut out = Vec::with_capacity(self.text.len() + 32);
        for segment in &self.segments {
            match segment {
                Segment::Text(text, format) => match (&self.keys.time, chunk.timekey) {
                    (None, _) => out.extend_from_slice(text.as_bytes()),
                    (Some(slices), Some(timekey)) => {
                        format.format(EventTime::from_secs(timekey), &slices.zone, &mut out);
                    }
                    (Some(_), None) => {
                        return Err(refusal("chunk has no time although 'time' is a chunk key"));
                    }
                },
                Segment::ChunkId => out.extend_from_slice(chunk.id.as_bytes()),
                Segment::Tag | Segment::TagPart(_) if !self.keys.tag => {
                    self.warn_not_replaced(&segment.placeholder());
                    out.extend_from_slice(format!("${{{}}}", segment.placeholder()).as_bytes());
                }
                Segment::Tag => out.extend_from_slice(self.tag(chunk)?.as_bytes()),
                Segment::TagPart(index) => out.extend_from_slice(part(self.tag(chunk)?, *index).as_bytes()),
                Segment::Field(name) => self.push_field(name, chunk, &mut out)?,
            }
        }
        let out = String::from_utf8(out)
            .unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned());
        if parents(&out) > parents(&self.text) {
            return Err(refusal(format!("Invalid path component detected, replaced to: {out}")));
        }
        Ok(out)
    }

    fn warn_not_replaced(&self, placeholder: &str) {
        let text = &self.text;
        log_warn!(self.log, format!("chunk key placeholder '{placeholder}' not replaced. template:{text}"));
    }

    fn tag<'a>(&self, chunk: ChunkFacts<'a>) -> Result<&'a str, WriteError> {
        let Some(tag) = chunk.tag else {
            return Err(refusal("chunk has no tag although 'tag' is a chunk key"));
        };
        if leads_out(tag.as_str()) {
            return Err(refusal(format!("Invalid path component detected in tag: {tag}")));
        }
        Ok(tag.as_str())
    }

    fn push_field(&self, name: &str, chunk: ChunkFacts<'_>, out: &mut Vec<u8>) -> Result<(), WriteError> {
        let known = self.keys.field_names().any(|key| key == name);
        let (Some(fields), true) = (chunk.fields, known) else {
            self.warn_not_replaced(name);
            if chunk.fields.is_none() {
                out.extend_from_slice(format!("${{{name}}}").as_bytes());
            }
            return Ok(());
        };
        let Some(variable) = fields.iter().find(|variable| *variable.name == *name) else { return Ok(()) };
        let start = out.len();
        ruby_to_s(&variable.value, out);
        let value = String::from_utf8_lossy(&out[start..]);
        if leads_out(&value) {
            return Err(refusal(format!("Invalid path component detected in ${{{name}}}: {value}")));
        }
        Ok(())
    }

    /// The finest part of time that the text shows.
    fn finest_time(&self) -> Option<(i64, &'static str, &'static str)> {
        let shown = |sec: i64| {
            let mut out = Vec::new();
            for segment in &self.segments {
                match segment {
                    Segment::Text(_, format) => {
                        format.format(EventTime::from_secs(sec), &Zone::UTC, &mut out)
                    }
                    _ => out.push(b'$'),
                }
            }
            out
        };
        let base = shown(CHECK_BASE);
        TIME_PARTS.into_iter().find(|(sec, _, _)| shown(CHECK_BASE + sec) != base)
    }
}

impl Segment {
    fn placeholder(&self) -> String {
        match self {
            Self::Text(text, _) => text.clone(),
            Self::Tag => "tag".to_owned(),
            Self::TagPart(index) => format!("tag[{index}]"),
            Self::ChunkId => "chunk_id".to_owned(),
            Self::Field(name) => name.clone(),
        }
    }
}

fn refusal(message: impl Into<String>) -> WriteError {
    WriteError::reject("Fluent::UnrecoverableError", message)
}

fn segments(text: &str) -> Vec<Segment> {
    let mut segments = Vec::new();
    let mut literal = String::new();
    let mut rest = text;
    while let Some(at) = rest.find("${") {
        literal.push_str(&rest[..at]);
        rest = &rest[at..];
        match rest.find('}').and_then(|end| Some((placeholder(&rest[2..end])?, end + 1))) {
            Some((segment, end)) => {
                push_text(&mut segments, &mut literal);
                segments.push(segment);
                rest = &rest[end..];
            }
            None => {
                literal.push_str("${");
                rest = &rest[2..];
            }
        }
    }
    literal.push_str(rest);
    push_text(&mut segments, &mut literal);
    segments
}

fn push_text(segments: &mut Vec<Segment>, literal: &mut String) {
    if !literal.is_empty() {
        let text = std::mem::take(literal);
        let format = TimeFormat::new(&text);
        segments.push(Segment::Text(text, format));
    }
}

fn placeholder(inner: &str) -> Option<Segment> {
    match inner {
        "tag" => return Some(Segment::Tag),
        "chunk_id" => return Some(Segment::ChunkId),
        _ => {}
    }
    if let Some(index) = inner.strip_prefix("tag[").and_then(|rest| rest.strip_suffix(']')) {
        let digits = index.strip_prefix('-').unwrap_or(index);
        let is_number = !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit());
        return is_number.then(|| Segment::TagPart(index.parse().unwrap_or(i64::MAX)));
    }
    let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.' | '@' | '$');
    (!inner.is_empty() && inner.chars().all(allowed)).then(|| Segment::Field(inner.to_owned()))
}

/// Part `index` of a tag, negative from the end; empty if there is none.
fn part(tag: &str, index: i64) -> &str {
    let tag = tag.trim_end_matches('.'); // Ruby's split drops empty parts at the end
    let index = if index >= 0 {
        usize::try_from(index).ok()
    } else {
        let count = tag.split('.').count();
        usize::try_from(index.unsigned_abs()).ok().and_then(|back| count.checked_sub(back))
    };
    index.and_then(|index| tag.split('.').nth(index)).unwrap_or("")
}

/// `%r{\.\.[/\\]|^[/\\]}`
fn leads_out(value: &str) -> bool {
    parents(value) > 0 || value.split('\n').any(|line| line.starts_with(['/', '\\']))
}

fn parents(text: &str) -> usize {
    text.matches("../").count() + text.matches("..\\").count()
}
