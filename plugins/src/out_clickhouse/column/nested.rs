//! `Array(T)`, `Map(K, V)` and `Tuple(...)`.
//!
//! An Array is the end of each row's elements (u64, counted over the block), then all elements as one column. A Map is
//! an Array of its pairs: ends, all keys, all values. A Tuple is its elements' columns one after the other.
//!
//! Text that is JSON is taken as what it says, because containers often travel as text.

use super::json_text::write_plain;
use super::stream::{Sink, Stream};
use super::{Column, ColumnContext, Compression, Fault, NESTING_MAX, build};
use crate::out_clickhouse::type_name::Type;
use logweir_engine::json::{ReadOptions, document_to_msgpack};
use logweir_engine::msgpack::{Reader, RecordView, ValueRef};

/// The ends of rows in the columns of their elements.
#[derive(Default)]
struct Ends {
    stream: Stream,
    count: u64,
    mark: u64,
}

impl Ends {
    fn end_row(&mut self, elements: usize) {
        self.count += elements as u64;
        self.stream.raw.extend_from_slice(&self.count.to_le_bytes());
    }

    fn checkpoint(&mut self) {
        self.stream.checkpoint();
        self.mark = self.count;
    }

    fn rollback(&mut self) {
        self.stream.rollback();
        self.count = self.mark;
    }

    fn finish(&mut self, sink: &mut Sink) {
        self.stream.finish(sink);
        self.count = 0;
    }
}

/// `Array(T)`.
pub(crate) struct Arrays {
    ends: Ends,
    inner: Box<dyn Column>,
}

impl Arrays {
    /// An empty column of arrays of what `inner` holds.
    pub(crate) fn new(inner: Box<dyn Column>) -> Self {
        Self { ends: Ends::default(), inner }
    }
}

impl Column for Arrays {
    fn push(&mut self, value: &ValueRef<'_>) -> Result<(), Fault> {
        match *value {
            ValueRef::Array(raw) => {
                let mut reader = Reader::new(raw);
                let length = reader.read_array_len().map_err(|_| Fault::Unstorable)?;
                for _ in 0..length {
                    self.inner.push(&reader.read_value().map_err(|_| Fault::Unstorable)?)?;
                }
                self.ends.end_row(length);
            }
            ValueRef::Nil => self.push_default(),
            ValueRef::Str([b'[', ..]) => {
                if let Some(parsed) = parsed_json(value) {
                    return self.push(&ValueRef::Array(&parsed));
                }
                self.inner.push(value)?;
                self.ends.end_row(1);
            }
            // One element without its brackets.
            _ => {
                self.inner.push(value)?;
                self.ends.end_row(1);
            }
        }
        Ok(())
    }

    fn push_default(&mut self) {
        self.ends.end_row(0);
    }

    fn checkpoint(&mut self) {
        self.ends.checkpoint();
        self.inner.checkpoint();
    }

    fn rollback(&mut self) {
        self.ends.rollback();
        self.inner.rollback();
    }

    fn seal(&mut self, compression: Compression) {
        self.ends.stream.seal(compression);
        self.inner.seal(compression);
    }

    fn write_prefix(&self, sink: &mut Sink) {
        self.inner.write_prefix(sink);
    }

    fn finish(&mut self, sink: &mut Sink) {
        self.ends.finish(sink);
        self.inner.finish(sink);
    }
}

/// `Map(K, V)`.
pub(crate) struct Maps {
    ends: Ends,
    keys: Box<dyn Column>,
    values: Box<dyn Column>,
    /// Whether V is text: maps in maps then become dotted keys, as OpenTelemetry's attributes are stored.
    flatten: bool,
    path: Vec<u8>,
}

impl Maps {
    /// An empty column of maps.
    pub(crate) fn new(key: &Type, value: &Type, context: &ColumnContext) -> Self {
        Self {
            ends: Ends::default(),
            keys: build(key, context),
            values: build(value, context),
            flatten: *value.bare() == Type::String && *key.bare() == Type::String,
            path: Vec::new(),
        }
    }

    /// Appends the pairs of a map, answers how many there were.
    fn pairs(&mut self, raw: &[u8], depth: usize) -> Result<usize, Fault> {
        if depth > NESTING_MAX {
            return Err(Fault::TooDeep);
        }
        let mut reader = Reader::new(raw);
        let length = reader.read_map_len().map_err(|_| Fault::Unstorable)?;
        let mut count = 0;
        let prefix = self.path.len();
        for _ in 0..length {
            let key = reader.read_value().map_err(|_| Fault::Unstorable)?;
            let value = reader.read_value().map_err(|_| Fault::Unstorable)?;
            let nested = match value {
                ValueRef::Map(inner) if self.flatten && inner != [0x80] => Some(inner),
                _ => None,
            };
            if nested.is_none() && prefix == 0 {
                self.keys.push(&key)?;
                self.values.push(&value)?;
                count += 1;
                continue;
            }
            write_plain(&key, &mut self.path)?;
            match nested {
                Some(inner) => {
                    self.path.push(b'.');
                    count += self.pairs(inner, depth + 1)?;
                }
                None => {
                    self.keys.push(&ValueRef::Str(&self.path))?;
                    self.values.push(&value)?;
                    count += 1;
                }
            }
            self.path.truncate(prefix);
        }
        Ok(count)
    }
}

