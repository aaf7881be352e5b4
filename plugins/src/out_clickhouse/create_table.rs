//! The table that Logweir makes when `create_table` is set and there is none.

use super::describe::TableName;
use super::table::quoted;

/// What the configuration says about a table to be made.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct TableOptions {
    /// Columns with their types; empty means [`default_columns`].
    pub(crate) columns: Vec<(String, String)>,
    /// The engine with its arguments.
    pub(crate) engine: String,
    /// Expression of ORDER BY.
    pub(crate) order_by: Option<String>,
    /// Expression of PARTITION BY.
    pub(crate) partition_by: Option<String>,
    /// After how many seconds rows may go.
    pub(crate) ttl_seconds: Option<u64>,
    /// Expression of TTL, instead of the seconds.
    pub(crate) ttl_expression: Option<String>,
    /// Cluster for ON CLUSTER.
    pub(crate) cluster: Option<String>,
}

/// The column of the default table that gets the fields without a column of their own.
pub(crate) const EXTRA_COLUMN: &str = "fields";
/// How many inserts a table without replicas remembers.
const DEDUPLICATION_WINDOW: u32 = 10_000;

/// Days of retention up to which partitions are days; beyond they are months.
const DAILY_PARTITIONS_MAX: u64 = 62;

/// Since when servers have what the statements use.
const TTL_SINCE: (u32, u32) = (19, 6);
const DATETIME64_SINCE: (u32, u32) = (20, 1);
const LOW_CARDINALITY_SINCE: (u32, u32) = (19, 0);
const MAP_SINCE: (u32, u32) = (21, 8);
const WINDOW_SINCE: (u32, u32) = (21, 4);

/// The columns of a table for logs of any shape, as good as this server can have them.
pub(crate) fn default_columns(version: (u32, u32)) -> Vec<(String, String)> {
    let time = if version >= DATETIME64_SINCE { "DateTime64(9, 'UTC')" } else { "DateTime" };
    let word = if version >= LOW_CARDINALITY_SINCE { "LowCardinality(String)" } else { "String" };
    let fields = if version >= MAP_SINCE { "Map(LowCardinality(String), String)" } else { "String" };
    [
        ("timestamp", time),
        ("tag", word),
        ("level", word),
        ("service", word),
        ("hostname", word),
        ("message", "String"),
        (EXTRA_COLUMN, fields),
    ]
    .map(|(name, kind)| (name.to_owned(), kind.to_owned()))
    .to_vec()
}

/// The statements that make database and table on a server of this version.
pub(crate) fn statements(name: &TableName, options: &TableOptions, version: (u32, u32)) -> Vec<String> {
    let columns = if options.columns.is_empty() { default_columns(version) } else { options.columns.clone() };
    let on_cluster = options.cluster.as_ref().map(|cluster| format!(" ON CLUSTER {}", quoted(cluster)));
    let on_cluster = on_cluster.unwrap_or_default();
    let time = columns
        .iter()
        .find(|(_, kind)| kind.starts_with("DateTime") || kind.starts_with("Date"))
        .map(|(column, _)| quoted(column));
    let listed: Vec<String> =
        columns.iter().map(|(column, kind)| format!("  {} {kind}", quoted(column))).collect();
    let mut table = format!(
        "CREATE TABLE IF NOT EXISTS {}{on_cluster}\n(\n{}\n)\nENGINE = {}",
        name.sql(),
        listed.join(",\n"),
        options.engine
    );
    if options.engine.contains("MergeTree") {
        // A day each, as long as that stays a few dozen partitions.
        let daily = options.ttl_seconds.is_some_and(|seconds| seconds <= DAILY_PARTITIONS_MAX * 86_400);
        let function = if daily { "toDate" } else { "toYYYYMM" };
        let partition =
            options.partition_by.clone().or(time.as_ref().map(|time| format!("{function}({time})")));
        if let Some(partition) = partition {
            table.push_str(&format!("\nPARTITION BY {partition}"));
        }
        let order = options.order_by.clone().or(time.clone()).unwrap_or_else(|| "tuple()".to_owned());
        table.push_str(&format!("\nORDER BY {order}"));
        if let Some(ttl) = ttl(options, time.as_deref()).filter(|_| version >= TTL_SINCE) {
            table.push_str(&format!("\nTTL {ttl}"));
        }
        let replicated = options.engine.starts_with("Replicated") || options.engine.starts_with("Shared");
        if version >= WINDOW_SINCE && !replicated {
            table.push_str(&format!(
                "\nSETTINGS non_replicated_deduplication_window = {DEDUPLICATION_WINDOW}"
            ));
        }
    }
    vec![format!("CREATE DATABASE IF NOT EXISTS {}{on_cluster}", quoted(&name.database)), table]
}

