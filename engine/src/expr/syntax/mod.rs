//! Text to compiled expressions.

pub(crate) mod ast;
mod error;
mod lexer;
mod parser;
mod quoted;
pub(crate) mod token;

pub use error::SyntaxError;
pub(crate) use parser::{Names, Parsed, Parser};
