//! Targets of `logweir_engine::msgpack`.

use std::io::Cursor;

use bumpalo::Bump;
use logweir_engine::msgpack::{
    Accessor, Entries, Limits, Record, RecordView, ScanErrorKind, Splicer, Time, Value, scan_entries_with,
    skip,
};
use serde::Deserialize;
use serde::de::IgnoredAny;

use crate::Choices;

/// Whether the first value is well-formed is decided as rmp-serde does; what a scan reports adds up.
pub fn scan_entries(data: &[u8]) {
    let end = skip(data, 0);
    let mut cursor = Cursor::new(data);
    let mut deserializer = rmp_serde::Deserializer::new(&mut cursor);
    let oracle = IgnoredAny::deserialize(&mut deserializer).is_ok();
    drop(deserializer);
    match end {
        Ok(end) => assert_eq!((oracle, end as u64), (true, cursor.position())),
        // rmp-serde goes deeper than the limit here.
        Err(error) => assert!(!oracle || error.kind == ScanErrorKind::TooDeep),
    }

    let limits = Limits { timestamp_ext: data.len() % 2 == 0, ..Limits::default() };
    let mut behind = 0;
    let mut violations = 0;
    let scan = scan_entries_with(data, limits, |violation| {
        assert!(violation.range.start >= behind && violation.range.end <= data.len());
        assert_eq!(skip(data, violation.range.start), Ok(violation.range.end));
        behind = violation.range.end;
        violations += 1;
    });
    let Ok(scan) = scan else { return };
    assert_eq!(violations, scan.violations);
    let mut at = 0;
    for _ in 0..scan.count {
        at = skip(data, at).expect("counted entries are well-formed");
    }
    assert_eq!(at, scan.end);
    if scan.is_truncated(data) {
        assert_eq!(skip(data, at).map_err(|error| error.kind), Err(ScanErrorKind::Truncated));
    }
    let mut walked = 0;
    for entry in Entries::new(&data[..scan.end]) {
        assert_eq!(skip(entry.record, 0), Ok(entry.record.len()));
        // As text, because NaN is a time that equals none.
        assert_eq!(format!("{:?}", Time::read(entry.time_raw)), format!("{:?}", entry.time));
        walked += 1;
    }
    assert!(walked >= scan.count - scan.violations && walked <= scan.count);
}

/// Splicing raw bytes gives what editing the decoded record gives; splicing a stream, what splicing each record gives.
pub fn splice(data: &[u8]) {
    let mut choices = Choices::new(data);
    let mut splicer = Splicer::new();
    for _ in 0..choices.byte() % 6 {
        splicer = match choices.byte() % 4 {
            0 | 1 => {
                let (key, value) = (choices.bytes(), choices.bytes());
                let value = skip(value, 0).map_or(&[0xc0][..], |end| &value[..end]);
                splicer.set(key, value)
            }
            2 => splicer.drop(choices.bytes()),
            _ => {
                let keys: Vec<&[u8]> = (0..choices.byte() % 4).map(|_| choices.bytes()).collect();
                splicer.keep(&keys)
            }
        };
    }
    let bytes = choices.rest();
    let mut stream = Vec::new();
    splicer.splice_entries(bytes, &mut stream);
    let mut out = Vec::new();
    splicer.splice(bytes, &mut out);

    let arena = Bump::new();
    if let Ok(end) = skip(bytes, 0)
        && let Ok(mut record) = Record::decode(&bytes[..end], &arena)
    {
        let mut fast = Vec::new();
        splicer.splice(&bytes[..end], &mut fast);
        assert_eq!(skip(&fast, 0), Ok(fast.len()));
        let mut slow = Vec::new();
        splicer.apply(&mut record);
        record.encode(&mut slow);
        assert_eq!(normal(&fast), slow);

        let entry = [b"\x92\x01", &bytes[..end]].concat();
        let mut spliced = Vec::new();
        splicer.splice_entries(&entry.repeat(2), &mut spliced);
        assert_eq!(spliced, [b"\x92\x01", &fast[..]].concat().repeat(2));
    }
}

