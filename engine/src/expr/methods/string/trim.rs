//! Trimming, padding, and mapping of single characters.

use super::super::{ANY, Method, method};
use super::set::{CharSet, translate};
use super::{check_valid, in_place, length, this};
use crate::expr::run::{Args, Eval, Vm};
use crate::expr::value::{Str, Value, chars};

pub(super) const METHODS: &[Method] = &[
    method("strip", 0, 0, strip),
    method("lstrip", 0, 0, lstrip),
    method("rstrip", 0, 0, rstrip),
    method("chomp", 0, 1, chomp),
    method("chop", 0, 0, chop),
    method("delete_prefix", 1, 1, delete_prefix),
    method("delete_suffix", 1, 1, delete_suffix),
    method("squeeze", 0, ANY, squeeze),
    method("delete", 1, ANY, delete),
    method("count", 1, ANY, |vm, receiver, args| {
        let text = this(vm, receiver)?;
        check_valid(vm, text)?;
        let set = CharSet::all(vm, args)?;
        vm.step(text.len())?;
        Ok(Value::Int(chars(text.bytes(), text.binary.get()).filter(|c| set.contains(c)).count() as i64))
    }),
    method("tr", 2, 2, tr),
    method("tr_s", 2, 2, tr_s),
    method("reverse", 0, 0, reverse),
    method("center", 1, 2, |vm, receiver, args| {
        pad(vm, receiver, args, |missing| (missing / 2, missing - missing / 2))
    }),
    method("ljust", 1, 2, |vm, receiver, args| pad(vm, receiver, args, |missing| (0, missing))),
    method("rjust", 1, 2, |vm, receiver, args| pad(vm, receiver, args, |missing| (missing, 0))),
    method("strip!", 0, 0, |vm, receiver, args| in_place(vm, receiver, args, strip)).mutates(),
    method("lstrip!", 0, 0, |vm, receiver, args| in_place(vm, receiver, args, lstrip)).mutates(),
    method("rstrip!", 0, 0, |vm, receiver, args| in_place(vm, receiver, args, rstrip)).mutates(),
    method("chomp!", 0, 1, |vm, receiver, args| in_place(vm, receiver, args, chomp)).mutates(),
    method("chop!", 0, 0, |vm, receiver, args| in_place(vm, receiver, args, chop)).mutates(),
    method("delete_prefix!", 1, 1, |vm, receiver, args| in_place(vm, receiver, args, delete_prefix))
        .mutates(),
    method("delete_suffix!", 1, 1, |vm, receiver, args| in_place(vm, receiver, args, delete_suffix))
        .mutates(),
    method("squeeze!", 0, ANY, |vm, receiver, args| in_place(vm, receiver, args, squeeze)).mutates(),
    method("delete!", 1, ANY, |vm, receiver, args| in_place(vm, receiver, args, delete)).mutates(),
    method("tr!", 2, 2, |vm, receiver, args| in_place(vm, receiver, args, tr)).mutates(),
    method("tr_s!", 2, 2, |vm, receiver, args| in_place(vm, receiver, args, tr_s)).mutates(),
    method("reverse!", 0, 0, |vm, receiver, args| {
        in_place(vm, receiver, args, reverse)?;
        Ok(receiver)
    })
    .mutates(),
];

/// What Ruby strips: ASCII white space, and NUL at the end.
fn is_blank(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t'..=b'\r' | 0)
}

fn part<'a>(vm: &mut Vm<'_, 'a>, receiver: Value<'a>, select: impl Fn(&'a [u8]) -> &'a [u8]) -> Eval<'a> {
    let text = this(vm, receiver)?;
    Ok(vm.string_like(text, select(text.bytes())))
}

fn left(bytes: &[u8]) -> &[u8] {
    &bytes[bytes.iter().take_while(|byte| is_blank(**byte)).count()..]
}

fn right(bytes: &[u8]) -> &[u8] {
    &bytes[..bytes.len() - bytes.iter().rev().take_while(|byte| is_blank(**byte)).count()]
}

fn strip<'a>(vm: &mut Vm<'_, 'a>, receiver: Value<'a>, _: Args<'_, '_, 'a>) -> Eval<'a> {
    check_valid(vm, this(vm, receiver)?)?;
    part(vm, receiver, |bytes| right(left(bytes)))
}

fn lstrip<'a>(vm: &mut Vm<'_, 'a>, receiver: Value<'a>, _: Args<'_, '_, 'a>) -> Eval<'a> {
    part(vm, receiver, left)
}

fn rstrip<'a>(vm: &mut Vm<'_, 'a>, receiver: Value<'a>, _: Args<'_, '_, 'a>) -> Eval<'a> {
    check_valid(vm, this(vm, receiver)?)?;
    part(vm, receiver, right)
}

