//! Arithmetic on integers of any size and floats.

use super::{Method, method};
use crate::expr::run::{Args, Eval, Vm};
use crate::expr::value::{BITS_MAX, ClassId, Value, big_from_f64, kind_text};
use num_bigint::BigInt;
use std::cmp::Ordering;

/// A binary operator of numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Op {
    Add,
    Subtract,
    Multiply,
    Divide,
    Modulo,
}

/// `left op right`, where `left` is a number.
pub(super) fn arith<'a>(vm: &mut Vm<'_, 'a>, op: Op, left: Value<'a>, right: Value<'a>) -> Eval<'a> {
    if let (Value::Int(a), Value::Int(b)) = (left, right) {
        let small = match op {
            Op::Add => a.checked_add(b),
            Op::Subtract => a.checked_sub(b),
            Op::Multiply => a.checked_mul(b),
            Op::Divide | Op::Modulo if b == 0 => return Err(zero_division(vm)),
            Op::Divide => floor_div(a, b),
            Op::Modulo => Some(floor_mod(a, b)),
        };
        if let Some(value) = small {
            return Ok(Value::Int(value));
        }
    }
    match (left, right) {
        (Value::Float(_), Value::Int(_) | Value::Big(_) | Value::Float(_)) | (_, Value::Float(_)) => {
            let (Some(a), Some(b)) = (left.to_f64(), right.to_f64()) else {
                return Err(coercion(vm, left, right));
            };
            float_arith(vm, op, a, b)
        }
        _ => match (left.to_bigint(), right.to_bigint()) {
            (Some(a), Some(b)) => big_arith(vm, op, &a, &b),
            _ => Err(coercion(vm, left, right)),
        },
    }
}

/// `String can't be coerced into Integer`
pub(super) fn coercion<'a>(
    vm: &Vm<'_, 'a>,
    left: Value<'a>,
    right: Value<'a>,
) -> crate::expr::run::Unwind<'a> {
    let class = left.class().name();
    vm.type_error(format!("{} can't be coerced into {class}", kind_text(right)))
}

pub(super) fn zero_division<'a>(vm: &Vm<'_, 'a>) -> crate::expr::run::Unwind<'a> {
    vm.raise(ClassId::ZeroDivisionError, "divided by 0")
}

fn float_arith<'a>(vm: &mut Vm<'_, 'a>, op: Op, a: f64, b: f64) -> Eval<'a> {
    Ok(Value::Float(match op {
        Op::Add => a + b,
        Op::Subtract => a - b,
        Op::Multiply => a * b,
        Op::Divide => a / b,
        Op::Modulo => {
            if b == 0.0 {
                return Err(zero_division(vm));
            }
            float_mod(a, b)
        }
    }))
}

/// Ruby's modulo: the sign of the divisor.
pub(super) fn float_mod(a: f64, b: f64) -> f64 {
    if b.is_infinite() && a.is_finite() {
        return if a == 0.0 || (a < 0.0) == (b < 0.0) { a } else { b };
    }
    let rest = a % b;
    if rest != 0.0 && (rest < 0.0) != (b < 0.0) { rest + b } else { rest }
}

fn big_arith<'a>(vm: &mut Vm<'_, 'a>, op: Op, a: &BigInt, b: &BigInt) -> Eval<'a> {
    let zero = BigInt::ZERO;
    let value = match op {
        Op::Add => a + b,
        Op::Subtract => a - b,
        Op::Multiply => {
            check_bits(vm, a.bits() + b.bits())?;
            a * b
        }
        Op::Divide | Op::Modulo if *b == zero => return Err(zero_division(vm)),
        Op::Divide => big_floor_div(a, b),
        Op::Modulo => a - big_floor_div(a, b) * b,
    };
    check_bits(vm, value.bits())?;
    vm.step((value.bits() / 64) as usize)?;
    Ok(Value::big(vm.arena(), &value))
}

pub(super) fn big_floor_div(a: &BigInt, b: &BigInt) -> BigInt {
    let quotient = a / b;
    let rest = a - &quotient * b;
    let negative = |n: &BigInt| n.sign() == num_bigint::Sign::Minus;
    if rest != BigInt::ZERO && negative(&rest) != negative(b) { quotient - 1 } else { quotient }
}

/// Refuses an integer of that many bits.
pub(super) fn check_bits<'a>(vm: &Vm<'_, 'a>, bits: u64) -> Eval<'a, ()> {
    if bits > BITS_MAX {
        return Err(
            vm.raise(ClassId::RangeError, format!("an integer of {bits} bits is too big for an expression"))
        );
    }
    Ok(())
}

fn floor_div(a: i64, b: i64) -> Option<i64> {
    let quotient = a.checked_div(b)?;
    Some(if a % b != 0 && (a < 0) != (b < 0) { quotient - 1 } else { quotient })
}

fn floor_mod(a: i64, b: i64) -> i64 {
    let rest = a.wrapping_rem(b);
    if rest != 0 && (rest < 0) != (b < 0) { rest + b } else { rest }
}

/// `left ** right`
pub(super) fn power<'a>(vm: &mut Vm<'_, 'a>, left: Value<'a>, right: Value<'a>) -> Eval<'a> {
    match (left, right) {
        (Value::Int(_) | Value::Big(_), Value::Int(exponent)) if exponent >= 0 => {
            if let (Value::Int(base), Ok(exponent)) = (left, u32::try_from(exponent))
                && let Some(value) = base.checked_pow(exponent)
            {
                return Ok(Value::Int(value));
            }
            let Some(base) = left.to_bigint() else { return Err(coercion(vm, left, right)) };
            check_bits(vm, base.bits().saturating_sub(1).saturating_mul(exponent as u64))?;
            let exponent = u32::try_from(exponent).unwrap_or(u32::MAX);
            let value = base.pow(exponent);
            vm.step((value.bits() / 16) as usize)?;
            Ok(Value::big(vm.arena(), &value))
        }
        (Value::Int(_) | Value::Big(_), Value::Int(_)) => {
            Err(vm.type_error("rational numbers are not supported (use a float)"))
        }
        _ => match (left.to_f64(), right.to_f64()) {
            (Some(a), Some(b)) => Ok(Value::Float(a.powf(b))),
            _ => Err(coercion(vm, left, right)),
        },
    }
}

