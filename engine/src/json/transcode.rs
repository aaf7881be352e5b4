//! The loop from JSON text to MessagePack: iterative, with one small frame for each container that is open.

use smallvec::SmallVec;

use super::number;
use super::read::{Dialect, JsonError, JsonErrorKind, ReadOptions};
use super::string::{self, StringError};
use crate::msgpack::{KeyBits, RecordView, write_bool, write_map_len, write_nil};

/// Where the reading stands.
pub(super) struct Transcoder<'t> {
    text: &'t [u8],
    pub(super) at: usize,
    options: ReadOptions,
    frames: SmallVec<[Frame; 8]>,
}

/// A container that is open.
struct Frame {
    /// Where its header lies in the output: one byte until it is closed.
    header_at: usize,
    /// Elements, or pairs.
    count: usize,
    is_map: bool,
    /// Whether two keys may be equal, by a set of hashes.
    suspect: bool,
    keys: KeyBits,
}

impl<'t> Transcoder<'t> {
    /// At `at` of `text`.
    pub(super) fn new(text: &'t [u8], at: usize, options: ReadOptions) -> Self {
        Self { text, at, options, frames: SmallVec::new() }
    }

    /// Appends the next value to `out`.
    pub(super) fn value(&mut self, out: &mut Vec<u8>) -> Result<(), JsonError> {
        loop {
            let Some(byte) = self.white_space()? else { return Err(self.incomplete()) };
            match byte {
                b'"' => {
                    self.string(out)?;
                }
                b'{' | b'[' => {
                    let is_map = byte == b'{';
                    self.open(is_map, out)?;
                    let close = if is_map { b'}' } else { b']' };
                    match self.white_space()? {
                        Some(byte) if byte == close => {
                            self.at += 1;
                            self.frames.pop();
                        }
                        _ if is_map => {
                            self.key(out)?;
                            continue;
                        }
                        _ => continue,
                    }
                }
                b'-' | b'0'..=b'9' => self.number(out)?,
                b't' => self.word(b"true", out, |out| write_bool(out, true))?,
                b'f' => self.word(b"false", out, |out| write_bool(out, false))?,
                b'n' if self.text[self.at..].starts_with(b"nan") => self.number(out)?,
                b'n' => self.word(b"null", out, write_nil)?,
                b'N' | b'I' => self.number(out)?,
                other => return Err(self.error(JsonErrorKind::Unexpected(other))),
            }
            if self.behind_value(out)? {
                return Ok(());
            }
        }
    }

    /// Closes the containers that end here. Answers whether the whole value has ended; if not, another one follows.
    #[inline]
    fn behind_value(&mut self, out: &mut Vec<u8>) -> Result<bool, JsonError> {
        loop {
            let Some(frame) = self.frames.last_mut() else { return Ok(true) };
            frame.count += 1;
            let is_map = frame.is_map;
            match self.white_space()? {
                Some(b',') => {
                    self.at += 1;
                    if is_map {
                        self.white_space()?;
                        self.key(out)?;
                    }
                    return Ok(false);
                }
                Some(b'}') if is_map => {}
                Some(b']') if !is_map => {}
                Some(byte) => return Err(self.error(JsonErrorKind::Unexpected(byte))),
                None => return Err(self.incomplete()),
            }
            self.at += 1;
            if let Some(frame) = self.frames.pop() {
                frame.close(out);
            }
        }
    }

    fn open(&mut self, is_map: bool, out: &mut Vec<u8>) -> Result<(), JsonError> {
        if self.frames.len() >= self.options.depth {
            return Err(self.error(JsonErrorKind::TooDeep));
        }
        self.at += 1;
        self.frames.push(Frame {
            header_at: out.len(),
            count: 0,
            is_map,
            suspect: false,
            keys: KeyBits::default(),
        });
        out.push(if is_map { 0x80 } else { 0x90 });
        Ok(())
    }

    /// Reads a key and its colon.
    #[inline]
    fn key(&mut self, out: &mut Vec<u8>) -> Result<(), JsonError> {
        match self.text.get(self.at) {
            Some(b'"') => {}
            Some(&byte) => return Err(self.error(JsonErrorKind::Unexpected(byte))),
            None => return Err(self.incomplete()),
        }
        let key_at = self.string(out)?;
        if let Some(frame) = self.frames.last_mut() {
            frame.suspect |= frame.keys.insert(&out[key_at..]);
        }
        match self.white_space()? {
            Some(b':') => {
                self.at += 1;
                Ok(())
            }
            Some(byte) => Err(self.error(JsonErrorKind::Unexpected(byte))),
            None => Err(self.incomplete()),
        }
    }

