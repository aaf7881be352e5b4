//! ClickHouse's HTTP interface, byte by byte.

use super::running::{Store, failed, header};
use logweir_testing::{HttpAnswer, http_request};
use serde_json::Value;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::process::Command;

#[test]
fn queries_and_data_in_urls_and_bodies() {
    let Some(store) = Store::start() else { return };
    assert_eq!(store.request("GET", "/ping", &[], b"").text(), "Ok.\n");
    assert_eq!(store.request("GET", "/replicas_status", &[], b"").text(), "Ok.\n");
    assert_eq!(store.request("GET", "/", &[], b"").text(), "Ok.\n");
    assert_eq!(store.request("GET", "/nothing", &[], b"").status, 404);
    assert_eq!(store.request("DELETE", "/", &[], b"").status, 501);
    assert_eq!(store.request("GET", "/?query=SELECT+'a%26b'", &[], b"").text(), "a&b\n");

    store.query("CREATE TABLE t (a UInt64, s String DEFAULT 'd') ENGINE = MergeTree ORDER BY a");
    store.query("INSERT INTO t VALUES (1, 'it''s'), (2, concat('x', 'y'))");
    let insert = |url: &str, body: &[u8]| {
        let answer = store.post(url, body);
        assert_eq!(answer.status, 200, "{url}: {}", answer.text());
    };
    insert("query=INSERT+INTO+t+FORMAT+TSV", b"3\tthree\n");
    insert("query=INSERT+INTO+t+(a)+SETTINGS+max_insert_threads=1+FORMAT+CSV", b"4\n");
    insert("", b"INSERT INTO t FORMAT JSONEachRow\n{\"a\": 5}\n{\"a\": 6, \"s\": \"j\"}");
    insert("query=INSERT+INTO+t+(a)", b"FORMAT RowBinary\n\x07\0\0\0\0\0\0\0");
    insert("query=INSERT+INTO+t+VALUES", b"(8, ';'), (9, '--')");
    // Bytes that would end a line or a statement are data.
    insert("query=INSERT+INTO+t+(s)+FORMAT+RowBinary", b"\x05a\n;\0'");
    assert_eq!(
        store.query("SELECT groupArray((a, s)) FROM (SELECT * FROM t ORDER BY a)"),
        "[(0,'a\\n;\\0\\''),(1,'it\\'s'),(2,'xy'),(3,'three'),(4,'d'),(5,'d'),(6,'j'),(7,'d'),(8,';'),(9,'--')]"
    );
    let binary = store.post("default_format=Native", "SELECT a FROM t WHERE a = 7");
    assert_eq!(binary.body, b"\x01\x01\x01a\x06UInt64\x07\0\0\0\0\0\0\0");
    assert_eq!(store.post("database=system", "SELECT currentDatabase()").text(), "system\n");
    let database =
        store.request("POST", "/", &["X-ClickHouse-Database: system"], b"SELECT currentDatabase()");
    assert_eq!(database.text(), "system\n");
    let parameters = "param_a=3&param_s=tab%5Ct&max_threads=1";
    let bound = store.post(parameters, "SELECT {a:UInt8} + 1, {s:String}, getSetting('max_threads')");
    assert_eq!(bound.text(), "4\ttab\\t\t1\n");
    // The longest query, and one that is longer.
    let long = |numbers: usize| {
        format!("SELECT count() FROM numbers(5) WHERE number IN (3{})", ",7".repeat(numbers))
    };
    assert_eq!(store.query(&long(100_000)), "1");
    assert_eq!(store.error(&long(200_000)).1, 62);
    assert_eq!(store.post("max_query_size=1000000", long(200_000)).text(), "1\n");
    // What a request sets is gone with it.
    assert_ne!(store.query("SELECT getSetting('max_threads')"), "1 ");
    assert_eq!(store.error("SELECT {a:UInt8}").1, 456);
}

