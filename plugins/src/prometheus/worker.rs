//! Which worker this process is, and how many there are.
//!
//! One process does the work of all workers, and is worker 0. Where a supervisor runs a process for each worker, it tells each its
//! number, as Fluentd's does.

use logweir_engine::config::System;

/// Set by who starts worker processes.
const VARIABLE: &str = "SERVERENGINE_WORKER_ID";

/// The worker processes of this program, as one of them sees them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Workers {
    /// The number of this one.
    pub(crate) own: u16,
    /// How many processes there are.
    pub(crate) processes: u16,
    /// Whether `workers` is more than 1: then metrics have the label `worker_id`, as in Fluentd.
    pub(crate) are_many: bool,
}

impl Workers {
    pub(crate) fn of(system: &System) -> Self {
        Self::new(system.workers, std::env::var(VARIABLE).ok().as_deref())
    }

    fn new(workers: u32, number: Option<&str>) -> Self {
        let are_many = workers > 1;
        match number.and_then(|text| text.parse().ok()) {
            Some(own) => Self { own, processes: u16::try_from(workers).unwrap_or(u16::MAX), are_many },
            None => Self { own: 0, processes: 1, are_many },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_process_for_all_unless_it_is_told_its_number() {
        assert_eq!(Workers::new(4, None), Workers { own: 0, processes: 1, are_many: true });
        assert_eq!(Workers::new(4, Some("3")), Workers { own: 3, processes: 4, are_many: true });
        assert_eq!(Workers::new(1, None), Workers { own: 0, processes: 1, are_many: false });
    }
}
