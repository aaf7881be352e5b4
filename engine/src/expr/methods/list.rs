//! Anything that can be gone through, as a list.

use crate::expr::run::{Args, Block, Eval, Vm};
use crate::expr::value::{Range, Value};
use std::cell::RefCell;

/// What a splat makes of a value: nil is nothing, an array its elements, a hash its pairs, anything else itself.
pub(crate) fn to_list<'a>(vm: &mut Vm<'_, 'a>, value: Value<'a>) -> Eval<'a, Vec<Value<'a>>> {
    match value {
        Value::Nil => Ok(Vec::new()),
        Value::Array(_) | Value::Hash(_) | Value::Range(_) | Value::Enumerator(_) => items(vm, value),
        other => Ok(vec![other]),
    }
}

/// The elements of an Enumerable, in order.
pub(crate) fn items<'a>(vm: &mut Vm<'_, 'a>, value: Value<'a>) -> Eval<'a, Vec<Value<'a>>> {
    match value {
        Value::Array(list) => {
            vm.step(list.len() / 8)?;
            Ok(list.to_vec())
        }
        Value::Hash(hash) => {
            let pairs = hash.to_vec();
            let mut list = Vec::with_capacity(pairs.len());
            for (key, value) in pairs {
                list.push(vm.array(&[key, value])?);
            }
            Ok(list)
        }
        Value::Range(range) => range_items(vm, range),
        Value::Enumerator(enumerator) => {
            let collected = RefCell::new(Vec::new());
            let collect = |vm: &mut Vm<'_, 'a>, values: &[Value<'a>]| {
                let item = match values {
                    [] => Value::Nil,
                    [one] => *one,
                    many => vm.array(many)?,
                };
                vm.charge(std::mem::size_of::<Value<'_>>())?;
                collected.borrow_mut().push(item);
                Ok(Value::Nil)
            };
            let args = Args { list: enumerator.args, block: Some(Block::Native(&collect)) };
            vm.call(enumerator.receiver, enumerator.method, args)?;
            Ok(collected.into_inner())
        }
        other => Err(vm.no_conversion(other, "Array")),
    }
}

/// The elements of a range.
fn range_items<'a>(vm: &mut Vm<'_, 'a>, range: &'a Range<'a>) -> Eval<'a, Vec<Value<'a>>> {
    match (range.low, range.high) {
        (Value::Int(low), high) => {
            let last = match high {
                Value::Int(high) => high,
                Value::Float(high) if high.is_finite() => high.floor() as i64,
                Value::Nil | Value::Float(_) => {
                    return Err(vm.raise(
                        crate::expr::value::ClassId::RangeError,
                        "cannot convert endless range to an array",
                    ));
                }
                other => return Err(vm.type_error(format!("can't iterate to {}", other.class().name()))),
            };
            let exact =
                matches!(high, Value::Int(_)) || matches!(high, Value::Float(high) if high == last as f64);
            let end = if range.exclusive && exact { last } else { last.saturating_add(1) };
            let length = usize::try_from(end.saturating_sub(low)).unwrap_or(0);
            vm.step(length)?;
            vm.charge(length.saturating_mul(std::mem::size_of::<Value<'_>>()))?;
            Ok((low..end).map(Value::Int).collect())
        }
        (Value::Str(low), Value::Str(high)) => {
            let mut list = Vec::new();
            let (mut text, last) = (low.bytes(), high.bytes());
            if text.len() > last.len() || (text.len() == last.len() && text > last) {
                return Ok(list);
            }
            loop {
                let at_end = text == last;
                if !(at_end && range.exclusive) {
                    list.push(vm.string(text));
                }
                if at_end {
                    return Ok(list);
                }
                text = super::string::successor(vm, text)?;
                if text.len() > last.len() {
                    return Ok(list);
                }
                vm.step(1)?;
            }
        }
        (Value::Date(low), Value::Date(high)) => {
            let mut list = Vec::new();
            let mut day = *low;
            while day.wall < high.wall || (day.wall == high.wall && !range.exclusive) {
                list.push(Value::Date(vm.arena().alloc(day)));
                day.wall += crate::expr::value::DAY;
                vm.step(1)?;
            }
            Ok(list)
        }
        (low, _) => Err(vm.type_error(format!("can't iterate from {}", low.class().name()))),
    }
}
