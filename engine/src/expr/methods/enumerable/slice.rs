//! Parts of lists: `first`, `take_while`, `each_slice`, `chunk_while`, ...

use super::super::list::items;
use super::super::{Method, method};
use super::{each, need_block};
use crate::expr::run::{Args, Eval, Vm};
use crate::expr::value::Value;

pub(super) const METHODS: &[Method] = &[
    method("first", 0, 1, |vm, receiver, args| match args.get(0) {
        None => {
            let mut first = Value::Nil;
            each(vm, receiver, |_, item| {
                first = item;
                Ok(true)
            })?;
            Ok(first)
        }
        Some(count) => take(vm, receiver, count),
    }),
    method("take", 1, 1, |vm, receiver, args| take(vm, receiver, args.at(0))),
    method("drop", 1, 1, |vm, receiver, args| {
        let count = vm.count(args.at(0), "attempt to drop negative size")?;
        let list = items(vm, receiver)?;
        vm.array(list.get(count..).unwrap_or_default())
    }),
    method("take_while", 0, 0, |vm, receiver, args| {
        let Some(block) = args.block else { return vm.enumerator(receiver, "take_while", args) };
        let mut list = Vec::new();
        each(vm, receiver, |vm, item| {
            let goes_on = vm.yield_one(block, item)?.truthy();
            if goes_on {
                list.push(item);
            }
            Ok(!goes_on)
        })?;
        vm.array(&list)
    }),
    method("drop_while", 0, 0, |vm, receiver, args| {
        let Some(block) = args.block else { return vm.enumerator(receiver, "drop_while", args) };
        let mut list = Vec::new();
        let mut dropping = true;
        each(vm, receiver, |vm, item| {
            dropping = dropping && vm.yield_one(block, item)?.truthy();
            if !dropping {
                list.push(item);
            }
            Ok(false)
        })?;
        vm.array(&list)
    }),
    method("each_slice", 1, 1, |vm, receiver, args| {
        let Some(block) = args.block else { return vm.enumerator(receiver, "each_slice", args) };
        let size = size(vm, args, "invalid slice size")?;
        for slice in items(vm, receiver)?.chunks(size) {
            let slice = vm.array(slice)?;
            vm.yield_one(block, slice)?;
        }
        Ok(receiver)
    }),
    method("each_cons", 1, 1, |vm, receiver, args| {
        let Some(block) = args.block else { return vm.enumerator(receiver, "each_cons", args) };
        let size = size(vm, args, "invalid size")?;
        for slice in items(vm, receiver)?.windows(size) {
            let slice = vm.array(slice)?;
            vm.yield_one(block, slice)?;
        }
        Ok(receiver)
    }),
    method("chunk_while", 0, 0, |vm, receiver, args| chunks(vm, receiver, args, false)),
    method("slice_when", 0, 0, |vm, receiver, args| chunks(vm, receiver, args, true)),
];

fn size<'a>(vm: &Vm<'_, 'a>, args: Args<'_, '_, 'a>, message: &str) -> Eval<'a, usize> {
    match vm.count(args.at(0), message)? {
        0 => Err(vm.argument_error(message)),
        size => Ok(size),
    }
}

fn take<'a>(vm: &mut Vm<'_, 'a>, receiver: Value<'a>, count: Value<'a>) -> Eval<'a> {
    let count = vm.count(count, "attempt to take negative size")?;
    let mut list = Vec::new();
    if count > 0 {
        each(vm, receiver, |_, item| {
            list.push(item);
            Ok(list.len() >= count)
        })?;
    }
    vm.array(&list)
}

/// Lists of neighbours between which the block does not answer `cut`. Ruby answers an enumerator of them.
fn chunks<'p, 'a>(vm: &mut Vm<'p, 'a>, receiver: Value<'a>, args: Args<'_, 'p, 'a>, cut: bool) -> Eval<'a> {
    let block = need_block(vm, args)?;
    let mut chunks = Vec::new();
    let mut chunk: Vec<Value<'a>> = Vec::new();
    for item in items(vm, receiver)? {
        if let Some(last) = chunk.last()
            && vm.yield_to(block, &[*last, item])?.truthy() == cut
        {
            chunks.push(vm.array(&chunk)?);
            chunk.clear();
        }
        chunk.push(item);
    }
    if !chunk.is_empty() {
        chunks.push(vm.array(&chunk)?);
    }
    vm.array(&chunks)
}
