//! Ruby expressions: `"#{...}"` in configurations and `${...}` with `enable_ruby`. No Ruby is run: a subset of its
//! expressions is compiled once and evaluated with limits on steps, memory and depth.
//!
//! | folder | question that it answers |
//! |---|---|
//! | `syntax/` | what a text means: lexer, parser, compiled tree; what is refused, and why |
//! | `value/` | what Ruby's objects are: strings, arrays, hashes, times; how they are compared and shown |
//! | `methods/` | what can be called on them: one table a class |
//! | `run/` | how a compiled tree is evaluated, and what that may cost |
//! | `configuration.rs` | `"#{...}"` |
//! | `record.rs` | `${...}` |
//! | `prepared.rs` | `prepare_value` of record_modifier |
//!
//! A name that Ruby would look up when it runs is looked up when the configuration is loaded: an unknown method, class or
//! function is an error there, with the expression and a caret. What depends on the data is an exception for the event,
//! of Ruby's class and in the words of Ruby 3.1.

mod configuration;
mod error;
mod methods;
mod prepared;
mod program;
mod record;
mod run;
mod syntax;
mod value;

#[cfg(test)]
mod tests;

pub use configuration::{ConfigurationError, ConfigurationExpressions};
pub use error::ExprError;
pub use prepared::{PrepareError, Prepared};
pub use record::{Expression, Outcome, RecordScope, TagNames};
pub use run::Host;
pub use syntax::SyntaxError;
