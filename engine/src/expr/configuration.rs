//! `"#{...}"` in a configuration.

use super::error::ExprError;
use super::program::Program;
use super::run::{Found, Host, Inputs, Unwind, Vm};
use super::syntax::ast::{Given, PathKey, Sentinel};
use super::syntax::{Names, Parser, SyntaxError};
use super::value::{Str, Value, to_s};
use crate::config::{Evaluate, Evaluated};
use bumpalo::Bump;
use std::cell::Cell;

/// Evaluates the embedded expressions of configurations.
#[derive(Clone, Debug)]
pub struct ConfigurationExpressions {
    host: Host,
    in_json: bool,
}

impl ConfigurationExpressions {
    /// With the environment of this host.
    pub fn new(host: Host) -> Self {
        Self { host, in_json: false }
    }

    /// Also those in JSON strings.
    pub fn and_in_json(mut self, in_json: bool) -> Self {
        self.in_json = in_json;
        self
    }

    /// The value of the code between `#{` and its `}`.
    pub fn value(&self, code: &str) -> Result<Evaluated, ConfigurationError> {
        let parsed = Parser::new(code, Names::Configuration).program().map_err(ConfigurationError::Syntax)?;
        let program = Program::new(parsed, "main:Object").map_err(ConfigurationError::Syntax)?;
        let arena = Bump::new();
        let changed = Cell::new(false);
        let inputs = HostInputs(&self.host);
        let mut vm = Vm::new(&program, &inputs, &self.host, &changed, &arena);
        let result = vm.run().and_then(|value| match value {
            Value::Nil => Ok(None),
            value => to_s(&mut vm, value).map(Some),
        });
        match result {
            Ok(None) => Ok(Evaluated::Nil),
            Ok(Some(text)) => Ok(Evaluated::Text(String::from_utf8_lossy(text).into_owned())),
            Err(Unwind::Use(Sentinel::Nil)) => Ok(Evaluated::UseNil),
            Err(Unwind::Use(Sentinel::Default)) => Ok(Evaluated::UseDefault),
            Err(unwind) => Err(ConfigurationError::Raised(ExprError::from_unwind(&unwind))),
        }
    }
}

/// Why an embedded expression has no value.
#[derive(Debug, thiserror::Error)]
pub enum ConfigurationError {
    /// It cannot be compiled.
    #[error("{0}")]
    Syntax(Box<SyntaxError>),
    /// It raised.
    #[error("{0}")]
    Raised(ExprError),
}

impl Evaluate for ConfigurationExpressions {
    fn evaluate(&self, code: &str) -> Result<Evaluated, String> {
        self.value(code).map_err(|error| error.to_string())
    }

    fn in_json(&self) -> bool {
        self.in_json
    }
}

struct HostInputs<'h>(&'h Host);

impl<'a> Inputs<'a> for HostInputs<'_> {
    fn given(&self, given: Given, arena: &'a Bump) -> Value<'a> {
        let text = match given {
            Given::Hostname => self.0.hostname(),
            Given::WorkerId => self.0.worker_id(),
            _ => return Value::Nil,
        };
        Value::Str(arena.alloc(Str::new(arena.alloc_str(text).as_bytes())))
    }

    fn find(&self, _: &[PathKey], _: &'a Bump) -> Found<'a> {
        Found::Unknown
    }
}
