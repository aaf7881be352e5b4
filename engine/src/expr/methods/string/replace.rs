//! `sub`, `gsub`.

use super::super::{Method, method};
use super::{Pattern, change, in_place, this};
use crate::expr::run::{Args, Block, Eval, Vm};
use crate::expr::value::{Hash, Match, Str, Value, chars, to_s};
use crate::regexp::{GroupRef, expand_replacement};

pub(super) const METHODS: &[Method] = &[
    method("sub", 1, 2, |vm, receiver, args| replace(vm, receiver, args, false, "sub")),
    method("gsub", 1, 2, |vm, receiver, args| replace(vm, receiver, args, true, "gsub")),
    method("sub!", 1, 2, |vm, receiver, args| {
        in_place(vm, receiver, args, |vm, receiver, args| replace(vm, receiver, args, false, "sub!"))
    })
    .mutates(),
    method("gsub!", 1, 2, |vm, receiver, args| {
        in_place(vm, receiver, args, |vm, receiver, args| replace(vm, receiver, args, true, "gsub!"))
    })
    .mutates(),
    method("[]=", 2, 3, |vm, receiver, args| {
        let text = this(vm, receiver)?;
        change(vm, text)?;
        let (value, place) = match args.list.split_last() {
            Some((value, place)) => (*value, place),
            None => return Ok(Value::Nil),
        };
        let new = vm.text(value)?;
        let Some((start, end)) = super::slice::span(vm, text, Args::of(place))? else {
            let what = if matches!(place.first(), Some(Value::Str(_))) {
                "string not matched"
            } else {
                "index out of string"
            };
            return Err(vm.raise(crate::expr::value::ClassId::IndexError, what));
        };
        let bytes = text.bytes();
        let joined = vm.copy(&[&bytes[..start], new, &bytes[end..]].concat())?;
        text.set(joined);
        Ok(value)
    })
    .mutates(),
    method("slice!", 1, 2, |vm, receiver, args| {
        let text = this(vm, receiver)?;
        change(vm, text)?;
        let Some((start, end)) = super::slice::span(vm, text, args)? else { return Ok(Value::Nil) };
        let bytes = text.bytes();
        let rest = vm.copy(&[&bytes[..start], &bytes[end..]].concat())?;
        text.set(rest);
        Ok(vm.string_like(text, &bytes[start..end]))
    })
    .mutates(),
];

/// What a match is replaced by.
#[derive(Clone, Copy)]
enum Replacement<'v, 'p, 'a> {
    /// A text, in which `\1`, `\k<name>`, `\0` mean parts of the match.
    Text(&'a [u8]),
    Hash(&'a Hash<'a>),
    Block(Block<'v, 'p, 'a>),
}

fn replace<'p, 'a>(
    vm: &mut Vm<'p, 'a>,
    receiver: Value<'a>,
    args: Args<'_, 'p, 'a>,
    all: bool,
    name: &str,
) -> Eval<'a> {
    let text = this(vm, receiver)?;
    let replacement = match (args.get(1), args.block) {
        (Some(Value::Hash(hash)), _) => Replacement::Hash(hash),
        (Some(value), _) => Replacement::Text(vm.text(value)?),
        (None, Some(block)) => Replacement::Block(block),
        (None, None) if all => return vm.enumerator(receiver, name, args),
        (None, None) => return Err(vm.arity_error(1, 2, 2)),
    };
    let pattern = Pattern::of(vm, args.at(0))?;
    let bytes = text.bytes();
    let mut out: Vec<u8> = Vec::new();
    let mut copied = 0;
    let mut from = 0;
    let mut replaced = false;
    let mut last = None;
    while let Some((start, end)) = pattern.find(vm, text, from)? {
        vm.step(1)?;
        replaced = true;
        last = vm.last_match();
        out.extend_from_slice(&bytes[copied..start]);
        let found = match pattern {
            Pattern::Regexp(_) => last,
            Pattern::Text(_) => None,
        };
        write_replacement(vm, replacement, text, (start, end), found, &mut out)?;
        vm.check_size(out.len())?;
        copied = end;
        if !all {
            break;
        }
        from = if end > start { end } else { end + next_char(&bytes[end..], text.binary.get()) };
        if from > bytes.len() {
            break;
        }
    }
    if let (Pattern::Regexp(_), true) = (pattern, all) {
        vm.set_last_match(last);
    }
    if !replaced {
        return Ok(vm.string_like(text, bytes));
    }
    out.extend_from_slice(&bytes[copied..]);
    let out = vm.copy(&out)?;
    Ok(vm.string_like(text, out))
}

/// How far to go on behind an empty match.
fn next_char(rest: &[u8], binary: bool) -> usize {
    chars(rest, binary).next().map_or(1, <[u8]>::len)
}

fn write_replacement<'p, 'a>(
    vm: &mut Vm<'p, 'a>,
    replacement: Replacement<'_, 'p, 'a>,
    text: &'a Str<'a>,
    (start, end): (usize, usize),
    found: Option<&'a Match<'a>>,
    out: &mut Vec<u8>,
) -> Eval<'a, ()> {
    let bytes = text.bytes();
    match replacement {
        Replacement::Text(template) => expand(vm, template, bytes, (start, end), found, out),
        Replacement::Hash(hash) => {
            let key = vm.string_like(text, &bytes[start..end]);
            let value = super::super::hash::fetch(vm, hash, key)?;
            let value = to_s(vm, value)?;
            out.extend_from_slice(value);
        }
        Replacement::Block(block) => {
            let matched = vm.string_like(text, &bytes[start..end]);
            let value = vm.yield_one(block, matched)?;
            let value = to_s(vm, value)?;
            out.extend_from_slice(value);
        }
    }
    Ok(())
}

/// Writes a replacement text with its references resolved.
fn expand<'a>(
    vm: &Vm<'_, 'a>,
    template: &[u8],
    bytes: &[u8],
    (start, end): (usize, usize),
    found: Option<&'a Match<'a>>,
    out: &mut Vec<u8>,
) {
    expand_replacement(template, bytes, start..end, out, |group, out| {
        let Some(found) = found else { return };
        match group {
            GroupRef::Number(number) => out.extend_from_slice(found.group(number).unwrap_or_default()),
            GroupRef::Name(name) => {
                let regexp = vm.regexp(found.regexp);
                out.extend_from_slice(found.named(&regexp, name).flatten().unwrap_or_default());
            }
        }
    });
}
