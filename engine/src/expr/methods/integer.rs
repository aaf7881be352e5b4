//! Integer.

use super::arith::{self, Op, Rounding, arith, ordered};
use super::{Method, method};
use crate::expr::run::{Args, Eval, Vm};
use crate::expr::value::{ClassId, Value};
use num_bigint::BigInt;
use std::cmp::Ordering;

/// Integer's own methods.
pub(super) const METHODS: &[Method] = &[
    method("+", 1, 1, |vm, left, args| arith(vm, Op::Add, left, args.at(0))),
    method("-", 1, 1, |vm, left, args| arith(vm, Op::Subtract, left, args.at(0))),
    method("*", 1, 1, |vm, left, args| arith(vm, Op::Multiply, left, args.at(0))),
    method("/", 1, 1, |vm, left, args| arith(vm, Op::Divide, left, args.at(0))),
    method("%", 1, 1, |vm, left, args| arith(vm, Op::Modulo, left, args.at(0))),
    method("modulo", 1, 1, |vm, left, args| arith(vm, Op::Modulo, left, args.at(0))),
    method("**", 1, 1, |vm, left, args| arith::power(vm, left, args.at(0))),
    method("pow", 1, 2, pow),
    method("div", 1, 1, |vm, left, args| {
        let quotient = match args.at(0).to_f64() {
            Some(0.0) => return Err(arith::zero_division(vm)),
            _ => arith(vm, Op::Divide, left, args.at(0))?,
        };
        floor_of(vm, quotient)
    }),
    method("divmod", 1, 1, |vm, left, args| divmod(vm, left, args.at(0))),
    method("remainder", 1, 1, |vm, left, args| {
        let rest = arith(vm, Op::Modulo, left, args.at(0))?;
        let zero = Value::Int(0);
        let differs = ordered(vm, rest, zero, Ordering::is_ne)?.truthy()
            && ordered(vm, left, zero, Ordering::is_lt)?.truthy()
                != ordered(vm, args.at(0), zero, Ordering::is_lt)?.truthy();
        if differs { arith(vm, Op::Subtract, rest, args.at(0)) } else { Ok(rest) }
    }),
    method("fdiv", 1, 1, |vm, left, args| {
        let right = vm.float(args.at(0))?;
        Ok(Value::Float(left.to_f64().unwrap_or(f64::NAN) / right))
    }),
    method("-@", 0, 0, |vm, value, _| arith(vm, Op::Subtract, Value::Int(0), value)),
    method("+@", 0, 0, |_, value, _| Ok(value)),
    method("~", 0, 0, |vm, value, _| arith(vm, Op::Subtract, Value::Int(-1), value)),
    method("&", 1, 1, |vm, left, args| bits(vm, left, args.at(0), |a, b| a & b)),
    method("|", 1, 1, |vm, left, args| bits(vm, left, args.at(0), |a, b| a | b)),
    method("^", 1, 1, |vm, left, args| bits(vm, left, args.at(0), |a, b| a ^ b)),
    method("<<", 1, 1, |vm, left, args| {
        let by = vm.int(args.at(0))?;
        shift(vm, left, by)
    }),
    method(">>", 1, 1, |vm, left, args| {
        let by = vm.int(args.at(0))?;
        shift(vm, left, by.saturating_neg())
    }),
    method("[]", 1, 1, |vm, value, args| {
        let bit = vm.int(args.at(0))?;
        let Some(number) = value.to_bigint() else { return Ok(Value::Int(0)) };
        let bit = u64::try_from(bit).ok();
        Ok(Value::Int(bit.map_or(0, |bit| i64::from(number.bit(bit)))))
    }),
    method("abs", 0, 0, abs),
    method("magnitude", 0, 0, abs),
    method("ceil", 0, 1, |vm, value, args| rounded(vm, value, args, Rounding::Ceil)),
    method("floor", 0, 1, |vm, value, args| rounded(vm, value, args, Rounding::Floor)),
    method("truncate", 0, 1, |vm, value, args| rounded(vm, value, args, Rounding::Truncate)),
    method("round", 0, 2, |vm, value, args| {
        let how = Rounding::of(vm, args.option("half"))?;
        rounded(vm, value, args, how)
    }),
    method("to_i", 0, 0, |_, value, _| Ok(value)),
    method("to_int", 0, 0, |_, value, _| Ok(value)),
    method("ord", 0, 0, |_, value, _| Ok(value)),
    method("to_f", 0, 0, |_, value, _| Ok(Value::Float(value.to_f64().unwrap_or(f64::NAN)))),
    method("to_s", 0, 1, to_s),
    method("inspect", 0, 1, to_s),
    method("chr", 0, 1, chr),
    method("succ", 0, 0, |vm, value, _| arith(vm, Op::Add, value, Value::Int(1))),
    method("next", 0, 0, |vm, value, _| arith(vm, Op::Add, value, Value::Int(1))),
    method("pred", 0, 0, |vm, value, _| arith(vm, Op::Subtract, value, Value::Int(1))),
    method("even?", 0, 0, |_, value, _| {
        Ok(Value::Bool(value.to_bigint().is_some_and(|number| !number.bit(0))))
    }),
    method("odd?", 0, 0, |_, value, _| {
        Ok(Value::Bool(value.to_bigint().is_some_and(|number| number.bit(0))))
    }),
    method("zero?", 0, 0, |_, value, _| Ok(Value::Bool(matches!(value, Value::Int(0))))),
    method("nonzero?", 0, 0, |_, value, _| {
        Ok(if matches!(value, Value::Int(0)) { Value::Nil } else { value })
    }),
    method("positive?", 0, 0, |vm, value, _| ordered(vm, value, Value::Int(0), Ordering::is_gt)),
    method("negative?", 0, 0, |vm, value, _| ordered(vm, value, Value::Int(0), Ordering::is_lt)),
    method("integer?", 0, 0, |_, _, _| Ok(Value::Bool(true))),
    method("finite?", 0, 0, |_, _, _| Ok(Value::Bool(true))),
    method("infinite?", 0, 0, |_, _, _| Ok(Value::Nil)),
    method("coerce", 1, 1, |vm, value, args| match args.at(0) {
        other @ (Value::Int(_) | Value::Big(_)) => vm.array(&[other, value]),
        other => {
            let (other, value) = (vm.float(other)?, vm.float(value)?);
            vm.array(&[Value::Float(other), Value::Float(value)])
        }
    }),
    method("gcd", 1, 1, |vm, left, args| gcd(vm, left, args.at(0), false)),
    method("lcm", 1, 1, |vm, left, args| gcd(vm, left, args.at(0), true)),
    method("digits", 0, 1, digits),
    method("bit_length", 0, 0, |_, value, _| {
        let Some(number) = value.to_bigint() else { return Ok(Value::Int(0)) };
        let magnitude = if number.sign() == num_bigint::Sign::Minus { -number - 1 } else { number };
        Ok(Value::Int(magnitude.bits() as i64))
    }),
    method("size", 0, 0, |_, _, _| Ok(Value::Int(8))),
    method("times", 0, 0, times),
    method("upto", 1, 1, |vm, value, args| count(vm, value, args, 1, "upto")),
    method("downto", 1, 1, |vm, value, args| count(vm, value, args, -1, "downto")),
    method("step", 0, 3, super::float::step),
];

