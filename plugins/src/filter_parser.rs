//! `@type parser`: parses a field of each record, and replaces or extends the record by what it finds.

use logweir_engine::config::{Diagnostic, Params};
use logweir_engine::event::Tag;
use logweir_engine::msgpack::{Accessor, Event, Key, Record, Time, Value};
use logweir_engine::plugin::{
    AfterError, Build, BuildContext, Compat, Descriptor, Filter, FilterContext, FilterError, FilterStep,
    Kind, Param, ParamKind, ParseFailure, ParseOutput, Parser, RecordFilter, SectionSpec, Verdict,
};
use std::cell::RefCell;
use std::sync::Arc;

/// `@type parser`
pub static PLUGIN: Descriptor = Descriptor {
    params: PARAMS,
    sections: &[SectionSpec { required: true, ..SectionSpec::PARSE }],
    compat: &[Compat::Parser],
    ..Descriptor::new(Kind::Filter, "parser", "Parses a field of each record", Build::Filter(build))
};

const PARAMS: &[Param] = &[
    Param::new("key_name", ParamKind::String, "The field to parse, in record accessor syntax").required(),
    Param::new("reserve_data", ParamKind::Bool, "Whether the record's own fields stay").default("false"),
    Param::new("reserve_time", ParamKind::Bool, "Whether the event keeps its time").default("false"),
    Param::new("remove_key_name_field", ParamKind::Bool, "Whether the field goes once it is parsed")
        .default("false"),
    Param::new("inject_key_prefix", ParamKind::String, "Put before the keys of parsed fields"),
    Param::new(
        "replace_invalid_sequence",
        ParamKind::Bool,
        "Whether bytes that are not UTF-8 become ? before parsing",
    )
    .default("false"),
    Param::new("hash_value_field", ParamKind::String, "A field that takes all parsed fields as a map"),
    Param::new(
        "emit_invalid_record_to_error",
        ParamKind::Bool,
        "Whether records that do not parse go to @ERROR",
    )
    .default("true"),
];

fn build(params: &Params, context: &mut BuildContext<'_>) -> Result<Box<dyn Filter>, Diagnostic> {
    let key_name = params.string("key_name");
    let accessor = Accessor::parse(&key_name).map_err(|error| params.error("key_name", error.to_string()))?;
    Ok(Box::new(ParserFilter(Arc::new(Settings {
        key_name,
        accessor,
        reserve_data: params.bool("reserve_data"),
        reserve_time: params.bool("reserve_time"),
        remove_key_name_field: params.bool("remove_key_name_field"),
        inject_key_prefix: params.str("inject_key_prefix").map(str::to_owned),
        replace_invalid_sequence: params.bool("replace_invalid_sequence"),
        hash_value_field: params.str("hash_value_field").map(str::to_owned),
        emit_invalid_record_to_error: params.bool("emit_invalid_record_to_error"),
        parser: context.parser(params, None)?,
    }))))
}

struct ParserFilter(Arc<Settings>);

impl Filter for ParserFilter {
    fn for_tag(&self, _tag: &Tag) -> FilterStep {
        FilterStep::Records(self.0.clone())
    }
}

struct Settings {
    key_name: String,
    accessor: Accessor,
    reserve_data: bool,
    reserve_time: bool,
    remove_key_name_field: bool,
    inject_key_prefix: Option<String>,
    replace_invalid_sequence: bool,
    hash_value_field: Option<String>,
    emit_invalid_record_to_error: bool,
    parser: Arc<dyn Parser>,
}

thread_local! {
    static OUTPUT: RefCell<ParseOutput> = RefCell::new(ParseOutput::new());
}

