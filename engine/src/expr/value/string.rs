//! Strings: bytes that are usually UTF-8, borrowed until somebody changes them.

use bumpalo::Bump;
use bumpalo::collections::Vec as ArenaVec;
use std::cell::{Cell, RefCell};

/// A String object.
#[derive(Debug)]
pub(crate) struct Str<'a> {
    text: RefCell<Text<'a>>,
    /// ASCII-8BIT: each byte is a character, and it becomes a MessagePack bin.
    pub(crate) binary: Cell<bool>,
    /// Its bytes are said to be ISO-8859-1; `binary` is set, too.
    pub(crate) latin1: Cell<bool>,
    pub(crate) frozen: Cell<bool>,
}

#[derive(Debug)]
enum Text<'a> {
    Slice(&'a [u8]),
    /// Being appended to.
    Growing(ArenaVec<'a, u8>),
}

impl<'a> Str<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Self {
            text: RefCell::new(Text::Slice(bytes)),
            binary: Cell::new(false),
            latin1: Cell::new(false),
            frozen: Cell::new(false),
        }
    }

    pub(crate) fn binary(bytes: &'a [u8]) -> Self {
        let string = Self::new(bytes);
        string.binary.set(true);
        string
    }

    /// What it holds now.
    #[inline]
    pub(crate) fn bytes(&self) -> &'a [u8] {
        if let Text::Slice(bytes) = &*self.text.borrow() {
            return bytes;
        }
        let mut text = self.text.borrow_mut();
        let bytes = match std::mem::replace(&mut *text, Text::Slice(&[])) {
            Text::Slice(bytes) => bytes,
            Text::Growing(bytes) => bytes.into_bump_slice(),
        };
        *text = Text::Slice(bytes);
        bytes
    }

    pub(crate) fn len(&self) -> usize {
        match &*self.text.borrow() {
            Text::Slice(bytes) => bytes.len(),
            Text::Growing(bytes) => bytes.len(),
        }
    }

    pub(crate) fn set(&self, bytes: &'a [u8]) {
        *self.text.borrow_mut() = Text::Slice(bytes);
    }

    pub(crate) fn append(&self, arena: &'a Bump, more: &[u8]) {
        let mut text = self.text.borrow_mut();
        if let Text::Slice(bytes) = *text {
            let mut growing = ArenaVec::with_capacity_in((bytes.len() + more.len()) * 2, arena);
            growing.extend_from_slice(bytes);
            *text = Text::Growing(growing);
        }
        if let Text::Growing(bytes) = &mut *text {
            bytes.extend_from_slice(more);
        }
    }
}

/// Whether `bytes` are UTF-8.
pub(crate) fn is_utf8(bytes: &[u8]) -> bool {
    std::str::from_utf8(bytes).is_ok()
}

/// The characters of a string; a byte that belongs to none is one by itself, as in Ruby.
pub(crate) fn chars(bytes: &[u8], binary: bool) -> Chars<'_> {
    Chars { rest: bytes, binary }
}

/// See [`chars`].
#[derive(Clone, Debug)]
pub(crate) struct Chars<'t> {
    rest: &'t [u8],
    binary: bool,
}

impl<'t> Iterator for Chars<'t> {
    type Item = &'t [u8];

    fn next(&mut self) -> Option<&'t [u8]> {
        let first = *self.rest.first()?;
        let claimed = match first {
            _ if self.binary || first < 0xc2 => 1,
            0xc2..=0xdf => 2,
            0xe0..=0xef => 3,
            0xf0..=0xf4 => 4,
            _ => 1,
        };
        let length = if claimed > 1 && self.rest.get(..claimed).is_some_and(is_utf8) { claimed } else { 1 };
        let (c, rest) = self.rest.split_at(length);
        self.rest = rest;
        Some(c)
    }
}

impl DoubleEndedIterator for Chars<'_> {
    fn next_back(&mut self) -> Option<Self::Item> {
        let length = self.rest.len();
        if length == 0 {
            return None;
        }
        let mut taken = 1;
        if !self.binary && self.rest[length - 1] >= 0x80 {
            taken = (2..=4.min(length)).find(|n| is_one_char(&self.rest[length - n..])).unwrap_or(1);
        }
        let (rest, c) = self.rest.split_at(length - taken);
        self.rest = rest;
        Some(c)
    }
}

fn is_one_char(bytes: &[u8]) -> bool {
    std::str::from_utf8(bytes).is_ok_and(|text| text.chars().count() == 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn characters_from_both_ends() {
        let text = b"a\xc3\xa9\xff\xe6\x97\xa5\xe6z";
        let expected: Vec<&[u8]> = vec![b"a", b"\xc3\xa9", b"\xff", b"\xe6\x97\xa5", b"\xe6", b"z"];
        assert_eq!(chars(text, false).collect::<Vec<_>>(), expected);
        let mut back: Vec<_> = chars(text, false).rev().collect();
        back.reverse();
        assert_eq!(back, expected);
        assert_eq!(chars(text, true).count(), text.len());
    }

    #[test]
    fn appending_keeps_what_was_handed_out() {
        let arena = Bump::new();
        let string = Str::new(b"ab");
        let before = string.bytes();
        string.append(&arena, b"cd");
        string.append(&arena, b"ef");
        assert_eq!((before, string.len(), string.bytes()), (&b"ab"[..], 6, &b"abcdef"[..]));
        string.append(&arena, b"g");
        assert_eq!(string.bytes(), b"abcdefg");
    }
}
