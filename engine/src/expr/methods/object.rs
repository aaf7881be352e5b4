//! What all objects can do, and nil, true and false.

use super::{ANY, ClassId, Method, method, row_of};
use crate::expr::run::{Args, Eval, Vm};
use crate::expr::value::{Array, Hash, Str, Value, compare, eql, equal, hash_code, inspect, to_s};

/// Methods of every object.
pub(super) const METHODS: &[Method] = &[
    method("to_s", 0, 0, |vm, receiver, _| {
        if let Value::Str(_) = receiver {
            return Ok(receiver);
        }
        let text = to_s(vm, receiver)?;
        Ok(vm.string(text))
    }),
    method("inspect", 0, 0, |vm, receiver, _| {
        let mut out = Vec::new();
        inspect(vm, receiver, &mut out)?;
        vm.new_string(&out)
    }),
    method("==", 1, 1, |_, receiver, args| Ok(Value::Bool(equal(receiver, args.at(0))))),
    method("!=", 1, 1, |_, receiver, args| Ok(Value::Bool(!equal(receiver, args.at(0))))),
    method("eql?", 1, 1, |_, receiver, args| Ok(Value::Bool(eql(receiver, args.at(0))))),
    method("equal?", 1, 1, |_, receiver, args| Ok(Value::Bool(identical(receiver, args.at(0))))),
    method("===", 1, 1, |vm, receiver, args| Ok(Value::Bool(case_equal(vm, receiver, args.at(0))?))),
    method("=~", 1, 1, |_, _, _| Ok(Value::Nil)),
    method("<=>", 1, 1, |_, receiver, args| {
        Ok(compare(receiver, args.at(0)).map_or(Value::Nil, |order| Value::Int(order as i64)))
    }),
    method("!", 0, 0, |_, receiver, _| Ok(Value::Bool(!receiver.truthy()))),
    method("nil?", 0, 0, |_, receiver, _| Ok(Value::Bool(receiver.is_nil()))),
    method("is_a?", 1, 1, is_a),
    method("kind_of?", 1, 1, is_a),
    method("instance_of?", 1, 1, |_, receiver, args| {
        Ok(Value::Bool(matches!(args.at(0), Value::Class(class) if class == receiver.class())))
    }),
    method("class", 0, 0, |_, receiver, _| Ok(Value::Class(receiver.class()))),
    method("respond_to?", 1, 2, |vm, receiver, args| {
        let name = vm.name(args.at(0))?;
        Ok(Value::Bool(row_of(name).is_some_and(|row| row.find(receiver.kind()).is_some())))
    }),
    method("tap", 0, 0, |vm, receiver, args| {
        match args.block {
            Some(block) => vm.yield_one(block, receiver)?,
            None => return Err(vm.raise(ClassId::LocalJumpError, "no block given (yield)")),
        };
        Ok(receiver)
    }),
    method("then", 0, 0, then),
    method("yield_self", 0, 0, then),
    method("itself", 0, ANY, |_, receiver, _| Ok(receiver)),
    method("dup", 0, 0, |vm, receiver, _| copy(vm, receiver)),
    method("clone", 0, 1, |vm, receiver, _| copy(vm, receiver)),
    method("freeze", 0, 0, |_, receiver, _| {
        match receiver {
            Value::Str(text) => text.frozen.set(true),
            Value::Array(list) => list.frozen.set(true),
            Value::Hash(hash) => hash.frozen.set(true),
            _ => {}
        }
        Ok(receiver)
    }),
    method("frozen?", 0, 0, |_, receiver, _| {
        Ok(Value::Bool(match receiver {
            Value::Str(text) => text.frozen.get(),
            Value::Array(list) => list.frozen.get(),
            Value::Hash(hash) => hash.frozen.get(),
            _ => true,
        }))
    }),
    method("hash", 0, 0, |_, receiver, _| Ok(Value::Int((hash_code(receiver) >> 2) as i64))),
    method("instance_variables", 0, 0, |vm, _, _| vm.array(&[])),
    method("to_json", 0, 1, super::json::to_json),
];

