//! Time, Date, DateTime and EventTime.

mod class;
mod date;
mod fields;
mod instance;
mod parse;
mod strptime;
mod zone;

pub(super) use class::{CLASS, EVENT_TIME_CLASS, from_seconds};
pub(super) use date::{CLASS as DATE_CLASS, DATE_TIME_CLASS, METHODS as DATE};
pub(crate) use date::{date_inspect, date_text};
pub(super) use instance::{EVENT_TIME, METHODS};

use crate::expr::run::{Eval, Vm};
use crate::expr::value::{Clock, Moment, Value};

/// Digits behind the seconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Precision {
    Digits(usize),
}

/// `2023-11-14 22:13:20 +0000`, or with `UTC`.
pub(crate) fn time_text(time: &Moment) -> String {
    let format = if time.clock == Clock::Utc { "%F %T UTC" } else { "%F %T %z" };
    crate::time::TimeFormat::new(format).format_to_string(time.time, &time.clock.zone())
}

/// The same with the fraction of the second.
pub(crate) fn time_inspect(time: &Moment) -> String {
    if time.time.nsec == 0 {
        return time_text(time);
    }
    let text = time_text(time);
    let fraction = format!("{:09}", time.time.nsec);
    let (head, tail) = text.split_at(text.find(' ').map_or(0, |at| at + 9));
    format!("{head}.{}{tail}", fraction.trim_end_matches('0'))
}

/// `2023-11-14T22:13:20Z`, `2023-11-14T22:13:20.123+09:00`
pub(super) fn iso8601(time: &Moment, Precision::Digits(digits): Precision) -> String {
    let fraction = if digits > 0 { format!(".%{digits}N") } else { String::new() };
    let zone = if time.clock == Clock::Utc { "Z" } else { "%:z" };
    let format = format!("%FT%T{fraction}{zone}");
    crate::time::TimeFormat::new(&format).format_to_string(time.time, &time.clock.zone())
}

/// The receiver; the tables are only used for times.
fn this<'a>(vm: &Vm<'_, 'a>, value: Value<'a>) -> Eval<'a, &'a Moment> {
    match value {
        Value::Time(time) => Ok(time),
        other => Err(vm.no_conversion(other, "Time")),
    }
}

fn new<'a>(vm: &Vm<'_, 'a>, moment: Moment) -> Value<'a> {
    Value::Time(vm.arena().alloc(moment))
}
