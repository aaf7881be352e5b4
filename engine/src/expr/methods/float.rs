//! Float, and `step`, which integers share.

use super::arith::{self, Op, Rounding, arith, ordered};
use super::{Method, integer, method};
use crate::expr::run::{Args, Eval, Vm};
use crate::expr::value::Value;
use std::cmp::Ordering;

/// Float's own methods.
pub(super) const METHODS: &[Method] = &[
    method("+", 1, 1, |vm, left, args| arith(vm, Op::Add, left, args.at(0))),
    method("-", 1, 1, |vm, left, args| arith(vm, Op::Subtract, left, args.at(0))),
    method("*", 1, 1, |vm, left, args| arith(vm, Op::Multiply, left, args.at(0))),
    method("/", 1, 1, |vm, left, args| arith(vm, Op::Divide, left, args.at(0))),
    method("quo", 1, 1, |vm, left, args| arith(vm, Op::Divide, left, args.at(0))),
    method("fdiv", 1, 1, |vm, left, args| arith(vm, Op::Divide, left, args.at(0))),
    method("%", 1, 1, |vm, left, args| arith(vm, Op::Modulo, left, args.at(0))),
    method("modulo", 1, 1, |vm, left, args| arith(vm, Op::Modulo, left, args.at(0))),
    method("**", 1, 1, |vm, left, args| arith::power(vm, left, args.at(0))),
    method("div", 1, 1, |vm, left, args| {
        if args.at(0).to_f64() == Some(0.0) {
            return Err(arith::zero_division(vm));
        }
        let quotient = arith(vm, Op::Divide, left, args.at(0))?;
        integer::floor_of(vm, quotient)
    }),
    method("divmod", 1, 1, |vm, left, args| integer::divmod(vm, left, args.at(0))),
    method("-@", 0, 0, |_, value, _| Ok(Value::Float(-number(value)))),
    method("+@", 0, 0, |_, value, _| Ok(value)),
    method("abs", 0, 0, |_, value, _| Ok(Value::Float(number(value).abs()))),
    method("magnitude", 0, 0, |_, value, _| Ok(Value::Float(number(value).abs()))),
    method("to_f", 0, 0, |_, value, _| Ok(value)),
    method("to_i", 0, 0, |vm, value, _| arith::truncated(vm, number(value))),
    method("to_int", 0, 0, |vm, value, _| arith::truncated(vm, number(value))),
    method("round", 0, 2, |vm, value, args| {
        let how = Rounding::of(vm, args.option("half"))?;
        round(vm, number(value), args, how)
    }),
    method("ceil", 0, 1, |vm, value, args| round(vm, number(value), args, Rounding::Ceil)),
    method("floor", 0, 1, |vm, value, args| round(vm, number(value), args, Rounding::Floor)),
    method("truncate", 0, 1, |vm, value, args| {
        let how = if number(value) < 0.0 { Rounding::Ceil } else { Rounding::Floor };
        round(vm, number(value), args, how)
    }),
    method("nan?", 0, 0, |_, value, _| Ok(Value::Bool(number(value).is_nan()))),
    method("finite?", 0, 0, |_, value, _| Ok(Value::Bool(number(value).is_finite()))),
    method("infinite?", 0, 0, |_, value, _| {
        let number = number(value);
        Ok(if number.is_infinite() { Value::Int(if number > 0.0 { 1 } else { -1 }) } else { Value::Nil })
    }),
    method("zero?", 0, 0, |_, value, _| Ok(Value::Bool(number(value) == 0.0))),
    method("nonzero?", 0, 0, |_, value, _| Ok(if number(value) == 0.0 { Value::Nil } else { value })),
    method("positive?", 0, 0, |_, value, _| Ok(Value::Bool(number(value) > 0.0))),
    method("negative?", 0, 0, |_, value, _| Ok(Value::Bool(number(value) < 0.0))),
    method("integer?", 0, 0, |_, _, _| Ok(Value::Bool(false))),
    method("step", 0, 3, step),
    method("coerce", 1, 1, |vm, value, args| {
        let other = vm.float(args.at(0))?;
        vm.array(&[Value::Float(other), value])
    }),
    method("next_float", 0, 0, |_, value, _| Ok(Value::Float(number(value).next_up()))),
    method("prev_float", 0, 0, |_, value, _| Ok(Value::Float(number(value).next_down()))),
];

fn number(value: Value<'_>) -> f64 {
    value.to_f64().unwrap_or(f64::NAN)
}

fn round<'a>(vm: &mut Vm<'_, 'a>, value: f64, args: Args<'_, '_, 'a>, how: Rounding) -> Eval<'a> {
    let digits = match args.get(0) {
        None | Some(Value::Nil | Value::Hash(_)) => None,
        Some(digits) => Some(vm.int(digits)?),
    };
    match digits {
        None | Some(0) => arith::truncated(vm, round_to(value, 1.0, how)),
        Some(digits) if digits < 0 => {
            let whole =
                arith::truncated(vm, if how == Rounding::Ceil { value.ceil() } else { value.floor() })?;
            // A fraction decides a tie.
            let digits = u32::try_from(digits.unsigned_abs()).unwrap_or(u32::MAX);
            arith::round_int(vm, whole, digits, how)
        }
        Some(digits) => Ok(Value::Float(round_digits(value, digits, how))),
    }
}

