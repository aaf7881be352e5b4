//! The beginning of a chunk file: which chunk it is.
//!
//! | offset | bytes | field |
//! |---|---|---|
//! | 0 | 8 | magic `C1` `Logweir` |
//! | 8 | 2 | version of the format: 1 |
//! | 10 | 2 | flags: 1 = the bodies are formatted text, not entries; the other 15 bits count the deliveries that were begun |
//! | 12 | 4 | length m of the metadata |
//! | 16 | 16 | chunk id, the same as in the file's name |
//! | 32 | 8 | created, microseconds since the epoch |
//! | 40 | m | metadata: MessagePack `{timekey, tag, variables}` |
//! | 40+m | 4 | CRC32 of everything before |
//!
//! The header is there twice, one behind the other: the frames of a chunk are worth little without their metadata. The
//! first byte is one that no MessagePack value begins with, so a Fluentd that finds such a file refuses it as a whole
//! (it goes to its backup directory) and sends nothing of it to the wrong place.
//!
//! That a delivery was begun is noted in the first of the two, in its place ([`noted`]), which needs no room on a full disk. What a
//! power cut leaves of it is the old header, the new one, or the second one, to which what the first one said is written before
//! another delivery is noted. Nobody has sent anything before the note is on the device.

use crate::buffer::fluentd::{read_keys, write_keys};
use crate::buffer::{ChunkId, Metadata};
use crate::io::Timestamp;
use crate::msgpack::write_map_len;

/// What a chunk file begins with.
pub(crate) const MAGIC: [u8; 8] = *b"\xc1Logweir";
/// The version that is written, and the highest that is read.
pub(crate) const VERSION: u16 = 1;
/// Length of one header without its metadata.
const FIXED_BYTES: usize = 44;
/// Longer metadata than this is damage.
const METADATA_BYTES_MAX: usize = 16 << 20;

/// A chunk file's header.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Header {
    pub(crate) id: ChunkId,
    pub(crate) created: Timestamp,
    pub(crate) formatted: bool,
    /// How many deliveries were begun, at most [`DELIVERIES_MAX`].
    pub(crate) deliveries: u16,
    pub(crate) metadata: Metadata,
}

/// More deliveries are not counted.
pub(crate) const DELIVERIES_MAX: u16 = u16::MAX >> 1;

/// What the beginning of a file says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Found {
    /// A header that is whole at least once; frames begin at the offset.
    Header(Header, u64),
    /// A header of a later version: not for us to touch.
    Newer(u16),
    /// No header.
    Nothing,
}

impl Header {
    /// Appends the header, twice.
    pub(crate) fn write(&self, out: &mut Vec<u8>) {
        let start = out.len();
        out.extend_from_slice(&MAGIC);
        out.extend_from_slice(&VERSION.to_le_bytes());
        out.extend_from_slice(&flags(self.formatted, self.deliveries).to_le_bytes());
        out.extend_from_slice(&[0; 4]);
        out.extend_from_slice(&self.id.0);
        out.extend_from_slice(&self.created.0.to_le_bytes());
        write_map_len(out, 3);
        write_keys(&self.metadata, out);
        let metadata_bytes = u32::try_from(out.len() - start - 40).unwrap_or(u32::MAX);
        out[start + 12..start + 16].copy_from_slice(&metadata_bytes.to_le_bytes());
        let crc = crc32fast::hash(&out[start..]);
        out.extend_from_slice(&crc.to_le_bytes());
        out.extend_from_within(start..);
    }

    /// Reads the header from the beginning of a file. `bytes` need not be the whole file, but must reach behind the
    /// headers of a chunk with [`METADATA_BYTES_MAX`] of metadata or to the file's end.
    pub(crate) fn find(bytes: &[u8]) -> Found {
        match one(bytes) {
            Found::Header(header, length) => Found::Header(header, 2 * length),
            Found::Newer(version) => Found::Newer(version),
            // The first one is damaged: the second begins somewhere behind it.
            Found::Nothing => memchr::memmem::find_iter(bytes, &MAGIC)
                .filter(|at| *at >= FIXED_BYTES)
                .find_map(|at| match one(&bytes[at..]) {
                    Found::Header(header, length) if length == at as u64 => {
                        Some(Found::Header(header, 2 * length))
                    }
                    _ => None,
                })
                .unwrap_or(Found::Nothing),
        }
    }
}

/// One header of a file, as it says that so many deliveries were begun. `None` if `copy` is no header, or has something behind it.
pub(crate) fn noted(copy: &[u8], deliveries: u16) -> Option<Vec<u8>> {
    let Found::Header(header, length) = one(copy) else { return None };
    if length != copy.len() as u64 {
        return None;
    }
    let mut copy = copy.to_vec();
    copy[10..12].copy_from_slice(&flags(header.formatted, deliveries).to_le_bytes());
    let end = copy.len() - 4;
    let crc = crc32fast::hash(&copy[..end]);
    copy[end..].copy_from_slice(&crc.to_le_bytes());
    Some(copy)
}

