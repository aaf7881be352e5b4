//! Why a pattern cannot be used.

use super::RegexpFlags;

/// A pattern that does not compile. Its text is Ruby's: `end pattern with unmatched parenthesis: /(a/`.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct RegexpError(String);

impl RegexpError {
    pub(super) fn message(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// With the pattern behind it, as Ruby shows it.
    pub(super) fn of(self, source: &str, flags: RegexpFlags) -> Self {
        Self(format!("{}: /{source}/{flags}", self.0))
    }
}

/// The backtracking engine took more steps than allowed on one text, which counts as "does not match".
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the pattern took too many steps on this text and was given up")]
pub struct BacktrackLimit;
