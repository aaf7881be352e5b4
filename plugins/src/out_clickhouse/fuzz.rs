//! Types and blocks for fuzz targets: a server says any type, a record holds any value.

use super::cells::{Block, OnFault, RowFault};
use super::layout::{ColumnOptions, Layout};
use super::reader::read_block;
use super::rows::RowEncoder;
use super::table::{ColumnDefault, Deduplication, Table, TableColumn};
use jiff::tz::TimeZone;
use logweir_engine::clickhouse::frame::Compression;
use logweir_engine::event::EventTime;
use logweir_engine::msgpack::{Time, skip};

/// Rows of a block; an array may have as many elements as the fuzzer's input has bytes.
const ROWS_MAX: usize = 64;

/// The body of a fuzz target: a column's type up to the first line end, then MessagePack values, a row each. Panics if the
/// block that they make is not one, or if a row that is refused leaves something behind.
pub fn fuzz(data: &[u8]) {
    let end = data.iter().position(|byte| *byte == b'\n').unwrap_or(data.len());
    let kind = String::from_utf8_lossy(&data[..end]);
    // FixedString(4000000000) is a type, but a row of it takes four gigabytes, as it would in the server.
    if longest_number(&kind) > 3 {
        return;
    }
    let Some(layout) = layout(&kind) else { return };
    let records = records(data.get(end + 1..).unwrap_or_default());
    let (block, refused) = encode(&layout, &records);
    let columns = read_block(&block.body.concat()).expect("a block");
    assert_eq!(block.rows, records.len() - refused.len());
    assert!(columns.iter().all(|(_, values)| values.len() == block.rows), "{columns:?}");
    let accepted: Vec<_> =
        (0..records.len()).filter(|row| !refused.iter().any(|(bad, _)| bad == row)).collect();
    let accepted: Vec<_> = accepted.into_iter().map(|row| records[row].clone()).collect();
    let (alone, refused) = encode(&layout, &accepted);
    assert_eq!(refused, [], "refused alone");
    assert_eq!(alone.body.concat(), block.body.concat(), "a refused row left something behind");
}

fn longest_number(text: &str) -> usize {
    text.split(|c: char| !c.is_ascii_digit()).map(str::len).max().unwrap_or(0)
}

fn layout(kind: &str) -> Option<Layout> {
    let column = |name: &str, kind: &str| TableColumn {
        name: name.to_owned(),
        type_name: kind.to_owned(),
        default: ColumnDefault::parse(""),
    };
    let table = Table {
        columns: vec![column("c", kind), column("n", "UInt8")],
        zone: TimeZone::UTC,
        partition_key: String::new(),
        deduplication: Deduplication::Unknown,
        memory: None,
        keeps_rows: false,
    };
    Layout::new(&table, &ColumnOptions::default(), &TimeZone::UTC, |_| {}).ok()
}

/// `{"c": value, "n": 1}` for each value.
fn records(bytes: &[u8]) -> Vec<Vec<u8>> {
    let mut records = Vec::new();
    let mut at = 0;
    while let (true, Ok(end)) = (at < bytes.len() && records.len() < ROWS_MAX, skip(bytes, at)) {
        records.push([b"\x82\xa1c", &bytes[at..end], b"\xa1n\x01"].concat());
        at = end;
    }
    records
}

fn encode(layout: &Layout, records: &[Vec<u8>]) -> (Block, Vec<(usize, RowFault)>) {
    let mut rows = RowEncoder::new(layout, 0, Compression::None, OnFault::RefuseRow, 1_700_000_000);
    let mut refused = Vec::new();
    for (row, record) in records.iter().enumerate() {
        let time = Time::Event(EventTime { sec: 86_400, nsec: 5 });
        match rows.push(record, 0, time, Some(b"some.tag")) {
            Ok(end) => assert_eq!(end, record.len(), "where the record ends"),
            Err(fault) => refused.push((row, fault)),
        }
    }
    (rows.finish(), refused)
}
