//! Inserts that come to the server late, when Logweir has asked for them and not found them: into tables that recognise no
//! repeated insert, where the session of the insert decides.

use super::misbehaving::{Answer, Scripted, described};
use super::plugin::{chunk, database, plugin};
use crate::testing::Counted;
use logweir_engine::buffer::Chunk;
use logweir_engine::plugin::{BufferedOutput, WriteError};
use logweir_testing::{ClickHouse, Cut, Proxy};
use serde_json::{Value, json};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// What a current server says of a table that recognises no repeated insert.
fn plain(query: &str) -> Option<Answer> {
    match query.contains("system.tables") {
        true => Some((200, json!({"data": [["MergeTree", "MergeTree ORDER BY n", ""]]}).to_string())),
        false if query.contains("merge_tree_settings") => Some((200, json!({"data": [["0"]]}).to_string())),
        false => described(query),
    }
}

/// Writes until it is written; answers whether it had to wait for a late insert.
async fn write(plugin: &dyn BufferedOutput, chunk: &Chunk) -> bool {
    let (started, mut waited) = (Instant::now(), false);
    loop {
        match plugin.write(chunk).await {
            Ok(()) => return waited,
            Err(WriteError::Later { pause, message, .. }) => {
                waited |= message.contains("on its way");
                tokio::time::sleep(pause).await;
            }
            Err(error) => assert!(matches!(error, WriteError::Retry { .. }), "{error:?}"),
        }
        assert!(started.elapsed() < Duration::from_secs(120));
    }
}

