//! The parameters of concat, and which way of joining they choose.

use logweir_engine::config::{Diagnostic, Params};
use logweir_engine::plugin::{Param, ParamKind};
use logweir_engine::regexp::Regexp;

pub(super) const PARAMS: &[Param] = &[
    Param::new("key", ParamKind::String, "The field whose texts are joined").required(),
    Param::new("separator", ParamKind::String, "What is put between two parts").default("\n"),
    Param::new("n_lines", ParamKind::Integer, "How many parts make one event"),
    Param::new("multiline_start_regexp", ParamKind::String, "What the first part looks like: /regexp/"),
    Param::new("multiline_end_regexp", ParamKind::String, "What the last part looks like: /regexp/"),
    Param::new(
        "continuous_line_regexp",
        ParamKind::String,
        "What parts behind the first look like: /regexp/; another one ends the event",
    ),
    Param::new("stream_identity_key", ParamKind::String, "A field that tells apart what must not be joined"),
    Param::new(
        "flush_interval",
        ParamKind::Time,
        "How long after its latest part an event is given up; 0: never",
    )
    .default("60"),
    Param::new(
        "timeout_label",
        ParamKind::String,
        "The label that gets what is given up; without one, that is an error event",
    ),
    Param::new("use_first_timestamp", ParamKind::Bool, "Whether the time is that of the first part, not of the last")
        .default("false"),
    Param::new("partial_key", ParamKind::String, "The field that says that an event is a part"),
    Param::new("partial_value", ParamKind::String, "What that field is in all parts but the last"),
    Param::new("keep_partial_key", ParamKind::Bool, "Whether that field (or the CRI log tag) stays").default("false"),
    Param::new("use_partial_metadata", ParamKind::Bool, "Joins by the partial message fields of Docker's log drivers")
        .default("false"),
    Param::new(
        "partial_metadata_format",
        ParamKind::Enum(&["docker-fluentd", "docker-journald", "docker-journald-lowercase"]),
        "How these fields are called",
    )
    .default("docker-fluentd"),
    Param::new("keep_partial_metadata", ParamKind::Bool, "Whether these fields stay").default("false"),
    Param::new("use_partial_cri_logtag", ParamKind::Bool, "Joins by the log tag of CRI, P or F").default("false"),
    Param::new("partial_cri_logtag_key", ParamKind::String, "The field that has the log tag of CRI"),
    Param::new(
        "partial_cri_stream_key",
        ParamKind::String,
        "The field that has the stream of CRI; it is removed from what was joined",
    )
    .default("stream"),
    Param::new("buffer_limit_size", ParamKind::Size, "Bytes that the parts of one event may take, with partial_key")
        .default("512000"),
    Param::new(
        "buffer_overflow_method",
        ParamKind::Enum(&["ignore", "truncate", "drop", "new"]),
        "Beyond that: take the part nevertheless, leave it out and end the event, drop all, or begin another event",
    )
    .default("ignore"),
];

/// See the module.
pub(super) struct Settings {
    pub(super) key: String,
    pub(super) separator: String,
    pub(super) identity_key: Option<String>,
    pub(super) use_first_timestamp: bool,
    pub(super) mode: Mode,
    /// Fields that what was joined does not have.
    pub(super) removed: Vec<String>,
}

/// The way of joining.
pub(super) enum Mode {
    Lines(usize),
    Partial { key: String, value: String, limit: usize, overflow: Overflow },
    Metadata(Metadata),
    Cri { logtag: String },
    Regexp { start: Option<Regexp>, end: Option<Regexp>, continuous: Option<Regexp> },
}

/// See `buffer_overflow_method`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Overflow {
    Ignore,
    Truncate,
    Drop,
    New,
}

/// The fields of Docker's log drivers.
pub(super) struct Metadata {
    /// An event without this one is no part.
    pub(super) indicator: &'static str,
    pub(super) id: &'static str,
    pub(super) ordinal: &'static str,
    pub(super) last: &'static str,
}

