//! Equality, order and hashing.

use super::{Value, chars};
use std::cmp::Ordering;

/// How deep arrays and hashes are compared; beyond, they are unequal.
const DEPTH_MAX: usize = 200;

/// `a == b`
pub(crate) fn equal<'a>(a: Value<'a>, b: Value<'a>) -> bool {
    same(a, b, false, 0)
}

/// `a.eql?(b)`: what makes two hash keys one. Unlike `==` it tells 1 from 1.0.
#[inline]
pub(crate) fn eql<'a>(a: Value<'a>, b: Value<'a>) -> bool {
    match (a, b) {
        (Value::Str(a), Value::Str(b)) => a.bytes() == b.bytes(),
        _ => same(a, b, true, 0),
    }
}

fn same<'a>(a: Value<'a>, b: Value<'a>, strict: bool, depth: usize) -> bool {
    if depth > DEPTH_MAX {
        return false;
    }
    match (a, b) {
        (Value::Nil, Value::Nil) | (Value::Env, Value::Env) | (Value::Main, Value::Main) => true,
        (Value::Bool(a), Value::Bool(b)) => a == b,
        (Value::Int(a), Value::Int(b)) => a == b,
        (Value::Float(a), Value::Float(b)) => a == b,
        (Value::Int(_) | Value::Big(_), Value::Float(_))
        | (Value::Float(_), Value::Int(_) | Value::Big(_)) => {
            !strict && compare_numbers(a, b) == Some(Ordering::Equal)
        }
        (Value::Big(a), Value::Big(b)) => a.to_int() == b.to_int(),
        (Value::Str(a), Value::Str(b)) => a.bytes() == b.bytes(),
        (Value::Symbol(a), Value::Symbol(b)) => a == b,
        (Value::Array(a), Value::Array(b)) => {
            std::ptr::eq(a, b)
                || a.len() == b.len()
                    && (0..a.len()).all(|at| match (a.get(at), b.get(at)) {
                        (Some(a), Some(b)) => same(a, b, strict, depth + 1),
                        _ => false,
                    })
        }
        (Value::Hash(a), Value::Hash(b)) => {
            std::ptr::eq(a, b)
                || a.len() == b.len()
                    && (0..a.len()).all(|at| {
                        a.pair(at).is_some_and(|(key, value)| {
                            b.get(key).is_some_and(|other| same(value, other, strict, depth + 1))
                        })
                    })
        }
        (Value::Range(a), Value::Range(b)) => {
            a.exclusive == b.exclusive
                && same(a.low, b.low, strict, depth + 1)
                && same(a.high, b.high, strict, depth + 1)
        }
        (Value::Regexp(a), Value::Regexp(b)) => a == b,
        (Value::Match(a), Value::Match(b)) => std::ptr::eq(a, b),
        (Value::Proc(a), Value::Proc(b)) => std::ptr::eq(a, b),
        (Value::Time(a), Value::Time(b)) => a.time == b.time,
        (Value::Date(a), Value::Date(b)) => a.instant() == b.instant() && a.nanos == b.nanos,
        (Value::Exception(a), Value::Exception(b)) => a.class == b.class && a.message == b.message,
        (Value::Class(a), Value::Class(b)) => a == b,
        (Value::Ext(a, one), Value::Ext(b, other)) => a == b && one == other,
        (Value::Ip(a), Value::Ip(b)) => a == b,
        (Value::Uri(a), Value::Uri(b)) => a.text == b.text,
        (Value::Enumerator(a), Value::Enumerator(b)) => std::ptr::eq(a, b),
        _ => false,
    }
}

/// `a <=> b` for values that have an order among themselves.
pub(crate) fn compare<'a>(a: Value<'a>, b: Value<'a>) -> Option<Ordering> {
    compare_deep(a, b, 0)
}

