//! Inserts whose answer nobody heard, into Servio's kind of table on Debian's server, which recognises no repeated insert.
//! Servers are killed here, so each test has its own.

use super::plugin::{chunk, plugin, written};
use logweir_engine::buffer::Chunk;
use logweir_testing::{ClickHouse, http_request};
use serde_json::{Value, json};
use std::sync::atomic::{AtomicBool, Ordering};

const TABLE: &str = "CREATE TABLE t (timestamp DateTime, n UInt32, message String) ENGINE = MergeTree \
                     PARTITION BY toYYYYMM(timestamp) ORDER BY timestamp";

/// 30 rows in three months.
fn records() -> Vec<Value> {
    let month = |n: u32| 1 + n % 3;
    (0..30)
        .map(
            |n| json!({"timestamp": format!("2024-{:02}-10T00:00:00Z", month(n)), "n": n, "message": "tick"}),
        )
        .collect()
}

/// Writes a chunk as a process does that has just been started and found it in its buffer, with the note that a delivery had
/// begun.
async fn write_after_a_restart(server: &ClickHouse, chunk: &Chunk) {
    if chunk.deliveries() == 0 {
        chunk.begin_delivery().unwrap();
    }
    let (plugin, _) = plugin(&format!("port {}\ntable t", server.port()));
    written(&*plugin, chunk).await;
}

fn counts(server: &ClickHouse) -> String {
    server.query("SELECT count(), uniqExact(n) FROM t")
}

#[tokio::test]
async fn a_server_that_is_killed_forgets_its_log_but_not_the_rows() {
    let mut server = ClickHouse::start();
    server.query(TABLE);
    let chunk = chunk(&records());
    let (first, _) = plugin(&format!("port {}\ntable t", server.port()));
    first.write(&chunk).await.unwrap();
    server.kill();
    server.start_again();
    // Had it been flushed just before.
    server.query("DROP TABLE IF EXISTS system.query_log");
    write_after_a_restart(&server, &chunk).await;
    assert_eq!(counts(&server), "30\t30");
    // The rows are found in merged parts as well.
    let other = self::chunk(&[json!({"timestamp": "2024-01-10T00:00:00Z", "n": 30, "message": "tick"})]);
    write_after_a_restart(&server, &other).await;
    server.query("OPTIMIZE TABLE t PARTITION 202401 FINAL");
    assert_eq!(server.query("SELECT count() FROM system.parts WHERE table = 't' AND active"), "3");
    write_after_a_restart(&server, &chunk).await;
    assert_eq!(counts(&server), "31\t31");
}

/// The parts in which the rows are looked for are gone when they are read.
#[tokio::test(flavor = "multi_thread")]
async fn rows_are_found_while_the_parts_that_they_are_in_are_merged() {
    let server = ClickHouse::start();
    server.query(TABLE);
    let chunk = chunk(&records());
    let (first, _) = plugin(&format!("port {}\ntable t", server.port()));
    first.write(&chunk).await.unwrap();
    server.query("SYSTEM FLUSH LOGS");
    server.query("DROP TABLE IF EXISTS system.query_log");
    let is_over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !is_over.load(Ordering::Relaxed) {
                server.query("INSERT INTO t VALUES ('2024-01-20 00:00:00', 1000, 'tick'), ('2024-02-20 00:00:00', 1000, 'tick')");
                server.query("OPTIMIZE TABLE t PARTITION 202401 FINAL");
                server.query("OPTIMIZE TABLE t PARTITION 202402 FINAL");
            }
        });
        tokio::task::block_in_place(|| {
            tokio::runtime::Handle::current().block_on(async {
                for _ in 0..30 {
                    write_after_a_restart(&server, &chunk).await;
                }
            });
        });
        is_over.store(true, Ordering::Relaxed);
    });
    assert_eq!(server.query("SELECT count(), uniqExact(n) FROM t WHERE n < 1000"), "30\t30");
}

#[tokio::test]
async fn a_server_that_is_killed_between_partitions_gets_only_the_others() {
    let mut server = ClickHouse::start();
    server.query(TABLE);
    let chunk = chunk(&records());
    server.query("INSERT INTO t SELECT '2024-02-10 00:00:00', number * 3 + 1, 'tick' FROM numbers(10)");
    // One row of March, and all but one of January, from elsewhere: those months are not what the insert left.
    server.query("INSERT INTO t SELECT '2024-03-10 00:00:00', 2, 'tick'");
    server.query("INSERT INTO t SELECT '2024-01-10 00:00:00', number * 3, 'tick' FROM numbers(9)");
    server.kill();
    server.start_again();
    write_after_a_restart(&server, &chunk).await;
    assert_eq!(
        server.query("SELECT toMonth(timestamp) AS m, count(), uniqExact(n) FROM t GROUP BY m ORDER BY m"),
        "1\t19\t10\n2\t10\t10\n3\t11\t10"
    );
}

#[tokio::test]
async fn equal_rows_of_another_insert_are_not_taken_for_those_that_are_missing() {
    let mut server = ClickHouse::start();
    server.query(TABLE);
    let same = json!({"timestamp": "2024-01-10T00:00:00Z", "n": 1, "message": "tick"});
    write_after_a_restart(&server, &chunk(std::slice::from_ref(&same))).await;
    let twice = chunk(&[same.clone(), same]);
    server.kill();
    server.start_again();
    write_after_a_restart(&server, &twice).await;
    assert_eq!(counts(&server), "3\t1");
}

#[tokio::test]
async fn an_insert_that_is_cut_off_before_its_first_row_is_not_stored() {
    let server = ClickHouse::start();
    server.query(TABLE);
    let chunk = chunk(&records());
    // What is left of it if Logweir is killed after the head: the server calls that an insert of no rows.
    let id = chunk.id().hex();
    let target = format!(
        "/?query_id={id}&log_queries=1&query=INSERT%20INTO%20t%20(timestamp,%20n,%20message)%20FORMAT%20Native"
    );
    assert_eq!(http_request(server.port(), "POST", &target, &[], b"").unwrap().status, 200);
    let logged =
        format!("SELECT written_rows FROM system.query_log WHERE query_id = '{id}' AND toUInt8(type) = 2");
    // The server answers before it logs.
    let found = std::iter::repeat_with(|| {
        server.query("SYSTEM FLUSH LOGS");
        server.query(&logged)
    });
    assert_eq!(found.take(1000).find(|rows| !rows.is_empty()).as_deref(), Some("0"));
    write_after_a_restart(&server, &chunk).await;
    assert_eq!(counts(&server), "30\t30");
}
