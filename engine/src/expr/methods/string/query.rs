//! Questions about a string, comparison, and building longer ones.

use super::super::{ANY, Method, method};
use super::{Pattern, length, this};
use crate::expr::run::{Args, Eval, Vm};
use crate::expr::value::{Value, chars, compare_folded, is_utf8};

pub(super) const METHODS: &[Method] = &[
    method("length", 0, 0, size),
    method("size", 0, 0, size),
    method("bytesize", 0, 0, |vm, receiver, _| Ok(Value::Int(this(vm, receiver)?.len() as i64))),
    method("empty?", 0, 0, |vm, receiver, _| Ok(Value::Bool(this(vm, receiver)?.len() == 0))),
    method("include?", 1, 1, |vm, receiver, args| {
        let (text, part) = (vm.text(receiver)?, vm.text(args.at(0))?);
        vm.step(text.len() / 64)?;
        Ok(Value::Bool(memchr::memmem::find(text, part).is_some()))
    }),
    method("start_with?", 0, ANY, starts),
    method("end_with?", 0, ANY, |vm, receiver, args| {
        let text = vm.text(receiver)?;
        for arg in args.list {
            let part = vm.text(*arg)?;
            if text.ends_with(part) {
                return Ok(Value::Bool(true));
            }
        }
        Ok(Value::Bool(false))
    }),
    method("casecmp", 1, 1, |vm, receiver, args| match args.at(0) {
        Value::Str(other) => Ok(Value::Int(compare_folded(vm.text(receiver)?, other.bytes()) as i64)),
        Value::Nil | Value::Int(_) | Value::Float(_) => Err(vm.no_conversion(args.at(0), "String")),
        _ => Ok(Value::Nil),
    }),
    method("casecmp?", 1, 1, |vm, receiver, args| match args.at(0) {
        Value::Str(other) => {
            let fold = |bytes: &[u8]| String::from_utf8_lossy(bytes).to_lowercase();
            Ok(Value::Bool(fold(vm.text(receiver)?) == fold(other.bytes())))
        }
        Value::Nil | Value::Int(_) | Value::Float(_) => Err(vm.no_conversion(args.at(0), "String")),
        _ => Ok(Value::Nil),
    }),
    method("=~", 1, 1, |vm, receiver, args| {
        let text = this(vm, receiver)?;
        match args.at(0) {
            Value::Regexp(id) => {
                let found = vm.search(id, text.bytes(), text.binary.get(), 0)?;
                Ok(super::super::match_position(found))
            }
            Value::Str(_) => Err(vm.type_error("type mismatch: String given")),
            _ => Ok(Value::Nil),
        }
    }),
    method("match", 1, 2, super::super::regexp::match_text),
    method("match?", 1, 2, super::super::regexp::matches),
    method("+", 1, 1, |vm, receiver, args| {
        let text = this(vm, receiver)?;
        let (left, right) = (text.bytes(), vm.text(args.at(0))?);
        vm.charge(left.len() + right.len())?;
        let out: &'_ mut [u8] = vm.arena().alloc_slice_fill_copy(left.len() + right.len(), 0);
        out[..left.len()].copy_from_slice(left);
        out[left.len()..].copy_from_slice(right);
        Ok(vm.string_like(text, out))
    }),
    method("*", 1, 1, |vm, receiver, args| {
        let text = this(vm, receiver)?;
        let count = vm.count(args.at(0), "negative argument")?;
        vm.charge(text.len().saturating_mul(count))?;
        let out = vm.arena().alloc_slice_copy(&text.bytes().repeat(count));
        Ok(vm.string_like(text, out))
    }),
    method("%", 1, 1, |vm, receiver, args| {
        let pattern = vm.text(receiver)?;
        match args.at(0) {
            Value::Array(list) => super::super::format::format(vm, pattern, &list.to_vec()),
            value => super::super::format::format(vm, pattern, &[value]),
        }
    }),
    method("index", 1, 2, index),
    method("rindex", 1, 2, rindex),
    method("byteindex", 1, 2, |vm, receiver, args| {
        let text = this(vm, receiver)?;
        let from = usize::try_from(args.int_or(vm, 1, 0)?).unwrap_or(usize::MAX);
        let pattern = Pattern::of(vm, args.at(0))?;
        if from > text.len() {
            return Ok(Value::Nil);
        }
        Ok(pattern.find(vm, text, from)?.map_or(Value::Nil, |(at, _)| Value::Int(at as i64)))
    }),
    method("ord", 0, 0, |vm, receiver, _| {
        let text = this(vm, receiver)?;
        match chars(text.bytes(), text.binary.get()).next() {
            Some([byte]) if *byte < 0x80 || text.binary.get() => Ok(Value::Int(i64::from(*byte))),
            Some(c) if is_utf8(c) => {
                let code = String::from_utf8_lossy(c).chars().next().map_or(0, |c| c as i64);
                Ok(Value::Int(code))
            }
            Some(_) => Err(vm.argument_error("invalid byte sequence in UTF-8")),
            None => Err(vm.argument_error("empty string")),
        }
    }),
    method("sum", 0, 1, |vm, receiver, _| {
        let total: u64 = vm.text(receiver)?.iter().map(|byte| u64::from(*byte)).sum();
        Ok(Value::Int((total & 0xffff) as i64))
    }),
    method("to_s", 0, 0, |_, receiver, _| Ok(receiver)),
    method("to_str", 0, 0, |_, receiver, _| Ok(receiver)),
    method("to_sym", 0, 0, to_sym),
    method("intern", 0, 0, to_sym),
    method("succ", 0, 0, next),
    method("next", 0, 0, next),
    method("+@", 0, 0, |vm, receiver, _| {
        let text = this(vm, receiver)?;
        Ok(if text.frozen.get() { vm.string_like(text, text.bytes()) } else { receiver })
    }),
    method("-@", 0, 0, |vm, receiver, _| {
        let text = this(vm, receiver)?;
        let copy = vm.string_like(text, text.bytes());
        this(vm, copy)?.frozen.set(true);
        Ok(copy)
    }),
    method("upto", 1, 2, |vm, receiver, args| {
        let Some(block) = args.block else { return vm.enumerator(receiver, "upto", args) };
        let range = vm.range(receiver, args.at(0), args.get(1).is_some_and(Value::truthy))?;
        for item in super::super::list::items(vm, range)? {
            vm.yield_one(block, item)?;
        }
        Ok(receiver)
    }),
];