fn compare_deep<'a>(a: Value<'a>, b: Value<'a>, depth: usize) -> Option<Ordering> {
    match (a, b) {
        (Value::Int(a), Value::Int(b)) => Some(a.cmp(&b)),
        (
            Value::Int(_) | Value::Big(_) | Value::Float(_),
            Value::Int(_) | Value::Big(_) | Value::Float(_),
        ) => compare_numbers(a, b),
        (Value::Str(a), Value::Str(b)) => Some(a.bytes().cmp(b.bytes())),
        (Value::Symbol(a), Value::Symbol(b)) => Some(a.cmp(b)),
        (Value::Time(a), Value::Time(b)) => Some(a.time.cmp(&b.time)),
        (Value::Date(a), Value::Date(b)) => Some((a.instant(), a.nanos).cmp(&(b.instant(), b.nanos))),
        (Value::Ip(a), Value::Ip(b)) => Some(a.address.cmp(&b.address)),
        (Value::Array(a), Value::Array(b)) if depth < DEPTH_MAX => {
            for at in 0..a.len().min(b.len()) {
                match compare_deep(a.get(at)?, b.get(at)?, depth + 1)? {
                    Ordering::Equal => {}
                    order => return Some(order),
                }
            }
            Some(a.len().cmp(&b.len()))
        }
        (Value::Class(a), Value::Class(b)) => match (a == b, a.is_a(b), b.is_a(a)) {
            (true, ..) => Some(Ordering::Equal),
            (_, true, _) => Some(Ordering::Less),
            (_, _, true) => Some(Ordering::Greater),
            _ => None,
        },
        _ if equal(a, b) => Some(Ordering::Equal),
        _ => None,
    }
}

fn compare_numbers<'a>(a: Value<'a>, b: Value<'a>) -> Option<Ordering> {
    match (a, b) {
        (Value::Float(a), Value::Float(b)) => a.partial_cmp(&b),
        (Value::Float(_), _) => compare_numbers(b, a).map(Ordering::reverse),
        (_, Value::Float(float)) => {
            if float.is_nan() {
                return None;
            }
            if float.is_infinite() {
                return Some(if float > 0.0 { Ordering::Less } else { Ordering::Greater });
            }
            // Exactly, as 2**53 + 1 is not 2.0**53.
            let whole = super::big_from_f64(float.trunc());
            let order = a.to_bigint()?.cmp(&whole);
            Some(order.then(0.0f64.partial_cmp(&float.fract())?))
        }
        _ => Some(a.to_bigint()?.cmp(&b.to_bigint()?)),
    }
}

/// A number that is the same for keys that are `eql?`.
pub(crate) fn hash_code(value: Value<'_>) -> u64 {
    match value {
        Value::Str(text) => hash_bytes(text.bytes(), 1),
        Value::Symbol(name) => hash_bytes(name, 2),
        Value::Int(value) => mix(value as u64 ^ 3),
        Value::Float(value) => mix(if value == 0.0 { 0 } else { value.to_bits() } ^ 4),
        Value::Array(list) => mix(list.len() as u64 ^ list.get(0).map_or(0, hash_code_flat)),
        Value::Time(time) => mix(time.time.sec as u64 ^ 5),
        other => mix(other.class() as u64),
    }
}

/// The same without looking into arrays, so that it cannot recurse.
fn hash_code_flat(value: Value<'_>) -> u64 {
    if matches!(value, Value::Array(_)) { 0 } else { hash_code(value) }
}

fn hash_bytes(bytes: &[u8], seed: u64) -> u64 {
    let mut hash = seed;
    for chunk in bytes.chunks(8) {
        let mut word = [0; 8];
        word[..chunk.len()].copy_from_slice(chunk);
        hash = mix(hash ^ u64::from_le_bytes(word));
    }
    mix(hash ^ bytes.len() as u64)
}

fn mix(value: u64) -> u64 {
    let value = (value ^ (value >> 32)).wrapping_mul(0xd6e8_feb8_6659_fd93);
    value ^ (value >> 29)
}

/// The order of two strings without regard to case, character by character.
pub(crate) fn compare_folded(a: &[u8], b: &[u8]) -> Ordering {
    let mut left = chars(a, false);
    let mut right = chars(b, false);
    loop {
        match (left.next(), right.next()) {
            (None, None) => return Ordering::Equal,
            (None, Some(_)) => return Ordering::Less,
            (Some(_), None) => return Ordering::Greater,
            (Some(a), Some(b)) => match a.to_ascii_lowercase().cmp(&b.to_ascii_lowercase()) {
                Ordering::Equal => {}
                order => return order,
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_of_different_kinds() {
        assert!(equal(Value::Int(1), Value::Float(1.0)) && !eql(Value::Int(1), Value::Float(1.0)));
        assert_eq!(
            compare(Value::Int(9007199254740993), Value::Float(9007199254740992.0)),
            Some(Ordering::Greater)
        );
        assert_eq!(compare(Value::Int(-1), Value::Float(-1.5)), Some(Ordering::Greater));
        assert_eq!(compare(Value::Float(f64::NAN), Value::Int(1)), None);
        assert_eq!(compare(Value::Int(i64::MAX), Value::Float(f64::INFINITY)), Some(Ordering::Less));
        assert_eq!(compare(Value::Int(1), Value::Nil), None);
    }
}
