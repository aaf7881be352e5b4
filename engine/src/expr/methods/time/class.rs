//! Time the class: `now`, `at`, `parse`, ...

use super::super::{ClassId, Method, method};
use super::fields::Fields;
use super::strptime::strptime;
use super::zone::{class_offset, clock};
use super::{new, parse};
use crate::event::EventTime;
use crate::expr::run::{Args, Eval, Vm};
use crate::expr::value::{Civil, Clock, DAY, Moment, Value, days_from, to_s};

/// Time.
pub(in crate::expr::methods) const CLASS: &[Method] = &[
    method("now", 0, 1, |vm, _, args| {
        let clock = match args.option("in") {
            Some(zone) => clock(vm, zone)?,
            None => Clock::Local,
        };
        Ok(new(vm, Moment { time: EventTime::now(), clock }))
    })
    .impure(),
    method("at", 1, 4, at),
    method("new", 0, 8, |vm, receiver, args| civil(vm, receiver, args, Clock::Local)).impure(),
    method("local", 1, 7, |vm, receiver, args| civil(vm, receiver, args, Clock::Local)),
    method("mktime", 1, 7, |vm, receiver, args| civil(vm, receiver, args, Clock::Local)),
    method("utc", 1, 7, |vm, receiver, args| civil(vm, receiver, args, Clock::Utc)),
    method("gm", 1, 7, |vm, receiver, args| civil(vm, receiver, args, Clock::Utc)),
    method("parse", 1, 2, |vm, _, args| {
        let text = text_of(vm, args.at(0))?;
        let fields = parsed(vm, &text)?;
        let moment = fields.to_moment(vm, &text)?;
        Ok(new(vm, moment))
    }),
    method("strptime", 2, 3, |vm, _, args| {
        let text = text_of(vm, args.at(0))?;
        let format = text_of(vm, args.at(1))?;
        let moment = match strptime(&text, &format) {
            Some(fields) if needs_date(&fields) => {
                let date = fields.to_date(vm, false)?;
                let sec = crate::time::Zone::local().instant(date.wall);
                Moment { time: EventTime { sec, nsec: 0 }, clock: Clock::Local }
            }
            Some(fields) => fields.to_moment(vm, &text)?,
            None => {
                let message = format!("invalid date or strptime format - `{text}' `{format}'");
                return Err(vm.argument_error(message));
            }
        };
        Ok(new(vm, moment))
    }),
    method("iso8601", 1, 1, strict),
    method("xmlschema", 1, 1, strict),
    method("rfc2822", 1, 1, loose),
    method("httpdate", 1, 1, loose),
    method("zone_offset", 1, 2, |vm, _, args| class_offset(vm, args.at(0))),
];

/// Fluent::EventTime.
pub(in crate::expr::methods) const EVENT_TIME_CLASS: &[Method] = &[
    method("now", 0, 0, |vm, _, _| {
        let time = EventTime::now();
        event_time(vm, time)
    })
    .impure(),
    method("from_time", 1, 1, |vm, _, args| match args.at(0) {
        Value::Time(time) => event_time(vm, time.time),
        other => Err(vm.no_conversion(other, "Time")),
    }),
    method("new", 1, 2, |vm, _, args| {
        let (sec, nsec) = (vm.int(args.at(0))?, args.int_or(vm, 1, 0)?);
        event_time(vm, EventTime { sec, nsec: u32::try_from(nsec).unwrap_or(0) })
    }),
    method("parse", 1, 2, |vm, _, args| {
        let text = text_of(vm, args.at(0))?;
        let moment = parsed(vm, &text)?.to_moment(vm, &text)?;
        event_time(vm, moment.time)
    }),
];

fn event_time<'a>(vm: &mut Vm<'_, 'a>, time: EventTime) -> Eval<'a> {
    let mut payload = [0; 8];
    payload[..4].copy_from_slice(&(time.sec as u32).to_be_bytes());
    payload[4..].copy_from_slice(&time.nsec.to_be_bytes());
    Ok(Value::Ext(0, vm.copy(&payload)?))
}

/// A text argument that dates are read from.
pub(super) fn text_of<'a>(vm: &mut Vm<'_, 'a>, value: Value<'a>) -> Eval<'a, String> {
    let text = vm.text(value)?;
    vm.step(text.len())?;
    Ok(String::from_utf8_lossy(text).into_owned())
}

/// The fields of a text of bounded length.
pub(super) fn parsed<'a>(vm: &mut Vm<'_, 'a>, text: &str) -> Eval<'a, Fields> {
    if text.len() > parse::LENGTH_MAX {
        let message = format!("string length ({}) exceeds the limit {}", text.len(), parse::LENGTH_MAX);
        return Err(vm.argument_error(message));
    }
    vm.step(1000)?;
    Ok(parse::parse(text))
}

