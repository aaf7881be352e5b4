//! Asks a server what a table is like.

use super::cluster::{Cluster, ClusterError};
use super::endpoint::{Endpoint, Failure};
use super::server_error::{Remedy, ServerError};
use super::table::{
    ColumnDefault, Deduplication, Table, TableColumn, WINDOW, WINDOW_SECONDS, engine_setting, literal, quoted,
};
use jiff::tz::TimeZone;
use serde_json::Value;
use std::sync::Arc;
use std::time::Duration;

/// From this version on a MergeTree without replicas can deduplicate inserts.
const WINDOW_SINCE: (u32, u32) = (21, 4);

/// From this version on replicated tables remember inserts for an hour, before for a week.
const HOUR_SINCE: (u32, u32) = (25, 10);

/// A table's name.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct TableName {
    /// Database.
    pub(crate) database: String,
    /// Table.
    pub(crate) table: String,
}

impl TableName {
    /// As SQL takes it.
    pub(crate) fn sql(&self) -> String {
        format!("{}.{}", quoted(&self.database), quoted(&self.table))
    }
}

impl std::fmt::Display for TableName {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}.{}", self.database, self.table)
    }
}

/// Reads the description of a table. A table that is not there is a refusal with code 60.
///
/// `system.columns` shows only what the user may see, and nothing of some views and functions; then the table is asked
/// with DESCRIBE.
pub(crate) async fn describe(cluster: &Cluster, name: &TableName) -> Result<Table, ClusterError> {
    let (endpoint, server) = cluster.query("SELECT version(), timezone()", "JSONCompact").await?;
    let server = rows(&endpoint, &server)?;
    let cell = |index: usize| server.first().and_then(|row| row.get(index)).and_then(Value::as_str);
    endpoint.learn_version(cell(0).unwrap_or_default());
    let zone = cell(1).and_then(|zone| TimeZone::get(zone).ok()).unwrap_or(TimeZone::UTC);

    let in_table = format!("database = {} AND table = {}", literal(&name.database), literal(&name.table));
    let columns =
        ask(&endpoint, &format!("SELECT name, type, default_kind FROM system.columns WHERE {in_table}"))
            .await;
    let columns = match columns {
        Ok(columns) if !columns.is_empty() => columns,
        _ => ask(&endpoint, &format!("DESCRIBE TABLE {}", name.sql())).await?,
    };
    let columns = columns.iter().map(|row| TableColumn {
        name: text(row, 0),
        type_name: text(row, 1),
        default: ColumnDefault::parse(&text(row, 2)),
    });
    let columns = columns.collect();

    let engine = ask(
        &endpoint,
        &format!(
            "SELECT engine, engine_full, partition_key FROM system.tables WHERE database = {} AND name = {}",
            literal(&name.database),
            literal(&name.table)
        ),
    )
    .await
    .unwrap_or_default();
    let engine = engine.into_iter().next().unwrap_or_default();
    let window = match endpoint.version().is_some_and(|version| version >= WINDOW_SINCE) {
        true => Some(default_window(&endpoint).await),
        false => None,
    };
    let deduplication = match engine.first().and_then(Value::as_str) {
        Some(kind) => Deduplication::of(kind, &text(&engine, 1), &name.sql(), window),
        None => Deduplication::Unknown,
    };
    let memory = match text(&engine, 0).starts_with("Replicated") || text(&engine, 0).starts_with("Shared") {
        true => Some(memory(&endpoint, &text(&engine, 1)).await),
        false => None,
    };
    let keeps_rows = text(&engine, 0) == "MergeTree";
    Ok(Table { columns, zone, partition_key: text(&engine, 2), deduplication, memory, keeps_rows })
}

/// The window of tables that do not set their own; 0 if the server does not say.
async fn default_window(endpoint: &Arc<Endpoint>) -> u64 {
    let sql = format!("SELECT value FROM system.merge_tree_settings WHERE name = '{WINDOW}'");
    let answer = ask(endpoint, &sql).await.unwrap_or_default();
    answer.first().map(|row| text(row, 0)).and_then(|value| value.parse().ok()).unwrap_or_default()
}

/// For how long a replicated table remembers inserts: what it says itself, else the server, else the version.
async fn memory(endpoint: &Arc<Endpoint>, engine_full: &str) -> Duration {
    let of_server = async {
        for table in ["replicated_merge_tree_settings", "merge_tree_settings"] {
            let sql = format!("SELECT value FROM system.{table} WHERE name = '{WINDOW_SECONDS}'");
            let answer = ask(endpoint, &sql).await.unwrap_or_default();
            if let Some(seconds) = answer.first().and_then(|row| text(row, 0).parse().ok()) {
                return Some(seconds);
            }
        }
        None
    };
    let seconds = match engine_setting(engine_full, WINDOW_SECONDS) {
        Some(seconds) => Some(seconds),
        None => of_server.await,
    };
    let is_current = endpoint.version().is_none_or(|version| version >= HOUR_SINCE);
    Duration::from_secs(seconds.unwrap_or(if is_current { 3600 } else { 604_800 }))
}

/// Whether the error says that the table or its database is missing.
pub(crate) fn is_missing(error: &ClusterError) -> bool {
    matches!(&error.failure, Failure::Refused(error) if error.remedy() == Remedy::Table)
}

async fn ask(endpoint: &Arc<Endpoint>, sql: &str) -> Result<Vec<Vec<Value>>, ClusterError> {
    let answer = endpoint
        .query(sql, "JSONCompact")
        .await
        .map_err(|failure| ClusterError { url: endpoint.url().to_owned(), failure })?;
    rows(endpoint, &answer)
}

/// The rows of an answer in JSONCompact.
fn rows(endpoint: &Endpoint, answer: &[u8]) -> Result<Vec<Vec<Value>>, ClusterError> {
    #[derive(serde::Deserialize)]
    struct Answer {
        data: Vec<Vec<Value>>,
    }
    serde_json::from_slice::<Answer>(answer).map(|answer| answer.data).map_err(|error| {
        let start = String::from_utf8_lossy(&answer[..answer.len().min(200)]).into_owned();
        let message = format!("not an answer of ClickHouse ({error}): {start}");
        let failure = Failure::Refused(ServerError { code: None, message });
        ClusterError { url: endpoint.url().to_owned(), failure }
    })
}

fn text(row: &[Value], index: usize) -> String {
    row.get(index).and_then(Value::as_str).unwrap_or_default().to_owned()
}
