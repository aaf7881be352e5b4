//! Methods that change a hash.

use super::super::{ANY, Method, method};
use super::select::{chosen, merge, renamed};
use super::{change, this};
use crate::expr::run::{Args, Eval, Vm};
use crate::expr::value::Value;

pub(super) const METHODS: &[Method] = &[
    method("[]=", 2, 2, store).mutates(),
    method("store", 2, 2, store).mutates(),
    method("merge!", 0, ANY, update).mutates(),
    method("update", 0, ANY, update).mutates(),
    method("delete", 1, 1, |vm, receiver, args| {
        let hash = this(vm, receiver)?;
        change(vm, hash)?;
        vm.step(hash.len() / 64)?;
        match (hash.remove(args.at(0)), args.block) {
            (Some(value), _) => Ok(value),
            (None, Some(block)) => vm.yield_one(block, args.at(0)),
            (None, None) => Ok(Value::Nil),
        }
    })
    .mutates(),
    method("delete_if", 0, 0, |vm, receiver, args| filter(vm, receiver, args, false, "delete_if")).mutates(),
    method("reject!", 0, 0, |vm, receiver, args| {
        or_nil(vm, receiver, args, |vm, receiver, args| filter(vm, receiver, args, false, "reject!"))
    })
    .mutates(),
    method("keep_if", 0, 0, |vm, receiver, args| filter(vm, receiver, args, true, "keep_if")).mutates(),
    method("select!", 0, 0, |vm, receiver, args| {
        or_nil(vm, receiver, args, |vm, receiver, args| filter(vm, receiver, args, true, "select!"))
    })
    .mutates(),
    method("filter!", 0, 0, |vm, receiver, args| {
        or_nil(vm, receiver, args, |vm, receiver, args| filter(vm, receiver, args, true, "filter!"))
    })
    .mutates(),
    method("compact!", 0, 0, |vm, receiver, args| {
        or_nil(vm, receiver, args, |vm, receiver, _| {
            let hash = this(vm, receiver)?;
            let mut pairs = hash.to_vec();
            pairs.retain(|(_, value)| !value.is_nil());
            hash.replace(&pairs);
            Ok(receiver)
        })
    })
    .mutates(),
    method("transform_values!", 0, 0, |vm, receiver, args| {
        let Some(block) = args.block else { return vm.enumerator(receiver, "transform_values!", args) };
        let hash = this(vm, receiver)?;
        change(vm, hash)?;
        for (at, (_, value)) in hash.to_vec().into_iter().enumerate() {
            let value = vm.yield_one(block, value)?;
            hash.set_at(at, value);
        }
        Ok(receiver)
    })
    .mutates(),
    method("transform_keys!", 0, 1, |vm, receiver, args| {
        let hash = this(vm, receiver)?;
        change(vm, hash)?;
        let pairs = renamed(vm, hash, args)?;
        hash.replace(&[]);
        for (key, value) in pairs {
            hash.set(vm.arena(), key, value);
        }
        Ok(receiver)
    })
    .mutates(),
    method("clear", 0, 0, |vm, receiver, _| {
        let hash = this(vm, receiver)?;
        change(vm, hash)?;
        hash.replace(&[]);
        Ok(receiver)
    })
    .mutates(),
    method("replace", 1, 1, |vm, receiver, args| {
        let hash = this(vm, receiver)?;
        change(vm, hash)?;
        hash.replace(&this(vm, args.at(0))?.to_vec());
        Ok(receiver)
    })
    .mutates(),
    method("shift", 0, 0, |vm, receiver, _| {
        let hash = this(vm, receiver)?;
        change(vm, hash)?;
        match hash.remove_at(0) {
            Some((key, value)) => vm.array(&[key, value]),
            None => Ok(Value::Nil),
        }
    })
    .mutates(),
    method("default=", 1, 1, |vm, receiver, args| {
        let hash = this(vm, receiver)?;
        change(vm, hash)?;
        hash.default.set(args.at(0));
        hash.default_proc.set(None);
        Ok(args.at(0))
    })
    .mutates(),
];

fn store<'a>(vm: &mut Vm<'_, 'a>, receiver: Value<'a>, args: Args<'_, '_, 'a>) -> Eval<'a> {
    let hash = this(vm, receiver)?;
    change(vm, hash)?;
    vm.charge(std::mem::size_of::<(Value<'_>, Value<'_>)>())?;
    hash.set(vm.arena(), args.at(0), args.at(1));
    Ok(args.at(1))
}

fn update<'p, 'a>(vm: &mut Vm<'p, 'a>, receiver: Value<'a>, args: Args<'_, 'p, 'a>) -> Eval<'a> {
    let hash = this(vm, receiver)?;
    change(vm, hash)?;
    for other in args.list {
        merge(vm, hash, *other, args.block)?;
    }
    Ok(receiver)
}

/// Keeps the pairs for which the block answers `wanted`.
fn filter<'p, 'a>(
    vm: &mut Vm<'p, 'a>,
    receiver: Value<'a>,
    args: Args<'_, 'p, 'a>,
    wanted: bool,
    name: &str,
) -> Eval<'a> {
    let Some(block) = args.block else { return vm.enumerator(receiver, name, args) };
    let hash = this(vm, receiver)?;
    change(vm, hash)?;
    let pairs = chosen(vm, hash, block, wanted)?;
    hash.replace(&pairs);
    Ok(receiver)
}

/// What `method` answers, or nil if it left the hash as large as it was.
fn or_nil<'p, 'a>(
    vm: &mut Vm<'p, 'a>,
    receiver: Value<'a>,
    args: Args<'_, 'p, 'a>,
    method: super::super::Function,
) -> Eval<'a> {
    let hash = this(vm, receiver)?;
    change(vm, hash)?;
    let before = hash.len();
    let answer = method(vm, receiver, args)?;
    let unchanged = hash.len() == before && matches!(answer, Value::Hash(_));
    Ok(if unchanged { Value::Nil } else { answer })
}
