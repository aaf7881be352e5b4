//! `${...}` in filters: expressions over a record.

use super::error::ExprError;
use super::prepared::Prepared;
use super::program::Program;
use super::run::{Found, Host, Inputs, Unwind, Vm};
use super::syntax::ast::{Given, NodeKind, PathKey};
use super::syntax::{Names, Parser, SyntaxError};
use super::value::{Array, Clock, Hash, Moment, Str, Value, record_hash, record_value, to_record, to_s};
use crate::event::{EventTime, Tag};
use crate::msgpack::{self, Reader, Record, RecordView, ValueRef};
use bumpalo::Bump;
use std::cell::{Cell, OnceCell};

/// What `self` is in Fluentd's record_transformer.
const SELF: &str = "#<Fluent::Plugin::RecordTransformerFilter::RubyPlaceholderExpander::CleanroomExpander>";

/// What `self` is in record_modifier.
const MODIFIER_SELF: &str = "#<Fluent::Plugin::RecordModifierFilter::DynamicExpander>";

/// A compiled expression over a record. Evaluated through a [`RecordScope`].
#[derive(Debug)]
pub struct Expression {
    program: Program,
}

impl Expression {
    /// Compiles code: what stands between `${` and `}`.
    pub fn code(source: &str) -> Result<Self, Box<SyntaxError>> {
        let parsed = Parser::new(source, Names::Record).program()?;
        Ok(Self { program: Program::new(parsed, SELF)? })
    }

    /// Compiles a text with `${...}` (or `#{...}`) in it, which Fluentd reads as the Ruby literal `%Q[...]`: escapes
    /// mean something, and brackets must match.
    pub fn template(source: &str) -> Result<Self, Box<SyntaxError>> {
        let ruby = source.replace("${", "#{");
        let parsed = Parser::new(&ruby, Names::Record).template().map_err(|error| {
            // The error shows what the user wrote.
            Box::new(SyntaxError { source: source.to_owned(), ..*error })
        })?;
        Ok(Self { program: Program::new(parsed, SELF)? })
    }

    /// Compiles code of record_modifier: `self` is another object there, `time` a Fluent::EventTime, and the instance
    /// variables of `prepared` have values.
    pub fn modifier(source: &str, prepared: &Prepared) -> Result<Self, Box<SyntaxError>> {
        let parsed = Parser::new(source, Names::Modifier).prepared(prepared.names()).program()?;
        Ok(Self { program: Program::new(parsed, MODIFIER_SELF)? })
    }

    #[cfg(test)]
    pub(super) fn program(&self) -> &Program {
        &self.program
    }

    /// Whether its value is the same for all events of a tag.
    pub fn is_constant(&self) -> bool {
        let varying = [Given::Record, Given::Time, Given::EventTime];
        !varying.into_iter().any(|given| self.program.names(given)) && !self.program.impure()
    }

    /// Whether it may change the record that it reads, as `record["a"]["b"] = 1` does.
    pub fn mutates(&self) -> bool {
        self.program.mutates()
    }

    /// Names in it that nobody defines: evaluating one is a NameError.
    pub fn undefined(&self) -> impl Iterator<Item = &str> + '_ {
        self.program.undefined()
    }
}

/// A tag and its parts.
#[derive(Clone, Debug)]
pub struct TagNames {
    tag: String,
    parts: Vec<String>,
    prefix: Vec<String>,
    suffix: Vec<String>,
}

impl TagNames {
    /// Of a tag.
    pub fn new(tag: &Tag) -> Self {
        let parts: Vec<String> = tag.parts().into_iter().map(str::to_owned).collect();
        let prefix = (1..=parts.len()).map(|end| parts[..end].join(".")).collect();
        let suffix = (0..parts.len()).map(|start| parts[start..].join(".")).collect();
        Self { tag: tag.as_str().to_owned(), parts, prefix, suffix }
    }

    /// The tag.
    pub fn tag(&self) -> &str {
        &self.tag
    }

    /// `tag_parts`: what stands between the dots.
    pub fn parts(&self) -> &[String] {
        &self.parts
    }

    /// `tag_prefix`: the first part, the first two, ...
    pub fn prefix(&self) -> &[String] {
        &self.prefix
    }

    /// `tag_suffix`: all parts, all but the first, ...
    pub fn suffix(&self) -> &[String] {
        &self.suffix
    }
}

/// What expressions see of one event. The record's objects are made when they are first needed, and are the same for all
/// expressions of the event.
pub struct RecordScope<'r, 'a> {
    tag: &'r TagNames,
    time: EventTime,
    record: Option<&'r Record<'a>>,
    host: &'r Host,
    prepared: Option<&'r Prepared>,
    arena: &'a Bump,
    /// Whether some expression changes objects, so that it matters which are the same.
    shared: bool,
    object: OnceCell<&'a Hash<'a>>,
    /// The values of the fields as objects, as they were when `object` was made.
    fields: OnceCell<Vec<Value<'a>>>,
    changed: Cell<bool>,
}

/// The value of an expression.
pub struct Outcome<'r, 'a> {
    expression: &'r Expression,
    value: OutcomeValue<'a>,
}

