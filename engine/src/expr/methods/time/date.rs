//! Date and DateTime.

use super::super::{Method, method};
use super::class::{from_seconds, parsed, text_of, today};
use super::instance::strftime;
use super::strptime::strptime;
use super::zone::{invalid_date, zone_offset};
use super::{Precision, iso8601, new};
use crate::event::EventTime;
use crate::expr::run::{Args, Eval, Vm};
use crate::expr::value::{Civil, Clock, DAY, Date, Moment, Value, days_from, kind_text, month_length};

/// A method that answers a part of the date.
macro_rules! part {
    ($name:literal, $select:expr) => {
        method($name, 0, 0, |vm, receiver, _| {
            let select: fn(Civil) -> i64 = $select;
            Ok(Value::Int(select(this(vm, receiver)?.civil())))
        })
    };
}

/// A part of the time of day, which only a DateTime has.
macro_rules! time_part {
    ($name:literal, $select:expr) => {
        method($name, 0, 0, |vm, receiver, _| {
            let date = this(vm, receiver)?;
            if !date.has_time {
                let shown = date_inspect(date);
                let message = format!("private method `{}' called for {shown}", $name);
                return Err(vm.raise(super::super::ClassId::NoMethodError, message));
            }
            let select: fn(Civil) -> i64 = $select;
            Ok(Value::Int(select(date.civil())))
        })
    };
}