/// Decoding and encoding is the same from the second time on, opened or not; fields that are set are found.
pub fn record(data: &[u8]) {
    let arena = Bump::new();
    let mut value = Value::read(data).unwrap_or(Value::Nil);
    open(&mut value, &arena, 0);
    let mut opened = Vec::new();
    value.write(&mut opened);
    assert_eq!(skip(&opened, 0), Ok(opened.len()));

    let Ok(mut record) = Record::decode(data, &arena) else { return };
    let mut once = Vec::new();
    record.encode(&mut once);
    assert_eq!(normal(&once), once);
    let view = RecordView::new(&once);
    assert_eq!(view.len(), record.len());
    assert!(view.distinct().is_none());
    for field in record.iter() {
        if let Some(name) = field.key.name() {
            let mut raw = Vec::new();
            field.value.write(&mut raw);
            assert_eq!(view.get(name), Some(&*raw));
        }
    }
    let key: &[u8] = &data[..data.len().min(3)];
    record.set(key, Value::Int(1));
    assert!(matches!(record.get(key), Some(Value::Int(1))));
    assert!(record.rename(key, b"renamed"));
    assert!(record.remove(b"renamed").is_some());
    assert!(!record.contains(b"renamed"));
}

/// A path finds the same in raw bytes and in the decoded record, and what is set is found, what is deleted is not.
pub fn accessor(data: &[u8]) {
    let mut choices = Choices::new(data);
    let Ok(text) = std::str::from_utf8(choices.bytes()) else { return };
    let Ok(accessor) = Accessor::parse(text) else { return };
    assert!(!accessor.parts().is_empty());
    let bytes = choices.rest();
    let _ = accessor.get(bytes);
    let arena = Bump::new();
    let Ok(end) = skip(bytes, 0) else { return };
    let bytes = &bytes[..end];
    let Ok(mut record) = Record::decode(bytes, &arena) else { return };
    let raw = accessor.get(bytes).map(|raw| {
        let mut value = Value::read(raw).expect("a value within a value that was scanned");
        open(&mut value, &arena, 0);
        let mut out = Vec::new();
        value.write(&mut out);
        out
    });
    let decoded = |record: &Record<'_>| {
        accessor.get_in(record).map(|value| {
            let arena = Bump::new();
            let mut raw = Vec::new();
            value.write(&mut raw);
            let mut value = Value::read(arena.alloc_slice_copy(&raw)).unwrap_or(Value::Nil);
            open(&mut value, &arena, 0);
            let mut out = Vec::new();
            value.write(&mut out);
            out
        })
    };
    assert_eq!(raw, decoded(&record));
    accessor.set(&mut record, Value::Bool(true));
    if raw.is_some() {
        assert_eq!(decoded(&record), Some(vec![0xc3]));
    }
    accessor.delete(&mut record);
    let mut out = Vec::new();
    record.encode(&mut out);
    assert_eq!(skip(&out, 0), Ok(out.len()));
}

/// The record decoded and encoded again, which unites keys that are there more than once.
fn normal(raw: &[u8]) -> Vec<u8> {
    let arena = Bump::new();
    let mut out = Vec::new();
    Record::decode(raw, &arena).expect("a map").encode(&mut out);
    out
}

/// Opens every container.
fn open<'a>(value: &mut Value<'a>, arena: &'a Bump, depth: usize) {
    assert!(depth <= logweir_engine::msgpack::DEPTH_MAX);
    match value.open(arena) {
        Value::Array(items) => items.iter_mut().for_each(|item| open(item, arena, depth + 1)),
        Value::Map(map) => map.iter_mut().for_each(|field| open(&mut field.value, arena, depth + 1)),
        _ => {}
    }
}
