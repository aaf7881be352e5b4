//! The loop from JSON text to MessagePack: iterative, with one small frame for each container that is open.

use smallvec::SmallVec;

use super::known_keys::KnownKeys;
use super::number;
use super::out::Out;
use super::read::{Dialect, JsonError, JsonErrorKind, ReadOptions};
use super::string::{self, StringError};
use super::watch::{Watch, Watched, WatchedKey};
use crate::msgpack::{RecordView, Sink, key_hash, write_map_len};

/// Where the reading stands.
pub(super) struct Transcoder<'t> {
    text: &'t [u8],
    options: ReadOptions,
    /// The container that is open, and those around it.
    frame: Frame,
    parents: SmallVec<[Frame; 8]>,
    /// Hashes of the keys of all open maps.
    hashes: SmallVec<[u32; 32]>,
    /// Looks for a field of the outermost object.
    watch: Watch<'t>,
}

/// A container that is open.
struct Frame {
    kind: Kind,
    /// Whether two keys may be equal.
    suspect: bool,
    /// Where its header lies in the output: one byte until it is closed.
    header_at: usize,
    /// Elements, or pairs.
    count: usize,
    /// Where the hashes of its keys begin.
    hashes_at: usize,
    /// The hashes' upper six bits as a set: a key whose bit is new is new.
    bits: u64,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// Around the whole value.
    None,
    Array,
    Map,
}

/// Where fields that were read in a row end.
enum Fields {
    /// Behind a key and its colon.
    Value(usize),
    /// Behind a value.
    Behind(usize),
}

impl<'t> Transcoder<'t> {
    /// At the start of `text`.
    pub(super) fn new(text: &'t [u8], options: ReadOptions, watched: Option<&'t WatchedKey>) -> Self {
        let frame = Frame::new(Kind::None, 0, 0);
        let watch = Watch::new(watched);
        Self { text, options, frame, parents: SmallVec::new(), hashes: SmallVec::new(), watch }
    }

    /// Where the field is that was to be watched for, once the value is complete.
    pub(super) fn watched(&self) -> Watched {
        self.watch.found()
    }

    /// Appends the next value to `out` and answers where it ends. The place in the text is handed from call to call and never
    /// stored, which would cost more than most of the calls.
    pub(super) fn value(&mut self, out: &mut Out<'_>, known: &mut KnownKeys) -> Result<usize, JsonError> {
        let mut at = 0;
        loop {
            at = self.white_space(at)?;
            at = match self.byte(at) {
                b'"' => self.string(at, out)?,
                b'{' => {
                    self.open(Kind::Map, at, out)?;
                    at = self.white_space(at + 1)?;
                    if self.byte(at) == b'}' {
                        self.close(out);
                        at + 1
                    } else {
                        match self.fields(at, out, known)? {
                            Fields::Value(value_at) => {
                                at = value_at;
                                continue;
                            }
                            Fields::Behind(behind) => behind,
                        }
                    }
                }
                b'[' => {
                    self.open(Kind::Array, at, out)?;
                    at = self.white_space(at + 1)?;
                    if self.byte(at) != b']' {
                        continue;
                    }
                    self.close(out);
                    at + 1
                }
                byte => self.scalar(byte, at, out)?,
            };
            // Behind a value: containers end here, or another value follows.
            loop {
                if self.frame.kind == Kind::None {
                    return Ok(at);
                }
                self.frame.count += 1;
                at = self.white_space(at)?;
                match self.byte(at) {
                    b',' if self.frame.kind == Kind::Map => {
                        at = self.white_space(at + 1)?;
                        match self.fields(at, out, known)? {
                            Fields::Value(value_at) => {
                                at = value_at;
                                break;
                            }
                            Fields::Behind(behind) => {
                                at = behind;
                                continue;
                            }
                        }
                    }
                    b',' => {
                        at += 1;
                        break;
                    }
                    b'}' if self.frame.kind == Kind::Map => {}
                    b']' if self.frame.kind == Kind::Array => {}
                    _ => return Err(self.unexpected(at)),
                }
                self.close(out);
                at += 1;
            }
        }
    }

