//! Array. What all lists share is Enumerable's.

mod change;
mod combine;
mod element;

use super::Method;
use crate::expr::run::{Eval, Unwind, Vm};
use crate::expr::value::{Array, Value};

/// All of Array's own tables.
pub(super) const TABLES: [&[Method]; 3] = [element::METHODS, combine::METHODS, change::METHODS];

pub(super) use element::dig;

/// The receiver; the tables are only used for arrays.
fn this<'a>(vm: &Vm<'_, 'a>, value: Value<'a>) -> Eval<'a, &'a Array<'a>> {
    match value {
        Value::Array(list) => Ok(list),
        other => Err(vm.no_conversion(other, "Array")),
    }
}

/// Refuses to change a frozen array, and notes the change.
fn change<'a>(vm: &mut Vm<'_, 'a>, list: &'a Array<'a>) -> Result<(), Unwind<'a>> {
    if list.frozen.get() {
        return Err(vm.frozen_error(Value::Array(list)));
    }
    vm.touch();
    Ok(())
}

/// Replaces all elements.
fn set_all<'a>(vm: &mut Vm<'_, 'a>, list: &'a Array<'a>, items: &[Value<'a>]) -> Eval<'a, ()> {
    vm.charge(std::mem::size_of_val(items))?;
    let mut edit = list.edit();
    edit.clear();
    edit.extend_from_slice(items);
    Ok(())
}
