//! `@type grok` and `@type multiline_grok`: patterns with names for pieces of a line (fluent-plugin-grok-parser 2.6).

mod expand;

use crate::text::{Defaults, ParseSettings, parse_params, set_in_last};
use expand::{Expanded, Patterns, Series};
use logweir_engine::config::{Diagnostic, Params};
use logweir_engine::event::EventTime;
use logweir_engine::log_debug;
use logweir_engine::msgpack::{write_bin, write_i64, write_map_len, write_str};
use logweir_engine::plugin::{
    Build, BuildContext, Descriptor, Kind, Multiline, Param, ParamKind, ParseFailure, ParseOutput, Parser,
    SectionSpec, Status,
};
use logweir_engine::regexp::Regexp;
use std::path::Path;
use std::sync::Arc;

/// `@type grok`
pub static PLUGIN: Descriptor = Descriptor {
    params: &PARAMS,
    sections: SECTIONS,
    ..Descriptor::new(
        Kind::Parser,
        "grok",
        "Patterns with names for pieces of a line",
        Build::Parser(|params, context| build(params, context, false)),
    )
};

/// `@type multiline_grok`
pub static MULTILINE: Descriptor = Descriptor {
    params: &Param::join::<18, 1, 19>(
        PARAMS,
        [Param::new(
            "multiline_start_regexp",
            ParamKind::String,
            "What the first line of an event looks like: /regexp/",
        )],
    ),
    sections: SECTIONS,
    ..Descriptor::new(
        Kind::Parser,
        "multiline_grok",
        "Patterns with names for pieces of events that take several lines",
        Build::Parser(|params, context| build(params, context, true)),
    )
};

const PARAMS: [Param; 18] = Param::join(
    parse_params(Defaults::STANDARD),
    [
        Param::new(
            "grok_pattern",
            ParamKind::String,
            "The pattern: %{NAME:field:type} and regular expressions",
        ),
        Param::new(
            "custom_pattern_path",
            ParamKind::String,
            "A file, or a folder of files, of patterns of one's own",
        ),
        Param::new("grok_failure_key", ParamKind::String, "The field that says that no pattern fits"),
        Param::new("grok_name_key", ParamKind::String, "The field that says which <grok> fits"),
        Param::new(
            "grok_pattern_series",
            ParamKind::Enum(&["legacy", "ecs-v1"]),
            "Which names the fields of the patterns that are there have: those of old, or those of the Elastic Common Schema",
        )
        .default("legacy")
        .status(Status::WithoutEffect("there is one series; custom_pattern_path takes files of another one")),
    ],
);

const SECTIONS: &[SectionSpec] = &[SectionSpec {
    repeated: true,
    params: &[
        Param::new("name", ParamKind::String, "Its name, for grok_name_key"),
        Param::new("pattern", ParamKind::String, "The pattern").required(),
        Param::new("keep_time_key", ParamKind::Bool, "The field with the time stays in the record")
            .default("false"),
        Param::new("time_key", ParamKind::String, "The field with the time").default("time"),
        Param::new("time_format", ParamKind::String, "The format of the time"),
        Param::new("timezone", ParamKind::String, "The zone of times that name none"),
    ],
    ..SectionSpec::new("grok", "One of several patterns: the first that fits is taken")
}];

fn build(
    params: &Params,
    context: &mut BuildContext<'_>,
    multiline: bool,
) -> Result<Arc<dyn Parser>, Diagnostic> {
    let series = match params.word("grok_pattern_series") {
        Some("ecs-v1") => Series::EcsV1,
        _ => Series::Legacy,
    };
    let mut patterns = Patterns::built_in(series);
    if let Some(path) = params.str("custom_pattern_path") {
        let added = patterns.add_path(Path::new(path));
        added.map_err(|error| {
            params.error("custom_pattern_path", format!("{path} cannot be read: {error}"))
        })?;
    }
    let mut parsers = Vec::new();
    if let Some(pattern) = params.str("grok_pattern") {
        let parser = Pattern { param: "grok_pattern", text: pattern, multiline, more: Vec::new() };
        parsers.push((Name::Text("grok_pattern".to_owned()), parser.build(params, &patterns, context)?));
    } else {
        for (index, section) in params.sections("grok").iter().enumerate() {
            let name = match section.str("name") {
                Some(name) => Name::Text(name.to_owned()),
                None => Name::Number(index as i64),
            };
            let mut more = Vec::new();
            for inherited in ["keep_time_key", "time_format", "timezone"] {
                let own = section.element().attr(inherited).is_some();
                let written = params.element().attr(inherited).and_then(|attr| attr.value.text());
                more.extend(written.filter(|_| !own).map(|text| (inherited, text.to_owned())));
            }
            let text = section.string("pattern");
            let parser = Pattern { param: "pattern", text: &text, multiline, more };
            parsers.push((name, parser.build(section, &patterns, context)?));
        }
    }
    if parsers.is_empty() {
        let message = "no grok patterns. Check configuration, e.g. typo, configuration syntax, etc";
        return Err(params.error_here(message).help("set grok_pattern, or add a <grok> section"));
    }
    let start = if multiline { start_regexp(params)? } else { None };
    let settings = ParseSettings::new(params, context)?;
    let key = |name: &str| params.str(name).map(|key| key.as_bytes().to_vec());
    let grok = Grok {
        parsers,
        settings,
        failure_key: key("grok_failure_key"),
        name_key: key("grok_name_key"),
        start,
        multiline,
    };
    Ok(Arc::new(grok))
}

