//! The way of entries into a block without a server, for what counts instructions.

use super::cells::OnFault;
use super::layout::{ColumnOptions, Layout};
use super::rows::RowEncoder;
use super::table::{ColumnDefault, Deduplication, Table, TableColumn};
use jiff::tz::TimeZone;
use logweir_engine::clickhouse::frame::Compression;
use logweir_engine::msgpack::Entries;

/// Makes the compressed block with which `entries` would be inserted into a table of these columns (name, type), and
/// answers its rows and its size in bytes. `None` if an entry does not fit, or a type is not known.
#[doc(hidden)]
pub fn block_of(columns: &[(&str, &str)], entries: &[u8]) -> Option<(usize, usize)> {
    let columns = columns.iter().map(|(name, kind)| TableColumn {
        name: (*name).to_owned(),
        type_name: (*kind).to_owned(),
        default: ColumnDefault::None,
    });
    let table = Table {
        columns: columns.collect(),
        zone: TimeZone::UTC,
        partition_key: String::new(),
        deduplication: Deduplication::Unknown,
        memory: None,
        keeps_rows: false,
    };
    let layout = Layout::new(&table, &ColumnOptions::default(), &TimeZone::UTC, |_| ()).ok()?;
    let mut rows = RowEncoder::new(&layout, 0, Compression::Lz4, OnFault::RefuseRow, 0);
    for entry in Entries::new(entries) {
        rows.push(entry.record, 0, entry.time, None).ok()?;
    }
    let block = rows.finish();
    Some((block.rows, block.body.iter().map(|piece| piece.len()).sum()))
}
