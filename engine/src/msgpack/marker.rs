//! What the first bytes of a value say about its end.

/// What a value is at its start: where its header ends and what follows.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Head {
    /// A value without children that ends at this offset (which may lie behind the end of the bytes).
    Leaf(usize),
    /// A container whose header ends at the offset, and the number of its children (two a pair).
    Container(usize, usize),
    /// 0xc1.
    Reserved,
    /// The bytes end within the header.
    Truncated,
}

/// Reads the header of the value at `at`.
#[inline(always)]
pub(super) fn head(bytes: &[u8], at: usize) -> Head {
    let Some(&byte) = bytes.get(at) else { return Head::Truncated };
    match byte {
        0x00..=0x7f | 0xe0..=0xff | 0xc0 | 0xc2 | 0xc3 => Head::Leaf(at + 1),
        0xa0..=0xbf => Head::Leaf(at + 1 + usize::from(byte & 0x1f)),
        0xd9 | 0xc4 => sized::<1>(bytes, at, 2),
        0xcb | 0xcf | 0xd3 => Head::Leaf(at + 9),
        0xce | 0xca | 0xd2 => Head::Leaf(at + 5),
        0xcd | 0xd1 | 0xd4 => Head::Leaf(at + 3),
        0xcc | 0xd0 => Head::Leaf(at + 2),
        0x80..=0x8f => Head::Container(at + 1, usize::from(byte & 0x0f) * 2),
        0x90..=0x9f => Head::Container(at + 1, usize::from(byte & 0x0f)),
        0xda | 0xc5 => sized::<2>(bytes, at, 3),
        0xdb | 0xc6 => sized::<4>(bytes, at, 5),
        0xc7 => sized::<1>(bytes, at, 3),
        0xc8 => sized::<2>(bytes, at, 4),
        0xc9 => sized::<4>(bytes, at, 6),
        0xd5 => Head::Leaf(at + 4),
        0xd6 => Head::Leaf(at + 6),
        0xd7 => Head::Leaf(at + 10),
        0xd8 => Head::Leaf(at + 18),
        0xdc => container::<2>(bytes, at, 1),
        0xdd => container::<4>(bytes, at, 1),
        0xde => container::<2>(bytes, at, 2),
        0xdf => container::<4>(bytes, at, 2),
        0xc1 => Head::Reserved,
    }
}

/// A leaf with a length field of N bytes behind the marker and `header` bytes before its payload.
#[inline(always)]
fn sized<const N: usize>(bytes: &[u8], at: usize, header: usize) -> Head {
    match length::<N>(bytes, at) {
        Some(length) => Head::Leaf((at + header).saturating_add(length)),
        None => Head::Truncated,
    }
}

/// A container with a length field of N bytes, which counts `each` children.
#[inline(always)]
fn container<const N: usize>(bytes: &[u8], at: usize, each: usize) -> Head {
    match length::<N>(bytes, at) {
        Some(length) => Head::Container(at + 1 + N, length.saturating_mul(each)),
        None => Head::Truncated,
    }
}

/// The big-endian number of N bytes behind the marker at `at`; `None` if the bytes end before.
#[inline(always)]
fn length<const N: usize>(bytes: &[u8], at: usize) -> Option<usize> {
    let field: &[u8; N] = bytes.get(at + 1..)?.first_chunk()?;
    Some(field.iter().fold(0, |number, &byte| number << 8 | usize::from(byte)))
}