    /// Reads a string; answers where its bytes begin in the output.
    #[inline]
    fn string(&mut self, out: &mut Vec<u8>) -> Result<usize, JsonError> {
        let (end, bytes_at) = string::read(self.text, self.at + 1, self.options.dialect, out)
            .map_err(|StringError { at, kind }| JsonError { at: at.min(self.text.len()), kind })?;
        self.at = end;
        Ok(bytes_at)
    }

    #[inline]
    fn number(&mut self, out: &mut Vec<u8>) -> Result<(), JsonError> {
        self.at = number::read(self.text, self.at, self.options.dialect, out)?;
        Ok(())
    }

    fn word(
        &mut self,
        word: &[u8],
        out: &mut Vec<u8>,
        write: impl Fn(&mut Vec<u8>),
    ) -> Result<(), JsonError> {
        let rest = &self.text[self.at..];
        if rest.starts_with(word) {
            self.at += word.len();
            write(out);
            return Ok(());
        }
        if word.starts_with(rest) {
            return Err(self.incomplete());
        }
        Err(self.error(JsonErrorKind::Unexpected(rest[0])))
    }

    /// Passes over white space and comments; answers the byte behind, `None` at the end of the text.
    #[inline(always)]
    pub(super) fn white_space(&mut self) -> Result<Option<u8>, JsonError> {
        match self.text.get(self.at) {
            Some(&byte) if byte > b' ' && byte != b'/' => Ok(Some(byte)),
            _ => self.white_space_slow(),
        }
    }

    fn white_space_slow(&mut self) -> Result<Option<u8>, JsonError> {
        loop {
            if self.blanks() != Some(b'/') {
                return Ok(self.text.get(self.at).copied());
            }
            let rest = &self.text[self.at..];
            let end = match rest.get(1) {
                Some(b'*') => memchr::memmem::find(&rest[2..], b"*/").map(|at| at + 4),
                Some(b'/') => memchr::memchr(b'\n', rest).map(|at| at + 1),
                Some(_) => return Err(self.error(JsonErrorKind::Unexpected(b'/'))),
                None => None,
            };
            match end {
                Some(length) => self.at += length,
                None => {
                    let error = self.incomplete();
                    self.at = self.text.len();
                    return Err(error);
                }
            }
        }
    }

    /// Passes over white space only; answers the byte behind.
    pub(super) fn blanks(&mut self) -> Option<u8> {
        loop {
            let byte = *self.text.get(self.at)?;
            let blank = match byte {
                b' ' | b'\t' | b'\n' | b'\r' => true,
                b'\x0c' => self.options.dialect != Dialect::Json,
                b'\x0b' => self.options.dialect == Dialect::Yajl,
                _ => false,
            };
            if !blank {
                return Some(byte);
            }
            self.at += 1;
        }
    }

    fn error(&self, kind: JsonErrorKind) -> JsonError {
        JsonError { at: self.at, kind }
    }

    fn incomplete(&self) -> JsonError {
        JsonError { at: self.text.len(), kind: JsonErrorKind::Incomplete }
    }
}

impl Frame {
    /// Writes the header, now that the count is known.
    #[inline]
    fn close(mut self, out: &mut Vec<u8>) {
        if self.suspect {
            self.unite_duplicates(out);
        }
        let small = if self.is_map { 0x80 } else { 0x90 };
        if self.count < 16 {
            out[self.header_at] = small | self.count as u8;
        } else {
            self.widen(out);
        }
    }

    fn widen(&self, out: &mut Vec<u8>) {
        let marker = if self.is_map { 0xde } else { 0xdc };
        let place = self.header_at..self.header_at + 1;
        if let Ok(count) = u16::try_from(self.count) {
            let [a, b] = count.to_be_bytes();
            out.splice(place, [marker, a, b]);
        } else {
            let [a, b, c, d] = u32::try_from(self.count).unwrap_or(u32::MAX).to_be_bytes();
            out.splice(place, [marker + 1, a, b, c, d]);
        }
    }

    /// Rewrites the object so that each key is there once: at its first place, with its last value.
    #[cold]
    fn unite_duplicates(&mut self, out: &mut Vec<u8>) {
        let body_at = self.header_at + 1;
        let mut whole = Vec::with_capacity(out.len() - body_at + 5);
        write_map_len(&mut whole, self.count);
        whole.extend_from_slice(&out[body_at..]);
        let Some(united) = RecordView::new(&whole).distinct() else { return };
        out.truncate(body_at);
        for (key, value) in &united {
            out.extend_from_slice(key);
            out.extend_from_slice(value);
        }
        self.count = united.len();
    }
}
