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
use crate::expr::value::{ClassId, Range, Value};
use std::cell::RefCell;

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
        Value::Range(Range {
            low: Value::Int(low), high: Value::Nil | Value::Float(f64::INFINITY), ..
        }) => {
            let mut at = *low;
            loop {
                vm.step(1)?;
                if work(vm, Value::Int(at))? {
                    break;
                }
                at = at.saturating_add(1);
            }
        }
        // What an enumerator yields may have no end either.
        Value::Enumerator(enumerator) => {
            let tag = vm.fresh_tag();
            let work = RefCell::new(work);
            let native = |vm: &mut Vm<'p, 'a>, values: &[Value<'a>]| {
                let item = match values {
                    [] => Value::Nil,
                    [one] => *one,
                    many => vm.array(many)?,
                };
                if (work.borrow_mut())(vm, item)? {
                    Err(Unwind::Break(Value::Nil, tag))
                } else {
                    Ok(Value::Nil)
                }
            };
            let args = Args { list: enumerator.args, block: Some(Block::Native(&native)) };
            match vm.call(enumerator.receiver, enumerator.method, args) {
                Err(Unwind::Break(_, broken)) if broken == tag => {}
                Err(other) => return Err(other),
                Ok(_) => {}
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
