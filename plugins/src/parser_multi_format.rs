//! `@type multi_format`: the first of several formats that fits (fluent-plugin-multi-format-parser 1.1).

use crate::text::set_in_last;
use logweir_engine::config::{Diagnostic, Params};
use logweir_engine::msgpack::write_str;
use logweir_engine::plugin::{
    Build, BuildContext, Descriptor, Kind, Param, ParamKind, ParseFailure, ParseOutput, Parser, SectionSpec,
};
use std::sync::Arc;

/// `@type multi_format`
pub static PLUGIN: Descriptor = Descriptor {
    params: &[Param::new("format_key", ParamKind::String, "The field that says which format fits")],
    sections: &[SectionSpec {
        aliases: &["format"],
        free: true,
        repeated: true,
        ..SectionSpec::new(
            "pattern",
            "A format: the name of a parser (`format`) with that parser's parameters, and format_name for format_key",
        )
    }],
    ..Descriptor::new(
        Kind::Parser,
        "multi_format",
        "The first of several formats that fits",
        Build::Parser(build),
    )
};

fn build(params: &Params, context: &mut BuildContext<'_>) -> Result<Arc<dyn Parser>, Diagnostic> {
    let mut formats = Vec::new();
    for (index, section) in params.sections("pattern").iter().enumerate() {
        let written = |name: &str| section.element().attr(name).and_then(|attr| attr.value.text());
        let Some(format) = written("format").or_else(|| written("@type")) else {
            return Err(section.error_here("'format' parameter is required in <pattern>"));
        };
        if format == "multi_format" {
            return Err(section.error("format", "a <pattern> of multi_format cannot be multi_format"));
        }
        let name = written("format_name").map_or_else(|| format!("{format}#{index}"), str::to_owned);
        // `format /regexp/` is an old way to say `format regexp`.
        let is_literal = format.len() > 1 && format.starts_with('/') && format.ends_with('/');
        let (kind, more) = match is_literal {
            true => ("regexp", vec![("expression", format.to_owned())]),
            false => (format, Vec::new()),
        };
        let Some(descriptor) = context.registry.find(Kind::Parser, kind) else {
            let place = if written("format").is_some() { "format" } else { "@type" };
            return Err(section.error(place, format!("Unknown parser plugin '{kind}'")));
        };
        let inner = section.as_plugin_with(Kind::Parser, kind, context.registry, &more)?;
        let Build::Parser(build) = descriptor.build else { return Err(section.error_here("not a parser")) };
        let mut raw_name = Vec::new();
        write_str(&mut raw_name, name.as_bytes());
        formats.push(Format { parser: build(&inner, context)?, raw_name });
    }
    if formats.is_empty() {
        return Err(params.error_here("multi_format needs at least one <pattern>"));
    }
    let format_key = params.str("format_key").map(|key| key.as_bytes().to_vec());
    Ok(Arc::new(MultiFormat { formats, format_key }))
}

struct MultiFormat {
    formats: Vec<Format>,
    format_key: Option<Vec<u8>>,
}

struct Format {
    parser: Arc<dyn Parser>,
    /// As MessagePack.
    raw_name: Vec<u8>,
}

impl Parser for MultiFormat {
    fn parse(&self, text: &[u8], out: &mut ParseOutput) -> Result<(), ParseFailure> {
        let before = out.entries().len();
        for Format { parser, raw_name } in &self.formats {
            // What fails, in whatever way, is another format.
            let parsed = parser.parse(text, out).is_ok();
            let first = out.entries().get(before).copied();
            if !parsed || first.is_none_or(|entry| entry.time.is_none()) {
                out.truncate(before);
                continue;
            }
            out.truncate(before + 1);
            if let Some(key) = &self.format_key {
                set_in_last(out, key, raw_name);
            }
            return Ok(());
        }
        Err(ParseFailure::Unmatched)
    }
}

#[cfg(test)]
mod tests {
    use crate::text::testing::{parse_one, parser, try_parser};

    const README: &str = "@type multi_format\n\
        <pattern>\nformat apache\n</pattern>\n\
        <pattern>\nformat json\ntime_key timestamp\ntime_type unixtime\n</pattern>\n\
        <pattern>\nformat none\n</pattern>";

    #[test]
    fn the_first_that_fits() {
        let multi = parser(README);
        assert_eq!(parse_one(&*multi, r#"{"timestamp":7,"a":1}"#), r#"7 {"a":1}"#);
        assert_eq!(parse_one(&*multi, "neither"), r#"now {"message":"neither"}"#);
        let line =
            r#"192.168.0.1 - - [28/Feb/2013:12:00:00 +0900] "GET / HTTP/1.1" 200 777 "-" "Opera/12.0""#;
        assert!(parse_one(&*multi, line).starts_with(r#"1362020400 {"host":"192.168.0.1","#));
    }

    #[test]
    fn a_bad_time_is_another_format_and_no_format_is_no_event() {
        let text = "@type multi_format\n<pattern>\nformat json\ntime_format %Y\n</pattern>\n\
                    <pattern>\nformat /^x(?<n>\\d)/\ntypes n:integer\n</pattern>";
        let multi = parser(text);
        assert_eq!(parse_one(&*multi, r#"{"time":"no"}"#), "unmatched");
        assert_eq!(parse_one(&*multi, "x5"), r#"now {"n":5}"#);
        assert_eq!(parse_one(&*multi, "y"), "unmatched");
    }

    #[test]
    fn the_format_can_be_named() {
        let text = "@type multi_format\nformat_key f\n<pattern>\nformat json\nformat_name j\n</pattern>\n\
                    <format>\n@type regexp\nexpression /(?<f>.)/\n</format>";
        let multi = parser(text);
        assert_eq!(parse_one(&*multi, r#"{"a":1}"#), r#"now {"a":1,"f":"j"}"#);
        assert_eq!(parse_one(&*multi, "x"), r#"now {"f":"regexp#1"}"#);
    }

    #[test]
    fn what_makes_no_sense_is_refused() {
        assert_eq!(
            try_parser("@type multi_format").err().unwrap(),
            "multi_format needs at least one <pattern>"
        );
        let error = |text: &str| {
            try_parser(&format!("@type multi_format\n<pattern>\n{text}\n</pattern>")).err().unwrap()
        };
        assert_eq!(error("a b"), "'format' parameter is required in <pattern>");
        assert_eq!(error("format nobody"), "Unknown parser plugin 'nobody'");
        assert_eq!(
            error("format regexp\nexpression /(a)/").lines().next().unwrap(),
            "No named captures in 'expression' parameter. The regexp must have at least one named capture"
        );
    }
}
