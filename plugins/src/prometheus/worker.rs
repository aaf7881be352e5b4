//! Which worker a plugin takes itself for.

use logweir_engine::config::System;

/// One process does the work of all workers of Fluentd; a plugin in `<worker N-M>` is worker N, any other is worker 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Worker {
    pub(crate) number: u32,
    /// Whether `workers` is more than 1: then metrics have the label `worker_id`. In Fluentd those of a plugin in `<worker N>` do
    /// not, as each process has metrics of its own; here they are all in one place, and the label tells them apart.
    pub(crate) is_one_of_many: bool,
}

impl Worker {
    /// The worker of a plugin that sees these settings.
    pub(crate) fn of(system: &System) -> Self {
        Self { number: system.worker_id, is_one_of_many: system.all_workers > 1 }
    }
}
