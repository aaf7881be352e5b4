//! Parsers and formatters in tests.

use logweir_engine::event::{EventTime, Tag};
use logweir_engine::json::{self, JsonStyle};
use logweir_engine::msgpack::Time;
use logweir_engine::plugin::{Build, Driver, Formatter, Kind, ParseFailure, ParseOutput, Parser};
use std::sync::Arc;

/// The parser of `<parse>` with these lines.
pub(crate) fn parser(body: &str) -> Arc<dyn Parser> {
    try_parser(body).unwrap_or_else(|message| panic!("{message}"))
}

/// The same, or the error's message.
pub(crate) fn try_parser(body: &str) -> Result<Arc<dyn Parser>, String> {
    let mut driver = Driver::new(crate::PLUGINS);
    let params = driver
        .params(Kind::Parser, &format!("<parse>\n{body}\n</parse>"))
        .map_err(|e| e.message().to_owned())?;
    let registry = crate::registry();
    let descriptor = registry.find(Kind::Parser, params.plugin_type()).ok_or("no such parser")?;
    let Build::Parser(build) = descriptor.build else { return Err("no parser".into()) };
    build(&params, &mut driver.context()).map_err(|e| e.message().to_owned())
}

/// What a parser makes of a text: each event as its time (`now` if it is the present one, `none` if it has none) and its
/// record as JSON.
pub(crate) fn parse(parser: &dyn Parser, text: impl AsRef<[u8]>) -> Result<Vec<String>, ParseFailure> {
    let mut out = ParseOutput::new();
    parser.parse(text.as_ref(), &mut out)?;
    Ok(shown(&out))
}

/// The same for one event; `unmatched` or the error's message if there is none.
pub(crate) fn parse_one(parser: &dyn Parser, text: impl AsRef<[u8]>) -> String {
    match parse(parser, text) {
        Ok(events) => events.join(" | "),
        Err(ParseFailure::Unmatched) => "unmatched".into(),
        Err(ParseFailure::Invalid(message)) => message,
    }
}

/// The events of an output.
pub(crate) fn shown(out: &ParseOutput) -> Vec<String> {
    let now = EventTime::now().sec;
    out.entries()
        .iter()
        .enumerate()
        .map(|(index, entry)| {
            let mut text = match entry.time {
                None => "none ".to_owned(),
                Some(time) if (now - 60..=now).contains(&time.sec) => "now ".to_owned(),
                Some(EventTime { sec, nsec: 0 }) => format!("{sec} "),
                Some(EventTime { sec, nsec }) => format!("{sec}.{nsec:09} "),
            }
            .into_bytes();
            json::from_msgpack(out.record(index), &mut text, JsonStyle::Oj).unwrap();
            String::from_utf8_lossy(&text).into_owned()
        })
        .collect()
}

/// The formatter of `<format>` with these lines.
pub(crate) fn formatter(body: &str) -> Arc<dyn Formatter> {
    let mut driver = Driver::new(crate::PLUGINS);
    let params = driver
        .params(Kind::Formatter, &format!("<format>\n{body}\n</format>"))
        .unwrap_or_else(|e| panic!("{}", e.message()));
    let registry = crate::registry();
    let descriptor = registry.find(Kind::Formatter, params.plugin_type()).unwrap();
    let Build::Formatter(build) = descriptor.build else { panic!("no formatter") };
    build(&params, &mut driver.context()).unwrap_or_else(|e| panic!("{}", e.message()))
}

/// What a formatter writes for a record that is given as JSON, with the tag `app.log`.
pub(crate) fn format(formatter: &dyn Formatter, time: Time, record: &str) -> String {
    let mut raw = Vec::new();
    json::to_msgpack(record.as_bytes(), &mut raw, json::ReadOptions::default()).unwrap();
    let mut out = Vec::new();
    formatter.format(&Tag::new("app.log"), time, &raw, &mut out).unwrap();
    String::from_utf8_lossy(&out).into_owned()
}