    fn open(&mut self, kind: Kind, at: usize, out: &mut Out<'_>) -> Result<(), JsonError> {
        // The outermost frame is no container.
        if self.parents.len() >= self.options.depth {
            return Err(JsonError { at, kind: JsonErrorKind::TooDeep });
        }
        let frame = Frame::new(kind, out.at, self.hashes.len());
        self.parents.push(std::mem::replace(&mut self.frame, frame));
        out.put([0]);
        Ok(())
    }

    fn close(&mut self, out: &mut Out<'_>) {
        self.hashes.truncate(self.frame.hashes_at);
        let before = out.at;
        self.frame.close(out);
        if self.parents.len() == 1 {
            self.watch.close(self.frame.suspect, out.at.saturating_sub(before));
        }
        if let Some(parent) = self.parents.pop() {
            self.frame = parent;
        }
    }

    /// Reads the key at `at`. If it is known and its value is a string, as it was the last time, reads that too, and goes on
    /// like this from field to field.
    #[inline(always)]
    fn fields(&mut self, at: usize, out: &mut Out<'_>, known: &mut KnownKeys) -> Result<Fields, JsonError> {
        let mut at = at;
        if self.options.dialect != Dialect::Oj {
            return self.new_key(at, out, known).map(Fields::Value);
        }
        loop {
            let key_at = out.at;
            let Some(key) = known.recognise(self.text, at, out) else {
                return self.new_key(at, out, known).map(Fields::Value);
            };
            self.add_key(key.hash, key_at, out);
            if !key.opens_string {
                return Ok(Fields::Value(key.end));
            }
            at = match string::short(self.text, key.end, out) {
                Some(length) => key.end + length + 1,
                None => self.text_at(key.end - 1, out)?.0,
            };
            let space = usize::from(self.byte(at + 1) == b' ');
            if self.byte(at) != b',' || self.byte(at + 1 + space) != b'"' {
                return Ok(Fields::Behind(at));
            }
            at += 1 + space;
            self.frame.count += 1;
        }
    }

    /// Reads any key and its colon, and remembers it.
    fn new_key(&mut self, at: usize, out: &mut Out<'_>, known: &mut KnownKeys) -> Result<usize, JsonError> {
        if self.byte(at) != b'"' {
            return Err(self.unexpected(at));
        }
        let encoded_at = out.at;
        let (end, key_at) = self.text_at(at, out)?;
        let hash = key_hash(out.since(key_at));
        self.add_key(hash, encoded_at, out);
        let colon = self.white_space(end)?;
        if self.byte(colon) != b':' {
            return Err(self.unexpected(colon));
        }
        let end = colon + 1 + usize::from(self.byte(colon + 1) == b' ');
        let opens_string = self.byte(end) == b'"';
        known.remember(
            &self.text[at..end + usize::from(opens_string)],
            opens_string,
            out.since(encoded_at),
            hash,
        );
        Ok(end)
    }

    /// Takes note of the key that was written at `key_at`.
    #[inline(always)]
    fn add_key(&mut self, hash: u32, key_at: usize, out: &Out<'_>) {
        self.frame.add_key(hash, &mut self.hashes);
        if self.watch.may_be(hash) && self.parents.len() == 1 {
            self.watch.see(out.since(key_at), key_at, out.at);
        }
    }

    #[inline(always)]
    fn string(&mut self, at: usize, out: &mut Out<'_>) -> Result<usize, JsonError> {
        if self.options.dialect == Dialect::Oj
            && let Some(length) = string::short(self.text, at + 1, out)
        {
            return Ok(at + length + 2);
        }
        self.text_at(at, out).map(|(end, _)| end)
    }

    /// Reads any string; answers where it ends, and where its bytes begin in the output.
    fn text_at(&mut self, at: usize, out: &mut Out<'_>) -> Result<(usize, usize), JsonError> {
        string::read(self.text, at + 1, self.options.dialect, out)
            .map_err(|StringError { at, kind }| JsonError { at: at.min(self.text.len()), kind })
    }

    #[inline]
    fn scalar(&mut self, byte: u8, at: usize, out: &mut Out<'_>) -> Result<usize, JsonError> {
        match byte {
            b'-' | b'0'..=b'9' | b'N' | b'I' => number::read(self.text, at, self.options.dialect, out),
            b't' => self.word(b"true", 0xc3, at, out),
            b'f' => self.word(b"false", 0xc2, at, out),
            b'n' if self.text[at..].starts_with(b"nan") => {
                number::read(self.text, at, self.options.dialect, out)
            }
            b'n' => self.word(b"null", 0xc0, at, out),
            _ => Err(self.unexpected(at)),
        }
    }

