//! Proc and Enumerator.

use super::list::items;
use super::{ANY, Method, method};
use crate::expr::run::{Args, Block, Eval, Vm};
use crate::expr::value::{Enumerator, Proc, Value};
use std::cell::Cell;

/// Proc's own methods.
pub(super) const METHODS: &[Method] = &[
    method("call", 0, ANY, call),
    method("()", 0, ANY, call),
    method("yield", 0, ANY, call),
    method("[]", 0, ANY, call),
    method("===", 0, ANY, call),
    method("to_proc", 0, 0, |_, receiver, _| Ok(receiver)),
    method("lambda?", 0, 0, |_, receiver, _| {
        Ok(Value::Bool(matches!(receiver, Value::Proc(Proc { lambda: true, .. }))))
    }),
];

/// Enumerator's own methods.
pub(super) const ENUMERATOR: &[Method] = &[
    method("with_index", 0, 1, |vm, receiver, args| with_index(vm, receiver, args, "with_index")),
    method("each_with_index", 0, 0, |vm, receiver, args| with_index(vm, receiver, args, "each_with_index")),
    method("with_object", 1, 1, with_object),
    method("each_with_object", 1, 1, with_object),
    method("each", 0, 0, |vm, receiver, args| {
        let Some(block) = args.block else { return Ok(receiver) };
        let enumerator = this(vm, receiver)?;
        vm.call(enumerator.receiver, enumerator.method, Args { list: enumerator.args, block: Some(block) })
    }),
    method("size", 0, 0, |vm, receiver, _| Ok(Value::Int(items(vm, receiver)?.len() as i64))),
    method("length", 0, 0, |vm, receiver, _| Ok(Value::Int(items(vm, receiver)?.len() as i64))),
];

fn call<'p, 'a>(vm: &mut Vm<'p, 'a>, receiver: Value<'a>, args: Args<'_, 'p, 'a>) -> Eval<'a> {
    match receiver {
        Value::Proc(proc) => vm.call_proc(proc, args.list),
        other => Err(vm.no_conversion(other, "Proc")),
    }
}

fn this<'a>(vm: &Vm<'_, 'a>, value: Value<'a>) -> Eval<'a, &'a Enumerator<'a>> {
    match value {
        Value::Enumerator(enumerator) => Ok(enumerator),
        other => Err(vm.no_conversion(other, "Enumerator")),
    }
}

/// What an enumerator yields, as one value.
fn packed<'a>(vm: &mut Vm<'_, 'a>, values: &[Value<'a>]) -> Eval<'a> {
    match values {
        [] => Ok(Value::Nil),
        [one] => Ok(*one),
        many => vm.array(many),
    }
}

/// The call that the enumerator stands for, with a block that also gets a number.
fn with_index<'p, 'a>(
    vm: &mut Vm<'p, 'a>,
    receiver: Value<'a>,
    args: Args<'_, 'p, 'a>,
    name: &str,
) -> Eval<'a> {
    let Some(block) = args.block else { return vm.enumerator(receiver, name, args) };
    let enumerator = this(vm, receiver)?;
    let at = Cell::new(args.given(0).map_or(Ok(0), |start| vm.int(start))?);
    let numbered = |vm: &mut Vm<'p, 'a>, values: &[Value<'a>]| {
        let item = packed(vm, values)?;
        let number = at.replace(at.get() + 1);
        vm.yield_to(block, &[item, Value::Int(number)])
    };
    let args = Args { list: enumerator.args, block: Some(Block::Native(&numbered)) };
    vm.call(enumerator.receiver, enumerator.method, args)
}

fn with_object<'p, 'a>(vm: &mut Vm<'p, 'a>, receiver: Value<'a>, args: Args<'_, 'p, 'a>) -> Eval<'a> {
    let Some(block) = args.block else { return vm.enumerator(receiver, "with_object", args) };
    let enumerator = this(vm, receiver)?;
    let object = args.at(0);
    let passed = |vm: &mut Vm<'p, 'a>, values: &[Value<'a>]| {
        let item = packed(vm, values)?;
        vm.yield_to(block, &[item, object])
    };
    let inner = Args { list: enumerator.args, block: Some(Block::Native(&passed)) };
    vm.call(enumerator.receiver, enumerator.method, inner)?;
    Ok(object)
}
