//! `Bool`, `Enum8` and `Enum16`.

use super::number::one_stream;
use super::stream::{Sink, Stream};
use super::{Column, Compression, Fault};
use logweir_engine::msgpack::ValueRef;
use std::collections::HashMap;

/// `Bool`: one byte, 0 or 1.
#[derive(Default)]
pub(crate) struct Bools {
    stream: Stream,
}

impl Column for Bools {
    fn push(&mut self, value: &ValueRef<'_>) -> Result<(), Fault> {
        self.stream.raw.push(u8::from(truth(value)?));
        Ok(())
    }

    fn push_default(&mut self) {
        self.stream.raw.push(0);
    }

    one_stream!();
}

/// A value as a truth: booleans, 0 and 1, and the words that configurations and logs use.
fn truth(value: &ValueRef<'_>) -> Result<bool, Fault> {
    const TRUE: [&[u8]; 6] = [b"true", b"yes", b"on", b"1", b"t", b"y"];
    const FALSE: [&[u8]; 6] = [b"false", b"no", b"off", b"0", b"f", b"n"];
    match *value {
        ValueRef::Bool(truth) => Ok(truth),
        ValueRef::Int(0) | ValueRef::Nil => Ok(false),
        ValueRef::Int(1) => Ok(true),
        ValueRef::F64(number) if number == 0.0 || number == 1.0 => Ok(number == 1.0),
        ValueRef::F32(number) if number == 0.0 || number == 1.0 => Ok(number == 1.0),
        ValueRef::Str(text) | ValueRef::Bin(text) => {
            let text = text.trim_ascii();
            if TRUE.iter().any(|word| text.eq_ignore_ascii_case(word)) {
                Ok(true)
            } else if FALSE.iter().any(|word| text.eq_ignore_ascii_case(word)) {
                Ok(false)
            } else {
                Err(Fault::NotBool)
            }
        }
        _ => Err(Fault::NotBool),
    }
}

/// `Enum8` and `Enum16`: the value's number.
pub(crate) struct Enums {
    stream: Stream,
    width: usize,
    default: i16,
    by_name: HashMap<Box<[u8]>, i16>,
}

impl Enums {
    /// Of `width` bytes. The default is the value that ClickHouse takes: the smallest.
    pub(crate) fn new(width: usize, values: &[(String, i16)]) -> Self {
        Self {
            stream: Stream::default(),
            width,
            default: values.iter().map(|(_, number)| *number).min().unwrap_or(0),
            by_name: values.iter().map(|(name, number)| (name.as_bytes().into(), *number)).collect(),
        }
    }

    fn put(&mut self, number: i16) {
        self.stream.raw.extend_from_slice(&number.to_le_bytes()[..self.width]);
    }

    fn number(&self, number: i64) -> Result<i16, Fault> {
        let number = i16::try_from(number).map_err(|_| Fault::NotInEnum)?;
        self.by_name.values().find(|known| **known == number).copied().ok_or(Fault::NotInEnum)
    }
}

impl Column for Enums {
    fn push(&mut self, value: &ValueRef<'_>) -> Result<(), Fault> {
        let number = match *value {
            ValueRef::Str(name) | ValueRef::Bin(name) => match self.by_name.get(name) {
                Some(number) => *number,
                None => {
                    let digits = std::str::from_utf8(name).ok().and_then(|name| name.parse().ok());
                    self.number(digits.ok_or(Fault::NotInEnum)?)?
                }
            },
            ValueRef::Int(number) => self.number(number)?,
            ValueRef::F64(number) if number.fract() == 0.0 => self.number(number as i64)?,
            ValueRef::Nil => self.default,
            ValueRef::Bool(truth) => {
                let name: &[u8] = if truth { b"true" } else { b"false" };
                *self.by_name.get(name).ok_or(Fault::NotInEnum)?
            }
            _ => return Err(Fault::NotInEnum),
        };
        self.put(number);
        Ok(())
    }

    fn push_default(&mut self) {
        self.put(self.default);
    }

    one_stream!();
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn truths() {
        for (value, expected) in [
            (ValueRef::Bool(true), Ok(true)),
            (ValueRef::Int(1), Ok(true)),
            (ValueRef::Int(2), Err(Fault::NotBool)),
            (ValueRef::Str(b"YES"), Ok(true)),
            (ValueRef::Str(b"off"), Ok(false)),
            (ValueRef::Str(b"maybe"), Err(Fault::NotBool)),
            (ValueRef::Str(b""), Err(Fault::NotBool)),
            (ValueRef::F64(1.0), Ok(true)),
            (ValueRef::Array(&[0x90]), Err(Fault::NotBool)),
        ] {
            assert_eq!(truth(&value), expected, "{value:?}");
        }
    }

    #[test]
    fn enums_by_name_and_number() {
        let mut column = Enums::new(1, &[("info".into(), 3), ("error".into(), -2), ("7".into(), 1)]);
        for (value, expected) in [
            (ValueRef::Str(b"error"), Ok(-2)),
            (ValueRef::Int(3), Ok(3)),
            (ValueRef::Str(b"3"), Ok(3)),
            (ValueRef::Str(b"7"), Ok(1)),
            (ValueRef::Int(7), Err(Fault::NotInEnum)),
            (ValueRef::Str(b"warn"), Err(Fault::NotInEnum)),
            (ValueRef::Int(1 << 40), Err(Fault::NotInEnum)),
            (ValueRef::Nil, Ok(-2)),
        ] {
            column.stream.raw.clear();
            let pushed = column.push(&value).map(|()| column.stream.raw[0] as i8);
            assert_eq!(pushed, expected, "{value:?}");
        }
    }
}
