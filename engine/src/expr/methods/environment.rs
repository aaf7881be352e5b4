//! ENV, Process, and the helpers of Microsoft's OMS agent that its configurations call.

use super::time::{Precision, iso8601};
use super::{ANY, Method, method};
use crate::expr::run::{Args, Eval, Vm};
use crate::expr::value::{Clock, Hash, Moment, Value};

/// ENV.
pub(super) const ENV: &[Method] = &[
    method("[]", 1, 1, |vm, _, args| {
        let name = vm.text(args.at(0))?;
        variable(vm, name)
    }),
    method("fetch", 1, 2, |vm, _, args| {
        let name = vm.text(args.at(0))?;
        let value = variable(vm, name)?;
        if !value.is_nil() {
            return Ok(value);
        }
        match (args.block, args.get(1)) {
            (Some(block), _) => vm.yield_one(block, args.at(0)),
            (None, Some(default)) => Ok(default),
            (None, None) => Err(vm.key_error(args.at(0))),
        }
    }),
    method("key?", 1, 1, has_key),
    method("has_key?", 1, 1, has_key),
    method("include?", 1, 1, has_key),
    method("member?", 1, 1, has_key),
    method("values_at", 0, ANY, |vm, _, args| {
        let mut values = Vec::new();
        for name in args.list {
            let name = vm.text(*name)?;
            values.push(variable(vm, name)?);
        }
        vm.array(&values)
    }),
    method("keys", 0, 0, |vm, _, _| {
        let mut names = Vec::new();
        for (name, _) in vm.host().variables() {
            names.push(vm.new_string(&name)?);
        }
        vm.array(&names)
    }),
    method("to_h", 0, 0, to_h),
    method("to_hash", 0, 0, to_h),
    method("select", 0, 0, |vm, receiver, args| on_hash(vm, receiver, args, "select")),
    method("filter", 0, 0, |vm, receiver, args| on_hash(vm, receiver, args, "select")),
    method("reject", 0, 0, |vm, receiver, args| on_hash(vm, receiver, args, "reject")),
    method("slice", 0, ANY, |vm, receiver, args| on_hash(vm, receiver, args, "slice")),
    method("map", 0, 0, |vm, receiver, args| on_hash(vm, receiver, args, "map")),
    method("any?", 0, 1, |vm, receiver, args| on_hash(vm, receiver, args, "any?")),
    method("find", 0, 0, |vm, receiver, args| on_hash(vm, receiver, args, "find")),
];

/// Process.
pub(super) const PROCESS: &[Method] = &[
    method("pid", 0, 0, |_, _, _| Ok(Value::Int(i64::from(std::process::id())))).impure(),
    method("clock_gettime", 1, 2, |vm, _, args| {
        let time = crate::event::EventTime::now();
        let total = i128::from(time.sec) * 1_000_000_000 + i128::from(time.nsec);
        Ok(match args.get(1).and_then(Value::text) {
            Some(b"nanosecond") => Value::Int(total as i64),
            Some(b"microsecond") => Value::Int((total / 1000) as i64),
            Some(b"millisecond") => Value::Int((total / 1_000_000) as i64),
            Some(b"second") => Value::Int(time.sec),
            None | Some(b"float_second") => Value::Float(total as f64 / 1e9),
            Some(_) => return Err(vm.argument_error("unexpected unit")),
        })
    })
    .impure(),
];

/// OMS::Common.
pub(super) const OMS: &[Method] = &[
    method("get_hostname", 0, 0, |vm, _, _| {
        let name = vm.host().hostname();
        vm.new_string(name.as_bytes())
    }),
    method("format_time", 1, 1, |vm, _, args| {
        let seconds = vm.float(args.at(0))?;
        let time = super::time::from_seconds(seconds);
        let text = iso8601(&Moment { time, clock: Clock::Utc }, Precision::Digits(0));
        vm.new_string(text.as_bytes())
    }),
];

fn variable<'a>(vm: &mut Vm<'_, 'a>, name: &[u8]) -> Eval<'a> {
    if name.contains(&0) {
        return Err(vm.argument_error("bad environment variable name: contains null byte"));
    }
    match vm.host().variable(name) {
        Some(value) => vm.new_string(&value),
        None => Ok(Value::Nil),
    }
}

fn has_key<'a>(vm: &mut Vm<'_, 'a>, _: Value<'a>, args: Args<'_, '_, 'a>) -> Eval<'a> {
    let name = vm.text(args.at(0))?;
    Ok(Value::Bool(!variable(vm, name)?.is_nil()))
}

fn to_h<'a>(vm: &mut Vm<'_, 'a>, _: Value<'a>, _: Args<'_, '_, 'a>) -> Eval<'a> {
    let hash: &'a Hash<'a> = vm.arena().alloc(Hash::new(vm.arena()));
    for (name, value) in vm.host().variables() {
        let (name, value) = (vm.new_string(&name)?, vm.new_string(&value)?);
        hash.set(vm.arena(), name, value);
    }
    Ok(Value::Hash(hash))
}

/// Does what a hash of the variables does.
fn on_hash<'p, 'a>(vm: &mut Vm<'p, 'a>, receiver: Value<'a>, args: Args<'_, 'p, 'a>, name: &str) -> Eval<'a> {
    let hash = to_h(vm, receiver, Args::of(&[]))?;
    match super::row(name) {
        Some(row) => vm.call(hash, row, args),
        None => Err(vm.no_method(receiver, name)),
    }
}
