//! Hash. What all lists share is Enumerable's.

mod change;
mod query;
mod select;

use super::Method;
use crate::expr::run::{Eval, Unwind, Vm};
use crate::expr::value::{Hash, Value};

/// All of Hash's own tables.
pub(super) const TABLES: [&[Method]; 3] = [query::METHODS, select::METHODS, change::METHODS];

pub(super) use query::fetch;

/// The receiver; the tables are only used for hashes.
fn this<'a>(vm: &Vm<'_, 'a>, value: Value<'a>) -> Eval<'a, &'a Hash<'a>> {
    match value {
        Value::Hash(hash) => Ok(hash),
        other => Err(vm.no_conversion(other, "Hash")),
    }
}

/// Refuses to change a frozen hash, and notes the change.
fn change<'a>(vm: &mut Vm<'_, 'a>, hash: &'a Hash<'a>) -> Result<(), Unwind<'a>> {
    if hash.frozen.get() {
        return Err(vm.frozen_error(Value::Hash(hash)));
    }
    vm.touch();
    Ok(())
}

/// A new hash of pairs with distinct keys.
fn hash_of<'a>(vm: &mut Vm<'_, 'a>, pairs: &[(Value<'a>, Value<'a>)]) -> Eval<'a> {
    vm.charge(std::mem::size_of_val(pairs))?;
    let hash = Hash::with_capacity(vm.arena(), pairs.len());
    hash.replace(pairs);
    Ok(Value::Hash(vm.arena().alloc(hash)))
}