#[test]
fn what_an_answer_says_of_itself() {
    let Some(store) = Store::start() else { return };
    let answer =
        store.post("query_id=mine&session_timezone=Asia/Tokyo", "SELECT number FROM numbers(3) FORMAT JSON");
    assert_eq!(header(&answer, "x-clickhouse-query-id"), Some("mine"));
    assert_eq!(header(&answer, "x-clickhouse-format"), Some("JSON"));
    assert_eq!(header(&answer, "x-clickhouse-timezone"), Some("Asia/Tokyo"));
    assert_eq!(header(&answer, "content-type"), Some("application/json; charset=UTF-8"));
    assert_eq!(
        header(&answer, "x-clickhouse-server-display-name"),
        Some(store.query("SELECT hostName()").as_str())
    );
    let summary: Value = serde_json::from_str(header(&answer, "x-clickhouse-summary").unwrap()).unwrap();
    assert_eq!((&summary["read_rows"], &summary["result_rows"]), (&"3".into(), &"3".into()));
    let json: Value = serde_json::from_slice(&answer.body).unwrap();
    assert_eq!((json["rows"].as_u64(), json["data"].as_array().unwrap().len()), (Some(3), 3));

    store.query("CREATE TABLE t (a UInt64) ENGINE = MergeTree ORDER BY a");
    let insert = store.post("query=INSERT+INTO+t+FORMAT+TSV", "1\n2\n");
    let summary: Value = serde_json::from_str(header(&insert, "x-clickhouse-summary").unwrap()).unwrap();
    assert_eq!((&summary["read_rows"], &summary["written_rows"]), (&"2".into(), &"2".into()));
    // A document is one, however many blocks it is made of, with totals and extremes.
    let sql = "SELECT number % 3 AS k, count() FROM numbers(300000) GROUP BY k WITH TOTALS SETTINGS extremes = 1 FORMAT JSON";
    let json: Value = serde_json::from_str(&store.query(sql)).unwrap();
    assert_eq!((&json["totals"]["count()"], &json["extremes"]["max"]["k"]), (&300000.into(), &2.into()));
    let long = store.post("", "SELECT number, toString(number) AS s FROM numbers(500000) FORMAT JSON");
    let json: Value = serde_json::from_slice(&long.body).unwrap();
    assert_eq!((json["rows"].as_u64(), &json["data"][499999]["s"]), (Some(500000), &"499999".into()));
    assert!(header(&long, "x-clickhouse-exception-tag").is_some());
}

#[test]
fn errors_have_clickhouses_numbers_and_statuses() {
    let Some(store) = Store::start() else { return };
    let version = store.query("SELECT version()");
    let (status, code, text) = store.error("SELECT * FROM nosuch");
    assert_eq!((status, code), (404, 60));
    assert!(text.starts_with("Code: 60. DB::Exception: "), "{text}");
    assert!(text.ends_with(&format!("(UNKNOWN_TABLE) (version {version})\n")), "{text}");
    let codes = [
        ("SELECT nope", 404, 47),
        ("SELECT 1 FROM", 400, 62),
        ("SELEC 1", 400, 62),
        ("", 400, 62),
        ("SELECT 1; SELECT 2", 400, 62),
        ("SELECT nosuch()", 404, 46),
        ("SELECT * FROM no.such", 404, 81),
        ("SELECT 1 FORMAT Nope", 404, 73),
        ("INSERT INTO nosuch FORMAT TSV\n1", 404, 60),
        ("SELECT toDate('x')", 400, 38),
        ("SELECT 1 SETTINGS nope = 1", 404, 115),
        ("SELECT throwIf(1)", 500, 395),
        ("SELECT sleep(3) SETTINGS max_execution_time = 0.1", 408, 159),
        ("SELECT groupArray(number) FROM numbers(1000000000) SETTINGS max_memory_usage = 10000000", 500, 241),
        // What would reach files of the store's user.
        ("SELECT 1 INTO OUTFILE '/tmp/logweir-must-not-exist'", 404, 78),
        ("INSERT INTO t FROM INFILE '/etc/passwd' FORMAT TSV", 404, 78),
        ("SELECT * FROM file('/etc/passwd', 'LineAsString')", 403, 497),
        ("INSERT INTO FUNCTION file('/tmp/logweir-must-not-exist', 'TSV', 'a Int8') SELECT 1", 403, 497),
        ("SYSTEM SHUTDOWN", 403, 497),
        ("SET dialect = 'prql'", 500, 452),
    ];
    for (sql, status, code) in codes {
        let error = store.error(sql);
        assert_eq!((error.0, error.1), (status, code), "{sql}: {error:?}");
    }
    assert!(!std::path::Path::new("/tmp/logweir-must-not-exist").exists());
    // Nothing in an error speaks of how data got to the engine.
    store.query("CREATE TABLE t (a UInt64) ENGINE = MergeTree ORDER BY a");
    let (_, code, text) = store.error("INSERT INTO t FORMAT TSV\n1\nx\n");
    assert!(code == 27 && !text.contains("/proc/"), "{text}");
    assert_eq!(failed(&store.post("nope=1", "SELECT 1")).1, 115);
    assert_eq!(failed(&store.post("a%20b=1", "SELECT 1")).1, 115);
    assert_eq!(store.query("SELECT count() FROM t"), "0");
}

