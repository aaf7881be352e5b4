//! `pack` and `unpack`, for the directives that logs need: Base64, hexadecimal, bytes and plain integers.

use super::list::items;
use super::{Method, method};
use crate::expr::run::{Args, Eval, Vm};
use crate::expr::value::{Str, Value};

/// String's part.
pub(super) const STRING: &[Method] = &[
    method("unpack", 1, 1, |vm, receiver, args| {
        let list = unpack(vm, receiver, args)?;
        vm.array(&list)
    }),
    method("unpack1", 1, 1, |vm, receiver, args| {
        Ok(unpack(vm, receiver, args)?.first().copied().unwrap_or(Value::Nil))
    }),
];

/// Array's part.
pub(super) const ARRAY: &[Method] = &[method("pack", 1, 1, pack)];

/// A directive's letter with its count: `None` for `*`.
fn directives<'a>(vm: &Vm<'_, 'a>, text: &[u8]) -> Eval<'a, Vec<(u8, Option<usize>)>> {
    let mut list = Vec::new();
    let mut rest = text;
    while let Some((&letter, behind)) = rest.split_first() {
        rest = behind;
        if letter.is_ascii_whitespace() {
            continue;
        }
        let digits = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
        let count = match rest.first() {
            Some(b'*') => {
                rest = &rest[1..];
                None
            }
            _ if digits > 0 => {
                let count = std::str::from_utf8(&rest[..digits]).ok().and_then(|digits| digits.parse().ok());
                rest = &rest[digits..];
                Some(count.unwrap_or(usize::MAX))
            }
            _ => Some(1),
        };
        if !b"aAZmHhBbUCcNnVv".contains(&letter) {
            let message = format!("pack directive `{}` is not supported", char::from(letter));
            return Err(vm.argument_error(message));
        }
        list.push((letter, count));
    }
    Ok(list)
}

fn unpack<'a>(vm: &mut Vm<'_, 'a>, receiver: Value<'a>, args: Args<'_, '_, 'a>) -> Eval<'a, Vec<Value<'a>>> {
    let mut rest = vm.text(receiver)?;
    let pattern = vm.text(args.at(0))?;
    let mut list = Vec::new();
    for (letter, count) in directives(vm, pattern)? {
        vm.step(1 + rest.len() / 16)?;
        match letter {
            b'm' => {
                let bytes = vm.copy(&super::base64::decoded(rest))?;
                list.push(binary(vm, bytes));
                rest = b"";
            }
            b'a' | b'A' | b'Z' => {
                let (part, behind) = rest.split_at(count.unwrap_or(rest.len()).min(rest.len()));
                let part = match letter {
                    b'A' => part.trim_ascii_end(),
                    b'Z' => part.split(|byte| *byte == 0).next().unwrap_or_default(),
                    _ => part,
                };
                list.push(binary(vm, part));
                rest = behind;
            }
            b'H' | b'h' | b'B' | b'b' => {
                let bits = if matches!(letter, b'H' | b'h') { 4 } else { 1 };
                let text = digits(rest, letter, count.unwrap_or(rest.len() * 8 / bits), bits);
                let used = (text.len() * bits).div_ceil(8).min(rest.len());
                list.push(vm.new_string(text.as_bytes())?);
                rest = &rest[used..];
            }
            b'U' => {
                let text = String::from_utf8_lossy(rest).into_owned();
                let most = count.unwrap_or(usize::MAX);
                let taken: Vec<char> = text.chars().take(most).collect();
                rest = &rest[taken.iter().map(|c| c.len_utf8()).sum::<usize>().min(rest.len())..];
                list.extend(taken.into_iter().map(|c| Value::Int(c as i64)));
            }
            _ => {
                let width = width(letter);
                let most = count.unwrap_or(rest.len() / width);
                for _ in 0..most {
                    let Some((part, behind)) = rest.split_at_checked(width) else {
                        // Asked for more than there is: nil for each, but not for ever.
                        if count.is_some() && list.len() < 1024 {
                            list.push(Value::Nil);
                        }
                        break;
                    };
                    list.push(Value::Int(integer(letter, part)));
                    rest = behind;
                }
            }
        }
    }
    Ok(list)
}

