//! What is known of a table: its columns and what its engine can do.

use super::type_name::Type;
use jiff::tz::TimeZone;
use std::time::Duration;

/// A table as the server describes it. Two descriptions that are equal give equal blocks.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Table {
    /// Columns in the server's order.
    pub(crate) columns: Vec<TableColumn>,
    /// The server's time zone.
    pub(crate) zone: TimeZone,
    /// The expression by which rows are divided into partitions; empty if there is none or it is not known.
    pub(crate) partition_key: String,
    /// Whether an insert that is repeated with its token is stored once.
    pub(crate) deduplication: Deduplication,
    /// For how long the engine remembers inserts; `None` if time does not matter.
    pub(crate) memory: Option<Duration>,
    /// Whether rows stay as they were inserted, in parts that can be looked at.
    pub(crate) keeps_rows: bool,
}

/// A column as the server describes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct TableColumn {
    /// Its name.
    pub(crate) name: String,
    /// Its type, as ClickHouse writes it.
    pub(crate) type_name: String,
    /// What it is when it is not given.
    pub(crate) default: ColumnDefault,
}

/// See [`TableColumn::default`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ColumnDefault {
    /// The type's default.
    None,
    /// `DEFAULT expression`, or `EPHEMERAL`: may be given.
    Expression,
    /// `MATERIALIZED` or `ALIAS`: cannot be given.
    Computed,
}

impl ColumnDefault {
    /// From `default_kind` of `system.columns`, or `default_type` of DESCRIBE.
    pub(crate) fn parse(kind: &str) -> Self {
        match kind {
            "" => Self::None,
            "MATERIALIZED" | "ALIAS" => Self::Computed,
            _ => Self::Expression,
        }
    }
}

/// How many inserts a MergeTree table without replicas remembers.
pub(crate) const WINDOW: &str = "non_replicated_deduplication_window";

/// For how many seconds a replicated table remembers inserts.
pub(crate) const WINDOW_SECONDS: &str = "replicated_deduplication_window_seconds";

/// The number that `engine_full` of `system.tables` sets a setting to.
pub(crate) fn engine_setting(engine_full: &str, name: &str) -> Option<u64> {
    let rest = engine_full.split(name).find_map(|rest| rest.trim_start().strip_prefix('='))?;
    rest.trim_start().chars().take_while(char::is_ascii_digit).collect::<String>().parse().ok()
}

/// What the engine makes of an insert that it has already seen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Deduplication {
    /// It is dropped, for as many inserts, or as long, as the table's settings say.
    Engine,
    /// It is stored again, unless the table's settings are changed with this statement.
    Off {
        /// The ALTER TABLE, without its end.
        remedy: String,
    },
    /// It is stored again; this server or engine knows no remedy.
    Unsupported,
    /// The engine keeps no data of its own (Distributed, Buffer, Null, views ...), or is not known.
    Unknown,
}

impl Deduplication {
    /// From `engine` and `engine_full` of `system.tables`. `default_window` is the server's value of [`WINDOW`] for tables that
    /// do not set it; `None` before 21.4, which has no such setting.
    pub(crate) fn of(engine: &str, engine_full: &str, name: &str, default_window: Option<u64>) -> Self {
        if !engine.ends_with("MergeTree") {
            return Self::Unknown;
        }
        if engine.starts_with("Replicated") || engine.starts_with("Shared") {
            return Self::Engine;
        }
        let Some(default_window) = default_window else { return Self::Unsupported };
        match engine_setting(engine_full, WINDOW).unwrap_or(default_window) {
            1.. => Self::Engine,
            0 => Self::Off { remedy: format!("ALTER TABLE {name} MODIFY SETTING {WINDOW} = 10000") },
        }
    }
}

impl Table {
    /// The columns that rows may give, with their types; the others' names and types are handed to `skipped`.
    pub(crate) fn insertable(&self, mut skipped: impl FnMut(&TableColumn)) -> Vec<(&TableColumn, Type)> {
        let mut columns = Vec::new();
        for column in self.columns.iter().filter(|column| column.default != ColumnDefault::Computed) {
            match Type::parse(&column.type_name) {
                Some(kind) => columns.push((column, kind)),
                None => skipped(column),
            }
        }
        columns
    }
}

/// A name as SQL takes it in any position.
pub(crate) fn quoted(name: &str) -> String {
    format!("`{}`", name.replace('\\', "\\\\").replace('`', "\\`"))
}

/// A text as SQL takes it.
pub(crate) fn literal(text: &str) -> String {
    format!("'{}'", text.replace('\\', "\\\\").replace('\'', "\\'"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_engines_make_of_repeated_inserts() {
        let of = |engine, full| Deduplication::of(engine, full, "`d`.`t`", Some(0));
        assert_eq!(of("ReplicatedMergeTree", ""), Deduplication::Engine);
        assert_eq!(of("SharedReplacingMergeTree", ""), Deduplication::Engine);
        assert_eq!(of("Distributed", ""), Deduplication::Unknown);
        let full = "MergeTree ORDER BY a SETTINGS non_replicated_deduplication_window = 100, index_granularity = 8192";
        assert_eq!(of("MergeTree", full), Deduplication::Engine);
        for full in ["MergeTree ORDER BY a", "MergeTree SETTINGS non_replicated_deduplication_window = 0"] {
            let remedy =
                "ALTER TABLE `d`.`t` MODIFY SETTING non_replicated_deduplication_window = 10000".to_owned();
            assert_eq!(of("MergeTree", full), Deduplication::Off { remedy });
        }
        // The server's configuration may set a window for all tables, and a table may turn it off.
        assert_eq!(Deduplication::of("MergeTree", "MergeTree", "t", Some(9)), Deduplication::Engine);
        let off = "MergeTree SETTINGS non_replicated_deduplication_window = 0";
        assert!(matches!(Deduplication::of("MergeTree", off, "t", Some(9)), Deduplication::Off { .. }));
        assert_eq!(Deduplication::of("MergeTree", "", "t", None), Deduplication::Unsupported);
    }

    #[test]
    fn settings_of_an_engine() {
        let full = "ReplicatedMergeTree('/p/{shard}', '{replica}') ORDER BY a SETTINGS replicated_deduplication_window = 5, \
                    replicated_deduplication_window_seconds = 60, index_granularity = 8192";
        assert_eq!(engine_setting(full, WINDOW_SECONDS), Some(60));
        assert_eq!(engine_setting(full, "replicated_deduplication_window"), Some(5));
        assert_eq!(engine_setting(full, WINDOW), None);
        assert_eq!(engine_setting("", WINDOW), None);
    }

    #[test]
    fn names_and_texts_cannot_leave_their_quotes() {
        assert_eq!(quoted("a`b\\"), "`a\\`b\\\\`");
        assert_eq!(literal("it's \\"), "'it\\'s \\\\'");
    }
}
