//! Range. What all lists share is Enumerable's.

use super::arith::{Op, arith};
use super::list::items;
use super::{Method, method};
use crate::expr::run::{Args, Eval, Vm};
use crate::expr::value::{Range, Value, compare};

/// Range's own methods.
pub(super) const METHODS: &[Method] = &[
    method("first", 0, 1, |vm, receiver, args| match args.get(0) {
        None => Ok(this(vm, receiver)?.low),
        Some(count) => {
            let count = vm.count(count, "negative array size (or size too big)")?;
            let range = this(vm, receiver)?;
            let list = match (range.low, range.high) {
                // What has no end is only asked for its beginning.
                (Value::Int(low), Value::Nil) => {
                    vm.step(count)?;
                    (low..).take(count).map(Value::Int).collect()
                }
                _ => items(vm, receiver)?,
            };
            vm.array(&list[..count.min(list.len())])
        }
    }),
    method("begin", 0, 0, |vm, receiver, _| Ok(this(vm, receiver)?.low)),
    method("last", 0, 1, |vm, receiver, args| match args.get(0) {
        None => Ok(this(vm, receiver)?.high),
        Some(count) => {
            let count = vm.count(count, "negative array size")?;
            let list = items(vm, receiver)?;
            vm.array(&list[list.len().saturating_sub(count)..])
        }
    }),
    method("end", 0, 0, |vm, receiver, _| Ok(this(vm, receiver)?.high)),
    method("exclude_end?", 0, 0, |vm, receiver, _| Ok(Value::Bool(this(vm, receiver)?.exclusive))),
    method("size", 0, 0, size),
    method("count", 0, 1, |vm, receiver, args| {
        if args.list.is_empty() && args.block.is_none() {
            return size(vm, receiver, args);
        }
        let list = items(vm, receiver)?;
        let list = vm.array(&list)?;
        match super::row("count") {
            Some(row) => vm.call(list, row, args),
            None => Ok(Value::Nil),
        }
    }),
    method("include?", 1, 1, contains),
    method("member?", 1, 1, contains),
    method("cover?", 1, 1, |vm, receiver, args| match args.at(0) {
        Value::Range(inner) => {
            let range = this(vm, receiver)?;
            Ok(Value::Bool(covers(vm, range, inner.low)? && covers(vm, range, inner.high)?))
        }
        _ => contains(vm, receiver, args),
    }),
    method("===", 1, 1, contains),
    method("step", 1, 1, step),
    method("%", 1, 1, step),
];

fn this<'a>(vm: &Vm<'_, 'a>, value: Value<'a>) -> Eval<'a, &'a Range<'a>> {
    match value {
        Value::Range(range) => Ok(range),
        other => Err(vm.no_conversion(other, "Range")),
    }
}

fn size<'a>(vm: &mut Vm<'_, 'a>, receiver: Value<'a>, _: Args<'_, '_, 'a>) -> Eval<'a> {
    let range = this(vm, receiver)?;
    match (range.low, range.high) {
        (Value::Int(low), Value::Int(high)) => {
            let end = if range.exclusive { high } else { high.saturating_add(1) };
            Ok(Value::Int(end.saturating_sub(low).max(0)))
        }
        (Value::Int(_), Value::Nil) => Ok(Value::Float(f64::INFINITY)),
        _ => Ok(Value::Int(items(vm, receiver)?.len() as i64)),
    }
}

/// Whether a value lies between the ends.
pub(super) fn covers<'a>(_: &mut Vm<'_, 'a>, range: &Range<'a>, value: Value<'a>) -> Eval<'a, bool> {
    let above = range.low.is_nil() || compare(range.low, value).is_some_and(|order| order.is_le());
    let below = range.high.is_nil()
        || compare(value, range.high)
            .is_some_and(|order| if range.exclusive { order.is_lt() } else { order.is_le() });
    Ok(above && below)
}

fn contains<'a>(vm: &mut Vm<'_, 'a>, receiver: Value<'a>, args: Args<'_, '_, 'a>) -> Eval<'a> {
    let range = this(vm, receiver)?;
    Ok(Value::Bool(covers(vm, range, args.at(0))?))
}

fn step<'p, 'a>(vm: &mut Vm<'p, 'a>, receiver: Value<'a>, args: Args<'_, 'p, 'a>) -> Eval<'a> {
    let Some(block) = args.block else { return vm.enumerator(receiver, "step", args) };
    let range = this(vm, receiver)?;
    let by = args.at(0);
    match by.to_f64() {
        Some(step) if step > 0.0 => {}
        Some(step) if step < 0.0 => return Err(vm.argument_error("step can't be negative")),
        Some(_) => return Err(vm.argument_error("step can't be 0")),
        None => return Err(vm.no_conversion(by, "Integer")),
    }
    let mut at = range.low;
    let mut count = 0;
    while covers(vm, range, at)? {
        vm.yield_one(block, at)?;
        count += 1;
        let distance = arith(vm, Op::Multiply, by, Value::Int(count))?;
        at = arith(vm, Op::Add, range.low, distance)?;
    }
    Ok(receiver)
}