fn pow<'a>(vm: &mut Vm<'_, 'a>, base: Value<'a>, args: Args<'_, '_, 'a>) -> Eval<'a> {
    let Some(modulus) = args.get(1) else { return arith::power(vm, base, args.at(0)) };
    let (Some(base), Some(exponent), Some(modulus)) =
        (base.to_bigint(), args.at(0).to_bigint(), modulus.to_bigint())
    else {
        return Err(vm.type_error("Integer#pow() 2nd argument not allowed unless all arguments are integers"));
    };
    if exponent.sign() == num_bigint::Sign::Minus {
        return Err(vm.raise(
            ClassId::RangeError,
            "Integer#pow() 1st argument cannot be negative when 2nd argument specified",
        ));
    }
    if modulus == BigInt::ZERO {
        return Err(arith::zero_division(vm));
    }
    vm.step((exponent.bits() * (modulus.bits() / 64 + 1)) as usize)?;
    Ok(Value::big(vm.arena(), &base.modpow(&exponent, &modulus)))
}

/// `[quotient, rest]` of a division that rounds down.
pub(super) fn divmod<'a>(vm: &mut Vm<'_, 'a>, left: Value<'a>, right: Value<'a>) -> Eval<'a> {
    if right.to_f64() == Some(0.0) {
        return Err(arith::zero_division(vm));
    }
    let rest = arith(vm, Op::Modulo, left, right)?;
    let quotient = match (left, right) {
        (Value::Float(_), _) | (_, Value::Float(_)) => {
            let (a, b) = (vm.float(left)?, vm.float(right)?);
            let exact = (a - arith::float_mod(a, b)) / b;
            arith::truncated(vm, exact.round())?
        }
        _ => arith(vm, Op::Divide, left, right)?,
    };
    vm.array(&[quotient, rest])
}

