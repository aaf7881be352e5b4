//! Embedded expressions: `"#{...}"`.

/// Evaluates the code of `"#{...}"`. Implemented by engine/expr; configuration knows no Ruby.
pub trait Evaluate {
    /// The value of `code`, which is what stands between `#{` and its `}`. The error says what cannot be evaluated.
    fn evaluate(&self, code: &str) -> Result<Evaluated, String>;
}

/// The value of an embedded expression.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Evaluated {
    /// Its `to_s`.
    Text(String),
    /// nil, which stands for the empty text.
    Nil,
    /// `use_nil`: the whole parameter is nil.
    UseNil,
    /// `use_default`: the parameter counts as not written.
    UseDefault,
}

impl<F: Fn(&str) -> Result<Evaluated, String>> Evaluate for F {
    fn evaluate(&self, code: &str) -> Result<Evaluated, String> {
        self(code)
    }
}
