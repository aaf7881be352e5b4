//! Regexp and MatchData.

use super::{ANY, ClassId, Method, method};
use crate::expr::run::{Args, Eval, Vm};
use crate::expr::syntax::ast::RegexpOptions;
use crate::expr::value::{Hash, Match, Value, chars, display_regexp};
use std::ops::Range;

/// Regexp's own methods.
pub(super) const METHODS: &[Method] = &[
    method("match", 1, 2, |vm, receiver, args| {
        if args.at(0).is_nil() {
            vm.set_last_match(None);
            return Ok(Value::Nil);
        }
        search(vm, receiver, args.at(0), args)
    }),
    method("match?", 1, 2, |vm, receiver, args| match args.at(0) {
        Value::Nil => Ok(Value::Bool(false)),
        text => {
            let (id, text) = (id(receiver), subject(vm, text)?);
            let from = start(vm, text, args)?;
            Ok(Value::Bool(match from {
                Some(from) => vm.find_match(id, text, false, from)?.is_some(),
                None => false,
            }))
        }
    }),
    method("=~", 1, 1, |vm, receiver, args| {
        if args.at(0).is_nil() {
            vm.set_last_match(None);
            return Ok(Value::Nil);
        }
        let text = subject(vm, args.at(0))?;
        let found = vm.search(id(receiver), text, false, 0)?;
        Ok(match_position(found))
    }),
    method("==", 1, 1, |vm, receiver, args| {
        Ok(Value::Bool(match (receiver, args.at(0)) {
            (Value::Regexp(a), Value::Regexp(b)) => *vm.regexp(a) == *vm.regexp(b),
            _ => false,
        }))
    }),
    method("source", 0, 0, |vm, receiver, _| {
        let source = vm.regexp(id(receiver)).source().to_owned();
        vm.new_string(source.as_bytes())
    }),
    method("to_s", 0, 0, |vm, receiver, _| {
        let text = display_regexp(&vm.regexp(id(receiver)));
        vm.new_string(text.as_bytes())
    }),
    method("options", 0, 0, |vm, receiver, _| {
        let flags = vm.regexp(id(receiver)).flags();
        let bits =
            i64::from(flags.ignore_case) | i64::from(flags.extended) << 1 | i64::from(flags.multi_line) << 2;
        Ok(Value::Int(bits))
    }),
    method("casefold?", 0, 0, |vm, receiver, _| Ok(Value::Bool(vm.regexp(id(receiver)).flags().ignore_case))),
    method("names", 0, 0, |vm, receiver, _| {
        let regexp = vm.regexp(id(receiver));
        let mut list = Vec::new();
        for name in regexp.names() {
            list.push(vm.new_string(name.name().as_bytes())?);
        }
        vm.array(&list)
    }),
];

/// Regexp the class.
pub(super) const CLASS: &[Method] = &[
    method("new", 1, 3, new),
    method("compile", 1, 3, new),
    method("escape", 1, 1, escape),
    method("quote", 1, 1, escape),
    method("union", 0, ANY, |vm, _, args| {
        let list = match args.list {
            [Value::Array(list)] => list.to_vec(),
            list => list.to_vec(),
        };
        let mut parts = Vec::new();
        for item in list {
            parts.push(match item {
                Value::Regexp(id) => display_regexp(&vm.regexp(id)),
                other => {
                    let text = vm.name(other)?;
                    escaped(text)
                }
            });
        }
        let source = if parts.is_empty() { "(?!)".to_owned() } else { parts.join("|") };
        vm.make_regexp(&source, RegexpOptions::default())
    }),
    method("last_match", 0, 1, |vm, _, args| match (vm.last_match(), args.get(0)) {
        (None, _) => Ok(Value::Nil),
        (Some(found), None) => Ok(Value::Match(found)),
        (Some(found), Some(group)) => {
            let span = group_span(vm, found, group)?;
            Ok(part(vm, found, span))
        }
    }),
];

