//! Types whose values bring their own type: `JSON`, `Variant(...)`, `Dynamic`.
//!
//! | type | prefix | data |
//! |---|---|---|
//! | JSON | version:u64 = 1 (as text) | as String |
//! | Variant | mode:u64 = 0, the members' prefixes | a byte for each row: which member, 255 for NULL; the members' columns |
//! | Dynamic | version:u64 = 2, number of types (LEB128), their names, then as Variant | as Variant |
//!
//! A Dynamic's members are its types and `SharedVariant`, in the order of their names.

use super::json_text::write_json;
use super::nested::parsed_json;
use super::number::one_stream;
use super::stream::{Sink, Stream, write_varint};
use super::text::put_with_length;
use super::{Column, ColumnContext, Compression, Fault, build};
use crate::out_clickhouse::type_name::Type;
use logweir_engine::msgpack::ValueRef;

/// `JSON`: an object's text.
#[derive(Default)]
pub(crate) struct JsonTexts {
    stream: Stream,
}

impl JsonTexts {
    fn object(&mut self, raw: &[u8]) -> Result<(), Fault> {
        put_with_length(&mut self.stream.raw, |out| write_json(raw, 0, out)).map(|_| ())
    }
}

impl Column for JsonTexts {
    fn push(&mut self, value: &ValueRef<'_>) -> Result<(), Fault> {
        match *value {
            ValueRef::Map(raw) => self.object(raw),
            ValueRef::Nil => {
                self.push_default();
                Ok(())
            }
            // The text is read and written anew: the server would refuse the whole block for one that is not JSON.
            ValueRef::Str(_) => {
                let parsed = parsed_json(value).ok_or(Fault::NotMap)?;
                match ValueRef::read(&parsed) {
                    Ok(ValueRef::Map(raw)) => self.object(raw),
                    _ => Err(Fault::NotMap),
                }
            }
            _ => Err(Fault::NotMap),
        }
    }

    fn push_default(&mut self) {
        self.stream.raw.extend_from_slice(b"\x02{}");
    }

    fn write_prefix(&self, sink: &mut Sink) {
        sink.write_u64(1);
    }

    one_stream!();
}

/// NULL among the members of a Variant.
const NULL_MEMBER: u8 = 255;

/// `Variant(...)`: each value goes to the member that is most like it, else to the first that takes it.
pub(crate) struct Variants {
    which: Stream,
    members: Vec<Member>,
}

struct Member {
    kind: Type,
    column: Box<dyn Column>,
    /// Where a value is tried, so that a refusal leaves nothing behind.
    trial: Box<dyn Column>,
    /// False for the member that is not ours to fill.
    eligible: bool,
}

impl Variants {
    /// An empty column; the members are in the server's order.
    pub(crate) fn new(members: &[Type], context: &ColumnContext) -> Self {
        let members = members.iter().map(|kind| Member {
            kind: kind.clone(),
            column: build(kind, context),
            trial: build(kind.bare(), context),
            eligible: true,
        });
        Self { which: Stream::default(), members: members.collect() }
    }

    fn choose(&mut self, value: &ValueRef<'_>) -> Option<usize> {
        let mut best: Option<(usize, usize)> = None;
        for (index, member) in self.members.iter_mut().enumerate() {
            let distance = distance(value, member.kind.bare());
            if !member.eligible || best.is_some_and(|(_, nearest)| nearest <= distance) {
                continue;
            }
            member.trial.checkpoint();
            let taken = member.trial.push(value).is_ok();
            member.trial.rollback();
            if taken {
                best = Some((index, distance));
            }
        }
        best.map(|(index, _)| index)
    }
}

/// How unlike a value and a type are.
fn distance(value: &ValueRef<'_>, kind: &Type) -> usize {
    let order: &[fn(&Type) -> bool] = match value {
        ValueRef::Bool(_) => &[|t| matches!(t, Type::Bool), is_int, is_text],
        ValueRef::Int(_) | ValueRef::UInt(_) => &[is_int, is_decimal, is_float, is_text],
        ValueRef::F32(_) | ValueRef::F64(_) => &[is_float, is_decimal, is_int, is_text],
        ValueRef::Map(_) => &[
            |t| matches!(t, Type::Json),
            |t| matches!(t, Type::Map(..)),
            |t| matches!(t, Type::Tuple(_)),
            is_text,
        ],
        ValueRef::Array(_) => &[|t| matches!(t, Type::Array(_)), |t| matches!(t, Type::Tuple(_)), is_text],
        ValueRef::Ext(0 | -1, _) => &[|t| matches!(t, Type::DateTime64 { .. }), Type::is_moment, is_text],
        _ => &[is_text],
    };
    order.iter().position(|matches| matches(kind)).unwrap_or(order.len())
}

