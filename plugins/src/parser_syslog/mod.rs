//! `@type syslog`: RFC 3164 and RFC 5424, read by regular expressions or, with `parser_engine string`, cut at blanks; the
//! two differ in details that Fluentd's users see. `types` and the null parameters have no effect here, as in Fluentd.

mod header;
mod rfc3164;
mod rfc5424;

use crate::text::{Defaults, ParseSettings, parse_params};
use logweir_engine::config::{Diagnostic, Params};
use logweir_engine::plugin::{
    Build, BuildContext, Descriptor, Kind, Param, ParamKind, ParseFailure, ParseOutput, Parser,
};
use logweir_engine::regexp::{Regexp, RegexpFlags};
use rfc3164::Rfc3164;
use rfc5424::Rfc5424;
use std::sync::Arc;

/// `@type syslog`
pub static PLUGIN: Descriptor = Descriptor {
    params: &PARAMS,
    ..Descriptor::new(Kind::Parser, "syslog", "Syslog messages", Build::Parser(build))
};

const PARAMS: [Param; 18] = Param::join(
    parse_params(Defaults { time_format: Some("%b %d %H:%M:%S"), ..Defaults::STANDARD }),
    [
        Param::new("with_priority", ParamKind::Bool, "Whether messages begin with a priority such as <9>").default("false"),
        Param::new("message_format", ParamKind::Enum(&["rfc3164", "rfc5424", "auto"]), "The kind of messages")
            .default("rfc3164"),
        Param::new("rfc5424_time_format", ParamKind::String, "Time format of RFC 5424 messages")
            .default("%Y-%m-%dT%H:%M:%S.%L%z"),
        Param::new(
            "parser_engine",
            ParamKind::Enum(&["regexp", "string"]),
            "How messages are read: regexp, or string, which cuts at blanks",
        )
        .aliases(&["parser_type"])
        .default("regexp"),
        Param::new(
            "support_colonless_ident",
            ParamKind::Bool,
            "Whether the first word of an RFC 3164 message is an ident without a colon, too (parser_engine string)",
        )
        .default("true"),
    ],
);

fn build(params: &Params, context: &mut BuildContext<'_>) -> Result<Arc<dyn Parser>, Diagnostic> {
    let settings = ParseSettings::new(params, context)?;
    let time_format = params.string("time_format");
    let format_5424 = params.string("rfc5424_time_format");
    let by_string = params.word("parser_engine") == Some("string");
    let with_priority = params.bool("with_priority");
    let rfc3164 = |format: &str| Rfc3164::new(params, &settings, format, with_priority);
    let rfc5424 = |format: &str| Rfc5424::new(params, &settings, format, with_priority);
    let format = match params.word("message_format") {
        Some("rfc5424") if params.is_set("time_format") => Format::Rfc5424(rfc5424(&time_format)?),
        Some("rfc5424") => Format::Rfc5424(rfc5424(&format_5424)?),
        Some("auto") => Format::Auto {
            rfc3164: rfc3164(&time_format)?,
            rfc5424: rfc5424(&format_5424)?,
            is_5424: Regexp::new(r"^\<[0-9]{1,3}\>[1-9]\d{0,2}", RegexpFlags::default())
                .map_err(|e| params.error_here(e.to_string()))?,
        },
        _ => Format::Rfc3164(rfc3164(&time_format)?),
    };
    Ok(Arc::new(Syslog { settings, format, by_string }))
}

struct Syslog {
    settings: ParseSettings,
    format: Format,
    by_string: bool,
}

enum Format {
    Rfc3164(Rfc3164),
    Rfc5424(Rfc5424),
    Auto { rfc3164: Rfc3164, rfc5424: Rfc5424, is_5424: Regexp },
}

impl Parser for Syslog {
    fn parse(&self, text: &[u8], out: &mut ParseOutput) -> Result<(), ParseFailure> {
        match &self.format {
            Format::Rfc3164(format) => self.parse_3164(format, text, out),
            Format::Rfc5424(format) => self.parse_5424(format, text, out),
            Format::Auto { rfc5424, is_5424, .. } if is_5424.is_match(text) => {
                self.parse_5424(rfc5424, text, out)
            }
            Format::Auto { rfc3164, .. } => self.parse_3164(rfc3164, text, out),
        }
    }
}

impl Syslog {
    fn parse_3164(&self, format: &Rfc3164, text: &[u8], out: &mut ParseOutput) -> Result<(), ParseFailure> {
        match self.by_string {
            true => format.parse_by_string(&self.settings, text, out),
            false => format.parse_by_regexp(&self.settings, text, out),
        }
    }

    fn parse_5424(&self, format: &Rfc5424, text: &[u8], out: &mut ParseOutput) -> Result<(), ParseFailure> {
        match self.by_string {
            true => format.parse_by_string(&self.settings, text, out),
            false => format.parse_by_regexp(&self.settings, text, out),
        }
    }
}

#[cfg(test)]
pub(crate) use {rfc3164::EXPRESSION as RFC3164, rfc5424::EXPRESSION as RFC5424};
#[cfg(test)]
mod tests;
