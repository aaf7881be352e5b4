//! `@type multiline`: events that take several lines. The formats joined are one regular expression.

use crate::parser_regexp::Groups;
use crate::text::{Defaults, ParseSettings, parse_params};
use logweir_engine::config::{Diagnostic, Params};
use logweir_engine::event::EventTime;
use logweir_engine::msgpack::{write_bin, write_map_len, write_str};
use logweir_engine::plugin::{
    Build, BuildContext, Descriptor, Kind, Multiline, Param, ParamKind, ParseFailure, ParseOutput, Parser,
};
use logweir_engine::regexp::{Regexp, RegexpFlags};
use std::sync::Arc;

/// `@type multiline`
pub static PLUGIN: Descriptor = Descriptor {
    params: &PARAMS,
    ..Descriptor::new(Kind::Parser, "multiline", "Events that take several lines", Build::Parser(build))
};

const FORMATS_MAX: usize = 20;

const PARAMS: [Param; 35] = params(Defaults::TIME, None, None);

/// The table, with defaults of `format_firstline` and `format1`.
pub(crate) const fn params(
    defaults: Defaults,
    firstline: Option<&'static str>,
    format: Option<&'static str>,
) -> [Param; 35] {
    let mut first = Param::new(
        "format_firstline",
        ParamKind::String,
        "What the first line of an event looks like: /regexp/",
    );
    let mut formats = formats();
    if let (Some(firstline), Some(format)) = (firstline, format) {
        first = first.default(firstline);
        formats[0] = formats[0].default(format);
    }
    Param::join(
        parse_params(defaults),
        Param::join::<2, FORMATS_MAX, 22>(
            [
                first,
                Param::new(
                    "unmatched_lines",
                    ParamKind::String,
                    "If it is set, lines that do not match are events with the field unmatched_line",
                ),
            ],
            formats,
        ),
    )
}

const fn formats() -> [Param; FORMATS_MAX] {
    const NAMES: [&str; FORMATS_MAX] = [
        "format1", "format2", "format3", "format4", "format5", "format6", "format7", "format8", "format9",
        "format10", "format11", "format12", "format13", "format14", "format15", "format16", "format17",
        "format18", "format19", "format20",
    ];
    let mut all =
        [Param::new("format1", ParamKind::String, "A part of the expression: /regexp/"); FORMATS_MAX];
    let mut n = 0;
    while n < FORMATS_MAX {
        all[n].name = NAMES[n];
        n += 1;
    }
    all
}

/// Builds a parser whose table is [`params`].
pub(crate) fn build(params: &Params, context: &mut BuildContext<'_>) -> Result<Arc<dyn Parser>, Diagnostic> {
    let source = joined_formats(params)?;
    let flags = RegexpFlags { multi_line: true, ..RegexpFlags::default() };
    let place = if params.is_set("format1") { "format1" } else { "@type" };
    let invalid = |reason: String| params.error(place, format!("Invalid regexp '{source}': {reason}"));
    let expression = Regexp::new(&source, flags).map_err(|e| invalid(e.to_string()))?;
    if expression.names().is_empty() {
        return Err(invalid("No named captures".into()));
    }
    let settings = ParseSettings::new(params, context)?;
    let expression = settings.regexp(params, expression)?;
    let firstline = match params.str("format_firstline") {
        Some(text) => {
            let source = regexp_source(params, "format_firstline", text)?;
            let regexp = Regexp::new(source, RegexpFlags::default());
            Some(regexp.map_err(|e| params.error("format_firstline", e.to_string()))?)
        }
        None => None,
    };
    Ok(Arc::new(MultilineParser {
        groups: Groups::new(&expression, &settings),
        expression,
        settings,
        firstline,
        has_unmatched_lines: params.str("unmatched_lines").is_some(),
    }))
}

/// The expressions of format1 and so on, one behind the other.
fn joined_formats(params: &Params) -> Result<String, Diagnostic> {
    let is_beyond = |name: &str| {
        let number =
            name.strip_prefix("format").filter(|n| !n.is_empty() && n.bytes().all(|b| b.is_ascii_digit()));
        number.is_some_and(|n| !n.parse().is_ok_and(|n: usize| (1..=FORMATS_MAX).contains(&n)))
    };
    let beyond: Vec<&str> = params.attrs().map(|(name, _)| name).filter(|name| is_beyond(name)).collect();
    if let Some(first) = beyond.first() {
        let message = format!("Invalid formatN found. N should be 1 - {FORMATS_MAX}: {}", beyond.join(","));
        return Err(params.error(first, message));
    }
    let mut source = String::new();
    let mut last = 0;
    for (n, param) in formats().iter().enumerate() {
        let Some(text) = params.str(param.name) else { continue };
        if n > 0 && last != n {
            let message = format!("Jump of format index found. format{n} is missing.");
            return Err(params.error(param.name, message));
        }
        last = n + 1;
        source.push_str(regexp_source(params, param.name, text)?);
    }
    Ok(source)
}

/// What is between the slashes, if that compiles.
fn regexp_source<'t>(params: &Params, name: &str, text: &'t str) -> Result<&'t str, Diagnostic> {
    let inside = text.strip_prefix('/').and_then(|rest| rest.strip_suffix('/'));
    let Some(source) = inside else {
        return Err(params.error(name, format!("format should be Regexp, need //, in {name}: '{text}'")));
    };
    let flags = RegexpFlags { multi_line: true, ..RegexpFlags::default() };
    match Regexp::new(source, flags) {
        Ok(_) => Ok(source),
        Err(error) => Err(params.error(name, format!("Invalid regexp in {name}: {error}"))),
    }
}

