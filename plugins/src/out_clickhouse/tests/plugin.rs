//! The plugin as the buffer's runtime calls it, against Debian's server.

use crate::out_clickhouse::PLUGIN;
use logweir_engine::buffer::{Chunk, Metadata};
use logweir_engine::event::{EventTime, Tag};
use logweir_engine::msgpack::{Time, write_entry};
use logweir_engine::plugin::{BufferedOutput, Build, Driver, Kind, OutputPlugin, WriteError};
use logweir_testing::{ClickHouse, Options};
use serde_json::{Value, json};

/// The plugin of a `<match>` with these lines, and the driver that built it.
pub(super) fn plugin(lines: &str) -> (Box<dyn BufferedOutput>, Driver) {
    let mut driver = Driver::new(&[&PLUGIN]);
    let text = format!("<match **>\n@type clickhouse\n{lines}\n</match>");
    let params = driver.params(Kind::Output, &text).unwrap_or_else(|error| panic!("{error:?}"));
    let Build::Output(build) = PLUGIN.build else { panic!("an output") };
    match build(&params, &mut driver.context()) {
        Ok(OutputPlugin::Buffered(output)) => (output, driver),
        Ok(OutputPlugin::Direct(_)) => panic!("a buffered output"),
        Err(error) => panic!("{error:?}"),
    }
}

/// A chunk of these records.
pub(super) fn chunk(records: &[Value]) -> Chunk {
    let mut entries = Vec::new();
    for (index, record) in records.iter().enumerate() {
        let time = EventTime { sec: 1_705_314_645 + index as i64, nsec: 5 };
        write_entry(&mut entries, Time::Event(time), None, &rmp_serde::to_vec(record).unwrap());
    }
    Chunk::in_memory(Metadata::default(), entries.into(), records.len())
}

/// A database of a test's own.
pub(super) fn database(server: &ClickHouse, name: &str) {
    server.query(&format!("CREATE DATABASE IF NOT EXISTS {name}"));
}

/// Writes a chunk as the buffer's runtime does: what has to wait for a server is tried again after its pause.
pub(super) async fn written(plugin: &dyn BufferedOutput, chunk: &Chunk) {
    for _ in 0..20 {
        match plugin.write(chunk).await {
            Ok(()) => return,
            Err(WriteError::Later { pause, .. }) => tokio::time::sleep(pause).await,
            Err(error) => panic!("{error:?}"),
        }
    }
    panic!("it waits for ever");
}

/// What is said of a chunk that stays in the buffer.
pub(super) fn retry_message(outcome: Result<(), WriteError>) -> String {
    match outcome {
        Err(WriteError::Retry { message, .. } | WriteError::Operator { message, .. }) => message,
        other => panic!("a retry, not {other:?}"),
    }
}

fn mend_message(outcome: Result<(), WriteError>) -> String {
    match outcome {
        Err(WriteError::Operator { message, .. }) => message,
        other => panic!("somebody is to do something, not {other:?}"),
    }
}

#[tokio::test]
async fn records_become_rows_with_every_compression() {
    let server = ClickHouse::shared();
    database(server, "compressions");
    server.query(
        "CREATE TABLE compressions.t (timestamp DateTime, a UInt8, s String) ENGINE = MergeTree ORDER BY a",
    );
    for (compress, value) in [("lz4", 1), ("zstd", 2), ("none", 3)] {
        let (plugin, _) =
            plugin(&format!("port {}\ndatabase compressions\ntable t\ncompress {compress}", server.port()));
        let records: Vec<Value> = (0..1000).map(|n| json!({"a": value, "s": format!("text {n}")})).collect();
        plugin.write(&chunk(&records)).await.unwrap();
    }
    assert_eq!(
        server.query("SELECT a, count(), uniqExact(s), toString(min(timestamp)) FROM compressions.t GROUP BY a ORDER BY a"),
        "1\t1000\t1000\t2024-01-15 10:30:45\n2\t1000\t1000\t2024-01-15 10:30:45\n3\t1000\t1000\t2024-01-15 10:30:45"
    );
}