/// Date and DateTime.
pub(in crate::expr::methods) const METHODS: &[Method] = &[
    part!("year", |civil| civil.year),
    part!("month", |civil| i64::from(civil.month)),
    part!("mon", |civil| i64::from(civil.month)),
    part!("day", |civil| i64::from(civil.day)),
    part!("mday", |civil| i64::from(civil.day)),
    part!("wday", |civil| i64::from(civil.weekday)),
    part!("yday", |civil| i64::from(civil.year_day)),
    time_part!("hour", |civil| i64::from(civil.hour)),
    time_part!("minute", |civil| i64::from(civil.minute)),
    time_part!("min", |civil| i64::from(civil.minute)),
    time_part!("second", |civil| i64::from(civil.second)),
    time_part!("sec", |civil| i64::from(civil.second)),
    method("cwday", 0, 0, |vm, receiver, _| {
        let weekday = i64::from(this(vm, receiver)?.civil().weekday);
        Ok(Value::Int(if weekday == 0 { 7 } else { weekday }))
    }),
    method("cweek", 0, 0, |vm, receiver, _| formatted_int(vm, receiver, "%-V")),
    method("cwyear", 0, 0, |vm, receiver, _| formatted_int(vm, receiver, "%G")),
    method("saturday?", 0, 0, |vm, receiver, _| Ok(Value::Bool(this(vm, receiver)?.civil().weekday == 6))),
    method("sunday?", 0, 0, |vm, receiver, _| Ok(Value::Bool(this(vm, receiver)?.civil().weekday == 0))),
    method("leap?", 0, 0, |vm, receiver, _| {
        Ok(Value::Bool(month_length(this(vm, receiver)?.civil().year, 2) == 29))
    }),
    method("strftime", 0, 1, |vm, receiver, args| {
        let date = *this(vm, receiver)?;
        let format: &[u8] = match args.get(0) {
            Some(format) => vm.text(format)?,
            None if date.has_time => b"%FT%T%:z",
            None => b"%F",
        };
        // A DateTime's zone has no name but its offset; milliseconds are only known to it.
        let millis = date.instant() * 1000 + i64::from(date.nanos / 1_000_000);
        let format = String::from_utf8_lossy(format).replace("%Z", "%:z").replace("%Q", &millis.to_string());
        let format = vm.new_string(format.as_bytes())?;
        strftime(vm, &date.moment(), format)
    }),
    method("to_s", 0, 0, |vm, receiver, _| {
        let text = date_text(this(vm, receiver)?);
        vm.new_string(text.as_bytes())
    }),
    method("iso8601", 0, 1, xmlschema),
    method("xmlschema", 0, 1, xmlschema),
    method("rfc3339", 0, 1, |vm, receiver, args| {
        let date = Date { has_time: true, ..*this(vm, receiver)? };
        let digits = usize::try_from(args.int_or(vm, 0, 0)?).unwrap_or(0).min(100);
        vm.new_string(iso8601(&date.moment(), Precision::Digits(digits)).as_bytes())
    }),
    method("rfc2822", 0, 0, |vm, receiver, _| {
        let date = *this(vm, receiver)?;
        let format = vm.new_string(b"%a, %-d %b %Y %T %z")?;
        strftime(vm, &date.moment(), format)
    }),
    method("httpdate", 0, 0, |vm, receiver, _| {
        let time = Moment { clock: Clock::Utc, ..this(vm, receiver)?.moment() };
        let format = vm.new_string(b"%a, %d %b %Y %T GMT")?;
        strftime(vm, &time, format)
    }),
    method("to_time", 0, 0, |vm, receiver, _| {
        let date = *this(vm, receiver)?;
        if date.has_time {
            return Ok(new(vm, date.moment()));
        }
        let sec = crate::time::Zone::local().instant(date.wall);
        Ok(new(vm, Moment { time: EventTime { sec, nsec: 0 }, clock: Clock::Local }))
    }),
    method("to_date", 0, 0, |vm, receiver, _| {
        let date = this(vm, receiver)?;
        let wall = date.wall.div_euclid(DAY) * DAY;
        Ok(made(vm, Date { wall, nanos: 0, offset: 0, has_time: false }))
    }),
    method("to_datetime", 0, 0, |vm, receiver, _| {
        let date = *this(vm, receiver)?;
        Ok(made(vm, Date { has_time: true, ..date }))
    }),
    method("new_offset", 0, 1, |vm, receiver, args| {
        let date = *this(vm, receiver)?;
        let offset = match args.get(0) {
            Some(Value::Str(text)) => {
                let text = String::from_utf8_lossy(text.bytes()).into_owned();
                zone_offset(&text).unwrap_or(0)
            }
            Some(value) => (vm.float(value)? * DAY as f64) as i32,
            None => 0,
        };
        Ok(made(vm, Date { wall: date.instant() + i64::from(offset), offset, ..date }))
    }),
    method("zone", 0, 0, |vm, receiver, _| {
        let date = *this(vm, receiver)?;
        let format = vm.new_string(b"%:z")?;
        strftime(vm, &date.moment(), format)
    }),
    method("offset", 0, 0, |vm, receiver, _| {
        Ok(Value::Float(f64::from(this(vm, receiver)?.offset) / DAY as f64))
    }),
    method("+", 1, 1, |vm, receiver, args| {
        let date = *this(vm, receiver)?;
        shifted(vm, date, args.at(0), 1)
    }),
    method("-", 1, 1, |vm, receiver, args| {
        let date = *this(vm, receiver)?;
        match args.at(0) {
            Value::Date(other) => {
                // Ruby answers a rational number of days.
                let seconds = date.instant() - other.instant();
                let nanos = i64::from(date.nanos) - i64::from(other.nanos);
                if seconds % DAY == 0 && nanos == 0 {
                    return Ok(Value::Int(seconds / DAY));
                }
                Ok(Value::Float((seconds as f64 + nanos as f64 / 1e9) / DAY as f64))
            }
            days => shifted(vm, date, days, -1),
        }
    }),
    method(">>", 1, 1, |vm, receiver, args| months(vm, receiver, args.at(0), 1)),
    method("<<", 1, 1, |vm, receiver, args| months(vm, receiver, args.at(0), -1)),
    method("next_month", 0, 1, |vm, receiver, args| {
        months(vm, receiver, args.get(0).unwrap_or(Value::Int(1)), 1)
    }),
    method("prev_month", 0, 1, |vm, receiver, args| {
        months(vm, receiver, args.get(0).unwrap_or(Value::Int(1)), -1)
    }),
    method("next_year", 0, 1, |vm, receiver, args| {
        months(vm, receiver, args.get(0).unwrap_or(Value::Int(1)), 12)
    }),
    method("prev_year", 0, 1, |vm, receiver, args| {
        months(vm, receiver, args.get(0).unwrap_or(Value::Int(1)), -12)
    }),
    method("next_day", 0, 1, |vm, receiver, args| days(vm, receiver, args, 1)),
    method("prev_day", 0, 1, |vm, receiver, args| days(vm, receiver, args, -1)),
    method("next", 0, 0, |vm, receiver, args| days(vm, receiver, args, 1)),
    method("succ", 0, 0, |vm, receiver, args| days(vm, receiver, args, 1)),
];