enum OutcomeValue<'a> {
    Done(msgpack::Value<'a>),
    /// An object that a later expression may still change.
    Object(Value<'a>),
}

impl<'r, 'a> RecordScope<'r, 'a> {
    /// `shared` says that one of the event's expressions [mutates](Expression::mutates).
    pub fn new(
        tag: &'r TagNames,
        time: EventTime,
        record: &'r Record<'a>,
        host: &'r Host,
        shared: bool,
        arena: &'a Bump,
    ) -> Self {
        Self {
            tag,
            time,
            record: Some(record),
            host,
            prepared: None,
            arena,
            shared,
            object: OnceCell::new(),
            fields: OnceCell::new(),
            changed: Cell::new(false),
        }
    }

    /// For expressions that are [constant](Expression::is_constant).
    pub fn without_record(tag: &'r TagNames, host: &'r Host, arena: &'a Bump) -> Self {
        Self {
            tag,
            time: EventTime::default(),
            record: None,
            host,
            prepared: None,
            arena,
            shared: false,
            object: OnceCell::new(),
            fields: OnceCell::new(),
            changed: Cell::new(false),
        }
    }

    /// With the values of instance variables.
    pub fn with_prepared(mut self, prepared: &'r Prepared) -> Self {
        self.prepared = Some(prepared);
        self
    }

    /// Sets a field of the record that the expressions see, so that later ones see it too. Of use only if the scope is
    /// shared; [`RecordScope::record`] answers what has become of the record.
    pub fn set(&self, key: &str, outcome: Outcome<'_, 'a>) {
        match outcome.value {
            OutcomeValue::Done(value) => self.set_constant(key, value),
            OutcomeValue::Object(value) => self.set_object(key, value),
        }
    }

    /// [`RecordScope::set`] with a value that no expression made.
    pub fn set_constant(&self, key: &str, value: msgpack::Value<'a>) {
        self.set_object(key, record_value(&value, self.arena));
    }

    fn set_object(&self, key: &str, value: Value<'a>) {
        if let Value::Hash(record) = self.given(Given::Record, self.arena) {
            record.set(self.arena, self.text_value(key), value);
        }
    }

    /// The record with everything that expressions did to it; `expression` is any of the event's.
    pub fn record(&'r self, expression: &'r Expression) -> Result<Record<'a>, ExprError> {
        let mut vm = self.vm(expression);
        let record = self.given(Given::Record, self.arena);
        match to_record(&mut vm, record).map_err(|unwind| error(&unwind))? {
            msgpack::Value::Map(record) => Ok(record),
            _ => Ok(Record::new(self.arena)),
        }
    }

    /// Evaluates an expression.
    pub fn evaluate(&'r self, expression: &'r Expression) -> Result<Outcome<'r, 'a>, ExprError> {
        let done = |value| Outcome { expression, value: OutcomeValue::Done(value) };
        // A field alone is copied as it is, whatever is in it.
        if let (NodeKind::RecordPath(path), Some(record), false) =
            (&expression.program.body().kind, self.record, self.shared)
            && let Some(value) = follow(record, &path.keys)
        {
            return Ok(done(value));
        }
        let mut vm = self.vm(expression);
        let result = vm.run().and_then(|value| match value {
            Value::Str(_) | Value::Array(_) | Value::Hash(_) if self.shared => {
                Ok(OutcomeValue::Object(value))
            }
            value => to_record(&mut vm, value).map(OutcomeValue::Done),
        });
        match result {
            Ok(value) => Ok(Outcome { expression, value }),
            Err(unwind) => Err(error(&unwind)),
        }
    }

    /// The value as the record holds it. To be called when all expressions of the event have been evaluated.
    pub fn value(&'r self, outcome: Outcome<'r, 'a>) -> Result<msgpack::Value<'a>, ExprError> {
        match outcome.value {
            OutcomeValue::Done(value) => Ok(value),
            OutcomeValue::Object(value) => {
                to_record(&mut self.vm(outcome.expression), value).map_err(|unwind| error(&unwind))
            }
        }
    }

    /// The value as text, for the name of a field.
    pub fn text(&'r self, outcome: Outcome<'r, 'a>) -> Result<&'a [u8], ExprError> {
        let value = match outcome.value {
            OutcomeValue::Done(value) => record_value(&value, self.arena),
            OutcomeValue::Object(value) => value,
        };
        to_s(&mut self.vm(outcome.expression), value).map_err(|unwind| error(&unwind))
    }

    /// The fields of the record whose objects were changed, by their position; `expression` is any of the event's.
    /// Fields that were set or removed are not among them: in Fluentd, too, the new record is a copy that was made
    /// before, and shares only the objects.
    pub fn changes(
        &'r self,
        expression: &'r Expression,
    ) -> Result<Vec<(usize, msgpack::Value<'a>)>, ExprError> {
        let mut changes = Vec::new();
        let (Some(fields), true) = (self.fields.get(), self.changed.get()) else { return Ok(changes) };
        let mut vm = self.vm(expression);
        for (at, field) in fields.iter().enumerate() {
            if let Value::Str(_) | Value::Array(_) | Value::Hash(_) = field {
                let value = to_record(&mut vm, *field).map_err(|unwind| error(&unwind))?;
                changes.push((at, value));
            }
        }
        Ok(changes)
    }

    fn vm<'v>(&'v self, expression: &'v Expression) -> Vm<'v, 'a> {
        Vm::new(&expression.program, self, self.host, &self.changed, self.arena)
    }

    fn text_value(&self, text: &str) -> Value<'a> {
        Value::Str(self.arena.alloc(Str::new(self.arena.alloc_str(text).as_bytes())))
    }

    fn texts(&self, list: &[String]) -> Value<'a> {
        let items: Vec<_> = list.iter().map(|text| self.text_value(text)).collect();
        Value::Array(self.arena.alloc(Array::of(self.arena, &items)))
    }
}

