//! Fluentd's TimeParser, NumericTimeParser and MixedTimeParser: from a field's value to a time.

use super::any::parse_any;
use super::error::TimeError;
use super::iso8601::parse_iso8601;
use super::memo::{Memo, Validity};
use super::settings::{TimeSettings, TimeType};
use super::strptime::TimeParse;
use super::zone::Zone;
use crate::event::EventTime;
use crate::json::{ruby_to_s, write_ruby_float};
use crate::msgpack::{ValueRef, write_str};
use smallvec::SmallVec;
use std::borrow::Cow;

/// Turns values into times as the time parameters say.
#[derive(Debug)]
pub struct TimeParser(Kind);

#[derive(Debug)]
enum Kind {
    /// In a format. With a zone, what was read is taken as that zone's wall-clock time.
    Format {
        format: TimeParse,
        zone: Option<Zone>,
        /// If texts say the time to the second, so that one often follows itself.
        last: Option<Memo>,
    },
    Iso8601,
    /// In no format.
    Guess {
        last: Memo,
    },
    Unixtime,
    Float,
    Mixed(Vec<TimeParser>),
}

impl TimeParser {
    /// The parser for these settings; an error is the text of a configuration error.
    pub fn new(settings: &TimeSettings) -> Result<Self, String> {
        Ok(Self(match settings.kind {
            TimeType::Unixtime => Kind::Unixtime,
            TimeType::Float => Kind::Float,
            TimeType::String => Self::of_format(settings.format.as_deref(), settings)?,
            TimeType::Mixed => {
                let formats = settings.format.iter().chain(&settings.fallbacks);
                let parsers = formats.map(|format| {
                    Ok(Self(match format.as_str() {
                        "unixtime" => Kind::Unixtime,
                        "float" => Kind::Float,
                        format => Self::of_format(Some(format), settings)?,
                    }))
                });
                Kind::Mixed(parsers.collect::<Result<_, String>>()?)
            }
        }))
    }

    fn of_format(format: Option<&str>, settings: &TimeSettings) -> Result<Kind, String> {
        let Some(format) = format else {
            return match settings.is_local() {
                true => Ok(Kind::Guess { last: Memo::new(Validity::ThisMinute) }),
                false => Err("specifying timezone requires time format".into()),
            };
        };
        if format == "%iso8601" {
            return Ok(Kind::Iso8601);
        }
        // Fluentd looks for just these two spellings: with `%:z`, a configured zone overrules that of the text.
        let has_zone = format.contains("%z") || format.contains("%Z");
        let zone = match &settings.zone {
            _ if has_zone || settings.is_local() => None,
            Some(zone) => Some(zone.clone()),
            None => Some(Zone::UTC),
        };
        let format = TimeParse::new(format);
        let last = format.validity().map(Memo::new);
        Ok(Kind::Format { format, zone, last })
    }

    /// The time that a text says.
    ///
    /// # Errors
    /// Fluentd's TimeParseError: `invalid time format: value = ..., error_class = ..., error = ...`.
    pub fn parse_text(&self, text: &[u8]) -> Result<EventTime, String> {
        match &self.0 {
            Kind::Unixtime => Ok(EventTime::from_secs(leading_integer(text))),
            Kind::Float => Ok(decimal(text)),
            Kind::Mixed(parsers) => self.mixed(parsers, text),
            _ => self.parse_string(text, EventTime::now).map_err(|e| invalid(text, &e)),
        }
    }

    /// The time that a value says.
    ///
    /// # Errors
    /// Fluentd's TimeParseError.
    pub fn parse(&self, value: ValueRef<'_>) -> Result<EventTime, String> {
        if let ValueRef::Str(text) | ValueRef::Bin(text) = value {
            return self.parse_text(text);
        }
        match &self.0 {
            Kind::Unixtime => number(value, |number| match number {
                Number::Int(sec) => EventTime::from_secs(sec),
                Number::Float(sec) => EventTime::from_secs(sec as i64),
            }),
            Kind::Float => number(value, |number| match number {
                Number::Int(sec) => EventTime::from_secs(sec),
                Number::Float(sec) => {
                    let mut text = Vec::new();
                    write_ruby_float(&mut text, sec);
                    decimal(&text)
                }
            }),
            Kind::Mixed(parsers) => {
                let numbers =
                    parsers.iter().filter(|parser| matches!(parser.0, Kind::Unixtime | Kind::Float));
                let found = numbers.map(|parser| parser.parse(value)).find(Result::is_ok);
                found.unwrap_or_else(|| Err(no_fallback(&shown(value), parsers)))
            }
            _ => Err(format!("value must be string: {}", shown(value))),
        }
    }

    fn parse_string(&self, text: &[u8], now: fn() -> EventTime) -> Result<EventTime, TimeError> {
        match &self.0 {
            Kind::Format { format, zone, last: Some(last) } => {
                last.time_of(text, now, |text| in_format(text, format, zone.as_ref(), now))
            }
            Kind::Format { format, zone, last: None } => in_format(text, format, zone.as_ref(), now),
            Kind::Iso8601 => parse_iso8601(text),
            Kind::Guess { last } => last.time_of(text, now, |text| Ok(parse_any(text)?.time)),
            Kind::Unixtime | Kind::Float | Kind::Mixed(_) => {
                Err(TimeError { class: "ArgumentError", message: "not a text".into() })
            }
        }
    }

    fn mixed(&self, parsers: &[Self], text: &[u8]) -> Result<EventTime, String> {
        let found = parsers.iter().find_map(|parser| match &parser.0 {
            Kind::Unixtime | Kind::Float if !is_number(text) => None,
            _ => parser.parse_text(text).ok(),
        });
        found.ok_or_else(|| no_fallback(&String::from_utf8_lossy(text), parsers))
    }
}

