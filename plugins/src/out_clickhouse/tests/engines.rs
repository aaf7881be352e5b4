//! A table in a real ClickHouse, and rows on their way into it.

use crate::out_clickhouse::cells::{Block, OnFault, RowFault};
use crate::out_clickhouse::layout::{ColumnOptions, Layout};
use crate::out_clickhouse::rows::RowEncoder;
use crate::out_clickhouse::table::{ColumnDefault, Deduplication, Table, TableColumn, quoted};
use jiff::tz::TimeZone;
use logweir_engine::clickhouse::frame::Compression;
use logweir_engine::msgpack::Entries;
use logweir_testing::{ClickHouse, Libchdb, http_request};
use std::sync::atomic::{AtomicU32, Ordering};

/// An engine that tests run on.
#[derive(Clone, Copy)]
pub(super) enum Engine {
    /// Debian's server.
    Server(&'static ClickHouse),
    /// The current engine.
    Current(&'static Libchdb),
}

impl Engine {
    /// Those that are there.
    pub(super) fn all() -> Vec<Self> {
        let server = Self::Server(ClickHouse::shared());
        [Some(server), Libchdb::shared().map(Self::Current)].into_iter().flatten().collect()
    }

    /// The current engine, if it is there.
    pub(super) fn current() -> Option<Self> {
        Libchdb::shared().map(Self::Current)
    }

    /// The output of a statement.
    pub(super) fn query(self, sql: &str) -> String {
        match self {
            Self::Server(server) => server.query(sql),
            Self::Current(engine) => engine.query(sql),
        }
    }

    /// Sends the body of an insert.
    pub(super) fn insert(self, sql: &str, body: &[u8], compression: Compression) -> Result<(), String> {
        match self {
            Self::Server(server) => {
                let decompress = u8::from(compression.framed());
                let sql = format!("{sql} FORMAT Native").replace(' ', "%20").replace('`', "%60");
                let target = format!("/?decompress={decompress}&query={sql}");
                let answer = http_request(server.port(), "POST", &target, &[], body).unwrap();
                if answer.status == 200 { Ok(()) } else { Err(answer.text()) }
            }
            Self::Current(engine) => engine.insert(sql, "Native", body),
        }
    }

    /// The compression that the way to this engine takes.
    pub(super) fn compression(self) -> Compression {
        match self {
            Self::Server(_) => Compression::Lz4,
            Self::Current(_) => Compression::None,
        }
    }

    /// Creates a table with these columns (SQL), and reads its description back.
    pub(super) fn table(self, columns: &str) -> (String, Table) {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let name = format!("t{}", NUMBER.fetch_add(1, Ordering::Relaxed));
        self.query(&format!("CREATE TABLE {name} ({columns}) ENGINE = Memory"));
        let table = self.description("default", &name);
        (name, table)
    }

    /// The description of a table.
    pub(super) fn description(self, database: &str, name: &str) -> Table {
        let described = self.query(&format!(
            "SELECT name, type, default_kind FROM system.columns WHERE database = '{database}' AND table = '{name}' \
             FORMAT JSONCompact"
        ));
        let described: serde_json::Value = serde_json::from_str(&described).unwrap();
        let text = |value: &serde_json::Value| value.as_str().unwrap().to_owned();
        let columns = described["data"].as_array().unwrap().iter().map(|row| TableColumn {
            name: text(&row[0]),
            type_name: text(&row[1]),
            default: ColumnDefault::parse(row[2].as_str().unwrap()),
        });
        Table {
            columns: columns.collect(),
            zone: TimeZone::UTC,
            partition_key: String::new(),
            deduplication: Deduplication::Unknown,
            memory: None,
            keeps_rows: false,
        }
    }
}

/// The layout of a table without any configuration.
pub(super) fn layout(table: &Table) -> Layout {
    Layout::new(table, &ColumnOptions::default(), &TimeZone::UTC, |column| panic!("{column:?}")).unwrap()
}

/// Encodes entries; the faults with the numbers of their entries.
pub(super) fn encode(
    layout: &Layout,
    entries: &[u8],
    given: u64,
    compression: Compression,
) -> (Block, Vec<(usize, RowFault)>) {
    let mut rows = RowEncoder::new(layout, given, compression, OnFault::RefuseRow, 1_700_000_000);
    let mut faults = Vec::new();
    for (index, entry) in Entries::new(entries).enumerate() {
        if let Err(fault) = rows.push(entry.record, 0, entry.time, Some(b"some.tag")) {
            faults.push((index, fault));
        }
    }
    (rows.finish(), faults)
}

/// `INSERT INTO` with the columns of a block.
pub(super) fn insert_sql(name: &str, layout: &Layout, block: &Block) -> String {
    let columns: Vec<String> =
        block.columns.iter().map(|index| quoted(&layout.columns[*index].name)).collect();
    format!("INSERT INTO {name} ({})", columns.join(", "))
}
