//! The values of `<record>`: texts with placeholders, in JSON if they were written so, compiled for a tag.

use super::placeholder::{Part, Placeholder, Template};
use logweir_engine::event::Tag;
use logweir_engine::json::ruby_to_s;
use logweir_engine::log_warn;
use logweir_engine::msgpack::{Record, Time, Value, write_array_len, write_map_len, write_nil, write_str};
use logweir_engine::telemetry::PluginLog;
use logweir_engine::time::{TimeFormat, Zone};
use serde_json::Value as Json;
use std::sync::atomic::{AtomicU64, Ordering};

/// A value as it is configured.
#[derive(Clone, Debug)]
pub(super) enum Node {
    Text(Template),
    Array(Vec<Node>),
    Map(Vec<(Template, Node)>),
    /// A number, boolean or nil in JSON.
    Raw(Vec<u8>),
}

impl Node {
    /// From a value of `<record>`; what begins like JSON but is none is a text, with a warning.
    pub(super) fn parse(text: &str, log: &PluginLog) -> Self {
        if text.starts_with(['{', '[']) {
            match serde_json::from_str::<Json>(text) {
                Ok(json) => return Self::from_json(&json),
                Err(error) => {
                    let message = format!("failed to parse {text} as json. Assuming {text} is a string");
                    log_warn!(log, message, error = error.to_string());
                }
            }
        }
        Self::Text(Template::parse(text))
    }

    fn from_json(json: &Json) -> Self {
        match json {
            Json::String(text) => Self::Text(Template::parse(text)),
            Json::Array(items) => Self::Array(items.iter().map(Self::from_json).collect()),
            Json::Object(fields) => Self::Map(
                fields.iter().map(|(key, value)| (Template::parse(key), Self::from_json(value))).collect(),
            ),
            other => {
                let mut raw = Vec::new();
                // The text of a JSON scalar is JSON.
                let options = logweir_engine::json::ReadOptions::default();
                let _ = logweir_engine::json::to_msgpack(other.to_string().as_bytes(), &mut raw, options);
                Self::Raw(raw)
            }
        }
    }

    /// For a tag: what depends on it alone is worked out once.
    pub(super) fn compile(&self, scope: &Scope<'_>) -> Compiled {
        match self {
            Self::Raw(raw) => Compiled::Constant(raw.clone()),
            Self::Text(template) => Compiled::text(template, scope, scope.auto_typecast),
            Self::Array(items) => {
                let items: Vec<Compiled> = items.iter().map(|item| item.compile(scope)).collect();
                if items.iter().all(Compiled::is_constant) {
                    let mut raw = Vec::new();
                    write_array_len(&mut raw, items.len());
                    items.iter().for_each(|item| item.constant_into(&mut raw));
                    return Compiled::Constant(raw);
                }
                Compiled::Array(items)
            }
            Self::Map(fields) => {
                let fields: Vec<(Compiled, Compiled)> = fields
                    .iter()
                    .map(|(key, value)| (Compiled::text(key, scope, false), value.compile(scope)))
                    .collect();
                if fields.iter().all(|(key, value)| key.is_constant() && value.is_constant()) {
                    let mut raw = Vec::new();
                    write_map_len(&mut raw, fields.len());
                    for (key, value) in &fields {
                        key.constant_into(&mut raw);
                        value.constant_into(&mut raw);
                    }
                    return Compiled::Constant(raw);
                }
                Compiled::Map(fields)
            }
        }
    }
}

/// What is known when values are compiled.
pub(super) struct Scope<'a> {
    pub(super) tag: &'a Tag,
    pub(super) hostname: &'a str,
    pub(super) auto_typecast: bool,
    pub(super) log: &'a PluginLog,
}

/// A value for the events of one tag.
#[derive(Debug)]
pub(super) enum Compiled {
    /// The same for all of them: raw MessagePack.
    Constant(Vec<u8>),
    /// A field, with its type.
    Field(Missing),
    Text(Vec<Piece>),
    Array(Vec<Compiled>),
    Map(Vec<(Compiled, Compiled)>),
}

/// A piece of a text.
#[derive(Debug)]
pub(super) enum Piece {
    Literal(Vec<u8>),
    Field(Missing),
    Time,
}

/// A field that may be missing, which is warned of less and less often.
#[derive(Debug)]
pub(super) struct Missing {
    key: Vec<u8>,
    written: String,
    count: AtomicU64,
}

impl Missing {
    fn new(key: &str, written: &str) -> Self {
        Self { key: key.as_bytes().to_vec(), written: written.to_owned(), count: AtomicU64::new(0) }
    }