fn error(unwind: &Unwind<'_>) -> ExprError {
    ExprError::from_unwind(unwind)
}

impl<'a> Inputs<'a> for RecordScope<'_, 'a> {
    fn given(&self, given: Given, arena: &'a Bump) -> Value<'a> {
        match given {
            Given::Record => match self.record {
                Some(record) => Value::Hash(self.object.get_or_init(|| {
                    let hash = record_hash(record, arena);
                    self.fields.get_or_init(|| hash.to_vec().into_iter().map(|(_, value)| value).collect());
                    hash
                })),
                None => Value::Nil,
            },
            Given::Tag => self.text_value(&self.tag.tag),
            Given::Time => Value::Time(arena.alloc(Moment { time: self.time, clock: Clock::Local })),
            Given::EventTime => {
                let mut payload = [0; 8];
                payload[..4].copy_from_slice(&(self.time.sec as u32).to_be_bytes());
                payload[4..].copy_from_slice(&self.time.nsec.to_be_bytes());
                Value::Ext(0, arena.alloc_slice_copy(&payload))
            }
            Given::Prepared(number) => {
                self.prepared.map_or(Value::Nil, |prepared| prepared.value(number, arena))
            }
            Given::TagParts => self.texts(&self.tag.parts),
            Given::TagPrefix => self.texts(&self.tag.prefix),
            Given::TagSuffix => self.texts(&self.tag.suffix),
            Given::Hostname => self.text_value(self.host.hostname()),
            Given::WorkerId => self.text_value(self.host.worker_id()),
        }
    }

    fn find(&self, path: &[PathKey], arena: &'a Bump) -> Found<'a> {
        let (false, Some(record)) = (self.shared, self.record) else { return Found::Unknown };
        match follow(record, path) {
            Some(value) => Found::Value(record_value(&value, arena)),
            None => Found::Unknown,
        }
    }
}

/// The value at the end of a path: nil if only the last step leads nowhere, nothing if another one does or meets
/// something that is no container.
fn follow<'a>(record: &Record<'a>, path: &[PathKey]) -> Option<msgpack::Value<'a>> {
    let (PathKey::Name(first), rest) = path.split_first()? else { return None };
    let Some(value) = record.get(first) else {
        return rest.is_empty().then_some(msgpack::Value::Nil);
    };
    let mut current = std::borrow::Cow::Borrowed(value);
    for (at, key) in rest.iter().enumerate() {
        let last = at + 1 == rest.len();
        let next = match &*current {
            msgpack::Value::Raw(raw) => step_raw(raw, key)?,
            msgpack::Value::Map(map) => match key {
                PathKey::Name(name) => map.get(name).cloned(),
                PathKey::Index(_) => return None,
            },
            msgpack::Value::Array(items) => match key {
                PathKey::Index(index) => {
                    let index = if *index < 0 { *index + items.len() as i64 } else { *index };
                    usize::try_from(index).ok().and_then(|index| items.get(index)).cloned()
                }
                PathKey::Name(_) => return None,
            },
            _ => return None,
        };
        current = std::borrow::Cow::Owned(match next {
            Some(value) => value,
            None if last => return Some(msgpack::Value::Nil),
            None => return None,
        });
    }
    Some(current.into_owned())
}

/// One step into a raw container: `None` if the key does not fit it, `Some(None)` if there is nothing.
fn step_raw<'a>(raw: &'a [u8], key: &PathKey) -> Option<Option<msgpack::Value<'a>>> {
    let container = ValueRef::read(raw).ok()?;
    match (container, key) {
        (ValueRef::Map(raw), PathKey::Name(name)) => {
            Some(RecordView::new(raw).get(name).and_then(|found| msgpack::Value::read(found).ok()))
        }
        (ValueRef::Array(raw), PathKey::Index(index)) => {
            let mut reader = Reader::new(raw);
            let length = reader.read_array_len().ok()? as i64;
            let index = if *index < 0 { *index + length } else { *index };
            if !(0..length).contains(&index) {
                return Some(None);
            }
            for _ in 0..index {
                reader.skip().ok()?;
            }
            Some(reader.read_value().ok().map(msgpack::Value::from))
        }
        _ => None,
    }
}
