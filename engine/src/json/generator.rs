//! The walk from MessagePack to JSON text.

use smallvec::SmallVec;

use super::block::must_escape;
use super::float::{write_oj_float, write_ruby_float};
use super::generate::{GenerateError, JsonStyle, write_json_string};
use super::inspect::ruby_to_s;
use super::out::Out;
use crate::msgpack::{
    DEPTH_MAX, Kind, ReadError, Reader, RecordView, Sink, Time, ValueRef, big_int_digits, key_hash, skip,
};

/// Where the reading and the writing stand.
pub(super) struct Generator<'r, 'o> {
    raw: &'r [u8],
    /// Where the next value begins.
    at: usize,
    pub(super) out: Out<'o>,
    style: JsonStyle,
    /// Whether each map is looked through for equal keys before it is written. Without, they are noticed too late, and
    /// everything is written again.
    careful: bool,
    /// Hashes of the keys of the maps that are open.
    hashes: SmallVec<[u32; 32]>,
}

/// Why the walk ended early.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Stop {
    /// There is no text for the value.
    Error(GenerateError),
    /// Two keys of a map may be equal.
    SuspectKeys,
}

impl From<GenerateError> for Stop {
    fn from(error: GenerateError) -> Self {
        Self::Error(error)
    }
}

impl From<ReadError> for Stop {
    fn from(_: ReadError) -> Self {
        Self::Error(GenerateError::Malformed)
    }
}

impl<'r, 'o> Generator<'r, 'o> {
    pub(super) fn new(raw: &'r [u8], out: &'o mut Vec<u8>, style: JsonStyle) -> Self {
        let out = Out::new(out, raw.len());
        Self { raw, at: 0, out, style, careful: false, hashes: SmallVec::new() }
    }

    /// Forgets what has been written from `start` on; from now on it is careful.
    pub(super) fn start_again(&mut self, start: usize) {
        self.at = 0;
        self.out.at = start;
        self.careful = true;
    }

    /// Writes the next value, which lies within `depth` containers.
    pub(super) fn value(&mut self, depth: usize) -> Result<(), Stop> {
        if self.short_string() {
            return Ok(());
        }
        let rest = self.rest();
        let mut reader = Reader::new(rest);
        match reader.peek()? {
            Kind::Map => return self.map(depth),
            Kind::Array => return self.array(depth),
            _ => {}
        }
        match reader.read_value()? {
            ValueRef::Str(text) | ValueRef::Bin(text) => self.string(text)?,
            ValueRef::Nil => self.out.put(*b"null"),
            ValueRef::Bool(true) => self.out.put(*b"true"),
            ValueRef::Bool(false) => self.out.put(*b"false"),
            ValueRef::Int(number) => self.decimal(number.unsigned_abs(), number < 0),
            ValueRef::UInt(number) => self.decimal(number, false),
            ValueRef::F32(number) => self.float(f64::from(number))?,
            ValueRef::F64(number) => self.float(number)?,
            ValueRef::Ext(kind, payload) => match (Time::read(rest), big_int_digits(kind, payload)) {
                (Time::Event(time), _) => self.decimal(time.sec.unsigned_abs(), time.sec < 0),
                (_, Some(digits)) => self.out.put_slice(digits),
                _ => return Err(GenerateError::UnknownExtension(kind).into()),
            },
            ValueRef::Array(_) | ValueRef::Map(_) => return Err(GenerateError::Malformed.into()),
        }
        self.at += reader.position();
        Ok(())
    }

    fn array(&mut self, depth: usize) -> Result<(), Stop> {
        let mut reader = Reader::new(self.rest());
        let length = reader.read_array_len()?;
        self.at += reader.position();
        let depth = deeper(depth, length)?;
        self.out.put(*b"[");
        for index in 0..length {
            if index > 0 {
                self.out.put(*b",");
            }
            self.value(depth)?;
        }
        self.out.put(*b"]");
        Ok(())
    }

    fn map(&mut self, depth: usize) -> Result<(), Stop> {
        if self.careful
            && let Some(distinct) = RecordView::new(self.rest()).distinct()
        {
            return self.distinct_map(&distinct, depth);
        }
        let mut reader = Reader::new(self.rest());
        let length = reader.read_map_len()?;
        self.at += reader.position();
        let depth = deeper(depth, length)?;
        self.out.put(*b"{");
        let hashes_at = self.hashes.len();
        let mut bits = 0;
        for index in 0..length {
            if index > 0 {
                self.out.put(*b",");
            }
            let key_at = self.at;
            self.key()?;
            if !self.careful {
                self.check_key(key_at, &mut bits, hashes_at)?;
            }
            if !self.short_string() {
                self.value(depth)?;
            }
        }
        self.hashes.truncate(hashes_at);
        self.out.put(*b"}");
        Ok(())
    }

