//! Integers, floats, and how a value is read as a number.

use super::stream::{Sink, Stream};
use super::wide::DecimalText;
use super::{Column, Compression, Fault};
use logweir_engine::msgpack::{BIG_INT_EXT, ValueRef};

/// `(U)Int8` .. `(U)Int64` and intervals.
pub(crate) struct Ints {
    stream: Stream,
    width: usize,
    least: i128,
    most: i128,
}

impl Ints {
    /// Of `width` bytes, 1 to 8.
    pub(crate) fn new(width: usize, signed: bool) -> Self {
        let bits = width as u32 * 8;
        let (least, most) = if signed {
            (-(1i128 << (bits - 1)), (1i128 << (bits - 1)) - 1)
        } else {
            (0, (1i128 << bits) - 1)
        };
        Self { stream: Stream::default(), width, least, most }
    }

    #[inline]
    fn put(&mut self, value: i128) {
        let raw = &mut self.stream.raw;
        match self.width {
            1 => raw.push(value as u8),
            2 => raw.extend_from_slice(&(value as u16).to_le_bytes()),
            4 => raw.extend_from_slice(&(value as u32).to_le_bytes()),
            _ => raw.extend_from_slice(&(value as u64).to_le_bytes()),
        }
    }
}

/// The methods of a column that is one stream.
macro_rules! one_stream {
    () => {
        #[inline]
        fn checkpoint(&mut self) {
            self.stream.checkpoint();
        }

        #[inline]
        fn rollback(&mut self) {
            self.stream.rollback();
        }

        fn seal(&mut self, compression: Compression) {
            self.stream.seal(compression);
        }

        fn finish(&mut self, sink: &mut Sink) {
            self.stream.finish(sink);
        }

        fn single_stream(&mut self) -> Option<&mut Stream> {
            Some(&mut self.stream)
        }
    };
}
pub(super) use one_stream;

impl Column for Ints {
    fn push(&mut self, value: &ValueRef<'_>) -> Result<(), Fault> {
        let value = match whole(value)? {
            Some(value) => value,
            None => {
                self.put(0);
                return Ok(());
            }
        };
        if value < self.least || value > self.most {
            return Err(Fault::OutOfRange);
        }
        self.put(value);
        Ok(())
    }

    fn push_default(&mut self) {
        self.put(0);
    }

    one_stream!();
}

/// `(U)Int128` and `(U)Int256`.
pub(crate) struct WideInts {
    stream: Stream,
    width: usize,
    signed: bool,
}

impl WideInts {
    /// Of `width` bytes, 16 or 32.
    pub(crate) fn new(width: usize, signed: bool) -> Self {
        Self { stream: Stream::default(), width, signed }
    }
}

impl Column for WideInts {
    fn push(&mut self, value: &ValueRef<'_>) -> Result<(), Fault> {
        let Some(number) = decimal(value)? else {
            self.push_default();
            return Ok(());
        };
        let digits =
            number.whole().ok_or(if number.exponent < 0 { Fault::NotWhole } else { Fault::OutOfRange })?;
        let bytes = digits.to_le_bytes(number.negative, self.signed, self.width).ok_or(Fault::OutOfRange)?;
        self.stream.raw.extend_from_slice(&bytes[..self.width]);
        Ok(())
    }

    fn push_default(&mut self) {
        self.stream.raw.extend_from_slice(&[0; 32][..self.width]);
    }

    one_stream!();
}

/// Which float.
#[derive(Clone, Copy, Debug)]
pub(crate) enum FloatKind {
    /// 4 bytes.
    Float32,
    /// 8 bytes.
    Float64,
    /// The upper half of a Float32.
    BFloat16,
}

/// `Float32`, `Float64`, `BFloat16`.
pub(crate) struct Floats {
    stream: Stream,
    kind: FloatKind,
}

impl Floats {
    /// An empty column.
    pub(crate) fn new(kind: FloatKind) -> Self {
        Self { stream: Stream::default(), kind }
    }

    fn put(&mut self, value: f64) {
        let raw = &mut self.stream.raw;
        match self.kind {
            FloatKind::Float32 => raw.extend_from_slice(&(value as f32).to_le_bytes()),
            FloatKind::Float64 => raw.extend_from_slice(&value.to_le_bytes()),
            // ClickHouse cuts the lower half off; so do we, to store what it would.
            FloatKind::BFloat16 => raw.extend_from_slice(&(value as f32).to_le_bytes()[2..]),
        }
    }
}

