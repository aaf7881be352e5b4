//! Fluentd's configuration language: text to directives with spans, directives to typed parameters.

mod check;
mod diagnostic;
mod element;
mod embedded;
mod number;
mod params;
mod regexp_text;
mod span;
mod suggest;
mod system;
pub mod value;

pub use check::{Checker, Session};
pub use diagnostic::{Diagnostic, Diagnostics, Severity};
pub use element::{Attr, Element, RawValue};
pub use embedded::{Evaluate, Evaluated};
pub use params::Params;
pub use regexp_text::RegexpText;
pub use span::{Source, Span};
pub use system::{LogSection, RotateAge, System};
