//! What an expression raised.

use super::run::Unwind;
use std::fmt;

/// An exception, in Ruby's words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExprError {
    /// Its class (`NoMethodError`).
    pub class: &'static str,
    /// Its message (``undefined method `[]' for nil:NilClass``).
    pub message: String,
}

impl ExprError {
    pub(crate) fn from_unwind(unwind: &Unwind<'_>) -> Self {
        match unwind {
            Unwind::Raise(exception) => Self {
                class: exception.class.name(),
                message: String::from_utf8_lossy(exception.message).into_owned(),
            },
            Unwind::Exceeded(limit) => Self { class: "Logweir::LimitError", message: limit.message() },
            Unwind::Use(_) => {
                Self { class: "NameError", message: "use_nil and use_default mean nothing here".to_owned() }
            }
            Unwind::Break(..) | Unwind::Next(_) | Unwind::Return(_) => {
                Self { class: "LocalJumpError", message: "break from proc-closure".to_owned() }
            }
        }
    }
}

impl fmt::Display for ExprError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for ExprError {}
