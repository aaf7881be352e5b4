//! Integers of 256 bits, as far as columns need them: from decimal text and from i128, with range checks.

/// A magnitude of 256 bits, least significant limb first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Wide([u64; 4]);

impl Wide {
    /// Zero.
    pub(crate) const ZERO: Self = Self([0; 4]);

    /// From a magnitude of 128 bits.
    pub(crate) fn from_u128(value: u128) -> Self {
        Self([value as u64, (value >> 64) as u64, 0, 0])
    }

    /// `self * factor + addend`, or `None` if that needs more than 256 bits.
    pub(crate) fn mul_add(self, factor: u64, addend: u64) -> Option<Self> {
        let mut carry = u128::from(addend);
        let mut out = [0u64; 4];
        for (limb, result) in self.0.iter().zip(&mut out) {
            let product = u128::from(*limb) * u128::from(factor) + carry;
            *result = product as u64;
            carry = product >> 64;
        }
        (carry == 0).then_some(Self(out))
    }

    /// `self * 10^exponent`.
    pub(crate) fn scale_up(self, exponent: u32) -> Option<Self> {
        (0..exponent).try_fold(self, |value, _| value.mul_add(10, 0))
    }

    /// Whether it is below 10^digits.
    pub(crate) fn has_at_most_digits(self, digits: u32) -> bool {
        match Self::from_u128(1).scale_up(digits) {
            Some(bound) => self.0.iter().rev().lt(bound.0.iter().rev()),
            None => true,
        }
    }

    /// Two's complement of `width` bytes (at most 32), little-endian, or `None` if it does not fit.
    pub(crate) fn to_le_bytes(self, negative: bool, signed: bool, width: usize) -> Option<[u8; 32]> {
        if negative && !signed && self != Self::ZERO {
            return None;
        }
        let mut bytes = [0u8; 32];
        for (limb, out) in self.0.iter().zip(bytes.chunks_exact_mut(8)) {
            out.copy_from_slice(&limb.to_le_bytes());
        }
        if bytes[width..].iter().any(|byte| *byte != 0) {
            return None;
        }
        if signed {
            // The largest magnitude is 2^(bits-1), and only with a minus.
            let top = bytes[width - 1];
            let smallest = top == 0x80 && bytes[..width - 1].iter().all(|byte| *byte == 0);
            if top >= 0x80 && !(negative && smallest) {
                return None;
            }
        }
        if negative {
            let mut carry = true;
            for byte in &mut bytes {
                let (flipped, overflow) = (!*byte).overflowing_add(u8::from(carry));
                (*byte, carry) = (flipped, overflow);
            }
        }
        Some(bytes)
    }
}

/// A decimal number taken apart: `-12.50e3` is negative, digits 1250, exponent 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct DecimalText {
    /// Whether there is a minus.
    pub(crate) negative: bool,
    /// All digits as one number.
    pub(crate) digits: Wide,
    /// Power of ten by which `digits` is to be multiplied.
    pub(crate) exponent: i32,
}

impl DecimalText {
    /// Reads `[+-]digits[.digits][e[+-]digits]`; `None` if the text is anything else or has more than 256 bits of
    /// digits. Digits after the 80th behind the point are dropped: no column keeps them.
    pub(crate) fn parse(text: &[u8]) -> Option<Self> {
        const FRACTION_MAX: i32 = 80;
        let (negative, mut rest) = match text {
            [b'-', rest @ ..] => (true, rest),
            [b'+', rest @ ..] => (false, rest),
            rest => (false, rest),
        };
        let mut digits = Wide::ZERO;
        let mut exponent = 0i32;
        let (mut any, mut point) = (false, false);
        while let [byte, after @ ..] = rest {
            match byte {
                b'0'..=b'9' => {
                    any = true;
                    if !point || exponent > -FRACTION_MAX {
                        digits = digits.mul_add(10, u64::from(byte - b'0'))?;
                        exponent -= i32::from(point);
                    }
                }
                b'.' if !point => point = true,
                b'e' | b'E' if any => {
                    let power: i32 = std::str::from_utf8(after).ok()?.parse().ok()?;
                    return Some(Self { negative, digits, exponent: exponent.checked_add(power)? });
                }
                _ => return None,
            }
            rest = after;
        }
        any.then_some(Self { negative, digits, exponent })
    }

    /// From an integer.
    pub(crate) fn from_i128(value: i128) -> Self {
        Self { negative: value < 0, digits: Wide::from_u128(value.unsigned_abs()), exponent: 0 }
    }

