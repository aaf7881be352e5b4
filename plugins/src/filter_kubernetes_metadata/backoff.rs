//! How long to wait after failures in a row.

use super::settings::Retries;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Longer than that nobody waits for an API server that is back.
const REST_MAX: Duration = Duration::from_secs(30);

/// See the module.
pub(super) struct Backoff {
    retries: Retries,
    failures: u32,
}

impl Backoff {
    pub(super) fn new(retries: Retries) -> Self {
        Self { retries, failures: 0 }
    }

    /// Failures in a row.
    pub(super) fn failures(&self) -> u32 {
        self.failures
    }

    /// One more; answers how long to wait.
    pub(super) fn fail(&mut self) -> Duration {
        let factor = self.retries.base.saturating_pow(self.failures);
        self.failures = self.failures.saturating_add(1);
        let rest = self.retries.interval.saturating_mul(factor).min(REST_MAX);
        // Many nodes have seen the same failure at the same time.
        let tenth = u64::try_from(rest.as_millis() / 10).unwrap_or(0);
        rest + Duration::from_millis(self.jitter(tenth))
    }

    /// It worked.
    pub(super) fn reset(&mut self) {
        self.failures = 0;
    }

    /// Something below `limit` that differs between processes.
    pub(super) fn jitter(&self, limit: u64) -> u64 {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        u64::from(now.subsec_nanos()) % limit.max(1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn longer_each_time_up_to_a_limit() {
        let retries = Retries { interval: Duration::from_secs(1), base: 2, max_times: 10 };
        let mut backoff = Backoff::new(retries);
        for expected in [1, 2, 4, 8, 16].into_iter().chain([30; 95]) {
            let (rest, least) = (backoff.fail(), Duration::from_secs(expected));
            assert!(rest >= least && rest <= least + least / 10, "{rest:?} instead of {least:?}");
        }
        assert_eq!(backoff.failures(), 100);
        backoff.reset();
        assert!(backoff.fail() < Duration::from_secs(2));
    }
}