    fn get<'r, 'a>(&self, record: &'r Record<'a>, log: &PluginLog) -> Option<&'r Value<'a>> {
        let value = record.get(&self.key);
        if value.is_none() && (self.count.fetch_add(1, Ordering::Relaxed) + 1).is_power_of_two() {
            log_warn!(log, format!("unknown placeholder `{}` found", self.written));
        }
        value
    }
}

impl Compiled {
    /// `typed`: a placeholder alone gives its value rather than its text.
    fn text(template: &Template, scope: &Scope<'_>, typed: bool) -> Self {
        if typed && let Some((written, placeholder)) = template.single() {
            if let Placeholder::Record(key) = placeholder {
                return Self::Field(Missing::new(key, written));
            }
            if *placeholder == Placeholder::Time {
                return Self::Text(vec![Piece::Time]);
            }
            let mut raw = Vec::new();
            match known(written, placeholder, scope) {
                Some(text) => write_str(&mut raw, text.as_bytes()),
                None => write_nil(&mut raw),
            }
            return Self::Constant(raw);
        }
        let mut pieces: Vec<Piece> = Vec::new();
        for part in &template.parts {
            let literal = match part {
                Part::Literal(text) => text.clone(),
                Part::Placeholder(written, Placeholder::Record(key)) => {
                    pieces.push(Piece::Field(Missing::new(key, written)));
                    continue;
                }
                Part::Placeholder(_, Placeholder::Time) => {
                    pieces.push(Piece::Time);
                    continue;
                }
                Part::Placeholder(written, placeholder) => {
                    known(written, placeholder, scope).unwrap_or_default()
                }
            };
            match pieces.last_mut() {
                Some(Piece::Literal(before)) => before.extend_from_slice(literal.as_bytes()),
                _ => pieces.push(Piece::Literal(literal.into_bytes())),
            }
        }
        if !pieces.iter().all(|piece| matches!(piece, Piece::Literal(_))) {
            return Self::Text(pieces);
        }
        let mut raw = Vec::new();
        write_str(
            &mut raw,
            pieces.first().map_or(&[][..], |piece| match piece {
                Piece::Literal(text) => text,
                _ => &[],
            }),
        );
        Self::Constant(raw)
    }

    pub(super) fn is_constant(&self) -> bool {
        matches!(self, Self::Constant(_))
    }

    fn constant_into(&self, out: &mut Vec<u8>) {
        if let Self::Constant(raw) = self {
            out.extend_from_slice(raw);
        }
    }

    /// Appends the value for an event as MessagePack. `time` is its time, `record` as it came.
    pub(super) fn write(&self, record: &Record<'_>, time: Time, log: &PluginLog, out: &mut Vec<u8>) {
        match self {
            Self::Constant(raw) => out.extend_from_slice(raw),
            Self::Field(field) => match field.get(record, log) {
                Some(value) => value.write(out),
                None => write_nil(out),
            },
            Self::Text(pieces) => {
                let mut text = Vec::new();
                pieces.iter().for_each(|piece| piece.append(record, time, log, &mut text));
                write_str(out, &text);
            }
            Self::Array(items) => {
                write_array_len(out, items.len());
                items.iter().for_each(|item| item.write(record, time, log, out));
            }
            Self::Map(fields) => {
                write_map_len(out, fields.len());
                for (key, value) in fields {
                    key.write(record, time, log, out);
                    value.write(record, time, log, out);
                }
            }
        }
    }

    /// The value if it is a field as it came, which need not be written and read again.
    pub(super) fn field<'r, 'a>(
        &self,
        record: &'r Record<'a>,
        log: &PluginLog,
    ) -> Option<Option<&'r Value<'a>>> {
        match self {
            Self::Field(field) => Some(field.get(record, log)),
            _ => None,
        }
    }
}

impl Piece {
    fn append(&self, record: &Record<'_>, time: Time, log: &PluginLog, out: &mut Vec<u8>) {
        match self {
            Self::Literal(text) => out.extend_from_slice(text),
            Self::Time => {
                let format = TimeFormat::new("%Y-%m-%d %H:%M:%S %z");
                format.format(time.to_event_time().unwrap_or_default(), &Zone::local(), out);
            }
            Self::Field(field) => match field.get(record, log) {
                Some(Value::Str(text) | Value::Bin(text)) => out.extend_from_slice(text),
                Some(value) => {
                    let mut raw = Vec::new();
                    value.write(&mut raw);
                    ruby_to_s(&raw, out);
                }
                None => {}
            },
        }
    }
}

/// The text of a placeholder that depends on the tag alone; an unknown one is warned of.
fn known(written: &str, placeholder: &Placeholder, scope: &Scope<'_>) -> Option<String> {
    match placeholder.of_tag(scope.tag, scope.hostname) {
        Some(Some(text)) => Some(text),
        Some(None) | None => {
            log_warn!(scope.log, format!("unknown placeholder `{written}` found"), tag = scope.tag);
            None
        }
    }
}
