//! Two maps made one, bytes to bytes.

use smallvec::SmallVec;

use super::dup::{Duplicates, Identity, KeyBits, SMALL_PAIRS};
use super::view::{RecordView, identity, key_name};
use super::write::write_map_len;

/// Appends what Ruby's `record.merge(found)` is, with the string key `without` taken out of `record` before: fields of
/// `found` replace those of the same name at their places, the others follow. Both are raw maps that have been scanned;
/// what is no map has no fields.
pub fn merge_maps(record: &[u8], without: Option<&[u8]>, found: &[u8], out: &mut Vec<u8>) {
    let Some((fields, removed)) = distinct_fields(record, without, found) else {
        return merge_united(record, without, found, out);
    };
    write_map_len(out, fields);
    let own = body(record);
    match removed {
        None => out.extend_from_slice(own),
        Some((start, end)) => {
            out.extend_from_slice(&record[record.len() - own.len()..start]);
            out.extend_from_slice(&record[end..]);
        }
    }
    out.extend_from_slice(body(found));
}

/// Where in a map the pair lies that is left out.
type Removed = Option<(usize, usize)>;

/// If no key is there twice, in one map or in both: how many fields the result has, and what is left out of `record`.
fn distinct_fields(record: &[u8], without: Option<&[u8]>, found: &[u8]) -> Option<(usize, Removed)> {
    let mut bits = KeyBits::default();
    let mut seen: SmallVec<[Identity<'_>; 32]> = SmallVec::new();
    let mut removed = None;
    let mut pairs = RecordView::new(record).iter();
    loop {
        let start = pairs.position();
        let Some((key, _)) = pairs.next() else { break };
        if without.is_some() && key_name(key) == without {
            if removed.replace((start, pairs.position())).is_some() {
                return None;
            }
        } else if !is_new(identity(key), &mut bits, &mut seen) {
            return None;
        }
    }
    for (key, _) in RecordView::new(found) {
        if !is_new(identity(key), &mut bits, &mut seen) {
            return None;
        }
    }
    Some((seen.len(), removed))
}

/// `false` also if there are too many to look through.
fn is_new<'a>(key: Identity<'a>, bits: &mut KeyBits, seen: &mut SmallVec<[Identity<'a>; 32]>) -> bool {
    if bits.insert(key.1) && (seen.len() > SMALL_PAIRS || seen.contains(&key)) {
        return false;
    }
    seen.push(key);
    true
}

fn merge_united(record: &[u8], without: Option<&[u8]>, found: &[u8], out: &mut Vec<u8>) {
    let own = RecordView::new(record).iter();
    let added = RecordView::new(found).iter();
    let mut duplicates = Duplicates::new(own.left().saturating_add(added.left()));
    let mut united: Vec<(&[u8], &[u8])> = Vec::new();
    let kept = own.filter(|(key, _)| without.is_none() || key_name(key) != without);
    for (key, value) in kept.chain(added) {
        match duplicates.find(identity(key), united.len(), |at| united.get(at).map(|pair| identity(pair.0))) {
            Some(at) => united[at].1 = value,
            None => united.push((key, value)),
        }
    }
    write_map_len(out, united.len());
    for (key, value) in united {
        out.extend_from_slice(key);
        out.extend_from_slice(value);
    }
}

/// A map's bytes behind its header; none if it is no map.
fn body(map: &[u8]) -> &[u8] {
    let view = RecordView::new(map);
    if view.is_empty() { &[] } else { &map[view.iter().position()..] }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn merged(record: &[u8], without: Option<&[u8]>, found: &[u8]) -> Vec<u8> {
        let mut out = b"x".to_vec();
        merge_maps(record, without, found, &mut out);
        out.split_off(1)
    }

    #[test]
    fn fields_are_replaced_at_their_places_and_added_at_the_end() {
        let record = b"\x83\xa1a\x01\xa1b\x02\xa1c\x03";
        assert_eq!(merged(record, None, b"\x80"), record);
        assert_eq!(merged(record, Some(b"b"), b"\x81\xa1d\x04"), b"\x83\xa1a\x01\xa1c\x03\xa1d\x04");
        assert_eq!(merged(record, Some(b"x"), b"\x81\xa1a\x04"), b"\x83\xa1a\x04\xa1b\x02\xa1c\x03");
        assert_eq!(merged(record, Some(b"a"), b"\x81\xa1a\x04"), b"\x83\xa1b\x02\xa1c\x03\xa1a\x04");
        assert_eq!(merged(b"\x82\xa1a\x01\xa1a\x02", Some(b"a"), b"\x80"), b"\x80");
        assert_eq!(merged(b"\xc0", None, b"\x81\xa1a\x04"), b"\x81\xa1a\x04");
    }

    #[test]
    fn large_maps() {
        for count in [15usize, 16, 64, 65, 300] {
            let map = |names: std::ops::Range<usize>| {
                let mut raw = Vec::new();
                write_map_len(&mut raw, names.len());
                for name in names {
                    super::super::write::write_str(&mut raw, format!("k{name}").as_bytes());
                    raw.push(7);
                }
                raw
            };
            assert_eq!(merged(&map(0..count), None, &map(count..2 * count)), map(0..2 * count));
            assert_eq!(merged(&map(0..count), None, &map(1..count + 1)), map(0..count + 1));
        }
    }
}
