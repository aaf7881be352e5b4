//! `prepare_value` of record_modifier: code that is run once, when the configuration is read, and whose instance
//! variables the expressions see.

use super::error::ExprError;
use super::program::Program;
use super::run::{Found, Host, Inputs, Vm};
use super::syntax::ast::{Given, PathKey};
use super::syntax::{Names, Parser, SyntaxError};
use super::value::{Value, record_value, to_record};
use crate::msgpack;
use bumpalo::Bump;
use std::cell::Cell;

/// Instance variables and their values.
#[derive(Clone, Debug, Default)]
pub struct Prepared {
    names: Vec<String>,
    /// As MessagePack.
    values: Vec<Vec<u8>>,
}

/// Why there are no values.
#[derive(Debug, thiserror::Error)]
pub enum PrepareError {
    /// The code cannot be compiled.
    #[error("{0}")]
    Syntax(Box<SyntaxError>),
    /// It raised.
    #[error("{0}")]
    Raised(ExprError),
    /// A variable holds an object that cannot be kept.
    #[error("{name} is a {class}, and only texts, numbers, booleans, nil, arrays and hashes can be kept")]
    Kept {
        /// The variable.
        name: String,
        /// The object's class.
        class: &'static str,
    },
}

impl Prepared {
    /// Runs `code`.
    pub fn run(code: &str, host: &Host) -> Result<Self, PrepareError> {
        let parsed = Parser::new(code, Names::Prepare).program().map_err(PrepareError::Syntax)?;
        let program = Program::new(parsed, "main:Object").map_err(PrepareError::Syntax)?;
        let arena = Bump::new();
        let changed = Cell::new(false);
        let mut vm = Vm::new(&program, &Nothing, host, &changed, &arena);
        let raised = |unwind| PrepareError::Raised(ExprError::from_unwind(&unwind));
        vm.run().map_err(raised)?;
        let mut prepared = Self::default();
        for (name, slot) in program.instance_variables() {
            let value = vm.local(*slot);
            if !is_data(value) {
                let (name, class) = (name.clone(), value.class().name());
                return Err(PrepareError::Kept { name, class });
            }
            let mut raw = Vec::new();
            to_record(&mut vm, value).map_err(raised)?.write(&mut raw);
            prepared.names.push(name.clone());
            prepared.values.push(raw);
        }
        Ok(prepared)
    }

    pub(super) fn names(&self) -> &[String] {
        &self.names
    }

    /// A new object of the value of the variable with that number.
    pub(super) fn value<'a>(&self, number: u16, arena: &'a Bump) -> Value<'a> {
        let Some(raw) = self.values.get(usize::from(number)) else { return Value::Nil };
        let raw: &'a [u8] = arena.alloc_slice_copy(raw);
        msgpack::Value::read(raw).map_or(Value::Nil, |value| record_value(&value, arena))
    }
}

/// Whether it can be kept as MessagePack and made again.
fn is_data(value: Value<'_>) -> bool {
    match value {
        Value::Array(items) => items.to_vec().into_iter().all(is_data),
        Value::Hash(pairs) => pairs.to_vec().into_iter().all(|(key, value)| is_data(key) && is_data(value)),
        other => matches!(
            other,
            Value::Unset
                | Value::Nil
                | Value::Bool(_)
                | Value::Int(_)
                | Value::Big(_)
                | Value::Float(_)
                | Value::Str(_)
                | Value::Ext(..)
        ),
    }
}

/// No record, no tag: prepare_value is run before there are any.
struct Nothing;

impl<'a> Inputs<'a> for Nothing {
    fn given(&self, _: Given, _: &'a Bump) -> Value<'a> {
        Value::Nil
    }

    fn find(&self, _: &[PathKey], _: &'a Bump) -> Found<'a> {
        Found::Unknown
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::{EventTime, Tag};
    use crate::expr::{Expression, RecordScope, TagNames};
    use crate::msgpack::Record;

    fn answer(prepare: &str, code: &str) -> String {
        let host = Host::fixed("weir", &[]);
        let prepared = match Prepared::run(prepare, &host) {
            Ok(prepared) => prepared,
            Err(error) => return format!("prepare: {error}"),
        };
        let expression = match Expression::modifier(code, &prepared) {
            Ok(expression) => expression,
            Err(error) => return format!("?? {}", error.message),
        };
        let arena = Bump::new();
        let record = Record::decode(b"\x81\xa1a\x01", &arena).unwrap();
        let tag = TagNames::new(&Tag::new("x.y"));
        let time = EventTime { sec: 1_700_000_000, nsec: 5 };
        let scope = RecordScope::new(&tag, time, &record, &host, expression.mutates(), &arena)
            .with_prepared(&prepared);
        let outcome = match scope.evaluate(&expression) {
            Ok(outcome) => outcome,
            Err(error) => return format!("!! {}: {}", error.class, error.message),
        };
        let mut raw = Vec::new();
        scope.value(outcome).unwrap().write(&mut raw);
        let mut text = Vec::new();
        crate::json::ruby_inspect(&raw, &mut text);
        String::from_utf8(text).unwrap()
    }

    #[test]
    fn what_is_prepared_is_seen() {
        assert_eq!(answer("@foo = 'foo'", "@foo"), "\"foo\"");
        assert_eq!(answer("@a = 1; @b = @a + 1; @b ||= 9", "[@a, @b, @c]"), "[1, 2, nil]");
        assert_eq!(
            answer("@names = {'a' => [1.5, nil]}; [3].each { |n| @last = n }", "[@names['a'], @last]"),
            "[[1.5, nil], 3]"
        );
        assert_eq!(answer("require 'socket'; @host = Socket.gethostname", "@host.size > 0"), "true");
        assert_eq!(answer("local = 1; @a = local", "@a"), "1");
    }

    #[test]
    fn names_are_those_of_record_modifier() {
        assert_eq!(answer("", "tag + tag_parts[1]"), "\"x.yy\"");
        assert_eq!(answer("", "\"#{time}\""), "\"1700000000\"");
        assert_eq!(answer("", "Time.at(time).utc.to_s"), "\"2023-11-14 22:13:20 UTC\"");
        assert_eq!(answer("", "time + 1"), "1700000001");
        assert!(answer("", "hostname").starts_with("!! NameError"), "{}", answer("", "hostname"));
    }

    #[test]
    fn what_cannot_be_kept_is_refused() {
        assert_eq!(
            answer("@r = /x/", "1"),
            "prepare: @r is a Regexp, and only texts, numbers, booleans, nil, arrays and hashes can be kept"
        );
        assert!(answer("@foo = Foo.new", "1").starts_with("prepare: "));
        assert_eq!(answer("@a = 1", "@a = 2"), "?? `@a` cannot be set here");
        assert_eq!(answer("", "@a ||= 2"), "?? `@a` cannot be set here");
        assert!(answer("raise 'no'", "1").contains("no"));
    }
}
