//! Writes MessagePack, each value in its shortest encoding, as Ruby's packer does.

use super::marker::{Head, head};
use crate::event::EventTime;

/// Ext type of an integer that needs more than 64 bits (Ruby's Bignum, which MessagePack cannot express). Its
/// payload is the number in decimal ASCII digits, with `-` if negative. Such numbers come from JSON texts and
/// expressions and would be an error in Fluentd once packed; here they reach the outputs, ClickHouse's 128 and 256 bit
/// columns among them.
pub const BIG_INT_EXT: i8 = 73;

/// Where MessagePack is written to, in pieces whose size is mostly known when the program is compiled.
pub(crate) trait Sink {
    /// Appends a piece.
    fn put<const N: usize>(&mut self, piece: [u8; N]);

    /// Appends bytes.
    fn put_slice(&mut self, bytes: &[u8]);
}

impl Sink for Vec<u8> {
    #[inline(always)]
    fn put<const N: usize>(&mut self, piece: [u8; N]) {
        self.extend_from_slice(&piece);
    }

    #[inline(always)]
    fn put_slice(&mut self, bytes: &[u8]) {
        self.extend_from_slice(bytes);
    }
}

/// Appends nil.
#[inline]
pub fn write_nil(out: &mut Vec<u8>) {
    out.push(0xc0);
}

/// Appends a boolean.
#[inline]
pub fn write_bool(out: &mut Vec<u8>, value: bool) {
    out.push(if value { 0xc3 } else { 0xc2 });
}

/// Appends an integer.
#[inline]
pub fn write_i64(out: &mut Vec<u8>, value: i64) {
    put_i64(out, value);
}

/// Appends an integer.
#[inline]
pub fn write_u64(out: &mut Vec<u8>, value: u64) {
    put_u64(out, value);
}

/// [`write_i64`] to any sink.
#[inline]
pub(crate) fn put_i64(out: &mut impl Sink, value: i64) {
    if value >= 0 {
        return put_u64(out, value as u64);
    }
    if value >= -32 {
        out.put([value as u8]);
    } else if let Ok(small) = i8::try_from(value) {
        out.put([0xd0, small as u8]);
    } else if let Ok(small) = i16::try_from(value) {
        let [a, b] = small.to_be_bytes();
        out.put([0xd1, a, b]);
    } else if let Ok(small) = i32::try_from(value) {
        let [a, b, c, d] = small.to_be_bytes();
        out.put([0xd2, a, b, c, d]);
    } else {
        put_eight(out, 0xd3, value.to_be_bytes());
    }
}

/// [`write_u64`] to any sink.
#[inline]
pub(crate) fn put_u64(out: &mut impl Sink, value: u64) {
    if value < 0x80 {
        out.put([value as u8]);
    } else if let Ok(small) = u8::try_from(value) {
        out.put([0xcc, small]);
    } else if let Ok(small) = u16::try_from(value) {
        let [a, b] = small.to_be_bytes();
        out.put([0xcd, a, b]);
    } else if let Ok(small) = u32::try_from(value) {
        let [a, b, c, d] = small.to_be_bytes();
        out.put([0xce, a, b, c, d]);
    } else {
        put_eight(out, 0xcf, value.to_be_bytes());
    }
}

/// [`write_f64`] to any sink.
#[inline]
pub(crate) fn put_f64(out: &mut impl Sink, value: f64) {
    put_eight(out, 0xcb, value.to_be_bytes());
}

/// [`write_str`] to any sink.
#[inline]
pub(crate) fn put_str(out: &mut impl Sink, value: &[u8]) {
    let length = value.len();
    if length < 32 {
        out.put([0xa0 | length as u8]);
    } else if let Ok(small) = u8::try_from(length) {
        out.put([0xd9, small]);
    } else if let Ok(small) = u16::try_from(length) {
        let [a, b] = small.to_be_bytes();
        out.put([0xda, a, b]);
    } else {
        let [a, b, c, d] = len32(length).to_be_bytes();
        out.put([0xdb, a, b, c, d]);
    }
    out.put_slice(&value[..length.min(u32::MAX as usize)]);
}

#[inline]
fn put_eight(out: &mut impl Sink, marker: u8, [a, b, c, d, e, f, g, h]: [u8; 8]) {
    out.put([marker, a, b, c, d, e, f, g, h]);
}

/// Appends an integer of more than 64 bits given by its decimal digits (with a leading `-` if negative), as ext type
/// [`BIG_INT_EXT`].
pub fn write_big_int(out: &mut Vec<u8>, digits: &[u8]) {
    write_ext(out, BIG_INT_EXT, digits);
}

/// The digits of an extension value of type [`BIG_INT_EXT`] that [`write_big_int`] could have written: with a leading `-` if
/// negative. A peer may send anything under that type.
pub fn big_int_digits(kind: i8, payload: &[u8]) -> Option<&[u8]> {
    let digits = payload.strip_prefix(b"-").unwrap_or(payload);
    let whole = kind == BIG_INT_EXT && !digits.is_empty() && digits.iter().all(u8::is_ascii_digit);
    (whole && (digits[0] != b'0' || digits.len() == 1)).then_some(payload)
}