#[tokio::test]
async fn a_missing_table_is_waited_for_or_made() {
    let server = ClickHouse::shared();
    let common = format!("port {}\ndatabase missing\ntable logs", server.port());
    let records = [
        json!({"message": "hello", "level": "info", "user": {"id": 7}, "timestamp": "2024-01-15T10:30:45Z"}),
    ];
    let (waiting, _) = plugin(&common);
    let chunk = chunk(&records);
    let message = mend_message(waiting.write(&chunk).await);
    assert!(message.contains("create_table"), "{message}");
    let (making, _) = plugin(&format!("{common}\ncreate_table true\nttl 30d"));
    making.write(&chunk).await.unwrap();
    assert_eq!(
        server.query("SELECT toString(timestamp), level, message, fields FROM missing.logs"),
        "2024-01-15 10:30:45\tinfo\thello\t{\"user\":{\"id\":7}}"
    );
    // The first plugin finds the table now.
    waiting.write(&super::plugin::chunk(&records)).await.unwrap();
    assert_eq!(server.query("SELECT count() FROM missing.logs"), "2");
}

#[tokio::test]
async fn the_tag_is_kept_where_a_column_wants_it() {
    let server = ClickHouse::shared();
    database(server, "tags");
    server.query("CREATE TABLE tags.t (tag String, n UInt8) ENGINE = MergeTree ORDER BY n");
    let (plugin, _) = plugin(&format!("port {}\ndatabase tags\ntable t\ntag_column tag", server.port()));
    let formatter = plugin.formatter().expect("entries with their tag");
    let mut bytes = Vec::new();
    for (tag, n) in [("app.web", 1), ("app.db", 2)] {
        let record = rmp_serde::to_vec(&json!({"n": n, "tag": "mine"})).unwrap();
        formatter.format(&Tag::new(tag), Time::Int(5), &record, &mut bytes).unwrap();
    }
    plugin.write(&Chunk::in_memory(Metadata::default(), bytes.into(), 2).into_formatted()).await.unwrap();
    assert_eq!(server.query("SELECT n, tag FROM tags.t ORDER BY n"), "1\tapp.web\n2\tapp.db");
}

#[tokio::test]
async fn tables_named_by_placeholders() {
    let server = ClickHouse::shared();
    database(server, "placed_web");
    server.query("CREATE TABLE placed_web.day_20240115 (n UInt8, tag String) ENGINE = MergeTree ORDER BY n");
    let (plugin, _) = plugin(&format!(
        "port {}\ndatabase placed_${{tag[1]}}\ntable day_%Y%m%d\n<buffer tag, time>\ntimekey 1d\ntimekey_use_utc true\n</buffer>",
        server.port()
    ));
    let mut entries = Vec::new();
    write_entry(&mut entries, Time::Int(5), None, &rmp_serde::to_vec(&json!({"n": 9})).unwrap());
    let metadata =
        Metadata { timekey: Some(1_705_276_800), tag: Some(Tag::new("app.web")), ..Metadata::default() };
    plugin.write(&Chunk::in_memory(metadata, entries.into(), 1)).await.unwrap();
    assert_eq!(server.query("SELECT n, tag FROM placed_web.day_20240115"), "9\tapp.web");
}

