//! Points in time: `Date`, `Date32`, `DateTime`, `DateTime64(p)`; and times of day: `Time`, `Time64(p)`.
//!
//! | value | is |
//! |---|---|
//! | EventTime, MessagePack's timestamp | that moment |
//! | integer | seconds, milliseconds, microseconds or nanoseconds since the epoch, by its magnitude; days for a Date up to 65535 |
//! | float | the same, with a fraction |
//! | text | one of [`super::time_text`], or one of these numbers |
//!
//! Text without a zone is in the column's zone, or in the server's. What a type cannot hold is a fault.

use super::json_text::event_time;
use super::number::one_stream;
use super::stream::{Sink, Stream};
use super::time_text::{self, WrittenTime};
use super::{Column, Compression, Fault};
use jiff::tz::TimeZone;
use logweir_engine::msgpack::ValueRef;

/// What a column counts since the epoch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unit {
    /// Days in 16 bits.
    Date,
    /// Days in 32 bits, signed.
    Date32,
    /// Seconds in 32 bits.
    Second,
    /// 10^-n seconds in 64 bits, signed.
    Tick(u32),
}

/// `Date`, `Date32`, `DateTime`, `DateTime64`.
pub(crate) struct Moments {
    stream: Stream,
    unit: Unit,
    zone: TimeZone,
    minute: Minute,
}

/// The minute of the last time in text, which the next one is likely to share.
#[derive(Default)]
struct Minute {
    /// `2024-01-15T10:30`
    text: [u8; 16],
    /// Seconds since the epoch, if it is UTC.
    seconds: i64,
}

impl Minute {
    /// A time of this minute: `:45Z`, or `:45.123Z` with 1 to 9 digits.
    #[inline]
    fn read(&self, text: &[u8]) -> Option<When> {
        let (minute, rest) = text.split_first_chunk::<16>()?;
        let ([b':', tens @ b'0'..=b'5', ones @ b'0'..=b'9'], rest) = rest.split_first_chunk::<3>()? else {
            return None;
        };
        if *minute != self.text {
            return None;
        }
        let seconds = self.seconds + i64::from((tens - b'0') * 10 + (ones - b'0'));
        let (b'Z', fraction) = rest.split_last()? else { return None };
        let nsec = match fraction.split_first() {
            None => 0,
            Some((b'.', digits)) if (1..=9).contains(&digits.len()) => {
                let mut nsec = 0;
                for digit in digits {
                    let digit = digit.wrapping_sub(b'0');
                    if digit > 9 {
                        return None;
                    }
                    nsec = nsec * 10 + u32::from(digit);
                }
                nsec * 10u32.pow(9 - digits.len() as u32)
            }
            Some(_) => return None,
        };
        Some(When::Moment(seconds, nsec))
    }

    /// Remembers the minute of a time in UTC.
    fn learn(&mut self, text: &[u8], written: &WrittenTime) {
        if let Some((minute, [b':', ..])) = text.split_first_chunk::<16>()
            && written.offset == Some(0)
            && text.ends_with(b"Z")
            && matches!(minute, [_, _, _, _, b'-', _, _, b'-', _, _, b'T' | b' ', ..])
        {
            self.text = *minute;
            self.seconds = written.seconds() - written.seconds().rem_euclid(60);
        }
    }
}

/// A value on its way into a column.
#[derive(Clone, Copy, Debug, PartialEq)]
enum When {
    /// A moment: seconds since the epoch and nanoseconds.
    Moment(i64, u32),
    /// A clock somewhere.
    Local(WrittenTime),
    /// Days since the epoch.
    Days(i64),
}

/// The first and the last day that DateTime64 and Date32 take: 1900-01-01 and 2299-12-31.
const DAYS: std::ops::RangeInclusive<i64> = -25_567..=120_529;