struct MultilineParser {
    settings: ParseSettings,
    expression: Regexp,
    groups: Groups,
    firstline: Option<Regexp>,
    has_unmatched_lines: bool,
}

impl Parser for MultilineParser {
    /// One event behind the other, as long as the text goes on with something that matches.
    fn parse(&self, text: &[u8], out: &mut ParseOutput) -> Result<(), ParseFailure> {
        let mut rest = text;
        loop {
            let matched = match self.groups.parse(&self.expression, &self.settings, rest, out) {
                Ok(matched) => matched,
                Err(ParseFailure::Unmatched) if self.has_unmatched_lines => {
                    unmatched(rest, out);
                    return Ok(());
                }
                Err(failure) => return Err(failure),
            };
            // An expression that matches nothing would match it for ever.
            let end = matched.end.max(1).min(rest.len());
            rest = &rest[end..];
            rest = rest.strip_prefix(b"\n").unwrap_or(rest);
            if rest.is_empty() {
                return Ok(());
            }
        }
    }

    fn multiline(&self) -> Option<&dyn Multiline> {
        Some(self)
    }
}

impl Multiline for MultilineParser {
    fn has_firstline(&self) -> bool {
        self.firstline.is_some()
    }

    fn is_firstline(&self, line: &[u8]) -> bool {
        self.firstline.as_ref().is_some_and(|firstline| firstline.is_match(line))
    }
}

fn unmatched(text: &[u8], out: &mut ParseOutput) {
    let binary = out.is_binary();
    let buffer = out.begin();
    write_map_len(buffer, 1);
    write_str(buffer, b"unmatched_line");
    if binary {
        write_bin(buffer, text)
    } else {
        write_str(buffer, text)
    }
    out.commit(Some(EventTime::now()));
}

#[cfg(test)]
mod tests {
    use crate::text::testing::{parse, parse_one, parser, shown, try_parser};
    use logweir_engine::plugin::{ParseFailure, ParseOutput};

    #[test]
    fn first_lines() {
        let body = "@type multiline\nformat_firstline /^\\d{4}-\\d\\d-\\d\\d/\n\
                    format1 /^(?<time>\\d{4}-\\d\\d-\\d\\d \\d\\d:\\d\\d:\\d\\d) (?<level>\\w+) (?<message>.*)/\n\
                    time_format %Y-%m-%d %H:%M:%S\nutc true";
        let multiline = parser(body);
        let lines = multiline.multiline().unwrap();
        assert!(
            lines.has_firstline()
                && lines.is_firstline(b"2020-01-02 x\n")
                && !lines.is_firstline(b"orphan\n")
        );
        assert_eq!(
            parse_one(&*multiline, "2020-01-02 03:04:05 INFO one\n  at two"),
            r#"1577934245 {"level":"INFO","message":"one\n  at two"}"#
        );
        assert_eq!(parse_one(&*multiline, "orphan"), "unmatched");
        let emitting = parser(&format!("{body}\nunmatched_lines yes"));
        assert_eq!(parse_one(&*emitting, "orphan"), r#"now {"unmatched_line":"orphan"}"#);
    }

    #[test]
    fn several_events_in_one_text() {
        let multiline = parser(
            "@type multiline\nformat1 /^start (?<a>\\w+)\\n/\nformat2 /mid (?<b>\\w+)\\n/\nformat3 /end (?<c>\\w+)/",
        );
        assert!(!multiline.multiline().unwrap().has_firstline());
        assert_eq!(
            parse(&*multiline, "start 1\nmid 2\nend 3\nstart x\nmid y\nend z\n").unwrap(),
            [r#"now {"a":"1","b":"2","c":"3"}"#, r#"now {"a":"x","b":"y","c":"z"}"#]
        );
        let mut out = ParseOutput::new();
        assert_eq!(multiline.parse(b"start 1\nmid 2\nend 3\nrest", &mut out), Err(ParseFailure::Unmatched));
        assert_eq!(shown(&out).len(), 1);
        assert_eq!(parse_one(&*multiline, "start 1\nmid 2"), "unmatched");
    }

    #[test]
    fn an_expression_that_matches_nothing_ends() {
        let multiline = parser("@type multiline\nformat1 /(?<a>x*)/");
        assert_eq!(parse(&*multiline, "yy").unwrap().len(), 2);
        assert_eq!(parse(&*multiline, "").unwrap().len(), 1);
    }

    #[test]
    fn mistakes() {
        let error = |body: &str| try_parser(&format!("@type multiline\n{body}")).err().unwrap();
        assert_eq!(
            error("format1 /(?<a>x)/\nformat3 /y/"),
            "Jump of format index found. format2 is missing."
        );
        assert_eq!(error("format1 x"), "format should be Regexp, need //, in format1: 'x'");
        assert_eq!(
            error("format1 /(/"),
            "Invalid regexp in format1: end pattern with unmatched parenthesis: /(/m"
        );
        assert_eq!(error("format1 /x/"), "Invalid regexp 'x': No named captures");
        assert_eq!(
            error("format1 /(?<a>x)/\nformat_firstline y"),
            "format should be Regexp, need //, in format_firstline: 'y'"
        );
        assert_eq!(
            error("format1 /(?<a>x)/\nformat21 /y/"),
            "Invalid formatN found. N should be 1 - 20: format21"
        );
    }
}
