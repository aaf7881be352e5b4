//! Fluentd's configuration language: text to directives with spans, directives to typed parameters.

mod check;
mod compat;
mod cursor;
mod diagnostic;
mod directives;
mod document;
mod dump;
mod element;
mod embedded;
mod excerpt;
pub mod gems;
mod glob;
mod include;
mod include_dir;
mod json_literal;
mod literal;
mod number;
mod odd;
mod params;
mod parser;
mod secret;
mod span;
mod suggest;
mod system;
mod unused;
pub mod value;
mod yaml;

pub use check::{Checker, Session, kind_word};
pub use diagnostic::{Diagnostic, Diagnostics, Severity};
pub use directives::{check_directives, root_parameters};
pub use document::{Document, Format, ParseOptions, fuzz, parse_file, parse_text};
pub use dump::Secrets;
pub use element::{Attr, Element, RawValue};
pub use embedded::{Evaluate, Evaluated};
pub use params::Params;
pub(crate) use secret::MASKED;
pub use secret::without_credentials;
pub use span::{Source, Span};
pub use suggest::instead;
pub(crate) use suggest::nearest;
pub use system::{FluentdVersion, LogSection, Overrides, Program, RotateAge, SYSTEM, System};

#[cfg(test)]
mod check_tests;
#[cfg(test)]
mod syntax_tests;