impl Moments {
    /// An empty column. `zone` is where text without a zone is, and where a day begins.
    pub(crate) fn new(unit: Unit, zone: TimeZone) -> Self {
        Self { stream: Stream::default(), unit, zone, minute: Minute::default() }
    }

    fn put(&mut self, when: When) -> Result<(), Fault> {
        match self.unit {
            Unit::Date => {
                let days = u16::try_from(self.days(when)?).map_err(|_| Fault::OutOfRange)?;
                self.stream.raw.extend_from_slice(&days.to_le_bytes());
            }
            Unit::Date32 => {
                let days = self.days(when)?;
                if !DAYS.contains(&days) {
                    return Err(Fault::OutOfRange);
                }
                self.stream.raw.extend_from_slice(&(days as i32).to_le_bytes());
            }
            Unit::Second => {
                let (seconds, _) = self.moment(when)?;
                let seconds = u32::try_from(seconds).map_err(|_| Fault::OutOfRange)?;
                self.stream.raw.extend_from_slice(&seconds.to_le_bytes());
            }
            Unit::Tick(precision) => {
                let (seconds, nsec) = self.moment(when)?;
                if !DAYS.contains(&seconds.div_euclid(86_400)) {
                    return Err(Fault::OutOfRange);
                }
                let ticks = ticks(seconds, nsec, precision).ok_or(Fault::OutOfRange)?;
                self.stream.raw.extend_from_slice(&ticks.to_le_bytes());
            }
        }
        Ok(())
    }

    /// Seconds since the epoch and nanoseconds.
    fn moment(&self, when: When) -> Result<(i64, u32), Fault> {
        match when {
            When::Moment(seconds, nsec) => Ok((seconds, nsec)),
            When::Local(written) => Ok((self.seconds(&written)?, written.nsec)),
            When::Days(days) => Ok((days * 86_400, 0)),
        }
    }

    fn seconds(&self, written: &WrittenTime) -> Result<i64, Fault> {
        let local = written.seconds();
        if let Some(offset) = written.offset {
            return Ok(local - i64::from(offset));
        }
        if self.zone == TimeZone::UTC {
            return Ok(local);
        }
        let civil = jiff::Timestamp::from_second(local).map_err(|_| Fault::OutOfRange)?;
        let civil = TimeZone::UTC.to_datetime(civil);
        // A time that a clock change skips or repeats is taken as it was before the change.
        self.zone.to_timestamp(civil).map(|stamp| stamp.as_second()).map_err(|_| Fault::OutOfRange)
    }

    /// The day, where the column is.
    fn days(&self, when: When) -> Result<i64, Fault> {
        let seconds = match when {
            When::Days(days) => return Ok(days),
            When::Local(WrittenTime { days, offset: None, .. }) => return Ok(days),
            When::Local(written) => self.seconds(&written)?,
            When::Moment(seconds, _) => seconds,
        };
        if self.zone == TimeZone::UTC {
            return Ok(seconds.div_euclid(86_400));
        }
        let stamp = jiff::Timestamp::from_second(seconds).map_err(|_| Fault::OutOfRange)?;
        let offset = self.zone.to_offset(stamp).seconds();
        Ok((seconds + i64::from(offset)).div_euclid(86_400))
    }

    fn whole(&self, number: i64) -> When {
        if matches!(self.unit, Unit::Date | Unit::Date32) && (0..=65_535).contains(&number) {
            return When::Days(number);
        }
        let per_second = per_second(number.unsigned_abs());
        let nsec = number.rem_euclid(per_second) * (1_000_000_000 / per_second);
        When::Moment(number.div_euclid(per_second), nsec as u32)
    }

    fn fractional(&self, number: f64) -> Result<When, Fault> {
        if !number.is_finite() || number.abs() >= i64::MAX as f64 {
            return Err(Fault::OutOfRange);
        }
        if number.fract() == 0.0 {
            return Ok(self.whole(number as i64));
        }
        let seconds = number / per_second(number.abs() as u64) as f64;
        // A float of this magnitude knows no more than about a tenth of a microsecond.
        let micros = ((seconds - seconds.floor()) * 1e6).round() as u32;
        Ok(When::Moment(seconds.floor() as i64 + i64::from(micros / 1_000_000), micros % 1_000_000 * 1000))
    }

