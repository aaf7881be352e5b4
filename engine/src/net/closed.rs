//! How many connections a server has ended, and why.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

/// Counts by reason. They are few and far between, so a lock will do.
#[derive(Debug, Default)]
pub struct ClosedConnections {
    plugin_id: Arc<str>,
    by_reason: Mutex<BTreeMap<&'static str, u64>>,
}

impl ClosedConnections {
    /// For the plugin with that id.
    pub fn new(plugin_id: &Arc<str>) -> Self {
        Self { plugin_id: Arc::clone(plugin_id), by_reason: Mutex::default() }
    }

    /// A connection was closed, or what came on it was thrown away, for `reason` (lower-case words).
    pub fn add(&self, reason: &'static str) {
        *self.by_reason.lock().unwrap_or_else(PoisonError::into_inner).entry(reason).or_default() += 1;
        let id = self.plugin_id.to_string();
        metrics::counter!("logweir_connections_closed_total", "plugin_id" => id, "reason" => reason)
            .increment(1);
    }

    /// The counts so far.
    pub fn counts(&self) -> BTreeMap<&'static str, u64> {
        self.by_reason.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}
