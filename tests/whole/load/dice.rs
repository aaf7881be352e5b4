//! Chance that can be repeated.

use std::time::{SystemTime, UNIX_EPOCH};

/// Pseudo-random numbers (xorshift64*).
pub(crate) struct Dice(u64);

impl Dice {
    /// From `LOGWEIR_SEED`, or else from the clock; the seed is printed.
    pub(crate) fn new() -> Self {
        let seed = Self::seed();
        eprintln!("LOGWEIR_SEED={seed}");
        Self::of(seed)
    }

    /// `LOGWEIR_SEED`, or a number from the clock.
    pub(crate) fn seed() -> u64 {
        let given =
            std::env::var("LOGWEIR_SEED").ok().map(|seed| seed.parse().expect("LOGWEIR_SEED is a number"));
        given.unwrap_or_else(|| {
            SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_nanos() as u64 % 1_000_000_007
        })
    }

    /// From a seed.
    pub(crate) fn of(seed: u64) -> Self {
        Self(seed | 1 << 40)
    }

    /// From 0 to `end` - 1.
    pub(crate) fn below(&mut self, end: usize) -> usize {
        (self.next() >> 33) as usize % end
    }

    /// Dice that roll independently of these.
    pub(crate) fn another(&mut self) -> Self {
        Self::of(self.next() >> 1)
    }

    fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }
}
