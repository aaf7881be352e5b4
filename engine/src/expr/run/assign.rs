//! Assignments.

use super::Eval;
use super::call::Args;
use super::vm::Vm;
use crate::expr::methods::Row;
use crate::expr::syntax::ast::{Call, Node, Pattern, Target, Update, UpdateOperator};
use crate::expr::value::Value;

impl<'p, 'a> Vm<'p, 'a> {
    /// Gives `value` to a pattern.
    pub(super) fn assign(&mut self, pattern: &'p Pattern, value: Value<'a>) -> Eval<'a, ()> {
        match pattern {
            Pattern::Nothing => {}
            Pattern::Slot(slot) => self.set_local(*slot, value),
            Pattern::Call(call) => {
                let receiver = self.eval_receiver(call)?;
                let mut args = self.eval_list(&call.args)?;
                args.push(value);
                self.call(receiver, call.method, Args::of(&args))?;
            }
            Pattern::Group(before, rest, after) => {
                let values = match value {
                    Value::Array(list) => list.to_vec(),
                    other => vec![other],
                };
                let get = |at: usize| values.get(at).copied().unwrap_or(Value::Nil);
                for (at, pattern) in before.iter().enumerate() {
                    self.assign(pattern, get(at))?;
                }
                let behind = values.len().saturating_sub(after.len()).max(before.len().min(values.len()));
                if let Some(rest) = rest {
                    let middle = values.get(before.len()..behind).unwrap_or_default();
                    let middle = self.array(middle)?;
                    self.assign(rest, middle)?;
                }
                for (at, pattern) in after.iter().enumerate() {
                    self.assign(pattern, get(behind + at))?;
                }
            }
        }
        Ok(())
    }

    /// `receiver[args] = value`
    pub(super) fn set_by(&mut self, call: &'p Call, value: &'p Node) -> Eval<'a> {
        let receiver = self.eval_receiver(call)?;
        if call.safe && receiver.is_nil() {
            return Ok(Value::Nil);
        }
        let mut args = self.eval_list(&call.args)?;
        let value = self.eval(value)?;
        args.push(value);
        self.call(receiver, call.method, Args::of(&args))?;
        Ok(value)
    }

    fn eval_receiver(&mut self, call: &'p Call) -> Eval<'a> {
        match &call.receiver {
            Some(receiver) => self.eval(receiver),
            None => Ok(Value::Main),
        }
    }

    /// `target ||= value`, `target += value`
    pub(super) fn update(&mut self, update: &'p Update) -> Eval<'a> {
        match &update.target {
            Target::Local(slot, given) => {
                let old = match given {
                    Some(given) => self.given(*given, *slot),
                    None => self.locals.get(usize::from(*slot)).map_or(Value::Nil, |slot| slot.get()),
                };
                let old = if matches!(old, Value::Unset) { Value::Nil } else { old };
                match self.updated(update, old)? {
                    Some(new) => {
                        self.set_local(*slot, new);
                        Ok(new)
                    }
                    None => Ok(old),
                }
            }
            Target::Method { receiver, args, reader, writer, safe } => {
                let receiver = self.eval(receiver)?;
                if *safe && receiver.is_nil() {
                    return Ok(Value::Nil);
                }
                let mut args = self.eval_list(args)?;
                let old = self.read(receiver, reader, &args)?;
                match self.updated(update, old)? {
                    Some(new) => {
                        args.push(new);
                        self.call(receiver, writer, Args::of(&args))?;
                        Ok(new)
                    }
                    None => Ok(old),
                }
            }
        }
    }

    fn read(&mut self, receiver: Value<'a>, reader: &'static Row, args: &[Value<'a>]) -> Eval<'a> {
        self.call(receiver, reader, Args::of(args))
    }

    /// The new value, or `None` if the old one stays.
    fn updated(&mut self, update: &'p Update, old: Value<'a>) -> Eval<'a, Option<Value<'a>>> {
        match update.operator {
            UpdateOperator::Or if old.truthy() => Ok(None),
            UpdateOperator::And if !old.truthy() => Ok(None),
            UpdateOperator::Or | UpdateOperator::And => Ok(Some(self.eval(&update.value)?)),
            UpdateOperator::Method(method) => {
                let value = self.eval(&update.value)?;
                Ok(Some(self.call(old, method, Args::of(&[value]))?))
            }
        }
    }
}
