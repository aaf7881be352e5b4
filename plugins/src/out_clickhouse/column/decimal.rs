//! `Decimal(P, S)`: integers of 4, 8, 16 or 32 bytes that count 10^-S.

use super::number::{decimal, one_stream};
use super::stream::{Sink, Stream};
use super::{Column, Compression, Fault};
use logweir_engine::msgpack::ValueRef;

/// See the module.
pub(crate) struct Decimals {
    stream: Stream,
    width: usize,
    precision: u32,
    scale: u32,
}

impl Decimals {
    /// Of `width` bytes, with `precision` digits of which `scale` stand behind the point.
    pub(crate) fn new(width: usize, precision: u32, scale: u32) -> Self {
        Self { stream: Stream::default(), width, precision, scale }
    }
}

impl Column for Decimals {
    fn push(&mut self, value: &ValueRef<'_>) -> Result<(), Fault> {
        let Some(number) = decimal(value)? else {
            self.push_default();
            return Ok(());
        };
        let digits = number.at_scale(self.scale).ok_or(Fault::OutOfRange)?;
        if !digits.has_at_most_digits(self.precision) {
            return Err(Fault::OutOfRange);
        }
        let bytes = digits.to_le_bytes(number.negative, true, self.width).ok_or(Fault::OutOfRange)?;
        self.stream.raw.extend_from_slice(&bytes[..self.width]);
        Ok(())
    }

    fn push_default(&mut self) {
        self.stream.raw.extend_from_slice(&[0; 32][..self.width]);
    }

    one_stream!();
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decimal32(value: ValueRef<'_>) -> Result<i32, Fault> {
        let mut column = Decimals::new(4, 9, 2);
        column.push(&value)?;
        Ok(i32::from_le_bytes(column.stream.raw[..].try_into().unwrap()))
    }

    #[test]
    fn numbers_and_texts_at_scale() {
        assert_eq!(decimal32(ValueRef::F64(0.1)), Ok(10));
        assert_eq!(decimal32(ValueRef::F32(0.1)), Ok(10));
        assert_eq!(decimal32(ValueRef::F64(-12.345)), Ok(-1234));
        assert_eq!(decimal32(ValueRef::Int(7)), Ok(700));
        assert_eq!(decimal32(ValueRef::Str(b"9999999.99")), Ok(999_999_999));
        assert_eq!(decimal32(ValueRef::Str(b"10000000")), Err(Fault::OutOfRange));
        assert_eq!(decimal32(ValueRef::F64(f64::INFINITY)), Err(Fault::OutOfRange));
        assert_eq!(decimal32(ValueRef::Str(b"1,5")), Err(Fault::NotNumber));
    }
}
