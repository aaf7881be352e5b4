//! Time's own methods.

use super::super::{Method, method};
use super::class::{from_seconds, shifted};
use super::zone::clock;
use super::{Precision, iso8601, new, this};
use crate::event::EventTime;
use crate::expr::run::{Args, Eval, Vm};
use crate::expr::value::{Civil, Clock, DAY, Date, Moment, Value, days_from};

const BILLION: i128 = 1_000_000_000;

/// A method that answers a part of the date.
macro_rules! part {
    ($name:literal, $select:expr) => {
        method($name, 0, 0, |vm, receiver, _| {
            let select: fn(Civil) -> i64 = $select;
            Ok(Value::Int(select(this(vm, receiver)?.civil())))
        })
    };
}

/// A question about the day of the week.
macro_rules! weekday {
    ($name:literal, $day:literal) => {
        method($name, 0, 0, |vm, receiver, _| Ok(Value::Bool(this(vm, receiver)?.civil().weekday == $day)))
    };
}

/// Time.
pub(in crate::expr::methods) const METHODS: &[Method] = &[
    method("strftime", 1, 1, |vm, receiver, args| {
        let time = *this(vm, receiver)?;
        strftime(vm, &time, args.at(0))
    }),
    method("iso8601", 0, 1, xmlschema),
    method("xmlschema", 0, 1, xmlschema),
    method("rfc3339", 0, 1, xmlschema),
    method("rfc2822", 0, 0, |vm, receiver, _| {
        let time = this(vm, receiver)?;
        let zone = if time.clock == Clock::Utc { "-0000" } else { "%z" };
        fixed(vm, time, &format!("%a, %d %b %Y %T {zone}"))
    }),
    method("rfc822", 0, 0, |vm, receiver, _| {
        let time = this(vm, receiver)?;
        fixed(vm, time, "%a, %d %b %Y %T %z")
    }),
    method("httpdate", 0, 0, |vm, receiver, _| {
        let time = Moment { clock: Clock::Utc, ..*this(vm, receiver)? };
        fixed(vm, &time, "%a, %d %b %Y %T GMT")
    }),
    method("ctime", 0, 0, |vm, receiver, _| {
        let time = this(vm, receiver)?;
        fixed(vm, time, "%a %b %e %T %Y")
    }),
    method("asctime", 0, 0, |vm, receiver, _| {
        let time = this(vm, receiver)?;
        fixed(vm, time, "%a %b %e %T %Y")
    }),
    method("to_i", 0, 0, |vm, receiver, _| Ok(Value::Int(this(vm, receiver)?.time.sec))),
    method("tv_sec", 0, 0, |vm, receiver, _| Ok(Value::Int(this(vm, receiver)?.time.sec))),
    method("to_f", 0, 0, |vm, receiver, _| Ok(Value::Float(nanos(this(vm, receiver)?) as f64 / 1e9))),
    method("usec", 0, 0, |vm, receiver, _| Ok(Value::Int(i64::from(this(vm, receiver)?.time.nsec / 1000)))),
    method("tv_usec", 0, 0, |vm, receiver, _| {
        Ok(Value::Int(i64::from(this(vm, receiver)?.time.nsec / 1000)))
    }),
    method("nsec", 0, 0, |vm, receiver, _| Ok(Value::Int(i64::from(this(vm, receiver)?.time.nsec)))),
    method("tv_nsec", 0, 0, |vm, receiver, _| Ok(Value::Int(i64::from(this(vm, receiver)?.time.nsec)))),
    part!("year", |civil| civil.year),
    part!("month", |civil| i64::from(civil.month)),
    part!("mon", |civil| i64::from(civil.month)),
    part!("day", |civil| i64::from(civil.day)),
    part!("mday", |civil| i64::from(civil.day)),
    part!("hour", |civil| i64::from(civil.hour)),
    part!("min", |civil| i64::from(civil.minute)),
    part!("sec", |civil| i64::from(civil.second)),
    part!("wday", |civil| i64::from(civil.weekday)),
    part!("yday", |civil| i64::from(civil.year_day)),
    weekday!("sunday?", 0),
    weekday!("monday?", 1),
    weekday!("tuesday?", 2),
    weekday!("wednesday?", 3),
    weekday!("thursday?", 4),
    weekday!("friday?", 5),
    weekday!("saturday?", 6),
    // A Time is changed by these in Ruby; nobody can tell as long as the answer is what is used.
    method("utc", 0, 0, |vm, receiver, args| on_clock(vm, receiver, args, Clock::Utc)),
    method("gmtime", 0, 0, |vm, receiver, args| on_clock(vm, receiver, args, Clock::Utc)),
    method("getutc", 0, 0, |vm, receiver, args| on_clock(vm, receiver, args, Clock::Utc)),
    method("getgm", 0, 0, |vm, receiver, args| on_clock(vm, receiver, args, Clock::Utc)),
    method("localtime", 0, 1, |vm, receiver, args| on_clock(vm, receiver, args, Clock::Local)),
    method("getlocal", 0, 1, |vm, receiver, args| on_clock(vm, receiver, args, Clock::Local)),
    method("utc?", 0, 0, |vm, receiver, _| Ok(Value::Bool(this(vm, receiver)?.clock == Clock::Utc))),
    method("gmt?", 0, 0, |vm, receiver, _| Ok(Value::Bool(this(vm, receiver)?.clock == Clock::Utc))),
    method("utc_offset", 0, 0, offset),
    method("gmt_offset", 0, 0, offset),
    method("gmtoff", 0, 0, offset),
    method("zone", 0, 0, |vm, receiver, _| {
        let time = *this(vm, receiver)?;
        match time.clock {
            Clock::Fixed(_) => Ok(Value::Nil),
            _ => fixed(vm, &time, "%Z"),
        }
    }),
    method("+", 1, 1, |vm, receiver, args| {
        let time = *this(vm, receiver)?;
        if let Value::Time(_) = args.at(0) {
            return Err(vm.type_error("time + time?"));
        }
        let nanos = duration(vm, args.at(0))?;
        Ok(new(vm, Moment { time: shifted(time.time, nanos), ..time }))
    }),
    method("-", 1, 1, |vm, receiver, args| {
        let time = *this(vm, receiver)?;
        if let Value::Time(other) = args.at(0) {
            return Ok(Value::Float((nanos(&time) - nanos(other)) as f64 / 1e9));
        }
        let nanos = duration(vm, args.at(0))?;
        Ok(new(vm, Moment { time: shifted(time.time, -nanos), ..time }))
    }),
    method("round", 0, 1, |vm, receiver, args| rounded(vm, receiver, args, |rest, unit| rest * 2 >= unit)),
    method("floor", 0, 1, |vm, receiver, args| rounded(vm, receiver, args, |_, _| false)),
    method("ceil", 0, 1, |vm, receiver, args| rounded(vm, receiver, args, |rest, _| rest > 0)),
    method("to_time", 0, 0, |_, receiver, _| Ok(receiver)),
    method("to_date", 0, 0, |vm, receiver, _| {
        let civil = this(vm, receiver)?.civil();
        let wall = days_from(civil.year, i64::from(civil.month), i64::from(civil.day)) * DAY;
        Ok(Value::Date(vm.arena().alloc(Date { wall, nanos: 0, offset: 0, has_time: false })))
    }),
    method("to_datetime", 0, 0, |vm, receiver, _| {
        let time = this(vm, receiver)?;
        let offset = time.clock.offset_at(time.time.sec);
        let wall = time.time.sec + i64::from(offset);
        let date = Date { wall, nanos: time.time.nsec, offset, has_time: true };
        Ok(Value::Date(vm.arena().alloc(date)))
    }),
    method("to_a", 0, 0, |vm, receiver, _| {
        let time = *this(vm, receiver)?;
        let civil = time.civil();
        let zone = fixed(vm, &time, "%Z")?;
        let parts = [civil.second, civil.minute, civil.hour, civil.day, civil.month];
        let mut list: Vec<_> = parts.iter().map(|part| Value::Int(i64::from(*part))).collect();
        list.extend([
            Value::Int(civil.year),
            Value::Int(i64::from(civil.weekday)),
            Value::Int(i64::from(civil.year_day)),
            Value::Bool(false),
            zone,
        ]);
        vm.array(&list)
    }),
];

