//! Walking over the frames of a chunk file, over whatever else is in it.
//!
//! A frame whose header is sound but whose body is not is passed over by its length. Where no header is, the next one is
//! searched for byte by byte: every frame that is whole is found, before and behind any damage.

use super::frame::{self, FrameHeader, HEADER_BYTES};
use crate::buffer::ChunkId;
use crate::io::File;
use bytes::Bytes;
use std::io;
use std::ops::Range;

/// How much is read at a time.
const WINDOW_BYTES: usize = 256 << 10;
/// A header with the longest origin.
const HEADER_BYTES_MAX: usize = HEADER_BYTES + u16::MAX as usize;

/// A chunk file to walk over: frames lie between `start` and `end`.
pub(crate) struct Scan<'a> {
    pub(crate) file: &'a dyn File,
    pub(crate) id: ChunkId,
    pub(crate) start: u64,
    pub(crate) end: u64,
}

/// A whole frame.
pub(crate) struct Found<'a> {
    pub(crate) offset: u64,
    pub(crate) header: FrameHeader,
    pub(crate) origin: &'a [u8],
    /// Empty unless bodies were asked for.
    pub(crate) body: Bytes,
}

/// What else was there.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Rest {
    /// Ranges of the file that are part of no whole frame.
    pub(crate) damaged: Vec<Range<u64>>,
    /// Where the last whole frame ends.
    pub(crate) end: u64,
}