    fn text(&mut self, text: &[u8]) -> Result<When, Fault> {
        if let Some(when) = self.minute.read(text) {
            return Ok(when);
        }
        if let Some(written) = time_text::parse(text) {
            self.minute.learn(text, &written);
            return Ok(When::Local(written));
        }
        let text = std::str::from_utf8(text).map_err(|_| Fault::NotTime)?.trim();
        if let Ok(number) = text.parse::<i64>() {
            return Ok(self.whole(number));
        }
        // `1705314645.123456789`: more digits than a float keeps.
        if let Some((whole, fraction)) = text.split_once('.')
            && let Ok(seconds) = whole.parse::<i64>()
            && seconds >= 0
            && per_second(seconds as u64) == 1
            && !fraction.is_empty()
            && fraction.bytes().all(|byte| byte.is_ascii_digit())
        {
            let nsec = fraction.bytes().chain(std::iter::repeat(b'0')).take(9);
            return Ok(When::Moment(
                seconds,
                nsec.fold(0, |nsec, digit| nsec * 10 + u32::from(digit - b'0')),
            ));
        }
        match text.parse::<f64>() {
            Ok(number) => self.fractional(number),
            Err(_) => Err(Fault::NotTime),
        }
    }
}

impl Column for Moments {
    fn push(&mut self, value: &ValueRef<'_>) -> Result<(), Fault> {
        let when = match *value {
            ValueRef::Str(text) | ValueRef::Bin(text) => self.text(text)?,
            ValueRef::Int(number) => self.whole(number),
            ValueRef::F64(number) => self.fractional(number)?,
            ValueRef::F32(number) => self.fractional(number.into())?,
            ValueRef::Ext(0, payload) => {
                let time = event_time(payload).ok_or(Fault::NotTime)?;
                When::Moment(time.sec, time.nsec)
            }
            ValueRef::Ext(-1, payload) => timestamp(payload).ok_or(Fault::NotTime)?,
            ValueRef::UInt(_) => return Err(Fault::OutOfRange),
            ValueRef::Nil => {
                self.push_default();
                return Ok(());
            }
            _ => return Err(Fault::NotTime),
        };
        self.put(when)
    }

    fn push_default(&mut self) {
        let width = match self.unit {
            Unit::Date => 2,
            Unit::Date32 | Unit::Second => 4,
            Unit::Tick(_) => 8,
        };
        self.stream.raw.extend_from_slice(&[0; 8][..width]);
    }

    one_stream!();
}

/// How many units of a number since the epoch make a second: a number below 10^11 counts seconds (until the year
/// 5138), and each further three digits a thousandth.
fn per_second(magnitude: u64) -> i64 {
    match magnitude {
        0..100_000_000_000 => 1,
        100_000_000_000..100_000_000_000_000 => 1000,
        100_000_000_000_000..100_000_000_000_000_000 => 1_000_000,
        _ => 1_000_000_000,
    }
}

fn ticks(seconds: i64, nsec: u32, precision: u32) -> Option<i64> {
    let per_second = 10i64.checked_pow(precision)?;
    let fraction = i64::from(nsec) / 10i64.pow(9u32.saturating_sub(precision));
    seconds.checked_mul(per_second)?.checked_add(fraction)
}

/// MessagePack's own timestamp, in its three forms.
fn timestamp(payload: &[u8]) -> Option<When> {
    let (seconds, nsec) = match payload.len() {
        4 => (i64::from(u32::from_be_bytes(*payload.first_chunk()?)), 0),
        8 => {
            let packed = u64::from_be_bytes(*payload.first_chunk()?);
            ((packed & 0x3_ffff_ffff) as i64, (packed >> 34) as u32)
        }
        12 => (i64::from_be_bytes(*payload.last_chunk()?), u32::from_be_bytes(*payload.first_chunk()?)),
        _ => return None,
    };
    (nsec < 1_000_000_000).then_some(When::Moment(seconds, nsec))
}

