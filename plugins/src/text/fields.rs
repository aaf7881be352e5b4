//! A record as it is written, field by field, from pieces of a text.

use super::ParseSettings;
use super::convert::{Converter, write_string};
use super::map::{begin_map, end_map, finish_map};
use logweir_engine::event::EventTime;
use logweir_engine::msgpack::{ValueRef, write_i64, write_nil, write_str};
use logweir_engine::plugin::{ParseFailure, ParseOutput};

/// The open entry of a [`ParseOutput`]; dropped without [`Fields::finish`], it is taken back.
pub(crate) struct Fields<'p, 'o> {
    settings: &'p ParseSettings,
    out: &'o mut ParseOutput,
    header: usize,
    count: usize,
    time: Option<EventTime>,
    is_open: bool,
}

impl<'p, 'o> Fields<'p, 'o> {
    pub(super) fn begin(settings: &'p ParseSettings, out: &'o mut ParseOutput, fields_max: usize) -> Self {
        let header = begin_map(out.begin(), fields_max);
        Self { settings, out, header, count: 0, time: None, is_open: true }
    }

    /// A field of the text: the time if it is the time_key, converted as `types` says.
    pub(crate) fn text(&mut self, key: &[u8], value: &[u8]) -> Result<(), ParseFailure> {
        if self.is_time(key) && self.take_time(ValueRef::Str(value))? {
            return Ok(());
        }
        let converter = self.settings.convert.as_ref().and_then(|convert| convert.of(key));
        write_str(self.out.buffer(), key);
        self.value(converter.map(|converter| &**converter), value);
        Ok(())
    }

    /// The same for a key that has been written as MessagePack before, is not the time_key, and has this conversion.
    pub(crate) fn known(&mut self, raw_key: &[u8], converter: Option<&Converter>, value: &[u8]) {
        self.out.buffer().extend_from_slice(raw_key);
        self.value(converter, value);
    }

    /// A field whose value lacks.
    pub(crate) fn nil(&mut self, key: &[u8]) -> Result<(), ParseFailure> {
        if self.is_time(key) && self.take_time(ValueRef::Nil)? {
            return Ok(());
        }
        self.plain_nil(key);
        Ok(())
    }

    /// The text of the time; whether the field is done with, as it is unless it is kept.
    pub(crate) fn time(&mut self, value: &[u8]) -> Result<bool, ParseFailure> {
        self.take_time(ValueRef::Str(value))
    }

    /// Sets the time that was found in another way.
    pub(crate) fn set_time(&mut self, time: EventTime) {
        self.time = Some(time);
    }

    /// A field that is neither the time nor converted.
    pub(crate) fn plain(&mut self, key: &[u8], value: &[u8]) {
        let binary = self.out.is_binary();
        let buffer = self.out.buffer();
        write_str(buffer, key);
        write_string(value, binary, buffer);
        self.count += 1;
    }

    /// The same, with an integer.
    pub(crate) fn plain_integer(&mut self, key: &[u8], value: i64) {
        let buffer = self.out.buffer();
        write_str(buffer, key);
        write_i64(buffer, value);
        self.count += 1;
    }

    /// The same, with nothing.
    pub(crate) fn plain_nil(&mut self, key: &[u8]) {
        let buffer = self.out.buffer();
        write_str(buffer, key);
        write_nil(buffer);
        self.count += 1;
    }

    /// The event is complete.
    pub(crate) fn finish(mut self) {
        end_map(self.out.buffer(), self.header, self.count);
        self.commit();
    }

    /// The event is complete; keys may be there more than once.
    pub(crate) fn finish_distinct(mut self) {
        end_map(self.out.buffer(), self.header, self.count);
        finish_map(self.out.buffer(), self.header);
        self.commit();
    }

    fn commit(&mut self) {
        let time = self.time.or_else(|| self.settings.estimate());
        self.out.commit(time);
        self.is_open = false;
    }

    fn value(&mut self, converter: Option<&Converter>, value: &[u8]) {
        let binary = self.out.is_binary();
        let buffer = self.out.buffer();
        match &self.settings.convert {
            None => write_string(value, binary, buffer),
            Some(convert) => convert.write_text(converter, value, binary, buffer),
        }
        self.count += 1;
    }

    fn is_time(&self, key: &[u8]) -> bool {
        self.settings.time_key.as_deref() == Some(key)
    }

    fn take_time(&mut self, value: ValueRef<'_>) -> Result<bool, ParseFailure> {
        self.time = Some(self.settings.time_parser.parse(value).map_err(ParseFailure::Invalid)?);
        Ok(!self.settings.keep_time_key)
    }
}

impl Drop for Fields<'_, '_> {
    fn drop(&mut self) {
        if self.is_open {
            self.out.abort();
        }
    }
}