#[test]
fn sql_reaches_no_files_and_runs_no_programs() {
    let Some(store) = Store::start() else { return };
    if store.log().contains("no Landlock") {
        eprintln!("not run: this kernel has no Landlock");
        return;
    }
    let secret = store.dir().join("secret");
    std::fs::write(&secret, "a,secret\n").unwrap();
    let written = store.dir().join("written");
    let statements = [
        "SELECT file('PATH')",
        "SELECT * FROM file('PATH', 'LineAsString')",
        "SELECT * FROM 'PATH'",
        "SELECT * FROM url('file://PATH', 'LineAsString')",
        "SELECT 'PATH' AS a, * APPLY file FROM (SELECT 'PATH')",
        "INSERT INTO u VALUES (file('PATH'))",
        "SELECT * FROM u",
        "CREATE TABLE f (a String) ENGINE = File('LineAsString', 'PATH')",
        "SELECT * FROM f",
        "CREATE TABLE w (a String) ENGINE = File('TSV', 'NEW')",
        "INSERT INTO w VALUES ('x')",
        "CREATE DATABASE e ENGINE = Filesystem('/')",
        "SELECT * FROM e.`PATH`",
        "SELECT 1 FORMAT Template SETTINGS format_template_resultset = 'PATH', format_template_row = 'PATH'",
        "SELECT * FROM sqlite('PATH', 't')",
        "CREATE DICTIONARY d (a String, b String) PRIMARY KEY a SOURCE(FILE(path 'PATH' format 'CSV')) LIFETIME(0) \
         LAYOUT(COMPLEX_KEY_HASHED())",
        "CREATE DICTIONARY d (a String, b String) PRIMARY KEY a SOURCE(EXECUTABLE(command 'cat PATH' format 'CSV')) LIFETIME(0) \
         LAYOUT(COMPLEX_KEY_HASHED())",
        "SELECT * FROM d",
        "SELECT * FROM executable('cat PATH', 'CSV', 'a String, b String')",
    ];
    store.query("CREATE TABLE u (a String) ENGINE = Memory");
    for sql in statements {
        let sql = sql.replace("PATH", secret.to_str().unwrap()).replace("NEW", written.to_str().unwrap());
        let answer = store.post("", &sql);
        assert!(
            !answer.text().contains("a,secret") && !answer.text().contains("a\tsecret"),
            "{sql}\n{}",
            answer.text()
        );
    }
    assert!(!written.exists());
    assert_eq!(store.query("SELECT count() FROM u"), "0");
}

