//! What methods expect of their arguments, and Ruby's words when they get something else.

use crate::expr::run::{Args, Eval, Unwind, Vm};
use crate::expr::value::{ClassId, Value, compare, float_text, inspect, kind_text};
use std::cmp::Ordering;

impl<'p, 'a> Vm<'p, 'a> {
    /// `no implicit conversion of X into Y`
    pub(crate) fn no_conversion(&self, value: Value<'a>, into: &str) -> Unwind<'a> {
        let kind = kind_text(value);
        if into == "Integer" && matches!(value, Value::Nil | Value::Bool(_)) {
            return self.type_error(format!("no implicit conversion from {kind} to integer"));
        }
        self.type_error(format!("no implicit conversion of {kind} into {into}"))
    }

    /// An integer argument; floats lose their fraction.
    pub(crate) fn int(&self, value: Value<'a>) -> Eval<'a, i64> {
        match value {
            Value::Int(value) => Ok(value),
            Value::Float(value) if value.is_finite() && value.abs() < 9.2e18 => Ok(value as i64),
            Value::Float(value) if value.is_finite() => Err(self
                .raise(ClassId::RangeError, format!("float {} out of range of integer", float_text(value)))),
            Value::Float(value) => Err(self.raise(ClassId::FloatDomainError, float_text(value))),
            Value::Big(_) => Err(self.raise(ClassId::RangeError, "bignum too big to convert into `long'")),
            other => Err(self.no_conversion(other, "Integer")),
        }
    }

    /// A number of things that must not be negative, and small enough to be made.
    pub(crate) fn count(&self, value: Value<'a>, negative: &str) -> Eval<'a, usize> {
        let count = self.int(value)?;
        usize::try_from(count).map_err(|_| self.argument_error(negative))
    }

    /// A string argument.
    pub(crate) fn text(&self, value: Value<'a>) -> Eval<'a, &'a [u8]> {
        match value {
            Value::Str(text) => Ok(text.bytes()),
            other => Err(self.no_conversion(other, "String")),
        }
    }

    /// A string or symbol argument.
    pub(crate) fn name(&mut self, value: Value<'a>) -> Eval<'a, &'a [u8]> {
        match value.text() {
            Some(text) => Ok(text),
            None => {
                let shown = inspect_text(self, value);
                Err(self.type_error(format!("{shown} is not a symbol nor a string")))
            }
        }
    }

    /// A number argument as a float.
    pub(crate) fn float(&self, value: Value<'a>) -> Eval<'a, f64> {
        match value.to_f64() {
            Some(value) => Ok(value),
            None if value.is_nil() => Err(self.type_error("can't convert nil into Float")),
            None => Err(self.type_error(format!("can't convert {} into Float", kind_text(value)))),
        }
    }

    /// `a <=> b`, or why they cannot be compared.
    pub(crate) fn order(&mut self, a: Value<'a>, b: Value<'a>) -> Eval<'a, Ordering> {
        match compare(a, b) {
            Some(order) => Ok(order),
            None => Err(self.incomparable(a, b)),
        }
    }

    /// `comparison of X with Y failed`
    pub(crate) fn incomparable(&mut self, a: Value<'a>, b: Value<'a>) -> Unwind<'a> {
        let special = matches!(b, Value::Nil | Value::Bool(_) | Value::Int(_) | Value::Float(_));
        let other = if special { inspect_text(self, b) } else { b.class().name().to_owned() };
        self.argument_error(format!("comparison of {} with {other} failed", a.class().name()))
    }

    /// The order that a `<=>` block answers.
    pub(crate) fn block_order(
        &mut self,
        answer: Value<'a>,
        a: Value<'a>,
        b: Value<'a>,
    ) -> Eval<'a, Ordering> {
        match answer {
            Value::Int(order) => Ok(order.cmp(&0)),
            Value::Float(order) => Ok(order.partial_cmp(&0.0).unwrap_or(Ordering::Equal)),
            Value::Nil => Err(self.incomparable(a, b)),
            other => self.order(other, Value::Int(0)),
        }
    }

    /// Refuses to change a frozen object.
    pub(crate) fn frozen_error(&mut self, value: Value<'a>) -> Unwind<'a> {
        let shown = inspect_text(self, value);
        let class = value.class().name();
        self.raise(ClassId::FrozenError, format!("can't modify frozen {class}: {shown}"))
    }
}

impl<'v, 'p, 'a> Args<'v, 'p, 'a> {
    /// The integer at `index`, or `default` where none is given.
    pub(crate) fn int_or(&self, vm: &Vm<'_, 'a>, index: usize, default: i64) -> Eval<'a, i64> {
        self.get(index).map_or(Ok(default), |value| vm.int(value))
    }

    /// The argument at `index`; the number of arguments has been checked.
    pub(crate) fn at(&self, index: usize) -> Value<'a> {
        self.get(index).unwrap_or(Value::Nil)
    }
}

/// `inspect` as text, for messages.
pub(crate) fn inspect_text<'a>(vm: &mut Vm<'_, 'a>, value: Value<'a>) -> String {
    let mut out = Vec::new();
    match inspect(vm, value, &mut out) {
        Ok(()) => String::from_utf8_lossy(&out).into_owned(),
        Err(_) => format!("#<{}>", value.class().name()),
    }
}
