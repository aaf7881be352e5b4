//! When to try again after a failed write: Fluentd's retry state machine, number for number.
//!
//! One state per output, not per chunk. It is made at the first failed write and forgotten at the next successful one.
//! Times are seconds on the caller's monotonic clock, as floating-point numbers like Fluentd's.
//!
//! ```text
//! primary:    wait, wait*base, wait*base^2, ...   each at most max_interval, ±12.5 % when randomized
//! secondary:  from `threshold` of the whole retry time on, the sequence begins again
//! ```

/// Longest wait, in seconds, for what somebody must mend, where the rules set no longest one.
const ENDLESS_INTERVAL_MAX: f64 = 60.0;

/// Share of an interval by which a randomized retry may come earlier or later.
const RANDOMIZE_WIDTH: f64 = 0.125;

/// How intervals grow.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum RetryType {
    /// `wait * base^n`, at most `max_interval` seconds.
    Exponential {
        /// `retry_exponential_backoff_base`.
        base: f64,
        /// `retry_max_interval`, seconds.
        max_interval: Option<f64>,
    },
    /// Always `wait`.
    Periodic,
}

/// The `retry_*` parameters of a `<buffer>`; durations in seconds.
#[derive(Clone, Debug, PartialEq)]
pub struct RetryRules {
    /// `retry_type`.
    pub kind: RetryType,
    /// `retry_wait`.
    pub wait: f64,
    /// `retry_timeout`.
    pub timeout: f64,
    /// `retry_max_times`.
    pub max_times: Option<u64>,
    /// `retry_forever`.
    pub forever: bool,
    /// `retry_randomize`.
    pub randomize: bool,
    /// `retry_secondary_threshold` when there is a `<secondary>`.
    pub secondary_threshold: Option<f64>,
}

/// The state of an output that is failing.
#[derive(Clone, Debug)]
pub struct RetryState {
    rules: RetryRules,
    start: f64,
    steps: u64,
    next_time: f64,
    timeout_at: f64,
    reached_timeout: bool,
    timed_out: bool,
    secondary: Option<Secondary>,
    waits_for: Option<String>,
}

#[derive(Clone, Copy, Debug)]
struct Secondary {
    transition_at: f64,
    /// The step at which the secondary took over.
    since: Option<u64>,
}

impl RetryRules {
    /// The same intervals up to a limit, for as long as it takes.
    pub fn endless(&self) -> Self {
        let kind = match self.kind {
            RetryType::Exponential { base, max_interval } => {
                RetryType::Exponential { base, max_interval: max_interval.or(Some(ENDLESS_INTERVAL_MAX)) }
            }
            RetryType::Periodic => RetryType::Periodic,
        };
        Self { kind, forever: true, ..self.clone() }
    }

    fn interval(&self, step: u64) -> f64 {
        match self.kind {
            RetryType::Periodic => self.wait,
            RetryType::Exponential { base, max_interval } => {
                let raw = |step: u64| self.wait * base.powf(step as f64);
                let interval = raw(step);
                match max_interval {
                    Some(max) if interval > max => max,
                    _ if interval.is_finite() => interval,
                    // The greatest step whose interval is still a number.
                    _ => (0..step.min(2048)).rev().map(raw).find(|i| i.is_finite()).unwrap_or(self.wait),
                }
            }
        }
    }

    /// How long all of `max_times` retries take together.
    fn total(&self, times: u64) -> f64 {
        match self.kind {
            RetryType::Periodic => self.wait * times as f64,
            RetryType::Exponential { .. } => {
                let mut sum = 0.0;
                for step in 0..times {
                    sum += self.interval(step);
                    if sum >= self.timeout {
                        break; // only the smaller of both is asked for
                    }
                }
                sum
            }
        }
    }
}

impl RetryState {
    /// The state after a first failure at `now`.
    pub fn new(rules: &RetryRules, now: f64) -> Self {
        let secondary = rules.secondary_threshold.map(|threshold| {
            let limit = rules.max_times.map_or(rules.timeout, |times| rules.total(times).min(rules.timeout));
            Secondary { transition_at: now + limit * threshold, since: None }
        });
        Self {
            start: now,
            steps: 0,
            next_time: now + rules.wait,
            timeout_at: now + rules.timeout,
            reached_timeout: false,
            timed_out: false,
            secondary,
            rules: rules.clone(),
            waits_for: None,
        }
    }

    /// The state after a first failure at `now` that somebody must mend.
    pub fn endless(rules: &RetryRules, now: f64) -> Self {
        Self { waits_for: Some(String::new()), ..Self::new(&rules.endless(), now) }
    }