fn is_int(kind: &Type) -> bool {
    matches!(kind, Type::Int { .. })
}

fn is_float(kind: &Type) -> bool {
    matches!(kind, Type::Float32 | Type::Float64 | Type::BFloat16)
}

fn is_decimal(kind: &Type) -> bool {
    matches!(kind, Type::Decimal { .. })
}

fn is_text(kind: &Type) -> bool {
    matches!(kind, Type::String)
}

impl Column for Variants {
    fn push(&mut self, value: &ValueRef<'_>) -> Result<(), Fault> {
        if *value == ValueRef::Nil {
            self.push_default();
            return Ok(());
        }
        let index = self.choose(value).ok_or(Fault::NoMember)?;
        self.members[index].column.push(value)?;
        self.which.raw.push(index as u8);
        Ok(())
    }

    fn push_default(&mut self) {
        self.which.raw.push(NULL_MEMBER);
    }

    fn checkpoint(&mut self) {
        self.which.checkpoint();
        for member in &mut self.members {
            member.column.checkpoint();
        }
    }

    fn rollback(&mut self) {
        self.which.rollback();
        for member in &mut self.members {
            member.column.rollback();
        }
    }

    fn seal(&mut self, compression: Compression) {
        self.which.seal(compression);
        for member in &mut self.members {
            member.column.seal(compression);
        }
    }

    fn write_prefix(&self, sink: &mut Sink) {
        sink.write_u64(0);
        for member in &self.members {
            member.column.write_prefix(sink);
        }
    }

    fn finish(&mut self, sink: &mut Sink) {
        self.which.finish(sink);
        for member in &mut self.members {
            member.column.finish(sink);
        }
    }
}

/// `Dynamic`: scalars keep their type, containers are JSON text.
pub(crate) struct Dynamics {
    inner: Variants,
}

/// A Dynamic's members in the order of their names; the one without a type is ClickHouse's own.
fn dynamic_members() -> [(&'static str, Option<Type>); 7] {
    let int = |signed| Some(Type::Int { width: 8, signed });
    [
        ("Bool", Some(Type::Bool)),
        ("DateTime64(9)", Some(Type::DateTime64 { precision: 9, zone: None })),
        ("Float64", Some(Type::Float64)),
        ("Int64", int(true)),
        ("SharedVariant", None),
        ("String", Some(Type::String)),
        ("UInt64", int(false)),
    ]
}

impl Dynamics {
    /// An empty column.
    pub(crate) fn new(context: &ColumnContext) -> Self {
        let members = dynamic_members();
        let types: Vec<Type> = members.iter().map(|(_, kind)| kind.clone().unwrap_or(Type::String)).collect();
        let mut inner = Variants::new(&types, context);
        for (member, (_, kind)) in inner.members.iter_mut().zip(&members) {
            member.eligible = kind.is_some();
        }
        Self { inner }
    }
}

impl Column for Dynamics {
    fn push(&mut self, value: &ValueRef<'_>) -> Result<(), Fault> {
        self.inner.push(value)
    }

    fn push_default(&mut self) {
        self.inner.push_default();
    }

    fn checkpoint(&mut self) {
        self.inner.checkpoint();
    }

    fn rollback(&mut self) {
        self.inner.rollback();
    }

    fn seal(&mut self, compression: Compression) {
        self.inner.seal(compression);
    }

    fn write_prefix(&self, sink: &mut Sink) {
        sink.write_u64(2);
        let members = dynamic_members();
        let mut count = Vec::new();
        write_varint(&mut count, members.len() as u64 - 1);
        sink.write(&count);
        for (name, _) in members.iter().filter(|(_, kind)| kind.is_some()) {
            sink.write_text(name);
        }
        self.inner.write_prefix(sink);
    }

    fn finish(&mut self, sink: &mut Sink) {
        self.inner.finish(sink);
    }
}