/// MatchData's own methods.
pub(super) const MATCH: &[Method] = &[
    method("[]", 1, 2, |vm, receiver, args| {
        let found = this(vm, receiver)?;
        match args.at(0) {
            Value::Int(_) | Value::Str(_) | Value::Symbol(_) if args.list.len() == 1 => {
                let span = group_span(vm, found, args.at(0))?;
                Ok(part(vm, found, span))
            }
            _ => {
                let list = groups(vm, found, 0);
                let list = vm.array(&list)?;
                match super::row("[]") {
                    Some(row) => vm.call(list, row, args),
                    None => Ok(Value::Nil),
                }
            }
        }
    }),
    method("to_s", 0, 0, |vm, receiver, _| {
        let found = this(vm, receiver)?;
        Ok(part(vm, found, found.span(0)))
    }),
    method("to_a", 0, 0, |vm, receiver, _| {
        let found = this(vm, receiver)?;
        let list = groups(vm, found, 0);
        vm.array(&list)
    }),
    method("captures", 0, 0, |vm, receiver, _| {
        let found = this(vm, receiver)?;
        let list = groups(vm, found, 1);
        vm.array(&list)
    }),
    method("named_captures", 0, 1, |vm, receiver, args| {
        let found = this(vm, receiver)?;
        let symbols = args.option("symbolize_names").is_some_and(Value::truthy);
        named(vm, found, symbols)
    }),
    method("names", 0, 0, |vm, receiver, _| {
        let found = this(vm, receiver)?;
        let regexp = vm.regexp(found.regexp);
        let mut list = Vec::new();
        for name in regexp.names() {
            list.push(vm.new_string(name.name().as_bytes())?);
        }
        vm.array(&list)
    }),
    method("pre_match", 0, 0, |vm, receiver, _| {
        let found = this(vm, receiver)?;
        Ok(vm.string(found.before()))
    }),
    method("post_match", 0, 0, |vm, receiver, _| {
        let found = this(vm, receiver)?;
        Ok(vm.string(found.after()))
    }),
    method("string", 0, 0, |vm, receiver, _| {
        let found = this(vm, receiver)?;
        Ok(vm.string(found.text))
    }),
    method("regexp", 0, 0, |vm, receiver, _| Ok(Value::Regexp(this(vm, receiver)?.regexp))),
    method("size", 0, 0, |vm, receiver, _| Ok(Value::Int(this(vm, receiver)?.spans.len() as i64))),
    method("length", 0, 0, |vm, receiver, _| Ok(Value::Int(this(vm, receiver)?.spans.len() as i64))),
    method("begin", 1, 1, |vm, receiver, args| edge(vm, receiver, args, |span| span.start)),
    method("end", 1, 1, |vm, receiver, args| edge(vm, receiver, args, |span| span.end)),
    method("offset", 1, 1, |vm, receiver, args| {
        let begin = edge(vm, receiver, args, |span| span.start)?;
        let end = edge(vm, receiver, args, |span| span.end)?;
        vm.array(&[begin, end])
    }),
    method("values_at", 0, ANY, |vm, receiver, args| {
        let found = this(vm, receiver)?;
        let mut list = Vec::new();
        for group in args.list {
            let span = group_span(vm, found, *group)?;
            list.push(part(vm, found, span));
        }
        vm.array(&list)
    }),
];

fn this<'a>(vm: &Vm<'_, 'a>, value: Value<'a>) -> Eval<'a, &'a Match<'a>> {
    match value {
        Value::Match(found) => Ok(found),
        other => Err(vm.no_conversion(other, "MatchData")),
    }
}

fn id(value: Value<'_>) -> u32 {
    value.regexp_id().unwrap_or(0)
}

/// Where a match begins, in characters; nil without one: the answer of `=~`.
pub(crate) fn match_position<'a>(found: Option<&'a Match<'a>>) -> Value<'a> {
    match found.and_then(|found| Some((found, found.span(0)?))) {
        Some((found, span)) => Value::Int(chars(&found.text[..span.start], false).count() as i64),
        None => Value::Nil,
    }
}

/// A text to search in.
fn subject<'a>(vm: &Vm<'_, 'a>, value: Value<'a>) -> Eval<'a, &'a [u8]> {
    match value.text() {
        Some(text) => Ok(text),
        None => Err(vm.no_conversion(value, "String")),
    }
}

/// The byte offset of the character that the second argument names.
fn start<'a>(vm: &Vm<'_, 'a>, text: &[u8], args: Args<'_, '_, 'a>) -> Eval<'a, Option<usize>> {
    let at = args.int_or(vm, 1, 0)?;
    let total = if at == 0 { 0 } else { chars(text, false).count() as i64 };
    let at = if at < 0 { at + total } else { at };
    if !(0..=total.max(0)).contains(&at) {
        return Ok(None);
    }
    Ok(Some(chars(text, false).take(at as usize).map(<[u8]>::len).sum()))
}

fn search<'p, 'a>(
    vm: &mut Vm<'p, 'a>,
    regexp: Value<'a>,
    text: Value<'a>,
    args: Args<'_, 'p, 'a>,
) -> Eval<'a> {
    let text = subject(vm, text)?;
    let Some(from) = start(vm, text, args)? else {
        vm.set_last_match(None);
        return Ok(Value::Nil);
    };
    match vm.search(id(regexp), text, false, from)? {
        Some(found) => match args.block {
            Some(block) => vm.yield_one(block, Value::Match(found)),
            None => Ok(Value::Match(found)),
        },
        None => Ok(Value::Nil),
    }
}

/// `text.match(pattern)`; a string is compiled.
pub(super) fn match_text<'p, 'a>(vm: &mut Vm<'p, 'a>, text: Value<'a>, args: Args<'_, 'p, 'a>) -> Eval<'a> {
    let regexp = pattern(vm, args.at(0))?;
    search(vm, regexp, text, args)
}

