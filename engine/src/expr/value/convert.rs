//! Between MessagePack and Ruby's objects.

use super::{Array, Hash, Str, Value};
use crate::expr::run::{Eval, Vm};
use crate::expr::value::to_s;
use crate::msgpack::{self, BIG_INT_EXT, Key, Reader, Record, ValueRef};
use bumpalo::Bump;
use bumpalo::collections::Vec as ArenaVec;
use num_bigint::BigInt;

/// A value of a record as an object; containers with all that is in them. MessagePack from outside has been scanned,
/// so its depth is limited.
pub(crate) fn record_value<'a>(value: &msgpack::Value<'a>, arena: &'a Bump) -> Value<'a> {
    match value {
        msgpack::Value::Nil => Value::Nil,
        msgpack::Value::Bool(value) => Value::Bool(*value),
        msgpack::Value::Int(value) => Value::Int(*value),
        msgpack::Value::UInt(value) => Value::unsigned(arena, *value),
        msgpack::Value::Float(value) => Value::Float(*value),
        msgpack::Value::Str(bytes) => Value::Str(arena.alloc(Str::new(bytes))),
        msgpack::Value::Bin(bytes) => Value::Str(arena.alloc(Str::binary(bytes))),
        msgpack::Value::Ext(kind, payload) => extension(*kind, payload, arena),
        msgpack::Value::Raw(raw) => raw_value(&mut Reader::new(raw), arena),
        msgpack::Value::Array(items) => {
            let mut list = ArenaVec::with_capacity_in(items.len(), arena);
            list.extend(items.iter().map(|item| record_value(item, arena)));
            Value::Array(arena.alloc(Array::new(list)))
        }
        msgpack::Value::Map(map) => Value::Hash(record_hash(map, arena)),
    }
}

/// A record as a Hash.
pub(crate) fn record_hash<'a>(record: &Record<'a>, arena: &'a Bump) -> &'a Hash<'a> {
    let hash = Hash::with_capacity(arena, record.len());
    for field in record.iter() {
        let key = match field.key {
            Key::Str(name) => key_text(name, arena),
            Key::Bin(name) => Value::Str(arena.alloc(Str::binary(name))),
            Key::Other(raw) => raw_value(&mut Reader::new(raw), arena),
        };
        hash.push(key, record_value(&field.value, arena));
    }
    arena.alloc(hash)
}

/// Keys of a Hash are frozen in Ruby.
fn key_text<'a>(name: &'a [u8], arena: &'a Bump) -> Value<'a> {
    let key = Str::new(name);
    key.frozen.set(true);
    Value::Str(arena.alloc(key))
}

fn raw_value<'a>(reader: &mut Reader<'a>, arena: &'a Bump) -> Value<'a> {
    match reader.read_value() {
        Ok(ValueRef::Array(raw)) => {
            let mut inner = Reader::new(raw);
            let length = inner.read_array_len().unwrap_or(0);
            let mut list = ArenaVec::with_capacity_in(length.min(raw.len()), arena);
            for _ in 0..length {
                list.push(raw_value(&mut inner, arena));
            }
            Value::Array(arena.alloc(Array::new(list)))
        }
        Ok(ValueRef::Map(raw)) => match Record::decode(raw, arena) {
            Ok(record) => Value::Hash(record_hash(&record, arena)),
            Err(_) => Value::Nil,
        },
        Ok(scalar) => record_value(&msgpack::Value::from(scalar), arena),
        Err(_) => Value::Nil,
    }
}

fn extension<'a>(kind: i8, payload: &'a [u8], arena: &'a Bump) -> Value<'a> {
    match BigInt::parse_bytes(payload, 10) {
        Some(number) if kind == BIG_INT_EXT => Value::big(arena, &number),
        _ => Value::Ext(kind, payload),
    }
}

/// How deep a value of a record may be, which is how deep the scanner lets it be.
const DEPTH_MAX: usize = 100;

/// An object as a value of a record. What MessagePack has no form for becomes its text, as Fluentd's JSON formatters
/// write it.
pub(crate) fn to_record<'a>(vm: &mut Vm<'_, 'a>, value: Value<'a>) -> Eval<'a, msgpack::Value<'a>> {
    to_record_deep(vm, value, 0)
}

fn to_record_deep<'a>(vm: &mut Vm<'_, 'a>, value: Value<'a>, depth: usize) -> Eval<'a, msgpack::Value<'a>> {
    vm.step(1)?;
    if depth > DEPTH_MAX {
        return Err(vm.argument_error("nesting of a value is too deep for a record"));
    }
    Ok(match value {
        Value::Nil | Value::Unset => msgpack::Value::Nil,
        Value::Bool(value) => msgpack::Value::Bool(value),
        Value::Int(value) => msgpack::Value::Int(value),
        Value::Float(value) => msgpack::Value::Float(value),
        Value::Big(value) => {
            let number = value.to_int();
            match u64::try_from(&number) {
                Ok(value) => msgpack::Value::UInt(value),
                Err(_) => msgpack::Value::Ext(BIG_INT_EXT, vm.copy(number.to_string().as_bytes())?),
            }
        }
        Value::Str(text) if text.binary.get() && !text.latin1.get() => msgpack::Value::Bin(text.bytes()),
        Value::Str(text) => msgpack::Value::Str(text.bytes()),
        Value::Ext(kind, payload) => msgpack::Value::Ext(kind, payload),
        Value::Array(list) => {
            let mut items = ArenaVec::with_capacity_in(list.len(), vm.arena());
            for item in list.to_vec() {
                items.push(to_record_deep(vm, item, depth + 1)?);
            }
            msgpack::Value::Array(items)
        }
        Value::Hash(hash) => msgpack::Value::Map(hash_to_record(vm, hash, depth)?),
        other => msgpack::Value::Str(to_s(vm, other)?),
    })
}

fn hash_to_record<'a>(vm: &mut Vm<'_, 'a>, hash: &'a Hash<'a>, depth: usize) -> Eval<'a, Record<'a>> {
    let mut record = Record::new(vm.arena());
    for (key, value) in hash.to_vec() {
        let value = to_record_deep(vm, value, depth + 1)?;
        let key = match key {
            Value::Str(text) if !text.binary.get() => Key::Str(text.bytes()),
            Value::Str(text) => Key::Bin(text.bytes()),
            Value::Symbol(name) => Key::Str(name),
            other => {
                let mut raw = Vec::new();
                to_record_deep(vm, other, depth + 1)?.write(&mut raw);
                Key::Other(vm.copy(&raw)?)
            }
        };
        record.push(key, value);
    }
    Ok(record)
}
