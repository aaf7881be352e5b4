//! `@type regexp`: named groups are fields. Also what nginx, apache and apache_error are made of, and the parts of multiline.

use crate::text::{Converter, Defaults, ParseSettings, parse_params};
use logweir_engine::config::{Diagnostic, Params};
use logweir_engine::log_info;
use logweir_engine::msgpack::write_str;
use logweir_engine::plugin::{
    Build, BuildContext, Descriptor, Kind, Param, ParamKind, ParseFailure, ParseOutput, Parser, Status,
};
use logweir_engine::regexp::{Engine, Regexp, RegexpFlags, Spans};
use std::ops::Range;
use std::sync::Arc;

/// `@type regexp`
pub static PLUGIN: Descriptor = Descriptor {
    params: &PARAMS,
    ..Descriptor::new(
        Kind::Parser,
        "regexp",
        "Named groups of a regular expression are fields",
        Build::Parser(build),
    )
};

const PARAMS: [Param; 16] = params(
    Param::new("expression", ParamKind::Regexp, "The regular expression, in Ruby's dialect").required(),
    Defaults::TIME,
);

/// The table of a parser that is a regular expression.
pub(crate) const fn params(expression: Param, defaults: Defaults) -> [Param; 16] {
    Param::join(
        parse_params(defaults),
        [
            expression,
            Param::new("ignorecase", ParamKind::Bool, "Case does not matter")
                .default("false")
                .status(Status::Deprecated("Use /pattern/i instead, this option is no longer effective")),
            Param::new("multiline", ParamKind::Bool, "The dot matches line ends")
                .default("false")
                .status(Status::Deprecated("Use /pattern/m instead, this option is no longer effective")),
        ],
    )
}

/// Builds a parser whose table is [`params`].
pub(crate) fn build(params: &Params, context: &mut BuildContext<'_>) -> Result<Arc<dyn Parser>, Diagnostic> {
    let Some(mut expression) = params.regexp("expression") else {
        return Err(params.error_here("'expression' parameter is required"));
    };
    let (ignore_case, multi_line) = (params.bool("ignorecase"), params.bool("multiline"));
    if ignore_case || multi_line {
        let flags = RegexpFlags { ignore_case, multi_line, extended: false };
        expression =
            Regexp::new(expression.source(), flags).map_err(|e| params.error("expression", e.to_string()))?;
    }
    if expression.names().is_empty() {
        let message =
            "No named captures in 'expression' parameter. The regexp must have at least one named capture";
        return Err(params.error("expression", message));
    }
    let settings = ParseSettings::new(params, context)?;
    if expression.engine() == Engine::Backtracking {
        log_info!(
            context.log,
            "this regular expression needs backtracking, which is slower than the others and is given up on texts that take it too long",
            expression = expression.to_string()
        );
    }
    let expression = settings.regexp(params, expression)?;
    Ok(Arc::new(RegexpParser { groups: Groups::new(&expression, &settings), expression, settings }))
}

struct RegexpParser {
    settings: ParseSettings,
    expression: Regexp,
    groups: Groups,
}

impl Parser for RegexpParser {
    fn parse(&self, text: &[u8], out: &mut ParseOutput) -> Result<(), ParseFailure> {
        self.groups.parse(&self.expression, &self.settings, text, out).map(drop)
    }
}

/// The named groups of an expression, with all that does not depend on the text.
pub(crate) struct Groups(Vec<Group>);

struct Group {
    /// The name as MessagePack.
    raw_key: Vec<u8>,
    is_time: bool,
    converter: Option<Arc<Converter>>,
}

impl Groups {
    pub(crate) fn new(expression: &Regexp, settings: &ParseSettings) -> Self {
        let groups = expression.names().iter().map(|name| {
            let mut raw_key = Vec::new();
            write_str(&mut raw_key, name.name().as_bytes());
            let is_time = settings.time_key.as_deref() == Some(name.name().as_bytes());
            Group { raw_key, is_time, converter: settings.converter(name.name().as_bytes()) }
        });
        Self(groups.collect())
    }

