//! String.

mod case;
mod change;
mod encoding;
mod number;
mod query;
mod replace;
mod set;
mod slice;
mod split;
mod trim;

pub(super) use slice::range_bounds;

use super::Method;
use crate::expr::run::{Args, Eval, Unwind, Vm};
use crate::expr::value::{Str, Value, chars};

/// All of String's tables.
pub(super) const TABLES: [&[Method]; 9] = [
    query::METHODS,
    case::METHODS,
    slice::METHODS,
    split::METHODS,
    trim::METHODS,
    replace::METHODS,
    number::METHODS,
    encoding::METHODS,
    change::METHODS,
];

/// The receiver; the tables are only used for strings.
fn this<'a>(vm: &Vm<'_, 'a>, value: Value<'a>) -> Eval<'a, &'a Str<'a>> {
    match value {
        Value::Str(text) => Ok(text),
        other => Err(vm.no_conversion(other, "String")),
    }
}

/// A regular expression or string argument.
#[derive(Clone, Copy)]
enum Pattern<'a> {
    Regexp(u32),
    Text(&'a [u8]),
}

impl<'a> Pattern<'a> {
    /// `wrong argument type X (expected Regexp)`
    fn of(vm: &Vm<'_, 'a>, value: Value<'a>) -> Eval<'a, Self> {
        match value {
            Value::Regexp(id) => Ok(Self::Regexp(id)),
            Value::Str(text) => Ok(Self::Text(text.bytes())),
            other => {
                Err(vm.type_error(format!("wrong argument type {} (expected Regexp)", kind_name(other))))
            }
        }
    }

    /// The first match in `text` at `from` or later, as a range. Sets `$~` for regular expressions.
    fn find(self, vm: &mut Vm<'_, 'a>, text: &Str<'a>, from: usize) -> Eval<'a, Option<(usize, usize)>> {
        let bytes = text.bytes();
        match self {
            Self::Regexp(id) => {
                let found = vm.search(id, bytes, text.binary.get(), from)?;
                Ok(found.and_then(|found| found.span(0)).map(|span| (span.start, span.end)))
            }
            Self::Text(pattern) => {
                vm.step(1 + bytes.len().saturating_sub(from) / 64)?;
                let at = bytes.get(from..).and_then(|rest| memchr::memmem::find(rest, pattern));
                Ok(at.map(|at| (from + at, from + at + pattern.len())))
            }
        }
    }
}

fn kind_name(value: Value<'_>) -> &'static str {
    crate::expr::value::kind_text(value)
}

/// Refuses to change a frozen string, and notes the change.
fn change<'a>(vm: &mut Vm<'_, 'a>, text: &'a Str<'a>) -> Result<(), Unwind<'a>> {
    if text.frozen.get() {
        return Err(vm.frozen_error(Value::Str(text)));
    }
    vm.touch();
    Ok(())
}

/// Replaces the receiver by what `method` makes of it; nil if that is the same.
fn in_place<'p, 'a>(
    vm: &mut Vm<'p, 'a>,
    receiver: Value<'a>,
    args: Args<'_, 'p, 'a>,
    method: super::Function,
) -> Eval<'a> {
    let text = this(vm, receiver)?;
    change(vm, text)?;
    let old = text.bytes();
    let new = method(vm, receiver, args)?;
    let new = vm.text(new)?;
    if new == old {
        return Ok(Value::Nil);
    }
    text.set(new);
    Ok(receiver)
}

/// Refuses a text that is no UTF-8, as methods that look at its characters do.
fn check_valid<'a>(vm: &Vm<'_, 'a>, text: &Str<'a>) -> Result<(), Unwind<'a>> {
    if text.binary.get() || crate::expr::value::is_utf8(text.bytes()) {
        return Ok(());
    }
    Err(vm.argument_error("invalid byte sequence in UTF-8"))
}

/// How many characters.
fn length(text: &Str<'_>) -> usize {
    let bytes = text.bytes();
    if text.binary.get() || bytes.is_ascii() { bytes.len() } else { chars(bytes, false).count() }
}

/// Ruby's String#succ on ASCII letters and digits.
pub(super) fn successor<'a>(vm: &mut Vm<'_, 'a>, text: &[u8]) -> Eval<'a, &'a [u8]> {
    let mut out = text.to_vec();
    let last_alnum = out.iter().rposition(u8::is_ascii_alphanumeric);
    let Some(last) = last_alnum else {
        // Without letters and digits the last byte counts.
        if let Some(byte) = out.last_mut() {
            *byte = byte.wrapping_add(1);
        }
        return vm.copy(&out);
    };
    let mut at = last;
    loop {
        let (next, carry) = match out[at] {
            b'9' => (b'0', Some(b'1')),
            b'z' => (b'a', Some(b'a')),
            b'Z' => (b'A', Some(b'A')),
            c => (c + 1, None),
        };
        out[at] = next;
        let Some(first) = carry else { break };
        // Over a gap the carry goes only to its like: 1.9 is followed by 2.0, a.9 by a.10.
        let before = out[..at].iter().rposition(u8::is_ascii_alphanumeric);
        let before = before
            .filter(|&before| at - before == 1 || out[before].is_ascii_digit() == out[at].is_ascii_digit());
        match before {
            Some(before) => at = before,
            None => {
                out.insert(at, first);
                break;
            }
        }
    }
    vm.copy(&out)
}
