//! Classes as objects, and `new` of the built-in ones.

use super::{ANY, Method, method};
use crate::expr::run::{Args, Block, Eval, Vm};
use crate::expr::value::{Hash, Proc, ProcCode, Str, Value, to_s};

/// Methods of all classes and modules.
pub(super) const METHODS: &[Method] = &[
    method("name", 0, 0, |vm, receiver, _| {
        let name = to_s(vm, receiver)?;
        Ok(vm.string(name))
    }),
    method("===", 1, 1, |_, receiver, args| match receiver {
        Value::Class(class) => Ok(Value::Bool(args.at(0).class().is_a(class))),
        _ => Ok(Value::Bool(false)),
    }),
    method("<", 1, 1, |_, receiver, args| Ok(descends(receiver, args.at(0), true))),
    method("<=", 1, 1, |_, receiver, args| Ok(descends(receiver, args.at(0), false))),
];

/// String.
pub(super) const STRING: &[Method] = &[method("new", 0, 2, |vm, _, args| {
    let text = match args.get(0) {
        Some(Value::Str(text)) => text.bytes(),
        None | Some(Value::Hash(_)) => b"",
        Some(other) => return Err(vm.no_conversion(other, "String")),
    };
    Ok(Value::Str(vm.arena().alloc(Str::new(text))))
})];

/// Array.
pub(super) const ARRAY: &[Method] = &[
    method("new", 0, 2, |vm, _, args| {
        let count = match args.get(0) {
            None => 0,
            Some(Value::Array(list)) => return vm.array(&list.to_vec()),
            Some(count) => vm.count(count, "negative array size")?,
        };
        vm.step(count)?;
        vm.charge(count.saturating_mul(std::mem::size_of::<Value<'_>>()))?;
        let mut list = vec![args.at(1); count];
        if let Some(block) = args.block {
            for (at, place) in list.iter_mut().enumerate() {
                *place = vm.yield_one(block, Value::Int(at as i64))?;
            }
        }
        vm.array(&list)
    }),
    method("[]", 0, ANY, |vm, _, args| vm.array(args.list)),
];

/// Hash.
pub(super) const HASH: &[Method] = &[
    method("new", 0, 1, |vm, _, args| {
        let hash = Hash::new(vm.arena());
        hash.default.set(args.at(0));
        if let Some(block) = args.block {
            hash.default_proc.set(Some(kept(vm, block)?));
        }
        Ok(Value::Hash(vm.arena().alloc(hash)))
    }),
    method("[]", 0, ANY, |vm, _, args| {
        let hash: &'_ Hash<'_> = vm.arena().alloc(Hash::new(vm.arena()));
        match args.list {
            [Value::Hash(other)] => hash.replace(&other.to_vec()),
            [list @ Value::Array(_)] => return super::enumerable::to_h(vm, *list, Args::of(&[])),
            list if list.len() % 2 == 0 => {
                for pair in list.chunks(2) {
                    hash.set(vm.arena(), pair[0], pair[1]);
                }
            }
            _ => return Err(vm.argument_error("odd number of arguments for Hash")),
        }
        Ok(Value::Hash(hash))
    }),
];

/// Range.
pub(super) const RANGE: &[Method] = &[method("new", 2, 3, |vm, _, args| {
    vm.range(args.at(0), args.at(1), args.get(2).is_some_and(Value::truthy))
})];

/// Proc.
pub(super) const PROC: &[Method] = &[method("new", 0, 0, |vm, _, args| match args.block {
    Some(block) => Ok(Value::Proc(kept(vm, block)?)),
    None => Err(vm.argument_error("tried to create Proc object without a block")),
})];

/// Integer.
pub(super) const INTEGER: &[Method] = &[method("sqrt", 1, 1, |vm, _, args| {
    let value = match super::kernel::to_integer(vm, args.at(0), 10, true)?.to_bigint() {
        Some(value) if value.sign() != num_bigint::Sign::Minus => value,
        _ => return Err(vm.argument_error("Numerical argument is out of domain - \"isqrt\"")),
    };
    Ok(Value::big(vm.arena(), &value.sqrt()))
})];

/// A block as an object that can be called later.
fn kept<'p, 'a>(vm: &mut Vm<'p, 'a>, block: Block<'_, 'p, 'a>) -> Eval<'a, &'a Proc> {
    let code = match block {
        Block::Code(code, _) => match vm.block_id(code) {
            Some(code) => code,
            None => return Err(vm.type_error("this block cannot be kept")),
        },
        Block::Method(row) => ProcCode::Method(row),
        Block::Proc(proc) => return Ok(proc),
        Block::Native(_) => return Err(vm.type_error("this block cannot be kept")),
    };
    Ok(vm.arena().alloc(Proc { code, lambda: false }))
}

fn descends<'a>(class: Value<'a>, other: Value<'a>, proper: bool) -> Value<'a> {
    match (class, other) {
        (Value::Class(class), Value::Class(other)) if class.is_a(other) => {
            Value::Bool(!proper || class != other)
        }
        (Value::Class(class), Value::Class(other)) if other.is_a(class) => Value::Bool(false),
        _ => Value::Nil,
    }
}