impl Scan<'_> {
    /// Visits the whole frames in order, with their bodies.
    pub(crate) fn bodies(&self, mut visit: impl FnMut(Found<'_>) -> io::Result<()>) -> io::Result<Rest> {
        self.walk(true, &mut visit)
    }

    /// Visits the whole frames in order, without their bodies, whose checksums are verified all the same.
    pub(crate) fn headers(&self, mut visit: impl FnMut(Found<'_>)) -> io::Result<Rest> {
        self.walk(false, &mut |found| {
            visit(found);
            Ok(())
        })
    }

    fn walk(&self, bodies: bool, visit: &mut dyn FnMut(Found<'_>) -> io::Result<()>) -> io::Result<Rest> {
        let mut window = Window { file: self.file, bytes: Vec::new(), start: 0, end: self.end };
        let mut rest = Rest { damaged: Vec::new(), end: self.start };
        let mut at = self.start;
        while at < self.end {
            let Some(header) = FrameHeader::read(self.id, window.get(at, HEADER_BYTES_MAX)?) else {
                let next = self.resynchronise(&mut window, at + 1)?;
                rest.damage(at..next);
                at = next;
                continue;
            };
            let next = at + header.frame_bytes();
            if next > self.end {
                rest.damage(at..self.end);
                break;
            }
            let body_at = next - u64::from(header.body_bytes);
            let body = self.body(&mut window, &header, body_at, bodies)?;
            match body {
                Some(body) => {
                    let head = window.get(at, HEADER_BYTES_MAX)?;
                    let origin = &head[HEADER_BYTES..HEADER_BYTES + usize::from(header.origin_bytes)];
                    visit(Found { offset: at, header, origin, body })?;
                    rest.end = next;
                }
                None => rest.damage(at..next),
            }
            at = next;
        }
        Ok(rest)
    }

    /// The body if its checksum is right; what it holds does not matter in a void frame.
    fn body(
        &self,
        window: &mut Window<'_>,
        header: &FrameHeader,
        at: u64,
        keep: bool,
    ) -> io::Result<Option<Bytes>> {
        if header.void {
            return Ok(Some(Bytes::new()));
        }
        let mut hasher = frame::body_hasher(header.sequence, self.id);
        let length = header.body_bytes as usize;
        if keep {
            let mut body = vec![0; length];
            window.copy(at, &mut body)?;
            hasher.update(&body);
            return Ok((hasher.finalize() == header.body_crc).then(|| body.into()));
        }
        let mut done = 0;
        while done < length {
            let piece = window.get(at + done as u64, (length - done).min(WINDOW_BYTES))?;
            if piece.is_empty() {
                return Ok(None);
            }
            hasher.update(piece);
            done += piece.len();
        }
        Ok((hasher.finalize() == header.body_crc).then(Bytes::new))
    }

    /// Where the next sound header begins, from `at` on; the end if there is none.
    fn resynchronise(&self, window: &mut Window<'_>, mut at: u64) -> io::Result<u64> {
        while at < self.end {
            let piece = window.get(at, WINDOW_BYTES)?;
            if piece.is_empty() {
                break; // the file has become shorter meanwhile
            }
            match memchr::memmem::find(piece, &frame::MAGIC) {
                Some(found) => {
                    at += found as u64;
                    if FrameHeader::read(self.id, window.get(at, HEADER_BYTES_MAX)?).is_some() {
                        return Ok(at);
                    }
                    at += 1;
                }
                // The magic may begin in the last bytes of the piece.
                None => at += (piece.len().saturating_sub(frame::MAGIC.len() - 1)).max(1) as u64,
            }
        }
        Ok(self.end)
    }
}

impl Rest {
    fn damage(&mut self, range: Range<u64>) {
        match self.damaged.last_mut() {
            Some(last) if last.end == range.start => last.end = range.end,
            _ => self.damaged.push(range),
        }
    }
}

/// A range of a file; shorter where the file ends.
pub(crate) fn read(file: &dyn File, range: Range<u64>) -> io::Result<Vec<u8>> {
    let mut bytes = vec![0; usize::try_from(range.end - range.start).map_err(io::Error::other)?];
    let read = file.read_at(&mut bytes, range.start)?;
    bytes.truncate(read);
    Ok(bytes)
}

/// Whether there are only zeros, as a file system leaves them where it had no time to write.
pub(crate) fn is_zero(file: &dyn File, range: Range<u64>) -> io::Result<bool> {
    let mut buffer = vec![0; 64 << 10];
    let mut at = range.start;
    while at < range.end {
        let wanted = buffer.len().min(usize::try_from(range.end - at).unwrap_or(usize::MAX));
        let read = file.read_at(&mut buffer[..wanted], at)?;
        if buffer[..read].iter().any(|byte| *byte != 0) {
            return Ok(false);
        }
        if read == 0 {
            break;
        }
        at += read as u64;
    }
    Ok(true)
}

/// A part of a file in memory.
struct Window<'a> {
    file: &'a dyn File,
    bytes: Vec<u8>,
    start: u64,
    end: u64,
}

impl Window<'_> {
    /// Up to `length` bytes from `at` on; fewer where the file ends.
    fn get(&mut self, at: u64, length: usize) -> io::Result<&[u8]> {
        let length = usize::try_from(self.end.saturating_sub(at)).unwrap_or(usize::MAX).min(length);
        let window_end = self.start + self.bytes.len() as u64;
        if at < self.start || at + length as u64 > window_end {
            let wanted = usize::try_from(self.end.saturating_sub(at)).unwrap_or(usize::MAX);
            self.bytes.resize(wanted.min(length.max(WINDOW_BYTES)), 0);
            let read = self.file.read_at(&mut self.bytes, at)?;
            self.bytes.truncate(read);
            self.start = at;
        }
        let from = usize::try_from(at - self.start).unwrap_or(usize::MAX).min(self.bytes.len());
        Ok(&self.bytes[from..self.bytes.len().min(from + length)])
    }

    /// Fills `out` from `at` on; what the file does not have is zero. Large pieces do not pass through the window.
    fn copy(&mut self, at: u64, out: &mut [u8]) -> io::Result<()> {
        if out.len() > WINDOW_BYTES / 4 {
            self.file.read_at(out, at)?;
            return Ok(());
        }
        let piece = self.get(at, out.len())?;
        out[..piece.len()].copy_from_slice(piece);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::buffer::Compression;
    use crate::io::{Fs, RealFs};
    use std::io::IoSlice;

    const ID: ChunkId = ChunkId([5; 16]);

    fn frames(bodies: &[&[u8]]) -> Vec<u8> {
        let mut bytes = b"head".to_vec();
        for (i, body) in bodies.iter().enumerate() {
            let sequence = i as u64 + 1;
            let header = FrameHeader {
                body_bytes: body.len() as u32,
                body_crc: frame::body_crc(sequence, ID, body),
                sequence,
                records: 1,
                origin_bytes: 6,
                compression: Compression::None,
                void: false,
                part: 0,
                parts: 1,
                at: 0,
                durable: 0,
            };
            header.write(ID, b"origin", &mut bytes);
            bytes.extend_from_slice(body);
        }
        bytes
    }

    fn scan(bytes: &[u8]) -> (Vec<Bytes>, Rest) {
        let dir = tempfile::tempdir().unwrap();
        let file = RealFs.create(&dir.path().join("chunk"), 0o600).unwrap();
        file.write_at(&[IoSlice::new(bytes)], 0).unwrap();
        let scan = Scan { file: &*file, id: ID, start: 4, end: bytes.len() as u64 };
        let mut bodies = Vec::new();
        let rest = scan
            .bodies(|found| {
                assert_eq!(found.origin, b"origin");
                bodies.push(found.body);
                Ok(())
            })
            .unwrap();
        let mut offsets = 0;
        assert_eq!(scan.headers(|_| offsets += 1).unwrap(), rest, "both walks see the same");
        assert_eq!(offsets, bodies.len());
        (bodies, rest)
    }

    #[test]
    fn whole_frames_are_found_in_order() {
        let large = vec![7; 3 * WINDOW_BYTES + 11];
        let bytes = frames(&[b"one", b"", &large, b"four"]);
        let (bodies, rest) = scan(&bytes);
        assert_eq!(bodies, [&b"one"[..], b"", &large, b"four"]);
        assert_eq!(rest, Rest { damaged: vec![], end: bytes.len() as u64 });
    }

    #[test]
    fn frames_before_and_behind_a_damaged_one_are_kept() {
        let whole = frames(&[b"one", b"two", b"three"]);
        let second = 4 + 57;
        for damage in [second, second + 8, second + 20, second + 50, second + 55] {
            let mut bytes = whole.clone();
            bytes[damage] ^= 0xff;
            let (bodies, rest) = scan(&bytes);
            assert_eq!(bodies, [&b"one"[..], b"three"], "byte {damage}");
            let damaged = second as u64..second as u64 + 57;
            assert_eq!(rest.damaged, std::slice::from_ref(&damaged));
        }
    }

    #[test]
    fn a_torn_tail_is_damage_from_the_last_whole_frame_on() {
        let whole = frames(&[b"one", b"two"]);
        for length in 4 + 57 + 1..whole.len() {
            let (bodies, rest) = scan(&whole[..length]);
            assert_eq!(bodies, [&b"one"[..]], "length {length}");
            let damaged = 61..length as u64;
            assert_eq!((&rest.damaged[..], rest.end), (std::slice::from_ref(&damaged), 61));
        }
    }

    #[test]
    fn a_header_behind_a_megabyte_of_rubbish_is_found() {
        let whole = frames(&[b"one", b"two"]);
        let mut bytes = whole[..61].to_vec();
        bytes.extend(std::iter::repeat_n(*b"\xf8LWF\xf8L", 200_000).flatten());
        let rubbish = 61..bytes.len() as u64;
        bytes.extend_from_slice(&whole[61..]);
        let (bodies, rest) = scan(&bytes);
        assert_eq!(bodies, [&b"one"[..], b"two"]);
        assert_eq!(rest.damaged, [rubbish]);
    }
}
