//! A plugin's parameters and sections, as text.

use super::Form;
use logweir_engine::config::value::Value;
use logweir_engine::output::{BUFFER_SECTION, OUTPUT_PARAMS, SECONDARY_SECTION};
use logweir_engine::plugin::{
    BufferSupport, DefaultValue, Kind, Param, ParamKind, Registry, SectionSpec, Status,
};
use logweir_engine::telemetry::inspect;
use serde_json::{Map, Value as Json, json};

/// What one class of Fluentd's would declare.
pub(super) struct Table {
    /// Its name.
    pub(super) class: String,
    params: Vec<Param>,
    sections: Vec<SectionSpec>,
}

const KINDS: &[(&str, Kind, &str)] = &[
    ("input", Kind::Input, "Input"),
    ("output", Kind::Output, "Output"),
    ("filter", Kind::Filter, "Filter"),
    ("parser", Kind::Parser, "Parser"),
    ("formatter", Kind::Formatter, "Formatter"),
];

/// Classes whose names are not made of their `@type`.
const CLASSES: &[(&str, &str)] = &[
    ("parser:json", "JSONParser"),
    ("parser:csv", "CSVParser"),
    ("parser:tsv", "TSVParser"),
    ("parser:ltsv", "LabeledTSVParser"),
    ("parser:msgpack", "MessagePackParser"),
    ("formatter:json", "JSONFormatter"),
    ("formatter:tsv", "TSVFormatter"),
    ("formatter:ltsv", "LabeledTSVFormatter"),
    ("formatter:msgpack", "MessagePackFormatter"),
    ("output:http", "HTTPOutput"),
    ("output:roundrobin", "RoundRobinOutput"),
];

impl Table {
    /// Those of a plugin, that of its base class first.
    pub(super) fn of(kind: &str, name: &str, registry: &Registry) -> Result<Vec<Self>, String> {
        if kind == "buffer" {
            if !matches!(name, "file" | "file_single" | "memory") {
                return Err(format!(
                    "Unknown buffer plugin '{name}'; there are file, file_single and memory"
                ));
            }
            let (params, sections) = (BUFFER_SECTION.params.to_vec(), BUFFER_SECTION.sections.to_vec());
            return Ok(vec![Self { class: class(kind, name, "Buffer"), params, sections }]);
        }
        let Some((_, of, suffix)) = KINDS.iter().find(|(word, ..)| *word == kind) else {
            return Err(format!("there are no plugins of the type {kind}"));
        };
        let Some(plugin) = registry.find(*of, name) else {
            let mut names: Vec<&str> = registry.iter().filter(|p| p.kind == *of).map(|p| p.name).collect();
            names.sort_unstable();
            return Err(format!("Unknown {kind} plugin '{name}'; there are {}", names.join(", ")));
        };
        let mut tables = Vec::new();
        if *of == Kind::Output && !matches!(plugin.buffer, BufferSupport::Never) {
            let sections = vec![BUFFER_SECTION, SECONDARY_SECTION];
            let class = "Fluent::Plugin::Output".to_owned();
            tables.push(Self { class, params: OUTPUT_PARAMS.to_vec(), sections });
        }
        let (params, sections) = (plugin.params.to_vec(), plugin.sections.to_vec());
        tables.push(Self { class: class(kind, name, suffix), params, sections });
        Ok(tables)
    }

    /// `name: type: (default) # description` a line, sections indented.
    pub(super) fn text(&self, level: usize) -> String {
        text(&self.params, &self.sections, level)
    }

    /// See [`super::markdown`].
    pub(super) fn markdown(&self, form: Form, level: usize) -> String {
        markdown(&self.params, &self.sections, form, level)
    }

    /// An object with a member for each parameter and section.
    pub(super) fn json(&self) -> Json {
        Json::Object(object(&self.params, &self.sections))
    }
}

