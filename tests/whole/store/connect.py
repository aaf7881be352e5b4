# PyPI's clickhouse-connect with the store at PORT: what a script or a notebook does with a server.
import datetime
import sys

import clickhouse_connect
from clickhouse_connect.driver.exceptions import DatabaseError

PORT = int(sys.argv[1])


def client(**options):
    return clickhouse_connect.get_client(host="127.0.0.1", port=PORT, **options)


def main():
    first = client()
    assert first.ping()
    first.command("CREATE DATABASE app")
    first.command(
        "CREATE TABLE app.lines (n UInt64, ts DateTime64(3, 'UTC'), level LowCardinality(String), tags Array(String),"
        " attrs Map(String, String), trace Nullable(String)) ENGINE = MergeTree ORDER BY n"
    )
    when = datetime.datetime(2026, 1, 2, 3, 4, 5, 678000, tzinfo=datetime.timezone.utc)
    names = ["n", "ts", "level", "tags", "attrs", "trace"]
    done = 0
    for compression in ("lz4", "zstd", "gzip", False):
        one = client(database="app", compress=compression)
        rows = [[n, when, "info", ["a", str(n)], {"k": "grün"}, None if n % 2 else "t"] for n in range(done, done + 500)]
        summary = one.insert("lines", rows, column_names=names)
        assert summary.written_rows == 500, summary.summary
        done += 500
        result = one.query("SELECT * FROM lines WHERE n >= {n:UInt64} ORDER BY n", parameters={"n": done - 2})
        naive = when.replace(tzinfo=None)
        assert result.result_rows[1] == (done - 1, naive, "info", ["a", str(done - 1)], {"k": "grün"}, None), result.result_rows
        assert one.command("SELECT count() FROM lines") == done
        total = 0
        with one.query_rows_stream("SELECT number FROM numbers(300000)") as stream:
            for (number,) in stream:
                total += number
        assert total == 44999850000
        one.close()
    raw = first.raw_query("SELECT n FROM app.lines ORDER BY n LIMIT 2", fmt="JSONEachRow")
    assert raw == b'{"n":0}\n{"n":1}\n', raw
    try:
        first.query("SELECT * FROM app.nosuch")
    except DatabaseError as error:
        assert "60" in str(error) and "UNKNOWN_TABLE" in str(error), error
    else:
        raise AssertionError("no error")
    # It opens a session by itself: temporary tables and SET last from query to query.
    first.command("CREATE TEMPORARY TABLE mine (a UInt8)")
    first.insert("mine", [[7]], column_names=["a"])
    assert first.query("SELECT a FROM mine").result_rows == [(7,)]
    first.close()


main()
