//! Objects as LTSV and as events.

use logweir_engine::event::EventTime;
use logweir_engine::json::{ReadOptions, document_to_msgpack};
use logweir_engine::msgpack::write_event_time;
use serde_json::{Map, Value};

/// A line for each object; what is an object in it is left out, arrays are lists with commas.
pub(super) fn ltsv(list: &[Map<String, Value>]) -> String {
    let mut text = String::new();
    for object in list {
        let fields: Vec<String> = object
            .iter()
            .filter_map(|(name, value)| {
                let shown = match value {
                    Value::Object(_) => return None,
                    Value::Array(items) => items.iter().map(plain).collect::<Vec<_>>().join(","),
                    value => plain(value),
                };
                Some(format!("{name}:{shown}"))
            })
            .collect();
        text.push_str(&fields.join("\t"));
        text.push('\n');
    }
    text
}

/// An entry for each object.
pub(super) fn entries(
    time: EventTime,
    records: impl Iterator<Item = Map<String, Value>>,
) -> (Vec<u8>, usize) {
    let mut entries = Vec::new();
    let mut count = 0;
    for record in records {
        let before = entries.len();
        entries.push(0x92);
        write_event_time(&mut entries, time);
        let text = Value::from(record).to_string();
        match document_to_msgpack(text.as_bytes(), &mut entries, ReadOptions::default()) {
            Ok(()) => count += 1,
            Err(_) => entries.truncate(before),
        }
    }
    (entries, count)
}

fn plain(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}