fn class(kind: &str, name: &str, suffix: &str) -> String {
    let key = format!("{kind}:{name}");
    if let Some((_, class)) = CLASSES.iter().find(|(known, _)| *known == key) {
        return format!("Fluent::Plugin::{class}");
    }
    let word = |word: &str| {
        let mut chars = word.chars();
        chars.next().map(|first| first.to_ascii_uppercase().to_string() + chars.as_str()).unwrap_or_default()
    };
    format!("Fluent::Plugin::{}{suffix}", name.split('_').map(word).collect::<String>())
}

fn text(params: &[Param], sections: &[SectionSpec], level: usize) -> String {
    let indent = " ".repeat(level);
    let mut out = String::new();
    for param in params {
        out.push_str(&format!(
            "{indent}{}: {}: ({}) # {}\n",
            param.name,
            kind(param),
            ruby(param),
            param.about
        ));
    }
    for section in sections {
        let alias = section.aliases.first().map(|alias| format!(", alias: {alias}")).unwrap_or_default();
        out.push_str(&format!(
            "{indent}<{}>: {}, {}{alias}\n",
            section.name,
            need(section.required),
            count(section)
        ));
        out.push_str(&text(section.params, section.sections, level + 1));
    }
    out
}

fn markdown(params: &[Param], sections: &[SectionSpec], form: Form, level: usize) -> String {
    let mut out = String::new();
    if form.table && !params.is_empty() {
        out.push_str("### Configuration\n\n|parameter|type|description|default|\n|---|---|---|---|\n");
    }
    for param in params {
        out.push_str(&match form {
            Form { compact: true, .. } => compact(param),
            Form { table: true, .. } => row(param),
            _ => paragraph(param, level),
        });
    }
    out.push('\n');
    let header = "#".repeat(3 + level);
    for section in sections {
        let needed = need(section.required);
        out.push_str(&format!("{header} \\<{}\\> section ({needed}) ({})\n\n", section.name, count(section)));
        if let Some(alias) = section.aliases.first() {
            out.push_str(&format!("Alias: {alias}\n\n"));
        }
        out.push_str(&markdown(section.params, section.sections, form, level + 1));
        out.push('\n');
    }
    out
}

fn paragraph(param: &Param, level: usize) -> String {
    let header = "#".repeat(3 + level);
    let mut out = format!(
        "{header} {} ({}) ({})\n\n{}\n",
        param.name,
        kind(param),
        need(is_required(param)),
        param.about
    );
    for (title, value) in notes(param) {
        out.push_str(&format!("\n{title}: {value}\n"));
    }
    out + "\n"
}

fn compact(param: &Param) -> String {
    let mut out =
        format!("* **{}** ({}) ({}): {}\n", param.name, kind(param), need(is_required(param)), param.about);
    for (title, value) in notes(param) {
        out.push_str(&format!("  * {title}: {value}\n"));
    }
    out
}

fn row(param: &Param) -> String {
    let mut about = param.about.replace('|', "\\|");
    if let ParamKind::Enum(words) = param.kind {
        let words: Vec<String> = words.iter().map(|word| format!("`{word}`")).collect();
        about.push_str(&format!(" ({})", words.join(", ")));
    }
    for (title, value) in notes(param) {
        if !title.contains("alue") {
            about.push_str(&format!("<br>{title}: {value}"));
        }
    }
    let default = default(param).map(|text| format!("`{text}`")).unwrap_or_default();
    format!("|{}|{} ({})|{about}|{default}|\n", param.name, kind(param), need(is_required(param)))
}

/// What is said of a parameter beside its type and meaning.
fn notes(param: &Param) -> Vec<(&'static str, String)> {
    let mut notes = Vec::new();
    if let ParamKind::Enum(words) = param.kind {
        notes.push(("Available values", words.join(", ")));
    }
    notes.extend(default(param).map(|text| ("Default value", format!("`{text}`."))));
    notes.extend(param.aliases.first().map(|alias| ("Alias", (*alias).to_owned())));
    match param.status {
        Status::Active => {}
        Status::Deprecated(why) => notes.push(("Deprecated", why.to_owned())),
        Status::Removed(why) => notes.push(("Obsoleted", why.to_owned())),
        Status::WithoutEffect(why) => notes.push(("Without effect", why.to_owned())),
    }
    notes
}

