//! The time parameters that `<parse>`, `<format>`, `<inject>` and `<extract>` share.

use super::zone::Zone;
use crate::config::{Diagnostic, Params};
use crate::plugin::{Param, ParamKind};

/// What a time is in a text or a record.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum TimeType {
    /// Text in a format.
    #[default]
    String,
    /// Whole seconds.
    Unixtime,
    /// Seconds with decimals.
    Float,
    /// One of several formats.
    Mixed,
}

impl TimeType {
    /// From its word in configurations; `None` for one that only some sections know.
    pub fn from_word(word: &str) -> Option<Self> {
        Some(match word {
            "string" => Self::String,
            "unixtime" => Self::Unixtime,
            "float" => Self::Float,
            "mixed" => Self::Mixed,
            _ => return None,
        })
    }
}

/// The words of time_type.
pub const TIME_TYPES: &[&str] = &["string", "unixtime", "float", "mixed"];

/// time_format, localtime, utc, timezone, time_format_fallbacks.
pub const TIME_PARAMS: [Param; 5] = [
    Param::new("time_format", ParamKind::String, "strptime format of times, or %iso8601"),
    Param::new("localtime", ParamKind::Bool, "Times without a zone are local; false means UTC")
        .default("true"),
    Param::new("utc", ParamKind::Bool, "Times without a zone are UTC").default("false"),
    Param::new("timezone", ParamKind::String, "Zone of times without one: +09:00 or Asia/Tokyo"),
    Param::new(
        "time_format_fallbacks",
        ParamKind::Array,
        "Formats to try after time_format (time_type mixed)",
    )
    .default(""),
];

/// The time parameters of a section, checked.
#[derive(Clone, Debug, Default)]
pub struct TimeSettings {
    /// time_type
    pub kind: TimeType,
    /// time_format
    pub format: Option<String>,
    /// localtime, or its opposite utc.
    pub local: bool,
    /// utc
    pub utc: bool,
    /// timezone
    pub zone: Option<Zone>,
    /// time_format_fallbacks
    pub fallbacks: Vec<String>,
}

impl TimeSettings {
    /// From a section whose table has [`TIME_PARAMS`] and a time_type.
    pub fn from_params(params: &Params) -> Result<Self, Diagnostic> {
        let kind = params.word("time_type").and_then(TimeType::from_word).unwrap_or_default();
        let settings = Self { kind, ..Self::untyped(params)? };
        let nothing = settings.format.is_none() && settings.fallbacks.is_empty();
        if kind == TimeType::Mixed && nothing && params.is_set("time_type") {
            let message = "time_type is :mixed but time_format and time_format_fallbacks is empty.";
            return Err(params.error("time_type", message));
        }
        Ok(settings)
    }

    /// From a section that has [`TIME_PARAMS`] and a time_type of its own kind.
    pub fn untyped(params: &Params) -> Result<Self, Diagnostic> {
        let (has_local, has_utc) = (params.is_set("localtime"), params.is_set("utc"));
        let (local, utc) = (params.bool("localtime"), params.bool("utc"));
        if has_local && has_utc && local == utc {
            let message = "both of utc and localtime are specified, use only one of them";
            return Err(params.error("utc", message));
        }
        let zone = match params.str("timezone") {
            Some(text) => Some(Zone::parse(text).map_err(|e| {
                params
                    .error("timezone", e.to_string())
                    .help("write an offset such as +09:00, or a name such as Asia/Tokyo")
            })?),
            None => None,
        };
        Ok(Self {
            kind: TimeType::default(),
            format: params.str("time_format").map(str::to_owned),
            local: if has_utc && !has_local { !utc } else { local },
            utc,
            zone,
            fallbacks: params.array("time_format_fallbacks").unwrap_or_default(),
        })
    }

    /// With another type and format.
    pub fn with(&self, kind: TimeType, format: Option<&str>) -> Self {
        Self { kind, format: format.map(str::to_owned), ..self.clone() }
    }

    /// Whether a time without a zone is local time.
    pub(super) fn is_local(&self) -> bool {
        self.local && self.zone.is_none() && !self.utc
    }
}
