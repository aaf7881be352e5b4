//! Evaluates compiled expressions.

mod assign;
mod call;
mod control;
mod eval;
mod host;
mod limits;
mod vm;

pub(crate) use call::{Args, Block};
pub use host::Host;
pub(crate) use limits::Limits;
pub(crate) use vm::{Found, Inputs, Unwind, Vm};

use super::value::Value;

/// What an evaluation gives, or why it stops.
pub(crate) type Eval<'a, T = Value<'a>> = Result<T, Unwind<'a>>;
