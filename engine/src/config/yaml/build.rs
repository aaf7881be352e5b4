//! A YAML tree to directives.

use super::node::{Key, Node, Value};
use crate::config::{Attr, Diagnostic, Diagnostics, Element, RawValue, Span};

/// Adds what a file holds to the root.
pub(super) fn root(node: &Node, root: &mut Element, diagnostics: &mut Diagnostics) {
    let mut builder = Builder { diagnostics };
    let Some(members) = node.as_map() else {
        return builder.error("expected a map with the keys system and config", &node.span);
    };
    if let Some((key, system)) = find(members, "system") {
        root.elements.extend(builder.section("system", system, key));
    }
    if let Some((_, config)) = find(members, "config") {
        root.elements.extend(builder.directives(config));
    }
    for (key, _) in members.iter().filter(|(key, _)| key.text != "system" && key.text != "config") {
        builder.unused(key, "the top level", "system, config");
    }
}

struct Builder<'a> {
    diagnostics: &'a mut Diagnostics,
}

/// The directives in the order in which those of one list item are taken.
const DIRECTIVES: [&str; 5] = ["label", "source", "filter", "match", "worker"];

impl Builder<'_> {
    /// The directives of a list; a list in it (that of an `!include`) counts as part of it.
    fn directives(&mut self, node: &Node) -> Vec<Element> {
        let Some(items) = node.as_list() else {
            self.error("expected a list of directives", &node.span);
            return Vec::new();
        };
        let mut elements = Vec::new();
        for item in items {
            match &item.value {
                Value::List(_) => elements.extend(self.directives(item)),
                Value::Map(members) => {
                    for name in DIRECTIVES {
                        if let Some((key, inner)) = find(members, name) {
                            elements.extend(self.directive(name, inner, key));
                        }
                    }
                    for (key, _) in members.iter().filter(|(key, _)| !DIRECTIVES.contains(&key.text.as_str()))
                    {
                        self.unused(key, "config", &DIRECTIVES.join(", "));
                    }
                }
                Value::Scalar(_) => self.error("expected a directive", &item.span),
            }
        }
        elements
    }

    fn directive(&mut self, name: &str, node: &Node, key: &Key) -> Option<Element> {
        let arg_key = match name {
            "label" => "$name",
            "worker" => "$arg",
            _ => return self.section(name, node, key),
        };
        let Some(members) = node.as_map() else {
            self.error(format!("expected a map with the keys {arg_key} and config"), &node.span);
            return None;
        };
        let mut element = Element::new(name, "", key.span.clone());
        self.argument(&mut element, members, arg_key);
        match find(members, "config") {
            Some((_, config)) => element.elements = self.directives(config),
            None => self.error(format!("{name} has no config"), &key.span),
        }
        for (key, _) in members.iter().filter(|(key, _)| key.text != arg_key && key.text != "config") {
            self.unused(key, name, &format!("{arg_key}, config"));
        }
        Some(element)
    }

    fn section(&mut self, name: &str, node: &Node, key: &Key) -> Option<Element> {
        let members = match &node.value {
            Value::Map(members) => members.as_slice(),
            // A key without value is a section without parameters.
            Value::Scalar(scalar) if scalar.value == RawValue::Nil => &[],
            _ => {
                self.error(format!("expected a map of the parameters of {name}"), &node.span);
                return None;
            }
        };
        let mut element = Element::new(name, "", key.span.clone());
        let arg_key = if matches!(name, "filter" | "match") { "$tag" } else { "$arg" };
        self.argument(&mut element, members, arg_key);
        for (special, reserved) in SPECIAL {
            if let Some((key, value)) = find(members, special) {
                let text = RawValue::Text(value.joined().unwrap_or_default());
                element.set(Attr::new(*reserved, text, key.span.clone(), value.span.clone()));
            }
        }
        for (key, value) in members {
            let is_special = SPECIAL.iter().any(|(special, _)| *special == key.text);
            if !is_special && key.text != arg_key {
                self.member(&mut element, key, value);
            }
        }
        Some(element)
    }

    fn member(&mut self, element: &mut Element, key: &Key, value: &Node) {
        let raw = match &value.value {
            Value::Map(_) => {
                element.elements.extend(self.section(&key.text, value, key));
                return;
            }
            Value::List(items) if matches!(items.first().map(|item| &item.value), Some(Value::Map(_))) => {
                for item in items {
                    element.elements.extend(self.section(&key.text, item, key));
                }
                return;
            }
            Value::List(_) => RawValue::Text(value.to_json().to_string()),
            Value::Scalar(scalar) => scalar.value.clone(),
        };
        element.set(Attr::new(&*key.text, raw, key.span.clone(), value.span.clone()));
    }

    fn argument(&mut self, element: &mut Element, members: &[(Key, Node)], name: &str) {
        let Some((_, value)) = find(members, name) else { return };
        match value.joined() {
            Some(arg) => {
                element.arg = arg;
                element.arg_span = Some(value.span.clone());
            }
            None => self.error(format!("{name} must be a text or a list of texts"), &value.span),
        }
    }

    fn unused(&mut self, key: &Key, place: &str, known: &str) {
        let warning = Diagnostic::warning(format!("section <{}> is not used in {place}", key.text));
        self.diagnostics.push(warning.at(&key.span).help(format!("known here: {known}")));
    }

    fn error(&mut self, message: impl Into<String>, span: &Span) {
        self.diagnostics.push(Diagnostic::error(message).class_name("Fluent::ConfigParseError").at(span));
    }
}

const SPECIAL: &[(&str, &str)] =
    &[("$type", "@type"), ("$label", "@label"), ("$id", "@id"), ("$log_level", "@log_level")];

fn find<'a>(members: &'a [(Key, Node)], name: &str) -> Option<(&'a Key, &'a Node)> {
    members.iter().find(|(key, _)| key.text == name).map(|(key, value)| (key, value))
}
