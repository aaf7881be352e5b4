//! Reading a hash.

use super::super::array::dig;
use super::super::{ANY, Method, method};
use super::{hash_of, this};
use crate::expr::run::{Args, Eval, Vm};
use crate::expr::value::{Hash, Value, equal};

pub(super) const METHODS: &[Method] = &[
    method("[]", 1, 1, |vm, receiver, args| {
        let hash = this(vm, receiver)?;
        fetch(vm, hash, args.at(0))
    }),
    method("fetch", 1, 2, |vm, receiver, args| {
        let hash = this(vm, receiver)?;
        match (hash.get(args.at(0)), args.block, args.get(1)) {
            (Some(value), ..) => Ok(value),
            (None, Some(block), _) => vm.yield_one(block, args.at(0)),
            (None, None, Some(default)) => Ok(default),
            (None, None, None) => Err(vm.key_error(args.at(0))),
        }
    }),
    method("dig", 1, ANY, |vm, receiver, args| {
        let hash = this(vm, receiver)?;
        let first = fetch(vm, hash, args.at(0))?;
        dig(vm, first, &args.list[1..])
    }),
    method("key?", 1, 1, has_key),
    method("has_key?", 1, 1, has_key),
    method("include?", 1, 1, has_key),
    method("member?", 1, 1, has_key),
    method("value?", 1, 1, has_value),
    method("has_value?", 1, 1, has_value),
    method("key", 1, 1, |vm, receiver, args| {
        let pairs = this(vm, receiver)?.to_vec();
        vm.step(pairs.len())?;
        let found = pairs.into_iter().find(|(_, value)| equal(*value, args.at(0)));
        Ok(found.map_or(Value::Nil, |(key, _)| key))
    }),
    method("keys", 0, 0, |vm, receiver, _| {
        let keys: Vec<_> = this(vm, receiver)?.to_vec().into_iter().map(|(key, _)| key).collect();
        vm.array(&keys)
    }),
    method("values", 0, 0, |vm, receiver, _| {
        let values: Vec<_> = this(vm, receiver)?.to_vec().into_iter().map(|(_, value)| value).collect();
        vm.array(&values)
    }),
    method("values_at", 0, ANY, |vm, receiver, args| {
        let hash = this(vm, receiver)?;
        let mut values = Vec::new();
        for key in args.list {
            values.push(fetch(vm, hash, *key)?);
        }
        vm.array(&values)
    }),
    method("fetch_values", 0, ANY, |vm, receiver, args| {
        let hash = this(vm, receiver)?;
        let mut values = Vec::new();
        for key in args.list {
            values.push(match (hash.get(*key), args.block) {
                (Some(value), _) => value,
                (None, Some(block)) => vm.yield_one(block, *key)?,
                (None, None) => return Err(vm.key_error(*key)),
            });
        }
        vm.array(&values)
    }),
    method("length", 0, 0, |vm, receiver, _| Ok(Value::Int(this(vm, receiver)?.len() as i64))),
    method("size", 0, 0, |vm, receiver, _| Ok(Value::Int(this(vm, receiver)?.len() as i64))),
    method("empty?", 0, 0, |vm, receiver, _| Ok(Value::Bool(this(vm, receiver)?.len() == 0))),
    method("each", 0, 0, |vm, receiver, args| each(vm, receiver, args, "each")),
    method("each_pair", 0, 0, |vm, receiver, args| each(vm, receiver, args, "each_pair")),
    method("each_key", 0, 0, |vm, receiver, args| {
        let Some(block) = args.block else { return vm.enumerator(receiver, "each_key", args) };
        for (key, _) in this(vm, receiver)?.to_vec() {
            vm.yield_one(block, key)?;
        }
        Ok(receiver)
    }),
    method("each_value", 0, 0, |vm, receiver, args| {
        let Some(block) = args.block else { return vm.enumerator(receiver, "each_value", args) };
        for (_, value) in this(vm, receiver)?.to_vec() {
            vm.yield_one(block, value)?;
        }
        Ok(receiver)
    }),
    method("assoc", 1, 1, |vm, receiver, args| match this(vm, receiver)?.get(args.at(0)) {
        Some(value) => vm.array(&[args.at(0), value]),
        None => Ok(Value::Nil),
    }),
    method("to_h", 0, 0, |vm, receiver, args| match args.block {
        Some(_) => super::super::enumerable::to_h(vm, receiver, args),
        None => Ok(receiver),
    }),
    method("to_hash", 0, 0, |_, receiver, _| Ok(receiver)),
    method("invert", 0, 0, |vm, receiver, _| {
        let inverted: &'_ Hash<'_> = vm.arena().alloc(Hash::new(vm.arena()));
        for (key, value) in this(vm, receiver)?.to_vec() {
            vm.step(1)?;
            inverted.set(vm.arena(), value, key);
        }
        Ok(Value::Hash(inverted))
    }),
    method("default", 0, 1, |vm, receiver, _| Ok(this(vm, receiver)?.default.get())),
    method("<=", 1, 1, |vm, receiver, args| subset(vm, receiver, args.at(0), false)),
    method(">=", 1, 1, |vm, receiver, args| subset(vm, args.at(0), receiver, false)),
    method("<", 1, 1, |vm, receiver, args| subset(vm, receiver, args.at(0), true)),
    method(">", 1, 1, |vm, receiver, args| subset(vm, args.at(0), receiver, true)),
    method("compact", 0, 0, |vm, receiver, _| {
        let mut pairs = this(vm, receiver)?.to_vec();
        pairs.retain(|(_, value)| !value.is_nil());
        hash_of(vm, &pairs)
    }),
];