    fn word(&mut self, word: &[u8], marker: u8, at: usize, out: &mut Out<'_>) -> Result<usize, JsonError> {
        let rest = &self.text[at..];
        if rest.starts_with(word) {
            out.put([marker]);
            return Ok(at + word.len());
        }
        if word.starts_with(rest) {
            return Err(self.incomplete());
        }
        Err(self.unexpected(at))
    }

    /// Passes over white space and comments.
    #[inline(always)]
    pub(super) fn white_space(&self, at: usize) -> Result<usize, JsonError> {
        let byte = self.byte(at);
        if byte > b' ' && byte != b'/' {
            return Ok(at);
        }
        // One space, as many programs write it.
        let byte = self.byte(at + 1);
        if self.byte(at) == b' ' && byte > b' ' && byte != b'/' {
            return Ok(at + 1);
        }
        self.white_space_slow(at)
    }

    #[cold]
    fn white_space_slow(&self, at: usize) -> Result<usize, JsonError> {
        let mut at = at;
        loop {
            at = self.blanks(at);
            if self.byte(at) != b'/' {
                return Ok(at);
            }
            let rest = &self.text[at..];
            let length = match rest.get(1) {
                Some(b'*') => memchr::memmem::find(&rest[2..], b"*/").map(|end| end + 4),
                Some(b'/') => memchr::memchr(b'\n', rest).map(|end| end + 1),
                Some(_) => return Err(self.unexpected(at)),
                None => None,
            };
            at += length.ok_or(self.incomplete())?;
        }
    }

    /// Passes over white space only.
    pub(super) fn blanks(&self, at: usize) -> usize {
        let blank = |byte: &u8| match byte {
            b' ' | b'\t' | b'\n' | b'\r' => true,
            b'\x0c' => self.options.dialect != Dialect::Json,
            b'\x0b' => self.options.dialect == Dialect::Yajl,
            _ => false,
        };
        let rest = self.text.get(at..).unwrap_or_default();
        at + rest.iter().position(|byte| !blank(byte)).unwrap_or(rest.len())
    }

    /// The byte at `at`, or 0 at the end: which nothing that is read here begins with, either.
    #[inline(always)]
    fn byte(&self, at: usize) -> u8 {
        self.text.get(at).copied().unwrap_or_default()
    }

    #[cold]
    fn unexpected(&self, at: usize) -> JsonError {
        match self.text.get(at) {
            Some(&byte) => JsonError { at, kind: JsonErrorKind::Unexpected(byte) },
            None => self.incomplete(),
        }
    }

    #[cold]
    fn incomplete(&self) -> JsonError {
        JsonError { at: self.text.len(), kind: JsonErrorKind::Incomplete }
    }
}

impl Kind {
    /// The header of an empty container; the count is added to it.
    fn small_header(self) -> u8 {
        if self == Self::Map { 0x80 } else { 0x90 }
    }
}

impl Frame {
    fn new(kind: Kind, header_at: usize, hashes_at: usize) -> Self {
        Self { kind, suspect: false, header_at, count: 0, hashes_at, bits: 0 }
    }

    /// Notes whether a key has been there before.
    #[inline(always)]
    fn add_key(&mut self, hash: u32, hashes: &mut SmallVec<[u32; 32]>) {
        let bit = 1u64 << (hash >> 26);
        if self.bits & bit != 0 && !self.suspect {
            // Large maps are looked through at their end, with a hash table.
            let own = &hashes[self.hashes_at..];
            self.suspect = own.len() > 64 || own.contains(&hash);
        }
        self.bits |= bit;
        hashes.push(hash);
    }

    /// Writes the header, now that the count is known.
    #[inline]
    fn close(&mut self, out: &mut Out<'_>) {
        if self.suspect {
            out.append(|out| self.unite_duplicates(out));
        }
        if self.count < 16 {
            *out.byte_mut(self.header_at) = self.kind.small_header() | self.count as u8;
        } else {
            out.append(|out| self.widen(out));
        }
    }

    fn widen(&self, out: &mut Vec<u8>) {
        let marker = if self.kind == Kind::Map { 0xde } else { 0xdc };
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