#[tokio::test]
async fn rows_that_do_not_fit_go_to_the_error_label_and_hold_nothing_up() {
    let server = ClickHouse::shared();
    database(server, "faults");
    server.query("CREATE TABLE faults.t (n UInt8, s FixedString(2)) ENGINE = MergeTree ORDER BY n");
    let records = [
        json!({"n": 1, "s": "ab"}),
        json!({"n": 300}),
        json!({"n": 2, "s": "abc"}),
        json!({"n": "3"}),
        json!({"n": {}}),
    ];
    let common = format!("port {}\ndatabase faults\ntable t", server.port());
    let (strict, driver) = plugin(&common);
    strict.write(&chunk(&records)).await.unwrap();
    assert_eq!(driver.errors.count(), 3);
    assert_eq!(server.query("SELECT n FROM faults.t ORDER BY n"), "1\n3");

    let (lenient, driver) = plugin(&format!("{common}\non_row_error null_or_default"));
    lenient.write(&chunk(&records)).await.unwrap();
    assert_eq!((driver.errors.count(), server.query("SELECT count() FROM faults.t").as_str()), (0, "7"));

    let (dropping, driver) = plugin(&format!("{common}\non_row_error drop"));
    dropping.write(&chunk(&records)).await.unwrap();
    assert_eq!((driver.errors.count(), server.query("SELECT count() FROM faults.t").as_str()), (0, "9"));

    let (failing, _) = plugin(&format!("{common}\non_row_error fail_chunk"));
    match failing.write(&chunk(&records)).await {
        Err(WriteError::Reject { message, .. }) => {
            assert_eq!(message, "row 1: column \"n\" (UInt8): 300 is out of range");
        }
        other => panic!("{other:?}"),
    }
    assert_eq!(server.query("SELECT count() FROM faults.t"), "9");
}

#[tokio::test]
async fn a_server_that_restarts_gets_the_chunk_when_it_is_back() {
    let mut server = ClickHouse::start();
    server.query("CREATE TABLE t (n UInt32) ENGINE = MergeTree ORDER BY n");
    let (plugin, _) = plugin(&format!("port {}\ntable t", server.port()));
    plugin.write(&chunk(&[json!({"n": 1})])).await.unwrap();
    server.kill();
    let waiting = chunk(&[json!({"n": 2})]);
    let message = retry_message(plugin.write(&waiting).await);
    assert!(message.starts_with(&format!("http://localhost:{}: ", server.port())), "{message}");
    server.start_again();
    plugin.write(&waiting).await.unwrap();
    assert_eq!(server.query("SELECT n FROM t ORDER BY n"), "1\n2");
}

#[tokio::test]
async fn a_table_that_changes_is_read_anew() {
    let server = ClickHouse::shared();
    database(server, "changes");
    server.query("CREATE TABLE changes.t (n UInt8, gone String, kind UInt8) ENGINE = MergeTree ORDER BY n");
    let (plugin, _) = plugin(&format!("port {}\ndatabase changes\ntable t", server.port()));
    let record = |n: u8| json!({"n": n, "gone": "g", "kind": 1, "fresh": "f"});
    plugin.write(&chunk(&[record(1)])).await.unwrap();
    server.query("ALTER TABLE changes.t DROP COLUMN gone, ADD COLUMN fresh String");
    plugin.write(&chunk(&[record(2)])).await.unwrap();
    assert_eq!(server.query("SELECT n, fresh FROM changes.t ORDER BY n"), "1\t\n2\tf");
    server.query("DROP TABLE changes.t");
    server.query("CREATE TABLE changes.t (n String, kind String) ENGINE = MergeTree ORDER BY n");
    plugin.write(&chunk(&[record(3)])).await.unwrap();
    assert_eq!(server.query("SELECT n, kind FROM changes.t"), "3\t1");
}

#[tokio::test]
async fn columns_with_expressions_get_them_where_records_lack_the_field() {
    let server = ClickHouse::shared();
    database(server, "defaults");
    server.query(
        "CREATE TABLE defaults.t (n UInt8, a String DEFAULT concat('a', toString(n)), b UInt16 DEFAULT n + 100, \
         m String MATERIALIZED 'm') ENGINE = MergeTree ORDER BY n",
    );
    let (plugin, _) = plugin(&format!("port {}\ndatabase defaults\ntable t", server.port()));
    let records = [
        json!({"n": 1}),
        json!({"n": 2, "a": "given"}),
        json!({"n": 3, "a": null, "b": 7}),
        json!({"n": 4, "a": "x", "b": 8, "m": "no"}),
        json!({"n": 5}),
    ];
    plugin.write(&chunk(&records)).await.unwrap();
    assert_eq!(
        server.query("SELECT n, a, b, m FROM defaults.t ORDER BY n"),
        "1\ta1\t101\tm\n2\tgiven\t102\tm\n3\ta3\t7\tm\n4\tx\t8\tm\n5\ta5\t105\tm"
    );
}