impl Column for Maps {
    fn push(&mut self, value: &ValueRef<'_>) -> Result<(), Fault> {
        match *value {
            ValueRef::Map(raw) => {
                self.path.clear();
                let count = self.pairs(raw, 0)?;
                self.ends.end_row(count);
            }
            ValueRef::Nil => self.push_default(),
            ValueRef::Str(_) => {
                let parsed = parsed_json(value).ok_or(Fault::NotMap)?;
                return match ValueRef::read(&parsed) {
                    Ok(ValueRef::Map(raw)) => self.push(&ValueRef::Map(raw)),
                    _ => Err(Fault::NotMap),
                };
            }
            _ => return Err(Fault::NotMap),
        }
        Ok(())
    }

    fn push_default(&mut self) {
        self.ends.end_row(0);
    }

    fn checkpoint(&mut self) {
        self.ends.checkpoint();
        self.keys.checkpoint();
        self.values.checkpoint();
    }

    fn rollback(&mut self) {
        self.ends.rollback();
        self.keys.rollback();
        self.values.rollback();
    }

    fn seal(&mut self, compression: Compression) {
        self.ends.stream.seal(compression);
        self.keys.seal(compression);
        self.values.seal(compression);
    }

    fn write_prefix(&self, sink: &mut Sink) {
        self.keys.write_prefix(sink);
        self.values.write_prefix(sink);
    }

    fn finish(&mut self, sink: &mut Sink) {
        self.ends.finish(sink);
        self.keys.finish(sink);
        self.values.finish(sink);
    }
}

/// `Tuple(...)`: from an array of as many elements, or from a map by the elements' names (`1`, `2`, ... where they have
/// none), in which missing ones are defaults.
pub(crate) struct Tuples {
    elements: Vec<(String, Box<dyn Column>)>,
}

impl Tuples {
    /// An empty column of tuples.
    pub(crate) fn new(elements: &[(Option<String>, Type)], context: &ColumnContext) -> Self {
        let elements = elements.iter().enumerate().map(|(index, (name, kind))| {
            (name.clone().unwrap_or_else(|| (index + 1).to_string()), build(kind, context))
        });
        Self { elements: elements.collect() }
    }
}

impl Column for Tuples {
    fn push(&mut self, value: &ValueRef<'_>) -> Result<(), Fault> {
        match *value {
            ValueRef::Array(raw) => {
                let mut reader = Reader::new(raw);
                if reader.read_array_len().map_err(|_| Fault::Unstorable)? != self.elements.len() {
                    return Err(Fault::NotTuple);
                }
                for (_, element) in &mut self.elements {
                    element.push(&reader.read_value().map_err(|_| Fault::Unstorable)?)?;
                }
            }
            ValueRef::Map(raw) => {
                let view = RecordView::new(raw);
                for (name, element) in &mut self.elements {
                    match view.get(name.as_bytes()) {
                        Some(raw) => element.push(&ValueRef::read(raw).map_err(|_| Fault::Unstorable)?)?,
                        None => element.push_default(),
                    }
                }
            }
            ValueRef::Nil => self.push_default(),
            ValueRef::Str(_) => {
                let parsed = parsed_json(value).ok_or(Fault::NotTuple)?;
                return match ValueRef::read(&parsed) {
                    Ok(container @ (ValueRef::Map(_) | ValueRef::Array(_))) => self.push(&container),
                    _ => Err(Fault::NotTuple),
                };
            }
            _ => return Err(Fault::NotTuple),
        }
        Ok(())
    }

    fn push_default(&mut self) {
        for (_, element) in &mut self.elements {
            element.push_default();
        }
    }

    fn checkpoint(&mut self) {
        for (_, element) in &mut self.elements {
            element.checkpoint();
        }
    }

    fn rollback(&mut self) {
        for (_, element) in &mut self.elements {
            element.rollback();
        }
    }

    fn seal(&mut self, compression: Compression) {
        for (_, element) in &mut self.elements {
            element.seal(compression);
        }
    }

    fn write_prefix(&self, sink: &mut Sink) {
        for (_, element) in &self.elements {
            element.write_prefix(sink);
        }
    }

    fn finish(&mut self, sink: &mut Sink) {
        for (_, element) in &mut self.elements {
            element.finish(sink);
        }
    }
}

/// The container that a text holds as JSON, as MessagePack; `None` if it holds anything else.
pub(super) fn parsed_json(value: &ValueRef<'_>) -> Option<Vec<u8>> {
    let ValueRef::Str(text) = value else { return None };
    if !matches!(text.trim_ascii_start(), [b'[' | b'{', ..]) {
        return None;
    }
    let mut out = Vec::new();
    document_to_msgpack(text, &mut out, ReadOptions::default()).ok()?;
    Some(out)
}
