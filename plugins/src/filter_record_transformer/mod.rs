//! `@type record_transformer`: adds, replaces and removes fields.
//!
//! Order, as in Fluentd: the record (or only keep_keys of it) <- the fields of `<record>`, whose placeholders see the
//! record as it came <- renew_time_key <- remove_keys. If no new value depends on the record, streams are spliced: bytes to
//! bytes, no decoding.

mod placeholder;
mod ruby;
mod transform_ruby;
mod value;

use bumpalo::Bump;
use logweir_engine::config::{Diagnostic, Params};
use logweir_engine::event::{EventTime, Tag};
use logweir_engine::expr::Host;
use logweir_engine::msgpack::{Accessor, Event, Record, Splicer, Time, Value, ValueRef};
use logweir_engine::plugin::{
    AfterError, Build, BuildContext, Descriptor, Filter, FilterContext, FilterError, FilterStep, Kind, Param,
    ParamKind, RecordFilter, SectionSpec, Verdict,
};
use logweir_engine::telemetry::PluginLog;
use placeholder::Template;
use std::cell::Cell;
use std::sync::Arc;
use transform_ruby::{RubyFields, TransformRuby};
use value::{Compiled, Node, Scope};

/// `@type record_transformer`
pub static PLUGIN: Descriptor = Descriptor {
    params: PARAMS,
    sections: &[SectionSpec {
        free: true,
        repeated: true,
        ..SectionSpec::new(
            "record",
            "Fields to set: a name and a value, which may have placeholders and may be JSON",
        )
    }],
    ..Descriptor::new(
        Kind::Filter,
        "record_transformer",
        "Adds, replaces and removes fields",
        Build::Filter(build),
    )
};

const PARAMS: &[Param] = &[
    Param::new("remove_keys", ParamKind::Array, "Fields to remove, in record accessor syntax"),
    Param::new("keep_keys", ParamKind::Array, "Fields that stay with renew_record"),
    Param::new("renew_record", ParamKind::Bool, "Whether the record begins empty").default("false"),
    Param::new(
        "renew_time_key",
        ParamKind::String,
        "A field whose value, unix seconds, becomes the event's time",
    ),
    Param::new("enable_ruby", ParamKind::Bool, "Whether ${...} is a Ruby expression").default("false"),
    Param::new("auto_typecast", ParamKind::Bool, "Whether a placeholder alone keeps its type")
        .default("true"),
];

fn build(params: &Params, context: &mut BuildContext<'_>) -> Result<Box<dyn Filter>, Diagnostic> {
    let keep_keys = params.array("keep_keys");
    let renew_record = params.bool("renew_record");
    if keep_keys.is_some() && !renew_record {
        return Err(params.error("keep_keys", "`renew_record` must be true to use `keep_keys`"));
    }
    let enable_ruby = params.bool("enable_ruby");
    let mut fields: Vec<(Template, Node)> = Vec::new();
    let mut ruby_fields = RubyFields::default();
    for section in params.sections("record").iter().filter(|_| enable_ruby) {
        for (key, value) in section.attrs() {
            ruby_fields.add(key, value, params.bool("auto_typecast"), section)?;
        }
    }
    for section in params.sections("record").iter().filter(|_| !enable_ruby) {
        for (key, value) in section.attrs() {
            let field = (Template::parse(key), Node::parse(value, &context.log));
            match fields.iter_mut().find(|(other, _)| *other == field.0) {
                Some(existing) => *existing = field,
                None => fields.push(field),
            }
        }
    }
    let mut remove_keys = Vec::new();
    for key in params.array("remove_keys").unwrap_or_default() {
        remove_keys
            .push(Accessor::parse(&key).map_err(|error| params.error("remove_keys", error.to_string()))?);
    }
    Ok(Box::new(RecordTransformer {
        settings: Arc::new(Settings {
            fields,
            ruby: enable_ruby.then_some(ruby_fields),
            remove_keys,
            keep_keys: renew_record.then(|| keep_keys.unwrap_or_default()),
            renew_time_key: params.str("renew_time_key").map(str::to_owned),
            auto_typecast: params.bool("auto_typecast"),
            host: Host::process(Some(context.log.worker() as usize)),
            log: context.log.clone(),
        }),
    }))
}

struct RecordTransformer {
    settings: Arc<Settings>,
}

struct Settings {
    fields: Vec<(Template, Node)>,
    /// Instead of `fields`, with enable_ruby.
    ruby: Option<RubyFields>,
    remove_keys: Vec<Accessor>,
    /// What stays of the record; `None` if all of it does.
    keep_keys: Option<Vec<String>>,
    renew_time_key: Option<String>,
    auto_typecast: bool,
    host: Host,
    log: PluginLog,
}

