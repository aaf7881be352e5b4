//! Reads a Native block back: for tests and fuzzing, which compare what was written with what was meant.

use super::type_name::Type;
use serde_json::{Map, Value, json};

/// A column that was read: its name and its values, in the order of the rows.
pub(crate) type Column = (String, Vec<Value>);

/// Reads one block. `None` if the bytes are not exactly one block.
pub(crate) fn read_block(bytes: &[u8]) -> Option<Vec<Column>> {
    let mut reader = Reader { bytes, at: 0 };
    let columns = reader.varint()?;
    let rows = usize::try_from(reader.varint()?).ok()?;
    let mut found = Vec::new();
    for _ in 0..columns {
        let name = reader.text()?;
        let kind = Type::parse(&reader.text()?)?;
        let prefix = reader.prefix(&kind)?;
        found.push((name, reader.values(&kind, &prefix, rows)?));
    }
    (reader.at == bytes.len()).then_some(found)
}

struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
}

/// What a type's state prefix says: the members of a Dynamic.
#[derive(Default)]
struct Prefix {
    dynamic: Vec<Type>,
}

impl<'a> Reader<'a> {
    fn take(&mut self, count: usize) -> Option<&'a [u8]> {
        let taken = self.bytes.get(self.at..self.at.checked_add(count)?)?;
        self.at += count;
        Some(taken)
    }

    fn varint(&mut self) -> Option<u64> {
        let mut value = 0;
        for shift in (0..64).step_by(7) {
            let byte = self.take(1)?[0];
            value |= u64::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return Some(value);
            }
        }
        None
    }

    fn u64(&mut self) -> Option<u64> {
        self.take(8)?.try_into().ok().map(u64::from_le_bytes)
    }

    fn text(&mut self) -> Option<String> {
        let length = usize::try_from(self.varint()?).ok()?;
        Some(String::from_utf8_lossy(self.take(length)?).into_owned())
    }

    fn prefix(&mut self, kind: &Type) -> Option<Prefix> {
        match kind {
            Type::LowCardinality(_) | Type::Json => (self.u64()? == 1).then(Prefix::default),
            Type::Nullable(inner) | Type::Array(inner) => self.prefix(inner),
            Type::Map(key, value) => {
                self.prefix(key)?;
                self.prefix(value)
            }
            Type::Tuple(elements) => {
                elements.iter().try_fold(Prefix::default(), |_, (_, element)| self.prefix(element))
            }
            Type::Variant(members) => {
                (self.u64()? == 0).then_some(())?;
                members.iter().try_fold(Prefix::default(), |_, member| self.prefix(member))
            }
            Type::Dynamic => {
                (self.u64()? == 2).then_some(())?;
                let count = self.varint()?;
                let mut names = vec!["SharedVariant".to_owned()];
                for _ in 0..count {
                    names.push(self.text()?);
                }
                names.sort();
                (self.u64()? == 0).then_some(())?;
                let dynamic = names.iter().map(|name| Type::parse(name).unwrap_or(Type::String));
                Some(Prefix { dynamic: dynamic.collect() })
            }
            _ => Some(Prefix::default()),
        }
    }

    fn values(&mut self, kind: &Type, prefix: &Prefix, rows: usize) -> Option<Vec<Value>> {
        let fixed = |width: usize, signed: bool| Type::Int { width, signed };
        match kind {
            Type::Int { width, signed } => self.each(rows, |reader| reader.int(*width, *signed)),
            Type::Decimal { width, .. } => self.values(&fixed(*width, true), prefix, rows),
            Type::Interval | Type::DateTime64 { .. } | Type::Time64 { .. } => {
                self.values(&fixed(8, true), prefix, rows)
            }
            Type::Date => self.values(&fixed(2, false), prefix, rows),
            Type::Date32 | Type::Time => self.values(&fixed(4, true), prefix, rows),
            Type::DateTime { .. } | Type::Ipv4 => self.values(&fixed(4, false), prefix, rows),
            Type::Enum { width, values } => self.each(rows, |reader| {
                let number = reader.int(*width, true)?;
                let (name, _) = values.iter().find(|(_, known)| number == json!(known))?;
                Some(json!(name))
            }),
            Type::Bool => self.each(rows, |reader| match reader.take(1)? {
                [0] => Some(json!(false)),
                [1] => Some(json!(true)),
                _ => None,
            }),
            Type::Float32 => {
                self.each(rows, |reader| Some(json!(f32::from_le_bytes(reader.take(4)?.try_into().ok()?))))
            }
            Type::Float64 => {
                self.each(rows, |reader| Some(json!(f64::from_le_bytes(reader.take(8)?.try_into().ok()?))))
            }
            Type::BFloat16 => self.values(&fixed(2, false), prefix, rows),
            Type::Uuid | Type::Ipv6 => self.each(rows, |reader| Some(json!(reader.take(16)?))),
            Type::FixedString(length) => {
                self.each(rows, |reader| Some(json!(String::from_utf8_lossy(reader.take(*length)?))))
            }
            Type::String => self.each(rows, |reader| reader.text().map(Value::String)),
            Type::Json => self.each(rows, |reader| serde_json::from_str(&reader.text()?).ok()),
            Type::Nullable(inner) => {
                let nulls = self.take(rows)?;
                let values = self.values(inner, prefix, rows)?;
                Some(
                    nulls
                        .iter()
                        .zip(values)
                        .map(|(null, value)| if *null == 1 { Value::Null } else { value })
                        .collect(),
                )
            }
            Type::LowCardinality(inner) => self.dictionary(inner, rows),
            Type::Array(inner) => {
                let (ends, count) = self.ends(rows)?;
                let values = self.values(inner, prefix, count)?;
                Some(sliced(&ends, |range| Value::Array(values[range].to_vec())))
            }
            Type::Map(key, value) => {
                let (ends, count) = self.ends(rows)?;
                let keys = self.values(key, prefix, count)?;
                let values = self.values(value, prefix, count)?;
                Some(sliced(&ends, |range| {
                    let name = |key: &Value| key.as_str().map_or_else(|| key.to_string(), str::to_owned);
                    let pairs = range.map(|index| (name(&keys[index]), values[index].clone()));
                    Value::Object(pairs.collect::<Map<_, _>>())
                }))
            }
            Type::Tuple(elements) => {
                let mut rows_of = vec![Vec::new(); rows];
                for (_, element) in elements {
                    let values = self.values(element, prefix, rows)?;
                    rows_of.iter_mut().zip(values).for_each(|(row, value)| row.push(value));
                }
                Some(rows_of.into_iter().map(Value::Array).collect())
            }
            Type::Variant(members) => self.variant(members, prefix, rows),
            Type::Dynamic => self.variant(&prefix.dynamic, prefix, rows),
        }
    }

    fn each(&mut self, rows: usize, read: impl Fn(&mut Self) -> Option<Value>) -> Option<Vec<Value>> {
        (0..rows).map(|_| read(self)).collect()
    }

    fn int(&mut self, width: usize, signed: bool) -> Option<Value> {
        let raw = self.take(width)?;
        if width > 16 {
            return Some(json!(raw));
        }
        let negative = signed && raw[width - 1] >= 0x80;
        let mut bytes = [if negative { 0xff } else { 0 }; 16];
        bytes[..width].copy_from_slice(raw);
        let number = i128::from_le_bytes(bytes);
        Some(i64::try_from(number).map_or_else(|_| json!(number.to_string()), |number| json!(number)))
    }

    fn ends(&mut self, rows: usize) -> Option<(Vec<usize>, usize)> {
        let mut ends = Vec::new();
        for _ in 0..rows {
            let end = usize::try_from(self.u64()?).ok()?;
            (ends.last().is_none_or(|last| *last <= end) && end <= self.bytes.len()).then_some(())?;
            ends.push(end);
        }
        let count = ends.last().copied().unwrap_or(0);
        Some((ends, count))
    }

    fn dictionary(&mut self, inner: &Type, rows: usize) -> Option<Vec<Value>> {
        if rows == 0 {
            return Some(Vec::new());
        }
        let (nullable, inner) = match inner {
            Type::Nullable(inner) => (true, &**inner),
            inner => (false, inner),
        };
        let flags = self.u64()?;
        (flags & !3 == 0x600).then_some(())?;
        let count = usize::try_from(self.u64()?).ok()?;
        let mut keys = self.values(inner, &Prefix::default(), count)?;
        if nullable {
            *keys.first_mut()? = Value::Null;
        }
        (self.u64()? == rows as u64).then_some(())?;
        (0..rows)
            .map(|_| {
                let position = self.int(1 << (flags & 3), false)?.as_u64()?;
                keys.get(usize::try_from(position).ok()?).cloned()
            })
            .collect()
    }

    fn variant(&mut self, members: &[Type], prefix: &Prefix, rows: usize) -> Option<Vec<Value>> {
        let which = self.take(rows)?;
        let mut values = Vec::new();
        for (index, member) in members.iter().enumerate() {
            let count = which.iter().filter(|which| usize::from(**which) == index).count();
            values.push(self.values(member, prefix, count)?.into_iter());
        }
        which
            .iter()
            .map(
                |which| {
                    if *which == 255 {
                        Some(Value::Null)
                    } else {
                        values.get_mut(usize::from(*which))?.next()
                    }
                },
            )
            .collect()
    }
}

fn sliced(ends: &[usize], slice: impl Fn(std::ops::Range<usize>) -> Value) -> Vec<Value> {
    let starts = std::iter::once(0).chain(ends.iter().copied());
    starts.zip(ends).map(|(start, end)| slice(start..*end)).collect()
}