/// Appends a float64.
#[inline]
pub fn write_f64(out: &mut Vec<u8>, value: f64) {
    put_f64(out, value);
}

/// Appends a string; its bytes need not be UTF-8. What is longer than MessagePack's limit of 4 GiB is cut there.
#[inline]
pub fn write_str(out: &mut Vec<u8>, value: &[u8]) {
    put_str(out, value);
}

/// Appends a byte array. What is longer than MessagePack's limit of 4 GiB is cut there.
#[inline]
pub fn write_bin(out: &mut Vec<u8>, value: &[u8]) {
    let length = value.len();
    if let Ok(small) = u8::try_from(length) {
        out.extend_from_slice(&[0xc4, small]);
    } else if let Ok(small) = u16::try_from(length) {
        marked(out, 0xc5, small.to_be_bytes());
    } else {
        marked(out, 0xc6, len32(length).to_be_bytes());
    }
    out.extend_from_slice(&value[..length.min(u32::MAX as usize)]);
}

/// Appends the header of an array; `length` values must follow.
#[inline]
pub fn write_array_len(out: &mut Vec<u8>, length: usize) {
    if length < 16 {
        out.push(0x90 | length as u8);
    } else if let Ok(small) = u16::try_from(length) {
        marked(out, 0xdc, small.to_be_bytes());
    } else {
        marked(out, 0xdd, len32(length).to_be_bytes());
    }
}

/// Appends the header of a map; `length` keys, each followed by its value, must follow.
#[inline]
pub fn write_map_len(out: &mut Vec<u8>, length: usize) {
    let (header, size) = map_header(length);
    out.extend_from_slice(&header[..size]);
}

/// Appends an extension value. What is longer than MessagePack's limit of 4 GiB is cut there.
pub fn write_ext(out: &mut Vec<u8>, kind: i8, payload: &[u8]) {
    let length = payload.len();
    match length {
        1 => out.push(0xd4),
        2 => out.push(0xd5),
        4 => out.push(0xd6),
        8 => out.push(0xd7),
        16 => out.push(0xd8),
        _ => {
            if let Ok(small) = u8::try_from(length) {
                out.extend_from_slice(&[0xc7, small]);
            } else if let Ok(small) = u16::try_from(length) {
                marked(out, 0xc8, small.to_be_bytes());
            } else {
                marked(out, 0xc9, len32(length).to_be_bytes());
            }
        }
    }
    out.push(kind as u8);
    out.extend_from_slice(&payload[..length.min(u32::MAX as usize)]);
}

/// Appends an EventTime: `d7 00`, the low 32 bits of the seconds, the nanoseconds.
#[inline]
pub fn write_event_time(out: &mut Vec<u8>, time: EventTime) {
    let [a, b, c, d] = (time.sec as u32).to_be_bytes();
    let [e, f, g, h] = time.nsec.to_be_bytes();
    out.extend_from_slice(&[0xd7, 0x00, a, b, c, d, e, f, g, h]);
}

/// Adds fields at the end of the map that lies in `out` from `map_at` to the end: `write` appends keys and values in
/// turn and answers how many pairs it wrote; then the map's header is corrected, which moves its body if the header
/// grows. Keys that the map has already are not looked for. Does nothing if there is no map at `map_at`.
///
/// ```
/// # use logweir_engine::msgpack::*;
/// let mut out = vec![0x81, 0xa1, b'a', 1];
/// add_fields(&mut out, 0, |out| {
///     write_str(out, b"b");
///     write_i64(out, 2);
///     1
/// });
/// assert_eq!(out, [0x82, 0xa1, b'a', 1, 0xa1, b'b', 2]);
/// ```
pub fn add_fields(out: &mut Vec<u8>, map_at: usize, write: impl FnOnce(&mut Vec<u8>) -> usize) {
    if !matches!(out.get(map_at), Some(0x80..=0x8f | 0xde | 0xdf)) {
        return;
    }
    let Head::Container(body_at, children) = head(out, map_at) else { return };
    let added = write(out);
    let (header, size) = map_header(children / 2 + added);
    let old = body_at - map_at;
    if size <= old && old <= 5 {
        // A header may be wider than needed: sized as it was, so that the body stays where it is.
        rewrite_header(&mut out[map_at..body_at], children / 2 + added);
    } else {
        out.splice(map_at..body_at, header[..size].iter().copied());
    }
}

/// The header of a map in its shortest form, and that form's size.
#[inline]
pub(super) fn map_header(length: usize) -> ([u8; 5], usize) {
    if length < 16 {
        ([0x80 | length as u8, 0, 0, 0, 0], 1)
    } else if let Ok(small) = u16::try_from(length) {
        let [a, b] = small.to_be_bytes();
        ([0xde, a, b, 0, 0], 3)
    } else {
        let [a, b, c, d] = len32(length).to_be_bytes();
        ([0xdf, a, b, c, d], 5)
    }
}

