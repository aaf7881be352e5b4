//! Cursors: which entry of the journal one is, and what buffers remember of it.
//!
//! ```text
//! s=SEQNUM_ID;i=SEQNUM;b=BOOT_ID;m=MONOTONIC;t=REALTIME;x=HASH      hexadecimal
//! ```
//!
//! Entries that journald writes are numbered on through all its files, which share a SEQNUM_ID; entries of other machines or of
//! another life of the journal have another. They are read in the order of their numbers. So one such series is to the buffers
//! what a tailed file is, and the number what the offset is: a replay after a crash is told from news by it.

use logweir_engine::delivery::FileIdentity;

/// Marks of series are told from those of files by this in the identity's upper half.
const KIND: u32 = 0x6a6f_7572;

/// Where in which series an entry is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) series: FileIdentity,
    pub(super) number: u64,
}

impl Place {
    /// What a cursor says. `None` if it is not of the known form, which would be a new one: systemd does not promise any.
    /// `source` tells sources that read the same journal apart.
    pub(super) fn of(cursor: &str, source: u32) -> Option<Self> {
        let field =
            |name: &str| cursor.split(';').find_map(|part| part.strip_prefix(name)?.strip_prefix('='));
        let (id, boot) = (field("s")?, field("b")?);
        let number = u64::from_str_radix(field("i")?, 16).ok()?;
        let id_number = u128::from_str_radix(id, 16).ok()?;
        let series = FileIdentity {
            dev: u64::from(KIND ^ source) << 32 | u64::from(crc32fast::hash(id.as_bytes())),
            ino: id_number as u64 ^ (id_number >> 64) as u64,
            head: crc32fast::hash(boot.as_bytes()),
        };
        Some(Self { series, number })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CURSOR: &str = "s=be4910f8cbfe4c7ea8a5c5b42f7003b0;i=1f;b=4737ffc504774b3ba67020bc947f1bc0;m=f4240;\
                          t=60a24181e4000;x=eda0bced0f008bf8";

    #[test]
    fn numbers_count_within_a_series() {
        let place = Place::of(CURSOR, 1).unwrap();
        assert_eq!(place.number, 31);
        let later = Place::of(&CURSOR.replace("i=1f", "i=20"), 1).unwrap();
        assert_eq!((later.series, later.number), (place.series, 32));
        for (from, to) in [("s=be", "s=bf"), ("b=47", "b=48")] {
            assert_ne!(Place::of(&CURSOR.replace(from, to), 1).unwrap().series, place.series, "{from}");
        }
        assert_ne!(Place::of(CURSOR, 2).unwrap().series, place.series, "another source");
    }

    #[test]
    fn other_texts_are_no_places() {
        for text in ["", "nonsense", "s=1;b=2", "s=x;i=1;b=2", "s=1;i=;b=2", "i=1;t=2"] {
            assert_eq!(Place::of(text, 1), None, "{text}");
        }
    }
}