fn in_format(
    text: &[u8],
    format: &TimeParse,
    zone: Option<&Zone>,
    now: fn() -> EventTime,
) -> Result<EventTime, TimeError> {
    let parsed = format.parse_at(text, now)?;
    Ok(match zone {
        None => parsed.time,
        Some(zone) => {
            let wall = parsed.time.sec + i64::from(parsed.offset);
            // Fluentd asks for the offset at the instant that the text would be in the zone it was read in.
            EventTime { sec: wall - i64::from(zone.offset_at(parsed.time.sec)), ..parsed.time }
        }
    })
}

enum Number {
    Int(i64),
    Float(f64),
}

fn number(value: ValueRef<'_>, time: impl Fn(Number) -> EventTime) -> Result<EventTime, String> {
    Ok(time(match value {
        ValueRef::Int(value) => Number::Int(value),
        ValueRef::UInt(value) => Number::Int(i64::try_from(value).unwrap_or(i64::MAX)),
        ValueRef::F32(value) if value.is_finite() => Number::Float(f64::from(value)),
        ValueRef::F64(value) if value.is_finite() => Number::Float(value),
        ValueRef::F32(_) | ValueRef::F64(_) => {
            let shown = shown(value);
            return Err(format!(
                "invalid time format: value = {shown}, error_class = FloatDomainError, error = {shown}"
            ));
        }
        other => {
            let class = match other {
                ValueRef::Nil => "NilClass",
                ValueRef::Bool(true) => "TrueClass",
                ValueRef::Bool(false) => "FalseClass",
                ValueRef::Array(_) => "Array",
                ValueRef::Map(_) => "Hash",
                _ => "Fluent::EventTime",
            };
            return Err(format!("value must be a string or a number: {}({class})", shown(other)));
        }
    }))
}

/// A value as Ruby puts it into a text.
fn shown(value: ValueRef<'_>) -> Cow<'_, str> {
    let mut text = Vec::new();
    match value {
        ValueRef::Str(text) | ValueRef::Bin(text) => return String::from_utf8_lossy(text),
        ValueRef::Nil => {}
        ValueRef::Bool(value) => text.extend_from_slice(value.to_string().as_bytes()),
        ValueRef::Int(value) => text.extend_from_slice(value.to_string().as_bytes()),
        ValueRef::UInt(value) => text.extend_from_slice(value.to_string().as_bytes()),
        ValueRef::F32(value) => write_ruby_float(&mut text, f64::from(value)),
        ValueRef::F64(value) => write_ruby_float(&mut text, value),
        ValueRef::Array(raw) | ValueRef::Map(raw) => ruby_to_s(raw, &mut text),
        ValueRef::Ext(kind, payload) => {
            write_str(&mut text, format!("<ext {kind}, {} bytes>", payload.len()).as_bytes())
        }
    }
    Cow::Owned(String::from_utf8_lossy(&text).into_owned())
}

fn invalid(text: &[u8], error: &TimeError) -> String {
    let value = String::from_utf8_lossy(text);
    format!("invalid time format: value = {value}, error_class = {}, error = {}", error.class, error.message)
}

fn no_fallback(value: &str, parsers: &[TimeParser]) -> String {
    let classes: Vec<&str> = parsers
        .iter()
        .map(|parser| match parser.0 {
            Kind::Unixtime | Kind::Float => "Fluent::NumericTimeParser",
            _ => "Fluent::TimeParser",
        })
        .collect();
    format!("invalid time format: value = {value}, even though fallbacks: {}", classes.join(","))
}

/// Ruby's String#to_i: the integer at the start of a text, 0 if there is none.
pub(crate) fn leading_integer(text: &[u8]) -> i64 {
    let text = text.trim_ascii_start();
    let (negative, digits) = match text.split_first() {
        Some((b'-', rest)) => (true, rest),
        Some((b'+', rest)) => (false, rest),
        _ => (false, text),
    };
    let mut value = 0i64;
    let mut was_digit = false;
    for &byte in digits {
        match byte {
            b'0'..=b'9' => value = value.saturating_mul(10).saturating_add(i64::from(byte - b'0')),
            b'_' if was_digit => {}
            _ => break,
        }
        was_digit = byte != b'_';
    }
    if negative { -value } else { value }
}

/// `seconds.decimals`; a second dot ends it. Decimals behind the ninth are dropped.
fn decimal(text: &[u8]) -> EventTime {
    let mut parts = text.splitn(3, |&byte| byte == b'.');
    let sec = leading_integer(parts.next().unwrap_or_default());
    let decimals = parts.next().unwrap_or_default();
    let mut nine: SmallVec<[u8; 9]> = decimals.iter().copied().take(9).collect();
    nine.resize(9, b'0');
    let nsec = u32::try_from(leading_integer(&nine)).unwrap_or(0);
    EventTime { sec, nsec }
}

/// Whether Ruby's Float() takes the text: a decimal number with nothing before or behind it but blanks.
fn is_number(text: &[u8]) -> bool {
    let Ok(text) = std::str::from_utf8(text.trim_ascii()) else { return false };
    let plain = text.replace('_', "");
    let ends_well = !text.starts_with('_') && !text.ends_with(['_', '.']) && !text.contains("__");
    ends_well
        && plain.bytes().any(|b| b.is_ascii_digit())
        && plain.parse::<f64>().is_ok()
        && !plain.contains(['n', 'N', 'f'])
}

#[cfg(test)]
mod tests;
