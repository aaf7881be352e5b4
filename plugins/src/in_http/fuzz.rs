//! The body of a fuzz target, so that the fuzzer needs nothing of this folder's inside.

use super::fields::{Fields, Value};
use super::multipart;
use super::records::{Common, Reader, TimeField, time_of_request};
use logweir_engine::msgpack::{Limits, scan_entries};

/// Reads a body, behind a byte that says what it is, as requests are read. Panics if what comes out is not entries, or has
/// more bytes than were expected.
pub fn fuzz(data: &[u8]) {
    let [kind, body @ ..] = data else { return };
    let mut fields = Fields::new(kind & 0x10 != 0, kind & 0x20 != 0);
    match kind & 0x0f {
        0 => fields.set(b"json".to_vec(), Value::One(body.to_vec())),
        1 => fields.set(b"ndjson".to_vec(), Value::One(body.to_vec())),
        2 => fields.set(b"msgpack".to_vec(), Value::One(body.to_vec())),
        3 => fields.add_query(body),
        4 => {
            fields.add_query_params(body);
            fields.set(b"json".to_vec(), Value::One(b"[{},{}]".to_vec()));
        }
        _ => {
            let (kind, body) =
                body.split_at(body.iter().position(|byte| *byte == b'\n').unwrap_or(body.len()));
            let boundary = multipart::boundary(kind).unwrap_or_else(|| b"x".to_vec());
            fields.add_multipart(body, &boundary);
        }
    }
    let common = Common::new(fields.get(b"time").map(time_of_request), &fields, Some(Some(b"::1")));
    let reader = Reader::BuiltIn(TimeField::default());
    let Ok(parsed) = reader.parse(b"", false, &fields) else { return };
    let expected = parsed.entries_size(&common);
    let Ok(entries) = parsed.entries(&common) else { return };
    assert!(entries.bytes.len() as u64 <= expected, "{} bytes, not {expected}", entries.bytes.len());
    let scan = scan_entries(&entries.bytes, Limits::default());
    assert_eq!(scan.map(|scan| scan.count).ok(), Some(entries.count));
}
