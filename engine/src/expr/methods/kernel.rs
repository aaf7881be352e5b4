//! Functions: what is called without a receiver.

use super::{ANY, ClassId, Method, arith, method};
use crate::expr::methods::args::inspect_text;
use crate::expr::run::{Args, Eval, Unwind, Vm};
use crate::expr::value::{Exception, Value, kind_text, to_s};
use num_bigint::BigInt;

/// Kernel's functions.
pub(super) const FUNCTIONS: &[Method] = &[
    method("Integer", 1, 3, integer),
    method("Float", 1, 2, |vm, _, args| {
        let quiet = args.option("exception").is_some_and(|value| !value.truthy());
        match to_float(vm, args.at(0)) {
            Err(Unwind::Raise(_)) if quiet => Ok(Value::Nil),
            other => other,
        }
    }),
    method("String", 1, 1, |vm, _, args| {
        let text = to_s(vm, args.at(0))?;
        Ok(vm.string(text))
    }),
    method("Array", 1, 1, |vm, _, args| {
        let list = super::to_list(vm, args.at(0))?;
        match args.at(0) {
            array @ Value::Array(_) => Ok(array),
            _ => vm.array(&list),
        }
    }),
    method("Hash", 1, 1, |vm, _, args| match args.at(0) {
        hash @ Value::Hash(_) => Ok(hash),
        Value::Nil => Ok(Value::Hash(vm.arena().alloc(crate::expr::value::Hash::new(vm.arena())))),
        other => Err(vm.type_error(format!("can't convert {} into Hash", other.class().name()))),
    }),
    method("format", 1, ANY, format),
    method("sprintf", 1, ANY, format),
    method("rand", 0, 1, super::random::rand).impure(),
    method("raise", 0, 3, raise),
    method("fail", 0, 3, raise),
    method("loop", 0, 0, |vm, _, args| {
        let Some(block) = args.block else {
            return Err(vm.argument_error("`loop` without a block is not supported"));
        };
        loop {
            match vm.yield_to(block, &[]) {
                Ok(_) => {}
                Err(Unwind::Raise(exception)) if exception.class == ClassId::StopIteration => {
                    return Ok(Value::Nil);
                }
                Err(other) => return Err(other),
            }
        }
    }),
    method("block_given?", 0, 0, |_, _, _| Ok(Value::Bool(false))),
    method("open", 1, 3, |vm, _, args| super::file::open(vm, args)).impure(),
    method("URI", 1, 1, |vm, _, args| super::uri::parse(vm, args.at(0))),
    method("JSON", 1, 2, super::json::parse_or_generate),
];

fn format<'a>(vm: &mut Vm<'_, 'a>, _: Value<'a>, args: Args<'_, '_, 'a>) -> Eval<'a> {
    let pattern = vm.text(args.at(0))?;
    super::format::format(vm, pattern, &args.list[1..])
}

fn integer<'a>(vm: &mut Vm<'_, 'a>, _: Value<'a>, args: Args<'_, '_, 'a>) -> Eval<'a> {
    let quiet = args.option("exception").is_some_and(|value| !value.truthy());
    let radix = match args.get(1) {
        Some(radix) if !matches!(radix, Value::Hash(_) | Value::Nil) => vm.int(radix)?,
        _ => 0,
    };
    match to_integer(vm, args.at(0), radix, false) {
        Err(Unwind::Raise(_)) if quiet => Ok(Value::Nil),
        other => other,
    }
}

/// `Integer(value)`. `radix` 0: as the prefix of the text says; `plain`: 10 unless the text has a prefix.
pub(super) fn to_integer<'a>(vm: &mut Vm<'_, 'a>, value: Value<'a>, radix: i64, plain: bool) -> Eval<'a> {
    match value {
        Value::Int(_) | Value::Big(_) => Ok(value),
        Value::Float(value) => arith::truncated(vm, value),
        Value::Str(text) => match strict_integer(text.bytes(), if plain { 0 } else { radix }) {
            Some(number) => Ok(Value::big(vm.arena(), &number)),
            None => {
                let shown = inspect_text(vm, value);
                Err(vm.argument_error(format!("invalid value for Integer(): {shown}")))
            }
        },
        Value::Time(time) => Ok(Value::Int(time.time.sec)),
        Value::Nil => Err(vm.type_error("can't convert nil into Integer")),
        other => Err(vm.type_error(format!("can't convert {} into Integer", kind_text(other)))),
    }
}

/// `Float(value)`
pub(super) fn to_float<'a>(vm: &mut Vm<'_, 'a>, value: Value<'a>) -> Eval<'a> {
    match value {
        Value::Str(text) => match strict_float(text.bytes()) {
            Some(number) => Ok(Value::Float(number)),
            None => {
                let shown = inspect_text(vm, value);
                Err(vm.argument_error(format!("invalid value for Float(): {shown}")))
            }
        },
        other => Ok(Value::Float(vm.float(other)?)),
    }
}

