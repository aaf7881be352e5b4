//! A YAML document as a tree with places.

use crate::config::{RawValue, Span};

/// A value with its place.
#[derive(Clone, Debug)]
pub(super) struct Node {
    pub(super) span: Span,
    pub(super) value: Value,
}

#[derive(Clone, Debug)]
pub(super) enum Value {
    Scalar(Scalar),
    List(Vec<Node>),
    Map(Vec<(Key, Node)>),
}

/// A key of a map.
#[derive(Clone, Debug)]
pub(super) struct Key {
    pub(super) text: String,
    pub(super) span: Span,
}

/// A scalar as its `to_s` in Ruby.
#[derive(Clone, Debug)]
pub(super) struct Scalar {
    pub(super) value: RawValue,
    /// Whether it is a number, bool or null, which JSON writes without quotes.
    pub(super) is_plain: bool,
}

impl Node {
    pub(super) fn as_map(&self) -> Option<&[(Key, Node)]> {
        match &self.value {
            Value::Map(members) => Some(members),
            _ => None,
        }
    }

    pub(super) fn as_list(&self) -> Option<&[Node]> {
        match &self.value {
            Value::List(items) => Some(items),
            _ => None,
        }
    }

    /// The value as an argument: a scalar's text, or a list's texts joined by commas.
    pub(super) fn joined(&self) -> Option<String> {
        match &self.value {
            Value::Scalar(scalar) => Some(scalar.value.text().unwrap_or_default().to_owned()),
            Value::List(items) => {
                let texts: Option<Vec<String>> = items.iter().map(Node::joined).collect();
                texts.map(|texts| texts.join(","))
            }
            Value::Map(_) => None,
        }
    }

    /// The value as Ruby's `to_json` writes it.
    pub(super) fn to_json(&self) -> serde_json::Value {
        match &self.value {
            Value::Scalar(scalar) => match &scalar.value {
                RawValue::Text(text) if scalar.is_plain => {
                    serde_json::from_str(text).unwrap_or_else(|_| text.as_str().into())
                }
                RawValue::Text(text) => text.as_str().into(),
                RawValue::Nil | RawValue::Default | RawValue::Invalid => serde_json::Value::Null,
            },
            Value::List(items) => items.iter().map(Node::to_json).collect(),
            Value::Map(members) => {
                let members = members.iter().map(|(key, value)| (key.text.clone(), value.to_json()));
                serde_json::Value::Object(members.collect())
            }
        }
    }

    /// How many values it is made of.
    pub(super) fn size(&self) -> usize {
        match &self.value {
            Value::Scalar(_) => 1,
            Value::List(items) => 1 + items.iter().map(Node::size).sum::<usize>(),
            Value::Map(members) => 1 + members.iter().map(|(_, value)| value.size()).sum::<usize>(),
        }
    }
}
