//! Columns of a Native block, built from raw MessagePack values.
//!
//! Each type has a [`Column`] that turns values straight into the bytes that ClickHouse keeps: nothing is allocated
//! for a value, and nothing is converted by the server. What does not fit is a [`Fault`], never a wrapped or
//! truncated value.
//!
//! The layout of each type's bytes is that of ClickHouse's `serializeBinaryBulk*`, which Native writes for each
//! column: first the state prefixes of the type and the types in it, then the data streams, outer before inner.

mod bool_enum;
mod decimal;
mod identity;
mod json_text;
mod low_cardinality;
mod moment;
mod nested;
mod nullable;
mod number;
mod open;
mod stream;
mod text;
mod time_text;
mod wide;

pub(crate) use stream::{Sink, Stream, write_varint};

use super::fault::Fault;
use super::type_name::Type;
use super::value_at::read_at;
use jiff::tz::TimeZone;
use logweir_engine::clickhouse::frame::Compression;
use logweir_engine::msgpack::ValueRef;

/// How deep columns follow containers in containers; what is deeper is refused.
const NESTING_MAX: usize = 32;

/// One column of the block that is being built, or one part of it.
///
/// A value is added with [`push`](Column::push). What a failed `push` leaves behind, and a whole row whose other columns
/// failed, is taken back with [`rollback`](Column::rollback) to the last [`checkpoint`](Column::checkpoint).
pub(crate) trait Column: Send {
    /// Appends a value; nil appends the default.
    fn push(&mut self, value: &ValueRef<'_>) -> Result<(), Fault>;

    /// Appends the value at a place in MessagePack, answers where it ends.
    fn push_at(&mut self, bytes: &[u8], at: usize) -> Result<usize, Fault> {
        let (value, end) = read_at(bytes, at).ok_or(Fault::Unstorable)?;
        self.push(&value)?;
        Ok(end)
    }

    /// Appends the type's default: zero, empty, NULL.
    fn push_default(&mut self);

    /// Remembers the present length.
    fn checkpoint(&mut self);

    /// Goes back to the remembered length.
    fn rollback(&mut self);

    /// Compresses large buffers. Only between rows.
    fn seal(&mut self, compression: Compression);

    /// The state prefixes.
    fn write_prefix(&self, sink: &mut Sink) {
        let _ = sink;
    }

    /// Moves the data into `sink`; the column is empty then.
    fn finish(&mut self, sink: &mut Sink);

    /// The unsealed bytes of a column that has just one stream: what a dictionary compares.
    fn single_stream(&mut self) -> Option<&mut Stream> {
        None
    }
}

/// A value as JSON text, for messages.
pub(crate) fn json_preview(raw: &[u8]) -> String {
    let mut text = Vec::new();
    match json_text::write_json(raw, 0, &mut text) {
        Ok(_) => String::from_utf8_lossy(&text).into_owned(),
        Err(_) => "its value".to_owned(),
    }
}

/// What columns need to know besides their type.
#[derive(Clone, Debug)]
pub(crate) struct ColumnContext {
    /// The zone of times that name none, where the column has none of its own.
    pub(crate) zone: TimeZone,
}

impl ColumnContext {
    /// The zone of a column, by name.
    fn zone(&self, name: Option<&str>) -> TimeZone {
        match name {
            None => self.zone.clone(),
            Some(name) => TimeZone::get(name).unwrap_or(TimeZone::UTC),
        }
    }
}

/// A column of this type.
pub(crate) fn build(kind: &Type, context: &ColumnContext) -> Box<dyn Column> {
    match kind {
        Type::Int { width, signed } if *width <= 8 => Box::new(number::Ints::new(*width, *signed)),
        Type::Int { width, signed } => Box::new(number::WideInts::new(*width, *signed)),
        Type::Interval => Box::new(number::Ints::new(8, true)),
        Type::Float32 => Box::new(number::Floats::new(number::FloatKind::Float32)),
        Type::Float64 => Box::new(number::Floats::new(number::FloatKind::Float64)),
        Type::BFloat16 => Box::new(number::Floats::new(number::FloatKind::BFloat16)),
        Type::Bool => Box::new(bool_enum::Bools::default()),
        Type::Enum { width, values } => Box::new(bool_enum::Enums::new(*width, values)),
        Type::Decimal { width, precision, scale } => {
            Box::new(decimal::Decimals::new(*width, *precision, *scale))
        }
        Type::String => Box::new(text::Strings::default()),
        Type::FixedString(length) => Box::new(text::FixedStrings::new(*length)),
        Type::Uuid => Box::new(identity::Uuids::default()),
        Type::Ipv4 => Box::new(identity::Ipv4s::default()),
        Type::Ipv6 => Box::new(identity::Ipv6s::default()),
        Type::Date => Box::new(moment::Moments::new(moment::Unit::Date, context.zone(None))),
        Type::Date32 => Box::new(moment::Moments::new(moment::Unit::Date32, context.zone(None))),
        Type::DateTime { zone } => {
            Box::new(moment::Moments::new(moment::Unit::Second, context.zone(zone.as_deref())))
        }
        Type::DateTime64 { precision, zone } => {
            Box::new(moment::Moments::new(moment::Unit::Tick(*precision), context.zone(zone.as_deref())))
        }
        Type::Time => Box::new(moment::Clocks::new(None)),
        Type::Time64 { precision } => Box::new(moment::Clocks::new(Some(*precision))),
        Type::Nullable(inner) => match &**inner {
            // NULL of an open type is its own affair.
            Type::Variant(_) | Type::Dynamic => build(inner, context),
            inner => Box::new(nullable::Nullables::new(build(inner, context))),
        },
        Type::LowCardinality(inner) => Box::new(low_cardinality::Dictionary::new(inner, context)),
        Type::Array(inner) => Box::new(nested::Arrays::new(build(inner, context))),
        Type::Tuple(elements) => Box::new(nested::Tuples::new(elements, context)),
        Type::Map(key, value) => Box::new(nested::Maps::new(key, value, context)),
        Type::Variant(members) => Box::new(open::Variants::new(members, context)),
        Type::Dynamic => Box::new(open::Dynamics::new(context)),
        Type::Json => Box::new(open::JsonTexts::default()),
    }
}
