//! From the text of a parameter to its typed value, with every quirk of Fluentd's types (config/types.rb): numbers are
//! read as Ruby's `to_i` and `to_f` do, sizes and times are searched in the text rather than matched against it.

use super::number;
use crate::plugin::ParamKind;
use crate::regexp::Regexp;
use serde_json::Value as Json;
use std::time::Duration;

/// A typed value.
#[derive(Clone, Debug)]
pub enum Value {
    /// Nothing: not written and without default, or `use_nil`.
    Nil,
    /// Text.
    Text(String),
    /// An integer; Ruby's are unbounded, these stop at the limits of i64.
    Integer(i64),
    /// A float.
    Float(f64),
    /// A bool.
    Bool(bool),
    /// Bytes; negative values mean "no limit" to some plugins.
    Size(i64),
    /// Seconds; negative values mean "never" to some plugins.
    Time(f64),
    /// A list.
    Array(Vec<Json>),
    /// A map, in order.
    Hash(Vec<(String, Json)>),
    /// One of an enum's words.
    Word(&'static str),
    /// A regular expression.
    Regexp(Regexp),
}

impl Value {
    /// Reads `text` as `kind`. `strict` is strict_config_value: ill-formed numbers, bools, sizes and times are errors.
    /// The error is Fluentd's text. What Fluentd reads as nil (a bool such as `on`) is [`Value::Nil`].
    pub fn parse(kind: ParamKind, text: &str, strict: bool, name: &str) -> Result<Self, String> {
        Ok(match kind {
            ParamKind::String => Self::Text(text.to_owned()),
            ParamKind::Integer => Self::Integer(integer(text, strict, name)?),
            ParamKind::Float => Self::Float(float(text, strict, name)?),
            ParamKind::Bool => match bool(text) {
                Some(value) => Self::Bool(value),
                None if strict => return Err(format!("{name}: invalid bool value: {text}")),
                None => Self::Nil,
            },
            ParamKind::Size => Self::Size(size(text, strict, name)?),
            ParamKind::Time => Self::Time(time(text, strict, name)?),
            ParamKind::Array => Self::Array(array(text)?),
            ParamKind::Hash => Self::Hash(hash(text)?),
            ParamKind::Enum(words) => match words.iter().find(|word| **word == text) {
                Some(word) => Self::Word(word),
                None => return Err(format!("valid options are {} but got {text}", words.join(","))),
            },
            ParamKind::Regexp => {
                Self::Regexp(Regexp::parse_literal(text).map_err(|error| error.to_string())?)
            }
        })
    }

