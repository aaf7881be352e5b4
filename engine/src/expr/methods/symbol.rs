//! Symbol. Most of it is String's.

use super::{Method, method, row_of};
use crate::expr::run::{Args, Eval, Vm};
use crate::expr::value::{Proc, ProcCode, Value};

/// Symbol's own methods.
pub(super) const METHODS: &[Method] = &[
    method("to_sym", 0, 0, |_, receiver, _| Ok(receiver)),
    method("to_s", 0, 0, text),
    method("name", 0, 0, text),
    method("id2name", 0, 0, text),
    method("to_proc", 0, 0, |vm, receiver, _| match receiver.text().and_then(row_of) {
        Some(row) => {
            let proc = Proc { code: ProcCode::Method(row), lambda: true };
            Ok(Value::Proc(vm.arena().alloc(proc)))
        }
        None => Err(vm.argument_error("this method is not supported as a block")),
    }),
    method("length", 0, 0, |vm, receiver, args| delegate(vm, receiver, "length", args)),
    method("size", 0, 0, |vm, receiver, args| delegate(vm, receiver, "length", args)),
    method("empty?", 0, 0, |vm, receiver, args| delegate(vm, receiver, "empty?", args)),
    method("[]", 1, 2, |vm, receiver, args| delegate(vm, receiver, "[]", args)),
    method("=~", 1, 1, |vm, receiver, args| delegate(vm, receiver, "=~", args)),
    method("match", 1, 2, |vm, receiver, args| delegate(vm, receiver, "match", args)),
    method("match?", 1, 2, |vm, receiver, args| delegate(vm, receiver, "match?", args)),
    method("start_with?", 0, super::ANY, |vm, receiver, args| delegate(vm, receiver, "start_with?", args)),
    method("end_with?", 0, super::ANY, |vm, receiver, args| delegate(vm, receiver, "end_with?", args)),
    method("upcase", 0, 1, |vm, receiver, args| symbol(vm, receiver, "upcase", args)),
    method("downcase", 0, 1, |vm, receiver, args| symbol(vm, receiver, "downcase", args)),
    method("capitalize", 0, 1, |vm, receiver, args| symbol(vm, receiver, "capitalize", args)),
    method("swapcase", 0, 1, |vm, receiver, args| symbol(vm, receiver, "swapcase", args)),
    method("succ", 0, 0, |vm, receiver, args| symbol(vm, receiver, "succ", args)),
];

fn text<'a>(vm: &mut Vm<'_, 'a>, receiver: Value<'a>, _: Args<'_, '_, 'a>) -> Eval<'a> {
    Ok(vm.string(receiver.text().unwrap_or_default()))
}

/// Does what the string of the same text does.
fn delegate<'p, 'a>(
    vm: &mut Vm<'p, 'a>,
    receiver: Value<'a>,
    name: &str,
    args: Args<'_, 'p, 'a>,
) -> Eval<'a> {
    let string = vm.string(receiver.text().unwrap_or_default());
    match super::row(name) {
        Some(row) => vm.call(string, row, args),
        None => Err(vm.no_method(receiver, name)),
    }
}

/// The same, with a symbol as the answer.
fn symbol<'p, 'a>(vm: &mut Vm<'p, 'a>, receiver: Value<'a>, name: &str, args: Args<'_, 'p, 'a>) -> Eval<'a> {
    let string = delegate(vm, receiver, name, args)?;
    Ok(Value::Symbol(vm.text(string)?))
}
