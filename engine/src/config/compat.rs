//! Flat parameters of older configurations, moved into the sections that they belong to today (Fluentd's
//! plugin_helper/compat_parameters.rb). A section that is written wins: then nothing is moved.

mod exec_filter;

use super::value::bool;
use super::{Attr, Diagnostic, Element, RawValue};
use crate::plugin::{BufferSupport, Compat, Descriptor};

/// `(flat name, name in the section)`; the second is empty where the meaning is translated.
type Names = &'static [(&'static str, &'static str)];

const BUFFER: Names = &[
    ("buffer_type", "@type"),
    ("buffer_path", "path"),
    ("num_threads", "flush_thread_count"),
    ("flush_interval", "flush_interval"),
    ("try_flush_interval", "flush_thread_interval"),
    ("queued_chunk_flush_interval", "flush_thread_burst_interval"),
    ("disable_retry_limit", "retry_forever"),
    ("retry_limit", "retry_max_times"),
    ("max_retry_wait", "retry_max_interval"),
    ("buffer_chunk_limit", "chunk_limit_size"),
    ("buffer_queue_limit", "queue_limit_length"),
    ("buffer_queue_full_action", "overflow_action"),
    ("flush_at_shutdown", "flush_at_shutdown"),
    ("time_slice_format", ""),
    ("time_slice_wait", "timekey_wait"),
    ("timezone", "timekey_zone"),
];

const PARSER: Names = &[
    ("format", ""),
    ("types", ""),
    ("types_delimiter", ""),
    ("types_label_delimiter", ""),
    ("keys", "keys"),
    ("time_key", "time_key"),
    ("time_format", "time_format"),
    ("localtime", ""),
    ("utc", ""),
    ("delimiter", "delimiter"),
    ("keep_time_key", "keep_time_key"),
    ("null_empty_string", "null_empty_string"),
    ("null_value_pattern", "null_value_pattern"),
    ("json_parser", "json_parser"),
    ("label_delimiter", "label_delimiter"),
    ("format_firstline", "format_firstline"),
    ("message_key", "message_key"),
    ("with_priority", "with_priority"),
    ("message_format", "message_format"),
    ("rfc5424_time_format", "rfc5424_time_format"),
];

const INJECT: Names = &[
    ("include_time_key", ""),
    ("time_key", "time_key"),
    ("time_format", "time_format"),
    ("timezone", "timezone"),
    ("include_tag_key", ""),
    ("tag_key", "tag_key"),
    ("localtime", ""),
    ("utc", ""),
];

const EXTRACT: Names = &[
    ("time_key", "time_key"),
    ("time_format", "time_format"),
    ("timezone", "timezone"),
    ("tag_key", "tag_key"),
    ("localtime", ""),
    ("utc", ""),
    ("format", ""),
];

const FORMATTER: Names = &[
    ("format", "@type"),
    ("delimiter", "delimiter"),
    ("force_quotes", "force_quotes"),
    ("keys", "keys"),
    ("fields", "fields"),
    ("json_parser", "json_parser"),
    ("label_delimiter", "label_delimiter"),
    ("output_time", "output_time"),
    ("output_tag", "output_tag"),
    ("localtime", "localtime"),
    ("utc", "utc"),
    ("timezone", "timezone"),
    ("message_key", "message_key"),
    ("add_newline", "add_newline"),
    ("output_type", "output_type"),
];

/// Formats of the multiline parser that in_tail takes as flat parameters: `format1` to `format20`.
const MULTILINE_FORMATS: std::ops::RangeInclusive<u32> = 1..=20;

/// Adds to `element` the sections that its flat parameters stand for. Answers the names of the parameters that were
/// read for that; they stay where they are, since some plugins read them too.
pub(super) fn convert(
    element: &mut Element,
    descriptor: &Descriptor,
) -> Result<Vec<&'static str>, Diagnostic> {
    let mut used = Vec::new();
    for compat in descriptor.compat {
        let section = match compat {
            Compat::Buffer => buffer(element, chunk_keys(descriptor.buffer), &mut used)?,
            Compat::Parser => parser(element, &mut used)?,
            Compat::Formatter => formatter(element, &mut used),
            Compat::Inject => inject(element, &mut used)?,
            Compat::Extract => extract(element, &mut used)?,
            Compat::ExecFilter => {
                exec_filter::convert(element, &mut used);
                None
            }
        };
        element.elements.extend(section);
    }
    Ok(used)
}