/// nil.
pub(super) const NIL: &[Method] = &[
    method("to_a", 0, 0, |vm, _, _| vm.array(&[])),
    method("to_h", 0, 0, |vm, _, _| Ok(Value::Hash(vm.arena().alloc(Hash::new(vm.arena()))))),
    method("to_i", 0, 0, |_, _, _| Ok(Value::Int(0))),
    method("to_f", 0, 0, |_, _, _| Ok(Value::Float(0.0))),
    method("&", 1, 1, |_, _, _| Ok(Value::Bool(false))),
    method("|", 1, 1, |_, _, args| Ok(Value::Bool(args.at(0).truthy()))),
];

/// true and false.
pub(super) const BOOL: &[Method] = &[
    method("&", 1, 1, |_, receiver, args| Ok(Value::Bool(receiver.truthy() & args.at(0).truthy()))),
    method("|", 1, 1, |_, receiver, args| Ok(Value::Bool(receiver.truthy() | args.at(0).truthy()))),
    method("^", 1, 1, |_, receiver, args| Ok(Value::Bool(receiver.truthy() ^ args.at(0).truthy()))),
];

/// `a === b`, as `case` asks.
pub(crate) fn case_equal<'a>(vm: &mut Vm<'_, 'a>, pattern: Value<'a>, value: Value<'a>) -> Eval<'a, bool> {
    match pattern {
        Value::Class(class) => Ok(value.class().is_a(class)),
        Value::Regexp(id) => match value {
            Value::Str(text) => Ok(vm.search(id, text.bytes(), text.binary.get(), 0)?.is_some()),
            Value::Symbol(name) => Ok(vm.search(id, name, false, 0)?.is_some()),
            _ => {
                vm.set_last_match(None);
                Ok(false)
            }
        },
        Value::Range(range) => super::range::covers(vm, range, value),
        Value::Proc(proc) => Ok(vm.call_proc(proc, &[value])?.truthy()),
        Value::Ip(ip) => super::ip::includes(vm, ip, value),
        _ => Ok(equal(pattern, value)),
    }
}

fn is_a<'a>(vm: &mut Vm<'_, 'a>, receiver: Value<'a>, args: Args<'_, '_, 'a>) -> Eval<'a> {
    match args.at(0) {
        Value::Class(class) => Ok(Value::Bool(receiver.class().is_a(class))),
        _ => Err(vm.type_error("class or module required")),
    }
}

fn then<'p, 'a>(vm: &mut Vm<'p, 'a>, receiver: Value<'a>, args: Args<'_, 'p, 'a>) -> Eval<'a> {
    match args.block {
        Some(block) => vm.yield_one(block, receiver),
        None => vm.enumerator(receiver, "then", args),
    }
}

/// A copy that can be changed without changing the original.
fn copy<'a>(vm: &mut Vm<'_, 'a>, value: Value<'a>) -> Eval<'a> {
    let arena = vm.arena();
    Ok(match value {
        Value::Str(text) => {
            let copy = Str::new(text.bytes());
            copy.binary.set(text.binary.get());
            Value::Str(arena.alloc(copy))
        }
        Value::Array(list) => Value::Array(arena.alloc(Array::of(arena, &list.to_vec()))),
        Value::Hash(hash) => {
            let copy = Hash::new(arena);
            copy.replace(&hash.to_vec());
            copy.default.set(hash.default.get());
            copy.default_proc.set(hash.default_proc.get());
            Value::Hash(arena.alloc(copy))
        }
        other => other,
    })
}

/// Whether two references mean one object.
fn identical<'a>(a: Value<'a>, b: Value<'a>) -> bool {
    match (a, b) {
        (Value::Str(a), Value::Str(b)) => std::ptr::eq(a, b),
        (Value::Array(a), Value::Array(b)) => std::ptr::eq(a, b),
        (Value::Hash(a), Value::Hash(b)) => std::ptr::eq(a, b),
        (Value::Int(_), Value::Int(_)) | (Value::Float(_), Value::Float(_)) => eql(a, b),
        (Value::Nil, Value::Nil) => true,
        (Value::Bool(_), Value::Bool(_)) | (Value::Symbol(_), Value::Symbol(_)) => equal(a, b),
        (Value::Class(a), Value::Class(b)) => a == b,
        _ => false,
    }
}
