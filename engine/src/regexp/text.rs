//! Text that is not UTF-8.
//!
//! Ruby matches such text byte by byte if it is tagged as binary, and raises an error if it is tagged as UTF-8.
//! Here a pattern always sees characters; a byte that is part of none is seen as one character of its own, a private
//! one that no pattern names by accident: `.`, `[^x]` and `\S` take it, `\w` does not, and `\xHH` in a pattern takes
//! just that byte. Places in the text that was seen are translated back, so captures are ranges of the given bytes.

/// The character that stands for the byte 0x80; the other 127 follow.
const FIRST: u32 = 0x10_ff80;
/// How much longer such a character is than the byte it stands for.
const GROWTH: usize = 3;

/// The character by which a byte (0x80..=0xff) that is no part of a character is seen.
pub(super) fn stand_in(byte: u8) -> char {
    char::from_u32(FIRST + u32::from(byte & 0x7f)).unwrap_or(char::REPLACEMENT_CHARACTER)
}

/// A readable copy of text that is not UTF-8.
pub(super) struct Readable {
    /// The copy.
    pub(super) text: String,
    /// Where in the given bytes the bytes lie that are no part of a character, in order.
    strays: Vec<usize>,
}

impl Readable {
    pub(super) fn new(bytes: &[u8]) -> Self {
        let mut text = String::with_capacity(bytes.len() + GROWTH * 4);
        let mut strays = Vec::new();
        let mut at = 0;
        for chunk in bytes.utf8_chunks() {
            text.push_str(chunk.valid());
            at += chunk.valid().len();
            for &byte in chunk.invalid() {
                strays.push(at);
                text.push(stand_in(byte));
                at += 1;
            }
        }
        Self { text, strays }
    }

    /// The place in the copy of a place in the given bytes.
    pub(super) fn to_copy(&self, at: usize) -> usize {
        at + GROWTH * self.strays.partition_point(|&stray| stray < at)
    }

    /// The place in the given bytes of a place in the copy.
    pub(super) fn to_given(&self, at: usize) -> usize {
        // Stray number n begins in the copy at strays[n] + GROWTH * n, which grows with n.
        let (mut low, mut high) = (0, self.strays.len());
        while low < high {
            let middle = (low + high) / 2;
            if self.strays[middle] + GROWTH * middle < at { low = middle + 1 } else { high = middle }
        }
        at - GROWTH * low
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_translate_both_ways() {
        let bytes = b"a\xffb\xc3\xa9\xfe\xfec";
        let readable = Readable::new(bytes);
        for at in [0, 1, 2, 3, 5, 6, 7, 8] {
            assert_eq!(readable.to_given(readable.to_copy(at)), at, "place {at}");
        }
        assert_eq!(readable.text.chars().count(), 7);
    }
}
