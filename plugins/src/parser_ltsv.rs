//! `@type ltsv`: labelled values between tabs (<http://ltsv.org>).

use crate::text::{Defaults, ParseSettings, find, parse_params, split};
use logweir_engine::config::{Diagnostic, Params};
use logweir_engine::plugin::{
    Build, BuildContext, Descriptor, Kind, Param, ParamKind, ParseFailure, ParseOutput, Parser,
};
use logweir_engine::regexp::{Regexp, Spans};
use smallvec::SmallVec;
use std::sync::Arc;

/// `@type ltsv`
pub static PLUGIN: Descriptor = Descriptor {
    params: &PARAMS,
    ..Descriptor::new(Kind::Parser, "ltsv", "Labelled values between tabs", Build::Parser(build))
};

const PARAMS: [Param; 16] = Param::join(
    parse_params(Defaults::TIME),
    [
        Param::new("delimiter", ParamKind::String, "What stands between fields").default("\t"),
        Param::new(
            "delimiter_pattern",
            ParamKind::Regexp,
            "What stands between fields, as a regular expression",
        ),
        Param::new("label_delimiter", ParamKind::String, "What stands between a label and its value")
            .default(":"),
    ],
);

fn build(params: &Params, context: &mut BuildContext<'_>) -> Result<Arc<dyn Parser>, Diagnostic> {
    let settings = ParseSettings::new(params, context)?;
    let pattern = match params.regexp("delimiter_pattern") {
        Some(pattern) => Some(settings.regexp(params, pattern)?),
        None => None,
    };
    Ok(Arc::new(Ltsv {
        settings,
        delimiter: params.string("delimiter").into_bytes(),
        pattern,
        label_delimiter: params.string("label_delimiter").into_bytes(),
    }))
}

struct Ltsv {
    settings: ParseSettings,
    delimiter: Vec<u8>,
    pattern: Option<Regexp>,
    label_delimiter: Vec<u8>,
}

impl Parser for Ltsv {
    fn parse(&self, text: &[u8], out: &mut ParseOutput) -> Result<(), ParseFailure> {
        let pieces = match &self.pattern {
            Some(pattern) => self.split_by(pattern, text),
            None => split(text, &self.delimiter),
        };
        let mut fields = self.settings.begin(out, pieces.len());
        for piece in pieces {
            if let Some(at) = find(piece, &self.label_delimiter) {
                fields.text(&piece[..at], &piece[at + self.label_delimiter.len()..])?;
            }
        }
        fields.finish_distinct();
        Ok(())
    }
}

impl Ltsv {
    fn split_by<'t>(&self, pattern: &Regexp, text: &'t [u8]) -> SmallVec<[&'t [u8]; 16]> {
        let mut pieces = SmallVec::new();
        let (mut start, mut from) = (0, 0);
        let mut spans = Spans::new();
        while from <= text.len() && self.settings.search(pattern, text, from, &mut spans) {
            let Some(found) = spans.get(0) else { break };
            if found.is_empty() {
                // Splitting at nothing gives no labels worth having; go on behind it.
                from = next_character(text, found.end);
                continue;
            }
            pieces.push(&text[start..found.start]);
            start = found.end;
            from = found.end;
        }
        pieces.push(&text[start..]);
        pieces
    }
}

fn next_character(text: &[u8], at: usize) -> usize {
    let continuing = text.iter().skip(at + 1).take_while(|byte| **byte & 0xc0 == 0x80).count();
    at + 1 + continuing
}

#[cfg(test)]
mod tests {
    use crate::text::testing::{parse_one, parser};

    #[test]
    fn fields() {
        let ltsv = parser("@type ltsv\ntypes n:integer");
        for (text, expected) in [
            ("a:1\tb:x:y\tn:5", r#"now {"a":"1","b":"x:y","n":5}"#),
            ("nolabel\ta:", r#"now {"a":""}"#),
            ("a:1\ta:2", r#"now {"a":"2"}"#),
            ("b:0\ta:1\tb:2", r#"now {"b":"2","a":"1"}"#),
            ("", "now {}"),
        ] {
            assert_eq!(parse_one(&*ltsv, text), expected, "{text:?}");
        }
        let timed = parser("@type ltsv\ntime_type unixtime");
        assert_eq!(parse_one(&*timed, "time:17\ta:1"), r#"17 {"a":"1"}"#);
    }

    #[test]
    fn other_delimiters() {
        let ltsv = parser("@type ltsv\ndelimiter_pattern /\\s+/\nlabel_delimiter =");
        assert_eq!(parse_one(&*ltsv, "a=1  b=2\tc=x=y"), r#"now {"a":"1","b":"2","c":"x=y"}"#);
        assert_eq!(parse_one(&*ltsv, "k= z=1"), r#"now {"k":"","z":"1"}"#);
        let empty = parser("@type ltsv\ndelimiter_pattern /,*/");
        assert_eq!(parse_one(&*empty, "a:é,,b:ü,c:1"), r#"now {"a":"é","b":"ü","c":"1"}"#);
    }
}
