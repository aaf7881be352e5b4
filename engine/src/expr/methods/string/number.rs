//! Numbers at the beginning of a string.

use super::super::{Method, method};
use super::this;
use crate::expr::methods::kernel::prefixed;
use crate::expr::run::Vm;
use crate::expr::run::{Args, Eval};
use crate::expr::value::Value;
use num_bigint::BigInt;

pub(super) const METHODS: &[Method] = &[
    method("to_i", 0, 1, |vm, receiver, args| {
        let radix = args.int_or(vm, 0, 10)?;
        if !(radix == 0 || (2..=36).contains(&radix)) {
            return Err(vm.argument_error(format!("invalid radix {radix}")));
        }
        leading(vm, receiver, radix)
    }),
    method("hex", 0, 0, |vm, receiver, _| leading(vm, receiver, 16)),
    method("oct", 0, 0, |vm, receiver, _| {
        let text = this(vm, receiver)?.bytes();
        let digits = text.trim_ascii_start();
        let digits = digits.strip_prefix(b"-").or_else(|| digits.strip_prefix(b"+")).unwrap_or(digits);
        let has_prefix = matches!(digits, [b'0', b'x' | b'X' | b'b' | b'B' | b'o' | b'O' | b'd' | b'D', ..]);
        leading(vm, receiver, if has_prefix { 0 } else { 8 })
    }),
    method("to_f", 0, 0, to_f),
];

/// The integer that the text begins with; 0 if it begins with none.
fn leading<'a>(vm: &mut Vm<'_, 'a>, receiver: Value<'a>, radix: i64) -> Eval<'a> {
    let bytes = this(vm, receiver)?.bytes();
    let bytes = &bytes[bytes.iter().take_while(|b| b.is_ascii_whitespace() || **b == 0x0b).count()..];
    let (negative, rest) = match bytes.first() {
        Some(b'-') => (true, &bytes[1..]),
        Some(b'+') => (false, &bytes[1..]),
        _ => (false, bytes),
    };
    let text: String = rest
        .iter()
        .map(|b| char::from(b.to_ascii_lowercase()))
        .take_while(|c| c.is_ascii_alphanumeric() || *c == '_')
        .collect();
    let Some((base, digits)) = prefixed(&text, radix) else { return Ok(Value::Int(0)) };
    let mut kept = String::new();
    let mut underscore = true;
    for c in digits.chars() {
        match c {
            '_' if !underscore => underscore = true,
            c if c.is_digit(base) => {
                kept.push(c);
                underscore = false;
            }
            _ => break,
        }
    }
    vm.step(kept.len() * kept.len() / 4096)?;
    let value = match i64::from_str_radix(&kept, base) {
        Ok(value) => return Ok(Value::Int(if negative { -value } else { value })),
        Err(_) if kept.is_empty() => BigInt::ZERO,
        Err(_) => BigInt::parse_bytes(kept.as_bytes(), base).unwrap_or_default(),
    };
    super::super::arith::check_bits(vm, value.bits())?;
    Ok(Value::big(vm.arena(), &if negative { -value } else { value }))
}

/// The float that the text begins with; 0.0 if it begins with none.
fn to_f<'a>(vm: &mut Vm<'_, 'a>, receiver: Value<'a>, _: Args<'_, '_, 'a>) -> Eval<'a> {
    let bytes = this(vm, receiver)?.bytes();
    Ok(Value::Float(leading_float(bytes)))
}

/// See [`to_f`].
pub(in crate::expr::methods) fn leading_float(bytes: &[u8]) -> f64 {
    let mut rest: &[u8] = bytes.trim_ascii_start();
    let mut out = String::new();
    if let [sign @ (b'-' | b'+'), behind @ ..] = rest {
        out.push(char::from(*sign));
        rest = behind;
    }
    let whole = take_digits(&mut rest, &mut out);
    let mut fraction = 0;
    if let [b'.', behind @ ..] = rest
        && behind.first().is_some_and(u8::is_ascii_digit)
    {
        out.push('.');
        rest = behind;
        fraction = take_digits(&mut rest, &mut out);
    }
    if whole + fraction == 0 {
        return 0.0;
    }
    if let [b'e' | b'E', behind @ ..] = rest {
        let (sign, behind) = match behind {
            [sign @ (b'-' | b'+'), behind @ ..] => (Some(*sign), behind),
            _ => (None, behind),
        };
        let exponent: String =
            behind.iter().take_while(|b| b.is_ascii_digit()).map(|b| char::from(*b)).collect();
        if !exponent.is_empty() {
            out.push('e');
            out.extend(sign.map(char::from));
            out.push_str(&exponent);
        }
    }
    out.parse().unwrap_or(0.0)
}

/// Moves digits to `out`, single underscores between them left out; answers how many.
fn take_digits(rest: &mut &[u8], out: &mut String) -> usize {
    let mut count = 0;
    loop {
        match rest {
            [digit @ b'0'..=b'9', behind @ ..] => {
                out.push(char::from(*digit));
                count += 1;
                *rest = behind;
            }
            [b'_', behind @ ..] if count > 0 && behind.first().is_some_and(u8::is_ascii_digit) => {
                *rest = behind
            }
            _ => return count,
        }
    }
}