#[test]
fn an_error_after_the_head_is_at_the_end() {
    let Some(store) = Store::start() else { return };
    let sql = "SELECT throwIf(number = 3000000) FROM numbers(5000000)";
    let late = store.post("", sql);
    let tag = header(&late, "x-clickhouse-exception-tag").unwrap();
    assert_eq!(late.status, 200);
    let text = String::from_utf8_lossy(&late.body[late.body.len() - 500..]).into_owned();
    assert!(text.ends_with(&format!(" {tag}\r\n__exception__\r\n")), "{text}");
    assert!(text.contains(&format!("\r\n__exception__\r\n{tag}\r\nCode: 395. DB::Exception: ")), "{text}");
    // No last chunk: a client that does not know the marks notices that something is missing.
    let mut curl = Command::new("curl");
    curl.args(["-sS", "-o", "/dev/null", "-d", sql]).arg(format!("http://127.0.0.1:{}", store.port()));
    assert_eq!(curl.output().expect("curl").status.code(), Some(18));
    let whole = store.post("wait_end_of_query=1", sql);
    assert_eq!((whole.status, failed(&whole).1), (500, 395));
    let kept = store.post("wait_end_of_query=1", "SELECT number FROM numbers(1000000)");
    assert_eq!(kept.body.iter().filter(|byte| **byte == b'\n').count(), 1_000_000);
}

#[test]
fn bodies_and_answers_are_packed() {
    let Some(store) = Store::start() else { return };
    store.query("CREATE TABLE t (a UInt64) ENGINE = MergeTree ORDER BY a");
    let run = |script: &str| {
        let script = script.replace("URL", &format!("http://127.0.0.1:{}/", store.port()));
        let output = Command::new("sh").arg("-c").arg(&script).output().unwrap();
        assert!(output.status.success(), "{script}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8_lossy(&output.stdout).into_owned()
    };
    run(
        "printf '1\\n2\\n' | gzip | curl -sSf -H 'Content-Encoding: gzip' --data-binary @- 'URL?query=INSERT+INTO+t+FORMAT+TSV'",
    );
    run(
        "printf 'INSERT INTO t FORMAT TSV\\n3\\n' | gzip | curl -sSf -H 'Content-Encoding: gzip' --data-binary @- URL",
    );
    assert_eq!(store.query("SELECT groupArray(a) FROM (SELECT a FROM t ORDER BY a)"), "[1,2,3]");
    assert_eq!(
        run("curl -sSf -H 'Accept-Encoding: gzip' 'URL?enable_http_compression=1&query=SELECT+7' | gunzip"),
        "7\n"
    );
    let plain = run("curl -sSf -H 'Accept-Encoding: gzip' 'URL?query=SELECT+7'");
    assert_eq!(plain, "7\n");
    // ClickHouse's own frames, both ways: what `compress` gives, `decompress` takes.
    let framed = store.post("compress=1", "SELECT number FROM numbers(4, 300000) FORMAT RowBinary").body;
    assert_eq!(framed[16], 0x82);
    let insert = "decompress=1&query=INSERT+INTO+t+FORMAT+RowBinary";
    assert_eq!(store.post(insert, &framed).status, 200);
    assert_eq!(store.query("SELECT count(), uniqExact(a), max(a) FROM t"), "300003\t300003\t300003");
    let mut damaged = framed.clone();
    damaged[100] ^= 1;
    assert_eq!(failed(&store.post(insert, &damaged)).1, 271);
    assert_eq!(failed(&store.post(insert, &framed[..framed.len() - 1])).1, 271);
    let cut = store.request(
        "POST",
        "/?query=INSERT+INTO+t+FORMAT+TSV",
        &["Content-Encoding: gzip"],
        &[0x1f, 0x8b, 8],
    );
    assert_eq!(failed(&cut).1, 271);
    assert_eq!(store.query("SELECT count() FROM t"), "300003");
}

#[test]
fn a_body_that_breaks_off_inserts_nothing() {
    let Some(mut store) = Store::start() else { return };
    store.query("CREATE TABLE t (a UInt64) ENGINE = MergeTree ORDER BY a");
    for head in ["Content-Length: 1000000", "Transfer-Encoding: chunked"] {
        let mut stream = TcpStream::connect(("127.0.0.1", store.port())).unwrap();
        let piece = if head.starts_with('C') { "1\n2\n3\n" } else { "6\r\n1\n2\n3\n\r\n" };
        write!(stream, "POST /?query=INSERT+INTO+t+FORMAT+TSV HTTP/1.1\r\nHost: x\r\n{head}\r\n\r\n{piece}")
            .unwrap();
        stream.shutdown(std::net::Shutdown::Write).unwrap();
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer);
        assert!(!answer.starts_with(b"HTTP/1.1 200"), "{}", String::from_utf8_lossy(&answer));
    }
    assert_eq!(store.query("SELECT count() FROM t"), "0");
    // A long body is in a scratch file while it comes, and is gone with its request.
    let rows = 6_000_000u64;
    let body: Vec<u8> = (0..rows).flat_map(u64::to_le_bytes).collect();
    assert_eq!(store.post("query=INSERT+INTO+t+FORMAT+RowBinary", &body).status, 200);
    assert_eq!(store.query("SELECT count(), sum(a) FROM t"), format!("{rows}\t{}", rows * (rows - 1) / 2));
    let scratch = store.dir().join("store/scratch");
    assert_eq!(std::fs::read_dir(scratch).unwrap().count(), 0);
    store.stop();
}