/// The first insert gets to the server so much later; answers whether Logweir waited until it could not come any more.
async fn comes_late(name: &str, delay: Duration) -> bool {
    let server = ClickHouse::shared();
    database(server, name);
    server.query(&format!(
        "CREATE TABLE {name}.t (timestamp DateTime, n UInt32) ENGINE = MergeTree ORDER BY n"
    ));
    let is_first = AtomicBool::new(true);
    let cut = Cut::Delayed(delay);
    let into = format!("%60{name}%60");
    let proxy = Proxy::start(server.port(), move |head| {
        let is_insert = head.contains("query=INSERT") && head.contains(&into);
        if is_insert && is_first.swap(false, Ordering::Relaxed) { cut } else { Cut::Nothing }
    });
    let (plugin, _) = plugin(&format!("port {}\ndatabase {name}\ntable t", proxy.port()));
    let rows: Vec<Value> = (0..25).map(|n| json!({"timestamp": "2024-01-10T00:00:00Z", "n": n})).collect();
    let waited = write(&*plugin, &chunk(&rows)).await;
    while !proxy.cuts().contains_key(&cut) {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert_eq!(server.query(&format!("SELECT count(), uniqExact(n) FROM {name}.t")), "25\t25");
    waited
}

#[tokio::test(flavor = "multi_thread")]
async fn an_insert_that_comes_before_its_session_is_over_is_found() {
    comes_late("late_a_little", Duration::from_millis(600)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_insert_that_comes_when_its_session_is_over_is_refused() {
    assert!(comes_late("late", Duration::from_secs(9)).await);
}

#[tokio::test]
async fn only_a_chunk_whose_delivery_was_begun_is_asked_for() {
    let server = Scripted::start(|query, _| {
        plain(query).unwrap_or_else(|| match query.starts_with("SELECT count() FROM system.processes") {
            true => (200, "0\n".to_owned()),
            false if query.starts_with("SELECT sum(query_id") => (200, "1\t1\n".to_owned()),
            false => (200, String::new()),
        })
    });
    let lines = format!("port {}\ntable t", server.port);
    let (new, begun) = (chunk(&[json!({"n": 1})]), chunk(&[json!({"n": 2})]));
    begun.begin_delivery().unwrap();
    let (after, _) = plugin(&lines);
    after.write(&new).await.unwrap();
    assert_eq!((server.asked("system.processes"), server.inserts().len(), new.deliveries()), (0, 1, 1));
    // The server answers that it has it; the answer to the question for its session says that it is idle.
    after.write(&begun).await.unwrap();
    assert_eq!((server.asked("system.processes"), server.inserts().len(), begun.deliveries()), (1, 1, 1));
}

#[tokio::test]
async fn an_insert_goes_in_a_session_that_was_opened_for_it() {
    let server = Scripted::start(|query, _| plain(query).unwrap_or((200, String::new())));
    let (plugin, _) = plugin(&format!("port {}\ntable t", server.port));
    let chunk = chunk(&[json!({"n": 1})]);
    plugin.write(&chunk).await.unwrap();
    let [(insert, _)] = &server.inserts()[..] else { panic!("one insert") };
    let session = format!("session_id={}.1", chunk.id().hex()); // no other number begins so
    assert!(insert.contains(&session) && insert.contains("session_check=1"), "{insert}");
    assert_eq!(server.asked(&session), 2, "opened, and used");
}

#[tokio::test]
async fn servers_without_sessions_get_inserts_without() {
    // It knows of none, or there are several at one address and the insert comes to another one.
    for (open, insert, refused) in [(404, 200, 0), (200, 404, 3)] {
        let server = Scripted::start(move |query, _| {
            plain(query).unwrap_or_else(|| match query.contains("INSERT") {
                true if query.contains("session_check") && insert != 200 => {
                    (insert, "Code: 372. DB::Exception: Session not found".to_owned())
                }
                false if query.starts_with("SELECT 1") && open != 200 => {
                    (open, "Code: 115. DB::Exception: Unknown setting session_id".to_owned())
                }
                _ => (200, String::new()),
            })
        });
        let (plugin, _) = plugin(&format!("port {}\ntable t", server.port));
        let chunk = chunk(&[json!({"n": 1})]);
        let mut failed = 0;
        while let Err(error) = plugin.write(&chunk).await {
            assert!(
                matches!(&error, WriteError::Retry { message, .. } if message.contains("372")),
                "{error:?}"
            );
            failed += 1;
            assert!(failed < 10);
        }
        assert_eq!(failed, refused);
        let inserts = server.inserts();
        assert_eq!(inserts.len(), refused + 1);
        assert!(!inserts[refused].0.contains("session"), "{}", inserts[refused].0);
    }
}

#[tokio::test]
async fn retries_that_come_later_than_the_table_remembers_are_counted() {
    let counted = Counted::default();
    let _recorder = metrics::set_default_local_recorder(&counted);
    let late = || counted.get("logweir_clickhouse_late_retries_total");
    let server = Scripted::start(|query, _| {
        let full =
            "ReplicatedMergeTree('/t', 'a') ORDER BY n SETTINGS replicated_deduplication_window_seconds = 3";
        match query.contains("system.tables") {
            true => (200, json!({"data": [["ReplicatedMergeTree", full, ""]]}).to_string()),
            false => described(query).unwrap_or((502, "a proxy that lost the server".to_owned())),
        }
    });
    let lines = format!("port {}\ntable t", server.port);
    let (first, _) = plugin(&lines);
    let chunk = chunk(&[json!({"n": 1})]);
    for _ in 0..2 {
        assert!(matches!(first.write(&chunk).await, Err(WriteError::Retry { .. })));
    }
    assert_eq!(late(), 0, "it is remembered");
    tokio::time::sleep(Duration::from_millis(3100)).await;
    assert!(matches!(first.write(&chunk).await, Err(WriteError::Retry { .. })));
    assert_eq!(late(), 1);
    // A process that has just been started goes by the age of the chunk.
    let (second, _) = plugin(&lines);
    assert!(matches!(second.write(&chunk).await, Err(WriteError::Retry { .. })));
    assert_eq!(late(), 2);
    let new = super::plugin::chunk(&[json!({"n": 2})]);
    assert!(matches!(second.write(&new).await, Err(WriteError::Retry { .. })));
    assert_eq!((late(), server.inserts().len()), (2, 5));
}

/// A chunk that goes elsewhere is in doubt for as long as a server may have it, and counted then.
#[tokio::test]
async fn what_a_server_may_have_is_in_doubt_until_doubt_wait_is_over() {
    let counted = Counted::default();
    let _recorder = metrics::set_default_local_recorder(&counted);
    let doubtful = || counted.get("logweir_clickhouse_doubtful_inserts_total");
    for table in [plain as fn(&str) -> Option<Answer>, described] {
        let server = Scripted::start(move |query, _| {
            table(query).unwrap_or_else(|| match query.contains("INSERT") {
                true => (502, "a proxy that lost the server".to_owned()),
                false => (200, String::new()),
            })
        });
        let lines = format!("port {}\ntable t", server.port);
        let (patient, _) = plugin(&lines);
        let (hasty, _) = plugin(&format!("{lines}\ndoubt_wait 0.001"));
        let (sent, other) = (chunk(&[json!({"n": 1})]), chunk(&[json!({"n": 2})]));
        assert!(!patient.is_in_doubt(&sent));
        for plugin in [&patient, &hasty] {
            assert!(matches!(
                plugin.write(&sent).await,
                Err(WriteError::Retry { .. } | WriteError::Later { .. })
            ));
        }
        tokio::time::sleep(Duration::from_millis(2)).await;
        assert!(patient.is_in_doubt(&sent) && !patient.is_in_doubt(&other));
        assert!(!hasty.is_in_doubt(&sent), "doubt_wait is over");
        let before = doubtful();
        patient.given_up(&other);
        assert_eq!(doubtful(), before);
        patient.given_up(&sent);
        assert_eq!(doubtful(), before + 1);
    }
}