#[tokio::test]
async fn users_and_settings() {
    let server = ClickHouse::shared();
    database(server, "users");
    server.query("CREATE TABLE users.t (n UInt8) ENGINE = MergeTree ORDER BY n");
    let common = format!("port {}\ndatabase users\ntable t\n", server.port());
    let records = [json!({"n": 1})];
    let (writer, _) = plugin(&format!("{common}username writer\npassword secret"));
    writer.write(&chunk(&records)).await.unwrap();
    let (wrong, _) = plugin(&format!("{common}user writer\npassword wrong"));
    let message = mend_message(wrong.write(&chunk(&records)).await);
    assert!(message.contains("193") && message.contains("correct user and password"), "{message}");
    let (readonly, _) = plugin(&format!("{common}user reader"));
    let message = retry_message(readonly.write(&chunk(&records)).await);
    assert!(message.contains("readonly"), "{message}");
    let (unknown, _) = plugin(&format!("{common}<settings>\nno_such_setting 1\n</settings>"));
    let message = mend_message(unknown.write(&chunk(&records)).await);
    assert!(message.contains("no_such_setting") && message.contains("correct <settings>"), "{message}");
    let (known, _) = plugin(&format!("{common}settings {{\"max_insert_block_size\": 1000}}"));
    known.write(&chunk(&records)).await.unwrap();
    assert_eq!(server.query("SELECT count() FROM users.t"), "2");
}

#[tokio::test]
async fn large_chunks_are_divided_and_stored_once() {
    let server = ClickHouse::shared();
    database(server, "large");
    server.query("CREATE TABLE large.t (n UInt32) ENGINE = MergeTree ORDER BY n");
    let (plugin, _) =
        plugin(&format!("port {}\ndatabase large\ntable t\nmax_insert_rows 300", server.port()));
    let records: Vec<Value> = (0..1000).map(|n| json!({"n": n})).collect();
    plugin.write(&chunk(&records)).await.unwrap();
    assert_eq!(server.query("SELECT count(), uniqExact(n), sum(n) FROM large.t"), "1000\t1000\t499500");
    // A flush may leave what others' flushes do not wait for.
    let inserts = std::iter::repeat_with(|| {
        server.query("SYSTEM FLUSH LOGS");
        server.query(
            "SELECT count() FROM system.query_log WHERE type = 2 AND query LIKE '%INSERT INTO `large`.`t`%' AND query NOT LIKE '%query_log%'",
        )
    });
    assert_eq!(inserts.take(1000).find(|inserts| inserts == "4").as_deref(), Some("4"));
}

#[tokio::test]
async fn inserts_over_tls_with_the_certificate_checked() {
    let dir = tempfile::tempdir().unwrap();
    let key = rcgen::KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256).unwrap();
    let certificate =
        rcgen::CertificateParams::new(vec!["localhost".to_owned()]).unwrap().self_signed(&key).unwrap();
    let (certificate_path, key_path) = (dir.path().join("cert.pem"), dir.path().join("key.pem"));
    std::fs::write(&certificate_path, certificate.pem()).unwrap();
    std::fs::write(&key_path, key.serialize_pem()).unwrap();
    let server = ClickHouse::start_with(&Options {
        tls: Some((certificate_path.clone(), key_path)),
        ..Options::default()
    });
    server.query("CREATE TABLE t (n UInt32) ENGINE = MergeTree ORDER BY n");
    let lines = format!("port {}\nscheme https\ntable t\n", server.https_port().unwrap());
    let records = [json!({"n": 1})];

    let (trusting, _) = plugin(&format!("{lines}ca_path {}", certificate_path.display()));
    trusting.write(&chunk(&records)).await.unwrap();
    let (insecure, _) = plugin(&format!("{lines}ssl_verify false"));
    insecure.write(&chunk(&records)).await.unwrap();
    let (strict, _) = plugin(&lines);
    let message = retry_message(strict.write(&chunk(&records)).await);
    assert!(message.contains("certificate"), "{message}");
    assert_eq!(server.query("SELECT count() FROM t"), "2");
}
