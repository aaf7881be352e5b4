//! The name of a chunk.

use crate::io::Clock;
use std::fmt;

/// The 16 bytes that name a chunk, made as Fluentd makes them: a big-endian u64 of microseconds since the epoch
/// shifted left by 12 with 12 random bits, then 8 random bytes. A chunk keeps its id over restarts, so a destination
/// can recognise a chunk that it is given twice.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ChunkId(pub [u8; 16]);

impl ChunkId {
    /// A new id.
    pub fn generate(clock: &dyn Clock) -> Self {
        let (chance, tail) = (clock.random(), clock.random());
        let head = (clock.now().0 << 12) | (chance & 0xfff);
        let mut bytes = [0; 16];
        bytes[..8].copy_from_slice(&head.to_be_bytes());
        bytes[8..].copy_from_slice(&tail.to_be_bytes());
        Self(bytes)
    }

    /// 32 lower-case hexadecimal digits, as in file names and logs.
    pub fn hex(&self) -> String {
        self.to_string()
    }

    /// From hexadecimal digits. `None` if they are not exactly 32.
    pub fn from_hex(text: &str) -> Option<Self> {
        if text.len() != 32 || !text.bytes().all(|b| b.is_ascii_hexdigit()) {
            return None;
        }
        u128::from_str_radix(text, 16).ok().map(|number| Self(number.to_be_bytes()))
    }
}

impl fmt::Display for ChunkId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", u128::from_be_bytes(self.0))
    }
}

impl fmt::Debug for ChunkId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl crate::telemetry::Field for ChunkId {
    fn text(&self, out: &mut String) {
        out.push_str(&crate::telemetry::inspect(&self.hex()));
    }

    fn json(&self) -> serde_json::Value {
        self.hex().into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::io::RealClock;

    #[test]
    fn hex_and_back() {
        let id = ChunkId::generate(&RealClock::new());
        assert_eq!(ChunkId::from_hex(&id.hex()), Some(id));
        assert_eq!(ChunkId::from_hex("660e9d87b4b5c4db99a9bc94b404346a").unwrap().0[..2], [0x66, 0x0e]);
        for bad in ["", "660e", "+60e9d87b4b5c4db99a9bc94b404346a", "660e9d87b4b5c4db99a9bc94b404346a0"] {
            assert_eq!(ChunkId::from_hex(bad), None, "{bad}");
        }
    }

    #[test]
    fn ids_begin_with_the_time_of_their_making() {
        let clock = RealClock::new();
        let before = clock.now().0;
        let id = ChunkId::generate(&clock);
        let micros = u64::from_be_bytes(id.0[..8].try_into().unwrap()) >> 12;
        assert!((before & (u64::MAX >> 12)..).contains(&micros));
        assert_ne!(id, ChunkId::generate(&clock));
    }
}