/// message, id, ordinal, last
type MetadataFields = [&'static str; 4];

const DOCKER_FLUENTD: MetadataFields = ["partial_message", "partial_id", "partial_ordinal", "partial_last"];
const DOCKER_JOURNALD: MetadataFields = [
    "CONTAINER_PARTIAL_MESSAGE",
    "CONTAINER_PARTIAL_ID",
    "CONTAINER_PARTIAL_ORDINAL",
    "CONTAINER_PARTIAL_LAST",
];
const DOCKER_JOURNALD_LOWERCASE: MetadataFields = [
    "container_partial_message",
    "container_partial_id",
    "container_partial_ordinal",
    "container_partial_last",
];

impl Settings {
    pub(super) fn from_params(params: &Params) -> Result<Self, Diagnostic> {
        exclusive(params)?;
        let mut removed = Vec::new();
        let keep_partial_key = params.bool("keep_partial_key");
        let mode = if let Some(lines) = params.int("n_lines") {
            Mode::Lines(usize::try_from(lines).unwrap_or(0))
        } else if let Some(key) = params.str("partial_key") {
            if !keep_partial_key {
                removed.push(key.to_owned());
            }
            Mode::Partial {
                key: key.to_owned(),
                value: params.string("partial_value"),
                limit: params.size("buffer_limit_size").unwrap_or(0) as usize,
                overflow: match params.word("buffer_overflow_method") {
                    Some("truncate") => Overflow::Truncate,
                    Some("drop") => Overflow::Drop,
                    Some("new") => Overflow::New,
                    _ => Overflow::Ignore,
                },
            }
        } else if params.bool("use_partial_metadata") {
            let (fields, has_indicator) = match params.word("partial_metadata_format") {
                Some("docker-journald") => (DOCKER_JOURNALD, false),
                Some("docker-journald-lowercase") => (DOCKER_JOURNALD_LOWERCASE, false),
                _ => (DOCKER_FLUENTD, true),
            };
            let [message, id, ordinal, last] = fields;
            if !params.bool("keep_partial_metadata") {
                removed.extend(fields.map(str::to_owned));
            }
            // The journald driver leaves the message field out of the last part.
            Mode::Metadata(Metadata {
                indicator: if has_indicator { message } else { id },
                id,
                ordinal,
                last,
            })
        } else if params.bool("use_partial_cri_logtag") {
            let Some(logtag) = params.str("partial_cri_logtag_key") else {
                let message = "partial_cri_logtag_key is required when use_partial_cri_logtag is specified";
                return Err(params.error("use_partial_cri_logtag", message));
            };
            if !keep_partial_key {
                removed.push(logtag.to_owned());
            }
            removed.push(params.string("partial_cri_stream_key"));
            Mode::Cri { logtag: logtag.to_owned() }
        } else {
            Mode::Regexp {
                start: regexp(params, "multiline_start_regexp")?,
                end: regexp(params, "multiline_end_regexp")?,
                continuous: regexp(params, "continuous_line_regexp")?,
            }
        };
        Ok(Self {
            key: params.string("key"),
            separator: params.string("separator"),
            identity_key: params.str("stream_identity_key").map(str::to_owned),
            use_first_timestamp: params.bool("use_first_timestamp"),
            mode,
            removed,
        })
    }
}

fn exclusive(params: &Params) -> Result<(), Diagnostic> {
    let lines = params.int("n_lines").is_some();
    let regexps = params.is_set("multiline_start_regexp") || params.is_set("multiline_end_regexp");
    let partial_key = params.str("partial_key").is_some();
    let metadata = params.bool("use_partial_metadata");
    let cri = params.bool("use_partial_cri_logtag");
    if !(lines || regexps || partial_key || metadata || cri) {
        let message = "Either n_lines, multiline_start_regexp, multiline_end_regexp, partial_key, \
                       use_partial_metadata or use_partial_cri_logtag is required";
        return Err(params.error_here(message));
    }
    let both = |name: &str, other: &str| Err(params.error(name, format!("{name} and {other} are exclusive")));
    let regexp_names = "multiline_start_regexp/multiline_end_regexp";
    if lines && regexps {
        return both("n_lines", regexp_names);
    }
    if partial_key && lines {
        return both("partial_key", "n_lines");
    }
    if partial_key && regexps {
        return both("partial_key", regexp_names);
    }
    if partial_key && params.str("partial_value").is_none() {
        let message = "partial_value is required when partial_key is specified";
        return Err(params.error("partial_key", message));
    }
    for (name, set) in [("use_partial_metadata", metadata), ("use_partial_cri_logtag", cri)] {
        if set && lines {
            return both(name, "n_lines");
        }
        if set && regexps {
            return both(name, regexp_names);
        }
        if set && partial_key {
            return both(name, "partial_key");
        }
    }
    Ok(())
}

fn regexp(params: &Params, name: &str) -> Result<Option<Regexp>, Diagnostic> {
    let Some(text) = params.str(name) else { return Ok(None) };
    if !text.starts_with('/') || text.len() < 2 {
        return Err(params.error(name, format!("{name} must be written /regexp/: {text}")));
    }
    Regexp::parse_literal(text).map(Some).map_err(|error| params.error(name, error.to_string()))
}