impl RecordFilter for Settings {
    fn filter<'a>(&self, event: &mut Event<'a>, context: &FilterContext<'a>) -> Result<Verdict, FilterError> {
        let text: &[u8] = match self.accessor.get_in(&event.record) {
            Some(Value::Str(text) | Value::Bin(text)) => text,
            None | Some(Value::Nil) => {
                let message = format!("{} does not exist", self.key_name);
                return self.not_parsed(event, context, "ArgumentError", message);
            }
            Some(_) => {
                let message = format!("parse failed {} is not a text", self.key_name);
                return self.raised(message);
            }
        };
        let scrubbed = self.scrubbed(text);
        let text = scrubbed.as_deref().unwrap_or(text);
        OUTPUT.with_borrow_mut(|output| {
            output.clear();
            match self.parser.parse(text, output) {
                Ok(()) if output.entries().is_empty() => self.unmatched(event, context, text),
                Ok(()) => {
                    self.parsed(event, context, output);
                    Ok(Verdict::Keep)
                }
                Err(ParseFailure::Unmatched) => self.unmatched(event, context, text),
                Err(ParseFailure::Invalid(message)) => self.raised(message),
            }
        })
    }
}

impl Settings {
    fn parsed<'a>(&self, event: &mut Event<'a>, context: &FilterContext<'a>, output: &ParseOutput) {
        if let Some(time) = output.entries()[0].time.filter(|_| !self.reserve_time) {
            event.time = Time::Event(time);
        }
        if self.remove_key_name_field {
            self.accessor.delete(&mut event.record);
        }
        let raw: &'a [u8] = context.arena.alloc_slice_copy(output.record(0));
        // A parser writes well-formed maps.
        let values = Record::decode(raw, context.arena).unwrap_or_else(|_| Record::new(context.arena));
        self.merge(event, context, values);
    }

    fn merge<'a>(&self, event: &mut Event<'a>, context: &FilterContext<'a>, values: Record<'a>) {
        let mut found = Record::new(context.arena);
        for field in values.iter() {
            found.set_key(self.prefixed(field.key, context), field.value.clone());
        }
        if let Some(name) = &self.hash_value_field {
            let mut outer = Record::new(context.arena);
            outer.set_copied(name.as_bytes(), Value::Map(found));
            found = outer;
        }
        if self.reserve_data {
            for field in found.iter() {
                event.record.set_key(field.key, field.value.clone());
            }
        } else {
            event.record = found;
        }
    }

    fn prefixed<'a>(&self, key: Key<'a>, context: &FilterContext<'a>) -> Key<'a> {
        match (&self.inject_key_prefix, key.name()) {
            (Some(prefix), Some(name)) => {
                let mut text =
                    bumpalo::collections::Vec::with_capacity_in(prefix.len() + name.len(), context.arena);
                text.extend_from_slice(prefix.as_bytes());
                text.extend_from_slice(name);
                Key::Str(text.into_bump_slice())
            }
            _ => key,
        }
    }

    fn unmatched<'a>(
        &self,
        event: &mut Event<'a>,
        context: &FilterContext<'a>,
        text: &[u8],
    ) -> Result<Verdict, FilterError> {
        let message = format!("pattern not matched with data '{}'", String::from_utf8_lossy(text));
        self.not_parsed(event, context, "Fluent::Plugin::Parser::ParserError", message)
    }

    fn not_parsed<'a>(
        &self,
        event: &mut Event<'a>,
        context: &FilterContext<'a>,
        class: &'static str,
        message: String,
    ) -> Result<Verdict, FilterError> {
        if self.reserve_data {
            self.merge(event, context, Record::new(context.arena));
        }
        if self.emit_invalid_record_to_error {
            let then = if self.reserve_data { AfterError::Keep } else { AfterError::Drop };
            return Err(FilterError { class, message, then });
        }
        Ok(if self.reserve_data { Verdict::Keep } else { Verdict::Drop })
    }

    /// Where Fluentd's filter raises rather than reports.
    fn raised(&self, message: String) -> Result<Verdict, FilterError> {
        if self.emit_invalid_record_to_error {
            let class = "Fluent::Plugin::Parser::ParserError";
            return Err(FilterError { class, message, then: AfterError::AsRaised });
        }
        Ok(Verdict::Drop)
    }

    fn scrubbed(&self, text: &[u8]) -> Option<Vec<u8>> {
        if !self.replace_invalid_sequence || std::str::from_utf8(text).is_ok() {
            return None;
        }
        Some(String::from_utf8_lossy(text).replace('\u{fffd}', "?").into_bytes())
    }
}
