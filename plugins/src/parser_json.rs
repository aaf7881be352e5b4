//! `@type json`: JSON text is written as MessagePack as it is read.
//!
//! Fluentd 1.16 lets an array, a string or a number through as a record; downstream nothing expects that. Here, as in
//! Fluentd 1.17 and later, the objects of an array are events of their own, and everything else does not match.

use crate::text::{Defaults, ParseSettings, parse_params};
use logweir_engine::config::{Diagnostic, Params};
use logweir_engine::json::{Dialect, ReadOptions, WatchedKey, document_to_msgpack_watching};
use logweir_engine::msgpack::{Kind as ValueKind, Reader};
use logweir_engine::plugin::{
    Build, BuildContext, Descriptor, Kind, Param, ParamKind, ParseFailure, ParseOutput, Parser, Status,
};
use logweir_engine::time::{TimeSettings, TimeType};
use std::sync::Arc;

/// `@type json`
pub static PLUGIN: Descriptor = Descriptor {
    params: &PARAMS,
    ..Descriptor::new(Kind::Parser, "json", "Reads JSON objects", Build::Parser(build))
};

const PARAMS: [Param; 15] = Param::join(
    parse_params(Defaults { time_type: "float", ..Defaults::TIME }),
    [
        Param::new(
            "json_parser",
            ParamKind::Enum(&["oj", "yajl", "json"]),
            "Whose dialect of JSON: Oj's takes the most, Yajl's the least",
        )
        .default("oj"),
        Param::new(
            "stream_buffer_size",
            ParamKind::Integer,
            "Bytes that Fluentd's Yajl reads at once from a stream",
        )
        .default("8192")
        .status(Status::WithoutEffect("texts are read whole")),
    ],
);

fn build(params: &Params, context: &mut BuildContext<'_>) -> Result<Arc<dyn Parser>, Diagnostic> {
    let mut time = TimeSettings::from_params(params)?;
    if params.is_set("time_format") && !params.is_set("time_type") {
        time.kind = TimeType::String;
    }
    let dialect = match params.word("json_parser") {
        Some("yajl") => Dialect::Yajl,
        Some("json") => Dialect::Json,
        _ => Dialect::Oj,
    };
    let options = ReadOptions { dialect, ..ReadOptions::default() };
    let settings = ParseSettings::with_time(params, context, time)?;
    // Without a time_key no field is looked for, so that any key will do.
    let watched = settings.watched_key().unwrap_or_else(|| WatchedKey::new(b""));
    Ok(Arc::new(Json { watched, settings, options }))
}

struct Json {
    settings: ParseSettings,
    options: ReadOptions,
    /// The time_key.
    watched: WatchedKey,
}

impl Parser for Json {
    fn parse(&self, text: &[u8], out: &mut ParseOutput) -> Result<(), ParseFailure> {
        let buffer = out.begin();
        let Ok(watched) = document_to_msgpack_watching(text, buffer, self.options, &self.watched) else {
            out.abort();
            return Err(ParseFailure::Unmatched);
        };
        let at = out.open_record_start();
        match out.buffer().get(at).copied().and_then(ValueKind::of) {
            Some(ValueKind::Map) => self.settings.finish_watched(out, watched),
            Some(ValueKind::Array) => self.each(out),
            _ => {
                out.abort();
                Err(ParseFailure::Unmatched)
            }
        }
    }
}

impl Json {
    /// The elements of the array in the open entry become entries; the last problem among them is reported.
    fn each(&self, out: &mut ParseOutput) -> Result<(), ParseFailure> {
        let at = out.open_record_start();
        let array = out.buffer().split_off(at);
        out.abort();
        let mut reader = Reader::new(&array);
        let mut result = Ok(());
        for _ in 0..reader.read_array_len().unwrap_or(0) {
            let is_map = reader.peek() == Ok(ValueKind::Map);
            let Ok(raw) = reader.read_raw() else { break };
            let parsed = if is_map {
                out.begin().extend_from_slice(raw);
                self.settings.finish_record(out)
            } else {
                out.note_unmatched();
                Err(ParseFailure::Unmatched)
            };
            result = parsed.and(result);
        }
        result
    }
}

