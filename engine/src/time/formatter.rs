//! Fluentd's TimeFormatter and NumericTimeFormatter: from a time to text.

use super::format::TimeFormat;
use super::settings::{TimeSettings, TimeType};
use super::zone::Zone;
use crate::event::EventTime;
use crate::json::write_ruby_float;
use crate::msgpack::Time;
use std::io::Write;

/// Writes times as the time parameters say.
#[derive(Clone, Debug)]
pub struct TimeFormatter(Kind);

#[derive(Clone, Debug)]
enum Kind {
    Format { format: TimeFormat, zone: Zone },
    Unixtime,
    Float,
}

impl TimeFormatter {
    /// The formatter for these settings. Without a format it is ISO 8601.
    pub fn new(settings: &TimeSettings) -> Self {
        Self(match settings.kind {
            TimeType::Unixtime => Kind::Unixtime,
            TimeType::Float | TimeType::Mixed => Kind::Float,
            TimeType::String => {
                let zone = match &settings.zone {
                    Some(zone) => zone.clone(),
                    None if settings.is_local() => Zone::local(),
                    None => Zone::UTC,
                };
                let iso8601 = if zone.is_utc() { "%Y-%m-%dT%H:%M:%SZ" } else { "%Y-%m-%dT%H:%M:%S%:z" };
                Kind::Format { format: TimeFormat::new(settings.format.as_deref().unwrap_or(iso8601)), zone }
            }
        })
    }

    /// Appends `time`. What is no time is written as the epoch.
    pub fn format(&self, time: Time, out: &mut Vec<u8>) {
        match &self.0 {
            Kind::Format { format, zone } => {
                format.format(time.to_event_time().unwrap_or_default(), zone, out);
            }
            Kind::Unixtime => {
                let sec = time.to_event_time().unwrap_or_default().sec;
                let _ = write!(out, "{sec}");
            }
            Kind::Float => match time {
                Time::Event(time) => write_event_float(time, out),
                Time::Int(sec) => write_ruby_float(out, sec as f64),
                Time::Float(sec) => write_ruby_float(out, sec),
                Time::None => out.extend_from_slice(b"0.0"),
            },
        }
    }

    /// `time` as text.
    pub fn format_to_string(&self, time: Time) -> String {
        let mut out = Vec::new();
        self.format(time, &mut out);
        String::from_utf8(out).unwrap_or_default()
    }
}

/// `seconds.nanoseconds`. Fluentd means to fill the nanoseconds up to nine digits and instead writes only the zeros that
/// lack: 5000 ns are `.00000`. Readers of such files have them so, and no digit of a whole number is wrong.
fn write_event_float(time: EventTime, out: &mut Vec<u8>) {
    let digits = time.nsec.checked_ilog10().map_or(1, |log| log as usize + 1);
    let _ = match digits {
        9 => write!(out, "{}.{}", time.sec, time.nsec),
        _ => write!(out, "{}.{:0width$}", time.sec, 0, width = 9 - digits),
    };
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings() -> TimeSettings {
        TimeSettings { local: true, ..TimeSettings::default() }
    }

    fn event(nsec: u32) -> Time {
        Time::Event(EventTime { sec: 1_700_000_000, nsec })
    }

    #[test]
    fn strings() {
        let written =
            |settings: &TimeSettings| TimeFormatter::new(settings).format_to_string(event(123_456_789));
        let utc = TimeSettings { local: false, utc: true, ..settings() };
        assert_eq!(written(&utc), "2023-11-14T22:13:20Z");
        let tokyo = TimeSettings { zone: Zone::parse("Asia/Tokyo").ok(), ..settings() };
        assert_eq!(written(&tokyo), "2023-11-15T07:13:20+09:00");
        let zero = TimeSettings { zone: Zone::parse("+00:00").ok(), ..settings() };
        assert_eq!(written(&zero), "2023-11-14T22:13:20+00:00", "an offset is not UTC");
        let format = TimeSettings { format: Some("%H.%3N %Z%z".into()), ..tokyo };
        assert_eq!(written(&format), "07.123 +0900");
    }

    #[test]
    fn numbers() {
        let written = |kind, time| TimeFormatter::new(&settings().with(kind, None)).format_to_string(time);
        assert_eq!(written(TimeType::Unixtime, event(5)), "1700000000");
        assert_eq!(written(TimeType::Unixtime, Time::Float(1.9)), "1");
        assert_eq!(written(TimeType::Float, event(123_456_789)), "1700000000.123456789");
        assert_eq!(written(TimeType::Float, event(5000)), "1700000000.00000");
        assert_eq!(written(TimeType::Float, event(0)), "1700000000.00000000");
        assert_eq!(written(TimeType::Float, Time::Int(1_700_000_000)), "1700000000.0");
    }
}
