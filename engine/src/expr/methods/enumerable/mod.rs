//! Enumerable: what arrays, hashes, ranges and enumerators share.

mod fold;
mod order;
mod slice;
mod test;
mod transform;

pub(super) use order::{by_block, sorted};
pub(super) use transform::{to_h, uniq};

use super::Method;
use super::list::items;
use crate::expr::run::{Args, Block, Eval, Unwind, Vm};
use crate::expr::value::{ClassId, Value};

/// All of Enumerable's tables.
pub(super) const TABLES: [&[Method]; 5] =
    [transform::METHODS, test::METHODS, fold::METHODS, order::METHODS, slice::METHODS];

/// Calls `work` with each element until it answers true.
fn each<'p, 'a>(
    vm: &mut Vm<'p, 'a>,
    receiver: Value<'a>,
    mut work: impl FnMut(&mut Vm<'p, 'a>, Value<'a>) -> Eval<'a, bool>,
) -> Eval<'a, ()> {
    match receiver {
        // An array may change while it is gone through.
        Value::Array(list) => {
            let mut at = 0;
            while let Some(item) = list.get(at) {
                vm.step(1)?;
                if work(vm, item)? {
                    break;
                }
                at += 1;
            }
        }
        // A range may have no end.
        Value::Range(range) if range.high.is_nil() && matches!(range.low, Value::Int(_)) => {
            let mut at = vm.int(range.low)?;
            loop {
                vm.step(1)?;
                if work(vm, Value::Int(at))? {
                    break;
                }
                at = at.saturating_add(1);
            }
        }
        _ => {
            for item in items(vm, receiver)? {
                vm.step(1)?;
                if work(vm, item)? {
                    break;
                }
            }
        }
    }
    Ok(())
}

/// The block of a method that does nothing without one.
fn need_block<'v, 'p, 'a>(vm: &Vm<'p, 'a>, args: Args<'v, 'p, 'a>) -> Result<Block<'v, 'p, 'a>, Unwind<'a>> {
    args.block.ok_or_else(|| vm.raise(ClassId::LocalJumpError, "no block given (yield)"))
}
