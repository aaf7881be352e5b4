//! conf/cluster: agents, aggregators behind one address, a ClickHouse cluster. What an agent has read is stored once, whoever is
//! killed meanwhile.

mod parts;
mod survival;

use crate::logweir::{BINARY, Logweir, words};
use logweir_testing::{ClickHouse, ClickHouseCluster, HaProxy, Libchdb, free_port};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// A file of conf/cluster.
fn conf(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("conf/cluster").join(name)
}

/// Its text.
fn conf_text(name: &str) -> String {
    fs::read_to_string(conf(name)).unwrap()
}

/// The text with each `from` replaced by its `to`; all of them are in it.
fn replaced(text: &str, changes: &[(&str, String)]) -> String {
    let mut text = text.to_owned();
    for (from, to) in changes {
        assert!(text.contains(from), "{from:?} is not in {text}");
        text = text.replace(from, to);
    }
    text
}

/// The statements of a file of SQL.
fn statements(text: &str) -> Vec<String> {
    let lines: Vec<&str> = text.lines().filter(|line| !line.starts_with("--")).collect();
    lines.join("\n").split(';').map(|sql| sql.trim().to_owned()).filter(|sql| !sql.is_empty()).collect()
}

/// The total of what the servers of a shard have of `logs.app_local`, each on its own: rows and different messages.
fn counts(shard: &[ClickHouse]) -> Vec<String> {
    let count = |server: &ClickHouse| {
        server.query("SYSTEM SYNC REPLICA logs.app_local");
        server.query("SELECT count(), uniqExact(message) FROM logs.app_local")
    };
    shard.iter().map(count).collect()
}

#[test]
fn the_configurations_are_valid() {
    for name in ["agent.conf", "agent-one-address.conf", "aggregator.conf"] {
        let mut command = Command::new(BINARY);
        command
            .arg("check")
            .arg(conf(name))
            .env("LOGWEIR_SHARED_KEY", "key")
            .env("LOGWEIR_NAME", "aggregator-1");
        let output =
            command.env("LOGWEIR_CLICKHOUSE_HOSTS", "clickhouse-1-1,clickhouse-1-2").output().unwrap();
        assert_eq!(output.status.code(), Some(0), "{name}: {}", words(&output));
    }
}

#[test]
fn the_tables_are_what_a_current_server_takes() {
    let Some(engine) = Libchdb::shared() else { return };
    // The embedded engine is no cluster: it makes the table of a shard without its replicas.
    for sql in statements(&conf_text("tables.sql")) {
        if sql.contains("ENGINE = Distributed") {
            continue;
        }
        let sql = sql.replace(" ON CLUSTER logs", "");
        let sql = sql
            .replace("ReplicatedMergeTree('/clickhouse/tables/{shard}/logs/app', '{replica}')", "MergeTree");
        engine.query(&sql);
    }
    let columns =
        "SELECT groupArray(name) FROM system.columns WHERE database = 'logs' AND table = 'app_local'";
    assert_eq!(engine.query(columns), "['timestamp','tag','host','level','message']");
}
