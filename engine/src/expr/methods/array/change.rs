//! Methods that change an array.

use super::super::enumerable::{by_block, sorted, uniq};
use super::super::string::range_bounds;
use super::super::{ANY, ClassId, Method, method};
use super::combine::flattened;
use super::{change, set_all, this};
use crate::expr::run::{Args, Eval, Vm};
use crate::expr::value::{Value, equal};

pub(super) const METHODS: &[Method] = &[
    method("<<", 1, 1, push).mutates(),
    method("push", 0, ANY, push).mutates(),
    method("append", 0, ANY, push).mutates(),
    method("unshift", 0, ANY, unshift).mutates(),
    method("prepend", 0, ANY, unshift).mutates(),
    method("pop", 0, 1, |vm, receiver, args| remove_end(vm, receiver, args, false)).mutates(),
    method("shift", 0, 1, |vm, receiver, args| remove_end(vm, receiver, args, true)).mutates(),
    method("concat", 0, ANY, |vm, receiver, args| {
        let list = this(vm, receiver)?;
        change(vm, list)?;
        for arg in args.list {
            for item in this(vm, *arg)?.to_vec() {
                vm.charge(std::mem::size_of::<Value<'_>>())?;
                list.push(item);
            }
        }
        Ok(receiver)
    })
    .mutates(),
    method("[]=", 2, 3, set).mutates(),
    method("insert", 1, ANY, |vm, receiver, args| {
        let list = this(vm, receiver)?;
        change(vm, list)?;
        let at = vm.int(args.at(0))?;
        let at = if at < 0 { at + list.len() as i64 + 1 } else { at };
        let Ok(at) = usize::try_from(at) else {
            return Err(vm.raise(ClassId::IndexError, "index too small for array"));
        };
        vm.charge(at.saturating_mul(std::mem::size_of::<Value<'_>>()))?;
        let mut all = list.to_vec();
        if all.len() < at {
            all.resize(at, Value::Nil);
        }
        all.splice(at..at, args.list[1..].iter().copied());
        set_all(vm, list, &all)?;
        Ok(receiver)
    })
    .mutates(),
    method("delete", 1, 1, |vm, receiver, args| {
        let list = this(vm, receiver)?;
        change(vm, list)?;
        let mut found = None;
        list.edit().retain(|item| {
            let hit = equal(*item, args.at(0));
            if hit {
                found = Some(*item);
            }
            !hit
        });
        match (found, args.block) {
            (Some(found), _) => Ok(found),
            (None, Some(block)) => vm.yield_one(block, args.at(0)),
            (None, None) => Ok(Value::Nil),
        }
    })
    .mutates(),
    method("delete_at", 1, 1, |vm, receiver, args| {
        let list = this(vm, receiver)?;
        change(vm, list)?;
        let at = vm.int(args.at(0))?;
        let at = if at < 0 { at + list.len() as i64 } else { at };
        Ok(match usize::try_from(at) {
            Ok(at) if at < list.len() => list.edit().remove(at),
            _ => Value::Nil,
        })
    })
    .mutates(),
    method("delete_if", 0, 0, |vm, receiver, args| filter(vm, receiver, args, false, "delete_if")).mutates(),
    method("reject!", 0, 0, |vm, receiver, args| {
        or_nil(vm, receiver, args, |vm, receiver, args| filter(vm, receiver, args, false, "reject!"))
    })
    .mutates(),
    method("keep_if", 0, 0, |vm, receiver, args| filter(vm, receiver, args, true, "keep_if")).mutates(),
    method("select!", 0, 0, |vm, receiver, args| {
        or_nil(vm, receiver, args, |vm, receiver, args| filter(vm, receiver, args, true, "select!"))
    })
    .mutates(),
    method("filter!", 0, 0, |vm, receiver, args| {
        or_nil(vm, receiver, args, |vm, receiver, args| filter(vm, receiver, args, true, "filter!"))
    })
    .mutates(),
    method("map!", 0, 0, |vm, receiver, args| map(vm, receiver, args, "map!")).mutates(),
    method("collect!", 0, 0, |vm, receiver, args| map(vm, receiver, args, "collect!")).mutates(),
    method("compact!", 0, 0, |vm, receiver, args| {
        or_nil(vm, receiver, args, |vm, receiver, _| {
            let list = this(vm, receiver)?;
            list.edit().retain(|item| !item.is_nil());
            Ok(receiver)
        })
    })
    .mutates(),
    method("flatten!", 0, 1, |vm, receiver, args| {
        or_nil(vm, receiver, args, |vm, receiver, args| {
            let depth = args.given(0).map_or(Ok(-1), |depth| vm.int(depth))?;
            let all = flattened(vm, receiver, depth)?;
            set_all(vm, this(vm, receiver)?, &all)?;
            Ok(receiver)
        })
    })
    .mutates(),
    method("uniq!", 0, 0, |vm, receiver, args| {
        or_nil(vm, receiver, args, |vm, receiver, args| {
            let all = uniq(vm, receiver, args)?;
            set_all(vm, this(vm, receiver)?, &all)?;
            Ok(receiver)
        })
    })
    .mutates(),
    method("reverse!", 0, 0, |vm, receiver, _| {
        let list = this(vm, receiver)?;
        change(vm, list)?;
        list.edit().reverse();
        Ok(receiver)
    })
    .mutates(),
    method("rotate!", 0, 1, |vm, receiver, args| {
        let list = this(vm, receiver)?;
        change(vm, list)?;
        let by = args.int_or(vm, 0, 1)?;
        let size = list.len();
        if size > 0 {
            list.edit().rotate_left(by.rem_euclid(size as i64) as usize);
        }
        Ok(receiver)
    })
    .mutates(),
    method("sort!", 0, 0, |vm, receiver, args| {
        let list = this(vm, receiver)?;
        change(vm, list)?;
        let all = sorted(vm, list.to_vec(), args.block)?;
        set_all(vm, list, &all)?;
        Ok(receiver)
    })
    .mutates(),
    method("sort_by!", 0, 0, |vm, receiver, args| {
        let Some(block) = args.block else { return vm.enumerator(receiver, "sort_by!", args) };
        let list = this(vm, receiver)?;
        change(vm, list)?;
        let all = by_block(vm, list.to_vec(), block)?;
        set_all(vm, list, &all)?;
        Ok(receiver)
    })
    .mutates(),
    method("clear", 0, 0, |vm, receiver, _| {
        let list = this(vm, receiver)?;
        change(vm, list)?;
        list.edit().clear();
        Ok(receiver)
    })
    .mutates(),
    method("replace", 1, 1, |vm, receiver, args| {
        let list = this(vm, receiver)?;
        change(vm, list)?;
        let all = this(vm, args.at(0))?.to_vec();
        set_all(vm, list, &all)?;
        Ok(receiver)
    })
    .mutates(),
    method("fill", 0, 1, |vm, receiver, args| {
        let list = this(vm, receiver)?;
        change(vm, list)?;
        for at in 0..list.len() {
            let value = match args.block {
                Some(block) => vm.yield_one(block, Value::Int(at as i64))?,
                None => args.at(0),
            };
            if let Some(place) = list.edit().get_mut(at) {
                *place = value;
            }
        }
        Ok(receiver)
    })
    .mutates(),
    method("slice!", 1, 2, |vm, receiver, args| {
        let list = this(vm, receiver)?;
        change(vm, list)?;
        let all = list.to_vec();
        let bounds = match (args.at(0), args.get(1)) {
            (Value::Range(range), None) => range_bounds(vm, range, all.len())?,
            (at, count) => {
                let at = vm.int(at)?;
                let at = if at < 0 { at + all.len() as i64 } else { at };
                let length = count.map_or(Ok(1), |count| vm.int(count))?;
                match (usize::try_from(at), usize::try_from(length)) {
                    (Ok(at), Ok(length)) if at < all.len() => {
                        Some((at, at.saturating_add(length).min(all.len())))
                    }
                    _ => None,
                }
            }
        };
        let Some((start, end)) = bounds else { return Ok(Value::Nil) };
        let removed: Vec<_> = all[start..end].to_vec();
        set_all(vm, list, &[&all[..start], &all[end..]].concat())?;
        let single = args.list.len() == 1 && !matches!(args.at(0), Value::Range(_));
        if single { Ok(removed.first().copied().unwrap_or(Value::Nil)) } else { vm.array(&removed) }
    })
    .mutates(),
];

fn push<'a>(vm: &mut Vm<'_, 'a>, receiver: Value<'a>, args: Args<'_, '_, 'a>) -> Eval<'a> {
    let list = this(vm, receiver)?;
    change(vm, list)?;
    vm.charge(std::mem::size_of_val(args.list))?;
    for item in args.list {
        list.push(*item);
    }
    Ok(receiver)
}

fn unshift<'a>(vm: &mut Vm<'_, 'a>, receiver: Value<'a>, args: Args<'_, '_, 'a>) -> Eval<'a> {
    let list = this(vm, receiver)?;
    change(vm, list)?;
    vm.step(list.len() / 64)?;
    let all = [args.list, &list.to_vec()].concat();
    set_all(vm, list, &all)?;
    Ok(receiver)
}

/// `pop` and `shift`.
fn remove_end<'a>(vm: &mut Vm<'_, 'a>, receiver: Value<'a>, args: Args<'_, '_, 'a>, front: bool) -> Eval<'a> {
    let list = this(vm, receiver)?;
    change(vm, list)?;
    let Some(count) = args.get(0) else {
        vm.step(list.len() / 256)?;
        let mut edit = list.edit();
        let removed = match front {
            _ if edit.is_empty() => None,
            true => Some(edit.remove(0)),
            false => edit.pop(),
        };
        return Ok(removed.unwrap_or(Value::Nil));
    };
    let count = vm.count(count, "negative array size")?.min(list.len());
    let all = list.to_vec();
    let (removed, kept) = if front {
        (&all[..count], &all[count..])
    } else {
        let at = all.len() - count;
        (&all[at..], &all[..at])
    };
    set_all(vm, list, kept)?;
    vm.array(removed)
}

/// `list[index] = value`, `list[start, length] = values`, `list[range] = values`
fn set<'a>(vm: &mut Vm<'_, 'a>, receiver: Value<'a>, args: Args<'_, '_, 'a>) -> Eval<'a> {
    let list = this(vm, receiver)?;
    change(vm, list)?;
    let value = args.list.last().copied().unwrap_or(Value::Nil);
    let size = list.len();
    let place = |at: i64| if at < 0 { at + size as i64 } else { at };
    let (start, end) = match (args.at(0), args.list.len()) {
        (Value::Range(range), 2) => match range_bounds(vm, range, size)? {
            Some(bounds) => bounds,
            None => return Err(vm.raise(ClassId::RangeError, "range out of range")),
        },
        (at, 2) => {
            let given = vm.int(at)?;
            let Ok(at) = usize::try_from(place(given)) else {
                let message = format!("index {given} too small for array; minimum: -{size}");
                return Err(vm.raise(ClassId::IndexError, message));
            };
            vm.charge((at + 1).saturating_sub(size).saturating_mul(std::mem::size_of::<Value<'_>>()))?;
            let mut edit = list.edit();
            if at >= edit.len() {
                edit.resize(at + 1, Value::Nil);
            }
            edit[at] = value;
            return Ok(value);
        }
        (start, _) => {
            let (start, count) = (vm.int(start)?, vm.count(args.at(1), "negative length")?);
            let Ok(start) = usize::try_from(place(start)) else {
                return Err(vm.raise(ClassId::IndexError, "index too small for array"));
            };
            (start, start.saturating_add(count))
        }
    };
    vm.charge(start.saturating_sub(size).saturating_mul(std::mem::size_of::<Value<'_>>()))?;
    let mut all = list.to_vec();
    if all.len() < start {
        all.resize(start, Value::Nil);
    }
    let end = end.min(all.len());
    let new = match value {
        Value::Array(new) => new.to_vec(),
        other => vec![other],
    };
    all.splice(start..end, new);
    set_all(vm, list, &all)?;
    Ok(value)
}

/// Keeps the elements for which the block answers `wanted`.
fn filter<'p, 'a>(
    vm: &mut Vm<'p, 'a>,
    receiver: Value<'a>,
    args: Args<'_, 'p, 'a>,
    wanted: bool,
    name: &str,
) -> Eval<'a> {
    let Some(block) = args.block else { return vm.enumerator(receiver, name, args) };
    let list = this(vm, receiver)?;
    change(vm, list)?;
    let mut kept = Vec::new();
    for item in list.to_vec() {
        if vm.yield_one(block, item)?.truthy() == wanted {
            kept.push(item);
        }
    }
    set_all(vm, list, &kept)?;
    Ok(receiver)
}

fn map<'p, 'a>(vm: &mut Vm<'p, 'a>, receiver: Value<'a>, args: Args<'_, 'p, 'a>, name: &str) -> Eval<'a> {
    let Some(block) = args.block else { return vm.enumerator(receiver, name, args) };
    let list = this(vm, receiver)?;
    change(vm, list)?;
    for (at, item) in list.to_vec().into_iter().enumerate() {
        let value = vm.yield_one(block, item)?;
        if let Some(place) = list.edit().get_mut(at) {
            *place = value;
        }
    }
    Ok(receiver)
}

/// What `method` answers, or nil if it left the array as long as it was.
fn or_nil<'p, 'a>(
    vm: &mut Vm<'p, 'a>,
    receiver: Value<'a>,
    args: Args<'_, 'p, 'a>,
    method: super::super::Function,
) -> Eval<'a> {
    let list = this(vm, receiver)?;
    change(vm, list)?;
    let before = list.len();
    let answer = method(vm, receiver, args)?;
    let unchanged = list.len() == before && matches!(answer, Value::Array(_));
    Ok(if unchanged { Value::Nil } else { answer })
}
