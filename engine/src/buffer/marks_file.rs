//! The marks file: marks of records whose chunks are gone.
//!
//! | bytes | field |
//! |---|---|
//! | 8 | magic `C1` `LwMarks` |
//! | 4 | version: 2; 1 is without the ends of files and what follows them |
//! | 8 | complete: all parts of the appends up to this sequence were on the device |
//! | 4 | number of tailed files |
//! | each 28 | dev: u64, ino: u64, head: u32, ordinal: u32, number of spans: u32 |
//! | .. each 24 | from: u64 (all ones: none), end: u64, sequence: u64 |
//! | 4 | number of forward chunks |
//! | each 20 + | ordinal: u32, sequence: u64, time: u32, length of peer: u16, length of id: u16, peer, id |
//! | 4 | number of files that the last start went on with ([`super::ends`]) |
//! | each 32 | chunk id, end: u64, sequence: u64 |
//! | 16 | after: u64, up to: u64: appends of which parts may be in files that could not be read ([`super::unseen`]) |
//! | 4 | CRC32 of everything before |
//!
//! Little-endian. The file is replaced as a whole before a chunk is removed whose marks it must take over.

use super::ChunkId;
use super::ends::End;
use super::file::origin::Input;
use super::marks::{ForwardKey, Snapshot, TailKey};
use super::spans::{Span, Spans};
use super::unseen::Unseen;
use crate::delivery::FileIdentity;
use bytes::Bytes;
use std::sync::Arc;

const MAGIC: [u8; 8] = *b"\xc1LwMarks";
pub(super) const VERSION: u32 = 2;
const NO_FROM: u64 = u64::MAX;

/// The bytes of a marks file.
pub(super) fn write(snapshot: &Snapshot) -> Vec<u8> {
    let mut out = Vec::with_capacity(64 + snapshot.tails.len() * 52 + snapshot.forwards.len() * 64);
    out.extend_from_slice(&MAGIC);
    out.extend_from_slice(&VERSION.to_le_bytes());
    out.extend_from_slice(&snapshot.complete.to_le_bytes());
    write_count(&mut out, snapshot.tails.len());
    for (key, spans) in &snapshot.tails {
        out.extend_from_slice(&key.file.dev.to_le_bytes());
        out.extend_from_slice(&key.file.ino.to_le_bytes());
        out.extend_from_slice(&key.file.head.to_le_bytes());
        out.extend_from_slice(&key.ordinal.to_le_bytes());
        write_count(&mut out, spans.iter().count());
        for span in spans.iter() {
            for number in [span.from.unwrap_or(NO_FROM), span.end, span.sequence] {
                out.extend_from_slice(&number.to_le_bytes());
            }
        }
    }
    write_count(&mut out, snapshot.forwards.len());
    for (key, ordinal, sequence, at) in &snapshot.forwards {
        out.extend_from_slice(&ordinal.to_le_bytes());
        out.extend_from_slice(&sequence.to_le_bytes());
        out.extend_from_slice(&at.to_le_bytes());
        // Ids with their peers are at most 1 KiB long (see `file::origin`).
        for bytes in [key.peer.as_bytes(), &key.chunk] {
            out.extend_from_slice(&u16::try_from(bytes.len()).unwrap_or(u16::MAX).to_le_bytes());
        }
        out.extend_from_slice(key.peer.as_bytes());
        out.extend_from_slice(&key.chunk);
    }
    write_count(&mut out, snapshot.ends.len());
    for (id, end) in &snapshot.ends {
        out.extend_from_slice(&id.0);
        out.extend_from_slice(&end.offset.to_le_bytes());
        out.extend_from_slice(&end.sequence.to_le_bytes());
    }
    out.extend_from_slice(&snapshot.unseen.after.to_le_bytes());
    out.extend_from_slice(&snapshot.unseen.up_to.to_le_bytes());
    let crc = crc32fast::hash(&out);
    out.extend_from_slice(&crc.to_le_bytes());
    out
}

/// What a marks file holds; `None` if it is damaged or of a later version.
pub(super) fn read(bytes: &[u8]) -> Option<Snapshot> {
    let (content, crc) = bytes.split_last_chunk::<4>()?;
    if crc32fast::hash(content) != u32::from_le_bytes(*crc) {
        return None;
    }
    let mut input = Input(content);
    if input.bytes(8)? != MAGIC {
        return None;
    }
    let version = input.u32()?;
    if !(1..=VERSION).contains(&version) {
        return None;
    }
    let mut snapshot = Snapshot { complete: input.u64()?, ..Snapshot::default() };
    for _ in 0..input.u32()? {
        let file = FileIdentity { dev: input.u64()?, ino: input.u64()?, head: input.u32()? };
        let key = TailKey { file, ordinal: input.u32()? };
        let mut spans = Spans::default();
        for _ in 0..input.u32()? {
            let from = Some(input.u64()?).filter(|from| *from != NO_FROM);
            spans.add(Span { from, end: input.u64()?, sequence: input.u64()? });
        }
        snapshot.tails.push((key, spans));
    }
    for _ in 0..input.u32()? {
        let (ordinal, sequence, at) = (input.u32()?, input.u64()?, input.u32()?);
        let (peer_bytes, chunk_bytes) = (input.u16()?, input.u16()?);
        let peer = Arc::from(String::from_utf8_lossy(input.bytes(peer_bytes.into())?).as_ref());
        let chunk = Bytes::copy_from_slice(input.bytes(chunk_bytes.into())?);
        snapshot.forwards.push((ForwardKey { peer, chunk }, ordinal, sequence, at));
    }
    if version > 1 {
        for _ in 0..input.u32()? {
            let id = ChunkId(input.bytes(16)?.try_into().ok()?);
            snapshot.ends.insert(id, End { offset: input.u64()?, sequence: input.u64()? });
        }
        snapshot.unseen = Unseen { after: input.u64()?, up_to: input.u64()? };
    }
    input.0.is_empty().then_some(snapshot)
}

fn write_count(out: &mut Vec<u8>, count: usize) {
    out.extend_from_slice(&u32::try_from(count).unwrap_or(u32::MAX).to_le_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::buffer::ends::Ends;

    fn snapshot() -> Snapshot {
        let mut spans = Spans::default();
        spans.add(Span { from: None, end: 10, sequence: 3 });
        spans.add(Span { from: Some(20), end: 30, sequence: 5 });
        let file = FileIdentity { dev: 1, ino: u64::MAX, head: 7 };
        let forward = ForwardKey { peer: "10.0.0.1".into(), chunk: Bytes::from_static(b"\xff\0id") };
        Snapshot {
            complete: 6,
            ends: Ends::from([(ChunkId([4; 16]), End { offset: 500, sequence: 6 })]),
            unseen: Unseen { after: 2, up_to: 5 },
            tails: vec![(TailKey { file, ordinal: 2 }, spans)],
            forwards: vec![(forward, 1, 4, 1_704_164_645)],
        }
    }

    #[test]
    fn marks_are_read_as_written() {
        for snapshot in [Snapshot::default(), snapshot()] {
            assert_eq!(read(&write(&snapshot)), Some(snapshot));
        }
    }

    #[test]
    fn any_flipped_bit_and_any_missing_byte_is_noticed() {
        let mut bytes = write(&snapshot());
        for bit in 0..bytes.len() * 8 {
            bytes[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(read(&bytes), None, "bit {bit}");
            bytes[bit / 8] ^= 1 << (bit % 8);
        }
        for length in 0..bytes.len() {
            assert_eq!(read(&bytes[..length]), None, "length {length}");
        }
    }
}