/// A number rounded down to an integer.
pub(super) fn floor_of<'a>(vm: &mut Vm<'_, 'a>, value: Value<'a>) -> Eval<'a> {
    match value {
        Value::Float(value) => arith::truncated(vm, value.floor()),
        other => Ok(other),
    }
}

fn bits<'a>(
    vm: &mut Vm<'_, 'a>,
    left: Value<'a>,
    right: Value<'a>,
    apply: fn(BigInt, BigInt) -> BigInt,
) -> Eval<'a> {
    match (left.to_bigint(), right.to_bigint()) {
        (Some(a), Some(b)) => Ok(Value::big(vm.arena(), &apply(a, b))),
        _ => Err(arith::coercion(vm, left, right)),
    }
}

fn shift<'a>(vm: &mut Vm<'_, 'a>, value: Value<'a>, by: i64) -> Eval<'a> {
    let Some(number) = value.to_bigint() else { return Ok(value) };
    let shifted = if by >= 0 {
        arith::check_bits(vm, number.bits().saturating_add(by as u64))?;
        number << by as u64
    } else {
        number >> by.unsigned_abs().min(u64::from(u32::MAX))
    };
    Ok(Value::big(vm.arena(), &shifted))
}

fn abs<'a>(vm: &mut Vm<'_, 'a>, value: Value<'a>, _: Args<'_, '_, 'a>) -> Eval<'a> {
    match value {
        Value::Int(small) if small >= 0 => Ok(value),
        _ if ordered(vm, value, Value::Int(0), Ordering::is_lt)?.truthy() => {
            arith(vm, Op::Subtract, Value::Int(0), value)
        }
        _ => Ok(value),
    }
}

fn rounded<'a>(vm: &mut Vm<'_, 'a>, value: Value<'a>, args: Args<'_, '_, 'a>, how: Rounding) -> Eval<'a> {
    let digits = match args.get(0) {
        None | Some(Value::Hash(_)) => return Ok(value),
        Some(digits) => vm.int(digits)?,
    };
    if digits >= 0 {
        return Ok(value);
    }
    arith::round_int(vm, value, u32::try_from(digits.unsigned_abs()).unwrap_or(u32::MAX), how)
}

fn to_s<'a>(vm: &mut Vm<'_, 'a>, value: Value<'a>, args: Args<'_, '_, 'a>) -> Eval<'a> {
    let radix = args.int_or(vm, 0, 10)?;
    if radix == 10 {
        let text = crate::expr::value::to_s(vm, value)?;
        return Ok(vm.string(text));
    }
    if !(2..=36).contains(&radix) {
        return Err(vm.argument_error(format!("invalid radix {radix}")));
    }
    let text = value.to_bigint().map_or_else(String::new, |number| number.to_str_radix(radix as u32));
    vm.new_string(text.as_bytes())
}

