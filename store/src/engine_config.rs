//! The engine's settings, as the two XML files that it reads.

use crate::limits::Limits;
use std::path::Path;

/// Inserts that a table remembers, so that one which is sent again is not stored again.
pub(crate) const DEDUPLICATION_WINDOW: u64 = 10_000;
/// Settings of MergeTree tables that an answered insert depends on: what is answered is on the device, and a repeated
/// `insert_deduplication_token` is recognised. A table's own settings prevail.
pub(crate) const TABLE_SETTINGS: [(&str, u64); 3] = [
    ("fsync_after_insert", 1),
    ("fsync_part_directory", 1),
    ("non_replicated_deduplication_window", DEDUPLICATION_WINDOW),
];
/// The engine's log files: the current one and old ones, of this size.
const LOG_BYTES: u64 = 10 << 20;
const LOG_FILES: u64 = 3;

/// `config.xml`
pub(crate) fn server(users_file: &Path, log_file: &Path, limits: &Limits) -> String {
    let threads = std::thread::available_parallelism().map_or(2, usize::from);
    let table: String =
        TABLE_SETTINGS.iter().map(|(name, value)| format!("<{name}>{value}</{name}>")).collect();
    let memory = limits.memory_bytes;
    format!(
        "<clickhouse>
  <users_config>{users}</users_config>
  <logger><level>warning</level><log>{log}</log><size>{LOG_BYTES}</size><count>{LOG_FILES}</count></logger>
  <merge_tree>{table}</merge_tree>
  <max_server_memory_usage>{memory}</max_server_memory_usage>
  <mark_cache_size>{marks}</mark_cache_size>
  <primary_index_cache_size>{marks}</primary_index_cache_size>
  <uncompressed_cache_size>0</uncompressed_cache_size>
  <index_uncompressed_cache_size>0</index_uncompressed_cache_size>
  <index_mark_cache_size>{marks}</index_mark_cache_size>
  <mmap_cache_size>100</mmap_cache_size>
  <background_pool_size>{merges}</background_pool_size>
  <background_common_pool_size>2</background_common_pool_size>
  <background_move_pool_size>1</background_move_pool_size>
  <background_fetches_pool_size>1</background_fetches_pool_size>
  <background_schedule_pool_size>16</background_schedule_pool_size>
  <max_thread_pool_size>2000</max_thread_pool_size>
</clickhouse>
",
        users = xml(users_file),
        log = xml(log_file),
        marks = memory / 20,
        merges = threads.clamp(2, 16),
    )
}

/// `users.xml`: the one user of the engine. It has no right to read or write files, which would be those of the store's own
/// user, or to make dictionaries, whose sources are files and programs as well, and cannot change the SQL dialect, which would hide clauses from the store.
pub(crate) fn users(limits: &Limits) -> String {
    let query = limits.memory_bytes / 10 * 6;
    format!(
        "<clickhouse>
  <profiles><default>
    <max_memory_usage>{query}</max_memory_usage>
    <implicit_select>0</implicit_select>
    <async_insert>0</async_insert>
    <deduplicate_insert>backward_compatible_choice</deduplicate_insert>
    <insert_deduplicate>0</insert_deduplicate>
    <constraints><dialect><const/></dialect></constraints>
  </default></profiles>
  <users><default>
    <password></password><networks><ip>::/0</ip></networks><profile>default</profile><quota>default</quota>
    <grants>
      <query>GRANT ALL ON *.*</query>
      <query>REVOKE FILE, SQLITE ON *.*</query>
      <query>REVOKE CREATE DICTIONARY ON *.*</query>
      <query>REVOKE SYSTEM SHUTDOWN ON *.*</query>
    </grants>
  </default></users>
  <quotas><default></default></quotas>
</clickhouse>
"
    )
}

fn xml(path: &Path) -> String {
    path.display().to_string().replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}
