//! `@type cri`: what container runtimes write for Kubernetes (fluent-plugin-parser-cri): time, stream, tag, message.
//!
//! ```text
//! 2016-10-06T00:17:09.669794202Z stdout F the message
//! ```

use crate::text::{Defaults, ParseSettings, is_blank, parse_params};
use logweir_engine::config::{Diagnostic, Params};
use logweir_engine::msgpack::{RecordView, Splicer, add_fields, write_bin, write_str};
use logweir_engine::plugin::{
    Build, BuildContext, Descriptor, Kind, Param, ParamKind, ParseFailure, ParseOutput, Parser, SectionSpec,
};
use std::sync::Arc;

/// `@type cri`
pub static PLUGIN: Descriptor = Descriptor {
    params: &PARAMS,
    sections: &[SectionSpec { about: "How the message becomes fields", ..SectionSpec::PARSE }],
    ..Descriptor::new(Kind::Parser, "cri", "Lines of container runtimes", Build::Parser(build))
};

const PARAMS: [Param; 14] = Param::join(
    parse_params(Defaults {
        time_format: Some("%Y-%m-%dT%H:%M:%S.%L%z"),
        keep_time_key: "true",
        ..Defaults::TIME
    }),
    [Param::new(
        "merge_cri_fields",
        ParamKind::Bool,
        "Whether the fields of a parsed message are joined by stream and logtag",
    )
    .default("true")],
);

fn build(params: &Params, context: &mut BuildContext<'_>) -> Result<Arc<dyn Parser>, Diagnostic> {
    let settings = ParseSettings::new(params, context)?;
    let has_inner = params.element().sections("parse").next().is_some();
    let inner = if has_inner { Some(context.parser(params, None)?) } else { None };
    Ok(Arc::new(Cri { settings, inner, merge: params.bool("merge_cri_fields") }))
}

struct Cri {
    settings: ParseSettings,
    inner: Option<Arc<dyn Parser>>,
    merge: bool,
}

impl Parser for Cri {
    fn parse(&self, text: &[u8], out: &mut ParseOutput) -> Result<(), ParseFailure> {
        let Some([time, stream, logtag, message]) = split(text) else { return Err(ParseFailure::Unmatched) };
        if let Some(inner) = &self.inner {
            let before = out.entries().len();
            inner.parse(message, out)?;
            if out.entries().len() > before {
                keep_last(out, before);
                if self.merge {
                    merge(out, stream, logtag);
                }
            }
            return Ok(());
        }
        let mut fields = self.settings.begin(out, 4);
        let found = self.settings.time_parser.parse_text(time).map_err(ParseFailure::Invalid)?;
        fields.set_time(found);
        fields.plain(b"stream", stream);
        fields.plain(b"logtag", logtag);
        fields.plain(b"message", message);
        if let Some(key) = self.settings.time_key.as_deref().filter(|_| self.settings.keep_time_key) {
            fields.plain(key, time);
        }
        fields.finish();
        Ok(())
    }
}

/// Four parts, between single blanks.
fn split(text: &[u8]) -> Option<[&[u8]; 4]> {
    let mut rest = text;
    let mut next = || {
        let end = rest.iter().position(|byte| is_blank(*byte))?;
        let part = &rest[..end];
        rest = &rest[end + 1..];
        Some(part)
    };
    let (time, stream, logtag) = (next()?, next()?, next()?);
    // Ruby's split has no fourth part if nothing follows the third.
    Some([time, stream, logtag, rest])
}

/// Of several events in one message the last one is taken.
fn keep_last(out: &mut ParseOutput, before: usize) {
    let last = out.entries().len() - 1;
    if last > before {
        let record = out.record(last).to_vec();
        let time = out.entries()[last].time;
        out.truncate(before);
        out.begin().extend_from_slice(&record);
        out.commit(time);
    }
}

/// Sets stream and logtag in the last event.
fn merge(out: &mut ParseOutput, stream: &[u8], logtag: &[u8]) {
    let binary = out.is_binary();
    let time = out.reopen_last();
    let at = out.open_record_start();
    let write =
        |out: &mut Vec<u8>, value: &[u8]| if binary { write_bin(out, value) } else { write_str(out, value) };
    let view = RecordView::new(&out.buffer()[at..]);
    if view.get(b"stream").is_none() && view.get(b"logtag").is_none() {
        add_fields(out.buffer(), at, |out| {
            write_str(out, b"stream");
            write(out, stream);
            write_str(out, b"logtag");
            write(out, logtag);
            2
        });
    } else {
        let raw = |value: &[u8]| {
            let mut raw = Vec::new();
            write(&mut raw, value);
            raw
        };
        let splicer = Splicer::new().set(b"stream", &raw(stream)).set(b"logtag", &raw(logtag));
        let record = out.buffer().split_off(at);
        splicer.splice(&record, out.buffer());
    }
    out.commit(time);
}

#[cfg(test)]
mod tests {
    use crate::text::testing::{parse_one, parser, try_parser};

    const LINE: &str = "2016-10-06T00:17:09.669794202Z stdout F ";

    #[test]
    fn four_parts() {
        let cri = parser("@type cri");
        assert_eq!(
            parse_one(&*cri, format!("{LINE}the  message ")),
            r#"1475713029.669794202 {"stream":"stdout","logtag":"F","message":"the  message ","time":"2016-10-06T00:17:09.669794202Z"}"#
        );
        assert_eq!(
            parse_one(&*cri, "2016-10-06T09:17:09.5+09:00 stderr P "),
            r#"1475713029.500000000 {"stream":"stderr","logtag":"P","message":"","time":"2016-10-06T09:17:09.5+09:00"}"#
        );
        for text in ["", "a b c", "2016-10-06T00:17:09.669794202Z stdout F"] {
            assert_eq!(parse_one(&*cri, text), "unmatched", "{text:?}");
        }
        assert!(parse_one(&*cri, "x stdout F m").starts_with("invalid time format: value = x"));
        let without = parser("@type cri\nkeep_time_key false");
        assert_eq!(
            parse_one(&*without, format!("{LINE}m")),
            r#"1475713029.669794202 {"stream":"stdout","logtag":"F","message":"m"}"#
        );
    }

    #[test]
    fn a_parsed_message() {
        let cri = parser("@type cri\n<parse>\n@type json\ntime_key ts\n</parse>");
        assert_eq!(
            parse_one(&*cri, format!("{LINE}{{\"ts\":5,\"a\":1}}")),
            r#"5 {"a":1,"stream":"stdout","logtag":"F"}"#
        );
        assert_eq!(
            parse_one(&*cri, format!("{LINE}{{\"stream\":1,\"a\":1}}")),
            r#"now {"stream":"stdout","a":1,"logtag":"F"}"#
        );
        assert_eq!(
            parse_one(&*cri, format!("{LINE}[{{\"a\":1}},{{\"a\":2}}]")),
            r#"now {"a":2,"stream":"stdout","logtag":"F"}"#
        );
        assert_eq!(parse_one(&*cri, format!("{LINE}no json")), "unmatched");
        let apart = parser("@type cri\nmerge_cri_fields false\n<parse>\n@type json\n</parse>");
        assert_eq!(parse_one(&*apart, format!("{LINE}{{\"a\":1}}")), r#"now {"a":1}"#);
    }

    #[test]
    fn the_inner_section_needs_a_type() {
        assert_eq!(try_parser("@type cri\n<parse>\n</parse>").err().unwrap(), "@type is required in <parse>");
    }
}
