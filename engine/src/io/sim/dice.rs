//! Chance that can be repeated: numbers that follow from a seed, and all numbers there are, one after another.

use crate::io::{Clock, Timestamp};
use futures_util::future::BoxFuture;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// Where decisions come from.
pub trait Choices {
    /// A number from 0 to `sides` - 1.
    fn below(&mut self, sides: u64) -> u64;

    /// True in one of `times` cases.
    fn once_in(&mut self, times: u64) -> bool {
        self.below(times) == 0
    }
}

/// Numbers that look random and follow from a seed (splitmix64).
#[derive(Clone, Debug)]
pub struct Dice(pub u64);

impl Dice {
    /// 64 bits.
    pub fn roll(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }
}

impl Choices for Dice {
    fn below(&mut self, sides: u64) -> u64 {
        self.roll() % sides
    }
}

/// All sequences of decisions, one after another: whoever decides the same questions again and again until
/// [`Odometer::advance`] says no has seen every outcome once.
#[derive(Debug, Default)]
pub struct Odometer {
    /// What was decided, and out of how many.
    wheels: Vec<(u64, u64)>,
    at: usize,
}

impl Odometer {
    /// Goes to the next sequence; `false` after the last one.
    pub fn advance(&mut self) -> bool {
        self.wheels.truncate(self.at);
        self.at = 0;
        while let Some((chosen, sides)) = self.wheels.last_mut() {
            if *chosen + 1 < *sides {
                *chosen += 1;
                return true;
            }
            self.wheels.pop();
        }
        false
    }
}

impl Choices for Odometer {
    fn below(&mut self, sides: u64) -> u64 {
        if self.at == self.wheels.len() {
            self.wheels.push((0, sides));
        }
        self.at += 1;
        self.wheels[self.at - 1].0
    }
}

/// A clock that moves a millisecond each time somebody looks at it.
#[derive(Debug)]
pub struct SimClock(Mutex<(u64, Dice)>);

impl SimClock {
    /// What it answers as chance follows from `seed`.
    pub fn new(seed: u64) -> Self {
        Self(Mutex::new((1_704_164_645_000_000, Dice(seed))))
    }
}

impl Clock for SimClock {
    fn now(&self) -> Timestamp {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        state.0 += 1000;
        Timestamp(state.0)
    }

    fn monotonic(&self) -> Duration {
        Duration::from_micros(self.now().0)
    }

    /// Ends at once, at the time when it should.
    fn sleep(&self, duration: Duration) -> BoxFuture<'static, ()> {
        let micros = u64::try_from(duration.as_micros()).unwrap_or(u64::MAX);
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        state.0 = state.0.saturating_add(micros);
        Box::pin(std::future::ready(()))
    }

    fn random(&self) -> u64 {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).1.roll()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_odometer_shows_every_sequence_once() {
        let mut odometer = Odometer::default();
        let mut seen = Vec::new();
        loop {
            // The second question depends on the first answer.
            let first = odometer.below(3);
            let second = if first == 1 { odometer.below(2) } else { 9 };
            seen.push((first, second));
            if !odometer.advance() {
                break;
            }
        }
        assert_eq!(seen, [(0, 9), (1, 0), (1, 1), (2, 9)]);
    }
}
