//! One value out of many: `inject`, `sum`, `group_by`, ...

use super::super::arith::{Op, arith};
use super::super::{Method, method, row, row_of};
use super::{each, need_block};
use crate::expr::methods::Row;
use crate::expr::run::{Args, Eval, Vm};
use crate::expr::value::{Array, Hash, Value};

pub(super) const METHODS: &[Method] = &[
    method("inject", 0, 2, inject),
    method("reduce", 0, 2, inject),
    method("sum", 0, 1, sum),
    method("group_by", 0, 0, |vm, receiver, args| {
        let Some(block) = args.block else { return vm.enumerator(receiver, "group_by", args) };
        let groups: &'_ Hash<'_> = vm.arena().alloc(Hash::new(vm.arena()));
        each(vm, receiver, |vm, item| {
            let key = vm.yield_one(block, item)?;
            match groups.get(key) {
                Some(Value::Array(group)) => group.push(item),
                _ => {
                    let group = Array::of(vm.arena(), &[item]);
                    groups.set(vm.arena(), key, Value::Array(vm.arena().alloc(group)));
                }
            }
            Ok(false)
        })?;
        Ok(Value::Hash(groups))
    }),
];

fn inject<'p, 'a>(vm: &mut Vm<'p, 'a>, receiver: Value<'a>, args: Args<'_, 'p, 'a>) -> Eval<'a> {
    let (mut total, operator) = match (args.get(0), args.get(1)) {
        (Some(initial), Some(operator)) => (Some(initial), Some(operator)),
        (Some(operator), None) if args.block.is_none() => (None, Some(operator)),
        (initial, None) => (initial, None),
        (None, Some(_)) => (None, None),
    };
    let operator: Option<&'static Row> = match operator {
        None => None,
        Some(name) => {
            let name = vm.name(name)?;
            match row_of(name) {
                Some(row) => Some(row),
                None => return Err(vm.argument_error("this method is not supported in inject")),
            }
        }
    };
    let block = if operator.is_none() { Some(need_block(vm, args)?) } else { None };
    each(vm, receiver, |vm, item| {
        let next = match (total, operator, block) {
            (None, ..) => item,
            (Some(total), Some(row), _) => vm.call(total, row, Args::of(&[item]))?,
            (Some(total), None, Some(block)) => vm.yield_to(block, &[total, item])?,
            (Some(total), None, None) => total,
        };
        total = Some(next);
        Ok(false)
    })?;
    Ok(total.unwrap_or(Value::Nil))
}

/// Floats are added with compensation for what rounding loses (Kahan-Babuska), as Ruby does.
fn sum<'p, 'a>(vm: &mut Vm<'p, 'a>, receiver: Value<'a>, args: Args<'_, 'p, 'a>) -> Eval<'a> {
    let mut total = args.get(0).unwrap_or(Value::Int(0));
    let mut floats: Option<(f64, f64)> = None;
    each(vm, receiver, |vm, item| {
        let item = match args.block {
            Some(block) => vm.yield_one(block, item)?,
            None => item,
        };
        if floats.is_none()
            && let (Value::Float(_), Some(start)) | (Value::Int(_), Some(start)) = (item, total.to_f64())
            && (matches!(item, Value::Float(_)) || matches!(total, Value::Float(_)))
        {
            floats = Some((start, 0.0));
        }
        match (&mut floats, item.to_f64()) {
            (Some((sum, lost)), Some(value)) => {
                let next = *sum + value;
                if next.is_finite() {
                    *lost +=
                        if sum.abs() >= value.abs() { (*sum - next) + value } else { (value - next) + *sum };
                }
                *sum = next;
            }
            (Some((sum, lost)), None) => {
                total = add(vm, Value::Float(*sum + *lost), item)?;
                floats = None;
            }
            (None, _) => total = add(vm, total, item)?,
        }
        Ok(false)
    })?;
    Ok(match floats {
        Some((sum, lost)) => Value::Float(sum + lost),
        None => total,
    })
}

fn add<'a>(vm: &mut Vm<'_, 'a>, total: Value<'a>, item: Value<'a>) -> Eval<'a> {
    if total.to_f64().is_some() {
        return arith(vm, Op::Add, total, item);
    }
    match row("+") {
        Some(row) => vm.call(total, row, Args::of(&[item])),
        None => Ok(total),
    }
}
