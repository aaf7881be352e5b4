//! Fluentd's configuration language: text to directives with spans, directives to typed parameters.

use crate::plugin::{Descriptor, Kind, Registry};

/// A problem of the configuration with its place.
#[derive(Clone, Debug)]
pub struct Diagnostic {}

/// The checked parameters of one directive or section.
#[derive(Clone)]
pub struct Params {}

/// Process-wide settings.
pub struct System {}

impl Params {
    /// A problem of this directive as a whole.
    pub fn error_here(&self, message: impl Into<String>) -> Diagnostic {
        let _ = message.into();
        Diagnostic {}
    }

    /// A problem of one parameter.
    pub fn error(&self, _name: &str, message: impl Into<String>) -> Diagnostic {
        self.error_here(message)
    }

    /// The `@id`, if it is written.
    pub fn plugin_id(&self) -> Option<&str> {
        None
    }

    /// The `@log_level`, if it is written.
    pub fn log_level(&self) -> Option<crate::telemetry::Level> {
        None
    }

    /// The `@type`.
    pub fn plugin_type(&self) -> &str {
        ""
    }

    /// The parameters of a section that configures a plugin, checked against that plugin's table.
    pub fn plugin_section(
        &self,
        _section: &'static str,
        _kind: Kind,
        _default: Option<&str>,
        _registry: &Registry,
    ) -> Result<Params, Diagnostic> {
        Ok(self.clone())
    }

    /// The error for a `@type` that no plugin has, with the nearest one as a suggestion.
    pub fn unknown_plugin(&self, _kind: Kind, _registry: &Registry) -> Diagnostic {
        let _: Option<&Descriptor> = None;
        Diagnostic {}
    }
}