fn object(params: &[Param], sections: &[SectionSpec]) -> Map<String, Json> {
    let mut out = Map::new();
    for param in params {
        let mut about = json!({"type": kind(param), "required": is_required(param), "desc": param.about});
        if let Json::Object(about) = &mut about {
            if !is_required(param) {
                about.insert("default".to_owned(), json_default(param));
            }
            if let ParamKind::Enum(words) = param.kind {
                about.insert("list".to_owned(), words.into());
            }
            if let Some(alias) = param.aliases.first() {
                about.insert("alias".to_owned(), (*alias).into());
            }
            if param.secret {
                about.insert("secret".to_owned(), true.into());
            }
            match param.status {
                Status::Active => {}
                Status::Deprecated(why) => drop(about.insert("deprecated".to_owned(), why.into())),
                Status::Removed(why) => drop(about.insert("obsoleted".to_owned(), why.into())),
                Status::WithoutEffect(why) => drop(about.insert("without_effect".to_owned(), why.into())),
            }
        }
        out.insert(param.name.to_owned(), about);
    }
    for section in sections {
        let mut inner = object(section.params, section.sections);
        inner.insert("required".to_owned(), section.required.into());
        inner.insert("multi".to_owned(), section.repeated.into());
        inner.insert("alias".to_owned(), section.aliases.first().copied().into());
        inner.insert("section".to_owned(), true.into());
        out.insert(section.name.to_owned(), Json::Object(inner));
    }
    out
}

fn kind(param: &Param) -> &'static str {
    match param.kind {
        ParamKind::String => "string",
        ParamKind::Integer => "integer",
        ParamKind::Float => "float",
        ParamKind::Bool => "bool",
        ParamKind::Size => "size",
        ParamKind::Time => "time",
        ParamKind::Array => "array",
        ParamKind::Hash => "hash",
        ParamKind::Enum(_) => "enum",
        ParamKind::Regexp => "regexp",
    }
}

fn is_required(param: &Param) -> bool {
    param.default == DefaultValue::Required
}

fn need(is_required: bool) -> &'static str {
    if is_required { "required" } else { "optional" }
}

fn count(section: &SectionSpec) -> &'static str {
    if section.repeated { "multiple" } else { "single" }
}

/// The default as it is typed.
fn typed(param: &Param) -> Option<Value> {
    let DefaultValue::Text(text) = param.default else { return None };
    Value::parse(param.kind, text, false, param.name).ok().filter(|value| !value.is_nil())
}

fn default(param: &Param) -> Option<String> {
    Some(match typed(param)? {
        Value::Text(text) => text,
        Value::Word(word) => word.to_owned(),
        _ => match json_default(param) {
            Json::String(text) => text,
            value => value.to_string(),
        },
    })
}

/// As Ruby's `inspect` shows it.
fn ruby(param: &Param) -> String {
    match typed(param) {
        None => "nil".to_owned(),
        Some(Value::Text(text)) => inspect(&text),
        Some(Value::Word(word)) => format!(":{word}"),
        Some(_) => json_default(param).to_string(),
    }
}

fn json_default(param: &Param) -> Json {
    let whole = |number: f64| {
        if number.fract() == 0.0 && number.abs() < 1e15 {
            Json::from(number as i64)
        } else {
            Json::from(number)
        }
    };
    match typed(param) {
        None => Json::Null,
        Some(Value::Text(text)) => text.into(),
        Some(Value::Word(word)) => word.into(),
        Some(Value::Integer(number) | Value::Size(number)) => number.into(),
        Some(Value::Float(number)) => number.into(),
        Some(Value::Time(number)) => whole(number),
        Some(Value::Bool(value)) => value.into(),
        Some(Value::Array(items)) => items.into(),
        Some(Value::Hash(pairs)) => Json::Object(pairs.into_iter().collect()),
        Some(Value::Nil | Value::Regexp(_)) => match param.default {
            DefaultValue::Text(text) => text.into(),
            _ => Json::Null,
        },
    }
}
