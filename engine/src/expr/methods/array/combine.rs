//! Arrays made of arrays.

use super::super::enumerable::uniq;
use super::super::list::items;
use super::super::{ANY, ClassId, Method, method};
use super::this;
use crate::expr::run::{Args, Eval, Vm};
use crate::expr::value::{Hash, Value, to_s};

pub(super) const METHODS: &[Method] = &[
    method("+", 1, 1, |vm, receiver, args| {
        let mut list = this(vm, receiver)?.to_vec();
        list.extend(other(vm, args.at(0))?);
        vm.array(&list)
    }),
    method("-", 1, 1, difference),
    method("difference", 0, ANY, difference),
    method("&", 1, 1, intersection),
    method("intersection", 0, ANY, intersection),
    method("intersect?", 1, 1, |vm, receiver, args| {
        let common = intersection(vm, receiver, args)?;
        Ok(Value::Bool(this(vm, common)?.len() > 0))
    }),
    method("|", 1, 1, union),
    method("union", 0, ANY, union),
    method("*", 1, 1, |vm, receiver, args| match args.at(0) {
        Value::Str(_) => join(vm, receiver, args),
        count => {
            let count = vm.count(count, "argument must be non-negative")?;
            let list = this(vm, receiver)?.to_vec();
            vm.step(list.len().saturating_mul(count))?;
            vm.array(&list.repeat(count))
        }
    }),
    method("join", 0, 1, join),
    method("reverse", 0, 0, |vm, receiver, _| {
        let mut list = this(vm, receiver)?.to_vec();
        list.reverse();
        vm.array(&list)
    }),
    method("rotate", 0, 1, |vm, receiver, args| {
        let mut list = this(vm, receiver)?.to_vec();
        let by = args.int_or(vm, 0, 1)?;
        if !list.is_empty() {
            let by = by.rem_euclid(list.len() as i64) as usize;
            list.rotate_left(by);
        }
        vm.array(&list)
    }),
    method("flatten", 0, 1, |vm, receiver, args| {
        let depth = args.given(0).map_or(Ok(-1), |depth| vm.int(depth))?;
        let list = flattened(vm, receiver, depth)?;
        vm.array(&list)
    }),
    method("transpose", 0, 0, |vm, receiver, _| {
        let mut rows = Vec::new();
        for row in this(vm, receiver)?.to_vec() {
            rows.push(other(vm, row)?);
        }
        let width = rows.first().map_or(0, Vec::len);
        if let Some(row) = rows.iter().find(|row| row.len() != width) {
            let message = format!("element size differs ({} should be {width})", row.len());
            return Err(vm.raise(ClassId::IndexError, message));
        }
        let mut columns = Vec::new();
        for at in 0..width {
            let column: Vec<_> = rows.iter().map(|row| row[at]).collect();
            columns.push(vm.array(&column)?);
        }
        vm.array(&columns)
    }),
    method("product", 0, ANY, |vm, receiver, args| {
        let mut rows: Vec<Vec<Value<'_>>> =
            this(vm, receiver)?.to_vec().into_iter().map(|item| vec![item]).collect();
        for arg in args.list {
            let more = other(vm, *arg)?;
            vm.step(rows.len().saturating_mul(more.len()))?;
            let mut longer = Vec::with_capacity(rows.len() * more.len());
            for row in &rows {
                longer.extend(more.iter().map(|item| [row.as_slice(), &[*item]].concat()));
            }
            rows = longer;
        }
        let mut list = Vec::new();
        for row in rows {
            list.push(vm.array(&row)?);
        }
        vm.array(&list)
    }),
    method("combination", 1, 1, |vm, receiver, args| {
        let list = this(vm, receiver)?.to_vec();
        let size = vm.int(args.at(0))?;
        let rows = combinations(vm, &list, size)?;
        match args.block {
            Some(block) => {
                for row in rows {
                    vm.yield_one(block, row)?;
                }
                Ok(receiver)
            }
            None => vm.array(&rows),
        }
    }),
    method("shuffle", 0, 1, |vm, receiver, _| {
        let mut list = this(vm, receiver)?.to_vec();
        for at in (1..list.len()).rev() {
            list.swap(at, crate::expr::methods::random::below(at as u64 + 1) as usize);
        }
        vm.array(&list)
    })
    .impure(),
];

