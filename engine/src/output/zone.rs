//! Time zones of slices, and the times in templates.

use jiff::fmt::strtime::{BrokenDownTime, Config};
use jiff::tz::{Offset, TimeZone};
use jiff::{Timestamp, Zoned};

/// `timekey_zone`.
#[derive(Clone, Debug)]
pub struct Zone(TimeZone);

impl Zone {
    /// UTC.
    pub fn utc() -> Self {
        Self(TimeZone::UTC)
    }

    /// That of the process (`TZ`, else the machine's).
    pub fn local() -> Self {
        Self(TimeZone::system())
    }

    /// `+09:00`, `+0900`, `+09`, or `Region/City`. Abbreviations such as `PST` are no zones.
    pub fn parse(name: &str) -> Option<Self> {
        if let Some(seconds) = numeric(name) {
            return Some(Self(TimeZone::fixed(Offset::from_seconds(seconds).ok()?)));
        }
        let parts = name.split('/').count();
        if !(2..=3).contains(&parts) || name.split('/').any(str::is_empty) {
            return None;
        }
        TimeZone::get(name).ok().map(Self)
    }

    /// Offset from UTC at a moment, seconds.
    pub fn offset_at(&self, sec: i64) -> i32 {
        Timestamp::from_second(sec).map_or(0, |time| self.0.to_offset(time).seconds())
    }

    /// Appends the time `sec` in the form of `pattern` (strftime). What is no directive stays as it is.
    pub fn format(&self, sec: i64, pattern: &str, out: &mut String) {
        let time: Zoned = Timestamp::from_second(sec).unwrap_or_default().to_zoned(self.0.clone());
        let config = Config::new().lenient(true);
        match BrokenDownTime::from(&time).to_string_with_config(&config, pattern) {
            Ok(text) => out.push_str(&text),
            Err(_) => out.push_str(pattern),
        }
    }
}

/// `[+-]HH:MM`, `[+-]HHMM`, `[+-]HH` in seconds.
fn numeric(name: &str) -> Option<i32> {
    let (sign, digits) = match name.split_at_checked(1)? {
        ("+", digits) => (1, digits),
        ("-", digits) => (-1, digits),
        _ => return None,
    };
    let (hours, minutes) = match digits.len() {
        2 => (digits, "00"),
        4 => digits.split_at_checked(2)?,
        5 => digits.split_once(':').filter(|(hours, _)| hours.len() == 2)?,
        _ => return None,
    };
    if !hours.bytes().chain(minutes.bytes()).all(|b| b.is_ascii_digit()) {
        return None;
    }
    Some(sign * (hours.parse::<i32>().ok()? * 3600 + minutes.parse::<i32>().ok()? * 60))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn zones_are_offsets_or_cities() {
        let offset = |name| Zone::parse(name).map(|zone| zone.offset_at(1_704_164_645));
        assert_eq!(offset("+09:00"), Some(32400));
        assert_eq!(offset("-0530"), Some(-19800));
        assert_eq!(offset("+02"), Some(7200));
        assert_eq!(offset("Asia/Tokyo"), Some(32400));
        assert_eq!(offset("America/Argentina/Buenos_Aires"), Some(-10800));
        for bad in ["PST", "UTC", "", "+9", "+0900x", "Asia/", "No/Where", "+9:000", "é"] {
            assert_eq!(offset(bad), None, "{bad}");
        }
    }

    #[test]
    fn what_is_no_directive_stays() {
        let mut out = String::new();
        Zone::utc().format(1_704_164_645, "/a.%Y%m%d-%%/%", &mut out);
        assert_eq!(out, "/a.20240102-%/%");
    }
}
