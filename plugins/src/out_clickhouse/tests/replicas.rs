//! Replicas of one table: Debian's servers, which recognise a repeated insert by its rows, through ZooKeeper.

use super::plugin::{chunk, plugin};
use super::proxy::losing_proxy;
use logweir_engine::buffer::Chunk;
use logweir_engine::plugin::WriteError;
use logweir_testing::{ClickHouse, ClickHouseCluster};
use metrics::{Counter, Gauge, Histogram, Key, KeyName, Metadata, Recorder, SharedString, Unit};
use serde_json::{Value, json};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

fn table(cluster: &ClickHouseCluster, name: &str, settings: &str) {
    cluster.shards[0][0].query(&format!(
        "CREATE TABLE {name} ON CLUSTER logs (timestamp DateTime, n UInt32) \
         ENGINE = ReplicatedMergeTree('/tables/{{shard}}/{name}', '{{replica}}') PARTITION BY toYYYYMM(timestamp) \
         ORDER BY timestamp {settings}"
    ));
}

/// 30 rows in three months, from `first` on, that go to the first server first.
fn rows(first: u32) -> Chunk {
    let rows = (first..first + 30)
        .map(|n| json!({"timestamp": format!("2024-{:02}-10T00:00:00Z", 1 + n % 3), "n": n}));
    let rows: Vec<Value> = rows.collect();
    std::iter::repeat_with(|| chunk(&rows)).find(|chunk| chunk.id().0[15].is_multiple_of(2)).unwrap()
}

/// What each replica has, once it has all.
fn counts(cluster: &ClickHouseCluster, table: &str) -> Vec<String> {
    let count = |server: &ClickHouse| {
        server.query(&format!("SYSTEM SYNC REPLICA {table}"));
        server.query(&format!("SELECT count(), uniqExact(n) FROM {table}"))
    };
    cluster.servers().map(count).collect()
}

async fn write_until_stored(write: impl AsyncFn() -> Result<(), WriteError>) {
    let started = Instant::now();
    while let Err(error) = write().await {
        assert!(matches!(error, WriteError::Retry { .. }), "{error:?}");
        assert!(started.elapsed() < Duration::from_secs(120), "{error:?}");
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}

#[tokio::test]
async fn an_insert_goes_from_replica_to_replica_and_is_stored_once() {
    let mut cluster = ClickHouseCluster::start(1, 2);
    table(&cluster, "t", "");
    let (a, b) = (cluster.shards[0][0].port(), cluster.shards[0][1].port());
    let hosts = format!("host 127.0.0.1:{a},127.0.0.1:{b}\ntable t");

    // The first replica stores it, but its answer is lost; the second is asked to store it at once.
    let lossy = losing_proxy(a);
    let (through, _) = plugin(&format!("host 127.0.0.1:{lossy},127.0.0.1:{b}\ntable t"));
    through.write(&rows(0)).await.unwrap();
    assert_eq!(counts(&cluster, "t"), ["30\t30", "30\t30"]);

    // The first replica stores it, and is gone when Logweir, restarted, sends it again.
    let stored = rows(100);
    let (first, _) = plugin(&hosts);
    first.write(&stored).await.unwrap();
    assert_eq!(counts(&cluster, "t"), ["60\t60", "60\t60"]);
    cluster.shards[0][0].kill();
    let (second, _) = plugin(&hosts);
    second.write(&stored).await.unwrap();
    let new = rows(200);
    second.write(&new).await.unwrap();
    assert_eq!(cluster.shards[0][1].query("SELECT count(), uniqExact(n) FROM t"), "90\t90");

    // Without ZooKeeper nobody takes anything; with it, everything is as if nothing had been.
    cluster.shards[0][0].start_again();
    cluster.keeper.kill();
    let waiting = rows(300);
    let outcome = second.write(&waiting).await;
    assert!(matches!(outcome, Err(WriteError::Retry { .. })), "{outcome:?}");
    cluster.keeper.start_again();
    write_until_stored(async || second.write(&waiting).await).await;
    write_until_stored(async || second.write(&new).await).await;
    assert_eq!(counts(&cluster, "t"), ["120\t120", "120\t120"]);
}

#[tokio::test]
async fn a_table_is_made_on_the_cluster() {
    let cluster = ClickHouseCluster::start(1, 2);
    let (plugin, _) = plugin(&format!(
        "host 127.0.0.1:{},127.0.0.1:{}\ntable made\ncreate_table true\ncluster logs\n\
         engine ReplicatedMergeTree('/tables/{{shard}}/made', '{{replica}}')\n<schema>\ntimestamp DateTime\nn UInt32\n</schema>",
        cluster.shards[0][0].port(),
        cluster.shards[0][1].port()
    ));
    plugin.write(&rows(0)).await.unwrap();
    assert_eq!(counts(&cluster, "made"), ["30\t30", "30\t30"]);
}

#[tokio::test]
async fn a_retry_that_is_older_than_the_memory_of_the_table_is_counted() {
    let counters = Counters::default();
    let _guard = metrics::set_default_local_recorder(&counters);
    let cluster = ClickHouseCluster::start(1, 1);
    table(&cluster, "short", "SETTINGS replicated_deduplication_window_seconds = 1");
    table(&cluster, "long", "");
    let lossy = losing_proxy(cluster.shards[0][0].port());
    for (table, late) in [("long", 0), ("short", 1)] {
        let (plugin, _) = plugin(&format!("port {lossy}\ntable {table}"));
        let chunk = rows(0);
        assert!(plugin.write(&chunk).await.is_err(), "its answer is lost");
        tokio::time::sleep(Duration::from_millis(1100)).await;
        assert!(plugin.write(&chunk).await.is_err(), "its answer is lost");
        assert_eq!(counters.late.load(Ordering::Relaxed), late, "{table}");
    }
}

/// Counts late retries.
#[derive(Default)]
struct Counters {
    late: Arc<AtomicU64>,
}

impl Recorder for Counters {
    fn describe_counter(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
    fn describe_gauge(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
    fn describe_histogram(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
    fn register_counter(&self, key: &Key, _: &Metadata<'_>) -> Counter {
        match key.name() {
            "logweir_clickhouse_late_retries_total" => Counter::from_arc(Arc::clone(&self.late)),
            _ => Counter::noop(),
        }
    }
    fn register_gauge(&self, _: &Key, _: &Metadata<'_>) -> Gauge {
        Gauge::noop()
    }
    fn register_histogram(&self, _: &Key, _: &Metadata<'_>) -> Histogram {
        Histogram::noop()
    }
}
