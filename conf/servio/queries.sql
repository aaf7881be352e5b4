-- The questions of Servio's guide. `context` is a String that holds JSON, so its fields are read with a function;
-- visitParamExtractFloat is in every ClickHouse (JSONExtractFloat only since 19.5).

-- Find all errors in the last hour
SELECT *
FROM servio_logs.logs
WHERE level = 'error'
  AND timestamp >= now() - INTERVAL 1 HOUR
ORDER BY timestamp DESC;

-- Find slow API requests
SELECT
  timestamp,
  service,
  message,
  visitParamExtractFloat(context, 'duration') AS duration
FROM servio_logs.logs
WHERE service = 'api'
  AND duration > 1000
ORDER BY timestamp DESC;

-- Count errors by service
SELECT
  service,
  count() AS error_count
FROM servio_logs.logs
WHERE level = 'error'
  AND timestamp >= now() - INTERVAL 24 HOUR
GROUP BY service
ORDER BY error_count DESC;

-- Find failed payments
SELECT *
FROM servio_logs.logs
WHERE message LIKE '%Payment failed%'
  AND timestamp >= now() - INTERVAL 24 HOUR
ORDER BY timestamp DESC;