/// A text that is wholly an integer: blanks around it, a sign, a base prefix, single underscores between digits.
pub(super) fn strict_integer(text: &[u8], radix: i64) -> Option<BigInt> {
    let text = std::str::from_utf8(text).ok()?.trim_matches([' ', '\t', '\n', '\x0b', '\x0c', '\r']);
    let (negative, rest) = match text.as_bytes().first()? {
        b'-' => (true, &text[1..]),
        b'+' => (false, &text[1..]),
        _ => (false, text),
    };
    let lower = rest.to_ascii_lowercase();
    let (radix, digits) = prefixed(&lower, radix)?;
    if digits.is_empty()
        || digits.starts_with(['_', '+', '-'])
        || digits.ends_with('_')
        || digits.contains("__")
    {
        return None;
    }
    let value = BigInt::parse_bytes(digits.replace('_', "").as_bytes(), radix)?;
    Some(if negative { -value } else { value })
}

/// The base and the digits behind a base prefix, which must agree with a base that is given.
pub(super) fn prefixed(text: &str, radix: i64) -> Option<(u32, &str)> {
    let known = match text.as_bytes() {
        [b'0', b'x', ..] => Some((16, 2)),
        [b'0', b'b', ..] => Some((2, 2)),
        [b'0', b'o', ..] => Some((8, 2)),
        [b'0', b'd', ..] => Some((10, 2)),
        [b'0', b'0'..=b'9' | b'_', ..] => Some((8, 1)),
        _ => None,
    };
    match (radix, known) {
        (0, Some((8, 1))) => Some((8, text[1..].strip_prefix('_').unwrap_or(&text[1..]))),
        (0, Some((base, skip))) => Some((base, &text[skip..])),
        (0, None) => Some((10, text)),
        (2..=36, Some((base, 2))) if i64::from(base) == radix => Some((base, &text[2..])),
        (2..=36, _) => Some((radix as u32, text)),
        _ => None,
    }
}

/// A text that is wholly a float.
fn strict_float(text: &[u8]) -> Option<f64> {
    let text = std::str::from_utf8(text).ok()?.trim_matches([' ', '\t', '\n', '\x0b', '\x0c', '\r']);
    let unsigned = text.strip_prefix(['-', '+']).unwrap_or(text);
    if unsigned.starts_with("0x") || unsigned.starts_with("0X") {
        return hexadecimal_float(unsigned).map(|value| if text.starts_with('-') { -value } else { value });
    }
    let digits_only =
        unsigned.chars().all(|c| c.is_ascii_digit() || matches!(c, '.' | 'e' | 'E' | '-' | '+' | '_'));
    let begins = unsigned.starts_with(|c: char| c.is_ascii_digit() || c == '.');
    let bad = text.ends_with(['.', '_'])
        || text.contains("__")
        || text.contains("._")
        || text.contains("_.")
        || text.contains(".e")
        || text.contains(".E")
        || unsigned.starts_with('_');
    if !digits_only || !begins || bad {
        return None;
    }
    text.replace('_', "").parse().ok()
}

/// `0x1.8p3`
fn hexadecimal_float(text: &str) -> Option<f64> {
    let lower = text[2..].to_ascii_lowercase();
    let (digits, exponent) = match lower.split_once('p') {
        Some((digits, exponent)) => (digits, exponent.parse::<i32>().ok()?),
        None => (lower.as_str(), 0),
    };
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    if whole.is_empty() || !digits.chars().all(|c| c == '.' || c.is_ascii_hexdigit()) {
        return None;
    }
    let mut value = 0.0;
    for c in whole.chars().chain(fraction.chars()) {
        value = value * 16.0 + f64::from(c.to_digit(16)?);
    }
    Some(value * 2f64.powi(exponent - 4 * fraction.len() as i32))
}

fn raise<'a>(vm: &mut Vm<'_, 'a>, _: Value<'a>, args: Args<'_, '_, 'a>) -> Eval<'a> {
    let exception = match (args.get(0), args.get(1)) {
        (None, _) => return Err(vm.raise(ClassId::RuntimeError, "unhandled exception")),
        (Some(Value::Str(text)), _) => Exception { class: ClassId::RuntimeError, message: text.bytes() },
        (Some(Value::Class(class)), message) if class.is_exception() => {
            let message = match message {
                Some(message) => to_s(vm, message)?,
                None => class.name().as_bytes(),
            };
            Exception { class, message }
        }
        (Some(Value::Exception(exception)), None) => *exception,
        (Some(Value::Exception(exception)), Some(message)) => {
            Exception { message: to_s(vm, message)?, ..*exception }
        }
        _ => return Err(vm.type_error("exception class/object expected")),
    };
    Err(Unwind::Raise(vm.arena().alloc(exception)))
}