    /// Writes the groups of the first match as an event; answers where the whole match lies.
    pub(crate) fn parse(
        &self,
        expression: &Regexp,
        settings: &ParseSettings,
        text: &[u8],
        out: &mut ParseOutput,
    ) -> Result<Range<usize>, ParseFailure> {
        let mut spans = Spans::new();
        if !settings.search(expression, text, 0, &mut spans) {
            return Err(ParseFailure::Unmatched);
        }
        let mut fields = settings.begin(out, self.0.len());
        for (group, name) in self.0.iter().zip(expression.names()) {
            // Groups that took no part are left out.
            let Some(span) = name.span(&spans) else { continue };
            let value = &text[span];
            if group.is_time && fields.time(value)? {
                continue;
            }
            fields.known(&group.raw_key, group.converter.as_deref(), value);
        }
        fields.finish();
        spans.get(0).ok_or(ParseFailure::Unmatched)
    }
}

#[cfg(test)]
mod tests {
    use crate::text::testing::{parse_one, parser, try_parser};

    #[test]
    fn named_groups() {
        let regexp = parser(
            "@type regexp\nexpression /^\\[(?<time>[^\\]]+)\\] (?<level>\\w+) (?<code>\\d+) (?<rest>.*)$/\n\
             time_format %Y-%m-%d %H:%M:%S %z\ntypes code:integer",
        );
        assert_eq!(
            parse_one(&*regexp, "[2020-01-02 03:04:05 +0000] INFO 200 all good"),
            r#"1577934245 {"level":"INFO","code":200,"rest":"all good"}"#
        );
        assert_eq!(parse_one(&*regexp, "[2020-01-02 03:04:05 +0000] WARN x y"), "unmatched");
        assert_eq!(
            parse_one(&*regexp, "[x] WARN 1 y"),
            "invalid time format: value = x, error_class = ArgumentError, error = string doesn't match"
        );
    }

    #[test]
    fn options() {
        let regexp = parser("@type regexp\nexpression /^(?<k>[a-z]+)=(?<v>.*)$/im");
        assert_eq!(parse_one(&*regexp, "KEY=val\nue"), r#"now {"k":"KEY","v":"val\nue"}"#);
        let legacy = parser("@type regexp\nexpression (?<k>a)\nignorecase true");
        assert_eq!(parse_one(&*legacy, "A"), r#"now {"k":"A"}"#);
    }

    #[test]
    fn groups_that_take_no_part_are_left_out() {
        let regexp =
            parser("@type regexp\nexpression /(?<a>x)(?<b>y)?(z)?(?<time>[0-9]+)?/\ntime_type unixtime");
        assert_eq!(parse_one(&*regexp, "x"), r#"now {"a":"x"}"#);
        assert_eq!(parse_one(&*regexp, "xy7"), r#"7 {"a":"x","b":"y"}"#);
    }

    #[test]
    fn nulls() {
        let regexp = parser(
            "@type regexp\nexpression /^(?<a>[^ ]*) (?<b>[^ ]*) (?<c>[^ ]*)$/\nnull_value_pattern ^-$\nnull_empty_string true",
        );
        assert_eq!(parse_one(&*regexp, "x - y"), r#"now {"a":"x","b":null,"c":"y"}"#);
        assert_eq!(parse_one(&*regexp, "- - -"), r#"now {"a":null,"b":null,"c":null}"#);
        assert_eq!(parse_one(&*regexp, "x  y"), r#"now {"a":"x","b":null,"c":"y"}"#);
    }

    #[test]
    fn more_than_fifteen_fields() {
        let expression: Vec<String> = (0..20).map(|n| format!("(?<f{n}>.)")).collect();
        let regexp = parser(&format!("@type regexp\nexpression /{}/", expression.join("")));
        let given = parse_one(&*regexp, "abcdefghijklmnopqrst");
        assert!(
            given.starts_with(r#"now {"f0":"a","f1":"b""#) && given.ends_with(r#""f19":"t"}"#),
            "{given}"
        );
    }

    #[test]
    fn an_expression_needs_names() {
        let error = try_parser("@type regexp\nexpression /(a)/").err().unwrap();
        assert_eq!(
            error,
            "No named captures in 'expression' parameter. The regexp must have at least one named capture"
        );
    }

    #[test]
    fn a_timeout_gives_up_sooner_or_later() {
        let text = "a".repeat(22) + "bc";
        let regexp = |timeout: &str| {
            parser(&format!("@type regexp\nexpression /(?<x>(?=((?<p>a+)(a+))+\\k<p>c)|b)/\n{timeout}"))
        };
        assert_eq!(parse_one(&*regexp("timeout 0.0001"), &text), "unmatched");
    }
}
