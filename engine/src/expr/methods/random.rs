//! Random numbers: rand, Random, SecureRandom.

use super::{Method, method};
use crate::expr::run::{Args, Eval, Vm};
use crate::expr::value::{Str, Value};

/// Random.
pub(super) const RANDOM: &[Method] =
    &[method("rand", 0, 1, rand).impure(), method("random_number", 0, 1, rand).impure()];

/// SecureRandom.
pub(super) const SECURE: &[Method] = &[
    method("uuid", 0, 0, |vm, _, _| {
        let mut bytes = bytes(16);
        bytes[6] = (bytes[6] & 0x0f) | 0x40;
        bytes[8] = (bytes[8] & 0x3f) | 0x80;
        let mut text = hex(&bytes);
        for at in [8, 13, 18, 23] {
            text.insert(at, '-');
        }
        vm.new_string(text.as_bytes())
    })
    .impure(),
    method("hex", 0, 1, |vm, _, args| {
        let count = length(vm, args)?;
        vm.new_string(hex(&bytes(count)).as_bytes())
    })
    .impure(),
    method("alphanumeric", 0, 1, |vm, _, args| {
        const LETTERS: &[u8; 62] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
        let count = length(vm, args)?;
        let text: Vec<u8> = (0..count).map(|_| LETTERS[below(62) as usize % 62]).collect();
        vm.new_string(&text)
    })
    .impure(),
    method("random_bytes", 0, 1, |vm, _, args| {
        let count = length(vm, args)?;
        let bytes = vm.copy(&bytes(count))?;
        Ok(Value::Str(vm.arena().alloc(Str::binary(bytes))))
    })
    .impure(),
    method("base64", 0, 1, |vm, _, args| {
        let count = length(vm, args)?;
        vm.new_string(super::base64::encoded(&bytes(count), false).as_bytes())
    })
    .impure(),
    method("random_number", 0, 1, rand).impure(),
    method("rand", 0, 1, rand).impure(),
];

fn length<'a>(vm: &mut Vm<'_, 'a>, args: Args<'_, '_, 'a>) -> Eval<'a, usize> {
    let count =
        args.given(0).map_or(Ok(16), |count| vm.count(count, "negative string size (or size too big)"))?;
    vm.charge(count.saturating_mul(2))?;
    Ok(count)
}

/// `rand`, `rand(10)`, `rand(1.5)`, `rand(1..6)`
pub(super) fn rand<'a>(vm: &mut Vm<'_, 'a>, _: Value<'a>, args: Args<'_, '_, 'a>) -> Eval<'a> {
    match args.given(0) {
        None | Some(Value::Int(0)) => Ok(Value::Float(fraction())),
        Some(Value::Float(most)) => Ok(Value::Float(fraction() * most)),
        Some(Value::Range(range)) => match (range.low, range.high) {
            (Value::Int(low), Value::Int(high)) => {
                let end = if range.exclusive { high } else { high.saturating_add(1) };
                match u64::try_from(i128::from(end) - i128::from(low)) {
                    Ok(size) if size > 0 => Ok(Value::Int(low.wrapping_add(below(size) as i64))),
                    _ => Ok(Value::Nil),
                }
            }
            (low, high) => {
                let (low, high) = (vm.float(low)?, vm.float(high)?);
                Ok(Value::Float(low + fraction() * (high - low)))
            }
        },
        Some(most) => Ok(Value::Int(below(vm.int(most)?.unsigned_abs()) as i64)),
    }
}

/// A number from 0 to `limit` - 1; 0 for a limit of 0.
pub(super) fn below(limit: u64) -> u64 {
    // The bias of a 64-bit number multiplied down is too small to be seen.
    ((u128::from(word()) * u128::from(limit)) >> 64) as u64
}

fn fraction() -> f64 {
    (word() >> 11) as f64 / (1u64 << 53) as f64
}

fn word() -> u64 {
    bytes(8).iter().fold(0, |word, byte| word << 8 | u64::from(*byte))
}

/// Bytes from the system.
fn bytes(count: usize) -> Vec<u8> {
    let mut bytes = vec![0; count];
    // It fails only where the system has no random numbers at all, at which nothing else would run either.
    let _ = getrandom::fill(&mut bytes);
    bytes
}

pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
