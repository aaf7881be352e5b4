//! A test driver: builds one plugin from the text of its directive, without a program around it.

use super::{BuildContext, Descriptor, Kind, Output, PluginId, Registry, Shared};
use crate::config::{Checker, Diagnostic, Diagnostics, Evaluated, Params, Session, System, parse_text};
use crate::route::ErrorEvents;
use crate::telemetry::PluginLog;
use std::sync::Arc;
use std::time::Duration;

/// Builds plugins for tests. What a program shares between the plugins of a configuration, plugins of one driver share.
///
/// ```ignore
/// let mut driver = Driver::new(&[&out_null::PLUGIN]);
/// let output = driver.output("<match **>\n @type null\n</match>")?;
/// ```
pub struct Driver {
    registry: Registry,
    /// Process-wide settings; those of an empty `<system>` unless changed.
    pub system: System,
    /// What was built so far.
    pub shared: Shared,
    /// Where records go that a plugin cannot handle.
    pub errors: ErrorEvents,
}

impl Driver {
    /// A driver that knows these plugins.
    pub fn new(plugins: &[&'static Descriptor]) -> Self {
        Self {
            registry: Registry::new(plugins),
            system: System::default(),
            shared: Shared::default(),
            errors: ErrorEvents::new(PluginLog::program(), Duration::ZERO),
        }
    }

    /// Reads and checks one directive. The first problem is the error.
    pub fn params(&self, kind: Kind, text: &str) -> Result<Params, Diagnostic> {
        let mut diagnostics = Diagnostics::new();
        let no_expressions = |code: &str| Err::<Evaluated, _>(format!("expression in a test: {code}"));
        let mut document = parse_text("test", text, &no_expressions, &mut diagnostics);
        if let Some(error) = diagnostics.errors().next() {
            return Err(error.clone());
        }
        let Some(element) = document.root.elements.first_mut() else {
            return Err(Diagnostic::error("no directive"));
        };
        let session = Session::new(false);
        let mut checker = Checker::new(&self.registry, &session);
        let params = checker.plugin(element, kind, None);
        if let Some(error) = checker.finish().errors().next() {
            return Err(error.clone());
        }
        params.ok_or_else(|| Diagnostic::error("no @type"))
    }

    /// What a build function is given.
    pub fn context(&mut self) -> BuildContext<'_> {
        BuildContext {
            id: PluginId { text: Arc::from("test"), configured: true },
            log: PluginLog::program(),
            system: &self.system,
            registry: &self.registry,
            errors: self.errors.clone(),
            shared: &mut self.shared,
            secondary_of: None,
        }
    }

    /// Builds the output of a `<match>`, with its buffer if it has one.
    pub fn output(&mut self, text: &str) -> Result<Arc<dyn Output>, Diagnostic> {
        let params = self.params(Kind::Output, text)?;
        self.context().output(&params)
    }
}
