//! Evaluates expressions over the record of the golden files.

use crate::event::{EventTime, Tag};
use crate::expr::record::{Expression, RecordScope, TagNames};
use crate::expr::run::{Host, Vm};
use crate::expr::value::inspect;
use crate::msgpack::Record;
use bumpalo::Bump;
use std::cell::Cell;

/// The record of `golden/record.json`.
pub(super) fn record_bytes() -> Vec<u8> {
    let value: serde_json::Value = serde_json::from_str(include_str!("golden/record.json")).unwrap();
    rmp_serde::to_vec(&value).unwrap()
}

pub(super) fn host() -> Host {
    Host::fixed("weir", &[("HOME", "/home/weir"), ("STAGE", "blue"), ("COUNT", "21")])
}

/// The value's `inspect` behind `=> `, the exception behind `!! `, or the refusal behind `?? `.
pub(super) fn answer(code: &str) -> String {
    let expression = match Expression::code(code) {
        Ok(expression) => expression,
        Err(error) => return format!("?? {}", error.message),
    };
    let arena = Bump::new();
    let raw = record_bytes();
    let record = Record::decode(&raw, &arena).unwrap();
    let tag = TagNames::new(&Tag::new("app.web.prod"));
    let host = host();
    let time = EventTime { sec: 1_704_164_645, nsec: 123_456 };
    let scope = RecordScope::new(&tag, time, &record, &host, expression.mutates(), &arena);
    let changed = Cell::new(false);
    let mut vm = Vm::new(expression.program(), &scope, &host, &changed, &arena);
    let result = vm.run().and_then(|value| {
        let mut out = Vec::new();
        inspect(&mut vm, value, &mut out)?;
        Ok(String::from_utf8_lossy(&out).into_owned())
    });
    match result {
        Ok(text) => format!("=> {text}"),
        Err(unwind) => {
            let error = crate::expr::ExprError::from_unwind(&unwind);
            format!("!! {}: {}", error.class, error.message)
        }
    }
}
