//! What the first byte of a value says, as a table of 256 rows.

/// The shape of a value, packed for one load in the scanning loop.
#[derive(Clone, Copy)]
pub(super) struct Marker {
    /// Bytes that the value has for certain: marker, length field, ext type, and the payload if its size is fixed.
    pub(super) size: u8,
    /// Bytes of the length field behind the marker: 0, 1, 2 or 4.
    pub(super) length: u8,
    /// What the length counts.
    pub(super) class: Class,
    /// Number of children of a fixmap (two a pair) or fixarray.
    pub(super) children: u8,
}

#[derive(Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Class {
    /// The size is all there is.
    Fixed,
    /// A length field counts bytes.
    Sized,
    /// Children follow; their number is in the marker.
    FixContainer,
    /// Children follow; a length field counts them.
    Array,
    /// Children follow; a length field counts pairs.
    Map,
    /// 0xc1.
    Reserved,
}

/// Indexed by the first byte.
pub(super) static MARKERS: [Marker; 256] = table();

const fn table() -> [Marker; 256] {
    let mut table = [Marker { size: 1, length: 0, class: Class::Fixed, children: 0 }; 256];
    let mut byte = 0usize;
    while byte < 256 {
        table[byte] = row(byte as u8);
        byte += 1;
    }
    table
}

const fn row(byte: u8) -> Marker {
    match byte {
        0x00..=0x7f | 0xe0..=0xff | 0xc0 | 0xc2 | 0xc3 => fixed(1),
        0x80..=0x8f => Marker { size: 1, length: 0, class: Class::FixContainer, children: (byte & 0x0f) * 2 },
        0x90..=0x9f => Marker { size: 1, length: 0, class: Class::FixContainer, children: byte & 0x0f },
        0xa0..=0xbf => fixed(1 + (byte & 0x1f)),
        0xc1 => Marker { size: 1, length: 0, class: Class::Reserved, children: 0 },
        0xc4 | 0xd9 => sized(2, 1),
        0xc5 | 0xda => sized(3, 2),
        0xc6 | 0xdb => sized(5, 4),
        0xc7 => sized(3, 1),
        0xc8 => sized(4, 2),
        0xc9 => sized(6, 4),
        0xca | 0xce | 0xd2 => fixed(5),
        0xcb | 0xcf | 0xd3 => fixed(9),
        0xcc | 0xd0 => fixed(2),
        0xcd | 0xd1 => fixed(3),
        0xd4 => fixed(3),
        0xd5 => fixed(4),
        0xd6 => fixed(6),
        0xd7 => fixed(10),
        0xd8 => fixed(18),
        0xdc => Marker { size: 3, length: 2, class: Class::Array, children: 0 },
        0xdd => Marker { size: 5, length: 4, class: Class::Array, children: 0 },
        0xde => Marker { size: 3, length: 2, class: Class::Map, children: 0 },
        0xdf => Marker { size: 5, length: 4, class: Class::Map, children: 0 },
    }
}

const fn fixed(size: u8) -> Marker {
    Marker { size, length: 0, class: Class::Fixed, children: 0 }
}

const fn sized(size: u8, length: u8) -> Marker {
    Marker { size, length, class: Class::Sized, children: 0 }
}

/// The big-endian number of `length` (1, 2 or 4) bytes at `at`; `None` if the bytes end before.
#[inline(always)]
pub(super) fn length_at(bytes: &[u8], at: usize, length: u8) -> Option<usize> {
    Some(match length {
        1 => *bytes.get(at)? as usize,
        2 => u16::from_be_bytes(*bytes.get(at..)?.first_chunk()?) as usize,
        _ => u32::from_be_bytes(*bytes.get(at..)?.first_chunk()?) as usize,
    })
}

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
    let marker = MARKERS[byte as usize];
    let behind = at + marker.size as usize;
    match marker.class {
        Class::Fixed => Head::Leaf(behind),
        Class::Sized => match length_at(bytes, at + 1, marker.length) {
            Some(length) => Head::Leaf(behind.saturating_add(length)),
            None => Head::Truncated,
        },
        Class::FixContainer => Head::Container(behind, marker.children as usize),
        Class::Array => match length_at(bytes, at + 1, marker.length) {
            Some(count) => Head::Container(behind, count),
            None => Head::Truncated,
        },
        Class::Map => match length_at(bytes, at + 1, marker.length) {
            Some(count) => Head::Container(behind, count.saturating_mul(2)),
            None => Head::Truncated,
        },
        Class::Reserved => Head::Reserved,
    }
}
