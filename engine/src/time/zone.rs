//! Time zones: fixed offsets, zones of the database, the local one.

use super::civil::DAY;
use jiff::Timestamp;
use jiff::tz::TimeZone;
use std::sync::{Arc, OnceLock};

/// Transitions are tabulated for these years; outside of them the nearest offset holds.
const YEARS: (i64, i64) = (1900, 2200);

/// A time zone. Cloning copies a pointer.
#[derive(Clone, Debug)]
pub struct Zone(Kind);

#[derive(Clone, Debug)]
enum Kind {
    Utc,
    Fixed(i32),
    Table { table: Arc<Table>, local: bool },
}

/// A name that is no time zone.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("Unsupported timezone '{0}'")]
pub struct ZoneError(pub String);

impl Zone {
    /// UTC, written `Z` and `UTC`.
    pub const UTC: Self = Self(Kind::Utc);

    /// That of the machine: `TZ`, or `/etc/localtime`.
    pub fn local() -> Self {
        static LOCAL: OnceLock<Arc<Table>> = OnceLock::new();
        let table = LOCAL.get_or_init(|| Arc::new(Table::new(&TimeZone::system())));
        Self(Kind::Table { table: table.clone(), local: true })
    }

    /// A fixed offset, in seconds east of Greenwich.
    pub const fn fixed(seconds: i32) -> Self {
        Self(Kind::Fixed(seconds))
    }

    /// A `timezone` parameter: `+09:00`, `+0900`, `+09`, `Asia/Tokyo`, `America/Argentina/Buenos_Aires`. Abbreviations
    /// such as `JST`, and `UTC`, are refused, as Fluentd does.
    pub fn parse(text: &str) -> Result<Self, ZoneError> {
        if let Some(seconds) = numeric(text) {
            return Ok(Self::fixed(seconds));
        }
        let parts: Vec<&str> = text.split('/').collect();
        let is_name = (2..=3).contains(&parts.len()) && parts.iter().all(|part| !part.is_empty());
        if !is_name {
            return Err(ZoneError(text.to_owned()));
        }
        let zone = TimeZone::get(text).map_err(|_| ZoneError(text.to_owned()))?;
        Ok(Self(Kind::Table { table: Arc::new(Table::new(&zone)), local: false }))
    }

    /// Seconds east of Greenwich at an instant.
    pub fn offset_at(&self, seconds: i64) -> i32 {
        match &self.0 {
            Kind::Utc => 0,
            Kind::Fixed(offset) => *offset,
            Kind::Table { table, .. } => table.at(seconds).offset,
        }
    }

    /// The abbreviation at an instant (`UTC`, `JST`), as `%Z` writes it: Ruby has none for a time that was given an
    /// offset, and Fluentd gives an offset to every time for which a `timezone` is configured.
    pub fn abbreviation_at(&self, seconds: i64) -> &str {
        match &self.0 {
            Kind::Utc => "UTC",
            Kind::Table { table, local: true } => &table.at(seconds).abbreviation,
            Kind::Fixed(_) | Kind::Table { .. } => "",
        }
    }

    /// Whether this is UTC itself, and not another zone with the same time.
    pub fn is_utc(&self) -> bool {
        matches!(self.0, Kind::Utc)
    }

    /// The instant of a wall-clock time (seconds since 1970-01-01T00:00:00 on that clock). Of two instants with the same
    /// wall-clock time the later one; a time that the clock skipped is moved forward.
    pub fn instant(&self, wall: i64) -> i64 {
        let (before, after) = (self.offset_at(wall - DAY), self.offset_at(wall + DAY));
        let (early, late) = (wall - i64::from(before), wall - i64::from(after));
        if before == after || self.offset_at(late) == after { late } else { early }
    }
}

/// `[+-]HH`, `[+-]HHMM`, `[+-]HH:MM`
fn numeric(text: &str) -> Option<i32> {
    let bytes = text.as_bytes();
    let sign = match bytes.first()? {
        b'+' => 1,
        b'-' => -1,
        _ => return None,
    };
    let digits: Vec<i32> = match bytes.get(1..)? {
        [h1, h2] => vec![*h1, *h2, b'0', b'0'],
        [h1, h2, m1, m2] | [h1, h2, b':', m1, m2] => vec![*h1, *h2, *m1, *m2],
        _ => return None,
    }
    .into_iter()
    .map(|byte| byte.is_ascii_digit().then(|| i32::from(byte - b'0')))
    .collect::<Option<_>>()?;
    Some(sign * ((digits[0] * 10 + digits[1]) * 3600 + (digits[2] * 10 + digits[3]) * 60))
}

/// All offsets of a zone with the instants from which they hold; the first one holds from the beginning of time.
#[derive(Debug)]
struct Table {
    periods: Vec<Period>,
}

#[derive(Debug)]
struct Period {
    from: i64,
    offset: i32,
    abbreviation: Box<str>,
}

impl Table {
    fn new(zone: &TimeZone) -> Self {
        let start = Timestamp::from_second(super::civil::days(YEARS.0, 1, 1) * DAY).unwrap_or(Timestamp::MIN);
        let end = super::civil::days(YEARS.1, 1, 1) * DAY;
        let info = zone.to_offset_info(start);
        let first = Period {
            from: i64::MIN,
            offset: info.offset().seconds(),
            abbreviation: info.abbreviation().into(),
        };
        let later = zone.following(start).map(|transition| Period {
            from: transition.timestamp().as_second(),
            offset: transition.offset().seconds(),
            abbreviation: transition.abbreviation().into(),
        });
        let later = later.take_while(|period| period.from < end);
        Self { periods: std::iter::once(first).chain(later).collect() }
    }

    fn at(&self, seconds: i64) -> &Period {
        let n = self.periods.partition_point(|period| period.from <= seconds);
        &self.periods[n.saturating_sub(1)]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_fluentd_takes() {
        for (text, offset) in [
            ("+09:00", 32_400),
            ("+0900", 32_400),
            ("+09", 32_400),
            ("-03:30", -12_600),
            ("Asia/Tokyo", 32_400),
        ] {
            assert_eq!(Zone::parse(text).unwrap().offset_at(1_700_000_000), offset, "{text}");
        }
        assert!(Zone::parse("America/Argentina/Buenos_Aires").is_ok());
        for text in
            ["JST", "UTC", "", "+9", "+9:00", "Asia/Nowhere", "/", "Asia/", "a/b/c/d", "+09:0", "+０9"]
        {
            assert_eq!(Zone::parse(text).unwrap_err().to_string(), format!("Unsupported timezone '{text}'"));
        }
    }

    #[test]
    fn folds_and_gaps() {
        let zone = Zone::parse("America/New_York").unwrap();
        // 2023-11-05 01:30 happened twice; 2023-03-12 02:30 never.
        assert_eq!(zone.instant(1_699_147_800), 1_699_165_800);
        assert_eq!(zone.instant(1_678_588_200), 1_678_606_200);
        assert_eq!(zone.offset_at(1_690_000_000), -14_400);
        assert_eq!(zone.offset_at(7_000_000_000), -14_400, "rules go on");
    }
}