impl Filter for RecordTransformer {
    fn for_tag(&self, tag: &Tag) -> FilterStep {
        let settings = &self.settings;
        if settings.ruby.is_some() {
            return FilterStep::Records(Arc::new(TransformRuby::new(settings.clone(), tag)));
        }
        let scope = Scope {
            tag,
            hostname: settings.host.hostname(),
            auto_typecast: settings.auto_typecast,
            log: &settings.log,
        };
        let typeless = Scope { auto_typecast: false, ..scope };
        let fields: Vec<(Compiled, Compiled)> = settings
            .fields
            .iter()
            .map(|(key, value)| (Node::Text(key.clone()).compile(&typeless), value.compile(&scope)))
            .collect();
        let transform = Transform { settings: settings.clone(), fields };
        match transform.splicer() {
            Some(splicer) if splicer.is_empty() => FilterStep::Pass,
            Some(splicer) => FilterStep::Splice(splicer),
            None => FilterStep::Records(Arc::new(transform)),
        }
    }

    fn takes_streams(&self) -> bool {
        true
    }
}

thread_local! {
    /// Where a value is written before it goes into the arena.
    static SCRATCH: Cell<Vec<u8>> = const { Cell::new(Vec::new()) };
}

/// The filter for the events of one tag.
struct Transform {
    settings: Arc<Settings>,
    fields: Vec<(Compiled, Compiled)>,
}

impl Transform {
    /// The same as edits of bytes, if nothing depends on the record.
    fn splicer(&self) -> Option<Splicer> {
        if self.settings.renew_time_key.is_some() {
            return None;
        }
        let mut splicer = Splicer::new();
        if let Some(keys) = &self.settings.keep_keys {
            splicer = splicer.keep(keys);
        }
        for field in &self.fields {
            let (Compiled::Constant(key), Compiled::Constant(value)) = field else { return None };
            let Ok(ValueRef::Str(key)) = ValueRef::read(key) else { return None };
            splicer = splicer.set(key, value);
        }
        for accessor in &self.settings.remove_keys {
            splicer = splicer.drop(accessor.top_level_key()?);
        }
        Some(splicer)
    }
}

impl RecordFilter for Transform {
    fn filter<'a>(&self, event: &mut Event<'a>, context: &FilterContext<'a>) -> Result<Verdict, FilterError> {
        let settings = &*self.settings;
        let arena = context.arena;
        let mut values: bumpalo::collections::Vec<'a, (&'a [u8], Value<'a>)> =
            bumpalo::collections::Vec::with_capacity_in(self.fields.len(), arena);
        let mut raw = SCRATCH.take();
        let mut to_arena = |compiled: &Compiled, record: &Record<'a>| -> &'a [u8] {
            raw.clear();
            compiled.write(record, event.time, &settings.log, &mut raw);
            arena.alloc_slice_copy(&raw)
        };
        for (key, value) in &self.fields {
            let key = match ValueRef::read(to_arena(key, &event.record)) {
                Ok(ValueRef::Str(key)) => key,
                _ => continue,
            };
            let value = match value.field(&event.record, &settings.log) {
                Some(found) => found.cloned().unwrap_or(Value::Nil),
                // It was written as MessagePack a moment ago.
                None => Value::read(to_arena(value, &event.record)).unwrap_or(Value::Nil),
            };
            values.push((key, value));
        }
        SCRATCH.set(raw);
        settings.finish(event, values, arena)?;
        Ok(Verdict::Keep)
    }
}

impl Settings {
    /// From the new values to the new event: what is kept, what is set, the time, what is removed.
    fn finish<'a>(
        &self,
        event: &mut Event<'a>,
        values: impl IntoIterator<Item = (&'a [u8], Value<'a>)>,
        arena: &'a Bump,
    ) -> Result<(), FilterError> {
        if let Some(keys) = &self.keep_keys {
            // In the order of keep_keys, as Fluentd builds the new record.
            let mut kept = Record::new(arena);
            for key in keys {
                if let Some(value) = event.record.get(key.as_bytes()) {
                    kept.set_copied(key.as_bytes(), value.clone());
                }
            }
            event.record = kept;
        }
        for (key, value) in values {
            event.record.set(key, value);
        }
        if let Some(key) = &self.renew_time_key
            && let Some(value) = event.record.get(key.as_bytes())
        {
            event.time = Time::Event(seconds(value)?);
        }
        for accessor in &self.remove_keys {
            accessor.delete(&mut event.record);
        }
        Ok(())
    }
}

/// Ruby's `to_f`, as a time.
fn seconds(value: &Value<'_>) -> Result<EventTime, FilterError> {
    let seconds = match value {
        Value::Int(number) => return Ok(EventTime::from_secs(*number)),
        Value::UInt(number) => *number as f64,
        Value::Float(number) => *number,
        Value::Nil => 0.0,
        Value::Str(text) | Value::Bin(text) => leading_float(&String::from_utf8_lossy(text)),
        _ => {
            let class = "NoMethodError";
            let message = "undefined method `to_f' for the value of renew_time_key".to_owned();
            return Err(FilterError { class, message, then: AfterError::Drop });
        }
    };
    let floor = seconds.floor();
    Ok(EventTime { sec: floor as i64, nsec: (((seconds - floor) * 1e9) as u32).min(999_999_999) })
}

/// The number at the start of a text, 0 without one.
fn leading_float(text: &str) -> f64 {
    let text = text.trim_start();
    let end = text
        .char_indices()
        .find(|(at, c)| !(c.is_ascii_digit() || *c == '.' || (matches!(c, '+' | '-') && *at == 0)))
        .map_or(text.len(), |(at, _)| at);
    text[..end].parse().unwrap_or(0.0)
}
