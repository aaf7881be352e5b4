//! What Logweir and its embedded store share of ClickHouse's wire formats.

pub mod frame;
