//! The clients that applications use, with the store in place of a server.

use super::Store;
use crate::logweir::words;
use clickhouse::{Client, Row};
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};
use std::process::Command;

#[derive(Row, Serialize, Deserialize, Debug, PartialEq, Clone)]
struct Line {
    n: u64,
    level: String,
    tags: Vec<String>,
    trace: Option<String>,
}

fn line(n: u64) -> Line {
    let trace = n.is_multiple_of(2).then(|| format!("t{n}"));
    Line { n, level: "info".to_owned(), tags: vec![format!("a{n}"), "b".to_owned()], trace }
}

#[test]
fn rusts_clickhouse_crate() {
    let Some(store) = Store::start() else { return };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let client = Client::default().with_url(format!("http://127.0.0.1:{}", store.port())).with_database("app");
        let create = "CREATE TABLE app.lines (n UInt64, level String, tags Array(String), trace Nullable(String)) \
                      ENGINE = MergeTree ORDER BY n";
        client.clone().with_database("default").query("CREATE DATABASE app").execute().await.unwrap();
        client.query(create).execute().await.unwrap();
        let mut insert = client.insert::<Line>("lines").await.unwrap();
        for n in 0..1000 {
            insert.write(&line(n)).await.unwrap();
        }
        insert.end().await.unwrap();
        let sql = "SELECT ?fields FROM lines WHERE n >= ? ORDER BY n";
        let lines = client.query(sql).bind(998).fetch_all::<Line>().await.unwrap();
        assert_eq!(lines, [line(998), line(999)]);
        let mut cursor = client.query("SELECT number FROM numbers(1000000)").fetch::<u64>().unwrap();
        let mut sum = 0;
        while let Some(number) = cursor.next().await.unwrap() {
            sum += number;
        }
        assert_eq!(sum, 499_999_500_000);
        let missing = client.query("SELECT 1 FROM nosuch").fetch_one::<u8>().await.unwrap_err();
        assert!(missing.to_string().contains("Code: 60"), "{missing}");
        // One that comes after the head of the answer.
        let sql = "SELECT toUInt64(throwIf(number = 3000000)) FROM numbers(5000000)";
        let mut cursor = client.query(sql).fetch::<u64>().unwrap();
        let late = loop {
            match cursor.next().await {
                Ok(Some(_)) => {}
                Ok(None) => panic!("the exception is lost"),
                Err(error) => break error,
            }
        };
        assert!(late.to_string().contains("Code: 395"), "{late}");
    });
}

#[test]
fn pythons_clickhouse_connect() {
    let Some(store) = Store::start() else { return };
    let python = cached("python/bin/python3").unwrap_or_else(|| PathBuf::from("python3"));
    succeed(
        Command::new(python).arg(script("connect.py")).arg(store.port().to_string()),
        "PyPI's clickhouse-connect",
    );
    assert_eq!(store.query("SELECT count(), sum(n) FROM app.lines"), "2000\t1999000");
}

#[test]
fn nodes_clickhouse_client() {
    let Some(store) = Store::start() else { return };
    let mut node = Command::new("node");
    if let Some(modules) = cached("node/node_modules") {
        node.env("NODE_PATH", modules);
    }
    succeed(node.arg(script("client.js")).arg(store.port().to_string()), "npm's @clickhouse/client");
    assert_eq!(store.query("SELECT count(), sum(n) FROM app.lines"), "2000\t1999000");
}

fn succeed(command: &mut Command, what: &str) {
    let output = command.output().unwrap_or_else(|error| panic!("{what}: {error}; run `make setup`"));
    assert!(output.status.success(), "{what} (`make setup` installs it): {}", words(&output));
}

fn script(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/whole/store").join(name)
}

/// What `make setup` put into Logweir's cache.
fn cached(path: &str) -> Option<PathBuf> {
    let cache = std::env::var_os("LOGWEIR_CACHE").map(PathBuf::from).or_else(|| {
        let home = std::env::var_os("HOME").map(|home| PathBuf::from(home).join(".cache"));
        std::env::var_os("XDG_CACHE_HOME").map(PathBuf::from).or(home).map(|cache| cache.join("logweir"))
    });
    cache.map(|cache| cache.join(path)).filter(|path| path.exists())
}