    /// Whether it is nothing.
    pub fn is_nil(&self) -> bool {
        matches!(self, Self::Nil)
    }
}

/// `true`, `yes`, nothing and a comment are true, `false` and `no` false, everything else nil.
pub fn bool(text: &str) -> Option<bool> {
    match text {
        "true" | "yes" | "" => Some(true),
        "false" | "no" => Some(false),
        _ if text.starts_with('#') => Some(true),
        _ => None,
    }
}

/// Bytes: digits followed by k, m, g or t anywhere in the text (tried in that order), else an integer.
pub fn size(text: &str, strict: bool, name: &str) -> Result<i64, String> {
    const UNITS: [(u8, i64); 4] = [(b'k', 1 << 10), (b'm', 1 << 20), (b'g', 1 << 30), (b't', 1 << 40)];
    for (unit, factor) in UNITS {
        if let Some(count) = digits_before(text, |byte| byte.eq_ignore_ascii_case(&unit)) {
            return Ok(number::to_i(count).saturating_mul(factor));
        }
    }
    integer(text, strict, name)
}

/// Seconds: digits followed by s, m, h or d anywhere in the text (tried in that order), else a float.
pub fn time(text: &str, strict: bool, name: &str) -> Result<f64, String> {
    const UNITS: [(u8, i64); 4] = [(b's', 1), (b'm', 60), (b'h', 3600), (b'd', 86_400)];
    for (unit, factor) in UNITS {
        if let Some(count) = digits_before(text, |byte| byte == unit) {
            return Ok(number::to_i(count).saturating_mul(factor) as f64);
        }
    }
    float(text, strict, name)
}

/// A time as a duration; negative ones become zero, endless ones the longest there is.
pub fn duration(seconds: f64) -> Duration {
    if seconds.is_nan() || seconds <= 0.0 {
        return Duration::ZERO;
    }
    Duration::try_from_secs_f64(seconds).unwrap_or(Duration::MAX)
}

fn integer(text: &str, strict: bool, name: &str) -> Result<i64, String> {
    if !strict {
        return Ok(number::to_i(text));
    }
    number::strict_i(text).ok_or_else(|| format!("{name}: invalid value for Integer(): {text:?}"))
}

fn float(text: &str, strict: bool, name: &str) -> Result<f64, String> {
    if !strict {
        return Ok(number::to_f(text));
    }
    number::strict_f(text).ok_or_else(|| format!("{name}: invalid value for Float(): {text:?}"))
}

/// The first run of digits that `is_unit` follows.
fn digits_before(text: &str, is_unit: impl Fn(u8) -> bool) -> Option<&str> {
    let bytes = text.as_bytes();
    let mut at = 0;
    while at < bytes.len() {
        let run = bytes[at..].iter().take_while(|byte| byte.is_ascii_digit()).count();
        if run > 0 && bytes.get(at + run).is_some_and(|byte| is_unit(*byte)) {
            return Some(&text[at..at + run]);
        }
        at += run.max(1);
    }
    None
}

fn array(text: &str) -> Result<Vec<Json>, String> {
    if text.starts_with('[') {
        return serde_json::from_str(text).map_err(|error| format!("invalid JSON array: {error}"));
    }
    Ok(comma_list(text).into_iter().map(|item| Json::String(item.to_owned())).collect())
}

fn hash(text: &str) -> Result<Vec<(String, Json)>, String> {
    if text.starts_with('{') {
        let map: serde_json::Map<String, Json> =
            serde_json::from_str(text).map_err(|error| format!("invalid JSON object: {error}"))?;
        return Ok(map.into_iter().collect());
    }
    let mut pairs = serde_json::Map::new();
    for item in comma_list(text) {
        let (key, value) = match item.split_once(':') {
            Some((key, value)) => (key, Json::String(value.to_owned())),
            None if item.is_empty() => return Err(format!("hash required but got {text:?}")),
            None => (item, Json::Null),
        };
        pairs.insert(key.to_owned(), value);
    }
    Ok(pairs.into_iter().collect())
}

/// As Ruby's `strip.split(/\s*,\s*/)`: empty items are kept, but not at the end.
fn comma_list(text: &str) -> Vec<&str> {
    let trimmed = text.trim_matches(|c: char| c.is_ascii_whitespace() || c == '\0' || c == '\x0b');
    let mut items: Vec<&str> = trimmed.split(',').map(str::trim_ascii).collect();
    while items.last().is_some_and(|item| item.is_empty()) {
        items.pop();
    }
    items
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn size_of(text: &str) -> i64 {
        size(text, false, "x").unwrap()
    }

    fn time_of(text: &str) -> f64 {
        time(text, false, "x").unwrap()
    }

    #[test]
    fn sizes_are_searched_for_in_the_text() {
        assert_eq!(size_of("10kb"), 10_240);
        assert_eq!(size_of("8MiB"), 8 << 20);
        assert_eq!(size_of("8MB"), 8 << 20);
        assert_eq!(size_of("1.5g"), 5 << 30);
        assert_eq!(size_of("2T"), 2 << 40);
        assert_eq!(size_of("1_000"), 1000);
        assert_eq!(size_of("1e3"), 1);
        assert_eq!(size_of("0x10"), 0);
        assert_eq!(size_of("100"), 100);
        assert_eq!(size_of("-1"), -1);
        assert_eq!(size_of("= 5m"), 5 << 20);
        assert_eq!(size_of("99999999999999999999g"), i64::MAX);
        assert_eq!(size_of("1m2k"), 2048, "k is tried first");
    }

    #[test]
    fn times_are_searched_for_in_the_text() {
        assert_eq!(time_of("1m30s"), 30.0);
        assert_eq!(time_of("100ms"), 6000.0);
        assert_eq!(time_of("500ms"), 30_000.0);
        assert_eq!(time_of("1.5h"), 18_000.0);
        assert_eq!(time_of("1h30m"), 1800.0);
        assert_eq!(time_of("7days"), 604_800.0);
        assert_eq!(time_of("5min"), 300.0);
        assert_eq!(time_of("= 5s"), 5.0);
        assert_eq!(time_of("0.5"), 0.5);
        assert_eq!(time_of("0.3s"), 3.0);
        assert_eq!(time_of("5S"), 5.0);
        assert_eq!(time_of("1w"), 1.0);
        assert_eq!(time_of("abc"), 0.0);
        assert_eq!(time_of("-1"), -1.0);
    }

    #[test]
    fn durations_are_bounded() {
        assert_eq!(duration(-1.0), Duration::ZERO);
        assert_eq!(duration(0.25), Duration::from_millis(250));
        assert_eq!(duration(f64::INFINITY), Duration::MAX);
        assert_eq!(duration(f64::NAN), Duration::ZERO);
    }

    #[test]
    fn bools_have_six_spellings() {
        for text in ["true", "yes", "", "#", "# comment"] {
            assert_eq!(bool(text), Some(true), "{text}");
        }
        for text in ["false", "no"] {
            assert_eq!(bool(text), Some(false), "{text}");
        }
        for text in ["on", "1", "TRUE", "0", "off", "maybe"] {
            assert_eq!(bool(text), None, "{text}");
        }
    }

    #[test]
    fn strict_refuses_what_is_not_wholly_a_number() {
        let parse = |kind, text| Value::parse(kind, text, true, "p");
        assert_eq!(
            parse(ParamKind::Integer, "12abc").unwrap_err(),
            r#"p: invalid value for Integer(): "12abc""#
        );
        assert_eq!(format!("{:?}", parse(ParamKind::Integer, "0x1f")), "Ok(Integer(31))");
        assert_eq!(parse(ParamKind::Float, "x").unwrap_err(), r#"p: invalid value for Float(): "x""#);
        assert_eq!(parse(ParamKind::Bool, "on").unwrap_err(), "p: invalid bool value: on");
        assert_eq!(parse(ParamKind::Size, "1x").unwrap_err(), r#"p: invalid value for Integer(): "1x""#);
        assert_eq!(parse(ParamKind::Time, "1w").unwrap_err(), r#"p: invalid value for Float(): "1w""#);
    }

    #[test]
    fn lists_are_json_or_commas() {
        assert_eq!(array(r#"["x", 1, null]"#).unwrap(), [json!("x"), json!(1), json!(null)]);
        assert_eq!(array("x, y").unwrap(), [json!("x"), json!("y")]);
        assert_eq!(array(" a,,b, ,").unwrap(), [json!("a"), json!(""), json!("b")]);
        assert!(array("").unwrap().is_empty());
        assert!(array("[1").is_err());
    }

    #[test]
    fn maps_are_json_or_pairs() {
        let pair = |key: &str, value| (key.to_owned(), value);
        assert_eq!(hash(r#"{"b":1,"a":"x"}"#).unwrap(), [pair("b", json!(1)), pair("a", json!("x"))]);
        assert_eq!(hash("k:v, k2:v2:x").unwrap(), [pair("k", json!("v")), pair("k2", json!("v2:x"))]);
        assert_eq!(hash("novalue").unwrap(), [pair("novalue", json!(null))]);
        assert_eq!(hash("").unwrap(), []);
        assert!(hash("a:1,,b:2").is_err());
        assert!(hash("{").is_err());
    }

    #[test]
    fn regexps_are_compiled() {
        let parse = |text| match Value::parse(ParamKind::Regexp, text, false, "p") {
            Ok(Value::Regexp(regexp)) => regexp,
            other => panic!("{text}: {other:?}"),
        };
        assert!(parse("/a+b/i").is_match(b"xAAB"));
        assert!(parse("^a").is_match(b"x\na"));
        assert!(parse("/a").is_match(b"anything: the pattern is empty"));
        assert!(Value::parse(ParamKind::Regexp, "/abc", false, "p").is_err());
        assert!(Value::parse(ParamKind::Regexp, "/(/", false, "p").is_err());
    }

    #[test]
    fn enums_name_their_words() {
        let kind = ParamKind::Enum(&["lazy", "interval"]);
        assert!(matches!(Value::parse(kind, "lazy", false, "p"), Ok(Value::Word("lazy"))));
        assert_eq!(
            Value::parse(kind, "sometimes", false, "p").unwrap_err(),
            "valid options are lazy,interval but got sometimes"
        );
    }
}