/// Date the class; DateTime has the same.
pub(in crate::expr::methods) const CLASS: &[Method] = &[
    method("today", 0, 1, |vm, _, _| {
        let civil = today();
        let wall = days_from(civil.year, i64::from(civil.month), i64::from(civil.day)) * DAY;
        Ok(made(vm, Date { wall, nanos: 0, offset: 0, has_time: false }))
    })
    .impure(),
    method("parse", 0, 3, parse),
    method("iso8601", 0, 2, parse),
    method("xmlschema", 0, 2, parse),
    method("rfc3339", 0, 2, parse),
    method("strptime", 0, 3, |vm, receiver, args| {
        let has_time = is_date_time(receiver);
        let text = text_of(vm, args.at(0))?;
        let format = match args.get(1) {
            Some(format) => text_of(vm, format)?,
            None => (if has_time { "%FT%T%z" } else { "%F" }).to_owned(),
        };
        match strptime(&text, &format) {
            Some(fields) => {
                let date = fields.to_date(vm, has_time)?;
                Ok(made(vm, date))
            }
            None => Err(invalid_date(vm)),
        }
    }),
    method("new", 0, 8, civil),
    method("civil", 0, 8, civil),
    method("valid_date?", 3, 4, |vm, _, args| {
        let (year, month, day) = (vm.int(args.at(0))?, vm.int(args.at(1))?, vm.int(args.at(2))?);
        let good = (1..=12).contains(&month) && (1..=month_length(year, month.clamp(1, 12))).contains(&day);
        Ok(Value::Bool(good))
    }),
];

/// DateTime the class.
pub(in crate::expr::methods) const DATE_TIME_CLASS: &[Method] = &[method("now", 0, 1, |vm, _, _| {
    let time = EventTime::now();
    let offset = Clock::Local.offset_at(time.sec);
    Ok(made(vm, Date { wall: time.sec + i64::from(offset), nanos: time.nsec, offset, has_time: true }))
})
.impure()];

/// `2023-11-14`, `2023-11-14T22:13:20+00:00`
pub(crate) fn date_text(date: &Date) -> String {
    let format = if date.has_time { "%FT%T%:z" } else { "%F" };
    let moment = date.moment();
    crate::time::TimeFormat::new(format).format_to_string(moment.time, &moment.clock.zone())
}

/// `#<DateTime: 2023-11-14T22:13:20+00:00 ((2460263j,80000s,0n),+0s,2299161j)>`: the Julian day, the second of that day and
/// the nanosecond in UTC, the offset, and the first day of the Gregorian calendar.
pub(crate) fn date_inspect(date: &Date) -> String {
    let class = if date.has_time { "DateTime" } else { "Date" };
    let (day, second) = (date.instant().div_euclid(DAY) + 2_440_588, date.instant().rem_euclid(DAY));
    let (nanos, offset) = (date.nanos, date.offset);
    format!("#<{class}: {} (({day}j,{second}s,{nanos}n),{offset:+}s,2299161j)>", date_text(date))
}

fn this<'a>(vm: &Vm<'_, 'a>, value: Value<'a>) -> Eval<'a, &'a Date> {
    match value {
        Value::Date(date) => Ok(date),
        other => Err(vm.no_conversion(other, "Date")),
    }
}

fn made<'a>(vm: &Vm<'_, 'a>, date: Date) -> Value<'a> {
    Value::Date(vm.arena().alloc(date))
}

fn is_date_time(receiver: Value<'_>) -> bool {
    matches!(receiver, Value::Class(super::super::ClassId::DateTime))
}

fn parse<'a>(vm: &mut Vm<'_, 'a>, receiver: Value<'a>, args: Args<'_, '_, 'a>) -> Eval<'a> {
    let text = text_of(vm, args.at(0))?;
    let date = parsed(vm, &text)?.to_date(vm, is_date_time(receiver))?;
    Ok(made(vm, date))
}

