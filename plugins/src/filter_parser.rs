//! `@type parser`: parses a field of each record, and replaces or extends the record by what it finds.
//!
//! With `fluentd_compat 1.19` it is [`each::Each`] that does it.

mod each;

use each::Each;
use logweir_engine::config::{Diagnostic, FluentdVersion, Params};
use logweir_engine::event::Tag;
use logweir_engine::msgpack::{
    Accessor, Entry, Event, Key, Record, Time, Value, ValueRef, merge_maps, write_entry,
};
use logweir_engine::plugin::{
    AfterError, Build, BuildContext, Compat, Descriptor, Filter, FilterContext, FilterError, FilterStep,
    Kind, Param, ParamKind, ParseFailure, ParseOutput, Parser, RawFilter, RecordFilter, SectionSpec, Verdict,
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
    let settings = Arc::new(Settings::new(params, context)?);
    Ok(match context.system.follows >= FluentdVersion::V1_19 {
        true => Box::new(EachFilter(Arc::new(Each { settings, errors: context.errors.clone() }))),
        false => Box::new(ParserFilter(settings)),
    })
}

struct ParserFilter(Arc<Settings>);

impl Filter for ParserFilter {
    fn for_tag(&self, _tag: &Tag) -> FilterStep {
        if self.0.works_raw() { FilterStep::Raw(self.0.clone()) } else { FilterStep::Records(self.0.clone()) }
    }
}

struct EachFilter(Arc<Each>);

impl Filter for EachFilter {
    fn for_tag(&self, _tag: &Tag) -> FilterStep {
        FilterStep::Stream(self.0.clone())
    }

    fn takes_streams(&self) -> bool {
        true
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
    /// Whether the parser is `json`, to which what is no text is only a text that does not match.
    is_json: bool,
}

/// What parsing a text came to.
enum Parsed {
    /// An event, the first of the output.
    Event,
    /// No event, and nothing wrong either; what it is called if one is needed.
    Nothing(String),
    Unmatched(String),
    /// Fluentd's filter raises rather than reports.
    Raised(String),
}

/// What is parsed of a record.
enum Source<'a> {
    Text(&'a [u8]),
    NoText,
    None,
}

thread_local! {
    static OUTPUT: RefCell<ParseOutput> = RefCell::new(ParseOutput::new());
}

impl RecordFilter for Settings {
    fn filter<'a>(&self, event: &mut Event<'a>, context: &FilterContext<'a>) -> Result<Verdict, FilterError> {
        let text = match self.source(event) {
            Source::Text(text) => text,
            Source::None => return self.missing(event, context),
            Source::NoText => return self.no_text(),
        };
        OUTPUT.with_borrow_mut(|output| match self.parse_one(text, output) {
            Parsed::Event => {
                self.parsed(event, context, output, 0);
                Ok(Verdict::Keep)
            }
            Parsed::Unmatched(message) | Parsed::Nothing(message) => self.unmatched(event, context, message),
            Parsed::Raised(message) => self.raised(message),
        })
    }
}

impl RawFilter for Settings {
    fn filter_raw(&self, entry: &Entry<'_>, out: &mut Vec<u8>) -> Option<Result<Verdict, FilterError>> {
        // A field that lacks or is no text is rare, and takes the other way.
        let value = self.accessor.get(entry.record)?;
        let Ok(ValueRef::Str(text) | ValueRef::Bin(text)) = ValueRef::read(value) else { return None };
        OUTPUT.with_borrow_mut(|output| {
            Some(match self.parse_one(text, output) {
                Parsed::Event => {
                    self.write(entry, output, out);
                    Ok(Verdict::Keep)
                }
                Parsed::Unmatched(message) | Parsed::Nothing(message) => {
                    let verdict = self.reported("Fluent::Plugin::Parser::ParserError", message);
                    out.extend_from_slice(entry.raw);
                    verdict
                }
                Parsed::Raised(message) => self.raised(message),
            })
        })
    }
}

impl Settings {
    fn new(params: &Params, context: &mut BuildContext<'_>) -> Result<Self, Diagnostic> {
        let key_name = params.string("key_name");
        let accessor =
            Accessor::parse(&key_name).map_err(|error| params.error("key_name", error.to_string()))?;
        Ok(Self {
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
            is_json: params.section("parse").is_some_and(|parse| parse.plugin_type() == "json"),
        })
    }

    /// Whether records need not be decoded: neither are new keys made, nor is one taken out of the depth.
    fn works_raw(&self) -> bool {
        let takes_out = !self.remove_key_name_field || self.accessor.top_level_key().is_some();
        self.hash_value_field.is_none() && self.inject_key_prefix.is_none() && takes_out
    }

