//! `split`, `scan`, `partition`.

use super::super::{Method, method};
use super::{Pattern, this};
use crate::expr::run::{Args, Eval, Vm};
use crate::expr::value::{Match, Str, Value, chars};

pub(super) const METHODS: &[Method] = &[
    method("split", 0, 2, |vm, receiver, args| {
        let parts = split(vm, receiver, args)?;
        match args.block {
            Some(block) => {
                for part in parts {
                    vm.yield_one(block, part)?;
                }
                Ok(receiver)
            }
            None => vm.array(&parts),
        }
    }),
    method("scan", 1, 1, scan),
    method("partition", 1, 1, |vm, receiver, args| {
        let text = this(vm, receiver)?;
        let pattern = text_or_regexp(vm, args.at(0))?;
        match pattern.find(vm, text, 0)? {
            Some(span) => three(vm, text, span),
            None => {
                let (whole, empty) = (vm.string_like(text, text.bytes()), vm.string(b""));
                vm.array(&[whole, empty, empty])
            }
        }
    }),
    method("rpartition", 1, 1, |vm, receiver, args| {
        let text = this(vm, receiver)?;
        let pattern = text_or_regexp(vm, args.at(0))?;
        let span = match pattern {
            Pattern::Text(part) => memchr::memmem::rfind(text.bytes(), part).map(|at| (at, at + part.len())),
            Pattern::Regexp(_) => {
                let mut last = None;
                let mut from = 0;
                while let Some((start, end)) = pattern.find(vm, text, from)? {
                    last = Some((start, end));
                    from = start
                        + chars(&text.bytes()[start..], text.binary.get()).next().map_or(1, <[u8]>::len);
                    if from > text.len() {
                        break;
                    }
                }
                last
            }
        };
        match span {
            Some(span) => three(vm, text, span),
            None => {
                let (whole, empty) = (vm.string_like(text, text.bytes()), vm.string(b""));
                vm.array(&[empty, empty, whole])
            }
        }
    }),
];

fn text_or_regexp<'a>(vm: &Vm<'_, 'a>, value: Value<'a>) -> Eval<'a, Pattern<'a>> {
    match value {
        Value::Regexp(id) => Ok(Pattern::Regexp(id)),
        Value::Str(text) => Ok(Pattern::Text(text.bytes())),
        other => Err(vm.type_error(format!("type mismatch: {} given", other.class().name()))),
    }
}

fn three<'a>(vm: &mut Vm<'_, 'a>, text: &'a Str<'a>, (start, end): (usize, usize)) -> Eval<'a> {
    let bytes = text.bytes();
    let parts = [&bytes[..start], &bytes[start..end], &bytes[end..]].map(|part| vm.string_like(text, part));
    vm.array(&parts)
}

fn split<'a>(vm: &mut Vm<'_, 'a>, receiver: Value<'a>, args: Args<'_, '_, 'a>) -> Eval<'a, Vec<Value<'a>>> {
    let text = this(vm, receiver)?;
    let limit = args.int_or(vm, 1, 0)?;
    let bytes = text.bytes();
    super::check_valid(vm, text)?;
    if bytes.is_empty() {
        return Ok(Vec::new());
    }
    let most = usize::try_from(limit).ok().filter(|limit| *limit > 0);
    if most == Some(1) {
        return Ok(vec![vm.string_like(text, bytes)]);
    }
    let mut parts: Vec<&'a [u8]> = match args.given(0) {
        None => split_blanks(vm, bytes, most)?,
        Some(Value::Str(separator)) => match separator.bytes() {
            b" " => split_blanks(vm, bytes, most)?,
            b"" => split_chars(vm, text, most)?,
            separator => split_text(vm, bytes, separator, most)?,
        },
        Some(Value::Regexp(id)) => split_regexp(vm, text, id, most, limit < 0)?,
        Some(other) => {
            return Err(
                vm.type_error(format!("wrong argument type {} (expected Regexp)", super::kind_name(other)))
            );
        }
    };
    if limit == 0 {
        while parts.last().is_some_and(|part| part.is_empty()) {
            parts.pop();
        }
    }
    Ok(parts.into_iter().map(|part| vm.string_like(text, part)).collect())
}

/// At runs of blanks; those at the beginning do not count.
fn split_blanks<'a>(vm: &mut Vm<'_, 'a>, bytes: &'a [u8], most: Option<usize>) -> Eval<'a, Vec<&'a [u8]>> {
    let blank = |byte: &u8| byte.is_ascii_whitespace() || *byte == 0x0b || *byte == 0;
    let mut parts = Vec::new();
    let mut rest = bytes;
    loop {
        vm.step(1)?;
        rest = &rest[rest.iter().take_while(|byte| blank(byte)).count()..];
        if rest.is_empty() {
            // Blanks at the end leave an empty part, which only a limit lets be.
            if most.is_some() || bytes.last().is_some_and(blank) {
                parts.push(rest);
            }
            return Ok(parts);
        }
        if most == Some(parts.len() + 1) {
            parts.push(rest);
            return Ok(parts);
        }
        let end = rest.iter().position(blank).unwrap_or(rest.len());
        parts.push(&rest[..end]);
        rest = &rest[end..];
        if rest.is_empty() {
            return Ok(parts);
        }
    }
}

