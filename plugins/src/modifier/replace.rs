//! `<replace>`

use super::raised;
use bumpalo::Bump;
use logweir_engine::config::{Diagnostic, Params};
use logweir_engine::log_warn;
use logweir_engine::msgpack::{Record, Value};
use logweir_engine::plugin::FilterError;
use logweir_engine::regexp::{Regexp, RegexpFlags};
use logweir_engine::telemetry::PluginLog;

/// See the module.
pub(super) struct Replace {
    key: String,
    expression: Regexp,
    replacement: String,
}

impl Replace {
    pub(super) fn from_params(section: &Params, log: &PluginLog) -> Result<Self, Diagnostic> {
        let text = section.string("expression");
        let pattern = match text.strip_prefix('/').and_then(|rest| rest.strip_suffix('/')) {
            Some(pattern) => pattern,
            None => {
                let message = format!("You should use \"pattern /{text}/\" instead of \"pattern {text}\"");
                log_warn!(log, message);
                text.as_str()
            }
        };
        let expression = Regexp::new(pattern, RegexpFlags::default());
        let expression = expression.map_err(|error| section.error("expression", error.to_string()))?;
        Ok(Self { key: section.string("key"), expression, replacement: section.string("replace") })
    }

    pub(super) fn apply<'a>(&self, record: &mut Record<'a>, arena: &'a Bump) -> Result<(), FilterError> {
        let Some(value) = record.get_mut(self.key.as_bytes()) else { return Ok(()) };
        let kind = match value {
            Value::Str(text) | Value::Bin(text) => {
                let text: &'a [u8] = text;
                let replaced = self.expression.replace_all(text, self.replacement.as_bytes());
                let replaced = replaced.map_err(|error| raised("Regexp::TimeoutError", error.to_string()))?;
                if let Some(replaced) = replaced {
                    let replaced = arena.alloc_slice_copy(&replaced);
                    *value = match value {
                        Value::Bin(_) => Value::Bin(replaced),
                        _ => Value::Str(replaced),
                    };
                }
                return Ok(());
            }
            Value::Nil => return Ok(()),
            Value::Bool(true) => "true",
            Value::Bool(false) => "false",
            Value::Int(_) | Value::UInt(_) => "Integer",
            Value::Float(_) => "Float",
            value if value.is_map() => "Hash",
            value if value.is_array() => "Array",
            _ => "Object",
        };
        Err(raised("TypeError", format!("no implicit conversion of {kind} into String")))
    }
}
