//! `format`, `sprintf`, `String#%`.

use super::arith;
use super::kernel::to_integer;
use crate::expr::run::{Eval, Vm};
use crate::expr::value::{ClassId, Value, chars, inspect, to_s};
use num_bigint::BigInt;

/// Widths and precisions beyond this are refused; they only fill memory.
const WIDTH_MAX: usize = 4096;

/// One directive: `%-08.3f`, `%<name>s`, `%{name}`, `%1$s`.
#[derive(Clone, Debug, Default)]
struct Directive<'t> {
    minus: bool,
    plus: bool,
    space: bool,
    zero: bool,
    alternative: bool,
    width: Option<usize>,
    precision: Option<usize>,
    name: Option<&'t [u8]>,
    position: Option<usize>,
}

/// The arguments that are left.
struct Values<'v, 'a> {
    list: &'v [Value<'a>],
    next: usize,
}

/// The text of `format(pattern, *list)`.
pub(super) fn format<'a>(vm: &mut Vm<'_, 'a>, pattern: &'a [u8], list: &[Value<'a>]) -> Eval<'a> {
    let mut values = Values { list, next: 0 };
    let mut out = Vec::with_capacity(pattern.len() + 16);
    let mut rest = pattern;
    while let Some(at) = memchr::memchr(b'%', rest) {
        vm.step(1)?;
        out.extend_from_slice(&rest[..at]);
        rest = &rest[at + 1..];
        rest = directive(vm, rest, &mut values, &mut out)?;
        vm.check_size(out.len())?;
    }
    out.extend_from_slice(rest);
    vm.new_string(&out)
}

/// Writes the directive whose `%` was read; answers what follows it.
fn directive<'a>(
    vm: &mut Vm<'_, 'a>,
    text: &'a [u8],
    values: &mut Values<'_, 'a>,
    out: &mut Vec<u8>,
) -> Eval<'a, &'a [u8]> {
    let mut spec = Directive::default();
    let mut rest = text;
    loop {
        let Some((&c, behind)) = rest.split_first() else {
            let message = match spec.width {
                Some(_) => "malformed format string - %*[0-9]",
                None => "incomplete format specifier; use %% (double %) instead",
            };
            return Err(vm.argument_error(message));
        };
        match c {
            b'-' => spec.minus = true,
            b'+' => spec.plus = true,
            b' ' => spec.space = true,
            b'0' => spec.zero = true,
            b'#' => spec.alternative = true,
            b'1'..=b'9' => {
                let digits = rest.iter().take_while(|b| b.is_ascii_digit()).count();
                let number = number(vm, &rest[..digits])?;
                if rest.get(digits) == Some(&b'$') {
                    spec.position = Some(number);
                    rest = &rest[digits + 1..];
                } else {
                    spec.width = Some(number);
                    rest = &rest[digits..];
                }
                continue;
            }
            b'*' => {
                let value = values.take(vm)?;
                let width = vm.int(value)?;
                spec.minus |= width < 0;
                spec.width = Some(checked_width(vm, width.unsigned_abs())?);
            }
            b'.' => {
                let digits = behind.iter().take_while(|b| b.is_ascii_digit()).count();
                if behind.first() == Some(&b'*') {
                    let value = values.take(vm)?;
                    let precision = vm.int(value)?;
                    spec.precision =
                        u64::try_from(precision).ok().map(|p| checked_width(vm, p)).transpose()?;
                    rest = &behind[1..];
                } else {
                    spec.precision = Some(if digits == 0 { 0 } else { number(vm, &behind[..digits])? });
                    rest = &behind[digits..];
                }
                continue;
            }
            b'<' | b'{' => {
                let close = if c == b'<' { b'>' } else { b'}' };
                let Some(end) = memchr::memchr(close, behind) else {
                    return Err(vm.argument_error("malformed name - unmatched parenthesis"));
                };
                spec.name = Some(&behind[..end]);
                rest = &behind[end + 1..];
                if c == b'{' {
                    let value = values.named(vm, &behind[..end])?;
                    let text = to_s(vm, value)?;
                    pad(&spec, limit(&spec, text), out);
                    return Ok(rest);
                }
                continue;
            }
            b'%' => {
                out.push(b'%');
                return Ok(behind);
            }
            b'\n' | 0 => {
                out.push(b'%');
                return Ok(rest);
            }
            letter => {
                let value = match (spec.name, spec.position) {
                    (Some(name), _) => values.named(vm, name)?,
                    (None, Some(position)) => values.at(vm, position)?,
                    (None, None) => {
                        check_letter(vm, letter)?;
                        values.take(vm)?
                    }
                };
                write_value(vm, letter, &spec, value, out)?;
                return Ok(behind);
            }
        }
        rest = behind;
    }
}

fn check_letter<'a>(vm: &Vm<'_, 'a>, letter: u8) -> Eval<'a, ()> {
    if b"diuoxXbBeEfgGaAspc".contains(&letter) {
        return Ok(());
    }
    Err(vm.argument_error(format!("malformed format string - %{}", char::from(letter))))
}

