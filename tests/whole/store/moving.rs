//! From the store to a server and back, as docs/store.md says it.

use super::Store;
use logweir_testing::ClickHouse;
use std::process::Command;

#[test]
fn a_table_moves_to_a_server_and_back() {
    let Some(store) = Store::start() else { return };
    let server = ClickHouse::start();
    let table = "(ts DateTime, level String, message String, tags Array(String), trace Nullable(String)) \
                 ENGINE = MergeTree ORDER BY ts";
    for sql in ["CREATE DATABASE logs".to_owned(), format!("CREATE TABLE logs.app {table}")] {
        store.query(&sql);
        server.query(&sql);
    }
    store.query(
        "INSERT INTO logs.app SELECT toDateTime(1770000000) + number, 'info', concat('message ', toString(number)), \
         ['a', toString(number % 7)], if(number % 3 = 0, NULL, 't') FROM numbers(200000)",
    );
    let shell = |from: u16, to: u16, table: &str| {
        let script = format!(
            "curl -sSf 'http://127.0.0.1:{from}/?query=SELECT+*+FROM+{table}+FORMAT+Native' | \
             curl -sSf 'http://127.0.0.1:{to}/?query=INSERT+INTO+{table}+FORMAT+Native' -X POST -T -"
        );
        let output = Command::new("sh").arg("-c").arg(&script).output().unwrap();
        assert!(output.status.success(), "{script}: {}", String::from_utf8_lossy(&output.stderr));
    };
    let sum = "SELECT count(), sum(cityHash64(ts, level, message, arrayStringConcat(tags), ifNull(trace, '-'))) FROM logs.app";
    let expected = store.query(sum);
    assert!(expected.starts_with("200000\t"), "{expected}");
    shell(store.port(), server.port(), "logs.app");
    assert_eq!(server.query(sum), expected);
    store.query("TRUNCATE TABLE logs.app");
    shell(server.port(), store.port(), "logs.app");
    assert_eq!(store.query(sum), expected);
    // Parquet, for everything that is no ClickHouse.
    let file = store.dir().join("app.parquet");
    let parquet = store.post("", "SELECT * FROM logs.app FORMAT Parquet").body;
    std::fs::write(&file, &parquet).unwrap();
    store.query("TRUNCATE TABLE logs.app");
    let back = store.post("query=INSERT+INTO+logs.app+FORMAT+Parquet", std::fs::read(&file).unwrap());
    assert_eq!(back.status, 200, "{}", back.text());
    assert_eq!(store.query(sum), expected);
}
