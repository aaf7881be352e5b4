//! A cursor over MessagePack values.

use super::marker::{Head, head};
use super::skip::{ScanError, ScanErrorKind, skip};

/// What kind a value is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// nil
    Nil,
    /// true, false
    Bool,
    /// Any integer.
    Int,
    /// float32, float64
    Float,
    /// A string.
    Str,
    /// A byte array.
    Bin,
    /// An array.
    Array,
    /// A map.
    Map,
    /// An extension value.
    Ext,
}

impl Kind {
    /// The kind of value that begins with `marker`; `None` for 0xc1.
    #[inline]
    pub fn of(marker: u8) -> Option<Self> {
        Some(match marker {
            0x00..=0x7f | 0xe0..=0xff | 0xcc..=0xd3 => Self::Int,
            0x80..=0x8f | 0xde | 0xdf => Self::Map,
            0x90..=0x9f | 0xdc | 0xdd => Self::Array,
            0xa0..=0xbf | 0xd9..=0xdb => Self::Str,
            0xc0 => Self::Nil,
            0xc1 => return None,
            0xc2 | 0xc3 => Self::Bool,
            0xc4..=0xc6 => Self::Bin,
            0xc7..=0xc9 | 0xd4..=0xd8 => Self::Ext,
            0xca | 0xcb => Self::Float,
        })
    }

    fn name(self) -> &'static str {
        match self {
            Self::Nil => "nil",
            Self::Bool => "a boolean",
            Self::Int => "an integer",
            Self::Float => "a float",
            Self::Str => "a string",
            Self::Bin => "a byte array",
            Self::Array => "an array",
            Self::Map => "a map",
            Self::Ext => "an extension value",
        }
    }
}