fn rewrite_header(header: &mut [u8], length: usize) {
    match header {
        [one] => *one = 0x80 | (length as u8 & 0x0f),
        [marker, rest @ ..] if rest.len() == 2 => {
            *marker = 0xde;
            rest.copy_from_slice(&(length as u16).to_be_bytes());
        }
        [marker, rest @ ..] if rest.len() == 4 => {
            *marker = 0xdf;
            rest.copy_from_slice(&len32(length).to_be_bytes());
        }
        _ => {}
    }
}

#[inline]
fn marked<const N: usize>(out: &mut Vec<u8>, marker: u8, bytes: [u8; N]) {
    out.push(marker);
    out.extend_from_slice(&bytes);
}

fn len32(length: usize) -> u32 {
    u32::try_from(length).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::msgpack::{Reader, ValueRef, skip};

    fn written(write: impl FnOnce(&mut Vec<u8>)) -> Vec<u8> {
        let mut out = Vec::new();
        write(&mut out);
        out
    }

    #[test]
    fn integers_in_their_shortest_form() {
        for (value, size) in [
            (0i64, 1),
            (127, 1),
            (128, 2),
            (255, 2),
            (256, 3),
            (65535, 3),
            (65536, 5),
            (u32::MAX.into(), 5),
            (1 << 32, 9),
            (i64::MAX, 9),
            (-1, 1),
            (-32, 1),
            (-33, 2),
            (-128, 2),
            (-129, 3),
            (-32768, 3),
            (-32769, 5),
            (i32::MIN.into(), 5),
            (i64::from(i32::MIN) - 1, 9),
            (i64::MIN, 9),
        ] {
            let raw = written(|out| write_i64(out, value));
            assert_eq!(raw.len(), size, "{value}");
            assert_eq!(ValueRef::read(&raw), Ok(ValueRef::Int(value)));
        }
    }

    #[test]
    fn lengths_around_every_header_size() {
        for length in [0usize, 1, 2, 3, 4, 5, 8, 15, 16, 17, 31, 32, 255, 256, 65535, 65536] {
            let bytes = vec![0xc0; length];
            assert_eq!(ValueRef::read(&written(|out| write_str(out, &bytes))), Ok(ValueRef::Str(&bytes)));
            assert_eq!(ValueRef::read(&written(|out| write_bin(out, &bytes))), Ok(ValueRef::Bin(&bytes)));
            assert_eq!(
                ValueRef::read(&written(|out| write_ext(out, -9, &bytes))),
                Ok(ValueRef::Ext(-9, &bytes))
            );
            let array = written(|out| {
                write_array_len(out, length);
                out.extend_from_slice(&bytes);
            });
            assert_eq!(skip(&array, 0), Ok(array.len()));
            assert_eq!(Reader::new(&array).read_array_len(), Ok(length));
            let map = written(|out| {
                write_map_len(out, length);
                out.extend_from_slice(&bytes.repeat(2));
            });
            assert_eq!(skip(&map, 0), Ok(map.len()));
            assert_eq!(Reader::new(&map).read_map_len(), Ok(length));
        }
    }

    #[test]
    fn added_fields_widen_the_header_when_they_must() {
        for (before, added) in
            [(0usize, 0usize), (0, 1), (14, 1), (15, 1), (15, 65525), (65535, 1), (65536, 1)]
        {
            let mut out = b"before".to_vec();
            let field = |out: &mut Vec<u8>| out.extend_from_slice(&[1, 2]);
            write_map_len(&mut out, before);
            (0..before).for_each(|_| field(&mut out));
            add_fields(&mut out, 6, |out| {
                (0..added).for_each(|_| field(out));
                added
            });
            assert_eq!(&out[..6], b"before");
            assert_eq!(Reader::new(&out[6..]).read_map_len(), Ok(before + added));
            assert_eq!(skip(&out, 6), Ok(out.len()), "{before} + {added}");
        }
    }

    #[test]
    fn a_header_wider_than_needed_keeps_its_width() {
        for header in [&b"\xde\x00\x01"[..], b"\xdf\x00\x00\x00\x01"] {
            let mut out = [header, &[1, 2]].concat();
            add_fields(&mut out, 0, |out| {
                out.extend_from_slice(&[3, 4]);
                1
            });
            assert_eq!(out.len(), header.len() + 4);
            assert_eq!(Reader::new(&out).read_map_len(), Ok(2));
        }
    }

    #[test]
    fn nothing_is_added_where_there_is_no_map() {
        for bytes in [&b""[..], b"\x90", b"\xde\x00"] {
            let mut out = bytes.to_vec();
            add_fields(&mut out, 0, |out| {
                out.push(1);
                1
            });
            assert_eq!(out, bytes);
        }
    }
}