/// EventTime, as it is found inside of records.
pub(in crate::expr::methods) const EVENT_TIME: &[Method] = &[
    method("to_i", 0, 0, |_, receiver, _| Ok(Value::Int(event_time(receiver).sec))),
    method("to_int", 0, 0, |_, receiver, _| Ok(Value::Int(event_time(receiver).sec))),
    method("sec", 0, 0, |_, receiver, _| Ok(Value::Int(event_time(receiver).sec))),
    method("nsec", 0, 0, |_, receiver, _| Ok(Value::Int(i64::from(event_time(receiver).nsec)))),
    method("to_f", 0, 0, |_, receiver, _| {
        let time = event_time(receiver);
        Ok(Value::Float(time.sec as f64 + f64::from(time.nsec) / 1e9))
    }),
    method("to_time", 0, 0, |vm, receiver, _| {
        Ok(new(vm, Moment { time: event_time(receiver), clock: Clock::Local }))
    }),
];

fn event_time(value: Value<'_>) -> EventTime {
    match value {
        Value::Ext(0, payload) if payload.len() == 8 => {
            let word = |from: usize| {
                u32::from_be_bytes([payload[from], payload[from + 1], payload[from + 2], payload[from + 3]])
            };
            EventTime { sec: i64::from(word(0)), nsec: word(4) }
        }
        _ => EventTime::default(),
    }
}