/// One value; containers are not entered.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum ValueRef<'a> {
    /// nil
    Nil,
    /// true, false
    Bool(bool),
    /// An integer that fits.
    Int(i64),
    /// An integer above i64.
    UInt(u64),
    /// float32
    F32(f32),
    /// float64
    F64(f64),
    /// A string's bytes, which need not be UTF-8.
    Str(&'a [u8]),
    /// A byte array.
    Bin(&'a [u8]),
    /// The raw array, header included.
    Array(&'a [u8]),
    /// The raw map, header included.
    Map(&'a [u8]),
    /// Type and payload. EventTime is type 0 with 8 bytes.
    Ext(i8, &'a [u8]),
}

impl<'a> ValueRef<'a> {
    /// Reads the value at the start of `raw`.
    #[inline]
    pub fn read(raw: &'a [u8]) -> Result<Self, ReadError> {
        Reader::new(raw).read_value()
    }

    /// The bytes of a string or byte array.
    pub fn bytes(&self) -> Option<&'a [u8]> {
        match *self {
            Self::Str(bytes) | Self::Bin(bytes) => Some(bytes),
            _ => None,
        }
    }
}

/// Why a value could not be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{kind} at byte {at}")]
pub struct ReadError {
    /// Offset of the value in the reader's bytes.
    pub at: usize,
    /// What is wrong.
    pub kind: ReadErrorKind,
}

/// See [`ReadError`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ReadErrorKind {
    /// The bytes are no MessagePack value.
    #[error("{0}")]
    Malformed(ScanErrorKind),
    /// The value is of another kind than was asked for.
    #[error("{} where {} was expected", found.name(), expected.name())]
    Unexpected {
        /// What was asked for.
        expected: Kind,
        /// What is there.
        found: Kind,
    },
    /// An integer that does not fit the type that was asked for.
    #[error("integer out of range")]
    OutOfRange,
}

impl From<ScanError> for ReadError {
    fn from(error: ScanError) -> Self {
        Self { at: error.at, kind: ReadErrorKind::Malformed(error.kind) }
    }
}

/// Reads values one after the other. After an error the position is where the value began.
#[derive(Clone, Debug)]
pub struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Reader<'a> {
    /// At the start of `bytes`.
    #[inline]
    pub fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, at: 0 }
    }

    /// Offset of the next value.
    #[inline]
    pub fn position(&self) -> usize {
        self.at
    }

    /// The bytes from the next value on.
    #[inline]
    pub fn rest(&self) -> &'a [u8] {
        self.bytes.get(self.at..).unwrap_or_default()
    }

    /// Whether nothing is left.
    #[inline]
    pub fn is_at_end(&self) -> bool {
        self.at >= self.bytes.len()
    }

    /// The kind of the next value; an error at the end of the bytes or at 0xc1.
    #[inline]
    pub fn peek(&self) -> Result<Kind, ReadError> {
        match self.bytes.get(self.at) {
            None => Err(self.malformed(ScanErrorKind::Truncated)),
            Some(&marker) => Kind::of(marker).ok_or(self.malformed(ScanErrorKind::Reserved)),
        }
    }

    /// Enters a map: answers its number of pairs, and the next value is its first key.
    #[inline]
    pub fn read_map_len(&mut self) -> Result<usize, ReadError> {
        self.enter(Kind::Map).map(|children| children / 2)
    }

    /// Enters an array: answers its length, and the next value is its first.
    #[inline]
    pub fn read_array_len(&mut self) -> Result<usize, ReadError> {
        self.enter(Kind::Array)
    }

    /// Reads a string's bytes.
    #[inline]
    pub fn read_str(&mut self) -> Result<&'a [u8], ReadError> {
        match self.expect(Kind::Str)? {
            ValueRef::Str(bytes) => Ok(bytes),
            other => Err(self.unexpected(Kind::Str, other)),
        }
    }

    /// Reads a byte array.
    #[inline]
    pub fn read_bin(&mut self) -> Result<&'a [u8], ReadError> {
        match self.expect(Kind::Bin)? {
            ValueRef::Bin(bytes) => Ok(bytes),
            other => Err(self.unexpected(Kind::Bin, other)),
        }
    }

    /// Reads a string or a byte array, as senders use either for the same thing.
    pub fn read_bytes(&mut self) -> Result<&'a [u8], ReadError> {
        match self.peek()? {
            Kind::Bin => self.read_bin(),
            _ => self.read_str(),
        }
    }

    /// Reads an integer.
    pub fn read_i64(&mut self) -> Result<i64, ReadError> {
        let at = self.at;
        match self.expect(Kind::Int)? {
            ValueRef::Int(value) => Ok(value),
            _ => {
                self.at = at;
                Err(ReadError { at, kind: ReadErrorKind::OutOfRange })
            }
        }
    }

    /// Reads an integer.
    pub fn read_u64(&mut self) -> Result<u64, ReadError> {
        let at = self.at;
        match self.expect(Kind::Int)? {
            ValueRef::Int(value) if value >= 0 => Ok(value as u64),
            ValueRef::UInt(value) => Ok(value),
            _ => {
                self.at = at;
                Err(ReadError { at, kind: ReadErrorKind::OutOfRange })
            }
        }
    }

    /// Reads a float; an integer is taken too.
    pub fn read_f64(&mut self) -> Result<f64, ReadError> {
        match self.peek()? {
            Kind::Int => match self.read_value()? {
                ValueRef::Int(value) => Ok(value as f64),
                ValueRef::UInt(value) => Ok(value as f64),
                other => Err(self.unexpected(Kind::Float, other)),
            },
            _ => match self.expect(Kind::Float)? {
                ValueRef::F32(value) => Ok(f64::from(value)),
                ValueRef::F64(value) => Ok(value),
                other => Err(self.unexpected(Kind::Float, other)),
            },
        }
    }

    /// Reads a boolean.
    pub fn read_bool(&mut self) -> Result<bool, ReadError> {
        match self.expect(Kind::Bool)? {
            ValueRef::Bool(value) => Ok(value),
            other => Err(self.unexpected(Kind::Bool, other)),
        }
    }

    /// Reads nil.
    pub fn read_nil(&mut self) -> Result<(), ReadError> {
        self.expect(Kind::Nil).map(|_| ())
    }

    /// Reads an extension value: its type and payload.
    pub fn read_ext(&mut self) -> Result<(i8, &'a [u8]), ReadError> {
        match self.expect(Kind::Ext)? {
            ValueRef::Ext(kind, payload) => Ok((kind, payload)),
            other => Err(self.unexpected(Kind::Ext, other)),
        }
    }

    /// The bytes of the next value, whole.
    #[inline]
    pub fn read_raw(&mut self) -> Result<&'a [u8], ReadError> {
        let start = self.at;
        self.skip()?;
        Ok(&self.bytes[start..self.at])
    }

    /// Passes over the next value.
    #[inline]
    pub fn skip(&mut self) -> Result<(), ReadError> {
        self.at = skip(self.bytes, self.at)?;
        Ok(())
    }

    /// Reads the next value; a container is passed over as a whole.
    #[inline]
    pub fn read_value(&mut self) -> Result<ValueRef<'a>, ReadError> {
        let at = self.at;
        let Some(&byte) = self.bytes.get(at) else { return Err(self.malformed(ScanErrorKind::Truncated)) };
        let (text_at, length) = match byte {
            0x00..=0x7f | 0xe0..=0xff => {
                self.at += 1;
                return Ok(ValueRef::Int(i64::from(byte as i8)));
            }
            0xa0..=0xbf => (at + 1, usize::from(byte & 0x1f)),
            0xd9 => (at + 2, self.bytes.get(at + 1).map_or(usize::MAX, |&length| usize::from(length))),
            _ => return self.read_other(),
        };
        match self.bytes.get(text_at..text_at.saturating_add(length)) {
            Some(text) => {
                self.at = text_at + length;
                Ok(ValueRef::Str(text))
            }
            None => Err(ReadError::from(ScanError { at: self.bytes.len(), kind: ScanErrorKind::Truncated })),
        }
    }

    fn read_other(&mut self) -> Result<ValueRef<'a>, ReadError> {
        let start = self.at;
        let bytes = self.bytes;
        let end = skip(bytes, start)?;
        let raw = &bytes[start..end];
        self.at = end;
        Ok(match raw {
            [0xda, _, _, text @ ..] | [0xdb, _, _, _, _, text @ ..] => ValueRef::Str(text),
            [0x80..=0x8f | 0xde | 0xdf, ..] => ValueRef::Map(raw),
            [0x90..=0x9f | 0xdc | 0xdd, ..] => ValueRef::Array(raw),
            [0xc0] => ValueRef::Nil,
            [0xc2] => ValueRef::Bool(false),
            [0xc3] => ValueRef::Bool(true),
            [0xc4, _, bin @ ..] | [0xc5, _, _, bin @ ..] | [0xc6, _, _, _, _, bin @ ..] => ValueRef::Bin(bin),
            [0xca, rest @ ..] => ValueRef::F32(f32::from_be_bytes(fixed(rest))),
            [0xcb, rest @ ..] => ValueRef::F64(f64::from_be_bytes(fixed(rest))),
            [0xcc, byte] => ValueRef::Int(i64::from(*byte)),
            [0xcd, rest @ ..] => ValueRef::Int(i64::from(u16::from_be_bytes(fixed(rest)))),
            [0xce, rest @ ..] => ValueRef::Int(i64::from(u32::from_be_bytes(fixed(rest)))),
            [0xcf, rest @ ..] => {
                let value = u64::from_be_bytes(fixed(rest));
                i64::try_from(value).map_or(ValueRef::UInt(value), ValueRef::Int)
            }
            [0xd0, byte] => ValueRef::Int(i64::from(*byte as i8)),
            [0xd1, rest @ ..] => ValueRef::Int(i64::from(i16::from_be_bytes(fixed(rest)))),
            [0xd2, rest @ ..] => ValueRef::Int(i64::from(i32::from_be_bytes(fixed(rest)))),
            [0xd3, rest @ ..] => ValueRef::Int(i64::from_be_bytes(fixed(rest))),
            [0xd4..=0xd8, kind, payload @ ..]
            | [0xc7, _, kind, payload @ ..]
            | [0xc8, _, _, kind, payload @ ..]
            | [0xc9, _, _, _, _, kind, payload @ ..] => ValueRef::Ext(*kind as i8, payload),
            _ => {
                self.at = start;
                return Err(self.malformed(ScanErrorKind::Reserved));
            }
        })
    }

    #[inline]
    fn enter(&mut self, kind: Kind) -> Result<usize, ReadError> {
        let found = self.peek()?;
        if found != kind {
            return Err(ReadError { at: self.at, kind: ReadErrorKind::Unexpected { expected: kind, found } });
        }
        match head(self.bytes, self.at) {
            Head::Container(behind, children) => {
                self.at = behind;
                Ok(children)
            }
            _ => Err(self.malformed(ScanErrorKind::Truncated)),
        }
    }

    #[inline]
    fn expect(&mut self, expected: Kind) -> Result<ValueRef<'a>, ReadError> {
        let found = self.peek()?;
        if found != expected {
            return Err(ReadError { at: self.at, kind: ReadErrorKind::Unexpected { expected, found } });
        }
        self.read_value()
    }

    fn unexpected(&self, expected: Kind, found: ValueRef<'_>) -> ReadError {
        let found = match found {
            ValueRef::Nil => Kind::Nil,
            ValueRef::Bool(_) => Kind::Bool,
            ValueRef::Int(_) | ValueRef::UInt(_) => Kind::Int,
            ValueRef::F32(_) | ValueRef::F64(_) => Kind::Float,
            ValueRef::Str(_) => Kind::Str,
            ValueRef::Bin(_) => Kind::Bin,
            ValueRef::Array(_) => Kind::Array,
            ValueRef::Map(_) => Kind::Map,
            ValueRef::Ext(..) => Kind::Ext,
        };
        ReadError { at: self.at, kind: ReadErrorKind::Unexpected { expected, found } }
    }

    fn malformed(&self, kind: ScanErrorKind) -> ReadError {
        ReadError { at: self.at, kind: ReadErrorKind::Malformed(kind) }
    }
}

