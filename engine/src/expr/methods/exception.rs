//! Exceptions.

use super::{Method, method};
use crate::expr::run::Vm;
use crate::expr::run::{Args, Eval};
use crate::expr::value::{Exception, Value, to_s};

/// Methods of exceptions.
pub(super) const METHODS: &[Method] = &[
    method("message", 0, 0, message),
    method("to_s", 0, 0, message),
    method("full_message", 0, 1, message),
    method("backtrace", 0, 0, |_, _, _| Ok(Value::Nil)),
    method("cause", 0, 0, |_, _, _| Ok(Value::Nil)),
];

/// Exception classes.
pub(super) const CLASS: &[Method] = &[method("new", 0, 1, new), method("exception", 0, 1, new)];

fn message<'a>(vm: &mut Vm<'_, 'a>, receiver: Value<'a>, _: Args<'_, '_, 'a>) -> Eval<'a> {
    match receiver {
        Value::Exception(exception) => Ok(vm.string(exception.message)),
        other => Err(vm.no_conversion(other, "Exception")),
    }
}

fn new<'a>(vm: &mut Vm<'_, 'a>, receiver: Value<'a>, args: Args<'_, '_, 'a>) -> Eval<'a> {
    let Value::Class(class) = receiver else { return Ok(Value::Nil) };
    let message = match args.get(0) {
        Some(message) => to_s(vm, message)?,
        None => class.name().as_bytes(),
    };
    Ok(Value::Exception(vm.arena().alloc(Exception { class, message })))
}