fn number<'a>(vm: &Vm<'_, 'a>, digits: &[u8]) -> Eval<'a, usize> {
    let value = digits.iter().fold(0u64, |n, d| n.saturating_mul(10).saturating_add(u64::from(d - b'0')));
    checked_width(vm, value)
}

fn checked_width<'a>(vm: &Vm<'_, 'a>, width: u64) -> Eval<'a, usize> {
    match usize::try_from(width) {
        Ok(width) if width <= WIDTH_MAX => Ok(width),
        _ => Err(vm.argument_error("width too big")),
    }
}

impl<'a> Values<'_, 'a> {
    fn take(&mut self, vm: &Vm<'_, 'a>) -> Eval<'a> {
        let value = self.list.get(self.next).copied();
        self.next += 1;
        value.ok_or_else(|| vm.argument_error("too few arguments"))
    }

    fn at(&self, vm: &Vm<'_, 'a>, position: usize) -> Eval<'a> {
        self.list.get(position - 1).copied().ok_or_else(|| vm.argument_error("too few arguments"))
    }

    fn named(&self, vm: &mut Vm<'_, 'a>, name: &'a [u8]) -> Eval<'a> {
        match self.list {
            [Value::Hash(hash)] => match hash.get_symbol(name) {
                Some(value) => Ok(value),
                None => {
                    let shown = String::from_utf8_lossy(name).into_owned();
                    Err(vm.raise(ClassId::KeyError, format!("key<{shown}> not found")))
                }
            },
            _ => Err(vm.argument_error("one hash required")),
        }
    }
}

fn write_value<'a>(
    vm: &mut Vm<'_, 'a>,
    letter: u8,
    spec: &Directive<'_>,
    value: Value<'a>,
    out: &mut Vec<u8>,
) -> Eval<'a, ()> {
    match letter {
        b'd' | b'i' | b'u' => {
            let number = integer(vm, value)?;
            write_integer(spec, &number, 10, false, "", out);
        }
        b'x' | b'X' | b'o' | b'b' | b'B' => {
            let number = integer(vm, value)?;
            let (radix, prefix) = match letter {
                b'x' => (16, "0x"),
                b'X' => (16, "0X"),
                b'o' => (8, "0"),
                b'b' => (2, "0b"),
                _ => (2, "0B"),
            };
            let prefix = if spec.alternative { prefix } else { "" };
            write_integer(spec, &number, radix, letter == b'X', prefix, out);
        }
        b'f' | b'e' | b'E' | b'g' | b'G' | b'a' | b'A' => {
            let number = float(vm, value)?;
            write_float(spec, number, letter, out);
        }
        b's' => {
            let text = to_s(vm, value)?;
            pad(spec, limit(spec, text), out);
        }
        b'p' => {
            let mut text = Vec::new();
            inspect(vm, value, &mut text)?;
            pad(spec, limit(spec, &text), out);
        }
        b'c' => {
            let text = match value {
                Value::Int(code) => match u32::try_from(code).ok().and_then(char::from_u32) {
                    Some(c) => vm.copy(c.encode_utf8(&mut [0; 4]).as_bytes())?,
                    None => return Err(vm.argument_error("invalid character")),
                },
                other => match vm.text(other)? {
                    text if chars(text, false).count() == 1 => text,
                    _ => return Err(vm.argument_error("%c requires a character")),
                },
            };
            pad(spec, text, out);
        }
        other => return check_letter(vm, other),
    }
    Ok(())
}

fn integer<'a>(vm: &mut Vm<'_, 'a>, value: Value<'a>) -> Eval<'a, BigInt> {
    let value = match value {
        Value::Float(value) => arith::truncated(vm, value.floor())?,
        other => to_integer(vm, other, 10, true)?,
    };
    Ok(value.to_bigint().unwrap_or_default())
}

fn float<'a>(vm: &mut Vm<'_, 'a>, value: Value<'a>) -> Eval<'a, f64> {
    match super::kernel::to_float(vm, value)? {
        Value::Float(value) => Ok(value),
        _ => Ok(f64::NAN),
    }
}

/// The first characters of a text, as many as the precision says.
fn limit<'t>(spec: &Directive<'_>, text: &'t [u8]) -> &'t [u8] {
    let Some(most) = spec.precision else { return text };
    let length: usize = chars(text, false).take(most).map(<[u8]>::len).sum();
    &text[..length]
}

fn pad(spec: &Directive<'_>, text: &[u8], out: &mut Vec<u8>) {
    let width = spec.width.unwrap_or(0).saturating_sub(chars(text, false).count());
    if !spec.minus {
        out.resize(out.len() + width, b' ');
    }
    out.extend_from_slice(text);
    if spec.minus {
        out.resize(out.len() + width, b' ');
    }
}

