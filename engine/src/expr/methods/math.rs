//! Math.

use super::{Method, method};
use crate::expr::run::{Args, Eval, Vm};
use crate::expr::value::{ClassId, Value};

/// Functions of one number.
macro_rules! unary {
    ($name:literal, $apply:expr) => {
        method($name, 1, 1, |vm, _, args| {
            let value = vm.float(args.at(0))?;
            let apply: fn(f64) -> f64 = $apply;
            Ok(Value::Float(apply(value)))
        })
    };
}

/// The module's functions.
pub(super) const MODULE: &[Method] = &[
    method("sqrt", 1, 1, |vm, _, args| positive(vm, args, "sqrt", f64::sqrt)),
    method("log", 1, 2, |vm, _, args| {
        let value = domain(vm, args, "log")?;
        match args.get(1) {
            Some(base) => Ok(Value::Float(value.ln() / vm.float(base)?.ln())),
            None => Ok(Value::Float(value.ln())),
        }
    }),
    method("log2", 1, 1, |vm, _, args| positive(vm, args, "log2", f64::log2)),
    method("log10", 1, 1, |vm, _, args| positive(vm, args, "log10", f64::log10)),
    unary!("cbrt", f64::cbrt),
    unary!("exp", f64::exp),
    unary!("sin", f64::sin),
    unary!("cos", f64::cos),
    unary!("tan", f64::tan),
    unary!("asin", f64::asin),
    unary!("acos", f64::acos),
    unary!("atan", f64::atan),
    unary!("sinh", f64::sinh),
    unary!("cosh", f64::cosh),
    unary!("tanh", f64::tanh),
    method("atan2", 2, 2, |vm, _, args| {
        let (y, x) = (vm.float(args.at(0))?, vm.float(args.at(1))?);
        Ok(Value::Float(y.atan2(x)))
    }),
    method("hypot", 2, 2, |vm, _, args| {
        let (a, b) = (vm.float(args.at(0))?, vm.float(args.at(1))?);
        Ok(Value::Float(a.hypot(b)))
    }),
];

fn positive<'a>(vm: &mut Vm<'_, 'a>, args: Args<'_, '_, 'a>, name: &str, apply: fn(f64) -> f64) -> Eval<'a> {
    Ok(Value::Float(apply(domain(vm, args, name)?)))
}

fn domain<'a>(vm: &mut Vm<'_, 'a>, args: Args<'_, '_, 'a>, name: &str) -> Eval<'a, f64> {
    let value = vm.float(args.at(0))?;
    if value < 0.0 {
        return Err(
            vm.raise(ClassId::MathDomainError, format!("Numerical argument is out of domain - {name}"))
        );
    }
    Ok(value)
}