fn flags(formatted: bool, deliveries: u16) -> u16 {
    u16::from(formatted) | deliveries.min(DELIVERIES_MAX) << 1
}

/// How much of a file is read to find its header, at first.
pub(crate) const HEAD_BYTES: u64 = 64 << 10;
/// How much of a file [`Header::find`] must be given.
pub(crate) const FIND_BYTES: usize = 2 * (METADATA_BYTES_MAX + FIXED_BYTES);

/// One header and its length.
fn one(bytes: &[u8]) -> Found {
    read(bytes).unwrap_or(Found::Nothing)
}

fn read(bytes: &[u8]) -> Option<Found> {
    let fixed = bytes.first_chunk::<40>()?;
    if fixed[..8] != MAGIC {
        return None;
    }
    let metadata_bytes = u32::from_le_bytes(fixed[12..16].try_into().ok()?) as usize;
    if metadata_bytes > METADATA_BYTES_MAX {
        return None;
    }
    let end = 40 + metadata_bytes;
    let crc = u32::from_le_bytes(bytes.get(end..end + 4)?.try_into().ok()?);
    if crc32fast::hash(&bytes[..end]) != crc {
        return None;
    }
    let version = u16::from_le_bytes([fixed[8], fixed[9]]);
    if version > VERSION {
        return Some(Found::Newer(version));
    }
    let header = Header {
        id: ChunkId(fixed[16..32].try_into().ok()?),
        created: Timestamp(u64::from_le_bytes(fixed[32..40].try_into().ok()?)),
        formatted: fixed[10] & 1 != 0,
        deliveries: u16::from_le_bytes([fixed[10], fixed[11]]) >> 1,
        metadata: read_keys(&bytes[40..end])?,
    };
    Some(Found::Header(header, end as u64 + 4))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::buffer::Variable;
    use crate::event::Tag;

    fn header() -> Header {
        let variables = vec![Variable { name: "user".into(), value: b"\xa3ann"[..].into() }];
        Header {
            id: ChunkId([9; 16]),
            created: Timestamp(1_704_164_645_000_001),
            formatted: true,
            deliveries: 0,
            metadata: Metadata {
                timekey: Some(-60),
                tag: Some(Tag::new("a.b")),
                variables: Some(variables.into()),
                seq: 0,
            },
        }
    }

    fn written() -> Vec<u8> {
        let mut bytes = Vec::new();
        header().write(&mut bytes);
        bytes
    }

    #[test]
    fn what_is_written_is_found() {
        let mut bytes = written();
        let length = bytes.len() as u64;
        bytes.extend_from_slice(b"frames");
        assert_eq!(Header::find(&bytes), Found::Header(header(), length));
    }

    #[test]
    fn one_damaged_copy_is_no_loss() {
        let mut bytes = written();
        let length = bytes.len() as u64;
        for bit in 0..bytes.len() * 8 {
            bytes[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(Header::find(&bytes), Found::Header(header(), length), "bit {bit}");
            bytes[bit / 8] ^= 1 << (bit % 8);
        }
        for len in bytes.len() / 2..bytes.len() {
            assert_eq!(Header::find(&bytes[..len]), Found::Header(header(), length), "cut to {len}");
        }
        for len in 0..bytes.len() / 2 {
            assert_eq!(Header::find(&bytes[..len]), Found::Nothing, "cut to {len}");
        }
    }

    #[test]
    fn deliveries_are_noted_in_one_copy() {
        let bytes = written();
        let half = bytes.len() / 2;
        for (begun, counted) in [(1, 1), (DELIVERIES_MAX, DELIVERIES_MAX), (u16::MAX, DELIVERIES_MAX)] {
            let mut after = bytes.clone();
            after[..half].copy_from_slice(&noted(&bytes[..half], begun).unwrap());
            let expected = Header { deliveries: counted, ..header() };
            assert_eq!(Header::find(&after), Found::Header(expected.clone(), bytes.len() as u64));
            let mut again = Vec::new();
            expected.write(&mut again);
            assert_eq!(again[..half], after[..half], "the same as a file that is written anew");
            // Torn anywhere, it is the header of before.
            for torn in 12..half {
                let torn = [&after[..torn], &bytes[torn..]].concat();
                let Found::Header(found, _) = Header::find(&torn) else { panic!("no header") };
                assert!([0, counted].contains(&found.deliveries) && found.metadata == header().metadata);
            }
        }
        assert_eq!(noted(&bytes, 1), None, "two headers");
        assert_eq!(noted(b"no header", 1), None);
    }

    #[test]
    fn a_later_version_is_told_apart_from_damage() {
        let mut bytes = written();
        bytes.truncate(bytes.len() / 2);
        bytes[8] = 2;
        let end = bytes.len() - 4;
        let crc = crc32fast::hash(&bytes[..end]);
        bytes[end..].copy_from_slice(&crc.to_le_bytes());
        assert_eq!(Header::find(&bytes), Found::Newer(2));
    }
}
