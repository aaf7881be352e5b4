//! JSON strings to MessagePack strings.

use super::block::{block_at, quotes_and_backslashes};
use super::out::Out;
use super::read::{Dialect, JsonErrorKind};
use crate::msgpack::put_str;

/// Where and why a string is wrong.
pub(super) struct StringError {
    pub(super) at: usize,
    pub(super) kind: JsonErrorKind,
}

/// Reads the string whose first byte behind the quote is at `start` and appends it to `out`. Answers the offset behind
/// the closing quote, and where the string's bytes begin in `out`.
#[inline(always)]
pub(super) fn read(
    text: &[u8],
    start: usize,
    dialect: Dialect,
    out: &mut Out<'_>,
) -> Result<(usize, usize), StringError> {
    if dialect == Dialect::Oj
        && let Some(length) = short(text, start, out)
    {
        return Ok((start + length + 1, out.at - length));
    }
    read_any(text, start, dialect, out)
}

/// Appends the string whose first byte behind the quote is at `start`, if it has up to 31 bytes and no escapes, and answers its
/// length. It is copied as a block of 32 while the quote is looked for: no loop, no length to branch on.
#[inline(always)]
pub(super) fn short(text: &[u8], start: usize, out: &mut Out<'_>) -> Option<usize> {
    let block = block_at(text, start)?;
    let room = out.room::<33>()?;
    let ends = quotes_and_backslashes(block);
    if ends == 0 {
        return None;
    }
    let length = ends.trailing_zeros() as usize;
    if block[length & 31] != b'"' {
        return None;
    }
    room[0] = 0xa0 | length as u8;
    room[1..].copy_from_slice(block);
    out.at += 1 + length;
    Some(length)
}

/// [`read`] for long strings, escapes, the end of the text and dialects that check more.
fn read_any(
    text: &[u8],
    start: usize,
    dialect: Dialect,
    out: &mut Out<'_>,
) -> Result<(usize, usize), StringError> {
    let end = find(text, start)?;
    let plain = &text[start..end];
    if dialect != Dialect::Oj {
        check(plain, start, dialect)?;
    }
    if text[end] == b'"' {
        put_str(out, plain);
        return Ok((end + 1, out.at - plain.len()));
    }
    out.append(|out| escaped(text, start, end, dialect, out))
}

/// The offset of the first quote or backslash from `start` on.
#[inline]
fn find(text: &[u8], start: usize) -> Result<usize, StringError> {
    match memchr::memchr2(b'"', b'\\', text.get(start..).unwrap_or_default()) {
        Some(found) => Ok(start + found),
        None => Err(StringError { at: text.len(), kind: JsonErrorKind::Incomplete }),
    }
}

/// What dialects other than Oj's refuse within strings.
fn check(plain: &[u8], start: usize, dialect: Dialect) -> Result<(), StringError> {
    if let Some(at) = plain.iter().position(|&byte| byte < 0x20) {
        return Err(StringError { at: start + at, kind: JsonErrorKind::Control });
    }
    if dialect == Dialect::Yajl
        && let Err(error) = std::str::from_utf8(plain)
    {
        return Err(StringError { at: start + error.valid_up_to(), kind: JsonErrorKind::Utf8 });
    }
    Ok(())
}

/// Reads a string with escapes, the first of which is at `backslash`.
fn escaped(
    text: &[u8],
    start: usize,
    backslash: usize,
    dialect: Dialect,
    out: &mut Vec<u8>,
) -> Result<(usize, usize), StringError> {
    // The header's size depends on the length, which is not known yet: room for the largest is left and closed up later.
    let header_at = out.len();
    out.extend_from_slice(&[0; 5]);
    out.extend_from_slice(&text[start..backslash]);
    let mut at = backslash;
    while text[at] == b'\\' {
        at = escape(text, at, dialect, out)?;
        let end = find(text, at)?;
        if dialect != Dialect::Oj {
            check(&text[at..end], at, dialect)?;
        }
        out.extend_from_slice(&text[at..end]);
        at = end;
    }
    let length = out.len() - header_at - 5;
    let mut header = [0u8; 5];
    let size = match length {
        0..32 => {
            header[0] = 0xa0 | length as u8;
            1
        }
        32..0x100 => {
            header[..2].copy_from_slice(&[0xd9, length as u8]);
            2
        }
        0x100..0x1_0000 => {
            header[0] = 0xda;
            header[1..3].copy_from_slice(&(length as u16).to_be_bytes());
            3
        }
        _ => {
            header[0] = 0xdb;
            header[1..].copy_from_slice(&u32::try_from(length).unwrap_or(u32::MAX).to_be_bytes());
            5
        }
    };
    out[header_at..header_at + size].copy_from_slice(&header[..size]);
    if size < 5 {
        out.copy_within(header_at + 5.., header_at + size);
        out.truncate(header_at + size + length);
    }
    Ok((at + 1, header_at + size))
}

/// Decodes the escape at `at` and answers where it ends.
fn escape(text: &[u8], at: usize, dialect: Dialect, out: &mut Vec<u8>) -> Result<usize, StringError> {
    let incomplete = StringError { at: text.len(), kind: JsonErrorKind::Incomplete };
    let Some(&letter) = text.get(at + 1) else { return Err(incomplete) };
    let byte = match letter {
        b'"' | b'\\' | b'/' => letter,
        b'n' => b'\n',
        b't' => b'\t',
        b'r' => b'\r',
        b'b' => b'\x08',
        b'f' => b'\x0c',
        b'u' => return unicode(text, at, out),
        _ if dialect == Dialect::Yajl => return Err(StringError { at, kind: JsonErrorKind::Escape }),
        // The backslash goes, and the character (of which this is the first byte) is taken as it is.
        _ => return Ok(at + 1),
    };
    out.push(byte);
    Ok(at + 2)
}

/// Decodes `\uXXXX`, or a pair of them that is a surrogate pair.
fn unicode(text: &[u8], at: usize, out: &mut Vec<u8>) -> Result<usize, StringError> {
    let unit = code_unit(text, at)?;
    let mut end = at + 6;
    let mut code = u32::from(unit);
    if matches!(unit, 0xd800..0xdc00)
        && text.get(end..end + 2) == Some(b"\\u")
        && let low @ 0xdc00..0xe000 = code_unit(text, end)?
    {
        code = 0x1_0000 + ((code - 0xd800) << 10) + (u32::from(low) - 0xdc00);
        end += 6;
    }
    let character = char::from_u32(code).unwrap_or(char::REPLACEMENT_CHARACTER);
    out.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes());
    Ok(end)
}

/// The number of the escape `\uXXXX` at `at`.
fn code_unit(text: &[u8], at: usize) -> Result<u16, StringError> {
    let digits = text.get(at + 2..).unwrap_or_default();
    let mut unit = 0;
    for index in 0..4 {
        let Some(&digit) = digits.get(index) else {
            return Err(StringError { at: text.len(), kind: JsonErrorKind::Incomplete });
        };
        let Some(value) = char::from(digit).to_digit(16) else {
            return Err(StringError { at, kind: JsonErrorKind::Escape });
        };
        unit = unit << 4 | value as u16;
    }
    Ok(unit)
}