/// Whether rows of the configured age would stay for ever on a server of this version.
pub(crate) fn ttl_is_ignored(options: &TableOptions, version: (u32, u32)) -> bool {
    (options.ttl_seconds.is_some() || options.ttl_expression.is_some()) && version < TTL_SINCE
}

fn ttl(options: &TableOptions, time: Option<&str>) -> Option<String> {
    match (&options.ttl_expression, options.ttl_seconds, time) {
        (Some(expression), _, _) => Some(expression.clone()),
        (None, Some(seconds), Some(time)) => Some(format!("toDateTime({time}) + INTERVAL {seconds} SECOND")),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name() -> TableName {
        TableName { database: "d".into(), table: "t".into() }
    }

    fn merge_tree() -> TableOptions {
        TableOptions { engine: "MergeTree".into(), ..TableOptions::default() }
    }

    #[test]
    fn a_current_server_gets_all_that_it_can_do() {
        let options = TableOptions { ttl_seconds: Some(86_400), ..merge_tree() };
        let statements = statements(&name(), &options, (26, 5));
        assert_eq!(statements[0], "CREATE DATABASE IF NOT EXISTS `d`");
        assert_eq!(
            statements[1],
            "CREATE TABLE IF NOT EXISTS `d`.`t`\n(\n  `timestamp` DateTime64(9, 'UTC'),\n  \
             `tag` LowCardinality(String),\n  `level` LowCardinality(String),\n  `service` LowCardinality(String),\n  \
             `hostname` LowCardinality(String),\n  `message` String,\n  `fields` Map(LowCardinality(String), String)\n)\n\
             ENGINE = MergeTree\nPARTITION BY toDate(`timestamp`)\nORDER BY `timestamp`\n\
             TTL toDateTime(`timestamp`) + INTERVAL 86400 SECOND\n\
             SETTINGS non_replicated_deduplication_window = 10000"
        );
    }

    #[test]
    fn an_old_server_gets_what_it_knows() {
        let options = TableOptions { ttl_seconds: Some(60), ..merge_tree() };
        let table = &statements(&name(), &options, (18, 16))[1];
        assert!(!table.contains("TTL") && !table.contains("Low") && !table.contains("SETTINGS"));
        assert!(table.contains("`timestamp` DateTime,") && ttl_is_ignored(&options, (18, 16)));
    }

    #[test]
    fn the_configuration_decides() {
        let options = TableOptions {
            columns: vec![("ts".into(), "DateTime".into()), ("a`".into(), "UInt8".into())],
            engine: "ReplicatedMergeTree('/p', 'r')".into(),
            order_by: Some("(a, ts)".into()),
            partition_by: Some("toYYYYMM(ts)".into()),
            ttl_expression: Some("ts + INTERVAL 1 DAY".into()),
            cluster: Some("c".into()),
            ..TableOptions::default()
        };
        let table = &statements(&name(), &options, (26, 5))[1];
        assert_eq!(
            table,
            "CREATE TABLE IF NOT EXISTS `d`.`t` ON CLUSTER `c`\n(\n  `ts` DateTime,\n  `a\\`` UInt8\n)\n\
             ENGINE = ReplicatedMergeTree('/p', 'r')\nPARTITION BY toYYYYMM(ts)\nORDER BY (a, ts)\n\
             TTL ts + INTERVAL 1 DAY"
        );
        let memory = TableOptions { engine: "Memory".into(), ..TableOptions::default() };
        assert!(statements(&name(), &memory, (26, 5))[1].ends_with("ENGINE = Memory"));
    }
}
