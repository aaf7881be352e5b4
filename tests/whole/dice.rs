//! Chance that can be repeated.

use std::time::{SystemTime, UNIX_EPOCH};

/// Pseudo-random numbers (xorshift64*).
pub(crate) struct Dice(u64);

impl Dice {
    pub(crate) fn new() -> Self {
        let given =
            std::env::var("LOGWEIR_SEED").ok().map(|seed| seed.parse().expect("LOGWEIR_SEED is a number"));
        let seed = given.unwrap_or_else(|| {
            SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_nanos() as u64 % 1_000_000_007
        });
        eprintln!("LOGWEIR_SEED={seed}");
        Self(seed | 1 << 40)
    }

    /// A number below `end`.
    pub(crate) fn below(&mut self, end: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33) as usize % end
    }
}
