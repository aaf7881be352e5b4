//! The same statements to Debian's server (18.16) and to the store: the same answers, but for what eight years of ClickHouse
//! have changed, which is listed with its reason.

use super::Store;
use super::running::header;
use logweir_testing::{ClickHouse, HttpAnswer, http_request};

/// What makes the tables; also the inserts of the corpus, in every format that data usually comes in.
const SETUP: &[(&str, &str)] = &[
    ("", "CREATE DATABASE corpus"),
    (
        "",
        "CREATE TABLE corpus.logs (ts DateTime, day Date MATERIALIZED toDate(ts), level Enum8('info' = 1, 'error' = 2), \
         host String, status UInt16, ms Float64, tags Array(String), trace Nullable(String), id UInt64 DEFAULT status * 10) \
         ENGINE = MergeTree PARTITION BY toYYYYMM(ts) ORDER BY (host, ts)",
    ),
    (
        "",
        "INSERT INTO corpus.logs (ts, level, host, status, ms, tags, trace) VALUES ('2026-01-01 00:00:00', 'info', 'a', 200, \
         1.5, ['x', 'y'], NULL), ('2026-01-01 00:00:01', 'error', 'b', 500, 20, [], 'it''s')",
    ),
    (
        "query=INSERT+INTO+corpus.logs+(ts,level,host,status,ms,tags,trace)+FORMAT+TabSeparated",
        "2026-01-02 00:00:00\tinfo\ta\t200\t2\t['z']\t\\N\n2026-02-01 00:00:00\terror\tc\\tc\t404\t0\t[]\tt\n",
    ),
    (
        "query=INSERT+INTO+corpus.logs+(ts,level,host,status,ms,trace,id)+FORMAT+CSV",
        "\"2026-02-02 00:00:00\",\"info\",\"d,d\",201,3.25,\\N,7\n",
    ),
    (
        "query=INSERT+INTO+corpus.logs+FORMAT+JSONEachRow",
        "{\"ts\":\"2026-02-03 01:02:03\",\"level\":\"error\",\"host\":\"grün\",\"status\":503,\"ms\":1e3,\"tags\":[\"q\"],\
         \"trace\":null,\"id\":3}\n{\"host\":\"default\",\"ts\":\"2026-02-03 01:02:04\"}",
    ),
    ("query=INSERT+INTO+corpus.logs+(ts,host)+FORMAT+RowBinary", "\0\0\0j\u{3}bin"),
    (
        "query=INSERT+INTO+corpus.logs+(host,ts)+FORMAT+Values",
        "('v', 1770000000), (concat('v', 'w'), '2026-02-04 00:00:00')",
    ),
    ("query=INSERT+INTO+corpus.logs+(host,status,ts)+FORMAT+TSKV", "host=tskv\tstatus=9\tts=1770000001\n"),
    ("", "CREATE TABLE corpus.copy AS corpus.logs"),
    (
        "",
        "INSERT INTO corpus.copy (ts, level, host, status) SELECT ts, level, host, status FROM corpus.logs WHERE status > 0",
    ),
    (
        "",
        "CREATE VIEW corpus.errors AS SELECT host, count() AS n FROM corpus.logs WHERE level = 'error' GROUP BY host",
    ),
    ("", "ALTER TABLE corpus.copy ADD COLUMN extra String DEFAULT 'e'"),
    ("", "OPTIMIZE TABLE corpus.copy"),
    ("database=corpus", "RENAME TABLE copy TO copied"),
    ("", "CREATE TABLE corpus.defaults (status UInt16, id UInt64 DEFAULT status * 10) ENGINE = Log"),
    ("query=INSERT+INTO+corpus.defaults+FORMAT+JSONEachRow", "{\"status\":503}"),
];

