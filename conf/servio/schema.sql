-- Servio's table, as their guide prints it.
CREATE DATABASE IF NOT EXISTS servio_logs;

CREATE TABLE IF NOT EXISTS servio_logs.logs (
  timestamp DateTime,
  level String,
  service String,
  environment String,
  venueId String,
  userId String,
  message String,
  context String,
  metadata String,
  hostname String,
  date Date MATERIALIZED toDate(timestamp)
) ENGINE = MergeTree()
PARTITION BY toYYYYMM(timestamp)
ORDER BY (timestamp, service, level)
TTL timestamp + INTERVAL 30 DAY;
