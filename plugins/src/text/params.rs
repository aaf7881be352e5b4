//! The parameters that every `<parse>` and every `<format>` section takes.

use logweir_engine::plugin::{Param, ParamKind, Status};
use logweir_engine::time::{TIME_PARAMS, TIME_TYPES};

/// What a parser changes in the defaults of the parameters that all parsers take.
pub(crate) struct Defaults {
    /// time_key
    pub(crate) time_key: Option<&'static str>,
    /// time_type
    pub(crate) time_type: &'static str,
    /// time_format
    pub(crate) time_format: Option<&'static str>,
    /// keep_time_key
    pub(crate) keep_time_key: &'static str,
}

impl Defaults {
    /// Those of Fluentd's class Parser.
    pub(crate) const STANDARD: Self =
        Self { time_key: None, time_type: "string", time_format: None, keep_time_key: "false" };
    /// Those of parsers with a field `time`.
    pub(crate) const TIME: Self = Self { time_key: Some("time"), ..Self::STANDARD };
}

const PARSE_OWN: usize = 8;
const TIME: usize = TIME_PARAMS.len();

/// The parameters that every `<parse>` section takes.
pub(crate) const fn parse_params(defaults: Defaults) -> [Param; PARSE_OWN + TIME] {
    let own = [
        Param::new(
            "types",
            ParamKind::Hash,
            "Types of fields: f:integer,g:bool,h:float,t:time:%Y-%m-%d,a:array:|",
        ),
        optional(Param::new("time_key", ParamKind::String, "The field with the time"), defaults.time_key),
        Param::new("null_value_pattern", ParamKind::Regexp, "Texts that match become null"),
        Param::new("null_empty_string", ParamKind::Bool, "Empty texts become null").default("false"),
        Param::new("estimate_current_event", ParamKind::Bool, "Events without a time have the present one")
            .default("true"),
        Param::new("keep_time_key", ParamKind::Bool, "The field with the time stays in the record")
            .default(defaults.keep_time_key),
        Param::new(
            "timeout",
            ParamKind::Time,
            "How long a regular expression that needs backtracking may take on one text; others take linear time",
        ),
        Param::new("time_type", ParamKind::Enum(TIME_TYPES), "What the time is").default(defaults.time_type),
    ];
    let mut params: [Param; PARSE_OWN + TIME] = Param::join(own, TIME_PARAMS);
    params[PARSE_OWN] = optional(params[PARSE_OWN], defaults.time_format);
    params
}

/// The parameters that every `<format>` section takes, for formats that write a time.
pub(crate) const fn timed_format_params() -> [Param; 1 + TIME] {
    let own =
        [Param::new("time_type", ParamKind::Enum(TIME_TYPES), "How times are written").default("string")];
    Param::join(own, TIME_PARAMS)
}

/// The same for formats that write none.
pub(crate) const fn format_params() -> [Param; 1 + TIME] {
    let mut params = timed_format_params();
    let mut n = 0;
    while n < params.len() {
        params[n] = params[n].status(Status::WithoutEffect("this format writes no time, in Fluentd neither"));
        n += 1;
    }
    params
}

const fn optional(param: Param, default: Option<&'static str>) -> Param {
    match default {
        Some(default) => param.default(default),
        None => param,
    }
}