/// No statement leaves the order of its rows to the server: UNION ALL, for one, promises none.
const SAME: &[&str] = &[
    "SELECT * FROM corpus.logs ORDER BY host, ts",
    "SELECT day, id, host FROM corpus.logs ORDER BY host, ts FORMAT CSV",
    "SELECT ts, level, tags, trace FROM corpus.logs ORDER BY host, ts FORMAT TabSeparatedWithNamesAndTypes",
    "SELECT host, ms, trace FROM corpus.logs ORDER BY host, ts FORMAT JSONEachRow",
    "SELECT host, tags FROM corpus.logs ORDER BY host, ts FORMAT Values",
    "SELECT ts, status, host FROM corpus.logs ORDER BY host, ts FORMAT RowBinary",
    "SELECT ts, status, host, tags, trace FROM corpus.logs WHERE status = 201 FORMAT Native",
    "SELECT host, status FROM corpus.logs ORDER BY host, ts FORMAT TSKV",
    "SELECT level, count(), sum(ms), uniq(host) FROM corpus.logs GROUP BY level ORDER BY level",
    "SELECT toStartOfHour(ts) AS h, count() AS n FROM corpus.logs GROUP BY h HAVING n > 1 ORDER BY h",
    "SELECT host, quantileExact(0.5)(ms) FROM corpus.logs GROUP BY host ORDER BY host LIMIT 3",
    "SELECT tag, count() FROM corpus.logs ARRAY JOIN tags AS tag GROUP BY tag ORDER BY tag",
    "SELECT host, n FROM corpus.errors ORDER BY host",
    "SELECT l.host, c.status FROM corpus.logs AS l ANY LEFT JOIN corpus.copied AS c USING (host) ORDER BY l.host, l.ts FORMAT Null",
    "SELECT host, extra FROM corpus.copied ORDER BY host, ts",
    "SELECT count() FROM corpus.logs WHERE host LIKE '%i%' OR trace IS NULL",
    "SELECT count() FROM corpus.logs WHERE ts >= toDateTime('2026-02-01 00:00:00') AND has(tags, 'q')",
    "SELECT host FROM corpus.logs WHERE status IN (SELECT max(status) FROM corpus.logs)",
    "SELECT argMax(host, ms), anyLast(1), groupUniqArray(1), topK(1)(host = 'a') FROM corpus.logs",
    "SELECT a.1, a.2 FROM (SELECT (1, 'x') AS a)",
    "SELECT arrayMap(x -> x * 2, range(5)), arraySort([3, 1, 2]), length('grün'), lengthUTF8('grün')",
    "SELECT toDate('2026-03-01') + 1, toYYYYMM(toDate('2026-03-01')), formatReadableSize(123456)",
    "SELECT replaceRegexpAll('a-b-c', '-', '+'), splitByChar(',', 'a,b'), upper('x'), substring('abc', 2, 1)",
    "SELECT number, number % 3 FROM (SELECT number FROM system.numbers LIMIT 5) ORDER BY number",
    "SELECT sum(number) FROM (SELECT number FROM system.numbers LIMIT 100000)",
    "SELECT toUInt8('300')",
    "SELECT toInt8(-1), toUInt64(18446744073709551615), toFloat64(1) / 3, 0.1 + 0.2, 1 / 0, -1 / 0, toFloat32(0.1)",
    "SELECT toDecimal32(1.25, 2) + toDecimal32(1, 0), CAST('7' AS UInt8), toString(1.0), toFixedString('a', 2)",
    "SELECT 'tab\\tnl\\nq\\'b\\\\', '', NULL, [NULL, 1], cityHash64('a'), hex(MD5('a'))",
    "SELECT if(1, 'a', 'b'), multiIf(0, 1, 0, 2, 3), coalesce(NULL, 5), nullIf(1, 1), isNull(NULL)",
    "SELECT 1 AS x, 'y' AS y FORMAT Vertical",
    "SELECT x FROM (SELECT 1 AS x UNION ALL SELECT 2 AS x) ORDER BY x",
    "SELECT count() FROM corpus.logs FORMAT XML",
    "SELECT host, status FROM corpus.logs ORDER BY host, ts FORMAT JSON",
    "SELECT level, count() FROM corpus.logs GROUP BY level WITH TOTALS ORDER BY level FORMAT JSONCompact",
    "SELECT host, status FROM corpus.logs ORDER BY host, ts LIMIT 2 FORMAT TabSeparatedWithNames",
    "SELECT status FROM corpus.logs WHERE 0",
    "SELECT status FROM corpus.logs WHERE 0 FORMAT JSONCompact",
    "EXISTS TABLE corpus.logs",
    "EXISTS TABLE corpus.nothing",
    "SHOW TABLES FROM corpus LIKE 'l%'",
    "SELECT name, type, default_kind FROM system.columns WHERE database = 'corpus' AND table = 'logs' ORDER BY name",
    "SELECT database, name, engine FROM system.tables WHERE database = 'corpus' ORDER BY name",
    "SELECT partition, sum(rows) FROM system.parts WHERE active AND database = 'corpus' AND table = 'logs' GROUP BY partition ORDER BY partition",
    "SELECT currentDatabase()",
];

/// Statement, the server's answer, the store's, and why they differ.
const DIFFERENT: &[(&str, &str, &str, &str)] = &[
    (
        "SELECT toDateTime(0), toDate(0)",
        "0000-00-00 00:00:00\t0000-00-00\n",
        "1970-01-01 00:00:00\t1970-01-01\n",
        "the zero of times is written as the epoch since 20.1",
    ),
    (
        "SELECT topK(1)(level) FROM corpus.logs WHERE level = 'info'",
        "[1]\n",
        "['info']\n",
        "aggregate functions keep the names of an Enum since 19",
    ),
    (
        "SELECT id FROM corpus.defaults",
        "0\n",
        "5030\n",
        "DEFAULT expressions are computed for fields that JSON lacks since 19.7",
    ),
    (
        "SELECT name FROM system.databases WHERE name LIKE 'I%'",
        "",
        "INFORMATION_SCHEMA\n",
        "information_schema came with 21.11",
    ),
];

