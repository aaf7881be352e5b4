//! Which worker a plugin takes itself for.

use logweir_engine::config::System;

/// One process does the work of all workers of Fluentd, and is worker 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Worker {
    pub(crate) number: u32,
    /// Whether `workers` is more than 1: then metrics have the label `worker_id`, as in Fluentd.
    pub(crate) is_one_of_many: bool,
}

impl Worker {
    /// The worker of a plugin that sees these settings.
    pub(crate) fn of(system: &System) -> Self {
        Self { number: 0, is_one_of_many: system.workers > 1 }
    }
}
