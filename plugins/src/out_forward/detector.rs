//! Whether a node is there, judged by its heartbeats: the phi accrual failure detector in Fluentd's form, and a hard
//! timeout.
//!
//! Phi grows with the time since the last heartbeat, measured in the usual time between two; at phi_threshold the node
//! is given up.

use std::collections::VecDeque;

/// Intervals that are remembered.
const SAMPLES_MAX: usize = 1000;

/// Times are seconds of a monotonic clock.
#[derive(Debug)]
pub(super) struct FailureDetector {
    heartbeat_interval: f64,
    hard_timeout: f64,
    /// Time of the last heartbeat.
    last: f64,
    /// Microseconds between heartbeats, oldest first.
    gaps: VecDeque<u64>,
}

impl FailureDetector {
    /// For a node of which nothing is known at `now`.
    pub(super) fn new(heartbeat_interval: f64, hard_timeout: f64, now: f64) -> Self {
        let gaps = VecDeque::from([micros(heartbeat_interval)]);
        Self { heartbeat_interval, hard_timeout, last: now, gaps }
    }

    /// Whether nothing was heard for longer than hard_timeout.
    pub(super) fn is_hard_timeout(&self, now: f64) -> bool {
        now - self.last > self.hard_timeout
    }

    /// A heartbeat, or a chunk that was delivered.
    pub(super) fn add(&mut self, now: f64) {
        if self.gaps.is_empty() {
            self.gaps.push_back(micros(self.heartbeat_interval));
        } else {
            self.gaps.push_back(micros(now - self.last));
            if self.gaps.len() > SAMPLES_MAX {
                self.gaps.pop_front();
            }
        }
        self.last = now;
    }

    /// How suspicious the silence is.
    pub(super) fn phi(&self, now: f64) -> f64 {
        if self.gaps.is_empty() {
            return 0.0;
        }
        // A moving average in which later gaps weigh more.
        let (sum, weights) = self
            .gaps
            .iter()
            .zip(1u64..)
            .fold((0u64, 0u64), |(sum, weights), (gap, weight)| (sum + gap * weight, weights + weight));
        let mean = (sum / weights) as f64 / 1e6 - self.heartbeat_interval + 1.0;
        let silence = now - self.last - self.heartbeat_interval + 1.0;
        std::f64::consts::LN_10.recip() * silence / mean
    }

    /// Heartbeats since [`FailureDetector::clear`].
    pub(super) fn samples(&self) -> usize {
        self.gaps.len()
    }

    /// Begins anew, for a node that was given up.
    pub(super) fn clear(&mut self, now: f64) {
        self.gaps.clear();
        self.last = now;
    }
}

fn micros(seconds: f64) -> u64 {
    (seconds * 1e6).max(0.0) as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn silence_makes_suspicious_and_heartbeats_reassure() {
        let mut detector = FailureDetector::new(1.0, 60.0, 100.0);
        for second in 1..=20 {
            detector.add(100.0 + f64::from(second));
            assert!(detector.phi(100.0 + f64::from(second)) < 1.0);
        }
        // With a heartbeat a second, phi is the silence divided by ln 10.
        assert!((detector.phi(130.0) - 10.0 / 10f64.ln()).abs() < 0.01);
        assert!(detector.phi(156.0) < 16.0 && detector.phi(158.0) > 16.0);
        assert!(!detector.is_hard_timeout(180.0) && detector.is_hard_timeout(180.1));
        detector.add(181.0);
        assert!(detector.phi(182.0) < 1.0);
    }

    #[test]
    fn irregular_heartbeats_are_judged_more_mildly() {
        let mut regular = FailureDetector::new(1.0, 60.0, 0.0);
        let mut irregular = FailureDetector::new(1.0, 60.0, 0.0);
        let mut at = 0.0;
        for step in 0..20 {
            regular.add(f64::from(step + 1));
            at += if step % 2 == 0 { 0.1 } else { 8.0 };
            irregular.add(at);
        }
        assert!(irregular.phi(at + 30.0) < regular.phi(20.0 + 30.0) / 2.0);
    }

    #[test]
    fn a_node_that_was_given_up_starts_anew() {
        let mut detector = FailureDetector::new(1.0, 60.0, 0.0);
        detector.add(1.0);
        assert_eq!(detector.samples(), 2);
        detector.clear(100.0);
        assert_eq!((detector.samples(), detector.phi(500.0)), (0, 0.0));
        detector.add(101.0);
        assert_eq!(detector.samples(), 1);
        assert!(detector.phi(102.0) < 1.0);
    }

    #[test]
    fn the_memory_is_bounded() {
        let mut detector = FailureDetector::new(1.0, 60.0, 0.0);
        for second in 0..5000 {
            detector.add(f64::from(second));
        }
        assert_eq!(detector.samples(), SAMPLES_MAX);
    }
}