/// `Time` and `Time64(p)`: a signed count of seconds, or of 10^-p seconds.
pub(crate) struct Clocks {
    stream: Stream,
    precision: Option<u32>,
}

/// The largest: 999:59:59.
const CLOCK_SECONDS_MAX: i64 = 3_599_999;

impl Clocks {
    /// An empty column; `None` is `Time`.
    pub(crate) fn new(precision: Option<u32>) -> Self {
        Self { stream: Stream::default(), precision }
    }

    fn put(&mut self, negative: bool, seconds: i64, nsec: u32) -> Result<(), Fault> {
        if seconds > CLOCK_SECONDS_MAX {
            return Err(Fault::OutOfRange);
        }
        let sign = if negative { -1 } else { 1 };
        match self.precision {
            None => self.stream.raw.extend_from_slice(&((sign * seconds) as i32).to_le_bytes()),
            Some(precision) => {
                let ticks = ticks(seconds, nsec, precision).ok_or(Fault::OutOfRange)?;
                self.stream.raw.extend_from_slice(&(sign * ticks).to_le_bytes());
            }
        }
        Ok(())
    }

    fn number(&mut self, number: f64) -> Result<(), Fault> {
        if number.is_nan() || number.abs() >= 1e9 {
            return Err(Fault::OutOfRange);
        }
        let nanos = (number.abs() * 1e9).round();
        self.put(number < 0.0, (nanos / 1e9) as i64, (nanos % 1e9) as u32)
    }

    /// `[-]h:mm:ss[.f]`, `[-]mm:ss`, or seconds.
    fn text(&mut self, text: &[u8]) -> Result<(), Fault> {
        let text = std::str::from_utf8(text).map_err(|_| Fault::NotTime)?.trim();
        let (negative, clock) = match text.strip_prefix('-') {
            Some(clock) => (true, clock),
            None => (false, text),
        };
        if !clock.contains(':') {
            return self.number(text.parse().map_err(|_| Fault::NotTime)?);
        }
        let (clock, fraction) = clock.split_once('.').unwrap_or((clock, ""));
        let mut seconds = 0i64;
        for (index, part) in clock.split(':').enumerate() {
            let value: u32 = part.parse().map_err(|_| Fault::NotTime)?;
            if index > 2 || part.len() > 4 || (index > 0 && value > 59) {
                return Err(Fault::NotTime);
            }
            seconds = seconds * 60 + i64::from(value);
        }
        if !fraction.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(Fault::NotTime);
        }
        let digits = fraction.bytes().chain(std::iter::repeat(b'0')).take(9);
        self.put(negative, seconds, digits.fold(0, |nsec, digit| nsec * 10 + u32::from(digit - b'0')))
    }
}

impl Column for Clocks {
    fn push(&mut self, value: &ValueRef<'_>) -> Result<(), Fault> {
        match *value {
            ValueRef::Str(text) | ValueRef::Bin(text) => self.text(text),
            ValueRef::Int(number) => {
                self.put(number < 0, i64::try_from(number.unsigned_abs()).unwrap_or(i64::MAX), 0)
            }
            ValueRef::F64(number) => self.number(number),
            ValueRef::F32(number) => self.number(number.into()),
            ValueRef::UInt(_) => Err(Fault::OutOfRange),
            ValueRef::Nil => {
                self.push_default();
                Ok(())
            }
            _ => Err(Fault::NotTime),
        }
    }

    fn push_default(&mut self) {
        let width = if self.precision.is_some() { 8 } else { 4 };
        self.stream.raw.extend_from_slice(&[0; 8][..width]);
    }