/// Whether only Date knows what the fields mean: weeks, or a weekday without a date.
fn needs_date(fields: &Fields) -> bool {
    let dated = fields.month.is_some() && fields.day.is_some();
    !dated
        && fields.epoch.is_none()
        && (fields.week.is_some() || fields.sunday_week.is_some() || fields.monday_week.is_some())
}

fn strict<'a>(vm: &mut Vm<'_, 'a>, _: Value<'a>, args: Args<'_, '_, 'a>) -> Eval<'a> {
    let text = text_of(vm, args.at(0))?;
    let trimmed = text.trim();
    let digits = |range: std::ops::Range<usize>| {
        trimmed.get(range).is_some_and(|part| part.bytes().all(|byte| byte.is_ascii_digit()))
    };
    let dated = digits(0..4) && trimmed.as_bytes().get(4) == Some(&b'-') && digits(5..7) && digits(8..10);
    let timed =
        trimmed.len() == 10 || matches!(trimmed.as_bytes().get(10), Some(b'T' | b't')) && digits(11..13);
    if !dated || !timed {
        let shown = super::super::inspect_text(vm, args.at(0));
        return Err(vm.argument_error(format!("invalid xmlschema format: {shown}")));
    }
    let moment = parsed(vm, trimmed)?.to_moment(vm, trimmed)?;
    Ok(new(vm, moment))
}

fn loose<'a>(vm: &mut Vm<'_, 'a>, _: Value<'a>, args: Args<'_, '_, 'a>) -> Eval<'a> {
    let text = text_of(vm, args.at(0))?;
    let moment = parsed(vm, &text)?.to_moment(vm, &text)?;
    Ok(new(vm, moment))
}

/// Seconds since the epoch with a fraction, exactly.
pub(in crate::expr::methods) fn from_seconds(seconds: f64) -> EventTime {
    let whole = seconds.floor();
    EventTime { sec: whole as i64, nsec: fraction_nanos(seconds - whole) }
}

/// Nanoseconds of a fraction from 0 to 1, rounded down exactly: the float's bits are a whole number over a power of two.
pub(super) fn fraction_nanos(fraction: f64) -> u32 {
    let bits = fraction.to_bits();
    let exponent = ((bits >> 52) & 0x7ff) as i64 - 1075;
    let mantissa = u128::from((bits & ((1 << 52) - 1)) | (1 << 52));
    match u32::try_from(-exponent) {
        Ok(shift) if shift < 128 && fraction > 0.0 => {
            ((mantissa * 1_000_000_000) >> shift).min(999_999_999) as u32
        }
        _ => 0,
    }
}

/// `Time.at(seconds)`, `Time.at(seconds, microseconds)`, `Time.at(seconds, n, :millisecond)`
fn at<'a>(vm: &mut Vm<'_, 'a>, _: Value<'a>, args: Args<'_, '_, 'a>) -> Eval<'a> {
    let positional = args.list.len() - usize::from(matches!(args.list.last(), Some(Value::Hash(_))));
    let mut clock_of = Clock::Local;
    let mut time = match args.at(0) {
        Value::Time(moment) => {
            clock_of = moment.clock;
            moment.time
        }
        Value::Int(sec) => EventTime { sec, nsec: 0 },
        Value::Float(seconds) if seconds.is_finite() && seconds.abs() < 9e15 => from_seconds(seconds),
        Value::Float(seconds) => {
            return Err(vm.raise(ClassId::FloatDomainError, crate::expr::value::float_text(seconds)));
        }
        Value::Big(_) => return Err(vm.raise(ClassId::RangeError, "bignum too big to convert into `long'")),
        Value::Ext(0, payload) if payload.len() == 8 => {
            let word = |from: usize| {
                u32::from_be_bytes([payload[from], payload[from + 1], payload[from + 2], payload[from + 3]])
            };
            EventTime { sec: i64::from(word(0)), nsec: word(4) }
        }
        other => {
            let class = other.class().name();
            return Err(vm.type_error(format!("can't convert {class} into an exact number")));
        }
    };
    if positional > 1 {
        let unit = match args.get(2).and_then(Value::text) {
            None | Some(b"microsecond" | b"usec") => 1_000,
            Some(b"millisecond") => 1_000_000,
            Some(b"nanosecond" | b"nsec") => 1,
            Some(_) => {
                let shown = String::from_utf8_lossy(to_s(vm, args.at(2))?).into_owned();
                return Err(vm.argument_error(format!("unexpected unit: {shown}")));
            }
        };
        let more = match args.at(1) {
            Value::Int(count) => i128::from(count) * unit,
            other => (vm.float(other)? * unit as f64).floor() as i128,
        };
        time = shifted(time, more);
    }
    if let Some(zone) = args.option("in") {
        clock_of = clock(vm, zone)?;
    }
    Ok(new(vm, Moment { time, clock: clock_of }))
}