    /// The digits as a multiple of 10^-scale; further digits are cut off as ClickHouse cuts them. `None` if that does
    /// not fit.
    pub(crate) fn at_scale(self, scale: u32) -> Option<Wide> {
        let shift = self.exponent.checked_add(i32::try_from(scale).ok()?)?;
        if self.digits == Wide::ZERO {
            return Some(Wide::ZERO);
        }
        if shift >= 0 {
            return if shift > 80 { None } else { self.digits.scale_up(shift as u32) };
        }
        Some(self.digits.scale_down(shift.unsigned_abs()).0)
    }

    /// The whole number that it is, or `None` if it has a fraction or does not fit.
    pub(crate) fn whole(self) -> Option<Wide> {
        if self.exponent >= 0 || self.digits == Wide::ZERO {
            return self.at_scale(0);
        }
        let (quotient, exact) = self.digits.scale_down(self.exponent.unsigned_abs());
        exact.then_some(quotient)
    }
}

impl Wide {
    /// `self / 10^exponent`, and whether nothing was left over.
    fn scale_down(self, exponent: u32) -> (Self, bool) {
        let mut value = self;
        let mut exact = true;
        for _ in 0..exponent.min(80) {
            let mut rest = 0u128;
            for limb in value.0.iter_mut().rev() {
                let part = rest << 64 | u128::from(*limb);
                *limb = (part / 10) as u64;
                rest = part % 10;
            }
            exact &= rest == 0;
        }
        (value, exact)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn int(text: &str, signed: bool, width: usize) -> Option<i128> {
        let parsed = DecimalText::parse(text.as_bytes())?;
        let bytes = parsed.whole()?.to_le_bytes(parsed.negative, signed, width)?;
        let mut low = [0; 16];
        low.copy_from_slice(&bytes[..16]);
        Some(i128::from_le_bytes(low))
    }

    #[test]
    fn texts_become_numbers() {
        assert_eq!(int("-128", true, 1), Some(-128));
        assert_eq!(int("128", true, 1), None);
        assert_eq!(int("-129", true, 1), None);
        assert_eq!(int("-1", false, 8), None);
        assert_eq!(int("-0", false, 8), Some(0));
        assert_eq!(int("18446744073709551615", false, 8), Some(u64::MAX as i128));
        assert_eq!(int("18446744073709551616", false, 8), None);
        assert_eq!(int("1.5e3", true, 2), Some(1500));
        assert_eq!(int("1.5", true, 2), None);
        assert_eq!(int("7.00", true, 2), Some(7));
        assert_eq!(int("", true, 2), None);
        assert_eq!(int("12a", true, 2), None);
        assert_eq!(int(".", true, 2), None);
        assert_eq!(int("1e99", true, 32), None);
    }

    #[test]
    fn the_ends_of_256_bits() {
        let largest = "115792089237316195423570985008687907853269984665640564039457584007913129639935";
        let parsed = DecimalText::parse(largest.as_bytes()).unwrap();
        assert_eq!(parsed.digits.to_le_bytes(false, false, 32), Some([0xff; 32]));
        assert_eq!(parsed.digits.to_le_bytes(false, true, 32), None);
        assert_eq!(DecimalText::parse(format!("{largest}0").as_bytes()), None);
        let smallest = "-57896044618658097711785492504343953926634992332820282019728792003956564819968";
        let parsed = DecimalText::parse(smallest.as_bytes()).unwrap();
        let mut bytes = [0; 32];
        bytes[31] = 0x80;
        assert_eq!(parsed.digits.to_le_bytes(true, true, 32), Some(bytes));
        assert_eq!(Wide::from_u128(1).to_le_bytes(true, true, 32), Some([0xff; 32]));
    }

    #[test]
    fn decimals_are_scaled_and_cut() {
        let scaled = |text: &str, scale| DecimalText::parse(text.as_bytes()).and_then(|d| d.at_scale(scale));
        assert_eq!(scaled("1.239", 2), Some(Wide::from_u128(123)));
        assert_eq!(scaled("1.2", 4), Some(Wide::from_u128(12000)));
        assert_eq!(scaled("12e-3", 2), Some(Wide::from_u128(1)));
        assert_eq!(scaled("0e500", 2), Some(Wide::ZERO));
        assert_eq!(scaled("1e-500", 2), Some(Wide::ZERO));
        assert!(Wide::from_u128(99).has_at_most_digits(2));
        assert!(!Wide::from_u128(100).has_at_most_digits(2));
    }
}