    one_stream!();
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pushed(mut column: impl Column, value: ValueRef<'_>) -> Result<i64, Fault> {
        column.push(&value)?;
        let raw = &column.single_stream().unwrap().raw;
        Ok(match raw.len() {
            2 => u16::from_le_bytes(raw[..].try_into().unwrap()).into(),
            4 => i32::from_le_bytes(raw[..].try_into().unwrap()).into(),
            _ => i64::from_le_bytes(raw[..].try_into().unwrap()),
        })
    }

    fn utc(unit: Unit, value: ValueRef<'_>) -> Result<i64, Fault> {
        pushed(Moments::new(unit, TimeZone::UTC), value)
    }

    #[test]
    fn seconds_from_every_kind_of_value() {
        for value in [
            ValueRef::Int(1_705_314_645),
            ValueRef::Int(1_705_314_645_999),
            ValueRef::Int(1_705_314_645_999_999),
            ValueRef::Int(1_705_314_645_999_999_999),
            ValueRef::F64(1_705_314_645.25),
            ValueRef::F64(1_705_314_645_250.5),
            ValueRef::Str(b"1705314645"),
            ValueRef::Str(b"1705314645.999999999"),
            ValueRef::Str(b"2024-01-15T10:30:45.999Z"),
            ValueRef::Str(b"2024-01-15 10:30:45"),
            ValueRef::Ext(0, &[0x65, 0xa5, 0x09, 0x55, 0, 0, 0, 1]),
            ValueRef::Ext(-1, &[0x65, 0xa5, 0x09, 0x55]),
        ] {
            assert_eq!(utc(Unit::Second, value), Ok(1_705_314_645), "{value:?}");
        }
        assert_eq!(utc(Unit::Second, ValueRef::Nil), Ok(0));
    }

    #[test]
    fn nothing_wraps() {
        for value in [
            ValueRef::Int(-1),
            ValueRef::Int(4_294_967_296),
            ValueRef::Int(i64::MAX),
            ValueRef::UInt(u64::MAX),
            ValueRef::F64(f64::NAN),
            ValueRef::F64(1e30),
            ValueRef::Str(b"1969-12-31T23:59:59Z"),
            ValueRef::Str(b"2106-02-07T06:28:16Z"),
        ] {
            assert_eq!(utc(Unit::Second, value), Err(Fault::OutOfRange), "{value:?}");
        }
        for value in [ValueRef::Str(b""), ValueRef::Str(b"now"), ValueRef::Bool(true), ValueRef::Map(&[0x80])]
        {
            assert_eq!(utc(Unit::Second, value), Err(Fault::NotTime), "{value:?}");
        }
        assert_eq!(utc(Unit::Tick(9), ValueRef::Str(b"2262-04-12T00:00:00Z")), Err(Fault::OutOfRange));
        assert_eq!(utc(Unit::Tick(3), ValueRef::Str(b"2300-01-01T00:00:00Z")), Err(Fault::OutOfRange));
        assert_eq!(utc(Unit::Tick(3), ValueRef::Str(b"1899-12-31T23:59:59Z")), Err(Fault::OutOfRange));
        assert_eq!(utc(Unit::Date, ValueRef::Str(b"2149-06-07")), Err(Fault::OutOfRange));
    }

    #[test]
    fn ticks_keep_the_fraction() {
        let text = ValueRef::Str(b"2024-01-15T10:30:45.123456789Z");
        assert_eq!(utc(Unit::Tick(3), text), Ok(1_705_314_645_123));
        assert_eq!(utc(Unit::Tick(9), text), Ok(1_705_314_645_123_456_789));
        assert_eq!(utc(Unit::Tick(0), text), Ok(1_705_314_645));
        assert_eq!(utc(Unit::Tick(6), ValueRef::F64(1_705_314_645.25)), Ok(1_705_314_645_250_000));
        assert_eq!(utc(Unit::Tick(3), ValueRef::Int(1_705_314_645_123)), Ok(1_705_314_645_123));
        assert_eq!(utc(Unit::Tick(9), ValueRef::Str(b"1705314645.123456789")), Ok(1_705_314_645_123_456_789));
        assert_eq!(utc(Unit::Tick(3), ValueRef::Str(b"1969-12-31T23:59:59.5Z")), Ok(-500));
        assert_eq!(utc(Unit::Tick(3), ValueRef::Int(-1)), Ok(-1000));
    }