    /// Writes a map of which the pairs have been sorted out.
    #[cold]
    fn distinct_map(&mut self, pairs: &[(&'r [u8], &'r [u8])], depth: usize) -> Result<(), Stop> {
        let depth = deeper(depth, pairs.len())?;
        let (raw, end) = (self.raw, skip(self.raw, self.at).map_err(ReadError::from)?);
        self.out.put(*b"{");
        for (index, (key, field)) in pairs.iter().enumerate() {
            if index > 0 {
                self.out.put(*b",");
            }
            (self.raw, self.at) = (key, 0);
            self.key()?;
            (self.raw, self.at) = (field, 0);
            self.value(depth)?;
        }
        self.out.put(*b"}");
        (self.raw, self.at) = (raw, end);
        Ok(())
    }

    /// Stops if the key that begins at `key_at` and has been written may be equal to one before it in its map.
    #[inline(always)]
    fn check_key(&mut self, key_at: usize, bits: &mut u64, hashes_at: usize) -> Result<(), Stop> {
        let raw = self.raw.get(key_at..self.at).unwrap_or_default();
        let hash = match raw {
            [0xa0..=0xbf, name @ ..] => key_hash(name),
            _ => other_key_hash(raw),
        };
        let bit = 1u64 << (hash >> 26);
        let own = &self.hashes[hashes_at..];
        if *bits & bit != 0 && (own.len() > 64 || own.contains(&hash)) {
            return Err(Stop::SuspectKeys);
        }
        *bits |= bit;
        self.hashes.push(hash);
        Ok(())
    }

    /// Writes a key and its colon.
    #[inline(always)]
    fn key(&mut self) -> Result<(), Stop> {
        if !self.short_string() {
            self.any_key()?;
        }
        self.out.put(*b":");
        Ok(())
    }

    fn any_key(&mut self) -> Result<(), Stop> {
        let rest = self.rest();
        let mut reader = Reader::new(rest);
        match reader.read_value()? {
            ValueRef::Str(name) | ValueRef::Bin(name) => self.string(name)?,
            _ => {
                let mut name = Vec::new();
                ruby_to_s(rest, &mut name);
                self.string(&name)?;
            }
        }
        self.at += reader.position();
        Ok(())
    }

    /// Writes the next value if it is a string of up to 31 bytes, none of which must be escaped, and not among the last bytes; as a
    /// block of 32, without a loop.
    #[inline(always)]
    fn short_string(&mut self) -> bool {
        let Some((&marker @ 0xa0..=0xbf, text)) = self.raw.get(self.at..).and_then(<[u8]>::split_first)
        else {
            return false;
        };
        let length = usize::from(marker & 0x1f);
        let (Some(block), Some(room)) = (text.first_chunk::<32>(), self.out.room::<34>()) else {
            return false;
        };
        if must_escape(block) & !(u32::MAX << length) != 0 || self.style == JsonStyle::Ruby {
            return false;
        }
        room[0] = b'"';
        room[1..33].copy_from_slice(block);
        room[1 + length] = b'"';
        self.out.at += length + 2;
        self.at += 1 + length;
        true
    }

    fn string(&mut self, text: &[u8]) -> Result<(), Stop> {
        if self.style == JsonStyle::Ruby && std::str::from_utf8(text).is_err() {
            return Err(GenerateError::Utf8.into());
        }
        let style = self.style;
        self.out.append(|out| write_json_string(text, out, style));
        Ok(())
    }

    fn rest(&self) -> &'r [u8] {
        self.raw.get(self.at..).unwrap_or_default()
    }

    fn float(&mut self, number: f64) -> Result<(), Stop> {
        match self.style {
            JsonStyle::Oj => self.out.append(|out| write_oj_float(out, number)),
            JsonStyle::Yajl | JsonStyle::Ruby if !number.is_finite() => {
                return Err(GenerateError::NotFinite(number).into());
            }
            JsonStyle::Yajl | JsonStyle::Ruby => self.out.append(|out| write_ruby_float(out, number)),
        }
        Ok(())
    }

    fn decimal(&mut self, magnitude: u64, negative: bool) {
        let mut digits = [b'0'; 21];
        let mut at = digits.len();
        let mut rest = magnitude;
        loop {
            at -= 1;
            digits[at] = b'0' + (rest % 10) as u8;
            rest /= 10;
            if rest == 0 {
                break;
            }
        }
        if negative {
            at -= 1;
            digits[at] = b'-';
        }
        self.out.put_slice(&digits[at..]);
    }
}

/// The hash of a key that is no short string. A byte array may be equal to a string.
fn other_key_hash(raw: &[u8]) -> u32 {
    match ValueRef::read(raw) {
        Ok(ValueRef::Str(name) | ValueRef::Bin(name)) => key_hash(name),
        _ => key_hash(raw),
    }
}

/// The depth within a container of `length`.
fn deeper(depth: usize, length: usize) -> Result<usize, GenerateError> {
    if depth >= DEPTH_MAX && length > 0 {
        return Err(GenerateError::Malformed);
    }
    Ok(depth + 1)
}