/// A float as an integer, its fraction dropped.
pub(super) fn truncated<'a>(vm: &mut Vm<'_, 'a>, value: f64) -> Eval<'a> {
    if !value.is_finite() {
        return Err(vm.raise(ClassId::FloatDomainError, crate::expr::value::float_text(value)));
    }
    Ok(Value::big(vm.arena(), &big_from_f64(value.trunc())))
}

/// `left < right` and the like.
pub(super) fn ordered<'a>(
    vm: &mut Vm<'_, 'a>,
    left: Value<'a>,
    right: Value<'a>,
    accept: fn(Ordering) -> bool,
) -> Eval<'a> {
    match crate::expr::value::compare(left, right) {
        Some(order) => Ok(Value::Bool(accept(order))),
        // NaN is comparable, and never in any order.
        None if right.to_f64().is_some() && left.to_f64().is_some() => Ok(Value::Bool(false)),
        None => Err(vm.incomparable(left, right)),
    }
}

/// Operators of classes whose values have an order.
pub(super) const COMPARISONS: &[Method] = &[
    method("<", 1, 1, |vm, left, args| ordered(vm, left, args.at(0), Ordering::is_lt)),
    method("<=", 1, 1, |vm, left, args| ordered(vm, left, args.at(0), Ordering::is_le)),
    method(">", 1, 1, |vm, left, args| ordered(vm, left, args.at(0), Ordering::is_gt)),
    method(">=", 1, 1, |vm, left, args| ordered(vm, left, args.at(0), Ordering::is_ge)),
    method("between?", 2, 2, |vm, value, args| {
        let low = vm.order(value, args.at(0))?;
        Ok(Value::Bool(low.is_ge() && vm.order(value, args.at(1))?.is_le()))
    }),
    method("clamp", 1, 2, clamp),
];

/// `value.clamp(low, high)`, `value.clamp(low..high)`
fn clamp<'a>(vm: &mut Vm<'_, 'a>, value: Value<'a>, args: Args<'_, '_, 'a>) -> Eval<'a> {
    let (low, high) = match (args.get(0), args.get(1)) {
        (Some(low), Some(high)) => (low, high),
        (Some(Value::Range(range)), None) => (range.low, range.high),
        (Some(other), _) => {
            return Err(
                vm.type_error(format!("wrong argument type {} (expected Range)", other.class().name()))
            );
        }
        _ => return Ok(value),
    };
    if !low.is_nil() && !high.is_nil() && vm.order(low, high)?.is_gt() {
        return Err(vm.argument_error("min argument must be smaller than max argument"));
    }
    if !low.is_nil() && vm.order(value, low)?.is_lt() {
        return Ok(low);
    }
    if !high.is_nil() && vm.order(value, high)?.is_gt() {
        return Ok(high);
    }
    Ok(value)
}

/// How halves are rounded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Rounding {
    HalfUp,
    HalfEven,
    HalfDown,
    Floor,
    Ceil,
    Truncate,
}

impl Rounding {
    /// From `half: :even` and the like.
    pub(super) fn of<'a>(vm: &mut Vm<'_, 'a>, option: Option<Value<'a>>) -> Eval<'a, Self> {
        match option.map(|value| (value, value.text())) {
            None | Some((Value::Nil, _)) | Some((_, Some(b"up"))) => Ok(Self::HalfUp),
            Some((_, Some(b"even"))) => Ok(Self::HalfEven),
            Some((_, Some(b"down"))) => Ok(Self::HalfDown),
            Some((other, _)) => {
                let shown = String::from_utf8_lossy(crate::expr::value::to_s(vm, other)?).into_owned();
                Err(vm.argument_error(format!("invalid rounding mode: {shown}")))
            }
        }
    }
}

/// An integer rounded to a multiple of 10 ** digits.
pub(super) fn round_int<'a>(vm: &mut Vm<'_, 'a>, value: Value<'a>, digits: u32, how: Rounding) -> Eval<'a> {
    let Some(number) = value.to_bigint() else { return Ok(value) };
    if u64::from(digits) > number.bits() {
        // The unit is larger than the number: only rounding away from zero leaves something, and that is too big.
        return Ok(Value::Int(0));
    }
    let unit = BigInt::from(10).pow(digits);
    let floor = big_floor_div(&number, &unit) * &unit;
    let rest = &number - &floor;
    let twice: BigInt = &rest * 2;
    let negative = number.sign() == num_bigint::Sign::Minus;
    let up = match how {
        Rounding::Floor => false,
        Rounding::Ceil => rest != BigInt::ZERO,
        Rounding::Truncate => negative && rest != BigInt::ZERO,
        _ => match twice.cmp(&unit) {
            Ordering::Less => false,
            Ordering::Greater => true,
            Ordering::Equal => match how {
                Rounding::HalfUp => !negative,
                Rounding::HalfDown => negative,
                _ => (&floor / &unit).bit(0),
            },
        },
    };
    let rounded = if up { floor + unit } else { floor };
    Ok(Value::big(vm.arena(), &rounded))
}
