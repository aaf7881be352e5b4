//! Values with `enable_ruby`: `${...}` is an expression of engine/expr.
//!
//! As in Fluentd, a value that is one placeholder and nothing else is code whose result keeps its type (auto_typecast);
//! any other value is the Ruby literal `%Q[...]` with `#{...}` for `${...}`, and is always text.

use bumpalo::Bump;
use bumpalo::collections::Vec as ArenaVec;
use logweir_engine::config::{Diagnostic, Params};
use logweir_engine::expr::{ExprError, Expression, Outcome, RecordScope, SyntaxError};
use logweir_engine::msgpack::{Key, Record, Value};
use logweir_engine::plugin::{AfterError, FilterError};
use serde_json::Value as Json;

/// A compiled value.
#[derive(Debug)]
pub(super) enum Node {
    Expression(Box<Source>),
    Array(Vec<Node>),
    Map(Vec<(Source, Node)>),
    /// A number, boolean or nil in JSON, as MessagePack.
    Raw(Vec<u8>),
}

/// An expression and what Fluentd calls it in messages.
#[derive(Debug)]
pub(super) struct Source {
    pub(super) expression: Expression,
    shown: String,
}

/// A value whose expressions have been evaluated; objects in it may still be changed by later expressions.
pub(super) enum Pending<'r, 'a> {
    Outcome(&'r Source, Outcome<'r, 'a>),
    Array(Vec<Pending<'r, 'a>>),
    Map(Vec<((&'r Source, Outcome<'r, 'a>), Pending<'r, 'a>)>),
    Raw(&'a [u8]),
}

impl Node {
    /// Compiles a value of `<record>`; `json` if it was written as JSON.
    pub(super) fn parse(text: &str, auto_typecast: bool, at: &Place<'_>) -> Result<Self, Diagnostic> {
        let json = if text.starts_with(['{', '[']) { serde_json::from_str::<Json>(text).ok() } else { None };
        match json {
            Some(json) => Self::from_json(&json, auto_typecast, at),
            None => Source::value(text, auto_typecast, at).map(|source| Self::Expression(Box::new(source))),
        }
    }

    fn from_json(json: &Json, auto_typecast: bool, at: &Place<'_>) -> Result<Self, Diagnostic> {
        Ok(match json {
            Json::String(text) => Self::Expression(Box::new(Source::value(text, auto_typecast, at)?)),
            Json::Array(items) => {
                let items: Result<Vec<Self>, Diagnostic> =
                    items.iter().map(|item| Self::from_json(item, auto_typecast, at)).collect();
                Self::Array(items?)
            }
            Json::Object(fields) => {
                let mut compiled = Vec::with_capacity(fields.len());
                for (key, value) in fields {
                    compiled.push((Source::text(key, at)?, Self::from_json(value, auto_typecast, at)?));
                }
                Self::Map(compiled)
            }
            scalar => {
                let mut raw = Vec::new();
                // The text of a JSON scalar is JSON.
                let options = logweir_engine::json::ReadOptions::default();
                let _ = logweir_engine::json::to_msgpack(scalar.to_string().as_bytes(), &mut raw, options);
                Self::Raw(raw)
            }
        })
    }

    /// All expressions in it.
    pub(super) fn sources(&self) -> Vec<&Source> {
        match self {
            Self::Expression(source) => vec![source],
            Self::Array(items) => items.iter().flat_map(Self::sources).collect(),
            Self::Map(fields) => {
                fields.iter().flat_map(|(key, value)| std::iter::once(key).chain(value.sources())).collect()
            }
            Self::Raw(_) => Vec::new(),
        }
    }

    /// Evaluates all expressions of the value.
    pub(super) fn evaluate<'r, 'a>(
        &'r self,
        scope: &'r RecordScope<'r, 'a>,
        arena: &'a Bump,
    ) -> Result<Pending<'r, 'a>, FilterError> {
        Ok(match self {
            Self::Raw(raw) => Pending::Raw(arena.alloc_slice_copy(raw)),
            Self::Expression(source) => Pending::Outcome(source, source.evaluate(scope)?),
            Self::Array(items) => {
                let items: Result<Vec<_>, FilterError> =
                    items.iter().map(|item| item.evaluate(scope, arena)).collect();
                Pending::Array(items?)
            }
            Self::Map(fields) => {
                let mut pending = Vec::with_capacity(fields.len());
                for (key, value) in fields {
                    pending.push(((key, key.evaluate(scope)?), value.evaluate(scope, arena)?));
                }
                Pending::Map(pending)
            }
        })
    }
}

impl<'r, 'a> Pending<'r, 'a> {
    /// The value as the record holds it; called when all expressions of the event have been evaluated.
    pub(super) fn value(
        self,
        scope: &'r RecordScope<'r, 'a>,
        arena: &'a Bump,
    ) -> Result<Value<'a>, FilterError> {
        Ok(match self {
            // It is well-formed: it was transcoded when the configuration was read.
            Self::Raw(raw) => Value::read(raw).unwrap_or(Value::Nil),
            Self::Outcome(source, outcome) => scope.value(outcome).map_err(|error| source.failed(&error))?,
            Self::Array(items) => {
                let mut array = ArenaVec::with_capacity_in(items.len(), arena);
                for item in items {
                    array.push(item.value(scope, arena)?);
                }
                Value::Array(array)
            }
            Self::Map(fields) => {
                let mut map = Record::new(arena);
                for ((source, key), value) in fields {
                    let key = scope.text(key).map_err(|error| source.failed(&error))?;
                    map.set_key(Key::Str(key), value.value(scope, arena)?);
                }
                Value::Map(map)
            }
        })
    }
}

/// Where an expression stands, for errors at load.
pub(super) struct Place<'a> {
    pub(super) params: &'a Params,
    pub(super) key: &'a str,
}

impl Source {
    /// A value.
    fn value(text: &str, auto_typecast: bool, at: &Place<'_>) -> Result<Self, Diagnostic> {
        let single = auto_typecast && text.matches("${").count() == 1;
        match text.strip_prefix("${").and_then(|rest| rest.strip_suffix('}')).filter(|_| single) {
            Some(code) => {
                let expression = Expression::code(code).map_err(|error| at.refuse(&error))?;
                Ok(Self { expression, shown: code.to_owned() })
            }
            None => Self::text(text, at),
        }
    }

    /// A text: the name of a field, or a value that is not code alone.
    pub(super) fn text(text: &str, at: &Place<'_>) -> Result<Self, Diagnostic> {
        let expression = Expression::template(text).map_err(|error| at.refuse(&error))?;
        Ok(Self { expression, shown: format!("%Q[{}]", text.replace("${", "#{")) })
    }

    pub(super) fn evaluate<'r, 'a>(
        &'r self,
        scope: &'r RecordScope<'r, 'a>,
    ) -> Result<Outcome<'r, 'a>, FilterError> {
        scope.evaluate(&self.expression).map_err(|error| self.failed(&error))
    }

    /// Its outcome if that is the same for all events of a tag, and no error. `scope` has no record.
    pub(super) fn constant<'r, 'a>(&'r self, scope: &'r RecordScope<'r, 'a>) -> Option<Outcome<'r, 'a>> {
        if self.expression.is_constant() { scope.evaluate(&self.expression).ok() } else { None }
    }

    /// Fluentd's error for an expression that raised.
    pub(super) fn failed(&self, error: &ExprError) -> FilterError {
        let message = format!("failed to expand `{}` : error = {}", self.shown, error.message);
        FilterError { class: "RuntimeError", message, then: AfterError::Drop }
    }
}

impl Place<'_> {
    fn refuse(&self, error: &SyntaxError) -> Diagnostic {
        crate::text::refused_expression(
            self.params,
            self.key,
            format!("{}: {}", self.key, error.message),
            error,
        )
    }
}