/// `text.match?(pattern)`
pub(super) fn matches<'a>(vm: &mut Vm<'_, 'a>, text: Value<'a>, args: Args<'_, '_, 'a>) -> Eval<'a> {
    let regexp = pattern(vm, args.at(0))?;
    let text = subject(vm, text)?;
    Ok(Value::Bool(match start(vm, text, args)? {
        Some(from) => vm.find_match(id(regexp), text, false, from)?.is_some(),
        None => false,
    }))
}

fn pattern<'a>(vm: &mut Vm<'_, 'a>, value: Value<'a>) -> Eval<'a> {
    match value {
        Value::Regexp(_) => Ok(value),
        Value::Str(text) => {
            let source = String::from_utf8_lossy(text.bytes()).into_owned();
            vm.make_regexp(&source, RegexpOptions::default())
        }
        other => {
            let kind = crate::expr::value::kind_text(other);
            Err(vm.type_error(format!("wrong argument type {kind} (expected Regexp)")))
        }
    }
}

/// The place of a group given by number or name.
pub(super) fn group_span<'a>(
    vm: &mut Vm<'_, 'a>,
    found: &'a Match<'a>,
    group: Value<'a>,
) -> Eval<'a, Option<Range<usize>>> {
    let Some(name) = group.text() else {
        let index = vm.int(group)?;
        let index = if index < 0 { index + found.spans.len() as i64 } else { index };
        return Ok(usize::try_from(index).ok().and_then(|index| found.span(index)));
    };
    let regexp = vm.regexp(found.regexp);
    match regexp.names().iter().find(|known| known.name().as_bytes() == name) {
        Some(known) => Ok(known.groups().iter().rev().find_map(|&group| found.span(group))),
        None => {
            let shown = String::from_utf8_lossy(name).into_owned();
            Err(vm.raise(ClassId::IndexError, format!("undefined group name reference: {shown}")))
        }
    }
}

fn part<'a>(vm: &Vm<'_, 'a>, found: &'a Match<'a>, span: Option<Range<usize>>) -> Value<'a> {
    span.map_or(Value::Nil, |span| vm.string(&found.text[span]))
}

fn groups<'a>(vm: &Vm<'_, 'a>, found: &'a Match<'a>, from: usize) -> Vec<Value<'a>> {
    (from..found.spans.len()).map(|group| part(vm, found, found.span(group))).collect()
}

fn named<'a>(vm: &mut Vm<'_, 'a>, found: &'a Match<'a>, symbols: bool) -> Eval<'a> {
    let regexp = vm.regexp(found.regexp);
    let hash: &'a Hash<'a> = vm.arena().alloc(Hash::new(vm.arena()));
    for name in regexp.names() {
        let key = vm.copy(name.name().as_bytes())?;
        let key = if symbols { Value::Symbol(key) } else { vm.string(key) };
        let span = name.groups().iter().rev().find_map(|&group| found.span(group));
        let value = part(vm, found, span);
        hash.set(vm.arena(), key, value);
    }
    Ok(Value::Hash(hash))
}

fn edge<'a>(
    vm: &mut Vm<'_, 'a>,
    receiver: Value<'a>,
    args: Args<'_, '_, 'a>,
    side: fn(Range<usize>) -> usize,
) -> Eval<'a> {
    let found = this(vm, receiver)?;
    let span = group_span(vm, found, args.at(0))?;
    Ok(span.map_or(Value::Nil, |span| Value::Int(chars(&found.text[..side(span)], false).count() as i64)))
}

/// `Regexp.new(source, options)`
fn new<'a>(vm: &mut Vm<'_, 'a>, _: Value<'a>, args: Args<'_, '_, 'a>) -> Eval<'a> {
    let source = match args.at(0) {
        regexp @ Value::Regexp(_) => return Ok(regexp),
        value => vm.text(value)?,
    };
    let bits = match args.get(1) {
        Some(Value::Int(bits)) => bits,
        Some(other) => i64::from(other.truthy()),
        None => 0,
    };
    let options =
        RegexpOptions { ignore_case: bits & 1 != 0, extended: bits & 2 != 0, multiline: bits & 4 != 0 };
    let source = String::from_utf8_lossy(source).into_owned();
    vm.make_regexp(&source, options)
}

fn escape<'a>(vm: &mut Vm<'_, 'a>, _: Value<'a>, args: Args<'_, '_, 'a>) -> Eval<'a> {
    let text = vm.name(args.at(0))?;
    let text = escaped(text);
    vm.new_string(text.as_bytes())
}

/// A pattern that matches exactly this text.
fn escaped(text: &[u8]) -> String {
    let mut out = String::with_capacity(text.len() + 8);
    for c in String::from_utf8_lossy(text).chars() {
        match c {
            '\n' => out.push_str("\\n"),
            '\t' => out.push_str("\\t"),
            '\r' => out.push_str("\\r"),
            '\x0c' => out.push_str("\\f"),
            '\x0b' => out.push_str("\\v"),
            ' ' | '#' | '$' | '(' | ')' | '*' | '+' | '-' | '.' | '?' | '[' | '\\' | ']' | '^' | '{'
            | '|' | '}' => {
                out.push('\\');
                out.push(c);
            }
            c => out.push(c),
        }
    }
    out
}
