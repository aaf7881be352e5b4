//! Questions about lists: `any?`, `find`, `include?`, `count`, ...

use super::super::{Method, case_equal, method};
use super::each;
use crate::expr::run::{Args, Eval, Vm};
use crate::expr::value::{Value, equal};

pub(super) const METHODS: &[Method] = &[
    method("any?", 0, 1, |vm, receiver, args| Ok(Value::Bool(counted(vm, receiver, args, 1)? > 0))),
    method("none?", 0, 1, |vm, receiver, args| Ok(Value::Bool(counted(vm, receiver, args, 1)? == 0))),
    method("one?", 0, 1, |vm, receiver, args| Ok(Value::Bool(counted(vm, receiver, args, 2)? == 1))),
    method("all?", 0, 1, |vm, receiver, args| {
        let mut all = true;
        each(vm, receiver, |vm, item| {
            all = holds(vm, item, args)?;
            Ok(!all)
        })?;
        Ok(Value::Bool(all))
    }),
    method("count", 0, 1, |vm, receiver, args| {
        let mut count = 0;
        each(vm, receiver, |vm, item| {
            let counts = match (args.get(0), args.block) {
                (Some(value), _) => equal(item, value),
                (None, Some(block)) => vm.yield_one(block, item)?.truthy(),
                (None, None) => true,
            };
            count += i64::from(counts);
            Ok(false)
        })?;
        Ok(Value::Int(count))
    }),
    method("find", 0, 1, |vm, receiver, args| find(vm, receiver, args, "find")),
    method("detect", 0, 1, |vm, receiver, args| find(vm, receiver, args, "detect")),
    method("find_index", 0, 1, |vm, receiver, args| position(vm, receiver, args, "find_index")),
    method("include?", 1, 1, include),
    method("member?", 1, 1, include),
    method("tally", 0, 0, |vm, receiver, _| {
        let counts: &'_ crate::expr::value::Hash<'_> =
            vm.arena().alloc(crate::expr::value::Hash::new(vm.arena()));
        each(vm, receiver, |vm, item| {
            let before = match counts.get(item) {
                Some(Value::Int(before)) => before,
                _ => 0,
            };
            counts.set(vm.arena(), item, Value::Int(before + 1));
            Ok(false)
        })?;
        Ok(Value::Hash(counts))
    }),
];

/// Whether an element passes: the pattern, the block, or being neither nil nor false.
fn holds<'p, 'a>(vm: &mut Vm<'p, 'a>, item: Value<'a>, args: Args<'_, 'p, 'a>) -> Eval<'a, bool> {
    match (args.get(0), args.block) {
        (Some(pattern), _) => case_equal(vm, pattern, item),
        (None, Some(block)) => Ok(vm.yield_one(block, item)?.truthy()),
        (None, None) => Ok(item.truthy()),
    }
}

/// How many elements pass, up to `most`.
fn counted<'p, 'a>(
    vm: &mut Vm<'p, 'a>,
    receiver: Value<'a>,
    args: Args<'_, 'p, 'a>,
    most: usize,
) -> Eval<'a, usize> {
    let mut count = 0;
    each(vm, receiver, |vm, item| {
        count += usize::from(holds(vm, item, args)?);
        Ok(count >= most)
    })?;
    Ok(count)
}

fn find<'p, 'a>(vm: &mut Vm<'p, 'a>, receiver: Value<'a>, args: Args<'_, 'p, 'a>, name: &str) -> Eval<'a> {
    let Some(block) = args.block else { return vm.enumerator(receiver, name, args) };
    let mut found = Value::Nil;
    each(vm, receiver, |vm, item| {
        let hit = vm.yield_one(block, item)?.truthy();
        if hit {
            found = item;
        }
        Ok(hit)
    })?;
    Ok(found)
}

/// The position of the first element that equals the argument or passes the block.
pub(super) fn position<'p, 'a>(
    vm: &mut Vm<'p, 'a>,
    receiver: Value<'a>,
    args: Args<'_, 'p, 'a>,
    name: &str,
) -> Eval<'a> {
    if args.list.is_empty() && args.block.is_none() {
        return vm.enumerator(receiver, name, args);
    }
    let mut at = 0;
    let mut found = Value::Nil;
    each(vm, receiver, |vm, item| {
        let hit = match (args.get(0), args.block) {
            (Some(value), _) => equal(item, value),
            (None, Some(block)) => vm.yield_one(block, item)?.truthy(),
            (None, None) => false,
        };
        if hit {
            found = Value::Int(at);
        }
        at += 1;
        Ok(hit)
    })?;
    Ok(found)
}

fn include<'a>(vm: &mut Vm<'_, 'a>, receiver: Value<'a>, args: Args<'_, '_, 'a>) -> Eval<'a> {
    let mut found = false;
    each(vm, receiver, |_, item| {
        found = equal(item, args.at(0));
        Ok(found)
    })?;
    Ok(Value::Bool(found))
}
