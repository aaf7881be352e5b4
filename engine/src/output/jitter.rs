//! Randomness for retry waits; nothing that needs to be unpredictable.

use std::hash::{BuildHasher, RandomState};

/// A small generator (splitmix64).
#[derive(Clone, Debug)]
pub struct Jitter(u64);

impl Jitter {
    /// Differs between processes and outputs.
    pub fn new() -> Self {
        Self(RandomState::new().hash_one(0x9e37_79b9_7f4a_7c15_u64))
    }

    /// The same sequence each time.
    pub fn seeded(seed: u64) -> Self {
        Self(seed)
    }

    /// Uniform in -1.0..1.0.
    pub fn signed_unit(&mut self) -> f64 {
        2.0 * self.unit() - 1.0
    }

    /// Uniform in 0.0..1.0.
    pub fn unit(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1u64 << 53) as f64
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }
}

impl Default for Jitter {
    fn default() -> Self {
        Self::new()
    }
}
