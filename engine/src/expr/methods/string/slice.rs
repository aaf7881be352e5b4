//! Parts of a string.

use super::super::{Method, method};
use super::this;
use crate::expr::run::{Args, Eval, Vm};
use crate::expr::value::{Range, Str, Value, chars};

pub(super) const METHODS: &[Method] = &[
    method("[]", 1, 2, slice),
    method("slice", 1, 2, slice),
    method("byteslice", 1, 2, |vm, receiver, args| {
        let text = this(vm, receiver)?;
        let bounds = bounds(vm, args, text.len())?;
        Ok(bounds.map_or(Value::Nil, |(start, end)| vm.string_like(text, &text.bytes()[start..end])))
    }),
    method("chr", 0, 0, |vm, receiver, _| {
        let text = this(vm, receiver)?;
        let first = chars(text.bytes(), text.binary.get()).next().unwrap_or_default();
        Ok(vm.string_like(text, first))
    }),
    method("getbyte", 1, 1, |vm, receiver, args| {
        let (bytes, at) = (vm.text(receiver)?, vm.int(args.at(0))?);
        let at = if at < 0 { at + bytes.len() as i64 } else { at };
        let byte = usize::try_from(at).ok().and_then(|at| bytes.get(at));
        Ok(byte.map_or(Value::Nil, |byte| Value::Int(i64::from(*byte))))
    }),
    method("chars", 0, 0, |vm, receiver, _| {
        let list = characters(vm, receiver)?;
        vm.array(&list)
    }),
    method("each_char", 0, 0, |vm, receiver, args| {
        let Some(block) = args.block else { return vm.enumerator(receiver, "each_char", args) };
        for c in characters(vm, receiver)? {
            vm.yield_one(block, c)?;
        }
        Ok(receiver)
    }),
    method("bytes", 0, 0, |vm, receiver, _| {
        let bytes = vm.text(receiver)?;
        vm.step(bytes.len())?;
        let list: Vec<_> = bytes.iter().map(|byte| Value::Int(i64::from(*byte))).collect();
        vm.array(&list)
    }),
    method("each_byte", 0, 0, |vm, receiver, args| {
        let Some(block) = args.block else { return vm.enumerator(receiver, "each_byte", args) };
        for byte in vm.text(receiver)? {
            vm.yield_one(block, Value::Int(i64::from(*byte)))?;
        }
        Ok(receiver)
    }),
    method("codepoints", 0, 0, |vm, receiver, _| {
        let text = this(vm, receiver)?;
        let mut list = Vec::new();
        for c in chars(text.bytes(), text.binary.get()) {
            vm.step(1)?;
            match (c, std::str::from_utf8(c).ok().and_then(|c| c.chars().next())) {
                ([byte], None) if text.binary.get() => list.push(Value::Int(i64::from(*byte))),
                (_, Some(c)) => list.push(Value::Int(c as i64)),
                _ => return Err(vm.argument_error("invalid byte sequence in UTF-8")),
            }
        }
        vm.array(&list)
    }),
    method("lines", 0, 2, |vm, receiver, args| {
        let list = lines(vm, receiver, args)?;
        vm.array(&list)
    }),
    method("each_line", 0, 2, |vm, receiver, args| {
        let Some(block) = args.block else { return vm.enumerator(receiver, "each_line", args) };
        for line in lines(vm, receiver, args)? {
            vm.yield_one(block, line)?;
        }
        Ok(receiver)
    }),
];

fn characters<'a>(vm: &mut Vm<'_, 'a>, receiver: Value<'a>) -> Eval<'a, Vec<Value<'a>>> {
    let text = this(vm, receiver)?;
    vm.step(text.len())?;
    let list = chars(text.bytes(), text.binary.get()).map(|c| vm.string_like(text, c)).collect();
    Ok(list)
}

fn lines<'a>(vm: &mut Vm<'_, 'a>, receiver: Value<'a>, args: Args<'_, '_, 'a>) -> Eval<'a, Vec<Value<'a>>> {
    let text = this(vm, receiver)?;
    let chomp = args.option("chomp").is_some_and(Value::truthy);
    let separator: &[u8] = match args.get(0) {
        Some(Value::Str(separator)) => separator.bytes(),
        _ => b"\n",
    };
    let mut list = Vec::new();
    let mut rest = text.bytes();
    while !rest.is_empty() {
        vm.step(1)?;
        let end = match memchr::memmem::find(rest, separator) {
            Some(at) if !separator.is_empty() => at + separator.len(),
            _ => rest.len(),
        };
        let (line, behind) = rest.split_at(end);
        let line = if chomp { line.strip_suffix(separator).unwrap_or(line) } else { line };
        let line = if chomp && separator == b"\n" { line.strip_suffix(b"\r").unwrap_or(line) } else { line };
        list.push(vm.string_like(text, line));
        rest = behind;
    }
    Ok(list)
}

