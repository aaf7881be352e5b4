//! Walking over the frames of a chunk file, over whatever else is in it.
//!
//! A frame whose header is sound but whose body is not is passed over by its length. Where no header is, the next one is
//! searched for byte by byte: every frame that is whole is found, before and behind any damage.

use super::frame::{self, FrameHeader, HEADER_BYTES};
use crate::buffer::ChunkId;
use crate::buffer::ends::End;
use crate::io::File;
use bytes::Bytes;
use std::io;
use std::ops::{Deref, Range};

/// How much is read at a time.
const WINDOW_BYTES: usize = 256 << 10;
/// A header with the longest origin.
const HEADER_BYTES_MAX: usize = HEADER_BYTES + u16::MAX as usize;

/// A chunk file to walk over.
pub(crate) struct Scan<'a> {
    file: &'a dyn File,
    id: ChunkId,
    range: Range<u64>,
    ended: Option<End>,
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

impl<'a> Scan<'a> {
    /// Frames of the chunk `id` lie in `range` of the file.
    pub(crate) fn new(file: &'a dyn File, id: ChunkId, range: Range<u64>) -> Self {
        Self { file, id, range, ended: None }
    }

    /// The file ended there at the last start, if that is known: from the first frame on that is older and lies behind that,
    /// nothing is part of it.
    pub(crate) fn that_ended(self, ended: Option<End>) -> Self {
        Self { ended, ..self }
    }

    /// Visits the whole frames in order, with their bodies.
    pub(crate) fn bodies(&self, mut visit: impl FnMut(Found<'_>) -> io::Result<()>) -> io::Result<Rest> {
        let mut walk = self.walk();
        loop {
            let mut body = Vec::new();
            let Some((offset, header)) = walk.next(Some(&mut body))? else { return Ok(walk.rest) };
            let origin = walk.origin(offset, &header)?;
            visit(Found { offset, header, origin, body: body.into() })?;
        }
    }

    /// Visits the whole frames in order, without their bodies, whose checksums are verified all the same.
    pub(crate) fn headers(&self, mut visit: impl FnMut(Found<'_>)) -> io::Result<Rest> {
        let mut walk = self.walk();
        while let Some((offset, header)) = walk.next(None)? {
            let origin = walk.origin(offset, &header)?;
            visit(Found { offset, header, origin, body: Bytes::new() });
        }
        Ok(walk.rest)
    }

    fn walk(&self) -> Walk<&'a dyn File> {
        Walk { ended: self.ended, ..Walk::new(self.file, self.id, self.range.clone()) }
    }
}

/// Goes from frame to frame.
pub(crate) struct Walk<F> {
    window: Window<F>,
    id: ChunkId,
    at: u64,
    ended: Option<End>,
    rest: Rest,
}

impl<F: Deref<Target: File>> Walk<F> {
    /// Frames lie in `range` of the file.
    pub(crate) fn new(file: F, id: ChunkId, range: Range<u64>) -> Self {
        let window = Window { file, bytes: Vec::new(), start: 0, end: range.end };
        let rest = Rest { damaged: Vec::new(), end: range.start };
        Self { window, id, at: range.start, ended: None, rest }
    }

    /// The next whole frame and where it begins; its body is appended to `body`.
    pub(crate) fn next(&mut self, mut body: Option<&mut Vec<u8>>) -> io::Result<Option<(u64, FrameHeader)>> {
        while self.at < self.window.end {
            let at = self.at;
            let Some(header) = FrameHeader::read(self.id, self.window.get(at, HEADER_BYTES_MAX)?) else {
                self.at = self.resynchronise(at + 1)?;
                self.rest.damage(at..self.at);
                continue;
            };
            let next = at + header.frame_bytes();
            let is_old = self.ended.is_some_and(|end| end.excludes(at, header.sequence));
            if is_old || next > self.window.end {
                self.at = self.window.end;
                self.rest.damage(at..self.at);
                break;
            }
            self.at = next;
            if self.body_is_whole(&header, next - u64::from(header.body_bytes), body.as_deref_mut())? {
                self.rest.end = next;
                return Ok(Some((at, header)));
            }
            self.rest.damage(at..next);
        }
        Ok(None)
    }

    /// The origin in a frame that [`Self::next`] has just answered.
    fn origin(&mut self, offset: u64, header: &FrameHeader) -> io::Result<&[u8]> {
        let head = self.window.get(offset, HEADER_BYTES + usize::from(header.origin_bytes))?;
        Ok(head.get(HEADER_BYTES..).unwrap_or_default())
    }

    /// Whether the checksum is right; what a void frame holds does not matter.
    fn body_is_whole(
        &mut self,
        header: &FrameHeader,
        at: u64,
        out: Option<&mut Vec<u8>>,
    ) -> io::Result<bool> {
        if header.void {
            return Ok(true);
        }
        let mut hasher = frame::body_hasher(header.sequence, self.id);
        let length = header.body_bytes as usize;
        if let Some(out) = out {
            let before = out.len();
            out.reserve(length);
            out.resize(before + length, 0);
            self.window.copy(at, &mut out[before..])?;
            hasher.update(&out[before..]);
            let is_whole = hasher.finalize() == header.body_crc;
            if !is_whole {
                out.truncate(before);
            }
            return Ok(is_whole);
        }
        let mut done = 0;
        while done < length {
            let piece = self.window.get(at + done as u64, (length - done).min(WINDOW_BYTES))?;
            if piece.is_empty() {
                return Ok(false);
            }
            hasher.update(piece);
            done += piece.len();
        }
        Ok(hasher.finalize() == header.body_crc)
    }

    /// Where the next sound header begins, from `at` on; the end if there is none.
    fn resynchronise(&mut self, mut at: u64) -> io::Result<u64> {
        while at < self.window.end {
            let piece = self.window.get(at, WINDOW_BYTES)?;
            if piece.is_empty() {
                break; // the file has become shorter meanwhile
            }
            match memchr::memmem::find(piece, &frame::MAGIC) {
                Some(found) => {
                    at += found as u64;
                    if FrameHeader::read(self.id, self.window.get(at, HEADER_BYTES_MAX)?).is_some() {
                        return Ok(at);
                    }
                    at += 1;
                }
                // The magic may begin in the last bytes of the piece.
                None => at += (piece.len().saturating_sub(frame::MAGIC.len() - 1)).max(1) as u64,
            }
        }
        Ok(self.window.end)
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
struct Window<F> {
    file: F,
    bytes: Vec<u8>,
    start: u64,
    end: u64,
}

impl<F: Deref<Target: File>> Window<F> {
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

    /// Fills `out` from `at` on; what the file does not have stays as it is. What is not in the window yet does not pass
    /// through it, unless little is wanted.
    fn copy(&mut self, at: u64, out: &mut [u8]) -> io::Result<()> {
        if out.len() <= WINDOW_BYTES / 4 {
            let piece = self.get(at, out.len())?;
            out[..piece.len()].copy_from_slice(piece);
            return Ok(());
        }
        let held = at.checked_sub(self.start).and_then(|from| self.bytes.get(usize::try_from(from).ok()?..));
        let held = held.unwrap_or_default();
        let (front, back) = out.split_at_mut(held.len().min(out.len()));
        front.copy_from_slice(&held[..front.len()]);
        if !back.is_empty() {
            self.file.read_at(back, at + front.len() as u64)?;
        }
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
        let scan = Scan::new(&*file, ID, 4..bytes.len() as u64);
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
