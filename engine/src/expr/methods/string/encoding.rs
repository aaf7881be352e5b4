//! Encodings: UTF-8, bytes, and what to do with text that is neither.

use super::super::{ANY, ClassId, Method, method};
use super::{change, in_place, this};
use crate::expr::run::{Args, Eval, Vm};
use crate::expr::value::{Str, Value, chars, is_utf8, to_s};

pub(super) const METHODS: &[Method] = &[
    method("encoding", 0, 0, |vm, receiver, _| {
        let name: &[u8] = if this(vm, receiver)?.binary.get() { b"ASCII-8BIT" } else { b"UTF-8" };
        Ok(vm.string(name))
    }),
    method("valid_encoding?", 0, 0, |vm, receiver, _| {
        let text = this(vm, receiver)?;
        Ok(Value::Bool(text.binary.get() || is_utf8(text.bytes())))
    }),
    method("ascii_only?", 0, 0, |vm, receiver, _| Ok(Value::Bool(this(vm, receiver)?.bytes().is_ascii()))),
    method("unicode_normalize", 0, 1, |vm, receiver, _| {
        if this(vm, receiver)?.bytes().is_ascii() {
            return Ok(receiver);
        }
        Err(vm.argument_error("unicode_normalize of text beyond ASCII is not supported"))
    }),
    method("b", 0, 0, |vm, receiver, _| {
        let bytes = this(vm, receiver)?.bytes();
        Ok(Value::Str(vm.arena().alloc(Str::binary(bytes))))
    }),
    method("force_encoding", 1, 1, |vm, receiver, args| {
        let text = this(vm, receiver)?;
        change(vm, text)?;
        let encoding = encoding(vm, args.at(0))?;
        text.binary.set(encoding != Encoding::Utf8);
        text.latin1.set(encoding == Encoding::Latin1);
        Ok(receiver)
    })
    .mutates(),
    method("scrub", 0, 1, scrub),
    method("scrub!", 0, 1, |vm, receiver, args| {
        in_place(vm, receiver, args, scrub)?;
        Ok(receiver)
    })
    .mutates(),
    method("encode", 0, ANY, encode),
    method("encode!", 0, ANY, |vm, receiver, args| {
        in_place(vm, receiver, args, encode)?;
        Ok(receiver)
    })
    .mutates(),
    method("dump", 0, 0, |vm, receiver, _| {
        let text = this(vm, receiver)?;
        let mut out = Vec::new();
        crate::expr::value::inspect_bytes(text.bytes(), text.binary.get(), &mut out);
        let shown: String = String::from_utf8_lossy(&out)
            .chars()
            .map(|c| {
                if c.is_ascii() {
                    c.to_string()
                } else if c as u32 > 0xffff {
                    format!("\\u{{{:X}}}", c as u32)
                } else {
                    format!("\\u{:04X}", c as u32)
                }
            })
            .collect();
        vm.new_string(shown.as_bytes())
    }),
];

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Encoding {
    Utf8,
    Binary,
    Ascii,
    Latin1,
}

fn encoding<'a>(vm: &mut Vm<'_, 'a>, value: Value<'a>) -> Eval<'a, Encoding> {
    let name = String::from_utf8_lossy(to_s(vm, value)?).to_ascii_uppercase();
    match name.replace('-', "_").as_str() {
        "UTF_8" | "UTF8" => Ok(Encoding::Utf8),
        "ASCII_8BIT" | "BINARY" => Ok(Encoding::Binary),
        "US_ASCII" | "ASCII" => Ok(Encoding::Ascii),
        "ISO_8859_1" | "LATIN1" => Ok(Encoding::Latin1),
        _ => Err(vm.argument_error(format!("encoding {name} is not supported"))),
    }
}