fn start_regexp(params: &Params) -> Result<Option<Regexp>, Diagnostic> {
    let name = "multiline_start_regexp";
    let Some(text) = params.str(name) else { return Ok(None) };
    if !text.starts_with('/') {
        return Err(params.error(name, format!("{name} must be written /regexp/: {text}")));
    }
    Regexp::parse_literal(text).map(Some).map_err(|error| params.error(name, error.to_string()))
}

/// A pattern on the way to a parser.
struct Pattern<'p> {
    param: &'static str,
    text: &'p str,
    multiline: bool,
    more: Vec<(&'static str, String)>,
}

impl Pattern<'_> {
    fn build(
        self,
        params: &Params,
        patterns: &Patterns,
        context: &mut BuildContext<'_>,
    ) -> Result<Arc<dyn Parser>, Diagnostic> {
        let expanded = patterns.expand(self.text).map_err(|message| params.error(self.param, message))?;
        let Expanded { expression, types } = expanded;
        log_debug!(context.log, format!("Expanded the pattern {} into {expression}", self.text));
        // A slash at the beginning would make it a literal.
        let expression =
            if self.multiline { format!("(?m:{expression})") } else { format!("(?:{expression})") };
        let mut attrs = self.more;
        attrs.push(("expression", expression));
        if !types.is_empty() {
            let types: serde_json::Map<String, serde_json::Value> =
                types.into_iter().map(|(field, kind)| (field, kind.into())).collect();
            attrs.push(("types", serde_json::Value::Object(types).to_string()));
        }
        let refused =
            |problem: Diagnostic| params.error(self.param, format!("{}: {}", self.text, problem.message()));
        let regexp =
            params.as_plugin_with(Kind::Parser, "regexp", context.registry, &attrs).map_err(refused)?;
        crate::parser_regexp::build(&regexp, context).map_err(refused)
    }
}

enum Name {
    Text(String),
    Number(i64),
}

struct Grok {
    parsers: Vec<(Name, Arc<dyn Parser>)>,
    settings: ParseSettings,
    failure_key: Option<Vec<u8>>,
    name_key: Option<Vec<u8>>,
    start: Option<Regexp>,
    multiline: bool,
}

impl Parser for Grok {
    fn parse(&self, text: &[u8], out: &mut ParseOutput) -> Result<(), ParseFailure> {
        for (name, parser) in &self.parsers {
            let before = out.entries().len();
            match parser.parse(text, out) {
                Err(ParseFailure::Unmatched) => continue,
                Err(failure) => return Err(failure),
                Ok(()) if out.entries().len() == before => continue,
                Ok(()) => {}
            }
            if let Some(key) = &self.name_key {
                let mut raw = Vec::new();
                match name {
                    Name::Text(name) => write_str(&mut raw, name.as_bytes()),
                    Name::Number(number) => write_i64(&mut raw, *number),
                }
                set_in_last(out, key, &raw);
            }
            return Ok(());
        }
        let binary = out.is_binary();
        let buffer = out.begin();
        write_map_len(buffer, 1 + usize::from(self.failure_key.is_some()));
        write_str(buffer, b"message");
        if binary {
            write_bin(buffer, text)
        } else {
            write_str(buffer, text)
        }
        if let Some(key) = &self.failure_key {
            write_str(buffer, key);
            write_str(buffer, b"No grok pattern matched");
        }
        out.commit(self.settings.estimate().or_else(|| Some(EventTime::now())));
        Ok(())
    }

    fn multiline(&self) -> Option<&dyn Multiline> {
        self.multiline.then_some(self)
    }
}

impl Multiline for Grok {
    fn has_firstline(&self) -> bool {
        self.start.is_some()
    }

    fn is_firstline(&self, line: &[u8]) -> bool {
        self.start.as_ref().is_some_and(|start| start.is_match(line))
    }
}

#[cfg(test)]
mod tests;