#[test]
fn get_and_readonly_only_read() {
    let Some(store) = Store::start() else { return };
    store.query("CREATE TABLE t (a UInt64) ENGINE = MergeTree ORDER BY a");
    let get = |query: &str| store.request("GET", &format!("/?{query}"), &[], b"");
    for query in [
        "query=INSERT+INTO+t+VALUES+(1)",
        "query=DROP+TABLE+t",
        "query=CREATE+TABLE+u+(a+Int8)+ENGINE=Memory",
    ] {
        assert_eq!(failed(&get(query)).1, 164, "{query}");
        assert_eq!(failed(&get(&format!("{query}&readonly=0"))).1, 164, "{query}");
        assert_eq!(failed(&get(&format!("{query}&session_id=s"))).1, 164, "{query}");
    }
    assert_eq!(get("query=SELECT+count()+FROM+t&max_threads=1").text(), "0\n");
    assert_eq!(failed(&store.post("readonly=1", "INSERT INTO t VALUES (1)")).1, 164);
    assert_eq!(failed(&store.post("readonly=2", "INSERT INTO t VALUES (1)")).1, 164);
    assert_eq!(failed(&store.post("readonly=1", "SELECT 1 SETTINGS max_threads = 1")).1, 164);
    assert_eq!(store.post("readonly=2&max_threads=1", "SELECT count() FROM t").text(), "0\n");
}