fn size<'a>(vm: &mut Vm<'_, 'a>, receiver: Value<'a>, _: Args<'_, '_, 'a>) -> Eval<'a> {
    let text = this(vm, receiver)?;
    vm.step(text.len() / 64)?;
    Ok(Value::Int(length(text) as i64))
}

fn starts<'a>(vm: &mut Vm<'_, 'a>, receiver: Value<'a>, args: Args<'_, '_, 'a>) -> Eval<'a> {
    let text = this(vm, receiver)?;
    for arg in args.list {
        let found = match arg {
            Value::Regexp(_) => Pattern::of(vm, *arg)?.find(vm, text, 0)?.is_some_and(|(at, _)| at == 0),
            part => text.bytes().starts_with(vm.text(*part)?),
        };
        if found {
            return Ok(Value::Bool(true));
        }
    }
    Ok(Value::Bool(false))
}

fn to_sym<'a>(vm: &mut Vm<'_, 'a>, receiver: Value<'a>, _: Args<'_, '_, 'a>) -> Eval<'a> {
    Ok(Value::Symbol(vm.text(receiver)?))
}

fn next<'a>(vm: &mut Vm<'_, 'a>, receiver: Value<'a>, _: Args<'_, '_, 'a>) -> Eval<'a> {
    let text = vm.text(receiver)?;
    let text = super::successor(vm, text)?;
    Ok(vm.string(text))
}

/// The byte offset of a character; `None` beyond the end. Negative ones count from the end.
fn byte_offset(text: &crate::expr::value::Str<'_>, at: i64) -> Option<usize> {
    let total = length(text) as i64;
    let at = if at < 0 { at + total } else { at };
    if !(0..=total).contains(&at) {
        return None;
    }
    Some(chars(text.bytes(), text.binary.get()).take(at as usize).map(<[u8]>::len).sum())
}

fn index<'a>(vm: &mut Vm<'_, 'a>, receiver: Value<'a>, args: Args<'_, '_, 'a>) -> Eval<'a> {
    let text = this(vm, receiver)?;
    vm.step(text.len() / 32)?;
    let Some(from) = byte_offset(text, args.int_or(vm, 1, 0)?) else { return Ok(Value::Nil) };
    let pattern = match args.at(0) {
        value @ Value::Regexp(_) => Pattern::of(vm, value)?,
        value => Pattern::Text(vm.text(value)?),
    };
    let found = pattern.find(vm, text, from)?;
    Ok(found.map_or(Value::Nil, |(at, _)| {
        Value::Int(chars(&text.bytes()[..at], text.binary.get()).count() as i64)
    }))
}

fn rindex<'a>(vm: &mut Vm<'_, 'a>, receiver: Value<'a>, args: Args<'_, '_, 'a>) -> Eval<'a> {
    let text = this(vm, receiver)?;
    let bytes = text.bytes();
    vm.step(bytes.len() / 32)?;
    let total = length(text) as i64;
    let last = args.int_or(vm, 1, total)?;
    let last = if last < 0 { last + total } else { last };
    let Some(limit) = byte_offset(text, last.min(total)).filter(|_| last >= 0) else { return Ok(Value::Nil) };
    let found = match args.at(0) {
        Value::Regexp(id) => {
            // From the back, the first place at which a match begins.
            let starts: Vec<usize> = offsets(bytes, text.binary.get()).filter(|at| *at <= limit).collect();
            let mut found = None;
            for at in starts.into_iter().rev() {
                if let Some(span) =
                    vm.search(id, bytes, text.binary.get(), at)?.and_then(|found| found.span(0))
                    && span.start == at
                {
                    found = Some(at);
                    break;
                }
            }
            found
        }
        value => {
            let part = vm.text(value)?;
            let end = (limit + part.len()).min(bytes.len());
            memchr::memmem::rfind(&bytes[..end], part)
        }
    };
    Ok(found.map_or(Value::Nil, |at| Value::Int(chars(&bytes[..at], text.binary.get()).count() as i64)))
}

/// Where characters begin, and the end.
fn offsets(bytes: &[u8], binary: bool) -> impl Iterator<Item = usize> + '_ {
    let mut at = 0;
    chars(bytes, binary)
        .map(move |c| {
            let start = at;
            at += c.len();
            start
        })
        .chain(std::iter::once(bytes.len()))
}