/// The first N bytes; `skip` has checked that they are there.
#[inline]
fn fixed<const N: usize>(bytes: &[u8]) -> [u8; N] {
    bytes.first_chunk().copied().unwrap_or([0; N])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn integers_of_every_width() {
        for (raw, value) in [
            (&b"\x7f"[..], 127i64),
            (b"\xe0", -32),
            (b"\xcc\xff", 255),
            (b"\xcd\xff\xff", 65535),
            (b"\xce\xff\xff\xff\xff", 4294967295),
            (b"\xcf\x7f\xff\xff\xff\xff\xff\xff\xff", i64::MAX),
            (b"\xd0\x80", -128),
            (b"\xd1\x80\x00", -32768),
            (b"\xd2\x80\x00\x00\x00", -2147483648),
            (b"\xd3\x80\x00\x00\x00\x00\x00\x00\x00", i64::MIN),
        ] {
            assert_eq!(Reader::new(raw).read_i64(), Ok(value));
            assert_eq!(Reader::new(raw).read_u64().ok(), u64::try_from(value).ok());
            assert_eq!(Reader::new(raw).read_f64(), Ok(value as f64));
        }
        let large = b"\xcf\xff\xff\xff\xff\xff\xff\xff\xff";
        assert_eq!(ValueRef::read(large), Ok(ValueRef::UInt(u64::MAX)));
        assert_eq!(Reader::new(large).read_u64(), Ok(u64::MAX));
        assert_eq!(Reader::new(large).read_i64(), Err(ReadError { at: 0, kind: ReadErrorKind::OutOfRange }));
    }

    #[test]
    fn one_of_each_kind() {
        let bytes = b"\xc0\xc2\xc3\xca\x3f\x80\x00\x00\xa1s\xd9\x01t\xc4\x01b\x91\x01\x81\x01\x02\xd4\x05\x06\xc7\x01\xff\x07";
        let mut reader = Reader::new(bytes);
        assert_eq!(reader.peek(), Ok(Kind::Nil));
        assert_eq!(reader.read_nil(), Ok(()));
        assert_eq!(reader.read_bool(), Ok(false));
        assert_eq!(reader.read_bool(), Ok(true));
        assert_eq!(reader.read_f64(), Ok(1.0));
        assert_eq!(reader.read_str(), Ok(&b"s"[..]));
        assert_eq!(reader.read_bytes(), Ok(&b"t"[..]));
        assert_eq!(reader.read_bytes(), Ok(&b"b"[..]));
        assert_eq!(reader.read_value(), Ok(ValueRef::Array(b"\x91\x01")));
        assert_eq!(reader.read_map_len(), Ok(1));
        assert_eq!(reader.read_raw(), Ok(&b"\x01"[..]));
        assert_eq!(reader.skip(), Ok(()));
        assert_eq!(reader.read_ext(), Ok((5, &b"\x06"[..])));
        assert_eq!(reader.read_value(), Ok(ValueRef::Ext(-1, b"\x07")));
        assert!(reader.is_at_end());
        assert!(reader.read_value().is_err());
    }

    #[test]
    fn an_error_names_both_kinds_and_moves_nothing() {
        let mut reader = Reader::new(b"\xa1s");
        let error = reader.read_i64().unwrap_err();
        assert_eq!(error.to_string(), "a string where an integer was expected at byte 0");
        assert_eq!(reader.read_str(), Ok(&b"s"[..]));
        assert_eq!(
            Reader::new(b"\x92\x01").read_value().unwrap_err().to_string(),
            "value that is cut off at byte 2"
        );
    }
}
