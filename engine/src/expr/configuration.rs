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
    /// The `<worker N>` in which the next expression stands.
    worker: Cell<Option<u32>>,
}

impl ConfigurationExpressions {
    /// With the environment of this host.
    pub fn new(host: Host) -> Self {
        Self { host, in_json: false, worker: Cell::new(None) }
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
        let host = self.worker.get().map_or_else(|| self.host.clone(), |worker| self.host.in_worker(worker));
        let arena = Bump::new();
        let changed = Cell::new(false);
        let inputs = HostInputs(&host);
        let mut vm = Vm::new(&program, &inputs, &host, &changed, &arena);
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

    fn in_worker(&self, id: Option<u32>) {
        self.worker.set(id);
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Diagnostics, Element, ParseOptions, parse_file};

    /// The values of `k`, in order.
    fn values(element: &Element, found: &mut Vec<String>) {
        found.extend(element.text("k").map(str::to_owned));
        element.elements.iter().for_each(|inner| values(inner, found));
    }

    #[test]
    fn worker_id_is_that_of_the_section() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("more"), "<match b>\nk \"#{worker_id}\"\n</match>\n").unwrap();
        let text = "<match a>\nk \"#{worker_id}\"\n</match>\n\
                    <worker 2-3>\n@include more\n<match c>\nk \"#{ENV['SERVERENGINE_WORKER_ID']}\"\n</match>\n</worker>\n\
                    <match d>\n<worker>\nk \"#{worker_id}\"\n</worker>\nk \"#{ENV['SERVERENGINE_WORKER_ID']}\"\n</match>\n";
        let yaml = "config:\n\
                    - match: {$tag: a, k: !fluent/s '#{worker_id}'}\n\
                    - worker: {$arg: 2, config: [{match: {k: !fluent/s '#{worker_id}'}}, {match: {k: !fluent/s '#{worker_id}'}}]}\n\
                    - match: {k: !fluent/s '#{worker_id}', x: {k: !fluent/s '#{worker_id}'}}\n";
        for (name, text) in [("a.conf", text), ("a.yaml", yaml)] {
            let path = dir.path().join(name);
            std::fs::write(&path, text).unwrap();
            let evaluate = ConfigurationExpressions::new(Host::process(Some(0)));
            let mut diagnostics = Diagnostics::new();
            let document = parse_file(&path, &ParseOptions::default(), &evaluate, &mut diagnostics);
            assert!(!diagnostics.has_errors(), "{}", diagnostics.render(false));
            let mut found = Vec::new();
            values(&document.root, &mut found);
            assert_eq!(found, ["0", "2", "2", "0", "0"], "{name}");
        }
    }
}
