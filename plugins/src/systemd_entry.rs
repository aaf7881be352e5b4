//! What `<entry>` of the systemd input and the filter `systemd_entry` do with the fields of a journal entry
//! (fluent-plugin-systemd 1.1): other names for some fields, other spellings for the rest.
//!
//! 1. Each name that `field_map` leads to gets the values of its fields, joined with blanks, in the order of the map.
//! 2. Without `field_map_strict`, the fields that the map does not mention follow, under their names as `fields_*` say. A name
//!    that is taken gets the field's value in front of what it has.

use bumpalo::Bump;
use logweir_engine::config::{Diagnostic, Params};
use logweir_engine::json::ruby_to_s;
use logweir_engine::log_warn;
use logweir_engine::msgpack::{Key, Record, Value};
use logweir_engine::plugin::{Param, ParamKind};
use logweir_engine::telemetry::PluginLog;
use serde_json::Value as Json;

/// The parameters.
pub(crate) const ENTRY_PARAMS: [Param; 4] = [
    Param::new(
        "field_map",
        ParamKind::Hash,
        "Other names for fields: {\"MESSAGE\": \"log\", \"_PID\": [\"process\", \"pid\"]}",
    )
    .default("{}"),
    Param::new(
        "field_map_strict",
        ParamKind::Bool,
        "Whether the fields that field_map does not mention are left out",
    )
    .default("false"),
    Param::new(
        "fields_strip_underscores",
        ParamKind::Bool,
        "Whether the names of fields that are not mapped lose the underscores that they begin with",
    )
    .default("false"),
    Param::new(
        "fields_lowercase",
        ParamKind::Bool,
        "Whether the names of fields that are not mapped become lower case",
    )
    .default("false"),
];

/// Which field goes where.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Mutator {
    /// New names, each with the fields that it is made of.
    map: Vec<(String, Vec<String>)>,
    /// All fields that the map mentions.
    mapped: Vec<String>,
    strict: bool,
    strip_underscores: bool,
    lowercase: bool,
    /// A field of the map that an entry does not have is also looked for in upper case.
    any_case: bool,
}

impl Mutator {
    /// From [`ENTRY_PARAMS`].
    pub(crate) fn new(params: &Params, log: &PluginLog) -> Result<Self, Diagnostic> {
        let mut mutator = Self {
            strict: params.bool("field_map_strict"),
            strip_underscores: params.bool("fields_strip_underscores"),
            lowercase: params.bool("fields_lowercase"),
            ..Self::default()
        };
        for (field, names) in params.hash("field_map").unwrap_or_default() {
            let names = match names {
                Json::String(name) => vec![name],
                Json::Array(names) => names
                    .iter()
                    .map(|name| name.as_str().map(str::to_owned))
                    .collect::<Option<_>>()
                    .unwrap_or_default(),
                _ => Vec::new(),
            };
            if names.is_empty() {
                let message = "`field_map` values must be strings or an array of strings";
                return Err(params.error("field_map", message));
            }
            for name in names {
                match mutator.map.iter_mut().find(|(known, _)| *known == name) {
                    Some((_, fields)) => fields.push(field.clone()),
                    None => mutator.map.push((name, vec![field.clone()])),
                }
            }
            mutator.mapped.push(field);
        }
        if mutator.strict && mutator.map.is_empty() {
            log_warn!(log, "`field_map_strict` set to true with empty `field_map`, expect no fields");
        }
        Ok(mutator)
    }

    /// For entries of the journal itself: what the map calls `_pid` is `_PID` there.
    #[cfg(feature = "systemd")]
    pub(crate) fn in_any_case(mut self) -> Self {
        self.any_case = !self.map.is_empty();
        self
    }

    /// The same, but names lose their underscores.
    #[cfg(feature = "systemd")]
    pub(crate) fn stripping_underscores(mut self) -> Self {
        self.strip_underscores = true;
        self
    }

    /// Whether it changes nothing.
    pub(crate) fn is_idle(&self) -> bool {
        *self == Self::default()
    }

    /// Changes the record.
    pub(crate) fn change(&self, record: &mut Record<'_>) {
        let arena = record.arena();
        let mut changed = Record::new(arena);
        for (name, fields) in &self.map {
            let found = fields.iter().filter_map(|field| self.find(record, field));
            let values = found.filter(|value| !value.is_nil());
            let values: Vec<Value<'_>> = values.cloned().collect();
            if !values.is_empty() {
                changed.set(arena.alloc_str(name).as_bytes(), joined(values, arena));
            }
        }
        if !self.strict {
            for field in record.iter() {
                let Some(name) = field.key.name() else {
                    changed.set_key(field.key, field.value.clone());
                    continue;
                };
                if self.mapped.iter().any(|mapped| mapped.as_bytes() == name) {
                    continue;
                }
                let name = self.spelled(name, arena);
                let values = std::iter::once(field.value.clone()).chain(changed.get(name).cloned());
                let value = joined(values.filter(|value| !value.is_nil()).collect(), arena);
                match field.key {
                    Key::Bin(_) => changed.set_key(Key::Bin(name), value),
                    _ => changed.set(name, value),
                }
            }
        }
        *record = changed;
    }

    fn find<'r, 'a>(&self, record: &'r Record<'a>, field: &str) -> Option<&'r Value<'a>> {
        let upper = || record.get(field.to_uppercase().as_bytes()).filter(|_| self.any_case);
        record.get(field.as_bytes()).or_else(upper)
    }

    fn spelled<'a>(&self, name: &'a [u8], arena: &'a Bump) -> &'a [u8] {
        let name = match name.iter().position(|byte| *byte != b'_') {
            Some(begin) if self.strip_underscores => &name[begin..],
            None if self.strip_underscores => &[],
            _ => name,
        };
        if !self.lowercase {
            return name;
        }
        match std::str::from_utf8(name) {
            Ok(text) => arena.alloc_str(&text.to_lowercase()).as_bytes(),
            Err(_) => arena.alloc_slice_copy(&name.to_ascii_lowercase()),
        }
    }
}

/// One value as it is; several, or none, as a text.
fn joined<'a>(mut values: Vec<Value<'a>>, arena: &'a Bump) -> Value<'a> {
    if values.len() == 1
        && let Some(value) = values.pop()
    {
        return value;
    }
    let mut text = Vec::new();
    let mut raw = Vec::new();
    for (number, value) in values.iter().enumerate() {
        if number > 0 {
            text.push(b' ');
        }
        match value.bytes() {
            Some(bytes) => text.extend_from_slice(bytes),
            None => {
                raw.clear();
                value.write(&mut raw);
                ruby_to_s(&raw, &mut text);
            }
        }
    }
    let is_text = std::str::from_utf8(&text).is_ok();
    let text = arena.alloc_slice_copy(&text);
    if is_text { Value::Str(text) } else { Value::Bin(text) }
}