impl Column for Floats {
    fn push(&mut self, value: &ValueRef<'_>) -> Result<(), Fault> {
        match *value {
            ValueRef::F64(number) => self.put(number),
            ValueRef::F32(number) => self.put(f64::from(number)),
            ValueRef::Int(number) => self.put(number as f64),
            ValueRef::UInt(number) => self.put(number as f64),
            ValueRef::Bool(truth) => self.put(f64::from(u8::from(truth))),
            ValueRef::Nil => self.put(0.0),
            ValueRef::Str(text) | ValueRef::Bin(text) | ValueRef::Ext(BIG_INT_EXT, text) => {
                self.put(float_text(text).ok_or(Fault::NotNumber)?);
            }
            _ => return Err(Fault::NotNumber),
        }
        Ok(())
    }

    fn push_default(&mut self) {
        self.put(0.0);
    }

    one_stream!();
}

/// A float from text: what Rust reads, which includes `NaN`, `inf` and `Infinity` in any case.
fn float_text(text: &[u8]) -> Option<f64> {
    std::str::from_utf8(text).ok()?.trim().parse().ok()
}

/// A value as a whole number; `None` is nil.
#[inline]
fn whole(value: &ValueRef<'_>) -> Result<Option<i128>, Fault> {
    Ok(Some(match *value {
        ValueRef::Int(number) => i128::from(number),
        ValueRef::UInt(number) => i128::from(number),
        ValueRef::Bool(truth) => i128::from(truth),
        ValueRef::Nil => return Ok(None),
        ValueRef::F64(number) => whole_float(number)?,
        ValueRef::F32(number) => whole_float(f64::from(number))?,
        ValueRef::Str(text) | ValueRef::Bin(text) | ValueRef::Ext(BIG_INT_EXT, text) => whole_text(text)?,
        _ => return Err(Fault::NotNumber),
    }))
}

fn whole_float(number: f64) -> Result<i128, Fault> {
    // Beyond 2^96 no column of up to 64 bits takes it, and the cast below is exact.
    if !number.is_finite() || number.abs() > 79_228_162_514_264_337_593_543_950_336.0 {
        return Err(Fault::OutOfRange);
    }
    if number.fract() != 0.0 {
        return Err(Fault::NotWhole);
    }
    Ok(number as i128)
}

fn whole_text(text: &[u8]) -> Result<i128, Fault> {
    let text = text.trim_ascii();
    if let Some(number) = std::str::from_utf8(text).ok().and_then(|digits| digits.parse().ok()) {
        return Ok(number);
    }
    let number = DecimalText::parse(text).ok_or(Fault::NotNumber)?;
    let digits =
        number.whole().ok_or(if number.exponent < 0 { Fault::NotWhole } else { Fault::OutOfRange })?;
    let bytes = digits.to_le_bytes(number.negative, true, 16).ok_or(Fault::OutOfRange)?;
    bytes.first_chunk().map(|low| i128::from_le_bytes(*low)).ok_or(Fault::OutOfRange)
}

/// A value as an exact decimal number; `None` is nil. A float is its shortest decimal notation.
pub(super) fn decimal(value: &ValueRef<'_>) -> Result<Option<DecimalText>, Fault> {
    let number = match *value {
        ValueRef::Int(number) => DecimalText::from_i128(number.into()),
        ValueRef::UInt(number) => DecimalText::from_i128(number.into()),
        ValueRef::Bool(truth) => DecimalText::from_i128(truth.into()),
        ValueRef::Nil => return Ok(None),
        ValueRef::F64(number) => decimal_float(number)?,
        ValueRef::F32(number) if number.is_finite() => {
            DecimalText::parse(format!("{number:e}").as_bytes()).ok_or(Fault::NotNumber)?
        }
        ValueRef::F32(number) => decimal_float(number.into())?,
        ValueRef::Str(text) | ValueRef::Bin(text) | ValueRef::Ext(BIG_INT_EXT, text) => {
            DecimalText::parse(text.trim_ascii()).ok_or(Fault::NotNumber)?
        }
        _ => return Err(Fault::NotNumber),
    };
    Ok(Some(number))
}

