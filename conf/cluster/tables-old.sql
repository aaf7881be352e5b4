-- For servers before 20.1 (tested with 18.16 and ZooKeeper): no DateTime64, codecs, TTL; LowCardinality is an experiment there.
-- They recognise a repeated insert by its rows, not by a token: inserts with equal rows in every column are one.

CREATE DATABASE IF NOT EXISTS logs ON CLUSTER logs;

CREATE TABLE IF NOT EXISTS logs.app_local ON CLUSTER logs
(
    timestamp DateTime,
    tag String,
    host String,
    level String,
    message String
)
ENGINE = ReplicatedMergeTree('/clickhouse/tables/{shard}/logs/app', '{replica}')
PARTITION BY toDate(timestamp)
ORDER BY (host, timestamp)
SETTINGS replicated_deduplication_window = 10000;

CREATE TABLE IF NOT EXISTS logs.app ON CLUSTER logs AS logs.app_local
ENGINE = Distributed(logs, logs, app_local, cityHash64(host));
