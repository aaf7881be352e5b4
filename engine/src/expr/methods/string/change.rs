//! Methods that change a string.

use super::super::{ANY, Method, method};
use super::{change, length, this};
use crate::expr::run::{Args, Eval, Vm};
use crate::expr::value::{ClassId, Value, chars};

pub(super) const METHODS: &[Method] = &[
    method("<<", 1, 1, append).mutates(),
    method("concat", 0, ANY, append).mutates(),
    method("prepend", 0, ANY, |vm, receiver, args| {
        let text = this(vm, receiver)?;
        change(vm, text)?;
        let mut all = Vec::new();
        for arg in args.list {
            all.extend_from_slice(vm.text(*arg)?);
        }
        all.extend_from_slice(text.bytes());
        text.set(vm.copy(&all)?);
        Ok(receiver)
    })
    .mutates(),
    method("insert", 2, 2, |vm, receiver, args| {
        let text = this(vm, receiver)?;
        change(vm, text)?;
        let (at, part) = (vm.int(args.at(0))?, vm.text(args.at(1))?);
        let total = length(text) as i64;
        let place = if at < 0 { at + total + 1 } else { at };
        if !(0..=total).contains(&place) {
            return Err(vm.raise(ClassId::IndexError, format!("index {at} out of string")));
        }
        let bytes = text.bytes();
        let offset: usize = chars(bytes, text.binary.get()).take(place as usize).map(<[u8]>::len).sum();
        let joined = vm.copy(&[&bytes[..offset], part, &bytes[offset..]].concat())?;
        text.set(joined);
        Ok(receiver)
    })
    .mutates(),
    method("replace", 1, 1, |vm, receiver, args| {
        let text = this(vm, receiver)?;
        change(vm, text)?;
        text.set(vm.text(args.at(0))?);
        Ok(receiver)
    })
    .mutates(),
    method("clear", 0, 0, |vm, receiver, _| {
        let text = this(vm, receiver)?;
        change(vm, text)?;
        text.set(b"");
        Ok(receiver)
    })
    .mutates(),
];

fn append<'a>(vm: &mut Vm<'_, 'a>, receiver: Value<'a>, args: Args<'_, '_, 'a>) -> Eval<'a> {
    let text = this(vm, receiver)?;
    change(vm, text)?;
    for arg in args.list {
        let mut buffer = [0; 4];
        let part: &[u8] = match *arg {
            Value::Int(code) => match u32::try_from(code).ok().and_then(char::from_u32) {
                Some(c) => c.encode_utf8(&mut buffer).as_bytes(),
                None => return Err(vm.raise(ClassId::RangeError, format!("{code} out of char range"))),
            },
            other => vm.text(other)?,
        };
        vm.charge(part.len() * 2)?;
        text.append(vm.arena(), part);
    }
    Ok(receiver)
}