/// The value of a key, or the hash's default.
pub(in crate::expr::methods) fn fetch<'a>(
    vm: &mut Vm<'_, 'a>,
    hash: &'a Hash<'a>,
    key: Value<'a>,
) -> Eval<'a> {
    match (hash.get(key), hash.default_proc.get()) {
        (Some(value), _) => Ok(value),
        (None, Some(proc)) => vm.call_proc(proc, &[Value::Hash(hash), key]),
        (None, None) => Ok(hash.default.get()),
    }
}

fn has_key<'a>(vm: &mut Vm<'_, 'a>, receiver: Value<'a>, args: Args<'_, '_, 'a>) -> Eval<'a> {
    Ok(Value::Bool(this(vm, receiver)?.get(args.at(0)).is_some()))
}

fn has_value<'a>(vm: &mut Vm<'_, 'a>, receiver: Value<'a>, args: Args<'_, '_, 'a>) -> Eval<'a> {
    let pairs = this(vm, receiver)?.to_vec();
    vm.step(pairs.len())?;
    Ok(Value::Bool(pairs.into_iter().any(|(_, value)| equal(value, args.at(0)))))
}

fn each<'p, 'a>(vm: &mut Vm<'p, 'a>, receiver: Value<'a>, args: Args<'_, 'p, 'a>, name: &str) -> Eval<'a> {
    let Some(block) = args.block else { return vm.enumerator(receiver, name, args) };
    let hash = this(vm, receiver)?;
    let mut at = 0;
    while let Some((key, value)) = hash.pair(at) {
        let pair = vm.array(&[key, value])?;
        vm.yield_one(block, pair)?;
        at += 1;
    }
    Ok(receiver)
}

fn subset<'a>(vm: &mut Vm<'_, 'a>, small: Value<'a>, large: Value<'a>, proper: bool) -> Eval<'a> {
    let (small, large) = (this(vm, small)?, this(vm, large)?);
    vm.step(small.len())?;
    let contained = small
        .to_vec()
        .into_iter()
        .all(|(key, value)| large.get(key).is_some_and(|other| equal(value, other)));
    Ok(Value::Bool(contained && (!proper || small.len() < large.len())))
}
