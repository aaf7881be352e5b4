//! Streams whose tag no `<match>` takes.

use crate::event::Tag;
use crate::log_warn;
use crate::telemetry::PluginLog;
use std::sync::atomic::{AtomicU64, Ordering};

/// Above this many occurrences, only each one that is a multiple of it is logged.
const LOGGED_ONE_BY_ONE_MAX: u64 = 512;

/// Counts streams that go nowhere and says so, less and less often.
#[derive(Debug)]
pub(super) struct Unmatched {
    count: AtomicU64,
    quiet: bool,
    log: PluginLog,
}

impl Unmatched {
    /// `quiet` in `<label @FLUENT_LOG>`, where a warning would come back as an event.
    pub(super) fn new(log: PluginLog, quiet: bool) -> Self {
        Self { count: AtomicU64::new(0), quiet, log }
    }

    pub(super) fn count(&self) -> u64 {
        self.count.load(Ordering::Relaxed)
    }

    pub(super) fn take(&self, tag: &Tag) {
        let count = self.count.fetch_add(1, Ordering::Relaxed) + 1;
        if !self.quiet && is_logged(count) {
            log_warn!(self.log, "no patterns matched", tag = tag);
        }
    }
}

/// The 1st, 2nd, 4th, ... 256th, then each 512th, as Fluentd.
fn is_logged(count: u64) -> bool {
    if count < LOGGED_ONE_BY_ONE_MAX {
        count.is_power_of_two()
    } else {
        count.is_multiple_of(LOGGED_ONE_BY_ONE_MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_warning_becomes_rare() {
        let logged: Vec<u64> = (1..=1600).filter(|n| is_logged(*n)).collect();
        assert_eq!(logged, [1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024, 1536]);
    }
}
