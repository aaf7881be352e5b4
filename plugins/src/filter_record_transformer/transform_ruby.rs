//! The filter with `enable_ruby`, for the events of one tag.

use super::Settings;
use super::ruby::{Node, Pending, Place, Source};
use bumpalo::Bump;
use bumpalo::collections::Vec as ArenaVec;
use logweir_engine::config::{Diagnostic, Params};
use logweir_engine::event::Tag;
use logweir_engine::expr::{Outcome, RecordScope, TagNames};
use logweir_engine::msgpack::{Event, Value};
use logweir_engine::plugin::{FilterContext, FilterError, RecordFilter, Verdict};
use std::sync::Arc;

/// The fields of `<record>`, compiled.
#[derive(Debug, Default)]
pub(super) struct RubyFields {
    list: Vec<Field>,
    /// Whether one of the expressions changes objects of the record, which the others then see.
    mutates: bool,
}

#[derive(Debug)]
struct Field {
    written: String,
    key: Source,
    value: Node,
}

impl RubyFields {
    /// Adds a field; one of the same name is replaced.
    pub(super) fn add(
        &mut self,
        key: &str,
        value: &str,
        auto_typecast: bool,
        section: &Params,
    ) -> Result<(), Diagnostic> {
        let place = Place { params: section, key };
        let field = Field {
            written: key.to_owned(),
            key: Source::text(key, &place)?,
            value: Node::parse(value, auto_typecast, &place)?,
        };
        let mut sources = field.value.sources();
        sources.push(&field.key);
        self.mutates |= sources.iter().any(|source| source.expression.mutates());
        match self.list.iter_mut().find(|other| other.written == key) {
            Some(existing) => *existing = field,
            None => self.list.push(field),
        }
        Ok(())
    }
}

/// See the module.
pub(super) struct TransformRuby {
    settings: Arc<Settings>,
    tag: TagNames,
    /// What is the same for all events of the tag, field by field.
    constants: Vec<Constants>,
}

#[derive(Default)]
struct Constants {
    /// The name.
    key: Option<Vec<u8>>,
    /// The value as MessagePack.
    value: Option<Vec<u8>>,
}

impl TransformRuby {
    pub(super) fn new(settings: Arc<Settings>, tag: &Tag) -> Self {
        let tag = TagNames::new(tag);
        let arena = Bump::new();
        let scope = RecordScope::without_record(&tag, &settings.host, &arena);
        let fields = settings.ruby.as_ref().map_or(&[][..], |fields| &fields.list[..]);
        let constants = fields.iter().map(|field| Constants {
            key: field.key.constant(&scope).and_then(|key| scope.text(key).ok()).map(<[u8]>::to_vec),
            value: match &field.value {
                Node::Expression(source) => {
                    source.constant(&scope).and_then(|value| scope.value(value).ok()).map(|value| {
                        let mut raw = Vec::new();
                        value.write(&mut raw);
                        raw
                    })
                }
                _ => None,
            },
        });
        let constants = constants.collect();
        drop(scope);
        Self { settings, tag, constants }
    }
}

/// A name that is known, or will be when all expressions have been evaluated.
enum Name<'r, 'a> {
    Known(&'a [u8]),
    Pending(&'r Source, Outcome<'r, 'a>),
}

impl RecordFilter for TransformRuby {
    fn filter<'a>(&self, event: &mut Event<'a>, context: &FilterContext<'a>) -> Result<Verdict, FilterError> {
        let Some(fields) = &self.settings.ruby else { return Ok(Verdict::Keep) };
        let arena = context.arena;
        let mut values: ArenaVec<'a, (&'a [u8], Value<'a>)> =
            ArenaVec::with_capacity_in(fields.list.len(), arena);
        let mut changes = Vec::new();
        {
            let time = event.time.to_event_time().unwrap_or_default();
            let host = &self.settings.host;
            let scope = RecordScope::new(&self.tag, time, &event.record, host, fields.mutates, arena);
            let mut pending = ArenaVec::with_capacity_in(fields.list.len(), arena);
            for (field, constants) in fields.list.iter().zip(&self.constants) {
                let name = match &constants.key {
                    Some(key) => Name::Known(arena.alloc_slice_copy(key)),
                    None => Name::Pending(&field.key, field.key.evaluate(&scope)?),
                };
                let value = match &constants.value {
                    Some(raw) => Pending::Raw(arena.alloc_slice_copy(raw)),
                    None => field.value.evaluate(&scope, arena)?,
                };
                pending.push((name, value));
            }
            for (name, value) in pending {
                let key = match name {
                    Name::Known(key) => key,
                    Name::Pending(source, key) => scope.text(key).map_err(|error| source.failed(&error))?,
                };
                values.push((key, value.value(&scope, arena)?));
            }
            if let (true, Some(field)) = (fields.mutates, fields.list.first()) {
                changes = scope.changes(&field.key.expression).map_err(|error| field.key.failed(&error))?;
            }
        }
        for (at, value) in changes {
            if let Some(field) = event.record.iter_mut().nth(at) {
                field.value = value;
            }
        }
        self.settings.finish(event, values, arena)?;
        Ok(Verdict::Keep)
    }
}
