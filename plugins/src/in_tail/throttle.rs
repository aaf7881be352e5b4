//! read_bytes_limit_per_second.

use std::time::{Duration, Instant};

/// Bytes of one file in the current second.
#[derive(Clone, Debug)]
pub(super) struct Throttle {
    limit: Option<u64>,
    read: u64,
    since: Option<Instant>,
}

impl Throttle {
    pub(super) fn new(limit: Option<u64>) -> Self {
        Self { limit, read: 0, since: None }
    }

    /// How many bytes may be read now; `None` for any number.
    pub(super) fn allowance(&mut self, now: Instant) -> Option<u64> {
        let limit = self.limit?;
        if self.since.is_some_and(|since| now.duration_since(since) >= Duration::from_secs(1)) {
            (self.read, self.since) = (0, None);
        }
        Some(limit.saturating_sub(self.read))
    }

    /// Bytes were read.
    pub(super) fn took(&mut self, bytes: u64, now: Instant) {
        self.since.get_or_insert(now);
        self.read += bytes;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_gives_a_new_allowance() {
        let start = Instant::now();
        let mut throttle = Throttle::new(Some(100));
        throttle.took(60, start);
        assert_eq!(throttle.allowance(start), Some(40));
        throttle.took(60, start);
        assert_eq!(throttle.allowance(start + Duration::from_millis(999)), Some(0));
        assert_eq!(throttle.allowance(start + Duration::from_secs(1)), Some(100));
        assert_eq!(Throttle::new(None).allowance(start), None);
    }
}