fn chunk_keys(support: BufferSupport) -> String {
    match support {
        BufferSupport::Never => String::new(),
        BufferSupport::Optional(defaults) | BufferSupport::Always(defaults) => defaults.chunk_keys.join(","),
    }
}

/// A section that takes what `names` say from `element`; `None` if there is nothing to take, or if it is written.
struct Moved<'a> {
    from: &'a Element,
    to: Element,
}

impl<'a> Moved<'a> {
    fn new(from: &'a Element, section: &str, names: Names, used: &mut Vec<&'static str>) -> Option<Self> {
        if from.sections(section).next().is_some() {
            return None;
        }
        let first = names.iter().find_map(|(flat, _)| from.attr(flat))?;
        let mut moved = Self { from, to: Element::new(section, "", first.name_span.clone()) };
        for (flat, current) in names {
            used.push(flat);
            if let Some(attr) = from.attr(flat)
                && !current.is_empty()
            {
                moved.to.set(Attr { name: (*current).to_owned(), ..attr.clone() });
            }
        }
        Some(moved)
    }

    fn text(&self, flat: &str) -> Option<&str> {
        self.from.text(flat)
    }

    fn is_true(&self, flat: &str) -> bool {
        self.text(flat).and_then(bool) == Some(true)
    }

    /// Sets `name` to a value that follows from the flat parameter `cause`.
    fn set(&mut self, name: &str, value: impl Into<String>, cause: &str) {
        let (name_span, value_span) = match self.from.attr(cause) {
            Some(attr) => (attr.name_span.clone(), attr.value_span.clone()),
            None => (self.to.span.clone(), self.to.span.clone()),
        };
        self.to.set(Attr::new(name, RawValue::Text(value.into()), name_span, value_span));
    }

    fn set_default(&mut self, name: &str, value: &str, cause: &str) {
        if !self.to.has(name) {
            self.set(name, value, cause);
        }
    }

    /// `localtime` and `utc`, of which at most one may be written, become `name`; the value is that of `localtime`.
    fn zone(&mut self, name: &str, is_utc: bool) -> Result<(), Diagnostic> {
        let (local, utc) = (self.from.attr("localtime"), self.from.attr("utc"));
        if let (Some(_), Some(utc)) = (local, utc) {
            return Err(conflict(utc));
        }
        for (flat, inverted) in [("localtime", is_utc), ("utc", !is_utc)] {
            if let Some(value) = self.text(flat).and_then(bool) {
                let text = if value != inverted { "true" } else { "false" };
                self.set(name, text, flat);
            }
        }
        Ok(())
    }
}

fn conflict(utc: &Attr) -> Diagnostic {
    Diagnostic::error("both of utc and localtime are specified, use only one of them").at(&utc.name_span)
}

fn buffer(
    element: &Element,
    chunk_keys: String,
    used: &mut Vec<&'static str>,
) -> Result<Option<Element>, Diagnostic> {
    let Some(mut moved) = Moved::new(element, "buffer", BUFFER, used) else { return Ok(None) };
    if moved.text("buffer_queue_full_action") == Some("exception") {
        moved.set("overflow_action", "throw_exception", "buffer_queue_full_action");
    }
    moved.to.arg = chunk_keys;
    if let Some(format) = element.attr("time_slice_format") {
        moved.to.arg = "time".to_owned();
        let text = format.value.text().unwrap_or_default();
        let units = [("%S", "1"), ("%M", "60"), ("%H", "3600"), ("%d", "86400")];
        let Some((_, timekey)) = units.iter().find(|(unit, _)| text.contains(unit)) else {
            let message = "time_slice_format only with %Y or %m is too long";
            return Err(Diagnostic::error(message).at(&format.place()));
        };
        moved.set("timekey", *timekey, "time_slice_format");
        used.extend(["localtime", "utc"]);
        moved.zone("timekey_use_utc", true)?;
    } else if moved.to.arg == "time" {
        let cause = moved.to.attrs.first().map(|attr| attr.name.clone()).unwrap_or_default();
        moved.set("timekey", "86400", &cause);
    }
    Ok(Some(moved.to))
}

