//! Ruby's String#split and String#chomp.

use memchr::memmem;
use smallvec::SmallVec;

/// Pieces of a text.
pub(crate) type Pieces<'t> = SmallVec<[&'t [u8]; 16]>;

/// `text.split(delimiter)`: empty pieces at the end are left out. A blank as delimiter means runs of white space, an empty
/// delimiter single characters.
pub(crate) fn split<'t>(text: &'t [u8], delimiter: &[u8]) -> Pieces<'t> {
    let mut pieces = split_all(text, delimiter, usize::MAX);
    while pieces.last().is_some_and(|piece| piece.is_empty()) {
        pieces.pop();
    }
    pieces
}

/// `text.split(delimiter, limit)`: at most `limit` pieces, of which the last takes the rest; empty ones stay.
pub(crate) fn split_limited<'t>(text: &'t [u8], delimiter: &[u8], limit: usize) -> Pieces<'t> {
    if text.is_empty() { Pieces::new() } else { split_all(text, delimiter, limit) }
}

/// At most `limit` pieces, empty ones included.
pub(crate) fn split_all<'t>(text: &'t [u8], delimiter: &[u8], limit: usize) -> Pieces<'t> {
    let mut pieces = Pieces::new();
    let mut rest = text;
    match delimiter {
        b" " => {
            rest = trim_start(rest);
            while pieces.len() + 1 < limit
                && let Some(end) = rest.iter().position(|byte| is_blank(*byte))
            {
                pieces.push(&rest[..end]);
                rest = trim_start(&rest[end..]);
            }
        }
        b"" => {
            while pieces.len() + 1 < limit
                && let Some(&first) = rest.first()
            {
                let (piece, behind) = rest.split_at(character_length(first).min(rest.len()));
                pieces.push(piece);
                rest = behind;
            }
        }
        delimiter => {
            while pieces.len() + 1 < limit
                && let Some(at) = find(rest, delimiter)
            {
                pieces.push(&rest[..at]);
                rest = &rest[at + delimiter.len()..];
            }
        }
    }
    pieces.push(rest);
    pieces
}

/// Where `needle` lies in `text`.
pub(crate) fn find(text: &[u8], needle: &[u8]) -> Option<usize> {
    match needle {
        [byte] => memchr::memchr(*byte, text),
        needle => memmem::find(text, needle),
    }
}

/// `text.chomp`: without one line end.
pub(crate) fn chomp(text: &[u8]) -> &[u8] {
    text.strip_suffix(b"\r\n")
        .or_else(|| text.strip_suffix(b"\n"))
        .or_else(|| text.strip_suffix(b"\r"))
        .unwrap_or(text)
}

/// White space as Ruby's split and `\s` have it.
pub(crate) fn is_blank(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t'..=b'\r')
}

fn trim_start(text: &[u8]) -> &[u8] {
    let blanks = text.iter().take_while(|byte| is_blank(**byte)).count();
    &text[blanks..]
}

fn character_length(first: u8) -> usize {
    match first {
        0xc2..=0xdf => 2,
        0xe0..=0xef => 3,
        0xf0..=0xf4 => 4,
        _ => 1,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(pieces: Pieces<'_>) -> Vec<&str> {
        pieces.into_iter().map(|piece| std::str::from_utf8(piece).unwrap()).collect()
    }

    #[test]
    fn as_ruby_splits() {
        let all = |text: &'static str, delimiter: &str| shown(split(text.as_bytes(), delimiter.as_bytes()));
        assert_eq!(all("a,b,,", ","), ["a", "b"]);
        assert_eq!(all(",a,b", ","), ["", "a", "b"]);
        assert!(all("", ",").is_empty());
        assert_eq!(all(" a  b ", " "), ["a", "b"]);
        assert_eq!(all("\ta\tb", " "), ["a", "b"]);
        assert_eq!(all("aéb", ""), ["a", "é", "b"]);
        assert_eq!(all("a||b", "||"), ["a", "b"]);
        let some = |text: &'static str, delimiter: &str, limit| {
            shown(split_limited(text.as_bytes(), delimiter.as_bytes(), limit))
        };
        assert_eq!(some("  a  b c ", " ", 2), ["a", "b c "]);
        assert_eq!(some("a,b,,", ",", 2), ["a", "b,,"]);
        assert_eq!(some("a\t", "\t", 5), ["a", ""]);
        assert_eq!(some("a:", ":", 2), ["a", ""]);
        assert!(some("", "\t", 3).is_empty());
    }

    #[test]
    fn as_ruby_chomps() {
        for (text, expected) in [("x\r\n", "x"), ("x\n\n", "x\n"), ("x\r", "x"), ("x\n\r", "x\n"), ("x", "x")]
        {
            assert_eq!(chomp(text.as_bytes()), expected.as_bytes());
        }
    }
}