#[cfg(test)]
mod tests {
    use crate::text::testing::{parse, parse_one, parser, shown, try_parser};
    use logweir_engine::plugin::{ParseFailure, ParseOutput};

    #[test]
    fn time_by_default_is_a_number() {
        let json = parser("@type json");
        for (text, expected) in [
            (r#"{"time":1500000000,"a":1}"#, r#"1500000000 {"a":1}"#),
            (r#"{"time":1500000000.123456789,"a":2}"#, r#"1500000000.123456700 {"a":2}"#),
            (r#"{"time":"2020-01-02T03:04:05Z","a":3}"#, r#"2020 {"a":3}"#),
            (r#"{"a":1,"b":{"time":5}}"#, r#"now {"a":1,"b":{"time":5}}"#),
            (r#"{"a":1,"time":null}"#, "value must be a string or a number: (NilClass)"),
        ] {
            assert_eq!(parse_one(&*json, text), expected, "{text}");
        }
    }

    #[test]
    fn a_format_makes_it_a_text() {
        let json = parser("@type json\ntime_format %iso8601\ntime_key ts\nkeep_time_key true");
        assert_eq!(
            parse_one(&*json, r#"{"ts":"2023-11-14T22:13:20.5Z","a":1}"#),
            r#"1700000000.500000000 {"ts":"2023-11-14T22:13:20.5Z","a":1}"#
        );
        assert_eq!(
            parse_one(&*json, r#"{"ts":"x"}"#),
            "invalid time format: value = x, error_class = ArgumentError, error = invalid xmlschema format: \"x\""
        );
        assert_eq!(parse_one(&*json, r#"{"ts":5}"#), "value must be string: 5");
    }

    #[test]
    fn mixed_times() {
        let json = parser(
            "@type json\ntime_key ts\ntime_type mixed\ntime_format %d/%m/%Y %H:%M:%S\n\
             time_format_fallbacks unixtime,%iso8601\nutc true\nlocaltime false",
        );
        for (text, expected) in [
            (r#"{"ts":"02/01/2020 03:04:05","a":1}"#, r#"1577934245 {"a":1}"#),
            (r#"{"ts":"1500000000","a":2}"#, r#"1500000000 {"a":2}"#),
            (r#"{"ts":"2020-01-02T03:04:05+01:00","a":3}"#, r#"1577930645 {"a":3}"#),
            (
                r#"{"ts":"nonsense","a":4}"#,
                "invalid time format: value = nonsense, even though fallbacks: \
                 Fluent::TimeParser,Fluent::NumericTimeParser,Fluent::TimeParser",
            ),
        ] {
            assert_eq!(parse_one(&*json, text), expected, "{text}");
        }
    }

    #[test]
    fn zones() {
        for (zone, text, expected) in [
            ("timezone Europe/Berlin", "2021-03-28 01:59:59", 1_616_889_599),
            ("timezone Europe/Berlin", "2021-03-28 03:00:00", 1_616_893_200),
            ("timezone Europe/Berlin", "2021-07-01 12:00:00", 1_625_133_600),
            ("timezone +09:00", "2021-07-01 12:00:00", 1_625_108_400),
            ("utc true", "2021-07-01 12:00:00", 1_625_140_800),
        ] {
            let json = parser(&format!(
                "@type json\ntime_key ts\ntime_type string\ntime_format %Y-%m-%d %H:%M:%S\n{zone}"
            ));
            assert_eq!(
                parse_one(&*json, format!(r#"{{"ts":"{text}","a":1}}"#)),
                format!(r#"{expected} {{"a":1}}"#)
            );
        }
    }

    #[test]
    fn what_is_no_object_does_not_match() {
        let json = parser("@type json");
        for text in ["\"str\"", "12", "null", r#"{"a":1}{"b":2}"#, r#"{"a":"#, "{a:1}", "", "[1]", " "] {
            assert_eq!(parse_one(&*json, text), "unmatched", "{text}");
        }
        assert_eq!(parse_one(&*json, "[]"), "");
        assert_eq!(parse_one(&*json, r#" {"ok":1} "#), r#"now {"ok":1}"#);
    }

    #[test]
    fn objects_of_an_array_are_events() {
        let json = parser("@type json");
        assert_eq!(parse(&*json, r#"[{"time":1,"a":1},{"time":2}]"#).unwrap(), [r#"1 {"a":1}"#, "2 {}"]);
        let mut out = ParseOutput::new();
        assert_eq!(json.parse(br#"[{"time":1},5,{"time":3}]"#, &mut out), Err(ParseFailure::Unmatched));
        assert_eq!(shown(&out), ["1 {}", "3 {}"]);
    }

    #[test]
    fn conversions() {
        let json = parser(
            "@type json\ntypes i:integer,f:float,b:bool,s:string,a:array:|,t:time:unixtime,n:integer,z:integer\nnull_empty_string true",
        );
        assert_eq!(
            parse_one(
                &*json,
                r#"{"i":"12x","f":3,"b":"YES","s":[1,"a"],"a":"x|y|","t":17,"n":null,"z":1e3,"e":"","o":1.5}"#
            ),
            r#"now {"i":12,"f":3.0,"b":true,"s":"[1, \"a\"]","a":["x","y"],"t":17,"n":null,"z":1000,"e":null,"o":1.5}"#
        );
        let nulls = parser("@type json\nnull_value_pattern null|NaN");
        assert_eq!(
            parse_one(&*nulls, r#"{"a":"null","b":"NaN","c":"nullable","d":null,"e":""}"#),
            r#"now {"a":null,"b":null,"c":null,"d":null,"e":""}"#
        );
    }

    #[test]
    fn all_kinds_of_values() {
        let text = r#"{"i":1,"f":1.0,"e":1e3,"n":-0,"b":true,"z":null,"s":"\u00e9\n\ud83d\ude00","a":[1,[2]],"m":{"x":{}},"big":12345678901234567890123}"#;
        assert_eq!(
            parse_one(&*parser("@type json"), text),
            r#"now {"i":1,"f":1.0,"e":1000.0,"n":0,"b":true,"z":null,"s":"é\n😀","a":[1,[2]],"m":{"x":{}},"big":12345678901234567890123}"#
        );
    }

    #[test]
    fn many_fields() {
        for count in [15usize, 16, 17, 300] {
            let text = format!(
                "{{\"time\":5,{}}}",
                (0..count).map(|n| format!("\"k{n}\":{n}")).collect::<Vec<_>>().join(",")
            );
            let expected = text.replace("{\"time\":5,", "5 {");
            assert_eq!(parse_one(&*parser("@type json"), &text), expected);
            let types = parser("@type json\ntypes k0:string");
            assert_eq!(parse_one(&*types, &text), expected.replace("\"k0\":0", "\"k0\":\"0\""));
        }
    }

    #[test]
    fn mistakes() {
        let error = |body: &str| try_parser(&format!("@type json\n{body}")).err();
        for (body, message) in [
            ("time_type mixed", "time_type is :mixed but time_format and time_format_fallbacks is empty."),
            ("localtime true\nutc true", "both of utc and localtime are specified, use only one of them"),
            ("timezone JST", "Unsupported timezone 'JST'"),
            ("time_type string\nutc true", "specifying timezone requires time format"),
            ("types a:number", "unknown value conversion for key:'a', type:'number'"),
        ] {
            assert_eq!(error(body).as_deref(), Some(message), "{body}");
        }
        assert_eq!(error("localtime false\nutc true\ntime_format %Y"), None);
        assert_eq!(error("time_type mixed\ntime_format_fallbacks unixtime"), None);
    }
}
