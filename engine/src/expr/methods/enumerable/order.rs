//! Order: `sort`, `min`, `max_by`, ...

use super::super::list::items;
use super::super::{Method, method};
use super::need_block;
use crate::expr::run::{Args, Block, Eval, Vm};
use crate::expr::value::Value;
use std::cmp::Ordering;

pub(super) const METHODS: &[Method] = &[
    method("sort", 0, 0, |vm, receiver, args| {
        let list = items(vm, receiver)?;
        let list = sorted(vm, list, args.block)?;
        vm.array(&list)
    }),
    method("sort_by", 0, 0, |vm, receiver, args| {
        let Some(block) = args.block else { return vm.enumerator(receiver, "sort_by", args) };
        let list = items(vm, receiver)?;
        let list = by_block(vm, list, block)?;
        vm.array(&list)
    }),
    method("min", 0, 1, |vm, receiver, args| extreme(vm, receiver, args, Ordering::Less)),
    method("max", 0, 1, |vm, receiver, args| extreme(vm, receiver, args, Ordering::Greater)),
    method("minmax", 0, 0, |vm, receiver, args| {
        let min = extreme(vm, receiver, args, Ordering::Less)?;
        let max = extreme(vm, receiver, args, Ordering::Greater)?;
        vm.array(&[min, max])
    }),
    method("min_by", 0, 1, |vm, receiver, args| extreme_by(vm, receiver, args, Ordering::Less, "min_by")),
    method("max_by", 0, 1, |vm, receiver, args| extreme_by(vm, receiver, args, Ordering::Greater, "max_by")),
    method("minmax_by", 0, 0, |vm, receiver, args| {
        let min = extreme_by(vm, receiver, args, Ordering::Less, "minmax_by")?;
        let max = extreme_by(vm, receiver, args, Ordering::Greater, "minmax_by")?;
        vm.array(&[min, max])
    }),
];

/// The elements in order; the block compares two.
pub(in crate::expr::methods) fn sorted<'p, 'a>(
    vm: &mut Vm<'p, 'a>,
    list: Vec<Value<'a>>,
    block: Option<Block<'_, 'p, 'a>>,
) -> Eval<'a, Vec<Value<'a>>> {
    merge_sort(vm, list, &mut |vm, a, b| match block {
        Some(block) => {
            let answer = vm.yield_to(block, &[*a, *b])?;
            vm.block_order(answer, *a, *b)
        }
        None => vm.order(*a, *b),
    })
}

/// The elements in the order of what the block makes of them.
pub(in crate::expr::methods) fn by_block<'p, 'a>(
    vm: &mut Vm<'p, 'a>,
    list: Vec<Value<'a>>,
    block: Block<'_, 'p, 'a>,
) -> Eval<'a, Vec<Value<'a>>> {
    let mut keyed = Vec::with_capacity(list.len());
    for item in list {
        keyed.push((vm.yield_one(block, item)?, item));
    }
    let keyed = merge_sort(vm, keyed, &mut |vm, a, b| vm.order(a.0, b.0))?;
    Ok(keyed.into_iter().map(|(_, item)| item).collect())
}

/// How two elements of a sort are compared.
type Compare<'c, 'p, 'a, T> = dyn FnMut(&mut Vm<'p, 'a>, &T, &T) -> Eval<'a, Ordering> + 'c;

/// A stable sort whose comparison may fail, and may contradict itself.
fn merge_sort<'p, 'a, T: Copy>(
    vm: &mut Vm<'p, 'a>,
    mut list: Vec<T>,
    compare: &mut Compare<'_, 'p, 'a, T>,
) -> Eval<'a, Vec<T>> {
    let mut width = 1;
    while width < list.len() {
        let mut merged = Vec::with_capacity(list.len());
        for pair in list.chunks(width * 2) {
            let (mut left, mut right) = pair.split_at(width.min(pair.len()));
            while let (Some(a), Some(b)) = (left.first(), right.first()) {
                vm.step(1)?;
                if compare(vm, a, b)?.is_gt() {
                    merged.push(*b);
                    right = &right[1..];
                } else {
                    merged.push(*a);
                    left = &left[1..];
                }
            }
            merged.extend_from_slice(left);
            merged.extend_from_slice(right);
        }
        list = merged;
        width *= 2;
    }
    Ok(list)
}

/// The smallest or largest element, or as many as the argument says.
fn extreme<'p, 'a>(
    vm: &mut Vm<'p, 'a>,
    receiver: Value<'a>,
    args: Args<'_, 'p, 'a>,
    wanted: Ordering,
) -> Eval<'a> {
    let list = items(vm, receiver)?;
    if let Some(count) = args.given(0) {
        let count = vm.count(count, "negative size")?;
        let mut list = sorted(vm, list, args.block)?;
        if wanted == Ordering::Greater {
            list.reverse();
        }
        list.truncate(count);
        return vm.array(&list);
    }
    let mut best: Option<Value<'a>> = None;
    for item in list {
        vm.step(1)?;
        let better = match best {
            None => true,
            Some(best) => {
                let order = match args.block {
                    Some(block) => {
                        let answer = vm.yield_to(block, &[item, best])?;
                        vm.block_order(answer, item, best)?
                    }
                    // Arrays ask what they have, others what they find, which shows in the message of an error.
                    None if matches!(receiver, Value::Array(_)) => vm.order(best, item)?.reverse(),
                    None => vm.order(item, best)?,
                };
                order == wanted
            }
        };
        if better {
            best = Some(item);
        }
    }
    Ok(best.unwrap_or(Value::Nil))
}

fn extreme_by<'p, 'a>(
    vm: &mut Vm<'p, 'a>,
    receiver: Value<'a>,
    args: Args<'_, 'p, 'a>,
    wanted: Ordering,
    name: &str,
) -> Eval<'a> {
    if args.block.is_none() {
        return vm.enumerator(receiver, name, args);
    }
    let block = need_block(vm, args)?;
    let list = items(vm, receiver)?;
    if let Some(count) = args.given(0) {
        let count = vm.count(count, "negative size")?;
        let mut list = by_block(vm, list, block)?;
        if wanted == Ordering::Greater {
            list.reverse();
        }
        list.truncate(count);
        return vm.array(&list);
    }
    let mut best: Option<(Value<'a>, Value<'a>)> = None;
    for item in list {
        let key = vm.yield_one(block, item)?;
        let better = match best {
            None => true,
            Some((best, _)) => vm.order(key, best)? == wanted,
        };
        if better {
            best = Some((key, item));
        }
    }
    Ok(best.map_or(Value::Nil, |(_, item)| item))
}
