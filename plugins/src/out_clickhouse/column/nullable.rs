//! `Nullable(T)`: a byte for each row that is 1 for NULL, then the values, with T's default in place of NULL.

use super::stream::{Sink, Stream};
use super::{Column, Compression, Fault};
use logweir_engine::msgpack::ValueRef;

/// See the module.
pub(crate) struct Nullables {
    nulls: Stream,
    inner: Box<dyn Column>,
}

impl Nullables {
    /// An empty column around an empty column.
    pub(crate) fn new(inner: Box<dyn Column>) -> Self {
        Self { nulls: Stream::default(), inner }
    }
}

impl Column for Nullables {
    fn push(&mut self, value: &ValueRef<'_>) -> Result<(), Fault> {
        if *value == ValueRef::Nil {
            self.push_default();
            return Ok(());
        }
        match self.inner.push(value) {
            Ok(()) => self.nulls.raw.push(0),
            // Logs write nothing for NULL; where nothing is no value of the type, it is NULL.
            Err(_) if matches!(value, ValueRef::Str(b"")) => self.push_default(),
            Err(fault) => return Err(fault),
        }
        Ok(())
    }

    fn push_default(&mut self) {
        self.inner.push_default();
        self.nulls.raw.push(1);
    }

    fn checkpoint(&mut self) {
        self.nulls.checkpoint();
        self.inner.checkpoint();
    }

    fn rollback(&mut self) {
        self.nulls.rollback();
        self.inner.rollback();
    }

    fn seal(&mut self, compression: Compression) {
        self.nulls.seal(compression);
        self.inner.seal(compression);
    }

    fn write_prefix(&self, sink: &mut Sink) {
        self.inner.write_prefix(sink);
    }

    fn finish(&mut self, sink: &mut Sink) {
        self.nulls.finish(sink);
        self.inner.finish(sink);
    }
}
