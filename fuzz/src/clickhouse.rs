//! Types that a ClickHouse server names, and what records put into their columns.

/// A type name up to the first line end, and values.
pub fn clickhouse_column(data: &[u8]) {
    logweir_plugins::out_clickhouse::fuzz(data);
}
