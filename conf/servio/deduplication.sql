-- For ClickHouse 21.4 and later: the table recognises an insert that is sent again, so that a retry stores nothing twice.
-- Without it, and on older servers, Logweir asks the server whether an insert was stored before it sends it again.
ALTER TABLE servio_logs.logs MODIFY SETTING non_replicated_deduplication_window = 10000;
