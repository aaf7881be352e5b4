//! Integers beyond 64 bits.

use super::Value;
use bumpalo::Bump;
use num_bigint::{BigInt, Sign};

/// An integer that does not fit 64 bits: sign and 32-bit digits, lowest first, in the arena.
#[derive(Debug)]
pub(crate) struct Big<'a> {
    negative: bool,
    digits: &'a [u32],
}

/// Integers of more bits than this are refused: nothing in a log needs them, and they eat memory.
pub(crate) const BITS_MAX: u64 = 65_536;

impl Big<'_> {
    pub(crate) fn to_int(&self) -> BigInt {
        BigInt::from_slice(if self.negative { Sign::Minus } else { Sign::Plus }, self.digits)
    }
}

impl<'a> Value<'a> {
    /// An integer of any size.
    pub(crate) fn big(arena: &'a Bump, value: &BigInt) -> Self {
        if let Ok(small) = i64::try_from(value) {
            return Self::Int(small);
        }
        let (sign, digits) = value.to_u32_digits();
        Self::Big(arena.alloc(Big { negative: sign == Sign::Minus, digits: arena.alloc_slice_copy(&digits) }))
    }

    /// An unsigned 64-bit integer.
    pub(crate) fn unsigned(arena: &'a Bump, value: u64) -> Self {
        match i64::try_from(value) {
            Ok(small) => Self::Int(small),
            Err(_) => Self::big(arena, &BigInt::from(value)),
        }
    }

    /// The integer as one of any size.
    pub(crate) fn to_bigint(self) -> Option<BigInt> {
        match self {
            Self::Int(value) => Some(BigInt::from(value)),
            Self::Big(value) => Some(value.to_int()),
            _ => None,
        }
    }

    /// The number as a float.
    pub(crate) fn to_f64(self) -> Option<f64> {
        match self {
            Self::Int(value) => Some(value as f64),
            Self::Float(value) => Some(value),
            Self::Big(value) => Some(big_to_f64(&value.to_int())),
            _ => None,
        }
    }
}

/// The nearest float.
pub(crate) fn big_to_f64(value: &BigInt) -> f64 {
    // The decimal digits go through the correctly rounding parser.
    value.to_string().parse().unwrap_or(f64::NAN)
}

/// A whole float as an integer.
pub(crate) fn big_from_f64(value: f64) -> BigInt {
    if value.abs() < 9e15 {
        return BigInt::from(value as i64);
    }
    let bits = value.to_bits();
    let exponent = ((bits >> 52) & 0x7ff) as i64 - 1075;
    let mantissa = BigInt::from((bits & ((1 << 52) - 1)) | (1 << 52));
    let magnitude = if exponent >= 0 { mantissa << exponent as u64 } else { mantissa >> (-exponent) as u64 };
    if value < 0.0 { -magnitude } else { magnitude }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn floats_become_exact_integers() {
        assert_eq!(big_from_f64(1e20).to_string(), "100000000000000000000");
        assert_eq!(big_from_f64(-1e22).to_string(), "-10000000000000000000000");
        assert_eq!(big_from_f64(9007199254740993.0).to_string(), "9007199254740992");
        assert_eq!(big_to_f64(&big_from_f64(1.5e300)), 1.5e300);
    }

    #[test]
    fn small_ones_stay_small() {
        let arena = Bump::new();
        assert!(matches!(Value::big(&arena, &BigInt::from(-5)), Value::Int(-5)));
        assert!(matches!(Value::unsigned(&arena, u64::MAX), Value::Big(_)));
    }
}
