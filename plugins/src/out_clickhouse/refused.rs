//! Rows that did not get into the table, and why.

use super::cells::RowFault;
use super::column::json_preview;
use super::layout::Layout;
use super::source::Source;
use logweir_engine::delivery::{Origin, Receipt};
use logweir_engine::event::Tag;
use logweir_engine::msgpack::{Entry, RecordView, ValueRef};
use logweir_engine::output::blocking;
use logweir_engine::route::{ErrorEvent, ErrorEvents};
use std::collections::BTreeMap;
use std::io;

/// The longest piece of a value that a message quotes.
const PREVIEW_BYTES_MAX: usize = 100;
/// Refused rows in memory at a time.
const EVENTS_MAX: usize = 10_000;

/// Why a row was refused, and by whom.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// A column of ours.
    Column(RowFault),
    /// The server, in these words.
    Server(String),
}

/// Refused rows by the ordinal of their entry.
pub(crate) type Refused = BTreeMap<u32, Refusal>;

/// Sends refused rows to `@ERROR`, and waits until they are as durable as the buffers behind it promise. An error says
/// that the chunk could not be read.
pub(crate) async fn dead_letter(
    refused: &Refused,
    source: Source<'_>,
    layout: &Layout,
    fallback_tag: &Tag,
    errors: &ErrorEvents,
) -> io::Result<()> {
    let ordinals: Vec<u32> = refused.keys().copied().collect();
    let mut receipt = Receipt::durable(Origin::None);
    for ordinals in ordinals.chunks(EVENTS_MAX) {
        let mut events = Vec::with_capacity(ordinals.len());
        let collect = |ordinal, entry: &Entry<'_>| {
            let (class, message) = match &refused[&ordinal] {
                Refusal::Column(fault) => ("ClickHouse::ColumnError", describe(fault, layout, entry.record)),
                Refusal::Server(message) => ("ClickHouse::ServerError", message.clone()),
            };
            events.push(ErrorEvent {
                tag: source.tag_of(entry).map_or_else(|| fallback_tag.clone(), Tag::from_wire),
                time: entry.time,
                record: bytes::Bytes::copy_from_slice(entry.record),
                class: class.to_owned(),
                message,
            });
        };
        blocking(|| source.pick(ordinals, collect))?;
        for event in events {
            errors.emit(event, &mut receipt).await;
        }
    }
    // A failure has been logged where it happened; the row is refused all the same.
    let _ = receipt.committed().await;
    Ok(())
}

/// `column "status" (UInt8): 300 is out of range`
pub(crate) fn describe(fault: &RowFault, layout: &Layout, record: &[u8]) -> String {
    let Some(column) = fault.column.and_then(|index| layout.columns.get(index)) else {
        return format!("the record {}", fault.fault);
    };
    let value = find(record, &column.path).map(preview).unwrap_or_else(|| "its value".to_owned());
    format!("column {:?} ({}): {value} {}", column.name, column.type_name, fault.fault)
}

/// The value that keys lead to, or the one of their joined name.
fn find<'a>(record: &'a [u8], path: &[String]) -> Option<&'a [u8]> {
    let joined = path.join(".");
    if let Some(raw) = RecordView::new(record).get(joined.as_bytes()) {
        return Some(raw);
    }
    let keys: Vec<&str> =
        if path.len() == 1 { joined.split('.').collect() } else { path.iter().map(String::as_str).collect() };
    let (first, rest) = keys.split_first()?;
    let mut raw = RecordView::new(record).get(first.as_bytes())?;
    for key in rest {
        let Ok(ValueRef::Map(inner)) = ValueRef::read(raw) else { return None };
        raw = RecordView::new(inner).get(key.as_bytes())?;
    }
    Some(raw)
}

fn preview(raw: &[u8]) -> String {
    let mut text = json_preview(raw);
    if text.len() > PREVIEW_BYTES_MAX {
        let end = (0..=PREVIEW_BYTES_MAX).rev().find(|end| text.is_char_boundary(*end)).unwrap_or(0);
        text.truncate(end);
        text.push_str("...");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::out_clickhouse::fault::Fault;
    use crate::out_clickhouse::layout::ColumnOptions;
    use crate::out_clickhouse::layout::tests::table;
    use jiff::tz::TimeZone;

    #[test]
    fn messages_name_column_type_and_value() {
        let table = table(&[("status", "UInt8", ""), ("a.b", "Date", "")]);
        let layout = Layout::new(&table, &ColumnOptions::default(), &TimeZone::UTC, |_| {}).unwrap();
        let record =
            rmp_serde::to_vec(&serde_json::json!({"status": 300, "a": {"b": "é".repeat(80)}})).unwrap();
        let message = |column, fault| describe(&RowFault { column, fault }, &layout, &record);
        assert_eq!(message(Some(0), Fault::OutOfRange), "column \"status\" (UInt8): 300 is out of range");
        let long = message(Some(1), Fault::NotTime);
        assert!(
            long.starts_with("column \"a.b\" (Date): \"éé") && long.ends_with("é... is not a time"),
            "{long}"
        );
        assert_eq!(message(None, Fault::Unstorable), "the record cannot be stored");
    }
}