fn binary<'a>(vm: &Vm<'_, 'a>, bytes: &'a [u8]) -> Value<'a> {
    Value::Str(vm.arena().alloc(Str::binary(bytes)))
}

fn width(letter: u8) -> usize {
    match letter {
        b'C' | b'c' => 1,
        b'n' | b'v' => 2,
        _ => 4,
    }
}

fn integer(letter: u8, part: &[u8]) -> i64 {
    let big_endian = matches!(letter, b'N' | b'n');
    let ordered: Vec<u8> = if big_endian { part.to_vec() } else { part.iter().rev().copied().collect() };
    let value = ordered.iter().fold(0i64, |value, byte| value << 8 | i64::from(*byte));
    if letter == b'c' { i64::from(value as u8 as i8) } else { value }
}

/// Hexadecimal or binary digits, `count` of them at most; small letters take the low half of a byte first.
fn digits(bytes: &[u8], letter: u8, count: usize, bits: usize) -> String {
    let high_first = letter.is_ascii_uppercase();
    let mut out = String::new();
    for byte in bytes {
        for at in 0..8 / bits {
            if out.len() >= count {
                return out;
            }
            let shift = if high_first { 8 - bits * (at + 1) } else { bits * at };
            let digit = u32::from(*byte >> shift) & ((1 << bits) - 1);
            out.push(char::from_digit(digit, 16).unwrap_or('0'));
        }
    }
    out
}

fn pack<'a>(vm: &mut Vm<'_, 'a>, receiver: Value<'a>, args: Args<'_, '_, 'a>) -> Eval<'a> {
    let values = items(vm, receiver)?;
    let pattern = vm.text(args.at(0))?;
    let mut next = values.iter().copied();
    let mut out: Vec<u8> = Vec::new();
    let mut text_like = false;
    for (letter, count) in directives(vm, pattern)? {
        vm.step(1)?;
        match letter {
            b'm' => {
                let bytes = vm.text(next.next().unwrap_or(Value::Nil))?;
                let text = match count {
                    Some(0) => super::base64::encoded(bytes, false),
                    _ => super::base64::lines(bytes, 60),
                };
                out.extend_from_slice(text.as_bytes());
                text_like = true;
            }
            b'a' | b'A' | b'Z' => {
                let bytes = vm.text(next.next().unwrap_or(Value::Nil))?;
                let length = count.unwrap_or(bytes.len());
                vm.charge(length)?;
                let start = out.len();
                out.extend_from_slice(&bytes[..length.min(bytes.len())]);
                out.resize(start + length, if letter == b'A' { b' ' } else { 0 });
            }
            b'H' | b'h' => {
                let text = vm.text(next.next().unwrap_or(Value::Nil))?;
                for pair in text.chunks(2) {
                    let digit =
                        |at: usize| pair.get(at).and_then(|c| char::from(*c).to_digit(16)).unwrap_or(0) as u8;
                    out.push(if letter == b'H' {
                        digit(0) << 4 | digit(1)
                    } else {
                        digit(1) << 4 | digit(0)
                    });
                }
            }
            b'U' => {
                for value in next.by_ref().take(count.unwrap_or(usize::MAX)) {
                    let code = vm.int(value)?;
                    match u32::try_from(code).ok().and_then(char::from_u32) {
                        Some(c) => out.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes()),
                        None => {
                            return Err(vm.raise(super::ClassId::RangeError, "pack(U): value out of range"));
                        }
                    }
                }
                text_like = true;
            }
            b'B' | b'b' => return Err(vm.argument_error("pack directive `B` is not supported")),
            _ => {
                for value in next.by_ref().take(count.unwrap_or(usize::MAX)) {
                    let number = vm.int(value)?;
                    let bytes = number.to_be_bytes();
                    let part = &bytes[8 - width(letter)..];
                    match letter {
                        b'V' | b'v' => out.extend(part.iter().rev()),
                        _ => out.extend_from_slice(part),
                    }
                }
            }
        }
    }
    let bytes = vm.copy(&out)?;
    Ok(if text_like { vm.string(bytes) } else { binary(vm, bytes) })
}
