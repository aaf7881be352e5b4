-- For ClickHouse 22.2 and later; run on any one server. tables-old.sql is for those before.

CREATE DATABASE IF NOT EXISTS logs ON CLUSTER logs;

-- The part of one shard. A repeated insert is recognised by its token among the last 10,000 of a week.
CREATE TABLE IF NOT EXISTS logs.app_local ON CLUSTER logs
(
    timestamp DateTime64(3, 'UTC') CODEC(Delta, ZSTD(1)),
    tag LowCardinality(String),
    host LowCardinality(String),
    level LowCardinality(String),
    message String CODEC(ZSTD(1))
)
ENGINE = ReplicatedMergeTree('/clickhouse/tables/{shard}/logs/app', '{replica}')
PARTITION BY toDate(timestamp)
ORDER BY (host, timestamp)
TTL toDateTime(timestamp) + INTERVAL 30 DAY
SETTINGS replicated_deduplication_window = 10000, replicated_deduplication_window_seconds = 604800, ttl_only_drop_parts = 1;

-- All of them, for queries.
CREATE TABLE IF NOT EXISTS logs.app ON CLUSTER logs AS logs.app_local
ENGINE = Distributed(logs, logs, app_local, cityHash64(host));