    /// Whether somebody must mend something.
    pub fn is_endless(&self) -> bool {
        self.waits_for.is_some()
    }

    /// Notes what is waited for; answers whether that is news.
    pub fn wait_for(&mut self, what: &str) -> bool {
        match &mut self.waits_for {
            Some(known) if known == what => false,
            Some(known) => {
                what.clone_into(known);
                true
            }
            None => true,
        }
    }

    /// When the first failure was.
    pub fn start(&self) -> f64 {
        self.start
    }

    /// How many retries have failed.
    pub fn steps(&self) -> u64 {
        self.steps
    }

    /// When to try next.
    pub fn next_time(&self) -> f64 {
        self.next_time
    }

    /// When it is given up.
    pub fn timeout_at(&self) -> f64 {
        self.timeout_at
    }

    /// Whether the next write is the secondary's.
    pub fn is_secondary(&self, now: f64) -> bool {
        !self.rules.forever && self.secondary.is_some_and(|s| s.since.is_some() || now >= s.transition_at)
    }

    /// Another failure, at or after `next_time`. `chance` is uniform in -1.0..1.0.
    pub fn step(&mut self, now: f64, chance: f64) {
        self.steps += 1;
        if !self.rules.forever
            && let Some(secondary) = &mut self.secondary
            && secondary.since.is_none()
            && now >= secondary.transition_at
        {
            secondary.since = Some(self.steps);
        }
        self.next_time = self.calculate_next(now, chance);
        if self.reached_timeout {
            self.timed_out = self.next_time >= self.timeout_at;
        } else {
            self.reached_timeout = self.next_time >= self.timeout_at;
        }
    }

    /// A failure before `next_time` (of another flush thread): a new random wait, but no step.
    pub fn postpone(&mut self, now: f64, chance: f64) {
        self.next_time = self.calculate_next(now, chance);
    }

    /// Whether it is time to give up.
    pub fn is_over(&self) -> bool {
        !self.rules.forever && (self.timed_out || self.rules.max_times.is_some_and(|max| self.steps >= max))
    }

