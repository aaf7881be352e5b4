//! Lists made of lists: `map`, `select`, `flat_map`, `to_h`, `zip`, ...

use super::super::list::items;
use super::super::{ANY, ClassId, Method, case_equal, method};
use super::{each, need_block};
use crate::expr::run::{Args, Eval, Vm};
use crate::expr::value::{Hash, Value};

pub(super) const METHODS: &[Method] = &[
    method("map", 0, 0, |vm, receiver, args| map(vm, receiver, args, "map")),
    method("collect", 0, 0, |vm, receiver, args| map(vm, receiver, args, "collect")),
    method("flat_map", 0, 0, |vm, receiver, args| flat_map(vm, receiver, args, "flat_map")),
    method("collect_concat", 0, 0, |vm, receiver, args| flat_map(vm, receiver, args, "collect_concat")),
    method("select", 0, 0, |vm, receiver, args| choose(vm, receiver, args, true, "select")),
    method("filter", 0, 0, |vm, receiver, args| choose(vm, receiver, args, true, "filter")),
    method("find_all", 0, 0, |vm, receiver, args| choose(vm, receiver, args, true, "find_all")),
    method("reject", 0, 0, |vm, receiver, args| choose(vm, receiver, args, false, "reject")),
    method("filter_map", 0, 0, |vm, receiver, args| {
        let Some(block) = args.block else { return vm.enumerator(receiver, "filter_map", args) };
        let mut list = Vec::new();
        each(vm, receiver, |vm, item| {
            let value = vm.yield_one(block, item)?;
            if value.truthy() {
                list.push(value);
            }
            Ok(false)
        })?;
        vm.array(&list)
    }),
    method("grep", 1, 1, |vm, receiver, args| grep(vm, receiver, args, true)),
    method("grep_v", 1, 1, |vm, receiver, args| grep(vm, receiver, args, false)),
    method("compact", 0, 0, |vm, receiver, _| {
        let list: Vec<_> = items(vm, receiver)?.into_iter().filter(|item| !item.is_nil()).collect();
        vm.array(&list)
    }),
    method("partition", 0, 0, |vm, receiver, args| {
        let Some(block) = args.block else { return vm.enumerator(receiver, "partition", args) };
        let (mut yes, mut no) = (Vec::new(), Vec::new());
        each(vm, receiver, |vm, item| {
            let chosen = vm.yield_one(block, item)?.truthy();
            if chosen {
                yes.push(item)
            } else {
                no.push(item)
            }
            Ok(false)
        })?;
        let (yes, no) = (vm.array(&yes)?, vm.array(&no)?);
        vm.array(&[yes, no])
    }),
    method("to_a", 0, 0, entries),
    method("entries", 0, 0, entries),
    method("to_h", 0, 0, to_h),
    method("uniq", 0, 0, |vm, receiver, args| {
        let list = uniq(vm, receiver, args)?;
        vm.array(&list)
    }),
    method("zip", 0, ANY, zip),
    method("each_with_index", 0, 0, |vm, receiver, args| {
        let Some(block) = args.block else { return vm.enumerator(receiver, "each_with_index", args) };
        let mut at = 0;
        each(vm, receiver, |vm, item| {
            vm.yield_to(block, &[item, Value::Int(at)])?;
            at += 1;
            Ok(false)
        })?;
        Ok(receiver)
    }),
    method("each_with_object", 1, 1, |vm, receiver, args| {
        let Some(block) = args.block else { return vm.enumerator(receiver, "each_with_object", args) };
        each(vm, receiver, |vm, item| {
            vm.yield_to(block, &[item, args.at(0)])?;
            Ok(false)
        })?;
        Ok(args.at(0))
    }),
    method("each_entry", 0, 0, |vm, receiver, args| each_item(vm, receiver, args, "each_entry")),
    method("each", 0, 0, |vm, receiver, args| each_item(vm, receiver, args, "each")),
    method("reverse_each", 0, 0, |vm, receiver, args| {
        let Some(block) = args.block else { return vm.enumerator(receiver, "reverse_each", args) };
        for item in items(vm, receiver)?.into_iter().rev() {
            vm.yield_one(block, item)?;
        }
        Ok(receiver)
    }),
    method("cycle", 0, 1, |vm, receiver, args| {
        let Some(block) = args.block else { return vm.enumerator(receiver, "cycle", args) };
        let rounds = match args.given(0) {
            Some(rounds) => vm.int(rounds)?,
            None => i64::MAX,
        };
        for _ in 0..rounds {
            let list = items(vm, receiver)?;
            if list.is_empty() {
                break;
            }
            for item in list {
                vm.yield_one(block, item)?;
            }
        }
        Ok(Value::Nil)
    }),
];

fn each_item<'p, 'a>(
    vm: &mut Vm<'p, 'a>,
    receiver: Value<'a>,
    args: Args<'_, 'p, 'a>,
    name: &str,
) -> Eval<'a> {
    let Some(block) = args.block else { return vm.enumerator(receiver, name, args) };
    each(vm, receiver, |vm, item| {
        vm.yield_one(block, item)?;
        Ok(false)
    })?;
    Ok(receiver)
}