fn scrub<'p, 'a>(vm: &mut Vm<'p, 'a>, receiver: Value<'a>, args: Args<'_, 'p, 'a>) -> Eval<'a> {
    let text = this(vm, receiver)?;
    let bytes = text.bytes();
    if text.binary.get() || is_utf8(bytes) {
        return Ok(vm.string_like(text, bytes));
    }
    let replacement: &[u8] = match args.given(0) {
        Some(replacement) => vm.text(replacement)?,
        None => "\u{fffd}".as_bytes(),
    };
    let mut out = Vec::with_capacity(bytes.len());
    for chunk in bytes.utf8_chunks() {
        vm.step(1)?;
        out.extend_from_slice(chunk.valid().as_bytes());
        if chunk.invalid().is_empty() {
            continue;
        }
        match args.block {
            Some(block) => {
                let invalid = vm.new_string(chunk.invalid())?;
                let new = vm.yield_one(block, invalid)?;
                out.extend_from_slice(vm.text(new)?);
            }
            None => out.extend_from_slice(replacement),
        }
    }
    vm.new_string(&out)
}

/// `encode("UTF-8", invalid: :replace, undef: :replace, replace: "?")`, `encode("UTF-8", "ISO-8859-1")`
fn encode<'a>(vm: &mut Vm<'_, 'a>, receiver: Value<'a>, args: Args<'_, '_, 'a>) -> Eval<'a> {
    let text = this(vm, receiver)?;
    let bytes = text.bytes();
    let to = match args.get(0) {
        Some(value) if !matches!(value, Value::Hash(_)) => encoding(vm, value)?,
        _ => Encoding::Utf8,
    };
    let from = match args.get(1) {
        Some(value) if !matches!(value, Value::Hash(_)) => encoding(vm, value)?,
        _ if text.latin1.get() => Encoding::Latin1,
        _ if text.binary.get() => Encoding::Binary,
        _ => Encoding::Utf8,
    };
    let wants = |name| args.option(name).and_then(Value::text) == Some(b"replace");
    let replacement = match args.option("replace") {
        Some(value) => Some(vm.text(value)?),
        None => None,
    };
    vm.step(bytes.len() / 8)?;
    let mut out = Vec::with_capacity(bytes.len());
    for c in chars(bytes, from != Encoding::Utf8) {
        let decoded = match (from, c) {
            (Encoding::Latin1, [byte]) => Some(char::from(*byte)),
            (_, [byte]) => byte.is_ascii().then_some(char::from(*byte)),
            (_, c) => std::str::from_utf8(c).ok().and_then(|c| c.chars().next()),
        };
        // Text that is already in the target encoding is only changed if that is asked for.
        let unchanged = from == to && !wants("invalid");
        match decoded {
            None if unchanged => out.extend_from_slice(c),
            None if from == Encoding::Utf8 && wants("invalid")
                || from != Encoding::Utf8 && wants("undef") =>
            {
                out.extend_from_slice(replacement.unwrap_or("\u{fffd}".as_bytes()));
            }
            None => {
                let class = if from == Encoding::Utf8 {
                    ClassId::InvalidByteSequenceError
                } else {
                    ClassId::UndefinedConversionError
                };
                let shown: String = c.iter().map(|byte| format!("\\x{byte:02X}")).collect();
                let from = if from == Encoding::Utf8 { "UTF-8" } else { "ASCII-8BIT" };
                return Err(vm.raise(class, format!("\"{shown}\" from {from} to UTF-8")));
            }
            Some(c) => match to {
                Encoding::Latin1 if (c as u32) < 256 => out.push(c as u32 as u8),
                Encoding::Utf8 => out.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes()),
                _ if c.is_ascii() => out.push(c as u8),
                _ if wants("undef") => out.extend_from_slice(replacement.unwrap_or(b"?")),
                _ => {
                    let target = if to == Encoding::Latin1 { "ISO-8859-1" } else { "US-ASCII" };
                    let message = format!("U+{:04X} from UTF-8 to {target}", c as u32);
                    return Err(vm.raise(ClassId::UndefinedConversionError, message));
                }
            },
        }
    }
    let out = vm.copy(&out)?;
    let result = Str::new(out);
    result.binary.set(to != Encoding::Utf8);
    result.latin1.set(to == Encoding::Latin1);
    Ok(Value::Str(vm.arena().alloc(result)))
}
