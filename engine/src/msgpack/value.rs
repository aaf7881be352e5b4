//! A decoded value of a record.

use bumpalo::Bump;
use bumpalo::collections::Vec as ArenaVec;

use super::accessor::{PathPart, position};
use super::reader::{ReadError, Reader, ValueRef};
use super::record::Record;
use super::view::dig;
use super::write::{
    write_array_len, write_bin, write_bool, write_ext, write_f64, write_i64, write_nil, write_str, write_u64,
};

/// A value. Scalars are decoded when their record is; an array or map stays raw until somebody looks inside.
#[derive(Clone, Debug)]
pub enum Value<'a> {
    /// nil
    Nil,
    /// true, false
    Bool(bool),
    /// An integer that fits.
    Int(i64),
    /// An integer above i64.
    UInt(u64),
    /// A float; float32 has been widened, as Ruby does.
    Float(f64),
    /// A string's bytes, which need not be UTF-8.
    Str(&'a [u8]),
    /// A byte array.
    Bin(&'a [u8]),
    /// Type and payload. EventTime is type 0 with 8 bytes, [`super::BIG_INT_EXT`] an integer of more than 64 bits.
    Ext(i8, &'a [u8]),
    /// A raw array or map that nobody has opened.
    Raw(&'a [u8]),
    /// An array that was opened or made.
    Array(ArenaVec<'a, Value<'a>>),
    /// A map that was opened or made.
    Map(Record<'a>),
}

impl<'a> Value<'a> {
    /// The value at the start of `raw`; a container stays raw.
    #[inline]
    pub fn read(raw: &'a [u8]) -> Result<Self, ReadError> {
        Ok(Self::from(ValueRef::read(raw)?))
    }

    /// Decodes a raw array or map by one level; other values stay as they are. Bytes that turn out to be no
    /// MessagePack become nil.
    pub fn open(&mut self, arena: &'a Bump) -> &mut Self {
        if let Self::Raw(raw) = *self {
            *self = match raw.first() {
                Some(0x80..=0x8f | 0xde | 0xdf) => Record::decode(raw, arena).map_or(Self::Nil, Self::Map),
                _ => array(raw, arena).map_or(Self::Nil, Self::Array),
            };
        }
        self
    }

    /// Appends the value as MessagePack.
    pub fn write(&self, out: &mut Vec<u8>) {
        match self {
            Self::Nil => write_nil(out),
            Self::Bool(value) => write_bool(out, *value),
            Self::Int(value) => write_i64(out, *value),
            Self::UInt(value) => write_u64(out, *value),
            Self::Float(value) => write_f64(out, *value),
            Self::Str(bytes) => write_str(out, bytes),
            Self::Bin(bytes) => write_bin(out, bytes),
            Self::Ext(kind, payload) => write_ext(out, *kind, payload),
            Self::Raw(raw) => out.extend_from_slice(raw),
            Self::Array(items) => {
                write_array_len(out, items.len());
                for item in items {
                    item.write(out);
                }
            }
            Self::Map(map) => map.encode(out),
        }
    }

    /// The bytes of a string or byte array.
    pub fn bytes(&self) -> Option<&'a [u8]> {
        match *self {
            Self::Str(bytes) | Self::Bin(bytes) => Some(bytes),
            _ => None,
        }
    }

    /// Whether it is nil.
    pub fn is_nil(&self) -> bool {
        matches!(self, Self::Nil)
    }

    /// Whether it is a map, opened or not.
    pub fn is_map(&self) -> bool {
        match self {
            Self::Map(_) => true,
            Self::Raw(raw) => matches!(raw.first(), Some(0x80..=0x8f | 0xde | 0xdf)),
            _ => false,
        }
    }

    /// Whether it is an array, opened or not.
    pub fn is_array(&self) -> bool {
        match self {
            Self::Array(_) => true,
            Self::Raw(raw) => matches!(raw.first(), Some(0x90..=0x9f | 0xdc | 0xdd)),
            _ => false,
        }
    }

    /// A copy of the value at the end of `path` within this one, as Ruby's `dig`; raw containers are searched where
    /// they lie.
    pub fn dig(&self, path: &[PathPart]) -> Option<Value<'a>> {
        let mut value = self;
        let mut path = path;
        loop {
            let Some((part, rest)) = path.split_first() else { return Some(value.clone()) };
            value = match (value, part) {
                (Self::Raw(raw), _) => return dig(raw, path).and_then(|found| Self::read(found).ok()),
                (Self::Map(map), PathPart::Key(key)) => map.get(key)?,
                (Self::Map(map), PathPart::Index(index)) => map.get_index(*index)?,
                (Self::Array(items), PathPart::Index(index)) => items.get(position(*index, items.len())?)?,
                _ => return None,
            };
            path = rest;
        }
    }
}

impl<'a> From<ValueRef<'a>> for Value<'a> {
    #[inline]
    fn from(value: ValueRef<'a>) -> Self {
        match value {
            ValueRef::Nil => Self::Nil,
            ValueRef::Bool(value) => Self::Bool(value),
            ValueRef::Int(value) => Self::Int(value),
            ValueRef::UInt(value) => Self::UInt(value),
            ValueRef::F32(value) => Self::Float(f64::from(value)),
            ValueRef::F64(value) => Self::Float(value),
            ValueRef::Str(bytes) => Self::Str(bytes),
            ValueRef::Bin(bytes) => Self::Bin(bytes),
            ValueRef::Array(raw) | ValueRef::Map(raw) => Self::Raw(raw),
            ValueRef::Ext(kind, payload) => Self::Ext(kind, payload),
        }
    }
}

fn array<'a>(raw: &'a [u8], arena: &'a Bump) -> Result<ArenaVec<'a, Value<'a>>, ReadError> {
    let mut reader = Reader::new(raw);
    let length = reader.read_array_len()?;
    // A length is only a claim: each element takes at least one byte.
    let mut items = ArenaVec::with_capacity_in(length.min(raw.len()), arena);
    for _ in 0..length {
        items.push(Value::from(reader.read_value()?));
    }
    Ok(items)
}