fn chomp<'a>(vm: &mut Vm<'_, 'a>, receiver: Value<'a>, args: Args<'_, '_, 'a>) -> Eval<'a> {
    let suffix = match args.get(0) {
        Some(Value::Nil) => return Ok(receiver),
        Some(suffix) => Some(vm.text(suffix)?),
        None => None,
    };
    part(vm, receiver, |bytes| match suffix {
        None | Some(b"\n") => {
            let line = bytes.strip_suffix(b"\n").unwrap_or(bytes);
            line.strip_suffix(b"\r").unwrap_or(line)
        }
        Some(b"") => {
            let mut rest = bytes;
            while let Some(line) = rest.strip_suffix(b"\n") {
                rest = line.strip_suffix(b"\r").unwrap_or(line);
            }
            rest
        }
        Some(suffix) => bytes.strip_suffix(suffix).unwrap_or(bytes),
    })
}

fn chop<'a>(vm: &mut Vm<'_, 'a>, receiver: Value<'a>, _: Args<'_, '_, 'a>) -> Eval<'a> {
    let binary = this(vm, receiver)?.binary.get();
    part(vm, receiver, |bytes| match bytes.strip_suffix(b"\r\n") {
        Some(line) => line,
        None => &bytes[..bytes.len() - chars(bytes, binary).next_back().map_or(0, <[u8]>::len)],
    })
}

fn delete_prefix<'a>(vm: &mut Vm<'_, 'a>, receiver: Value<'a>, args: Args<'_, '_, 'a>) -> Eval<'a> {
    let prefix = vm.text(args.at(0))?;
    part(vm, receiver, |bytes| bytes.strip_prefix(prefix).unwrap_or(bytes))
}

fn delete_suffix<'a>(vm: &mut Vm<'_, 'a>, receiver: Value<'a>, args: Args<'_, '_, 'a>) -> Eval<'a> {
    let suffix = vm.text(args.at(0))?;
    part(vm, receiver, |bytes| bytes.strip_suffix(suffix).unwrap_or(bytes))
}

fn squeeze<'a>(vm: &mut Vm<'_, 'a>, receiver: Value<'a>, args: Args<'_, '_, 'a>) -> Eval<'a> {
    let text = this(vm, receiver)?;
    check_valid(vm, text)?;
    let set = if args.list.is_empty() { None } else { Some(CharSet::all(vm, args)?) };
    let mut out = Vec::with_capacity(text.len());
    let mut last: &[u8] = b"";
    for c in chars(text.bytes(), text.binary.get()) {
        if c != last || set.as_ref().is_some_and(|set| !set.contains(c)) {
            out.extend_from_slice(c);
        }
        last = c;
    }
    finish(vm, text, &out)
}

fn delete<'a>(vm: &mut Vm<'_, 'a>, receiver: Value<'a>, args: Args<'_, '_, 'a>) -> Eval<'a> {
    let text = this(vm, receiver)?;
    check_valid(vm, text)?;
    let set = CharSet::all(vm, args)?;
    let mut out = Vec::with_capacity(text.len());
    for c in chars(text.bytes(), text.binary.get()) {
        if !set.contains(c) {
            out.extend_from_slice(c);
        }
    }
    finish(vm, text, &out)
}

fn tr<'a>(vm: &mut Vm<'_, 'a>, receiver: Value<'a>, args: Args<'_, '_, 'a>) -> Eval<'a> {
    let text = this(vm, receiver)?;
    check_valid(vm, text)?;
    let out = translate(vm, text, args, false)?;
    finish(vm, text, &out)
}

fn tr_s<'a>(vm: &mut Vm<'_, 'a>, receiver: Value<'a>, args: Args<'_, '_, 'a>) -> Eval<'a> {
    let text = this(vm, receiver)?;
    check_valid(vm, text)?;
    let out = translate(vm, text, args, true)?;
    finish(vm, text, &out)
}

fn reverse<'a>(vm: &mut Vm<'_, 'a>, receiver: Value<'a>, _: Args<'_, '_, 'a>) -> Eval<'a> {
    let text = this(vm, receiver)?;
    let out: Vec<u8> = chars(text.bytes(), text.binary.get()).rev().flatten().copied().collect();
    finish(vm, text, &out)
}

fn finish<'a>(vm: &mut Vm<'_, 'a>, like: &Str<'a>, out: &[u8]) -> Eval<'a> {
    vm.step(out.len() / 8)?;
    let bytes = vm.copy(out)?;
    Ok(vm.string_like(like, bytes))
}

/// Fills the text up to a width; `share` says how much goes to the left and to the right.
fn pad<'a>(
    vm: &mut Vm<'_, 'a>,
    receiver: Value<'a>,
    args: Args<'_, '_, 'a>,
    share: fn(usize) -> (usize, usize),
) -> Eval<'a> {
    let text = this(vm, receiver)?;
    let width = usize::try_from(vm.int(args.at(0))?).unwrap_or(0);
    let filler: &[u8] = match args.get(1) {
        Some(filler) => vm.text(filler)?,
        None => b" ",
    };
    if filler.is_empty() {
        return Err(vm.argument_error("zero width padding"));
    }
    let missing = width.saturating_sub(length(text));
    vm.charge(missing.saturating_mul(filler.len()))?;
    let (before, after) = share(missing);
    let fill = |count: usize| chars(filler, false).cycle().take(count).flatten().copied();
    let out: Vec<u8> = fill(before).chain(text.bytes().iter().copied()).chain(fill(after)).collect();
    finish(vm, text, &out)
}
