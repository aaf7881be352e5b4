//! A configuration as text (what Fluentd logs at start) and as JSON (`logweir config FILE --json`).

use super::{Attr, Checker, Element, RawValue, Session, directives};
use crate::plugin::{DefaultValue, ParamKind, Registry};
use serde_json::{Map, Value as Json, json};
use std::fmt;

/// What a secret is shown as.
const MASKED: &str = "xxxxxx";

impl Element {
    /// `{"name", "arg", "attrs": {}, "elements": []}`. Values are texts; one that is `use_nil` is null, one that is
    /// `use_default` is `":default"`.
    pub fn to_json(&self) -> Json {
        let attrs: Map<String, Json> = self
            .attrs
            .iter()
            .map(|attr| {
                let value = match &attr.value {
                    _ if attr.is_secret() => Json::from(MASKED),
                    RawValue::Text(text) => Json::from(text.as_str()),
                    RawValue::Nil | RawValue::Invalid => Json::Null,
                    RawValue::Default => Json::from(":default"),
                };
                (attr.name.clone(), value)
            })
            .collect();
        let elements: Vec<Json> = self.elements.iter().map(Element::to_json).collect();
        json!({ "name": self.name, "arg": self.arg, "attrs": attrs, "elements": elements })
    }

    /// As Fluentd logs a whole configuration after `using configuration file: `, without a line end at the end: texts in
    /// quotes, secrets masked, older spellings moved into their sections. `self` is the root.
    pub fn dump(&self, registry: &Registry) -> String {
        let mut root = self.clone();
        let session = Session::new(false);
        let mut checker = Checker::new(registry, &session);
        directives::check_in(&mut root, &mut checker);
        root.to_string().trim_end().to_owned()
    }

    fn write(&self, f: &mut fmt::Formatter<'_>, level: usize) -> fmt::Result {
        let indent = level * 2;
        match self.arg.as_str() {
            "" => writeln!(f, "{:indent$}<{}>", "", self.name)?,
            arg => writeln!(f, "{:indent$}<{} {arg}>", "", self.name)?,
        }
        for attr in &self.attrs {
            writeln!(f, "{:indent$}  {} {}", "", attr.name, attr.shown())?;
        }
        for element in &self.elements {
            element.write(f, level + 1)?;
        }
        writeln!(f, "{:indent$}</{}>", "", self.name)
    }
}

/// The directive as Fluentd shows it, with a line end at the end. Once it is checked, texts are in quotes and secrets
/// are masked.
impl fmt::Display for Element {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.write(f, 0)
    }
}

impl Attr {
    fn shown(&self) -> String {
        if self.is_secret() {
            return MASKED.to_owned();
        }
        let is_string = self.declared.is_some_and(|param| param.kind == ParamKind::String);
        match (&self.value, self.declared.map(|param| param.default)) {
            (RawValue::Text(text), _) if is_string => format!("\"{}\"", escaped(text)),
            (RawValue::Text(text), _) => text.clone(),
            (RawValue::Default, Some(DefaultValue::Text(text))) => text.to_owned(),
            (RawValue::Default | RawValue::Nil | RawValue::Invalid, _) => String::new(),
        }
    }
}

fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\'' => out.push_str("\\'"),
            '\\' => out.push_str("\\\\"),
            '\r' => out.push_str("\\r"),
            '\n' => out.push_str("\\n"),
            '\t' => out.push_str("\\t"),
            '\x0c' => out.push_str("\\f"),
            '\x08' => out.push_str("\\b"),
            c => out.push(c),
        }
    }
    out
}