/// `value` rounded to a number of decimal places.
fn round_digits(value: f64, digits: i64, how: Rounding) -> f64 {
    if !value.is_finite() || value == 0.0 {
        return value;
    }
    let exponent = value.abs().log10().floor() as i64 + 1;
    // More digits than a float has change nothing; so few that nothing is left give zero.
    if digits >= 17 - exponent.min(16) {
        return value;
    }
    if digits < -exponent && !matches!(how, Rounding::Floor | Rounding::Ceil) {
        return 0.0;
    }
    if digits > 14 {
        // Beyond what multiplying keeps exact, the decimal text is rounded instead.
        return format!("{value:.digits$}", digits = digits as usize).parse().unwrap_or(value);
    }
    let scale = 10f64.powi(digits as i32);
    let scaled = round_to(value, scale, how);
    if scaled.is_finite() { scaled / scale } else { value }
}

/// `value * scale` rounded to a whole number, corrected for the error of the multiplication as Ruby does.
fn round_to(value: f64, scale: f64, how: Rounding) -> f64 {
    let scaled = value * scale;
    match how {
        Rounding::Floor => {
            let floor = scaled.floor();
            // 0.29 * 100 is 28.999...: if the next whole number is no larger than the value, it is meant.
            if scale != 1.0 && (floor + 1.0) / scale <= value { floor + 1.0 } else { floor }
        }
        Rounding::Ceil => {
            let ceil = scaled.ceil();
            if scale != 1.0 && (ceil - 1.0) / scale >= value { ceil - 1.0 } else { ceil }
        }
        Rounding::Truncate => scaled.trunc(),
        Rounding::HalfUp => {
            let rounded = scaled.round();
            if scale == 1.0 {
                return rounded;
            }
            if value > 0.0 && (rounded + 0.5) / scale <= value {
                rounded + 1.0
            } else if value < 0.0 && (rounded - 0.5) / scale >= value {
                rounded - 1.0
            } else {
                rounded
            }
        }
        Rounding::HalfDown => {
            let rounded = scaled.round();
            if value > 0.0 && (rounded - 0.5) / scale >= value {
                rounded - 1.0
            } else if value < 0.0 && (rounded + 0.5) / scale <= value {
                rounded + 1.0
            } else {
                rounded
            }
        }
        Rounding::HalfEven => scaled.round_ties_even(),
    }
}

/// `low.step(limit, by) { }`, `low.step(by: x, to: y)`
pub(super) fn step<'p, 'a>(vm: &mut Vm<'p, 'a>, low: Value<'a>, args: Args<'_, 'p, 'a>) -> Eval<'a> {
    let Some(block) = args.block else { return vm.enumerator(low, "step", args) };
    let (limit, by) = match args.get(0) {
        Some(Value::Hash(_)) => (args.option("to"), args.option("by")),
        limit => (limit, args.get(1)),
    };
    let by = by.unwrap_or(Value::Int(1));
    if by.to_f64() == Some(0.0) {
        return Err(vm.argument_error("step can't be 0"));
    }
    let limit = limit.filter(|limit| !limit.is_nil());
    let down = ordered(vm, by, Value::Int(0), Ordering::is_lt)?.truthy();
    if let (Value::Float(_), Some(limit)) | (_, Some(limit @ Value::Float(_))) = (low, limit) {
        return float_steps(vm, low, limit, by, block);
    }
    let mut at = low;
    loop {
        if let Some(limit) = limit {
            let order = vm.order(at, limit)?;
            if if down { order.is_lt() } else { order.is_gt() } {
                return Ok(low);
            }
        }
        vm.yield_one(block, at)?;
        at = arith(vm, Op::Add, at, by)?;
    }
}

/// Steps of floats are counted, so that errors do not add up.
fn float_steps<'p, 'a>(
    vm: &mut Vm<'p, 'a>,
    low: Value<'a>,
    limit: Value<'a>,
    by: Value<'a>,
    block: crate::expr::run::Block<'_, 'p, 'a>,
) -> Eval<'a> {
    let (start, end, by) = (vm.float(low)?, vm.float(limit)?, vm.float(by)?);
    let count = (end - start) / by;
    let error = (start.abs() + end.abs() + (end - start).abs()) / by.abs() * f64::EPSILON;
    let count = (count + error.min(0.5)).floor();
    let mut at = 0.0;
    while at <= count {
        let value = at * by + start;
        let beyond = if by >= 0.0 { value > end } else { value < end };
        vm.yield_one(block, Value::Float(if beyond { end } else { value }))?;
        at += 1.0;
    }
    Ok(low)
}