/// `text[index]`, `text[start, length]`, `text[range]`, `text[regexp]`, `text[regexp, group]`, `text["part"]`
pub(super) fn slice<'a>(vm: &mut Vm<'_, 'a>, receiver: Value<'a>, args: Args<'_, '_, 'a>) -> Eval<'a> {
    let text = this(vm, receiver)?;
    match span(vm, text, args)? {
        Some((start, end)) => Ok(vm.string_like(text, &text.bytes()[start..end])),
        None => Ok(Value::Nil),
    }
}

/// The bytes that an index means.
pub(super) fn span<'a>(
    vm: &mut Vm<'_, 'a>,
    text: &'a Str<'a>,
    args: Args<'_, '_, 'a>,
) -> Eval<'a, Option<(usize, usize)>> {
    let bytes = text.bytes();
    match args.at(0) {
        Value::Regexp(id) => {
            let Some(found) = vm.search(id, bytes, text.binary.get(), 0)? else { return Ok(None) };
            let span = match args.get(1) {
                None => found.span(0),
                Some(group) => super::super::regexp::group_span(vm, found, group)?,
            };
            Ok(span.map(|span| (span.start, span.end)))
        }
        Value::Str(part) if args.list.len() == 1 => {
            vm.step(bytes.len() / 64)?;
            let at = memchr::memmem::find(bytes, part.bytes());
            Ok(at.map(|at| (at, at + part.len())))
        }
        first => {
            let single = args.list.len() == 1 && !matches!(first, Value::Range(_));
            if bytes.is_ascii() || text.binary.get() {
                let found = bounds(vm, args, bytes.len())?;
                return Ok(found.filter(|(start, end)| !single || start < end));
            }
            vm.step(bytes.len() / 16)?;
            let total = chars(bytes, false).count();
            let Some((start, end)) = bounds(vm, args, total)? else { return Ok(None) };
            if single && start == end {
                return Ok(None);
            }
            let mut all = chars(bytes, false);
            let from: usize = all.by_ref().take(start).map(<[u8]>::len).sum();
            let length: usize = all.take(end - start).map(<[u8]>::len).sum();
            Ok(Some((from, from + length)))
        }
    }
}

/// `index`, `start, length` or `range` as positions in something of `total` elements.
pub(super) fn bounds<'a>(
    vm: &mut Vm<'_, 'a>,
    args: Args<'_, '_, 'a>,
    total: usize,
) -> Eval<'a, Option<(usize, usize)>> {
    if let (Value::Range(range), None) = (args.at(0), args.get(1)) {
        return range_bounds(vm, range, total);
    }
    let start = vm.int(args.at(0))?;
    let count = match args.get(1) {
        Some(count) => vm.int(count)?,
        None => 1,
    };
    let start = if start < 0 { start + total as i64 } else { start };
    let Ok(start) = usize::try_from(start) else { return Ok(None) };
    let Ok(count) = usize::try_from(count) else { return Ok(None) };
    if start > total {
        return Ok(None);
    }
    Ok(Some((start, start.saturating_add(count).min(total))))
}

/// The positions that a range means in something of `total` elements.
pub(in crate::expr::methods) fn range_bounds<'a>(
    vm: &Vm<'_, 'a>,
    range: &Range<'a>,
    total: usize,
) -> Eval<'a, Option<(usize, usize)>> {
    let low = if range.low.is_nil() { 0 } else { vm.int(range.low)? };
    let (high, exclusive) =
        if range.high.is_nil() { (-1, false) } else { (vm.int(range.high)?, range.exclusive) };
    let place = |at: i64| if at < 0 { at + total as i64 } else { at };
    let Ok(start) = usize::try_from(place(low)) else { return Ok(None) };
    if start > total {
        return Ok(None);
    }
    let end = place(high) + i64::from(!exclusive);
    let end = usize::try_from(end).unwrap_or(0).clamp(start, total.max(start));
    Ok(Some((start, end)))
}