fn nanos(time: &Moment) -> i128 {
    i128::from(time.time.sec) * BILLION + i128::from(time.time.nsec)
}

/// A number of seconds in nanoseconds.
fn duration<'a>(vm: &Vm<'_, 'a>, value: Value<'a>) -> Eval<'a, i128> {
    match value {
        Value::Int(seconds) => Ok(i128::from(seconds) * BILLION),
        Value::Float(seconds) if seconds.is_finite() && seconds.abs() < 9e15 => {
            let time = from_seconds(seconds);
            Ok(i128::from(time.sec) * BILLION + i128::from(time.nsec))
        }
        other => Err(vm.type_error(format!("can't convert {} into an exact number", other.class().name()))),
    }
}

/// The text of a time by a format, whose compiled form is kept.
pub(super) fn strftime<'a>(vm: &mut Vm<'_, 'a>, time: &Moment, format: Value<'a>) -> Eval<'a> {
    let format = vm.text(format)?;
    vm.step(format.len())?;
    let compiled = vm.time_format(format);
    let mut out = Vec::with_capacity(format.len() * 4);
    compiled.format(time.time, &time.clock.zone(), &mut out);
    vm.new_string(&out)
}

fn fixed<'a>(vm: &mut Vm<'_, 'a>, time: &Moment, format: &str) -> Eval<'a> {
    let format = vm.new_string(format.as_bytes())?;
    strftime(vm, time, format)
}

fn xmlschema<'a>(vm: &mut Vm<'_, 'a>, receiver: Value<'a>, args: Args<'_, '_, 'a>) -> Eval<'a> {
    let time = *this(vm, receiver)?;
    let digits = usize::try_from(args.int_or(vm, 0, 0)?).unwrap_or(0).min(100);
    vm.new_string(iso8601(&time, Precision::Digits(digits)).as_bytes())
}

fn on_clock<'a>(
    vm: &mut Vm<'_, 'a>,
    receiver: Value<'a>,
    args: Args<'_, '_, 'a>,
    default: Clock,
) -> Eval<'a> {
    let time = *this(vm, receiver)?;
    let clock = match args.given(0) {
        Some(zone) => clock(vm, zone)?,
        None => default,
    };
    Ok(new(vm, Moment { clock, ..time }))
}

fn offset<'a>(vm: &mut Vm<'_, 'a>, receiver: Value<'a>, _: Args<'_, '_, 'a>) -> Eval<'a> {
    let time = this(vm, receiver)?;
    Ok(Value::Int(i64::from(time.clock.offset_at(time.time.sec))))
}

/// The time rounded to so many digits of the second.
fn rounded<'a>(
    vm: &mut Vm<'_, 'a>,
    receiver: Value<'a>,
    args: Args<'_, '_, 'a>,
    up: fn(i128, i128) -> bool,
) -> Eval<'a> {
    let time = *this(vm, receiver)?;
    let digits = args.int_or(vm, 0, 0)?;
    if !(0..9).contains(&digits) {
        return Ok(receiver);
    }
    let unit = 10i128.pow(9 - digits as u32);
    let total = nanos(&time);
    let rest = total.rem_euclid(unit);
    let rounded = total - rest + if up(rest, unit) { unit } else { 0 };
    let sec = rounded.div_euclid(BILLION) as i64;
    let nsec = rounded.rem_euclid(BILLION) as u32;
    Ok(new(vm, Moment { time: EventTime { sec, nsec }, ..time }))
}
