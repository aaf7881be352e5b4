//! Expressions against what Ruby 3.1 answers.

mod golden;
mod shapes;
mod support;