fn write_integer(
    spec: &Directive<'_>,
    number: &BigInt,
    radix: u32,
    upper: bool,
    prefix: &str,
    out: &mut Vec<u8>,
) {
    let negative = number.sign() == num_bigint::Sign::Minus;
    // Without a sign flag, Ruby writes negative numbers of other bases as two's complement: `..f1`.
    let complement = negative && radix != 10 && !spec.plus && !spec.space;
    let mut digits =
        if complement { twos_complement(number, radix) } else { number.magnitude().to_str_radix(radix) };
    if upper {
        digits.make_ascii_uppercase();
    }
    if let Some(precision) = spec.precision
        && digits.len() < precision
    {
        digits.insert_str(0, &"0".repeat(precision - digits.len()));
    }
    let sign = match negative {
        true if !complement => "-",
        false if spec.plus => "+",
        false if spec.space => " ",
        _ => "",
    };
    write_number(spec, sign, prefix, digits.as_bytes(), spec.precision.is_none(), out);
}

/// `..` and the digits that repeat to the left only once.
fn twos_complement(number: &BigInt, radix: u32) -> String {
    let bits = match radix {
        16 => 4,
        8 => 3,
        _ => 1,
    };
    let mut width = (number.bits() / bits + 1) * bits;
    let top = std::char::from_digit(radix - 1, radix).unwrap_or('1');
    loop {
        let modulus = BigInt::from(1) << width;
        let digits = (number + &modulus).to_str_radix(radix);
        let kept = digits.trim_start_matches(top);
        if digits.starts_with(top) {
            return format!("..{top}{kept}");
        }
        width += bits;
    }
}

/// Sign, prefix and digits in the width.
fn write_number(
    spec: &Directive<'_>,
    sign: &str,
    prefix: &str,
    digits: &[u8],
    zeros: bool,
    out: &mut Vec<u8>,
) {
    let length = sign.len() + prefix.len() + digits.len();
    let fill = spec.width.unwrap_or(0).saturating_sub(length);
    let zeros = spec.zero && zeros && !spec.minus;
    if !zeros && !spec.minus {
        out.resize(out.len() + fill, b' ');
    }
    out.extend_from_slice(sign.as_bytes());
    out.extend_from_slice(prefix.as_bytes());
    if zeros {
        out.resize(out.len() + fill, b'0');
    }
    out.extend_from_slice(digits);
    if spec.minus {
        out.resize(out.len() + fill, b' ');
    }
}

fn write_float(spec: &Directive<'_>, number: f64, letter: u8, out: &mut Vec<u8>) {
    let sign = match number.is_sign_negative() && !number.is_nan() {
        true => "-",
        false if spec.plus => "+",
        false if spec.space => " ",
        false => "",
    };
    let magnitude = number.abs();
    if !number.is_finite() {
        let text: &[u8] = if number.is_nan() { b"NaN" } else { b"Inf" };
        return write_number(spec, sign, "", text, false, out);
    }
    let precision = spec.precision.unwrap_or(6);
    let mut text = match letter {
        b'f' => format!("{magnitude:.precision$}"),
        b'e' | b'E' => scientific(magnitude, precision),
        b'a' | b'A' => hexadecimal(magnitude),
        _ => general(magnitude, precision.max(1), spec.alternative),
    };
    if letter.is_ascii_uppercase() {
        text.make_ascii_uppercase();
    }
    write_number(spec, sign, "", text.as_bytes(), true, out);
}

/// `1.500000e+03`
fn scientific(value: f64, precision: usize) -> String {
    let text = format!("{value:.precision$e}");
    match text.split_once('e') {
        Some((digits, exponent)) => {
            let (sign, exponent) = match exponent.strip_prefix('-') {
                Some(exponent) => ('-', exponent),
                None => ('+', exponent),
            };
            format!("{digits}e{sign}{exponent:0>2}")
        }
        None => text,
    }
}

/// C's `%g`: the shorter of `%e` and `%f`, without trailing zeros.
fn general(value: f64, precision: usize, keep_zeros: bool) -> String {
    let rounded = format!("{value:.digits$e}", digits = precision - 1);
    let exponent: i32 = rounded.split_once('e').and_then(|(_, exponent)| exponent.parse().ok()).unwrap_or(0);
    let fixed = exponent >= -4 && exponent < precision as i32;
    let text = if fixed {
        format!("{value:.digits$}", digits = (precision as i32 - 1 - exponent).max(0) as usize)
    } else {
        scientific(value, precision - 1)
    };
    if keep_zeros {
        return text;
    }
    let (digits, tail) = match text.find('e') {
        Some(at) => text.split_at(at),
        None => (text.as_str(), ""),
    };
    let digits =
        if digits.contains('.') { digits.trim_end_matches('0').trim_end_matches('.') } else { digits };
    format!("{digits}{tail}")
}

/// `0x1.8p+3`
fn hexadecimal(value: f64) -> String {
    if value == 0.0 {
        return "0x0p+0".to_owned();
    }
    let bits = value.to_bits();
    let exponent = ((bits >> 52) & 0x7ff) as i64;
    let fraction = format!("{:013x}", bits & ((1 << 52) - 1));
    let fraction = fraction.trim_end_matches('0');
    let point = if fraction.is_empty() { "" } else { "." };
    let (lead, exponent) = if exponent == 0 { (0, -1022) } else { (1, exponent - 1023) };
    format!("0x{lead}{point}{fraction}p{exponent:+}")
}
