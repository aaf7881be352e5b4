//! Finds what must be escaped in a JSON string.

/// Whether a byte must be escaped: quote, backslash, control characters.
const MUST_ESCAPE: [bool; 256] = {
    let mut table = [false; 256];
    let mut byte = 0;
    while byte < 0x20 {
        table[byte] = true;
        byte += 1;
    }
    table[b'"' as usize] = true;
    table[b'\\' as usize] = true;
    table
};

const ONES: u64 = u64::from_ne_bytes([0x01; 8]);
const HIGHS: u64 = u64::from_ne_bytes([0x80; 8]);

/// Appends `text` as a JSON string, quotes included. Bytes that are no UTF-8 are kept.
pub(super) fn write_string(text: &[u8], hex: &[u8; 16], out: &mut Vec<u8>) {
    out.reserve(text.len() + 2);
    out.push(b'"');
    let mut run = 0;
    let mut at = 0;
    while let Some(found) = find(text, at) {
        out.extend_from_slice(&text[run..found]);
        let byte = text[found];
        match byte {
            b'"' | b'\\' => out.extend_from_slice(&[b'\\', byte]),
            b'\n' => out.extend_from_slice(b"\\n"),
            b'\t' => out.extend_from_slice(b"\\t"),
            b'\r' => out.extend_from_slice(b"\\r"),
            0x08 => out.extend_from_slice(b"\\b"),
            0x0c => out.extend_from_slice(b"\\f"),
            _ => {
                out.extend_from_slice(b"\\u00");
                out.extend_from_slice(&[hex[usize::from(byte >> 4)], hex[usize::from(byte & 15)]]);
            }
        }
        at = found + 1;
        run = at;
    }
    out.extend_from_slice(&text[run..]);
    out.push(b'"');
}

/// The first byte from `at` on that must be escaped.
#[inline]
fn find(text: &[u8], at: usize) -> Option<usize> {
    let mut at = at;
    while let Some(eight) = text.get(at..).and_then(<[u8]>::first_chunk::<8>) {
        let word = u64::from_le_bytes(*eight);
        let quote = word ^ (ONES * b'"' as u64);
        let backslash = word ^ (ONES * b'\\' as u64);
        let control = word.wrapping_sub(ONES * 0x20) & !word;
        let found =
            (quote.wrapping_sub(ONES) & !quote | backslash.wrapping_sub(ONES) & !backslash | control) & HIGHS;
        if found != 0 {
            // The lowest mark is exact.
            return Some(at + (found.trailing_zeros() / 8) as usize);
        }
        at += 8;
    }
    text.get(at..)?.iter().position(|&byte| MUST_ESCAPE[usize::from(byte)]).map(|found| at + found)
}
