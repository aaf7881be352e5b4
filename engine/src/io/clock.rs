//! Time and chance.

use futures_util::future::BoxFuture;
use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher, Hasher};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// Microseconds since 1970-01-01T00:00:00Z.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(pub u64);

impl Timestamp {
    /// From whole seconds; times before 1970 become 0.
    pub fn from_secs(sec: i64) -> Self {
        Self(u64::try_from(sec).unwrap_or(0).saturating_mul(1_000_000))
    }

    /// Whole seconds.
    pub fn secs(self) -> i64 {
        i64::try_from(self.0 / 1_000_000).unwrap_or(i64::MAX)
    }
}

/// The clock and the dice.
pub trait Clock: Send + Sync + 'static {
    /// The wall clock. May jump.
    fn now(&self) -> Timestamp;

    /// Time since some fixed point; never goes back.
    fn monotonic(&self) -> Duration;

    /// Ends after so long.
    fn sleep(&self, duration: Duration) -> BoxFuture<'static, ()> {
        Box::pin(tokio::time::sleep(duration))
    }

    /// 64 bits that nobody can foresee. For names, not for keys.
    fn random(&self) -> u64;
}

/// The machine's clock.
#[derive(Debug)]
pub struct RealClock {
    start: Instant,
    seed: RandomState,
    draws: AtomicU64,
}

impl RealClock {
    /// The machine's clock; the monotonic time counts from here.
    pub fn new() -> Self {
        // The seed of a hash map comes from the operating system's random source.
        Self { start: Instant::now(), seed: RandomState::new(), draws: AtomicU64::new(0) }
    }
}

impl Default for RealClock {
    fn default() -> Self {
        Self::new()
    }
}

impl Clock for RealClock {
    fn now(&self) -> Timestamp {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Timestamp(u64::try_from(since.as_micros()).unwrap_or(u64::MAX))
    }

    fn monotonic(&self) -> Duration {
        self.start.elapsed()
    }

    fn random(&self) -> u64 {
        let mut hasher = self.seed.build_hasher();
        hasher.write_u64(self.draws.fetch_add(1, Ordering::Relaxed));
        hasher.finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn draws_differ_within_and_between_clocks() {
        let (a, b) = (RealClock::new(), RealClock::new());
        let draws: std::collections::HashSet<u64> = (0..100).flat_map(|_| [a.random(), b.random()]).collect();
        assert_eq!(draws.len(), 200);
    }

    #[test]
    fn whole_seconds_lose_the_fraction_only() {
        assert_eq!(Timestamp(1_700_000_000_999_999).secs(), 1_700_000_000);
        assert_eq!(Timestamp::from_secs(5), Timestamp(5_000_000));
        assert_eq!(Timestamp::from_secs(-5), Timestamp(0));
    }
}