/// A time and so many nanoseconds more.
pub(super) fn shifted(time: EventTime, nanos: i128) -> EventTime {
    let total = i128::from(time.nsec) + nanos;
    let sec = i128::from(time.sec) + total.div_euclid(1_000_000_000);
    let sec = sec.clamp(i128::from(i64::MIN / 2), i128::from(i64::MAX / 2)) as i64;
    EventTime { sec, nsec: total.rem_euclid(1_000_000_000) as u32 }
}

/// `Time.new(year, month, day, hour, minute, second, zone)` and its siblings.
fn civil<'a>(vm: &mut Vm<'_, 'a>, _: Value<'a>, args: Args<'_, '_, 'a>, default: Clock) -> Eval<'a> {
    let positional = args.list.len() - usize::from(matches!(args.list.last(), Some(Value::Hash(_))));
    let mut clock_of = default;
    if let Some(zone) =
        args.option("in").or(args.get(6).filter(|_| default == Clock::Local && positional > 6))
    {
        clock_of = clock(vm, zone)?;
    }
    if positional == 0 {
        return Ok(new(vm, Moment { time: EventTime::now(), clock: clock_of }));
    }
    let year = number(vm, args.at(0))?;
    let month = match args.given(1).filter(|_| positional > 1) {
        Some(Value::Str(name)) if name.len() == 3 && !name.bytes()[0].is_ascii_digit() => {
            let names = ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"];
            let lower = String::from_utf8_lossy(name.bytes()).to_ascii_lowercase();
            names.iter().position(|known| *known == lower).map_or(0, |at| at as i64 + 1)
        }
        Some(month) => number(vm, month)?,
        None => 1,
    };
    let mut rest = [1, 0, 0];
    for (at, place) in rest.iter_mut().enumerate() {
        if let Some(value) = args.given(at + 2).filter(|_| positional > at + 2) {
            *place = number(vm, value)?;
        }
    }
    let [day, hour, minute] = rest;
    let seconds = match args.given(5).filter(|_| positional > 5) {
        Some(Value::Float(seconds)) => seconds,
        Some(seconds) => number(vm, seconds)? as f64,
        None => 0.0,
    };
    check_civil(vm, (year, month, day), (hour, minute, seconds.floor() as i64))?;
    let wall = days_from(year, month, day) * DAY + hour * 3600 + minute * 60 + seconds.floor() as i64;
    let mut time = EventTime { sec: clock_of.zone().instant(wall), nsec: fraction_nanos(seconds.fract()) };
    if let Some(micros) = args.given(6).filter(|_| default == Clock::Utc && positional > 6) {
        time = shifted(time, i128::from(vm.int(micros)?) * 1000);
    }
    Ok(new(vm, Moment { time, clock: clock_of }))
}

/// Refuses what a Time cannot be made of. 31 February is 2 or 3 March, and 24:00 the next day.
pub(super) fn check_civil<'a>(
    vm: &Vm<'_, 'a>,
    (year, month, day): (i64, i64, i64),
    (hour, minute, second): (i64, i64, i64),
) -> Eval<'a, ()> {
    // Ruby first looks at how many bits there are, and then at what they say.
    let bits = [(month, 15), (day, 31), (hour, 31), (minute, 63), (second, 63)];
    if year.abs() > 1_000_000 || bits.iter().any(|(value, most)| !(0..=*most).contains(value)) {
        return Err(vm.argument_error("argument out of range"));
    }
    let past_midnight = if hour == 24 { 0 } else { 59 };
    let ranges = [
        ("mon", month, 1, 12),
        ("mday", day, 1, 31),
        ("hour", hour, 0, 24),
        ("min", minute, 0, past_midnight),
        ("sec", second, 0, past_midnight.max(60 * i64::from(hour < 24))),
    ];
    for (name, value, low, high) in ranges {
        if !(low..=high).contains(&value) {
            return Err(vm.argument_error(format!("{name} out of range")));
        }
    }
    Ok(())
}

/// A part of a date, which may be digits in a string.
fn number<'a>(vm: &mut Vm<'_, 'a>, value: Value<'a>) -> Eval<'a, i64> {
    match value {
        Value::Str(_) => {
            let value = super::super::kernel::to_integer(vm, value, 10, false)?;
            vm.int(value)
        }
        other => vm.int(other),
    }
}

/// The date that a clock shows now.
pub(super) fn today() -> Civil {
    let now = EventTime::now().sec;
    Civil::of(now + i64::from(Clock::Local.offset_at(now)))
}
