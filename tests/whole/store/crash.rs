//! SIGKILL under load: what was answered is there, and what was sent again is there once.

use super::Store;
use logweir_testing::http_request;
use std::sync::Arc;
use std::sync::atomic::{AtomicU16, AtomicU64, Ordering};
use std::time::Duration;

/// Each writer inserts blocks 0, 1, 2 ... of its own, each until it is answered, under one name.
const WRITERS: u64 = 3;
const ROWS: u64 = 50;
const KILLS: u64 = 6;

#[test]
fn a_killed_store_loses_no_answered_insert_and_doubles_none() {
    let Some(mut store) = Store::start() else { return };
    store.query("CREATE TABLE t (writer UInt64, block UInt64, row UInt64) ENGINE = MergeTree ORDER BY (writer, block)");
    let port = store.port();
    let answered: Arc<Vec<AtomicU64>> = Arc::new((0..WRITERS).map(|_| AtomicU64::new(0)).collect());
    // 0 while the test runs.
    let stop = Arc::new(AtomicU16::new(0));
    let writers: Vec<_> = (0..WRITERS)
        .map(|writer| {
            let (answered, stop) = (answered.clone(), stop.clone());
            std::thread::spawn(move || {
                let mut block = 0;
                while stop.load(Ordering::Acquire) == 0 {
                    let rows: String = (0..ROWS).map(|row| format!("{writer}\t{block}\t{row}\n")).collect();
                    let target = format!(
                        "/?query=INSERT+INTO+t+FORMAT+TSV&insert_deduplication_token=w{writer}b{block}"
                    );
                    let answer = http_request(port, "POST", &target, &[], rows.as_bytes());
                    if answer.is_ok_and(|answer| answer.status == 200) {
                        block += 1;
                        answered[writer as usize].store(block, Ordering::Release);
                    } else {
                        std::thread::sleep(Duration::from_millis(5));
                    }
                }
                block
            })
        })
        .collect();
    let all = || answered.iter().map(|count| count.load(Ordering::Acquire)).sum::<u64>();
    for _ in 0..KILLS {
        let before = all();
        store.wait("inserts", || all() >= before + 20);
        store.kill();
        store.start_again();
    }
    let before = all();
    store.wait("inserts", || all() >= before + 20);
    stop.store(1, Ordering::Release);
    let blocks: Vec<u64> = writers.into_iter().map(|writer| writer.join().unwrap()).collect();
    // A block that was being inserted at the end may be there as well.
    for (writer, blocks) in blocks.into_iter().enumerate() {
        let sql = format!(
            "SELECT count(), uniqExact(block, row), uniqExact(block) FROM t WHERE writer = {writer} AND block < {blocks}"
        );
        let expected = blocks * ROWS;
        assert_eq!(
            store.query(&sql),
            format!("{expected}\t{expected}\t{blocks}"),
            "writer {writer}\n{}",
            store.log()
        );
    }
    store.stop();
}

/// What the disk holds after a kill between the engine's note of an insert's name and the move of its part into place.
#[test]
fn an_insert_whose_name_was_noted_but_not_its_rows_is_stored_when_it_comes_again() {
    let Some(mut store) = Store::start() else { return };
    store.query("CREATE TABLE t (a UInt64) ENGINE = MergeTree ORDER BY a");
    store.query("SYSTEM STOP MERGES t");
    let insert = |store: &Store, token: &str, row: &str| {
        let target = format!("query=INSERT+INTO+t+FORMAT+TSV&insert_deduplication_token={token}");
        assert_eq!(store.post(&target, row).status, 200);
    };
    insert(&store, "first", "1\n");
    insert(&store, "second", "2\n");
    let table = store.query("SELECT arrayJoin(data_paths) FROM system.tables WHERE name = 't'");
    let part =
        store.query("SELECT name FROM system.parts WHERE active AND table = 't' ORDER BY name DESC LIMIT 1");
    store.kill();
    std::fs::remove_dir_all(std::path::Path::new(&table).join(&part)).unwrap();
    store.start_again();
    assert_eq!(store.query("SELECT groupArray(a) FROM t"), "[1]");
    insert(&store, "second", "2\n");
    insert(&store, "first", "1\n");
    assert_eq!(store.query("SELECT arraySort(groupArray(a)) FROM t"), "[1,2]");
}