fn map<'p, 'a>(vm: &mut Vm<'p, 'a>, receiver: Value<'a>, args: Args<'_, 'p, 'a>, name: &str) -> Eval<'a> {
    let Some(block) = args.block else { return vm.enumerator(receiver, name, args) };
    let mut list = Vec::new();
    each(vm, receiver, |vm, item| {
        list.push(vm.yield_one(block, item)?);
        Ok(false)
    })?;
    vm.array(&list)
}

fn flat_map<'p, 'a>(
    vm: &mut Vm<'p, 'a>,
    receiver: Value<'a>,
    args: Args<'_, 'p, 'a>,
    name: &str,
) -> Eval<'a> {
    let Some(block) = args.block else { return vm.enumerator(receiver, name, args) };
    let mut list = Vec::new();
    each(vm, receiver, |vm, item| {
        match vm.yield_one(block, item)? {
            Value::Array(inner) => list.extend(inner.to_vec()),
            other => list.push(other),
        }
        Ok(false)
    })?;
    vm.array(&list)
}

fn choose<'p, 'a>(
    vm: &mut Vm<'p, 'a>,
    receiver: Value<'a>,
    args: Args<'_, 'p, 'a>,
    wanted: bool,
    name: &str,
) -> Eval<'a> {
    let Some(block) = args.block else { return vm.enumerator(receiver, name, args) };
    let mut list = Vec::new();
    each(vm, receiver, |vm, item| {
        if vm.yield_one(block, item)?.truthy() == wanted {
            list.push(item);
        }
        Ok(false)
    })?;
    vm.array(&list)
}

fn grep<'p, 'a>(vm: &mut Vm<'p, 'a>, receiver: Value<'a>, args: Args<'_, 'p, 'a>, wanted: bool) -> Eval<'a> {
    let mut list = Vec::new();
    each(vm, receiver, |vm, item| {
        if case_equal(vm, args.at(0), item)? == wanted {
            list.push(match args.block {
                Some(block) => vm.yield_one(block, item)?,
                None => item,
            });
        }
        Ok(false)
    })?;
    vm.array(&list)
}

fn entries<'a>(vm: &mut Vm<'_, 'a>, receiver: Value<'a>, _: Args<'_, '_, 'a>) -> Eval<'a> {
    let list = items(vm, receiver)?;
    vm.array(&list)
}

/// A hash of pairs, or of the pairs that the block makes.
pub(in crate::expr::methods) fn to_h<'p, 'a>(
    vm: &mut Vm<'p, 'a>,
    receiver: Value<'a>,
    args: Args<'_, 'p, 'a>,
) -> Eval<'a> {
    let hash: &'a Hash<'a> = vm.arena().alloc(Hash::new(vm.arena()));
    let mut at = 0;
    each(vm, receiver, |vm, item| {
        let pair = match args.block {
            Some(block) => vm.yield_one(block, item)?,
            None => item,
        };
        let Value::Array(pair) = pair else {
            let class = pair.class().name();
            return Err(match args.block {
                Some(_) => vm.type_error(format!("wrong element type {class} (expected array)")),
                None => vm.type_error(format!("wrong element type {class} at {at} (expected array)")),
            });
        };
        let (Some(key), Some(value), 2) = (pair.get(0), pair.get(1), pair.len()) else {
            let place = if args.block.is_some() { String::new() } else { format!(" at {at}") };
            let message = match args.block {
                Some(_) => format!("element has wrong array length (expected 2, was {})", pair.len()),
                None => format!("wrong array length{place} (expected 2, was {})", pair.len()),
            };
            return Err(vm.raise(ClassId::ArgumentError, message));
        };
        hash.set(vm.arena(), key, value);
        at += 1;
        Ok(false)
    })?;
    Ok(Value::Hash(hash))
}

/// The elements of which the value, or what the block makes of it, comes for the first time.
pub(in crate::expr::methods) fn uniq<'p, 'a>(
    vm: &mut Vm<'p, 'a>,
    receiver: Value<'a>,
    args: Args<'_, 'p, 'a>,
) -> Eval<'a, Vec<Value<'a>>> {
    let seen = Hash::new(vm.arena());
    let mut list = Vec::new();
    each(vm, receiver, |vm, item| {
        let key = match args.block {
            Some(block) => vm.yield_one(block, item)?,
            None => item,
        };
        if seen.get(key).is_none() {
            seen.set(vm.arena(), key, Value::Bool(true));
            list.push(item);
        }
        Ok(false)
    })?;
    Ok(list)
}

fn zip<'p, 'a>(vm: &mut Vm<'p, 'a>, receiver: Value<'a>, args: Args<'_, 'p, 'a>) -> Eval<'a> {
    let mut others = Vec::new();
    for arg in args.list {
        others.push(items(vm, *arg)?);
    }
    let mut rows = Vec::new();
    for (at, item) in items(vm, receiver)?.into_iter().enumerate() {
        let mut row = vec![item];
        row.extend(others.iter().map(|other| other.get(at).copied().unwrap_or(Value::Nil)));
        rows.push(vm.array(&row)?);
    }
    match args.block {
        Some(_) => {
            let block = need_block(vm, args)?;
            for row in rows {
                vm.yield_one(block, row)?;
            }
            Ok(Value::Nil)
        }
        None => vm.array(&rows),
    }
}