/// An array argument.
fn other<'a>(vm: &Vm<'_, 'a>, value: Value<'a>) -> Eval<'a, Vec<Value<'a>>> {
    match value {
        Value::Array(list) => Ok(list.to_vec()),
        other => Err(vm.no_conversion(other, "Array")),
    }
}

/// A set of the elements of all arguments.
fn members<'a>(vm: &mut Vm<'_, 'a>, arg: Value<'a>) -> Eval<'a, Hash<'a>> {
    let set = Hash::new(vm.arena());
    for item in other(vm, arg)? {
        vm.step(1)?;
        set.set(vm.arena(), item, Value::Bool(true));
    }
    Ok(set)
}

fn difference<'a>(vm: &mut Vm<'_, 'a>, receiver: Value<'a>, args: Args<'_, '_, 'a>) -> Eval<'a> {
    let mut list = this(vm, receiver)?.to_vec();
    for arg in args.list {
        let set = members(vm, *arg)?;
        list.retain(|item| set.get(*item).is_none());
    }
    vm.array(&list)
}

fn intersection<'a>(vm: &mut Vm<'_, 'a>, receiver: Value<'a>, args: Args<'_, '_, 'a>) -> Eval<'a> {
    let mut list = uniq(vm, receiver, Args::of(&[]))?;
    for arg in args.list {
        let set = members(vm, *arg)?;
        list.retain(|item| set.get(*item).is_some());
    }
    vm.array(&list)
}

fn union<'a>(vm: &mut Vm<'_, 'a>, receiver: Value<'a>, args: Args<'_, '_, 'a>) -> Eval<'a> {
    let mut list = this(vm, receiver)?.to_vec();
    for arg in args.list {
        list.extend(other(vm, *arg)?);
    }
    let all = vm.array(&list)?;
    let list = uniq(vm, all, Args::of(&[]))?;
    vm.array(&list)
}

fn join<'a>(vm: &mut Vm<'_, 'a>, receiver: Value<'a>, args: Args<'_, '_, 'a>) -> Eval<'a> {
    let separator: &[u8] = match args.given(0) {
        Some(separator) => vm.text(separator)?,
        None => b"",
    };
    let mut out = Vec::new();
    for (at, item) in flattened(vm, receiver, -1)?.into_iter().enumerate() {
        if at > 0 {
            out.extend_from_slice(separator);
        }
        out.extend_from_slice(to_s(vm, item)?);
        vm.check_size(out.len())?;
    }
    vm.new_string(&out)
}

/// The elements with arrays in them taken apart, `depth` levels or (negative) all.
pub(super) fn flattened<'a>(
    vm: &mut Vm<'_, 'a>,
    receiver: Value<'a>,
    depth: i64,
) -> Eval<'a, Vec<Value<'a>>> {
    /// An array that contains itself would never end.
    const DEPTH_MAX: i64 = 1000;
    let mut list = Vec::new();
    // The rest of each level that is not gone through yet.
    let mut open = vec![items(vm, receiver)?.into_iter()];
    while let Some(level) = open.last_mut() {
        vm.step(1)?;
        match level.next() {
            None => {
                open.pop();
            }
            Some(Value::Array(inner)) if depth < 0 || (open.len() as i64) <= depth => {
                if open.len() as i64 > DEPTH_MAX {
                    return Err(vm.argument_error("tried to flatten recursive array"));
                }
                open.push(inner.to_vec().into_iter());
            }
            Some(item) => list.push(item),
        }
    }
    Ok(list)
}

fn combinations<'a>(vm: &mut Vm<'_, 'a>, list: &[Value<'a>], size: i64) -> Eval<'a, Vec<Value<'a>>> {
    let mut rows = Vec::new();
    let Ok(size) = usize::try_from(size) else { return Ok(rows) };
    if size > list.len() {
        return Ok(rows);
    }
    let mut chosen: Vec<usize> = (0..size).collect();
    loop {
        let row: Vec<_> = chosen.iter().map(|at| list[*at]).collect();
        vm.step(size + 1)?;
        rows.push(vm.array(&row)?);
        // The last position that can still move on.
        let Some(at) = (0..size).rev().find(|at| chosen[*at] < list.len() - size + at) else {
            return Ok(rows);
        };
        chosen[at] += 1;
        for behind in at + 1..size {
            chosen[behind] = chosen[behind - 1] + 1;
        }
    }
}