fn parser(element: &Element, used: &mut Vec<&'static str>) -> Result<Option<Element>, Diagnostic> {
    let Some(mut moved) = Moved::new(element, "parse", PARSER, used) else { return Ok(None) };
    if let Some(format) = moved.text("format").map(str::to_owned) {
        match format.strip_prefix('/').and_then(|rest| rest.strip_suffix('/')) {
            Some(expression) => {
                moved.set("@type", "regexp", "format");
                moved.set("expression", expression, "format");
            }
            None => moved.set("@type", format, "format"),
        }
    }
    if let Some(types) = moved.text("types") {
        let delimiter = moved.text("types_delimiter").unwrap_or(",");
        let label = moved.text("types_label_delimiter").unwrap_or(":");
        let mut map = serde_json::Map::new();
        for pair in types.split(delimiter).filter(|pair| !pair.is_empty()) {
            let (key, value) = pair.split_once(label).map_or((pair, None), |(key, value)| (key, Some(value)));
            map.insert(key.to_owned(), value.into());
        }
        moved.set("types", serde_json::Value::Object(map).to_string(), "types");
    }
    moved.zone("localtime", false)?;
    for number in MULTILINE_FORMATS {
        if let Some(attr) = element.attr(&format!("format{number}")) {
            moved.to.set(attr.clone());
        }
    }
    Ok(Some(moved.to))
}

/// Whether `name` is one of the multiline parser's formats, which go with the flat `format`.
pub(super) fn is_multiline_format(name: &str) -> bool {
    name.strip_prefix("format")
        .and_then(|number| number.parse::<u32>().ok())
        .is_some_and(|number| MULTILINE_FORMATS.contains(&number))
}

fn formatter(element: &Element, used: &mut Vec<&'static str>) -> Option<Element> {
    let mut moved = Moved::new(element, "format", FORMATTER, used)?;
    used.push("time_as_epoch");
    if moved.is_true("time_as_epoch") {
        moved.set("time_type", "unixtime", "time_as_epoch");
    }
    Some(moved.to)
}

fn inject(element: &Element, used: &mut Vec<&'static str>) -> Result<Option<Element>, Diagnostic> {
    let Some(mut moved) = Moved::new(element, "inject", INJECT, used) else { return Ok(None) };
    used.push("time_as_epoch");
    if moved.is_true("include_time_key") {
        moved.set_default("time_key", "time", "include_time_key");
        moved.set_default("time_type", "string", "include_time_key");
    }
    if moved.is_true("time_as_epoch") {
        moved.set_default("time_key", "time", "time_as_epoch");
        moved.set("time_type", "unixtime", "time_as_epoch");
    }
    // Here both may be written as long as they agree; then `localtime` counts.
    let given =
        |flat: &str| element.attr(flat).map(|attr| attr.value.text().is_some_and(|text| text != "false"));
    let flat = match (given("localtime"), given("utc"), element.attr("utc")) {
        (Some(local), Some(utc), Some(attr)) if local == utc => return Err(conflict(attr)),
        (Some(_), _, _) => "localtime",
        _ => "utc",
    };
    if let Some(value) = moved.text(flat).and_then(bool) {
        let text = if value == (flat == "localtime") { "true" } else { "false" };
        moved.set("localtime", text, flat);
    }
    if moved.is_true("include_tag_key") {
        moved.set_default("tag_key", "tag", "include_tag_key");
    }
    Ok(Some(moved.to))
}

fn extract(element: &Element, used: &mut Vec<&'static str>) -> Result<Option<Element>, Diagnostic> {
    let Some(mut moved) = Moved::new(element, "extract", EXTRACT, used) else { return Ok(None) };
    used.push("time_as_epoch");
    let is_regexp = |text: &str| text.starts_with('/') && text.ends_with('/');
    if moved.is_true("time_as_epoch") {
        moved.set_default("time_key", "time", "time_as_epoch");
        moved.set("time_type", "unixtime", "time_as_epoch");
    } else if moved.text("format").is_some_and(is_regexp) {
        moved.set_default("time_key", "time", "format");
        moved.set_default("time_type", "string", "format");
    }
    moved.zone("localtime", false)?;
    Ok(Some(moved.to))
}