/// Statement, and the code that both answer with; the statuses are the newer server's (18.16 answers 500 to most).
const ERRORS: &[(&str, u32)] = &[
    ("SELECT * FROM corpus.nosuch", 60),
    ("SELECT * FROM nosuch.t", 81),
    ("SELECT nosuch FROM corpus.logs", 47),
    ("SELECT nosuch(1)", 46),
    ("SELECT 1 FROM", 62),
    ("SELECT 1 FROM FROM", 60),
    ("SELECT 1 FORMAT Nosuch", 73),
    ("INSERT INTO corpus.logs (nosuch) VALUES (1)", 16),
    ("INSERT INTO corpus.logs (status) FORMAT TabSeparated\nx\n", 27),
    ("SELECT 'a' + 1", 43),
    ("SELECT toDate('nonsense')", 38),
    ("SELECT throwIf(1)", 395),
    ("CREATE TABLE corpus.logs (a UInt8) ENGINE = Memory", 57),
    ("CREATE DATABASE corpus", 82),
    ("SELECT 1 SETTINGS nosuch = 1", 115),
    ("SELECT (1, 2) IN (1, 2, 3)", 124),
];

/// The same in both where their defaults differ.
const SETTINGS: &str = "output_format_json_quote_64bit_integers=1&output_format_write_statistics=0";

#[test]
fn the_store_answers_as_the_server_does() {
    let Some(store) = Store::start() else { return };
    let server = ClickHouse::start();
    let ask = |port: u16, parameters: &str, sql: &str| {
        http_request(port, "POST", &format!("/?{parameters}"), &[], sql.as_bytes()).unwrap()
    };
    for (parameters, sql) in SETUP {
        for port in [server.port(), store.port()] {
            let answer = ask(port, parameters, sql);
            assert_eq!(answer.status, 200, "{parameters} {sql}\n{}", answer.text());
        }
    }
    let mut wrong = Vec::new();
    for sql in SAME {
        let (theirs, ours) = (ask(server.port(), "", sql), ask(store.port(), SETTINGS, sql));
        if theirs.status != 200 || normal(&theirs, sql) != normal(&ours, sql) {
            wrong.push(format!(
                "{sql}\nserver {}: {}\nstore {}: {}",
                theirs.status,
                theirs.text(),
                ours.status,
                ours.text()
            ));
        }
    }
    for (sql, theirs, ours, why) in DIFFERENT {
        let (server, store) = (ask(server.port(), "", sql), ask(store.port(), SETTINGS, sql));
        let text = |answer: &HttpAnswer| if answer.status == 200 { answer.text() } else { String::new() };
        if (text(&server).as_str(), text(&store).as_str()) != (*theirs, *ours) {
            wrong.push(format!(
                "{sql} ({why})\nserver {}: {}\nstore {}: {}",
                server.status,
                server.text(),
                store.status,
                store.text()
            ));
        }
    }
    for (sql, code) in ERRORS {
        let (server, store) = (ask(server.port(), "", sql), ask(store.port(), "", sql));
        let starts = format!("Code: {code}");
        let says = |answer: &HttpAnswer| answer.status >= 400 && answer.text().starts_with(&starts);
        if !says(&server)
            || !says(&store)
            || header(&store, "x-clickhouse-exception-code") != Some(code.to_string().as_str())
        {
            wrong.push(format!(
                "{sql} ({code})\nserver {}: {}\nstore {}: {}",
                server.status,
                server.text(),
                store.status,
                store.text()
            ));
        }
    }
    assert!(wrong.is_empty(), "{} differ:\n{}", wrong.len(), wrong.join("\n\n"));
}

/// An answer without what cannot be equal: the time that it took.
fn normal(answer: &HttpAnswer, sql: &str) -> Vec<u8> {
    let document =
        ["FORMAT JSON", "FORMAT XML"].iter().any(|format| sql.contains(format)) && !sql.contains("EachRow");
    if !document {
        return answer.body.clone();
    }
    let text = answer.text();
    let cut =
        ["\"statistics\"", "<statistics>"].iter().find_map(|mark| text.find(mark)).unwrap_or(text.len());
    // Without statistics there is no comma in front of them, and the end of the document.
    text[..cut]
        .chars()
        .filter(|c| !c.is_whitespace())
        .collect::<String>()
        .trim_end_matches([',', '}'])
        .replace("</result>", "")
        .into()
}