fn chr<'a>(vm: &mut Vm<'_, 'a>, value: Value<'a>, args: Args<'_, '_, 'a>) -> Eval<'a> {
    let code = vm.int(value)?;
    match (u8::try_from(code), args.get(0)) {
        (Ok(byte), None) if byte < 0x80 => vm.new_string(&[byte]),
        (Ok(byte), None) => {
            let bytes = vm.copy(&[byte])?;
            Ok(Value::Str(vm.arena().alloc(crate::expr::value::Str::binary(bytes))))
        }
        (_, Some(_)) => match u32::try_from(code).ok().and_then(char::from_u32) {
            Some(c) => vm.new_string(c.encode_utf8(&mut [0; 4]).as_bytes()),
            None => Err(vm.raise(ClassId::RangeError, format!("invalid codepoint 0x{code:X} in UTF-8"))),
        },
        (Err(_), None) => Err(vm.raise(ClassId::RangeError, format!("{code} out of char range"))),
    }
}

fn gcd<'a>(vm: &mut Vm<'_, 'a>, left: Value<'a>, right: Value<'a>, lcm: bool) -> Eval<'a> {
    let (Some(a), Some(b)) = (left.to_bigint(), right.to_bigint()) else {
        return Err(vm.type_error("not an integer"));
    };
    let (mut x, mut y) = (a.clone(), b.clone());
    while y != BigInt::ZERO {
        vm.step(1)?;
        let rest = &x % &y;
        x = std::mem::replace(&mut y, rest);
    }
    let divisor = BigInt::from(x.magnitude().clone());
    let result = match lcm {
        false => divisor,
        true if divisor == BigInt::ZERO => divisor,
        true => BigInt::from((a * b / divisor).magnitude().clone()),
    };
    Ok(Value::big(vm.arena(), &result))
}

fn digits<'a>(vm: &mut Vm<'_, 'a>, value: Value<'a>, args: Args<'_, '_, 'a>) -> Eval<'a> {
    let base = args.int_or(vm, 0, 10)?;
    if base < 2 {
        let what = if base < 0 { "negative radix".to_owned() } else { format!("invalid radix {base}") };
        return Err(vm.argument_error(what));
    }
    let Some(mut rest) = value.to_bigint() else { return Ok(Value::Nil) };
    if rest.sign() == num_bigint::Sign::Minus {
        return Err(vm.raise(ClassId::ArgumentError, "out of domain"));
    }
    let base = BigInt::from(base);
    let mut list = Vec::new();
    loop {
        vm.step(1)?;
        list.push(Value::big(vm.arena(), &(&rest % &base)));
        rest /= &base;
        if rest == BigInt::ZERO {
            return vm.array(&list);
        }
    }
}

fn times<'p, 'a>(vm: &mut Vm<'p, 'a>, value: Value<'a>, args: Args<'_, 'p, 'a>) -> Eval<'a> {
    let Some(block) = args.block else { return vm.enumerator(value, "times", args) };
    for at in 0..vm.int(value)?.max(0) {
        vm.yield_one(block, Value::Int(at))?;
    }
    Ok(value)
}

fn count<'p, 'a>(
    vm: &mut Vm<'p, 'a>,
    value: Value<'a>,
    args: Args<'_, 'p, 'a>,
    step: i64,
    name: &str,
) -> Eval<'a> {
    let Some(block) = args.block else { return vm.enumerator(value, name, args) };
    let mut at = vm.int(value)?;
    let limit = args.at(0);
    loop {
        let order = vm.order(Value::Int(at), limit)?;
        if if step > 0 { order.is_gt() } else { order.is_lt() } {
            return Ok(value);
        }
        vm.yield_one(block, Value::Int(at))?;
        match at.checked_add(step) {
            Some(next) => at = next,
            None => return Ok(value),
        }
    }
}