    fn calculate_next(&self, now: f64, chance: f64) -> f64 {
        let steps = match self.secondary {
            Some(Secondary { since: Some(since), .. }) if !self.rules.forever => self.steps - since,
            _ => self.steps,
        };
        let interval = self.rules.interval(steps);
        let naive = now
            + if self.rules.randomize { interval + interval * RANDOMIZE_WIDTH * chance } else { interval };
        if self.rules.forever {
            return naive;
        }
        match self.secondary {
            Some(Secondary { since: None, transition_at }) => naive.min(transition_at),
            _ => naive.min(self.timeout_at),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn exponential(wait: f64, base: f64, timeout: f64) -> RetryRules {
        RetryRules {
            kind: RetryType::Exponential { base, max_interval: None },
            wait,
            timeout,
            max_times: None,
            forever: false,
            randomize: false,
            secondary_threshold: None,
        }
    }

    /// Fails each time exactly at the next time and notes (seconds since the start, secondary?) of each try until
    /// it is over.
    fn tries(rules: &RetryRules, count: usize) -> Vec<(f64, bool)> {
        let mut state = RetryState::new(rules, 1000.0);
        let mut seen = Vec::new();
        while !state.is_over() && seen.len() < count {
            let now = state.next_time();
            seen.push((now - 1000.0, state.is_secondary(now)));
            state.step(now, 0.0);
        }
        seen
    }

    fn times(rules: &RetryRules, count: usize) -> Vec<f64> {
        tries(rules, count).into_iter().map(|(time, _)| time).collect()
    }

    #[test]
    fn exponential_intervals_double() {
        // next_time starts at start + wait; the first step then waits wait * base^1.
        assert_eq!(times(&exponential(1.0, 2.0, 3600.0), 6), [1.0, 3.0, 7.0, 15.0, 31.0, 63.0]);
        assert_eq!(times(&exponential(0.2, 2.0, 3600.0), 2), [0.20000000000004547, 0.6000000000000227]);
    }

    #[test]
    fn the_last_try_is_at_the_timeout() {
        // As in Fluentd's test: wait 0.1, timeout 1: ... then exactly at 1, and no more.
        let rules = exponential(1.0, 2.0, 20.0);
        assert_eq!(times(&rules, 99), [1.0, 3.0, 7.0, 15.0, 20.0]);
    }

    #[test]
    fn default_rules_give_seventeen_tries_in_72_hours() {
        let rules = exponential(1.0, 2.0, 72.0 * 3600.0);
        assert_eq!(times(&rules, 99).len(), 18);
        assert_eq!(times(&rules, 99).last(), Some(&(72.0 * 3600.0)));
    }

    #[test]
    fn max_interval_caps() {
        let kind = RetryType::Exponential { base: 2.0, max_interval: Some(5.0) };
        let rules = RetryRules { kind, ..exponential(1.0, 2.0, 3600.0) };
        assert_eq!(times(&rules, 6), [1.0, 3.0, 7.0, 12.0, 17.0, 22.0]);
    }

    #[test]
    fn periodic_waits_the_same() {
        let rules = RetryRules { kind: RetryType::Periodic, ..exponential(3.0, 0.0, 10.0) };
        assert_eq!(times(&rules, 99), [3.0, 6.0, 9.0, 10.0]);
    }

    #[test]
    fn max_times_counts_failed_retries() {
        let rules = RetryRules { max_times: Some(3), ..exponential(1.0, 2.0, 3600.0) };
        assert_eq!(times(&rules, 99), [1.0, 3.0, 7.0]);
        let never = RetryRules { max_times: Some(0), ..exponential(1.0, 2.0, 3600.0) };
        assert!(RetryState::new(&never, 0.0).is_over());
    }

    #[test]
    fn forever_ignores_both_limits_and_the_secondary() {
        let rules = RetryRules {
            forever: true,
            max_times: Some(2),
            secondary_threshold: Some(0.5),
            ..exponential(1.0, 2.0, 4.0)
        };
        let seen = tries(&rules, 40);
        assert_eq!(seen.len(), 40);
        assert!(seen.iter().all(|(_, secondary)| !secondary));
    }

    #[test]
    fn what_somebody_must_mend_is_tried_for_ever_at_bounded_intervals() {
        let rules =
            RetryRules { max_times: Some(2), secondary_threshold: Some(0.5), ..exponential(1.0, 2.0, 100.0) };
        let mut state = RetryState::endless(&rules, 0.0);
        let mut seen = Vec::new();
        for _ in 0..200 {
            let now = state.next_time();
            assert!(!state.is_secondary(now) && state.is_endless());
            state.step(now, 0.0);
            assert!(!state.is_over());
            seen.push(state.next_time() - now);
        }
        assert_eq!((&seen[..6], seen[199]), (&[2.0, 4.0, 8.0, 16.0, 32.0, 60.0][..], 60.0));
        assert!(state.wait_for("a password") && !state.wait_for("a password") && state.wait_for("a right"));
        let capped =
            RetryRules { kind: RetryType::Exponential { base: 2.0, max_interval: Some(5.0) }, ..rules };
        assert_eq!(capped.endless().interval(50), 5.0);
    }

    #[test]
    fn the_secondary_takes_over_at_its_share_of_the_timeout_and_begins_again() {
        let rules = RetryRules { secondary_threshold: Some(0.75), ..exponential(1.0, 2.0, 100.0) };
        assert_eq!(
            tries(&rules, 99),
            [
                (1.0, false),
                (3.0, false),
                (7.0, false),
                (15.0, false),
                (31.0, false),
                (63.0, false),
                (75.0, true),
                (76.0, true),
                (78.0, true),
                (82.0, true),
                (90.0, true),
                (100.0, true),
            ]
        );
    }

    #[test]
    fn the_secondary_takes_over_at_its_share_of_max_times() {
        // wait 0.2, max 2: total 0.2 + 0.4 = 0.6, threshold at 0.48.
        let rules = RetryRules {
            max_times: Some(2),
            secondary_threshold: Some(0.8),
            ..exponential(0.25, 2.0, 72.0 * 3600.0)
        };
        assert_eq!(tries(&rules, 99), [(0.25, false), (0.6000000000000227, true)]);
    }

    #[test]
    fn random_waits_stay_within_an_eighth() {
        let rules = RetryRules { randomize: true, ..exponential(8.0, 2.0, 1e9) };
        let mut state = RetryState::new(&rules, 0.0);
        state.step(8.0, 0.0);
        for (chance, wait) in [(-1.0, 14.0), (-0.5, 15.0), (0.0, 16.0), (1.0, 18.0)] {
            state.postpone(100.0, chance);
            assert_eq!(state.next_time() - 100.0, wait);
        }
        assert_eq!(state.steps(), 1);
    }

    #[test]
    fn endless_growth_stays_a_number() {
        let rules = RetryRules { forever: true, ..exponential(1.0, 2.0, 1.0) };
        let mut state = RetryState::new(&rules, 0.0);
        for _ in 0..2000 {
            state.step(0.0, 0.0);
        }
        assert_eq!(state.next_time(), 2f64.powi(1023));
    }
}
