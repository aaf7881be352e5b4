//! Why a TLS context cannot be made, and which parameter is to blame.

/// A setting that makes TLS impossible: the parameter's name, and what is wrong with its value.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct TlsError {
    /// The parameter as the configuration spells it (`cert_path`).
    pub parameter: &'static str,
    /// What is wrong and what the user can do.
    pub message: String,
}

impl TlsError {
    /// From a message.
    pub fn new(parameter: &'static str, message: impl Into<String>) -> Self {
        Self { parameter, message: message.into() }
    }
}
