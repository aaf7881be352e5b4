//! Appends at which nobody waits: they become durable together, a little later.
//!
//! Each round of the commit thread costs a sync of the device with what belongs to it (a commit of the file system's
//! journal, interrupts, the waking of three threads), whatever it makes durable. An input that reads on while its commits
//! are under way is not slowed down by a round that comes later, so its appends wait for each other.

use std::time::Duration;

/// How long a patient append waits for others. It is the longest time by which a pos file lags behind what was read.
pub(super) const PATIENCE: Duration = Duration::from_millis(100);
/// With so many bytes that are not on the device, waiting on makes the round longer rather than rounds fewer.
const BYTES_MAX: u64 = 8 << 20;
/// As many patient appends are made durable at once: inputs hold something for each.
const APPENDS_MAX: usize = 256;

/// The patient appends since the last round.
#[derive(Debug, Default)]
pub(super) struct Patience {
    /// The last of them.
    sequence: u64,
    /// When they become urgent, on the buffer's monotonic clock.
    due: Option<Duration>,
    appends: usize,
    /// Bytes that were written since the last round, by whomever.
    bytes: u64,
}

impl Patience {
    /// `bytes` were written that are not on the device.
    pub(super) fn wrote(&mut self, bytes: u64) {
        self.bytes += bytes;
    }

    /// Somebody waits for append `sequence`, patiently. `true` if it is urgent all the same.
    pub(super) fn append(&mut self, sequence: u64, now: Duration) -> bool {
        self.sequence = self.sequence.max(sequence);
        self.appends += 1;
        if self.appends >= APPENDS_MAX || self.bytes >= BYTES_MAX {
            return true;
        }
        self.due.get_or_insert(now + PATIENCE);
        false
    }

    /// Whether anything becomes urgent by itself.
    pub(super) fn is_due_ever(&self) -> bool {
        self.due.is_some()
    }

    /// How long nothing becomes urgent; `None` if there is nothing that will.
    pub(super) fn left(&self, now: Duration) -> Option<Duration> {
        Some(self.due?.saturating_sub(now))
    }

    /// The append that is urgent now.
    pub(super) fn end(&mut self) -> u64 {
        self.due = None;
        self.sequence
    }

    /// A round begins that makes everything durable.
    pub(super) fn round(&mut self) {
        (self.due, self.appends, self.bytes) = (None, 0, 0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::buffer::commit::Commits;

    const fn ms(millis: u64) -> Duration {
        Duration::from_millis(millis)
    }

    #[test]
    fn patient_appends_become_urgent_together() {
        let mut commits = Commits::default();
        assert_eq!(commits.patience(ms(5)), None);
        commits.want_soon(1, ms(10));
        commits.want_soon(2, ms(60));
        assert!(!commits.has_work());
        assert_eq!(commits.patience(ms(60)), Some(PATIENCE - ms(50)));
        assert_eq!(commits.patience(ms(10) + PATIENCE), Some(Duration::ZERO));
        assert!(commits.has_work());
        assert_eq!(commits.take(2).target, Some(2));
        assert_eq!(commits.patience(ms(1000)), None);
    }

    #[test]
    fn somebody_in_a_hurry_takes_the_patient_along() {
        let mut commits = Commits::default();
        commits.want_soon(1, Duration::ZERO);
        commits.want(2);
        assert_eq!(commits.take(3).target, Some(3));
        assert_eq!(commits.patience(ms(9000)), None, "nothing is due any more");
        assert!(commits.has_work(), "until it is declared durable");
    }

    #[test]
    fn patience_ends_with_many_bytes_or_appends() {
        let mut commits = Commits::default();
        commits.patience.wrote(BYTES_MAX - 1);
        commits.want_soon(1, Duration::ZERO);
        assert!(!commits.has_work());
        commits.patience.wrote(1);
        commits.want_soon(2, Duration::ZERO);
        assert_eq!(commits.take(2).target, Some(2));
        commits.durable = 2;
        for sequence in 3..APPENDS_MAX as u64 + 2 {
            commits.want_soon(sequence, Duration::ZERO);
        }
        assert!(!commits.has_work());
        commits.want_soon(300, Duration::ZERO);
        assert!(commits.has_work());
    }
}