    /// Reads a text; `output` holds what was found.
    fn parse(&self, text: &[u8], output: &mut ParseOutput) -> Parsed {
        let scrubbed = self.scrubbed(text);
        let text = scrubbed.as_deref().unwrap_or(text);
        // The message is dear where every other record is no match, and wanted only as an error.
        let unmatched = || match self.emit_invalid_record_to_error {
            true => format!("pattern not matched with data '{}'", String::from_utf8_lossy(text)),
            false => String::new(),
        };
        output.clear();
        match self.parser.parse(text, output) {
            Ok(()) if output.entries().is_empty() => Parsed::Nothing(unmatched()),
            Ok(()) => Parsed::Event,
            Err(ParseFailure::Unmatched) => Parsed::Unmatched(unmatched()),
            Err(ParseFailure::Invalid(message)) => Parsed::Raised(message),
        }
    }

    /// The same for a filter that makes one event of a record, as that of Fluentd 1.16 does. Of an array of several records that one
    /// makes a record that is an array, which nothing stores; here it does not match.
    fn parse_one(&self, text: &[u8], output: &mut ParseOutput) -> Parsed {
        match self.parse(text, output) {
            Parsed::Event if output.entries().len() > 1 && is_array(text) => {
                Parsed::Unmatched(format!("several records with data '{}'", String::from_utf8_lossy(text)))
            }
            parsed => parsed,
        }
    }

