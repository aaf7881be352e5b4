//! Reading the value at a place in MessagePack, short strings first: records consist of them.

use logweir_engine::msgpack::{Reader, ValueRef, skip};

/// The value at `at`, and where it ends. `None` if the bytes are no MessagePack there.
#[inline]
pub(crate) fn read_at(bytes: &[u8], at: usize) -> Option<(ValueRef<'_>, usize)> {
    if let Some((text, end)) = text_at(bytes, at) {
        return Some((ValueRef::Str(text), end));
    }
    let mut reader = Reader::new(bytes.get(at..)?);
    let value = reader.read_value().ok()?;
    Some((value, at + reader.position()))
}

/// The string of less than 256 bytes at `at`, and where it ends. `None` if there is something else.
#[inline]
pub(crate) fn text_at(bytes: &[u8], at: usize) -> Option<(&[u8], usize)> {
    let (start, length) = match *bytes.get(at)? {
        marker @ 0xa0..=0xbf => (at + 1, usize::from(marker & 0x1f)),
        0xd9 => (at + 2, usize::from(*bytes.get(at + 1)?)),
        _ => return None,
    };
    let end = start + length;
    Some((bytes.get(start..end)?, end))
}

/// Where the value at `at` ends.
#[inline]
pub(crate) fn end_at(bytes: &[u8], at: usize) -> Option<usize> {
    match text_at(bytes, at) {
        Some((_, end)) => Some(end),
        None => skip(bytes, at).ok(),
    }
}