#[test]
fn users_and_passwords() {
    let dir = tempfile::tempdir().unwrap();
    let (admin, reader) = (dir.path().join("admin"), dir.path().join("reader"));
    std::fs::write(&admin, "s3cret\n").unwrap();
    std::fs::write(&reader, "look").unwrap();
    let (admin, reader) = (admin.to_str().unwrap(), reader.to_str().unwrap());
    let options = [
        "--user",
        "admin",
        "--password-file",
        admin,
        "--readonly-user",
        "grafana",
        "--password-file",
        reader,
    ];
    let Some(store) = Store::start_with(&options) else { return };
    let ask = |target: &str, headers: &[&str]| {
        let answer = store.request("POST", target, headers, b"SELECT 1");
        (answer.status, failed(&answer).1)
    };
    assert_eq!(ask("/", &[]), (403, 516));
    assert_eq!(ask("/?user=admin&password=no", &[]), (403, 516));
    assert_eq!(ask("/?user=admin&password=s3cret", &[]), (200, 0));
    assert_eq!(ask("/", &["X-ClickHouse-User: admin", "X-ClickHouse-Key: s3cret"]), (200, 0));
    assert_eq!(ask("/", &["Authorization: Basic YWRtaW46czNjcmV0"]), (200, 0));
    assert_eq!(ask("/?user=admin", &["X-ClickHouse-Key: s3cret"]), (403, 516));
    let reader = "user=grafana&password=look";
    assert_eq!(store.post(&format!("{reader}&max_threads=1"), "SELECT 1").text(), "1\n");
    for settings in ["", "&readonly=0", "&readonly=2", "&session_id=s"] {
        let create = store.post(&format!("{reader}{settings}"), "CREATE TABLE t (a Int8) ENGINE = Memory");
        assert_eq!(failed(&create).1, 164, "{settings}");
    }
    assert_eq!(store.request("GET", "/ping", &[], b"").status, 200);
}

#[test]
fn sessions() {
    let Some(store) = Store::start() else { return };
    let ask = |parameters: &str, sql: &str| store.post(&format!("session_id=s{parameters}"), sql);
    assert_eq!(failed(&ask("&session_check=1", "SELECT 1")).1, 372);
    assert_eq!(ask("", "CREATE TEMPORARY TABLE t (a UInt8)").status, 200);
    assert_eq!(ask("&session_check=1&max_threads=3", "INSERT INTO t VALUES (5)").status, 200);
    assert_eq!(ask("", "SET max_block_size = 77").status, 200);
    let get = store.request(
        "GET",
        "/?session_id=s&max_block_size=5&query=SELECT+a,getSetting('max_block_size')+FROM+t",
        &[],
        b"",
    );
    assert_eq!(get.text(), "5\t5\n");
    assert_eq!(ask("", "SELECT a, getSetting('max_block_size') FROM t").text(), "5\t77\n");
    assert_eq!(store.error("SELECT * FROM t").1, 60);
    assert_eq!(failed(&store.post("session_id=other", "SELECT * FROM t")).1, 60);
    assert_eq!(ask("&close_session=1", "SELECT 1").status, 200);
    assert_eq!(failed(&ask("&session_check=1", "SELECT 1")).1, 372);
}

#[test]
fn a_client_that_goes_away_takes_its_query_along() {
    let Some(mut store) = Store::start() else { return };
    let port = store.port();
    let running = move || {
        let sql = b"SELECT count() FROM system.processes WHERE query LIKE '%numbers(9999999999%' AND query NOT LIKE '%system%'";
        let answer: HttpAnswer = http_request(port, "POST", "/", &[], sql).unwrap();
        answer.text().trim().to_owned()
    };
    store.query("CREATE TABLE nothing (n UInt64) ENGINE = Null");
    // One that computes without output, one whose output nobody takes, an insert.
    let queries = [
        "INSERT INTO nothing SELECT number FROM numbers(9999999999999)",
        "SELECT sum(sipHash64(number)) FROM numbers(9999999999999)",
        "SELECT number, toString(number) FROM numbers(9999999999999)",
    ];
    for sql in queries {
        let mut stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
        write!(
            stream,
            "POST /?query_id=long HTTP/1.1\r\nHost: x\r\nContent-Length: {}\r\n\r\n{sql}",
            sql.len()
        )
        .unwrap();
        store.wait("the query to run", || running() == "1");
        let twice = store.post("query_id=long", "SELECT 1");
        assert_eq!(failed(&twice).1, 216);
        drop(stream);
        store.wait("the query to be cancelled", || running() == "0");
        store.wait("its id to be free", || {
            http_request(port, "POST", "/?query_id=long", &[], b"SELECT 1").unwrap().status == 200
        });
    }
}

