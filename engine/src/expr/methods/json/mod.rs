//! JSON: `to_json`, `JSON.parse`, `JSON.generate`.

mod read;
mod write;

use super::{Method, method};
use crate::expr::run::{Args, Eval, Vm};
use crate::expr::value::Value;

/// The module's functions.
pub(super) const MODULE: &[Method] = &[
    method("parse", 1, 2, parse),
    method("parse!", 1, 2, parse),
    method("load", 1, 2, parse),
    method("generate", 1, 2, generate),
    method("dump", 1, 2, generate),
    method("pretty_generate", 1, 2, |vm, _, args| {
        let mut out = Vec::new();
        write::write(vm, args.at(0), Some(0), 0, &mut out)?;
        vm.new_string(&out)
    }),
];

/// `value.to_json`
pub(super) fn to_json<'a>(vm: &mut Vm<'_, 'a>, receiver: Value<'a>, _: Args<'_, '_, 'a>) -> Eval<'a> {
    let mut out = Vec::new();
    write::write(vm, receiver, None, 0, &mut out)?;
    vm.new_string(&out)
}

fn generate<'a>(vm: &mut Vm<'_, 'a>, _: Value<'a>, args: Args<'_, '_, 'a>) -> Eval<'a> {
    to_json(vm, args.at(0), Args::of(&[]))
}

fn parse<'a>(vm: &mut Vm<'_, 'a>, _: Value<'a>, args: Args<'_, '_, 'a>) -> Eval<'a> {
    let text = vm.text(args.at(0))?;
    let symbols = args.option("symbolize_names").is_some_and(Value::truthy);
    read::read(vm, text, symbols)
}

/// `JSON(value)`: parses a string, generates anything else.
pub(super) fn parse_or_generate<'a>(
    vm: &mut Vm<'_, 'a>,
    receiver: Value<'a>,
    args: Args<'_, '_, 'a>,
) -> Eval<'a> {
    match args.at(0) {
        Value::Str(_) => parse(vm, receiver, args),
        _ => generate(vm, receiver, args),
    }
}
