//! Several servers of which each has rows of its own, in tables that recognise no repeated insert: what one of them may have
//! goes to no other. Debian's servers, killed and started as they like.

use super::plugin::{chunk, plugin, written};
use logweir_engine::buffer::Chunk;
use logweir_engine::plugin::WriteError;
use logweir_testing::ClickHouse;
use serde_json::{Value, json};
use std::time::Duration;

const TABLE: &str = "CREATE TABLE t (timestamp DateTime, n UInt32) ENGINE = MergeTree PARTITION BY toYYYYMM(timestamp) \
                     ORDER BY timestamp";

/// Two servers with the table, and the parameters that name them.
fn servers() -> ([ClickHouse; 2], String) {
    let servers = [ClickHouse::start(), ClickHouse::start()];
    servers.iter().for_each(|server| drop(server.query(TABLE)));
    let lines = format!("host 127.0.0.1:{},127.0.0.1:{}\ntable t", servers[0].port(), servers[1].port());
    (servers, lines)
}

/// 30 rows in three months, from `first` on, that go to the server of this number first.
fn chunk_for(server: u8, first: u32) -> Chunk {
    let rows = (first..first + 30)
        .map(|n| json!({"timestamp": format!("2024-{:02}-10T00:00:00Z", 1 + n % 3), "n": n}));
    let rows: Vec<Value> = rows.collect();
    std::iter::repeat_with(|| chunk(&rows)).find(|chunk| chunk.id().0[15] % 2 == server).unwrap()
}

fn count(server: &ClickHouse) -> String {
    server.query("SELECT count(), uniqExact(n) FROM t")
}

/// Makes the third of the partitions of the next insert fail, when the first two are stored: where its part would be made, a
/// link leads nowhere.
fn break_third_partition(server: &ClickHouse) {
    for month in 1..=3 {
        let part = server.dir().join(format!("data/data/default/t/tmp_insert_20240{month}_3_3_0"));
        std::os::unix::fs::symlink("/nonexistent/part", part).unwrap();
    }
}

fn held(outcome: Result<(), WriteError>) -> String {
    match outcome {
        Err(WriteError::Later { message, .. }) => message,
        other => panic!("it is to wait: {other:?}"),
    }
}

#[tokio::test]
async fn an_insert_that_fails_between_two_partitions_is_completed_and_not_repeated() {
    let server = ClickHouse::start();
    server.query(TABLE);
    break_third_partition(&server);
    let (plugin, _) = plugin(&format!("port {}\ntable t", server.port()));
    let chunk = chunk_for(0, 0);
    let outcome = plugin.write(&chunk).await;
    assert!(
        matches!(&outcome, Err(WriteError::Retry { message, .. }) if message.contains("tmp_insert_")),
        "{outcome:?}"
    );
    assert_eq!(count(&server), "20\t20", "two of the three partitions");
    written(&*plugin, &chunk).await;
    assert_eq!(count(&server), "30\t30");
}

#[tokio::test]
async fn what_one_server_may_have_waits_for_it_and_other_chunks_do_not() {
    let ([mut a, b], lines) = servers();
    break_third_partition(&a);
    let (plugin, _) = plugin(&lines);
    let doubtful = chunk_for(0, 0);
    assert!(matches!(plugin.write(&doubtful).await, Err(WriteError::Retry { .. })));
    a.kill();
    let message = held(plugin.write(&doubtful).await);
    assert!(message.contains(&a.port().to_string()) && message.contains("doubt_wait"), "{message}");
    // New chunks go to the other server, whichever they prefer.
    plugin.write(&chunk_for(0, 100)).await.unwrap();
    plugin.write(&chunk_for(1, 200)).await.unwrap();
    held(plugin.write(&doubtful).await);
    assert_eq!(count(&b), "60\t60");
    a.start_again();
    // A server that has failed repeatedly is left alone for a while.
    while let Err(error) = plugin.write(&doubtful).await {
        let WriteError::Later { pause, .. } = error else { panic!("{error:?}") };
        tokio::time::sleep(pause).await;
    }
    // What was missing may go to either.
    let rows = |server: &ClickHouse| server.query("SELECT count() FROM t").parse::<u32>().unwrap();
    assert_eq!(rows(&a) + rows(&b), 90);
    let kept = a.query("SELECT count() FROM t WHERE n < 100");
    assert!(kept == "20" || kept == "30", "{kept}");
}

#[tokio::test]
async fn after_a_restart_of_logweir_any_server_may_have_it() {
    let ([mut a, b], lines) = servers();
    let stored = chunk_for(0, 0);
    let (first, _) = plugin(&lines);
    first.write(&stored).await.unwrap();
    tokio::time::sleep(Duration::from_millis(5)).await;
    a.kill();
    let (second, _) = plugin(&lines);
    held(second.write(&stored).await);
    assert_eq!(count(&b), "0\t0");
    a.start_again();
    written(&*second, &stored).await;
    assert_eq!((count(&a), count(&b)), ("30\t30".to_owned(), "0\t0".to_owned()));
}

#[tokio::test]
async fn doubt_wait_limits_the_wait_at_the_price_of_a_repetition() {
    let ([mut a, b], lines) = servers();
    let stored = chunk_for(0, 0);
    let (first, _) = plugin(&lines);
    first.write(&stored).await.unwrap();
    tokio::time::sleep(Duration::from_millis(5)).await;
    a.kill();
    let (second, _) = plugin(&format!("{lines}\ndoubt_wait 1s"));
    held(second.write(&stored).await);
    tokio::time::sleep(Duration::from_millis(1001)).await;
    second.write(&stored).await.unwrap();
    a.start_again();
    assert_eq!((count(&a), count(&b)), ("30\t30".to_owned(), "30\t30".to_owned()));
}