#[test]
fn a_long_query_does_not_stop_inserts() {
    let Some(mut store) = Store::start() else { return };
    store.query("CREATE TABLE t (a UInt64) ENGINE = MergeTree ORDER BY a");
    let sql = "SELECT sum(sipHash64(number)) FROM numbers(9999999999999)";
    // As many as there are places for reads, so that one more read waits.
    let streams: Vec<TcpStream> = (0..16)
        .map(|_| {
            let mut stream = TcpStream::connect(("127.0.0.1", store.port())).unwrap();
            write!(stream, "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: {}\r\n\r\n{sql}", sql.len())
                .unwrap();
            stream
        })
        .collect();
    // Each insert waits for none of them.
    for n in 0..5 {
        assert_eq!(store.post("query=INSERT+INTO+t+FORMAT+TSV", format!("{n}\n")).status, 200);
    }
    drop(streams);
    assert_eq!(store.query("SELECT count() FROM t"), "5");
    // SIGTERM in the middle of one more.
    let mut stream = TcpStream::connect(("127.0.0.1", store.port())).unwrap();
    write!(stream, "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: {}\r\n\r\n{sql}", sql.len()).unwrap();
    store.stop();
}

#[test]
fn inserts_are_on_the_disk_and_known_by_their_names() {
    let Some(store) = Store::start() else { return };
    store.query("CREATE TABLE t (a UInt64) ENGINE = MergeTree ORDER BY a");
    let synced = || {
        let sql = "SELECT sum(value) FROM system.events WHERE event IN ('FileSync', 'DirectorySync')";
        store.query(sql).parse::<u64>().unwrap()
    };
    let before = synced();
    let insert = |parameters: &str, data: &str| {
        let answer = store.post(&format!("query=INSERT+INTO+t+FORMAT+TSV&{parameters}"), data);
        assert_eq!(answer.status, 200, "{}", answer.text());
    };
    insert("insert_deduplication_token=one", "1\n");
    assert!(synced() >= before + 3, "data, marks and the directory are synced");
    insert("insert_deduplication_token=one", "1\n");
    insert("insert_deduplication_token=two", "1\n");
    assert_eq!(store.query("SELECT count() FROM t"), "2");
    // Without a name, equal inserts are two.
    insert("", "1\n");
    insert("", "1\n");
    assert_eq!(store.query("SELECT count() FROM t"), "4");
    for _ in 0..2 {
        store.query("INSERT INTO t SETTINGS insert_deduplication_token = 'three' FORMAT TSV\n3");
        store.query("INSERT INTO t SETTINGS insert_deduplication_token = 'four' SELECT 4");
    }
    assert_eq!(store.query("SELECT countIf(a = 3), countIf(a = 4) FROM t"), "1\t1");
    insert("insert_deduplication_token=one&insert_deduplicate=0", "1\n");
    assert_eq!(store.query("SELECT countIf(a = 1) FROM t"), "5");
}

#[test]
fn one_store_a_directory_and_clear_words_when_it_cannot_run() {
    let Some(store) = Store::start() else { return };
    let path = store.dir().join("store");
    let said = |args: &[&str]| {
        let output = crate::logweir::logweir(args);
        assert_eq!(output.status.code(), Some(1));
        crate::logweir::words(&output)
    };
    let path = path.to_str().unwrap();
    let port = logweir_testing::free_port();
    let (free, taken) = (format!("127.0.0.1:{port}"), format!("127.0.0.1:{}", store.port()));
    assert!(said(&["store", "--path", path, "--listen", &free]).contains("is in use by another store"));
    assert!(said(&["store", "--path", path, "--listen", &taken]).contains("cannot listen on"));
    let missing = said(&["store", "--path", path, "--libchdb", "/nonexistent/libchdb.so"]);
    assert!(missing.contains("--libchdb says /nonexistent/libchdb.so, which does not exist"), "{missing}");
    let open = said(&["store", "--path", path, "--listen", &format!("0.0.0.0:{port}")]);
    assert!(open.contains("--password-file"), "{open}");
}
