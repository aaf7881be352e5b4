//! Upper and lower case.

use super::super::{ANY, Method, method};
use super::{in_place, this};
use crate::expr::run::{Args, Eval, Vm};
use crate::expr::value::{Value, is_utf8};

pub(super) const METHODS: &[Method] = &[
    method("upcase", 0, ANY, upcase),
    method("downcase", 0, ANY, downcase),
    method("capitalize", 0, ANY, capitalize),
    method("swapcase", 0, ANY, swapcase),
    method("upcase!", 0, ANY, |vm, receiver, args| in_place(vm, receiver, args, upcase)).mutates(),
    method("downcase!", 0, ANY, |vm, receiver, args| in_place(vm, receiver, args, downcase)).mutates(),
    method("capitalize!", 0, ANY, |vm, receiver, args| in_place(vm, receiver, args, capitalize)).mutates(),
    method("swapcase!", 0, ANY, |vm, receiver, args| in_place(vm, receiver, args, swapcase)).mutates(),
];

/// How a text is mapped: by bytes while it is ASCII, else by characters.
struct Mapping {
    ascii: fn(&mut [u8]),
    unicode: fn(&str) -> String,
}

fn map<'a>(vm: &mut Vm<'_, 'a>, receiver: Value<'a>, args: Args<'_, '_, 'a>, mapping: &Mapping) -> Eval<'a> {
    let text = this(vm, receiver)?;
    let bytes = text.bytes();
    let ascii_only = match args.list {
        [] => false,
        [option] => match option.text() {
            Some(b"ascii") => true,
            Some(b"turkic" | b"lithuanian" | b"fold") => false,
            _ => return Err(vm.argument_error("invalid option")),
        },
        _ => return Err(vm.argument_error("too many options")),
    };
    vm.step(bytes.len() / 64)?;
    if bytes.is_ascii() || text.binary.get() || ascii_only {
        vm.charge(bytes.len())?;
        let out = vm.arena().alloc_slice_copy(bytes);
        (mapping.ascii)(out);
        return Ok(vm.string_like(text, out));
    }
    if !is_utf8(bytes) {
        return Err(vm.argument_error("input string invalid"));
    }
    let mapped = (mapping.unicode)(&String::from_utf8_lossy(bytes));
    vm.new_string(mapped.as_bytes())
}

fn upcase<'a>(vm: &mut Vm<'_, 'a>, receiver: Value<'a>, args: Args<'_, '_, 'a>) -> Eval<'a> {
    let mapping = Mapping { ascii: |bytes| bytes.make_ascii_uppercase(), unicode: str::to_uppercase };
    map(vm, receiver, args, &mapping)
}

fn downcase<'a>(vm: &mut Vm<'_, 'a>, receiver: Value<'a>, args: Args<'_, '_, 'a>) -> Eval<'a> {
    // Ruby maps character by character: no final sigma.
    let unicode = |text: &str| text.chars().flat_map(char::to_lowercase).collect();
    map(vm, receiver, args, &Mapping { ascii: |bytes| bytes.make_ascii_lowercase(), unicode })
}

fn capitalize<'a>(vm: &mut Vm<'_, 'a>, receiver: Value<'a>, args: Args<'_, '_, 'a>) -> Eval<'a> {
    let ascii = |bytes: &mut [u8]| {
        bytes.make_ascii_lowercase();
        if let Some(first) = bytes.first_mut() {
            first.make_ascii_uppercase();
        }
    };
    let unicode = |text: &str| {
        let mut chars = text.chars();
        let mut out = String::with_capacity(text.len());
        for (at, c) in chars.next().into_iter().flat_map(char::to_uppercase).enumerate() {
            if at == 0 { out.push(c) } else { out.extend(c.to_lowercase()) }
        }
        out.extend(chars.flat_map(char::to_lowercase));
        out
    };
    map(vm, receiver, args, &Mapping { ascii, unicode })
}

fn swapcase<'a>(vm: &mut Vm<'_, 'a>, receiver: Value<'a>, args: Args<'_, '_, 'a>) -> Eval<'a> {
    let ascii = |bytes: &mut [u8]| {
        for byte in bytes {
            *byte =
                if byte.is_ascii_uppercase() { byte.to_ascii_lowercase() } else { byte.to_ascii_uppercase() };
        }
    };
    let unicode = |text: &str| {
        let mut out = String::with_capacity(text.len());
        for c in text.chars() {
            if c.is_uppercase() { out.extend(c.to_lowercase()) } else { out.extend(c.to_uppercase()) }
        }
        out
    };
    map(vm, receiver, args, &Mapping { ascii, unicode })
}
