//! A configuration as text (what Fluentd logs at start) and as JSON (`logweir config FILE --json`), secrets masked.

use super::{Attr, Checker, Element, RawValue, Session, directives};
use super::{MASKED, without_credentials};
use crate::plugin::{DefaultValue, ParamKind, Registry};
use serde_json::{Map, Value as Json, json};
use std::fmt;

/// What to do with passwords and keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Secrets {
    /// `xxxxxx` in their place.
    Masked,
    /// They are shown.
    Shown,
}

impl Element {
    /// `{"name", "arg", "attrs": {}, "elements": []}`. Values are texts; one that is `use_nil` is null, one that is
    /// `use_default` is `":default"`. Secrets are masked, once it is checked also those that only the plugin knows.
    pub fn to_json(&self) -> Json {
        self.as_json(Secrets::Masked)
    }

    /// As [`Self::to_json`], of the directives as they are written, with what the plugins say is secret.
    pub fn tree(&self, registry: &Registry, secrets: Secrets) -> Json {
        let checked = self.checked(registry);
        let mut root = self.clone();
        root.declare_as(&checked);
        root.as_json(secrets)
    }

    fn as_json(&self, secrets: Secrets) -> Json {
        let attrs: Map<String, Json> = self
            .attrs
            .iter()
            .map(|attr| {
                let value = match &attr.value {
                    _ if attr.is_hidden(secrets) => Json::from(MASKED),
                    RawValue::Text(text) if secrets == Secrets::Masked => {
                        Json::from(without_credentials(text).as_ref())
                    }
                    RawValue::Text(text) => Json::from(text.as_str()),
                    RawValue::Nil | RawValue::Invalid => Json::Null,
                    RawValue::Default => Json::from(":default"),
                };
                (attr.name.clone(), value)
            })
            .collect();
        let elements: Vec<Json> = self.elements.iter().map(|inner| inner.as_json(secrets)).collect();
        json!({ "name": self.name, "arg": self.arg, "attrs": attrs, "elements": elements })
    }

    /// As Fluentd logs a whole configuration after `using configuration file: `, without a line end at the end: texts in
    /// quotes, secrets masked, older spellings moved into their sections. `self` is the root.
    pub fn dump(&self, registry: &Registry) -> String {
        self.dump_with(registry, Secrets::Masked)
    }

    /// As [`Self::dump`], with secrets or without.
    pub fn dump_with(&self, registry: &Registry, secrets: Secrets) -> String {
        let checked = self.checked(registry);
        fmt::from_fn(|f| checked.write(f, 0, secrets)).to_string().trim_end().to_owned()
    }

    fn checked(&self, registry: &Registry) -> Self {
        let mut root = self.clone();
        let session = Session::new(false);
        let mut checker = Checker::new(registry, &session);
        directives::check_in(&mut root, &mut checker);
        root
    }

    /// Learns from itself, checked, which parameters its attributes set. The check adds sections behind those that are
    /// written, and changes nothing else.
    fn declare_as(&mut self, checked: &Self) {
        for (attr, checked) in self.attrs.iter_mut().zip(&checked.attrs) {
            attr.declared = checked.declared;
        }
        for (element, checked) in self.elements.iter_mut().zip(&checked.elements) {
            element.declare_as(checked);
        }
    }

    fn write(&self, f: &mut fmt::Formatter<'_>, level: usize, secrets: Secrets) -> fmt::Result {
        let indent = level * 2;
        match self.arg.as_str() {
            "" => writeln!(f, "{:indent$}<{}>", "", self.name)?,
            arg => writeln!(f, "{:indent$}<{} {arg}>", "", self.name)?,
        }
        for attr in &self.attrs {
            writeln!(f, "{:indent$}  {} {}", "", attr.name, attr.shown(secrets))?;
        }
        for element in &self.elements {
            element.write(f, level + 1, secrets)?;
        }
        writeln!(f, "{:indent$}</{}>", "", self.name)
    }
}

/// The directive as Fluentd shows it, with a line end at the end. Once it is checked, texts are in quotes and secrets
/// are masked.
impl fmt::Display for Element {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.write(f, 0, Secrets::Masked)
    }
}

impl Attr {
    fn is_hidden(&self, secrets: Secrets) -> bool {
        secrets == Secrets::Masked && self.is_secret()
    }

    fn shown(&self, secrets: Secrets) -> String {
        if self.is_hidden(secrets) {
            return MASKED.to_owned();
        }
        let is_string = self.declared.is_some_and(|param| param.kind == ParamKind::String);
        let masked = |text: &str| match secrets {
            Secrets::Masked => without_credentials(text).into_owned(),
            Secrets::Shown => text.to_owned(),
        };
        match (&self.value, self.declared.map(|param| param.default)) {
            (RawValue::Text(text), _) if is_string => format!("\"{}\"", escaped(&masked(text))),
            (RawValue::Text(text), _) => masked(text),
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
