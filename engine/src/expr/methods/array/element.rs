//! Elements of an array and parts of it.

use super::super::string::range_bounds;
use super::super::{ANY, ClassId, Method, method, row};
use super::this;
use crate::expr::run::{Args, Eval, Vm};
use crate::expr::value::{Value, equal};

pub(super) const METHODS: &[Method] = &[
    method("[]", 1, 2, slice),
    method("slice", 1, 2, slice),
    method("at", 1, 1, |vm, receiver, args| {
        let at = vm.int(args.at(0))?;
        Ok(this(vm, receiver)?.at(at).unwrap_or(Value::Nil))
    }),
    method("dig", 1, ANY, |vm, receiver, args| {
        let first = slice(vm, receiver, Args::of(&args.list[..1]))?;
        dig(vm, first, &args.list[1..])
    }),
    method("fetch", 1, 2, |vm, receiver, args| {
        let list = this(vm, receiver)?;
        let at = vm.int(args.at(0))?;
        if let Some(value) = list.at(at) {
            return Ok(value);
        }
        match (args.block, args.get(1)) {
            (Some(block), _) => vm.yield_one(block, args.at(0)),
            (None, Some(default)) => Ok(default),
            (None, None) => {
                let size = list.len() as i64;
                let message = format!("index {at} outside of array bounds: {}...{size}", -size);
                Err(vm.raise(ClassId::IndexError, message))
            }
        }
    }),
    method("values_at", 0, ANY, |vm, receiver, args| {
        let list = this(vm, receiver)?;
        let mut found = Vec::new();
        for at in args.list {
            match at {
                Value::Range(range) => {
                    if let Some((start, end)) = range_bounds(vm, range, list.len())? {
                        found.extend((start..end).map(|at| list.get(at).unwrap_or(Value::Nil)));
                    }
                }
                at => {
                    let at = vm.int(*at)?;
                    found.push(list.at(at).unwrap_or(Value::Nil));
                }
            }
        }
        vm.array(&found)
    }),
    method("first", 0, 1, |vm, receiver, args| {
        let list = this(vm, receiver)?;
        match args.get(0) {
            None => Ok(list.get(0).unwrap_or(Value::Nil)),
            Some(count) => {
                let count = vm.count(count, "negative array size")?.min(list.len());
                vm.array(&list.to_vec()[..count])
            }
        }
    }),
    method("last", 0, 1, |vm, receiver, args| {
        let list = this(vm, receiver)?;
        match args.get(0) {
            None => Ok(list.at(-1).unwrap_or(Value::Nil)),
            Some(count) => {
                let count = vm.count(count, "negative array size")?.min(list.len());
                vm.array(&list.to_vec()[list.len() - count..])
            }
        }
    }),
    method("length", 0, 0, |vm, receiver, _| Ok(Value::Int(this(vm, receiver)?.len() as i64))),
    method("size", 0, 0, |vm, receiver, _| Ok(Value::Int(this(vm, receiver)?.len() as i64))),
    method("empty?", 0, 0, |vm, receiver, _| Ok(Value::Bool(this(vm, receiver)?.len() == 0))),
    method("index", 0, 1, |vm, receiver, args| match row("find_index") {
        Some(row) => vm.call(receiver, row, args),
        None => Ok(Value::Nil),
    }),
    method("rindex", 0, 1, |vm, receiver, args| {
        let list = this(vm, receiver)?.to_vec();
        for (at, item) in list.into_iter().enumerate().rev() {
            vm.step(1)?;
            let hit = match (args.get(0), args.block) {
                (Some(value), _) => equal(item, value),
                (None, Some(block)) => vm.yield_one(block, item)?.truthy(),
                (None, None) => return vm.enumerator(receiver, "rindex", args),
            };
            if hit {
                return Ok(Value::Int(at as i64));
            }
        }
        Ok(Value::Nil)
    }),
    method("each_index", 0, 0, |vm, receiver, args| {
        let Some(block) = args.block else { return vm.enumerator(receiver, "each_index", args) };
        let list = this(vm, receiver)?;
        let mut at = 0;
        while at < list.len() {
            vm.yield_one(block, Value::Int(at as i64))?;
            at += 1;
        }
        Ok(receiver)
    }),
    method("assoc", 1, 1, |vm, receiver, args| {
        let list = this(vm, receiver)?.to_vec();
        let found = list.into_iter().find(|item| match item {
            Value::Array(pair) => pair.get(0).is_some_and(|key| equal(key, args.at(0))),
            _ => false,
        });
        Ok(found.unwrap_or(Value::Nil))
    }),
    method("to_ary", 0, 0, |_, receiver, _| Ok(receiver)),
    method("to_a", 0, 0, |_, receiver, _| Ok(receiver)),
    method("bsearch", 0, 0, |vm, receiver, args| {
        let Some(block) = args.block else { return vm.enumerator(receiver, "bsearch", args) };
        let list = this(vm, receiver)?.to_vec();
        let (mut low, mut high) = (0, list.len());
        let mut found = Value::Nil;
        while low < high {
            let middle = (low + high) / 2;
            match vm.yield_one(block, list[middle])? {
                Value::Bool(true) | Value::Int(0) => {
                    found = list[middle];
                    high = middle;
                }
                Value::Int(order) if order < 0 => high = middle,
                _ => low = middle + 1,
            }
        }
        Ok(found)
    }),
    method("sample", 0, 1, |vm, receiver, _| {
        let list = this(vm, receiver)?;
        let at = crate::expr::methods::random::below(list.len() as u64);
        Ok(list.get(at as usize).unwrap_or(Value::Nil))
    })
    .impure(),
];

/// `list[index]`, `list[start, length]`, `list[range]`
fn slice<'a>(vm: &mut Vm<'_, 'a>, receiver: Value<'a>, args: Args<'_, '_, 'a>) -> Eval<'a> {
    let list = this(vm, receiver)?;
    if let (Value::Int(at), None) = (args.at(0), args.get(1)) {
        return Ok(list.at(at).unwrap_or(Value::Nil));
    }
    let bounds = match (args.at(0), args.get(1)) {
        (Value::Range(range), None) => range_bounds(vm, range, list.len())?,
        (at, None) => {
            let at = vm.int(at)?;
            return Ok(list.at(at).unwrap_or(Value::Nil));
        }
        (start, Some(count)) => {
            let (start, count) = (vm.int(start)?, vm.int(count)?);
            let start = if start < 0 { start + list.len() as i64 } else { start };
            match (usize::try_from(start), usize::try_from(count)) {
                (Ok(start), Ok(count)) if start <= list.len() => {
                    Some((start, start.saturating_add(count).min(list.len())))
                }
                _ => None,
            }
        }
    };
    match bounds {
        Some((start, end)) => vm.array(&list.to_vec()[start..end]),
        None => Ok(Value::Nil),
    }
}

/// Follows keys from value to value; nil ends the way.
pub(in crate::expr::methods) fn dig<'a>(
    vm: &mut Vm<'_, 'a>,
    value: Value<'a>,
    keys: &[Value<'a>],
) -> Eval<'a> {
    if keys.is_empty() || value.is_nil() {
        return Ok(value);
    }
    match (value, row("dig")) {
        (Value::Hash(_) | Value::Array(_), Some(row)) => vm.call(value, row, Args::of(keys)),
        _ => Err(vm.type_error(format!("{} does not have #dig method", value.class().name()))),
    }
}