    #[test]
    fn days_are_those_of_the_zone() {
        let tokyo = TimeZone::get("Asia/Tokyo").unwrap();
        let late = ValueRef::Str(b"2024-01-15T20:00:00Z");
        assert_eq!(utc(Unit::Date, late), Ok(19_737));
        assert_eq!(pushed(Moments::new(Unit::Date, tokyo.clone()), late), Ok(19_738));
        assert_eq!(
            pushed(Moments::new(Unit::Date, tokyo.clone()), ValueRef::Str(b"2024-01-15 20:00:00")),
            Ok(19_737)
        );
        assert_eq!(
            pushed(Moments::new(Unit::Second, tokyo), ValueRef::Str(b"2024-01-15 10:30:45")),
            Ok(1_705_282_245)
        );
        assert_eq!(utc(Unit::Date32, ValueRef::Str(b"1900-01-01")), Ok(-25_567));
        assert_eq!(utc(Unit::Date32, ValueRef::Str(b"2299-12-31")), Ok(120_529));
        assert_eq!(utc(Unit::Date, ValueRef::Int(19_737)), Ok(19_737));
        assert_eq!(utc(Unit::Date, ValueRef::Int(1_705_314_645)), Ok(19_737));
    }

    #[test]
    fn times_of_the_same_minute_are_read_alike_with_and_without_memory() {
        let mut column = Moments::new(Unit::Tick(9), TimeZone::UTC);
        for second in [
            "45Z",
            "46.5Z",
            "59.123456789Z",
            "60Z",
            "07.1234567890Z",
            "08.Z",
            "09.x1Z",
            "1Z",
            "10+01:00",
            "11",
            "12 Z",
            "7x",
            "13.000000001Z",
            "61Z",
            "14.1z",
        ] {
            for minute in ["2024-01-15T10:30:", "2024-01-15 10:30:", "2024-01-15T10:31:"] {
                let text = format!("{minute}{second}");
                let alone = utc(Unit::Tick(9), ValueRef::Str(text.as_bytes()));
                column.checkpoint();
                let together = column
                    .push(&ValueRef::Str(text.as_bytes()))
                    .map(|()| i64::from_le_bytes(*column.stream.raw.last_chunk().unwrap()));
                assert_eq!(together, alone, "{text}");
            }
        }
    }

    #[test]
    fn clocks() {
        let time = |value| pushed(Clocks::new(None), value);
        assert_eq!(time(ValueRef::Str(b"10:30:45")), Ok(37_845));
        assert_eq!(time(ValueRef::Str(b"-01:00:00.9")), Ok(-3600));
        assert_eq!(time(ValueRef::Str(b"999:59:59")), Ok(3_599_999));
        assert_eq!(time(ValueRef::Str(b"1000:00:00")), Err(Fault::OutOfRange));
        assert_eq!(time(ValueRef::Int(-5)), Ok(-5));
        assert_eq!(time(ValueRef::Str(b"10:61:00")), Err(Fault::NotTime));
        assert_eq!(time(ValueRef::Str(b"soon")), Err(Fault::NotTime));
        assert_eq!(pushed(Clocks::new(Some(3)), ValueRef::Str(b"00:00:01.5")), Ok(1500));
        assert_eq!(pushed(Clocks::new(Some(6)), ValueRef::F64(-0.25)), Ok(-250_000));
    }
}