    /// The text of a record.
    fn source<'a>(&self, event: &Event<'a>) -> Source<'a> {
        match self.accessor.get_in(&event.record) {
            Some(Value::Str(text) | Value::Bin(text)) => Source::Text(text),
            None | Some(Value::Nil) => Source::None,
            Some(_) => Source::NoText,
        }
    }

    fn missing<'a>(
        &self,
        event: &mut Event<'a>,
        context: &FilterContext<'a>,
    ) -> Result<Verdict, FilterError> {
        let message = format!("{} does not exist", self.key_name);
        self.not_parsed(event, context, "ArgumentError", message)
    }

    fn no_text(&self) -> Result<Verdict, FilterError> {
        self.raised(format!("parse failed {} is not a text", self.key_name))
    }

    fn unmatched<'a>(
        &self,
        event: &mut Event<'a>,
        context: &FilterContext<'a>,
        message: String,
    ) -> Result<Verdict, FilterError> {
        self.not_parsed(event, context, "Fluent::Plugin::Parser::ParserError", message)
    }

    /// Appends the entry with what was found in its text: [`Self::parsed`] in bytes.
    fn write(&self, entry: &Entry<'_>, output: &ParseOutput, out: &mut Vec<u8>) {
        match output.entries()[0].time.filter(|_| !self.reserve_time) {
            Some(time) => write_entry(out, Time::Event(time), entry.metadata, &[]),
            None => out.extend_from_slice(entry.head()),
        }
        let (without, record): (_, &[u8]) = match self.reserve_data {
            true => (self.accessor.top_level_key().filter(|_| self.remove_key_name_field), entry.record),
            false => (None, &[][..]),
        };
        merge_maps(record, without, output.record(0), out);
    }

    /// Puts what was found, the entry `index` of the output, into the record.
    fn parsed<'a>(
        &self,
        event: &mut Event<'a>,
        context: &FilterContext<'a>,
        output: &ParseOutput,
        index: usize,
    ) {
        if let Some(time) = output.entries()[index].time.filter(|_| !self.reserve_time) {
            event.time = Time::Event(time);
        }
        if self.remove_key_name_field {
            self.accessor.delete(&mut event.record);
        }
        let raw: &'a [u8] = context.arena.alloc_slice_copy(output.record(index));
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
        self.reported(class, message)
    }

    /// What becomes of an event that is not parsed.
    fn reported(&self, class: &'static str, message: String) -> Result<Verdict, FilterError> {
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

/// Whether a text is an array, of JSON or of MessagePack.
fn is_array(text: &[u8]) -> bool {
    matches!(text.trim_ascii_start().first(), Some(b'[' | 0x90..=0x9f | 0xdc | 0xdd))
}

#[cfg(test)]
mod tests {
    use super::*;
    use bumpalo::Bump;
    use logweir_engine::event::EventTime;
    use logweir_engine::json::{self, JsonStyle, ReadOptions};
    use logweir_engine::msgpack::Entries;
    use logweir_engine::plugin::Driver;

    fn filter(key_name: &str, switches: u32, parse: &str) -> ParserFilter {
        let names = [
            "reserve_data",
            "reserve_time",
            "remove_key_name_field",
            "replace_invalid_sequence",
            "emit_invalid_record_to_error",
        ];
        let switches =
            names.iter().enumerate().map(|(n, name)| format!("{name} {}\n", switches >> n & 1 == 1));
        let text = format!(
            "<filter>\n@type parser\nkey_name {key_name}\n{}<parse>\n{parse}\nestimate_current_event false\n</parse>\n</filter>",
            switches.collect::<String>()
        );
        let mut driver = Driver::new(crate::PLUGINS);
        let params = driver
            .params(logweir_engine::plugin::Kind::Filter, &text)
            .unwrap_or_else(|e| panic!("{}", e.message()));
        let mut context = driver.context();
        let settings = Settings::new(&params, &mut context).unwrap_or_else(|e| panic!("{}", e.message()));
        ParserFilter(Arc::new(settings))
    }

    fn shown(raw: &[u8]) -> String {
        let entry = Entries::new(raw).next().unwrap();
        let arena = Bump::new();
        let mut record = Vec::new();
        Record::decode(entry.record, &arena).unwrap().encode(&mut record);
        let mut text = Vec::new();
        json::from_msgpack(&record, &mut text, JsonStyle::Oj).unwrap();
        format!("{:?} {:?} {}", entry.time, entry.metadata, String::from_utf8_lossy(&text))
    }

    /// The answers of both ways, or nothing if there is but one.
    fn both(filter: &Settings, raw: &[u8]) -> Option<[Result<String, String>; 2]> {
        let answer = |verdict: Result<Verdict, FilterError>, out: &[u8]| match verdict {
            Ok(Verdict::Keep) => Ok(shown(out)),
            Ok(Verdict::Drop) => Ok("dropped".to_owned()),
            Err(FilterError { class, message, then }) => Err(format!("{class} {message} {then:?}")),
        };
        let entry = Entries::new(raw).next().unwrap();
        let mut out = Vec::new();
        let quick = filter.filter_raw(&entry, &mut out)?;
        let quick = answer(quick, &out);
        let (arena, tag) = (Bump::new(), Tag::new("t"));
        let mut event = Event::decode(&tag, &entry, &arena).unwrap();
        let plain = filter.filter(&mut event, &FilterContext { arena: &arena, tag: &tag });
        let mut out = Vec::new();
        event.encode(&mut out);
        Some([quick, answer(plain, &out)])
    }

    const RECORDS: &[&str] = &[
        r#"{"log":"{\"a\":1,\"stream\":2}","stream":"x","n":[1]}"#,
        r#"{"stream":"x","log":"{\"log\":1,\"time\":5.25}"}"#,
        r#"{"log":"{\"time\":null}","a":1}"#,
        r#"{"log":"[{\"a\":1},{\"a\":2}]"}"#,
        r#"{"log":"[]"}"#,
        r#"{"log":"no match \u00e9","a":1}"#,
        r#"{"log":"a=1 b=2","b":1}"#,
        r#"{"log":5}"#,
        r#"{"log":null}"#,
        r#"{"a":{"log":"{\"a\":{}}"},"b":1}"#,
        "{}",
    ];

    #[test]
    fn bytes_to_bytes_is_what_decoding_comes_to() {
        let parsers = ["@type json", "@type regexp\nexpression /^a=(?<a>\\d) b=(?<b>\\d)/", "@type ltsv"];
        let mut quick = 0;
        for (key_name, parse) in
            ["log", "$.a.log"].into_iter().flat_map(|key| parsers.map(|parse| (key, parse)))
        {
            for switches in 0..32 {
                let filter = filter(key_name, switches, parse);
                let stays = switches & 4 == 0 || key_name == "log";
                assert_eq!(matches!(filter.for_tag(&Tag::new("t")), FilterStep::Raw(_)), stays);
                for record in RECORDS.iter().filter(|_| stays) {
                    let mut map = Vec::new();
                    json::to_msgpack(record.as_bytes(), &mut map, ReadOptions::default()).unwrap();
                    for metadata in [None, Some(&b"\x81\xa1m\x01"[..])] {
                        let mut raw = Vec::new();
                        write_entry(&mut raw, Time::Event(EventTime { sec: 7, nsec: 8 }), metadata, &map);
                        let Some([quickly, plainly]) = both(&filter.0, &raw) else { continue };
                        assert_eq!(quickly, plainly, "{key_name} {parse} {switches:05b} {record}");
                        quick += 1;
                    }
                }
            }
        }
        assert!(quick > 1000, "{quick} records were done without decoding");
    }

    #[test]
    fn a_text_that_is_no_utf8_and_keys_that_come_twice() {
        let filter = filter("log", 0b01101, "@type ltsv");
        let mut raw = Vec::new();
        let record = b"\x83\xa3log\xa1x\xa1a\x01\xc4\x03log\xc4\x05a:\xff\xc3\xa9";
        write_entry(&mut raw, Time::Int(5), None, record);
        let [quickly, plainly] = both(&filter.0, &raw).unwrap();
        assert_eq!(quickly, plainly);
        assert_eq!(quickly.unwrap(), "Int(5) None {\"a\":\"?é\"}");
    }
}
