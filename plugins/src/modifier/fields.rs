//! The fields of `<record>`.

use super::raised;
use crate::text::refused_expression;
use bumpalo::Bump;
use logweir_engine::config::{Diagnostic, Params, RawValue};
use logweir_engine::event::Tag;
use logweir_engine::expr::{ExprError, Expression, Host, PrepareError, Prepared, RecordScope, TagNames};
use logweir_engine::msgpack::{Event, Value, write_nil, write_str};
use logweir_engine::plugin::FilterError;

/// All fields.
pub(crate) struct Fields {
    list: Vec<Field>,
    prepared: Prepared,
    /// Whether an expression changes the record that it reads, as `record["a"] = 1` does.
    mutates: bool,
}

/// A field to set.
pub(crate) struct Field {
    pub(crate) key: String,
    pub(crate) value: FieldValue,
}

/// What a field is set to.
pub(crate) enum FieldValue {
    /// `"#{use_nil}"`
    Nil,
    Text(String),
    Expression(Box<Expression>),
}

impl Fields {
    pub(super) fn from_params(params: &Params, host: &Host) -> Result<Self, Diagnostic> {
        let prepared = prepare(params, host)?;
        let mut list: Vec<Field> = Vec::new();
        for section in params.sections("record") {
            for attr in &section.element().attrs {
                let value = match &attr.value {
                    RawValue::Text(text) => FieldValue::parse(&attr.name, text, &prepared, section)?,
                    RawValue::Nil => FieldValue::Nil,
                    RawValue::Default | RawValue::Invalid => continue,
                };
                match list.iter_mut().find(|field| field.key == attr.name) {
                    Some(field) => field.value = value,
                    None => list.push(Field { key: attr.name.clone(), value }),
                }
            }
        }
        let mutates = list.iter().any(|field| match &field.value {
            FieldValue::Expression(expression) => expression.mutates(),
            _ => false,
        });
        Ok(Self { list, prepared, mutates })
    }

    pub(super) fn keys(&self) -> impl Iterator<Item = &str> {
        self.list.iter().map(|field| field.key.as_str())
    }

    /// What prepare_value has set.
    pub(crate) fn prepared(&self) -> &Prepared {
        &self.prepared
    }

    /// Keys and raw values, if they are the same for all events of `tag`.
    pub(super) fn constants(&self, tag: &Tag, host: &Host) -> Option<Vec<(&str, Vec<u8>)>> {
        let names = TagNames::new(tag);
        let arena = Bump::new();
        let scope = RecordScope::without_record(&names, host, &arena).with_prepared(&self.prepared);
        let mut constants = Vec::with_capacity(self.list.len());
        for field in &self.list {
            let mut raw = Vec::new();
            match &field.value {
                FieldValue::Nil => write_nil(&mut raw),
                FieldValue::Text(text) => write_str(&mut raw, text.as_bytes()),
                FieldValue::Expression(expression) if expression.is_constant() => {
                    let outcome = scope.evaluate(expression).ok()?;
                    scope.value(outcome).ok()?.write(&mut raw);
                }
                FieldValue::Expression(_) => return None,
            }
            constants.push((field.key.as_str(), raw));
        }
        Some(constants)
    }

    /// Sets all fields, one after the other.
    pub(super) fn set<'a>(
        &self,
        tag: &TagNames,
        event: &mut Event<'a>,
        host: &Host,
        arena: &'a Bump,
    ) -> Result<(), FilterError> {
        let time = event.time.to_event_time().unwrap_or_default();
        if self.mutates {
            return self.set_shared(tag, event, host, arena);
        }
        for field in &self.list {
            let value = match &field.value {
                FieldValue::Nil => Value::Nil,
                FieldValue::Text(text) => Value::Str(arena.alloc_slice_copy(text.as_bytes())),
                FieldValue::Expression(expression) => {
                    let scope = RecordScope::new(tag, time, &event.record, host, false, arena)
                        .with_prepared(&self.prepared);
                    let outcome = scope.evaluate(expression).map_err(|error| failed(&error))?;
                    scope.value(outcome).map_err(|error| failed(&error))?
                }
            };
            event.record.set_copied(field.key.as_bytes(), value);
        }
        Ok(())
    }

    /// The same where expressions change the record: all of them see one object.
    fn set_shared<'a>(
        &self,
        tag: &TagNames,
        event: &mut Event<'a>,
        host: &Host,
        arena: &'a Bump,
    ) -> Result<(), FilterError> {
        let time = event.time.to_event_time().unwrap_or_default();
        let mut result = Ok(());
        let record = {
            let scope =
                RecordScope::new(tag, time, &event.record, host, true, arena).with_prepared(&self.prepared);
            let mut any = None;
            for field in &self.list {
                match &field.value {
                    FieldValue::Nil => scope.set_constant(&field.key, Value::Nil),
                    FieldValue::Text(text) => {
                        scope.set_constant(&field.key, Value::Str(arena.alloc_slice_copy(text.as_bytes())));
                    }
                    FieldValue::Expression(expression) => {
                        any = Some(expression);
                        match scope.evaluate(expression) {
                            Ok(outcome) => scope.set(&field.key, outcome),
                            Err(error) => {
                                result = Err(failed(&error));
                                break;
                            }
                        }
                    }
                }
            }
            match any {
                Some(expression) => Some(scope.record(expression).map_err(|error| failed(&error))?),
                None => None,
            }
        };
        if let Some(record) = record {
            event.record = record;
        }
        result
    }
}

impl FieldValue {
    /// Of a value of `<record>`, or of another parameter that is read like one. A value that is one placeholder and nothing
    /// else is code whose result keeps its type; any other with placeholders is a Ruby text in double quotes.
    pub(crate) fn parse(
        key: &str,
        text: &str,
        prepared: &Prepared,
        params: &Params,
    ) -> Result<Self, Diagnostic> {
        let code = match text.matches("${").count() {
            0 => return Ok(Self::Text(text.to_owned())),
            1 if text.starts_with("${") && text.ends_with('}') => text[2..text.len() - 1].to_owned(),
            _ => format!("\"{}\"", text.replace("${", "#{")),
        };
        let expression = Expression::modifier(&code, prepared).map_err(|error| {
            let message =
                format!("Pass invalid syntax parameter : key = {key}, value = {text}: {}", error.message);
            refused_expression(params, key, message, &error)
        })?;
        Ok(Self::Expression(Box::new(expression)))
    }
}

fn prepare(params: &Params, host: &Host) -> Result<Prepared, Diagnostic> {
    let Some(code) = params.str("prepare_value") else { return Ok(Prepared::default()) };
    Prepared::run(code, host).map_err(|error| {
        let message = format!("Pass invalid syntax parameter : key = prepare_value, value = {code}: {error}");
        match &error {
            PrepareError::Syntax(error) => refused_expression(params, "prepare_value", message, error),
            PrepareError::Raised(_) | PrepareError::Kept { .. } => params.error("prepare_value", message),
        }
    })
}

/// The error that an expression raised.
pub(crate) fn failed(error: &ExprError) -> FilterError {
    raised(error.class, error.message.clone())
}