fn decimal_float(number: f64) -> Result<DecimalText, Fault> {
    if !number.is_finite() {
        return Err(Fault::OutOfRange);
    }
    DecimalText::parse(format!("{number:e}").as_bytes()).ok_or(Fault::NotNumber)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bytes(column: &mut impl Column, value: ValueRef<'_>) -> Result<Vec<u8>, Fault> {
        column.checkpoint();
        let pushed = column.push(&value);
        let stream = column.single_stream().unwrap();
        let bytes = stream.raw.clone();
        stream.raw.clear();
        pushed.map(|()| bytes)
    }

    #[test]
    fn integers_in_range_and_nothing_else() {
        let mut column = Ints::new(1, false);
        for (value, expected) in [
            (ValueRef::Int(255), Ok(vec![255])),
            (ValueRef::Int(256), Err(Fault::OutOfRange)),
            (ValueRef::Int(-1), Err(Fault::OutOfRange)),
            (ValueRef::UInt(u64::MAX), Err(Fault::OutOfRange)),
            (ValueRef::F64(7.0), Ok(vec![7])),
            (ValueRef::F64(7.5), Err(Fault::NotWhole)),
            (ValueRef::F64(f64::NAN), Err(Fault::OutOfRange)),
            (ValueRef::F64(1e300), Err(Fault::OutOfRange)),
            (ValueRef::Str(b" 42 "), Ok(vec![42])),
            (ValueRef::Str(b"7.0"), Ok(vec![7])),
            (ValueRef::Str(b"7.1"), Err(Fault::NotWhole)),
            (ValueRef::Str(b"1e400"), Err(Fault::OutOfRange)),
            (ValueRef::Str(b""), Err(Fault::NotNumber)),
            (ValueRef::Str(b"x"), Err(Fault::NotNumber)),
            (ValueRef::Bool(true), Ok(vec![1])),
            (ValueRef::Nil, Ok(vec![0])),
            (ValueRef::Map(&[0x80]), Err(Fault::NotNumber)),
        ] {
            assert_eq!(bytes(&mut column, value), expected, "{value:?}");
        }
        assert_eq!(
            bytes(&mut Ints::new(8, true), ValueRef::Int(i64::MIN)),
            Ok(i64::MIN.to_le_bytes().to_vec())
        );
        assert_eq!(bytes(&mut Ints::new(8, true), ValueRef::UInt(1 << 63)), Err(Fault::OutOfRange));
        assert_eq!(bytes(&mut Ints::new(2, true), ValueRef::Int(-2)), Ok(vec![0xfe, 0xff]));
    }

    #[test]
    fn wide_integers() {
        let mut column = WideInts::new(16, true);
        assert_eq!(bytes(&mut column, ValueRef::Int(-1)), Ok(vec![0xff; 16]));
        let big = b"-170141183460469231731687303715884105728";
        assert_eq!(bytes(&mut column, ValueRef::Ext(BIG_INT_EXT, big)), Ok(i128::MIN.to_le_bytes().to_vec()));
        assert_eq!(
            bytes(&mut column, ValueRef::Str(b"170141183460469231731687303715884105728")),
            Err(Fault::OutOfRange)
        );
        assert_eq!(bytes(&mut column, ValueRef::F64(0.5)), Err(Fault::NotWhole));
        assert_eq!(bytes(&mut WideInts::new(32, false), ValueRef::Int(-1)), Err(Fault::OutOfRange));
    }

    #[test]
    fn floats_from_anything_numeric() {
        let mut column = Floats::new(FloatKind::Float64);
        assert_eq!(bytes(&mut column, ValueRef::Str(b"1.5")), Ok(1.5f64.to_le_bytes().to_vec()));
        assert_eq!(bytes(&mut column, ValueRef::Int(-3)), Ok((-3f64).to_le_bytes().to_vec()));
        assert!(bytes(&mut column, ValueRef::Str(b"NaN")).is_ok());
        assert_eq!(bytes(&mut column, ValueRef::Str(b"-inf")), Ok(f64::NEG_INFINITY.to_le_bytes().to_vec()));
        assert_eq!(bytes(&mut column, ValueRef::Str(b"")), Err(Fault::NotNumber));
        assert_eq!(bytes(&mut Floats::new(FloatKind::BFloat16), ValueRef::F64(1.0)), Ok(vec![0x80, 0x3f]));
    }
}
