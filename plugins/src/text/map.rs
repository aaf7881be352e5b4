//! Maps whose length is known when they are complete.

use logweir_engine::msgpack::{RecordView, write_map_len};

/// Writes the header of a map of at most `fields_max` fields; answers where it lies. [`end_map`] writes the number.
pub(super) fn begin_map(out: &mut Vec<u8>, fields_max: usize) -> usize {
    let at = out.len();
    match fields_max {
        0..16 => out.push(0x80),
        16..65_536 => out.extend_from_slice(&[0xde, 0, 0]),
        _ => out.extend_from_slice(&[0xdf, 0, 0, 0, 0]),
    }
    at
}

/// Writes the number of fields into the header at `at`. More than were announced are written as many as fit, which the
/// callers' counts rule out.
pub(super) fn end_map(out: &mut [u8], at: usize, fields: usize) {
    match out.get_mut(at..) {
        Some([0xde, high, low, ..]) => [*high, *low] = (fields as u16).to_be_bytes(),
        Some([0xdf, a, b, c, d, ..]) => [*a, *b, *c, *d] = (fields as u32).to_be_bytes(),
        Some([one, ..]) => *one = 0x80 | (fields as u8 & 0x0f),
        _ => {}
    }
}

/// Makes of the map at `at` (to the end of `out`) what a Ruby Hash would be: each key once, at its first place, with its
/// last value.
pub(crate) fn finish_map(out: &mut Vec<u8>, at: usize) {
    let Some(pairs) = RecordView::new(&out[at..]).distinct() else { return };
    let mut map = Vec::with_capacity(out.len() - at);
    write_map_len(&mut map, pairs.len());
    for (key, value) in pairs {
        map.extend_from_slice(key);
        map.extend_from_slice(value);
    }
    out.truncate(at);
    out.extend_from_slice(&map);
}