fn civil<'a>(vm: &mut Vm<'_, 'a>, receiver: Value<'a>, args: Args<'_, '_, 'a>) -> Eval<'a> {
    let has_time = is_date_time(receiver);
    let mut parts = [-4712, 1, 1, 0, 0, 0];
    for (at, place) in parts.iter_mut().enumerate() {
        if let Some(value) = args.get(at) {
            *place = vm.int(value)?;
        }
    }
    let [year, month, day, hour, minute, second] = parts;
    let length = month_length(year, month.clamp(1, 12));
    let day = if day < 0 { length + 1 + day } else { day };
    let good = (1..=12).contains(&month)
        && (1..=length).contains(&day)
        && (0..=24).contains(&hour)
        && (0..60).contains(&minute)
        && (0..60).contains(&second)
        && year.abs() < 1_000_000;
    if !good {
        return Err(invalid_date(vm));
    }
    let offset = match args.get(6) {
        Some(Value::Str(text)) => zone_offset(&String::from_utf8_lossy(text.bytes())).unwrap_or(0),
        _ => 0,
    };
    let wall =
        days_from(year, month, day) * DAY + if has_time { hour * 3600 + minute * 60 + second } else { 0 };
    Ok(made(vm, Date { wall, nanos: 0, offset, has_time }))
}

fn formatted_int<'a>(vm: &mut Vm<'_, 'a>, receiver: Value<'a>, format: &str) -> Eval<'a> {
    let moment = this(vm, receiver)?.moment();
    let text = crate::time::TimeFormat::new(format).format_to_string(moment.time, &moment.clock.zone());
    Ok(Value::Int(text.parse().unwrap_or(0)))
}

fn xmlschema<'a>(vm: &mut Vm<'_, 'a>, receiver: Value<'a>, args: Args<'_, '_, 'a>) -> Eval<'a> {
    let date = *this(vm, receiver)?;
    if !date.has_time {
        return vm.new_string(date_text(&date).as_bytes());
    }
    let digits = usize::try_from(args.int_or(vm, 0, 0)?).unwrap_or(0).min(100);
    vm.new_string(iso8601(&date.moment(), Precision::Digits(digits)).as_bytes())
}

/// A date and so many days, which may have a fraction.
fn shifted<'a>(vm: &mut Vm<'_, 'a>, date: Date, days: Value<'a>, sign: i64) -> Eval<'a> {
    match days {
        Value::Int(days) => {
            Ok(made(vm, Date { wall: date.wall.saturating_add(days.saturating_mul(sign * DAY)), ..date }))
        }
        Value::Float(days) if days.is_finite() && days.abs() < 1e9 => {
            let more = from_seconds(days * DAY as f64 * sign as f64);
            let nanos = date.nanos + more.nsec;
            let wall = date.wall + more.sec + i64::from(nanos / 1_000_000_000);
            Ok(made(vm, Date { wall, nanos: nanos % 1_000_000_000, ..date }))
        }
        Value::Float(_) | Value::Nil | Value::Str(_) => Err(vm.type_error("expected numeric")),
        other => Err(vm.type_error(format!("expected numeric, not {}", kind_text(other)))),
    }
}

fn days<'a>(vm: &mut Vm<'_, 'a>, receiver: Value<'a>, args: Args<'_, '_, 'a>, sign: i64) -> Eval<'a> {
    let date = *this(vm, receiver)?;
    shifted(vm, date, args.get(0).unwrap_or(Value::Int(1)), sign)
}

/// A date and so many months; a day that the month does not have becomes its last.
fn months<'a>(vm: &mut Vm<'_, 'a>, receiver: Value<'a>, count: Value<'a>, sign: i64) -> Eval<'a> {
    let date = *this(vm, receiver)?;
    let count = vm.int(count)?;
    if count.abs() > 1_000_000 {
        return Err(invalid_date(vm));
    }
    let civil = date.civil();
    let month = i64::from(civil.month) + count * sign;
    let day = i64::from(civil.day).min(month_length(civil.year, month));
    let wall = days_from(civil.year, month, day) * DAY + date.wall.rem_euclid(DAY);
    Ok(made(vm, Date { wall, ..date }))
}
