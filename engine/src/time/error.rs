//! Why text is no time.

/// Text that is no time in the expected form. Class and message are Ruby's: Fluentd's errors show both.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct TimeError {
    /// The Ruby class, such as `ArgumentError`.
    pub class: &'static str,
    /// What is wrong.
    pub message: String,
}

impl TimeError {
    pub(super) fn argument(message: impl Into<String>) -> Self {
        Self { class: "ArgumentError", message: message.into() }
    }

    pub(super) fn out_of_range() -> Self {
        Self::argument("argument out of range")
    }
}