fn split_chars<'a>(vm: &mut Vm<'_, 'a>, text: &'a Str<'a>, most: Option<usize>) -> Eval<'a, Vec<&'a [u8]>> {
    let mut parts = Vec::new();
    let mut rest = text.bytes();
    while let Some(c) = chars(rest, text.binary.get()).next() {
        vm.step(1)?;
        if most == Some(parts.len() + 1) {
            parts.push(rest);
            return Ok(parts);
        }
        parts.push(c);
        rest = &rest[c.len()..];
    }
    parts.push(rest);
    Ok(parts)
}

fn split_text<'a>(
    vm: &mut Vm<'_, 'a>,
    bytes: &'a [u8],
    separator: &[u8],
    most: Option<usize>,
) -> Eval<'a, Vec<&'a [u8]>> {
    let mut parts = Vec::new();
    let mut rest = bytes;
    while most != Some(parts.len() + 1)
        && let Some(at) = memchr::memmem::find(rest, separator)
    {
        vm.step(1)?;
        parts.push(&rest[..at]);
        rest = &rest[at + separator.len()..];
    }
    parts.push(rest);
    Ok(parts)
}

fn split_regexp<'a>(
    vm: &mut Vm<'_, 'a>,
    text: &'a Str<'a>,
    id: u32,
    most: Option<usize>,
    keep_last: bool,
) -> Eval<'a, Vec<&'a [u8]>> {
    let bytes = text.bytes();
    let binary = text.binary.get();
    let mut parts = Vec::new();
    let mut splits = 1;
    let (mut begin, mut from) = (0, 0);
    // Whether the last match was empty and the search went on one character further.
    let mut stepped = false;
    while most != Some(splits)
        && from <= bytes.len()
        && let Some(found) = vm.find_match(id, bytes, binary, from)?
        && let Some(span) = found.span(0)
    {
        vm.step(1)?;
        if span.is_empty() && span.start == from {
            if !stepped {
                from += chars(&bytes[from..], binary).next().map_or(1, <[u8]>::len);
                stepped = true;
                continue;
            }
            parts.push(&bytes[begin..from]);
            begin = from;
        } else {
            parts.push(&bytes[begin..span.start]);
            begin = span.end;
            from = span.end;
        }
        stepped = false;
        push_groups(found, &mut parts);
        splits += 1;
    }
    if begin < bytes.len() || most.is_some() || keep_last {
        parts.push(&bytes[begin..]);
    }
    Ok(parts)
}

/// Groups that matched become parts.
fn push_groups<'a>(found: &'a Match<'a>, parts: &mut Vec<&'a [u8]>) {
    parts.extend((1..found.spans.len()).filter_map(|group| found.group(group)));
}

/// All matches; with groups, the groups of each.
fn scan<'p, 'a>(vm: &mut Vm<'p, 'a>, receiver: Value<'a>, args: Args<'_, 'p, 'a>) -> Eval<'a> {
    let text = this(vm, receiver)?;
    let pattern = Pattern::of(vm, args.at(0))?;
    super::check_valid(vm, text)?;
    let bytes = text.bytes();
    let mut list = Vec::new();
    let mut from = 0;
    let mut last = None;
    while from <= bytes.len()
        && let Some((start, end)) = pattern.find(vm, text, from)?
    {
        vm.step(1)?;
        let found = match pattern {
            Pattern::Regexp(_) => vm.last_match(),
            Pattern::Text(_) => None,
        };
        last = found;
        let item = match found {
            Some(found) if found.spans.len() > 1 => {
                let groups: Vec<_> = (1..found.spans.len())
                    .map(|group| found.group(group).map_or(Value::Nil, |group| vm.string_like(text, group)))
                    .collect();
                vm.array(&groups)?
            }
            _ => vm.string_like(text, &bytes[start..end]),
        };
        match args.block {
            Some(block) => {
                vm.yield_one(block, item)?;
            }
            None => list.push(item),
        }
        from = if end > start {
            end
        } else {
            end + chars(&bytes[end..], text.binary.get()).next().map_or(1, <[u8]>::len)
        };
    }
    if let Pattern::Regexp(_) = pattern {
        vm.set_last_match(last);
    }
    match args.block {
        Some(_) => Ok(receiver),
        None => vm.array(&list),
    }
}
