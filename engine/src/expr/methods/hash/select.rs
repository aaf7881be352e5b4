//! Hashes made of hashes.

use super::super::{ANY, Method, method};
use super::{hash_of, this};
use crate::expr::run::{Args, Block, Eval, Vm};
use crate::expr::value::{Hash, Value};

pub(super) const METHODS: &[Method] = &[
    method("select", 0, 0, |vm, receiver, args| choose(vm, receiver, args, true, "select")),
    method("filter", 0, 0, |vm, receiver, args| choose(vm, receiver, args, true, "filter")),
    method("reject", 0, 0, |vm, receiver, args| choose(vm, receiver, args, false, "reject")),
    method("slice", 0, ANY, |vm, receiver, args| {
        let hash = this(vm, receiver)?;
        let kept: &'_ Hash<'_> = vm.arena().alloc(Hash::new(vm.arena()));
        for key in args.list {
            if let Some(value) = hash.get(*key) {
                kept.set(vm.arena(), *key, value);
            }
        }
        Ok(Value::Hash(kept))
    }),
    method("except", 0, ANY, |vm, receiver, args| {
        let mut pairs = this(vm, receiver)?.to_vec();
        vm.step(pairs.len() * (args.list.len() + 1) / 8)?;
        pairs.retain(|(key, _)| !args.list.iter().any(|other| crate::expr::value::eql(*key, *other)));
        hash_of(vm, &pairs)
    }),
    method("transform_values", 0, 0, |vm, receiver, args| {
        let Some(block) = args.block else { return vm.enumerator(receiver, "transform_values", args) };
        let mut pairs = this(vm, receiver)?.to_vec();
        for (_, value) in &mut pairs {
            *value = vm.yield_one(block, *value)?;
        }
        hash_of(vm, &pairs)
    }),
    method("transform_keys", 0, 1, |vm, receiver, args| {
        if args.block.is_none() && args.list.is_empty() {
            return vm.enumerator(receiver, "transform_keys", args);
        }
        let pairs = renamed(vm, this(vm, receiver)?, args)?;
        let hash: &'_ Hash<'_> = vm.arena().alloc(Hash::new(vm.arena()));
        for (key, value) in pairs {
            hash.set(vm.arena(), key, value);
        }
        Ok(Value::Hash(hash))
    }),
    method("merge", 0, ANY, |vm, receiver, args| {
        let hash = this(vm, receiver)?;
        let merged = hash_of(vm, &hash.to_vec())?;
        let new = this(vm, merged)?;
        new.default.set(hash.default.get());
        new.default_proc.set(hash.default_proc.get());
        for other in args.list {
            merge(vm, new, *other, args.block)?;
        }
        Ok(merged)
    }),
    method("any?", 0, 1, |vm, receiver, args| {
        let hash = this(vm, receiver)?;
        let Some(block) = args.block else {
            if let Some(pattern) = args.get(0) {
                for (key, value) in hash.to_vec() {
                    let pair = vm.array(&[key, value])?;
                    if super::super::case_equal(vm, pattern, pair)? {
                        return Ok(Value::Bool(true));
                    }
                }
                return Ok(Value::Bool(false));
            }
            return Ok(Value::Bool(hash.len() > 0));
        };
        for (key, value) in hash.to_vec() {
            let pair = vm.array(&[key, value])?;
            if vm.yield_one(block, pair)?.truthy() {
                return Ok(Value::Bool(true));
            }
        }
        Ok(Value::Bool(false))
    }),
];

fn choose<'p, 'a>(
    vm: &mut Vm<'p, 'a>,
    receiver: Value<'a>,
    args: Args<'_, 'p, 'a>,
    wanted: bool,
    name: &str,
) -> Eval<'a> {
    let Some(block) = args.block else { return vm.enumerator(receiver, name, args) };
    let pairs = chosen(vm, this(vm, receiver)?, block, wanted)?;
    hash_of(vm, &pairs)
}

/// The pairs for which the block answers `wanted`.
pub(super) fn chosen<'p, 'a>(
    vm: &mut Vm<'p, 'a>,
    hash: &'a Hash<'a>,
    block: Block<'_, 'p, 'a>,
    wanted: bool,
) -> Eval<'a, Vec<(Value<'a>, Value<'a>)>> {
    let mut kept = Vec::new();
    for (key, value) in hash.to_vec() {
        if vm.yield_to(block, &[key, value])?.truthy() == wanted {
            kept.push((key, value));
        }
    }
    Ok(kept)
}

/// The pairs with the keys that a hash or a block gives instead.
pub(super) fn renamed<'p, 'a>(
    vm: &mut Vm<'p, 'a>,
    hash: &'a Hash<'a>,
    args: Args<'_, 'p, 'a>,
) -> Eval<'a, Vec<(Value<'a>, Value<'a>)>> {
    let names = match args.get(0) {
        Some(names) => Some(this(vm, names)?),
        None => None,
    };
    let mut pairs = hash.to_vec();
    for (key, _) in &mut pairs {
        let new = names.and_then(|names| names.get(*key));
        *key = match (new, args.block) {
            (Some(new), _) => new,
            (None, Some(block)) => vm.yield_one(block, *key)?,
            (None, None) => *key,
        };
    }
    Ok(pairs)
}

/// Sets the pairs of `other`; the block decides between two values of one key.
pub(super) fn merge<'p, 'a>(
    vm: &mut Vm<'p, 'a>,
    hash: &'a Hash<'a>,
    other: Value<'a>,
    block: Option<Block<'_, 'p, 'a>>,
) -> Eval<'a, ()> {
    for (key, value) in this(vm, other)?.to_vec() {
        vm.step(1)?;
        let value = match (block, hash.get(key)) {
            (Some(block), Some(old)) => vm.yield_to(block, &[key, old, value])?,
            _ => value,
        };
        vm.charge(std::mem::size_of::<(Value<'_>, Value<'_>)>())?;
        hash.set(vm.arena(), key, value);
    }
    Ok(())
}
