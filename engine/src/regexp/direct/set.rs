//! Sets of bytes and of characters.

use regex_syntax::hir::ClassUnicode;

/// A set of bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Bytes([u64; 4]);

impl Bytes {
    /// All bytes by which a character begins.
    pub(super) fn starts() -> Self {
        let mut all = Self::default();
        (0..=0x7f).chain(WIDE_STARTS).for_each(|byte| all.add(byte));
        all
    }

    pub(super) fn one(byte: u8) -> Self {
        let mut set = Self::default();
        set.add(byte);
        set
    }

    pub(super) fn add(&mut self, byte: u8) {
        self.0[usize::from(byte / 64)] |= 1 << (byte % 64);
    }

    pub(super) fn has(self, byte: u8) -> bool {
        self.0[usize::from(byte / 64)] & (1 << (byte % 64)) != 0
    }

    pub(super) fn is_empty(self) -> bool {
        self.0 == [0; 4]
    }

    pub(super) fn union(self, other: Self) -> Self {
        Self(std::array::from_fn(|n| self.0[n] | other.0[n]))
    }

    pub(super) fn intersection(self, other: Self) -> Self {
        Self(std::array::from_fn(|n| self.0[n] & other.0[n]))
    }

    pub(super) fn without(self, other: Self) -> Self {
        Self(std::array::from_fn(|n| self.0[n] & !other.0[n]))
    }

    pub(super) fn complement(self) -> Self {
        Self(self.0.map(|bits| !bits))
    }

    pub(super) fn iter(self) -> impl Iterator<Item = u8> {
        (0..=u8::MAX).filter(move |byte| self.has(*byte))
    }

    pub(super) fn table(self) -> [bool; 256] {
        std::array::from_fn(|n| self.has(n as u8))
    }
}

/// The bytes by which characters of several bytes begin.
pub(super) const WIDE_STARTS: std::ops::RangeInclusive<u8> = 0xc2..=0xf4;

/// How a place of the text may go on: with one of these bytes, each of which begins a character, or not at all.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Next {
    pub(super) bytes: Bytes,
    /// The text may end here.
    pub(super) end: bool,
}

impl Next {
    pub(super) fn anything() -> Self {
        Self { bytes: Bytes::starts(), end: true }
    }

    pub(super) fn union(self, other: Self) -> Self {
        Self { bytes: self.bytes.union(other.bytes), end: self.end || other.end }
    }

    pub(super) fn intersection(self, other: Self) -> Self {
        Self { bytes: self.bytes.intersection(other.bytes), end: self.end && other.end }
    }
}

/// A set of characters.
#[derive(Clone, Debug)]
pub(super) struct CharSet {
    /// By byte: ASCII exactly; the bytes of longer characters if all of these are in the set.
    table: [bool; 256],
    wide: Wide,
    /// The bytes by which its characters begin.
    starts: Bytes,
}

/// Which characters of more than one byte are in a set.
#[derive(Clone, Debug)]
enum Wide {
    None,
    All,
    Some(Box<[(char, char)]>),
}

impl CharSet {
    pub(super) fn new(class: &ClassUnicode) -> Self {
        let mut bytes = Bytes::default();
        let mut wide = Vec::new();
        for range in class.iter() {
            for char in range.start()..=range.end().min('\x7f') {
                bytes.add(char as u8);
            }
            if !range.end().is_ascii() {
                wide.push((range.start().max('\u{80}'), range.end()));
            }
        }
        let mut starts = bytes;
        for &(first, last) in &wide {
            (first_byte(first)..=first_byte(last)).for_each(|byte| starts.add(byte));
        }
        let wide = if wide.is_empty() {
            Wide::None
        } else if covers_all(&wide) {
            (0x80..=0xff).for_each(|byte| bytes.add(byte));
            Wide::All
        } else {
            Wide::Some(wide.into())
        };
        Self { table: bytes.table(), wide, starts }
    }

    pub(super) fn starts(&self) -> Bytes {
        self.starts
    }

    /// The bytes that are in the set without looking at what follows them: its ASCII characters, and all bytes of longer
    /// characters if all of these are in the set.
    pub(super) fn certain(&self) -> Bytes {
        let mut bytes = Bytes::default();
        (0..=u8::MAX).filter(|byte| self.table[usize::from(*byte)]).for_each(|byte| bytes.add(byte));
        bytes
    }

    /// Whether a run of its characters is a run of bytes of [`Self::certain`].
    pub(super) fn is_bytewise(&self) -> bool {
        !matches!(self.wide, Wide::Some(_))
    }

    /// Whether each of its characters is one byte.
    pub(super) fn is_ascii(&self) -> bool {
        matches!(self.wide, Wide::None)
    }

    /// Where the text goes on behind the character at `at` if that is in the set; none at the end.
    #[inline]
    pub(super) fn step(&self, text: &str, at: usize) -> Option<usize> {
        let byte = *text.as_bytes().get(at)?;
        if byte.is_ascii() {
            return self.table[usize::from(byte)].then_some(at + 1);
        }
        match &self.wide {
            Wide::None => None,
            Wide::All => Some(at + width(byte)),
            Wide::Some(ranges) => {
                let char = text.get(at..)?.chars().next()?;
                has(ranges, char).then(|| at + char.len_utf8())
            }
        }
    }

    /// Whether the character before `at` is in the set; not so at the start.
    pub(super) fn is_behind(&self, text: &str, at: usize) -> bool {
        let Some(char) = text.get(..at).and_then(|before| before.chars().next_back()) else { return false };
        match &self.wide {
            _ if char.is_ascii() => self.table[char as usize],
            Wide::None => false,
            Wide::All => true,
            Wide::Some(ranges) => has(ranges, char),
        }
    }
}

fn has(ranges: &[(char, char)], char: char) -> bool {
    let behind = ranges.partition_point(|&(first, _)| first <= char);
    behind > 0 && char <= ranges[behind - 1].1
}

/// Whether ranges in order leave out no character of more than one byte.
fn covers_all(ranges: &[(char, char)]) -> bool {
    let mut expected = Some('\u{80}');
    for &(first, last) in ranges {
        if expected != Some(first) {
            return false;
        }
        expected = (last..=char::MAX).nth(1);
    }
    expected.is_none()
}

fn first_byte(char: char) -> u8 {
    char.encode_utf8(&mut [0; 4]).as_bytes()[0]
}

/// How many bytes a character has, by its first one.
fn width(first: u8) -> usize {
    match first {
        0..=0xbf => 1,
        0xc0..=0xdf => 2,
        0xe0..=0xef => 3,
        0xf0..=0xff => 4,
    }
}
